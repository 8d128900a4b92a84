"""Inside numba's compiled functions, ``@njit`` and ``prange``: `log_likelihood`, `log_dirichlet` and `multinomial`."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from hbm_fast import _core
from hbm_fast._optional import missing_extra
from hbm_fast.likelihood import log_likelihood as _log_likelihood

try:
    from numba import types
    from numba.core.errors import TypingError
    from numba.extending import overload
except ImportError:
    raise missing_extra("numba", "numba") from None

__all__ = ["log_dirichlet", "log_likelihood", "multinomial"]

_pointer, _integer = ctypes.c_void_p, ctypes.c_int64
_group = ctypes.CFUNCTYPE(ctypes.c_double, _pointer, _pointer, _integer, _integer)(
    _core.likelihood.log_pmf_group_address()
)
_rows = ctypes.CFUNCTYPE(None, _pointer, _pointer, *[_integer] * 4, _pointer)(_core.likelihood.log_pmf_rows_address())
_words = [ctypes.c_uint64] * 3
_dirichlet = ctypes.CFUNCTYPE(None, *_words, _pointer, _integer, _pointer)(_core.simulation.log_dirichlet_row_address())
_multinomial = ctypes.CFUNCTYPE(None, *_words, _integer, _pointer, _integer, _pointer, _pointer)(
    _core.simulation.multinomial_row_address()
)


def log_likelihood(counts: Any, concentration: Any) -> Any:
    """Log probability of one group, or of every row, for compiled functions that run without the GIL.

    Parameters
    ----------
    counts : integer array, shape (K,) or (N, K)
        C-contiguous int64 is not copied.
    concentration : float64 array, shape (K,) or (N, K)

    Returns
    -------
    float or float64 array, shape (N,)
        A negative count or an invalid concentration gives NaN (for all rows of the call), since compiled code raises no
        errors. Outside compiled functions this is `hbm_fast.log_likelihood`.

    Raises
    ------
    numba.TypingError
        Arrays of the wrong type or number of axes, when the caller is compiled.
    ValueError
        Shapes that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from numba import njit
    >>> from hbm_fast.integrations.numba import log_likelihood
    >>> @njit
    ... def twice(counts, concentration):
    ...     return 2 * log_likelihood(counts, concentration)
    >>> round(twice(np.array([20, 0]), np.array([1.0, 1.0])), 6)
    -6.089045
    """
    return _log_likelihood(counts, concentration)


@overload(log_likelihood)
def _compiled(counts: Any, concentration: Any) -> Any:
    if not (isinstance(counts, types.Array) and isinstance(counts.dtype, types.Integer) and counts.ndim in (1, 2)):
        raise TypingError(f"counts must be an integer array of shape (K,) or (N, K); got {counts}")
    if not (isinstance(concentration, types.Array) and concentration.dtype == types.float64):
        raise TypingError(f"concentration must be a float64 array; got {concentration}")
    if concentration.ndim not in (1, counts.ndim):
        raise TypingError(f"concentration must have shape (K,) or that of counts; got {concentration}")
    convert = counts.dtype != types.int64

    def group_value(counts: Any, concentration: Any) -> Any:
        if counts.size != concentration.size:
            raise ValueError("counts and concentration must have the same K")
        x = np.ascontiguousarray(counts.astype(np.int64) if convert else counts)
        a = np.ascontiguousarray(concentration)
        return _group(x.ctypes.data, a.ctypes.data, x.size, 1)

    def row_values(counts: Any, concentration: Any) -> Any:
        if counts.shape[-1] != concentration.shape[-1]:
            raise ValueError("counts and concentration must have the same K")
        if concentration.ndim == 2 and concentration.shape[0] != counts.shape[0]:
            raise ValueError("counts and concentration must have the same N")
        x = np.ascontiguousarray(counts.astype(np.int64) if convert else counts)
        a = np.ascontiguousarray(concentration)
        out = np.empty(x.shape[0])
        apart = x.shape[1] if concentration.ndim == 2 else 0
        _rows(x.ctypes.data, a.ctypes.data, x.shape[0], x.shape[1], apart, 1, out.ctypes.data)
        return out

    return group_value if counts.ndim == 1 else row_values


def log_dirichlet(key: Any, index: Any, concentration: Any) -> Any:
    """Log of Dirichlet variate ``index`` of a key, for compiled functions that run without the GIL.

    Parameters
    ----------
    key : uint64 array, shape (2,)
        Key of the random stream, as for ``rng`` of `hbm_fast.dirichlet`.
    index : int
        Index of the variate: 0, 1, ..., each used once. Parallel loops are reproducible in any order.
    concentration : float64 array, shape (K,)
        Positive, down to 1e-300.

    Returns
    -------
    float64 array, shape (K,)
        Row ``index`` of ``hbm_fast.dirichlet(key, concentration, size, log=True)``. NaN for a bad concentration.

    Examples
    --------
    >>> import numpy as np
    >>> from numba import njit
    >>> from hbm_fast.integrations.numba import log_dirichlet
    >>> @njit
    ... def third(key, concentration):
    ...     return log_dirichlet(key, 2, concentration)
    >>> bool((third(np.array([1, 2], np.uint64), np.array([1e-8, 1e-8])) > -1e300).all())
    True
    """
    a = np.ascontiguousarray(concentration, np.float64)
    out = np.empty(a.size)
    _dirichlet(int(key[0]), int(key[1]), int(index), a.ctypes.data, a.size, out.ctypes.data)
    return out


def multinomial(key: Any, index: Any, n: Any, pvals: Any) -> Any:
    """Multinomial variate ``index`` of a key, for compiled functions that run without the GIL.

    Parameters
    ----------
    key : uint64 array, shape (2,)
    index : int
        Index of the variate, as for `log_dirichlet`; its random numbers differ for the same key and index.
    n : int
        Total, up to 2,000,000,000.
    pvals : float64 array, shape (K,)
        Not negative, not all zero; divided by their sum.

    Returns
    -------
    int64 array, shape (K,)
        Row ``index`` of ``hbm_fast.multinomial(key, n, pvals, size)``. -1 for a bad total or bad ``pvals``.
    """
    p = np.ascontiguousarray(pvals, np.float64)
    scratch, out = np.empty(2 * p.size), np.empty(p.size, np.int64)
    at = int(key[0]), int(key[1]), int(index)
    _multinomial(*at, int(n), p.ctypes.data, p.size, scratch.ctypes.data, out.ctypes.data)
    return out


def _check_address(key: Any, index: Any) -> None:
    if not (isinstance(key, types.Array) and key.dtype == types.uint64 and key.ndim == 1):
        raise TypingError(f"key must be a uint64 array of shape (2,); got {key}")
    if not isinstance(index, types.Integer | types.IntegerLiteral):
        raise TypingError(f"index must be an integer; got {index}")


def _check_row(array: Any, name: str) -> None:
    if not (isinstance(array, types.Array) and array.dtype == types.float64 and array.ndim == 1):
        raise TypingError(f"{name} must be a float64 array of shape (K,); got {array}")


@overload(log_dirichlet)
def _compiled_log_dirichlet(key: Any, index: Any, concentration: Any) -> Any:
    _check_address(key, index)
    _check_row(concentration, "concentration")

    def draw(key: Any, index: Any, concentration: Any) -> Any:
        if key.size != 2:
            raise ValueError("key must have two words")
        a = np.ascontiguousarray(concentration)
        out = np.empty(a.size)
        _dirichlet(key[0], key[1], index, a.ctypes.data, a.size, out.ctypes.data)
        return out

    return draw


@overload(multinomial)
def _compiled_multinomial(key: Any, index: Any, n: Any, pvals: Any) -> Any:
    _check_address(key, index)
    _check_row(pvals, "pvals")
    if not isinstance(n, types.Integer | types.IntegerLiteral):
        raise TypingError(f"n must be an integer; got {n}")

    def draw(key: Any, index: Any, n: Any, pvals: Any) -> Any:
        if key.size != 2:
            raise ValueError("key must have two words")
        p = np.ascontiguousarray(pvals)
        scratch = np.empty(2 * p.size)
        out = np.empty(p.size, np.int64)
        _multinomial(key[0], key[1], index, n, p.ctypes.data, p.size, scratch.ctypes.data, out.ctypes.data)
        return out

    return draw
