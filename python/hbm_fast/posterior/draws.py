"""What a posterior is made of: draws of (alpha, beta), their weights, the data, and nodes of a quadrature if any."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _validate
from hbm_fast import _weighted as _weights
from hbm_fast._random import key as new_key
from hbm_fast._typing import Floats, Key
from hbm_fast.models import HierarchicalModel

_SUM_TOLERANCE = 1e-4  # of beta: what single precision and figures rounded to four digits keep


class Moments(Protocol):
    """Weighted nodes of a quadrature: expectations over them are exact where those over draws are Monte Carlo."""

    log_alpha: Floats  # (S,) or (B, S)
    log_beta: Floats  # (S, K) or (B, S, K)
    log_weights: Floats  # (S,) or (B, S), normalised

    def mean(self, name: str) -> Floats:
        """Expectation of the parameter ``name``: (), (K,), (B,) or (B, K)."""
        ...

    def sd(self, name: str) -> Floats:
        """Standard deviation, shaped alike."""
        ...

    def quantile(self, name: str, q: Floats) -> Floats:
        """Quantiles, (Q,) in front of the shape of the mean."""
        ...

    def marginal(self, name: str, x: ArrayLike | None = None) -> tuple[Floats, Floats]:
        """Points and the density at them."""
        ...


class DatasetMoments(Moments, Protocol):
    """Those of one dataset, which further groups can join."""

    def given(self, rows: NDArray[np.int64]) -> "DatasetMoments":
        """The same after further groups (R, K)."""
        ...

    def log_predictive(self, rows: NDArray[np.int64], *, coefficient: bool = True) -> float:
        """Log probability of further groups (R, K) as one sample, given the data."""
        ...

    def draw(self, n_draws: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Independent draws of log alpha (D,) and log beta (D, K)."""
        ...


class BatchMoments(Moments, Protocol):
    """Those of a batch: its parts can be taken out."""

    def __getitem__(self, index: int) -> DatasetMoments: ...


