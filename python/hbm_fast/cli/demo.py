"""`hbm-fast demo`: the marbles of Le (2020) and the rats."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hbm_fast.cli import options


def demo(
    quick: Annotated[bool, typer.Option("--quick", help="Train for seconds instead of a minute.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of everything random.", min=0)] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the figures and results.json.")] = Path("hbm-fast-demo"),
    as_json: options.AsJson = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an earlier demo in that folder.")] = False,
) -> None:
    """Answer the question of Le (2020) by quadrature, by MCMC and by a network trained on the spot.

    Example: hbm-fast demo --quick
    """
    from hbm_fast.experiments import demo as experiment

    options.check_results(out / "results.json", force=force)
    record = experiment.run(out, quick=quick, seed=seed, console=Console(quiet=as_json))
    if as_json:
        options.print_json(record)
