"""Bags: given datasets of bags (N_b, C, K), kept as their non-zero cells, and random sub-sets of them pooled."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _validate
from hbm_fast._typing import Key
from hbm_fast.tables.inputs import as_counts

Shape = tuple[int, ...]  # (K,), or (C, K) with contexts


@dataclass(frozen=True)
class Cells:
    """The non-zero cells of one dataset: the bag, the place in (C, K) as one number, and the count of each."""

    bag: NDArray[np.int64]
    place: NDArray[np.int64]
    count: NDArray[np.float64]
    n_bags: int

    def pooled(self, size: int, chosen: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Sum over the bags, or over those chosen, (size,)."""
        if chosen is None:
            values = np.bincount(self.place, self.count, size)
        else:
            inside = np.flatnonzero(chosen[self.bag])
            values = np.bincount(self.place[inside], self.count[inside], size)
        return values.astype(np.int64)


@dataclass(frozen=True)
class Bags:
    """Datasets whose bags share one theta: all that the model reads of several bags is the sum of their counts."""

    cells: list[Cells]
    shape: Shape

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def size(self) -> int:
        """Number of cells of a bag."""
        return math.prod(self.shape)

    def rows(self, rows: Sequence[int] | NDArray[np.int64]) -> "Bags":
        """Some of the datasets."""
        return Bags([self.cells[i] for i in rows], self.shape)

    def pooled(self) -> NDArray[np.int64]:
        """Counts of each dataset, (B, *shape)."""
        return np.stack([cells.pooled(self.size) for cells in self.cells]).reshape(-1, *self.shape)

    def first(self, n: int) -> NDArray[np.int64]:
        """Pooled counts of the first n bags of each dataset, (B, *shape)."""
        parts = [cells.pooled(self.size, np.arange(cells.n_bags) < n) for cells in self.cells]
        return np.stack(parts).reshape(-1, *self.shape)

    def subsets(self, index: int, size: int, key: Key) -> NDArray[np.int64]:
        """Pooled counts of random sub-sets of the bags, of datasets index * size, ... of endless epochs.

        Each epoch has every dataset once, in a random order. The number of bags is log-uniform from one to all, so that
        few bags, from which little is known, are as frequent as many. The same key and index give the same counts.

        Returns
        -------
        (size, *shape)
        """
        n = len(self)
        out = np.empty((size, self.size), dtype=np.int64)
        generator = np.random.default_rng([*key.tolist(), 1, index])
        for i, position in enumerate(range(index * size, (index + 1) * size)):
            epoch, place = divmod(position, n)
            if i == 0 or place == 0:
                order = np.random.default_rng([*key.tolist(), 0, epoch]).permutation(n)
            cells = self.cells[order[place]]
            n_chosen = min(cells.n_bags, int(np.exp(generator.random() * np.log(cells.n_bags + 1.0))))
            chosen = np.zeros(cells.n_bags, dtype=bool)
            chosen[generator.permutation(cells.n_bags)[:n_chosen]] = True
            out[i] = cells.pooled(self.size, chosen)
        return out.reshape(size, *self.shape)


def as_bags(data: Any, name: str = "data", shape: Shape | None = None) -> Bags:
    """Check datasets of bags and keep their non-zero cells.

    Parameters
    ----------
    data : list of (N_b, K) or of (N_b, C, K), or an array with a leading axis
        Empty bags are left out.
    name : str
        Of the argument, for messages.
    shape : tuple, optional
        (K,) or (C, K) that the bags must have; default that of the first dataset.

    Returns
    -------
    Bags

    Raises
    ------
    TypeError, ValueError
        For anything but whole numbers, datasets without a bag that has counts, and K or C that differ.
    """
    if not isinstance(data, list | tuple):
        data = list(_validate.counts(np.asarray(as_counts(data, name=name).dense()), name=name, ndim=(3, 4)))
    if not data:
        raise ValueError(f"{name} must hold at least one dataset; got an empty list")
    found = [_cells(one, f"{name}[{i}]") for i, one in enumerate(data)]
    wanted = shape or found[0][1]
    for i, (_, other) in enumerate(found):
        if other != wanted:
            source = "" if shape is not None else f", as {name}[0] has"
            raise ValueError(f"{name}[{i}] must hold bags of {_words(wanted)}{source}; got bags of {_words(other)}")
    if wanted[-1] < 2:
        raise ValueError(f"{name} must have two categories (columns) at least; got bags of {_words(wanted)}")
    return Bags([cells for cells, _ in found], wanted)


def _cells(one: Any, name: str) -> tuple[Cells, Shape]:
    given = as_counts(one, name=name).unweighted(name)
    counts = _validate.counts(given.dense(), name=name, ndim=(2, 3))
    flat = counts.reshape(len(counts), int(np.prod(counts.shape[1:])))
    filled = np.flatnonzero(flat.any(axis=1))
    if not filled.size:
        raise ValueError(f"{name} must hold a bag with counts; got {len(counts)} bags without any")
    bag, place = np.nonzero(flat[filled])
    return Cells(bag, place, flat[filled][bag, place].astype(np.float64), filled.size), counts.shape[1:]


def _words(shape: Shape) -> str:
    return f"K = {shape[0]} categories" if len(shape) == 1 else f"C = {shape[0]} contexts and K = {shape[1]} categories"
