"""What `sample`, `fit` and `infer` print: one JSON schema, and a table of parameters that fits 80 columns."""

import math
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.cells import cell_len, set_cell_size

from hbm_fast import __version__, _files
from hbm_fast.cli import options
from hbm_fast.cli.reading import Source
from hbm_fast.posterior.summary import Summary, cell
from hbm_fast.tables import CountTable

WIDTH = 80
_LARGEST = 20  # proportions shown without --wide
_NAME = 26  # and four columns of 10, two of 7
_HEADINGS = {"mean": "mean", "sd": "sd", "lower": "5 %", "upper": "95 %", "ess": "ESS", "r_hat": "R-hat"}

Row = dict[str, float | None]
Parameters = dict[str, Row]


@dataclass(frozen=True)
class Answer:
    """One table's result: the JSON of the command, the lines below the table, and all columns where --wide has more."""

    record: dict[str, Any]
    notes: Sequence[str]
    columns: Mapping[str, Any] | None = None


def record(
    command: str,
    source: Source,
    table: CountTable,
    *,
    model: str,
    method: str,
    parameters: Parameters,
    messages: Sequence[str],
    **more: Any,
) -> dict[str, Any]:
    """The JSON of one table: the keys that the three commands share, then those of the command."""
    return {
        "command": command,
        "version": __version__,
        "data": source.name,
        **_size(table),
        "transposed": table.transposed,
        "model": model,
        "method": method,
        "warnings": [*(source.messages if source.column is None else ()), *messages],
        "parameters": parameters,
        **{name: number(value) if isinstance(value, float) else value for name, value in more.items()},
    }


def _size(table: CountTable) -> dict[str, int]:
    n_rows, n_categories = table.counts.shape
    return {"n_groups": n_rows if table.weights is None else sum(table.weights.tolist()), "n_categories": n_categories}


def number(value: float | None) -> float | None:
    """The number, or None where it is NaN or infinite, which JSON does not have."""
    return None if value is None or not math.isfinite(value) else float(value)


def row(mean: float, sd: float, lower: float, upper: float) -> Row:
    """A parameter without draws."""
    known = map(number, (mean, sd, lower, upper))
    return {**dict(zip(("mean", "sd", "lower", "upper"), known, strict=True)), "ess": None, "r_hat": None}


def parameters_of(summary: Summary) -> Parameters:
    """The rows of a summary; the effective sample size is the smaller one of the bulk and the tails."""
    columns = summary.columns
    found: dict[str, Any] = {
        "mean": columns["mean"],
        "sd": columns["sd"],
        "lower": columns["5%"],
        "upper": columns["95%"],
    }
    for name in ("ess", "ess_bulk"):
        if name in columns:
            found["ess"] = columns[name]
    if "ess_tail" in columns:
        found["ess"] = [min(pair) for pair in zip(columns["ess_bulk"], columns["ess_tail"], strict=True)]
    if "r_hat" in columns:
        found["r_hat"] = columns["r_hat"]
    return {
        name: {key: number(float(found[key][row])) if key in found else None for key in _HEADINGS}
        for row, name in enumerate(summary.names)
    }


def whole(source: Source, answers: Mapping[str | None, Answer]) -> dict[str, Any]:
    """The JSON of a command: that of its one table, or with ``--by`` an object with that of each label."""
    if source.column is None:
        return answers[None].record
    first = next(iter(answers.values())).record
    return {
        **{key: first[key] for key in ("command", "version", "data")},
        **_size(source.table),
        "warnings": list(source.messages),
        "column": source.column,
        "by": {label: answer.record for label, answer in answers.items()},
    }


def publish(source: Source, answers: Mapping[str | None, Answer], *, as_json: bool, wide: bool) -> None:
    """Print every result, as JSON or as tables, and the warnings on stderr."""
    if as_json:
        options.print_json(whole(source, answers))
    else:
        print("\n\n".join(screen(answer, label, wide=wide) for label, answer in answers.items()))
    messages = list(source.messages)
    for label, answer in answers.items():
        messages += [text if label is None else f"{label}: {text}" for text in answer.record["warnings"]]
    warn(messages)


