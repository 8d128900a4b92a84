"""Value and gradient in PyMC and in JAX beside the libraries' own distributions, and one model's posterior in each.

    python benchmarks/checks/other_libraries.py --out benchmarks/results/other_libraries.json

Speed: 1,000 groups of 50 categories and total 100, in CPU seconds of one thread; the methods of a case take turns, and
a ratio is the median of those of the turns. A concentration for each group must be 4 times as fast as PyMC's own
distribution and 7 times as fast as NumPyro's, a shared one, by statistics, 50 times both.

Posterior: K = 5, 500 groups of total 20, alpha ~ Exponential(1), beta ~ Dirichlet(1), concentration alpha beta; means
must lie within four Monte Carlo standard errors of those of `hbm.sample`.
"""

import os
import time
from functools import partial

import checking
import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pymc as pm

import hbm_fast as hbm
from hbm_fast.benchmark.records import Record
from hbm_fast.integrations.jax import log_likelihood
from hbm_fast.integrations.pymc import DirichletMultinomial

GOALS = {("PyMC", "each"): 4.0, ("PyMC", "shared"): 50.0, ("NumPyro", "each"): 7.0, ("NumPyro", "shared"): 50.0}
enable_x64 = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64  # its earlier place
CASES = {"each": "a concentration for each group", "shared": "one concentration, by statistics"}


def in_pymc(distribution, counts, shape):
    with pm.Model() as model:
        a = pm.Flat("a", shape=shape)
        distribution("x", counts.sum(axis=1), a, observed=counts)
    function = model.logp_dlogp_function(ravel_inputs=True)
    function.set_extra_values({})
    return lambda a: function(a.ravel())


def in_jax(log_probability):
    function = jax.jit(jax.value_and_grad(log_probability))
    return lambda a: jax.block_until_ready(function(a))


def methods(kind, counts, concentration):
    """Value and gradient as functions of the concentration: of the numpy function, of ours and of each library."""
    totals, statistics = counts.sum(axis=1), hbm.SufficientStatistics(counts)
    if kind == "each":
        source, by_numpy = counts, lambda a: hbm.log_likelihood_gradient(counts, a, n_threads=1)
    else:
        source, by_numpy = statistics, lambda a: statistics.log_likelihood_gradient(a, n_threads=1)
    return {
        "hbm_fast": by_numpy,
        "hbm_fast in PyMC": in_pymc(DirichletMultinomial, counts, concentration.shape),
        "PyMC": in_pymc(pm.DirichletMultinomial, counts, concentration.shape),
        "hbm_fast in JAX": in_jax(lambda a: log_likelihood(source, a).sum()),
        "NumPyro": in_jax(lambda a: dist.DirichletMultinomial(a, totals).log_prob(counts).sum()),
    }


def seconds_of(function, argument, least=0.01):
    """CPU seconds of a call, from as many as take `least`."""
    calls, start = 0, time.process_time()
    while (passed := time.process_time() - start) < least:
        function(argument)
        calls += 1
    return passed / calls


def speed(kind, n_turns, n_groups=1000, n_categories=50, total=100):
    """Records of a case."""
    rng = np.random.default_rng(1)
    shared = rng.gamma(1.0, size=n_categories) + 0.05
    counts = np.stack([rng.multinomial(total, rng.dirichlet(shared)) for _ in range(n_groups)])
    at = shared if kind == "shared" else rng.gamma(1.0, size=counts.shape) + 0.05
    functions = methods(kind, counts, at)
    expected = [np.asarray(part) for part in functions["hbm_fast"](at)]
    errors = {}
    for name, function in functions.items():
        value, gradient = (np.asarray(part) for part in function(at))
        differences = value - expected[0].sum(), gradient.ravel() - expected[1].ravel()
        scales = expected[0].sum(), np.abs(expected[1]).max()
        errors[name] = (
            0.0
            if name == "hbm_fast"
            else max(float(np.abs(d).max() / abs(s)) for d, s in zip(differences, scales, strict=True))
        )
    turns = np.array([[seconds_of(f, at) for f in functions.values()] for _ in range(n_turns)])
    seconds = dict(zip(functions, turns.T, strict=True))
    records = []
    for name, times in seconds.items():
        metrics, ratio = {}, None
        if name.startswith("hbm_fast in"):
            metrics["us over the numpy function"] = 1e6 * float(np.median(times - seconds["hbm_fast"]))
        if (name, kind) in GOALS:
            ours = seconds["hbm_fast in PyMC" if name == "PyMC" else "hbm_fast in JAX"]
            ratio, metrics["goal"] = float(np.median(times / ours)), GOALS[name, kind]
        record = Record(CASES[kind], name, float(np.median(times)), ratio, errors[name], metrics=metrics)
        print(f"{record.case}: {name:17} {1e6 * record.seconds:8.1f} us, {metrics}, ratio {ratio}", flush=True)
        records.append(record)
    return records


