"""The marginal distributions of one posterior, and of several in the same axes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_fast.plots import axes as plot_axes
from hbm_fast.plots import densities, labels
from hbm_fast.plots.colors import colors_of, text_color
from hbm_fast.posterior import Group, Posterior

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CATEGORIES = 8  # of beta and theta: more curves are hard to distinguish
PANEL = (3.2, 2.7)
CONCENTRATION = "concentration of beta"


def posterior(
    post: Posterior, *, group: Group = None, ax: Any = None, colors: Mapping[Any, Any] | None = None
) -> "Figure":
    """Marginal distributions of alpha and beta, of theta of a group, and of the concentration of beta if it is learned.

    Densities of log alpha stand on a log axis of alpha, as those of the concentration do. Of more than eight categories
    the eight with the largest means of beta are shown. Where the group is nearly of one category, theta is a
    histogram with a log axis of the shares.

    Parameters
    ----------
    post : Posterior
        Of one dataset. Exact densities where it has them, else outlines of histograms of the draws.
    group : int, str or None
        The group of theta; None for a new group.
    ax : sequence of three Axes of matplotlib, optional
        Drawn in instead of a new figure. Of four, the last shows the concentration of beta where it is learned.
    colors : mapping, optional
        Colours of matplotlib by the categories' names (their numbers where they have no names). Names that are colours
        have that colour.

    Returns
    -------
    matplotlib.figure.Figure
        The figure of ``ax``, or a new one that a notebook shows. Where ``ax`` is of pyplot, which shows its figures
        itself, end the last line of a cell with a semicolon.

    Raises
    ------
    ImportError
        Without matplotlib (extra ``report``).
    TypeError, ValueError
        For a batch, or where ``ax`` or ``colors`` is something else.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> figure = hbm.plots.posterior(hbm.exact_posterior([[3, 0], [0, 4]], rng=0), group=1)
    >>> [axes.get_xlabel() for axes in figure.axes]
    ['alpha', 'beta', 'theta of group 1 (of 0 to 1)']
    """
    labels.one_dataset(post)
    lines = labels.largest(post, MOST_CATEGORIES, colors)
    theta = post.theta(group)
    figure, (left, middle, right, *fourth) = _panels(ax, labels.learned(post))
    densities.draw_log(left, [densities.log_alpha(post, None, text_color())])
    densities.draw_proportions(middle, [densities.beta(post, *line) for line in lines])
    densities.draw_proportions(right, [densities.draws(post, theta[..., k], *line) for k, *line in lines])
    left.set(xlabel="alpha", ylabel="density")
    middle.set_xlabel("beta")
    plot_axes.xlabel(right, f"theta of {labels.group_label(post, group)}")
    for axes in fourth:
        densities.draw_log(axes, [densities.log_concentration(post, None, text_color())])
        axes.set_xlabel(CONCENTRATION)
    plot_axes.title(left, labels.data_of(post))
    title = labels.largest_title(post, MOST_CATEGORIES)
    plot_axes.legend([right, *fourth][-1], handles=right.get_lines(), title=title)
    return figure


def compare(
    posteriors: Mapping[str, Posterior],
    *,
    group: Group = None,
    category: int | str = -1,
    category_name: str | None = None,
    ax: Any = None,
    colors: Mapping[Any, Any] | None = None,
) -> "Figure":
    """Marginal distributions of several posteriors of the same data in the same axes: those of `posterior`.

    They show how much the answer depends on the prior, the sampler or the network.

    Parameters
    ----------
    posteriors : mapping of str to Posterior
    group : int, str or None
        The group of theta; None for a new group.
    category : int or str
        The category of beta and theta: of the first posterior, and by its name in the others where they have names.
    category_name : str, optional
        Its name in the labels.
    ax : sequence of three Axes of matplotlib, optional
        Drawn in instead of a new figure. Of four, the last shows the concentration of beta where it is learned.
    colors : mapping, optional
        Colours of matplotlib by the posteriors' names.

    Returns
    -------
    matplotlib.figure.Figure
        As of `posterior`.

    Raises
    ------
    ImportError
        Without matplotlib (extra ``report``).
    TypeError, ValueError
        For an empty mapping, a batch, other categories, or where ``ax`` or ``colors`` is something else.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> exact = hbm.exact_posterior([[3, 0], [0, 4]], rng=0)
    >>> len(hbm.plots.compare({"exact": exact}, group=1).axes)
    3
    """
    if not posteriors:
        raise ValueError("posteriors must hold at least one Posterior; got an empty mapping")
    for post in posteriors.values():
        labels.one_dataset(post)
    first = next(iter(posteriors.values()))
    k = labels.category_index(first, category)
    name = category_name or labels.categories(first)[k]
    at = [labels.aligned(first, post)[k] for post in posteriors.values()]
    lines = list(zip(posteriors, posteriors.values(), colors_of(list(posteriors), colors), at, strict=True))
    learned = [line[:3] for line in lines if labels.learned(line[1])]
    figure, (left, middle, right, *fourth) = _panels(ax, bool(learned))
    densities.draw_log(left, [densities.log_alpha(post, label, color) for label, post, color, _ in lines])
    densities.draw_proportions(middle, [densities.beta(post, k, label, color) for label, post, color, k in lines])
    densities.draw_proportions(
        right, [densities.draws(post, post.theta(group)[..., k], label, color) for label, post, color, k in lines]
    )
    left.set(xlabel="alpha", ylabel="density")
    plot_axes.xlabel(middle, f"beta, {name}")
    plot_axes.xlabel(right, f"theta of {labels.group_label(first, group)}, {name}")
    for axes in fourth:
        densities.draw_log(axes, [densities.log_concentration(post, label, color) for label, post, color in learned])
        axes.set_xlabel(CONCENTRATION)
    plot_axes.title(left, labels.data_of(first))
    plot_axes.legend([right, *fourth][-1], handles=right.get_lines())
    return figure


def _panels(ax: Any, learned: bool) -> tuple["Figure", Any]:
    """Three panels, and a fourth for a learned concentration where the caller's axes have one."""
    if learned and (ax is None or np.size(ax) == 4):
        return plot_axes.axes_for(ax, 4, (2.6, PANEL[1]))
    return plot_axes.axes_for(ax, 3, PANEL)
