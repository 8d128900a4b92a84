"""Sufficient statistics of counts: of groups that share one concentration, and of each dataset of a batch."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _core, _memory, _validate
from hbm_fast._display import Displayed
from hbm_fast._typing import Counts, CountsLike, Floats
from hbm_fast.tables.inputs import aligned, as_counts
from hbm_fast.tables.named_counts import NamedCounts

_BLOCK = 2**22  # counts summed by one call of numpy: some hundredths of a second
LARGEST_SUM = 1e18  # of weights times counts; beyond, the rounding of every slope exceeds one count


class SufficientStatistics(Displayed):
    """Sufficient statistics of groups that share one concentration; their size does not depend on the number of groups.

    They are the exceedances: for every category k and j >= 0 the number of groups with x_nk > j, and the same for the
    totals. Where counts are large and few of them differ, the distinct counts and their frequencies are stored instead.
    Totals are at most 2**40: above, the rounding error of sums over groups is not small compared with the likelihood.
    Threads may share one object: each `add` and `merge` is atomic, and a call that reads at the same time (`sample`
    included) uses the groups that were present when it began. Ctrl-C during `add` or `merge` leaves the object
    unchanged.

    Parameters
    ----------
    counts : array_like of whole numbers, shape (N, K) or (B, N, K), or a table (N, K), optional
        All groups are pooled. A table is what `hbm_fast.tables.as_counts` takes; its weights are used, and its names of
        the categories are kept. Integers of any dtype are not copied, and scipy.sparse stays sparse.
    weights : array_like, shape (N,) or (B, N), optional
        Weight of each group, at least 0.
    n_categories : int, optional
        K, if counts are added later.
    layer : str, optional
        The layer of AnnData that holds the counts; default ``X``.

    Raises
    ------
    TypeError
        Counts that are not numbers.
    ValueError
        Counts that are negative, fractional or missing, a total above 2**40, a wrong shape, or neither counts nor
        n_categories.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> stats = hbm.SufficientStatistics([[20, 0], [0, 20], [0, 1]])
    >>> stats.n_groups
    3.0
    >>> stats.log_likelihood([[0.1, 0.1], [1.0, 1.0]]).round(4).tolist()
    [-2.7461, -6.7822]
    """

    def __init__(
        self,
        counts: CountsLike | None = None,
        *,
        weights: ArrayLike | None = None,
        n_categories: int | None = None,
        layer: str | None = None,
    ) -> None:
        if counts is None:
            if n_categories is None:
                raise ValueError("counts or n_categories must be given: K is not known")
            k = _validate.positive_int(n_categories, "n_categories")
            self._hold(_core.statistics.SufficientStatistics(k))
            return
        given = as_counts(counts, layer=layer)
        k = _infer_n_categories(given.counts)
        if n_categories is not None and k != _validate.positive_int(n_categories, "n_categories"):
            raise ValueError(f"counts must have K = {n_categories} categories, the given n_categories; got {k}")
        self._hold(_core.statistics.SufficientStatistics(k))
        self.add(given, weights=weights)

    def _hold(self, core: _core.statistics.SufficientStatistics, category_names: tuple[str, ...] | None = None) -> None:
        self._core, self._category_names = core, category_names
        self._naming = threading.Lock()  # held while the first groups, which may have names, are added

    def add(
        self, counts: CountsLike, *, weights: ArrayLike | None = None, layer: str | None = None
    ) -> SufficientStatistics:
        """Add groups; if it raises, none is added.

        Parameters
        ----------
        counts : array_like of whole numbers, shape (N, K) or (B, N, K), or a table (N, K)
            As in the constructor. The columns of a table with names may stand in any order: they are aligned with the
            names of the tables before. Counts without names are added as they are.
        weights : array_like, shape (N,) or (B, N), optional
            Weight of each group, at least 0.
        layer : str, optional
            The layer of AnnData that holds the counts; default ``X``.

        Returns
        -------
        SufficientStatistics
            This object.

        Raises
        ------
        TypeError, ValueError
            As the constructor, and for a table of other categories.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> hbm.SufficientStatistics(n_categories=2).add([[1, 2]]).add([[3, 4]], weights=[10]).n_groups
        11.0
        """
        given = as_counts(counts, layer=layer)
        if given.category_names is not None:
            with self._naming:
                if self._category_names is None and not self.n_groups:
                    self._add(given, weights)
                    self._category_names = given.category_names
                    return self
        self._add(aligned(given, self._category_names, "counts"), weights)
        return self

    def _add(self, given: NamedCounts, weights: ArrayLike | None) -> None:
        counts, weights = given.counts, _weights_of(given, weights)
        if _validate.is_sparse(counts):
            values, columns, offsets, shape = _validate.csr(counts)
            _validate.count_values(values[:, np.newaxis], "counts")
            _check_n_categories(shape, self.n_categories)
            self._core.add_sparse(values, columns, offsets, _group_weights(weights, shape[:1]))
            return
        array = _count_table(counts, self.n_categories)
        w = _group_weights(weights, array.shape[:-1])
        try:
            if array.ndim == 2:
                self._core.add(array, w)
            else:
                added = _core.statistics.SufficientStatistics(self.n_categories)
                for b, table in enumerate(array):
                    added.add(table, None if w is None else w[b])
                self._core.merge(added)
        except ValueError:
            _validate.count_values(array, "counts")
            raise

    def merge(self, other: SufficientStatistics) -> SufficientStatistics:
        """Add the groups of other statistics over the same categories, in the same order; returns self.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> hbm.SufficientStatistics([[1, 2]]).merge(hbm.SufficientStatistics([[3, 4]])).n_groups
        2.0
        """
        if not isinstance(other, SufficientStatistics):
            raise TypeError(f"other must be SufficientStatistics; got {type(other).__name__}")
        names = self._category_names, other._category_names
        if None not in names and names[0] != names[1]:
            raise ValueError(
                f"other must have the categories {names[0]} in this order; got {names[1]}: statistics cannot be "
                "reordered, so add the tables, which can"
            )
        with self._naming:
            empty = not self.n_groups
            self._core.merge(other._core)
            if empty and names[0] is None:
                self._category_names = names[1]
        return self

    @property
    def category_names(self) -> tuple[str, ...] | None:
        """Names of the K categories, those of the first table, or None."""
        return self._category_names

    @property
    def n_groups(self) -> float:
        """N, the number of groups (the sum of their weights)."""
        return self._core.n_groups

    @property
    def n_categories(self) -> int:
        """K."""
        return self._core.n_categories

    @property
    def log_coefficient(self) -> float:
        """Sum over groups of the log multinomial coefficient."""
        return self._core.log_coefficient

    def log_likelihood(
        self, concentration: ArrayLike, *, coefficient: bool = True, n_threads: int | None = None
    ) -> Floats | np.float64:
        """Log-likelihood of all groups under each concentration.

        Parameters
        ----------
        concentration : array_like, shape (..., K)
            Several concentrations are distributed over threads.
        coefficient : bool, default True
            Include the multinomial coefficients.
        n_threads : int, optional

        Returns
        -------
        float64 array, shape (...,)
            The rounding error of each group's log probability is a few epsilon times the sum over its categories of
            min(a_k, x_k) (1 + abs(log(a_k / x_k))); with many counts up to 2**20, of log x_k! instead.

        Raises
        ------
        ValueError
            A concentration that is negative, infinite or NaN, or of another K.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> stats = hbm.SufficientStatistics([[1, 0], [0, 1]])
        >>> stats.log_likelihood([1.0, 1.0]).round(4).tolist()  # 2 log(1/2)
        -1.3863
        """
        a = _validate.concentration(concentration, self.n_categories, zero=True)
        value = np.empty(a.shape[:-1])
        self._core.log_likelihood(a, value, None, _validate.threads(n_threads), bool(coefficient))
        return value[()]

    def log_likelihood_gradient(
        self, concentration: ArrayLike, *, coefficient: bool = True, n_threads: int | None = None
    ) -> tuple[Floats | np.float64, Floats]:
        """Log-likelihood of all groups under each concentration, and its gradient.

        Parameters
        ----------
        concentration : array_like, shape (..., K)
        coefficient : bool, default True
        n_threads : int, optional

        Returns
        -------
        value : float64 array, shape (...,)
        gradient : float64 array, shape (..., K)

        Raises
        ------
        ValueError
            As in `log_likelihood`.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> value, gradient = hbm.SufficientStatistics([[1, 0], [1, 0]]).log_likelihood_gradient([2.0, 2.0])
        >>> gradient.tolist()
        [0.5, -0.5]
        """
        a = _validate.concentration(concentration, self.n_categories, zero=True)
        value = np.empty(a.shape[:-1])
        gradient = np.empty(a.shape)
        self._core.log_likelihood(a, value, gradient, _validate.threads(n_threads), bool(coefficient))
        return value[()], gradient

    def log_likelihood_hessian(
        self, concentration: ArrayLike, *, n_threads: int | None = None
    ) -> tuple[Floats, Floats | np.float64]:
        """Second derivatives at each concentration: the matrix diag(diagonal) + constant.

        Parameters
        ----------
        concentration : array_like, shape (..., K)
        n_threads : int, optional

        Returns
        -------
        diagonal : float64 array, shape (..., K)
            -sum_n [trigamma(a_k) - trigamma(a_k + x_nk)]
        constant : float64 array, shape (...,)
            sum_n [trigamma(A) - trigamma(A + M_n)]

        Raises
        ------
        ValueError
            As in `log_likelihood`.

        References
        ----------
        T. P. Minka (2000), "Estimating a Dirichlet distribution", technical report, MIT: a Newton step takes O(K)
        operations.

        Examples
        --------
        >>> import numpy as np
        >>> import hbm_fast as hbm
        >>> diagonal, constant = hbm.SufficientStatistics([[1, 0], [1, 0]]).log_likelihood_hessian([2.0, 2.0])
        >>> (np.diag(diagonal) + constant).tolist()
        [[-0.375, 0.125], [0.125, 0.125]]
        """
        a = _validate.concentration(concentration, self.n_categories)
        diagonal = np.empty(a.shape)
        constant = np.empty(a.shape[:-1])
        self._core.hessian(a, diagonal, constant, _validate.threads(n_threads))
        return diagonal, constant[()]

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_state, (self._core.__getstate__(), self._category_names)

    def __repr__(self) -> str:
        return f"SufficientStatistics(n_groups={self.n_groups:g}, n_categories={self.n_categories})"


def _from_state(state: tuple[Any, ...], category_names: tuple[str, ...] | None = None) -> SufficientStatistics:
    """Statistics from their kernel's state; arrays of a message, which may lie at odd addresses, are aligned."""
    *numbers, pairs = state
    aligned = [tuple(_validate.native(array) for array in pair) for pair in pairs]
    core = _core.statistics.SufficientStatistics.__new__(_core.statistics.SufficientStatistics)
    core.__setstate__((*numbers, aligned))
    stats = SufficientStatistics.__new__(SufficientStatistics)
    stats._hold(core, category_names)
    return stats


