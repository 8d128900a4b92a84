"""The likelihood for torch: `log_prob` with first and second derivatives, and `DirichletMultinomial`."""

from __future__ import annotations

from typing import Any

import numpy as np

from hbm_fast import _validate, likelihood
from hbm_fast._optional import missing_extra
from hbm_fast.integrations._stirling import log_gamma_tail, trigamma_tail
from hbm_fast.sufficient_statistics import SufficientStatistics
from hbm_fast.tables.inputs import as_counts

try:
    import torch
    from torch import Tensor
    from torch.autograd.function import once_differentiable
    from torch.distributions import Distribution, Multinomial, constraints
except ImportError:
    raise missing_extra("torch", "amortize") from None

__all__ = ["DirichletMultinomial", "log_prob", "series_log_prob"]


def log_prob(counts: Any, concentration: Tensor, *, coefficient: bool = True) -> Tensor:
    """Log probability of every group, or of all groups by their statistics, differentiable twice in the concentration.

    On the CPU the compiled kernel computes it; on another device and inside torch.compile torch does, in float64, from
    differences of Stirling's series (never from the difference of two log-gammas). ``torch.func`` (grad, vmap, jvp,
    hessian) and ``torch.compile(fullgraph=True)`` take it.

    Parameters
    ----------
    counts : integer Tensor (..., K), scipy.sparse or another table (N, K), or SufficientStatistics
        SufficientStatistics give one value for all groups, at a cost that does not depend on their number.
    concentration : float32 or float64 Tensor, shape (..., K)
    coefficient : bool, default True
        Include the multinomial coefficient.

    Returns
    -------
    Tensor, shape (...,)
        Of the dtype and device of the concentration.

    Raises
    ------
    TypeError
        Counts that are not integers.
    ValueError
        As `hbm_fast.log_likelihood`.

    Examples
    --------
    >>> import torch
    >>> from hbm_fast.integrations.torch_likelihood import log_prob
    >>> a = torch.tensor([2.0, 2.0], dtype=torch.float64, requires_grad=True)
    >>> log_prob(torch.tensor([1, 0]), a).backward()
    >>> a.grad.tolist()
    [0.25, -0.25]
    """
    if not concentration.is_floating_point():
        raise TypeError(f"concentration must be a floating tensor; got {concentration.dtype}")
    by_kernel = concentration.device.type == "cpu" and not torch.compiler.is_compiling()
    wide = concentration.double()
    if not isinstance(counts, SufficientStatistics):
        if not isinstance(counts, Tensor):
            counts = torch.as_tensor(as_counts(counts).dense(), device=concentration.device)
        if counts.is_floating_point() or counts.dtype == torch.bool or counts.is_complex():
            raise TypeError(f"counts must be an integer tensor; got {counts.dtype}. Use counts.to(torch.int64).")
        if counts.device != concentration.device:
            raise ValueError(
                f"counts and concentration must be on one device; got {counts.device} and {concentration.device}"
            )
        counts, wide = torch.broadcast_tensors(counts, wide)
    if by_kernel:
        value: Tensor = _LogProb.apply(counts, wide, coefficient)
    else:
        value = series_log_prob(counts, wide, coefficient=coefficient)
    return value.to(concentration.dtype)


class _Differentiable(torch.autograd.Function):
    """A function of counts, or statistics, and concentrations, for reverse and forward mode and for vmap."""

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        counts, concentration, *_ = inputs
        ctx.statistics = None if isinstance(counts, Tensor) else counts
        saved = (concentration,) if ctx.statistics is not None else (counts, concentration)
        ctx.save_for_backward(*saved)
        ctx.save_for_forward(*saved)

    @classmethod
    def vmap(cls, info: Any, in_dims: Any, *inputs: Any) -> tuple[Any, Any]:
        # the leading axes of counts and concentrations are the same but for that of vmap, which comes first
        moved = (x if dim is None else x.movedim(dim, 0) for x, dim in zip(inputs, in_dims, strict=True))
        return cls.apply(*moved), 0


class _LogProb(_Differentiable):
    @staticmethod
    def forward(counts: Any, concentration: Tensor, coefficient: bool) -> Tensor:
        a = concentration.detach().numpy()
        if isinstance(counts, SufficientStatistics):
            return torch.as_tensor(counts.log_likelihood(a, coefficient=coefficient))
        return torch.as_tensor(np.asarray(likelihood.log_likelihood(counts.numpy(), a, coefficient=coefficient)))

    @staticmethod
    def backward(ctx: Any, grad_value: Tensor) -> tuple[None, Tensor, None]:
        return None, grad_value.unsqueeze(-1) * _Gradient.apply(*_arguments(ctx)), None

    @staticmethod
    def jvp(ctx: Any, _: None, tangent: Tensor, *__: None) -> Tensor:
        return (_Gradient.apply(*_arguments(ctx)) * tangent).sum(-1)  # type: ignore[no-any-return]


