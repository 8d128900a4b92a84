"""A population of datasets beside PyMC with nutpie and NumPyro: the same posterior, and effective draws a second.

The models of the peers have the same priors, theta integrated out by their own Dirichlet-multinomial, and the
non-centred log alpha_b = mu + tau z_b that both libraries' documents advise.

    python benchmarks/checks/population_peers.py --out benchmarks/results/population_peers.json
"""

import math
from functools import partial

import checking
import numpy as np

import hbm_fast as hbm
from hbm_fast.benchmark.records import Record

NAMES = ("mu", "log_tau", "log_kappa", "m_1")


def by_hbm(counts, n_draws, seed):
    post = hbm.sample(counts, hbm.PopulationModel(counts.shape[-1]), n_draws=n_draws, n_chains=2, rng=seed, n_threads=1)
    found = post.population
    return np.stack([found.mu, np.log(found.tau), np.log(found.kappa), found.m[..., 0]], axis=-1)


def by_nutpie(counts, n_draws, seed):
    import nutpie
    import pymc as pm

    n_datasets, _, k = counts.shape
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 2.0)
        tau = pm.HalfNormal("tau", 1.0)
        kappa = pm.LogNormal("kappa", math.log(k), 1.0)
        m = pm.Dirichlet("m", np.ones(k))
        z = pm.Normal("z", shape=n_datasets)
        beta = pm.Dirichlet("beta", kappa * m, shape=(n_datasets, k))
        concentration = (pm.math.exp(mu + tau * z)[:, None] * beta)[:, None, :]
        pm.DirichletMultinomial("x", counts.sum(axis=-1), concentration, observed=counts)
    trace = nutpie.sample(
        nutpie.compile_pymc_model(model), draws=n_draws, tune=1000, chains=2, cores=1, seed=seed, progress_bar=False
    )
    found = {name: trace.posterior[name].values for name in ("mu", "tau", "kappa", "m")}
    return np.stack([found["mu"], np.log(found["tau"]), np.log(found["kappa"]), found["m"][..., 0]], axis=-1)


def by_numpyro(counts, n_draws, seed):
    import jax
    import numpyro
    from numpyro import distributions as dist

    jax.config.update("jax_enable_x64", True)
    n_datasets, _, k = counts.shape

    def model():
        mu = numpyro.sample("mu", dist.Normal(0.0, 2.0))
        tau = numpyro.sample("tau", dist.HalfNormal(1.0))
        kappa = numpyro.sample("kappa", dist.LogNormal(math.log(k), 1.0))
        m = numpyro.sample("m", dist.Dirichlet(np.ones(k)))
        with numpyro.plate("datasets", n_datasets):
            z = numpyro.sample("z", dist.Normal())
            beta = numpyro.sample("beta", dist.Dirichlet(kappa * m))
        concentration = (jax.numpy.exp(mu + tau * z)[:, None] * beta)[:, None, :]
        numpyro.sample("x", dist.DirichletMultinomial(concentration, counts.sum(axis=-1)).to_event(2), obs=counts)

    chain = numpyro.infer.MCMC(
        numpyro.infer.NUTS(model),
        num_warmup=1000,
        num_samples=n_draws,
        num_chains=2,
        chain_method="sequential",
        progress_bar=False,
    )
    chain.run(jax.random.key(seed))
    found = {name: np.asarray(value) for name, value in chain.get_samples(group_by_chain=True).items()}
    return np.stack([found["mu"], np.log(found["tau"]), np.log(found["kappa"]), found["m"][..., 0]], axis=-1)


METHODS = {"hbm.sample": by_hbm, "PyMC, nutpie": by_nutpie, "NumPyro": by_numpyro}


def compare(n_datasets, n_groups, n_categories, n_draws, methods=tuple(METHODS), seed=1):
    """For each method: CPU seconds with compilation and warm-up, effective draws, and z of its means against ours."""
    model = hbm.PopulationModel(n_categories)
    counts = hbm.simulate(model, n_datasets, n_groups=n_groups, totals=20, rng=seed, theta=False).counts.astype(int)
    numbers = {name: 10 * n_draws if name == "hbm.sample" else n_draws for name in methods}
    return checking.side_by_side({name: partial(METHODS[name], counts, n, seed) for name, n in numbers.items()})


def main():
    parser = checking.parser(__doc__)
    parser.add_argument("--datasets", type=int, default=100)
    parser.add_argument("--groups", type=int, default=20)
    parser.add_argument("--categories", type=int, default=5)
    parser.add_argument("--draws", type=int, default=1000)
    asked = parser.parse_args()
    case = f"{asked.datasets} datasets of {asked.groups} groups, K = {asked.categories}"
    records = []
    for name, row in compare(asked.datasets, asked.groups, asked.categories, asked.draws).items():
        rates = {f"{what}, effective a s": ess / row["seconds"] for what, ess in zip(NAMES, row["ess"], strict=True)}
        largest = float(np.abs(row["z"]).max())
        print(f"{name:14} {row['seconds']:8.1f} CPU s, largest |z| {largest:.2f}, {rates}", flush=True)
        records.append(Record(case, name, seconds=row["seconds"], metrics={"largest z": largest, **rates}))
    notes = ["CPU seconds with compilation and warm-up; hbm.sample draws ten times as many."]
    packages = ("numpy", "pymc", "nutpie", "numpyro", "jax")
    checking.write(asked.out, "Populations beside nutpie and NumPyro", records, notes, packages)


if __name__ == "__main__":
    main()
