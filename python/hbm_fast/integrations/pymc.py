"""The likelihood for PyMC: `log_likelihood` for potentials, with its gradient, and `DirichletMultinomial`."""

from __future__ import annotations

import warnings
from functools import cache, cached_property
from typing import Any

import numpy as np

from hbm_fast import _core, _validate
from hbm_fast._optional import missing_extra
from hbm_fast.likelihood import log_likelihood as _log_likelihood
from hbm_fast.likelihood import log_likelihood_gradient as _log_likelihood_gradient
from hbm_fast.sufficient_statistics import SufficientStatistics
from hbm_fast.tables.inputs import as_counts

try:
    import pymc as pm
    import pytensor.tensor as pt
    from pymc.distributions.multivariate import DirichletMultinomialRV
    from pymc.logprob.abstract import _logprob
    from pymc.pytensorf import constant_fold
    from pytensor.compile.mode import optdb
    from pytensor.gradient import DisconnectedType
    from pytensor.graph.basic import Apply, Constant
    from pytensor.graph.op import Op
    from pytensor.graph.rewriting.basic import in2out, node_rewriter
    from pytensor.link.numba.dispatch.basic import generate_fallback_impl, numba_funcify
    from pytensor.scalar import Second
    from pytensor.tensor.extra_ops import broadcast_shape
    from pytensor.tensor.math import Sum
    from pytensor.tensor.rewriting.basic import register_canonicalize, register_specialize
    from pytensor.tensor.variable import TensorVariable
except ImportError:
    raise missing_extra("pymc", "pymc") from None

__all__ = ["DirichletMultinomial", "log_likelihood"]

_LARGEST_TOTAL = 2**40  # that SufficientStatistics take


def log_likelihood(counts: Any, concentration: Any, *, coefficient: bool = True, n_threads: int = 1) -> TensorVariable:
    """Log probability of every group, or of all groups by their statistics, for ``pm.Potential``.

    The kernels of `hbm_fast.log_likelihood` and of its gradient take the place of differences of log-gammas. The numba
    backend, which nutpie uses too, calls them in object mode: their loops run without the GIL. The JAX backend calls
    `hbm_fast.integrations.jax.log_likelihood`.

    Parameters
    ----------
    counts : integer array_like, table or TensorVariable (..., K), scipy.sparse (N, K), or SufficientStatistics
        SufficientStatistics, of which a copy is kept, give one value for all groups at a cost that does not depend on
        their number. The sum over all groups of constant counts under one concentration (K,) is computed by statistics
        too.
    concentration : TensorVariable (..., K)
        Its leading axes broadcast against those of counts; sparse counts take (K,) or (N, K).
    coefficient : bool, default True
        Include the multinomial coefficient.
    n_threads : int, default 1
        Samplers run their chains in parallel.

    Returns
    -------
    TensorVariable, shape (...,)
        Of the dtype of the concentration. -inf for all groups, with a gradient of zeros, where a concentration is
        negative, infinite or NaN, as samplers expect.

    Raises
    ------
    TypeError
        Counts that are not integers, or a concentration that is not floating.
    ValueError
        As `hbm_fast.log_likelihood`: for constant counts at once, else when the function runs.

    Examples
    --------
    >>> import pymc as pm
    >>> from hbm_fast.integrations.pymc import log_likelihood
    >>> with pm.Model() as model:
    ...     a = pm.Exponential("a", 1.0, shape=2)
    ...     x = pm.Potential("x", log_likelihood([[20, 0], [0, 20]], a))
    >>> round(float(model.compile_logp(vars=[x])({"a_log__": [0.0, 0.0]})), 4)  # -2 log 21
    -6.089
    """
    a = pt.as_tensor_variable(concentration)
    if a.type.dtype not in ("float32", "float64") or a.type.ndim < 1:
        raise TypeError(f"concentration must be a floating tensor of shape (..., K); got {a.type}")
    threads = _validate.positive_int(n_threads, "n_threads", maximum=_validate.MAX_THREADS)
    inputs, wide = [], a.astype("float64")
    if isinstance(counts, SufficientStatistics):
        statistics = SufficientStatistics(n_categories=counts.n_categories).merge(counts)
        op: _LogLikelihood = _AllGroups(_Held(None, statistics), bool(coefficient), threads)
    elif isinstance(counts, TensorVariable) and not isinstance(counts, Constant):
        if not counts.type.dtype.startswith(("int", "uint")) or counts.type.ndim < 1:
            raise TypeError(f"counts must be an integer tensor of shape (..., K); got {counts.type}")
        inputs.append(counts)
        op = _EachGroup(None, bool(coefficient), threads)
    else:
        given = as_counts(counts.data if isinstance(counts, Constant) else counts).counts
        given = given if _validate.is_sparse(given) else _validate.count_array(given, "counts")
        op = _EachGroup(_Held(given, _statistics(given, a.type.ndim)), bool(coefficient), threads)
    return op(*inputs, wide)[0].astype(a.type.dtype)


