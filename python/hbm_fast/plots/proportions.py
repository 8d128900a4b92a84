"""Proportions of the categories with credible intervals."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_fast import _validate, _weighted
from hbm_fast._typing import Floats
from hbm_fast.plots import labels
from hbm_fast.plots.colors import colors_of
from hbm_fast.plots.intervals import Series, intervals, spans_decades
from hbm_fast.posterior import Posterior

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def proportions(
    post: Posterior,
    *,
    groups: int | str | Sequence[int | str] = (),
    probability: float = 0.9,
    most: int = 30,
    log: bool | None = None,
    ax: Any = None,
    colors: Mapping[Any, Any] | None = None,
) -> "Figure":
    """Proportions of the categories with credible intervals: beta, and theta of some groups.

    A bar is the posterior mean, a circle the raw proportion of the counts: of all groups together, or of the group.
    The distance of the two is the shrinkage towards the mean proportions.

    Parameters
    ----------
    post : Posterior
        Of one dataset.
    groups : int, str or a sequence of them
        Groups whose theta is shown beside beta.
    probability : float
        Probability of the intervals.
    most : int
        Largest number of categories, of which the largest are shown.
    log : bool, optional
        Whether the axis is logarithmic; default where the means of beta span more than a factor of 30. A raw
        proportion of 0 has no place on a log axis, and an interval that reaches far below all means is cut.
    ax : Axes of matplotlib, optional
        Drawn in instead of a new figure.
    colors : mapping, optional
        Colours of matplotlib by the names in the legend: ``"over all groups"`` and those of the groups.

    Returns
    -------
    matplotlib.figure.Figure
        As of `posterior`.

    Raises
    ------
    ImportError
        Without matplotlib (extra ``report``).
    TypeError, ValueError
        For a batch, a probability outside [0, 1], or where ``ax`` or ``colors`` is something else.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> figure = hbm.plots.proportions(hbm.exact_posterior([[3, 0], [0, 4]], rng=0), groups=[1])
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['over all groups', 'group 1 (of 0 to 1)', 'raw proportion']
    """
    labels.one_dataset(post)
    groups = (groups,) if isinstance(groups, str | int | np.integer) else groups
    tail = 0.5 * (1.0 - float(_validate.probabilities(probability, "probability")))
    levels = np.array([tail, 1.0 - tail])
    names = ["over all groups", *(labels.group_label(post, group) for group in groups)]
    chosen = colors_of(names, colors)
    lower, upper = post.quantile("beta", levels)
    counts = None if post.counts is None else post.counts.sum(axis=0)
    series = [Series(names[0], post.mean("beta"), lower, upper, _raw(counts), chosen[:1] * post.n_categories)]
    log_weights = None if post.log_weights is None else post.log_weights.reshape(1, -1)
    for group, name, color in zip(groups, names[1:], chosen[1:], strict=True):
        theta = post.theta(group).reshape(1, -1, post.n_categories)
        lower, upper = _weighted.quantile(theta, log_weights, levels)[:, 0]
        raw = _raw(labels.counts_of(post, group))
        series.append(Series(name, post.predict(group), lower, upper, raw, (color,) * post.n_categories))
    label = f"proportion, with {100.0 * probability:g} % intervals"
    most = _validate.positive_int(most, "most")
    log = spans_decades(series[0].middle) if log is None else log
    shown = f"; the {most} largest" if post.n_categories > most else ""
    title = labels.data_of(post) + shown
    return intervals(labels.categories(post), series, label, most, title=title, log=log, ax=ax)


def side_by_side(posts: Mapping[str, Posterior], *, most: int, ax: Any = None) -> "Figure":
    """Beta of several posteriors of the same categories with 90 % intervals, the largest of the first posterior."""
    series = [(label, post.mean("beta"), *post.quantile("beta", [0.05, 0.95])) for label, post in posts.items()]
    names, log = labels.categories(next(iter(posts.values()))), spans_decades(series[0][1])
    return intervals(names, series, "proportion, with 90 % intervals", most, log=log, ax=ax)


def _raw(counts: Any) -> Floats | None:
    """Counts (K,) as proportions; None where there are no counts."""
    return None if counts is None or counts.sum() == 0 else np.asarray(counts / counts.sum())
