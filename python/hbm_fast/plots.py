"""Figures. Each function returns a matplotlib Figure and touches no global state of matplotlib."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm_fast._validate import missing_extra
from hbm_fast.posterior import Posterior

try:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
except ImportError as error:
    raise missing_extra("matplotlib", "report") from error


def compare(
    posteriors: Mapping[str, Posterior], *, group: int | None, category: int, category_name: str | None = None
) -> Figure:
    """Several answers to one question side by side: log alpha, beta, and theta of one group.

    Parameters
    ----------
    posteriors : mapping of str to Posterior
        Each of one dataset, under the name to show.
    group : int or None
        Whose theta is shown; None for a new group.
    category : int
        The category whose share is shown.
    category_name : str, optional

    Returns
    -------
    matplotlib.figure.Figure
        Densities of equal-area histograms; weighted draws count by their weights.
    """
    label = category_name or f"category {category}"
    figure = Figure(figsize=(11.0, 3.4), layout="constrained")
    axes = figure.subplots(1, 3)
    whose = "a new group" if group is None else f"group {group}"
    titles = (r"$\log\,\alpha$", rf"$\beta$, {label}", rf"$\theta$ of {whose}, {label}")
    columns: tuple[list[NDArray[Any]], ...] = ([], [], [])
    weights = []
    for posterior in posteriors.values():
        values = (posterior.log_alpha, posterior.beta[..., category], posterior.theta(group)[..., category])
        for column, value in zip(columns, values, strict=True):
            column.append(value.ravel())
        weight = posterior.log_weights
        weights.append(np.ones(posterior.log_alpha.size) if weight is None else np.exp(weight).ravel())
    for axis, title, column in zip(axes, titles, columns, strict=True):
        _histograms(axis, list(posteriors), column, weights)
        axis.set_title(title)
        axis.set_yticks([])
    for axis in axes[1:]:
        axis.set_xlim(0.0, 1.0)
    axes[0].legend(frameon=False, fontsize="small")
    return figure


def _histograms(axis: Axes, names: list[str], column: list[NDArray[Any]], weights: list[NDArray[Any]]) -> None:
    together = np.concatenate(column)
    low, high = np.quantile(together, [0.001, 0.999])
    edges = np.linspace(low, high if high > low else low + 1e-9, 61)
    for name, values, weight in zip(names, column, weights, strict=True):
        density, _ = np.histogram(values, bins=edges, weights=weight, density=True)
        axis.stairs(density, edges, label=name, linewidth=1.4)
