"""The table of a command: the file, its orientation, the columns left out, and the tables of its labels."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from hbm_fast.cli import options
from hbm_fast.tables import CountTable, read_counts, read_labels


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
    messages += [text for text in dict.fromkeys(str(w.message) for w in caught) if text not in messages]


def read(
    data: Path,
    layout: options.Format,
    transpose: bool | None,
    drop: list[str] | None,
    metadata: Path | None,
    by: str | None,
) -> Source:
    """Read the table, and split its groups by their labels where ``--by`` names a column."""
    if metadata is not None and by is None:
        raise ValueError("--metadata needs --by: the column of that file whose labels split the groups")
    messages: list[str] = []
    with collected(messages):
        table = read_counts(
            str(data),
            layout=layout.value,
            transpose="auto" if transpose is None else transpose,
            drop=tuple(drop or ()),
            labels=by if metadata is None else None,
        )
        if by is not None and metadata is not None:
            if table.group_names is None:
                raise ValueError(f"--metadata needs a table whose groups have names; those of {data} have none")
            table = replace(table, labels=read_labels(metadata, by, table.group_names))
    parts: dict[str | None, CountTable] = {None: table} if by is None else {**table.by_label()}
    return Source("stdin" if str(data) == "-" else data.name, table, by, parts, tuple(messages))
