"""`hbm-fast benchmark`: MCMC against a trained network, each with its error."""

from pathlib import Path
from typing import Annotated

import typer

from hbm_fast import _files
from hbm_fast._progress import progress
from hbm_fast.cli import options
from hbm_fast.cli.interruption import interrupted


def benchmark(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the JSON and the figures.")] = Path(
        "hbm-fast-benchmark"
    ),
    quick: options.Quick = False,
    with_peers: Annotated[bool, typer.Option("--peers/--no-peers", help="numpyro, nutpie, where installed.")] = True,
    budget: Annotated[
        float,
        typer.Option(
            metavar="NUMBER", help="Seconds of a method on one number of datasets; the rest is extrapolated.", min=0.1
        ),
    ] = 30.0,
    threads: Annotated[int, typer.Option(metavar="N", help="Threads of hbm_fast; peers run on one core.", min=1)] = 1,
    seed: options.Seed = 0,
    as_json: options.AsJson = False,
    force: options.Force = False,
    quiet: options.Quiet = False,
    log: options.Log = None,
) -> None:
    """Time exact quadrature, MCMC, the shipped networks and their peers, each with the error of its answers.

    Takes about five minutes with the peers; --quick takes less than one, has up to 100 datasets and no peers.

    Example: hbm-fast benchmark --quick
    """
    from hbm_fast.benchmark import amortized_vs_mcmc, plots
    from hbm_fast.benchmark.methods import PEERS

    name = amortized_vs_mcmc.NAME
    target = out / f"{name}.json"
    options.check_results(target, force=force)
    options.check_log(log)
    with progress("benchmark", 1, "cases", shown=not quiet, log=log) as update:

        def report(point: amortized_vs_mcmc.Point, done: int, total: int) -> None:
            note = f"{point.seconds:.3g} s: {point.method}, {point.datasets:,}"
            update(done, note, point.record(), total=total)

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
        raise interrupted(f"what was measured was kept, in {target}")
