"""Simulation-based calibration of `hbm.sample` for mixtures (Talts et al. 2018, arXiv:1804.06788).

Datasets are drawn from the prior, for J = 2 components and for a Dirichlet process with concentration 1: N = 8 groups,
K = 3 categories and totals from 0 to 20, which are sampled by Gibbs; and N = 12, K = 8 and totals from 0 to 100, which
are sampled by independence steps and by splits and merges too. The ranks of the true values among 99 draws must be
uniform.

    python benchmarks/checks/mixture_calibration.py --out benchmarks/results/mixture_calibration.json
    python benchmarks/checks/mixture_calibration.py --datasets 200    # a first look

Of the larger tables it takes a quarter as many datasets.
"""

import checking
import numpy as np

import hbm_fast as hbm
from hbm_fast.benchmark.records import Record

N_RANKS, THIN = 100, 10
PROCESS = hbm.priors.DirichletProcess(1.0)
LARGE_ALPHA = hbm.priors.LogNormal(1.5, 1.0)
# the model, N, and the largest total
CASES = {
    "two components": (hbm.MixtureModel(3, n_components=2), 8, 20),
    "Dirichlet process": (hbm.MixtureModel(3, n_components=PROCESS), 8, 20),
    "two components, larger": (hbm.MixtureModel(8, n_components=2, alpha=LARGE_ALPHA), 12, 100),
    "Dirichlet process, larger": (hbm.MixtureModel(8, n_components=PROCESS, alpha=LARGE_ALPHA), 12, 100),
}


def from_prior(case, rng):
    """Counts (N, K) and the true value of each quantity."""
    model, n_groups, largest_total = CASES[case]
    labels = np.zeros(n_groups, int)
    if model.n_components == PROCESS:
        for n in range(1, n_groups):
            sizes = np.bincount(labels[:n])
            labels[n] = rng.choice(len(sizes) + 1, p=np.append(sizes, 1.0) / (n + 1.0))
        largest = np.bincount(labels).max() / (n_groups + 1.0)
    else:
        weights = rng.dirichlet([1.0, 1.0])
        labels = rng.choice(2, n_groups, p=weights)
        largest = weights.max()
    one_each = hbm.simulate(model.component, n_groups, n_groups=1, totals=0, rng=int(rng.integers(2**60)))
    alpha, beta = one_each.alpha, one_each.beta
    concentration = alpha[labels, np.newaxis] * beta[labels]
    log_theta = hbm.dirichlet(int(rng.integers(2**60)), concentration, log=True)
    totals = rng.integers(0, largest_total + 1, n_groups)
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


def ranks(case, n_datasets, seed=0):
    """Ranks 0..99 of each quantity in each dataset, ties broken at random."""
    result = {}
    for b in range(n_datasets):
        rng = np.random.default_rng([seed, b])
        counts, truth = from_prior(case, rng)
        post = hbm.sample(
            counts,
            CASES[case][0],
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


def main():
    parser = checking.parser(__doc__)
    parser.add_argument("--datasets", type=int, default=4000)
    options = parser.parse_args()
    records = []
    for case, (_, _, largest_total) in CASES.items():
        n = options.datasets if largest_total == 20 else options.datasets // 4
        found = {quantity: checking.uniform_p(values, N_RANKS) for quantity, values in ranks(case, n).items()}
        for quantity, p in found.items():
            print(f"{case:26s} {n} datasets, {quantity:26s} p = {p:.4g}", flush=True)
        records.append(Record(f"{n} datasets", case, metrics={"smallest_p": min(found.values()), **found}))
        notes = ["p-values of the chi-squared test that the ranks of each quantity are uniform."]
        checking.write(options.out, "Simulation-based calibration of mixtures", records, notes)


if __name__ == "__main__":
    main()
