"""Sufficient statistics of one large dataset, merged in a tree."""

from collections.abc import Sequence
from typing import Any

import dask
import numpy as np

from hbm_fast import _validate
from hbm_fast.sufficient_statistics import SufficientStatistics


def statistics(counts: Any, *, split_every: int = 8) -> Any:
    """Sufficient statistics of one large dataset, by a tree of merges.

    Parameters
    ----------
    counts : dask array (N, K)
        Of integers, in chunks of groups. Each chunk is reduced on its worker.
    split_every : int, default 8
        Statistics merged in one task.

    Returns
    -------
    Delayed of `SufficientStatistics`
        For `hbm_fast.sample` and its own ``log_likelihood``. The exceedances equal those of one machine; the log
        coefficient, a sum, is equal up to rounding.

    Raises
    ------
    TypeError, ValueError
        For anything but a two-dimensional array of integers.

    Examples
    --------
    >>> import dask.array
    >>> from hbm_fast.integrations import dask as hbm_dask
    >>> counts = dask.array.ones((1000, 3), dtype="int32", chunks=(100, 3))
    >>> hbm_dask.statistics(counts).compute(scheduler="synchronous").n_groups
    1000.0
    """
    split_every = _validate.positive_int(split_every, "split_every", minimum=2)
    _validate.counts(np.empty((0,) * (counts.ndim - 1) + (counts.shape[-1],), counts.dtype))  # dtype and dimensions
    one, several = dask.delayed(SufficientStatistics), dask.delayed(_merged)
    level = [one(block) for block in counts.rechunk({1: -1}).to_delayed().ravel()]
    while len(level) > 1:
        level = [several(level[i : i + split_every]) for i in range(0, len(level), split_every)]
    return level[0]


def _merged(parts: Sequence[SufficientStatistics]) -> SufficientStatistics:
    total = SufficientStatistics(n_categories=parts[0].n_categories)
    for part in parts:
        total.merge(part)
    return total
