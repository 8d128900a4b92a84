"""`hbm-fast fit`: maximum likelihood or MAP of a table of counts."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from hbm_fast import _files, priors
from hbm_fast.cli import options
from hbm_fast.fitting import FitResult
from hbm_fast.fitting import fit as fit_counts
from hbm_fast.tables import read_counts

_ROWS = 40


def fit(
    data: options.Data,
    layout: options.FormatOption = options.Format.AUTO,
    prior: Annotated[
        str | None,
        typer.Option(help="SHAPE,RATE of a Gamma prior on every concentration: the mode instead of the maximum."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the result here (.csv or .json).")] = None,
    figure: options.Figure = None,
    as_json: options.AsJson = False,
    force: options.Force = False,
) -> None:
    """Fit one Dirichlet-multinomial to a table of counts, by maximum likelihood or to the mode under a Gamma prior.

    Example: hbm-fast fit counts.csv --prior 0.1,0.1 --out fit.csv
    """
    options.check_target(out, "--out", (".csv", ".json"), force=force)
    options.check_target(figure, "--figure", (".png", ".pdf", ".svg"), force=force)
    gamma = None if prior is None else _gamma(prior)
    table = read_counts(data, layout=layout.value)
    names = table.category_names or tuple(map(str, range(table.counts.shape[1])))
    result = replace(fit_counts(table.counts, weights=table.weights, prior=gamma), category_names=names)
    if out is not None and out.suffix.lower() == ".csv":
        columns = ("category", "concentration", "standard_error", "lower", "upper", "proportion")
        _files.write_csv(out, columns, _rows(result))
    elif out is not None:
        _files.write_json(out, _content(result))
    if figure is not None:
        from hbm_fast import plots

        _files.write_figure(figure, plots.concentrations(result), dpi=150)
    if as_json:
        options.print_json(_content(result))
    else:
        _show(result, data.name)


def _gamma(text: str) -> priors.Gamma:
    try:
        shape, rate = map(float, text.split(","))
    except ValueError:
        raise ValueError(f"--prior must be SHAPE,RATE, such as 0.1,0.1; got {text!r}") from None
    return priors.Gamma(shape, rate=rate)


def _rows(result: FitResult) -> list[tuple[Any, ...]]:
    lower, upper = result.interval()
    columns = (result.concentration, result.standard_error, lower, upper, result.beta)
    return list(zip(result.category_names or (), *(c.tolist() for c in columns), strict=True))


def _content(result: FitResult) -> dict[str, Any]:
    names = ("concentration", "standard_error", "lower", "upper", "proportion")
    return {
        "outcome": result.outcome,
        "message": result.message,
        "alpha": result.alpha,
        "log_likelihood": result.log_likelihood,
        "n_groups": result.n_groups,
        "n_parameters": result.n_parameters,
        "aic": result.aic,
        "bic": result.bic,
        "multinomial_log_likelihood": result.multinomial_log_likelihood,
        "multinomial_p_value": result.multinomial_p_value,
        "prior": None if result.prior is None else repr(result.prior),
        "log_posterior": result.log_posterior,
        "log_evidence": result.log_evidence,
        "categories": {row[0]: dict(zip(names, row[1:], strict=True)) for row in _rows(result)},
    }


def _show(result: FitResult, name: str) -> None:
    shown = Table(title=f"{name}: alpha = {result.alpha:.6g}")
    for column in ("category", "concentration", "s.e.", "2.5 %", "97.5 %", "proportion"):
        shown.add_column(column, justify="left" if column == "category" else "right")
    rows = sorted(_rows(result), key=lambda row: -row[-1])
    for category, *values in rows[:_ROWS]:
        shown.add_row(category, *(f"{value:.5g}" for value in values))
    console = Console()
    console.print(shown)
    if len(rows) > _ROWS:
        console.print(f"and {len(rows) - _ROWS} smaller ones: --out FILE writes all")
    print(f"{result.message}")
    print(f"log-likelihood {result.log_likelihood:.6f}, AIC {result.aic:.4f}, BIC {result.bic:.4f}")
    conclusion = "the groups differ more than a multinomial allows"
    if result.outcome in ("infinity", "undetermined") or result.multinomial_p_value > 0.05:
        conclusion = "a multinomial does as well"
    elif result.multinomial:
        conclusion = "the groups may differ more than a multinomial allows"
    print(f"multinomial    {result.multinomial_log_likelihood:.6f}, p = {result.multinomial_p_value:.3g}: {conclusion}")
    if result.log_evidence is not None:
        print(f"log posterior {result.log_posterior:.6f}, log evidence (Laplace) {result.log_evidence:.6f}")
