"""One Dirichlet for each context: its log-likelihood of pooled counts, and its concentrations fitted to datasets."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hbm_fast import _core
from hbm_fast._typing import Floats
from hbm_fast.fitting import fit

LEAST_CONCENTRATION = 0.001  # a category that no dataset has seen is not impossible in the next one
_LARGEST_SUM = 1e4  # in place of an infinite sum of concentrations


class _LogLikelihood(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, log_a: Tensor, counts: Tensor) -> Tensor:
        if ctx.needs_input_grad[0]:
            value, slope = log_likelihood_slope(counts, log_a.detach())
            ctx.save_for_backward(slope.to(log_a.dtype))
            return value
        x, a = _arguments(counts, log_a)
        each = torch.empty(a.shape[:-1], dtype=torch.float64)
        _core.likelihood.log_pmf(x, a.numpy(), False, each.numpy(), 1)
        return each.sum(-1)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, None]:
        (slope,) = ctx.saved_tensors
        return grad[0].to(slope.dtype)[..., None, None] * slope, None


def log_likelihood(counts: Tensor, log_a: Tensor) -> Tensor:
    """log p(x | a) of pooled counts with theta integrated out, without the multinomial coefficients.

    The sum over contexts of the Dirichlet-multinomial's log probability, by the compiled kernel's exact differences of
    log-gammas, with its gradient: counts (B, C, K) int64 and log concentrations (B, S, C, K) to float64 (B, S).
    """
    value: Tensor = _LogLikelihood.apply(log_a, counts)  # type: ignore[no-untyped-call]
    return value


def log_likelihood_slope(counts: Tensor, log_a: Tensor) -> tuple[Tensor, Tensor]:
    """`log_likelihood` (B, S) and its derivative by log a, (B, S, C, K), where log a may also be (S, C, K)."""
    x, a = _arguments(counts, log_a)
    value, slope = torch.empty(a.shape[:-1], dtype=torch.float64), torch.empty_like(a)
    _core.likelihood.log_pmf_gradient(x, a.numpy(), False, value.numpy(), slope.numpy(), 1)
    return value.sum(-1), slope.mul_(a)


def _arguments(counts: Tensor, log_a: Tensor) -> tuple[NDArray[np.int64], Tensor]:
    """Counts and concentrations as the kernel takes them, both (B, S, C, K)."""
    a = log_a.exp() if log_a.dtype == torch.float64 else log_a.double().exp_()
    a = a.expand(len(counts), *a.shape[-3:]).contiguous()
    return np.broadcast_to(counts.numpy()[:, None], a.shape), a


def fitted(pooled: NDArray[np.int64]) -> Floats:
    """Concentrations (C, K) of one Dirichlet a context, by maximum likelihood from pooled counts (B, C, K).

    Where the maximum is at infinity, and where the counts say nothing of the concentration, a finite one of the same
    proportions is returned; no concentration is below `LEAST_CONCENTRATION`.
    """
    return np.stack([_row(pooled[:, c]) for c in range(pooled.shape[1])])


def _row(counts: NDArray[np.int64]) -> Floats:
    total = counts.sum()
    share = (counts.sum(0) + 1.0 / counts.shape[1]) / (total + 1.0)
    a = share
    if total > 0:
        result = fit(counts)
        if result.outcome == "infinity":
            a = _LARGEST_SUM * share
        elif result.outcome in ("maximum", "unfinished"):
            a = result.concentration
    return np.asarray(np.maximum(a, LEAST_CONCENTRATION))
