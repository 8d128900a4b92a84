"""Newton's method in log concentration, with the scale A solved alone wherever the Hessian cannot be trusted."""

from dataclasses import dataclass

import numpy as np

from hbm_fast._fitting_objective import Curvature, Floats, Objective

# Above this total concentration a Dirichlet-multinomial cannot be told from a multinomial in float64.
LARGEST_LOG_TOTAL = 40.0
SMALLEST_LOG_TOTAL = -700.0
_LONGEST_STEP = 3.0  # in log a


@dataclass(frozen=True)
class Optimum:
    """Where Newton stopped."""

    log_concentration: Floats
    curvature: Curvature
    converged: bool
    n_iterations: int


def solve_scale(objective: Objective, log_a: Floats) -> Floats:
    """The same proportions with the total that maximises the objective.

    Without a prior the likelihood has one maximum in the total (Levin & Reeds 1977, doi:10.1214/aos/1176343742), so
    that the sign of its slope brackets it.
    """
    log_total = float(np.logaddexp.reduce(log_a))
    log_beta = log_a - log_total
    lower, upper = SMALLEST_LOG_TOTAL, LARGEST_LOG_TOTAL
    for _ in range(200):
        c = objective.curvature(log_total + log_beta)
        slope = float(c.gradient.sum())
        bend = float(c.diagonal.sum() - c.scale * c.concentration.sum() ** 2)
        lower, upper = (log_total, upper) if slope > 0 else (lower, log_total)
        step = slope / bend if bend > 0 else float(np.copysign(_LONGEST_STEP, slope))
        step = float(np.clip(step, -_LONGEST_STEP, _LONGEST_STEP))
        new = log_total + step
        if not lower < new < upper:
            new = 0.5 * (lower + upper)
        if abs(new - log_total) < 1e-3 or upper - lower < 1e-3:
            break
        log_total = new
    return np.asarray(log_total + log_beta)


def maximize(objective: Objective, log_a: Floats, *, max_iterations: int) -> Optimum:
    """Climbs from log_a to a maximum, until the step is below 1e-8 standard errors in every direction."""
    log_a = solve_scale(objective, log_a)
    here = objective.curvature(log_a)
    for iteration in range(1, max_iterations + 1):
        if here.reserve > 0:
            step = here.solve(here.gradient)
            gain = float(here.gradient @ step)  # the squared length of the step in standard errors
            log_a = _line_search(objective, log_a, here, step, gain)
            here = objective.curvature(log_a)
            if gain < 1e-16:
                return Optimum(log_a, here, True, iteration)
            continue
        # Not concave here: along the gradient, in units of the diagonal, then with the best total.
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.clip(np.nan_to_num(here.gradient / np.abs(here.diagonal)), -1.0, 1.0)
        log_a = _line_search(objective, log_a, here, step, float(here.gradient @ step))
        log_a = solve_scale(objective, log_a)
        here = objective.curvature(log_a)
        if float(np.logaddexp.reduce(log_a)) > LARGEST_LOG_TOTAL - 1.0:
            break
    return Optimum(log_a, here, False, iteration)


def _line_search(objective: Objective, log_a: Floats, here: Curvature, step: Floats, gain: float) -> Floats:
    """The longest of 1, 1/2, 1/4, ... of the step that goes up by what the slope promises (Armijo)."""
    if gain < 1e-9 * (1.0 + abs(here.value)):  # below what the value resolves, and well inside Newton's region
        return np.asarray(log_a + step)
    fraction = min(1.0, _LONGEST_STEP / float(np.abs(step).max()))
    while fraction > 1e-12:
        new = np.asarray(log_a + fraction * step)
        if objective.value(new) >= here.value + 1e-4 * fraction * gain:
            return new
        fraction *= 0.5
    return log_a
