"""Past one machine: the same streams and the same answers on a dask cluster.

Every random bit belongs to an address (a key and the number or the name of a dataset), so that no cluster, no chunking
and no recomputed block changes a draw.
"""

import hashlib
import os
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from hbm_fast import _random, _validate, fitting, sampling, simulation
from hbm_fast.likelihood import SufficientStatistics
from hbm_fast.model import HierarchicalModel
from hbm_fast.simulation import Simulation

try:
    import dask
    import dask.array
    import dask.bag
except ImportError as error:
    raise _validate.missing_extra("dask", "dask") from error

T = TypeVar("T")


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
        The address of the stream: ``hbm_fast.simulate(model, ..., rng=key)`` gives the same datasets on one machine.
    first : int
    model : HierarchicalModel
    blocks : tuple of Delayed
        One `Simulation` each.
    """

    alpha: Any
    log_alpha: Any
    beta: Any
    log_beta: Any
    log_theta: Any
    theta: Any
    counts: Any
    n_groups: Any
    key: _random.Key
    first: int
    model: HierarchicalModel
    blocks: tuple[Any, ...]

    def to_parquet(self, folder: str | os.PathLike[str]) -> list[str]:
        """Write one file a block, one row a group: ``dataset``, ``group``, ``alpha``, ``beta_k``, ``count_k``.

        Parameters
        ----------
        folder : path
            On a file system that all workers see. A file appears under its name only when complete; files that are
            there already with the same stream and model are kept, so that an interrupted run resumes.

        Returns
        -------
        list of str
            The files, in the order of the datasets.

        Raises
        ------
        FileExistsError
            For a file of another stream or model.
        ImportError
            Without pyarrow.
        """
        _pyarrow()
        os.makedirs(folder, exist_ok=True)
        starts = self.first + np.cumsum([0, *self.alpha.chunks[0]])
        write = dask.delayed(_write)
        tasks = [
            write(block, str(Path(folder) / f"datasets-{start:012d}.parquet"))
            for block, start in zip(self.blocks, starts, strict=False)
        ]
        return list(dask.compute(*tasks))


def simulate(
    model: HierarchicalModel,
    n_datasets: int,
    *,
    n_groups: int | tuple[int, int] | ArrayLike,
    totals: int | tuple[int, int] | ArrayLike,
    rng: _random.RNGLike | _random.Key = None,
    first: int = 0,
    alpha: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    theta: bool = True,
    dtype: DTypeLike = np.int32,
    chunk: int = 10_000,
) -> DaskSimulation:
    """Lay out `hbm_fast.simulate` as dask arrays: each block is a slice of the one addressed stream.

    Parameters
    ----------
    model, n_datasets, n_groups, totals, rng, first, alpha, beta, theta, dtype
        As in `hbm_fast.simulate`.
    chunk : int, default 10,000
        Datasets of a block. No draw depends on it.

    Returns
    -------
    DaskSimulation
        Nothing is simulated before ``compute``, but for one dataset that checks the settings.

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
    widest = int(np.max(np.asarray(given["n_groups"])))
    constant = {"theta": theta, "dtype": dtype, "rng": key, "n_threads": 1}

    def settings(start: int, stop: int) -> dict[str, Any]:
        sliced = {
            name: value[start:stop] if isinstance(value, np.ndarray) and value.ndim == per_dataset[name] else value
            for name, value in given.items()
        }
        return sliced | constant | {"first": first + start}

    probe = _block(model, 1, widest, settings(0, 1))
    starts = range(0, n_datasets, chunk)
    sizes = tuple(min(chunk, n_datasets - start) for start in starts)
    block = dask.delayed(_block, pure=True)
    blocks = tuple(
        block(model, size, widest, settings(start, start + size)) for start, size in zip(starts, sizes, strict=True)
    )

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
    return DaskSimulation(**{name: array(name) for name in names}, key=key, first=first, model=model, blocks=blocks)


@dataclass(frozen=True)
class Outcome:
    """What came of one dataset.

    Attributes
    ----------
    key : hashable
        The dataset's name.
    value : object
        The result, or None where there was an error.
    error : str or None
        The error's type and message.
    """

    key: Hashable
    value: Any
    error: str | None = None


