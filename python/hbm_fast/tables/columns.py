"""The columns of a file, their names and their counts; a message names the file, the line and the column."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _validate

CHUNK = 2**16  # cells or rows between two checks for Ctrl-C
# A table of more cells than this (1 GiB) must have one entry, or one byte of its file, for each 1,000 cells.
MANY_CELLS = 2**27

_ID = r"([ _.-]?(id|name|label)s?)"
_GROUP = r"group|sample|bag|subject|participant|patient|person|individual|donor|cell|barcode|document|speaker|child"
_CATEGORY = r"z?otu|asv|taxon|taxa|taxonomy|lineage|feature|gene|transcript|category|categorie"
_GROUP_WORD = re.compile(rf"#?\s*({_GROUP})s?{_ID}?", re.IGNORECASE)
_CATEGORY_WORD = re.compile(rf"#?\s*({_CATEGORY})s?{_ID}?", re.IGNORECASE)
_ID_WORD = re.compile(rf"#.*|({_GROUP}|{_CATEGORY})s?{_ID}|groups?|samples?|bag|name|id|", re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """One column of a file: its cells as text or as an array, and the position of each."""

    name: str
    cells: Sequence[str] | NDArray[Any]
    lines: Sequence[int]
    file: str
    unit: str  # "line" of a text file, "row" of a binary one

    def where(self, index: int) -> str:
        return f"{self.file}, {self.unit} {self.lines[index]}, column {self.name!r}"

    def is_text(self) -> bool:
        """Whether the column holds names: most cells are no numbers. Otherwise a cell that is none is an error."""
        if isinstance(self.cells, np.ndarray):
            return self.cells.dtype.kind not in "iuf"
        return 2 * sum(not is_number(cell) for cell in self.cells) > len(self.cells)

    def integers(self) -> NDArray[np.int64]:
        """Whole numbers from 0 to 2**53; raises for the first cell that is none."""
        cells = self.cells
        if not isinstance(cells, np.ndarray):
            numbers = np.empty(len(cells), np.int64)
            for start in range(0, len(cells), CHUNK):
                numbers[start : start + CHUNK] = self._numbers(start, cells[start : start + CHUNK])
            return numbers
        if cells.dtype.kind not in "iuf":
            for index in range(len(cells)):
                self._count(index)
            kind = type(cells[0]).__name__
            raise ValueError(f"{self.file}, column {self.name!r}: counts must be integers; got {kind}: store as int64")
        bad = ~((cells >= 0) & (cells <= _validate.MAX_COUNT))
        if cells.dtype.kind == "f":
            bad |= cells != np.floor(cells)
        if bad.any():
            self._count(int(np.argmax(bad)))
        return cells.astype(np.int64, copy=False)

    def _numbers(self, start: int, part: Sequence[str]) -> list[int]:
        joined = "".join(part)
        if joined.isascii() and "_" not in joined:  # int() accepts 1_000 and the digits of other scripts
            try:
                numbers = list(map(int, part))
                if min(numbers) >= 0 and max(numbers) <= _validate.MAX_COUNT:
                    return numbers
            except ValueError:
                pass
        return [self._count(start + i) for i in range(len(part))]

    def _count(self, index: int) -> int:
        """The count in a cell, written as an integer or as a whole float; raises if it is none."""
        where, text = self.where(index), str(self.cells[index]).strip()
        if text in ("", "None", "nan", "NaN", "NA"):
            raise ValueError(f"{where}: missing; write 0 for none")
        shown = text if len(text) <= 40 else f"{text[:40]}..."
        if not text.isascii() or "_" in text:
            raise ValueError(f"{where}: counts must be whole numbers; got {shown!r}: write the digits 0 to 9 alone")
        try:
            number = Decimal(text)
        except InvalidOperation:
            hint = ""
            if self.is_text():
                hint = f". To leave the column out: drop=[{self.name!r}]; as labels of the groups: labels={self.name!r}"
            raise ValueError(f"{where}: counts must be whole numbers; got {shown!r}{hint}") from None
        if not number.is_finite():
            raise ValueError(f"{where}: counts must be whole numbers; got {shown!r}")
        if number < 0:
            raise ValueError(f"{where}: counts must not be negative; got {shown}")
        if number >= 2**63:
            raise ValueError(f"{where}: the count {shown} is beyond 64 bits")
        if number > _validate.MAX_COUNT:
            raise ValueError(f"{where}: the count {shown} is beyond 2**53, from where on a float64 skips whole numbers")
        if number != int(number):
            raise ValueError(f"{where}: counts must be whole numbers; got {shown!r}")
        return int(number)

    def texts(self) -> list[str]:
        return [str(cell).strip() for cell in self.cells]

    def unique(self) -> tuple[str, ...]:
        """The cells as different names."""
        names = self.texts()
        seen: dict[str, int] = {}
        for index, name in enumerate(names):
            if name in seen:
                first = self.lines[seen[name]]
                raise ValueError(f"{self.where(index)}: the name {name!r} stands on {self.unit} {first} already")
            seen[name] = index
        return tuple(names)


@dataclass(frozen=True)
class Columns:
    """The columns of a file, whether it names them, and whether the first is known to hold the names of the rows."""

    file: str
    columns: list[Column]
    named: bool = True
    indexed: bool = False

    def without(self, names: Iterable[str], argument: str) -> "Columns":
        """The other columns; raises for a name that no column has."""
        left = list(self.columns)
        for name in names:
            left.remove(self.find(name, argument))
        return Columns(self.file, left, self.named, self.indexed and left[:1] == self.columns[:1])

    def find(self, name: str, argument: str) -> Column:
        """The column of a name."""
        found = [column for column in self.columns if name in (column.name, column.name.strip())]
        if not found:
            known = ", ".join(repr(column.name) for column in self.columns[:8])
            more = ", ..." if len(self.columns) > 8 else ""
            raise ValueError(f"{self.file}: {argument} must name columns; got {name!r}, and there are {known}{more}")
        return found[0]


def names_groups(header: str) -> bool:
    """Whether the header of a column says that it names groups."""
    return _GROUP_WORD.fullmatch(header.strip()) is not None


def names_categories(header: str) -> bool:
    """Whether the header of a column says that it names categories."""
    return _CATEGORY_WORD.fullmatch(header.strip()) is not None


def names_rows(header: str) -> bool:
    """Whether a column of this header holds names even where they are numbers."""
    return _ID_WORD.fullmatch(header.strip()) is not None


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def distinct(names: Iterable[str], message: str) -> tuple[str, ...]:
    """The names; raises with the message and the first that occurs twice."""
    seen: dict[str, None] = {}
    for name in names:
        if name in seen:
            raise ValueError(f"{message} {name!r}")
        seen[name] = None
    return tuple(seen)
