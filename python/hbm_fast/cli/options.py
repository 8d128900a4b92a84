"""Options that several commands share, checks of what is to be written, and JSON on standard output."""

import json
import sys
from collections.abc import Sequence
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from hbm_fast._files import finite
from hbm_fast._optional import missing_extra

T = TypeVar("T")


class Format(StrEnum):
    """Layouts of `hbm_fast.tables.read_counts`."""

    AUTO = "auto"
    WIDE = "wide"
    LONG = "long"
    FREQUENCY = "frequency"


Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="Counts: .csv, .tsv, .txt, each also .gz, .parquet, .npz, .npy, .h5ad or .biom; - reads text from stdin.",
        show_default=False,
    ),
]
FormatOption = Annotated[
    Format,
    typer.Option(
        "--format",
        help="wide: a group a row; long: columns group, category, count; frequency: wide with a column weight.",
    ),
]
Transpose = Annotated[
    bool | None,
    typer.Option(
        "--transpose/--no-transpose",
        help="Rows are categories and columns are groups, or not; by default as the layout of the file shows.",
        show_default=False,
    ),
]
Drop = Annotated[
    list[str] | None, typer.Option(metavar="COLUMN", help="Leave this column out. Repeatable.", show_default=False)
]
By = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="A column of labels: one result for the groups of each.", show_default=False),
]
Metadata = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The table in which --by is a column, joined by the names of the groups."),
]
Layer = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The layer of .h5ad that holds the counts; by default X.", show_default=False),
]
Wide = Annotated[bool, typer.Option("--wide", help="Every row and column, however wide.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")]
Alpha = Annotated[
    str | None,
    typer.Option(
        help="Prior of alpha, such as exponential:1, gamma:2,0.5, half-cauchy:1, fixed:3.", show_default="exponential:1"
    ),
]
Beta = Annotated[
    str | None,
    typer.Option(
        help="Concentration of the Dirichlet prior of the proportions, or its prior, to learn it: exponential:1.",
        show_default="1",
    ),
]
ForTable = Annotated[
    bool,
    typer.Option(
        "--for-table", help="Priors for wide tables: heavy-tailed for alpha, a learned concentration for --beta."
    ),
]
Draws = Annotated[Path | None, typer.Option("--out", help="Write the draws (.nc, .csv) or the summary (.json) here.")]
Groups = Annotated[
    Path | None, typer.Option("--groups", help="Write the proportions of every group with 90 % intervals here (.csv).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of the table.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]
Log = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Append a line of JSON (.jsonl) at each tenth: what is done, and its metrics."),
]
Figure = Annotated[
    Path | None, typer.Option("--figure", help="Draw the proportions with their intervals here (.png, .pdf, .svg).")
]

# The module that writes each kind of file; all come with the extra `report`.
_NEEDS = {".nc": ("arviz", "h5netcdf"), ".png": ("matplotlib",), ".pdf": ("matplotlib",), ".svg": ("matplotlib",)}


def span(text: str, option: str) -> int | tuple[int, int]:
    """A number, or the ends of a range, such as 1:41."""
    low, colon, high = text.partition(":")
    try:
        return (int(low), int(high)) if colon else int(low)
    except ValueError:
        raise ValueError(f"{option} must be a number such as 21 or a range such as 1:41; got {text!r}") from None


def of_renamed(value: T | None, option: str, former_value: T | None, former: str) -> T | None:
    """The value of an option, or with a warning that of the name that it had in the version before."""
    if former_value is None:
        return value
    if value is not None:
        raise ValueError(f"{former} is the former name of {option}: give {option} alone")
    print(f"hbm-fast: warning: {former} is now {option} {former_value}", file=sys.stderr)
    return former_value


def check_target(target: Path | None, option: str, endings: Sequence[str], *, force: bool) -> None:
    """Raise what would keep the result from being written, before the result is computed."""
    if target is None:
        return
    if target.suffix.lower() not in endings:
        raise ValueError(f"{option} must end in {', '.join(endings)}; got {str(target)!r}")
    if not target.parent.is_dir():
        raise ValueError(f"{option}: the folder {str(target.parent)!r} does not exist")
    if target.is_dir():
        raise ValueError(f"{option}: {str(target)!r} is a folder; name a file")
    if target.is_file() and not force:  # pipes and devices hold nothing that could be lost
        raise ValueError(f"{option}: {str(target)!r} exists; pass --force to overwrite it")
    for module in _NEEDS.get(target.suffix.lower(), ()):
        if find_spec(module) is None:
            raise missing_extra(module, "report")


def check_log(target: Path | None) -> None:
    """Raise what would keep lines from being appended to the file of --log."""
    check_target(target, "--log", (".jsonl",), force=True)


def check_results(target: Path, *, force: bool) -> None:
    """Raise where an earlier run left its results in the folder."""
    if target.exists() and not force:
        raise ValueError(f"{target} exists: pass --force to overwrite it, or --out for another folder")


def print_json(content: dict[str, Any]) -> None:
    """One line of JSON, with infinities and NaN as strings."""
    print(json.dumps(finite(content), ensure_ascii=False))
