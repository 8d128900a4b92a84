"""How often 90 % intervals of `hbm_fast.compare_groups` hold the true log2 ratios of mean proportions.

Each table has two conditions. Their truths are drawn from the priors of the model; or alpha is a number, beta is drawn
from Dirichlet(1, ..., 1), and the second condition has some categories tripled. An interval lies between the 5 % and
the 95 % quantile. The shares are averages over categories and tables. Of equal conditions the table has also the share
of p-values below 0.05 and of log Bayes factors above 0: errors of both tests.

    python benchmarks/checks/group_comparison_coverage.py --out benchmarks/results/group_comparison_coverage.json
    python benchmarks/checks/group_comparison_coverage.py --tables 20             # a first look
"""

from dataclasses import dataclass

import checking
import numpy as np

import hbm_fast as hbm
from hbm_fast.benchmark.records import Record

TAILS = (0.05, 0.95)


@dataclass
class Setting:
    """Two conditions of n_groups groups each; alpha None: alpha and beta of both drawn from the model's priors."""

    name: str
    n_categories: int
    n_groups: int
    total: int
    alpha: float | None = None
    n_tripled: int = 0
    prior: hbm.priors.AlphaPrior | None = None


SETTINGS = (
    Setting("the model's own priors: K = 6, 15 + 15 groups of 100", 6, 15, 100),
    Setting("alpha = 20, two of ten tripled: 50 + 50 groups of 500", 10, 50, 500, 20.0, 2),
    Setting("alpha = 10, one of eight tripled: 20 + 20 groups of 100", 8, 20, 100, 10.0, 1),
    Setting("the same, alpha ~ HalfCauchy(10)", 8, 20, 100, 10.0, 1, hbm.priors.HalfCauchy(10)),
    Setting("alpha = 20, equal conditions: 50 + 50 groups of 500", 10, 50, 500, 20.0),
)


def simulated(setting, rng):
    """log beta (2, K) of the conditions, and their counts."""
    k = setting.n_categories
    if setting.alpha is None:
        models = [hbm.HierarchicalModel(k)] * 2
    else:
        beta = rng.dirichlet(np.ones(k))
        factor = np.ones(k)
        factor[rng.choice(k, setting.n_tripled, replace=False)] = 3.0
        shares = [beta, beta * factor / (beta * factor).sum()]
        models = [hbm.HierarchicalModel(k, alpha=setting.alpha, beta=hbm.priors.FixedBeta(s)) for s in shares]
    sims = [hbm.simulate(m, 1, n_groups=setting.n_groups, totals=setting.total, rng=rng) for m in models]
    return np.concatenate([sim.log_beta for sim in sims]), np.concatenate([sim.counts[0] for sim in sims])


def measured(setting, n_tables, seed):
    rows = []
    by = np.repeat(["first", "second"], setting.n_groups)
    for number in range(n_tables):
        log_beta, counts = simulated(setting, np.random.default_rng([seed, number]))
        found, seconds = checking.timed(hbm.compare_groups, counts, by=by, alpha=setting.prior, rng=number)
        seen = list(map(int, found.category_names))
        truth = (log_beta[1] - log_beta[0])[seen] / np.log(2.0)
        low, high = np.quantile(found.log2_ratio[0], TAILS, axis=0)
        inside = float(((low <= truth) & (truth <= high)).mean())
        rows.append((inside, found.p_value < 0.05, found.log_bayes_factor > 0.0, len(seen), seconds))
    return np.array(rows)


def record(setting, rows):
    inside, below, positive, seen, seconds = rows.T
    metrics = {
        "covered": float(inside.mean()),
        "its_error": float(inside.std() / np.sqrt(len(rows))),
        "p_below_0.05": float(below.mean()),
        "bayes_factor_above_1": float(positive.mean()),
        "categories_seen": float(seen.mean()),
        "cpu_seconds": float(np.median(seconds)),
    }
    return Record("two conditions", setting.name, metrics=metrics)


def note(n_tables):
    return (
        f"{n_tables} tables of each kind. Shares of 90 % intervals of log2 ratios that hold the truth, over all "
        "categories and tables, and their standard error over tables; shares of p-values below 0.05 and of Bayes "
        "factors above 1; CPU seconds of a call."
    )


def main():
    parser = checking.parser(__doc__)
    parser.add_argument("--tables", type=int, default=500)
    parser.add_argument("--seed", type=int, default=26)
    options = parser.parse_args()
    records = []
    for setting in SETTINGS:
        records.append(record(setting, measured(setting, options.tables, options.seed)))
        print(setting.name, ", ".join(f"{k} {v:.4g}" for k, v in records[-1].metrics.items()), flush=True)
    checking.write(options.out, "Coverage of compare_groups", records, [note(options.tables)])


if __name__ == "__main__":
    main()
