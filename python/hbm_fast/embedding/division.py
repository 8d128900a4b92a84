"""Which of given datasets a training learns from, and which are held out."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _validate
from hbm_fast._typing import Key


def divided(n: int, held_out: Any, key: Key) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to learn from and rows held out, from the share of these or from the rows themselves.

    Rows are for datasets that belong together, such as sub-sets of one: a share would put some in either part.
    """
    if np.ndim(held_out) == 0:
        share = _validate.finite_float(held_out, "held_out")
        if not 0.0 < share < 1.0:
            raise ValueError(f"held_out must lie strictly between 0 and 1, or be indices of datasets; got {share}")
        order = np.random.default_rng([*key.tolist(), 2**32]).permutation(n)
        n_held_out = min(n - 1, max(1, round(share * n)))  # at least one in either part
        return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])
    rows = _validate.integers(held_out, "held_out") if np.size(held_out) else np.empty(0, np.int64)
    chosen = np.unique(rows)
    if rows.ndim != 1 or not 0 < rows.size < n or chosen.size != rows.size or chosen[0] < 0 or chosen[-1] >= n:
        raise ValueError(
            f"held_out must be different indices below {n}, of some but not all datasets; got {held_out!r:.100}"
        )
    return np.setdiff1d(np.arange(n), chosen), chosen
