"""Simulation-based calibration of `hbm.sample` with a RegressionModel: both links, and random intercepts.

Parameters are drawn from the priors, counts given these, and the posterior is sampled: the rank of each parameter among
99 thinned draws is uniform (Talts et al. 2018, arXiv:1804.06788). The log likelihood at the parameters is ranked too.
The ranks of every quantity go into 20 bins, of which the chi-squared test gives a p-value.

    python benchmarks/checks/regression_sbc.py --out benchmarks/results/regression_sbc.json
    python benchmarks/checks/regression_sbc.py --datasets 200         # a first look
"""

import checking
import numpy as np

import hbm_fast as hbm
from hbm_fast.benchmark.records import Record

K, N_GROUPS, TOTAL, N_SUBJECTS = 3, 24, 30, 8
N_RANKS = 99
NORMAL = hbm.priors.Normal
COMMON = {"precision_coefficients": NORMAL(1.5, 1.0), "mean": "~ x"}
CASES = {
    "softmax": hbm.RegressionModel(K, coefficients=NORMAL(0, 1), reference=1, **COMMON),
    "log": hbm.RegressionModel(K, coefficients=NORMAL(0.5, 1), link="log", **COMMON),
    "random intercepts": hbm.RegressionModel(
        K, coefficients=NORMAL(0, 1), random_intercept="subject", random_scale=hbm.priors.HalfNormal(0.7), **COMMON
    ),
}
SAMPLER = {"n_chains": 3, "n_draws": 660, "diagnostics": False, "n_threads": 1}


def drawn_from_prior(model, data, rng):
    """Named parameters, and the concentrations (N, K) that they give."""
    design = np.column_stack([np.ones(N_GROUPS), data["x"]])
    coefficients = rng.normal(model.coefficients.mu, model.coefficients.sd, (2, K))
    named = {}
    scale = np.zeros(K)
    if model.link == "softmax":
        coefficients -= coefficients.mean(axis=1, keepdims=True)
        coefficients -= coefficients[:, [model.reference % K]]
        named["precision"] = rng.normal(model.precision_coefficients.mu, model.precision_coefficients.sd)
    free = [k for k in range(K) if model.link == "log" or k != model.reference % K]
    named |= {f"coefficients[{p}, {k}]": coefficients[p, k] for p in range(2) for k in free}
    eta = design @ coefficients
    if model.random_intercept is not None:
        scale[free] = np.abs(rng.normal(0.0, model.random_scale.scale, len(free)))
        intercepts = scale * rng.standard_normal((N_SUBJECTS, K))
        named |= {f"random_scale[{k}]": scale[k] for k in free}
        named |= {f"random_intercepts[0, {k}]": intercepts[0, k] for k in free}
        eta = eta + intercepts[data["subject"]]
    concentration = np.exp(eta)
    if model.link == "softmax":
        concentration *= np.exp(named["precision"]) / concentration.sum(axis=1, keepdims=True)
    return named, concentration


def thinned(post):
    """The same parameters and the log likelihood of N_RANKS draws."""
    step = post.n_chains * post.n_draws // N_RANKS

    def some(draws):
        return draws.reshape(-1, *draws.shape[2:])[::step][:N_RANKS]

    found = {f"coefficients[{p}, {k}]": some(post.coefficients)[:, p, k] for p in range(2) for k in range(K)}
    if post.precision_column_names:
        found["precision"] = some(post.precision_coefficients)[:, 0]
    if post.random_scale is not None:
        found |= {f"random_scale[{k}]": some(post.random_scale)[:, k] for k in range(K)}
        found |= {f"random_intercepts[0, {k}]": some(post.random_intercepts)[:, 0, k] for k in range(K)}
    found["log likelihood"] = some(post.log_likelihood()).sum(axis=1)
    return found


def ranks(model, n_datasets, seed):
    """The rank of each quantity in each dataset."""
    result = {}
    for n in range(n_datasets):
        rng = np.random.default_rng([seed, n])
        data = {"x": rng.standard_normal(N_GROUPS), "subject": np.repeat(np.arange(N_SUBJECTS), N_GROUPS // N_SUBJECTS)}
        named, concentration = drawn_from_prior(model, data, rng)
        counts = hbm.multinomial(rng, TOTAL, hbm.dirichlet(rng, concentration))
        named["log likelihood"] = hbm.log_likelihood(counts, concentration).sum()
        found = thinned(hbm.sample(counts, model, data=data, rng=rng, **SAMPLER))
        for name, value in named.items():
            result.setdefault(name, []).append(int((found[name] < value).sum()))
    return {name: np.array(values) for name, values in result.items()}


def main():
    parser = checking.parser(__doc__)
    parser.add_argument("--datasets", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=25)
    parser.add_argument("--case", choices=list(CASES))
    options = parser.parse_args()
    records = []
    for name, model in CASES.items():
        if options.case not in (None, name):
            continue
        of_quantities, seconds = checking.timed(ranks, model, options.datasets, options.seed)
        found = {quantity: checking.uniform_p(values, N_RANKS + 1) for quantity, values in of_quantities.items()}
        print(f"{name}: {options.datasets} datasets in {seconds:.0f} CPU s", flush=True)
        for quantity, p in found.items():
            print(f"  {quantity:<24} p = {p:.4f}", flush=True)
        metrics = {"smallest_p": min(found.values()), "cpu_seconds": seconds, **found}
        records.append(Record(f"{options.datasets} datasets", name, metrics=metrics))
        notes = [
            f"K = {K}, {N_GROUPS} groups of {TOTAL} counts, one normal covariate, {N_SUBJECTS} subjects where "
            "there are random intercepts. p-values of the chi-squared test that the ranks of each quantity are "
            "uniform."
        ]
        checking.write(options.out, "Simulation-based calibration of regressions", records, notes)


if __name__ == "__main__":
    main()
