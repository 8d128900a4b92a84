"""Samples, fits, or any function of each of many named datasets; an error is reported with the name of its dataset."""

import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

import dask
import dask.bag
import numpy as np

from hbm_fast import _random, fitting, sampling
from hbm_fast._typing import Key, RNGLike
from hbm_fast.fitting.many import Batch, Found
from hbm_fast.models import HierarchicalModel

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """The result, or the error, of one dataset.

    Attributes
    ----------
    key : hashable
        The dataset's name.
    value : object
        The result, or None after an error.
    error : str or None
        The error's type and message.
    """

    key: Hashable
    value: Any
    error: str | None = None


def dataset_key(rng: RNGLike | Key, name: Hashable) -> Key:
    """Key of the random streams of one named dataset, a function of ``rng`` and the name.

    Parameters
    ----------
    rng : None, int, SeedSequence, BitGenerator, Generator, or a key
    name : hashable
        Its ``str`` is used: a gene, a page, a district.

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
    """Datasets from a data frame with one row for each group.

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
        One partition for each of the frame, after a shuffle that collects the rows of each dataset.
    """
    columns = list(categories)
    # by tasks: the peer-to-peer shuffle gives no delayed partitions, from which a bag is made
    shuffled = frame[[by, *columns]].shuffle(on=by, shuffle_method="tasks")
    pairs = dask.delayed(_pairs)
    return dask.bag.from_delayed([pairs(part, by, columns) for part in shuffled.to_delayed()])


def map_datasets(function: Callable[[Hashable, Any], T], datasets: Any) -> Any:
    """Apply a function to every dataset; an error in one is reported and does not affect the others.

    Parameters
    ----------
    function : callable
        ``function(name, counts)``.
    datasets : dask Bag of (name, counts (N, K)), or an iterable of such pairs

    Returns
    -------
    dask Bag of `Outcome`
        Datasets are evaluated one after the other: if results are mapped to small values before ``compute``, a worker
        holds one result at a time.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> from hbm_fast.integrations import dask as hbm_dask
    >>> tables = [("a", [[3, 1]]), ("b", [[1.5, 2.0]])]
    >>> outcomes = hbm_dask.map_datasets(lambda name, counts: hbm.fit(counts).n_groups, tables)
    >>> [(o.key, o.value, o.error and o.error[:31]) for o in outcomes.compute(scheduler="synchronous")]
    [('a', 1.0, None), ('b', None, 'ValueError: counts must be whol')]
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
        The draws of a dataset are those of ``hbm_fast.sample(counts, rng=dataset_key(rng, name))``, independent of the
        other datasets and the partitions.

    Returns
    -------
    dask Bag of `Outcome`
        Each value is a `Posterior`; map it to the numbers you need before ``compute``.

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
        Each value is a `FitResult`.

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


def fit_many(
    datasets: Any,
    *,
    mean: str = "~ 1",
    null: str = "~ 1",
    precision: str = "~ 1",
    data: Any = None,
    design: Any = None,
    null_design: Any = None,
    level: Literal["table", "category"] = "table",
    small_sample: bool = True,
    moderate: bool = False,
    max_iterations: int = 200,
) -> fitting.ManyFits:
    """Test the same covariates in every dataset by `hbm_fast.fit_many`, one partition at a time.

    Parameters
    ----------
    datasets : dask Bag of (name, counts (N, K)), or an iterable of such pairs
    mean, null, precision, data, design, null_design, level, small_sample, moderate, max_iterations
        As in `hbm_fast.fit_many`. With ``moderate=True`` the bag is read twice.

    Returns
    -------
    ManyFits
        The tests of all datasets, computed with the scheduler of dask that is set; the same numbers as on one machine.

    Examples
    --------
    >>> from hbm_fast.integrations import dask as hbm_dask
    >>> design = [[1.0, 0.0]] * 3 + [[1.0, 1.0]] * 3
    >>> genes = [("a", [[9, 1], [8, 3], [9, 2], [2, 8], [1, 9], [3, 7]])]
    >>> hbm_dask.fit_many(genes, design=design, null_design=[[1.0]] * 6).names
    ('a',)
    """
    batch = Batch(mean, null, precision, data, design, null_design, level, moderate, max_iterations, n_threads=1)
    bag = datasets if isinstance(datasets, dask.bag.Bag) else dask.bag.from_sequence(datasets)

    def found(prior: tuple[float, float] | None = None) -> Found:
        return Found.joined(bag.map_partitions(part, prior).compute())

    def part(pairs: Any, prior: tuple[float, float] | None) -> list[Found]:
        pairs = list(pairs)
        return [batch.run(pairs, prior)] if pairs else []

    whole = found()
    return batch.tests(found(whole.spread_of_precision()) if moderate else whole, small_sample)


def _outcome(pair: tuple[Hashable, Any], function: Callable[[Hashable, Any], Any]) -> Outcome:
    name, counts = pair
    try:
        return Outcome(name, function(name, counts))
    except Exception as error:  # reported with the name of its dataset
        return Outcome(name, None, f"{type(error).__name__}: {error}")


def _pairs(part: Any, by: str, columns: list[str]) -> list[tuple[Hashable, Any]]:
    return [(name, rows[columns].to_numpy()) for name, rows in part.groupby(by, sort=False, observed=True)]
