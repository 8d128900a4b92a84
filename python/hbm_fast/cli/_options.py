"""Options that several commands share, and the check of a file to write before anything is computed."""

from collections.abc import Sequence
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from hbm_fast._optional import missing_extra


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
            raise missing_extra(module, "report")
