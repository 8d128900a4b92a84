"""The profile of the objective: its largest value over the proportions, as a function of the total concentration.

``log p(counts | a) = sum_k f_k(a_k) - g(A)``, A the sum of a. Every f_k is concave (with a Gamma prior too), so that
for given A there is one maximum over the proportions, and every maximum of the objective lies on this one curve. Along
it there may be several where groups have different totals: the curve is evaluated from end to end.
"""

import math
from dataclasses import dataclass

import numpy as np

from hbm_fast._typing import Floats
from hbm_fast.fitting.objective import MomentSums, Objective

_SPACING = 1.0  # in log A: the slope of the objective changes over 1 in log A or more, being a sum of A / (A + j)
_RESOLVED = 1e-2  # nats below the profile at which the iteration stops; its last step leaves about the square of it
_MOST_STEPS = 30
_LONGEST_STEP = 2.0  # in log a


@dataclass(frozen=True)
class Profile:
    """The profile at S totals: values and points, with their derivatives in log A (slope and tangent)."""

    log_total: Floats  # (S,)
    value: Floats  # (S,)
    slope: Floats  # (S,)
    log_concentration: Floats  # (S, K)
    tangent: Floats  # (S, K)

    def maxima(self, *, beyond: bool) -> list[Floats]:
        """Points of its maxima, by cubic interpolation; with ``beyond`` also the end, where it still rises there."""
        step = np.diff(self.log_total)
        first, last = step * self.slope[:-1], step * self.slope[1:]
        rise = np.diff(self.value)
        square, cube = 3.0 * rise - 2.0 * first - last, first + last - 2.0 * rise
        with np.errstate(invalid="ignore", divide="ignore"):  # no root: NaN, which is in no cell
            t = first / (np.sqrt(square**2 - 3.0 * cube * first) - square)
        inside = np.flatnonzero((t >= 0.0) & (t <= 1.0))
        points = _hermite(self.log_concentration, self.tangent, step, inside, t[inside])
        ends = np.array([self.slope[0] < 0.0, beyond and self.slope[-1] > 0.0])
        return [*points, *self.log_concentration[[0, -1]][ends]]


def _hermite(y: Floats, slope: Floats, step: Floats, cell: np.ndarray, t: Floats) -> Floats:
    """Cubic interpolation of the rows of y at the fractions t of cells."""
    t, width = t[:, None], step[cell, None]
    low, high = (1.0 + 2.0 * t) * (1.0 - t) ** 2, t**2 * (3.0 - 2.0 * t)
    tangents = width * (t * (1.0 - t) ** 2 * slope[cell] - t**2 * (1.0 - t) * slope[cell + 1])
    return np.asarray(low * y[cell] + high * y[cell + 1] + tangents)


def log_totals(moments: MomentSums, shape: float = 0.0, rate: float = 0.0) -> Floats:
    """Log totals from below the smallest maximum to where the multinomial's series in 1 / A converges.

    Lower end: the slope in log A is at least ``sum_k (c_k0 + shape) - C_0 - A (h + rate)`` with c_k0 the groups that
    have category k, C_0 those with a count, and h the sum of 1 / j over 0 < j < M_n. Upper end: all a_k exceed four
    times the largest count of their category. A prior makes the slope negative above
    ``(sum_n M_n + K shape - C_0) / rate``.
    """
    seen = (moments.sums > 0) | (shape > 0)
    added = shape * seen.sum()
    total = float(moments.sums.sum())
    lower = (max(float(moments.present.sum()) - moments.n_filled, 0.0) + added) / (moments.harmonic + rate)
    upper = 4.0 * float((moments.largest[seen] * (total + added) / (moments.sums[seen] + shape)).max())
    if rate > 0.0:
        upper = min(max(upper, 4.0 * added / rate), (max(total - moments.n_filled, 0.0) + added) / rate)
    lower = max(min(lower, 0.1 * upper), 1e-100)
    steps = math.ceil(math.log(upper / lower) / _SPACING)
    return np.linspace(math.log(lower), math.log(upper), steps + 1)


def profile(objective: Objective, log_total: Floats, lowest: Floats, highest: Floats) -> Profile:
    """The profile at each total by Newton's method over the proportions, all totals at once.

    ``lowest`` and ``highest`` are the proportions that the maximum tends to as the total goes to 0 and to infinity; the
    method starts from geometric means of the two.
    """
    part = np.linspace(0.0, 1.0, len(log_total))[:, None]
    log_a = _with_total((1.0 - part) * np.log(lowest) + part * np.log(highest), log_total)
    value, slope, tangent = np.empty(len(log_total)), np.empty(len(log_total)), np.empty_like(log_a)
    active = np.arange(len(log_total))  # totals whose maximum is not found yet
    for _ in range(_MOST_STEPS):
        a = np.exp(log_a[active])
        here, gradient, curvature = objective.slopes(a)
        response = a / curvature
        total = (response * a).sum(axis=1, keepdims=True)
        common = (response * gradient).sum(axis=1, keepdims=True) / total
        ascent = gradient - a * common
        gain = (ascent**2 / curvature).sum(axis=1)
        value[active] = here + 0.5 * gain
        slope[active] = np.exp(log_total[active]) * common[:, 0]
        tangent[active] = np.exp(log_total[active])[:, None] * response / total
        log_a[active] = _with_total(
            log_a[active] + np.clip(ascent / curvature, -_LONGEST_STEP, _LONGEST_STEP), log_total[active]
        )
        active = active[gain > _RESOLVED]
        if active.size == 0:
            break
    return Profile(log_total, value, slope, log_a, tangent)


def _with_total(log_a: Floats, log_total: Floats) -> Floats:
    return np.asarray(log_a - (np.logaddexp.reduce(log_a, axis=1) - log_total)[:, None])
