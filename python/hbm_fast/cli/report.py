"""`hbm-fast report`: one HTML page for a table of one's own, or with both questions of Le (2020)."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from hbm_fast import _display
from hbm_fast._optional import missing_extra
from hbm_fast._progress import progress
from hbm_fast.cli import options
from hbm_fast.cli.interruption import interrupted as after_interruption
from hbm_fast.cli.priors import model_of
from hbm_fast.cli.reading import collected, read
from hbm_fast.cli.sample import Method, posterior_of


def report(
    table: Annotated[
        Path | None,
        typer.Argument(metavar="[DATA]", help="Counts, as of sample; without them the page is that of Le (2020)."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The page (.html).")] = Path("hbm-fast-report.html"),
    layout: options.FormatOption = options.Format.AUTO,
    transpose: options.Transpose = None,
    drop: options.Drop = None,
    metadata: options.Metadata = None,
    by: options.By = None,
    layer: options.Layer = None,
    category: Annotated[
        str | None,
        typer.Option(metavar="CATEGORY", help="The category whose shrinkage is drawn; by default the largest."),
    ] = None,
    draws: Annotated[int, typer.Option(metavar="N", help="Draws of each chain.", min=1)] = 1000,
    chains: options.Chains = 4,
    alpha: options.Alpha = None,
    beta: options.Beta = None,
    for_table: options.ForTable = False,
    network: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NETWORK", help="Le (2020): a trained network to show beside the shipped ones. Repeatable."
        ),
    ] = None,
    results: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Le (2020): where `hbm-fast benchmark` saved its JSON.")
    ] = None,
    n_calibration: Annotated[
        int, typer.Option(metavar="N", help="Le (2020): simulated datasets of the calibration.", min=21)
    ] = 500,
    seed: options.Seed = 0,
    as_json: options.AsJson = False,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Write one offline page about a table: its posterior, its accuracy, shrinkage, and a predictive check.

    Without DATA the page has both questions of Le (2020), the answers beside the exact ones, and the calibration.

    Example: hbm-fast report counts.csv --out page.html
    """
    options.check_target(out, "--out", (".html",), force=force)
    if table is None:
        _le_2020(out, network or [], results, n_calibration, seed, quiet=quiet)
    else:
        if network or results is not None:
            raise ValueError("--network and --results belong to the page of Le (2020): leave out DATA, or them")
        if find_spec("matplotlib") is None:
            raise missing_extra("matplotlib", "report")
        from hbm_fast.report import table as page

        source = read(table, layout, transpose, drop, metadata, by, layer)
        if source.table.weights is not None:
            raise ValueError("a report needs a group a row; the rows of a frequency table are kinds of groups")
        names = _display.labels(source.table.category_names, source.table.counts.shape[1])
        if category is not None and category not in names:
            raise ValueError(
                f"--category must be a category of {source.name}, {names[0]} to {names[-1]}; got {category!r}"
            )
        model = model_of(source.table, alpha, beta, for_table=for_table)
        analyses = {}
        for label, part in source.parts.items():
            messages = list(source.messages)
            with collected(messages):
                post, interrupted = posterior_of(part, model, Method.AUTO, draws, chains, seed, quiet, label)
                if interrupted:
                    raise after_interruption("no page was written, as the draws are not complete")
                analyses[label] = page.Analysis(post, post.summary(), messages, part.transposed)
        page.write(out, source.name, analyses, category=None if category is None else names.index(category), rng=seed)
    if as_json:
        options.print_json({"page": str(out), "bytes": out.stat().st_size})
    else:
        print(out)


def _le_2020(
    out: Path, network: list[str], results: Path | None, n_calibration: int, seed: int, *, quiet: bool
) -> None:
    from hbm_fast.experiments import report as page

    if results is not None and not results.is_dir():
        raise ValueError(f"--results: the folder {str(results)!r} does not exist")
    networks: dict[str, Callable[[Any], Any]] = {}
    for name in network:
        from hbm_fast import amortize

        with options.file_of("--network"):
            estimator = amortize.load(name)
        networks[f"network {Path(name).stem}"] = lambda counts, e=estimator: e.sample(counts, n_draws=4000, rng=seed)  # type: ignore[misc]
    with progress("report", 2, "parts", shown=not quiet) as update:
        update(0)
        sections = []
        if find_spec("torch") is not None:
            from hbm_fast.experiments import report_question_two

            sections = list(report_question_two.sections(seed))
        update(1, f"{len(sections)} sections of question 2")
        page.write(out, networks=networks, sections=sections, results=results, n_calibration=n_calibration, rng=seed)
        update(2, f"{out.stat().st_size / 1e6:.1f} MB")
