"""`simulate` as dask arrays: every block is a slice of one random stream."""

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dask
import dask.array
import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from hbm_fast import _config, _random, _validate, simulation
from hbm_fast._typing import Key, RNGLike
from hbm_fast.integrations.dask import parquet
from hbm_fast.models import HierarchicalModel, check_hierarchical
from hbm_fast.simulation import Simulation


@dataclass(frozen=True, eq=False)
class Recipe:
    """The settings of one block, which can be simulated on any worker and again."""

    model: HierarchicalModel
    n_datasets: int
    widest: int  # groups of the widest dataset; smaller blocks are padded to it
    settings: dict[str, Any]

    def draw(self) -> Simulation:
        """Simulate the block."""
        settings = self.settings
        groups, totals = settings["n_groups"], settings["totals"]
        if isinstance(groups, np.ndarray) and isinstance(totals, np.ndarray):
            settings = settings | {"totals": totals[..., : groups.max()]}
        drawn = simulation.simulate(self.model, self.n_datasets, **settings)
        padded: dict[str, Any] = {
            name: np.pad(value, ((0, 0), (0, self.widest - value.shape[1]), (0, 0)))
            for name in ("log_theta", "theta", "counts")
            if (value := getattr(drawn, name)) is not None and value.shape[1] < self.widest
        }
        return replace(drawn, **padded) if padded else drawn

    def address(self) -> str:
        """The stream and the settings as one string, different for different datasets."""
        drawn = {name: value for name, value in self.settings.items() if name not in ("theta", "n_threads")}
        stream = {"version": _config.STREAM_VERSION, "model": repr(self.model), "n_datasets": self.n_datasets}
        return repr(stream | {name: _plain(value) for name, value in drawn.items()})


@dataclass(frozen=True, eq=False)
class DaskSimulation:
    """`hbm_fast.Simulation` in blocks: the same arrays, as dask arrays chunked along the datasets.

    Attributes
    ----------
    alpha, log_alpha : dask array (B,)
    beta, log_beta : dask array (B, K)
    log_theta, theta : dask array (B, N, K) or None
    counts : dask array (B, N, K)
    n_groups : dask array (B,)
    key : ndarray (2,)
        Key of the random stream: ``hbm_fast.simulate(model, ..., rng=key)`` gives the same datasets on one machine.
    first : int
    model : HierarchicalModel
    recipes : tuple of Recipe
        The settings of each block.
    """

    alpha: Any
    log_alpha: Any
    beta: Any
    log_beta: Any
    log_theta: Any
    theta: Any
    counts: Any
    n_groups: Any
    key: Key
    first: int
    model: HierarchicalModel
    recipes: tuple[Recipe, ...]

    def to_parquet(self, folder: str | os.PathLike[str]) -> list[str]:
        """Write one file a block, one row a group: ``dataset``, ``group``, ``alpha``, ``beta_k``, ``count_k``.

        Parameters
        ----------
        folder : path
            On a file system of all workers. A file gets its name when complete; existing files with the same datasets
            are kept and not simulated again, so that an interrupted run resumes.

        Returns
        -------
        list of str
            The files, in the order of the datasets.

        Raises
        ------
        FileExistsError
            For a file of other datasets.
        ImportError
            Without pyarrow.
        """
        parquet.pyarrow()
        os.makedirs(folder, exist_ok=True)
        write = dask.delayed(parquet.write, pure=False)
        tasks = []
        for recipe in self.recipes:
            path = Path(folder) / f"datasets-{recipe.settings['first']:012d}.parquet"
            counts_only = replace(recipe, settings=recipe.settings | {"theta": False})
            tasks.append(write(counts_only.draw, recipe.address(), str(path)))
        return list(dask.compute(*tasks))


