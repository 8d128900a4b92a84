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
    draws = canonical(labels)
    partitions = np.unique(draws, axis=0)
    together = co_assignment(draws)
    bound = np.array([_bound(one, together) for one in partitions])
    candidates = partitions[np.argsort(bound, kind="stable")[:_MOST_CANDIDATES]]
    expectation = _Expectation(draws[:: -(-len(draws) // _MOST_REFERENCES)])
    values = [expectation(one) for one in candidates]
    best, least = candidates[int(np.argmin(values))], min(values)
    for _ in range(_MOST_PASSES):
        before = least
        for n in range(len(best)):
            for j in range(int(best.max()) + 2):
                if j == best[n]:
                    continue
                moved = best.copy()
                moved[n] = j
                value = expectation(moved)
                if value < least - 1e-12:
                    best, least = canonical(moved[np.newaxis])[0], value
                    break
        if least == before:
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
        n_labels = int(draws.max()) + 1
        own = draws.T[:, :, np.newaxis] == np.arange(n_labels)
        self._own = own.reshape(draws.shape[1], -1).astype(np.float32)  # (N, R * labels)
        self._n_draws = len(draws)

    def __call__(self, partition: Labels) -> float:
        own = partition == np.arange(int(partition.max()) + 1)[:, np.newaxis]
        shared = own.astype(np.float32) @ self._own
        sizes = own.sum(axis=1)
        joint = float(_entropy_sum(shared)) / self._n_draws
        return (float(_entropy_sum(sizes)) - 2.0 * joint) / len(partition)


def _entropy_sum(sizes: NDArray[Any]) -> np.floating:
    """Sum of n log n."""
    positive = np.asarray(sizes[sizes > 0], np.float64)
    return np.sum(positive * np.log(positive))
