"""Time methods side by side: each round runs every method of a case, so that a change of clock speed cancels.

A method's ratio is the median over rounds of its time over that of the reference method in the same round. A method
runs twice in a round and the second run is timed: its data are in the caches again.
"""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, TypeVar

from hbm_fast.benchmark.records import Record

Run = Callable[[], Any]
T = TypeVar("T")
_SHORTEST = 1e-3  # seconds: shorter runs repeat until they take this long together


@dataclass(frozen=True)
class Method:
    """One implementation of what a case computes."""

    name: str
    prepare: Callable[..., Run]  # ``prepare(*data)`` compiles and allocates, and returns the call that is timed
    requires: tuple[str, ...] = ()  # modules without which the method is left out
    share: int = 1  # a slow method runs one ``share``-th of the case

    @property
    def installed(self) -> bool:
        """Whether every required module is installed."""
        return all(find_spec(module) is not None for module in self.requires)


@dataclass(frozen=True)
class Case:
    """What is computed, on how much data, and what the answer is compared with.

    ``check(answer, n)`` gives metrics of an answer for n units, "error" and "ess" among them; it raises AssertionError
    for a wrong one.
    """

    name: str
    size: int  # number of units: rows, datasets
    unit: str  # name of one unit
    data: Callable[[int], Sequence[Any]]  # ``data(n)``: the arguments of ``Method.prepare`` for the first n units
    check: Callable[[Any, int], Mapping[str, Any]]
    methods: Sequence[Method]  # the first one is the reference of the ratios
    rounds: int | None = None  # of this case, instead of those of the suite
    warm: bool = True  # whether a method runs once untimed before each timed run

    def prepare(self, method: Method) -> tuple[Run, int]:
        """The call that is timed, and how many units it computes."""
        n = max(1, self.size // method.share)
        return method.prepare(*self.data(n)), n


def measure(case: Case, methods: Sequence[str] | None = None, rounds: int = 21) -> list[Record]:
    """One record for each method that is installed and wanted (all by default)."""
    ready = {m.name: case.prepare(m) for m in case.methods if m.installed and (methods is None or m.name in methods)}
    if not ready:
        return []
    times: dict[str, list[float]] = {name: [] for name in ready}
    repeats = dict.fromkeys(ready, 1)
    if case.warm:
        for name, (run, _) in ready.items():
            run()  # compiles
            repeats[name] = math.ceil(_SHORTEST / seconds(run)[0])
    answers = {}
    for _ in range(case.rounds or rounds):
        for name, (run, n) in ready.items():
            if case.warm:
                run()
            spent, answers[name] = seconds(run, repeats[name])
            times[name].append(spent / n)
    reference = times[next(iter(ready))]
    return [_record(case, name, n, answers[name], times[name], reference) for name, (_, n) in ready.items()]


def seconds(run: Callable[[], T], repeats: int = 1) -> tuple[float, T]:
    """Mean seconds of one of several runs, and the last answer."""
    start = time.perf_counter()
    for _ in range(repeats):
        answer = run()
    return (time.perf_counter() - start) / repeats, answer


def _record(case: Case, method: str, n: int, answer: Any, times: Sequence[float], reference: Sequence[float]) -> Record:
    """Of the answer for n units, and of the seconds a unit of this and of the reference method in every round."""
    metrics = dict(case.check(answer, n))
    error, ess = metrics.pop("error", None), metrics.pop("ess", None)
    median = statistics.median(times)
    ratios = [t / r for t, r in zip(times, reference, strict=True)]
    metrics = {f"{case.unit}s": n, f"ns_a_{case.unit}": median * 1e9, **metrics}
    if len(ratios) > 1:
        metrics["lower_quartile"], _, metrics["upper_quartile"] = statistics.quantiles(ratios, n=4)
    return Record(case.name, method, median * n, statistics.median(ratios), error, ess, metrics=metrics)


def break_even(training: float, network: float, other: float) -> float:
    """Number of datasets beyond which training and then the network takes less time in all than the other method."""
    return training / (other - network) if other > network else math.inf
