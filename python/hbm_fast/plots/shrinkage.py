"""Raw proportions of all groups beside their posteriors."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_fast import _validate
from hbm_fast.plots import labels
from hbm_fast.plots.colors import PALETTE, colors_of
from hbm_fast.plots.intervals import Series, intervals, spans_decades
from hbm_fast.posterior import PopulationPosterior, Posterior

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def shrinkage(
    post: Posterior | PopulationPosterior,
    *,
    alone: Posterior | None = None,
    category: int | str = -1,
    probability: float = 0.9,
    most: int = 300,
    log: bool | None = None,
    ax: Any = None,
    colors: Mapping[Any, Any] | None = None,
) -> "Figure":
    """Raw proportion of a category in each group, beside the posterior mean of theta with its credible interval.

    It shows how far the posterior of a group is from its own counts and how near to the mean over all groups: the
    farther, the fewer counts the group has and the more alike the groups are. Groups are ordered by the raw proportion.
    Means and intervals are those of `Posterior.proportions`.

    Parameters
    ----------
    post : Posterior or PopulationPosterior
        Of one dataset with counts. Of a population a row is a dataset: its raw proportion and its beta.
    alone : Posterior, optional
        With a PopulationPosterior: the posteriors of the same datasets each by itself, such as ``hbm.sample(counts)``,
        drawn below those within the population.
    category : int or str
        The category.
    probability : float
        Probability of the intervals.
    most : int
        Largest number of groups shown; of more groups, every m-th in the order of the raw proportions.
    log : bool, optional
        Whether the axis is logarithmic; default where the positive raw proportions span more than a factor of 30. A
        raw proportion of 0 has no place on a log axis.
    ax : Axes of matplotlib, optional
        Drawn in instead of a new figure.
    colors : mapping, optional
        Colours of matplotlib by the categories' names.

    Returns
    -------
    matplotlib.figure.Figure
        As of `posterior`.

    Raises
    ------
    ImportError
        Without matplotlib, pandas and scipy (extra ``report``).
    TypeError, ValueError
        For a batch, a posterior without counts, a probability outside (0, 1), or where ``ax`` or ``colors`` is
        something else.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> figure = hbm.plots.shrinkage(hbm.exact_posterior([[3, 0], [1, 1], [0, 4]], rng=0))
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['group 2', 'group 1', 'group 0']
    """
    if isinstance(post, PopulationPosterior):
        return _of_datasets(post, alone, category, probability, most, log, ax)
    if alone is not None:
        raise ValueError("alone is for a PopulationPosterior, whose datasets have posteriors by themselves")
    labels.one_dataset(post)
    names, k = labels.categories(post), labels.category_index(post, category)
    counts = post._data()
    n_groups = counts.shape[0]
    if not n_groups:
        raise ValueError("there is nothing to draw: the posterior is of no groups")
    totals = counts.sum(axis=1)
    raw = np.where(totals > 0, counts[:, k] / np.maximum(totals, 1), np.nan)
    order = np.lexsort((-totals, -raw))
    step = -(-n_groups // _validate.positive_int(most, "most"))
    order = order[::step]
    mean, lower, upper = _of_groups(post, k, float(_validate.probabilities(probability, "probability")))
    seen = f"{n_groups:,} groups" if post.group_names else f"groups 0 to {n_groups - 1}"
    shown = f"; one in {step} is shown" if step > 1 else ""
    chosen = colors_of([names[k]], colors, known=names, other=PALETTE[:1])
    return intervals(
        post.group_names or tuple(f"group {n}" for n in range(n_groups)),
        [Series("posterior mean of theta", mean, lower, upper, raw, chosen * n_groups)],
        f"proportion of {names[k]}, with {100.0 * probability:g} % intervals",
        len(order),
        order=order,
        title=f"{seen}, {int(totals.sum()):,} counts{shown}",
        reference=(float(post.mean("beta")[k]), "mean of beta"),
        log=spans_decades(raw[order]) if log is None else log,
        ax=ax,
    )


def _of_datasets(
    post: PopulationPosterior,
    alone: Posterior | None,
    category: int | str,
    probability: float,
    most: int,
    log: bool | None,
    ax: Any,
) -> "Figure":
    """beta of each dataset within the population, and by itself."""
    batch = post.datasets
    if alone is not None and alone.log_alpha.shape[:-2] != (len(post),):
        raise ValueError(f"alone must be the posteriors of the same {len(post)} datasets, as of hbm.sample(counts)")
    names, k = labels.categories(batch), labels.category_index(batch, category)
    tail = 0.5 * (1.0 - float(_validate.probabilities(probability, "probability")))
    sums = batch._data().sum(axis=1)
    totals = sums.sum(axis=1)
    raw = np.where(totals > 0, sums[:, k] / np.maximum(totals, 1), np.nan)
    order = np.lexsort((-totals, -raw))
    order = order[:: -(-len(post) // _validate.positive_int(most, "most"))]
    series = []
    for label, one in (("within the population", batch), ("by itself", alone)):
        if one is not None:
            lower, upper = one.quantile("beta", [tail, 1.0 - tail])[..., k]
            series.append(Series(label, one.mean("beta")[:, k], lower, upper, raw if one is batch else None))
    return intervals(
        post.dataset_names or tuple(f"dataset {b}" for b in range(len(post))),
        series,
        f"mean proportion of {names[k]}, with {100.0 * probability:g} % intervals",
        len(order),
        order=order,
        title=f"{len(post)} datasets, {int(totals.sum()):,} counts",
        reference=(float(post.population.m[..., k].mean()), "mean of m"),
        log=spans_decades(raw[order]) if log is None else log,
        ax=ax,
    )


def _of_groups(post: Posterior, k: int, probability: float) -> Any:
    """Mean, lower and upper bound (3, N) of theta of category k."""
    table = post.proportions(probability)[["mean", "lower", "upper"]].to_numpy()
    return table.reshape(-1, post.n_categories, 3)[:, k].T
