"""What a posterior predicts after each further group."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _validate, _weighted
from hbm_fast._optional import import_optional
from hbm_fast.plots import axes as plot_axes
from hbm_fast.plots import labels
from hbm_fast.plots.colors import PALETTE, colors_of, outline
from hbm_fast.posterior import Group, Posterior

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def learning_curve(
    batch: Posterior,
    *,
    group: Group = None,
    category: int | str = -1,
    probability: float = 0.9,
    ax: Any = None,
    colors: Mapping[Any, Any] | None = None,
) -> "Figure":
    """Probability of a category at the next draw from a group, after each further group of the data.

    The line is the prediction, the band a credible interval of theta. It shows how fast the groups seen teach what a
    group is like of which little is seen.

    Parameters
    ----------
    batch : Posterior
        Of B datasets, each with one more group than the one before: an array (B, N, K) in which the groups that have
        not come yet are rows of zeros.
    group : int, str or None
        The group that is predicted; None for a new group.
    category : int or str
        The category that is predicted.
    probability : float
        Probability of the band.
    ax : Axes of matplotlib, optional
        Drawn in instead of a new figure.
    colors : mapping, optional
        Colours of matplotlib by the categories' names.

    Returns
    -------
    matplotlib.figure.Figure
        As of `posterior`. The horizontal axis counts the other groups that have counts; where this number does not
        increase from dataset to dataset, it has the datasets' indices.

    Raises
    ------
    ImportError
        Without matplotlib (extra ``report``).
    TypeError, ValueError
        For a posterior of one dataset, a probability outside [0, 1], or where ``ax`` or ``colors`` is something else.

    Examples
    --------
    >>> import numpy as np
    >>> import hbm_fast as hbm
    >>> bags = np.array([[0, 1], [20, 0], [0, 20], [20, 0]])
    >>> prefixes = np.array([np.where(np.arange(4)[:, np.newaxis] <= n, bags, 0) for n in range(4)])
    >>> figure = hbm.plots.learning_curve(hbm.exact_posterior(prefixes, rng=0), group=0)
    >>> figure.axes[0].get_lines()[0].get_xdata().tolist()
    [0, 1, 2, 3]
    """
    if batch.log_alpha.ndim != 3:
        raise ValueError("learning_curve needs a batch of posteriors, one for each number of groups; got one posterior")
    names, k = labels.categories(batch), labels.category_index(batch, category)
    tail = 0.5 * (1.0 - float(_validate.probabilities(probability, "probability")))
    color = colors_of([names[k]], colors, known=names, other=PALETTE[:1])[0]
    n_datasets = len(batch)
    theta = batch.theta(group)[..., k].reshape(n_datasets, -1)
    log_weights = None if batch.log_weights is None else batch.log_weights.reshape(n_datasets, -1)
    lower, upper = _weighted.quantile(theta, log_weights, np.array([tail, 1.0 - tail]))
    x, label = _seen(batch, group)
    figure, (axes,) = plot_axes.axes_for(ax, 1, (5.4, 3.0))
    effects = outline(axes, color, 1.6)
    to_rgba = import_optional("matplotlib.colors", "report").to_rgba
    band: dict[str, Any] = {"facecolor": to_rgba(color, 0.25), "edgecolor": "0.5" if effects else "none"}
    axes.fill_between(x, lower, upper, label=f"{100.0 * probability:g} % of theta", **band)
    style: dict[str, Any] = {"color": color, "markersize": 3.5, "path_effects": effects}
    axes.plot(x, batch.predict(group)[:, k], "o-", label="prediction", **style)
    axes.set(xlabel=label, ylim=(-0.02, 1.02), yticks=[0.0, 0.25, 0.5, 0.75, 1.0])
    axes.set_ylabel(f"next is {names[k]}", parse_math=False)
    axes.xaxis.get_major_locator().set_params(integer=True)
    plot_axes.title(axes, f"{labels.group_label(batch, group)}, after {x[0]} to {x[-1]} {label}")
    plot_axes.legend(axes)
    return figure


def _seen(batch: Posterior, group: Group) -> tuple[NDArray[np.int64], str]:
    """The number of other groups with counts in each dataset where it increases, else the indices of the datasets."""
    if batch.counts is not None:
        seen = (batch.counts.sum(axis=-1) > 0).astype(np.int64)
        if group is not None:
            seen[np.arange(len(batch)), batch._index(group)] = 0
        numbers = seen.sum(axis=1)
        if (np.diff(numbers) > 0).all():
            return numbers, "groups" if group is None else "other groups"
    return np.arange(len(batch)), "datasets"
