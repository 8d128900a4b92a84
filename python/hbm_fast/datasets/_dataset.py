"""The class that every loader returns, and the reader of the packaged files."""

import csv
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from hbm_fast.tables.table import Table

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Dataset(Table):
    """A small real count table, which every function that takes counts takes.

    Parameters
    ----------
    counts : int64 array (N, K)
        One group a row.
    group_names : tuple of str (N,)
    category_names : tuple of str (K,)
    source : str
        Who collected it, and the source of the copy.
    licence : str
    description : str
        The meaning of a row, a column and a count.
    weights : int64 array (N,), optional
        Frequency of each row, of a frequency table.
    labels : tuple of str (N,), optional
        A label of each group.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.datasets.load_pollen()
    Dataset(pollen: 73 groups x 4 categories)
    """

    name: str
    counts: Integers
    group_names: tuple[str, ...]
    category_names: tuple[str, ...]
    source: str
    licence: str
    description: str
    weights: Integers | None = None
    labels: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        n_groups, n_categories = self.counts.shape
        return f"Dataset({self.name}: {n_groups} groups x {n_categories} categories)"


def read_rows(name: str) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a packaged file."""
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    header, *rows = csv.reader(text.splitlines())
    return header, rows


def integers(rows: list[list[str]], first: int = 0) -> Integers:
    """The columns from ``first`` on, as (N, K)."""
    return np.array([row[first:] for row in rows], dtype=np.int64)
