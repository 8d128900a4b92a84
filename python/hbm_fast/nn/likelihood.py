"""Log-likelihood of exceedances with every theta integrated out, without the multinomial coefficient.

Under one Dirichlet the groups enter through their exceedances alone (see `features`):

    log p(x | a) = sum_kj c_kj log(a_k + j) - sum_j d_j log(A + j),   A = sum_k a_k.

`log_likelihood` is the compiled kernel's, in float64 and without a gradient. `exceedance_log_likelihood` and the
functions after it are torch's: batched and differentiable, from log concentrations. log a itself is used at j = 0 and
log A is a logsumexp, so that nothing is lost however small a is.
"""

from typing import Any

import torch
from torch import Tensor

from hbm_fast import _core

# Largest number of log(a + j) at once: 32 MB in float64.
_LARGEST = 4_000_000


def log_likelihood(exceedances: Tensor, log_alpha: Tensor, log_beta: Tensor, n_threads: int = 1) -> Tensor:
    """log p(x | alpha, beta) of ordered sequences, float64 (B, S), without a gradient.

    From exceedances (B, K + 1, J) float32, the last row that of the totals, log alpha (B, S) and log beta (B, S, K).
    """
    value = torch.empty(log_alpha.shape, dtype=torch.float64)
    _core.statistics.table_log_likelihood(
        exceedances.cpu().contiguous().numpy(),
        log_alpha.cpu().contiguous().numpy(),
        log_beta.cpu().contiguous().numpy(),
        value.numpy(),
        n_threads,
    )
    return value.to(exceedances.device)


class _WeightedLogs(torch.autograd.Function):
    """sum_kj C_kj log(a_k + j) from log a: forward and backward share the values a + j."""

    @staticmethod
    def forward(ctx: Any, log_a: Tensor, signed: Tensor) -> Tensor:
        a = log_a.exp()
        j = torch.arange(1, signed.shape[-1], dtype=log_a.dtype, device=log_a.device)
        shifted = a[..., None] + j  # (B, S, K + 1, J - 1)
        ctx.save_for_backward(a, shifted, signed)
        weights = signed[..., 1:].flatten(1)[..., None]  # one matrix product copies nothing
        value = (shifted.log().flatten(2) @ weights)[..., 0]
        return value + (log_a @ signed[..., :1])[..., 0]

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, None]:
        a, shifted, signed = ctx.saved_tensors
        slope = a * shifted.reciprocal().mul_(signed[:, None, :, 1:]).sum(-1)
        return grad[0][..., None] * (slope + signed[:, None, :, 0]), None


def exceedance_log_likelihood(exceedances: Tensor, log_a: Tensor) -> Tensor:
    """log p(x | a) of B datasets, each at S concentrations of its own: (B, K + 1, J), (B, S, K) -> (B, S)."""
    with_total = torch.cat([log_a, log_a.logsumexp(-1, keepdim=True)], -1)
    value: Tensor = _WeightedLogs.apply(with_total, _signed(exceedances))  # type: ignore[no-untyped-call]
    return value


def node_log_likelihood(exceedances: Tensor, log_a: Tensor) -> Tensor:
    """log p(x | a) of B datasets at S concentrations that all datasets share: (B, K + 1, J), (S, K) -> (B, S).

    One matrix product.
    """
    signed = _signed(exceedances).flatten(1).to(log_a.dtype)
    j = torch.arange(1, exceedances.shape[-1], dtype=log_a.dtype, device=log_a.device)
    parts = []
    for part in torch.split(log_a, max(1, _LARGEST // signed.shape[1])):
        with_total = torch.cat([part, part.logsumexp(-1, keepdim=True)], -1)
        logs = torch.cat([with_total[..., None], (with_total.exp()[..., None] + j).log()], -1)
        parts.append(signed @ logs.flatten(1).T)
    return torch.cat(parts, 1)


def group_log_likelihood(counts: Tensor, log_weight: Tensor, log_a: Tensor) -> Tensor:
    """log p(x_n | mixture) where each group is from one of M Dirichlets: it needs the counts of every group.

    From counts (B, N, K) int64, log weights (B, S, M) and log concentrations (B, S, M, K) to (B, S, N); groups of total
    0 give 0.
    """
    with_total = torch.cat([log_a, log_a.logsumexp(-1, keepdim=True)], -1)  # (B, S, M, K + 1)
    index = torch.cat([counts, counts.sum(-1, keepdim=True)], -1)  # (B, N, K + 1)
    largest = int(index.max()) if index.numel() else 0
    j = torch.arange(1, max(largest, 1), dtype=log_a.dtype, device=log_a.device)
    logs = torch.cat([with_total[..., None], (with_total.exp()[..., None] + j).log()], -1)
    # element n of the cumulative sums is the log of the rising factorial a (a + 1) ... (a + n - 1)
    rising = torch.cat([torch.zeros_like(logs[..., :1]), logs.cumsum(-1)], -1)  # (B, S, M, K + 1, largest + 1)
    value: Tensor | float = 0.0
    for k in range(index.shape[-1]):
        where = index[:, None, None, :, k].expand(-1, *rising.shape[1:3], -1)
        term = rising[..., k, :].gather(-1, where)  # (B, S, M, N)
        value = value + term if k < index.shape[-1] - 1 else value - term
    return (log_weight[..., None] + value).logsumexp(-2)


def node_group_log_likelihood(counts: Tensor, log_weight: Tensor, log_a: Tensor) -> Tensor:
    """Sum over groups of `group_log_likelihood` at S nodes that all datasets share; each distinct row is scored once.

    From counts (B, N, K), log weights (S, M) and log concentrations (S, M, K) to (B, S).
    """
    b = counts.shape[0]
    rows, index = torch.unique(counts.flatten(0, 1), dim=0, return_inverse=True)
    repeats = torch.zeros(b, rows.shape[0], dtype=log_a.dtype, device=log_a.device)
    repeats.scatter_add_(1, index.view(b, -1), torch.ones_like(repeats[:1, :1]).expand(b, counts.shape[1]))
    each = group_log_likelihood(rows[None], log_weight[None], log_a[None])[0]  # (S, rows)
    return repeats @ each.T


def _signed(exceedances: Tensor) -> Tensor:
    sign = torch.ones(exceedances.shape[1], 1, dtype=exceedances.dtype, device=exceedances.device)
    sign[-1] = -1.0
    return exceedances * sign
