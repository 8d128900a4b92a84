"""The likelihood for JAX: `log_likelihood` under jit, grad, vmap, jvp and hessian, by a kernel that XLA calls."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from hbm_fast import _core, _validate
from hbm_fast._optional import missing_extra
from hbm_fast.sufficient_statistics import SufficientStatistics
from hbm_fast.tables.inputs import as_counts

try:
    import jax
    import jax.numpy as jnp
    from jax.scipy.special import gammaln
except ImportError:
    raise missing_extra("jax", "jax") from None

__all__ = ["log_likelihood"]

_TARGET = "hbm_fast_log_pmf"
jax.ffi.register_ffi_target(_TARGET, jax.ffi.pycapsule(_core.likelihood.log_pmf_xla_address()), platform="cpu")


def log_likelihood(counts: Any, concentration: Any, *, coefficient: bool = True, n_threads: int = 1) -> jax.Array:
    """Log probability of every group, or of all groups by their statistics, for functions that JAX compiles.

    On the CPU XLA calls the compiled kernel of `hbm_fast.log_likelihood` itself, without Python. On another device, and
    for statistics, differences of Stirling's series are compiled in its place (never differences of two log-gammas).

    Parameters
    ----------
    counts : integer Array or array_like (..., K), scipy.sparse or another table (N, K), or SufficientStatistics
        SufficientStatistics give one value for all groups, at a cost that does not depend on their number.
    concentration : float32 or float64 Array, shape (..., K)
        Its leading axes broadcast against those of counts.
    coefficient : bool, default True
        Include the multinomial coefficient.
    n_threads : int, default 1
        Of the kernel, for each call.

    Returns
    -------
    Array, shape (...,)
        Of the dtype of the concentration: float64 where ``jax_enable_x64`` is set; the kernel computes in float64
        either way. NaN for every group where a count is negative, or a concentration is negative, infinite or NaN,
        because compiled code raises no errors.

    Raises
    ------
    TypeError
        Counts that are not integers.
    ValueError
        Shapes that do not broadcast; constant counts that `hbm_fast.log_likelihood` refuses.

    Examples
    --------
    >>> import jax
    >>> from hbm_fast.integrations.jax import log_likelihood
    >>> [round(float(slope), 3) for slope in jax.grad(lambda a: log_likelihood([1, 0], a))(jax.numpy.array([2.0, 2.0]))]
    [0.25, -0.25]
    """
    a = jnp.asarray(concentration)
    if not jnp.issubdtype(a.dtype, jnp.floating) or a.ndim < 1:
        raise TypeError(f"concentration must be a floating array of shape (..., K); got {a.dtype} of shape {a.shape}")
    if a.dtype not in (jnp.float32, jnp.float64):
        return log_likelihood(counts, a.astype(jnp.float32), coefficient=coefficient, n_threads=n_threads).astype(
            a.dtype
        )
    threads = _validate.positive_int(n_threads, "n_threads", maximum=_validate.MAX_THREADS)
    if isinstance(counts, SufficientStatistics):
        return _statistics_series(counts, a, coefficient)
    if not isinstance(counts, jax.Array):
        counts = _constant(_validate.counts(as_counts(counts).dense(), ndim=(1, 2, 3)))
    if not jnp.issubdtype(counts.dtype, jnp.integer):
        raise TypeError(f"counts must be integers; got {counts.dtype}. Use counts.astype(int).")
    if counts.ndim < 1 or counts.shape[-1] != a.shape[-1]:
        raise ValueError(f"counts must have shape (..., K) with K = {a.shape[-1]}; got {counts.shape}")
    jnp.broadcast_shapes(counts.shape, a.shape)
    axes = max(counts.ndim, a.ndim)
    x, a = (v.reshape((1,) * (axes - v.ndim) + v.shape) for v in (counts, a))
    return _value(x, a, bool(coefficient), threads)


def _constant(counts: Any) -> Any:
    """The counts in JAX, which would wrap those beyond its integers."""
    array = jnp.asarray(counts)
    if counts.size and counts.max() > jnp.iinfo(array.dtype).max:
        raise ValueError(
            f"counts beyond {array.dtype} need jax.config.update('jax_enable_x64', True); got {counts.max()}"
        )
    return array


@partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def _value(x: Any, a: Any, coefficient: bool, n_threads: int) -> Any:
    def kernel(x: Any, a: Any) -> Any:
        return _call(x, a, coefficient, n_threads, gradient=False)[0]

    return jax.lax.platform_dependent(x, a, cpu=kernel, default=partial(_series, coefficient=coefficient))


@_value.defjvp
def _value_jvp(coefficient: bool, n_threads: int, primals: Any, tangents: Any) -> Any:
    value, slopes = _value_and_gradient(*primals, coefficient, n_threads)
    return value, (slopes * tangents[1]).sum(-1)


@partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def _value_and_gradient(x: Any, a: Any, coefficient: bool, n_threads: int) -> Any:
    """Of one call of the kernel; differentiable, so that there are second derivatives."""

    def kernel(x: Any, a: Any) -> Any:
        return tuple(_call(x, a, coefficient, n_threads, gradient=True))

    def by_series(x: Any, a: Any) -> Any:
        wide = jnp.broadcast_to(a, jnp.broadcast_shapes(x.shape, a.shape))
        value, pull_back = jax.vjp(lambda b: _series(x, b, coefficient=coefficient), wide)
        return value, pull_back(jnp.ones_like(value))[0]

    return jax.lax.platform_dependent(x, a, cpu=kernel, default=by_series)


@_value_and_gradient.defjvp
def _value_and_gradient_jvp(coefficient: bool, n_threads: int, primals: Any, tangents: Any) -> Any:
    x, a = primals
    value, slopes = _value_and_gradient(x, a, coefficient, n_threads)
    own = _trigamma_difference(a, x)
    shared = _trigamma_difference(a.sum(-1, keepdims=True), x.sum(-1, keepdims=True))
    tangent = tangents[1]
    product = shared * tangent.sum(-1, keepdims=True) - own * tangent
    return (value, slopes), ((slopes * tangent).sum(-1), product)


def _call(x: Any, a: Any, coefficient: bool, n_threads: int, *, gradient: bool) -> Any:
    shape = jnp.broadcast_shapes(x.shape, a.shape)
    results = [jax.ShapeDtypeStruct(shape[:-1], a.dtype), jax.ShapeDtypeStruct(shape, a.dtype)]
    call = jax.ffi.ffi_call(_TARGET, results if gradient else results[:1], vmap_method="expand_dims")
    return call(x, a, coefficient=np.int64(coefficient), n_threads=np.int64(n_threads))


def _series(x: Any, a: Any, *, coefficient: bool) -> Any:
    """The log probability by differences of Stirling's series (DLMF 5.11.1)."""
    x = x.astype(a.dtype)
    total, a_sum = x.sum(-1), a.sum(-1)
    # relative to a large A, so that large concentrations leave small terms: D(a_k, x_k) - x_k log A
    scale = jnp.maximum(a_sum, 1.0)
    value = _log_rising(a, x, scale[..., None]).sum(-1) - _log_rising(a_sum, total, scale)
    if coefficient:
        value = value + gammaln(total + 1) - gammaln(x + 1).sum(-1)
    return value


