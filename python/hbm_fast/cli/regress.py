"""`hbm-fast regress`: mean proportions and precision of a table of counts that depend on covariates."""

from enum import StrEnum
from pathlib import Path
from statistics import NormalDist
from typing import Annotated, Any

import typer

from hbm_fast._optional import import_optional
from hbm_fast._progress import progress
from hbm_fast.cli import options, output
from hbm_fast.cli.reading import Source, collected, read
from hbm_fast.fitting import RegressionFit, fit
from hbm_fast.models import RegressionModel

_COLUMNS = ("term", "category", "estimate", "standard_error", "z", "p_value", "lower", "upper")
_MOST_LINES = 60
_WIDTH = NormalDist().inv_cdf(0.95)  # of a 90 % interval, in standard errors


class Link(StrEnum):
    """Links of `hbm_fast.RegressionModel`."""

    SOFTMAX = "softmax"
    LOG = "log"


def regress(
    data: options.Data,
    mean: Annotated[
        str, typer.Option(metavar="FORMULA", help="Formula of the mean proportions, such as '~ group + age'.")
    ],
    covariates: Annotated[
        Path | None,
        typer.Option("--data", metavar="FILE", help="The covariates, .csv or .tsv, joined by the names of the groups."),
    ] = None,
    null: Annotated[
        str, typer.Option(metavar="FORMULA", help="Formula of the smaller model of the likelihood-ratio test.")
    ] = "~ 1",
    precision: Annotated[str, typer.Option(metavar="FORMULA", help="Formula of the log precision.")] = "~ 1",
    link: Annotated[
        Link,
        typer.Option(metavar=options.choice(Link), help="softmax of mean proportions, or log of concentrations."),
    ] = Link.SOFTMAX,
    reference: Annotated[
        str | None, typer.Option(metavar="CATEGORY", help="The reference category; by default the last.")
    ] = None,
    random_intercept: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="A column of subjects, each with its random intercepts.")
    ] = None,
    shared_scale: Annotated[
        bool, typer.Option("--shared-scale", help="One standard deviation for the random intercepts of all categories.")
    ] = False,
    layout: options.FormatOption = options.Format.AUTO,
    transpose: options.Transpose = None,
    drop: options.Drop = None,
    layer: options.Layer = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the coefficients (.csv, 95 % intervals) or the result (.json) here."),
    ] = None,
    wide: options.Wide = False,
    as_json: options.AsJson = False,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Regress the composition of a table of counts on covariates, by maximum likelihood.

    Example: hbm-fast regress counts.csv --data people.csv --mean "~ group" --out coefficients.csv
    """
    options.check_target(out, "--out", (".csv", ".json"), force=force)
    source = read(data, layout, transpose, drop, None, None, layer)
    table = source.table
    frame = None if covariates is None else _covariates(covariates, source)
    given: dict[str, Any] = {"precision": precision, "link": link.value}
    if random_intercept is not None:
        given |= {"random_intercept": random_intercept, "shared_scale": shared_scale}
    if reference is not None:
        given["reference"] = reference
    n_categories = table.counts.shape[1]
    messages: list[str] = []
    with collected(messages), progress("regress", 2, "fits", shown=not quiet, after=1.0) as update:
        update(0)
        result = fit(table, RegressionModel(n_categories, mean, **given), data=frame)
        update(1, f"log-likelihood {result.log_likelihood:.2f}")
        smaller = None
        if result.model.mean != RegressionModel(n_categories, null).mean:
            smaller = fit(table, RegressionModel(n_categories, null, **given), data=frame)
        update(2, f"log-likelihood {result.log_likelihood:.2f}")
    record = _record(source, result, smaller, messages)
    output.write(out, _COLUMNS, result.summary().rows, record)
    if as_json:
        options.print_json(record)
    else:
        lines = str(result.summary()).splitlines()
        if not wide and len(lines) > _MOST_LINES:
            lines = [*lines[:_MOST_LINES], f"and {len(lines) - _MOST_LINES} more lines: --wide shows all"]
        print("\n".join([*lines, *_notes(result, record)]))
    output.warn([*source.messages, *messages])


def _covariates(path: Path, source: Source) -> Any:
    """The rows of the file in the order of the groups."""
    pandas = import_optional("pandas", "formula")
    with options.file_of("--data"):
        frame = pandas.read_csv(path, sep=None, engine="python")
    names = source.table.group_names
    if names is None:
        if len(frame) != len(source.table.counts):
            raise ValueError(
                f"--data must have one row a group, {len(source.table.counts)} rows, as the groups have no names; "
                f"{path} has {len(frame)}"
            )
        return frame
    keyed = [c for c in frame.columns if set(names) <= set(frame[c].astype(str))]
    if not keyed:
        raise ValueError(
            f"--data must have a column with the names of all groups, such as {names[0]!r}; {path} lacks it"
        )
    frame.index = frame[keyed[0]].astype(str)
    if frame.index.has_duplicates:
        raise ValueError(f"--data must have one row a group; {path} has a name twice in column {keyed[0]!r}")
    return frame.loc[list(names)]


def _record(
    source: Source, result: RegressionFit, smaller: RegressionFit | None, messages: list[str]
) -> dict[str, Any]:
    parameters = {
        f"{term}[{category}]": output.row(estimate, error, estimate - _WIDTH * error, estimate + _WIDTH * error)
        for term, category, estimate, error, *_ in result.summary().rows
    }
    test = None
    if smaller is not None:
        found = result.likelihood_ratio_test(smaller, small_sample=True)
        test = {"null": smaller.model.mean, "statistic": found.statistic, "df": found.df, "p_value": found.p_value}
    return output.record(
        "regress",
        source,
        source.table,
        model=repr(result.model),
        method="maximum likelihood",
        parameters=parameters,
        messages=messages,
        outcome=result.outcome,
        message=result.message,
        log_likelihood=result.log_likelihood,
        n_parameters=result.n_parameters,
        aic=result.aic,
        bic=result.bic,
        likelihood_ratio_test=test,
    )


def _notes(result: RegressionFit, record: dict[str, Any]) -> list[str]:
    notes = [] if result.outcome == "converged" else [f"{result.outcome}: {result.message}"]
    test = record["likelihood_ratio_test"]
    if test is not None:
        notes.append(
            f"likelihood-ratio test against {test['null']!r}, corrected for small samples: "
            f"{test['statistic']:.4f} on {test['df']} df, p = {test['p_value']:.4g}"
        )
    return notes
