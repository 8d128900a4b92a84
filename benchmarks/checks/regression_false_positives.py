"""How often true null hypotheses are rejected at the 5 % level by regressions, and standard errors against a bootstrap.

Repeated measures: 24 subjects with 3 visits each, K = 2, totals of 20 to 60, a random intercept of standard deviation
0.5, precision 20; the covariate is a group of 12 subjects, without effect. The likelihood-ratio test of a model with
the random intercepts (`small_sample=True`, N the number of subjects), and of one without.

Two groups: N = 12, 24, 50 and 100, K = 2, 4 and 8, uniform proportions, precision 10 (30 at K = 8), totals of 50 to 200
(100 to 400 at K = 8), by `hbm.fit_many`.

Standard errors: 500 x 5 with two covariates, against the standard deviations of 4,000 fits to tables of the fitted
model.

    python benchmarks/checks/regression_false_positives.py --out benchmarks/results/regression_false_positives.json
    python benchmarks/checks/regression_false_positives.py --tables 100    # a first look
"""

import time

import checking
import numpy as np

import hbm_fast as hbm
from hbm_fast.benchmark.records import Record


def halves(n):
    return np.column_stack([np.ones(n), (np.arange(n) >= n // 2).astype(float)])


def repeated_measures(n_tables, seed):
    data = {"subject": np.arange(24).repeat(3)}
    design = halves(72)
    model = hbm.RegressionModel(2, random_intercept="subject")
    truth = {"coefficients": [[0.0, 0.0]], "precision_coefficients": [np.log(20.0)], "random_scale": [0.5, 0.0]}
    null = design[:, :1]
    sims = hbm.simulate(model, n_tables, design=null, data=data, totals=(20, 60), rng=seed, **truth)
    methods = {
        "random intercept, Laplace": (model, {"data": data}),
        "random intercept, quadrature": (model, {"data": data, "integration": "quadrature"}),
        "subjects ignored": (hbm.RegressionModel(2), {}),
    }
    for name, (of, given) in methods.items():
        start = time.process_time()
        p_values, scales = [], []
        for counts in sims.counts:
            large, small = (hbm.fit(counts, of, design=x, n_threads=1, **given) for x in (design, null))
            p_values.append(large.likelihood_ratio_test(small, small_sample=True).p_value)
            scales.append(large.random_scale[0] if given else 0.0)
        seconds = (time.process_time() - start) / n_tables
        metrics = {"rejected": rate(p_values), "milliseconds": 1e3 * seconds, "mean_scale": float(np.mean(scales))}
        yield Record("24 subjects x 3 visits", name, metrics=metrics)


def two_groups(n_tables, seed):
    for n in (12, 24, 50, 100):
        for k in (2, 4, 8):
            alpha, totals = (30.0, (100, 400)) if k == 8 else (10.0, (50, 200))
            model = hbm.HierarchicalModel(k, alpha=alpha, beta=hbm.priors.FixedBeta(np.full(k, 1.0 / k)))
            sims = hbm.simulate(model, n_tables, n_groups=n, totals=totals, rng=seed, theta=False)
            for corrected in (True, False):
                tests = hbm.fit_many(
                    dict(enumerate(sims.counts)),
                    design=halves(n),
                    null_design=np.ones((n, 1)),
                    small_sample=corrected,
                    n_threads=1,
                )
                name = "small_sample=True" if corrected else "small_sample=False"
                yield Record(f"N = {n}, K = {k}", name, metrics={"rejected": rate(tests.p_value)})


def standard_errors(n_tables, seed):
    rng = np.random.default_rng(seed)
    design = np.column_stack([np.ones(500), rng.normal(size=(500, 2))])
    coefficients = np.column_stack([rng.normal(scale=0.5, size=(3, 4)), np.zeros(3)])
    model = hbm.RegressionModel(5)
    truth = {"coefficients": coefficients, "precision_coefficients": [2.1]}
    counts = hbm.simulate(model, 1, design=design, totals=(20, 80), rng=seed, **truth).counts[0]
    fit = hbm.fit(counts, model, design=design)
    truth = {"coefficients": fit.coefficients, "precision_coefficients": fit.precision_coefficients}
    found = []
    for b in range(n_tables):
        sims = hbm.simulate(model, 1, design=design, totals=(20, 80), rng=seed, first=b + 1, **truth)
        again = hbm.fit(sims.counts[0], model, design=design, n_threads=1)
        found.append(np.append(again.coefficients[:, :4], again.precision_coefficients))
    error = np.append(fit.standard_error[:, :4], fit.precision_standard_error)
    ratio = np.std(found, axis=0) / error
    yield Record(
        "500 x 5", "bootstrap / standard error", metrics={"least": float(ratio.min()), "largest": float(ratio.max())}
    )


def rate(p_values):
    return float((np.asarray(p_values) < 0.05).mean())


def main():
    parser = checking.parser(__doc__)
    parser.add_argument("--tables", type=int, help="of every case; default 1,000, and 4,000 for the last two")
    parser.add_argument("--seed", type=int, default=21)
    options = parser.parse_args()
    many = options.tables or 4000
    records = []
    for case in (
        repeated_measures(options.tables or 1000, options.seed),
        two_groups(many, options.seed),
        standard_errors(many, options.seed),
    ):
        for record in case:
            records.append(record)
            print(record.case, record.method, record.metrics, flush=True)
    notes = [__doc__.split("\n\n    python")[0]]
    checking.write(options.out, "False positives of regressions", records, notes)


if __name__ == "__main__":
    main()
