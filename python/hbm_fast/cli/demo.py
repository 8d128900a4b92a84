"""`hbm-fast demo`: the marbles of Le (2020) and the rats."""

import time
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hbm_fast._progress import Update, progress
from hbm_fast.cli import options
from hbm_fast.cli.interruption import interrupted


def demo(
    quick: options.Quick = False,
    seed: options.Seed = 0,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the figures and results.json.")] = Path(
        "hbm-fast-demo"
    ),
    as_json: options.AsJson = False,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Answer the question of Le (2020) by quadrature, by MCMC and by a network trained on the spot.

    Example: hbm-fast demo --quick
    """
    options.check_results(out / "results.json", force=force)
    start = time.time()
    from hbm_fast.experiments import demo as experiment
    from hbm_fast.nn.training import note

    try:
        with ExitStack() as stack:

            @cache
            def line() -> Update:  # after the first lines of the demo
                return stack.enter_context(progress("training", 1.0, shown=not quiet))

            def show(share: float, metrics: dict[str, float]) -> None:
                line()(share, note(metrics["loss"], metrics))

            console = Console(quiet=as_json)
            record = experiment.run(out, quick=quick, seed=seed, console=console, progress=show)
    except KeyboardInterrupt:
        drawn = [file.name for file in sorted(out.glob("*.png")) if file.stat().st_mtime >= start]
        raise interrupted(f"{out} has {', '.join(drawn)} alone" if drawn else "nothing was saved") from None
    if as_json:
        options.print_json(record)
