"""Quadrature: the exact posterior of (alpha, beta) for two categories, its integrals, densities and draws."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _validate, _weighted, errors
from hbm_fast._display import Displayed
from hbm_fast._typing import Floats
from hbm_fast.models import HierarchicalModel
from hbm_fast.quadrature import grid as grids
from hbm_fast.quadrature import rules
from hbm_fast.quadrature.density import Density, log_beta
from hbm_fast.quadrature.marginals import AlphaMarginal, LogitMarginal
from hbm_fast.sufficient_statistics import LARGEST_SUM, SufficientStatistics

_MAX_ERROR = 1e-6  # relative error of the integrals above which there is a warning
_SMALLEST = 5e-324  # above 0
_NEAREST_TO_ONE = 1.0 - 2.0**-53


class Quadrature(Displayed):
    """The exact posterior of one dataset with two categories: expectations, densities, quantiles and exact draws.

    ``exact_posterior(counts).moments`` is one; (t, u) = (log alpha, logit of beta[1]).

    Parameters
    ----------
    counts : integer array (N, 2) or SufficientStatistics
    model : HierarchicalModel

    Warns
    -----
    ConvergenceWarning
        Where the estimated relative error exceeds 1e-6.

    Attributes
    ----------
    log_alpha (S,), log_beta (S, 2), log_weights (S,)
        The nodes and their probabilities: ``sum(exp(log_weights) * f)`` is E[f].
    log_evidence : float
        Log evidence of the counts, with the multinomial coefficient.
    error : float
        Estimated relative error of the integrals.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> exact = hbm.exact_posterior([[0, 1]]).moments
    >>> round(exact.log_evidence, 8)  # log(1/2)
    -0.69314718
    """

    @_weighted.far_tails
    def __init__(self, counts: ArrayLike | SufficientStatistics, model: HierarchicalModel) -> None:
        self._statistics = SufficientStatistics(n_categories=2)
        if isinstance(counts, SufficientStatistics):
            self._statistics.merge(counts)  # a copy: the caller may add to its own later
        else:
            self._statistics.add(counts)
        values, weights = self._statistics._core.pairs(2)  # totals of the groups, and how many groups have each
        if not weights @ values <= LARGEST_SUM:
            raise ValueError(
                f"weights and counts must be such that the sum of weight * count is at most {LARGEST_SUM:g}; "
                f"got {weights @ values:g}"
            )
        self._model = model
        self._density = Density(self._statistics, model)
        self._grid = grids.build(self._density)
        grid = self._grid
        self.error = grid.error
        if self.error > _MAX_ERROR:
            errors.warn(
                f"the quadrature's relative error is about {self.error:.1e}; check the posterior against hbm.sample",
                errors.ConvergenceWarning,
            )
        self.log_evidence = grid.log_total + self._density.log_coefficient
        log_weights = grid.log_weights
        keep = log_weights > -60.0
        self.log_alpha: Floats = np.broadcast_to(grid.t[:, np.newaxis], keep.shape)[keep]
        self.log_beta: Floats = log_beta(grid.u[keep])
        self.log_weights: Floats = _weighted.normalise(log_weights[keep])
        self._alpha = AlphaMarginal(grid) if grid.edges.size > 1 else None
        self._logit_cache: LogitMarginal | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Quadrature, (self._statistics, self._model)  # quicker to build again than to store

    def __repr__(self) -> str:
        return (
            f"Quadrature({self._statistics.n_groups:g} groups, {self.log_weights.size} nodes, "
            f"log_evidence={self.log_evidence:.6g}, error={self.error:.1g})"
        )

    # further groups -------------------------------------------------------------------------------------------------
    def given(self, rows: NDArray[np.int64]) -> "Quadrature":
        """The exact posterior after further groups (R, 2), by a quadrature of the data with them."""
        return self._with(SufficientStatistics(rows))

    def log_predictive(self, rows: NDArray[np.int64], *, coefficient: bool = True) -> float:
        """Log probability of further groups (R, 2) as one sample: evidence of all groups less that of the data."""
        further = SufficientStatistics(rows)
        value = self._with(further).log_evidence - self.log_evidence
        return value if coefficient else value - further.log_coefficient

    def _with(self, further: SufficientStatistics) -> "Quadrature":
        return Quadrature(SufficientStatistics(n_categories=2).merge(self._statistics).merge(further), self._model)

    # densities ------------------------------------------------------------------------------------------------------
    @_weighted.far_tails
    def log_density(self, log_alpha: ArrayLike, logit_beta: ArrayLike) -> Floats:
        """Normalised log density of (log alpha, logit of beta[1]) at pairs of points, broadcast."""
        t, u = np.broadcast_arrays(np.asarray(log_alpha, dtype=np.float64), np.asarray(logit_beta, dtype=np.float64))
        return np.asarray(self._density(t, u) - self._grid.log_total)

    @_weighted.far_tails
    def marginal(self, name: str, x: ArrayLike | None = None) -> tuple[Floats, Floats]:
        """Marginal density of "alpha", "log_alpha", "beta" or "log_beta": points, and densities (P,), of beta (2, P).

        At x (P,); by default at 201 points between the quantiles at 1e-5 and 1 - 1e-5. ValueError for another name, or
        a parameter that the model fixes.
        """
        _validate.parameter(name)
        points = self._points(name, x)
        if name.endswith("alpha"):
            if self._density.fixed_log_alpha is not None:
                raise ValueError("alpha is fixed by the model: it has no density")
            # at the ends of the support the density of the nearest number inside
            t = np.log(np.maximum(points, _SMALLEST)) if name == "alpha" else points
            outside = ~(np.isfinite(self._density.log_prior_alpha(t)) | np.isnan(t))
            if name == "alpha":
                outside |= points < 0.0
            inside = np.where(outside, self._grid.t[0], t)
            log_marginal = grids.marginal_of_t(self._density, self._grid, inside.ravel(), self._grid.u.shape[1] - 1)
            log_density = log_marginal.reshape(t.shape) - self._grid.log_total - (t if name == "alpha" else 0.0)
            return points, np.where(outside, 0.0, np.exp(log_density))
        if self._density.fixed_logit is not None:
            raise ValueError("beta is fixed by the model: it has no density")
        points = np.atleast_1d(points)
        both = np.broadcast_to(points, (2, points.shape[-1])) if points.ndim == 1 else points
        if name == "beta":
            outside = (both < 0.0) | (both > 1.0)
            log_value = np.log(np.clip(both, _SMALLEST, _NEAREST_TO_ONE))
        else:
            outside = both > 0.0
            log_value = np.clip(both, -np.finfo(np.float64).max, -_SMALLEST)
        log_other = np.log(-np.expm1(log_value))
        u = np.stack([log_other[0] - log_value[0], log_value[1] - log_other[1]])
        values = self.log_density(self._grid.t[:, np.newaxis, np.newaxis], u)
        values -= log_other + (log_value if name == "beta" else 0.0)  # from the density of the logit
        return both, np.where(outside, 0.0, np.einsum("t,tkp->kp", self._grid.t_weights, np.exp(values)))

    # summaries ------------------------------------------------------------------------------------------------------
    @_weighted.far_tails
    def mean(self, name: str) -> Floats:
        """Expectation, () or (2,); infinite where the prior's tail has none, or where it exceeds all doubles."""
        if name == "alpha":
            return np.asarray(np.exp(grids.log_mean_of_alpha(self._grid)) if self._grid.highest_power > 0 else np.inf)
        return np.asarray(_weighted.average(self._values(name)[np.newaxis], self.log_weights[np.newaxis])[0])

    @_weighted.far_tails
    def sd(self, name: str) -> Floats:
        """Standard deviation, () or (2,); infinite in the same cases as the mean."""
        if name == "alpha":
            return np.asarray(np.exp(grids.log_sd_of_alpha(self._grid)) if self._grid.highest_power > 1 else np.inf)
        centred = self._values(name) - self.mean(name)
        return np.asarray(np.sqrt(_weighted.average(centred[np.newaxis] ** 2, self.log_weights[np.newaxis])[0]))

    @_weighted.far_tails
    def quantile(self, name: str, q: Floats) -> Floats:
        """Quantiles (Q,) or (Q, 2)."""
        if name.endswith("alpha"):
            t = self._alpha.quantile(q) if self._alpha else np.full(q.shape, self._grid.t[0])
            return t if name == "log_alpha" else np.exp(t)
        # beta[0] decreases in beta[1]
        logit = self._logit
        if logit is None:
            u = np.full((q.size, 2), self._grid.u[0, 0])
        else:
            u = np.stack([logit.quantile(1.0 - q), logit.quantile(q)], axis=1)
        logs = np.stack([log_beta(u[:, 0])[:, 0], log_beta(u[:, 1])[:, 1]], axis=1)
        return logs if name == "log_beta" else np.exp(logs)

    @_weighted.far_tails
    def cdf(self, name: str, x: ArrayLike) -> Floats:
        """Distribution function of ``"alpha"`` or ``"log_alpha"`` (P,), of ``"beta"`` or ``"log_beta"`` (2, P).

        Also of ``"logit_beta"`` (P,), log(beta[1] / beta[0]), which is resolved where beta itself rounds to 0 or 1.
        """
        points = np.asarray(x, dtype=np.float64)
        if name == "logit_beta":
            return self._logit.cdf(points) if self._logit else _step(points, self._grid.u[0, 0])
        _validate.parameter(name)
        with np.errstate(divide="ignore"):
            if name.endswith("alpha"):
                value = points if name == "log_alpha" else np.log(np.maximum(points, 0.0))
                return self._alpha.cdf(value) if self._alpha else _step(value, self._grid.t[0])
            value = np.minimum(points, 0.0) if name == "log_beta" else np.log(np.clip(points, 0.0, 1.0))
            u = value - np.log(-np.expm1(value))
        logit, fixed = self._logit, self._grid.u[0, 0]
        if logit is None:
            return np.stack([_step(u, -fixed), _step(u, fixed)])
        return np.stack([1.0 - logit.cdf(-u), logit.cdf(u)])

    # draws ----------------------------------------------------------------------------------------------------------
    @_weighted.far_tails
    def draw(self, n_draws: int, rng: np.random.Generator, *, stratified: bool = False) -> tuple[Floats, Floats]:
        """Independent draws by inversion: log alpha (D,) from its marginal, then log beta (D, 2) given it.

        ``stratified``: one draw of log alpha in each n-th of its distribution, so that averages vary less.
        """
        uniform = rng.random((2, n_draws))
        if stratified:
            uniform[0] = (np.arange(n_draws) + uniform[0]) / n_draws
        t = self._alpha.quantile(uniform[0]) if self._alpha else np.full(n_draws, self._grid.t[0])
        if self._grid.frame is None:
            return t, log_beta(np.broadcast_to(self._grid.u[0], t.shape))
        n = self._grid.u.shape[1] - 1
        u, u_weights = self._grid.frame.at(t, n)
        values = self._density(t[:, np.newaxis], u)
        density = np.exp(values - values.max(axis=1, keepdims=True)) * u_weights
        position = rules.Distribution(density).invert(np.arange(n_draws), uniform[1])
        return t, log_beta(self._grid.frame.between(t, position, n))

    # inside ---------------------------------------------------------------------------------------------------------
    @property
    def _logit(self) -> LogitMarginal | None:
        """Computed at the first use; None where beta is fixed."""
        if self._logit_cache is None and self._grid.frame is not None:
            self._logit_cache = LogitMarginal(self._grid, self.log_density)
        return self._logit_cache

    def _values(self, name: str) -> Floats:
        values = self.log_alpha if name.endswith("alpha") else self.log_beta
        return values if name.startswith("log_") else np.exp(values)

    def _points(self, name: str, x: ArrayLike | None) -> Floats:
        if x is not None:
            return np.asarray(x, dtype=np.float64)
        low, high = self.quantile(name, np.array([1e-5, 1.0 - 1e-5]))
        return np.linspace(low, high, 201).T


