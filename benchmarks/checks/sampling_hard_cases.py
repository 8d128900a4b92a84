"""hbm.sample with its defaults against quadrature in hard cases: two modes of alpha, priors of alpha with bounds.

For each dataset `runs` seeds: how far the mean of log alpha is from quadrature in Monte Carlo standard errors, the bulk
effective sample size, and whether `sample` warned.

    python benchmarks/checks/sampling_hard_cases.py --out benchmarks/results/sampling_hard_cases.json
"""

import warnings

import checking
import numpy as np

import hbm_fast as hbm
from hbm_fast.benchmark.records import Record

P = hbm.priors


def large(n, half=5000, share=0.5):
    """n groups of 2 half draws, all with the same share of the first category: evidence for a large alpha."""
    first = int(2 * half * share)
    return [[first, 2 * half - first]] * n


def pure(n, total=3):
    """n groups of each of the two pure kinds: evidence for a small alpha."""
    return [[total, 0], [0, total]] * n


TWO_MODES = {
    "Lomax": (large(4) + pure(7), P.Lomax()),
    "Lomax, unequal shares": (large(3, 2000, 0.3) + pure(5), P.Lomax()),
    "Lomax, heavy tail": (large(4) + pure(5, 4), P.Lomax(0.2)),
    "Lomax, light tail": (large(4) + pure(6), P.Lomax(1.0, scale=10.0)),
    "LogNormal above": ([[18, 2], [2, 18], [15, 5], [4, 16], [9, 11], [19, 1]], P.LogNormal(15, 2)),
    "LogNormal above, 5 groups": ([[20, 0], [3, 17], [15, 5], [4, 16], [9, 11]], P.LogNormal(14, 2)),
    "LogNormal, wide": (large(5) + pure(8), P.LogNormal(0, 8)),
    "LogNormal, middle": (large(4, 300) + pure(6), P.LogNormal(4, 4)),
    "HalfCauchy": (large(4) + pure(7), P.HalfCauchy(1.0)),
    "HalfCauchy, wide": (large(3) + pure(6), P.HalfCauchy(100.0)),
    "Gamma": (large(4) + pure(7), P.Gamma(0.05, rate=1e-5)),
    "Gamma, flatter": (large(3, 1000, 0.4) + pure(5), P.Gamma(0.1, rate=1e-6)),
    "HalfNormal": (large(4) + pure(9), P.HalfNormal(1e4)),
    "Exponential": (large(4) + pure(10), P.Exponential(1e-4)),
    "LogUniform": (large(4) + pure(7), P.LogUniform(1e-4, 1e8)),
    "LogUniform, pairs": (large(3, 500) + pure(12, 2), P.LogUniform(1e-3, 1e6)),
    "Power": (large(4) + pure(7), P.Power(-1.2, lower=1e-3, upper=1e7)),
    "totals of 100,000": (large(6, 50_000) + pure(8, 4), P.Lomax()),
    "three kinds": (large(3, 3000) + pure(3, 6) + [[1, 1]] * 4, P.Lomax(0.4)),
    "pairs": (large(4, 4000) + pure(13, 2), P.Lomax(0.5)),
}

BAGS = [[20, 0]] * 10 + [[0, 20]] * 10 + [[0, 1]]
RATS = hbm.datasets.load_rat_tumors().counts
BOUNDED = {
    "three bags of 1,000": ([[480, 520], [500, 500], [510, 490]], P.LogUniform(0.01, 1e4)),
    "three equal bags of 1,000": (large(3, 500), P.LogUniform(0.01, 1e4)),
    "three bags of a million": ([[500_000, 500_000], [600_000, 400_000], [520_000, 480_000]], P.LogUniform(1e-6, 1e6)),
    "three equal bags of a million": (large(3, 500_000), P.LogUniform(1e-6, 1e6)),
    "rats, Gelman et al.": (RATS, P.Power(-1.5, lower=0.01, upper=1000)),
    "rats, LogUniform": (RATS, P.LogUniform(0.1, 1e5)),
    "the 21 bags": (BAGS, P.LogUniform(0.001, 1000)),
    "the 21 bags, narrow": (BAGS, P.LogUniform(0.5, 2.0)),
    "pure bags": ([[20, 0]] * 6 + [[0, 20]] * 5, P.LogUniform(1e-5, 100)),
    "one bag": ([[7, 13]], P.LogUniform(0.01, 100)),
    "no data": (np.zeros((0, 2), int), P.Power(0.5, lower=0.1, upper=50)),
    "against the upper bound": ([[10, 10]] * 30, P.Power(1.0, lower=0.01, upper=20)),
}


def run(counts, prior, n_runs, first_seed):
    counts = np.asarray(counts)
    model = hbm.HierarchicalModel(2, alpha=prior)
    exact = hbm.exact_posterior(counts, model, n_draws=1, rng=0).mean("log_alpha")
    z, ess, warned, seconds = [], [], [], 0.0
    for seed in range(first_seed, first_seed + n_runs):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", hbm.ConvergenceWarning)
            post, spent = checking.timed(hbm.sample, counts, model, rng=seed, n_threads=1)
        seconds += spent
        found = post.diagnostics("log_alpha")
        z.append(float((post.mean("log_alpha") - exact) / found["mcse"]))
        ess.append(float(found["ess_bulk"]))
        warned.append(len(caught) > 0)
    silent = [abs(value) for value, warning in zip(z, warned, strict=True) if not warning]
    return {
        "prior": repr(prior),
        "exact": float(exact),
        "sampler": post.method,
        "n_modes": int(post.details["n_modes"]),
        "largest_z": float(np.max(np.abs(z))),
        "rms_z": float(np.sqrt(np.mean(np.square(z)))),
        "smallest_ess": float(np.min(ess)),
        "median_ess": float(np.median(ess)),
        "n_runs": n_runs,
        "n_warned": int(np.sum(warned)),
        "n_silent_beyond_4": int(np.sum(np.array(silent) > 4.0)),
        "cpu_seconds_a_run": seconds / n_runs,
    }


def main():
    parser = checking.parser(__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1000)
    options = parser.parse_args()
    records = []
    for name, cases in (("two modes", TWO_MODES), ("priors with bounds", BOUNDED)):
        silent = 0
        for label, (counts, prior) in cases.items():
            found = run(counts, prior, options.runs, options.seed)
            records.append(Record(f"{name}: {label}", "hbm.sample", metrics=found))
            silent += found["n_silent_beyond_4"]
            print(
                f"{name}, {label:30s} modes {found['n_modes']}"
                f"  |z| <= {found['largest_z']:.2f} (rms {found['rms_z']:.2f})"
                f"  ESS >= {found['smallest_ess']:.0f}  warned {found['n_warned']}/{found['n_runs']}"
                f"  silent beyond 4: {found['n_silent_beyond_4']}",
                flush=True,
            )
        print(f"{name}: silent beyond 4 in all: {silent}")
    notes = ["Draws: 4 x 1,000 a run. z: error of E[log alpha] in Monte Carlo standard errors."]
    checking.write(options.out, "hbm.sample against quadrature in hard cases", records, notes)


if __name__ == "__main__":
    main()
