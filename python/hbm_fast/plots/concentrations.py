"""Concentrations of a fit with confidence intervals."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hbm_fast import _display, _validate
from hbm_fast.fitting import FitResult
from hbm_fast.plots.colors import PALETTE, colors_of
from hbm_fast.plots.intervals import Series, intervals, spans_decades

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def concentrations(
    fit: FitResult,
    *,
    probability: float = 0.95,
    most: int = 30,
    log: bool | None = None,
    ax: Any = None,
    colors: Mapping[Any, Any] | None = None,
) -> "Figure":
    """Concentrations of a fit with confidence intervals.

    Parameters
    ----------
    fit : FitResult
        A fit with a maximum.
    probability : float
        Probability of the intervals.
    most : int
        Largest number of categories, of which the largest are shown.
    log : bool, optional
        Whether the axis is logarithmic; default where the concentrations span more than a factor of 30.
    ax : Axes of matplotlib, optional
        Drawn in instead of a new figure.
    colors : mapping, optional
        Colours of matplotlib by the categories' names.

    Returns
    -------
    matplotlib.figure.Figure
        As of `posterior`.

    Raises
    ------
    ImportError
        Without matplotlib (extra ``report``).
    TypeError, ValueError
        Where the fit has no maximum, for a probability outside (0, 1), or where ``ax`` or ``colors`` is something
        else.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> figure = hbm.plots.concentrations(hbm.fit(hbm.datasets.load_pollen().counts))
    >>> figure.axes[0].get_xlabel()
    'concentration, with 95 % intervals'
    """
    if not fit.converged:
        raise ValueError(f"there is nothing to draw: {fit.message}")
    names = _display.labels(fit.category_names, len(fit.beta))
    lower, upper = fit.interval(probability)
    log = spans_decades(fit.concentration) if log is None else log
    chosen = colors_of(names, colors, other=PALETTE[:1])
    most = _validate.positive_int(most, "most")
    shown = f"; the {most} largest" if len(names) > most else ""
    return intervals(
        names,
        [Series("concentration", fit.concentration, lower, upper, colors=chosen)],
        f"concentration, with {100.0 * probability:g} % intervals",
        most,
        title=f"{len(names):,} categories, alpha = {fit.alpha:.4g}{shown}",
        log=log,
        ax=ax,
    )
