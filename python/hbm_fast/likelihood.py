"""The Dirichlet-multinomial likelihood: of every group, and of all groups at once through sufficient statistics."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hbm_fast import _core, _memory, _validate
from hbm_fast._typing import Floats


def log_likelihood(
    counts: ArrayLike,
    concentration: ArrayLike,
    *,
    coefficient: bool = True,
    out: Floats | None = None,
    n_threads: int | None = None,
) -> Floats | np.float64:
    """Log probability of every group under its concentration.

    log p(x | a) = log M!/(x_1! ... x_K!) + sum_k log[a_k (a_k+1) ... (a_k+x_k-1)] - log[A (A+1) ... (A+M-1)],
    with M = sum_k x_k and A = sum_k a_k.

    Parameters
    ----------
    counts : integer array_like, shape (..., K), or scipy.sparse matrix or array, shape (N, K)
        Any integer dtype and memory layout; read as it lies in memory, without a copy (sparse: as CSR).
    concentration : array_like, shape (..., K)
        alpha * beta, at least 0; its leading axes broadcast against those of counts. 0 means that the category is
        absent: -inf where its count is positive.
    coefficient : bool, default True
        Include the multinomial coefficient; False gives the probability of an ordered sequence.
    out : float64 array, optional
        Written to and returned; its shape is the broadcast leading shape.
    n_threads : int, optional
        Default: HBM_FAST_NUM_THREADS, else the available CPUs. The result does not depend on it.

    Returns
    -------
    float64 array, shape (...,)
        A scalar where neither argument has leading axes. The relative error is below 1e-13 for totals up to 1000 and
        for groups of one category; beyond, the error is below 4 epsilon times the sum of the absolute log-gamma
        differences and log-factorials. So for every finite concentration, the smallest doubles and sums that overflow
        included.

    Raises
    ------
    TypeError
        Counts that are not integers, or an ``out`` of another type.
    ValueError
        Shapes that do not broadcast; a negative count; a concentration that is negative, infinite or NaN; a total
        above 2**53.

    References
    ----------
    J. E. Mosimann (1962), "On the compound multinomial distribution", Biometrika 49, 65-82.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> float(hbm.log_likelihood([20, 0], [1.0, 1.0]).round(6))  # every split of 20 is equally probable: -log 21
    -3.044522
    >>> hbm.log_likelihood([[20, 0], [0, 1]], [0.05, 0.05]).shape
    (2,)
    """
    threads = _validate.threads(n_threads)
    if _validate.is_sparse(counts):
        return _sparse_log_likelihood(counts, concentration, coefficient, out, threads)
    x, a = _validate.counts_and_concentration(counts, concentration)
    result = _output(out, x.shape[:-1])
    try:
        _core.log_pmf(x, a, bool(coefficient), result, threads)
    except ValueError:
        _validate.explain_rows(x, a)
        raise
    return result[()] if out is None else result


def log_likelihood_gradient(
    counts: ArrayLike,
    concentration: ArrayLike,
    *,
    coefficient: bool = True,
    n_threads: int | None = None,
) -> tuple[Floats | np.float64, Floats]:
    """Log probability of every group and its gradient with respect to the concentration.

    d/da_k log p(x | a) = [digamma(a_k + x_k) - digamma(a_k)] - [digamma(A + M) - digamma(A)].

    Parameters
    ----------
    counts : integer array_like, shape (..., K)
    concentration : array_like, shape (..., K)
        As in `log_likelihood`.
    coefficient : bool, default True
        Include the multinomial coefficient in the value; the gradient has no part in it.
    n_threads : int, optional

    Returns
    -------
    value : float64 array, shape (...,)
    gradient : float64 array, shape (..., K)
        Of the broadcast leading shape: sum it over the axes along which the concentration was repeated. Each component
        has a relative error below 1e-12, where its two sums cancel too (pure groups, large concentrations), unless it
        lies at one of its own zeros. inf for a category of concentration 0 that has counts, and where the component
        exceeds the largest double.

    Raises
    ------
    TypeError, ValueError
        As in `log_likelihood`.

    References
    ----------
    T. P. Minka (2000), "Estimating a Dirichlet distribution", technical report, MIT.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> value, gradient = hbm.log_likelihood_gradient([1, 0], [2.0, 2.0])  # log(a_1 / (a_1 + a_2))
    >>> gradient.tolist()
    [0.25, -0.25]
    """
    threads = _validate.threads(n_threads)
    x, a = _validate.counts_and_concentration(counts, concentration)
    value = np.empty(x.shape[:-1])
    gradient = _memory.empty(x.shape, np.float64)
    try:
        _core.log_pmf_gradient(x, a, bool(coefficient), value, gradient, threads)
    except ValueError:
        _validate.explain_rows(x, a)
        raise
    return value[()], gradient


def _sparse_log_likelihood(
    counts: Any, concentration: ArrayLike, coefficient: bool, out: Floats | None, n_threads: int
) -> Floats:
    values, columns, offsets, shape = _validate.csr(counts)
    a = _validate.concentration(concentration, shape[1], zero=True)
    if a.ndim > 2 or (a.ndim == 2 and a.shape[0] not in (1, shape[0])):
        raise ValueError(f"concentration must have shape (K,) or (N, K) = {shape} beside sparse counts; got {a.shape}")
    result = _output(out, shape[:1])
    try:
        _core.sparse_log_pmf(values, columns, offsets, a.reshape(-1, shape[1]), bool(coefficient), result, n_threads)
    except ValueError:
        _validate.count_values(values[:, np.newaxis], "counts")
        raise
    return result


def _output(out: Floats | None, shape: tuple[int, ...]) -> Floats:
    return np.empty(shape) if out is None else _validate.output(out, "out", shape, np.float64)


class SufficientStatistics:
    """All that the likelihood of a shared concentration needs to know about counts, whatever the number of groups.

    For every category k and j >= 0 the number of groups with x_nk > j, and the same for the totals; or, where counts
    are large and few of them differ, the distinct counts with how often each occurs. Totals go up to 2**40: beyond,
    what rounding leaves of sums over groups is no longer small beside the likelihood. Threads may share one object:
    each `add` and `merge` is applied whole, one after the other, and a call that reads meanwhile (`sample` included)
    uses the groups that were there when it began. Ctrl-C during `add` or `merge` leaves the object as it was.

    Parameters
    ----------
    counts : integer array_like, shape (N, K) or (B, N, K), or scipy.sparse (N, K), optional
        All groups are pooled. Any integer dtype, read without a copy.
    weights : array_like, shape (N,) or (B, N), optional
        How often each group counts, at least 0.
    n_categories : int, optional
        K, where counts come later by `add`.

    Raises
    ------
    TypeError
        Counts that are not integers.
    ValueError
        Negative counts, a total above 2**40, a wrong shape, or neither counts nor n_categories.

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
        self, counts: ArrayLike | None = None, *, weights: ArrayLike | None = None, n_categories: int | None = None
    ) -> None:
        if counts is None:
            if n_categories is None:
                raise ValueError("counts or n_categories must be given, so that K is known")
            self._core = _core.SufficientStatistics(_validate.positive_int(n_categories, "n_categories"))
            return
        k = _validate.n_categories_of(counts)
        if n_categories is not None and k != _validate.positive_int(n_categories, "n_categories"):
            raise ValueError(f"counts must have K = {n_categories} categories, as n_categories says; got {k}")
        self._core = _core.SufficientStatistics(k)
        self.add(counts, weights=weights)

    def add(self, counts: ArrayLike, *, weights: ArrayLike | None = None) -> SufficientStatistics:
        """Add groups; nothing is added when it raises.

        Parameters
        ----------
        counts : integer array_like, shape (N, K) or (B, N, K), or scipy.sparse (N, K)
        weights : array_like, shape (N,) or (B, N), optional
            How often each group counts, at least 0.

        Returns
        -------
        SufficientStatistics
            This object.

        Raises
        ------
        TypeError, ValueError
            As the constructor.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> hbm.SufficientStatistics(n_categories=2).add([[1, 2]]).add([[3, 4]], weights=[10]).n_groups
        11.0
        """
        if _validate.is_sparse(counts):
            values, columns, offsets, shape = _validate.csr(counts)
            _validate.count_values(values[:, np.newaxis], "counts")
            _validate.same_last_axis(shape, self.n_categories)
            self._core.add_sparse(values, columns, offsets, _validate.group_weights(weights, shape[:1]))
            return self
        array = _validate.count_table(counts, self.n_categories)
        w = _validate.group_weights(weights, array.shape[:-1])
        try:
            if array.ndim == 2:
                self._core.add(array, w)
            else:
                added = _core.SufficientStatistics(self.n_categories)
                for b, table in enumerate(array):
                    added.add(table, None if w is None else w[b])
                self._core.merge(added)
        except ValueError:
            _validate.count_values(array, "counts")
            raise
        return self

    def merge(self, other: SufficientStatistics) -> SufficientStatistics:
        """Add the groups of other statistics over the same categories; returns self.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> hbm.SufficientStatistics([[1, 2]]).merge(hbm.SufficientStatistics([[3, 4]])).n_groups
        2.0
        """
        if not isinstance(other, SufficientStatistics):
            raise TypeError(f"other must be SufficientStatistics; got {type(other).__name__}")
        self._core.merge(other._core)
        return self

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
            Many concentrations in one call are shared out to threads.
        coefficient : bool, default True
            Include the multinomial coefficients.
        n_threads : int, optional

        Returns
        -------
        float64 array, shape (...,)
            Of each group's log probability, rounding leaves some epsilon times the sum over its categories of
            min(a_k, x_k) (1 + abs(log(a_k / x_k))); where counts up to 2**20 are many, of log x_k! instead.

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
        """Second derivatives at each concentration, which are diag(diagonal) + constant in every element.

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
        T. P. Minka (2000), "Estimating a Dirichlet distribution", technical report, MIT: a Newton step with it is O(K).

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
        return _from_core, (copy(self._core),)  # of its own: copy.copy rebuilds from what stands here

    def __repr__(self) -> str:
        return f"SufficientStatistics(n_groups={self.n_groups:g}, n_categories={self.n_categories})"


def _from_core(core: _core.SufficientStatistics) -> SufficientStatistics:
    stats = SufficientStatistics(n_categories=core.n_categories)
    stats._core = core
    return stats
