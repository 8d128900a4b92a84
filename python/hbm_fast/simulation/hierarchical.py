"""Simulated datasets of a HierarchicalModel: an endless, reproducible stream."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from hbm_fast import _core, _memory, _random, _validate
from hbm_fast._display import Displayed
from hbm_fast._typing import Counts, Floats, Key, RNGLike
from hbm_fast.models import HierarchicalModel, PopulationModel
from hbm_fast.priors import Dirichlet, LogNormal
from hbm_fast.variates import MAX_TOTAL

_LOG_SMALLEST = -690.0  # of a concentration


@dataclass(frozen=True, eq=False, repr=False)
class Simulation(Displayed):
    """Simulated datasets ``first, first + 1, ...`` of the stream of ``key``; arrays that were not requested are None.

    Attributes
    ----------
    alpha, log_alpha : ndarray (B,)
        Concentration: how similar the groups are.
    beta, log_beta : ndarray (B, K)
        Mean proportions; ``log_beta`` is exact where ``beta`` underflows.
    beta_concentration : ndarray (B,) or None
        The concentration of beta, where the model learns it and beta was not given.
    log_theta, theta : ndarray (B, N, K) or None
        Proportions of each group; rows sum to one. Zeros in padding. If both are requested, they share one buffer: copy
        one array to release the other.
    counts : ndarray (B, N, K) or None
        Counts of each group. Zeros in padding.
    n_groups : ndarray (B,)
        Number of groups of each dataset; later rows are padding.
    statistics : ndarray (B, K + 1, J) or None
        Exceedance counts of each category, then of the totals: see `exceedance_counts`.
    key : ndarray (2,)
        Key of the random stream: pass it as ``rng`` with ``first`` to continue the stream.
    first, stream_version : int
    model : HierarchicalModel
        The model of each dataset; of a PopulationModel with the mu, tau, kappa and m that were drawn.
    population : dict of str to float or ndarray, or None
        ``"mu"``, ``"tau"``, ``"kappa"`` and ``"m"`` (K,), drawn from the priors of a PopulationModel.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> sims = hbm.simulate(hbm.HierarchicalModel(2), 3, n_groups=(1, 4), totals=20, rng=0)
    >>> sims.counts.shape[0], sims.n_groups.shape, sims.alpha.shape, sims.beta.shape
    (3, (3,), (3,), (3, 2))
    """

    alpha: Floats
    log_alpha: Floats
    beta: Floats
    log_beta: Floats
    log_theta: Floats | None
    theta: Floats | None
    counts: Counts | None
    n_groups: NDArray[np.int64]
    statistics: NDArray[np.float32] | None
    key: Key
    first: int
    stream_version: int
    model: HierarchicalModel
    beta_concentration: Floats | None = None
    population: dict[str, Any] | None = None

    def __len__(self) -> int:
        return len(self.alpha)

    def __repr__(self) -> str:
        if len(self) == 0 or self.counts is None:
            totals = ""
        else:
            sums = self.counts.sum(axis=-1)[np.arange(self.counts.shape[1]) < self.n_groups[:, np.newaxis]]
            totals = f", totals {_range(sums)}"
        key = "".join(f"{int(word):016x}" for word in self.key)
        return (
            f"Simulation({len(self)} datasets, {_range(self.n_groups)} groups, K = {self.model.n_categories}{totals}, "
            f"first {self.first}, rng key 0x{key})"
        )


def simulate_hierarchical(
    model: HierarchicalModel | PopulationModel,
    n_datasets: int,
    *,
    n_groups: int | tuple[int, int] | ArrayLike,
    totals: int | tuple[int, int] | ArrayLike,
    rng: RNGLike | Key = None,
    first: int = 0,
    alpha: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    theta: bool = True,
    log_theta: bool | None = None,
    counts: bool = True,
    statistics: bool | NDArray[np.float32] = False,
    dtype: DTypeLike = np.int32,
    out: Simulation | None = None,
    n_threads: int | None = None,
) -> Simulation:
    """See `hbm_fast.simulate`."""
    n_datasets = _validate.positive_int(n_datasets, "n_datasets", minimum=0)
    first = _validate.positive_int(first, "first", minimum=0, maximum=2**64 - max(n_datasets, 1))
    k = model.n_categories
    groups = _integer_source(n_groups, "n_groups", minimum=1, maximum=2**31 - 1)
    draws = _integer_source(totals, "totals", minimum=0, maximum=MAX_TOTAL)
    max_groups = int(groups.max()) if isinstance(groups, np.ndarray) else groups[1]
    max_total = int(draws.max()) if isinstance(draws, np.ndarray) else draws[1]
    count_type = _count_dtype(dtype, max_total)
    if isinstance(groups, np.ndarray) and groups.shape != (n_datasets,):
        raise ValueError(f"n_groups must be an int, (low, high) or have shape ({n_datasets},); got {groups.shape}")
    if isinstance(draws, np.ndarray) and draws.shape not in ((max_groups,), (n_datasets, max_groups)):
        raise ValueError(
            "totals must be an int, (low, high) or have shape (N,) or (B, N) "
            f"with B = {n_datasets}, N = {max_groups}; got {draws.shape}"
        )
    key = _random.key(rng)
    population = None
    if isinstance(model, PopulationModel):
        model, population = _draw_population(model, key)

    shape = (n_datasets, max_groups, k)
    log_alpha = _buffer(out, "log_alpha", (n_datasets,), np.float64)
    log_beta = _buffer(out, "log_beta", (n_datasets, k), np.float64)
    if alpha is not None:
        alpha = _validate.in_range(_validate.doubles(alpha, "alpha"), "alpha")
        alpha = _validate.broadcast(alpha, "alpha", (n_datasets,))
        log_alpha[...] = np.log(alpha)
    if beta is not None:
        beta = _validate.proportions(beta, "beta", (n_datasets, k))
        with np.errstate(divide="ignore"):
            log_beta[...] = np.log(beta)
    learned = isinstance(model.beta, Dirichlet) and model.beta.is_learned and beta is None
    table = _statistics_buffer(statistics, out, n_datasets, k, max_total)
    logs, proportions = _theta_buffers(out, shape, theta if log_theta is None else log_theta, theta)
    result = Simulation(
        alpha=_buffer(out, "alpha", (n_datasets,), np.float64),
        log_alpha=log_alpha,
        beta=_buffer(out, "beta", (n_datasets, k), np.float64),
        log_beta=log_beta,
        log_theta=logs,
        theta=proportions,
        counts=_buffer(out, "counts", shape, count_type) if counts else None,
        n_groups=_buffer(out, "n_groups", (n_datasets,), np.int64),
        statistics=table,
        key=key,
        first=first,
        stream_version=_core.config.stream_version,
        model=model,
        beta_concentration=_buffer(out, "beta_concentration", (n_datasets,), np.float64) if learned else None,
        population=population,
    )
    _core.simulation.simulate(
        key,
        first,
        model.alpha._kernel(),
        model.beta._kernel(k),
        alpha is not None,
        beta is not None,
        _source(groups, by_dataset=True),
        _source(draws, by_dataset=False),
        max_groups,
        log_alpha,
        log_beta,
        result.alpha,
        result.beta,
        result.n_groups,
        result.log_theta,
        result.theta,
        result.counts,
        result.statistics,
        _validate.threads(n_threads),
        result.beta_concentration,
    )
    if alpha is not None:
        result.alpha[...] = alpha
    if beta is not None:
        result.beta[...] = beta
    return result


def _draw_population(model: PopulationModel, key: Key) -> tuple[HierarchicalModel, dict[str, Any]]:
    """The model of each dataset of one population, and the parameters of that population."""
    rng = np.random.default_rng([*key.tolist(), 1])  # a stream apart from that of the datasets
    sizes: dict[str, Any] = {"n_groups": 1, "totals": 0, "theta": False, "counts": False}
    upper = simulate_hierarchical(model._upper(), 1, rng=rng, **sizes)
    tau = float(simulate_hierarchical(HierarchicalModel(2, alpha=model.tau), 1, rng=rng, **sizes).alpha[0])
    mu, kappa = float(rng.normal(model.mu.mu, model.mu.sd)), float(upper.alpha[0])
    beta = Dirichlet(np.exp(np.maximum(upper.log_alpha + upper.log_beta[0], _LOG_SMALLEST)).tolist())
    return (
        HierarchicalModel(model.n_categories, alpha=LogNormal(mu, tau), beta=beta),
        {"mu": mu, "tau": tau, "kappa": kappa, "m": upper.beta[0]},
    )


def _range(values: NDArray[Any]) -> str:
    if not values.size:
        return "no"
    low, high = values.min(), values.max()
    return str(low) if low == high else f"{low} to {high}"


def _integer_source(value: Any, name: str, *, minimum: int, maximum: int) -> tuple[int, int] | NDArray[np.int64]:
    """An int or a (low, high) tuple, both inclusive, as (low, high); a list or array as int64 values; all checked."""
    if isinstance(value, tuple) and len(value) == 2:
        low = _validate.positive_int(value[0], f"{name}'s low", minimum=minimum)
        high = _validate.positive_int(value[1], f"{name}'s high", minimum=minimum)
        if low > high:
            raise ValueError(f"{name} must be (low, high) with low <= high; got {value}")
        _validate.at_most(high, name, maximum)
        return low, high
    if isinstance(value, tuple):
        raise ValueError(
            f"{name} must be (low, high), inclusive; got a tuple of {len(value)}. For given values use an array."
        )
    if isinstance(value, list | np.ndarray) and np.ndim(value) > 0:
        array = _validate.integers(value, name)
        if array.size == 0:
            raise ValueError(f"{name} must not be empty; got shape {array.shape}")
        if array.min() < minimum:
            where = _validate.first_index(array < minimum)
            raise ValueError(f"{name} must be at least {minimum}; got {array[where]} at index {where}")
        _validate.at_most(int(array.max()), name, maximum)
        return np.ascontiguousarray(array, dtype=np.int64)
    single = _validate.positive_int(value, name, minimum=minimum)
    _validate.at_most(single, name, maximum)
    return single, single


def _count_dtype(dtype: Any, largest: int) -> np.dtype[Any]:
    """An integer dtype that holds the largest total there can be."""
    result = np.dtype(dtype)
    if result.kind not in "iu":
        raise TypeError(f"dtype must be an integer type for the counts; got {result}")
    if largest > np.iinfo(result).max:
        fits = next(t for t in (np.uint8, np.uint16, np.int32, np.int64) if largest <= np.iinfo(t).max)
        raise ValueError(
            f"dtype {result} holds counts up to {np.iinfo(result).max}, and totals reach {largest}; "
            f"pass dtype=np.{np.dtype(fits).name}"
        )
    native: np.dtype[Any] = result.newbyteorder("=")
    return native


def _buffer(out: Simulation | None, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    if out is None:
        return _memory.empty(shape, dtype)
    value = getattr(out, name, None)
    if value is None:
        raise ValueError(f"out has no {name}: pass the result of a call with the same settings")
    return _validate.output(value, f"out.{name}", shape, dtype)


def _theta_buffers(
    out: Simulation | None, shape: tuple[int, ...], log_theta: bool, theta: bool
) -> tuple[Floats | None, Floats | None]:
    if out is None and log_theta and theta:
        # one block: glibc returns more of two freed blocks to the system, which maps it page by page at the next call
        both = _memory.empty((2, *shape), np.float64)
        return both[0], both[1]
    return (
        _buffer(out, "log_theta", shape, np.float64) if log_theta else None,
        _buffer(out, "theta", shape, np.float64) if theta else None,
    )


def _statistics_buffer(
    statistics: bool | NDArray[np.float32], out: Simulation | None, n_datasets: int, k: int, max_total: int
) -> NDArray[np.float32] | None:
    if isinstance(statistics, np.ndarray):
        columns = statistics.shape[2] if statistics.ndim == 3 else max_total
        if columns < max_total:
            raise ValueError(f"statistics must have J >= {max_total} columns, the largest total; got {columns}")
        return _validate.output(statistics, "statistics", (n_datasets, k + 1, columns), np.float32)
    if not statistics:
        return None
    return _buffer(out, "statistics", (n_datasets, k + 1, max_total), np.float32)


def _source(value: tuple[int, int] | NDArray[np.int64], *, by_dataset: bool) -> _core.simulation.IntegerSource:
    if isinstance(value, tuple):
        return _core.simulation.IntegerSource(*value)
    if by_dataset:
        return _core.simulation.IntegerSource(value, 1, 0)
    return _core.simulation.IntegerSource(value, value.shape[1] if value.ndim == 2 else 0, 1)
