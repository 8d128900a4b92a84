"""Count tables from CSV, TSV, Parquet and npz files, with the names of their groups and categories."""

import csv
import itertools
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _validate
from hbm_fast._optional import import_optional
from hbm_fast.tables import npz

Layout = Literal["auto", "wide", "long", "frequency"]

_LONG = ("group", "category", "count")
_WEIGHTS = ("weight", "weights", "frequency", "freq")
_GROUPS = ("", "group", "groups", "sample", "samples", "name", "id", "bag")
_MAX_COUNT = 2**53
# A count table of more cells than this (1 GiB) must have one entry, or one byte of its file, for each 1,000 cells.
_MANY_CELLS = 2**27
_CHUNK = 2**16  # cells or rows between two checks for Ctrl-C


@dataclass(frozen=True, eq=False)
class CountTable:
    """Counts with the names of their groups and categories.

    Parameters
    ----------
    counts : int64 array (N, K)
    category_names : tuple of str (K,), or None if the file has no header
    group_names : tuple of str (N,), or None if the file does not name its groups
    weights : int64 array (N,), or None
        Frequency of each row, from a frequency table.

    Examples
    --------
    >>> import numpy as np
    >>> import hbm_fast as hbm
    >>> hbm.tables.CountTable(np.array([[3, 1]]), ("white", "black"))
    CountTable(1 groups x 2 categories)
    """

    counts: NDArray[np.int64]
    category_names: tuple[str, ...] | None = None
    group_names: tuple[str, ...] | None = None
    weights: NDArray[np.int64] | None = None

    def __repr__(self) -> str:
        n_groups, n_categories = self.counts.shape
        weighted = "" if self.weights is None else ", weighted"
        return f"CountTable({n_groups} groups x {n_categories} categories{weighted})"


@dataclass(frozen=True)
class _Column:
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
        return 2 * sum(not _is_number(cell) for cell in self.cells) > len(self.cells)

    def integers(self) -> NDArray[np.int64]:
        """Whole numbers from 0 to 2**53; raises for the first cell that is none."""
        if isinstance(self.cells, np.ndarray):
            if self.cells.dtype.kind not in "iu":
                self._complain()
                raise ValueError(
                    f"{self.file}, column {self.name!r}: counts must be integers; the column holds "
                    f"{type(self.cells[0]).__name__}: store it as int64"
                )
            numbers = self.cells
        else:
            numbers = np.empty(len(self.cells), np.int64)
            try:
                for start in range(0, len(self.cells), _CHUNK):
                    part = self.cells[start : start + _CHUNK]
                    joined = "".join(part)
                    if not joined.isascii() or "_" in joined:
                        raise ValueError
                    numbers[start : start + _CHUNK] = list(map(int, part))
            except (ValueError, OverflowError):
                self._complain()
                raise
        if len(numbers) and (numbers.min() < 0 or numbers.max() > _MAX_COUNT):
            self._complain()
        return numbers.astype(np.int64, copy=False)

    def _complain(self) -> None:
        for index, cell in enumerate(self.cells):
            _check_count(cell, self.where(index))

    def texts(self) -> list[str]:
        return [str(cell).strip() for cell in self.cells]


