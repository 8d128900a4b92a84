"""Past one machine, measured on two processes of this one: speed-ups, one huge dataset, killed workers, costs by stage.

    python benchmarks/run.py scale --out benchmarks/results/scale.json [--cases "Killed workers" ...]

docs/guide/clusters.md extrapolates from these numbers. Takes both cores and about four minutes.
"""

import itertools
import logging
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# one thread a process, here and in the workers: processes are compared
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "HBM_FAST_NUM_THREADS": "1"}

import dask
import dask.bag
import distributed
import numpy as np

import hbm_fast as hbm
from hbm_fast.benchmark.records import Record
from hbm_fast.integrations import dask as hbm_dask

TITLE = "Past one machine"
PACKAGES = ("dask", "distributed", "torch")
MODEL = hbm.HierarchicalModel(2)
BAGS = {"n_groups": 21, "totals": 20}
Table = dict[str, dict[str, Any]]


def seconds(run: Callable[..., Any], *arguments: Any) -> float:
    begin = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - begin


@contextmanager
def two_workers() -> Iterator[distributed.Client]:
    """A cluster of two processes."""
    settings = {"distributed.comm.timeouts.connect": "60s", "distributed.scheduler.allowed-failures": 10}
    local = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": logging.CRITICAL}
    with dask.config.set(settings), distributed.LocalCluster(**local) as cluster, distributed.Client(cluster) as client:
        yield client


def speedup(client: distributed.Client, rounds: int = 5) -> Table:
    """One worker process against two, by turns; the median of the rounds."""
    workers = sorted(client.scheduler_info()["workers"])

    rng = itertools.count()  # other draws each time: dask must not find the last answer

    def simulate(allowed: list[str]) -> None:
        settings = {**BAGS, "theta": False, "dtype": np.uint8, "rng": next(rng), "chunk": 500_000}
        blocks = hbm_dask.simulate(MODEL, 8_000_000, **settings)
        # every block is simulated whole; only the mean of its alpha is sent
        client.compute(blocks.alpha.mean(), workers=allowed).result()

    tables = [(i, counts) for i, counts in enumerate(hbm.simulate(MODEL, 1000, **BAGS, rng=2, theta=False).counts)]

    def sample(allowed: list[str]) -> None:
        outcomes = hbm_dask.sample(dask.bag.from_sequence(tables, npartitions=20), MODEL, rng=next(rng))
        means = outcomes.map(lambda outcome: (outcome.key, outcome.value.mean("log_alpha")))
        found = client.compute(means, workers=allowed).result()
        assert [key for key, _ in found] == list(range(1000))

    rows: Table = {}
    for name, run, n in (("simulate", simulate, 8_000_000), ("sample, 4 chains x 1,000 draws", sample, 1000)):
        run(workers)  # warm: imports, the first pages
        times = [(seconds(run, workers[:1]), seconds(run, workers)) for _ in range(rounds)]
        one, two = (statistics.median(column) for column in zip(*times, strict=True))
        rows[name] = {
            "datasets": n,
            "one_worker_s": one,
            "two_workers_s": two,
            "speedup": statistics.median(a / b for a, b in times),
            "datasets_per_second_of_one": n / one,
        }
    return rows


