"""Leave-one-out cross-validation by Pareto-smoothed importance sampling."""

from dataclasses import dataclass

import numpy as np

from hbm_fast import _weighted
from hbm_fast._display import Displayed
from hbm_fast._typing import Floats

LARGEST_K = 0.7  # beyond, the estimate of a unit is not reliable


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
        high = int((self.pareto_k > LARGEST_K).sum())
        return (
            f"LeaveOneOut(elpd={self.elpd:.2f}, standard_error={self.standard_error:.2f}, "
            f"n_effective={self.n_effective:.2f}, {self.pointwise.size} {self.unit}s, Pareto k of {high} above 0.7)"
        )


def leave_one_out(log_likelihood: Floats, unit: str) -> LeaveOneOut:
    """Of the log likelihood (S, N) of N units at S draws.

    Vehtari, Gelman & Gabry 2017, doi:10.1007/s11222-016-9696-4.
    """
    n_draws, n_units = log_likelihood.shape
    pointwise, k = np.empty((2, n_units))
    for n in range(n_units):
        log_weights, k[n] = _weighted.pareto_smoothed(-log_likelihood[:, n])
        pointwise[n] = np.logaddexp.reduce(log_weights + log_likelihood[:, n])
    within = np.logaddexp.reduce(log_likelihood, axis=0) - np.log(n_draws)
    elpd = float(pointwise.sum())
    error = float(np.sqrt(n_units * pointwise.var(ddof=1))) if n_units > 1 else float("nan")
    return LeaveOneOut(elpd, error, float(within.sum()) - elpd, pointwise, k, unit)
