"""Checks with the messages of scipy.stats.dirichlet_multinomial, which `dirichlet_multinomial` stands in for."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast._validate import Floats, native, unmasked


def scipy_parameters(alpha: ArrayLike, n: ArrayLike) -> tuple[Floats, NDArray[np.int64]]:
    """alpha (..., K) positive and n (...,) whole and non-negative; NaN passes, as in scipy."""
    a = np.atleast_1d(unmasked(alpha, "alpha").astype(np.float64, copy=False))
    if np.any(a <= 0):
        raise ValueError("`alpha` must contain only positive values.")
    total = unmasked(n, "n")
    if not _whole(total):
        raise ValueError("`n` must be a non-negative integer.")
    return a, total.astype(np.int64)


def scipy_counts(x: ArrayLike) -> NDArray[np.int64]:
    """Whole non-negative counts (..., K), of any numeric dtype."""
    counts = np.atleast_1d(unmasked(x, "x"))
    if not _whole(counts):
        raise ValueError("`x` must contain only non-negative integers.")
    return native(counts) if counts.dtype.kind in "iu" else counts.astype(np.int64)


def scipy_broadcast(x: NDArray[np.int64], a: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Counts and concentrations of one shape."""
    try:
        x, a = np.broadcast_arrays(x, a)
    except ValueError:
        raise ValueError("`x` and `alpha` must be broadcastable.") from None
    return x, a


def _whole(array: NDArray[Any]) -> bool:
    if array.dtype.kind not in "biuf":
        raise TypeError(f"counts must be an array of numbers; got dtype {array.dtype}")
    return bool(np.all((array >= 0) & (array == np.floor(array)))) and bool(np.all(array <= 2.0**53))


def random_state(value: Any) -> np.random.Generator | np.random.RandomState:
    """A generator from anything scipy's random_state takes; None is fresh entropy, never the global state."""
    if isinstance(value, np.random.RandomState):
        return value
    return np.random.default_rng(value)