class Draws:
    """The base of ``Posterior``, whose docstring names the arguments."""

    # of each latent array the names of its dimensions behind chain and draw
    latent_dims: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def __init__(
        self,
        log_alpha: ArrayLike,
        log_beta: ArrayLike,
        *,
        model: HierarchicalModel,
        counts: NDArray[Any] | None = None,
        log_weights: ArrayLike | None = None,
        log_evidence: float | ArrayLike | None = None,
        log_evidence_error: float | ArrayLike | None = None,
        method: str = "hmc",
        details: Mapping[str, Any] | None = None,
        key: Key | None = None,
        sample_stats: Mapping[str, ArrayLike] | None = None,
        moments: Moments | None = None,
        theta_draws: Callable[[int], Floats] | None = None,
        category_names: Sequence[str] | None = None,
        group_names: Sequence[str] | None = None,
        latent: Mapping[str, ArrayLike] | None = None,
    ) -> None:
        self.log_alpha: Floats = _validate.draws(log_alpha, "log_alpha")
        shape = self.log_alpha.shape
        self.log_beta: Floats = _sums_to_one(_validate.draws(log_beta, "log_beta", (*shape, model.n_categories)))
        self.model = model
        self._batch = len(shape) == 3
        self.counts = None if counts is None else _validate.counts(counts, ndim=(3,) if self._batch else (2,))
        if self.counts is not None and self.counts.shape[-1] != model.n_categories:
            raise ValueError(f"counts must have K = {model.n_categories} categories; got shape {self.counts.shape}")
        if self.counts is not None and self._batch and self.counts.shape[0] != shape[0]:
            raise ValueError(f"counts must have B = {shape[0]} datasets; got shape {self.counts.shape}")
        self.log_weights: Floats | None = None
        if log_weights is not None:
            flat = _validate.draws(log_weights, "log_weights", shape).reshape(*shape[:-2], -1)
            self.log_weights = _weights.normalise(_some_weight(flat)).reshape(shape)
        self.log_evidence = _scalar_or_array(log_evidence)
        self.log_evidence_error = _scalar_or_array(log_evidence_error)
        self.method = method
        self.details = dict(details or {})
        self.sample_stats = {name: np.asarray(value) for name, value in (sample_stats or {}).items()}
        self.moments = moments
        self.category_names = category_names
        self.group_names = group_names
        self.latent: dict[str, Floats] = {
            name: _validate.draws(value, name, (*shape, *np.shape(value)[len(shape) :]))
            for name, value in (latent or {}).items()
        }
        self._theta_draws = theta_draws
        self._key = new_key(None) if key is None else np.ascontiguousarray(key, dtype=np.uint64)
        self._datasets = np.arange(self._flat_alpha().shape[0], dtype=np.uint64)
        self._checked = False  # whether `sample` has warned already of what its diagnostics say

    @property
    def category_names(self) -> tuple[str, ...] | None:
        """K different names, of the rows of the summary and the coordinates of ``to_arviz``; None: their numbers.

        Assigned names are checked as those of the constructor: a sequence of K str or int, the latter made str.
        """
        return self._category_names

    @category_names.setter
    def category_names(self, names: Sequence[str] | None) -> None:
        self._category_names = _validate.names(names, "category_names", self.model.n_categories)

    @property
    def group_names(self) -> tuple[str, ...] | None:
        """N different names, by which groups can be asked for; None: their numbers. Checked when assigned."""
        return self._group_names

    @group_names.setter
    def group_names(self, names: Sequence[str] | None) -> None:
        self._group_names = _validate.names(
            names, "group_names", None if self.counts is None else self.counts.shape[-2]
        )

    @property
    def alpha(self) -> Floats:
        """(C, D) or (B, C, D); may underflow to zero where ``log_alpha`` does not."""
        with np.errstate(over="ignore", under="ignore"):
            return np.exp(self.log_alpha)

    @property
    def beta(self) -> Floats:
        """(C, D, K) or (B, C, D, K)."""
        with np.errstate(under="ignore"):
            return np.exp(self.log_beta)

    @property
    def n_categories(self) -> int:
        """K."""
        return self.model.n_categories

    @property
    def n_chains(self) -> int:
        """C."""
        return int(self.log_alpha.shape[-2])

    @property
    def n_draws(self) -> int:
        """D, draws of one chain."""
        return int(self.log_alpha.shape[-1])

    def __len__(self) -> int:
        """B, of a batch."""
        if not self._batch:
            raise TypeError("this Posterior is of one dataset: it has no length")
        return int(self.log_alpha.shape[0])

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        batch = f"B={len(self)}, " if self._batch else ""
        return f"Posterior({batch}C={self.n_chains}, D={self.n_draws}, K={self.n_categories}, method={self.method!r})"

    # for the rooms above ----------------------------------------------------------------------------------------------
    def _flat_alpha(self) -> Floats:
        return self.log_alpha.reshape(-1 if self._batch else 1, self.n_chains * self.n_draws)

    def _flat_beta(self) -> Floats:
        return self.log_beta.reshape(-1 if self._batch else 1, self.n_chains * self.n_draws, self.n_categories)

    def _flat_weights(self) -> Floats | None:
        return None if self.log_weights is None else self.log_weights.reshape(self._flat_alpha().shape)

    def _nodes(self) -> tuple[Floats, Floats, Floats | None]:
        """(B, S), (B, S, K), (B, S) of whatever expectations are taken over: quadrature nodes, or else the draws."""
        if self.moments is None:
            return self._flat_alpha(), self._flat_beta(), self._flat_weights()
        nodes = self.moments
        if self._batch:
            return nodes.log_alpha, nodes.log_beta, nodes.log_weights
        return nodes.log_alpha[np.newaxis], nodes.log_beta[np.newaxis], nodes.log_weights[np.newaxis]

    def _values(self, name: str) -> tuple[Floats, Floats | None]:
        _validate.parameter(name)
        log_alpha, log_beta, log_weights = self._nodes()
        values = log_alpha if name.endswith("alpha") else log_beta
        with np.errstate(over="ignore", under="ignore"):
            return (values if name.startswith("log_") else np.exp(values)), log_weights

    def _shaped(self, result: Floats) -> Any:
        """A batch keeps its leading B; one dataset loses it."""
        return result if self._batch else result[0]

    def _data(self) -> NDArray[Any]:
        if self.counts is None:
            raise ValueError("this Posterior does not know its counts: ask for group=None or counts=row")
        return self.counts

    def _index(self, group: int | str) -> int:
        return _validate.group_index(group, self.group_names, self._data().shape[-2])


def _sums_to_one(log_beta: Floats) -> Floats:
    """log beta (..., K), checked: numbers that are no proportions come from another scale, or from beta itself."""
    with np.errstate(over="ignore", under="ignore"):  # single precision: a quarter of the time, and 1e-4 is enough
        sums = np.exp(log_beta.astype(np.float32)) @ np.ones(log_beta.shape[-1], dtype=np.float32)
    bad = ~(np.abs(sums - 1.0) <= _SUM_TOLERANCE)
    if bad.any():
        where = tuple(np.argwhere(bad)[0].tolist())
        raise ValueError(
            f"log_beta must hold logarithms of proportions that sum to one; the sum is {sums[where]:.6g} at index "
            f"{where}. Pass np.log(beta / beta.sum(axis=-1, keepdims=True))."
        )
    return log_beta


def _some_weight(log_weights: Floats) -> Floats:
    """log weights (..., S), checked: each dataset has a draw of positive weight, and no infinite one."""
    largest = log_weights.max(axis=-1)
    for value, problem in ((-np.inf, "every draw has weight zero"), (np.inf, "a weight is infinite")):
        if (largest == value).any():
            place = f" in dataset {int(np.argmax(largest == value))}" if largest.ndim else ""
            raise ValueError(f"log_weights must leave some draws a finite positive weight; {problem}{place}")
    return log_weights


def _scalar_or_array(value: float | ArrayLike | None) -> Any:
    if value is None:
        return None
    array = np.asarray(value, dtype=np.float64)
    return float(array) if array.ndim == 0 else array
