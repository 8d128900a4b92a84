"""fit(counts, MixtureModel(alpha=math.inf)): modes of mixtures of multinomials, for short texts."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _core, _memory, _validate, priors
from hbm_fast._random import key as new_key
from hbm_fast._typing import CountsLike, Floats, RNGLike
from hbm_fast.fitting.mixture_problem import Solutions, log_prior_of_weights
from hbm_fast.fitting.mixture_result import MixtureFit, outcome_of_sizes
from hbm_fast.models import MixtureModel
from hbm_fast.posterior.summary import Summary
from hbm_fast.tables.named_counts import NamedCounts
from hbm_fast.tables.rows import Rows

_SWEEPS = 30  # of a start's chain: later ones hardly change the value
_SEARCH_TOLERANCE, _FINAL_TOLERANCE = 0.01, 1e-6  # largest slope, in expected counts
_REACHED = 0.05  # nats
_MOST_CATEGORIES = 10  # of each component, in the summary

Parameters = tuple[Floats, Floats]


@dataclass(frozen=True, eq=False, repr=False)
class MultinomialMixtureFit(MixtureFit):
    """The result of `fit` with a `MixtureModel` of ``alpha=math.inf``: a mode of the weights and the proportions.

    The mode is that of the density of the logs of proportions, in which ``beta_k`` is proportional to the prior's
    concentration plus the expected count, whatever the concentration. ``concentration`` is infinite; ``laplace``,
    a criterion of concentrations, is NaN.

    Parameters
    ----------
    proportions : float64 array (J, K)
        ``beta`` of each component.

    Examples
    --------
    >>> import math
    >>> import hbm_fast as hbm
    >>> texts = [[1, 1, 0, 0], [2, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 2, 1], [0, 0, 0, 2]]
    >>> fit = hbm.fit(texts, hbm.MixtureModel(4, n_components=2, alpha=math.inf, beta=0.1))
    >>> fit.predict([[1, 0, 0, 0], [0, 0, 1, 1]]).tolist()
    [1, 0]
    """

    proportions: Floats = field(kw_only=True)

    @property
    def beta(self) -> Floats:
        """Proportions of each component (J, K)."""
        return self.proportions

    @property
    def alpha(self) -> Floats:
        """Infinite (J,)."""
        return np.full(self.n_components, math.inf)

    @property
    def n_parameters(self) -> int:
        """``J K - 1``."""
        return self.proportions.size - 1

    @property
    def _heading(self) -> str:
        return f"{self._shape}; log posterior {self.log_posterior:.4f}"

    @property
    def log_evidence(self) -> float:
        """Raise an error: the evidence is an approximation for concentrations.

        Raises
        ------
        ValueError
        """
        _refuse("log_evidence")

    @property
    def standard_error(self) -> Floats:
        """Raise an error: concentrations are infinite.

        Raises
        ------
        ValueError
        """
        _refuse("standard_error")

    def summary(self) -> Summary:
        """The weights and the ten largest proportions of each component, as a table.

        Returns
        -------
        Summary
        """
        names = self.category_names or range(self.proportions.shape[1])
        rows: dict[str, float] = {}
        for j, beta in enumerate(self.proportions):
            rows[f"weight[{j}]"] = float(self.weights[j])
            rows |= {f"beta[{j},{names[k]}]": beta[k] for k in np.argsort(-beta, kind="stable")[:_MOST_CATEGORIES]}
        note = f"{self._heading}; {self._search}; {self.message}"
        return Summary(tuple(rows), {"estimate": np.array(list(rows.values()))}, note)

    def _log_joint(self, counts: CountsLike) -> Floats:
        rows = Rows.of(self._new_counts(counts))
        with np.errstate(divide="ignore"):  # of a component that is empty
            result = np.tile(np.log(self.weights), (rows.shape[0], 1))
        slots = rows.slots()
        order = slots.order.astype(np.intp)
        result[order] = _core.mixture.multinomial_log_joint(slots, self.proportions, self.weights)
        return result + rows.log_coefficients()[:, np.newaxis]

    def _pooled(self) -> Floats:
        prior = _prior(self.model)
        sums = np.bincount(self._rows.columns, self._rows.values * self._multiplicities(), minlength=len(prior)) + prior
        return np.asarray(sums / sums.sum())

    def _multiplicities(self) -> Floats | float:
        if self._multiplicity is None:
            return 1.0
        return np.repeat(self._multiplicity, np.diff(self._rows.offsets))


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is of finite concentrations, which a mixture with alpha=math.inf does not have")


def _prior(model: MixtureModel) -> Floats:
    assert isinstance(model.beta, priors.Dirichlet)
    return np.array(np.broadcast_to(np.asarray(model.beta.concentration, np.float64), (model.n_categories,)))


def fit_multinomial_mixture(
    given: NamedCounts,
    model: MixtureModel,
    n_components: int,
    multiplicity: Floats | None,
    *,
    max_iterations: int,
    n_starts: int,
    start: Any,
    rng: RNGLike,
    n_threads: int,
    report: Callable[[float], object],
) -> MultinomialMixtureFit:
    """The highest mode to which starts lead: labels by some sweeps of Gibbs sampling, then expectation-maximisation."""
    if model.weights < 1.0:
        raise ValueError(
            "fit with alpha=math.inf needs weights of at least 1: below that the density of the weights is infinite at "
            f"0; got weights={model.weights}. hbm.sample takes any"
        )
    rows = Rows.of(given.counts)
    _validate.at_most(int(rows.values.sum()), "the sum of counts of multinomial components", 2**31 - 1)
    n_groups, n_categories = rows.shape
    _memory.check_fits(16 * n_components * n_groups, f"the responsibilities of {n_groups} groups")
    _memory.check_fits(64 * n_components * n_categories, f"the proportions of {n_components} components")
    slots = rows.slots(multiplicity)
    if slots.n_groups == 0:
        raise ValueError("counts must hold at least one count; every group is empty")
    search = _Search(slots, rows, model, max_iterations)
    if start is None:
        words = new_key(np.random.SeedSequence(list(slots.hash)) if rng is None else rng)
        search.run(search.labels(n_components, n_starts, words, n_threads, report), n_components, report)
    else:
        n_starts = 0
        search.improve(_given_start(start, (n_components, n_categories)), _FINAL_TOLERANCE)
    if search.best is None:
        raise KeyboardInterrupt
    beta, weights = search.best
    order = np.argsort(-weights, kind="stable")
    beta, weights = np.ascontiguousarray(beta[order]), np.ascontiguousarray(weights[order])
    joint = _core.mixture.multinomial_log_joint(slots, beta, weights)
    joint -= np.logaddexp.reduce(joint, axis=1)[:, np.newaxis]
    responsibilities = np.tile(weights, (n_groups, 1))
    responsibilities[slots.order.astype(np.intp)] = np.exp(joint, out=joint)
    prior = _prior(model)
    normalizer = math.lgamma(prior.sum()) - sum(map(math.lgamma, prior))
    log_prior = n_components * normalizer + float((np.log(beta) @ prior).sum())
    log_prior += log_prior_of_weights(model.weights, weights)
    log_posterior = search.value + slots.log_coefficient
    sizes = slots.weights @ joint
    return MultinomialMixtureFit(
        model=model,
        prior=None,
        weights=weights,
        concentration=np.broadcast_to(math.inf, beta.shape),
        responsibilities=responsibilities,
        log_likelihood=log_posterior - log_prior,
        log_posterior=log_posterior,
        laplace=math.nan,
        outcome=outcome_of_sizes(sizes, converged=search.converged, interrupted=search.interrupted),
        converged=search.converged,
        n_groups=float(slots.sum_of_weights),
        n_iterations=search.n_iterations,
        n_starts=n_starts,
        n_reached=search.n_reached,
        category_names=given.category_names,
        group_names=given.group_names,
        proportions=beta,
        _rows=rows,
        _multiplicity=multiplicity,
        _modes=Solutions.starts(np.zeros((0, *beta.shape)), np.zeros((0, n_components))),
    )


class _Search:
    """The best parameters so far, as starts are improved one after the other."""

    def __init__(self, slots: _core.mixture.CountSlots, rows: Rows, model: MixtureModel, max_iterations: int) -> None:
        self._slots, self._rows, self._model, self._max_iterations = slots, rows, model, max_iterations
        self._kernel = model.beta._kernel(model.n_categories)
        self.best: Parameters | None = None
        self.value = -math.inf
        self.values: list[float] = []
        self.n_iterations = 0
        self.converged = self.interrupted = False

    @property
    def n_reached(self) -> int:
        return sum(value > self.value - _REACHED for value in self.values)

    def labels(
        self,
        n_components: int,
        n_starts: int,
        key: Any,
        n_threads: int,
        report: Callable[[float], object],
    ) -> NDArray[np.int32]:
        """Labels (S, N) of the groups with counts, in the order of the slots."""
        drawn = _core.mixture.sample_multinomial(
            *(self._slots, 0, self._kernel, n_components, self._model.weights, 1.0, 0.0, 0.0),
            *(1, n_starts, _SWEEPS - 1, key, n_threads, lambda share: report(0.5 * share)),
        )
        return np.asarray(drawn["labels"][:, 0])

    def run(self, labels: NDArray[np.int32], n_components: int, report: Callable[[float], object]) -> None:
        """Improve a start for each row of labels, and then the best of them to the end."""
        for i, own in enumerate(labels):
            if self.interrupted:
                return
            self.improve(self._start(own, n_components), _SEARCH_TOLERANCE)
            report(0.5 + 0.5 * (i + 1) / (len(labels) + 1))
        if self.best is not None and not self.interrupted:
            self.improve(self.best, _FINAL_TOLERANCE)
            self.values.pop()
        report(1.0)

    def improve(self, parameters: Parameters, tolerance: float) -> None:
        """The mode to which parameters lead, if it is the best; Ctrl-C keeps the last iteration."""
        beta, weights = parameters
        settings = (self._kernel, self._model.weights, tolerance)
        try:
            value, n_iterations, converged = _core.mixture.maximize_multinomial(
                self._slots, beta, weights, *settings, self._max_iterations
            )
        except KeyboardInterrupt:
            self.interrupted = True
            value, n_iterations, converged = _core.mixture.maximize_multinomial(
                self._slots, beta, weights, *settings, 0
            )
        self.values.append(value)
        if value >= self.value or parameters is self.best:
            self.best, self.value = parameters, value
            self.n_iterations, self.converged = n_iterations, converged

    def _start(self, labels: NDArray[np.int32], n_components: int) -> Parameters:
        rows, order, prior = self._rows, self._slots.order.astype(np.intp), _prior(self._model)
        of_row = np.zeros(rows.shape[0], np.int64)
        of_row[order] = labels
        multiplicity = np.zeros(rows.shape[0])
        multiplicity[order] = self._slots.weights
        lengths = np.diff(rows.offsets)
        at = np.repeat(of_row, lengths) * rows.shape[1] + rows.columns
        counts = np.bincount(at, rows.values * np.repeat(multiplicity, lengths), minlength=n_components * rows.shape[1])
        beta = counts.reshape(n_components, -1) + prior
        beta /= beta.sum(axis=1, keepdims=True)
        weights = np.bincount(of_row[order], self._slots.weights, minlength=n_components) + 1.0 / n_components
        return beta, weights / weights.sum()


def _given_start(start: Any, shape: tuple[int, int]) -> Parameters:
    if not isinstance(start, tuple) or len(start) != 2:
        raise TypeError(f"start must be a tuple (weights, proportions) of arrays; got {type(start).__name__}")
    weights = _validate.doubles(start[0], "start's weights")
    beta = _validate.doubles(start[1], "start's proportions")
    if (weights.shape, beta.shape) != (shape[:1], shape):
        raise ValueError(
            f"start must be (weights, proportions) of shapes {shape[:1]} and {shape} with alpha=math.inf; got "
            f"{weights.shape} and {beta.shape}"
        )
    _validate.proportions(_validate.in_range(beta, "start's proportions"), "start's proportions", shape)
    _validate.proportions(_validate.in_range(weights, "start's weights"), "start's weights", shape[:1])
    return beta.copy(), weights.copy()