def _statistics_series(statistics: SufficientStatistics, a: Any, coefficient: bool) -> Any:
    """The same, summed over the distinct counts of each category and the distinct totals."""
    if a.shape[-1] != statistics.n_categories:
        raise ValueError(f"concentration must have shape (..., K) with K = {statistics.n_categories}; got {a.shape}")
    columns = [statistics._core.pairs(k) for k in range(statistics.n_categories + 1)]
    categories = np.repeat(np.arange(len(columns)), [len(values) for values, _ in columns])
    values, weights = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    signed = np.where(categories == statistics.n_categories, -weights, weights)
    a_sum = a.sum(-1, keepdims=True)
    each = jnp.concatenate([a, a_sum], -1)[..., categories]
    terms = _log_rising(each, jnp.asarray(values, a.dtype), jnp.maximum(a_sum, 1.0))
    value = (jnp.asarray(signed, a.dtype) * terms).sum(-1)
    return value + statistics.log_coefficient if coefficient else value


def _moved(a: Any, n: Any, eight: Any) -> Any:
    """a and a + n moved up by 8 where they are below it, their difference, and the ``eight`` terms of each move."""
    top = a + n
    low0, low1 = a < 8, top < 8
    z0, z1 = jnp.where(low0, a + 8, a), jnp.where(low1, top + 8, top)
    below = jnp.where(low0, eight(jnp.where(low0, a, 1.0)), 0.0)
    above = jnp.where(low1, eight(jnp.where(low1, top, 1.0)), 0.0)
    return z0, z1, n - 8.0 * low0 + 8.0 * low1, below, above


