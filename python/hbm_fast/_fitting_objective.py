"""The log-likelihood of a shared concentration, with a Gamma prior on each where asked, and its curvature in logs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hbm_fast.likelihood import SufficientStatistics

Floats = NDArray[np.float64]


class Moments:
    """What decides whether there is a maximum, and where to look for it.

    Attributes
    ----------
    sums, present, pairs : (K,)
        ``sum_n x_nk``, the number of groups with ``x_nk > 0``, ``sum_n x_nk (x_nk - 1)``.
    total_pairs : float
        ``sum_n M_n (M_n - 1)``.
    n_filled : float
        The number of groups with a count at all: an empty group says nothing.
    """

    def __init__(self, stats: SufficientStatistics) -> None:
        k = stats.n_categories
        self.n_categories = k
        self.log_coefficient = stats.log_coefficient
        rows = np.empty((k + 1, 3))
        for column in range(k + 1):
            values, weights = stats._core.pairs(column)
            rows[column] = weights @ values, weights.sum(), weights @ (values * (values - 1.0))
        self.sums, self.present, self.pairs = np.ascontiguousarray(rows[:k].T)
        _, self.n_filled, self.total_pairs = map(float, rows[k])

    def log_multinomial(self) -> float:
        """The largest log-likelihood of a multinomial."""
        seen = self.sums[self.sums > 0]
        return float(seen @ np.log(seen / seen.sum())) + self.log_coefficient

    def excess(self, beta: Floats) -> float:
        """S: the sign of the slope of the likelihood in 1 / alpha at alpha = infinity, for given proportions."""
        seen = self.pairs > 0
        return float((self.pairs[seen] / beta[seen]).sum()) - self.total_pairs


@dataclass(frozen=True)
class Curvature:
    """Value, gradient and minus the Hessian, ``diag(diagonal) - scale * a a'``, with respect to log a."""

    value: float
    gradient: Floats
    diagonal: Floats
    scale: float
    concentration: Floats

    @property
    def reserve(self) -> float:
        """Positive exactly where minus the Hessian is positive definite."""
        if not (self.diagonal > 0).all():
            return -1.0
        return float(1.0 - self.scale * (self.concentration**2 / self.diagonal).sum())

    def solve(self, vector: Floats) -> Floats:
        """Minus the inverse Hessian times a vector, by Sherman and Morrison."""
        ratio = self.concentration / self.diagonal
        return np.asarray(vector / self.diagonal + ratio * (self.scale * float(ratio @ vector) / self.reserve))

    def covariance(self) -> Floats:
        """The inverse of minus the Hessian (K, K)."""
        ratio = self.concentration / self.diagonal
        return np.asarray(np.diag(1.0 / self.diagonal) + (self.scale / self.reserve) * np.outer(ratio, ratio))

    def variance(self) -> Floats:
        """The diagonal of ``covariance`` (K,)."""
        ratio = self.concentration / self.diagonal
        return np.asarray(1.0 / self.diagonal + (self.scale / self.reserve) * ratio**2)

    def log_determinant(self) -> float:
        """Of minus the Hessian."""
        return float(np.log(self.diagonal).sum() + np.log(self.reserve))


class Objective:
    """``log p(counts | a) + sum_k (shape log a_k - rate a_k) + constant`` as a function of log a.

    ``shape = rate = 0`` stands for no prior. A Gamma(shape, rate) prior of a_k has this density in log a_k. Categories
    that are not ``active`` have no counts and the concentration 0.
    """

    def __init__(
        self,
        stats: SufficientStatistics,
        shape: float = 0.0,
        rate: float = 0.0,
        constant: float = 0.0,
        active: NDArray[np.bool_] | None = None,
    ) -> None:
        self._core, self._shape, self._rate = stats._core, shape, rate
        self._constant = constant + stats.log_coefficient
        self._active = np.ones(stats.n_categories, dtype=np.bool_) if active is None else active
        self._all = np.zeros((1, stats.n_categories))
        self._gradient, self._diagonal = np.empty_like(self._all), np.empty_like(self._all)
        self._value, self._scale = np.empty(1), np.empty(1)

    def value(self, log_a: Floats) -> float:
        """Of the objective."""
        a = self._concentration(log_a)
        self._core.log_likelihood(self._all, self._value, None, 1)
        return self._with_prior(a, log_a)

    def curvature(self, log_a: Floats) -> Curvature:
        """Value, gradient and Hessian."""
        a = self._concentration(log_a)
        self._core.log_likelihood(self._all, self._value, self._gradient, 1)
        self._core.hessian(self._all, self._diagonal, self._scale, 1)
        slope = a * (self._gradient[0, self._active] - self._rate)
        return Curvature(
            value=self._with_prior(a, log_a),
            gradient=slope + self._shape,
            diagonal=-(a**2) * self._diagonal[0, self._active] - slope,
            scale=float(self._scale[0]),
            concentration=a,
        )

    def _concentration(self, log_a: Floats) -> Floats:
        a = np.exp(log_a)
        self._all[0, self._active] = a
        return a

    def _with_prior(self, a: Floats, log_a: Floats) -> float:
        return float(self._value[0] + self._shape * log_a.sum() - self._rate * a.sum()) + self._constant
