"""A user's own table of datasets as training data: epochs in random order, with a part held out."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hbm_fast._typing import Key
from hbm_fast.nn.data import Block
from hbm_fast.simulation import exceedance_counts


class TableStream:
    """Blocks of a table of datasets (B, N, K), endless: block i is the same whenever it is asked for.

    Each pass goes through the whole table once in an order of its own.
    """

    def __init__(self, counts: NDArray[Any], max_total: int, key: Key) -> None:
        self.counts = np.ascontiguousarray(counts, dtype=np.int32)
        self.tables = torch.from_numpy(exceedance_counts(self.counts, max_total))
        self._key = key.tolist()

    def __len__(self) -> int:
        return int(self.counts.shape[0])

    def block(self, index: int, size: int) -> Block:
        """Rows index * size, ... of the endless sequence of passes."""
        n = len(self)
        places = np.arange(index * size, (index + 1) * size)
        rows = np.concatenate([self._order(int(p))[places[places // n == p] % n] for p in np.unique(places // n)])
        return self.rows(rows)

    def rows(self, rows: NDArray[np.int64]) -> Block:
        """The datasets of these rows; their (alpha, beta), which nobody knows, are zeros."""
        unknown = torch.zeros(rows.size, dtype=torch.float64)
        counts = torch.from_numpy(self.counts[rows])
        return Block(self.tables[rows], unknown, unknown[:, None].expand(-1, counts.shape[-1]), counts)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([*self._key, epoch]).permutation(len(self))


def split(n: int, held_out: float, key: Key) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to learn from and rows held out, at least one of each."""
    order = np.random.default_rng([*key.tolist(), 2**32]).permutation(n)
    kept_back = min(n - 1, max(1, round(held_out * n)))
    return np.sort(order[kept_back:]), np.sort(order[:kept_back])
