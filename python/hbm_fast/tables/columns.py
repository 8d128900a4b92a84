"""The columns of a file, their names and their counts; a message names the file, the line and the column."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _validate
from hbm_fast.tables import names

CHUNK = 2**16  # cells or rows between two checks for Ctrl-C
# A table of more cells than this (1 GiB) must have one entry, or one byte of its file, for each 1,000 cells.
MANY_CELLS = 2**27


_MISSING = ("", "None", "nan", "NaN", "NA")


@dataclass(frozen=True, eq=False)
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
        text = str(self.cells[index]).strip()
        try:
            number = Decimal(text)
        except InvalidOperation:
            number = Decimal("nan")
        if text.isascii() and "_" not in text and number.is_finite():
            if number == int(number) and 0 <= number <= _validate.MAX_COUNT:
                return int(number)
        elif self.is_text() and (word := self._word()):
            raise ValueError(
                f"{self.file}, column {self.name!r}: counts must be whole numbers, and the column holds text; got "
                f"{_short(word)!r}. To leave it out: drop=[{self.name!r}]; as labels of groups: labels={self.name!r}"
            )
        raise ValueError(f"{self.where(index)}: {_refusal(text, number)}")

    def _word(self) -> str:
        """The first cell that is neither missing nor a number."""
        return next((cell for cell in self.texts() if cell not in _MISSING and not is_number(cell)), "")

    def texts(self) -> list[str]:
        """The cells as text, "" where one is missing."""
        return names.texts(self.cells) if isinstance(self.cells, np.ndarray) else [cell.strip() for cell in self.cells]

    def given(self, what: str) -> list[str]:
        """The cells as text; raises for the first that is missing, where each row needs one."""
        found = self.texts()
        if "" in found:
            raise ValueError(f"{self.where(found.index(''))}: missing; each row needs {what}")
        return found

    def unique(self) -> tuple[str, ...]:
        """The cells as different names."""
        found = self.given("a name")
        seen: dict[str, int] = {}
        for index, name in enumerate(found):
            if name in seen:
                first = f"{self.unit} {self.lines[seen[name]]}"
                raise ValueError(
                    f"{self.where(index)}: the name {name!r} stands on {first} already. For a row of each group and "
                    f"category: layout='long'; for labels of groups: labels={self.name!r}"
                )
            seen[name] = index
        return tuple(found)


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}..."


def _refusal(text: str, number: Decimal) -> str:
    """Why a cell is no count."""
    shown = _short(text)
    if text in _MISSING:
        return "missing; write 0 for none"
    if not text.isascii() or "_" in text:
        return f"counts must be whole numbers; got {shown!r}: write the digits 0 to 9 alone"
    if number.is_finite() and number < 0:
        return f"counts must not be negative; got {shown}"
    if number.is_finite() and number >= 2**63:
        return f"the count {shown} is beyond 64 bits"
    if number.is_finite() and number > _validate.MAX_COUNT:
        return f"the count {shown} is beyond 2**53, from where on a float64 skips whole numbers"
    return f"counts must be whole numbers; got {shown!r}"


@dataclass(frozen=True)
class Columns:
    """The columns of a file, whether it names them, and whether the first is known to hold the names of the rows."""

    file: str
    columns: list[Column]
    named: bool = True
    indexed: bool = False

    def without(self, names: Iterable[str], argument: str) -> "Columns":
        """The other columns; raises for a name that no column has, and for one that stands twice."""
        left = list(self.columns)
        for name in names:
            column = self.find(name, argument)
            if column not in left:
                raise ValueError(f"{self.file}: {argument} names column {name!r} a second time")
            left.remove(column)
        return Columns(self.file, left, self.named, self.indexed and left[:1] == self.columns[:1])

    def find(self, name: str, argument: str) -> Column:
        """The column of a name."""
        found = [column for column in self.columns if name in (column.name, column.name.strip())]
        if not found:
            known = ", ".join(repr(column.name) for column in self.columns[:8])
            more = ", ..." if len(self.columns) > 8 else ""
            raise ValueError(f"{self.file}: {argument} must name columns; got {name!r}, and there are {known}{more}")
        return found[0]


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
