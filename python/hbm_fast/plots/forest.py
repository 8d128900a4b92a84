"""Effects on each category with their intervals: of conditions, or of the covariates of a regression."""

from collections.abc import Mapping
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hbm_fast import _validate
from hbm_fast._typing import Floats
from hbm_fast.comparison import GroupComparison
from hbm_fast.fitting import RegressionFit
from hbm_fast.plots.colors import colors_of
from hbm_fast.plots.intervals import Series, intervals
from hbm_fast.posterior import RegressionPosterior

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class _Effects(NamedTuple):
    """Effects (T, K) with the ends of their intervals, and the label of their axis."""

    categories: tuple[str, ...]
    terms: tuple[str, ...]
    middle: Floats
    lower: Floats
    upper: Floats
    label: str


def forest(
    result: GroupComparison | RegressionFit | RegressionPosterior,
    *,
    probability: float = 0.9,
    most: int = 20,
    ax: Any = None,
    colors: Mapping[Any, Any] | None = None,
) -> "Figure":
    """Effects on each category with their intervals, the largest on top.

    It shows which categories conditions or covariates change, by how much, and how sure that is.

    Parameters
    ----------
    result : GroupComparison, RegressionFit or RegressionPosterior
        Of `hbm_fast.compare_groups`: log2 ratios of the mean proportions over those of the first condition. Of a
        regression: its coefficients but for those of constant columns and of the reference category.
    probability : float
        Probability of the intervals.
    most : int
        Largest number of categories shown: those with an effect that is furthest from 0, in widths of its interval.
    ax : Axes of matplotlib, optional
        Drawn in instead of a new figure.
    colors : mapping, optional
        Colours of matplotlib by the names of the conditions or terms.

    Returns
    -------
    matplotlib.figure.Figure
        As of `posterior`.

    Raises
    ------
    ImportError
        Without matplotlib (extra ``report``).
    TypeError, ValueError
        For something else, a regression without covariates or without finite coefficients, a probability outside
        (0, 1), or where ``ax`` or ``colors`` is something else.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> table = [[9, 1], [8, 2], [7, 3], [2, 8], [1, 9], [3, 7]]
    >>> figure = hbm.plots.forest(hbm.compare_groups(table, by=["left"] * 3 + ["right"] * 3, rng=0))
    >>> figure.axes[0].get_xlabel()
    'log2 of the mean proportion over that in left, with 90 % intervals'
    """
    if not 0.0 < probability < 1.0:
        raise ValueError(f"probability must lie between 0 and 1; got {probability}")
    if isinstance(result, GroupComparison):
        found = _of_conditions(result, probability)
    elif isinstance(result, RegressionFit | RegressionPosterior):
        found = _of_regression(result, probability)
    else:
        raise TypeError(
            "result must be what compare_groups returns, a RegressionFit or a RegressionPosterior; got "
            f"{type(result).__name__}"
        )
    width = np.maximum(found.upper - found.lower, np.finfo(np.float64).tiny)
    clear = np.nan_to_num(np.abs(found.middle) / width).max(axis=0)
    chosen = np.argsort(-clear, kind="stable")[: _validate.positive_int(most, "most")]
    order = chosen[np.argsort(-found.middle[0, chosen], kind="stable")]
    series = [
        Series(term, middle, lower, upper, colors=[color] * len(found.categories))
        for term, middle, lower, upper, color in zip(
            *found[1:5], colors_of(found.terms, colors, known=found.terms), strict=True
        )
    ]
    shown = f"; the {len(order)} clearest" if len(order) < len(found.categories) else ""
    return intervals(
        found.categories,
        series,
        f"{found.label}, with {100.0 * probability:g} % intervals",
        len(order),
        order=order,
        title=f"{len(found.categories):,} categories{shown}",
        reference=(0.0, "no difference"),
        ax=ax,
    )


def _of_conditions(result: GroupComparison, probability: float) -> _Effects:
    tail = 0.5 * (1.0 - probability)
    lower, middle, upper = np.quantile(result.log2_ratio, [tail, 0.5, 1.0 - tail], axis=1)
    first, *others = result.conditions
    label = f"log2 of the mean proportion over that in {first}"
    return _Effects(result.category_names, tuple(others), middle, lower, upper, label)


def _of_regression(result: RegressionFit | RegressionPosterior, probability: float) -> _Effects:
    names = result.category_names
    reference = result.model.reference_index(names)
    assert result._design is not None
    terms = np.flatnonzero(np.ptp(result._design.matrix, axis=0) > 0.0)
    if not terms.size:
        raise ValueError("result must have covariates; its only column is the intercept")
    if isinstance(result, RegressionFit):
        middle = result.coefficients[terms]
        width = NormalDist().inv_cdf(0.5 + 0.5 * probability) * result.standard_error[terms]
        lower, upper = middle - width, middle + width
    else:
        tail = 0.5 * (1.0 - probability)
        draws = result.coefficients[:, :, terms].reshape(-1, terms.size, len(names))
        lower, middle, upper = np.quantile(draws, [tail, 0.5, 1.0 - tail], axis=0)
    finite = np.isfinite(lower) & np.isfinite(upper)
    shown = [k for k in range(len(names)) if k != reference and finite[:, k].any()]
    if not shown:
        raise ValueError("result must have finite coefficients with standard errors; fit it with a prior")
    over = f", over {names[reference]}" if reference is not None else ""
    categories, columns = tuple(names[k] for k in shown), tuple(result.column_names[p] for p in terms)
    return _Effects(categories, columns, middle[:, shown], lower[:, shown], upper[:, shown], f"coefficient{over}")