def simulate(
    model: HierarchicalModel,
    n_datasets: int,
    *,
    n_groups: int | tuple[int, int] | ArrayLike,
    totals: int | tuple[int, int] | ArrayLike,
    rng: RNGLike | Key = None,
    first: int = 0,
    alpha: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    theta: bool = True,
    dtype: DTypeLike = np.int32,
    chunk: int = 10_000,
) -> DaskSimulation:
    """`hbm_fast.simulate` as dask arrays: each block is a slice of one random stream.

    Parameters
    ----------
    model, n_datasets, n_groups, totals, rng, first, alpha, beta, theta, dtype
        As in `hbm_fast.simulate`.
    chunk : int, default 10,000
        Datasets of a block. The draws do not depend on it.

    Returns
    -------
    DaskSimulation
        Before ``compute`` only one dataset is simulated, to check the settings.

    Raises
    ------
    TypeError, ValueError
        As `hbm_fast.simulate`.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> from hbm_fast.integrations import dask as hbm_dask
    >>> model = hbm.HierarchicalModel(2)
    >>> sims = hbm_dask.simulate(model, 1000, n_groups=21, totals=20, rng=0, chunk=128)
    >>> whole = hbm.simulate(model, 1000, n_groups=21, totals=20, rng=0)
    >>> bool((sims.counts.compute(scheduler="synchronous") == whole.counts).all())
    True
    """
    n_datasets = _validate.positive_int(n_datasets, "n_datasets")
    first = _validate.positive_int(first, "first", minimum=0)
    chunk = _validate.positive_int(chunk, "chunk")
    key = _random.key(rng)
    given = {name: _array(value) for name, value in (("n_groups", n_groups), ("totals", totals))}
    given |= {"alpha": _array(alpha), "beta": _array(beta)}
    per_dataset = {"n_groups": 1, "totals": 2, "alpha": 1, "beta": 2}
    for name, value in given.items():
        if isinstance(value, np.ndarray) and value.ndim == per_dataset[name] and len(value) != n_datasets:
            raise ValueError(f"{name} must have B = {n_datasets} in front; got shape {value.shape}")
    check_hierarchical(model, "simulate of dask")
    widest = int(np.max(np.asarray(given["n_groups"])))
    constant = {"theta": theta, "dtype": dtype, "rng": key, "n_threads": 1}

    def settings(start: int, stop: int) -> dict[str, Any]:
        sliced = {
            name: value[start:stop] if isinstance(value, np.ndarray) and value.ndim == per_dataset[name] else value
            for name, value in given.items()
        }
        return sliced | constant | {"first": first + start}

    probe = Recipe(model, 1, widest, settings(0, 1)).draw()
    starts = range(0, n_datasets, chunk)
    sizes = tuple(min(chunk, n_datasets - start) for start in starts)
    recipes = tuple(
        Recipe(model, size, widest, settings(start, start + size)) for start, size in zip(starts, sizes, strict=True)
    )
    blocks = [dask.delayed(recipe.draw, pure=True)() for recipe in recipes]

    def array(name: str) -> Any:
        sample = getattr(probe, name)
        if sample is None:
            return None
        parts = [
            dask.array.from_delayed(getattr(part, name), (size, *sample.shape[1:]), dtype=sample.dtype)
            for part, size in zip(blocks, sizes, strict=True)
        ]
        return dask.array.concatenate(parts)

    names = ("alpha", "log_alpha", "beta", "log_beta", "log_theta", "theta", "counts", "n_groups")
    return DaskSimulation(**{name: array(name) for name in names}, key=key, first=first, model=model, recipes=recipes)


def _array(value: Any) -> Any:
    """A scalar, a range or None unchanged; anything else as an array."""
    return value if value is None or isinstance(value, tuple) or np.ndim(value) == 0 else np.asarray(value)


def _plain(value: Any) -> Any:
    """A setting as a string, or the shape, dtype and digest of an array."""
    if not isinstance(value, np.ndarray):
        return str(value)
    content = np.ascontiguousarray(value).tobytes()
    return value.shape, str(value.dtype), hashlib.blake2b(content, digest_size=16).hexdigest()
