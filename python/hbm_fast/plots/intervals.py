"""Rows, each with a point and an interval for one or more series: the common part of figures of many proportions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hbm_fast._typing import Floats
from hbm_fast.plots import axes as plot_axes
from hbm_fast.plots.colors import PALETTE, outline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOG_FROM = 30.0  # ratio of the largest and the smallest point from which the axis is logarithmic
_DECADES_BELOW = 1.0  # of a log axis below the smallest point: what reaches further is cut
_MOST_DECADES = 3.0  # below the smallest point of the first series: a group may have a proportion of 1e-30
_MARGIN = 1.2  # factor between the outermost value and the end of a log axis
_MOST_NAMES = 60  # more names in a figure of this height are not legible
_MOST_INCHES = 12.0
_INCHES_WITHOUT_NAMES = 6.0


class Series(NamedTuple):
    """The values (K,) of one series of rows.

    ``middle`` are points and ``lower`` and ``upper`` the ends of intervals, ``raw`` the raw proportions where there are
    any, ``colors`` one colour a row; None: the next of the palette.
    """

    label: str
    middle: Floats
    lower: Floats
    upper: Floats
    raw: Floats | None = None
    colors: Sequence[Any] | None = None


def intervals(
    names: Sequence[str],
    series: Sequence[tuple[Any, ...]],
    label: str,
    most: int,
    *,
    order: NDArray[np.intp] | None = None,
    title: str | None = None,
    reference: tuple[float, str] | None = None,
    log: bool = False,
    ax: Any = None,
) -> "Figure":
    """Categories by decreasing value of the first series, largest on top; the series of a category below each other.

    Parameters
    ----------
    names : sequence of str (K,)
    series : sequence of Series, or of tuples (label, middle, lower, upper)
    label : str
        Of the axis of the values.
    most : int
        Largest number of categories shown.
    order : integer array, optional
        The rows shown, from top to bottom, instead of the largest.
    title : str, optional
        Else the number of categories shown, where there are more.
    reference : tuple of float and str, optional
        A value at which a line crosses all rows, and its name in the legend.
    log : bool
        Whether the axis of the values is logarithmic.
    ax : Axes of matplotlib, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = [Series(*one) for one in series]
    if order is None:
        order = np.argsort(-rows[0].middle, kind="stable")[:most]
        if title is None and len(names) > len(order):
            title = f"the {len(order)} largest of {len(names)} categories"
    height = 1.0 + (0.12 + 0.08 * len(rows)) * max(len(order), 2)
    highest = _MOST_INCHES if len(order) <= _MOST_NAMES else _INCHES_WITHOUT_NAMES
    figure, (axes,) = plot_axes.axes_for(ax, 1, (7.0, min(height, highest)))
    axes.grid(axis="x", alpha=0.3)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    for n, row in enumerate(rows):
        _draw(axes, row, order, 0.7 * ((n + 0.5) / len(rows) - 0.5), PALETTE[n % len(PALETTE)])
    if any(row.raw is not None for row in rows):
        axes.plot([], [], "o", color="0.4", markersize=4.5, markerfacecolor="none", label="raw proportion")
    _value_axis(axes, rows, order, log, [] if reference is None else [reference[0]])
    if reference is not None:
        axes.axvline(reference[0], color="0.5", linewidth=1.0, linestyle="--", zorder=0.5, label=reference[1])
    if len(order) <= _MOST_NAMES:
        shown = [plot_axes.short(names[k], plot_axes.LONGEST_NAME) for k in order]
        axes.set_yticks(range(len(order)), shown, parse_math=False)
    axes.set_ylim(len(order) - 0.4, -0.6)
    plot_axes.xlabel(axes, label)
    if len(axes.get_legend_handles_labels()[0]) > 1:
        plot_axes.legend(axes)
    if title is not None:
        plot_axes.title(axes, title)
    return figure


def _draw(axes: "Axes", row: Series, order: NDArray[np.intp], shift: float, color: Any) -> None:
    """One series: a line for each interval, a bar at its point, a circle at the raw proportion.

    The rows of one colour are drawn together: several hundred groups take three artists.
    """
    width = 1.8 if len(order) <= _MOST_NAMES else 1.0
    chosen = [color if row.colors is None else row.colors[k] for k in order]
    label = plot_axes.in_legend(row.label)
    for one in {str(color): color for color in chosen}.values():
        positions = np.array([n for n, color in enumerate(chosen) if str(color) == str(one)])
        k, y = order[positions], positions + shift
        style: dict[str, Any] = {"color": one, "path_effects": outline(axes, one, width)}
        ends = np.stack([row.lower[k], row.upper[k], np.full(k.size, np.nan)], axis=1)  # NaN ends a line
        axes.plot(ends.ravel(), np.repeat(y, 3), linewidth=width, solid_capstyle="butt", **style)
        axes.plot(row.middle[k], y, "|", markersize=4.0 * width, markeredgewidth=1.2 * width, label=label, **style)
        if row.raw is not None:
            axes.plot(row.raw[k], y, "o", markersize=2.5 * width, markerfacecolor="none", markeredgewidth=1.0, **style)
        label = None


def spans_decades(values: Floats) -> bool:
    """Whether the positive values span more than a factor of 30, so that a log axis separates the small ones."""
    positive = values[values > 0.0]
    return positive.size > 1 and bool(positive.max() > _LOG_FROM * positive.min())


def _value_axis(axes: "Axes", rows: Sequence[Series], order: NDArray[np.intp], log: bool, seen: list[float]) -> None:
    """The axis of the values: logarithmic, or from 0 where none is negative; ``seen`` are further values on it."""
    parts = [part for row in rows for part in (row.middle, row.lower, row.upper, row.raw) if part is not None]
    values = np.concatenate([part[order] for part in parts])
    if log:
        plot_axes.log_axis(axes.xaxis)
        first, middle = rows[0].middle[order], np.concatenate([row.middle[order] for row in rows])
        lowest = max(
            middle[middle > 0.0].min() * 10.0**-_DECADES_BELOW, first[first > 0.0].min() * 10.0**-_MOST_DECADES
        )
        values = values[np.isfinite(values) & (values >= lowest)]
        axes.set_xlim(min([values.min(), *seen]) / _MARGIN, max([values.max(), *seen]) * _MARGIN)
    elif np.nanmin(values) >= 0.0:
        axes.set_xlim(left=-0.01 * axes.get_xlim()[1])  # circles at 0 are whole
