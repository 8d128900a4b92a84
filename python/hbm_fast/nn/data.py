"""Dataset streams: what networks are trained on, as blocks addressed by number.

`TrainingStream` simulates datasets of a model, `AnyKStream` of several numbers of categories, and `DatasetStream`
repeats given datasets.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hbm_fast import simulation
from hbm_fast._typing import Key
from hbm_fast.models import HierarchicalModel
from hbm_fast.sufficient_statistics import exceedance_counts

# The largest datasets that a network can be trained on: one block of these would take tens of gigabytes.
MOST_GROUPS = 1_000_000
MOST_TOTAL = 1_000_000


@dataclass(frozen=True)
class Block:
    """Consecutive datasets of a stream."""

    exceedances: Tensor  # (B, K + 1, J) float32
    log_alpha: Tensor  # (B,) float64
    log_beta: Tensor  # (B, K) float64
    counts: Tensor | None = None  # (B, N, K) int16
    log_theta: Tensor | None = None  # (B, N, K) float64

    @staticmethod
    def concatenated(parts: "Sequence[Block]") -> "Block":
        """Several blocks as one."""

        def joined(name: str) -> Any:
            return None if getattr(parts[0], name) is None else torch.cat([getattr(part, name) for part in parts])

        return Block(**{field.name: joined(field.name) for field in fields(Block)})


@dataclass(frozen=True)
class TrainingStream:
    """Simulated datasets of every size in range; block i has the same datasets at every call.

    The number of groups is uniform on ``n_groups``, an inclusive range as ``totals``. The totals of a dataset follow
    one of three designs: each uniform (35 %); one common total with a few smaller exceptions, as when a new bag has
    just been opened (40 %); each uniform up to a bound of the dataset's own (25 %). ``key`` is that of the simulator's
    random streams and of the totals. With ``with_groups`` blocks hold counts and log theta of the groups too.
    """

    model: HierarchicalModel
    n_groups: tuple[int, int]
    totals: tuple[int, int]
    key: Key
    with_groups: bool = False
    n_threads: int | None = 1

    def block(self, index: int, size: int, rows: Sequence[slice] | None = None) -> Block:
        """Datasets index * size, ..., index * size + size - 1; of them the given rows, by default all."""
        totals = self._totals(index, size)
        parts = [self._datasets(index * size + s.start, totals[s]) for s in rows or [slice(0, size)]]
        return parts[0] if len(parts) == 1 else Block.concatenated(parts)

    def _datasets(self, first: int, totals: NDArray[np.int64]) -> Block:
        exceedances = np.empty((len(totals), self.model.n_categories + 1, self.totals[1]), np.float32)
        data = simulation.simulate(
            self.model,
            len(totals),
            n_groups=self.n_groups,
            totals=totals,
            rng=self.key,
            first=first,
            theta=False,
            log_theta=self.with_groups,
            counts=self.with_groups,
            statistics=exceedances,
            n_threads=self.n_threads,
        )
        return Block(
            torch.from_numpy(exceedances),
            torch.from_numpy(data.log_alpha),
            torch.from_numpy(data.log_beta),
            None if data.counts is None else torch.from_numpy(data.counts),
            None if data.log_theta is None else torch.from_numpy(data.log_theta),
        )

    def _totals(self, index: int, size: int) -> NDArray[np.int64]:
        low, high = self.totals
        generator = np.random.default_rng([*self.key.tolist(), index, size])
        u = generator.random((size, self.n_groups[1]), dtype=np.float32)
        design, bound, share = generator.random((3, size, 1), dtype=np.float32)
        bound = np.where(design < 0.35, high, low + np.floor(bound * (high + 1 - low)))
        common = np.flatnonzero(design >= 0.6)
        # a common total: the share of smaller ones is 0 for half of these datasets, otherwise up to 0.3
        share = np.maximum(np.float32(1e-9), 0.6 * share[common] - 0.3)
        v = u[common] / share
        exceptions = v < 1.0
        v *= v  # smaller exceptions are more frequent
        u *= bound + np.float32(1.0) - low
        totals = u.astype(np.int64)
        totals[common] = np.where(exceptions, v * (bound[common] + 1 - low), bound[common] - low)
        return totals if low == 0 else totals + low


class AnyKStream:
    """Simulated datasets of the default priors, with a number of categories that changes from block to block."""

    def __init__(
        self,
        categories: tuple[int, int],
        n_groups: tuple[int, int],
        totals: tuple[int, int],
        key: Key,
        n_threads: int | None = 1,
    ) -> None:
        low, high = categories
        self.streams = [
            TrainingStream(HierarchicalModel(k), n_groups, totals, key, False, n_threads) for k in range(low, high + 1)
        ]

    def block(self, index: int, size: int, rows: Sequence[slice] | None = None) -> Block:
        """Datasets index * size, ... of one number of categories, or the given rows of them."""
        # in steps of 7: consecutive blocks are not neighbours in K
        return self.streams[7 * index % len(self.streams)].block(index, size, rows)


class DatasetStream:
    """Datasets (B, N, K) of the user, repeated without end; block i has the same datasets at every call.

    Each epoch has every dataset once, in an order of its own.
    """

    def __init__(self, counts: NDArray[Any], max_total: int, key: Key) -> None:
        self.counts = np.ascontiguousarray(counts, dtype=np.int32)
        self.exceedances = torch.from_numpy(exceedance_counts(self.counts, max_total))
        self._key = key.tolist()

    def __len__(self) -> int:
        return int(self.counts.shape[0])

    def block(self, index: int, size: int) -> Block:
        """Datasets index * size, ... of the sequence of epochs."""
        n = len(self)
        positions = np.arange(index * size, (index + 1) * size)
        rows = np.concatenate(
            [self._order(int(e))[positions[positions // n == e] % n] for e in np.unique(positions // n)]
        )
        return self.rows(rows)

    def rows(self, rows: NDArray[np.int64]) -> Block:
        """The datasets of these rows; (alpha, beta) are unknown and set to 0."""
        unknown = torch.zeros(rows.size, dtype=torch.float64)
        counts = torch.from_numpy(self.counts[rows])
        return Block(self.exceedances[rows], unknown, unknown[:, None].expand(-1, counts.shape[-1]), counts)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([*self._key, epoch]).permutation(len(self))
