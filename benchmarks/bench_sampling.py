"""Effective draws per second of hbm.sample and of its peers, one core, 4 chains x 1,000 draws.

    taskset -c 1 python benchmarks/bench_sampling.py --works i ii iii iv v --peers numpyro pymc hand uncollapsed \
        --out benchmarks/results/sampling.json

Effective draws: the smallest bulk ESS (arviz-stats) over log alpha and the first 20 beta. Warm-up is counted,
compilation is not (each peer runs once before the clock). Wall and CPU seconds are both kept: where they differ,
something else ran on the core. The answers of all are compared: z is the distance of E[log alpha] from the exact value
(i), or from ours, in Monte Carlo standard errors.
"""

import argparse
import json
import os
import platform
import time
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
import numpy as np
from arviz_stats.base import array_stats

import hbm_fast as hbm

NOTE = np.array([[20, 0]] * 10 + [[0, 20]] * 10 + [[0, 1]])
EXACT_LOG_ALPHA = -4.147418  # 2-D quadrature of the note's data
SHAPES = {"ii": (1000, 5, 50), "iii": (200, 50, 200), "iv": (200, 1000, 5000)}
Draws = tuple[np.ndarray, np.ndarray]  # log alpha (C, D), beta (C, D, K)


def data(work: str) -> np.ndarray:
    """The counts of a work; alpha = 2 and beta uniform but for the note's own bags."""
    if work in ("i", "v"):
        return NOTE
    n_groups, n_categories, total = SHAPES[work]
    model = hbm.HierarchicalModel(n_categories, alpha=2.0)
    return hbm.simulate(model, 1, n_groups=n_groups, totals=total, rng=1).counts[0]


def ours(counts: np.ndarray, method: str) -> Callable[[int], Draws]:
    def run(seed: int) -> Draws:
        post = hbm.sample(counts, method=method, rng=seed, n_threads=1)
        return post.log_alpha, post.beta

    return run


def numpyro_nuts(counts: np.ndarray, *, collapsed: bool) -> Callable[[int], Draws]:
    import jax
    import numpyro
    import numpyro.distributions as dist
    from numpyro.infer import MCMC, NUTS

    jax.config.update("jax_enable_x64", True)
    totals = counts.sum(axis=1)

    def model() -> None:
        alpha = numpyro.sample("alpha", dist.Exponential(1.0))
        beta = numpyro.sample("beta", dist.Dirichlet(np.ones(counts.shape[1])))
        with numpyro.plate("groups", len(counts)):
            if collapsed:
                numpyro.sample("x", dist.DirichletMultinomial(alpha * beta, total_count=totals), obs=counts)
            else:
                theta = numpyro.sample("theta", dist.Dirichlet(alpha * beta))
                numpyro.sample("x", dist.Multinomial(total_count=totals, probs=theta), obs=counts)

    mcmc = MCMC(
        NUTS(model), num_warmup=1000, num_samples=1000, num_chains=4, chain_method="sequential", progress_bar=False
    )

    def run(seed: int) -> Draws:
        mcmc.run(jax.random.PRNGKey(seed))
        draws = mcmc.get_samples(group_by_chain=True)
        return np.log(np.asarray(draws["alpha"])), np.asarray(draws["beta"])

    return run


def pymc_nutpie(counts: np.ndarray, *, by_hand: bool) -> Callable[[int], Draws]:
    import nutpie
    import pymc as pm
    import pytensor.tensor as pt

    with pm.Model() as model:
        alpha = pm.Exponential("alpha", 1.0)
        beta = pm.Dirichlet("beta", np.ones(counts.shape[1]))
        if by_hand:  # the exceedance table, as a user would write it
            terms = 0.0
            for k in range(counts.shape[1]):
                table = np.array([(counts[:, k] > j).sum() for j in range(counts[:, k].max())], dtype=float)
                if table.size:
                    terms = terms + pt.sum(table * pt.log(alpha * beta[k] + np.arange(table.size)))
            totals = counts.sum(axis=1)
            table = np.array([(totals > j).sum() for j in range(totals.max())], dtype=float)
            pm.Potential("likelihood", terms - pt.sum(table * pt.log(alpha + np.arange(table.size))))
        else:
            pm.DirichletMultinomial("x", n=counts.sum(axis=1), a=alpha * beta, observed=counts)
    compiled = nutpie.compile_pymc_model(model)

    def run(seed: int) -> Draws:
        trace = nutpie.sample(compiled, draws=1000, tune=1000, chains=4, cores=1, seed=seed, progress_bar=False)
        return np.log(trace.posterior["alpha"].values), trace.posterior["beta"].values

    return run


