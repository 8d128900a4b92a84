"""The likelihood inside numba's compiled functions: `log_likelihood`, callable in ``@njit`` and ``prange``."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from hbm_fast import _core, _validate
from hbm_fast.likelihood import log_likelihood as _log_likelihood

try:
    from numba import types
    from numba.core.errors import TypingError
    from numba.extending import overload
except ImportError:
    raise _validate.missing_extra("numba", "numba") from None

_pointer, _integer = ctypes.c_void_p, ctypes.c_int64
_group = ctypes.CFUNCTYPE(ctypes.c_double, _pointer, _pointer, _integer, _integer)(_core.log_pmf_group_address())
_rows = ctypes.CFUNCTYPE(None, _pointer, _pointer, *[_integer] * 4, _pointer)(_core.log_pmf_rows_address())


def log_likelihood(counts: Any, concentration: Any) -> Any:
    """Log probability of one group, or of every row; to be called inside compiled functions, without the GIL.

    Parameters
    ----------
    counts : integer array, shape (K,) or (N, K)
        int64 and C-contiguous is read as it lies; anything else is copied.
    concentration : float64 array, shape (K,) or (N, K)

    Returns
    -------
    float or float64 array, shape (N,)
        Compiled code cannot say what was wrong: a negative count or a bad concentration gives NaN (for all rows of the
        call). Outside of compiled functions this is `hbm_fast.log_likelihood`.

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
    as_int64 = counts.dtype != types.int64

    def of_group(counts: Any, concentration: Any) -> Any:
        if counts.size != concentration.size:
            raise ValueError("counts and concentration must have the same K")
        x = np.ascontiguousarray(counts.astype(np.int64) if as_int64 else counts)
        a = np.ascontiguousarray(concentration)
        return _group(x.ctypes.data, a.ctypes.data, x.size, 1)

    def of_rows(counts: Any, concentration: Any) -> Any:
        if counts.shape[-1] != concentration.shape[-1]:
            raise ValueError("counts and concentration must have the same K")
        if concentration.ndim == 2 and concentration.shape[0] != counts.shape[0]:
            raise ValueError("counts and concentration must have the same N")
        x = np.ascontiguousarray(counts.astype(np.int64) if as_int64 else counts)
        a = np.ascontiguousarray(concentration)
        out = np.empty(x.shape[0])
        apart = x.shape[1] if concentration.ndim == 2 else 0
        _rows(x.ctypes.data, a.ctypes.data, x.shape[0], x.shape[1], apart, 1, out.ctypes.data)
        return out

    return of_group if counts.ndim == 1 else of_rows
