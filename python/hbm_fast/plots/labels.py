"""Names in a plot: categories, groups, and the data that a posterior has seen."""

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _display
from hbm_fast.plots.colors import colors_of
from hbm_fast.posterior import Group, Posterior


def one_dataset(post: Posterior) -> None:
    """Raise for a batch, and for what is no Posterior."""
    if not isinstance(post, Posterior):
        raise TypeError(
            f"post must be a Posterior; got a {type(post).__name__}. Of a PopulationPosterior plot post[b], one of its "
            "datasets; of a MixturePosterior post.component(j)"
        )
    if post.log_alpha.ndim == 3:
        raise ValueError("this is a batch of posteriors: plot post[b], one of them")


def categories(post: Posterior) -> tuple[str, ...]:
    """The names of the categories, else their numbers."""
    return _display.labels(post.category_names, post.n_categories)


def category_index(post: Posterior, category: int | str) -> int:
    """The index of a category that is given by its name or its number, which may count from the end.

    Raises
    ------
    TypeError, ValueError, IndexError
        For something else, an unknown name, or a number that is too large.
    """
    names = categories(post)
    if isinstance(category, str):
        if category not in names:
            raise ValueError(f"category {category!r} is unknown: the names are {', '.join(names[:8])}")
        return names.index(category)
    if isinstance(category, bool | np.bool_) or not hasattr(category, "__index__"):
        raise TypeError(f"category must be an index or a name; got {category!r}")
    index = operator.index(category)
    if not -len(names) <= index < len(names):
        raise IndexError(f"category must be below K = {len(names)}; got {index}")
    return index % len(names)


def aligned(first: Posterior, post: Posterior) -> list[int]:
    """For each category of the first posterior its index in the other, by name where both have names.

    Raises
    ------
    ValueError
        For other categories.
    """
    if first.category_names is None or post.category_names is None:
        if first.n_categories != post.n_categories:
            both = f"{first.n_categories} and {post.n_categories}"
            raise ValueError(f"the posteriors must have the same categories; got K = {both}")
        return list(range(first.n_categories))
    only = set(first.category_names) ^ set(post.category_names)
    if only:
        raise ValueError(f"the posteriors must have the same categories; only one has {', '.join(sorted(only)[:5])}")
    place = {name: k for k, name in enumerate(post.category_names)}
    return [place[name] for name in first.category_names]


def group_label(post: Posterior, group: Group) -> str:
    """The name of a group, else its number among those of all groups."""
    if group is None:
        return "a new group"
    index, names = post._index(group), post.group_names
    if not isinstance(index, int):
        return "one group of each dataset"
    return names[index] if names else f"group {index} (of 0 to {post._data().shape[-2] - 1})"


def counts_of(post: Posterior, group: Group) -> NDArray[np.int64]:
    """The counts (K,) of a group; zeros for a new one."""
    rows: NDArray[np.int64] = post._rows(group, None)[0]
    return np.asarray(rows[0])


def learned(post: Posterior) -> bool:
    """Whether the concentration of beta is a parameter of the posterior."""
    return "beta_concentration" in post.latent


def largest(post: Posterior, most: int, colors: Mapping[Any, Any] | None) -> list[tuple[int, str, Any]]:
    """Index, name and colour of the categories with the largest means of beta, in the order of the categories."""
    names = categories(post)
    shown = np.sort(np.argsort(-post.mean("beta"), kind="stable")[:most]).tolist()
    chosen = colors_of([names[k] for k in shown], colors, known=names)
    return [(k, names[k], color) for k, color in zip(shown, chosen, strict=True)]


def largest_title(post: Posterior, most: int) -> str | None:
    """The title of a legend of `largest`; None where it has all categories."""
    return f"the {most} largest of {post.n_categories}" if post.n_categories > most else None


def data_of(post: Posterior) -> str:
    """What the posterior has seen: 21 groups, 2 categories, 401 counts."""
    if post.counts is None:
        return f"{post.n_categories} categories"
    n_groups = post.counts.shape[-2]
    return f"{n_groups:,} groups, {post.n_categories:,} categories, {int(post.counts.sum()):,} counts"
