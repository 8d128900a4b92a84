"""log p of many bags under many concentrations, as when draws of a posterior score new bags."""

import numpy as np
import torch
from numpy.typing import NDArray

from hbm_fast import _core
from hbm_fast._typing import Floats

_LARGEST = 4_000_000  # values at once: 32 MB
_KERNEL = 0.8  # cost of a cell of the kernel relative to that of one logarithm
_PRODUCT = 0.1  # and that of one multiplication of the sparse product


def log_probabilities(counts: NDArray[np.int64], concentration: Floats) -> Floats:
    """Log probability of each bag under each concentration, without the multinomial coefficients.

    The rising factorial of a concentration over a small count is a product of few factors, and most bags of letters
    share them: the logarithms of the distinct factors and one sparse product give all values. Where the counts are
    large, so that this takes longer, the compiled kernel computes them bag by bag.

    Parameters
    ----------
    counts : int64 array (R, C, K)
    concentration : float64 array (S, C, K)

    Returns
    -------
    float64 array (S, R)
    """
    n_bags, n_contexts, n_categories = counts.shape
    with_total = np.concatenate([counts, counts.sum(-1, keepdims=True)], -1).reshape(
        n_bags, n_contexts * (n_categories + 1)
    )
    largest = with_total.max(0, initial=0)
    n_factors = int(largest.sum())
    out = np.empty((len(concentration), n_bags))
    cost = n_factors + _PRODUCT * float(with_total.sum())
    by_kernel = n_bags * n_contexts * n_categories * _KERNEL < cost
    size = max(1, _LARGEST // max(1, counts.size if by_kernel else n_factors))
    if by_kernel:
        for part, value in _parts(concentration, out, size):
            shape = (len(part), *counts.shape)
            each = np.empty(shape[:-1])
            wide = np.broadcast_to(part[:, np.newaxis], shape)
            _core.likelihood.log_pmf(np.broadcast_to(counts, shape), wide, False, each, 1)
            value[:] = each.sum(-1)
        return out
    cell = np.repeat(np.arange(largest.size), largest)
    step = np.arange(n_factors) - np.repeat(largest.cumsum() - largest, largest)
    sign = np.where(cell % (n_categories + 1) == n_categories, -1.0, 1.0)
    bag, factor = np.nonzero(with_total[:, cell] > step)
    within = torch.sparse_coo_tensor(
        torch.from_numpy(np.stack([bag, factor])),
        torch.from_numpy(sign[factor]),
        (n_bags, n_factors),
        is_coalesced=True,
        check_invariants=False,
    )
    for part, value in _parts(concentration, out, size):
        total = np.concatenate([part, part.sum(-1, keepdims=True)], -1).reshape(len(part), -1)
        logs = np.log(total.T[cell] + step[:, np.newaxis])
        value[:] = torch.sparse.mm(within, torch.from_numpy(logs)).numpy().T
    return out


def _parts(concentration: Floats, out: Floats, size: int) -> "list[tuple[Floats, Floats]]":
    return [(concentration[s : s + size], out[s : s + size]) for s in range(0, len(out), size)]
