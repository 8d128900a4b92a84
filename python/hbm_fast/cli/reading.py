"""The table of a command: the file, its orientation, the columns left out, and the tables of its labels."""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from hbm_fast._progress import progress
from hbm_fast.cli import options
from hbm_fast.tables import CountTable, read_counts, read_labels

# What messages say, and the option that says the same.
_OPTIONS = {
    r"transpose=True": "--transpose",
    r"transpose=False": "--no-transpose",
    r"drop=\[?'([^']*)'\]?": r"--drop '\1'",
    r"labels='([^']*)'": r"--by '\1'",
    r"\b(labels|column) must name": "--by must name",
    r"\bdrop must name": "--drop must name",
    r"pass layer=,": "pass --layer,",
    r"\blayer must be": "--layer must be",
    r"\blayer is for (.*)layer='([^']*)'": r"--layer is for \1--layer '\2'",
    r"layout='(\w+)'": r"--layout \1",
    r"hbm_fast\.sample\b": "hbm-fast sample",
    r"HierarchicalModel\.for_table\(counts\)": "hbm-fast sample --for-table",
}


Given = TypeVar("Given")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Source:
    """What a command reads.

    ``parts`` has the table of each label of ``column``, or the whole table as that of None; ``messages`` are the
    warnings of the reading.
    """

    name: str
    table: CountTable
    column: str | None
    parts: dict[str | None, CountTable]
    messages: tuple[str, ...]


@contextmanager
def collected(messages: list[str]) -> Iterator[None]:
    """Warnings of the package are added to the messages, each once, instead of written with file and line."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    messages += [text for text in dict.fromkeys(_as_options(str(w.message)) for w in caught) if text not in messages]


def read(
    data: Path,
    layout: options.Format,
    transpose: bool | None,
    drop: list[str] | None,
    metadata: Path | None,
    by: str | None,
    layer: str | None,
) -> Source:
    """Read the table, and split its groups by their labels where ``--by`` names a column."""
    if metadata is not None and by is None:
        raise ValueError("--metadata needs --by: the column of that file whose labels split the groups")
    messages: list[str] = []
    with collected(messages), options_named(), options.file_of("DATA"):
        table = read_counts(
            str(data),
            layout=layout.value,
            transpose="auto" if transpose is None else transpose,
            drop=tuple(drop or ()),
            labels=by if metadata is None else None,
            layer=layer,
        )
    if by is not None and metadata is not None:
        with collected(messages), options_named(), options.file_of("--metadata"):
            table = replace(table, labels=read_labels(metadata, by, table.group_names))
    parts: dict[str | None, CountTable] = {None: table} if by is None else dict(table.by_label().items())
    name = "stdin" if str(data) == "-" else data.name
    return Source(name, table, by, parts, tuple(messages))


def of_each_label(
    name: str,
    given: Mapping[str | None, Given],
    answer: Callable[[Given], Answer],
    note: Callable[[Answer], str],
    *,
    quiet: bool,
) -> Iterator[tuple[str | None, Answer, list[str]]]:
    """The answer for each label with its warnings, under a line of progress; Ctrl-C ends them after the first."""
    with progress(name, len(given), "tables", shown=not quiet, after=1.0) as update:
        update(0)
        for i, (label, table) in enumerate(given.items()):
            messages: list[str] = []
            try:
                with collected(messages):
                    found = answer(table)
            except KeyboardInterrupt:
                if i == 0:
                    raise
                return
            update(i + 1, note(found))
            yield label, found, messages


@contextmanager
def options_named() -> Iterator[None]:
    """Errors name the options of the command line in the place of the arguments of read_counts."""
    try:
        yield
    except ValueError as error:
        raise ValueError(_as_options(str(error))) from error


def _as_options(text: str) -> str:
    for pattern, option in _OPTIONS.items():
        text = re.sub(pattern, option, text)
    return text
