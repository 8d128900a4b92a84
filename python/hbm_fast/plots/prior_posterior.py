"""The prior and the posterior of each parameter in the same axes."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_fast import _weighted
from hbm_fast._typing import Floats
from hbm_fast.plots import axes as plot_axes
from hbm_fast.plots import densities, labels
from hbm_fast.plots.colors import text_color
from hbm_fast.plots.posterior import CONCENTRATION, MOST_CATEGORIES, PANEL
from hbm_fast.posterior import Posterior
from hbm_fast.priors import AlphaPrior, Fixed, FixedBeta

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ENDS = np.array([1e-4, 1.0 - 1e-4])  # quantiles of a prior between which its density is computed
# Proportions at which the prior of beta is drawn: near 0 too, where that of many categories lies.
_X = np.concatenate([np.geomspace(1e-6, 1e-3, 200, endpoint=False), np.linspace(1e-3, 0.9995, 1000)])


def prior_posterior(post: Posterior, *, ax: Any = None, colors: Mapping[Any, Any] | None = None) -> "Figure":
    """Prior (dashed) and posterior of alpha and beta, and of the concentration of beta where it is learned.

    It shows what the data have taught, and where the posterior repeats the prior. The priors are exact densities.
    A prior that is the same for all categories is one grey line; of more than eight categories the eight with the
    largest means of beta are shown.

    Parameters
    ----------
    post : Posterior
        Of one dataset.
    ax : sequence of Axes of matplotlib, optional
        Drawn in instead of a new figure: two, or three where the concentration of beta is learned.
    colors : mapping, optional
        Colours of matplotlib by the categories' names.

    Returns
    -------
    matplotlib.figure.Figure
        As of `posterior`.

    Raises
    ------
    ImportError
        Without matplotlib (extra ``report``).
    TypeError, ValueError
        For a batch, or where ``ax`` or ``colors`` is something else.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> figure = hbm.plots.prior_posterior(hbm.exact_posterior([[3, 0], [0, 4]], rng=0))
    >>> [axes.get_xlabel() for axes in figure.axes]
    ['alpha', 'beta']
    """
    labels.one_dataset(post)
    lines = labels.largest(post, MOST_CATEGORIES, colors)
    beta_prior: Any = post.model.beta
    figure, all_axes = plot_axes.axes_for(ax, 3 if labels.learned(post) else 2, PANEL)
    of_alpha = densities.log_alpha(post, "posterior", text_color())
    densities.draw_log(all_axes[0], [*_log_positive(post.model.alpha), of_alpha])
    densities.draw_proportions(
        all_axes[1], [*_beta_priors(post, lines), *(densities.beta(post, *line) for line in lines)]
    )
    all_axes[0].set(xlabel="alpha", ylabel="density")
    all_axes[1].set_xlabel("beta")
    for axes in all_axes[2:]:
        drawn = densities.log_concentration(post, "posterior", text_color())
        densities.draw_log(axes, [*_log_positive(beta_prior.concentration), drawn])
        axes.set_xlabel(CONCENTRATION)
    plot_axes.title(all_axes[0], labels.data_of(post))
    title = labels.largest_title(post, MOST_CATEGORIES)
    plot_axes.legend(all_axes[-1], handles=all_axes[1].get_lines(), title=title)
    return figure


def _log_positive(prior: AlphaPrior) -> list[densities.Marginal]:
    """The prior of the logarithm of a positive parameter; none where the parameter is fixed."""
    if isinstance(prior, Fixed):
        return []
    t = np.linspace(*_ends(prior), 801)
    return [_line(t, prior.log_density(t), "0.5")]


def _beta_priors(post: Posterior, lines: list[tuple[int, str, Any]]) -> list[densities.Marginal]:
    """The prior of beta of each category, once where all are equal; none where beta is fixed."""
    prior: Any = post.model.beta
    n_categories = post.n_categories
    if isinstance(prior, FixedBeta):
        return []
    if isinstance(prior.concentration, tuple):
        total = sum(prior.concentration)
        return [_line(_X, _log_beta_density(prior.concentration[k], total), color, name) for k, name, color in lines]
    if isinstance(prior.concentration, float):
        return [_line(_X, _log_beta_density(prior.concentration, n_categories * prior.concentration), "0.5")]
    t = np.linspace(*_ends(prior.concentration), 201)
    log_weights = _weighted.normalise(prior.concentration.log_density(t))
    parts = [_log_beta_density(c, n_categories * c) for c in np.exp(t).tolist()]
    return [_line(_X, np.logaddexp.reduce(np.array(parts) + log_weights[:, np.newaxis]), "0.5")]


def _ends(prior: AlphaPrior) -> tuple[float, float]:
    """The ends of the logarithm of a parameter under its prior."""
    t = np.linspace(-700.0, 700.0, 28_001)
    log_weights = _weighted.normalise(prior.log_density(t))
    low, high = _weighted.quantile(t[np.newaxis], log_weights[np.newaxis], _ENDS).ravel()
    return float(low) - 0.1, float(high) + 0.1  # the points are 0.05 apart


def _log_beta_density(a: float, total: float) -> Floats:
    """Log density of Beta(a, total - a), the marginal of a Dirichlet, at `_X`."""
    b = total - a
    constant = math.lgamma(total) - math.lgamma(a) - math.lgamma(b)
    return np.asarray(constant + (a - 1.0) * np.log(_X) + (b - 1.0) * np.log1p(-_X))


def _line(x: Floats, log_density: Floats, color: Any, label: str = "") -> densities.Marginal:
    """A dashed line: the density at x, and x as draws that are weighted by it."""
    label = "prior" if not label else f"{label}, prior"
    density = np.exp(log_density)
    log_weights = _weighted.normalise(log_density + np.log(np.gradient(x)))
    return densities.Marginal(label, color, x, log_weights, lambda: (x, density), "--")
