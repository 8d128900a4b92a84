"""The figure of `hbm-fast sample` and `hbm-fast fit`: one dot a category, with its interval."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_SHOWN = 30


def intervals(
    target: Path, title: str, label: str, names: Sequence[str], middle: Floats, lower: Floats, upper: Floats
) -> None:
    """Draws the largest categories, largest on top."""
    from matplotlib.figure import Figure

    order = np.argsort(-middle, kind="stable")[:_SHOWN]
    figure = Figure(figsize=(7, 1.2 + 0.26 * len(order)), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(order))
    error = np.abs(np.vstack([middle - lower, upper - middle]))[:, order]
    axes.errorbar(middle[order], places, xerr=error, fmt="o", markersize=4, color="C0", ecolor="C0", elinewidth=1.5)
    axes.set_yticks(places, [names[k] for k in order])
    axes.invert_yaxis()
    axes.set_xlim(left=0.0)
    axes.set_xlabel(label)
    axes.grid(axis="x", alpha=0.3)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    rest = "" if len(names) <= _SHOWN else f" (the {_SHOWN} largest of {len(names)})"
    axes.set_title(title + rest, loc="left", fontsize="medium")
    figure.savefig(target, dpi=150)
