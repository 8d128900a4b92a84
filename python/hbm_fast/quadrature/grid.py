"""Adaptive nodes for a density of (t, u) = (log alpha, logit beta_1).

Outer rule: Gauss-Kronrod panels in t, halved where the error is too large. Inner rule: at every t the trapezoidal rule
in z, u = centre + width sinh(z): the density in u has one maximum and straight tails, which sinh turns into double
exponential ones (Takahasi & Mori 1974, doi:10.2977/prims/1195192451). Centre, width and range follow t and are found on
a scan of t. Placement affects only speed; the error is estimated.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hbm_fast._typing import Floats
from hbm_fast.quadrature import rules
from hbm_fast.quadrature.density import Density

_NEGLIGIBLE = 42.0  # densities below exp(-42) of the maximum are left out
_TOLERANCE = 1e-9  # relative to the whole integral; the difference of a panel's two rules overestimates the error
_ARC = 12.0
_MOST_PANELS = 3000
# log alpha up to which expectations of powers of alpha are followed: 62 / (p - shape) of a Lomax tail, in many panels
_FURTHEST = 10_000.0
_OVERFLOW = 720.0  # logarithm above which an expectation is no double, with a margin for the coarse scan's error


@dataclass
class Frame:
    """Positions of the inner nodes, on a scan of t (T,)."""

    t: Floats
    centre: Floats
    width: Floats
    low: Floats  # in z
    high: Floats

    def at(self, t: Floats, n: int) -> tuple[Floats, Floats]:
        """Nodes u (T, n + 1) and their integration weights (T, n + 1)."""
        columns = (np.interp(t, self.t, f)[:, np.newaxis] for f in (self.centre, self.width, self.low, self.high))
        centre, width, low, high = columns
        rising = np.exp(low + (high - low) * np.linspace(0.0, 1.0, n + 1))
        falling = 1.0 / rising
        u = centre + 0.5 * width * (rising - falling)  # sinh, and below cosh
        return u, width * (0.5 / n) * (high - low) * (rising + falling)

    def between(self, t: Floats, position: Floats, n: int) -> Floats:
        """u at a position in steps from the first of the n + 1 nodes at t."""
        centre, width, low, high = (np.interp(t, self.t, f) for f in (self.centre, self.width, self.low, self.high))
        return np.asarray(centre + width * np.sinh(low + (high - low) * position / n))


@dataclass
class Grid:
    """The converged nodes; log_density is that of (t, u), and the weights are those of the rules alone."""

    frame: Frame | None  # None where beta is fixed
    edges: Floats  # (P + 1,) of the panels in t; one edge where alpha is fixed
    t: Floats  # (T,)
    t_weights: Floats  # (T,)
    u: Floats  # (T, n + 1)
    u_weights: Floats  # (T, n + 1)
    log_density: Floats  # (T, n + 1)
    log_marginal: Floats  # (T,) of t
    log_total: float
    error: float  # relative, of the integral and of the expectations of powers of alpha, estimated
    highest_power: int  # of alpha, up to 2, whose expectation is a double

    @property
    def log_weights(self) -> Floats:
        """log probabilities of the nodes (T, n + 1)."""
        return self.log_density + np.log(self.u_weights) + np.log(self.t_weights)[:, np.newaxis] - self.log_total


def build(density: Density) -> Grid:
    """The nodes of a posterior."""
    if density.fixed_log_alpha is not None:
        t = np.array([density.fixed_log_alpha])
        frame = None if density.fixed_logit is not None else _frame(density, t, *_profile(density, t))
        n, inner_error = _inner_size(density, frame, t)
        u, u_weights, values, marginal = _evaluate(density, frame, t, n)
        return Grid(frame, t, t, np.ones(1), u, u_weights, values, marginal, float(marginal[0]), inner_error, 2)
    t, centre, top, power = _scan(density)
    frame = None if density.fixed_logit is not None else _frame(density, t, centre, top)
    *_, marginal = _evaluate(density, frame, t, 16)
    n, inner_error = _inner_size(density, frame, t[_relevant(t, marginal, power)])
    return _panels(density, frame, _breaks(t, marginal, power), n, inner_error, power)


def log_mean_of_alpha(grid: Grid) -> float:
    """log E[alpha], in logarithms throughout: under wide priors nodes of tiny probability decide it."""
    return _log_sum(_log_masses(grid) + grid.t)


def log_sd_of_alpha(grid: Grid) -> float:
    """log of the standard deviation of alpha."""
    mean = log_mean_of_alpha(grid)
    above = grid.t - mean
    with np.errstate(divide="ignore"):
        # log |alpha - mean|, which from exp(40) times the mean on is log alpha
        distance = mean + np.where(above < 40.0, np.log(np.abs(np.expm1(np.minimum(above, 40.0)))), above)
    return 0.5 * _log_sum(_log_masses(grid) + 2.0 * distance)


def _log_masses(grid: Grid) -> Floats:
    """log probabilities of the nodes of t, normalised again: a large log_total has few digits after the point."""
    masses = grid.log_marginal + np.log(grid.t_weights)
    masses -= masses.max()
    return masses - _log_sum(masses)


# the scan of t -------------------------------------------------------------------------------------------------------
def _profile(density: Density, t: Floats) -> tuple[Floats, Floats]:
    """The maximum over u at each t, to within a fraction of its width: (u, log density there)."""
    if density.fixed_logit is not None:
        u = np.full(t.shape, density.fixed_logit)
        return u, density(t, u)
    bound = np.log((density.concentration.max() + density.total) / density.concentration.min()) + 1.0
    low, high = np.full(t.shape, -bound), np.full(t.shape, bound)
    f_low, f_high = density.slope(t, low), density.slope(t, high)
    u = 0.5 * (low + high)
    for _ in range(14):  # Illinois: regula falsi that halves the weight of an end that stays
        u = (low * f_high - high * f_low) / (f_high - f_low)
        f = density.slope(t, u)
        right = f > 0.0
        f_high = np.where(right, 0.5 * f_high, f)
        f_low = np.where(right, f, 0.5 * f_low)
        low, high = np.where(right, u, low), np.where(right, high, u)
    return u, density(t, u)


def _scan(density: Density) -> tuple[Floats, Floats, Floats, int]:
    """Points of t that resolve the posterior: coarse over the prior's support, then over smaller and smaller ranges.

    Returns t, the maximum over u at each t, the log density there, and the highest power of alpha whose expectation is
    a double.
    """
    step = 0.5
    far = 40.0 + step * np.cumsum(1.25 ** np.arange(60))
    t = np.concatenate([-far[::-1], np.arange(-40.0, 40.0 + step, step), far])
    inside = np.isfinite(density.log_prior_alpha(t))
    lower, upper = density.support
    t = np.unique(
        np.concatenate([t[inside & (t > lower) & (t < upper)], [x for x in (lower, upper) if np.isfinite(x)]])
    )
    centre, top = _profile(density, t)
    power = density.highest_power
    while power and (top + power * t).max() - top.max() > power * _OVERFLOW:
        power -= 1
    for _ in range(40):
        keep = _relevant(t, top, power, slack=20.0)
        first, last = np.flatnonzero(keep)[[0, -1]]
        if not np.isfinite(upper) and (last == t.size - 1 or (power and t[last] > _FURTHEST)):
            raise ValueError(f"the posterior reaches beyond alpha = exp({t[last]:.0f}): bound the prior of alpha")
        low, high = t[max(first - 1, 0)], t[min(last + 1, t.size - 1)]
        if np.count_nonzero(keep) >= 24:
            inside = (t >= low) & (t <= high)
            return t[inside], centre[inside], top[inside], power
        t = np.linspace(low, high, 97)
        centre, top = _profile(density, t)
    raise RuntimeError("the posterior of log(alpha) is narrower than doubles resolve: fix alpha instead")


def _relevant(t: Floats, log_density: Floats, highest_power: int, slack: float = 0.0) -> NDArray[np.bool_]:
    """Whether the density contributes to the integral or to the expectation of a power of alpha."""
    keep = np.zeros(t.shape, dtype=bool)
    for power in range(highest_power + 1):
        weighted = log_density + power * t
        keep |= weighted > weighted.max() - _NEGLIGIBLE - slack
    return keep


def _frame(density: Density, t: Floats, centre: Floats, top: Floats) -> Frame:
    # the slope varies over distances of about one in u, however sharp the peak
    delta = 1e-2
    slopes = density.slope(t, centre + np.array([[-delta], [delta]]))
    curvature = (slopes[0] - slopes[1]) / (2.0 * delta)
    width = np.minimum(1.0 / np.sqrt(np.maximum(curvature, 1e-300)), 2.0)
    sides = np.array([[-1.0], [1.0]])
    near, far = np.zeros((2, t.size)), np.full((2, t.size), 20.0)
    for _ in range(8):
        z = 0.5 * (near + far)
        outside = density(t, centre + sides * width * np.sinh(z)) + np.log(np.cosh(z)) < top - _NEGLIGIBLE
        near, far = np.where(outside, near, z), np.where(outside, z, far)
    return Frame(t, centre, width, -far[0], far[1])


# the integral --------------------------------------------------------------------------------------------------------
def _evaluate(density: Density, frame: Frame | None, t: Floats, n: int) -> tuple[Floats, Floats, Floats, Floats]:
    """u, weights, log density (T, n + 1) and the log marginal of t (T,)."""
    if frame is None:
        assert density.fixed_logit is not None
        u, weights = np.full((t.size, 1), density.fixed_logit), np.ones((t.size, 1))
    else:
        u, weights = frame.at(t, n)
    values = density(t[:, np.newaxis], u)
    largest = values.max(axis=1)
    marginal = largest + np.log((np.exp(values - largest[:, np.newaxis]) * weights).sum(axis=1))
    return u, weights, values, marginal


def marginal_of_t(density: Density, grid: Grid, t: Floats, n: int) -> Floats:
    """Log density of t, not normalised, at any t."""
    return _evaluate(density, grid.frame, t, n)[3]


def _inner_size(density: Density, frame: Frame | None, t: Floats) -> tuple[int, float]:
    """The number of inner intervals at which the trapezoidal rule has converged, and its relative error."""
    if frame is None:
        return 0, 1e-15
    sample = t[:: max(1, t.size // 24)]
    for n in (32, 64, 128, 256, 512):
        _, weights, values, marginal = _evaluate(density, frame, sample, n)
        half = (np.exp(values - marginal[:, np.newaxis]) * weights)[:, ::2].sum(axis=1) * 2.0
        change = float(np.abs(half - 1.0).max())
        if change < 1e-5:
            break
    # halving the step squares the error of the trapezoidal rule; 10 is a margin
    return n, max(1e-15, 10.0 * change**2)


def _breaks(t: Floats, marginal: Floats, highest_power: int) -> Floats:
    """Edges of panels over each of which the log density changes by a few units."""
    keep = np.flatnonzero(_relevant(t, marginal, highest_power))
    first, last = max(keep[0] - 1, 0), min(keep[-1] + 1, t.size - 1)
    t, marginal = t[first : last + 1], marginal[first : last + 1]
    arc = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(marginal)) / _ARC + np.diff(t) / (t[-1] - t[0]))])
    return np.interp(np.linspace(0.0, arc[-1], max(5, int(np.ceil(arc[-1])) + 1)), arc, t)


def _panels(
    density: Density, frame: Frame | None, edges: Floats, n: int, inner_error: float, highest_power: int
) -> Grid:
    left, right = edges[:-1], edges[1:]
    accepted: list[tuple[Floats, ...]] = []
    scale = [-np.inf] * (highest_power + 1)  # log integrals of alpha^p times the density, so far
    error, n_panels = inner_error, 0
    while left.size:
        half = 0.5 * (right - left)[:, np.newaxis]
        t = 0.5 * (left + right)[:, np.newaxis] + half * rules.NODES
        u, u_weights, values, marginal = _evaluate(density, frame, t.ravel(), n)
        marginal = marginal.reshape(t.shape)
        worst = np.zeros(left.size)
        for p in range(len(scale)):
            weighted = marginal + p * t + np.log(half)
            scale[p] = max(scale[p], _log_sum(weighted + np.log(rules.WEIGHTS)))
            change = np.abs(np.exp(weighted - scale[p]) @ (rules.WEIGHTS - rules.GAUSS_WEIGHTS))
            worst = np.maximum(worst, change)
        n_panels += left.size
        split = (worst > _TOLERANCE) & (n_panels <= _MOST_PANELS)
        done = ~split
        error += float(worst[done].sum())
        inner = (x.reshape(left.size, 15, -1)[done] for x in (u, u_weights, values))
        accepted.append((left[done], t[done], (half * rules.WEIGHTS)[done], marginal[done], *inner))
        middle = 0.5 * (left + right)[split]
        left, right = np.concatenate([left[split], middle]), np.concatenate([middle, right[split]])
    joined = [np.concatenate(column) for column in zip(*accepted, strict=True)]
    order = np.argsort(joined[0])
    starts, t, t_weights, marginal = (column[order] for column in joined[:4])
    u, u_weights, values = (column[order].reshape(t.size, -1) for column in joined[4:])
    log_total = _log_sum(marginal + np.log(t_weights))
    return Grid(
        frame=frame,
        edges=np.append(starts, edges[-1]),
        t=t.ravel(),
        t_weights=t_weights.ravel(),
        u=u,
        u_weights=u_weights,
        log_density=values,
        log_marginal=marginal.ravel(),
        log_total=log_total,
        error=error,
        highest_power=highest_power,
    )


def _log_sum(terms: Floats) -> float:
    largest = float(terms.max())
    if largest == -np.inf:
        return largest
    return largest + float(np.log(np.exp(terms - largest).sum()))
