"""Leave-one-out cross-validation by Pareto-smoothed importance sampling."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hbm_fast import _weighted, errors
from hbm_fast._display import Displayed
from hbm_fast._typing import Floats

LARGEST_K = 0.7  # beyond, the estimate of a unit is not reliable
_ROUNDING = 1e-12
MOST_DRAWS = 4000  # that are used, evenly taken from all


@dataclass(frozen=True, eq=False, repr=False)
class LeaveOneOut(Displayed):
    """Expected log predictive density of units that are left out one at a time.

    Attributes
    ----------
    elpd : float
        Sum over the units.
    standard_error : float
        Of elpd, by the spread of the units.
    n_effective : float
        Effective number of parameters, the log likelihood of the units less elpd.
    pointwise, pareto_k : float64 arrays (N,)
        Of each unit; a Pareto k above 0.7 is not reliable.
    unit : str
        What is left out: ``"group"`` or ``"subject"``.
    """

    elpd: float
    standard_error: float
    n_effective: float
    pointwise: Floats
    pareto_k: Floats
    unit: str

    def __repr__(self) -> str:
        return (
            f"LeaveOneOut(elpd={self.elpd:.2f}, standard_error={self.standard_error:.2f}, "
            f"n_effective={self.n_effective:.2f}, {self.pointwise.size} {self.unit}s, "
            f"Pareto k of {self.n_unreliable} above {LARGEST_K})"
        )

    @property
    def n_unreliable(self) -> int:
        """Units with a Pareto k above 0.7."""
        return int((self.pareto_k > LARGEST_K).sum())


def leave_one_out(log_likelihood: Iterable[Floats], unit: str, log_weights: Floats | None = None) -> LeaveOneOut:
    """From the log likelihood of the units at S draws, in parts (S, n); the draws may have log weights (S,).

    Units whose log likelihood is 0 at every draw, groups without counts, change nothing but the shapes.

    Vehtari, Gelman & Gabry 2017, doi:10.1007/s11222-016-9696-4.

    Warns
    -----
    ConvergenceWarning
        Where a Pareto k exceeds 0.7.
    """
    own: list[tuple[float, float, float]] = []  # of each unit: left out, not left out, Pareto k
    for part in log_likelihood:
        prior = np.full(len(part), -np.log(len(part))) if log_weights is None else log_weights
        for values in part.T:
            if np.abs(values).max() < _ROUNDING:  # a group without counts
                own.append((0.0, 0.0, float("-inf")))
                continue
            weights, k = _weighted.pareto_smoothed(prior - values)
            own.append((float(np.logaddexp.reduce(weights + values)), float(np.logaddexp.reduce(prior + values)), k))
    pointwise, within, pareto_k = np.array(own).reshape(-1, 3).T.copy()
    filled = pointwise[pointwise != 0.0]
    elpd = float(pointwise.sum())
    error = float(np.sqrt(filled.size * filled.var(ddof=1))) if filled.size > 1 else float("nan")
    result = LeaveOneOut(elpd, error, float(within.sum()) - elpd, pointwise, pareto_k, unit)
    high = result.n_unreliable
    if high:
        errors.warn(
            f"the Pareto k of {high} of {pareto_k.size} {unit}s exceeds {LARGEST_K}: their part of elpd is not "
            f"reliable. Sample the data without such a {unit} to compute its part",
            errors.ConvergenceWarning,
        )
    return result
