"""Figures of posteriors, fits and calibration, by matplotlib.

Every function takes ``ax=`` (the Axes to draw in) and ``colors=`` (colours by name) and returns its Figure, which a
notebook shows without ``%matplotlib inline``. The figures are made without pyplot, so that they need no display. Names
that are colours, such as those of marbles, have that colour; the others have colours of Okabe and Ito (2008) and of Tol
(2021), which colour-blind people can tell apart.
"""

from hbm_fast.plots.axes import legend as legend
from hbm_fast.plots.axes import panels as panels
from hbm_fast.plots.calibration import calibration
from hbm_fast.plots.colors import PALETTE as PALETTE
from hbm_fast.plots.concentrations import concentrations
from hbm_fast.plots.difference import difference
from hbm_fast.plots.intervals import intervals as intervals
from hbm_fast.plots.learning_curve import learning_curve
from hbm_fast.plots.posterior import compare, posterior
from hbm_fast.plots.prior_posterior import prior_posterior
from hbm_fast.plots.proportions import proportions
from hbm_fast.plots.shrinkage import shrinkage

__all__ = [
    "calibration",
    "compare",
    "concentrations",
    "difference",
    "learning_curve",
    "posterior",
    "prior_posterior",
    "proportions",
    "shrinkage",
]


def __dir__() -> list[str]:
    return sorted(__all__)