def warn(messages: Sequence[str]) -> None:
    """Print each warning once on stderr."""
    for text in dict.fromkeys(messages):
        print(f"hbm-fast: warning: {' '.join(text.split())}", file=sys.stderr)


def write(out: Path | None, columns: Sequence[str], rows: Iterable[Sequence[Any]], record: dict[str, Any]) -> None:
    """The rows, where ``out`` is a .csv file, or else the JSON; nothing without a file."""
    if out is not None and out.suffix.lower() == ".csv":
        _files.write_csv(out, columns, rows)
    elif out is not None:
        _files.write_json(out, record)


def screen(answer: Answer, label: str | None, *, wide: bool) -> str:
    """A heading, the table and the notes."""
    found = answer.record
    heading = f"{found['data']}{'' if label is None else f', {label}'}: {found['n_groups']} groups x " + (
        f"{found['n_categories']} categories{found['transposed'] * ' (the rows of the file)'}, {found['model']}"
    )
    columns: dict[str, Any]
    if wide and answer.columns is not None:
        columns = dict(answer.columns)
    else:
        rows = list(found["parameters"].values())
        columns = {heading: [row[key] for row in rows] for key, heading in _HEADINGS.items()}
        columns = {name: values for name, values in columns.items() if any(value is not None for value in values)}
    notes = [*answer.notes, *_worst(found["parameters"])]
    texts = (
        [heading, *notes]
        if wide
        else [textwrap.fill(text, WIDTH, break_on_hyphens=False) for text in (heading, *notes)]
    )
    return "\n".join([texts[0], *_lines(list(found["parameters"]), columns, wide=wide), *texts[1:]])


def _lines(names: list[str], columns: Mapping[str, Any], *, wide: bool) -> Iterator[str]:
    """alpha and what else is one number first, then the proportions, the largest ones first."""
    means = next(iter(columns.values()))
    single = [i for i, name in enumerate(names) if "[" not in name]
    several = sorted((i for i, name in enumerate(names) if "[" in name), key=lambda i: -(means[i] or 0.0))
    shown = single + (several if wide else [i for i in several if names[i].startswith("beta[")][:_LARGEST])
    width = max(cell_len(names[i]) for i in shown)
    width = width if wide else min(width, _NAME)
    yield " " * width + "".join(f"{column:>{_width(column)}}" for column in columns)
    for i in shown:
        cells = "".join(f"{cell(column, values[i]):>{_width(column)}}" for column, values in columns.items())
        yield set_cell_size(_cut(names[i], width), width) + cells
    left = sum(name.startswith("beta[") for name in names) + len(single) - len(shown)
    if left > 0:
        yield f"and {left} smaller ones: --wide shows all"


def _width(column: str) -> int:
    return 7 if column in ("ESS", "R-hat") else 10


def _cut(name: str, width: int) -> str:
    """The name with its middle left out where it is too long: the first and the last words tell names apart."""
    if cell_len(name) <= width:
        return name
    tail = (width - 3) // 2
    start = set_cell_size(name, width - 3 - tail)
    end = name[-tail:]
    while cell_len(end) > tail:
        end = end[1:]
    return f"{start}...{end}"


def _worst(parameters: Parameters) -> list[str]:
    """The worst R-hat; the note of the summary has the number of those that exceed the limit."""
    known = {name: row["r_hat"] for name, row in parameters.items() if row["r_hat"] is not None}
    if not known:
        return []
    worst = max(known, key=lambda name: known[name] or 0.0)
    return [f"worst R-hat {known[worst]:.3f} ({worst})"]


def check_labels(labels: Iterable[str | None], *targets: Path | None) -> None:
    """Raise where two labels have one file, so that no result overwrites another."""
    for target in filter(None, targets):
        of_file: dict[str, str | None] = {}
        for label in labels:
            name = str(of_label(target, label)).casefold()
            if name in of_file:
                both = f"{of_file[name]!r} and {label!r}"
                raise ValueError(f"--by: the labels {both} have one file, {of_label(target, label)}: rename one")
            of_file[name] = label


def of_label(target: Path | None, label: str | None) -> Path | None:
    """The file of one label: ``draws-Lean.csv`` for ``draws.csv``."""
    if target is None or label is None:
        return target
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in label)
    return target.with_name(f"{target.stem}-{safe}{target.suffix}")
