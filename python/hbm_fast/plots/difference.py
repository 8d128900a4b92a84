"""The difference of the mean proportions of two posteriors."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_fast import _validate
from hbm_fast._typing import Floats
from hbm_fast.plots import labels
from hbm_fast.plots.colors import PALETTE, colors_of
from hbm_fast.plots.intervals import Series, intervals
from hbm_fast.posterior import Posterior

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def difference(
    a: Posterior,
    b: Posterior,
    *,
    names: tuple[str, str] = ("a", "b"),
    ratio: bool = True,
    probability: float = 0.9,
    most: int = 20,
    ax: Any = None,
    colors: Mapping[Any, Any] | None = None,
) -> "Figure":
    """Ratio of beta of two independent posteriors with credible intervals, the clearest categories first.

    It shows which categories two conditions differ in, such as samples of obese and of lean twins. A category is
    clear where the mean of log(beta of a / beta of b) is many of its standard deviations from 0.

    Parameters
    ----------
    a, b : Posterior
        Of one dataset each, with the same categories; where both name them, their order may differ.
    names : tuple of two str
        Names of the two in the labels.
    ratio : bool
        The ratio on a log axis; False: the difference, beta of a less beta of b.
    probability : float
        Probability of the intervals.
    most : int
        Largest number of categories shown.
    ax : Axes of matplotlib, optional
        Drawn in instead of a new figure.
    colors : mapping, optional
        Colours of matplotlib by the categories' names; default one colour for each direction, and grey where the
        interval holds no difference.

    Returns
    -------
    matplotlib.figure.Figure
        As of `posterior`.

    Raises
    ------
    ImportError
        Without matplotlib (extra ``report``).
    TypeError, ValueError
        For a batch, other categories, a probability outside [0, 1], or where ``ax`` or ``colors`` is something else.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> light, dark = hbm.exact_posterior([[9, 1]] * 5, rng=0), hbm.exact_posterior([[2, 8]] * 5, rng=0)
    >>> figure = hbm.plots.difference(light, dark, names=("light", "dark"))
    >>> figure.axes[0].get_xlabel()
    'beta of light / beta of dark, with 90 % intervals'
    """
    for post in (a, b):
        labels.one_dataset(post)
    categories = labels.categories(a)
    first, second = _independent(a, b)
    second = second[:, labels.aligned(a, b)]
    logs = first - second
    clear = np.abs(logs.mean(axis=0)) / np.maximum(logs.std(axis=0), np.finfo(np.float64).tiny)
    order = np.argsort(-clear, kind="stable")[: _validate.positive_int(most, "most")]
    with np.errstate(over="ignore", under="ignore"):
        values = logs if ratio else np.exp(first) - np.exp(second)
    tail = 0.5 * (1.0 - float(_validate.probabilities(probability, "probability")))
    lower, middle, upper = np.quantile(values, [tail, 0.5, 1.0 - tail], axis=0)
    sides = np.where(lower > 0.0, PALETTE[0], np.where(upper < 0.0, PALETTE[1], "#7F7F7F")).tolist()
    chosen = [
        colors_of([name], colors, known=categories, other=[side])[0]
        for name, side in zip(categories, sides, strict=True)
    ]
    if ratio:
        lower, middle, upper = np.exp(lower), np.exp(middle), np.exp(upper)
    sign = "/" if ratio else "-"
    shown = f"; the {len(order)} clearest" if len(order) < len(categories) else ""
    return intervals(
        categories,
        [Series("median", middle, lower, upper, colors=chosen)],
        f"beta of {names[0]} {sign} beta of {names[1]}, with {100.0 * probability:g} % intervals",
        len(order),
        order=order,
        title=f"{len(categories):,} categories{shown}",
        reference=(1.0 if ratio else 0.0, "no difference"),
        log=ratio,
        ax=ax,
    )


def _independent(a: Posterior, b: Posterior) -> tuple[Floats, Floats]:
    """log beta (S, K) of each, in an order that makes draws of the same random stream independent."""
    n = max(a.log_alpha.size, b.log_alpha.size)
    rng = np.random.default_rng(0)
    pair = []
    for post in (a, b):
        size = post.log_alpha.size
        if post.log_weights is None:
            chosen = rng.permutation(np.arange(n) % size)
        else:
            chosen = rng.choice(size, n, p=np.exp(post.log_weights).ravel())
        pair.append(post.log_beta.reshape(size, -1)[chosen])
    return pair[0], pair[1]
