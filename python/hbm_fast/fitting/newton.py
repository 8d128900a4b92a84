"""Newton's method in log concentration, with a gradient step where the Hessian is not negative definite."""

from dataclasses import dataclass

import numpy as np

from hbm_fast._typing import Floats
from hbm_fast.fitting.objective import Curvature, Objective

# Above this total concentration a Dirichlet-multinomial equals a multinomial in float64.
_LARGEST_LOG_TOTAL = 40.0
_LONGEST_STEP = 3.0  # in log a
_ROUNDINGS = 8.0  # rounding errors in a difference of two values
_LARGEST_STEP = 1e-3  # in standard errors: where rounding ends the search after a longer step, it is not at a maximum


@dataclass(frozen=True)
class Optimum:
    """The point at which Newton's method stopped."""

    log_concentration: Floats
    curvature: Curvature
    converged: bool
    n_iterations: int


def maximize(objective: Objective, log_a: Floats, *, max_iterations: int) -> Optimum:
    """The maximum above log_a: iterates until the step is below 1e-8 standard errors or as small as rounding allows."""
    here = objective.curvature(log_a)
    last = np.inf
    for iteration in range(1, max_iterations + 1):
        # Below this gain the difference of two values is rounding, and a full Newton step converges.
        resolved = max(1e-9, _ROUNDINGS * objective.resolution(here.concentration))
        if here.definiteness > 0:
            step = here.solve(here.gradient)
            gain = float(here.gradient @ step)  # the squared length of the step in standard errors
        else:  # not concave here: along the gradient, scaled by the diagonal
            with np.errstate(divide="ignore", invalid="ignore"):
                step = np.clip(np.nan_to_num(here.gradient / np.abs(here.diagonal)), -1.0, 1.0)
            gain = float(here.gradient @ step)
        new = _line_search(objective, log_a, here, step, gain, resolved)
        settled = gain < 1e-16 or last <= gain < resolved or new is log_a
        converged = settled and here.definiteness > 0 and gain < _LARGEST_STEP**2
        last, log_a = gain, new
        here = objective.curvature(log_a)
        if settled or float(np.logaddexp.reduce(log_a)) > _LARGEST_LOG_TOTAL:
            return Optimum(log_a, here, converged, iteration)
    return Optimum(log_a, here, False, iteration)


def _line_search(
    objective: Objective, log_a: Floats, here: Curvature, step: Floats, gain: float, resolved: float
) -> Floats:
    """Backtracking line search with the Armijo condition: the step is halved until the value rises enough."""
    fraction = _LONGEST_STEP / max(_LONGEST_STEP, float(np.abs(step).max()))
    if gain < resolved:
        return np.asarray(log_a + fraction * step)
    while fraction > 1e-12:
        new = np.asarray(log_a + fraction * step)
        if objective.value(new) >= here.value + 1e-4 * fraction * gain:
            return new
        fraction *= 0.5
    return log_a
