"""The axes that a plot draws in: its own panels, or those that the caller passes."""

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_fast._optional import import_optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_COLUMNS = 4  # of panels
LONGEST_NAME = 32  # in one line of a legend or of the names of rows
_CHARACTERS_PER_INCH = 18.0
_HAIR_SPACE = "\u200a"


def figure_of(size: tuple[float, float]) -> "Figure":
    """An empty figure that a notebook shows; the size is in inches."""
    canvas = import_optional("hbm_fast.plots.canvas", "report", "matplotlib")
    # in inches, to keep the last number of an axis from the first of the next
    layout = import_optional("matplotlib.layout_engine", "report").ConstrainedLayoutEngine(w_pad=0.08)
    figure: Figure = canvas.Figure(figsize=size, layout=layout)
    return figure


def panels(columns: int, rows: int = 1, *, size: tuple[float, float] = (3.6, 3.0)) -> tuple["Figure", Any]:
    """A figure of equal panels without ticks on y, and its axes in one array, row by row; ``size`` is one panel's."""
    figure = figure_of((size[0] * columns, size[1] * rows))
    all_axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in all_axes:
        bare(axes)
    return figure, all_axes


def axes_for(ax: Any, n: int, size: tuple[float, float]) -> tuple["Figure", Any]:
    """The n axes that the caller passed as ``ax`` and their figure; for None those of new panels of the size.

    Raises
    ------
    TypeError
        Where ``ax`` holds something other than Axes of matplotlib.
    ValueError
        For another number of axes.
    """
    if ax is None:
        figure, all_axes = panels(min(n, MOST_COLUMNS), -(-n // MOST_COLUMNS), size=size)
        for axes in all_axes[n:]:
            axes.remove()
        return figure, all_axes[:n]
    expected = "one Axes of matplotlib" if n == 1 else f"a sequence of {n} Axes of matplotlib"
    kind = import_optional("matplotlib.axes", "report").Axes
    all_axes = np.ravel(np.asarray(ax, dtype=object))
    if not all(isinstance(axes, kind) for axes in all_axes):
        raise TypeError(f"ax must be {expected}; got {ax!r}. Make axes with matplotlib.pyplot.subplots.")
    if all_axes.size != n:
        raise ValueError(f"ax must be {expected}; got {all_axes.size}")
    for axes in all_axes:
        bare(axes)
    return all_axes[0].get_figure(root=True), all_axes


def bare(axes: "Axes") -> None:
    """Without a frame at the top and on the right, and without ticks on y: the height of a density has no use."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_yticks([])


def log_axis(axis: Any) -> None:
    """Make an axis logarithmic, with plain ticks: 0.001, 0.01, 0.1, 1, 10."""
    canvas = import_optional("hbm_fast.plots.canvas", "report", "matplotlib")
    getattr(axis.axes, f"set_{axis.axis_name}scale")("log")
    axis.set_major_locator(canvas.LogTicks(_characters(axis.axes)))
    axis.set_major_formatter(canvas.plain)
    axis.axes.minorticks_off()


def xlabel(axes: Any, text: str) -> None:
    """A label of the horizontal axis, in lines of about the width of the axes: names may be long."""
    axes.set_xlabel(textwrap.fill(text, max(12, _characters(axes))), parse_math=False)


def _characters(axes: Any) -> int:
    """The number of characters of a label that axes are wide, before the layout makes them a little wider."""
    return int(_CHARACTERS_PER_INCH * axes.get_window_extent().width / axes.get_figure(root=True).dpi)


def title(axes: "Axes", text: str) -> None:
    """A title at the left end of the axes."""
    axes.set_title(text, loc="left", fontsize="medium", parse_math=False)


def legend(axes: "Axes", **options: Any) -> None:
    """A legend to the right of the axes, where it hides no data; few long names have two lines, many only their end."""
    placed = axes.legend(
        loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0.0, frameon=False, fontsize="small", **options
    )
    texts = placed.get_texts()
    longest = LONGEST_NAME if len(texts) > 4 else 3 * LONGEST_NAME // 2
    for text in texts:
        text.set_parse_math(False)  # a name may hold dollars
        text.set_text(textwrap.fill(short(text.get_text().lstrip(_HAIR_SPACE), longest), LONGEST_NAME))


def in_legend(name: str | None) -> str | None:
    """A name as the label of what is drawn: matplotlib leaves labels that begin with ``_`` out of legends."""
    return _HAIR_SPACE + name if name is not None and name.startswith("_") else name


def short(name: str, longest: int) -> str:
    """A name, or the end of a long one: the end of a taxonomy is its genus."""
    return name if len(name) <= longest else "…" + name[1 - longest :]