def _step(x: Floats, at: float) -> Floats:
    """Distribution function of a constant."""
    return (x >= at).astype(np.float64)


class QuadratureBatch(Displayed):
    """The quadratures of a batch of B datasets.

    The nodes log_alpha (B, S), log_beta (B, S, 2), log_weights (B, S) are padded with nodes of weight zero.
    """

    def __init__(self, parts: Sequence[Quadrature]) -> None:
        self.parts = parts
        longest = max(part.log_weights.size for part in parts)
        self.log_alpha = np.zeros((len(parts), longest))
        self.log_beta = np.full((len(parts), longest, 2), np.log(0.5))
        self.log_weights = np.full((len(parts), longest), -np.inf)
        for b, part in enumerate(parts):
            nodes = b, slice(part.log_weights.size)
            self.log_alpha[nodes], self.log_beta[nodes] = part.log_alpha, part.log_beta
            self.log_weights[nodes] = part.log_weights

    def __repr__(self) -> str:
        return f"QuadratureBatch({len(self.parts)} datasets, at most {self.log_weights.shape[1]} nodes)"

    def mean(self, name: str) -> Floats:
        """Expectations, (B,) or (B, 2)."""
        return np.stack([part.mean(name) for part in self.parts])

    def sd(self, name: str) -> Floats:
        """Standard deviations, (B,) or (B, 2)."""
        return np.stack([part.sd(name) for part in self.parts])

    def quantile(self, name: str, q: Floats) -> Floats:
        """Quantiles, (Q, B) or (Q, B, 2)."""
        return np.stack([part.quantile(name, q) for part in self.parts], axis=1)

    def marginal(self, name: str, x: ArrayLike | None = None) -> tuple[Floats, Floats]:
        """Raises ValueError: the points of the datasets differ."""
        raise ValueError("marginal is of one dataset: call post[b].marginal")
