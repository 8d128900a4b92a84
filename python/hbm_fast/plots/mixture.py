"""The components of a mixture: the groups of each, and the categories that tell them apart."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_fast import _validate
from hbm_fast.fitting import ComponentSelection, MixtureFit
from hbm_fast.plots import axes as plot_axes
from hbm_fast.plots.colors import PALETTE, colors_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_CHARACTERS = 26


def mixture(
    fit: MixtureFit,
    *,
    most: int = 15,
    ax: Any = None,
    colors: Mapping[Any, Any] | None = None,
) -> "Figure":
    """Proportions of the groups by component, beside the mean proportions of the components.

    It shows what each component is like and how alike its groups are. The categories are those that tell the components
    apart best: with the largest sum of ``|beta_j - beta|`` over the components, beta being that of all groups together.

    Parameters
    ----------
    fit : MixtureFit
    most : int
        Largest number of categories shown.
    ax : two Axes of matplotlib, optional
        Drawn in instead of a new figure.
    colors : mapping, optional
        Colours of matplotlib by the names of the components: "component 0", "component 1" and so on.

    Returns
    -------
    matplotlib.figure.Figure
        Left a column for each group with counts, in the order of the components, the surest groups first; the shade is
        the square root of the proportion. Right beta of each component.

    Raises
    ------
    ImportError
        Without matplotlib or pandas (extra ``report``).
    TypeError, ValueError
        For something other than a MixtureFit, or where ``ax`` or ``colors`` is something else.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> fit = hbm.fit(hbm.datasets.load_pollen(), hbm.MixtureModel(4, n_components=2))
    >>> figure = hbm.plots.mixture(fit)
    >>> [text.get_text() for text in figure.axes[0].get_xticklabels()]
    ['component 0', 'component 1']
    """
    if not isinstance(fit, MixtureFit):
        raise TypeError(f"fit must be a MixtureFit; got {type(fit).__name__}")
    components = [f"component {j}" for j in range(fit.n_components)]
    shades = colors_of(components, colors, known=components, other=PALETTE)
    shown = fit.contributions().index[: _validate.positive_int(most, "most")]
    names = list(fit.category_names or range(fit.concentration.shape[1]))
    chosen = [names.index(name) for name in shown]
    figure, (groups, means) = plot_axes.axes_for(ax, 2, (4.6, 1.2 + 0.24 * len(chosen)))
    proportions = fit._rows.proportions(chosen)
    rows = np.flatnonzero(np.isfinite(proportions[:, 0]))
    labels, surest = fit.labels[rows], fit.responsibilities.max(axis=1)[rows]
    order = np.lexsort((-surest, labels))
    groups.imshow(np.sqrt(proportions[rows[order]]).T, aspect="auto", cmap="Greys", vmin=0.0, interpolation="none")
    ends = np.cumsum(np.bincount(labels, minlength=len(components)))
    for end in ends[:-1]:
        groups.axvline(end - 0.5, color=PALETTE[1], linewidth=1.0)
    groups.set_xticks((ends + np.append(0, ends[:-1])) / 2.0 - 0.5, components, rotation=20.0, ha="right")
    groups.set_yticks(range(len(chosen)), [str(name)[:_MOST_CHARACTERS] for name in shown])
    groups.set_xlabel(f"{len(rows):,} groups")
    plot_axes.title(groups, "square roots of proportions")
    for j, (name, shade) in enumerate(zip(components, shades, strict=True)):
        means.plot(fit.beta[j, chosen], range(len(chosen)), "o", color=shade, label=f"{name}, {fit.weights[j]:.2f}")
    means.set(ylim=(len(chosen) - 0.5, -0.5), xlabel="beta", yticks=range(len(chosen)), yticklabels=[])
    means.grid(axis="y", alpha=0.3)
    plot_axes.title(means, "mean proportions")
    plot_axes.legend(means, title="with weight")
    return figure


def components(selection: ComponentSelection, *, ax: Any = None, colors: Mapping[Any, Any] | None = None) -> "Figure":
    """Laplace's approximation, its correction and BIC against the number of components.

    The lowest point of a line is the number that the criterion prefers.

    Parameters
    ----------
    selection : ComponentSelection
    ax : Axes of matplotlib, optional
        Drawn in instead of a new figure.
    colors : mapping, optional
        Colours of matplotlib by the names of the lines: "minus log evidence", "laplace", "BIC / 2".

    Returns
    -------
    matplotlib.figure.Figure
        As of `posterior`. The vertical axis is in nats above the lowest point of each line.

    Raises
    ------
    ImportError
        Without matplotlib (extra ``report``).
    TypeError, ValueError
        For something other than a ComponentSelection, or where ``ax`` or ``colors`` is something else.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> figure = hbm.plots.components(hbm.select_components([[20, 0], [0, 20], [9, 11]], [1, 2, 3]))
    >>> figure.axes[0].get_xlabel()
    'components'
    """
    if not isinstance(selection, ComponentSelection):
        raise TypeError(f"selection must be a ComponentSelection; got {type(selection).__name__}")
    lines = {
        "minus log evidence": [-fit.log_evidence for fit in selection],
        "laplace": [fit.laplace for fit in selection],
        "BIC / 2": [fit.bic / 2.0 for fit in selection],
    }
    figure, (axes,) = plot_axes.axes_for(ax, 1, (5.4, 3.2))
    for (name, values), color in zip(lines.items(), colors_of(list(lines), colors), strict=True):
        axes.plot(selection.n_components, np.subtract(values, np.nanmin(values)), "o-", color=color, label=name)
    axes.set(xlabel="components", ylabel="nats above the lowest")
    axes.yaxis.set_major_locator(type(axes.xaxis.get_major_locator())())  # `axes_for` removes the ticks
    axes.xaxis.get_major_locator().set_params(integer=True)
    plot_axes.title(axes, f"{selection.fits[0].n_groups:g} groups")
    plot_axes.legend(axes)
    return figure