def read_counts(path: str | os.PathLike[str], *, layout: Layout = "auto") -> CountTable:
    """Read a table of counts.

    Parameters
    ----------
    path : path-like
        ``.csv``, ``.tsv``, ``.tab`` or ``.txt`` (separated by commas, semicolons or tabs, as the first line shows),
        ``.parquet``, or ``.npz`` with an array ``counts`` (N, K) and, optionally, ``group_names``, ``category_names``
        and ``weights``; ``.npy`` with the counts alone.
    layout : {"auto", "wide", "long", "frequency"}
        ``"wide"``: one group a row, one category a column; a first column of names (text, or headed ``group``,
        ``sample``, ``name``, ``id`` or nothing) names the groups. ``"long"``: columns ``group``, ``category``,
        ``count``; a pair that is not listed has count 0. ``"frequency"``: wide, with a column ``weight`` or
        ``frequency``, the number of groups with the counts of the row. ``"auto"`` decides by the names of the columns.

    Returns
    -------
    CountTable

    Raises
    ------
    OSError
        If the file cannot be read.
    TypeError, ValueError
        For an unknown ending or layout, a damaged file, repeated names, and a bad cell: the message names the file, the
        line or row, and the column. Counts are whole numbers from 0 to 2**53 in the digits 0 to 9. A long table of more
        than 2**27 cells must list one in 1,000 of them; headers that state more than the file can hold are refused
        before memory is asked for. Of an npz file only the four arrays are unpacked, and compared with its member
        ``checksum`` where `hbm-fast simulate` wrote one.
    ImportError
        For Parquet without pyarrow.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import hbm_fast as hbm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "bags.csv"
    ...     _ = file.write_text("bag,white,black\\nfirst,3,1\\nsecond,0,4\\n")
    ...     table = hbm.tables.read_counts(file)
    >>> table.category_names, table.group_names, table.counts.tolist()
    (('white', 'black'), ('first', 'second'), [[3, 1], [0, 4]])
    """
    file = Path(path)
    if layout not in ("auto", "wide", "long", "frequency"):
        raise ValueError(f"layout must be 'auto', 'wide', 'long' or 'frequency'; got {layout!r}")
    ending = file.suffix.lower()
    if ending in (".npz", ".npy"):
        return _from_numpy(file)
    if ending == ".parquet":
        columns, named = _parquet_columns(file), True
    elif ending in (".csv", ".tsv", ".tab", ".txt"):
        columns, named = _text_columns(file)
    else:
        raise ValueError(f"{file}: the ending must be .csv, .tsv, .tab, .txt, .parquet, .npz or .npy; got {ending!r}")
    if not columns or not len(columns[0].cells):
        raise ValueError(f"{file}: no rows")
    if layout == "auto":
        layout = _guess(columns)
    if layout == "long":
        return _long(columns, named)
    return _wide(columns, named, weighted=layout == "frequency")


def _check_count(cell: Any, where: str) -> None:
    """Raise if a cell of a file is not a count; ``where`` names the file, the line and the column."""
    text = str(cell).strip()
    if text in ("", "None", "nan"):
        raise ValueError(f"{where}: missing; write 0 for none")
    shown = text if len(text) <= 40 else f"{text[:40]}..."
    if not text.isascii() or "_" in text:  # int() accepts 1_000 and the digits of other scripts
        raise ValueError(f"{where}: counts must be whole numbers; got {shown!r}: write the digits 0 to 9 alone")
    try:
        number = int(text)
    except ValueError:
        raise ValueError(f"{where}: counts must be whole numbers; got {shown!r}") from None
    if number < 0:
        raise ValueError(f"{where}: counts must not be negative; got {shown}")
    if number >= 2**63:
        raise ValueError(f"{where}: the count {shown} is beyond 64 bits")
    if number > 2**53:
        raise ValueError(f"{where}: the count {shown} is beyond 2**53, from where on a float64 skips whole numbers")


def _guess(columns: list[_Column]) -> Layout:
    names = [c.name.strip().lower() for c in columns]
    if sorted(names) == sorted(_LONG):
        return "long"
    return "frequency" if any(name in _WEIGHTS for name in names) else "wide"


def _wide(columns: list[_Column], named: bool, *, weighted: bool) -> CountTable:
    file, weights = columns[0].file, None
    if weighted:
        found = [c for c in columns if c.name.strip().lower() in _WEIGHTS]
        if len(found) > 1:
            raise ValueError(f"{file}: more than one column of weights: {[c.name for c in found]}")
        weight_column = found[0] if found else columns[-1]
        weights = weight_column.integers()
        columns = [c for c in columns if c is not weight_column]
    group_names = None
    if columns and ((named and columns[0].name.strip().lower() in _GROUPS) or columns[0].is_text()):
        group_names = _unique(columns[0])
        columns = columns[1:]
    if len(columns) < 2:
        raise ValueError(f"{file}: a table needs two categories at least; found {[c.name for c in columns]}")
    names = _distinct([c.name.strip() for c in columns], f"{file}: two columns are named") if named else None
    counts = np.column_stack([c.integers() for c in columns])
    return CountTable(counts, names, group_names, weights)


