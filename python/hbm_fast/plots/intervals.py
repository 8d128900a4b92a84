"""Dots with intervals, one line for each category: the common part of figures of many categories."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hbm_fast._optional import import_optional
from hbm_fast._typing import Floats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Series = tuple[str, Floats, Floats, Floats]  # label, middle, lower, upper


def intervals(names: Sequence[str], series: Sequence[Series], label: str, most: int) -> "Figure":
    """Categories by decreasing value of the first series, largest on top; the other series just below the first."""
    order = np.argsort(-series[0][1], kind="stable")[:most]
    figure: Figure = import_optional("matplotlib.figure", "report").Figure(
        figsize=(7.0, 1.2 + (0.16 + 0.1 * len(series)) * len(order)), layout="constrained"
    )
    axes = figure.add_subplot()
    positions = np.arange(len(order))
    for n, (name, middle, lower, upper) in enumerate(series):
        error = np.abs(np.vstack([middle - lower, upper - middle]))[:, order]
        shift = 0.7 * (n / len(series))
        axes.errorbar(
            middle[order],
            positions + shift,
            xerr=error,
            label=name,
            fmt="o",
            markersize=4,
            color=f"C{n % 10}",
            elinewidth=1.5,
        )
    axes.set_yticks(positions, [names[k] for k in order])
    axes.invert_yaxis()
    axes.set_xlim(left=0.0)
    axes.set_xlabel(label)
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right", "left"]].set_visible(False)
    if len(series) > 1:
        axes.legend(frameon=False)
    if len(names) > len(order):
        axes.set_title(f"the {len(order)} largest of {len(names)} categories", loc="left", fontsize="medium")
    return figure
