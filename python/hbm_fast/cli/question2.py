"""`hbm-fast question2`: the second question of Le (2020), one factor of the training at a time."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hbm_fast._progress import progress
from hbm_fast.cli import options
from hbm_fast.cli.interruption import command_line, interrupted


def question2(
    quick: options.Quick = False,
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", help="Steps of the default's training; by default 1000, with --quick 300.", min=1),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(metavar="N", help="Seeds of two colours; by default 3, with --quick 1.", min=1)
    ] = None,
    colours: Annotated[bool, typer.Option(help="Also three and five colours, and dim z below K (one seed).")] = True,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the table and the figures.")] = Path(
        "hbm-fast-question2"
    ),
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="At most so many trainings now; --resume goes on.", min=1)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in that folder.")] = False,
    force: options.Force = False,
    quiet: options.Quiet = False,
    log: options.Log = None,
) -> None:
    """Can "bags of extreme colours" be learned as an embedding? One factor at a time, and a control that must fail.

    A run of about 15 minutes on one core; --quick takes two. By steps, so that it repeats.

    Example: hbm-fast question2 --quick
    """
    options.check_log(log)
    results = out / "results.json"
    options.check_folder(out, "--out")
    if results.exists() and not (force or resume):
        raise ValueError(f"{results} exists: pass --resume to go on, --force to overwrite, --out for another folder")
    from hbm_fast.experiments import question_two

    plan = question_two.plan(quick=quick, n_seeds=seeds or (1 if quick else 3), colours=colours)
    n_done = n = 0

    def report(done: float, total: int, metrics: dict[str, float]) -> None:
        nonlocal n_done, n
        n_done, n = int(done), total
        figure = "gap" if "gap" in metrics else "loss"
        update(done, f"{figure} {metrics[figure]:.4f}", metrics, total=total)

    try:
        with progress("question2", len(plan), "trainings", shown=not quiet, log=log) as update:
            question_two.run_all(
                out,
                plan,
                steps=steps or (question_two.QUICK_STEPS if quick else question_two.STEPS),
                quick=quick,
                resume=resume,
                limit=limit,
                console=Console(),
                report=report,
            )
    except KeyboardInterrupt:
        saved = f"{n_done} of {n} trainings of this run are in {results}"
        again = command_line("--resume", without=("--resume", "--force")) if results.exists() else None
        raise interrupted(saved if n_done else "no training of this run was finished", again) from None
