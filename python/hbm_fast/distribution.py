"""`dirichlet_multinomial`: a drop-in replacement of scipy.stats.dirichlet_multinomial that can also draw."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _core, _validate
from hbm_fast._display import Displayed
from hbm_fast._typing import CountsLike, Floats
from hbm_fast.tables.inputs import as_counts

# If all concentrations are below the first, they are scaled up before a division; if one is above the second, all are
# scaled down before their sum.
_TINY, _HUGE = 1e-290, 1e290


class DirichletMultinomialGenerator(Displayed):
    """A Dirichlet-multinomial random variable with the interface of scipy.stats.dirichlet_multinomial, and `rvs`.

    Call it as `dirichlet_multinomial(alpha, n)` to freeze the parameters. Parameters broadcast as in scipy: ``alpha``
    (..., K), ``n`` (...,), ``x`` (..., K). As in scipy, counts may be whole numbers of a floating type.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> float(hbm.dirichlet_multinomial.pmf([1, 2, 3], [3, 4, 5], 6).round(12))
    0.084841628959
    >>> hbm.dirichlet_multinomial([3, 4, 5], 6).mean().tolist()
    [1.5, 2.0, 2.5]
    """

    def __init__(self, seed: Any = None) -> None:
        self.random_state = seed

    def __repr__(self) -> str:
        return "dirichlet_multinomial"

    def __call__(self, alpha: ArrayLike, n: ArrayLike, seed: Any = None) -> FrozenDirichletMultinomial:
        """Freeze the parameters.

        Raises
        ------
        ValueError
            An ``alpha`` that is not positive, or an ``n`` that is not a non-negative integer.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> float(hbm.dirichlet_multinomial([1.0, 1.0], 20).pmf([20, 0]).round(6))
        0.047619
        """
        return FrozenDirichletMultinomial(alpha, n, seed=self.random_state if seed is None else seed)

    def logpmf(self, x: ArrayLike, alpha: ArrayLike, n: ArrayLike) -> Floats | np.float64:
        """Log probability of x; -inf where it does not sum to n.

        Parameters
        ----------
        x : array_like of non-negative integers, shape (..., K)
        alpha : array_like, shape (..., K), positive
        n : array_like of non-negative integers, shape (...,)

        Returns
        -------
        float64 array of the broadcast leading shape

        Raises
        ------
        ValueError
            As in scipy: for values outside their domain, or shapes that do not broadcast.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> float(hbm.dirichlet_multinomial.logpmf([5, 5], [1e15, 1e15], 10).round(6))
        -1.402043
        """
        a, total = _parameters(alpha, n)
        counts = _counts(x)
        try:
            counts, a = np.broadcast_arrays(counts, a)
        except ValueError:
            raise ValueError("`x` and `alpha` must be broadcastable.") from None
        known = np.asarray(np.isfinite(a).all(axis=-1))
        with np.errstate(invalid="ignore"):
            value = np.empty(counts.shape[:-1])
            _core.likelihood.log_pmf(
                counts, np.where(known[..., np.newaxis], a, 1.0), True, value, _validate.threads(None)
            )
        value = np.where(known, value, np.nan)
        value = np.where(counts.sum(axis=-1) == total, value, -np.inf)
        return value[()]

    def pmf(self, x: ArrayLike, alpha: ArrayLike, n: ArrayLike) -> Floats | np.float64:
        """Probability of x; 0 where it does not sum to n.

        Parameters, returns and raises as `logpmf`.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> float(hbm.dirichlet_multinomial.pmf([20, 1], [1.0, 1.0], 20))
        0.0
        """
        with np.errstate(under="ignore"):  # a probability below the smallest double is 0
            return np.exp(self.logpmf(x, alpha, n))

    def mean(self, alpha: ArrayLike, n: ArrayLike) -> Floats:
        """n alpha / A, shape (..., K).

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> hbm.dirichlet_multinomial.mean([1, 3], 8).tolist()
        [2.0, 6.0]
        """
        a, total = _parameters(alpha, n)
        result: Floats = np.asarray(total[..., np.newaxis] * _proportions(a))
        return result

    def var(self, alpha: ArrayLike, n: ArrayLike) -> Floats:
        """n p (1 - p) (n + A) / (1 + A) with p = alpha / A, shape (..., K).

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> hbm.dirichlet_multinomial.var([1, 1], 4).tolist()
        [2.0, 2.0]
        """
        a, total = _parameters(alpha, n)
        p = _proportions(a)
        result: Floats = np.asarray(_variance_factor(a, total)[..., np.newaxis] * (p * (1.0 - p)))
        return result

    def cov(self, alpha: ArrayLike, n: ArrayLike) -> Floats:
        """The covariance matrix, shape (..., K, K): -n p_i p_j (n + A) / (1 + A) beside the variances.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> hbm.dirichlet_multinomial.cov([1, 1], 4).tolist()
        [[2.0, -2.0], [-2.0, 2.0]]
        """
        a, total = _parameters(alpha, n)
        p = _proportions(a)
        result: Floats = _variance_factor(a, total)[..., np.newaxis, np.newaxis] * -(
            p[..., :, np.newaxis] * p[..., np.newaxis, :]
        )
        k = np.arange(p.shape[-1])
        result[..., k, k] = self.var(a, total)
        return result

    def rvs(self, alpha: ArrayLike, n: ArrayLike, size: Any = None, random_state: Any = None) -> NDArray[np.int64]:
        """Draw counts.

        Parameters
        ----------
        alpha : array_like, shape (..., K)
        n : array_like, shape (...,)
        size : int or tuple of int, optional
            Number of draws for each of the parameters; the first axes of the result.
        random_state : None, int, SeedSequence, BitGenerator, Generator or RandomState
            None takes fresh entropy; the global state of numpy is never used.

        Returns
        -------
        int64 array, shape ``(*size, ..., K)``

        Raises
        ------
        ValueError
            As `logpmf`.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> hbm.dirichlet_multinomial.rvs([1.0, 2.0], 5, size=3, random_state=0).sum(axis=-1).tolist()
        [5, 5, 5]
        """
        a, total = _parameters(alpha, n)
        rng = self.random_state if random_state is None else random_state
        if not isinstance(rng, np.random.RandomState):
            rng = np.random.default_rng(rng)  # for None of fresh entropy, not of the global state
        shape = np.broadcast_shapes(a.shape[:-1], total.shape)
        front = () if size is None else tuple(np.atleast_1d(size).tolist())
        a = np.broadcast_to(a, (*front, *shape, a.shape[-1]))
        # below this every group is of one category, and a common factor does not change the draws
        a = np.where(a.max(axis=-1, keepdims=True) < _TINY, a * 2.0**64, a)
        # log gamma(a) = log gamma(a + 1) + log(u) / a for every a; gamma(a) itself underflows below 1e-2
        with np.errstate(over="ignore", under="ignore"):
            log_theta = np.log(rng.standard_gamma(a + 1.0)) - rng.standard_exponential(a.shape) / a
            theta = np.exp(log_theta - log_theta.max(axis=-1, keepdims=True))
        suffix_sum = np.cumsum(theta[..., ::-1], axis=-1)[..., ::-1]
        remaining = np.array(np.broadcast_to(total, (*front, *shape)), dtype=np.int64)
        counts = np.empty(a.shape, dtype=np.int64)
        for k in range(a.shape[-1] - 1):
            share = np.divide(
                theta[..., k], suffix_sum[..., k], out=np.zeros(remaining.shape), where=suffix_sum[..., k] > 0
            )
            counts[..., k] = rng.binomial(remaining, np.minimum(share, 1.0))
            remaining -= counts[..., k]
        counts[..., -1] = remaining
        return counts


class FrozenDirichletMultinomial(Displayed):
    """`dirichlet_multinomial` with its parameters fixed.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> frozen = hbm.dirichlet_multinomial([1.0, 1.0], 3)
    >>> frozen.pmf([[0, 3], [1, 2]]).round(12).tolist()
    [0.25, 0.25]
    """

    def __init__(self, alpha: ArrayLike, n: ArrayLike, seed: Any = None) -> None:
        self.alpha, self.n = _parameters(alpha, n)
        self._dist = DirichletMultinomialGenerator(seed)

    def __repr__(self) -> str:
        shown = np.array2string(self.alpha, separator=", ", threshold=10, edgeitems=2)
        return f"dirichlet_multinomial(alpha={shown}, n={np.array2string(self.n, separator=', ', threshold=10)})"

    @property
    def random_state(self) -> Any:
        """The random state that `rvs` uses by default."""
        return self._dist.random_state

    @random_state.setter
    def random_state(self, seed: Any) -> None:
        self._dist.random_state = seed

    def logpmf(self, x: ArrayLike) -> Floats | np.float64:
        """Log probability of x."""
        return self._dist.logpmf(x, self.alpha, self.n)

    def pmf(self, x: ArrayLike) -> Floats | np.float64:
        """Probability of x."""
        return self._dist.pmf(x, self.alpha, self.n)

    def mean(self) -> Floats:
        """Expected counts."""
        return self._dist.mean(self.alpha, self.n)

    def var(self) -> Floats:
        """Variances of the counts."""
        return self._dist.var(self.alpha, self.n)

    def cov(self) -> Floats:
        """Covariance matrix of the counts."""
        return self._dist.cov(self.alpha, self.n)

    def rvs(self, size: Any = None, random_state: Any = None) -> NDArray[np.int64]:
        """Draw counts, shape ``(*size, ..., K)``."""
        return self._dist.rvs(self.alpha, self.n, size=size, random_state=random_state)


dirichlet_multinomial = DirichletMultinomialGenerator()


def _proportions(a: Floats) -> Floats:
    """alpha / A."""
    with np.errstate(under="ignore"):
        a = np.where(a.max(axis=-1, keepdims=True) > _HUGE, a * 2.0**-64, a)  # the sum might overflow
        return np.asarray(a / a.sum(axis=-1, keepdims=True))


def _variance_factor(a: Floats, total: NDArray[Any]) -> Floats:
    """n (n + A) / (1 + A)."""
    with np.errstate(over="ignore", under="ignore"):
        a_sum = a.sum(axis=-1)
        return np.asarray(total * (1.0 + (total - 1.0) / (1.0 + a_sum)))


def _parameters(alpha: ArrayLike, n: ArrayLike) -> tuple[Floats, NDArray[np.int64]]:
    """Checked alpha (..., K), positive, and n (...,), whole and non-negative; NaN is accepted, as in scipy."""
    a = np.atleast_1d(_validate.unmasked(alpha, "alpha").astype(np.float64, copy=False))
    if np.any(a <= 0):
        raise ValueError("`alpha` must contain only positive values.")
    total = _validate.unmasked(n, "n")
    if not _whole(total):
        raise ValueError("`n` must be a non-negative integer.")
    return a, total.astype(np.int64)


def _counts(x: CountsLike) -> NDArray[np.int64]:
    """Whole non-negative counts (..., K), of any numeric dtype."""
    given = x if isinstance(x, np.ndarray | list | tuple | int | float) else as_counts(x, name="x").dense()
    counts = np.atleast_1d(_validate.unmasked(given, "x"))
    if not _whole(counts):
        raise ValueError("`x` must contain only non-negative integers.")
    return _validate.native(counts) if counts.dtype.kind in "iu" else counts.astype(np.int64)


def _whole(array: NDArray[Any]) -> bool:
    if array.dtype.kind not in "biuf":
        raise TypeError(f"counts must be an array of numbers; got dtype {array.dtype}")
    return bool(np.all((array >= 0) & (array == np.floor(array)))) and bool(np.all(array <= 2.0**53))
