"""What the commands of tables share: their options, and files that are checked before the work and written after it."""

import csv
import json
import math
from collections.abc import Iterable, Sequence
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from hbm_fast import _validate
from hbm_fast._files import replacing, write_text


class Format(StrEnum):
    """Layouts of `hbm_fast.tables.read_counts`."""

    AUTO = "auto"
    WIDE = "wide"
    LONG = "long"
    FREQUENCY = "frequency"


Data = Annotated[
    Path, typer.Argument(metavar="DATA", help="Counts: .csv, .tsv, .txt, .parquet, .npz or .npy.", show_default=False)
]
FormatOption = Annotated[
    Format,
    typer.Option(
        "--format",
        help="wide: a group a row; long: columns group, category, count; frequency: wide with a column weight.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of the table.")]
Figure = Annotated[
    Path | None, typer.Option("--figure", help="Draw the proportions with their intervals here (.png, .pdf, .svg).")
]

# What writes each kind of file, and the extra it comes with.
_NEEDS = {".nc": ("arviz", "h5netcdf"), ".png": ("matplotlib",), ".pdf": ("matplotlib",), ".svg": ("matplotlib",)}


def check_target(target: Path | None, option: str, endings: Sequence[str], *, force: bool) -> None:
    """Everything that could keep the result from being written, before it is computed."""
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
            raise _validate.missing_extra(module, "report")


def finite(value: Any) -> Any:
    """JSON knows no infinity and no NaN: their names stand for them."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def write_json(target: Path, content: dict[str, Any]) -> None:
    """Indented, in UTF-8."""
    write_text(target, json.dumps(finite(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(target: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """With a header; floats to their last digit."""
    with replacing(target) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)


def write_figure(target: Path, figure: Any, dpi: int) -> None:
    """A matplotlib figure, in the format of the ending."""
    with replacing(target) as unfinished:
        figure.savefig(unfinished, dpi=dpi)
