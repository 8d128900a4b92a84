"""Marginal distributions as lines: exact densities where there are some, else the outlines of histograms of draws."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_fast import _weighted
from hbm_fast._typing import Floats
from hbm_fast.plots import axes as plot_axes
from hbm_fast.plots.colors import outline
from hbm_fast.posterior import Posterior

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHOWN = np.array([0.001, 0.999])  # quantiles at the ends of an axis
_LARGEST_LOG = 600.0  # of a number that matplotlib draws with its margins
_MOST_BINS = 40
_SHARE_BINS = 20
_NEARLY_PURE = 0.15  # share of the draws in the last of these intervals above which a density is a bar at 1
_WIDTH = 1.6  # of a line, in points


@dataclass(frozen=True, eq=False)
class Marginal:
    """One line of a panel: draws (S,), their weights, and the exact curve where there is one.

    Parameters
    ----------
    label : str or None
    color : a colour of matplotlib
    draws : float64 array (S,)
    log_weights : float64 array (S,) or None
    curve : callable, optional
        Without arguments: x and density.
    dashes : str
        The style of the line.
    """

    label: str | None
    color: Any
    draws: Floats
    log_weights: Floats | None
    curve: Callable[[], tuple[Floats, Floats]] | None = None
    dashes: str = "-"

    @property
    def ends(self) -> tuple[float, float]:
        """The ends of the part that a panel shows."""
        weights = None if self.log_weights is None else self.log_weights[np.newaxis]
        low, high = _weighted.quantile(self.draws[np.newaxis], weights, _SHOWN).ravel()
        return float(low), float(high)

    def shares(self, edges: Floats) -> Floats:
        """The share of the draws in each interval between the edges."""
        weights = None if self.log_weights is None else np.exp(self.log_weights)
        found = np.histogram(self.draws, edges, weights=weights)[0]
        return np.asarray(found / (self.draws.size if weights is None else weights.sum()))


def log_alpha(post: Posterior, label: str | None, color: Any) -> Marginal:
    """The marginal of log alpha."""
    exact = post.moments is not None and np.ptp(post.log_alpha) > 0.0
    curve = (lambda: post.marginal("log_alpha")) if exact else None
    return Marginal(label, color, post.log_alpha.ravel(), _flat(post.log_weights), curve)


def beta(post: Posterior, k: int, label: str | None, color: Any) -> Marginal:
    """The marginal of beta of category k."""
    values = post.beta[..., k].ravel()

    def curve() -> tuple[Floats, Floats]:
        x, density = post.marginal("beta")
        return x[k], density[k]

    exact = post.moments is not None and np.ptp(values) > 0.0
    return Marginal(label, color, values, _flat(post.log_weights), curve if exact else None)


def log_concentration(post: Posterior, label: str | None, color: Any) -> Marginal:
    """The marginal of the logarithm of the concentration of beta, where it is learned."""
    return draws(post, np.log(post.beta_concentration), label, color)


def draws(post: Posterior, values: Floats, label: str | None, color: Any) -> Marginal:
    """The marginal of values (C, D) that were drawn with the posterior's draws, such as theta of a category."""
    return Marginal(label, color, values.ravel(), _flat(post.log_weights))


def draw_log(axes: "Axes", marginals: Sequence[Marginal]) -> None:
    """Densities of the logarithm of a positive parameter, over a log axis of the parameter itself."""
    plot_axes.log_axis(axes.xaxis)
    low, high = _limits(marginals)
    pad = 0.02 * (high - low)
    curves = [_line(marginal) for marginal in marginals]
    _plot(axes, [(np.exp(np.clip(x, -_LARGEST_LOG, _LARGEST_LOG)), density) for x, density in curves], marginals)
    axes.set_xlim(*np.exp(np.clip([low - pad, high + pad], -_LARGEST_LOG, _LARGEST_LOG)))
    _stand(axes, curves, marginals)


def draw_proportions(axes: "Axes", marginals: Sequence[Marginal]) -> None:
    """Densities of proportions; where a group is nearly of one category, shares of the draws on a log axis.

    The axis is that of all proportions, or the part of it that holds them.
    """
    low, high = _limits(marginals)
    pad = 0.05 * (high - low)
    low, high = max(0.0, low - pad), min(1.0, high + pad)
    if high - low > 0.5:
        low, high = 0.0, 1.0
    edges = np.linspace(low, high, _SHARE_BINS + 1)
    axes.set_yscale("linear")  # axes that are drawn in again
    plot_axes.bare(axes)
    by_draws = high == 1.0 and all(marginal.curve is None for marginal in marginals)
    if by_draws and any(marginal.shares(edges)[-1] > _NEARLY_PURE for marginal in marginals):
        _plot(axes, [_steps(edges, marginal.shares(edges)) for marginal in marginals], marginals)
        axes.set_yscale("log")
        axes.set_ylim(5e-4, 1.2)
        axes.set_yticks([0.001, 0.01, 0.1, 1.0], ["0.1 %", "1 %", "10 %", "100 %"])
        axes.minorticks_off()
        axes.set_ylabel("share of the draws")
    else:
        curves = [_line(marginal) for marginal in marginals]
        _plot(axes, curves, marginals)
        _stand(axes, curves, marginals)
    axes.set_xlim(low, high)


def _limits(marginals: Sequence[Marginal]) -> tuple[float, float]:
    ends = np.array([marginal.ends for marginal in marginals])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    return (low, high) if high > low else (low - 0.05, high + 0.05)  # every parameter is fixed


def _line(marginal: Marginal) -> tuple[Floats, Floats]:
    """x and density, of the exact curve or of the outline of a histogram; a vertical line for a fixed parameter."""
    if marginal.curve is not None:
        return marginal.curve()
    low, high = marginal.ends
    if low == high:
        return np.array([low, low]), np.array([0.0, 1.0])
    n_bins = int(np.clip(np.sqrt(marginal.draws.size), 10, _MOST_BINS))
    edges = np.linspace(low, high, n_bins + 1)
    return _steps(edges, marginal.shares(edges) / (edges[1] - edges[0]))


def _steps(edges: Floats, heights: Floats) -> tuple[Floats, Floats]:
    """The outline of a histogram."""
    return np.repeat(edges, 2), np.concatenate([[0.0], np.repeat(heights, 2), [0.0]])


def _plot(axes: "Axes", curves: Sequence[tuple[Floats, Floats]], marginals: Sequence[Marginal]) -> None:
    for (x, y), marginal in zip(curves, marginals, strict=True):
        effects = outline(axes, marginal.color, _WIDTH)
        style: dict[str, Any] = {"linewidth": _WIDTH, "linestyle": marginal.dashes, "path_effects": effects}
        axes.plot(x, y, color=marginal.color, label=plot_axes.in_legend(marginal.label), **style)


def _stand(axes: "Axes", curves: Sequence[tuple[Floats, Floats]], marginals: Sequence[Marginal]) -> None:
    """Densities stand on the axis. A dashed one, a prior, may be cut at twice the height of the others."""
    tops = np.array([float(y.max()) for _, y in curves])
    dashed = np.array([marginal.dashes != "-" for marginal in marginals])
    top = tops[~dashed].max()
    axes.set_ylim(0.0, 1.05 * max(top, min(tops.max(), 2.0 * top)))


def _flat(log_weights: Floats | None) -> Floats | None:
    return None if log_weights is None else log_weights.ravel()
