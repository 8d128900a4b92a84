"""The posterior density of K = 2 in t = log(alpha) and u = logit(beta_1) = log(beta_1 / beta_0), not yet normalised."""

from math import lgamma

import numpy as np

from hbm_fast import _core, _validate, priors
from hbm_fast._typing import Floats
from hbm_fast.models import HierarchicalModel
from hbm_fast.sufficient_statistics import SufficientStatistics

# Below this, log Gamma(a + x) - log Gamma(a) = log a + log Gamma(x) to double precision.
_SMALLEST_LOG_CONCENTRATION = -600.0
# Above this alpha the likelihood equals that of a multinomial to double precision, for totals up to 2**40.
_LARGEST_LOG_ALPHA = 100.0
# Exceedances shorter than this are always faster than pairs of values: they are evaluated for all points at once.
_FEW_EXCEEDANCES = 512


class Density:
    """log p(t, u | counts) up to a constant: log prior of t and u plus log-likelihood."""

    def __init__(self, statistics: SufficientStatistics, model: HierarchicalModel) -> None:
        self.statistics = statistics._core
        pairs = [self.statistics.pairs(column) for column in range(3)]  # of both categories and the totals
        # groups that contain each category, and groups that contain any
        present = np.array([times[values > 0.0].sum() for values, times in pairs])
        self._present, self._present_total = present[:2], present[2]
        self.total = float(pairs[2][0] @ pairs[2][1])
        self._n_exceedances = int(max(values.max(initial=0.0) for values, _ in pairs[:2])) + 1
        self._exceedances = _exceedances(self.statistics, pairs)
        # __call__ leaves it out, except for large counts, whose sum would lose most digits to it
        self.log_coefficient = 0.0 if self._exceedances is None else self.statistics.log_coefficient
        self._prior = model.alpha
        self.fixed_log_alpha = float(np.log(model.alpha.value)) if isinstance(model.alpha, priors.Fixed) else None
        self.support = _support(model.alpha)
        self.highest_power = _highest_power(model.alpha)
        self.fixed_logit: float | None = None
        self.concentration = np.ones(2)
        self._powers = np.zeros(2)  # exponents of beta in the prior of u
        self._log_prior_constant = 0.0
        if isinstance(model.beta, priors.FixedBeta):
            self.fixed_logit = float(np.log(model.beta.value[1]) - np.log(model.beta.value[0]))
        else:
            self.concentration = np.broadcast_to(np.asarray(model.beta.concentration, dtype=np.float64), (2,)).copy()
            self._powers = self.concentration
            self._log_prior_constant = -_log_beta_function(*self.concentration)

    def log_prior_alpha(self, t: Floats) -> Floats:
        """log density of t."""
        return np.asarray(self._prior.log_density(t), dtype=np.float64)

    def __call__(self, t: Floats, u: Floats) -> Floats:
        """log p at pairs of points, broadcast."""
        prior = self.log_prior_alpha(t)
        value = np.empty(np.broadcast_shapes(t.shape, u.shape))
        if self._exceedances is not None:
            self._evaluate(t, u, value, None)
        else:
            t, u = np.broadcast_arrays(t, u)
            self._few_large_counts(t, log_beta(u), value)
        value += prior
        value += self._log_prior_constant
        return value

    def slope(self, t: Floats, u: Floats) -> Floats:
        """d log p / du. In u the density has one maximum at every t, and straight tails."""
        value = np.empty(np.broadcast_shapes(t.shape, u.shape))
        slope = np.empty(value.shape)
        if self._exceedances is not None:
            self._evaluate(t, u, value, slope)
            return slope
        t, u = np.broadcast_arrays(t, u)
        logs = log_beta(u)
        _, a = self._concentrations(t, logs)
        gradient = np.empty(a.shape)
        self.statistics.log_likelihood(a, value, gradient, self._threads(t.size))
        scaled = a * gradient + self.concentration
        betas = np.exp(logs)
        return np.asarray(scaled[..., 1] * betas[..., 0] - scaled[..., 0] * betas[..., 1])

    def _evaluate(self, t: Floats, u: Floats, value: Floats, slope: Floats | None) -> None:
        """Log-likelihood plus log prior of u, by the exceedances."""
        assert self._exceedances is not None
        if t.shape != value.shape or not t.flags.c_contiguous:
            t = np.ascontiguousarray(np.broadcast_to(t, value.shape))
        if u.shape != value.shape or not u.flags.c_contiguous:
            u = np.ascontiguousarray(np.broadcast_to(u, value.shape))
        _core.statistics.logit_density(self._exceedances, self._powers, t, u, value, slope, self._threads(value.size))

    def _few_large_counts(self, t: Floats, logs: Floats, value: Floats) -> None:
        """The same by pairs of a value and its frequency."""
        log_a, a = self._concentrations(t, logs)
        self.statistics.log_likelihood(a, value, None, self._threads(t.size), True)
        if log_a.min(initial=0.0) < _SMALLEST_LOG_CONCENTRATION:
            small = np.minimum(log_a - _SMALLEST_LOG_CONCENTRATION, 0.0)
            value += small @ self._present
            whole = np.minimum(t, _LARGEST_LOG_ALPHA) - np.log(a.sum(axis=-1))
            value -= np.where(small.any(axis=-1), self._present_total * whole, 0.0)
        value += logs @ self._powers

    def _concentrations(self, t: Floats, logs: Floats) -> tuple[Floats, Floats]:
        """log of alpha beta (..., 2), and alpha beta kept above the smallest double."""
        log_a = logs + np.minimum(t, _LARGEST_LOG_ALPHA)[..., np.newaxis]
        return log_a, np.exp(np.maximum(log_a, _SMALLEST_LOG_CONCENTRATION))

    def _threads(self, n_evaluations: int) -> int:
        """1 for calls of less than some milliseconds: starting threads would take longer."""
        return _validate.threads(None) if n_evaluations * self._n_exceedances > 1_000_000 else 1


