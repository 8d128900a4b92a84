"""`hbm-fast mixture`: components of the groups of a table, for several numbers of components."""

import textwrap
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from hbm_fast import _display, _files
from hbm_fast._progress import progress
from hbm_fast.cli import options, output
from hbm_fast.cli.fit import gamma
from hbm_fast.cli.interruption import interrupted
from hbm_fast.cli.reading import Source, collected, read
from hbm_fast.fitting import ComponentSelection, MixtureFit, select_components

_COLUMNS = ("log_posterior", "laplace", "log_evidence", "aic", "bic")
_HEADINGS = {"log posterior": 14, "laplace": 13, "log evidence": 13, "AIC": 12, "BIC": 12}  # and their widths


class Criterion(StrEnum):
    """Criteria of `hbm_fast.select_components`."""

    LOG_EVIDENCE = "log_evidence"
    LAPLACE = "laplace"
    AIC = "aic"
    BIC = "bic"


def mixture(
    data: options.Data,
    components: Annotated[
        str, typer.Option(metavar="FIRST:LAST", help="Numbers of components, or 4, or 2,4,8.")
    ] = "1:7",
    layout: options.FormatOption = options.Format.AUTO,
    transpose: options.Transpose = None,
    drop: options.Drop = None,
    layer: options.Layer = None,
    prior: Annotated[str, typer.Option(metavar="SHAPE,RATE", help="Gamma prior of every concentration.")] = "0.1,0.1",
    criterion: Annotated[
        Criterion, typer.Option(metavar=options.choice(Criterion), help="What chooses the number; R uses laplace.")
    ] = Criterion.LOG_EVIDENCE,
    starts: Annotated[int, typer.Option(metavar="N", help="Starts of each search.", min=1)] = 24,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="SEED", help="The same seed gives the same result; by default a number from the counts.", min=0
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the component of each group and its probabilities here (.csv)."),
    ] = None,
    figure: options.Figure = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    force: options.Force = False,
) -> None:
    """Fit mixtures of Dirichlet-multinomials to a table of counts: each group belongs to one of several components.

    Example: hbm-fast mixture counts.csv --components 1:7 --out memberships.csv
    """
    options.check_target(out, "--out", (".csv",), force=force)
    options.check_target(figure, "--figure", (".png", ".pdf", ".svg"), force=force)
    numbers, given = _numbers(components), gamma(prior)
    source = read(data, layout, transpose, drop, None, None, layer)
    messages: list[str] = []
    notes = [""]
    with collected(messages), progress("mixture", len(numbers), "fits", shown=not quiet) as update:

        def show(fit: MixtureFit) -> None:
            notes[0] = f"log evidence {fit.log_evidence:.1f}" if fit.log_evidence is not None else ""

        found = select_components(
            source.table,
            numbers,
            prior=given,
            n_starts=starts,
            rng=seed,
            progress=lambda share: update(share * len(numbers), notes[0]),
            callback=show,
        )
    best = found.best(criterion.value)
    record = _record(source, found, best, criterion.value, messages)
    if out is not None:
        _files.write_csv(out, ("group", "component", *(f"p_{j}" for j in range(best.n_components))), _members(best))
    if figure is not None:
        from hbm_fast import plots

        _files.write_figure(figure, plots.mixture(best), dpi=150)
    if as_json:
        options.print_json(record)
    else:
        print("\n".join(_lines(record)))
    output.warn([*source.messages, *messages])
    last = list(found)[-1]
    if last.outcome == "interrupted":
        raise interrupted(
            f"{len(found)} of {len(numbers)} fits are kept; that of {last.n_components} components is unfinished"
        )


def _numbers(text: str) -> list[int]:
    try:
        first, colon, last = text.partition(":")
        numbers = list(range(int(first), int(last) + 1)) if colon else [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1 or len(set(numbers)) < len(numbers):
        raise ValueError(f"--components must be FIRST:LAST, such as 1:7, or numbers, such as 2,4,8; got {text!r}")
    return numbers


def _members(fit: MixtureFit) -> list[tuple[Any, ...]]:
    groups = fit.group_names or range(len(fit.labels))
    return list(zip(groups, fit.labels.tolist(), *fit.responsibilities.T.tolist(), strict=True))


def _record(
    source: Source, found: ComponentSelection, best: MixtureFit, criterion: str, messages: list[str]
) -> dict[str, Any]:
    names = _display.labels(best.category_names, best.concentration.shape[1])
    parameters: output.Parameters = {}
    for j in range(best.n_components):
        values = {f"weight[{j}]": best.weights[j], f"alpha[{j}]": best.alpha[j]}
        values |= {f"beta[{j}, {name}]": value for name, value in zip(names, best.beta[j], strict=True)}
        parameters |= {name: {"mean": float(value)} for name, value in values.items()}
    rows = [
        {"n_components": fit.n_components, "outcome": fit.outcome}
        | {name: output.number(getattr(fit, name)) for name in _COLUMNS}
        for fit in found
    ]
    return output.record(
        "mixture",
        source,
        source.table,
        model=f"mixture of Dirichlet-multinomials, {best.prior!r} prior of every concentration",
        method="posterior mode",
        parameters=parameters,
        messages=messages,
        components=rows,
        criterion=criterion,
        n_components=best.n_components,
        outcome=best.outcome,
        message=best.message,
        n_reached=best.n_reached,
        n_starts=best.n_starts,
    )


def _lines(record: dict[str, Any]) -> list[str]:
    """The table of the numbers of components, then the components of the chosen one."""
    lines = [f"{record['data']}: {record['n_groups']} groups x {record['n_categories']} categories"]
    lines += textwrap.wrap(record["model"], output.WIDTH)
    lines.append(f"{'J':>3}" + "".join(f"{heading:>{width}}" for heading, width in _HEADINGS.items()))
    for row in record["components"]:
        texts = ("-" if row[name] is None else f"{row[name]:.3f}" for name in _COLUMNS)
        cells = "".join(f"{text:>{width}}" for text, width in zip(texts, _HEADINGS.values(), strict=True))
        degenerate = "" if row["outcome"] == "maximum" else f"  {row['outcome'][:11]}"
        lines.append(f"{row['n_components']:>3}{cells}{degenerate}")
    plural = "" if record["n_components"] == 1 else "s"
    lines.append(f"{record['n_components']} component{plural} by {record['criterion']}; {record['message']}")
    means = {name: row["mean"] for name, row in record["parameters"].items()}
    for j in range(record["n_components"]):
        proportions = {name: value for name, value in means.items() if name.startswith(f"beta[{j}, ")}
        largest = sorted(proportions, key=lambda name: -proportions[name])[:2]
        main = ", ".join(f"{name.partition(', ')[2][:-1][:14]} {proportions[name]:.3f}" for name in largest)
        lines.append(f"{j:>3}  weight {means[f'weight[{j}]']:.3f}  alpha {means[f'alpha[{j}]']:<8.4g}{main}")
    return lines