PEERS: dict[str, Callable[[np.ndarray], Callable[[int], Draws]]] = {
    "numpyro": lambda x: numpyro_nuts(x, collapsed=True),
    "uncollapsed": lambda x: numpyro_nuts(x, collapsed=False),
    "pymc": lambda x: pymc_nutpie(x, by_hand=False),
    "hand": lambda x: pymc_nutpie(x, by_hand=True),
}


def measure(run: Callable[[int], Draws], rounds: int) -> dict[str, Any]:
    run(0)
    best: dict[str, Any] = {}
    for seed in range(1, rounds + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        log_alpha, beta = run(seed)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        values = [log_alpha, *(beta[..., k] for k in range(min(20, beta.shape[-1])))]
        ess = min(float(array_stats.ess(v, chain_axis=0, draw_axis=1, method="bulk")) for v in values)
        if not best or cpu < best["cpu_s"]:
            error = array_stats.mcse(log_alpha, chain_axis=0, draw_axis=1, method="mean")
            best = {
                "wall_s": wall,
                "cpu_s": cpu,
                "ess": ess,
                "ess_per_wall_s": ess / wall,
                "ess_per_cpu_s": ess / cpu,
                "log_alpha": float(log_alpha.mean()),
                "mcse": float(error),
                "rhat": float(array_stats.rhat(log_alpha, chain_axis=0, draw_axis=1)),
            }
    return best


def batch(rounds: int) -> dict[str, Any]:
    """(v): 100 datasets of kind (i), one chain of 1,000 draws each, in one call."""
    counts = np.stack([NOTE] * 100)
    times = []
    for seed in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        hbm.sample(counts, n_chains=1, rng=seed, n_threads=1)
        times.append((time.process_time() - cpu, time.perf_counter() - wall))
    return {"cpu_s": min(times)[0], "wall_s": min(wall for _, wall in times)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--works", nargs="+", default=["i", "ii", "iii", "iv", "v"])
    parser.add_argument("--methods", nargs="+", default=["auto"], help="of ours: auto hmc gibbs mh")
    parser.add_argument("--peers", nargs="*", default=[], choices=sorted(PEERS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")

    packages = ("hbm-fast", "numpyro", "pymc", "nutpie", "arviz-stats")
    installed = {d.metadata["Name"].lower(): d.version for d in metadata.distributions()}
    results: dict[str, Any] = {
        "machine": {"cpu": platform.processor() or platform.machine(), **hbm.show_config()},
        "versions": {p: installed.get(p, "absent") for p in packages},
        "works": {},
    }
    for work in options.works:
        if work == "v":
            results["works"]["v"] = {"hbm_fast": batch(options.rounds)}
            print("v", results["works"]["v"], flush=True)
            continue
        counts = data(work)
        table = {f"hbm_fast {m}": measure(ours(counts, m), options.rounds) for m in options.methods}
        for peer in options.peers:
            if peer == "uncollapsed" and work != "i":
                continue
            table[peer] = measure(PEERS[peer](counts), 1)
        truth = EXACT_LOG_ALPHA if work == "i" else next(iter(table.values()))["log_alpha"]
        for name, row in table.items():
            row["z"] = (row["log_alpha"] - truth) / row["mcse"]
            print(
                f"{work:4}{name:18} {row['ess_per_cpu_s']:12,.0f} /CPU s {row['ess_per_wall_s']:12,.0f} /s "
                f"ESS {row['ess']:6.0f} E[log alpha] {row['log_alpha']:8.4f} "
                f"(z {row['z']:6.1f}, R-hat {row['rhat']:.3f})",
                flush=True,
            )
        results["works"][work] = table
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