def in_numpyro(statistics, n_categories):
    alpha = numpyro.sample("alpha", dist.Exponential(1.0))
    beta = numpyro.sample("beta", dist.Dirichlet(np.ones(n_categories)))
    numpyro.factor("x", log_likelihood(statistics, alpha * beta))


def joined(alpha, beta):
    """The draws of alpha and of every beta side by side."""
    return np.concatenate([alpha[..., np.newaxis], beta], axis=-1)


def by_hbm(counts, n_draws):
    post = hbm.sample(counts, hbm.HierarchicalModel(counts.shape[1]), n_draws=n_draws, n_chains=2, rng=2, n_threads=1)
    return joined(post.alpha, post.beta)


def by_nutpie(counts, n_draws):
    with pm.Model():
        alpha = pm.Exponential("alpha", 1.0)
        beta = pm.Dirichlet("beta", np.ones(counts.shape[1]))
        DirichletMultinomial("x", counts.sum(axis=1), alpha * beta, observed=counts)
        trace = pm.sample(n_draws, chains=2, cores=1, nuts_sampler="nutpie", random_seed=3, progressbar=False)
    return joined(trace.posterior["alpha"].values, trace.posterior["beta"].values)


def by_numpyro(counts, n_draws):
    options = {"num_chains": 2, "chain_method": "sequential", "progress_bar": False}
    chain = numpyro.infer.MCMC(numpyro.infer.NUTS(in_numpyro), num_warmup=n_draws, num_samples=n_draws, **options)
    with enable_x64(True):
        chain.run(jax.random.key(4), hbm.SufficientStatistics(counts), counts.shape[1])
    samples = chain.get_samples(group_by_chain=True)
    return joined(np.asarray(samples["alpha"]), np.asarray(samples["beta"]))


def posteriors(n_draws, names=("PyMC, nutpie", "NumPyro"), n_categories=5, n_groups=500):
    """For each method the means of alpha and beta, effective draws, CPU seconds and z of its means against ours."""
    counts = hbm.simulate(hbm.HierarchicalModel(n_categories), 1, n_groups=n_groups, totals=20, rng=1).counts[0]
    methods = {"hbm.sample": by_hbm, "PyMC, nutpie": by_nutpie, "NumPyro": by_numpyro}
    return checking.side_by_side({name: partial(methods[name], counts, n_draws) for name in ("hbm.sample", *names)})


def main():
    parser = checking.parser(__doc__)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--draws", type=int, default=1000)
    asked = parser.parse_args()
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")  # jax reads it when it computes first
    with enable_x64(True):
        records = [record for kind in CASES for record in speed(kind, asked.turns)]
    for name, row in posteriors(asked.draws).items():
        largest = float(np.abs(row["z"]).max())
        print(f"{name:14} {row['seconds']:8.1f} CPU s, means {row['mean'].round(4)}, largest |z| {largest:.2f}")
        metrics = {"largest z": largest, "smallest effective draws": float(row["ess"].min())}
        records.append(Record("posterior of one model", name, row["seconds"], metrics=metrics))
    notes = [
        "CPU seconds of one thread; of a posterior with compilation and warm-up.",
        "Ratio: over hbm_fast in the same library. Error: the largest relative difference of the value, and of the "
        "gradient from its largest entry.",
    ]
    packages = ("numpy", "pymc", "pytensor", "nutpie", "numpyro", "jax")
    checking.write(asked.out, "PyMC, nutpie, JAX and NumPyro", records, notes, packages)


if __name__ == "__main__":
    main()
