"""Effective draws per second of hbm.sample and of its peers, one core, 4 chains x 1,000 draws.

    taskset -c 1 python benchmarks/bench_sampling.py --peers numpyro uncollapsed pymc hand --quick \\
        --out benchmarks/results/sampling.json

Effective draws: the smallest bulk ESS (arviz-stats) over log alpha and the first 20 beta. Warm-up is counted,
compilation is not: numpyro's whole run is compiled ahead as one function, pymc's model is compiled by nutpie before the
clock. Wall and CPU seconds are both kept: where they differ, something else ran on the core. The answers of all are
compared: z is the distance of E[log alpha] from the exact value (i), or from ours, in Monte Carlo standard errors.

Every peer has a process of its own, which ends when a work takes longer than --budget seconds, or its imports and
compilation longer than 120; the result then says so. --quick gives a work 20 s, and leaves (iv) to ours alone.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
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
from hbm_fast.cli.benchmark import machine

NOTE = hbm.datasets.load_marbles().counts
EXACT_LOG_ALPHA = -4.147418  # 2-D quadrature of the note's data
SHAPES = {"ii": (1000, 5, 50), "iii": (200, 50, 200), "iv": (200, 1000, 5000)}
Draws = tuple[np.ndarray, np.ndarray]  # log alpha (C, D), beta (C, D, K)
Run = Callable[[int, int], Draws]  # seed, number of chains
COMPILE_BUDGET = 120.0


def data(work: str) -> np.ndarray:
    """The counts of a work; alpha = 2 and beta uniform but for the note's own bags."""
    if work in ("i", "v"):
        return NOTE
    n_groups, n_categories, total = SHAPES[work]
    model = hbm.HierarchicalModel(n_categories, alpha=2.0)
    return hbm.simulate(model, 1, n_groups=n_groups, totals=total, rng=1).counts[0]


def ours(counts: np.ndarray, method: str) -> Run:
    def run(seed: int, n_chains: int) -> Draws:
        post = hbm.sample(counts, method=method, n_chains=n_chains, rng=seed, n_threads=1)
        return post.log_alpha, post.beta

    return run


def numpyro_nuts(counts: np.ndarray, *, collapsed: bool) -> Run:
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

    def whole(key: Any) -> tuple[Any, Any]:
        mcmc = MCMC(NUTS(model), num_warmup=1000, num_samples=1000, progress_bar=False)
        mcmc.run(key)
        draws = mcmc.get_samples()
        return draws["alpha"], draws["beta"]

    compiled = jax.jit(whole).lower(jax.random.PRNGKey(0)).compile()

    def run(seed: int, n_chains: int) -> Draws:
        chains = [compiled(key) for key in jax.random.split(jax.random.PRNGKey(seed), n_chains)]
        return np.log(np.stack([alpha for alpha, _ in chains])), np.stack([beta for _, beta in chains])

    return run


def pymc_nutpie(counts: np.ndarray, *, by_hand: bool) -> Run:
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

    def run(seed: int, n_chains: int) -> Draws:
        trace = nutpie.sample(compiled, draws=1000, tune=1000, chains=n_chains, cores=1, seed=seed, progress_bar=False)
        return np.log(trace.posterior["alpha"].values), trace.posterior["beta"].values

    return run


PEERS: dict[str, Callable[[np.ndarray], Run]] = {
    "numpyro": lambda x: numpyro_nuts(x, collapsed=True),
    "uncollapsed": lambda x: numpyro_nuts(x, collapsed=False),
    "pymc": lambda x: pymc_nutpie(x, by_hand=False),
    "hand": lambda x: pymc_nutpie(x, by_hand=True),
}


def measure(run: Run, rounds: int) -> dict[str, Any]:
    """The best of several rounds."""
    best: dict[str, Any] = {}
    for seed in range(1, rounds + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        log_alpha, beta = run(seed, 4)
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


def many(run: Callable[[int], Any], rounds: int, n_calls: int) -> dict[str, Any]:
    """(v): 100 datasets of kind (i), one chain of 1,000 draws each, in one call or in 100."""
    times = []
    for first in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        for call in range(n_calls):
            run(first + call)
        times.append((time.process_time() - cpu, time.perf_counter() - wall))
    return {"cpu_s": min(times)[0], "wall_s": min(wall for _, wall in times)}


def child(peer: str, works: list[str]) -> None:
    """A peer's own process: one line once it is compiled, one for each work (all of the same data)."""
    run = PEERS[peer](data(works[0]))
    print("{}", flush=True)
    for work in works:
        row = many(lambda seed: run(seed, 1), 1, 100) if work == "v" else measure(run, 1)
        print(json.dumps(row), flush=True)


def of_peer(peer: str, works: list[str], budget: float) -> dict[str, dict[str, Any]]:
    """Figures of a peer on works of the same data, or that it did not finish."""
    command = [sys.executable, __file__, "--child", peer, *works]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err)
        times = [time.perf_counter()]  # of the start, and of every line
        while True:
            ended = process.poll() is not None
            out.seek(0)
            lines = out.read().splitlines()
            times += [time.perf_counter()] * (len(lines) + 1 - len(times))
            late = time.perf_counter() - times[-1] > (budget if lines else COMPILE_BUDGET)
            if ended or late:
                break
            time.sleep(0.1)
        process.kill()
        process.wait()
        err.seek(0)
        last_words = err.read().strip().splitlines()[-1:]
    compile_s = times[1] - times[0] if lines else None
    rows = {work: {**json.loads(line), "compile_s": compile_s} for work, line in zip(works, lines[1:], strict=False)}
    for work in works[len(rows) :]:
        rows[work] = {"not_finished_in_s": budget if lines else COMPILE_BUDGET} if late else {"failed": last_words}
    return rows


