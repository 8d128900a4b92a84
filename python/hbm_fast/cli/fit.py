"""`hbm-fast fit`: maximum likelihood or posterior mode of a table of counts."""

import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Annotated, Any

import numpy as np
import typer

from hbm_fast import _display, _files, priors
from hbm_fast.cli import options, output
from hbm_fast.cli.interruption import interrupted
from hbm_fast.cli.reading import of_each_label, read
from hbm_fast.fitting import FitResult
from hbm_fast.fitting import fit as fit_counts
from hbm_fast.tables import CountTable

_COLUMNS = ("category", "concentration", "standard_error", "lower", "upper", "proportion")
_WIDTH = NormalDist().inv_cdf(0.95)  # of a 90 % interval, in standard errors


def fit(
    data: options.Data,
    layout: options.FormatOption = options.Format.AUTO,
    transpose: options.Transpose = None,
    drop: options.Drop = None,
    metadata: options.Metadata = None,
    by: options.By = None,
    layer: options.Layer = None,
    prior: Annotated[
        str | None,
        typer.Option(metavar="SHAPE,RATE", help="Gamma prior of every concentration: the mode, not the maximum."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the concentrations (.csv, 95 % intervals) or all (.json) here."),
    ] = None,
    figure: options.Figure = None,
    wide: options.Wide = False,
    as_json: options.AsJson = False,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Fit one Dirichlet-multinomial to a table of counts, by maximum likelihood or to the mode under a Gamma prior.

    Example: hbm-fast fit counts.csv --prior 0.1,0.1 --out fit.csv
    """
    options.check_target(figure, "--figure", (".png", ".pdf", ".svg"), force=force)
    stated = None if prior is None else gamma(prior)
    source = read(data, layout, transpose, drop, metadata, by, layer)
    output.check_labels(source.parts, out)
    for label in source.parts:
        options.check_target(output.of_label(out, label), "--out", (".csv", ".json"), force=force)
    answers: dict[str | None, output.Answer] = {}
    fits: dict[str | None, FitResult] = {}

    def fitted(table: CountTable) -> FitResult:
        return fit_counts(table, prior=stated)

    for label, result, messages in of_each_label("fit", source.parts, fitted, _note, quiet=quiet):
        table = source.parts[label]
        names = _display.labels(result.category_names, len(result.beta))
        result = replace(result, category_names=names)
        record = output.record(
            "fit",
            source,
            table,
            model=f"Dirichlet-multinomial{'' if stated is None else f', {stated!r} prior of every concentration'}",
            method="maximum likelihood" if stated is None else "posterior mode",
            parameters=_parameters(result),
            messages=messages,
            **_content(result),
        )
        fits[label] = result
        answers[label] = output.Answer(record, _notes(result))
        output.write(output.of_label(out, label), _COLUMNS, _rows(result), record)
    output.publish(source, answers, as_json=as_json, wide=wide)
    if figure is not None:
        _draw(fits, figure)
    if len(answers) < len(source.parts):
        raise interrupted(f"{len(answers)} of {len(source.parts)} labels were fitted, and their results written")


def _note(result: FitResult) -> str:
    return f"log-likelihood {result.log_likelihood:.2f}"


def gamma(text: str) -> priors.Gamma:
    """The prior that --prior states."""
    try:
        shape, rate = map(float, text.split(","))
    except ValueError:
        raise ValueError(f"--prior must be SHAPE,RATE, such as 0.1,0.1; got {text!r}") from None
    return priors.Gamma(shape, rate=rate)


def _parameters(result: FitResult) -> output.Parameters:
    """Estimates, standard errors and 90 % intervals: of alpha and the concentrations symmetric in the logarithm, of the
    proportions in the logit, by the delta method."""
    names = result.category_names or ()
    occurring = result.beta > 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        deviation = result.standard_error / result.concentration  # of the log concentrations
        along, total = np.full(len(names), np.nan), math.nan
        if result.converged and result._curvature is not None:
            along[occurring] = result._curvature.solve(result.beta[occurring])  # their covariance times beta
            total = math.sqrt(result.beta[occurring] @ along[occurring])
        logit = np.sqrt(np.maximum(deviation**2 - 2.0 * along + total**2, 0.0)) / (1.0 - result.beta)
        sd = logit * result.beta * (1.0 - result.beta)
        odds = np.exp(_WIDTH * logit)
        lower = result.beta / (result.beta + (1.0 - result.beta) * odds)
        upper = result.beta / (result.beta + (1.0 - result.beta) / odds)
    log_alpha = math.log(result.alpha) if result.alpha > 0.0 else math.nan
    parameters = {
        "alpha": output.row(result.alpha, total * result.alpha, *_around(result.alpha, total)),
        "log_alpha": output.row(log_alpha, total, log_alpha - _WIDTH * total, log_alpha + _WIDTH * total),
    }
    for name, *values in zip(names, *map(np.ndarray.tolist, (result.beta, sd, lower, upper)), strict=True):
        parameters[f"beta[{name}]"] = output.row(*values)
    for name, c, s, d in zip(
        names, *map(np.ndarray.tolist, (result.concentration, result.standard_error, deviation)), strict=True
    ):
        parameters[f"concentration[{name}]"] = output.row(c, s, *_around(c, d))
    return parameters


def _around(value: float, deviation: float) -> tuple[float, float]:
    return value * math.exp(-_WIDTH * deviation), value * math.exp(_WIDTH * deviation)


def _rows(result: FitResult) -> Iterator[tuple[Any, ...]]:
    lower, upper = result.interval()
    columns = (result.concentration, result.standard_error, lower, upper, result.beta)
    yield from zip(result.category_names or (), *(c.tolist() for c in columns), strict=True)


def _content(result: FitResult) -> dict[str, Any]:
    return {
        "outcome": result.outcome,
        "message": result.message,
        "alpha": result.alpha,
        "log_likelihood": result.log_likelihood,
        "n_parameters": result.n_parameters,
        "aic": result.aic,
        "bic": result.bic,
        "multinomial_log_likelihood": result.multinomial_log_likelihood,
        "multinomial_p_value": result.multinomial_p_value,
        "prior": None if result.prior is None else repr(result.prior),
        "log_posterior": result.log_posterior,
        "log_evidence": result.log_evidence,
    }


def _notes(result: FitResult) -> list[str]:
    conclusion = "the groups differ more than a multinomial allows"
    if result.outcome in ("infinity", "undetermined") or result.multinomial_p_value > 0.05:
        conclusion = "a multinomial does as well"
    elif result.multinomial:
        conclusion = "the groups may differ more than a multinomial allows"
    notes = [
        f"alpha = {result.alpha:.6g}: {result.message}",
        f"log-likelihood {result.log_likelihood:.6f}, AIC {result.aic:.4f}, BIC {result.bic:.4f}",
    ]
    if result.log_evidence is not None:
        notes.append(f"log posterior {result.log_posterior:.6f}, log evidence (Laplace) {result.log_evidence:.6f}")
    p_value = f"p = {result.multinomial_p_value:.3g}"
    return [*notes, f"multinomial {result.multinomial_log_likelihood:.6f}, {p_value}: {conclusion}"]


def _draw(fits: Mapping[str | None, FitResult], target: Path) -> None:
    from hbm_fast import plots
    from hbm_fast.plots.intervals import intervals

    if None in fits:
        figure = plots.concentrations(fits[None])
    else:
        for label, result in fits.items():
            if not result.converged:
                print(f"hbm-fast: warning: {label} is not in the figure: {result.message}", file=sys.stderr)
        drawn = {str(label): result for label, result in fits.items() if result.converged}
        if not drawn:
            raise ValueError("there is nothing to draw: no label has a maximum")
        names = next(iter(drawn.values())).category_names or ()
        series = [(label, result.concentration, *result.interval()) for label, result in drawn.items()]
        figure = intervals(names, series, "concentration, with 95 % intervals", 30)
    _files.write_figure(target, figure, dpi=150)
