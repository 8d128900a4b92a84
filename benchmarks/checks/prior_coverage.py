"""How often 90 % intervals of beta and alpha hold the truth in wide, sparse tables, under four priors.

Each table is simulated: alpha = 20, beta ~ Dirichlet(0.1, ..., 0.1) of K = 500 categories, 300 groups with totals of
5,000; about 89 % of its counts are zeros. `hbm.sample` runs with its defaults. An interval lies between the 5 % and the
95 % quantile; for the right prior of all parameters 90 % hold the truth, up to chance.

    python benchmarks/checks/prior_coverage.py --out benchmarks/results/prior_coverage.json
    python benchmarks/checks/prior_coverage.py --tables 5             # a first look
"""

import checking
import numpy as np

import hbm_fast as hbm
from hbm_fast.benchmark.records import Record

K, N_GROUPS, TOTAL, ALPHA, CONCENTRATION = 500, 300, 5000, 20.0, 0.1
LEVELS = (0.05, 0.95)


def models(counts):
    learned = hbm.priors.Dirichlet(hbm.priors.Exponential(1))
    return {
        "default: beta ~ Dirichlet(1, ..., 1)": hbm.HierarchicalModel(K),
        "for_table": hbm.HierarchicalModel.for_table(counts),
        "learned concentration": hbm.HierarchicalModel(K, beta=learned),
        "the true concentration, 0.1": hbm.HierarchicalModel(K, beta=CONCENTRATION),
    }


def covered(post, log_alpha, log_beta):
    """Share of the intervals of beta that hold the truth, and whether that of alpha does."""
    low, high = post.quantile("log_beta", LEVELS)
    inside = float(((low <= log_beta) & (log_beta <= high)).mean())
    low, high = post.quantile("log_alpha", LEVELS)
    return inside, bool(low <= log_alpha <= high)


def main():
    parser = checking.parser(__doc__)
    parser.add_argument("--tables", type=int, default=200)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()

    truth = hbm.HierarchicalModel(K, alpha=ALPHA, beta=CONCENTRATION)
    found = {}
    for number in range(options.tables):
        sims = hbm.simulate(truth, 1, n_groups=N_GROUPS, totals=TOTAL, rng=options.seed, first=number, theta=False)
        counts = sims.counts[0]
        for name, model in models(counts).items():
            settings = {"rng": number, "n_threads": options.threads, "diagnostics": False}
            post, seconds = checking.timed(hbm.sample, counts, model, **settings)
            beta, alpha = covered(post, sims.log_alpha[0], sims.log_beta[0])
            learned = "beta_concentration" in post.latent
            row = {
                "beta": beta,
                "alpha": alpha,
                "zeros": float((counts == 0).mean()),
                "cpu_seconds": seconds,
                "ess_alpha": float(post.diagnostics("log_alpha")["ess_bulk"]),
                "ess_concentration": float(post.diagnostics("beta_concentration")["ess_bulk"]) if learned else np.nan,
            }
            found.setdefault(name, []).append(row)
        if (number + 1) % 10 == 0 or number + 1 == options.tables:
            print(f"{number + 1} tables", flush=True)
            records = [record(name, rows) for name, rows in found.items()]
            for each in records:
                print(f"  {each.method:40s} " + ", ".join(f"{k} {v:.4g}" for k, v in each.metrics.items()), flush=True)
    notes = [
        f"{options.tables} tables of {N_GROUPS} groups, totals {TOTAL:,}, K = {K}, alpha = {ALPHA:g}, beta ~ "
        f"Dirichlet({CONCENTRATION:g}, ...). Shares of 90 % intervals that hold the truth, of beta over all "
        "categories and tables, and their standard error over tables; CPU seconds of a run of hbm.sample."
    ]
    checking.write(options.out, "Coverage under four priors, in wide tables", records, notes)


def record(name, rows):
    columns = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    n = len(rows)
    metrics = {
        "beta_covered": float(columns["beta"].mean()),
        "its_error": float(columns["beta"].std() / np.sqrt(n)),
        "alpha_covered": float(columns["alpha"].mean()),
        "share_of_zeros": float(columns["zeros"].mean()),
        "cpu_seconds": float(np.median(columns["cpu_seconds"])),
        "least_ess_of_alpha": float(columns["ess_alpha"].min()),
    }
    if np.isfinite(columns["ess_concentration"]).all():
        metrics["least_ess_of_concentration"] = float(columns["ess_concentration"].min())
    return Record("300 groups, K = 500", name, metrics=metrics)


if __name__ == "__main__":
    main()
