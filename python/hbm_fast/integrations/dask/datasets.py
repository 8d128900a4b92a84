"""Many datasets, each with its name: samples, fits, or any function of one; what fails is reported by name."""

import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import dask
import dask.bag
import numpy as np

from hbm_fast import _random, fitting, sampling
from hbm_fast._typing import Key, RNGLike
from hbm_fast.models import HierarchicalModel

T = TypeVar("T")


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


def dataset_key(rng: RNGLike | Key, name: Hashable) -> Key:
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
    >>> import hbm_fast as hbm
    >>> from hbm_fast.integrations import dask as hbm_dask
    >>> tables = [("a", [[3, 1]]), ("b", [[1.5, 2.0]])]
    >>> outcomes = hbm_dask.map_datasets(lambda name, counts: hbm.fit(counts).n_groups, tables)
    >>> [(o.key, o.value, o.error and o.error[:31]) for o in outcomes.compute(scheduler="synchronous")]
    [('a', 1.0, None), ('b', None, 'TypeError: counts must be integ')]
    """
    bag = datasets if isinstance(datasets, dask.bag.Bag) else dask.bag.from_sequence(datasets)
    return bag.map(_outcome, function)


def sample(
    datasets: Any,
    model: HierarchicalModel | None = None,
    *,
    rng: RNGLike | Key = None,
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


def _outcome(pair: tuple[Hashable, Any], function: Callable[[Hashable, Any], Any]) -> Outcome:
    name, counts = pair
    try:
        return Outcome(name, function(name, counts))
    except Exception as error:  # of one dataset: it is reported under its name
        return Outcome(name, None, f"{type(error).__name__}: {error}")


def _pairs(part: Any, by: str, columns: list[str]) -> list[tuple[Hashable, Any]]:
    return [(name, rows[columns].to_numpy()) for name, rows in part.groupby(by, sort=False, observed=True)]
