"""Effective draws per second of hbm.sample and of its peers, one core, 4 chains x 1,000 draws.

    taskset -c 1 python benchmarks/run.py sampling --seconds 20 --out benchmarks/results/sampling.json

`ess`: the smallest bulk ESS (arviz-stats) over log alpha and the first 20 beta. Warm-up is counted, compilation is not:
numpyro's whole run is compiled ahead as one function, pymc's model is compiled by nutpie before the clock. Wall and CPU
seconds are both kept: where they differ, something else ran on the core. `error` and `z`: of E[log alpha] against
quadrature for the 21 bags and otherwise against hbm_fast; z is in Monte Carlo standard errors.

Every peer has a process of its own, which ends when a case takes longer than --seconds, or its imports and compilation
longer than 120; the record then has a note.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
import numpy as np
from arviz_stats.base import array_stats

import hbm_fast as hbm
from hbm_fast.benchmark.methods import numpyro_model, pymc_data, pymc_statistics_model
from hbm_fast.benchmark.records import Record

TITLE = "Posterior sampling"
PACKAGES = ("numpyro", "pymc", "nutpie", "arviz-stats")
NOTES = (
    "ratio: effective draws a second of hbm_fast over those of the method.",
    "error: of E[log alpha], against quadrature for the 21 bags and otherwise against hbm_fast; z: in Monte Carlo "
    "standard errors.",
)
BAGS = hbm.datasets.load_marbles().counts
EXACT_LOG_ALPHA = -4.147418  # of the 21 bags, by two-dimensional quadrature
ONE, MANY = "the 21 bags of Le (2020), K = 2", "100 datasets of 21 bags, one chain of 1,000 draws each"
SHAPES = {
    "1,000 groups, K = 5, total 50": (1000, 5, 50),
    "200 groups, K = 50, total 200": (200, 50, 200),
    "200 groups, K = 1,000, total 5,000": (200, 1000, 5000),
}
FRESH = "100,000 ragged groups of 7 categories in a fresh process"
CASES_OF_ONE_COMPILATION = ([ONE, MANY], *([name] for name in SHAPES), [FRESH])
Draws = tuple[np.ndarray, np.ndarray]  # log alpha (C, D), beta (C, D, K)
Run = Callable[[int, int], Draws]  # seed, number of chains
COMPILE_SECONDS = 120.0


def data(case: str) -> np.ndarray:
    """The counts of a case: the 21 bags, or simulated with alpha = 2."""
    if case not in SHAPES:
        return BAGS
    n_groups, n_categories, total = SHAPES[case]
    model = hbm.HierarchicalModel(n_categories, alpha=2.0)
    return hbm.simulate(model, 1, n_groups=n_groups, totals=total, rng=1).counts[0]


def ours(counts: np.ndarray) -> Run:
    def run(seed: int, n_chains: int) -> Draws:
        post = hbm.sample(counts, n_chains=n_chains, rng=seed, n_threads=1)
        return post.log_alpha, post.beta

    return run


def numpyro_nuts(counts: np.ndarray, *, collapsed: bool) -> Run:
    import jax
    from numpyro.infer import MCMC, NUTS

    model = numpyro_model(collapsed=collapsed)

    def whole(key: Any) -> tuple[Any, Any]:
        mcmc = MCMC(NUTS(model), num_warmup=1000, num_samples=1000, progress_bar=False)
        mcmc.run(key, counts)
        draws = mcmc.get_samples()
        return draws["alpha"], draws["beta"]

    compiled = jax.jit(whole).lower(jax.random.PRNGKey(0)).compile()

    def run(seed: int, n_chains: int) -> Draws:
        chains = [compiled(key) for key in jax.random.split(jax.random.PRNGKey(seed), n_chains)]
        return np.log(np.stack([alpha for alpha, _ in chains])), np.stack([beta for _, beta in chains])

    return run


def nutpie_nuts(counts: np.ndarray, *, statistics: bool) -> Run:
    import nutpie
    import pymc as pm

    if statistics:
        exceedances = pymc_data(counts)
        model = pymc_statistics_model(counts.shape[1], len(exceedances["totals"]))
        compiled = nutpie.compile_pymc_model(model).with_data(**exceedances)
    else:
        with pm.Model() as model:
            alpha = pm.Exponential("alpha", 1.0)
            beta = pm.Dirichlet("beta", np.ones(counts.shape[1]))
            pm.DirichletMultinomial("x", n=counts.sum(axis=1), a=alpha * beta, observed=counts)
        compiled = nutpie.compile_pymc_model(model)

    def run(seed: int, n_chains: int) -> Draws:
        trace = nutpie.sample(compiled, draws=1000, tune=1000, chains=n_chains, cores=1, seed=seed, progress_bar=False)
        return np.log(trace.posterior["alpha"].values), trace.posterior["beta"].values

    return run


PEERS: dict[str, tuple[str, Callable[[np.ndarray], Run]]] = {  # the module, and what compiles
    "numpyro NUTS": ("numpyro", lambda x: numpyro_nuts(x, collapsed=True)),
    "numpyro NUTS, theta in the model": ("numpyro", lambda x: numpyro_nuts(x, collapsed=False)),
    "nutpie, DirichletMultinomial": ("nutpie", lambda x: nutpie_nuts(x, statistics=False)),
    "nutpie, sufficient statistics": ("nutpie", lambda x: nutpie_nuts(x, statistics=True)),
}


def sampled(case: str, method: str, run: Run, rounds: int) -> Record:
    """4 chains: the round of the least CPU time."""
    best: Record | None = None
    for seed in range(1, rounds + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        log_alpha, beta = run(seed, 4)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        values = [log_alpha, *(beta[..., k] for k in range(min(20, beta.shape[-1])))]
        ess = min(float(array_stats.ess(v, chain_axis=0, draw_axis=1, method="bulk")) for v in values)
        if best is None or cpu < best.metrics["cpu_s"]:
            metrics = {
                "cpu_s": cpu,
                "ess_per_wall_s": ess / wall,
                "ess_per_cpu_s": ess / cpu,
                "log_alpha": float(log_alpha.mean()),
                "mcse": float(array_stats.mcse(log_alpha, chain_axis=0, draw_axis=1, method="mean")),
                "rhat": float(array_stats.rhat(log_alpha, chain_axis=0, draw_axis=1)),
            }
            best = Record(case, method, wall, ess=ess, metrics=metrics)
    assert best is not None
    return best


def many(case: str, method: str, run: Callable[[int], Any], rounds: int, n_calls: int) -> Record:
    """100 datasets in one call or in 100."""
    times = []
    for first in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        for call in range(n_calls):
            run(first + call)
        times.append((time.process_time() - cpu, time.perf_counter() - wall))
    return Record(case, method, min(wall for _, wall in times), metrics={"cpu_s": min(times)[0]})


def child(peer: str, cases: list[str]) -> None:
    """A peer's own process: one line once it is compiled, one for each case (all of the same data)."""
    warnings.simplefilter("ignore")
    run = PEERS[peer][1](data(cases[0]))
    print("{}", flush=True)
    for case in cases:
        found = many(case, peer, lambda seed: run(seed, 1), 1, 100) if case == MANY else sampled(case, peer, run, 1)
        print(json.dumps(vars(found)), flush=True)


