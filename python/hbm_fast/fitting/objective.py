"""The log-likelihood of a shared concentration, with an optional Gamma prior of each, and its derivatives in logs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hbm_fast._typing import Floats
from hbm_fast.sufficient_statistics import LARGEST_SUM, SufficientStatistics

_SMALLEST_SUM = 1e-40  # of weights times counts: squares of concentrations in proportion to it do not underflow


class MomentSums:
    """Moment sums of the counts, which decide whether a finite maximum exists and where the search starts.

    Of each category (K,): ``sums`` sum_n x_nk, ``present`` the number of groups with x_nk > 0, ``factorial_moments``
    sum_n x_nk (x_nk - 1), ``largest`` max_n x_nk. Of the totals: ``total_factorial_moment`` sum_n M_n (M_n - 1),
    ``n_filled`` the number of groups with a count (an empty group carries no information), and ``harmonic``, sum_n 1 +
    log M_n over the groups of two counts and more: a bound on the sum of 1 / j, 0 < j < M_n.
    """

    def __init__(self, stats: SufficientStatistics) -> None:
        k = stats.n_categories
        self.n_categories = k
        self.log_coefficient = stats.log_coefficient
        rows = np.zeros((k + 1, 4))
        with np.errstate(over="ignore", invalid="ignore"):  # checked below
            for column in range(k + 1):
                values, weights = stats._core.pairs(column)
                if values.size:
                    rows[column] = weights @ values, weights.sum(), weights @ (values * (values - 1.0)), values[-1]
            several = values > 1.0
            self.harmonic = float(weights[several] @ (1.0 + np.log(values[several])))
        sums = rows[:, 0][rows[:, 0] != 0.0]
        if sums.size and not (sums.min() >= _SMALLEST_SUM and sums.max() <= LARGEST_SUM):
            raise ValueError(
                "weights and counts must be such that the sum of weight * count is between "
                f"{_SMALLEST_SUM:g} and {LARGEST_SUM:g} in every category that occurs and in all together; "
                f"got sums from {sums.min():g} to {sums.max():g}"
            )
        self.sums, self.present, self.factorial_moments, self.largest = np.ascontiguousarray(rows[:k].T)
        _, self.n_filled, self.total_factorial_moment, _ = map(float, rows[k])

    def log_multinomial(self) -> float:
        """The largest log-likelihood of a multinomial."""
        seen = self.sums[self.sums > 0]
        return min(float(seen @ np.log(seen / seen.sum())) + self.log_coefficient, 0.0)  # rounding may exceed 0

    def overdispersion_score(self, beta: Floats) -> float:
        """S, twice the slope of the log-likelihood in 1 / alpha at alpha = infinity, for given proportions."""
        seen = self.factorial_moments > 0
        return float((self.factorial_moments[seen] / beta[seen]).sum()) - self.total_factorial_moment


@dataclass(frozen=True)
class Curvature:
    """Value, gradient and minus the Hessian, ``diag(diagonal) - scale * a a'``, with respect to log a."""

    value: float
    gradient: Floats
    diagonal: Floats
    scale: float
    concentration: Floats

    @property
    def definiteness(self) -> float:
        """1 less the rank-one term relative to the diagonal: positive where minus the Hessian is positive definite."""
        if not (self.diagonal > 0).all():
            return -1.0
        return float(1.0 - self.scale * (self.concentration**2 / self.diagonal).sum())

    def solve(self, vector: Floats) -> Floats:
        """Minus the inverse Hessian times a vector, by Sherman and Morrison."""
        ratio = self.concentration / self.diagonal
        return np.asarray(vector / self.diagonal + ratio * (self.scale * float(ratio @ vector) / self.definiteness))

    def covariance(self) -> Floats:
        """The inverse of minus the Hessian (K, K)."""
        ratio = self.concentration / self.diagonal
        return np.asarray(np.diag(1.0 / self.diagonal) + (self.scale / self.definiteness) * np.outer(ratio, ratio))

    def variance(self) -> Floats:
        """The diagonal of ``covariance`` (K,)."""
        ratio = self.concentration / self.diagonal
        return np.asarray(1.0 / self.diagonal + (self.scale / self.definiteness) * ratio**2)

    def log_determinant(self) -> float:
        """log det of minus the Hessian."""
        return float(np.log(self.diagonal).sum() + np.log(self.definiteness))


class Objective:
    """``log p(counts | a) + sum_k (shape log a_k - rate a_k) + constant`` as a function of log a.

    A Gamma(shape, rate) prior of a_k has this density in log a_k; ``shape = rate = 0`` means no prior. Categories that
    are not ``active`` have no counts and concentration 0.
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
        self._constant = constant
        self._active = np.ones(stats.n_categories, dtype=np.bool_) if active is None else active
        self._n_categories = stats.n_categories
        values, weights = stats._core.pairs(stats.n_categories)
        self._total = float(weights @ values)

    def value(self, log_a: Floats) -> float:
        """The objective at log a (k,)."""
        a = np.exp(log_a)[None]
        value = np.empty(1)
        self._core.log_likelihood(self._whole(a), value, None, 1, True)
        return float(self._with_prior(value, a)[0])

    def slopes(self, a: Floats) -> tuple[Floats, Floats, Floats]:
        """Value (S,), slope in log a (S, k) and ``-a_k**2 f_k''`` (S, k), f_k the part of a_k alone, at a (S, k)."""
        return self._slopes(a)[:3]

    def curvature(self, log_a: Floats) -> Curvature:
        """Value, gradient and Hessian."""
        a = np.exp(log_a)[None]
        value, slope, curvature, scale = self._slopes(a)
        return Curvature(float(value[0]), slope[0], (curvature - slope)[0], float(scale[0]), a[0])

    def resolution(self, a: Floats) -> float:
        """Rounding error of the value at a (k,), a sum of logarithms of about ``sum_n M_n log(A + M_n)``."""
        return float(np.finfo(float).eps * self._total * (1.0 + np.log1p(self._total + a.sum())))

    def _slopes(self, a: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        whole = self._whole(a)
        gradient, diagonal = np.empty_like(whole), np.empty_like(whole)
        value, scale = np.empty(len(a)), np.empty(len(a))
        self._core.log_likelihood(whole, value, gradient, 1, True)
        self._core.hessian(whole, diagonal, scale, 1)
        slope = a * (gradient[:, self._active] - self._rate) + self._shape
        curvature = self._shape - a**2 * diagonal[:, self._active]
        return self._with_prior(value, a), slope, curvature, scale

    def _whole(self, a: Floats) -> Floats:
        whole = np.zeros((len(a), self._n_categories))
        whole[:, self._active] = a
        return whole

    def _with_prior(self, value: Floats, a: Floats) -> Floats:
        prior = self._shape * np.log(a).sum(axis=1) - self._rate * a.sum(axis=1)
        return np.asarray(value + prior + self._constant)
