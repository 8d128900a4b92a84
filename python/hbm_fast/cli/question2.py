"""`hbm-fast question2`: the second question of Le (2020), one factor of the training at a time."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hbm_fast.cli import options
from hbm_fast.cli.progress import log as progress_log


def question2(
    quick: Annotated[bool, typer.Option("--quick", help="Seconds a training, one seed, two colours.")] = False,
    steps: Annotated[
        int | None, typer.Option(help="Steps of the default's training; default 1000, quick 300.", min=1)
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Seeds of two colours; default 3, quick 1.", min=1)] = None,
    colours: Annotated[bool, typer.Option(help="Also three and five colours, and dim z below K (one seed).")] = True,
    out: Annotated[Path, typer.Option(help="Folder for the table and the figures.")] = Path("hbm-fast-question2"),
    limit: Annotated[int | None, typer.Option(help="At most so many trainings now; --resume goes on.", min=1)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in that folder.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an earlier run in that folder.")] = False,
    log: options.Log = None,
) -> None:
    """Can "bags of extreme colours" be learned as an embedding? One factor at a time, and a control that must fail.

    A run of about 15 minutes on one core; --quick takes two. By steps, so that it repeats.

    Example: hbm-fast question2 --quick
    """
    options.check_log(log)
    results = out / "results.json"
    if results.exists() and not (force or resume):
        raise ValueError(f"{results} exists: pass --resume to go on, --force to overwrite, --out for another folder")
    from hbm_fast.experiments import question_two

    with progress_log(log, "question2") as logged:
        question_two.run_all(
            out,
            question_two.plan(quick=quick, n_seeds=seeds or (1 if quick else 3), colours=colours),
            steps=steps or (question_two.QUICK_STEPS if quick else question_two.STEPS),
            quick=quick,
            resume=resume,
            limit=limit,
            console=Console(),
            report=logged,
        )
