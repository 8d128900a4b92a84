"""`hbm-fast benchmark`: MCMC against a trained network, from one dataset to ten thousand, each with its accuracy."""

import json
import math
import os
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from hbm_fast import _files, show_config
from hbm_fast.benchmark.measure import Point, Referee, break_even, measure
from hbm_fast.benchmark.methods import PEERS, Way, absent_peers, ours, peers
from hbm_fast.cli import _options
from hbm_fast.models import HierarchicalModel
from hbm_fast.simulation import simulate

SIZES = (1, 10, 100, 1_000, 10_000)
N_GROUPS, TOTALS, N_DRAWS = 21, 20, 1000
NAME = "amortized_vs_mcmc"

# Compiled Stan cannot be installed everywhere: what it did where it could.
QUOTED = {
    "source": "the team's prototype on one Zen 4 core: CmdStan NUTS on hand-written sufficient statistics, 4 chains x "
    "1,000 draws, warm-up counted, compilation not",
    "effective_draws_per_second": {
        "the note's 21 bags": 26_100,
        "1,000 groups, K = 5, total 50": 22_000,
        "200 groups, K = 50, total 200": 721,
    },
    "seconds": {"100 datasets of the note's kind, one chain of 1,000 draws each": 2.7},
}


def run(
    *,
    sizes: Sequence[int] = SIZES,
    categories: Sequence[int] = (2, 5),
    with_peers: Sequence[str] = PEERS,
    budget: float = 30.0,
    n_draws: int = N_DRAWS,
    n_judged: int = 20,
    threads: int = 1,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Measure everything, and say each point as it comes.

    Parameters
    ----------
    sizes : sequence of int
        Numbers of datasets.
    categories : sequence of int
        K of each work.
    with_peers : sequence of str
        Of ``PEERS``; those that are not installed are named in the result.
    budget : float
        Seconds that one way may take on one number of datasets; what is left is extrapolated, and marked so.
    n_draws : int
        Draws of each dataset.
    n_judged : int
        The first datasets, on which answers are compared with the truth.
    threads : int
    seed : int
    say : callable
        Gets a line for each point.

    Returns
    -------
    dict
        What ``--out`` holds.
    """
    absent = absent_peers()
    works = []
    interrupted = False
    for k in categories:
        model = HierarchicalModel(k)
        counts = simulate(model, max(sizes), n_groups=N_GROUPS, totals=TOTALS, rng=seed).counts
        assert counts is not None
        referee = Referee(model, counts[:n_judged], threads)
        ways = [*ours(model, threads), *peers(model, tuple(with_peers))]
        points: list[Point] = []
        curve: list[Point] = []
        try:
            for point in _points(ways, counts, sizes, n_draws, referee, budget):
                points.append(point)
                say(f"K = {k}: {line(point)}")
            for point in _accuracy(ways, counts[:n_judged], n_draws, referee, budget):
                curve.append(point)
                say(f"K = {k}, {point.draws:,} draws each: {line(point)}")
        except KeyboardInterrupt:  # what was measured is kept
            interrupted = True
        if not points:
            break
        works.append(
            {
                "name": "the note's model" if k == 2 else f"the same with K = {k}",
                "n_categories": k,
                "n_groups": N_GROUPS,
                "totals": TOTALS,
                "reference": referee.description,
                "judged": referee.n,
                "ways": {way.name: {"note": way.note, "training_seconds": way.training_seconds} for way in ways},
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
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": machine(),
        "versions": versions(("hbm-fast", "torch", *PEERS, "pymc", "jax", "arviz-stats")),
        "settings": {"draws": n_draws, "threads": threads, "seed": seed, "budget_seconds": budget},
        "interrupted": interrupted,
        "absent_peers": [peer for peer in with_peers if peer in absent],
        "peers_left_out": [peer for peer in PEERS if peer not in with_peers],
        "works": works,
        "quoted": QUOTED,
    }


def _points(
    ways: Sequence[Way], counts: Any, sizes: Sequence[int], n_draws: int, referee: Referee, budget: float
) -> Iterator[Point]:
    for way in ways:
        before: Point | None = None
        for size in sizes:
            if before is not None and before.extrapolated:
                # a budget that was too short for fewer datasets will not do for more
                before = _more(before, size)
            else:
                before = measure(way, counts[:size], n_draws, referee, budget)
            yield before


def _more(point: Point, size: int) -> Point:
    facts = point.record()
    facts["seconds"] *= size / point.datasets
    return Point(**{**facts, "datasets": size, "extrapolated": True})


def _accuracy(ways: Sequence[Way], counts: Any, n_draws: int, referee: Referee, budget: float) -> Iterator[Point]:
    """The judged datasets with fewer and with more draws: what more time buys."""
    for way in ways:
        if way.per_call == 1:
            continue  # a peer's time is warm-up: its points are those above
        for n in (n_draws // 10, n_draws, 10 * n_draws):
            yield measure(way, counts, n, referee, budget)


def _break_even(points: Sequence[Point]) -> dict[str, dict[str, float | None]]:
    """For each network and each other way: datasets from which on training has paid, None for never."""
    last = {point.way: point for point in points}  # sizes ascend
    each = {name: point.seconds / point.datasets for name, point in last.items()}
    result: dict[str, dict[str, float | None]] = {}
    for name, point in last.items():
        if point.training_seconds:
            for other in (o for o, p in last.items() if not p.training_seconds):
                n = break_even(point.training_seconds, each[name], each[other])
                result.setdefault(name, {})[other] = n if math.isfinite(n) else None
    return result


def line(point: Point) -> str:
    """One point in words."""
    about = "about " if point.extrapolated else ""
    rest = f" (from {point.measured})" if point.extrapolated else ""
    return (
        f"{point.way}: {point.datasets:,} datasets in {about}{point.seconds:.4g} s{rest}, "
        f"{point.effective_per_second:,.0f} effective draws/s, KS(log alpha) {point.ks_log_alpha:.3f}"
    )


def machine() -> dict[str, Any]:
    """The processor, as its maker calls it, and the build."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            row.partition(":")[2].strip() for row in cpuinfo.read_text().splitlines() if row.startswith("model name")
        ]
        name = names[0] if names else name
    return {"cpu": name, "cpus": os.cpu_count(), "system": platform.platform(), **show_config()}


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Of what took part."""
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "absent"
    return found


def benchmark(
    out: Annotated[Path, typer.Option(help="Folder for the JSON and the figures.")] = Path("hbm-fast-benchmark"),
    quick: Annotated[bool, typer.Option("--quick", help="Up to 100 datasets, no peers: under a minute.")] = False,
    with_peers: Annotated[
        bool, typer.Option("--peers/--no-peers", help="Run numpyro and nutpie too, where they are installed.")
    ] = True,
    budget: Annotated[
        float, typer.Option(help="Seconds a way may take on one number of datasets; the rest is extrapolated.", min=0.1)
    ] = 30.0,
    threads: Annotated[int, typer.Option(help="Threads of our ways; peers run on one core.", min=1)] = 1,
    seed: Annotated[int, typer.Option(help="Seed of everything random.", min=0)] = 0,
    as_json: _options.AsJson = False,
    force: _options.Force = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Time exact quadrature, MCMC, the shipped networks and their peers, and say how right each answer is.

    Takes about five minutes with the peers.

    Example: hbm-fast benchmark --quick
    """
    target = out / f"{NAME}.json"
    if target.exists() and not force:
        raise ValueError(f"{target} exists: pass --force to overwrite it, or --out for another folder")
    from hbm_fast.benchmark import plots as benchmark_plots

    chosen: tuple[str, ...] = PEERS if with_peers and not quick else ()
    show = not quiet and sys.stderr.isatty()
    result = run(
        sizes=SIZES[:3] if quick else SIZES,
        with_peers=chosen,
        budget=min(budget, 4.0) if quick else budget,
        n_judged=10 if quick else 20,
        threads=threads,
        seed=seed,
        say=(lambda text: print(text, file=sys.stderr, flush=True)) if show else (lambda _: None),
    )
    out.mkdir(parents=True, exist_ok=True)
    _files.write_json(target, result)
    for work in result["works"]:
        for name, figure in benchmark_plots.of_work(work).items():
            _files.write_figure(out / f"{NAME}-k{work['n_categories']}-{name}.png", figure, dpi=120)
    if as_json:
        print(json.dumps(_files.finite(result), ensure_ascii=False))
    else:
        print(benchmark_plots.text(result))
        print(f"{target.name} and the figures are in {out}/")
    if result["interrupted"]:
        print("hbm-fast: interrupted; what was measured was kept", file=sys.stderr)
        raise typer.Exit(130)