def reduction(n_blocks: int = 10, n: int = 2_000_000, k: int = 7) -> Table:
    """One dataset of 20 million groups x 7 categories, block by block: only the reduction is timed."""
    model = hbm.HierarchicalModel(k)
    total = hbm.SufficientStatistics(n_categories=k)
    wall = cpu = 0.0
    memory = []
    for block in range(n_blocks):
        settings = {"alpha": 2.0, "beta": np.full(k, 1 / k), "theta": False, "dtype": np.uint8, "n_threads": 2}
        counts = hbm.simulate(model, 1, n_groups=n, totals=20, rng=block, **settings).counts[0]
        wall -= time.perf_counter()
        cpu -= time.process_time()
        total.merge(hbm.SufficientStatistics(counts))
        cpu += time.process_time()
        wall += time.perf_counter()
        memory.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6)
    assert total.n_groups == n_blocks * n
    cells = n_blocks * n * k
    return {
        f"{n_blocks * n:,} groups x {k}": {
            "counts_per_s": cells / wall,
            "counts_per_cpu_s": cells / cpu,
            "seconds_for_1e9_groups_extrapolated": wall * 1e9 / (n_blocks * n),
            **{f"memory_mb_after_block_{i}": memory[i - 1] for i in (1, n_blocks // 2, n_blocks)},
        }
    }


def gathered(client: distributed.Client, collection: Any) -> list[Any]:
    """The blocks of a collection, each sent to the client. `compute` would join them in a worker first: one that
    fetches a block when its owner is killed can wait for it for ever (dask's own deadlock, see docs/guide/clusters.md).
    """
    return client.gather(client.compute(list(np.ravel(collection.to_delayed()))))  # type: ignore[no-any-return]


def killed_workers(kills: int) -> Table:
    """A worker is killed while blocks are simulated and datasets sampled: are the bits those of one process?

    Each kill has a cluster of its own: a worker that dies while its nanny still starts it is given up for good.
    """
    whole = hbm.simulate(MODEL, 200_000, **BAGS, rng=4, theta=False).counts
    tables = [(f"gene {i}", counts) for i, counts in enumerate(whole[:40])]
    key = [hbm_dask.dataset_key(5, name) for name, _ in tables]
    alone = [hbm.sample(c, MODEL, rng=k, n_draws=200).log_alpha for k, (_, c) in zip(key, tables, strict=True)]
    same = {"simulate": 0, "sample": 0}

    def kill(client: distributed.Client, futures: list[Any]) -> None:
        distributed.wait(futures)
        os.kill(min(client.run(os.getpid).values()), signal.SIGKILL)

    for _ in range(kills):
        with two_workers() as client:
            counts = hbm_dask.simulate(MODEL, 200_000, **BAGS, rng=4, theta=False, chunk=10_000).counts.persist()
            kill(client, distributed.futures_of(counts)[:5])
            same["simulate"] += np.array_equal(np.concatenate(gathered(client, counts)), whole)
        with two_workers() as client:
            drawn = hbm_dask.sample(dask.bag.from_sequence(tables, npartitions=20), MODEL, rng=5, n_draws=200).persist()
            kill(client, distributed.futures_of(drawn)[:2])
            pairs = zip(itertools.chain(*gathered(client, drawn)), alone, strict=True)
            same["sample"] += all(np.array_equal(outcome.value.log_alpha, one) for outcome, one in pairs)
    return {name: {"kills": kills, "same_bits": n} for name, n in same.items()}


def core_seconds(run: Callable[[], Any]) -> float:
    """CPU time of this process, which other processes on the machine hardly disturb."""
    begin = time.process_time()
    run()
    return time.process_time() - begin


def stages(client: distributed.Client) -> Table:
    """Bytes and core seconds of each stage for datasets of 21 bags; transfers between processes in wall-clock time."""
    rows: Table = {}

    def stage(name: str, n: int, spent: float, n_bytes: float) -> None:
        rows[name] = {
            "datasets_per_s": n / spent,
            "bytes_per_dataset": n_bytes / n,
            "hours_for_1e9_extrapolated": spent / n * 1e9 / 3600,
        }

    n = 400_000
    settings = {**BAGS, "rng": 1, "theta": False, "dtype": np.uint8}
    alone = {**settings, "n_threads": 1}
    stage("simulate", n, core_seconds(lambda: hbm.simulate(MODEL, n, **alone)), 0)
    tables = np.empty((n, 3, 20), np.float32)
    with_tables = {**alone, "counts": False, "statistics": tables}
    stage(
        "simulate to exceedance tables", n, core_seconds(lambda: hbm.simulate(MODEL, n, **with_tables)), tables.nbytes
    )
    with tempfile.TemporaryDirectory() as folder, dask.config.set(scheduler="synchronous"):
        blocks = hbm_dask.simulate(MODEL, n, **settings, chunk=100_000)
        spent = core_seconds(lambda: blocks.to_parquet(folder))
        stage("simulate to Parquet, a row a group", n, spent, sum(f.stat().st_size for f in Path(folder).iterdir()))
    counts = client.persist(hbm_dask.simulate(MODEL, 4 * n, **settings, chunk=4 * n).counts)
    distributed.wait(counts)
    stage("counts from a worker to the client, wall clock", 4 * n, seconds(counts.compute), counts.nbytes)
    small = hbm.simulate(MODEL, 200, **settings).counts
    spent = core_seconds(lambda: [hbm.sample(c, MODEL, rng=0, n_threads=1) for c in small])
    stage("sample, 4 chains x 1,000 draws", 200, spent, 200 * 4000 * 3 * 8)
    stage("fit", 200, core_seconds(lambda: [hbm.fit(c) for c in small]), 200 * 2 * 8)
    many = hbm.simulate(MODEL, 2000, **settings).counts
    net = hbm.amortize.load("marbles")
    net.sample(many[:100], rng=0, correct=False, n_threads=1)
    spent = core_seconds(lambda: net.sample(many, rng=0, correct=False, n_threads=1))
    stage("network, 1,000 draws, uncorrected", 2000, spent, 2000 * 1000 * 3 * 8)
    tasks = [dask.delayed(int, pure=False)(0) for _ in range(2000)]
    rows["scheduler, wall clock"] = {"milliseconds_a_task": seconds(lambda: dask.compute(*tasks)) / 2}
    return rows


def training() -> Table:
    """hbm-fast train under torchrun, one rank and two, with the same global batch."""
    rows: Table = {}
    torchrun = ["-m", "torch.distributed.run", "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    losses = []
    for batch, steps in ((256, 480), (2048, 160)):
        row: dict[str, Any] = {}
        for n in (1, 2):
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "network.safetensors"
                options = ["-m", "hbm_fast", "train", file, "--steps", steps, "--batch-size", batch, "--seed", 1]
                run = [sys.executable, *torchrun, "--nproc-per-node", n, *options]
                subprocess.run([*map(str, run)], check=True, capture_output=True)
                network = hbm.amortize.load(file)
            row[f"datasets_per_s_{n}_rank{'s' * (n - 1)}"] = batch * steps / network.training["seconds"]
            losses.append(network.state.history[-1]["loss"])
        row["speedup"] = row["datasets_per_s_2_ranks"] / row["datasets_per_s_1_rank"]
        row["loss_of_one_minus_loss_of_two"] = losses[-2] - losses[-1]
        row["bytes_a_step"] = 4 * (1 + sum(p.numel() for p in network.network.parameters()))
        rows[f"global batch {batch}"] = row
    return rows


def records(options: Any) -> Iterator[Record]:
    """Each part in turn; ``options.cases`` names parts."""

    def part(name: str, measure: Callable[..., Table], *arguments: Any) -> Iterator[Record]:
        if options.cases is None or name in options.cases:
            for label, metrics in measure(*arguments).items():
                yield Record(f"{name}: {label}", "hbm_fast", metrics=metrics)

    yield from part("One huge dataset to sufficient statistics, one core", reduction)
    with two_workers() as client:
        yield from part("Two worker processes against one", speedup, client)
        yield from part("Stages, datasets of 21 groups x 2, per core", stages, client)
    yield from part("Killed workers", killed_workers, 20)
    yield from part("Training under torchrun, gloo", training)
