"""The endless training data: prior draws of (alpha, beta), groups of ragged sizes, and their exceedance tables."""

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

# The largest datasets that a network can be trained on: already one block of these would take tens of gigabytes.
MOST_GROUPS = 1_000_000
MOST_TOTAL = 1_000_000


@dataclass(frozen=True)
class Block:
    """Some consecutive datasets of the stream."""

    tables: Tensor  # (B, K + 1, J) float32
    log_alpha: Tensor  # (B,) float64
    log_beta: Tensor  # (B, K) float64
    counts: Tensor | None = None  # (B, N, K) int16
    log_theta: Tensor | None = None  # (B, N, K) float64

    @staticmethod
    def concatenated(parts: "Sequence[Block]") -> "Block":
        """Several as one."""

        def joined(name: str) -> Any:
            return None if getattr(parts[0], name) is None else torch.cat([getattr(part, name) for part in parts])

        return Block(**{field.name: joined(field.name) for field in fields(Block)})


@dataclass(frozen=True)
class TrainingStream:
    """Datasets of every size in range, addressed by number: block i is the same whenever it is asked for.

    The number of groups is uniform on ``n_groups``. The totals of a dataset follow one of three designs: each uniform
    (35 %); one common total with a few smaller exceptions, as when a new bag has just been opened (40 %); each uniform
    up to a bound of the dataset's own (25 %).

    Parameters
    ----------
    model : HierarchicalModel
    n_groups, totals : (low, high)
        Inclusive ranges.
    key : (2,) uint64
        Of the simulator's streams and of the totals.
    with_groups : bool
        Whether blocks carry counts and log theta of the groups too.
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
        tables = np.empty((len(totals), self.model.n_categories + 1, self.totals[1]), np.float32)
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
            statistics=tables,
            n_threads=self.n_threads,
        )
        return Block(
            torch.from_numpy(tables),
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
        v *= v  # among them the smaller are the commoner
        u *= bound + np.float32(1.0) - low
        totals = u.astype(np.int64)
        totals[common] = np.where(exceptions, v * (bound[common] + 1 - low), bound[common] - low)
        return totals if low == 0 else totals + low
