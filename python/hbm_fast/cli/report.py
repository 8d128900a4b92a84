"""`hbm-fast report`: one self-contained HTML page."""

from pathlib import Path
from typing import Annotated

import typer

from hbm_fast.cli import _files


def report(
    out: Annotated[Path, typer.Option(help="The page (.html).")] = Path("hbm-fast-report.html"),
    network: Annotated[
        list[str] | None,
        typer.Option(help="A trained network to show beside MCMC: a file, or the name of a shipped one. Repeatable."),
    ] = None,
    results: Annotated[Path | None, typer.Option(help="Folder of the JSON files of saved benchmarks.")] = None,
    n_calibration: Annotated[int, typer.Option(help="Simulated datasets of the calibration.", min=21)] = 500,
    seed: Annotated[int, typer.Option(help="Seed of everything random.", min=0)] = 0,
    force: _files.Force = False,
) -> None:
    """Write the note's question, its answers beside the exact ones, and the calibration as one page that works offline.

    Example: hbm-fast report --out report.html --network marbles
    """
    from hbm_fast import report as page

    _files.check_target(out, "--out", (".html",), force=force)
    if results is not None and not results.is_dir():
        raise ValueError(f"--results: the folder {str(results)!r} does not exist")
    ways = {}
    for name in network or []:
        from hbm_fast import amortize

        estimator = amortize.load(name)
        ways[f"network {Path(name).stem}"] = lambda counts, e=estimator: e.sample(counts, n_draws=4000, rng=seed)
    print(page.write(out, networks=ways, results=results, n_calibration=n_calibration, rng=seed))
