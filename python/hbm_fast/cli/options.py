"""Options that several commands share, how their values are named, and checks of what is to be written."""

import difflib
import errno
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from hbm_fast._files import finite
from hbm_fast._optional import missing_extra

T = TypeVar("T")


# How values are named in the help, and what they are; a choice is named by its values, such as auto|wide|long.
METAVARS = {
    "DATA": "a table of counts",
    "OUT": "the file to write",
    "FILE": "a file",
    "FOLDER": "a folder",
    "N": "a whole number",
    "NUMBER": "a number",
    "SEED": "a whole number",
    "N|LOW:HIGH": "a number or a range, such as 21 or 1:41",
    "FIRST:LAST": "numbers, such as 1:7 or 2,4,8",
    "SHAPE,RATE": "two numbers, such as 0.1,0.1",
    "PRIOR": "a prior, such as gamma:2,0.5",
    "FORMULA": "a formula, such as '~ group + age'",
    "COLUMN": "the name of a column",
    "CATEGORY": "the name of a category",
    "NAME": "a name",
    "TEXT": "text in quotes",
    "NUMBER|PRIOR": "a number, or a prior, such as exponential:1",
    "NETWORK": "the name of a network, or a file",
    "DEVICE": "cpu or cuda",
}


def choice(values: type[StrEnum]) -> str:
    """The metavar of a choice."""
    return "|".join(values)


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
        help="Counts: .csv, .tsv, .txt, each also .gz, .parquet, .npz, .npy, .h5ad or .biom; - is text from stdin.",
        show_default=False,
    ),
]
FormatOption = Annotated[
    Format,
    typer.Option(
        "--layout",
        metavar=choice(Format),
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
Force = Annotated[bool, typer.Option("--force", help="Overwrite what an earlier run wrote.")]
Alpha = Annotated[
    str | None,
    typer.Option(
        metavar="PRIOR",
        help="Prior of alpha, such as gamma:2,0.5, half-cauchy:1, fixed:3; by default exponential:1.",
        show_default=False,
    ),
]
Beta = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBER|PRIOR",
        help="Concentration of the Dirichlet prior of the proportions, by default 1; a prior, such as exponential:1, "
        "learns it.",
        show_default=False,
    ),
]
ForTable = Annotated[
    bool,
    typer.Option(
        "--for-table", help="Priors for wide tables: heavy-tailed for alpha, a learned concentration for --beta."
    ),
]
Categories = Annotated[int, typer.Option(metavar="N", help="Number of categories.", min=2)]
Chains = Annotated[int, typer.Option(metavar="N", help="Number of chains.", min=1)]
Seed = Annotated[int, typer.Option(metavar="SEED", help="The same seed gives the same result.", min=0)]
Quick = Annotated[bool, typer.Option("--quick", help="A smaller run: a minute or two, with larger errors.")]
Draws = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Write the draws (.nc, .csv) or the summary (.json) here.")
]
Groups = Annotated[
    Path | None,
    typer.Option(
        "--groups", metavar="FILE", help="Write the proportions of every group with 90 % intervals here (.csv)."
    ),
]
Figure = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Draw the result, with its intervals, here (.png, .pdf, .svg).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs, on one line.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]
Log = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Append a line of JSON (.jsonl) at each tenth: what is done, and its metrics."),
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
        raise ValueError(f"{option} must end in {' or '.join(endings)}; got {str(target)!r}")
    if not target.parent.is_dir():
        raise ValueError(f"{option}: the folder {str(target.parent)!r} does not exist; make it, or name another")
    if target.is_dir():
        raise ValueError(f"{option}: {str(target)!r} is a folder; name a file")
    check_writable(target if target.exists() else target.parent, option)
    if target.is_file() and not force:  # pipes and devices hold nothing that could be lost
        raise ValueError(f"{option}: {str(target)!r} exists; pass --force to overwrite it")
    for module in _NEEDS.get(target.suffix.lower(), ()):
        if find_spec(module) is None:
            raise missing_extra(module, "report")


@contextmanager
def file_of(option: str) -> Iterator[None]:
    """A file that is not there, or may not be read, is an error that names the option or argument."""
    try:
        yield
    except OSError as error:
        raise ValueError(f"{option}: {words(error)}") from error


def check_writable(path: Path, option: str) -> None:
    """Raise for a file or folder without permission to write."""
    if not os.access(path, os.W_OK):
        raise ValueError(f"{option}: there is no permission to write {str(path)!r}; name another place")


def check_log(target: Path | None) -> None:
    """Raise what would keep lines from being appended to the file of --log."""
    check_target(target, "--log", (".jsonl",), force=True)


def check_folder(folder: Path, option: str) -> None:
    """Raise what would keep files from being written into a folder, which need not exist."""
    exists = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not exists.is_dir():
        raise ValueError(f"{option}: {str(exists)!r} is a file; name a folder")
    check_writable(exists, option)


def check_results(target: Path, *, force: bool) -> None:
    """Raise where an earlier run left its results in the folder of --out, or nothing can be written there."""
    check_folder(target.parent, "--out")
    if target.exists() and not force:
        raise ValueError(f"{target} exists: pass --force to overwrite it, or --out for another folder")


def words(error: OSError) -> str:
    """The message of the operating system without its number; with the nearest name where there is no such file."""
    if error.errno is None or error.filename is None:
        return str(error)
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes | os.PathLike) else str(error.filename)
    if error.errno == errno.ENOENT:
        return f"there is no file or folder {name!r}{_nearest_file(name)}"
    return f"{name!r}: {error.strerror}"


def nearest(name: str, names: Iterable[str]) -> str:
    """The end of a message with the name that was perhaps meant."""
    near = difflib.get_close_matches(name, list(names), 1)
    return f"; did you mean {near[0]}?" if near else ""


def _nearest_file(name: str) -> str:
    folder, base = os.path.split(name)
    try:
        return nearest(base, os.listdir(folder or "."))
    except OSError:
        return ""


def print_json(content: dict[str, Any]) -> None:
    """One line of JSON, with infinities and NaN as strings."""
    print(json.dumps(finite(content), ensure_ascii=False))
