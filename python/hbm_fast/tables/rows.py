"""Counts as compressed sparse rows, dense tables too: what depends on the positive counts alone takes no others."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _core, _validate
from hbm_fast._typing import CountsLike, Floats
from hbm_fast.tables.inputs import as_counts


@dataclass(frozen=True)
class Rows:
    """Compressed sparse rows of counts: values, columns, offsets, and shape (N, K)."""

    values: NDArray[np.int64]
    columns: NDArray[np.int64]
    offsets: NDArray[np.int64]
    shape: tuple[int, int]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(_validate.native_state(state))

    @classmethod
    def of(cls, counts: CountsLike) -> "Rows":
        """Rows of checked counts (N, K), of any kind that `hbm_fast.tables.as_counts` takes."""
        counts = as_counts(counts).counts
        if _validate.is_sparse(counts):
            values, columns, offsets, shape = _validate.csr(counts)
            _validate.count_values(values[:, np.newaxis], "counts")
        else:
            array = _validate.counts(counts)
            where, columns = np.nonzero(array)
            values, shape = array[where, columns], (array.shape[0], array.shape[1])
            offsets = np.searchsorted(where, np.arange(shape[0] + 1))
        values, columns, offsets = (np.ascontiguousarray(a, dtype=np.int64) for a in (values, columns, offsets))
        row = np.repeat(np.arange(shape[0]), np.diff(offsets))
        totals = np.bincount(row, values)  # of an array they are checked with the values
        _validate.at_most(int(totals.max(initial=0.0)), "counts' total of each group", _validate.MAX_COUNT)
        order = np.lexsort((columns, row))
        return cls(values[order], columns[order], offsets, shape)

    def __getitem__(self, rows: NDArray[np.intp]) -> "Rows":
        lengths = np.diff(self.offsets)[rows]
        offsets = np.append(0, np.cumsum(lengths))
        index = np.repeat(self.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Rows(self.values[index], self.columns[index], offsets, (len(rows), self.shape[1]))

    def slots(self, weights: Floats | None = None) -> _core.mixture.CountSlots:
        """The kernels' form of the rows with counts; the order of the rows has no effect on it."""
        return _core.mixture.CountSlots(self.values, self.columns, self.offsets, self.shape[1], weights)

    def proportions(self, columns: list[int]) -> Floats:
        """Proportions (N, C) of some columns; NaN in rows without counts."""
        result = np.zeros((self.shape[0], len(columns)))
        row = np.repeat(np.arange(self.shape[0]), np.diff(self.offsets))
        for i, column in enumerate(columns):
            here = self.columns == column
            result[row[here], i] = self.values[here]
        with np.errstate(invalid="ignore"):
            return np.asarray(result / np.bincount(row, self.values, minlength=self.shape[0])[:, np.newaxis])

    def dense(self, row: int) -> Floats:
        """One row (K,)."""
        result = np.zeros(self.shape[1])
        part = slice(self.offsets[row], self.offsets[row + 1])
        result[self.columns[part]] = self.values[part]
        return result

    def log_coefficients(self) -> Floats:
        """Log multinomial coefficient (N,) of each row."""
        distinct, index = np.unique(self.values, return_inverse=True)
        log_factorials = np.array([math.lgamma(value + 1.0) for value in distinct.tolist()])[index]
        row = np.repeat(np.arange(self.shape[0]), np.diff(self.offsets))
        totals, which = np.unique(np.bincount(row, self.values, minlength=self.shape[0]), return_inverse=True)
        of_totals = np.array([math.lgamma(total + 1.0) for total in totals.tolist()])[which]
        return np.asarray(of_totals - np.bincount(row, log_factorials, minlength=self.shape[0]))