class _Held:
    """Constant counts and their statistics. An Op compares them by identity."""

    def __init__(self, counts: Any, statistics: SufficientStatistics | None) -> None:
        self.counts, self.statistics = counts, statistics

    @cached_property
    def dense(self) -> Any:
        """Sparse counts in full, beside a gradient that is as large."""
        return as_counts(self.counts).dense()


def _statistics(counts: Any, concentration_ndim: int) -> SufficientStatistics | None:
    """The statistics of groups (N, K) that share one concentration; None where they cannot be added up."""
    values = _validate.csr(counts)[0][:, np.newaxis] if _validate.is_sparse(counts) else counts
    _validate.count_values(values, "counts")
    if concentration_ndim != 1 or len(counts.shape) != 2 or counts.sum(axis=1).max(initial=0) > _LARGEST_TOTAL:
        return None
    return SufficientStatistics(counts)


class _LogLikelihood(Op):  # type: ignore[misc]
    """Value and gradient by one call of the kernel; rewriting drops a gradient that is not used."""

    __props__ = ("held", "coefficient", "n_threads", "gradient")

    def __init__(self, held: _Held | None, coefficient: bool, n_threads: int, gradient: bool = True) -> None:
        self.held, self.coefficient, self.n_threads, self.gradient = held, coefficient, n_threads, gradient

    def without_gradient(self) -> _LogLikelihood:
        return type(self)(self.held, self.coefficient, self.n_threads, gradient=False)

    def make_node(self, *inputs: Any) -> Apply:
        outputs = [pt.tensor(dtype="float64", shape=shape) for shape in self.static_shapes(*inputs)]
        return Apply(self, list(inputs), outputs if self.gradient else outputs[:1])

    def perform(self, node: Apply, inputs: list[Any], output_storage: list[list[Any]]) -> None:
        *counts, a = inputs
        try:
            outputs = self.evaluate(*counts, a)
        except ValueError:
            if np.isfinite(a).all() and (a >= 0.0).all():
                raise
            shape = self.leading_shape(*counts, a)
            outputs = np.full(shape, -np.inf), np.zeros((*shape, a.shape[-1]))
        for storage, output in zip(output_storage, outputs, strict=False):
            storage[0] = output

    def infer_shape(self, *arguments: Any) -> list[Any]:
        node, shapes = arguments[-2:]  # before PyTensor 3.3 a graph came first
        found: list[Any] = self.output_shapes(shapes)
        return found[: len(node.outputs)]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        outputs = [True] * len(node.outputs)
        return [*([[False] * len(outputs)] * (len(node.inputs) - 1)), outputs]

    def pullback(self, inputs: list[Any], outputs: list[Any], output_grads: list[Any]) -> list[Any]:
        if not isinstance(output_grads[-1].type, DisconnectedType):
            raise NotImplementedError("the gradient of hbm_fast's log_likelihood has no derivative in PyTensor")
        return [DisconnectedType()()] * (len(inputs) - 1) + [self.cost_slope(inputs[-1], outputs[1], output_grads[0])]

    L_op = pullback  # its name before PyTensor 3