def dataset_key(rng: _random.RNGLike | _random.Key, name: Hashable) -> _random.Key:
    """Give the key of the streams of one named dataset: it depends on ``rng`` and the name alone.

    Parameters
    ----------
    rng : None, int, SeedSequence, BitGenerator, Generator, or a key
    name : hashable
        Taken by its ``str``: the gene, the page, the district.

    Returns
    -------
    ndarray (2,) uint64
        For ``rng=`` of `hbm_fast.sample`, `hbm_fast.simulate` and the others.

    Examples
    --------
    >>> from hbm_fast.integrations.dask import dataset_key
    >>> dataset_key(0, "BRCA1").tolist() == dataset_key(0, "BRCA1").tolist()
    True
    >>> dataset_key(0, "BRCA1").tolist() == dataset_key(0, "BRCA2").tolist()
    False
    """
    key = _random.key(rng)
    digest = hashlib.blake2b(str(name).encode(), key=key.astype("<u8").tobytes(), digest_size=16).digest()
    return np.frombuffer(digest, dtype="<u8").astype(np.uint64)


def datasets_from_frame(frame: Any, by: str, categories: Sequence[str]) -> Any:
    """Gather the groups of each dataset from a table of one row a group.

    Parameters
    ----------
    frame : dask DataFrame
        For instance ``dask.dataframe.read_parquet(folder)``.
    by : str
        The column that names the dataset.
    categories : sequence of str, length K
        The columns of counts.

    Returns
    -------
    dask Bag of (name, counts (N, K))
        One partition of the bag for each of the frame, after a shuffle that brings each dataset together.
    """
    columns = list(categories)
    # by tasks: the peer-to-peer shuffle cannot be taken apart into the delayed partitions that a bag is made of
    shuffled = frame[[by, *columns]].shuffle(on=by, shuffle_method="tasks")
    pairs = dask.delayed(_pairs)
    return dask.bag.from_delayed([pairs(part, by, columns) for part in shuffled.to_delayed()])


def map_datasets(function: Callable[[Hashable, Any], T], datasets: Any) -> Any:
    """Apply a function to every dataset; one that fails is reported and loses no other.

    Parameters
    ----------
    function : callable
        ``function(name, counts)``.
    datasets : dask Bag of (name, counts (N, K)), or an iterable of such pairs

    Returns
    -------
    dask Bag of `Outcome`
        Evaluated one dataset after the other: mapped to something small before ``compute``, a worker holds one value.

    Examples
    --------
    >>> from hbm_fast.integrations import dask as hbm_dask
    >>> tables = [("a", [[3, 1]]), ("b", [[1.5, 2.0]])]
    >>> outcomes = hbm_dask.map_datasets(lambda name, counts: hbm_dask.fitting.fit(counts).n_groups, tables)
    >>> [(o.key, o.value, o.error and o.error[:31]) for o in outcomes.compute(scheduler="synchronous")]
    [('a', 1.0, None), ('b', None, 'TypeError: counts must be integ')]
    """
    bag = datasets if isinstance(datasets, dask.bag.Bag) else dask.bag.from_sequence(datasets)
    return bag.map(_outcome, function)


def sample(
    datasets: Any,
    model: HierarchicalModel | None = None,
    *,
    rng: _random.RNGLike | _random.Key = None,
    method: sampling.Method = "auto",
    n_draws: int = 1000,
    n_chains: int = 4,
    n_warmup: int | None = None,
) -> Any:
    """Draw from the posterior of every dataset.

    Parameters
    ----------
    datasets : dask Bag of (name, counts (N, K)), or an iterable of such pairs
    model, method, n_draws, n_chains, n_warmup
        As in `hbm_fast.sample`.
    rng : None, int, SeedSequence, BitGenerator, Generator, or a key
        The draws of a dataset are those of ``hbm_fast.sample(counts, rng=dataset_key(rng, name))``: its neighbours and
        the partition it lies in play no part.

    Returns
    -------
    dask Bag of `Outcome`
        Each value a `Posterior`. Map it to what you want to keep before ``compute``.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> from hbm_fast.integrations import dask as hbm_dask
    >>> outcomes = hbm_dask.sample([("marbles", [[9, 1], [0, 4], [8, 0]])], rng=0)
    >>> found = outcomes.map(lambda o: (o.key, o.value.alpha.shape)).compute(scheduler="synchronous")
    >>> found
    [('marbles', (4, 1000))]
    """
    key = _random.key(rng)

    def one(name: Hashable, counts: Any) -> Any:
        return sampling.sample(
            counts,
            model,
            method=method,
            n_draws=n_draws,
            n_chains=n_chains,
            n_warmup=n_warmup,
            rng=cast(Any, dataset_key(key, name)),  # sample takes a key, as simulate does
            n_threads=1,
        )

    return map_datasets(one, datasets)


