"""MCMC against a trained network, from one dataset to ten thousand, each with its error: `hbm-fast benchmark`.

The saved file keeps its keys: "works" are the cases, "ways" the methods, "judged" the datasets that are compared.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from hbm_fast._typing import Counts
from hbm_fast.benchmark.measure import break_even, seconds
from hbm_fast.benchmark.methods import PEERS, Draws, InferenceMethod, absent_peers, ours, peers
from hbm_fast.benchmark.records import machine, now, versions
from hbm_fast.benchmark.reference import ReferencePosterior, effective_draws
from hbm_fast.models import HierarchicalModel
from hbm_fast.simulation import simulate

SIZES = (1, 10, 100, 1_000, 10_000)
N_GROUPS, TOTALS, N_DRAWS = 21, 20, 1000
NAME = "amortized_vs_mcmc"
_ACCURACY = (0.1, 1, 10)  # of n_draws
_REPEATS_BELOW = 0.5  # seconds: shorter runs are made three times, and the fastest counts

# Compiled Stan cannot be installed everywhere: what it did where it could.
QUOTED = {
    "source": "the team's prototype on one Zen 4 core: CmdStan NUTS on hand-written sufficient statistics, 4 chains x "
    "1,000 draws, warm-up counted, compilation not",
    "effective_draws_per_second": {
        "the 21 bags of Le (2020)": 26_100,
        "1,000 groups, K = 5, total 50": 22_000,
        "200 groups, K = 50, total 200": 721,
    },
    "seconds": {"100 datasets like the 21 bags, one chain of 1,000 draws each": 2.7},
}


@dataclass(frozen=True)
class Point:
    """One method on so many datasets. ``seconds`` are those of all ``datasets``, whether or not all were run."""

    method: str
    datasets: int
    measured: int
    extrapolated: bool  # datasets > measured: the seconds are those of the measured ones, scaled up
    draws: int
    seconds: float
    training_seconds: float
    effective_per_second: float
    effective_share: float
    ks_log_alpha: float
    ks_beta: float
    error_log_alpha: float  # |E[log alpha] - reference|, in posterior standard deviations

    def record(self) -> dict[str, Any]:
        """For JSON."""
        fields = asdict(self)
        return {"way": fields.pop("method"), **fields}

    def extrapolate(self, datasets: int) -> "Point":
        """The same speed for more datasets."""
        seconds = self.seconds * datasets / self.datasets
        return replace(self, datasets=datasets, seconds=seconds, extrapolated=True)


def run(
    *,
    sizes: Sequence[int] = SIZES,  # numbers of datasets
    categories: Sequence[int] = (2, 5),  # K of each case
    with_peers: Sequence[str] = PEERS,  # those that are not installed are named in the result
    budget: float = 30.0,  # seconds of a method on one number of datasets; the rest is extrapolated, and marked
    n_draws: int = N_DRAWS,  # of each dataset
    n_compared: int = 20,  # the first datasets, on which answers are compared with the reference
    threads: int = 1,
    seed: int = 0,
    report: Callable[[Point, int, int], object] = lambda point, done, total: None,  # for each point, of how many
) -> dict[str, Any]:
    """Measure everything: what `hbm-fast benchmark --out` saves."""
    absent = absent_peers()
    cases = []
    interrupted = False
    done = 0  # points of the cases before
    for case, k in enumerate(categories):
        model = HierarchicalModel(k)
        counts = simulate(model, max(sizes), n_groups=N_GROUPS, totals=TOTALS, rng=seed).counts
        assert counts is not None
        reference = ReferencePosterior(model, counts[:n_compared], threads)
        methods = [*ours(model, threads), *peers(model, tuple(with_peers))]
        points: list[Point] = []
        curve: list[Point] = []
        n = len(sizes) * len(methods) + len(_ACCURACY) * sum(method.per_call > 1 for method in methods)
        try:
            for point in _points(methods, counts, sizes, n_draws, reference, budget):
                points.append(point)
                report(point, done + len(points), done + n * (len(categories) - case))
            for point in _accuracy(methods, counts[:n_compared], n_draws, reference, budget):
                curve.append(point)
                report(point, done + len(points) + len(curve), done + n * (len(categories) - case))
        except KeyboardInterrupt:  # what was measured is kept
            interrupted = True
        done += n
        if not points:
            break
        cases.append(
            {
                "name": "the model of Le (2020)" if k == 2 else f"the same with K = {k}",
                "n_categories": k,
                "n_groups": N_GROUPS,
                "totals": TOTALS,
                "reference": reference.description,
                "judged": reference.n,
                "ways": {m.name: {"note": m.note, "training_seconds": m.training_seconds} for m in methods},
                "points": [point.record() for point in points],
                "accuracy_against_time": [point.record() for point in curve],
                "break_even": _break_even(points),
            }
        )
        if interrupted:
            break
    return {
        "kind": NAME,
        "title": "MCMC against a trained network",
        "date": now(),
        "machine": machine(),
        "versions": versions(("hbm-fast", "torch", *PEERS, "pymc", "jax", "arviz-stats")),
        "settings": {"draws": n_draws, "threads": threads, "seed": seed, "budget_seconds": budget},
        "interrupted": interrupted,
        "absent_peers": [peer for peer in with_peers if peer in absent],
        "peers_left_out": [peer for peer in PEERS if peer not in with_peers],
        "works": cases,
        "quoted": QUOTED,
    }


def _points(
    methods: Sequence[InferenceMethod],
    counts: Any,
    sizes: Sequence[int],
    n_draws: int,
    reference: ReferencePosterior,
    budget: float,
) -> Iterator[Point]:
    for method in methods:
        before: Point | None = None
        for size in sizes:
            if before is not None and before.extrapolated:
                # a budget that was too short for fewer datasets will not do for more
                before = before.extrapolate(size)
            else:
                before = measure(method, counts[:size], n_draws, reference, budget)
            yield before


def _accuracy(
    methods: Sequence[InferenceMethod], counts: Any, n_draws: int, reference: ReferencePosterior, budget: float
) -> Iterator[Point]:
    """The first datasets with fewer and with more draws."""
    for method in methods:
        if method.per_call == 1:
            continue  # a peer's time is warm-up: its points are those above
        for factor in _ACCURACY:
            yield measure(method, counts, int(factor * n_draws), reference, budget)


def _break_even(points: Sequence[Point]) -> dict[str, dict[str, float | None]]:
    """For each network and each other method: the number of datasets at which training has paid, None for never."""
    last = {point.method: point for point in points}  # sizes ascend
    each = {name: point.seconds / point.datasets for name, point in last.items()}
    result: dict[str, dict[str, float | None]] = {}
    for name, point in last.items():
        if point.training_seconds:
            for other in (o for o, p in last.items() if not p.training_seconds):
                n = break_even(point.training_seconds, each[name], each[other])
                result.setdefault(name, {})[other] = n if math.isfinite(n) else None
    return result


def measure(
    method: InferenceMethod, counts: Counts, n_draws: int, reference: ReferencePosterior, budget: float
) -> Point:
    """Run one method on the datasets until all are done or the budget of seconds is spent."""
    method.infer(counts[: method.per_call], n_draws, 0)  # once untimed: imports and compilation are not counted
    spent, done, kept = _run(method, counts, n_draws, reference.n, budget)
    if spent < _REPEATS_BELOW:
        spent = min(spent, *(_run(method, counts, n_draws, 0, budget)[0] for _ in range(2)))
    draws = Draws.joined([method.draws(found) for found in kept])
    effective = effective_draws(draws)
    total = spent * len(counts) / done
    return Point(
        method=method.name,
        datasets=len(counts),
        measured=done,
        extrapolated=done < len(counts),
        draws=n_draws,
        seconds=total,
        training_seconds=method.training_seconds,
        effective_per_second=effective * len(counts) / total,
        effective_share=effective / n_draws,
        **reference.compare(draws),
    )


def _run(
    method: InferenceMethod, counts: Counts, n_draws: int, keep: int, budget: float
) -> tuple[float, int, list[Any]]:
    """Seconds, datasets done, and the results for the first ``keep`` datasets."""
    kept: list[Any] = []
    done, total = 0, 0.0
    while done < len(counts):
        size = min(method.per_call, len(counts) - done)
        part = counts[done : done + size]
        spent, found = seconds(partial(method.infer, part, n_draws, done))
        total += spent
        if done < keep:
            kept.append(found)
        done += size
        if total * (done + size) / done > budget:
            break
    return total, done, kept
