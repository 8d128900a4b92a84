"""Simulation-based calibration of `hbm.sample` for mixtures (Talts et al. 2018, arXiv:1804.06788).

Datasets of N = 8 groups, K = 3 categories and totals from 0 to 20 are drawn from the prior: J = 2 components, and a
Dirichlet process with concentration 1. The ranks of the true values among 99 draws must be uniform.

`python benchmarks/checks/mixture_calibration.py [datasets]` prints p-values of chi-square tests and writes
benchmarks/results/mixture_calibration.json.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np

import hbm_fast as hbm

N_GROUPS, N_CATEGORIES, LARGEST_TOTAL = 8, 3, 20
N_RANKS, THIN = 100, 10
MODELS = {
    "two components": hbm.MixtureModel(N_CATEGORIES, n_components=2),
    "Dirichlet process": hbm.MixtureModel(N_CATEGORIES, n_components=hbm.priors.DirichletProcess(1.0)),
}


def from_prior(open_number, rng):
    """Counts (N, K) and the true value of each quantity."""
    labels = np.zeros(N_GROUPS, int)
    if open_number:
        for n in range(1, N_GROUPS):
            sizes = np.bincount(labels[:n])
            labels[n] = rng.choice(len(sizes) + 1, p=np.append(sizes, 1.0) / (n + 1.0))
        largest = np.bincount(labels).max() / (N_GROUPS + 1.0)
    else:
        weights = rng.dirichlet([1.0, 1.0])
        labels = rng.choice(2, N_GROUPS, p=weights)
        largest = weights.max()
    alpha = rng.exponential(size=N_GROUPS)
    beta = rng.dirichlet(np.ones(N_CATEGORIES), N_GROUPS)
    concentration = alpha[labels, np.newaxis] * beta[labels]
    log_theta = hbm.dirichlet(int(rng.integers(2**60)), concentration, log=True)
    totals = rng.integers(0, LARGEST_TOTAL + 1, N_GROUPS)
    counts = np.stack([rng.multinomial(m, np.exp(t)) for m, t in zip(totals, log_theta, strict=True)])
    return counts, {
        "largest weight": largest,
        "alpha of group 1": alpha[labels[0]],
        "beta_1 of group 1": beta[labels[0], 0],
        "components used": len(set(labels)),
        "groups 1 and 2 together": float(labels[0] == labels[1]),
        "log likelihood": float(hbm.log_likelihood(counts, concentration).sum()),
    }


def drawn(post):
    """The same quantities of every draw."""
    own = post.labels[..., 0]
    return {
        "largest weight": np.nanmax(post.weights, axis=-1),
        "alpha of group 1": np.take_along_axis(post.alpha, own[..., np.newaxis], axis=2)[..., 0],
        "beta_1 of group 1": np.take_along_axis(post.beta[..., 0], own[..., np.newaxis], axis=2)[..., 0],
        "components used": post.n_components_used,
        "groups 1 and 2 together": (own == post.labels[..., 1]).astype(float),
        "log likelihood": post.log_likelihood,
    }


def ranks(name, n_datasets, seed=0):
    """Ranks 0..99 of each quantity in each dataset, ties broken at random."""
    result = {}
    for b in range(n_datasets):
        rng = np.random.default_rng([seed, b])
        counts, truth = from_prior(name == "Dirichlet process", rng)
        post = hbm.sample(
            counts,
            MODELS[name],
            n_draws=(N_RANKS - 1) * THIN,
            n_chains=1,
            rng=int(rng.integers(2**60)),
            n_threads=1,
            diagnostics=False,
        )
        for quantity, values in drawn(post).items():
            some = values[0, ::THIN]
            # values that are equal but for rounding are ties
            near = np.isclose(some, truth[quantity], rtol=1e-9, atol=1e-12)
            rank = int((some[~near] < truth[quantity]).sum() + rng.integers(near.sum() + 1))
            result.setdefault(quantity, []).append(rank)
    return {quantity: np.array(values) for quantity, values in result.items()}


def chi_square_p(values, n_bins=20):
    """p-value of uniform ranks, by Wilson & Hilferty's normal approximation of the chi-square distribution."""
    found = np.bincount(values * n_bins // N_RANKS, minlength=n_bins)
    expected = len(values) / n_bins
    degrees = n_bins - 1
    x = float(((found - expected) ** 2 / expected).sum())
    z = ((x / degrees) ** (1 / 3) - (1 - 2 / (9 * degrees))) / math.sqrt(2 / (9 * degrees))
    return 0.5 * math.erfc(z / math.sqrt(2))


if __name__ == "__main__":
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    table = {}
    for model in MODELS:
        table[model] = {quantity: chi_square_p(values) for quantity, values in ranks(model, n).items()}
        for quantity, p in table[model].items():
            print(f"{model:20s} {quantity:26s} p = {p:.4g}", flush=True)
    target = Path(__file__).parents[1] / "results" / "mixture_calibration.json"
    target.write_text(json.dumps({"datasets": n, "p_values": table}, indent=1) + "\n")
