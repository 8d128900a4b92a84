"""Figures of posteriors, fits and calibration, by matplotlib; they need no display and leave pyplot alone."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_fast import _validate, _weighted
from hbm_fast._optional import import_optional
from hbm_fast._typing import Floats
from hbm_fast.calibration import Calibration
from hbm_fast.fitting import FitResult
from hbm_fast.plots.intervals import intervals
from hbm_fast.posterior import Group, Posterior

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_MOST_CATEGORIES = 8  # of beta and theta: more curves are hard to distinguish


def posterior(post: Posterior, *, group: Group = None) -> "Figure":
    """Marginal distributions of log alpha and beta, and of theta of a group.

    Parameters
    ----------
    post : Posterior
        Of one dataset. Exact densities where it has them, else histograms of the draws.
    group : int, str or None
        The group of theta; None for a new group.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        Without matplotlib (extra ``report``).
    ValueError
        For a batch.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> figure = hbm.plots.posterior(hbm.exact_posterior([[3, 0], [0, 4]], rng=0), group=1)
    >>> [axes.get_xlabel() for axes in figure.axes]
    ['log alpha', 'beta', 'theta of group 1']
    """
    _one(post)
    figure, (left, middle, right) = panels(3)
    _alpha(left, post, "C0", None)
    names = _categories(post)
    theta = post.theta(group)
    for k, name in list(enumerate(names))[:_MOST_CATEGORIES]:
        _beta(middle, post, k, f"C{k % 10}", name)
        _histogram(right, theta[..., k], post.log_weights, f"C{k % 10}", name, (0.0, 1.0))
    left.set_xlabel("log alpha")
    middle.set_xlabel("beta")
    right.set_xlabel("theta of " + _group_name(post, group))
    middle.legend(title=None if len(names) <= _MOST_CATEGORIES else f"first {_MOST_CATEGORIES} of {len(names)}")
    return figure


def compare(
    posteriors: Mapping[str, Posterior],
    *,
    group: Group = None,
    category: int = -1,
    category_name: str | None = None,
) -> "Figure":
    """Marginal distributions of several posteriors of the same data in the same axes.

    Parameters
    ----------
    posteriors : mapping of str to Posterior
    group : int, str or None
        The group of theta; None for a new group.
    category : int
        The category of beta and theta.
    category_name : str, optional
        Its name in the labels.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        Without matplotlib (extra ``report``).
    ValueError
        For an empty mapping, or a batch.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> exact = hbm.exact_posterior([[3, 0], [0, 4]], rng=0)
    >>> len(hbm.plots.compare({"exact": exact}, group=1).axes)
    3
    """
    if not posteriors:
        raise ValueError("posteriors must hold at least one Posterior; got an empty mapping")
    figure, (left, middle, right) = panels(3)
    for i, (name, post) in enumerate(posteriors.items()):
        _one(post)
        colour = f"C{i % 10}"
        _alpha(left, post, colour, name)
        _beta(middle, post, category % post.n_categories, colour, name)
        _histogram(right, post.theta(group)[..., category], post.log_weights, colour, name, (0.0, 1.0))
    label = category_name or _categories(post)[category]
    left.set_xlabel("log alpha")
    middle.set_xlabel(f"beta, {label}")
    right.set_xlabel(f"theta of {_group_name(post, group)}, {label}")
    left.legend()
    return figure


def calibration(result: Calibration) -> "Figure":
    """Rank histograms of simulation-based calibration, with the band of 99 % of the bars of a calibrated method.

    Parameters
    ----------
    result : Calibration

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        Without matplotlib (extra ``report``).

    Examples
    --------
    >>> import numpy as np
    >>> import hbm_fast as hbm
    >>> ranks = np.random.default_rng(0).integers(63, size=(1, 500))
    >>> figure = hbm.plots.calibration(hbm.calibration.Calibration(("log_alpha",), ranks, 63, 0.0))
    >>> len(figure.axes)
    1
    """
    figure, all_axes = panels(len(result.names))
    n_bins = 21
    expected = result.ranks.shape[1] / n_bins
    half = 2.576 * np.sqrt(expected * (1.0 - 1.0 / n_bins))
    for axes, name, ranks in zip(all_axes, result.names, result.ranks, strict=True):
        bars = np.bincount(ranks * n_bins // result.n_ranks, minlength=n_bins)
        axes.axhspan(expected - half, expected + half, color="0.85")
        axes.bar(np.arange(n_bins), bars, width=1.0, color="C0", edgecolor="white", linewidth=0.5)
        axes.axhline(expected, color="0.4", linewidth=1.0)
        axes.set(xlabel=f"rank of {name}", title=f"p = {result.p_values[name]:.2g}", xticks=[], ylabel="")
    return figure


def proportions(
    post: Posterior, *, groups: Sequence[int | str] = (), probability: float = 0.9, most: int = 30
) -> "Figure":
    """Proportions of the categories with credible intervals: beta, and theta of some groups.

    Parameters
    ----------
    post : Posterior
        Of one dataset.
    groups : sequence of int or str
        Groups whose theta is shown beside beta.
    probability : float
        Probability of the intervals.
    most : int
        Largest number of categories, of which the largest are shown.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        Without matplotlib (extra ``report``).
    ValueError
        For a batch, or a probability outside [0, 1].

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> figure = hbm.plots.proportions(hbm.exact_posterior([[3, 0], [0, 4]], rng=0), groups=[1])
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['over all groups', 'group 1']
    """
    _one(post)
    tail = 0.5 * (1.0 - float(_validate.probabilities(probability, "probability")))
    levels = [tail, 1.0 - tail]
    lower, upper = post.quantile("beta", levels)
    series = [("over all groups", post.mean("beta"), lower, upper)]
    log_weights = None if post.log_weights is None else post.log_weights.reshape(1, -1)
    for group in groups:
        theta = post.theta(group).reshape(1, -1, post.n_categories)
        lower, upper = _weighted.quantile(theta, log_weights, np.array(levels))[:, 0]
        series.append((_group_name(post, group), post.predict(group), lower, upper))
    label = f"proportion, with {100.0 * probability:g} % intervals"
    return intervals(_categories(post), series, label, _validate.positive_int(most, "most"))


def concentrations(fit: FitResult, *, probability: float = 0.95, most: int = 30) -> "Figure":
    """Concentrations of a fit with confidence intervals.

    Parameters
    ----------
    fit : FitResult
        A fit with a maximum.
    probability : float
        Probability of the intervals.
    most : int
        Largest number of categories, of which the largest are shown.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        Without matplotlib (extra ``report``).
    ValueError
        Where the fit has no maximum, or for a probability outside (0, 1).

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> figure = hbm.plots.concentrations(hbm.fit(hbm.datasets.load_pollen().counts))
    >>> figure.axes[0].get_xlabel()
    'concentration, with 95 % intervals'
    """
    if not fit.converged:
        raise ValueError(f"there is nothing to draw: {fit.message}")
    names = fit.category_names or tuple(map(str, range(len(fit.beta))))
    lower, upper = fit.interval(probability)
    series = [(f"alpha = {fit.alpha:.4g}", fit.concentration, lower, upper)]
    label = f"concentration, with {100.0 * probability:g} % intervals"
    return intervals(names, series, label, _validate.positive_int(most, "most"))


def panels(columns: int, rows: int = 1) -> tuple["Figure", Any]:
    """A figure of equal panels without ticks on y, and its axes in one array, row by row."""
    Figure = import_optional("matplotlib.figure", "report").Figure
    figure = Figure(figsize=(3.6 * columns, 3.0 * rows), layout="constrained")
    all_axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in all_axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_yticks([])
    return figure, all_axes


def _one(post: Posterior) -> None:
    if post.log_alpha.ndim == 3:
        raise ValueError("this is a batch of posteriors: plot post[b], one of them")


def _categories(post: Posterior) -> tuple[str, ...]:
    return post.category_names or tuple(map(str, range(post.n_categories)))


def _group_name(post: Posterior, group: Group) -> str:
    return "a new group" if group is None else f"group {group}"


def _alpha(axes: "Axes", post: Posterior, colour: str, name: str | None) -> None:
    if np.ptp(post.log_alpha) == 0.0:
        axes.axvline(post.log_alpha.flat[0], color=colour, label=name)
    elif post.moments is not None:
        axes.plot(*post.marginal("log_alpha"), color=colour, label=name)
    else:
        _histogram(axes, post.log_alpha, post.log_weights, colour, name)


def _beta(axes: "Axes", post: Posterior, k: int, colour: str, name: str) -> None:
    values = post.beta[..., k]
    if np.ptp(values) == 0.0:
        axes.axvline(values.flat[0], color=colour, label=name)
    elif post.moments is not None:
        x, density = post.marginal("beta")
        axes.plot(x[k], density[k], color=colour, label=name)
    else:
        _histogram(axes, values, post.log_weights, colour, name)


def _histogram(
    axes: "Axes",
    values: Floats,
    log_weights: Floats | None,
    colour: str,
    name: str | None,
    limits: tuple[float, float] | None = None,
) -> None:
    weights = None if log_weights is None else np.exp(log_weights).ravel()
    options: dict[str, Any] = {"bins": 40, "density": True, "weights": weights, "range": limits, "label": name}
    axes.hist(values.ravel(), histtype="stepfilled", alpha=0.35, color=colour, **options)


__all__ = ["calibration", "compare", "concentrations", "posterior", "proportions"]
