"""`hbm-fast report`: one HTML page with both questions of Le (2020)."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from hbm_fast.cli import options


def report(
    out: Annotated[Path, typer.Option(help="The page (.html).")] = Path("hbm-fast-report.html"),
    network: Annotated[
        list[str] | None,
        typer.Option(help="A trained network to show beside the shipped ones: a file. Repeatable."),
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="Folder in which `hbm-fast benchmark` saved its JSON: the page shows it.")
    ] = None,
    n_calibration: Annotated[int, typer.Option(help="Simulated datasets of the calibration.", min=21)] = 500,
    seed: Annotated[int, typer.Option(help="Seed of everything random.", min=0)] = 0,
    as_json: options.AsJson = False,
    force: options.Force = False,
) -> None:
    """Write both questions of Le (2020), the answers beside the exact ones, and the calibration as one offline page.

    Example: hbm-fast report --out report.html --results hbm-fast-benchmark
    """
    from hbm_fast.experiments import report as page

    options.check_target(out, "--out", (".html",), force=force)
    if results is not None and not results.is_dir():
        raise ValueError(f"--results: the folder {str(results)!r} does not exist")
    networks: dict[str, Callable[[Any], Any]] = {}
    for name in network or []:
        from hbm_fast import amortize

        estimator = amortize.load(name)
        networks[f"network {Path(name).stem}"] = lambda counts, e=estimator: e.sample(counts, n_draws=4000, rng=seed)  # type: ignore[misc]
    sections = []
    if find_spec("torch") is not None:
        from hbm_fast.experiments import report_question_two

        sections = list(report_question_two.sections(seed))
    page.write(out, networks=networks, sections=sections, results=results, n_calibration=n_calibration, rng=seed)
    if as_json:
        options.print_json({"page": str(out), "bytes": out.stat().st_size})
    else:
        print(out)
