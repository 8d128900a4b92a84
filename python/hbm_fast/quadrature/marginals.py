"""Distribution functions and quantiles of the two marginals of a quadrature."""

from collections.abc import Callable

import numpy as np

from hbm_fast._typing import Floats
from hbm_fast.quadrature import rules
from hbm_fast.quadrature.grid import Grid


class AlphaMarginal:
    """The marginal of t = log alpha: the integral of the polynomial through each panel's nodes."""

    def __init__(self, grid: Grid) -> None:
        half = 0.5 * np.diff(grid.edges)[:, np.newaxis]
        density = np.exp(grid.log_marginal - grid.log_total).reshape(half.size, 15) * half
        self._edges = grid.edges
        self._integrals = rules.panel_distribution(density)
        self._ends = np.concatenate([[0.0], np.cumsum(density @ rules.WEIGHTS)])

    def cdf(self, t: Floats) -> Floats:
        """P(log alpha <= t)."""
        panel = np.clip(np.searchsorted(self._edges, t, side="right") - 1, 0, self._edges.size - 2)
        left, right = self._edges[panel], self._edges[panel + 1]
        x = np.clip((2.0 * t - left - right) / (right - left), -1.0, 1.0)
        inside = rules.evaluate_panels(self._integrals[panel], x)
        return np.asarray(np.clip((self._ends[panel] + inside) / self._ends[-1], 0.0, 1.0))

    def quantile(self, q: Floats) -> Floats:
        """The inverse of `cdf`."""
        target = q * self._ends[-1]
        panel = np.clip(np.searchsorted(self._ends, target, side="right") - 1, 0, self._ends.size - 2)
        x = rules.invert_panels(self._integrals[panel], target - self._ends[panel])
        left, right = self._edges[panel], self._edges[panel + 1]
        return np.asarray(0.5 * (left + right) + 0.5 * (right - left) * x)


class LogitMarginal:
    """The marginal of u = logit(beta_1), on nodes u = centre + width sinh(z), z evenly spaced."""

    def __init__(self, grid: Grid, log_density: Callable[[Floats, Floats], Floats]) -> None:
        log_mass = grid.log_marginal + np.log(grid.t_weights) - grid.log_total
        log_weights = grid.log_weights
        probability = np.exp(log_weights)
        logits = grid.u[log_weights > -60.0]
        self._centre = float((probability * grid.u).sum())
        spread = float((probability * (grid.u - self._centre) ** 2).sum())
        self._width = min(2.0, float(np.sqrt(spread)))
        self._low = float(np.arcsinh((logits.min() - self._centre) / self._width))
        high = float(np.arcsinh((logits.max() - self._centre) / self._width))
        rows = log_mass > -37.0
        t = grid.t[rows, np.newaxis]
        for n in (64, 128, 256, 512):
            z = np.linspace(self._low, high, n + 1)
            self._step = (high - self._low) / n
            density = grid.t_weights[rows] @ np.exp(log_density(t, self._centre + self._width * np.sinh(z)))
            density *= np.cosh(z)
            # converged where half of the nodes give the same integral
            if abs(2.0 * density[::2].sum() / density.sum() - 1.0) < 1e-9:
                break
        self._distribution = rules.Distribution(density[np.newaxis])

    def cdf(self, u: Floats) -> Floats:
        """P(logit <= u)."""
        with np.errstate(invalid="ignore"):
            z = np.arcsinh((u.ravel() - self._centre) / self._width)
        position = np.clip((z - self._low) / self._step, 0.0, 1e9)
        return self._distribution(np.zeros(u.size, dtype=np.intp), position).reshape(u.shape)

    def quantile(self, q: Floats) -> Floats:
        """The inverse of `cdf`."""
        position = self._distribution.invert(np.zeros(q.size, dtype=np.intp), q.ravel()).reshape(q.shape)
        return np.asarray(self._centre + self._width * np.sinh(self._low + self._step * position))