def run_peer(peer: str, cases: list[str], seconds: float) -> Iterator[Record]:
    """Records of a peer on cases of the same data, or a note that it did not finish."""
    command = [sys.executable, __file__, peer, *cases]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err)
        times = [time.perf_counter()]  # of the start, and of every line
        while True:
            ended = process.poll() is not None
            out.seek(0)
            lines = out.read().splitlines()
            times += [time.perf_counter()] * (len(lines) + 1 - len(times))
            limit = seconds if lines else COMPILE_SECONDS
            late = time.perf_counter() - times[-1] > limit
            if ended or late:
                break
            time.sleep(0.1)
        process.kill()
        process.wait()
        err.seek(0)
        last_line = "".join(err.read().strip().splitlines()[-1:])
    for line in lines[1:]:
        found = Record(**json.loads(line))
        yield replace(found, metrics={**found.metrics, "compile_s": times[1] - times[0]})
    for case in cases[max(0, len(lines) - 1) :]:
        yield Record(case, peer, note=f"not finished in {limit:g} s" if late else f"failed: {last_line}")


_FRESH_PROCESS = """
import numpy as np, time, sys
counts = np.load(sys.argv[1])
start = time.perf_counter(), time.process_time()
import hbm_fast as hbm
post = hbm.sample(counts, rng=0, n_threads=1)
drawn = time.perf_counter()
str(post.summary())
print(drawn - start[0], time.perf_counter() - start[0], time.process_time() - start[1])
"""


def fresh_process(method: str) -> Record:
    """From array to summary in a fresh process, imports included."""
    model = hbm.HierarchicalModel(7, alpha=2.0)
    counts = hbm.simulate(model, 1, n_groups=100_000, totals=(1, 60), rng=3).counts[0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "counts.npy"
        np.save(path, counts)
        command = [sys.executable, "-c", _FRESH_PROCESS, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    sample_s, wall_s, cpu_s = map(float, done.stdout.split())
    return Record(FRESH, method, wall_s, metrics={"import_and_sample_s": sample_s, "cpu_s": cpu_s})


def compared(found: Record, reference: Record) -> Record:
    """With its ratio and error."""
    if found.ess is None or found.case == MANY:
        return found
    metrics = dict(found.metrics)
    expected = EXACT_LOG_ALPHA if found.case == ONE else reference.metrics["log_alpha"]
    error = metrics["log_alpha"] - expected
    metrics["z"] = error / metrics["mcse"]
    ratio = reference.metrics["ess_per_wall_s"] / metrics["ess_per_wall_s"]
    return replace(found, ratio=ratio, error=error, metrics=metrics)


def records(options: Any) -> Iterator[Record]:
    """Ours, and each peer."""
    warnings.simplefilter("ignore")
    name = "hbm_fast auto"
    for cases in CASES_OF_ONE_COMPILATION:
        wanted = [case for case in cases if options.cases is None or case in options.cases]
        references = {}
        for case in wanted:
            if case == FRESH:
                references[case] = fresh_process(name)
            elif case == MANY:
                datasets = np.stack([BAGS] * 100)
                sample = lambda seed, x=datasets: hbm.sample(x, n_chains=1, rng=seed, n_threads=1)  # noqa: E731
                references[case] = many(case, name, sample, options.rounds, 1)
            else:
                references[case] = sampled(case, name, ours(data(case)), options.rounds)
        found = [*references.values()]
        for peer, (module, _) in PEERS.items():
            chosen = find_spec(module) is not None and (options.methods is None or peer in options.methods)
            if chosen and wanted and wanted != [FRESH]:
                found += run_peer(peer, wanted, options.seconds)
        for case in wanted:
            yield from (compared(record, references[case]) for record in found if record.case == case)


if __name__ == "__main__":
    child(sys.argv[1], sys.argv[2:])
