"""log p(x | z) with every theta integrated out, as torch needs it: batched, differentiable, from log concentrations.

With one Dirichlet the groups enter through their exceedance table alone (see ``nn.features``):

    log p(x | a) = sum_kj c_kj log(a_k + j) - sum_j d_j log(A + j),   A = sum_k a_k,

a matrix product. log a itself is kept at j = 0 and A is a logsumexp, so that nothing is lost however small a is.
Without the multinomial coefficient throughout.
"""

from typing import Any

import torch
from torch import Tensor

# Largest table of log(a + j) at once: 32 MB in float64.
_TABLE = 4_000_000


class _Collapsed(torch.autograd.Function):
    """sum_kj C_kj log(a_k + j) from log a: forward and backward share one table of a + j."""

    @staticmethod
    def forward(ctx: Any, log_a: Tensor, signed: Tensor) -> Tensor:
        a = log_a.exp()
        j = torch.arange(1, signed.shape[-1], dtype=log_a.dtype, device=log_a.device)
        shifted = a[..., None] + j  # (B, S, K + 1, J - 1)
        ctx.save_for_backward(a, shifted, signed)
        times = signed[..., 1:].flatten(1)[..., None]  # as one product of matrices nothing is copied
        value = (shifted.log().flatten(2) @ times)[..., 0]
        return value + (log_a @ signed[..., :1])[..., 0]

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, None]:
        a, shifted, signed = ctx.saved_tensors
        slope = a * shifted.reciprocal().mul_(signed[:, None, :, 1:]).sum(-1)
        return grad[0][..., None] * (slope + signed[:, None, :, 0]), None


def table_log_likelihood(tables: Tensor, log_a: Tensor) -> Tensor:
    """log p(x | a) of B datasets, each at S concentrations of its own.

    Parameters
    ----------
    tables : (B, K + 1, J)
        Exceedance tables; the last row is that of the totals.
    log_a : (B, S, K)

    Returns
    -------
    (B, S)
    """
    with_total = torch.cat([log_a, log_a.logsumexp(-1, keepdim=True)], -1)
    value: Tensor = _Collapsed.apply(with_total, _signed(tables))  # type: ignore[no-untyped-call]
    return value


def node_log_likelihood(tables: Tensor, log_a: Tensor) -> Tensor:
    """The same at S concentrations that all datasets share: one matrix product.

    Parameters
    ----------
    tables : (B, K + 1, J)
    log_a : (S, K)

    Returns
    -------
    (B, S)
    """
    signed = _signed(tables).flatten(1).to(log_a.dtype)
    j = torch.arange(1, tables.shape[-1], dtype=log_a.dtype, device=log_a.device)
    parts = []
    for part in torch.split(log_a, max(1, _TABLE // signed.shape[1])):
        with_total = torch.cat([part, part.logsumexp(-1, keepdim=True)], -1)
        logs = torch.cat([with_total[..., None], (with_total.exp()[..., None] + j).log()], -1)
        parts.append(signed @ logs.flatten(1).T)
    return torch.cat(parts, 1)


def group_log_likelihood(counts: Tensor, log_weight: Tensor, log_a: Tensor) -> Tensor:
    """log p(x_n | mixture) where each group comes from one of M Dirichlets: the groups no longer share a table.

    Parameters
    ----------
    counts : (B, N, K) int64
        Groups of total 0 give 0.
    log_weight : (B, S, M)
    log_a : (B, S, M, K)

    Returns
    -------
    (B, S, N)
        Of each group.
    """
    with_total = torch.cat([log_a, log_a.logsumexp(-1, keepdim=True)], -1)  # (B, S, M, K + 1)
    index = torch.cat([counts, counts.sum(-1, keepdim=True)], -1)  # (B, N, K + 1)
    largest = int(index.max()) if index.numel() else 0
    j = torch.arange(1, max(largest, 1), dtype=log_a.dtype, device=log_a.device)
    logs = torch.cat([with_total[..., None], (with_total.exp()[..., None] + j).log()], -1)
    # column n of the cumulative table is the log of the rising factorial a (a + 1) ... (a + n - 1)
    rising = torch.cat([torch.zeros_like(logs[..., :1]), logs.cumsum(-1)], -1)  # (B, S, M, K + 1, largest + 1)
    value: Tensor | float = 0.0
    for k in range(index.shape[-1]):
        where = index[:, None, None, :, k].expand(-1, *rising.shape[1:3], -1)
        term = rising[..., k, :].gather(-1, where)  # (B, S, M, N)
        value = value + term if k < index.shape[-1] - 1 else value - term
    return (log_weight[..., None] + value).logsumexp(-2)


def node_group_log_likelihood(counts: Tensor, log_weight: Tensor, log_a: Tensor) -> Tensor:
    """The sum over groups at S nodes that all datasets share: each distinct row of counts is scored once.

    Parameters
    ----------
    counts : (B, N, K) int64
    log_weight : (S, M)
    log_a : (S, M, K)

    Returns
    -------
    (B, S)
    """
    b = counts.shape[0]
    rows, which = torch.unique(counts.flatten(0, 1), dim=0, return_inverse=True)
    times = torch.zeros(b, rows.shape[0], dtype=log_a.dtype, device=log_a.device)
    times.scatter_add_(1, which.view(b, -1), torch.ones_like(times[:1, :1]).expand(b, counts.shape[1]))
    each = group_log_likelihood(rows[None], log_weight[None], log_a[None])[0]  # (S, rows)
    return times @ each.T


def _signed(tables: Tensor) -> Tensor:
    sign = torch.ones(tables.shape[1], 1, dtype=tables.dtype, device=tables.device)
    sign[-1] = -1.0
    return tables * sign
