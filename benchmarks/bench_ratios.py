"""How many times faster, from interleaved rounds: ``taskset -c 0 python benchmarks/bench_ratios.py``.

pytest-benchmark times one way after the other, so that a machine that changes its speed between two of them changes
their ratio. Here each round runs every way of a work, and the ratio is the median over rounds of a way's time over ours
in the same round. A way runs twice in a round and the second is timed: its data are in the caches again. The works and
the ways are those of bench_likelihood.py and bench_simulate.py, whose tests compare the answers. Ways of two threads
need two free cores: run those without taskset (``--two-threads``).
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import bench_likelihood
import bench_simulate
from hbm_fast.cli.benchmark import machine

Ways = dict[str, tuple[Callable[[], Any], int]]  # name: (run, units of work in a run)
TWO = "hbm_fast, two threads"


def is_asked(way: str, two_threads: bool) -> bool:
    """Two threads are compared with one of ours, and peers with that one."""
    return way == "hbm_fast" or (way == TWO if two_threads else way != TWO)


def likelihood(work: str, two_threads: bool) -> Ways:
    """The ways of bench_likelihood.py, in rows."""
    x, a, _, _ = bench_likelihood._work(work)
    made: Ways = {}
    for name, (make, share) in bench_likelihood.PEERS.items():
        if work in bench_likelihood.ONLY.get(name, [work]) and is_asked(name, two_threads):
            n = len(x) // share
            made[name] = make(x[:n], a if a.ndim == 1 else a[:n]), n
    return made


def many_concentrations(two_threads: bool) -> Ways:
    """The ways of bench_likelihood.py to evaluate 1,000 concentrations."""
    x, concentration = bench_likelihood.many_concentrations()
    made: Ways = {}
    for name, (make, n) in bench_likelihood.MANY.items():
        if is_asked(name, two_threads):
            made[name] = make(x, concentration[:n]), n
    return made


def simulate(work: str, two_threads: bool) -> Ways:
    """The ways of bench_simulate.py, in datasets."""
    b, n, k, total = bench_simulate.WORKS[work]
    made: Ways = {}
    for name, (function, shares) in bench_simulate.PEERS.items():
        if is_asked(name, two_threads):
            size = max(1, b // shares.get(work, 1))
            made[name] = partial(function, size, n, k, total), size
    return made


WORKS: dict[str, tuple[str, Callable[[bool], Ways]]] = {
    **{f"log_likelihood {work}": ("row", partial(likelihood, work)) for work in ("A", "B", "C", "C2")},
    "log_likelihood D": ("concentration", many_concentrations),
    **{f"simulate {work}": ("dataset", partial(simulate, work)) for work in bench_simulate.WORKS},
}


def measure(ways: Ways, unit: str, rounds: int) -> dict[str, dict[str, float]]:
    """Each way's time a unit, and over ours: median, lower and upper quartile over the rounds."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for run, _ in ways.values():
        run()  # compiles
    for _ in range(rounds):
        for name, (run, n) in ways.items():
            run()
            start = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - start) / n)
    found = {}
    for name, taken in times.items():
        over_ours = [t / ours for t, ours in zip(taken, times["hbm_fast"], strict=True)]
        low, middle, high = statistics.quantiles(over_ours, n=4)
        found[name] = {
            f"ns_a_{unit}": statistics.median(taken) * 1e9,
            "over_ours": middle,
            "lower_quartile": low,
            "upper_quartile": high,
        }
    return found


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--works", nargs="+", choices=list(WORKS), default=list(WORKS))
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--two-threads", action="store_true", help="only ours, on one thread and on two")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    saved: dict[str, Any] = {"date": time.strftime("%Y-%m-%d %H:%M"), "machine": machine(), "versions": {}}
    for name in ("numba", "scipy", "torch", "jax", "pymc", "numpyro"):
        saved["versions"][name] = version(name)
    for work in options.works:
        unit, make = WORKS[work]
        ways = make(options.two_threads)
        if len(ways) == 1:
            continue
        saved[work + (", two threads" if options.two_threads else "")] = found = measure(ways, unit, options.rounds)
        for way, figures in found.items():
            print(f"{work:20s} {way:24s}", "  ".join(f"{k} {v:.4g}" for k, v in figures.items()), flush=True)
    if options.out is not None:
        options.out.write_text(json.dumps(saved, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
