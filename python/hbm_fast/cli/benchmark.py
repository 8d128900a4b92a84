"""`hbm-fast benchmark`: MCMC against a trained network, each with its error."""

import itertools
import sys
from pathlib import Path
from typing import Annotated

import typer

from hbm_fast import _files
from hbm_fast.cli import options
from hbm_fast.cli.progress import log as progress_log


def benchmark(
    out: Annotated[Path, typer.Option(help="Folder for the JSON and the figures.")] = Path("hbm-fast-benchmark"),
    quick: Annotated[bool, typer.Option("--quick", help="Up to 100 datasets, no peers: under a minute.")] = False,
    with_peers: Annotated[bool, typer.Option("--peers/--no-peers", help="numpyro, nutpie, where installed.")] = True,
    budget: Annotated[
        float, typer.Option(help="Seconds of a method on one number of datasets; the rest is extrapolated.", min=0.1)
    ] = 30.0,
    threads: Annotated[int, typer.Option(help="Threads of hbm_fast; peers run on one core.", min=1)] = 1,
    seed: Annotated[int, typer.Option(help="Seed of everything random.", min=0)] = 0,
    as_json: options.AsJson = False,
    force: options.Force = False,
    quiet: options.Quiet = False,
    log: options.Log = None,
) -> None:
    """Time exact quadrature, MCMC, the shipped networks and their peers, each with the error of its answers.

    Takes about five minutes with the peers.

    Example: hbm-fast benchmark --quick
    """
    from hbm_fast.benchmark import amortized_vs_mcmc, plots
    from hbm_fast.benchmark.methods import PEERS

    name = amortized_vs_mcmc.NAME
    target = out / f"{name}.json"
    options.check_results(target, force=force)
    options.check_log(log)
    n_points = itertools.count(1)
    with progress_log(log, "benchmark") as logged:

        def report(text: str, point: amortized_vs_mcmc.Point) -> None:
            if sys.stderr.isatty() and not quiet:
                print(text, file=sys.stderr, flush=True)
            logged(next(n_points), None, point.record())

        result = amortized_vs_mcmc.run(
            sizes=amortized_vs_mcmc.SIZES[:3] if quick else amortized_vs_mcmc.SIZES,
            with_peers=PEERS if with_peers and not quick else (),
            budget=min(budget, 4.0) if quick else budget,
            n_compared=10 if quick else 20,
            threads=threads,
            seed=seed,
            report=report,
        )
    out.mkdir(parents=True, exist_ok=True)
    _files.write_json(target, result)
    for case in result["works"]:
        for kind, figure in plots.figures(case).items():
            _files.write_figure(out / f"{name}-k{case['n_categories']}-{kind}.png", figure, dpi=120)
    if as_json:
        options.print_json(result)
    else:
        print(f"{plots.text(result)}\n{target.name} and the figures are in {out}/")
    if result["interrupted"]:
        print("hbm-fast: interrupted; what was measured was kept", file=sys.stderr)
        raise typer.Exit(130)
