"""Rank histograms of simulation-based calibration."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_fast.calibration import Calibration
from hbm_fast.plots import axes as plot_axes
from hbm_fast.plots.colors import PALETTE, colors_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS = 21
_PANEL = (2.9, 2.5)


def calibration(result: Calibration, *, ax: Any = None, colors: Mapping[Any, Any] | None = None) -> "Figure":
    """Rank histograms of simulation-based calibration, with the band of 99 % of the bars of a calibrated method.

    Parameters
    ----------
    result : Calibration
        Of Q quantities.
    ax : Axes of matplotlib or a sequence of Q, optional
        Drawn in instead of a new figure.
    colors : mapping, optional
        Colours of matplotlib by the quantities' names.

    Returns
    -------
    matplotlib.figure.Figure
        As of `posterior`.

    Raises
    ------
    ImportError
        Without matplotlib (extra ``report``).
    TypeError, ValueError
        Where ``ax`` or ``colors`` is something else.

    Examples
    --------
    >>> import numpy as np
    >>> import hbm_fast as hbm
    >>> ranks = np.random.default_rng(0).integers(63, size=(1, 500))
    >>> figure = hbm.plots.calibration(hbm.calibration.Calibration(("log_alpha",), ranks, 63, 0.0))
    >>> len(figure.axes)
    1
    """
    n = len(result.names)
    chosen = colors_of(result.names, colors, other=PALETTE[:1])
    figure, all_axes = plot_axes.axes_for(ax, n, _PANEL)
    expected = result.ranks.shape[1] / _BINS
    half = 2.576 * np.sqrt(expected * (1.0 - 1.0 / _BINS))
    for axes, name, ranks, color in zip(all_axes, result.names, result.ranks, chosen, strict=True):
        bars = np.bincount(ranks * _BINS // result.n_ranks, minlength=_BINS)
        axes.axhspan(expected - half, expected + half, color="0.5", alpha=0.3, linewidth=0.0, label="99 % band")
        axes.axhline(expected, color="0.5", linewidth=1.0)
        axes.stairs(bars, np.arange(_BINS + 1), baseline=None, color=color, linewidth=1.6, label="datasets")
        axes.set(
            xlabel=f"rank of {name}", xlim=(0, _BINS), xticks=[0, _BINS], xticklabels=["0", str(result.n_ranks - 1)]
        )
        axes.set_ylim(0.0, 1.1 * max(bars.max(), expected + half))
        plot_axes.title(axes, f"{ranks.size:,} datasets, p = {result.p_values[name]:.2g}")
    plot_axes.legend(all_axes[min(n, plot_axes.MOST_COLUMNS) - 1])
    return figure
