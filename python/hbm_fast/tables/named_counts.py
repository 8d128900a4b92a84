"""NamedCounts: counts of any kind with the names of their axes, as `as_counts` returns them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _display, _memory, _validate
from hbm_fast._typing import Counts

_MANY_COUNTS = 2**27  # 1 GiB
Names = tuple[str, ...] | None


@dataclass(frozen=True, eq=False, slots=True)
class NamedCounts(_display.Displayed):
    """What `as_counts` returns.

    Parameters
    ----------
    counts : integer array (K,), (N, K) or (B, N, K), or scipy.sparse (N, K) of integers
        Its type is checked; the functions that take it check its shape and values.
    category_names, group_names, dataset_names : tuple of str or None
        Names of the last axis, of the one before it, and of the one before that.
    weights : array (N,) or None
        Frequency of each group.
    """

    counts: Any
    category_names: Names = None
    group_names: Names = None
    dataset_names: Names = None
    weights: NDArray[Any] | None = None

    def __repr__(self) -> str:
        return f"NamedCounts(counts of shape {self.counts.shape}{_display.names(self.category_names)})"

    def dense(self) -> Counts:
        """The counts as an array; sparse ones only where they fit in memory."""
        if not _validate.is_sparse(self.counts):
            return self.counts  # type: ignore[no-any-return]
        values, _, _, shape = _validate.csr(self.counts)
        what = f"counts of shape {shape}, dense as theta and predictions of the groups need them,"
        _memory.check_fits(shape[0] * shape[1] * values.dtype.itemsize, what)
        return np.asarray(self.counts.toarray())

    def unweighted(self, name: str = "counts") -> "NamedCounts":
        """The same groups without weights: a group of weight w is repeated w times, and groups lose their names."""
        if self.weights is None:
            return self
        n_groups = sum(self.weights.tolist())  # of Python's integers, which do not overflow
        counts = self.dense()
        if n_groups * counts.shape[1] > _MANY_COUNTS:
            raise ValueError(
                f"{name}: the weights add up to {n_groups} groups, which a network takes one by one: more than "
                f"{_MANY_COUNTS} counts. Use hbm_fast.sample, which takes weights as they are"
            )
        return NamedCounts(np.repeat(counts, self.weights, axis=0), self.category_names)


def sparse_integers(value: Any, name: str, rows: Names = None, columns: Names = None, hint: str = "") -> Any:
    """A scipy.sparse matrix of integers: itself, or with its whole floats converted."""
    if value.dtype.kind != "f":
        return value
    matrix = value.tocsr()
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()

    def place(index: tuple[int, ...]) -> str:
        row = int(np.searchsorted(matrix.indptr, index[0], side="right")) - 1
        return _validate.cell((row, int(matrix.indices[index[0]])), rows, columns)

    data = _validate.whole_numbers(matrix.data, name, place, hint)
    return type(matrix)((data, matrix.indices, matrix.indptr), shape=matrix.shape)
