"""The columns of CSV and TSV files: with comments, compressed, or from standard input."""

import csv
import gzip
import io
import itertools
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from hbm_fast.tables.columns import CHUNK, Column, Columns, is_number
from hbm_fast.tables.roles import names_categories, names_groups, names_rows

STDIN = "standard input"
_HEAD = 20  # lines that show the delimiter


def read(path: Path | None) -> Columns:
    """The columns of a text file, or (None) of standard input.

    A line that begins with # is a comment, except that one before the first row may be the header, as in tables that
    QIIME and BIOM write.
    """
    file = STDIN if path is None else str(path)
    with _opened(path) as stream:
        lines = _Lines(stream)
        rows: list[tuple[int, list[str]]] = []
        try:
            head = lines.head()
            body = iter(lines)
            first = next(body, "")
            header = _header_in_comments(lines.comments, head)
            delimiter = _delimiter(head if header is None else [header, *head])
            for row in csv.reader(itertools.chain([first], body), delimiter=delimiter):
                if any(cell.strip() for cell in row):
                    rows.append((lines.number, row))
                lines.row_begins = True
        except (csv.Error, UnicodeDecodeError, gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise ValueError(f"{file}, line {lines.number + 1}: not a readable text table ({error})") from None
    if not rows:
        raise ValueError(f"{file}: the file is empty")
    if header is not None:
        lines.comments.pop(lines.comments.index(header))
        rows.insert(0, (0, next(csv.reader([header], delimiter=delimiter))))
    named = header is not None or _has_header(rows[0][1], f"{file}, line {rows[0][0]}")
    names = rows.pop(0)[1] if named else [f"column {k + 1}" for k in range(len(rows[0][1]))]
    if named and rows and len(rows[0][1]) == len(names) + 1:
        names.insert(0, "")  # as R writes row names
    _check(file, rows, lines, len(names), delimiter)
    cells: list[list[str]] = [[] for _ in names]
    for start in range(0, len(rows), CHUNK):
        for column, part in zip(cells, zip(*(row for _, row in rows[start : start + CHUNK]), strict=True), strict=True):
            column.extend(part)
    numbers = [number for number, _ in rows]
    columns = [Column(name, column, numbers, file, "line") for name, column in zip(names, cells, strict=True)]
    return Columns(file, columns, named)


class _Lines:
    """The lines of a table, without those that begin with # where a row begins."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = iter(stream)
        self._ahead: list[str] = []
        self.number = 0
        self.row_begins = True  # set again after each row: a quoted cell may go on over several lines
        self.comments: list[str] = []

    def head(self) -> list[str]:
        """The first lines that are no comments, which are read ahead."""
        found: list[str] = []
        while len(found) < _HEAD and (line := next(self._stream, None)) is not None:
            self._ahead.append(line)
            self.number = len(self._ahead)  # for the message, where the next line cannot be read
            if not line.startswith("#"):
                found.append(line)
        self.number = 0
        return found

    def __iter__(self) -> Iterator[str]:
        for line in itertools.chain(self._ahead, self._stream):
            self.number += 1
            if self.row_begins and line.startswith("#"):
                self.comments.append(line)
            else:
                self.row_begins = False
                yield line


@contextmanager
def _opened(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        source = getattr(sys.stdin, "buffer", None)
        yield sys.stdin if source is None else io.TextIOWrapper(io.BytesIO(source.read()), "utf-8-sig", newline="")
        return
    with path.open("rb") as stored:
        stream = gzip.GzipFile(fileobj=stored) if path.suffix.lower() == ".gz" else stored
        yield io.TextIOWrapper(stream, "utf-8-sig", newline="")


def _delimiter(lines: Sequence[str]) -> str:
    """The delimiter by which most rows have as many fields as the first line, or one more, as R writes row names.

    It is not the most frequent one: lineages such as ``k__Bacteria; f__Rikenellaceae`` have delimiters of their own.
    """

    def score(delimiter: str) -> tuple[int, int]:
        try:
            first, *widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if any(map(str.strip, row))]
        except (csv.Error, ValueError):  # a line that is one field, too long for csv; no line
            return 0, 0
        alike = max(widths.count(first) if first > 1 else 0, widths.count(first + 1))
        return alike, first

    return max(",;\t", key=score)


def _header_in_comments(comments: list[str], head: list[str]) -> str | None:
    """The comment before the first row that has the names of the columns, if one has.

    Either its first name is a word for rows, as in ``#OTU ID`` and ``#SampleID``, or it is the last comment and the
    first row has a name and numbers.
    """
    for line in reversed(comments):
        delimiter = _delimiter([line, *head])
        names, row = (next(csv.reader([text], delimiter=delimiter)) for text in (line, *(head[:1] or ["\n"])))
        if len(names) < 2 or len(names) != len(row):
            continue
        word = names[0].removeprefix("#")
        if names_rows(word) or names_categories(word) or names_groups(word):
            return line
        numbers = [all(map(is_number, cells[1:])) for cells in (names, row)]
        if line is comments[-1] and not is_number(row[0]) and numbers == [False, True]:
            return line
    return None


def _check(file: str, rows: list[tuple[int, list[str]]], lines: _Lines, width: int, delimiter: str) -> None:
    """Raise for a row of another length, and for a comment that may be a row."""
    for number, row in rows:
        if len(row) != width:
            raise ValueError(f"{file}, line {number}: {len(row)} fields where the first line has {width}")
    for line in lines.comments:
        fields = line.rstrip("\r\n").split(delimiter)
        if len(fields) == width > 1 and all(map(is_number, fields[1:])):
            raise ValueError(
                f"{file}: {line[:40].strip()!r} may be a comment or a row; quote a name that begins with #, or take "
                "the line out"
            )


def _has_header(first: list[str], where: str) -> bool:
    if all(map(is_number, first)):
        if len(first) > 2 and first == [str(k) for k in range(len(first))]:
            raise ValueError(f"{where}: 0, 1, 2, ... may be counts or a header; give the columns names")
        return False
    if len(first) == 1:
        raise ValueError(f"{where}: {first[0]!r} has no comma, semicolon or tab, by which the fields must be separated")
    if all(map(is_number, first[1:])) and not names_rows(first[0]):
        raise ValueError(f"{where}: {first[0]!r} and numbers look like a row without a header; give the columns names")
    return True