@jax.custom_jvp
def _log_rising(a: Any, n: Any, scale: Any) -> Any:
    """lgamma(a + n) - lgamma(a) - n log(scale), by the difference of Stirling's series at 8 or more (DLMF 5.11.1)."""
    shift = 8 * jnp.log(scale)
    z0, z1, d, below, above = _moved(jnp.where(n > 0, a, 1.0), n, lambda z: _log_eight_factors(z) - shift)
    series = (z0 - 0.5) * jnp.log1p(d / z0) + _tail(z1) - _tail(z0)
    return jnp.where(n > 0, d * (jnp.log(z1 / scale) - 1) + series + below - above, 0.0)


@_log_rising.defjvp
def _log_rising_jvp(primals: Any, tangents: Any) -> Any:
    # the terms with the scale cancel in the sum over categories and total
    return _log_rising(*primals), _digamma_difference(*primals[:2]) * tangents[0]


def _log_eight_factors(z: Any) -> Any:
    return jnp.log(z) + jnp.log(jnp.stack([z + j for j in range(1, 8)]).prod(0))


def _tail(z: Any) -> Any:
    r = 1 / z
    q = r * r
    return r * (
        1 / 12 - q * (1 / 360 - q * (1 / 1260 - q * (1 / 1680 - q * (1 / 1188 - q * (691 / 360360 - q / 156)))))
    )


@jax.custom_jvp
def _digamma_difference(a: Any, n: Any) -> Any:
    """digamma(a + n) - digamma(a), from the differences of the terms of its series at 8 or more (DLMF 5.11.2)."""
    z0, z1, d, below, above = _moved(jnp.where(n > 0, a, 1.0), n, _eight_inverses)
    series = jnp.log1p(d / z0) + 0.5 * (d / z0 / z1) + _digamma_tail(z0) - _digamma_tail(z1)
    return jnp.where(n > 0, below - above + series, 0.0)


@_digamma_difference.defjvp
def _digamma_difference_jvp(primals: Any, tangents: Any) -> Any:
    return _digamma_difference(*primals), -_trigamma_difference(*primals) * tangents[0]


def _eight_inverses(z: Any) -> Any:
    return jnp.stack([1 / (z + j) for j in range(8)]).sum(0)


def _digamma_tail(z: Any) -> Any:
    q = 1 / z / z
    return q * (1 / 12 - q * (1 / 120 - q * (1 / 252 - q * (1 / 240 - q * (1 / 132 - q * (691 / 32760 - q / 12))))))


def _trigamma_difference(a: Any, n: Any) -> Any:
    """trigamma(a) - trigamma(a + n), from the differences of the terms of its series at 8 or more (DLMF 5.15.8)."""
    n = n.astype(a.dtype)
    z0, z1, d, below, above = _moved(a, n, _eight_squares)
    r = d / z0 / z1
    series = r + 0.5 * r * (1 / z0 + 1 / z1) + (_trigamma_tail(z0) - _trigamma_tail(z1))
    return jnp.where(n > 0, below - above + series, 0.0)


def _eight_squares(z: Any) -> Any:
    return jnp.stack([1 / (z + j) ** 2 for j in range(8)]).sum(0)


def _trigamma_tail(z: Any) -> Any:
    r = 1 / z
    q = r * r
    return r * q * (1 / 6 - q * (1 / 30 - q * (1 / 42 - q * (1 / 30 - q * (5 / 66 - q * (691 / 2730 - q * (7 / 6)))))))
