"""CountTable: counts with the names of their groups and categories."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _display

_ROWS, _COLUMNS = 6, 8  # of the HTML representation


class Table:
    """What `CountTable` and `hbm_fast.datasets.Dataset` share: counts (N, K), names, weights, labels."""

    counts: NDArray[np.int64]
    category_names: tuple[str, ...] | None
    group_names: tuple[str, ...] | None
    weights: NDArray[np.int64] | None
    labels: tuple[str, ...] | None
    transposed: bool = False

    def by_label(self) -> "dict[str, CountTable]":
        """One table for each label, to compare the groups of one label with those of another.

        Returns
        -------
        dict of CountTable
            In the order in which the labels occur.

        Raises
        ------
        ValueError
            Where the table has no labels.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> hbm.datasets.load_twins().by_label()["Lean"]
        CountTable(61 groups x 130 categories, labelled)
        """
        if self.labels is None:
            raise ValueError("the table has no labels: read it with labels=COLUMN, or replace(table, labels=...)")
        rows: dict[str, list[int]] = {}
        for n, label in enumerate(self.labels):
            rows.setdefault(label, []).append(n)
        return {label: self._of_rows(chosen) for label, chosen in rows.items()}

    def _of_rows(self, rows: list[int]) -> "CountTable":
        def chosen(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
            return None if names is None else tuple(names[n] for n in rows)

        weights = None if self.weights is None else self.weights[rows]
        return CountTable(
            self.counts[rows],
            self.category_names,
            chosen(self.group_names),
            weights,
            chosen(self.labels),
            self.transposed,
        )

    def _repr_html_(self) -> str:
        rows, columns = self.counts[:_ROWS, :_COLUMNS].shape
        categories = (self.category_names or range(columns))[:columns]
        groups = (self.group_names or range(rows))[:rows]
        more = ["..."] if self.counts.shape[1] > columns else []
        shown = self.counts[:rows, :columns].tolist()
        lines = [[name, *counts, *more] for name, counts in zip(groups, shown, strict=True)]
        if self.counts.shape[0] > rows:
            lines.append(["...", *["..."] * columns, *more])
        return _display.table(repr(self), ["", *categories, *more], lines)


@dataclass(frozen=True, eq=False)
class CountTable(Table):
    """Counts with the names of their groups and categories.

    Every function that takes counts takes a table: its names go into the result, its weights are used.

    Parameters
    ----------
    counts : int64 array (N, K)
    category_names : tuple of str (K,), or None if the file has no header
    group_names : tuple of str (N,), or None if the file does not name its groups
    weights : int64 array (N,), or None
        Frequency of each row, from a frequency table.
    labels : tuple of str (N,), or None
        A label of each group, such as its condition.
    transposed : bool
        Whether the file had a category in each row.

    Examples
    --------
    >>> import numpy as np
    >>> import hbm_fast as hbm
    >>> table = hbm.tables.CountTable(np.array([[3, 1]]), ("white", "black"))
    >>> table
    CountTable(1 groups x 2 categories)
    >>> hbm.fit(table).category_names
    ('white', 'black')
    """

    counts: NDArray[np.int64]
    category_names: tuple[str, ...] | None = None
    group_names: tuple[str, ...] | None = None
    weights: NDArray[np.int64] | None = None
    labels: tuple[str, ...] | None = None
    transposed: bool = False

    def __repr__(self) -> str:
        n_groups, n_categories = self.counts.shape
        given = {"weighted: each row is as many groups as its weight": self.weights is not None}
        given["labelled"] = self.labels is not None
        given["transposed: the file has a category in each row"] = self.transposed
        return ", ".join([f"CountTable({n_groups} groups x {n_categories} categories", *filter(given.get, given)]) + ")"
