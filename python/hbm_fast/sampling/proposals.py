"""Proposals of (log alpha, beta) of one component, fitted to draws: what bridge sampling compares the posterior with.

All densities are with respect to d log(alpha) and all but one element of beta; where the model learns the concentration
c of beta, to d log(c) too. What a model fixes has no density.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from hbm_fast import priors
from hbm_fast._typing import Floats
from hbm_fast.models import HierarchicalModel
from hbm_fast.posterior.new_component import log_dirichlet, log_gamma
from hbm_fast.simulation import simulate

_DEGREES = 5.0  # of the t distributions: tails heavier than a posterior's
_NODES = 41  # of the tilt


@dataclass(frozen=True)
class Points:
    """Parameters: log alpha (...), log beta (..., K), and log c (...) of a learned concentration, else None."""

    log_alpha: Floats
    log_beta: Floats
    log_c: Floats | None = None

    def map(self, function: Callable[[Floats], Floats]) -> "Points":
        """What the function makes of each array."""
        log_c = None if self.log_c is None else function(self.log_c)
        return Points(function(self.log_alpha), function(self.log_beta), log_c)

    def __getitem__(self, index: Any) -> "Points":
        return self.map(lambda values: values[index])

    @staticmethod
    def joined(parts: list["Points"], join: Callable[[list[Floats]], Floats] = np.concatenate) -> "Points":
        """Parts as one, by default along the first axis."""
        log_c = [p.log_c for p in parts if p.log_c is not None]
        return Points(
            join([p.log_alpha for p in parts]), join([p.log_beta for p in parts]), join(log_c) if log_c else None
        )


class Proposal(Protocol):
    """A distribution of Points with a normalised density."""

    def draw(self, n: int, rng: np.random.Generator) -> Points: ...

    def log_density(self, points: Points) -> Floats: ...


class Prior:
    """The prior of a component."""

    def __init__(self, model: HierarchicalModel) -> None:
        self._model = model

    def draw(self, n: int, rng: np.random.Generator) -> Points:
        sims = simulate(self._model, n, n_groups=1, totals=0, rng=rng)
        c = sims.beta_concentration
        return Points(sims.log_alpha, sims.log_beta, None if c is None else np.log(np.maximum(c, 1e-300)))

    def log_density(self, points: Points) -> Floats:
        model = self._model
        value = model.alpha.log_density(points.log_alpha)
        if isinstance(model.beta, priors.FixedBeta):
            return value
        shape = points.log_beta.shape
        if isinstance(model.beta.concentration, priors.AlphaPrior):
            assert points.log_c is not None
            concentration = np.broadcast_to(np.exp(points.log_c)[..., np.newaxis], shape)
            k = shape[-1]
            c = concentration[..., 0]
            log_density = log_gamma(k * c) - k * log_gamma(c) + ((c - 1.0) * points.log_beta.sum(axis=-1))
            return np.asarray(value + model.beta.concentration.log_density(points.log_c) + log_density)
        concentration = np.broadcast_to(np.asarray(model.beta.concentration, np.float64), shape[-1:])
        return np.asarray(value + log_dirichlet(points.log_beta, concentration))


class _StudentT:
    """A t distribution with the mean and the spread of given draws (S,)."""

    def __init__(self, draws: Floats) -> None:
        self._centre = float(draws.mean())
        self._scale = float(draws.std()) + 1e-9
        self._constant = math.lgamma(0.5 * (_DEGREES + 1.0)) - math.lgamma(0.5 * _DEGREES)
        self._constant -= 0.5 * math.log(_DEGREES * math.pi) + math.log(self._scale)

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        return np.asarray(self._centre + self._scale * rng.standard_t(_DEGREES, n))

    def log_density(self, x: Floats) -> Floats:
        z = (x - self._centre) / self._scale
        return np.asarray(self._constant - 0.5 * (_DEGREES + 1.0) * np.log1p(z * z / _DEGREES))


class ScaledDirichlet:
    """log alpha ~ t, beta proportional to independent gammas with a rate each, independent of alpha.

    Parameters
    ----------
    model : HierarchicalModel
    draws : Points (S,)
    """

    def __init__(self, model: HierarchicalModel, draws: Points) -> None:
        self._model = model
        self._log_alpha = None if isinstance(model.alpha, priors.Fixed) else _StudentT(draws.log_alpha)
        self._log_c = None if draws.log_c is None else _StudentT(draws.log_c)
        self._fixed = draws.log_alpha[:1], draws.log_beta[:1]
        self._free_beta = not isinstance(model.beta, priors.FixedBeta)
        beta = np.exp(draws.log_beta)
        mean, variance = beta.mean(axis=0) + 1e-300, beta.var(axis=0) + 1e-300
        # of a Dirichlet, variance = mean (1 - mean) / (1 + sum): here each category has a sum of its own
        rate = np.clip(mean * (1.0 - mean) / variance - 1.0, 0.05, 1e12)
        self._shape, self._rate = np.maximum(mean * rate, 1e-3), rate

    def draw(self, n: int, rng: np.random.Generator) -> Points:
        log_alpha = np.repeat(self._fixed[0], n) if self._log_alpha is None else self._log_alpha.draw(n, rng)
        log_c = None if self._log_c is None else self._log_c.draw(n, rng)
        if not self._free_beta:
            return Points(log_alpha, np.repeat(self._fixed[1], n, axis=0), log_c)
        log_beta = log_gammas(np.tile(self._shape, (n, 1)), rng) - np.log(self._rate)
        log_beta -= log_sum_exp(log_beta, axis=-1)[:, np.newaxis]
        return Points(log_alpha, log_beta, log_c)

    def log_density(self, points: Points) -> Floats:
        value = np.zeros(points.log_alpha.shape)
        if self._log_alpha is not None:
            value = value + self._log_alpha.log_density(points.log_alpha)
        if self._log_c is not None and points.log_c is not None:
            value = value + self._log_c.log_density(points.log_c)
        if not self._free_beta:
            return value
        total = self._shape.sum()
        constant = math.lgamma(total) - log_gamma(self._shape).sum() + (self._shape * np.log(self._rate)).sum()
        mixed = log_sum_exp(points.log_beta + np.log(self._rate), axis=-1)
        return np.asarray(value + constant + points.log_beta @ (self._shape - 1.0) - total * mixed)


class TiltedGammas:
    """alpha beta_k ~ Gamma(s_k, rate r_k - xi), xi one of some nodes: nearly the posterior where K is large.

    The likelihood of the totals ties the concentrations by their sum alone, which the common shift of the rates
    imitates. Shapes and rates have the means and variances of the draws, not those of their logarithms.

    Parameters
    ----------
    draws : Points (S,)
    """

    def __init__(self, draws: Points) -> None:
        a = np.exp(draws.log_alpha[:, np.newaxis] + draws.log_beta)
        mean, variance = a.mean(axis=0) + 1e-300, a.var(axis=0) + 1e-300
        of_sum = float(a.sum(axis=1).var())
        tilt, own = 0.0, variance
        # variance_k = own_k + tilt own_k^2, and of the sum: V + tilt V^2 with V the sum of own
        for _ in range(200):
            own = variance if tilt == 0.0 else (np.sqrt(1.0 + 4.0 * tilt * variance) - 1.0) / (2.0 * tilt)
            all_own = own.sum()
            wanted = max((of_sum - all_own) / all_own**2, 0.0)
            tilt = 0.5 * (tilt + wanted)
        self._shape, self._rate = mean**2 / own, mean / own
        x, w = np.polynomial.hermite_e.hermegauss(_NODES)
        xi = np.minimum(np.sqrt(tilt) * x, 0.8 * self._rate.min())
        self._xi, self._weight = xi, w / w.sum()
        self._log_c = None if draws.log_c is None else _StudentT(draws.log_c)
        # of each node, all that does not depend on the point
        self._constant = np.log(self._weight) - log_gamma(self._shape).sum()
        self._constant += np.log(self._rate - xi[:, np.newaxis]) @ self._shape

    def draw(self, n: int, rng: np.random.Generator) -> Points:
        node = rng.choice(_NODES, n, p=self._weight)
        log_a = log_gammas(np.tile(self._shape, (n, 1)), rng) - np.log(self._rate - self._xi[node, np.newaxis])
        log_alpha = log_sum_exp(log_a, axis=-1)
        log_c = None if self._log_c is None else self._log_c.draw(n, rng)
        return Points(log_alpha, log_a - log_alpha[:, np.newaxis], log_c)

    def log_density(self, points: Points) -> Floats:
        log_alpha, log_beta = points.log_alpha, points.log_beta
        k = log_beta.shape[-1]
        alpha = np.exp(np.minimum(log_alpha, 600.0))
        # of a = alpha beta, then to (log alpha, beta): the Jacobian is alpha^K
        value = log_beta @ (self._shape - 1.0) + log_alpha * (self._shape.sum() - k) + k * log_alpha
        value = value - alpha * (np.exp(log_beta) @ self._rate)
        value = value + log_sum_exp(self._constant + alpha[..., np.newaxis] * self._xi, axis=-1)
        if self._log_c is not None and points.log_c is not None:
            value = value + self._log_c.log_density(points.log_c)
        return np.asarray(value)


class Defensive:
    """One of several proposals, with equal probabilities."""

    def __init__(self, parts: list[Proposal]) -> None:
        self._parts = parts

    def draw(self, n: int, rng: np.random.Generator) -> Points:
        sizes = np.bincount(rng.integers(len(self._parts), size=n), minlength=len(self._parts))
        drawn = Points.joined([part.draw(int(m), rng) for part, m in zip(self._parts, sizes, strict=True) if m])
        return drawn[rng.permutation(n)]

    def log_density(self, points: Points) -> Floats:
        each = np.stack([part.log_density(points) for part in self._parts], axis=-1)
        return log_sum_exp(each, axis=-1) - math.log(len(self._parts))


def log_gammas(shape: Floats, rng: np.random.Generator) -> Floats:
    """Logarithms of gamma variates of each shape, finite for small ones too."""
    return np.asarray(np.log(rng.standard_gamma(shape + 1.0)) - rng.standard_exponential(shape.shape) / shape)


def log_sum_exp(values: Floats, axis: int | tuple[int, ...]) -> Floats:
    """log of the sum of exp."""
    largest = values.max(axis=axis, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.exp(values - largest).sum(axis=axis)) + largest.squeeze(axis))
