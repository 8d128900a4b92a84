"""MultinomialMixturePosterior: the result of `sample` for a mixture of multinomials, whose draws are labels."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _core, _memory, _validate, variates
from hbm_fast._typing import CountsLike, Floats, Key
from hbm_fast.models import MixtureModel
from hbm_fast.posterior import partition
from hbm_fast.posterior.mixture import MixturePosterior
from hbm_fast.posterior.new_component import NewComponent
from hbm_fast.posterior.summary import Summary
from hbm_fast.priors import Dirichlet, DirichletProcess
from hbm_fast.tables.inputs import as_counts
from hbm_fast.tables.rows import Rows

_MOST_SEARCHED = 300  # groups of which partitions are searched as of other mixtures
_MOST_COMPARED = 150  # groups on which chains are compared
_MOST_CATEGORIES = 10  # of each component, in the summary


class MultinomialMixturePosterior(MixturePosterior):
    """Draws of the labels of a mixture with ``alpha=math.inf``; its weights and proportions are integrated out.

    Given the labels each component's proportions are Dirichlet, with the counts of its groups added to the prior.
    Predictions average over that in closed form. ``beta`` draws from it, an array (C, D, J, K) made at the first use.

    Parameters
    ----------
    labels : integer array (C, D, N)
    log_weights : array (C, D, J)
        NaN where a draw has fewer than J components, for a Dirichlet process.
    model : MixtureModel
    counts : integer array (N, K) or scipy.sparse
    log_likelihood : array (C, D)
        Of the counts given the labels, the proportions integrated out, multinomial coefficients included.
    process_concentration, details, key, category_names, group_names
        As of `MixturePosterior`.

    Examples
    --------
    >>> import math
    >>> import hbm_fast as hbm
    >>> texts = [[1, 1, 0, 0], [2, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 2, 1], [0, 0, 0, 2]]
    >>> post = hbm.sample(texts, hbm.MixtureModel(4, n_components=3, alpha=math.inf, beta=0.1), rng=1)
    >>> post.partition().tolist(), post.beta.shape
    ([0, 0, 0, 1, 1, 1], (4, 1000, 3, 4))
    >>> post.predict(counts=[1, 0, 0, 0]).round(1).tolist()
    [0.6, 0.4, 0.0, 0.0]
    """

    def __init__(
        self,
        labels: ArrayLike,
        log_weights: ArrayLike,
        *,
        model: MixtureModel,
        counts: CountsLike,
        log_likelihood: ArrayLike,
        process_concentration: ArrayLike | None = None,
        details: Mapping[str, Any] | None = None,
        key: Key | None = None,
        category_names: Sequence[str] | None = None,
        group_names: Sequence[str] | None = None,
    ) -> None:
        self.model = model
        self.counts = as_counts(counts).counts
        self._rows_of_data = Rows.of(counts)
        self.beta_concentration = self.log_evidence = self.log_evidence_error = None
        self._set_draws(labels, log_weights, log_likelihood)
        self._set_origin(process_concentration, details, key, category_names, group_names)

    @property
    def log_alpha(self) -> Floats:  # type: ignore[override]
        """(C, D, J): infinite, NaN for the components that a draw of a Dirichlet process lacks."""
        return np.where(np.isnan(self.log_weights), np.nan, np.inf)

    @cached_property
    def log_beta(self) -> Floats:  # type: ignore[override]
        """(C, D, J, K): draws given the labels, always the same ones; NaN for the components that a draw lacks.

        Raises
        ------
        MemoryError
            Where they do not fit in memory; `predict`, `responsibilities` and `summary` do not need them.
        """
        shape = (*self.log_weights.shape, self.n_categories)
        _memory.check_fits(16 * math.prod(shape), f"beta of all draws, an array of shape {shape},")
        result = np.empty((self.n_chains * self.n_draws, *shape[2:]))
        for s, labels in enumerate(self._flat_labels):
            seed = np.random.SeedSequence([*self.key.tolist(), s])
            result[s] = variates.dirichlet(seed, self._prior + self._counts_of(labels), log=True)
        result[np.isnan(self._flat(self.log_weights))] = np.nan
        return result.reshape(shape)

    def component(self, number: int) -> NoReturn:
        """Raise an error: there is no `Posterior` of (alpha, beta) where alpha is infinite.

        Raises
        ------
        ValueError
        """
        raise ValueError(
            "component is a posterior of (alpha, beta) and needs a finite alpha; with alpha=math.inf use summary(), "
            "or beta"
        )

    @cached_property
    def disagreement(self) -> float:
        """As of `MixturePosterior`; of many groups the largest over 150 of them, evenly spaced."""
        n = self.n_groups
        if n <= _MOST_COMPARED:
            return super().disagreement
        some = np.unique(np.linspace(0, n - 1, _MOST_COMPARED).astype(np.intp))
        return self._disagreement_of(np.ascontiguousarray(self.labels[..., some]))

    @cached_property
    def _partition(self) -> NDArray[np.int32]:
        if self.n_groups <= _MOST_SEARCHED:
            return partition.least_variation(self._flat_labels)
        return partition.nearest_draw(self._flat_labels)

    def summary(self, quantiles: Sequence[float] = (0.05, 0.5, 0.95)) -> Summary:
        """A table of means, standard deviations, quantiles and convergence diagnostics.

        As of `MixturePosterior`, without alpha, and of each component's beta the ten largest proportions only.

        Parameters
        ----------
        quantiles : sequence of float

        Returns
        -------
        Summary
        """
        return super().summary(quantiles)

    def _parameters_of(self, number: int) -> dict[str, Floats]:
        members = self._flat_labels == self._most_shared(number)[:, np.newaxis]
        largest = np.argsort(-self._mean_beta(members), kind="stable")[:_MOST_CATEGORIES]
        beta = self._beta_draws(members, largest, number).reshape(*self.labels.shape[:2], -1)
        names = self.category_names or range(self.n_categories)
        return {f"beta[{number},{names[k]}]": beta[..., i] for i, k in enumerate(largest)}

    # given the labels -------------------------------------------------------------------------------------------------
    @property
    def _prior(self) -> Floats:
        """Concentration (K,) of the Dirichlet of each component's proportions."""
        assert isinstance(self.model.beta, Dirichlet)
        return np.array(np.broadcast_to(np.asarray(self.model.beta.concentration, np.float64), (self.n_categories,)))

    @property
    def _totals(self) -> NDArray[np.int64]:
        """(N,)."""
        rows = self._rows_of_data
        return np.add.reduceat(np.append(rows.values, 0), rows.offsets[:-1]) * (np.diff(rows.offsets) > 0)

    def _counts_of(self, labels: NDArray[Any]) -> Floats:
        """Counts (J, K) of the components of one draw (N,)."""
        rows, size = self._rows_of_data, self.log_weights.shape[-1] * self.n_categories
        of_component = np.repeat(labels.astype(np.int64), np.diff(rows.offsets)) * self.n_categories
        counts = np.bincount(of_component + rows.columns, rows.values, minlength=size)
        return np.asarray(counts, np.float64).reshape(-1, self.n_categories)

    def _weighted_counts(self, weights: Floats) -> Floats:
        """Sum (K,) of the groups' counts with weights (N,)."""
        rows = self._rows_of_data
        each = np.repeat(weights, np.diff(rows.offsets)) * rows.values
        return np.asarray(np.bincount(rows.columns, each, minlength=self.n_categories), np.float64)

    def _mean_beta(self, members: NDArray[np.bool_]) -> Floats:
        """Mean (K,) over the draws of the proportions of one component of each, with its groups (S, N)."""
        share = 1.0 / (self._prior.sum() + members @ self._totals)
        return np.asarray((share.sum() * self._prior + self._weighted_counts(share @ members)) / len(members))

    def _beta_draws(self, members: NDArray[np.bool_], categories: NDArray[np.intp], number: int) -> Floats:
        """Draws (S, C) of some of the proportions of one component of each draw."""
        rows, prior = self._rows_of_data, self._prior
        row = np.repeat(np.arange(self.n_groups), np.diff(rows.offsets))
        concentration = np.empty((len(members), len(categories) + 1))
        for i, k in enumerate(categories):
            here = rows.columns == k
            concentration[:, i] = prior[k] + members[:, row[here]] @ rows.values[here]
        known = len(categories) < self.n_categories
        all_others = prior.sum() + members @ self._totals - concentration[:, :-1].sum(axis=1)
        concentration[:, -1] = np.maximum(all_others, prior.min())
        seed = np.random.SeedSequence([*self.key.tolist(), number, 1])
        return variates.dirichlet(seed, concentration[:, : len(categories) + known])

    def _predict_known(self, n: int) -> Floats:
        return self._mean_beta(self._flat_labels == self._flat_labels[:, n, np.newaxis])

    def _predict_new(self, row: NDArray[np.int64]) -> Floats:
        joint, _ = self._joint(row[np.newaxis])
        weights = np.exp(joint[:, :, 0] - joint.max())  # (S, J), of a Dirichlet process a new component last
        labels, totals = self._flat_labels, self._totals
        of_component = np.zeros(weights.shape)
        for s, own in enumerate(labels):
            of_component[s] = np.bincount(own, totals, minlength=weights.shape[1])
        share = weights / (of_component + self._prior.sum() + row.sum())
        of_groups = np.take_along_axis(share, labels.astype(np.intp), axis=1).sum(axis=0)
        return np.asarray((share.sum() * (self._prior + row) + self._weighted_counts(of_groups)) / weights.sum())

    def _joint(self, rows: NDArray[np.int64]) -> tuple[Floats, list[NewComponent]]:
        log_weights = np.nan_to_num(self._flat(self.log_weights), nan=-np.inf, neginf=-np.inf)
        if isinstance(self.model.n_components, DirichletProcess):
            assert self.process_concentration is not None
            c = self.process_concentration.reshape(-1, 1)
            log_weights = np.concatenate([log_weights, np.log(c / (c + self.n_groups))], axis=1)
        data, new = self._slots, Rows.of(rows).slots()
        result = np.zeros((*log_weights.shape, len(rows)))
        result[..., new.order.astype(np.intp)] = _core.mixture.multinomial_log_predictive(
            data,
            np.ascontiguousarray(self._flat_labels[:, data.order.astype(np.intp)], dtype=np.int32),
            log_weights.shape[1],
            self.model.beta._kernel(self.n_categories),
            new,
            _validate.threads(None),
        )
        return result + log_weights[..., np.newaxis], []

    @property
    def _slots(self) -> _core.mixture.CountSlots:
        return self._rows_of_data.slots()
