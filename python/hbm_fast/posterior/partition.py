"""A point estimate of the partition of groups: the least expected variation of information over draws of labels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm_fast._typing import Floats

_MOST_REFERENCES = 1000  # drawn partitions that an expectation is taken over: its error is below that of the draws
_MOST_CANDIDATES = 100  # partitions whose expectation is computed
_MOST_PASSES = 10

Labels = NDArray[np.integer]


def canonical(labels: Labels) -> NDArray[np.int32]:
    """Labels (S, N) renumbered by first appearance in each row: equal partitions become equal rows."""
    n_draws, n_groups = labels.shape
    result = np.empty(labels.shape, np.int32)
    number = np.full((n_draws, int(labels.max(initial=0)) + 1), -1, np.int32)
    used = np.zeros(n_draws, np.int32)
    rows = np.arange(n_draws)
    for n in range(n_groups):
        own = number[rows, labels[:, n]]
        new = own < 0
        own = np.where(new, used, own)
        number[rows, labels[:, n]] = own
        used += new
        result[:, n] = own
    return result


def co_assignment(labels: Labels) -> Floats:
    """Share of the rows of labels (S, N) in which two groups have one label (N, N)."""
    result = np.zeros((labels.shape[1],) * 2)
    for j in range(int(labels.max(initial=0)) + 1):
        own = (labels == j).astype(np.float32)
        result += own.T @ own
    return result / len(labels)


def least_variation(labels: Labels) -> NDArray[np.int32]:
    """The partition (N,) whose expected variation of information to the draws (S, N) is least, by search.

    The drawn partitions are ordered by the bound of Wade & Ghahramani (2018, doi:10.1214/17-BA1073), which needs the
    co-assignment alone; the expectation itself is computed of the first of them, and then of those that differ from
    the best by one group.
    """
    if labels.shape[1] == 0:
        return np.zeros(0, np.int32)
    draws = canonical(labels)
    partitions = np.unique(draws, axis=0)
    together = co_assignment(draws)
    bound = np.array([_bound(one, together) for one in partitions])
    candidates = partitions[np.argsort(bound, kind="stable")[:_MOST_CANDIDATES]]
    expectation = _Expectation(draws[:: -(-len(draws) // _MOST_REFERENCES)])
    values = [expectation(one) for one in candidates]
    best = candidates[int(np.argmin(values))]
    for _ in range(_MOST_PASSES):
        before = best
        shared = expectation.shared(best)
        for n in range(len(best)):
            better = np.flatnonzero(expectation.changes(best, shared, n) < -1e-12)
            if len(better):
                moved = best.copy()
                moved[n] = better[0]
                best = canonical(moved[np.newaxis])[0]
                shared = expectation.shared(best)
        if best is before:
            break
    # the largest component first
    sizes = np.bincount(best)
    rank = np.empty(len(sizes), np.int32)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    return np.asarray(rank[best])


def _bound(partition: Labels, together: Floats) -> float:
    same = partition[:, np.newaxis] == partition
    return float((np.log(same.sum(axis=1)) - 2.0 * np.log((together * same).sum(axis=1))).mean())


class _Expectation:
    """Expected variation of information, up to a constant, from a partition to the draws (R, N)."""

    def __init__(self, draws: Labels) -> None:
        self._n_draws, n_groups = draws.shape
        n_labels = int(draws.max()) + 1
        own = draws.T[:, :, np.newaxis] == np.arange(n_labels)
        self._own = own.reshape(n_groups, self._n_draws * n_labels).astype(np.float32)
        self._column = (draws + n_labels * np.arange(self._n_draws)[:, np.newaxis]).T  # (N, R), into R * labels
        sizes = np.arange(1.0, n_groups + 1)
        self._growth = np.diff(sizes * np.log(sizes), prepend=0.0)  # of n log n, from n to n + 1

    def __call__(self, partition: Labels) -> float:
        joint = float(_entropy_sum(self.shared(partition))) / self._n_draws
        return float(_entropy_sum(np.bincount(partition)) - 2.0 * joint) / len(partition)

    def shared(self, partition: Labels) -> NDArray[np.float32]:
        """Groups that each component of the partition shares with each one of each draw (P, R * labels)."""
        own = partition == np.arange(int(partition.max()) + 1)[:, np.newaxis]
        return np.asarray(own.astype(np.float32) @ self._own)

    def changes(self, partition: Labels, shared: NDArray[np.float32], n: int) -> Floats:
        """Change of the expectation by moving group n to each component, and to one of its own (P + 1)."""
        own = partition[n]
        joined = np.append(np.bincount(partition), 0)
        joint = np.zeros((len(joined), self._n_draws), np.int64)
        joint[:-1] = shared[:, self._column[n]]
        joined[own] -= 1
        joint[own] -= 1
        gain = self._growth[joined] - 2.0 * self._growth[joint].mean(axis=1)
        return np.asarray((gain - gain[own]) / len(partition))


def _entropy_sum(sizes: NDArray[Any]) -> np.floating:
    """Sum of n log n."""
    positive = np.asarray(sizes[sizes > 0], np.float64)
    return np.sum(positive * np.log(positive))