def _long(columns: list[_Column], named: bool) -> CountTable:
    file = columns[0].file
    by_name = {c.name.strip().lower(): c for c in columns}
    if named and len(by_name) < len(columns):
        _distinct([c.name.strip().lower() for c in columns], f"{file}: two columns are named")
    if not named and len(columns) == 3:
        by_name = dict(zip(_LONG, columns, strict=True))
    missing = [name for name in _LONG if name not in by_name]
    if missing:
        raise ValueError(f"{file}: the long form needs columns {', '.join(_LONG)}; missing {', '.join(missing)}")
    group, category = by_name["group"].texts(), by_name["category"].texts()
    values = by_name["count"].integers()
    groups = {name: index for index, name in enumerate(dict.fromkeys(group))}
    categories = {name: index for index, name in enumerate(dict.fromkeys(category))}
    row = np.fromiter((groups[name] for name in group), np.int64, len(group))
    column = np.fromiter((categories[name] for name in category), np.int64, len(category))
    cell = row * len(categories) + column
    _, first = np.unique(cell, return_index=True)
    if len(first) < len(cell):
        again = int(np.setdiff1d(np.arange(len(cell)), first)[0])
        raise ValueError(
            f"{by_name['count'].where(again)}: group {group[again]!r} has category {category[again]!r} twice; "
            "add such rows up first"
        )
    if len(categories) < 2:
        raise ValueError(f"{file}: a table needs two categories at least; found {list(categories)}")
    n_cells = len(groups) * len(categories)
    too_large = (
        f"{file}: {len(group)} rows name {len(groups)} groups and {len(categories)} categories, a table of {n_cells} "
        f"counts ({8 * n_cells / 2**30:.1f} GiB)"
    )
    if n_cells > max(_MANY_CELLS, 1000 * len(group)):
        raise ValueError(f"{too_large}, of which nearly all would be 0; check the columns group and category")
    try:
        counts = np.zeros((len(groups), len(categories)), dtype=np.int64)
    except MemoryError:
        raise ValueError(f"{too_large}, which does not fit in memory") from None
    counts[row, column] = values
    return CountTable(counts, tuple(categories), tuple(groups))


def _unique(column: _Column) -> tuple[str, ...]:
    names = column.texts()
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        if name in seen:
            first = column.lines[seen[name]]
            raise ValueError(f"{column.where(index)}: the group {name!r} stands on {column.unit} {first} already")
        seen[name] = index
    return tuple(names)


def _distinct(names: Iterable[str], message: str) -> tuple[str, ...]:
    seen: dict[str, None] = {}
    for name in names:
        if name in seen:
            raise ValueError(f"{message} {name!r}")
        seen[name] = None
    return tuple(seen)


def _text_columns(file: Path) -> tuple[list[_Column], bool]:
    """The columns, and whether the file has a header: a first line with cells that are no numbers."""
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = None
        try:
            first = stream.readline()
            reader = csv.reader(itertools.chain([first], stream), delimiter=max(",;\t", key=first.count))
            lines = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
        except (csv.Error, UnicodeDecodeError) as error:
            number = reader.line_num + 1 if reader else 1
            raise ValueError(f"{file}, line {number}: not a readable text table ({error})") from None
    if not lines:
        raise ValueError(f"{file}: the file is empty")
    named = _has_header(lines[0][1], f"{file}, line {lines[0][0]}")
    width = len(lines[0][1])
    header = lines[0][1] if named else [f"column {k + 1}" for k in range(width)]
    body = lines[1:] if named else lines
    for number, row in body:
        if len(row) != width:
            raise ValueError(f"{file}, line {number}: {len(row)} fields where the first line has {width}")
    numbers = [number for number, _ in body]
    cells: list[list[str]] = [[] for _ in range(width)]
    for start in range(0, len(body), _CHUNK):
        rows = [row for _, row in body[start : start + _CHUNK]]
        for column, part in zip(cells, zip(*rows, strict=True), strict=True):
            column.extend(part)
    pairs = zip(header, cells, strict=True)
    return [_Column(name, column, numbers, str(file), "line") for name, column in pairs], named


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _has_header(first: list[str], where: str) -> bool:
    if all(map(_is_number, first)):
        if len(first) > 2 and first == [str(k) for k in range(len(first))]:
            raise ValueError(f"{where}: 0, 1, 2, ... may be counts or a header; give the columns names")
        return False
    if all(map(_is_number, first[1:])) and first[0].strip().lower() not in _GROUPS:
        raise ValueError(f"{where}: {first[0]!r} and numbers look like a row without a header; give the columns names")
    return True