class _EachGroup(_LogLikelihood):
    """One value a group; the counts are held, or the first input."""

    def source(self, counts: Any = None) -> Any:
        return counts if self.held is None else self.held.dense if self.gradient else self.held.counts

    def evaluate(self, *inputs: Any) -> tuple[Any, ...]:
        x, a = self.source(*inputs[:-1]), inputs[-1]
        options: dict[str, Any] = {"coefficient": self.coefficient, "n_threads": self.n_threads}
        if self.held is None or x.shape != a.shape or _validate.is_sparse(x):
            if self.gradient:
                value, gradient = _log_likelihood_gradient(x, a, **options)
                return np.asarray(value), gradient
            return (np.asarray(_log_likelihood(x, a, **options)),)
        value = np.empty(a.shape[:-1])  # constant counts have been checked
        if not self.gradient:
            _core.likelihood.log_pmf(x, a, self.coefficient, value, self.n_threads)
            return (value,)
        gradient = np.empty(a.shape)
        _core.likelihood.log_pmf_gradient(x, a, self.coefficient, value, gradient, self.n_threads)
        return value, gradient

    def leading_shape(self, *inputs: Any) -> tuple[int, ...]:
        counts, a = self._both(*inputs)
        return np.broadcast_shapes(counts.shape[:-1], a.shape[:-1])

    def _both(self, *inputs: Any) -> tuple[Any, Any]:
        return (inputs[0] if self.held is None else self.held.counts), inputs[-1]

    def static_shapes(self, *inputs: Any) -> list[tuple[int | None, ...]]:
        counts, a = self._both(*inputs)
        x_shape = counts.type.shape if self.held is None else tuple(counts.shape)
        k = x_shape[-1] if a.type.shape[-1] is None else a.type.shape[-1]
        lead = max(len(x_shape), a.type.ndim) - 1
        wide = [(1,) * (lead + 1 - len(s)) + tuple(s[:-1]) for s in (x_shape, a.type.shape)]
        shape = tuple(n if m == 1 else m if n == 1 or m is not None else n for m, n in zip(*wide, strict=True))
        return [shape, (*shape, k)]

    def output_shapes(self, shapes: list[Any]) -> list[Any]:
        x_shape = shapes[0] if self.held is None else tuple(map(pt.constant, self.held.counts.shape))
        shape = tuple(broadcast_shape(x_shape[:-1], shapes[-1][:-1], arrays_are_shapes=True))
        return [shape, (*shape, shapes[-1][-1])]

    def cost_slope(self, a: Any, slopes: Any, grad_value: Any) -> Any:
        shared = None if self.held is None or self.held.statistics is None else _common_factor(grad_value)
        if shared is not None:  # of a sum over groups
            return shared * _AllGroups(self.held, self.coefficient, self.n_threads)(a)[1]
        grad = grad_value[..., np.newaxis] * slopes
        grad = grad.sum(axis=tuple(range(grad.type.ndim - a.type.ndim)))
        repeated = [axis for axis in range(a.type.ndim - 1) if a.type.broadcastable[axis]]
        return grad.sum(axis=repeated, keepdims=True) if repeated else grad