class _Gradient(_Differentiable):
    """The gradient; its derivative is the Hessian, a diagonal matrix plus one of rank one."""

    @staticmethod
    def forward(counts: Any, concentration: Tensor) -> Tensor:
        a = concentration.detach().numpy()
        if isinstance(counts, SufficientStatistics):
            return torch.as_tensor(counts.log_likelihood_gradient(a)[1])
        return torch.as_tensor(likelihood.log_likelihood_gradient(counts.numpy(), a)[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        return None, _hessian_product(*_arguments(ctx), grad)

    @staticmethod
    def jvp(ctx: Any, _: None, tangent: Tensor) -> Tensor:
        return _hessian_product(*_arguments(ctx), tangent)


class _Curvature(_Differentiable):
    """Diagonal (..., K) and constant (..., 1) of the Hessian of statistics, of which nothing is differentiated."""

    @staticmethod
    def forward(statistics: SufficientStatistics, concentration: Tensor) -> Tensor:
        diagonal, constant = statistics.log_likelihood_hessian(concentration.detach().numpy())
        return torch.as_tensor(np.concatenate([diagonal, np.expand_dims(constant, -1)], axis=-1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        raise NotImplementedError("log_prob of SufficientStatistics has no third derivative")


def _arguments(ctx: Any) -> tuple[Any, Tensor]:
    return ctx.saved_tensors if ctx.statistics is None else (ctx.statistics, *ctx.saved_tensors)


def _hessian_product(counts: Any, concentration: Tensor, vector: Tensor) -> Tensor:
    if isinstance(counts, Tensor):
        diagonal = -_trigamma_difference(concentration, counts)
        constant = _trigamma_difference(concentration.sum(-1), counts.sum(-1)).unsqueeze(-1)
    else:
        both = _Curvature.apply(counts, concentration)
        diagonal, constant = both[..., :-1], both[..., -1:]
    return diagonal * vector + constant * vector.sum(-1, keepdim=True)


def _trigamma_difference(a: Tensor, n: Tensor) -> Tensor:
    """trigamma(a) - trigamma(a + n), from the differences of the terms of its series at 8 or more (DLMF 5.15.8)."""
    n = n.to(a.dtype)
    top = a + n
    low0, low1 = a < 8, top < 8
    zero = torch.zeros_like(a)
    z0, z1 = torch.where(low0, a + 8, a), torch.where(low1, top + 8, top)
    d = n - 8.0 * low0 + 8.0 * low1
    below = torch.where(low0, _eight_squares(torch.where(low0, a, 1 + zero)), zero)
    above = torch.where(low1, _eight_squares(torch.where(low1, top, 1 + zero)), zero)
    r = d / z0 / z1
    series = r + 0.5 * r * (1 / z0 + 1 / z1) + (trigamma_tail(z0) - trigamma_tail(z1))
    return torch.where(n > 0, below - above + series, zero)


def _eight_squares(z: Tensor) -> Tensor:
    return torch.stack([1 / (z + j) ** 2 for j in range(8)]).sum(0)


def series_log_prob(counts: Any, concentration: Tensor, *, coefficient: bool = True) -> Tensor:
    """`log_prob` in float64 operations of torch, on any device and inside torch.compile.

    Parameters
    ----------
    counts : Tensor (..., K) or SufficientStatistics
    concentration : Tensor, shape (..., K)
    coefficient : bool, default True

    Returns
    -------
    float64 Tensor, shape (...,)
        With a relative error below 2e-12.

    Examples
    --------
    >>> import torch
    >>> from hbm_fast.integrations.torch_likelihood import series_log_prob
    >>> a = torch.tensor([1e15, 1e15], dtype=torch.float64)
    >>> round(series_log_prob(torch.tensor([5, 5]), a).item(), 6)  # log(252 / 1024)
    -1.402043
    """
    a = concentration.double()
    if isinstance(counts, SufficientStatistics):
        categories, values, weights, constant = _values(counts)
        a_sum = a.sum(-1)
        # relative to a large A, so that large concentrations leave small terms: D(a_k, x_k) - x_k log A
        scale = a_sum.clamp(min=1.0).unsqueeze(-1)
        each = torch.cat([a, a_sum.unsqueeze(-1)], -1)[..., torch.tensor(categories, device=a.device)]
        terms = _log_rising(each, a.new_tensor(values), scale)
        return (a.new_tensor(weights) * terms).sum(-1) + (constant if coefficient else 0.0)
    x, a = torch.broadcast_tensors(counts.double(), a)
    total, a_sum = x.sum(-1), a.sum(-1)
    scale = a_sum.clamp(min=1.0)
    value = _log_rising(a, x, scale.unsqueeze(-1)).sum(-1) - _log_rising(a_sum, total, scale)
    if coefficient:
        value = value + torch.lgamma(total + 1) - torch.lgamma(x + 1).sum(-1)
    return value


@torch.compiler.assume_constant_result
def _values(statistics: SufficientStatistics) -> tuple[Any, ...]:
    """Category (K: the totals), value and weight, negative for the totals, of every distinct count; the coefficient."""
    columns = [statistics._core.pairs(k) for k in range(statistics.n_categories + 1)]
    categories = np.repeat(np.arange(len(columns)), [len(values) for values, _ in columns])
    values, weights = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    weights[categories == statistics.n_categories] *= -1.0
    return tuple(categories.tolist()), tuple(values.tolist()), tuple(weights.tolist()), statistics.log_coefficient


def _log_rising(a: Tensor, n: Tensor, scale: Tensor) -> Tensor:
    """lgamma(a + n) - lgamma(a) - n log(scale), by the difference of Stirling's series at 8 or more (DLMF 5.11.1)."""
    one = torch.ones_like(a)
    a = torch.where(n > 0, a, one)
    top = a + n
    low0, low1 = a < 8, top < 8
    z0, z1 = torch.where(low0, a + 8, a), torch.where(low1, top + 8, top)
    d = n - 8.0 * low0 + 8.0 * low1
    shift = 8 * scale.log()
    below = torch.where(low0, _log_eight_factors(torch.where(low0, a, one)) - shift, 0 * one)
    above = torch.where(low1, _log_eight_factors(torch.where(low1, top, one)) - shift, 0 * one)
    series = (z0 - 0.5) * torch.log1p(d / z0) + log_gamma_tail(z1) - log_gamma_tail(z0)
    value = d * ((z1 / scale).log() - 1) + series + below - above
    return torch.where(n > 0, value, torch.zeros_like(value))


def _log_eight_factors(z: Tensor) -> Tensor:
    return z.log() + torch.stack([z + j for j in range(1, 8)]).prod(0).log()


class DirichletMultinomial(Distribution):
    """The Dirichlet-multinomial distribution of counts.

    Parameters
    ----------
    total_count : int
        Draws of each group.
    concentration : Tensor, shape (..., K)

    Examples
    --------
    >>> import torch
    >>> from hbm_fast.integrations.torch_likelihood import DirichletMultinomial
    >>> d = DirichletMultinomial(20, torch.tensor([1.0, 1.0], dtype=torch.float64))
    >>> d.mean.tolist()
    [10.0, 10.0]
    >>> round(d.log_prob(torch.tensor([20.0, 0.0])).exp().item(), 6)  # every split is equally probable
    0.047619
    """

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}  # noqa: RUF012
    has_rsample = False

    def __init__(self, total_count: int, concentration: Tensor, validate_args: bool | None = None) -> None:
        self.total_count = _validate.positive_int(total_count, "total_count", minimum=0)
        if concentration.dim() < 1:
            raise ValueError(f"concentration must have shape (..., K); got {tuple(concentration.shape)}")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> Any:
        """Counts that sum to total_count."""
        return constraints.multinomial(self.total_count)

    @property
    def mean(self) -> Tensor:
        """total_count a / A."""
        return (self.total_count * _proportions(self.concentration)).to(self.concentration.dtype)

    @property
    def variance(self) -> Tensor:
        """total_count p (1 - p) (total_count + A) / (1 + A)."""
        p = _proportions(self.concentration)
        factor = 1 + (self.total_count - 1) / (1 + self.concentration.double().sum(-1, keepdim=True))
        return (self.total_count * p * (1 - p) * factor).to(self.concentration.dtype)

    def expand(self, batch_shape: Any, _instance: Any = None) -> DirichletMultinomial:
        """The same distribution over a larger batch."""
        new: DirichletMultinomial = self._get_checked_instance(DirichletMultinomial, _instance)
        new.total_count = self.total_count
        new.concentration = self.concentration.expand(torch.Size(batch_shape) + self.event_shape)
        super(DirichletMultinomial, new).__init__(torch.Size(batch_shape), self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        """Counts, shape sample_shape + batch_shape + (K,)."""
        with torch.no_grad():
            a = self.concentration.expand(self._extended_shape(sample_shape)).double()
            if self.total_count == 0:
                return torch.zeros_like(a, dtype=self.concentration.dtype)
            # below this every group is of one category, and a common factor does not change the draws
            a = torch.where(a.amax(-1, keepdim=True) < 1e-290, a * 2.0**64, a)
            # log gamma(a) = log gamma(a + 1) - e / a never underflows
            log_theta = torch._standard_gamma(a + 1).log() - torch.empty_like(a).exponential_() / a
            draws: Tensor = Multinomial(self.total_count, logits=log_theta, validate_args=False).sample()
            return draws.to(self.concentration.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log probability of counts (whole numbers of any dtype), shape (...,)."""
        if self._validate_args:
            self._validate_sample(value)
            if bool((value.sum(-1) != self.total_count).any()):
                raise ValueError(f"value must lie in the support: counts that sum to total_count = {self.total_count}")
        return log_prob(value.to(torch.int64), self.concentration)


def _proportions(concentration: Tensor) -> Tensor:
    """a / A in float64; divided by the largest first, so that no sum overflows."""
    a = concentration.double()
    a = a / a.amax(-1, keepdim=True)
    return a / a.sum(-1, keepdim=True)
