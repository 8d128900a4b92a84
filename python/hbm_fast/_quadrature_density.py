"""The posterior density of K = 2 in t = log(alpha) and u = logit(beta_1) = log(beta_1 / beta_0), not yet normalised."""

from math import lgamma
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _core, _validate, priors
from hbm_fast.model import HierarchicalModel

Floats = NDArray[np.float64]

# Below this a concentration's own logarithm is all that the likelihood still sees of it.
_SMALLEST_LOG_CONCENTRATION = -600.0
# Beyond this alpha the likelihood is that of a multinomial to the last digit, whatever the totals.
_LARGEST_LOG_ALPHA = 100.0


class Density:
    """log p(t, u | counts) up to a constant: log prior of t and u, and log-likelihood without the coefficient."""

    def __init__(self, counts: NDArray[Any], model: HierarchicalModel) -> None:
        self.statistics = _core.SufficientStatistics(2)
        self.statistics.add(counts)
        self._present = np.count_nonzero(counts, axis=0).astype(np.float64)  # groups that contain each category
        self._present_total = float(np.count_nonzero(counts.any(axis=1)))
        self.total = float(counts.sum(dtype=np.float64))
        self.log_coefficient = self.statistics.log_coefficient
        self._alpha = model.alpha._kernel()
        self.fixed_log_alpha = float(np.log(model.alpha.value)) if isinstance(model.alpha, priors.Fixed) else None
        self.support = _support(model.alpha)
        self.fixed_logit: float | None = None
        self.concentration = np.ones(2)
        self._log_prior_constant = 0.0
        if isinstance(model.beta, priors.FixedBeta):
            self.fixed_logit = float(np.log(model.beta.value[1]) - np.log(model.beta.value[0]))
        else:
            self.concentration = np.broadcast_to(np.asarray(model.beta.concentration, dtype=np.float64), (2,)).copy()
            self._log_prior_constant = -_log_beta_function(*self.concentration)

    def log_prior_alpha(self, t: Floats) -> Floats:
        """log density of t."""
        return np.asarray(self._alpha.log_density(t), dtype=np.float64)

    def tail_slope(self, t: float) -> float:
        """d log prior / dt: the slope of the posterior where the likelihood is flat."""
        return float(self._alpha.log_density_slope(t))

    def __call__(self, t: Floats, u: Floats) -> Floats:
        """log p at pairs of one shape."""
        t, u = np.broadcast_arrays(t, u)
        log_a, clamped, a = self._concentrations(t, u)
        value = np.empty(t.shape)
        self.statistics.log_likelihood(a, value, None, _threads(t.size))
        small = clamped > log_a
        if small.any():
            value += ((log_a - clamped) * self._present).sum(axis=-1)
            total_correction = np.minimum(t, _LARGEST_LOG_ALPHA) - np.log(a.sum(axis=-1))
            value -= np.where(small.any(axis=-1), self._present_total * total_correction, 0.0)
        value += self.log_prior_alpha(t)
        if self.fixed_logit is None:
            value += self._log_prior_logit(u)
        return value

    def slope(self, t: Floats, u: Floats) -> Floats:
        """d log p / du. In u the density has one maximum at every t, and straight tails."""
        t, u = np.broadcast_arrays(t, u)
        _, _, a = self._concentrations(t, u)
        value, gradient = np.empty(t.shape), np.empty(a.shape)
        self.statistics.log_likelihood(a, value, gradient, _threads(t.size))
        beta_1, beta_0 = _sigmoid(u), _sigmoid(-u)
        c_0, c_1 = self.concentration
        scaled = a * gradient
        return np.asarray((scaled[..., 1] + c_1) * beta_0 - (scaled[..., 0] + c_0) * beta_1)

    def _log_prior_logit(self, u: Floats) -> Floats:
        c_0, c_1 = self.concentration
        return self._log_prior_constant - c_0 * np.logaddexp(0.0, u) - c_1 * np.logaddexp(0.0, -u)

    def _concentrations(self, t: Floats, u: Floats) -> tuple[Floats, Floats, Floats]:
        log_a = log_beta(u)
        log_a += np.minimum(t, _LARGEST_LOG_ALPHA)[..., np.newaxis]
        clamped = np.maximum(log_a, _SMALLEST_LOG_CONCENTRATION)
        return log_a, clamped, np.exp(clamped)


def _support(prior: priors.AlphaPrior) -> tuple[float, float]:
    """Ends of log(alpha), a few roundings inside where there are any."""
    if isinstance(prior, priors.LogUniform | priors.Power):
        lower, upper = float(np.log(prior.lower)), float(np.log(prior.upper))
        return lower + 1e-15 * (1.0 + abs(lower)), upper - 1e-15 * (1.0 + abs(upper))
    return -np.inf, np.inf


def log_beta(u: Floats) -> Floats:
    """(..., 2): log beta_0 and log beta_1 of a logit."""
    return np.stack([-np.logaddexp(0.0, u), -np.logaddexp(0.0, -u)], axis=-1)


def _sigmoid(u: Floats) -> Floats:
    return np.exp(-np.logaddexp(0.0, -u))


def _log_beta_function(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _threads(n_evaluations: int) -> int:
    """Starting threads costs more than a few hundred evaluations."""
    return _validate.threads(None) if n_evaluations > 1024 else 1
