"""`hbm-fast compare`: whether the groups of several labels have one composition, or one each."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from hbm_fast import _files
from hbm_fast._progress import progress
from hbm_fast.cli import options, output
from hbm_fast.cli.priors import model_of
from hbm_fast.cli.reading import Source, collected, read
from hbm_fast.comparison import GroupComparison, compare_groups

_COLUMNS = ("category", "condition", "log2_ratio", "lower", "upper", "p_positive")
_MOST_LINES = 40


def compare(
    data: options.Data,
    by: Annotated[str, typer.Option(metavar="COLUMN", help="A column of labels: the groups of each are compared.")],
    metadata: options.Metadata = None,
    layout: options.FormatOption = options.Format.AUTO,
    transpose: options.Transpose = None,
    drop: options.Drop = None,
    layer: options.Layer = None,
    alpha: options.Alpha = None,
    beta: options.Beta = None,
    for_table: options.ForTable = False,
    seed: options.Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the log2 ratios (.csv, 90 % intervals) or the result (.json) here."),
    ] = None,
    figure: options.Figure = None,
    wide: options.Wide = False,
    as_json: options.AsJson = False,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Compare the groups of several labels: a Bayes factor, a likelihood-ratio test, and ratios of the categories.

    Example: hbm-fast compare counts.csv --metadata people.csv --by diet --figure ratios.png
    """
    options.check_target(out, "--out", (".csv", ".json"), force=force)
    options.check_target(figure, "--figure", (".png", ".pdf", ".svg"), force=force)
    source = read(data, layout, transpose, drop, metadata, by, layer)
    model = model_of(source.table, alpha, beta, for_table=for_table)
    messages: list[str] = []
    with collected(messages), progress("compare", 1.0, shown=not quiet, after=1.0) as update:
        update(0.0)
        found = compare_groups(
            source.table,
            alpha=model.alpha,
            beta=model.beta,
            rng=seed,
            progress=lambda share, metrics: update(share, f"log evidence {metrics['log_evidence']:.1f}"),
        )
    record = _record(source, found, seed, messages)
    frame = found.to_frame()
    output.write(out, _COLUMNS, frame.itertuples(index=False), record)
    if figure is not None:
        from hbm_fast import plots

        _files.write_figure(figure, plots.forest(found), dpi=150)
    if as_json:
        options.print_json(record)
    else:
        text = frame.to_string(index=False, max_rows=None if wide else _MOST_LINES, float_format=lambda x: f"{x:.3f}")
        print(f"{found!r}\n\n{text}")
    output.warn([*source.messages, *messages])


def _record(source: Source, found: GroupComparison, seed: int, messages: list[str]) -> dict[str, Any]:
    parameters = {}
    for condition, draws in zip(found.conditions[1:], found.log2_ratio, strict=True):
        columns = [draws.mean(axis=0), draws.std(axis=0, ddof=1), *np.quantile(draws, (0.05, 0.95), axis=0)]
        for category, *values in zip(found.category_names, *columns, strict=True):
            parameters[f"log2_ratio[{category}, {condition}]"] = output.row(*values)
    return output.record(
        "compare",
        source,
        source.table,
        model=repr(found.posteriors[found.conditions[0]].model),
        method="evidence and maximum likelihood",
        parameters=parameters,
        messages=messages,
        conditions=list(found.conditions),
        log_bayes_factor=found.log_bayes_factor,
        log_bayes_factor_error=found.log_bayes_factor_error,
        likelihood_ratio=found.likelihood_ratio,
        df=found.df,
        p_value=found.p_value,
        concentration_ratio={name: ratio._asdict() for name, ratio in found.concentration_ratio.items()},
        seed=seed,
    )
