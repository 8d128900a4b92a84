"""The likelihood for JAX: `log_likelihood` under jit, grad, vmap, jvp and hessian, by a kernel that XLA calls."""

from __future__ import annotations

from functools import partial
from hashlib import blake2b
from typing import Any

import numpy as np

from hbm_fast import _core, _validate
from hbm_fast._optional import missing_extra
from hbm_fast.integrations._stirling import log_gamma_tail, trigamma_tail
from hbm_fast.sufficient_statistics import SufficientStatistics
from hbm_fast.tables.inputs import as_counts

try:
    import jax
    import jax.numpy as jnp
    from jax.scipy.special import gammaln
except ImportError:
    raise missing_extra("jax", "jax") from None

__all__ = ["log_likelihood"]

_GROUPS, _STATISTICS = "hbm_fast_log_pmf", "hbm_fast_statistics"
for _target, _address in (
    (_GROUPS, _core.likelihood.log_pmf_xla_address()),
    (_STATISTICS, _core.statistics.log_likelihood_xla_address()),
):
    jax.ffi.register_ffi_target(_target, jax.ffi.pycapsule(_address), platform="cpu")


def log_likelihood(counts: Any, concentration: Any, *, coefficient: bool = True, n_threads: int = 1) -> jax.Array:
    """Log probability of every group, or of all groups by their statistics, for functions that JAX compiles.

    On the CPU XLA calls the compiled kernels of `hbm_fast.log_likelihood` and of `hbm_fast.SufficientStatistics`
    themselves, without Python. On another device differences of Stirling's series are compiled in their place (never
    differences of two log-gammas).

    Parameters
    ----------
    counts : integer Array or array_like (..., K), scipy.sparse or another table (N, K), or SufficientStatistics
        SufficientStatistics give one value for all groups, at a cost that does not depend on their number. A copy of
        them is kept for the compiled function.
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
        return _value(_Pooled(counts, bool(coefficient), threads, a.shape), None, a)
    if not isinstance(counts, jax.Array):
        counts = _constant(_validate.counts(as_counts(counts).dense(), ndim=(1, 2, 3)))
    if not jnp.issubdtype(counts.dtype, jnp.integer):
        raise TypeError(f"counts must be integers; got {counts.dtype}. Use counts.astype(int).")
    if counts.ndim < 1 or counts.shape[-1] != a.shape[-1]:
        raise ValueError(f"counts must have shape (..., K) with K = {a.shape[-1]}; got {counts.shape}")
    jnp.broadcast_shapes(counts.shape, a.shape)
    axes = max(counts.ndim, a.ndim)
    x, a = (v.reshape((1,) * (axes - v.ndim) + v.shape) for v in (counts, a))
    return _value(_Groups(bool(coefficient), threads), x, a)


def _constant(counts: Any) -> Any:
    """The counts in JAX, which would wrap those beyond its integers."""
    array = jnp.asarray(counts)
    if counts.size and counts.max() > jnp.iinfo(array.dtype).max:
        raise ValueError(
            f"counts beyond {array.dtype} need jax.config.update('jax_enable_x64', True); got {counts.max()}"
        )
    return array


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _value(source: _Groups | _Pooled, x: Any, a: Any) -> Any:
    """The values of a source by its kernel, or by its series where there is none."""

    def kernel(x: Any, a: Any) -> Any:
        return source.kernel(x, a, gradient=False)[0]

    return jax.lax.platform_dependent(x, a, cpu=kernel, default=source.series)


@_value.defjvp
def _value_jvp(source: Any, primals: Any, tangents: Any) -> Any:
    value, slopes = _value_and_gradient(source, *primals)
    return value, (slopes * tangents[1]).sum(-1)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _value_and_gradient(source: Any, x: Any, a: Any) -> Any:
    """Of one call of the kernel; differentiable, so that there are second derivatives."""

    def kernel(x: Any, a: Any) -> Any:
        return tuple(source.kernel(x, a, gradient=True))

    def by_series(x: Any, a: Any) -> Any:
        wide = jnp.broadcast_to(a, source.shape(x, a))
        value, pull_back = jax.vjp(lambda b: source.series(x, b), wide)
        return value, pull_back(jnp.ones_like(value))[0]

    return jax.lax.platform_dependent(x, a, cpu=kernel, default=by_series)


@_value_and_gradient.defjvp
def _value_and_gradient_jvp(source: Any, primals: Any, tangents: Any) -> Any:
    value, slopes = _value_and_gradient(source, *primals)
    own, shared = source.curvature(*primals)
    tangent = tangents[1]
    product = shared * tangent.sum(-1, keepdims=True) - own * tangent
    return (value, slopes), ((slopes * tangent).sum(-1), product)


def _call(target: str, arguments: Any, shape: tuple[int, ...], dtype: Any, gradient: bool, **attributes: int) -> Any:
    results = [jax.ShapeDtypeStruct(shape[:-1], dtype), jax.ShapeDtypeStruct(shape, dtype)]
    call = jax.ffi.ffi_call(target, results if gradient else results[:1], vmap_method="expand_dims")
    return call(*arguments, **{name: np.int64(value) for name, value in attributes.items()})


class _Groups:
    """The log probability of each group: counts (..., K) are an argument."""

    def __init__(self, coefficient: bool, n_threads: int) -> None:
        self.coefficient, self.n_threads = coefficient, n_threads

    def shape(self, x: Any, a: Any) -> Any:
        return jnp.broadcast_shapes(x.shape, a.shape)

    def kernel(self, x: Any, a: Any, *, gradient: bool) -> Any:
        options = {"coefficient": self.coefficient, "n_threads": self.n_threads}
        return _call(_GROUPS, (x, a), self.shape(x, a), a.dtype, gradient, **options)

    def series(self, x: Any, a: Any) -> Any:
        return _series(x, a, coefficient=self.coefficient)

    def curvature(self, x: Any, a: Any) -> tuple[Any, Any]:
        """The Hessian is shared - diag(own)."""
        own = _trigamma_difference(a, x)
        return own, _trigamma_difference(a.sum(-1, keepdims=True), x.sum(-1, keepdims=True))


class _Pooled:
    """The log probability of all groups: their statistics are kept by the kernel, under a hash of theirs."""

    def __init__(self, given: SufficientStatistics, coefficient: bool, n_threads: int, shape: tuple[int, ...]) -> None:
        self.n_categories = given.n_categories
        if shape[-1] != self.n_categories:
            raise ValueError(f"concentration must have shape (..., K) with K = {self.n_categories}; got {shape}")
        statistics = SufficientStatistics(n_categories=self.n_categories).merge(given)
        self.coefficient, self.n_threads, self.log_coefficient = coefficient, n_threads, statistics.log_coefficient
        self.columns = [statistics._core.pairs(k) for k in range(self.n_categories + 1)]
        digest = blake2b(digest_size=8)
        for values, weights in self.columns:
            digest.update(len(values).to_bytes(8, "little") + values.tobytes() + weights.tobytes())
        self.key = int.from_bytes(digest.digest(), "little", signed=True)
        statistics._core.keep_for_xla(self.key)

    def shape(self, _: None, a: Any) -> Any:
        return a.shape

    def kernel(self, _: None, a: Any, *, gradient: bool) -> Any:
        options = {"coefficient": self.coefficient, "n_threads": self.n_threads, "key": self.key}
        return _call(_STATISTICS, (a,), a.shape, a.dtype, gradient, **options)

    def series(self, _: None, a: Any) -> Any:
        """Over the distinct counts of each category and the distinct totals."""
        categories, each, values, weights = self._terms(a)
        signs = np.where(categories == self.n_categories, -1.0, 1.0)
        scale = jnp.maximum(a.sum(-1, keepdims=True), 1.0)
        value = (jnp.asarray(signs * weights, a.dtype) * _log_rising(each, jnp.asarray(values, a.dtype), scale)).sum(-1)
        return value + self.log_coefficient if self.coefficient else value

    def curvature(self, _: None, a: Any) -> tuple[Any, Any]:
        categories, each, values, weights = self._terms(a)
        terms = jnp.asarray(weights, a.dtype) * _trigamma_difference(each, jnp.asarray(values, a.dtype))
        sums = jnp.zeros((*a.shape[:-1], self.n_categories + 1), a.dtype).at[..., categories].add(terms)
        return sums[..., :-1], sums[..., -1:]

    def _terms(self, a: Any) -> tuple[Any, Any, Any, Any]:
        """Category (K: the totals), concentration, value and weight of each distinct count."""
        categories = np.repeat(np.arange(len(self.columns)), [len(values) for values, _ in self.columns])
        values, weights = (np.concatenate(parts) for parts in zip(*self.columns, strict=True))
        return categories, jnp.concatenate([a, a.sum(-1, keepdims=True)], -1)[..., categories], values, weights


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
    series = (z0 - 0.5) * jnp.log1p(d / z0) + log_gamma_tail(z1) - log_gamma_tail(z0)
    return jnp.where(n > 0, d * (jnp.log(z1 / scale) - 1) + series + below - above, 0.0)


@_log_rising.defjvp
def _log_rising_jvp(primals: Any, tangents: Any) -> Any:
    # the terms with the scale cancel in the sum over categories and total
    return _log_rising(*primals), _digamma_difference(*primals[:2]) * tangents[0]


def _log_eight_factors(z: Any) -> Any:
    return jnp.log(z) + jnp.log(jnp.stack([z + j for j in range(1, 8)]).prod(0))


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
    series = r + 0.5 * r * (1 / z0 + 1 / z1) + (trigamma_tail(z0) - trigamma_tail(z1))
    return jnp.where(n > 0, below - above + series, 0.0)


def _eight_squares(z: Any) -> Any:
    return jnp.stack([1 / (z + j) ** 2 for j in range(8)]).sum(0)