def _parquet_columns(file: Path) -> list[_Column]:
    pyarrow, parquet = import_optional("pyarrow", "report"), import_optional("pyarrow.parquet", "report")
    size = file.stat().st_size
    with file.open("rb"):  # raises the error of the system, such as for a folder of that name
        pass
    try:
        with parquet.ParquetFile(file, page_checksum_verification=True) as stored:
            n_rows, n_columns = stored.metadata.num_rows, stored.metadata.num_columns
            if n_rows * n_columns > max(_MANY_CELLS, 1000 * size):
                raise ValueError(f"it states {n_rows} rows of {n_columns} columns, and has {size} bytes")
            batches = list(stored.iter_batches(_CHUNK))  # by batches for Ctrl-C
            table = pyarrow.Table.from_batches(batches, stored.schema_arrow)
            table.validate(full=True)
        names, columns = table.column_names, [column.to_numpy() for column in table.columns]
    except (pyarrow.ArrowException, OSError, ValueError, TypeError, LookupError, OverflowError) as error:
        raise ValueError(f"{file}: not a readable Parquet file, or damaged ({error})") from error
    rows = range(1, table.num_rows + 1)
    for name, column in zip(names, table.columns, strict=True):
        if column.null_count:
            index = int(np.argmax(column.is_null().to_numpy()))
            raise ValueError(f"{file}, row {index + 1}, column {name!r}: missing; write 0 for none")
    return [_Column(name, cells, rows, str(file), "row") for name, cells in zip(names, columns, strict=True)]


def _from_numpy(file: Path) -> CountTable:
    with file.open("rb") as stream:
        single = stream.read(len(npz.MAGIC)) == npz.MAGIC
    if single:
        arrays = {"counts": npz.read_npy(file)}
    else:
        arrays = npz.read(file, ("counts", "weights", "category_names", "group_names"))
    if "counts" not in arrays:
        raise ValueError(f"{file}: no array named 'counts'; found {', '.join(npz.names_of(file)) or 'nothing'}")
    try:
        return _table_of(arrays)
    except TypeError as error:
        raise TypeError(f"{file}: {error}") from None
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def _table_of(arrays: dict[str, NDArray[Any]]) -> CountTable:
    counts = _bounded(_validate.counts(arrays["counts"]), "counts")
    n_groups, n_categories = counts.shape
    if n_groups < 1:
        raise ValueError("no rows")
    if n_categories < 2:
        raise ValueError(f"a table needs two categories at least; counts has shape {counts.shape}")
    weights = arrays.get("weights")
    if weights is not None:
        if weights.dtype.kind not in "iu":
            raise TypeError(f"weights must be integers; got dtype {weights.dtype}")
        if weights.shape != (n_groups,):
            raise ValueError(f"weights must have shape ({n_groups},), one for each row of counts; got {weights.shape}")
        _validate.no_negative(weights, "weights")
        weights = _bounded(weights, "weights")
    return CountTable(
        counts,
        _names_of(arrays, "category_names", n_categories),
        _names_of(arrays, "group_names", n_groups),
        weights,
    )


def _bounded(values: NDArray[Any], name: str) -> NDArray[np.int64]:
    """The array as int64; raises for a value above 2**53, since uint64 would wrap."""
    if values.size and values.max() > _MAX_COUNT:
        place = np.unravel_index(int(np.argmax(values > _MAX_COUNT)), values.shape)
        raise ValueError(
            f"{name}[{', '.join(map(str, place))}] = {values[place]} is beyond 2**53, from where on a float64 skips "
            "whole numbers"
        )
    return values.astype(np.int64, copy=False)


def _names_of(arrays: dict[str, NDArray[Any]], name: str, n: int) -> tuple[str, ...] | None:
    array = arrays.get(name)
    if array is None:
        return None
    if array.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},); got {array.shape}")
    if array.dtype.kind == "S":
        array = np.strings.decode(array, "utf-8")
    return _distinct((str(item).strip() for item in array), f"{name} holds twice")


__all__ = ["CountTable", "read_counts"]