class _AllGroups(_LogLikelihood):
    """One value for all groups, by the statistics held."""

    def source(self) -> SufficientStatistics:
        statistics: SufficientStatistics = self.held.statistics  # type: ignore[union-attr,assignment]
        return statistics

    def evaluate(self, a: Any) -> tuple[Any, ...]:
        statistics = self.source()
        if a.shape[-1] != statistics.n_categories:
            raise ValueError(
                f"concentration must have shape (..., K) with K = {statistics.n_categories}; got {a.shape}"
            )
        value, gradient = np.empty(a.shape[:-1]), np.empty(a.shape) if self.gradient else None
        _validate.in_range(a, "concentration", zero=True)
        a = np.ascontiguousarray(a)
        statistics._core.log_likelihood(a, value, gradient, self.n_threads, self.coefficient)
        return value, gradient

    def leading_shape(self, a: Any) -> tuple[int, ...]:
        return tuple(a.shape[:-1])

    def static_shapes(self, a: Any) -> list[tuple[int | None, ...]]:
        return [a.type.shape[:-1], a.type.shape]

    def output_shapes(self, shapes: list[Any]) -> list[Any]:
        return [shapes[0][:-1], shapes[0]]

    def cost_slope(self, a: Any, slopes: Any, grad_value: Any) -> Any:
        return grad_value[..., np.newaxis] * slopes


def _common_factor(grad: Any) -> Any:
    """The scalar that `grad` repeats for every group, as the gradient of a sum does; None where it is no such."""
    while grad.owner is not None and isinstance(getattr(grad.owner.op, "scalar_op", None), Second):
        grad = grad.owner.inputs[1]
    return grad.squeeze() if all(grad.type.broadcastable) else None


@register_canonicalize
@node_rewriter([Sum])
def local_sum_by_statistics(fgraph: Any, node: Apply) -> list[Any] | None:
    """The sum over all groups of constant counts under one concentration, by their statistics."""
    each = node.inputs[0].owner
    if each is None or not isinstance(each.op, _EachGroup) or node.inputs[0] is not each.outputs[0]:
        return None
    if each.op.held is None or each.op.held.statistics is None:
        return None
    return [_AllGroups(each.op.held, each.op.coefficient, each.op.n_threads)(*each.inputs)[0]]


@register_specialize
@node_rewriter([_EachGroup, _AllGroups])
def local_value_alone(fgraph: Any, node: Apply) -> dict[Any, Any] | None:
    """No gradient where nothing uses it."""
    if not node.op.gradient or fgraph.clients[node.outputs[1]]:
        return None
    return {node.outputs[0]: node.op.without_gradient()(*node.inputs)}


@numba_funcify.register(_LogLikelihood)
def _in_object_mode(op: _LogLikelihood, node: Apply, **options: Any) -> Any:
    with warnings.catch_warnings():  # that object mode is used: the time is the kernel's
        warnings.simplefilter("ignore")
        return generate_fallback_impl(op, node, **options)


@cache
def _register_with_jax() -> None:
    import jax
    import jax.numpy as jnp
    from pytensor.link.jax.dispatch import jax_funcify

    from hbm_fast.integrations.jax import log_likelihood as by_jax

    @jax_funcify.register(_LogLikelihood)
    def _in_jax(op: _LogLikelihood, **_: Any) -> Any:
        def evaluated(*inputs: Any) -> Any:
            *counts, a = inputs
            source = op.source(*counts)

            def value_at(b: Any) -> Any:
                return by_jax(source, b, coefficient=op.coefficient, n_threads=op.n_threads)

            good = ((a >= 0.0) & (a < jnp.inf)).all()
            if not op.gradient:
                return jnp.where(good, value_at(a), -jnp.inf)
            value, pull_back = jax.vjp(value_at, jnp.broadcast_to(a, (*op.leading_shape(*counts, a), a.shape[-1])))
            (slopes,) = pull_back(jnp.ones_like(value))
            return jnp.where(good, value, -jnp.inf), jnp.where(good, slopes, 0.0)

        return evaluated


@node_rewriter([_EachGroup, _AllGroups])
def local_register_with_jax(fgraph: Any, node: Apply) -> None:
    """Only where JAX compiles: importing its dispatch imports jax, and sets ``jax_enable_x64``."""
    _register_with_jax()


optdb.register("hbm_fast_register_with_jax", in2out(local_register_with_jax), "jax", position=100)