def group_totals(counts: Counts) -> NDArray[np.int64]:
    """Totals (B, N) of counts (B, N, K), summed in blocks: Ctrl-C waits for a call of numpy to end."""
    n_datasets, n_groups, k = counts.shape
    totals = np.empty((n_datasets, n_groups), np.int64)
    datasets, groups = max(_BLOCK // max(n_groups * k, 1), 1), max(_BLOCK // k, 1)
    for b in range(0, n_datasets, datasets):
        for n in range(0, n_groups, groups):
            block = np.s_[b : b + datasets, n : n + groups]
            counts[block].sum(axis=-1, dtype=np.int64, out=totals[block])
    return totals


def exceedance_counts(
    counts: ArrayLike,
    max_total: int | None = None,
    *,
    out: NDArray[np.float32] | None = None,
    n_threads: int | None = None,
) -> NDArray[np.float32]:
    """For each dataset and j the number of groups with count > j, for each category and for the totals.

    These exceedances determine the likelihood of a concentration shared by the groups; they are the input of the
    networks.

    Parameters
    ----------
    counts : array_like (B, N, K)
        Integers of any type; rows of zeros are padding and change nothing.
    max_total : int, optional
        J, at least the largest total; by default the largest total.
    out : ndarray (B, K + 1, J) float32, optional
        Array for the result.
    n_threads : int, optional

    Returns
    -------
    ndarray (B, K + 1, J) float32
        ``[b, k, j]`` for the categories, ``[b, K, j]`` for the totals.

    Raises
    ------
    TypeError, ValueError
        For counts that are no integers, negative, or whose totals exceed ``max_total``.

    Examples
    --------
    >>> from hbm_fast.sufficient_statistics import exceedance_counts
    >>> exceedance_counts([[[2, 0], [1, 1]]], 2).tolist()
    [[[2.0, 1.0], [1.0, 0.0], [2.0, 2.0]]]
    """
    array = _validate.counts(counts, ndim=(3,))
    if max_total is None:
        max_total = int(group_totals(array).max(initial=0))
    columns = _validate.positive_int(max_total, "max_total", minimum=0)
    shape = (array.shape[0], array.shape[2] + 1, columns)
    table = _memory.empty(shape, np.float32) if out is None else _validate.output(out, "out", shape, np.float32)
    _core.statistics.exceedance_counts(array, table, _validate.threads(n_threads))
    return table


def _infer_n_categories(counts: Any) -> int:
    """K of dense or sparse counts."""
    shape = counts.shape if _validate.is_sparse(counts) else np.shape(counts)
    if len(shape) < 2 or shape[-1] < 1:
        hint = " For one group pass counts[np.newaxis, :]." if len(shape) == 1 else ""
        raise ValueError(f"counts must have shape (N, K) or (B, N, K); got {tuple(shape)}.{hint}")
    return int(shape[-1])


def _check_n_categories(shape: tuple[int, ...], n_categories: int) -> None:
    if shape[-1] != n_categories:
        raise ValueError(f"counts must have K = {n_categories} categories; got shape {shape}")


def _count_table(value: ArrayLike, n_categories: int) -> Counts:
    """Counts (N, K) or (B, N, K), native and aligned; the kernel checks their values while it reads them."""
    array = _validate.count_array(value, "counts")
    _infer_n_categories(array)
    if array.ndim > 3:
        raise ValueError(f"counts must have shape (N, K) or (B, N, K); got {array.shape}")
    _check_n_categories(array.shape, n_categories)
    return array


def _weights_of(given: NamedCounts, weights: ArrayLike | None) -> ArrayLike | None:
    """The weights of a table, or those that are passed beside counts without weights."""
    if given.weights is not None and weights is not None:
        raise ValueError("weights: the table has weights already; pass its counts to give others")
    return weights if given.weights is None else given.weights


def _group_weights(value: ArrayLike | None, shape: tuple[int, ...]) -> Floats | None:
    """Non-negative finite weights of exactly this shape, or None."""
    if value is None:
        return None
    array = _validate.doubles(value, "weights")
    if array.shape != shape:
        raise ValueError(f"weights must have shape {shape}, one for each group; got {array.shape}")
    return _validate.in_range(array, "weights", zero=True)
