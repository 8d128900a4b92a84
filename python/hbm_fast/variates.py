"""Dirichlet and multinomial variates, exact for any concentration and total."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _core, _memory, _random, _validate
from hbm_fast._typing import Floats, RNGLike

MAX_TOTAL = 2_000_000_000  # of a group: a simulated count is an int32
_LARGEST_SIZE = 2**48  # one byte for each is more than any memory holds


def dirichlet(
    rng: RNGLike,
    concentration: ArrayLike,
    size: int | tuple[int, ...] | None = None,
    *,
    log: bool = False,
    n_threads: int | None = None,
) -> Floats:
    """Dirichlet variates; their logs neither underflow nor become NaN, whatever the concentration.

    Parameters
    ----------
    rng : None, int, SeedSequence, BitGenerator or Generator
    concentration : array_like (..., K)
        Positive; down to 1e-300.
    size : int or tuple, optional
        Shape of the result without K; by default that of ``concentration`` without K, which must broadcast to it.
    log : bool, default False
        Return the logs, which are finite where the variates underflow to zero.
    n_threads : int, optional

    Returns
    -------
    ndarray (..., K)

    Raises
    ------
    TypeError, ValueError
        For a concentration that is not positive and finite, or shapes that do not match.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> theta = hbm.dirichlet(0, [1e-8, 1e-8], size=1000, log=True)
    >>> theta.shape, bool((theta > -1e300).all())
    ((1000, 2), True)
    """
    array = _validate.unmasked(concentration, "concentration")
    a = _validate.concentration(array, array.shape[-1] if array.ndim else 0)
    shape = _shape(size, a.shape[:-1], "concentration")
    a = np.maximum(a, 1e-300)
    rows, k = math.prod(shape), a.shape[-1]
    flat = a.reshape(1, k) if a.size == k else np.ascontiguousarray(np.broadcast_to(a, (*shape, k))).reshape(rows, k)
    out = _memory.empty((rows, k), np.float64)
    _core.simulation.dirichlet(_random.key(rng), flat, out, _validate.threads(n_threads))
    if not log:
        with np.errstate(under="ignore"):  # a share below the smallest double is 0
            np.exp(out, out=out)
    return out.reshape(*shape, k)


def multinomial(
    rng: RNGLike,
    n: ArrayLike,
    pvals: ArrayLike,
    size: int | tuple[int, ...] | None = None,
    *,
    n_threads: int | None = None,
) -> NDArray[np.int64]:
    """Multinomial variates, exact for totals up to 2,000,000,000.

    Parameters
    ----------
    rng : None, int, SeedSequence, BitGenerator or Generator
    n : int or array_like (...)
        Totals.
    pvals : array_like (..., K)
        Non-negative rows that sum to one.
    size : int or tuple, optional
        Shape of the result without K; by default the shape ``n`` and ``pvals`` broadcast to.
    n_threads : int, optional

    Returns
    -------
    ndarray (..., K) int64

    Raises
    ------
    TypeError, ValueError
        For totals that are no integers, negative or too large, for rows that do not sum to one, or shapes that do not
        match.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.multinomial(0, 2_000_000_000, [0.5, 0.25, 0.25], size=3).sum(axis=-1).tolist()
    [2000000000, 2000000000, 2000000000]
    """
    totals = _totals(n)
    p = _validate.unmasked(pvals, "pvals")
    p = _validate.proportions(p, "pvals", p.shape)
    inner = np.broadcast_shapes(totals.shape, p.shape[:-1])
    shape = _shape(size, inner, "n and pvals")
    rows, k = math.prod(shape), p.shape[-1]
    flat = p.reshape(1, k) if p.size == k else np.broadcast_to(p, (*shape, k)).reshape(rows, k)
    out = _memory.empty((rows, k), np.int64)
    each = np.ascontiguousarray(np.broadcast_to(totals, shape)).reshape(rows)
    _core.simulation.multinomial(_random.key(rng), each, np.ascontiguousarray(flat), out, _validate.threads(n_threads))
    return out.reshape(*shape, k)


def _totals(n: ArrayLike) -> NDArray[np.int64]:
    array = _validate.integers(n, "n")
    _validate.no_negative(array, "n")
    if array.size:
        _validate.at_most(int(array.max()), "n", MAX_TOTAL)
    return array.astype(np.int64)


def _shape(size: int | tuple[int, ...] | None, inner: tuple[int, ...], name: str) -> tuple[int, ...]:
    if size is None:
        return inner
    sizes = size if isinstance(size, tuple) else (size,)
    shape = tuple(_validate.positive_int(s, "size", minimum=0) for s in sizes)
    if math.prod(shape) > _LARGEST_SIZE:
        raise ValueError(f"size must be at most 2**48 variates in all; got {shape}")
    try:
        matches = np.broadcast_shapes(inner, shape) == shape
    except ValueError:
        matches = False
    if not matches:
        raise ValueError(f"size must be a shape that {name} broadcast to; got {shape} for {inner}")
    return shape