class FastDirichletMultinomialRV(DirichletMultinomialRV):  # type: ignore[misc]
    """PyMC's random variable, whose log probability the kernel computes."""


class DirichletMultinomial(pm.DirichletMultinomial):  # type: ignore[misc]
    """``pm.DirichletMultinomial`` with the kernels of hbm_fast for its log probability and gradient.

    Parameters
    ----------
    name : str
    n : int array_like or TensorVariable (...)
        Totals of the groups.
    a : TensorVariable (..., K)
        Concentration, at least 0; 0 means that the category is absent.
    observed : array_like (..., K), ``pm.Data`` or scipy.sparse (N, K), optional
        Constant counts under one concentration (K,) are evaluated by their sufficient statistics: the cost does not
        depend on the number of groups. PyMC takes no sparse ``observed``: sparse counts become a ``pm.Potential`` of
        this name, and predictive sampling raises.
    dims : str or sequence of str, optional
    **kwargs
        As those of ``pm.DirichletMultinomial``.

    Examples
    --------
    >>> import pymc as pm
    >>> from hbm_fast.integrations.pymc import DirichletMultinomial
    >>> with pm.Model() as model:
    ...     a = pm.Exponential("a", 1.0, shape=2)
    ...     x = DirichletMultinomial("x", 20, a, observed=[[20, 0], [0, 20]])
    >>> round(float(model.compile_logp(vars=[x])({"a_log__": [0.0, 0.0]})), 4)  # -2 log 21
    -6.089
    """

    rv_type = FastDirichletMultinomialRV
    rv_op = FastDirichletMultinomialRV.rv_op

    def __new__(cls, name: str, n: Any, a: Any, *, observed: Any = None, dims: Any = None, **kwargs: Any) -> Any:
        if _validate.is_sparse(observed):
            _validate.keywords(kwargs, (), "DirichletMultinomial with sparse observed")
            return _sparse_potential(name, n, a, observed, dims)
        return super().__new__(cls, name, n, a, observed=observed, dims=dims, **kwargs)


@_logprob.register(FastDirichletMultinomialRV)
def _log_probability(op: Any, values: Any, rng: Any, size: Any, n: Any, a: Any, **kwargs: Any) -> Any:
    (value,) = values
    totals, counts = constant_fold((n, value), raise_not_constant=False)
    if isinstance(totals, np.ndarray) and isinstance(counts, np.ndarray):
        whole = counts.astype(np.int64)
        if (whole == counts).all() and (whole >= 0).all() and (whole.sum(axis=-1) == totals).all():
            return log_likelihood(whole, a)
    whole = value.astype("int64")
    possible = pt.all(pt.eq(whole, value) & (whole >= 0), axis=-1) & pt.eq(whole.sum(axis=-1), n)
    return pt.switch(possible, log_likelihood(pt.maximum(whole, 0), a), -np.inf)


def _sparse_potential(name: str, n: Any, a: Any, counts: Any, dims: Any) -> Any:
    """A potential of the groups' log probabilities, which depends on an observed variable that cannot be drawn."""
    (totals,) = constant_fold((pt.as_tensor_variable(n),), raise_not_constant=False)
    if not isinstance(totals, np.ndarray) or (np.asarray(counts.sum(axis=1)).ravel() != totals).any():
        raise ValueError("n must be the constant totals of the groups, observed.sum(axis=1), beside sparse observed")

    def refuse(*arguments: Any, **options: Any) -> Any:
        raise NotImplementedError(
            f"{name} has sparse observed counts, a potential, and cannot be drawn: pass dense counts for predictive "
            "sampling, or var_names without it"
        )

    empty = pm.CustomDist(f"{name}_undrawn", logp=pt.zeros_like, random=refuse, observed=np.empty(0))
    concentration = pt.as_tensor_variable(a) + empty.sum()
    leading = dims if dims is None or isinstance(dims, str) else tuple(dims)[:1]
    return pm.Potential(name, log_likelihood(counts, concentration), dims=leading)
