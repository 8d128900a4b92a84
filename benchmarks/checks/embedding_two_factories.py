"""Data whose generating model is not in the family: every dataset mixes bags of two factories.

Each factory has an (alpha, beta) of its own from the default prior, and each of the 21 bags of 20 marbles comes from
either with probability 1/2. `python benchmarks/checks/embedding_two_factories.py [minutes]` trains one Dirichlet per z,
and a mixture, on a table of such datasets and prints their model gaps. The true evidence is a four-dimensional
trapezoid rule, which needs the histogram of the bags only.
"""

import math
import sys

import numpy as np
import torch

import hbm_fast as hbm
from hbm_fast.embedding import ModelComparison, latent_grid, train
from hbm_fast.nn.objectives import log_normal
from hbm_fast.nn.transforms import PriorTransform

BAGS, MARBLES = 21, 20


def datasets(n, rng):
    """Counts (n, 21, 2)."""
    model = hbm.HierarchicalModel(2)
    sims = hbm.simulate(model, 2 * n, n_groups=BAGS, totals=MARBLES, rng=rng)
    pair = sims.counts.reshape(n, 2, BAGS, 2)
    choice = np.random.default_rng(rng).integers(0, 2, size=(n, BAGS))
    return np.where(choice[..., None] == 0, pair[:, 0], pair[:, 1])


def log_true(counts, n=41, half_width=5.0):
    """log p(x) of the ordered sequences, (B,)."""
    high = torch.full((2,), half_width, dtype=torch.float64)
    z, log_cell = latent_grid.nodes(n, -high, high)
    log_weight = log_normal(z) + log_cell
    keep = log_weight > -16.0
    z, log_weight = z[keep], log_weight[keep]
    log_alpha, log_beta = PriorTransform(hbm.HierarchicalModel(2)).from_z(z)
    a = (log_alpha[:, None] + log_beta).exp()
    black = np.arange(MARBLES + 1)
    rows = np.stack([MARBLES - black, black], axis=-1)
    log_p = torch.from_numpy(hbm.log_likelihood(rows, a.numpy()[:, None], coefficient=False))
    p = log_p.exp().float()  # (S, 21); every probability here is far above what float32 can hold
    histogram = torch.stack([torch.bincount(torch.from_numpy(c[:, 1]).long(), minlength=MARBLES + 1) for c in counts])
    histogram = histogram.float()
    total = torch.full((len(counts),), -math.inf, dtype=torch.float64)
    for s in range(len(z)):  # pairs (s, t >= s): the factories have no names
        both = (0.5 * (p[s] + p[s:])).clamp(min=1e-38).log() @ histogram.T
        twice = torch.full((len(z) - s,), math.log(2.0), dtype=torch.float64)
        twice[0] = 0.0
        value = both.double() + (log_weight[s:] + log_weight[s] + twice)[:, None]
        total = torch.logaddexp(total, value.logsumexp(0))
    return total


if __name__ == "__main__":
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    torch.set_num_threads(1)
    table, validation = datasets(60_000, 0), datasets(200, 1)
    exact = log_true(validation)
    print(f"a coarser grid changes log p by at most {float((log_true(validation, 33) - exact).abs().max()):.1e} nats")
    comparison = ModelComparison(hbm.HierarchicalModel(2), validation)
    comparison.log_true = exact
    for settings in ({"dim": 2}, {"dim": 4}, {"dim": 4, "head": "mixture", "n_components": 4}):
        emb = train(data=table, held_out=0.01, minutes=minutes, rng=0, **settings)
        print(settings, emb.training["steps"], "steps:", comparison.model_gap(emb), flush=True)