_FRESH = """
import numpy as np, time, sys
counts = np.load(sys.argv[1])
start = time.perf_counter(), time.process_time()
import hbm_fast as hbm
post = hbm.sample(counts, rng=0, n_threads=1)
drawn = time.perf_counter()
str(post.summary())
print(drawn - start[0], time.perf_counter() - start[0], time.process_time() - start[1])
"""


def fresh_process() -> dict[str, Any]:
    """100,000 ragged groups of 7 categories: from array to summary in a fresh process, imports included."""
    model = hbm.HierarchicalModel(7, alpha=2.0)
    counts = hbm.simulate(model, 1, n_groups=100_000, totals=(1, 60), rng=3).counts[0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "counts.npy"
        np.save(path, counts)
        done = subprocess.run([sys.executable, "-c", _FRESH, str(path)], capture_output=True, text=True, check=True)
    sample_s, wall_s, cpu_s = map(float, done.stdout.split())
    return {"import_and_sample_s": sample_s, "wall_s": wall_s, "cpu_s": cpu_s}


def show(work: str, name: str, row: dict[str, Any]) -> None:
    if "ess_per_cpu_s" not in row:
        figures = ", ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())
        print(f"{work:6}{name:18} {figures}", flush=True)
        return
    print(
        f"{work:6}{name:18} {row['ess_per_cpu_s']:12,.0f} /CPU s {row['ess_per_wall_s']:12,.0f} /s "
        f"ESS {row['ess']:6.0f} E[log alpha] {row['log_alpha']:8.4f} (z {row['z']:6.1f}, R-hat {row['rhat']:.3f})",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--works", nargs="+", default=["i", "ii", "iii", "iv", "v", "fresh"])
    parser.add_argument("--methods", nargs="+", default=["auto"], help="of ours: auto hmc gibbs mh")
    parser.add_argument("--peers", nargs="*", default=[], choices=sorted(PEERS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--budget", type=float, default=600.0, help="seconds of each peer on each work")
    parser.add_argument("--quick", action="store_true", help="about four minutes: 20 s a work, no peer on (iv)")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.child:
        child(options.child[0], options.child[1:])
        return
    budget = min(options.budget, 20.0) if options.quick else options.budget

    packages = ("hbm-fast", "numpyro", "pymc", "nutpie", "arviz-stats")
    installed = {d.metadata["Name"].lower(): d.version for d in metadata.distributions()}
    results: dict[str, Any] = {
        "machine": machine(),
        "versions": {p: installed.get(p, "absent") for p in packages},
        "works": {},
    }
    of_peers: dict[str, dict[str, dict[str, Any]]] = {work: {} for work in options.works}
    for works in (["i", "v"], ["ii"], ["iii"], ["iv"]):
        asked = [work for work in works if work in options.works and not (options.quick and work == "iv")]
        for peer in options.peers if asked else []:
            if peer != "uncollapsed":
                rows = of_peer(peer, asked, budget)
            elif "i" in asked:
                rows = of_peer(peer, ["i"], budget)
            else:
                continue
            for work, row in rows.items():
                of_peers[work][peer] = row
    for work in options.works:
        table: dict[str, dict[str, Any]] = {}
        if work == "fresh":
            table["hbm_fast"] = fresh_process()
        elif work == "v":
            datasets = np.stack([NOTE] * 100)
            table["hbm_fast"] = many(
                lambda seed, x=datasets: hbm.sample(x, n_chains=1, rng=seed, n_threads=1), options.rounds, 1
            )
        else:
            table = {f"hbm_fast {m}": measure(ours(data(work), m), options.rounds) for m in options.methods}
        table |= of_peers[work]
        truth = EXACT_LOG_ALPHA if work == "i" else next(iter(table.values())).get("log_alpha")
        for name, row in table.items():
            if "mcse" in row:
                row["z"] = (row["log_alpha"] - truth) / row["mcse"]
                row["error"] = row["log_alpha"] - truth
            show(work, name, row)
        results["works"][work] = table
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
