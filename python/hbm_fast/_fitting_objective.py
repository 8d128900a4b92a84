"""The log-likelihood of a shared concentration, with a Gamma prior on each where asked, and its curvature in logs."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Tables:
    """The exceedances of every category, one after the other, and those of the totals."""

    weight: Floats  # c_kj
    level: Floats  # j
    category: NDArray[np.intp]  # k
    total_weight: Floats  # C_j
    total_level: Floats
    n_categories: int

    @classmethod
    def of(cls, exceedances: list[Floats], totals: Floats) -> "Tables":
        """From c_k0, c_k1, ... of each category and C_0, C_1, ..."""
        return cls(
            weight=np.concatenate(exceedances),
            level=np.concatenate([np.arange(len(c), dtype=np.float64) for c in exceedances]),
            category=np.repeat(np.arange(len(exceedances)), [len(c) for c in exceedances]),
            total_weight=totals,
            total_level=np.arange(len(totals), dtype=np.float64),
            n_categories=len(exceedances),
        )

    def restrict(self, active: NDArray[np.bool_]) -> "Tables":
        """Without the categories that never occur, whose tables are empty."""
        number = np.cumsum(active) - 1
        return replace(self, category=number[self.category], n_categories=int(active.sum()))

    def per_category(self, terms: Floats) -> Floats:
        """Sums over j (K,)."""
        return np.bincount(self.category, weights=terms, minlength=self.n_categories).astype(np.float64)

    @property
    def sums(self) -> Floats:
        """Counts of each category over all groups (K,)."""
        return self.per_category(self.weight)

    @property
    def present(self) -> Floats:
        """The number of groups in which each category occurs (K,)."""
        return self.per_category(np.where(self.level == 0, self.weight, 0.0))

    @property
    def pairs(self) -> Floats:
        """``sum_n x_nk (x_nk - 1)`` of each category (K,)."""
        return self.per_category(2.0 * self.level * self.weight)

    @property
    def total_pairs(self) -> float:
        """``sum_n M_n (M_n - 1)``."""
        return float(2.0 * self.total_level @ self.total_weight)

    @property
    def n_filled(self) -> float:
        """The number of groups with a count at all: an empty group says nothing."""
        return float(self.total_weight[0]) if len(self.total_weight) else 0.0

    @property
    def log_coefficient(self) -> float:
        """Sum over groups of the log multinomial coefficient: ``log M! = sum_{j < M} log(1 + j)``."""
        terms = self.total_weight @ np.log1p(self.total_level) - self.weight @ np.log1p(self.level)
        return float(terms)


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

    def log_determinant(self) -> float:
        """Of minus the Hessian."""
        return float(np.log(self.diagonal).sum() + np.log(self.reserve))


class Objective:
    """``log p(counts | a) + sum_k (shape log a_k - rate a_k) + constant`` as a function of log a.

    ``shape = rate = 0`` stands for no prior. A Gamma(shape, rate) prior of a_k has this density in log a_k.
    """

    def __init__(self, tables: Tables, shape: float = 0.0, rate: float = 0.0, constant: float = 0.0) -> None:
        self.tables, self.shape, self.rate = tables, shape, rate
        self._constant = constant + tables.log_coefficient

    def log_likelihood(self, a: Floats) -> float:
        """With the multinomial coefficient."""
        t = self.tables
        terms = t.weight @ np.log(a[t.category] + t.level) - t.total_weight @ np.log(a.sum() + t.total_level)
        return float(terms) + t.log_coefficient

    def value(self, log_a: Floats) -> float:
        """Of the objective."""
        return self._value(np.exp(log_a), log_a)

    def _value(self, a: Floats, log_a: Floats) -> float:
        t = self.tables
        terms = t.weight @ np.log(a[t.category] + t.level) - t.total_weight @ np.log(a.sum() + t.total_level)
        return float(terms + self.shape * log_a.sum() - self.rate * a.sum()) + self._constant

    def curvature(self, log_a: Floats) -> Curvature:
        """Value, gradient and Hessian."""
        a, t = np.exp(log_a), self.tables
        inverse = 1.0 / (a[t.category] + t.level)
        share = t.weight * inverse
        # a d/da of the category's part, and what its second derivative takes from it
        digamma = t.per_category(share)
        remainder = t.per_category(share * inverse * t.level)
        total_inverse = 1.0 / (a.sum() + t.total_level)
        slope = float(t.total_weight @ total_inverse) + self.rate
        return Curvature(
            value=self._value(a, log_a),
            gradient=a * (digamma - slope) + self.shape,
            diagonal=a * (slope - remainder),
            scale=float(t.total_weight @ total_inverse**2),
            concentration=a,
        )
