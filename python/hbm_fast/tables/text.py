"""The columns of CSV and TSV files: with comments, compressed, or from standard input."""

import csv
import gzip
import io
import itertools
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from hbm_fast.tables.columns import CHUNK, Column, Columns, is_number, names_categories, names_groups, names_rows

STDIN = "standard input"


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
            body = iter(lines)
            first = next(body, "")
            header = _header_in_comments(lines.comments, first)
            delimiter = _delimiter(header or first)
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
        self._stream = stream
        self.number = 0
        self.row_begins = True  # set again after each row: a quoted cell may go on over several lines
        self.comments: list[str] = []

    def __iter__(self) -> Iterator[str]:
        for line in self._stream:
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


def _delimiter(line: str) -> str:
    return max(",;\t", key=line.count)


def _header_in_comments(comments: list[str], first: str) -> str | None:
    """The comment before the first row that has the names of the columns, if one has.

    Either its first name is a word for rows, as in ``#OTU ID`` and ``#SampleID``, or it is the last comment and the
    first row has a name and numbers.
    """
    for line in reversed(comments):
        names, row = (next(csv.reader([text], delimiter=_delimiter(line))) for text in (line, first or "\n"))
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
    if all(map(is_number, first[1:])) and not names_rows(first[0]):
        raise ValueError(f"{where}: {first[0]!r} and numbers look like a row without a header; give the columns names")
    return True
