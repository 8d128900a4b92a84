"""Figures of a page: as wide as a phone can show without scrolling, panels below one another, legends outside."""

from typing import TYPE_CHECKING, Any

from hbm_fast._optional import import_optional
from hbm_fast.plots.axes import figure_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 5.0  # inches


def panels(rows: int, columns: int = 1, *, height: float, **shared: Any) -> tuple["Figure", Any]:
    """A figure of equal panels, and its axes in one array, row by row; ``height`` is in inches, one row's."""
    figure = figure_of((WIDTH, height * rows))
    all_axes = figure.subplots(rows, columns, squeeze=False, **shared).ravel()
    for axes in all_axes:
        axes.spines[["top", "right"]].set_visible(False)
    return figure, all_axes


def numbered(axes: Any, label: str) -> None:
    """Numbers on the vertical axis, which the functions of `plots` leave out, and what they are."""
    axes.yaxis.set_major_locator(import_optional("matplotlib.ticker", "report").MaxNLocator(4))
    axes.set_ylabel(label)


def legend_outside(figure: "Figure", axes: Any, *, place: str = "upper", columns: int = 3) -> None:
    """The legend of the axes above (``upper``) or below (``lower``) all panels."""
    legend = axes.get_legend()
    if legend is not None:
        legend.remove()
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc=f"outside {place} center", ncols=columns, frameon=False, fontsize="small")
