"""Bridge sampling: the evidence from draws of the posterior and of proposals that are fitted to it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm_fast._typing import Counts, Floats
from hbm_fast.models import HierarchicalModel
from hbm_fast.posterior import predictive
from hbm_fast.posterior.new_component import log_dirichlet, log_gamma
from hbm_fast.priors import Fixed, FixedBeta
from hbm_fast.sampling.bridge import log_ratio
from hbm_fast.sampling.proposals import (
    Defensive,
    Points,
    Prior,
    Proposal,
    ScaledDirichlet,
    TiltedGammas,
    log_gammas,
    log_sum_exp,
)

MOST_COMPONENTS = 10  # the sum over all labellings takes 2^J J operations a point
_VALUES_AT_ONCE = 4_000_000
_OF_ALL = 0.1  # share of the proposal that is fitted to all draws
_N_CLUSTERS, _N_ROUNDS, _FEWEST = 8, 15, 100
_SURE = 0.05  # a group whose indicator varies less belongs to one component


@dataclass(frozen=True)
class MixturePoints:
    """S points: components (S, J) and log weights (S, J)."""

    components: Points
    log_weights: Floats

    def __getitem__(self, index: Any) -> "MixturePoints":
        return MixturePoints(self.components[index], self.log_weights[index])


class MixtureLikelihood:
    """log p(counts | weights, components) of a finite mixture, the labels summed out, every constant in."""

    def __init__(self, counts: Counts) -> None:
        rows = np.ascontiguousarray(counts[counts.any(axis=1)], dtype=np.int64)
        self._rows, self._times = np.unique(rows, axis=0, return_counts=True)
        coefficient = log_gamma(rows.sum(axis=1) + 1.0) - log_gamma(rows + 1.0).sum(axis=1)
        self._log_coefficient = float(coefficient.sum())

    def __call__(self, points: MixturePoints) -> Floats:
        size = max(1, _VALUES_AT_ONCE // (max(len(self._rows), 1) * points.log_weights.shape[1]))
        parts = [self._part(points[first : first + size]) for first in range(0, len(points.log_weights), size)]
        return np.concatenate(parts) + self._log_coefficient

    def _part(self, points: MixturePoints) -> Floats:
        n, n_components = points.log_weights.shape
        if not len(self._rows):
            return np.zeros(n)
        one = points.components
        k = one.log_beta.shape[-1]
        pmf = predictive.log_pmf(
            one.log_alpha.reshape(1, -1), one.log_beta.reshape(1, -1, k), self._rows[np.newaxis], False
        ).reshape(n, n_components, -1)
        return np.asarray(log_sum_exp(points.log_weights[..., np.newaxis] + pmf, axis=1) @ self._times)


class Target:
    """log p(counts, weights, components) of a finite mixture, every constant in."""

    def __init__(
        self, likelihood: Callable[[MixturePoints], Floats], component: HierarchicalModel, weights: float
    ) -> None:
        self._likelihood, self._prior, self._weights = likelihood, Prior(component), weights

    def __call__(self, points: MixturePoints) -> Floats:
        n_components = points.log_weights.shape[1]
        value = self._likelihood(points) + self._prior.log_density(points.components).sum(axis=1)
        if n_components > 1:
            value = value + log_dirichlet(points.log_weights, np.full(n_components, self._weights))
        return np.asarray(value)


class MixtureProposal:
    """A distribution of whole mixtures that is the same for every numbering of the components.

    Its density is the mean over all numberings of the product of the components' densities, a permanent. With equal
    probabilities all components come from tilted gammas, all from scaled Dirichlets, or each from one of these or the
    prior.

    Parameters
    ----------
    model : HierarchicalModel
        Of one component.
    weights : float
    draws : MixturePoints
        Posterior draws whose components are numbered alike.
    near : bool
        Leave out all but one: tilted gammas, or scaled Dirichlets where alpha or beta is fixed.
    """

    def __init__(self, model: HierarchicalModel, weights: float, draws: MixturePoints, *, near: bool = False) -> None:
        n_components = draws.log_weights.shape[1]
        each = [draws.components[:, j] for j in range(n_components)]
        plain: list[Proposal] = [ScaledDirichlet(model, one) for one in each]
        self._families: list[list[Proposal]] = [plain]
        mixed: list[list[Proposal]] = [[one, Prior(model)] for one in plain]
        if not (isinstance(model.alpha, Fixed) or isinstance(model.beta, FixedBeta)):
            tilted: list[Proposal] = [TiltedGammas(one) for one in each]
            self._families.append(tilted)
            mixed = [[*parts, one] for parts, one in zip(mixed, tilted, strict=True)]
        self._families.append([Defensive(parts) for parts in mixed])
        last = len(self._families) - 1
        w = np.exp(draws.log_weights)
        mean, variance = w.mean(axis=0), w.var(axis=0) + 1e-12
        precision = float(np.median(mean * (1.0 - mean) / variance)) - 1.0 if n_components > 1 else 1.0
        fitted = np.maximum(mean * max(precision, 1.0), 0.2)
        self._concentrations = [
            np.full(n_components, weights) if i == last else fitted for i in range(len(self._families))
        ]
        if near:
            self._families, self._concentrations = self._families[last - 1 : last], [fitted]

    def draw(self, n: int, rng: np.random.Generator) -> MixturePoints:
        parts = []
        for i, (family, concentration) in enumerate(zip(self._families, self._concentrations, strict=True)):
            m = n // len(self._families) + (i < n % len(self._families))
            log_w = log_gammas(np.tile(concentration, (m, 1)), rng)
            log_w -= log_sum_exp(log_w, axis=-1)[:, np.newaxis]
            parts.append((Points.joined([one.draw(m, rng) for one in family], partial(np.stack, axis=1)), log_w))
        return MixturePoints(Points.joined([p for p, _ in parts]), np.concatenate([w for _, w in parts]))

    def log_density(self, points: MixturePoints) -> Floats:
        each = []
        n_components = points.log_weights.shape[1]
        for family, concentration in zip(self._families, self._concentrations, strict=True):
            value = np.stack([one.log_density(points.components) for one in family], axis=2)
            if n_components > 1:
                value = value + (concentration - 1.0) * points.log_weights[..., np.newaxis]
            constant = math.lgamma(concentration.sum()) - log_gamma(concentration).sum()
            each.append(log_permanent(value) - math.lgamma(n_components + 1.0) + constant)
        return log_sum_exp(np.stack(each, axis=-1), axis=-1) - math.log(len(each))


class ClusterProposal:
    """A proposal for each of several clusters of draws, and one for all of them, which has one draw in ten.

    Draws between which many groups change their components lie in modes of their own, of which a single proposal
    covers more than all together.

    Parameters
    ----------
    model : HierarchicalModel
    weights : float
    draws : MixturePoints
    labels : integer array (S, N)
        The component of each group, numbered alike.
    rng : numpy.random.Generator
    """

    def __init__(
        self,
        model: HierarchicalModel,
        weights: float,
        draws: MixturePoints,
        labels: NDArray[Any],
        rng: np.random.Generator,
    ) -> None:
        self._parts = [MixtureProposal(model, weights, draws)]
        shares = [_OF_ALL]
        n = len(labels)
        for members in _clusters(labels, draws.log_weights.shape[1], rng):
            self._parts.append(MixtureProposal(model, weights, draws[members], near=True))
            shares.append((1.0 - _OF_ALL) * len(members) / n)
        self._shares = np.array(shares) / sum(shares)

    def draw(self, n: int, rng: np.random.Generator) -> MixturePoints:
        sizes = rng.multinomial(n, self._shares)
        drawn = [part.draw(int(m), rng) for part, m in zip(self._parts, sizes, strict=True) if m]
        return MixturePoints(
            Points.joined([one.components for one in drawn]), np.concatenate([one.log_weights for one in drawn])
        )

    def log_density(self, points: MixturePoints) -> Floats:
        each = np.stack([part.log_density(points) for part in self._parts], axis=-1)
        return log_sum_exp(each + np.log(self._shares), axis=-1)


def _clusters(labels: NDArray[Any], n_components: int, rng: np.random.Generator) -> list[NDArray[np.intp]]:
    """Rows of similar labels, by k-means of their indicators; clusters of fewer than _FEWEST rows are left out."""
    indicators = (labels[:, :, np.newaxis] == np.arange(n_components)).reshape(len(labels), -1).astype(np.float32)
    indicators = indicators[:, indicators.std(axis=0) > _SURE]
    centres = indicators[rng.choice(len(labels), _N_CLUSTERS, replace=False)]
    for _ in range(_N_ROUNDS):
        nearest = ((centres**2).sum(axis=1) - 2.0 * indicators @ centres.T).argmin(axis=1)
        members = [np.flatnonzero(nearest == c) for c in range(_N_CLUSTERS)]
        centres = np.stack(
            [indicators[m].mean(axis=0) if len(m) else old for m, old in zip(members, centres, strict=True)]
        )
    return [m for m in members if len(m) >= _FEWEST]


def log_permanent(log_values: Floats) -> Floats:
    """log of the permanent of matrices exp(log_values) (S, J, J), by sums over subsets."""
    n, size, _ = log_values.shape
    of_subset = np.full((n, 1 << size), -np.inf)
    of_subset[:, 0] = 0.0
    for subset in range(1, 1 << size):
        members = [j for j in range(size) if subset >> j & 1]
        row = len(members) - 1
        terms = [of_subset[:, subset ^ (1 << j)] + log_values[:, row, j] for j in members]
        of_subset[:, subset] = log_sum_exp(np.stack(terms, axis=-1), axis=-1)
    return of_subset[:, -1]


def estimate(
    target: Callable[[MixturePoints], Floats],
    proposal: MixtureProposal | ClusterProposal,
    draws: MixturePoints,
    of_draws: Floats,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """log evidence and its standard error, from posterior draws (S) of chains one after the other.

    The proposal must be fitted to other draws; the target at the draws is ``of_draws`` (C, D).
    """
    proposed = proposal.draw(of_draws.size, rng)
    other = target(proposed) - proposal.log_density(proposed)
    other = np.where(np.isnan(other), -np.inf, other)
    return log_ratio(of_draws - proposal.log_density(draws).reshape(of_draws.shape), other)
