"""One model in PyMC with nutpie and in NumPyro: their posteriors against that of `hbm.sample`, in Monte Carlo errors.

    python benchmarks/checks/other_libraries.py

K = 5, 500 groups of total 20, alpha ~ Exponential(1), beta ~ Dirichlet(1), concentration alpha beta. Prints for every
parameter the difference of the means, in units of the Monte Carlo standard error of the difference.
"""

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pymc as pm

import hbm_fast as hbm
from hbm_fast.integrations.jax import log_likelihood
from hbm_fast.integrations.pymc import DirichletMultinomial

K, N_GROUPS, TOTAL, DRAWS = 5, 500, 20, 1000


def in_numpyro(statistics):
    alpha = numpyro.sample("alpha", dist.Exponential(1.0))
    beta = numpyro.sample("beta", dist.Dirichlet(np.ones(K)))
    numpyro.factor("x", log_likelihood(statistics, alpha * beta))


def moments(alpha, beta):
    """Mean and Monte Carlo standard error, by batches of 50 draws, of alpha and of each beta (chains, draws, ...)."""
    columns = np.stack([alpha, *np.moveaxis(beta, -1, 0)])
    batches = columns.reshape(len(columns), -1, 50).mean(axis=-1)
    return np.stack([batches.mean(axis=1), batches.std(axis=1, ddof=1) / np.sqrt(batches.shape[1])], axis=1)


def main():
    jax.config.update("jax_enable_x64", True)
    counts = hbm.simulate(hbm.HierarchicalModel(K), 1, n_groups=N_GROUPS, totals=TOTAL, rng=1).counts[0]
    own = hbm.sample(counts, hbm.HierarchicalModel(K), rng=2)
    reference = moments(own.alpha, own.beta)
    with pm.Model():
        alpha = pm.Exponential("alpha", 1.0)
        beta = pm.Dirichlet("beta", np.ones(K))
        DirichletMultinomial("x", TOTAL, alpha * beta, observed=counts)
        trace = pm.sample(DRAWS, chains=2, cores=1, nuts_sampler="nutpie", random_seed=3, progressbar=False)
    kernel = numpyro.infer.NUTS(in_numpyro)
    chain = numpyro.infer.MCMC(
        kernel, num_warmup=DRAWS, num_samples=DRAWS, num_chains=2, chain_method="sequential", progress_bar=False
    )
    chain.run(jax.random.key(4), hbm.SufficientStatistics(counts))
    samples = chain.get_samples(group_by_chain=True)
    found = {
        "PyMC + nutpie": moments(trace.posterior["alpha"].values, trace.posterior["beta"].values),
        "NumPyro": moments(np.asarray(samples["alpha"]), np.asarray(samples["beta"])),
    }
    print(f"hbm.sample: {reference[:, 0].round(4)}")
    for name, rows in found.items():
        z = (rows[:, 0] - reference[:, 0]) / np.hypot(rows[:, 1], reference[:, 1])
        print(f"{name}: {rows[:, 0].round(4)}, differences in standard errors {z.round(2)}")
        assert np.abs(z).max() < 4.0


if __name__ == "__main__":
    main()
