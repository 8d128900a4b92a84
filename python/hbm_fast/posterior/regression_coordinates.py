"""The coordinates in which the kernels fit and sample a regression, and their relation to its coefficients."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _core
from hbm_fast._typing import Counts, Floats
from hbm_fast.models import RegressionModel
from hbm_fast.models.design import Design, normal_penalty

_MAX_ITERATIONS = 200
_NODES = {1: 21, 2: 11, 3: 7}  # by the number of intercepts of a subject


class Coordinates:
    """One regression with its priors as the kernels take it: orthogonal designs, the reference category last.

    The kernels' theta are the coefficients of the J free categories on the orthogonal design, less the mean of their
    prior, category by category, then those of the log precision.
    """

    def __init__(
        self,
        counts: Counts,
        model: RegressionModel,
        mean: Design,
        precision: Design | None,
        category_names: tuple[str, ...],
        subjects: NDArray[np.int64] | None = None,
        n_subjects: int = 0,
    ) -> None:
        k = counts.shape[1]
        self.model, self.mean, self.precision = model, mean, precision
        self.subjects, self.n_subjects = subjects, n_subjects
        self.n_categories, self.reference = k, model.reference_index(category_names)
        self.order = np.arange(k)
        if model.link == "softmax":
            last = k - 1 if self.reference is None else self.reference
            self.order = np.append(self.order[self.order != last], last)
        self.free = self.order if model.link == "log" else self.order[:-1]
        self.q, self.r = mean.orthogonal()
        self.counts = np.ascontiguousarray(counts[:, self.order], dtype=np.float64)
        if precision is not None:
            self.precision_q, self.precision_r = precision.orthogonal()

    @property
    def of_all_categories(self) -> bool:
        """Whether random intercepts are of all categories although one has no free coefficients."""
        return self.model.link == "softmax" and self.reference is None

    @property
    def n_mean(self) -> int:
        """The number of theta of the mean."""
        return len(self.free) * int(self.q.shape[1])

    @property
    def n_theta(self) -> int:
        """The number of theta."""
        return self.n_mean + (0 if self.precision is None else int(self.precision_q.shape[1]))

    def problem(self) -> _core.regression.Problem:
        """The likelihood with the prior as a penalty."""
        coefficients = self.model.coefficients
        options: dict[str, Any] = {
            "offset": self.mean.shifted(coefficients.mu),
            "penalty": normal_penalty(self.r, coefficients.sd),
        }
        if self.precision is not None:
            of_precision = self.model.precision_coefficients
            options |= {
                "precision_design": self.precision_q,
                "precision_offset": self.precision.shifted(of_precision.mu),
                "precision_penalty": normal_penalty(self.precision_r, of_precision.sd),
            }
        return _core.regression.Problem(self.model.link, self.counts, self.q, **options)

    def mode(self, n_threads: int) -> tuple[Floats, bool]:
        """The posterior mode of theta without random intercepts, and whether Newton's method found it."""
        unit = self.q.mean(axis=0)
        precision_unit = np.empty(0) if self.precision is None else self.precision_q.mean(axis=0)
        _, theta, _, ending, _ = self.problem().maximize(unit, precision_unit, _MAX_ITERATIONS, n_threads)
        return theta, ending == "converged"

    def kernel(self, theta: Floats) -> _core.regression.Posterior:
        """The posterior density, whitened around theta."""
        return _core.regression.Posterior(
            self.problem(),
            self._log_normalizer(),
            np.ascontiguousarray(theta).tolist(),
            self.subjects,
            self.n_subjects,
            self.of_all_categories,
            self.model.shared_scale,
            self.model.random_scale.scale,
        )

    def coefficients(self, theta: Floats) -> Floats:
        """Coefficients (..., P, K) of the mean from theta (..., p)."""
        parts = theta[..., : self.n_mean].reshape(*theta.shape[:-1], len(self.free), -1)
        result = np.zeros((*theta.shape[:-1], self.q.shape[1], self.n_categories))
        result[..., self.free] = np.einsum("pq,...jq->...pj", np.linalg.inv(self.r), parts) + self.model.coefficients.mu
        if self.of_all_categories:
            result -= result.mean(axis=-1, keepdims=True)
        return result

    def precision_coefficients(self, theta: Floats) -> Floats:
        """Coefficients (..., Q) of the log precision from theta (..., p)."""
        parts = theta[..., self.n_mean :]
        if self.precision is None:
            return parts
        return parts @ np.linalg.inv(self.precision_r).T + self.model.precision_coefficients.mu

    def theta(self, coefficients: Floats, precision_coefficients: Floats) -> Floats:
        """The inverse of `coefficients` and `precision_coefficients`: (..., p)."""
        free = coefficients[..., self.free] - self.model.coefficients.mu
        if self.of_all_categories:
            free = free - coefficients[..., self.order[-1:]]
        parts = np.einsum("qp,...pj->...jq", self.r, free).reshape(*coefficients.shape[:-2], -1)
        if self.precision is None:
            return np.asarray(parts)
        rest = (precision_coefficients - self.model.precision_coefficients.mu) @ self.precision_r.T
        return np.asarray(np.concatenate([parts, rest], axis=-1))

    def intercepts(self, drawn: Floats) -> Floats:
        """Random intercepts (..., S, K) from those of the kernel (..., S, I); zero for the reference."""
        result = np.zeros((*drawn.shape[:-1], self.n_categories))
        result[..., self.order[: drawn.shape[-1]]] = drawn
        return result

    def scales(self, drawn: Floats) -> Floats:
        """Standard deviations (..., K) from the kernel's (..., T), NaN for the reference; a shared one is (..., 1)."""
        if self.model.shared_scale:
            return drawn
        result = np.full((*drawn.shape[:-1], self.n_categories), np.nan)
        result[..., self.order[: drawn.shape[-1]]] = drawn
        return result

    def own_scales(self, scales: Floats) -> Floats:
        """The inverse of `scales`."""
        return scales if self.model.shared_scale else scales[..., self.order[: self.n_intercepts]]

    @property
    def n_intercepts(self) -> int:
        """Random intercepts of a subject."""
        return self.n_categories if self.of_all_categories else len(self.free)

    def rule(self) -> tuple[list[float], list[float]]:
        """Nodes and weights of one intercept's Gauss-Hermite rule; none where the product of rules is too large."""
        n_nodes = _NODES.get(self.n_intercepts)
        if n_nodes is None:
            return [], []
        nodes, weights = np.polynomial.hermite_e.hermegauss(n_nodes)
        return nodes.tolist(), (weights / weights.sum()).tolist()

    def _log_normalizer(self) -> float:
        """Of the prior of theta, whose quadratic form is the penalty."""
        n_free, n_columns = len(self.free), self.q.shape[1]
        sd = self.model.coefficients.sd
        result: float = -n_free * (n_columns * (math.log(sd) + 0.5 * math.log(2.0 * math.pi)) + _log_volume(self.r))
        if self.model.link == "softmax":  # the volume of the logits in the space of those that sum to zero
            result -= 0.5 * n_columns * math.log(self.n_categories)
        if self.precision is not None:
            sd = self.model.precision_coefficients.sd
            result -= len(self.precision_r) * (math.log(sd) + 0.5 * math.log(2.0 * math.pi))
            result -= _log_volume(self.precision_r)
        return result


def _log_volume(r: Floats) -> float:
    return float(np.log(np.abs(np.diag(r))).sum())