def _exceedances(
    statistics: _core.statistics.SufficientStatistics, pairs: list[tuple[Floats, Floats]]
) -> Floats | None:
    """Groups with count > j (3, J) of the two categories and the totals; None where pairs of values are faster."""
    longest = int(max(values.max(initial=0.0) for values, _ in pairs))
    short = longest <= _FEW_EXCEEDANCES or all(statistics.has_table(k) for k in range(3))
    if not short:
        return None
    groups = np.zeros((3, longest))
    for row, (values, times) in zip(groups, pairs, strict=True):
        row[values.astype(np.intp) - 1] = times
    return np.ascontiguousarray(np.cumsum(groups[:, ::-1], axis=1)[:, ::-1])


def _support(prior: priors.AlphaPrior) -> tuple[float, float]:
    """Bounds of log(alpha), moved inside by a few roundings where they are finite."""
    if isinstance(prior, priors.LogUniform | priors.Power):
        lower, upper = float(np.log(prior.lower)), float(np.log(prior.upper))
        return lower + 1e-15 * (1.0 + abs(lower)), upper - 1e-15 * (1.0 + abs(upper))
    return -np.inf, np.inf


def _highest_power(prior: priors.AlphaPrior) -> int:
    """The highest power of alpha, up to 2, with a finite posterior expectation.

    For large alpha the likelihood is constant: the posterior's tail is that of the prior.
    """
    if isinstance(prior, priors.HalfCauchy):
        return 0
    if isinstance(prior, priors.Lomax):  # alpha^p has an expectation for p below the shape
        return 2 if prior.shape > 2.0 else 1 if prior.shape > 1.0 else 0
    return 2


def log_beta(u: Floats) -> Floats:
    """log beta_0 and log beta_1 (..., 2) of the logit u."""
    result = np.empty((*u.shape, 2))
    small = np.log1p(np.exp(-np.abs(u)))
    np.subtract(np.minimum(-u, 0.0), small, out=result[..., 0])
    np.subtract(np.minimum(u, 0.0), small, out=result[..., 1])
    return result


def _log_beta_function(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