def fit(datasets: Any, **settings: Any) -> Any:
    """Fit every dataset by `hbm_fast.fit`.

    Parameters
    ----------
    datasets : dask Bag of (name, counts (N, K)), or an iterable of such pairs
    **settings
        As in `hbm_fast.fit`.

    Returns
    -------
    dask Bag of `Outcome`
        Each value a `FitResult`.

    Examples
    --------
    >>> from hbm_fast.integrations import dask as hbm_dask
    >>> outcomes = hbm_dask.fit([("marbles", [[9, 1], [0, 4], [8, 0]])]).compute(scheduler="synchronous")
    >>> outcomes[0].value.converged
    True
    """

    def one(name: Hashable, counts: Any) -> Any:
        return fitting.fit(counts, **settings)

    return map_datasets(one, datasets)


def statistics(counts: Any, *, split_every: int = 8) -> Any:
    """Reduce one huge dataset to its sufficient statistics, by a tree of merges.

    Parameters
    ----------
    counts : dask array (N, K)
        Of integers, in chunks of groups. Each chunk is reduced where it lies, to a table as long as its largest count.
    split_every : int, default 8
        Statistics merged in one task.

    Returns
    -------
    Delayed of `SufficientStatistics`
        For `hbm_fast.sample` and its own ``log_likelihood``. The tables are those of one machine exactly; the
        log coefficient, a sum, to rounding.

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


def _array(value: Any) -> Any:
    """Settings of one value (an int, a range) as they are, given arrays as arrays."""
    return value if value is None or isinstance(value, tuple) or np.ndim(value) == 0 else np.asarray(value)


def _block(model: HierarchicalModel, n_datasets: int, widest: int, settings: dict[str, Any]) -> Simulation:
    """Datasets first, first + 1, ...; a block with fewer groups than the widest is padded to it."""
    groups, totals = settings["n_groups"], settings["totals"]
    if isinstance(groups, np.ndarray) and isinstance(totals, np.ndarray):
        settings = settings | {"totals": totals[..., : groups.max()]}
    drawn = simulation.simulate(model, n_datasets, **settings)
    padded: dict[str, Any] = {
        name: np.pad(value, ((0, 0), (0, widest - value.shape[1]), (0, 0)))
        for name in ("log_theta", "theta", "counts")
        if (value := getattr(drawn, name)) is not None and value.shape[1] < widest
    }
    return replace(drawn, **padded) if padded else drawn


def _outcome(pair: tuple[Hashable, Any], function: Callable[[Hashable, Any], Any]) -> Outcome:
    name, counts = pair
    try:
        return Outcome(name, function(name, counts))
    except Exception as error:  # of one dataset: it is reported under its name
        return Outcome(name, None, f"{type(error).__name__}: {error}")


def _pairs(part: Any, by: str, columns: list[str]) -> list[tuple[Hashable, Any]]:
    return [(name, rows[columns].to_numpy()) for name, rows in part.groupby(by, sort=False, observed=True)]


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise _validate.missing_extra("pyarrow", "report") from error
    return pyarrow


def _write(block: Simulation, path: str) -> str:
    pa = _pyarrow()
    stream = {"key": block.key.tolist(), "stream_version": block.stream_version, "model": repr(block.model)}
    metadata = {"hbm_fast": repr(stream | {"first": block.first, "n_datasets": len(block)}).encode()}
    if os.path.exists(path):
        if (pa.parquet.read_schema(path).metadata or {}).get(b"hbm_fast") == metadata["hbm_fast"]:
            return path
        raise FileExistsError(f"{path} exists and holds other datasets: choose another folder")
    assert block.counts is not None
    rows, groups = np.nonzero(np.arange(block.counts.shape[1]) < block.n_groups[:, None])
    columns = {"dataset": block.first + rows, "group": groups, "alpha": block.alpha[rows]}
    columns |= {f"beta_{k}": block.beta[rows, k] for k in range(block.beta.shape[1])}
    columns |= {f"count_{k}": block.counts[rows, groups, k] for k in range(block.beta.shape[1])}
    table = pa.table({name: pa.array(column) for name, column in columns.items()})
    unfinished = f"{path}.{os.getpid()}"
    pa.parquet.write_table(table.replace_schema_metadata(metadata), unfinished)
    os.replace(unfinished, path)
    return path
