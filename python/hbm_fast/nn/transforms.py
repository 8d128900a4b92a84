"""Transforms to a standard normal: the prior of (alpha, beta) is exactly N(0, I) in z.

The posterior of z is then N(0, I) times a bounded likelihood, without a heavy tail or a boundary. alpha takes one
element of z; beta takes K - 1, by stick breaking: v_k = beta_k / (1 - beta_1 - ... - beta_(k-1)) are independent Beta
variates when beta is Dirichlet.

Each element has a transform t <-> z with z ~ N(0, 1) when t follows its prior on the real line: in closed form where
there is one, tabulated otherwise. Both tails are kept as separate probabilities, so that nothing is lost at
alpha = 1e-300 or at z = 30. All in float64.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hbm_fast import _core, priors
from hbm_fast.models import HierarchicalModel, known_concentration

# z beyond this is not a probability that float64 can hold (Phi(-37.5) is about 1e-307).
Z_MAX = 37.5


class Transform(Protocol):
    """A smooth increasing map between t and z, and its inverse."""

    def to_z(self, t: Tensor) -> Tensor:
        """z of t."""

    def from_z(self, z: Tensor) -> Tensor:
        """t of z."""


class PriorTransform:
    """Transform of (log alpha, log beta) to z, which is N(0, I) under the model's prior, and back; float64.

    A fixed parameter takes no element of z. ValueError where nothing is left to infer.
    """

    def __init__(self, model: HierarchicalModel) -> None:
        self.model = known_concentration(model, "a network of alpha and beta", "Use hbm.sample")
        self.n_categories = model.n_categories
        self._alpha = None if isinstance(model.alpha, priors.Fixed) else alpha_transform(model.alpha)
        n_sticks = model.n_categories - 1 if isinstance(model.beta, priors.Dirichlet) else 0
        self.dim = (self._alpha is not None) + n_sticks
        if self.dim == 0:
            raise ValueError("the model fixes alpha and beta: there is nothing to infer")

    def __reduce__(self) -> tuple[type["PriorTransform"], tuple[HierarchicalModel]]:
        return PriorTransform, (self.model,)  # made again: closures cannot be pickled

    @cached_property
    def _sticks(self) -> list[Transform]:
        # made when first needed: a file is checked before anything that grows with its number of categories
        if not isinstance(self.model.beta, priors.Dirichlet):
            return []
        c = np.broadcast_to(np.asarray(self.model.beta.concentration, dtype=np.float64), (self.n_categories,))
        rest = np.cumsum(c[::-1])[::-1]
        return [beta_transform(float(a), float(b)) for a, b in zip(c[:-1], rest[1:], strict=True)]

    @property
    def exchangeable(self) -> bool:
        """Whether the prior treats all categories alike, so that their order may be chosen freely."""
        beta = self.model.beta
        if isinstance(beta, priors.FixedBeta):
            return len(set(beta.value)) == 1
        return not isinstance(beta.concentration, tuple) or len(set(beta.concentration)) == 1

    def to_z(self, log_alpha: Tensor, log_beta: Tensor) -> Tensor:
        """(...), (..., K) -> (..., dim)."""
        parts = [] if self._alpha is None else [self._alpha.to_z(log_alpha)]
        if self._sticks:
            # log of the sum over the categories from k on, summed from the last
            tail = torch.logcumsumexp(log_beta.flip(-1), -1).flip(-1)
            parts += [stick.to_z(log_beta[..., k] - tail[..., k + 1]) for k, stick in enumerate(self._sticks)]
        return torch.stack(parts, -1)

    def from_z(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """(..., dim) -> (...), (..., K)."""
        z = z.double()
        if self._alpha is None:
            log_alpha = torch.full(z.shape[:-1], float(np.log(self.model.alpha.value)), dtype=torch.float64)  # type: ignore[attr-defined]
            first = 0
        else:
            log_alpha, first = self._alpha.from_z(z[..., 0]), 1
        if not self._sticks:
            log_beta = torch.log(torch.tensor(self.model.beta.value, dtype=torch.float64))  # type: ignore[union-attr]
            return log_alpha, log_beta.expand(*z.shape[:-1], self.n_categories)
        # column by column: torch.stack copies element by element
        log_beta = z.new_empty(*z.shape[:-1], self.n_categories)
        log_beta[..., 0], left = log_shares(self._sticks[0], z[..., first])
        for k, stick in enumerate(self._sticks[1:], start=1):
            here, beyond = log_shares(stick, z[..., first + k])
            log_beta[..., k] = left + here
            left = left + beyond
        log_beta[..., -1] = left
        return log_alpha, log_beta


def normal_quantile(log_cdf: Tensor, log_survival: Tensor) -> Tensor:
    """z from the logs of both tails, by the smaller one."""
    lower = torch.special.ndtri(log_cdf.exp())
    upper = -torch.special.ndtri(log_survival.exp())
    return torch.where(log_cdf < log_survival, lower, upper).clamp(-Z_MAX, Z_MAX)


def normal_tails(z: Tensor) -> tuple[Tensor, Tensor]:
    """The logs of Phi(z) and Phi(-z); z is clamped to +-Z_MAX.

    Both from the smaller tail: by the kernel where no gradient is needed, otherwise by erfc, which torch vectorises
    (twice as fast as two torch.special.log_ndtr).
    """
    if z.device.type == "cpu" and not (torch.is_grad_enabled() and z.requires_grad):
        lower, upper = (torch.empty(z.shape, dtype=torch.float64) for _ in range(2))
        flat = z.detach().reshape(-1).numpy()
        _core.networks.normal_tails(flat, lower.view(-1).numpy(), upper.view(-1).numpy(), torch.get_num_threads())
        return lower, upper
    below = z < 0.0
    size = torch.where(below, -z, z)  # not abs, whose slope at 0 is 0: an optimiser that starts there would not move
    smaller = 0.5 * torch.erfc((size * 0.5**0.5).clamp(max=Z_MAX * 0.5**0.5))
    low, high = torch.log(smaller), torch.log1p(-smaller)
    return torch.where(below, low, high), torch.where(below, high, low)


@dataclass(frozen=True)
class ByTails:
    """From t to the logs of (cdf, survival), and from the logs of (cdf, survival) back to t."""

    tails: Callable[[Tensor], tuple[Tensor, Tensor]]
    quantile: Callable[[Tensor, Tensor], Tensor]

    def to_z(self, t: Tensor) -> Tensor:
        return normal_quantile(*self.tails(t))

    def from_z(self, z: Tensor) -> Tensor:
        return self.quantile(*normal_tails(z))


def log_complement(log_p: Tensor) -> Tensor:
    """log(1 - p) from log p."""
    return torch.where(log_p > -0.5, torch.log(-torch.expm1(log_p)), torch.log1p(-torch.exp(log_p)))


def alpha_transform(prior: priors.AlphaPrior) -> Transform:
    """t = log(alpha) under a prior of alpha."""
    match prior:
        case priors.Exponential(rate):
            return _from_survival(lambda t: -rate * torch.exp(t), lambda s: torch.log(-s / rate))
        case priors.LogNormal(mu, sigma):
            return _Affine(mu, sigma)
        case priors.HalfNormal(scale):
            return ByTails(*_half_normal(scale))
        case priors.HalfCauchy(scale):
            return ByTails(*_half_cauchy(scale))
        case priors.Lomax(shape, scale):
            log_scale = float(np.log(scale))
            return _from_survival(
                lambda t: shape * torch.nn.functional.logsigmoid(log_scale - t),
                lambda s: log_scale + _log_expm1(-s / shape),
            )
        case priors.LogUniform(lower, upper):
            return _truncated_exponential(0.0, float(np.log(lower)), float(np.log(upper)))
        case priors.Power(exponent, lower=lower, upper=upper):
            return _truncated_exponential(exponent + 1.0, float(np.log(lower)), float(np.log(upper)))
        case priors.Gamma(shape, rate=rate):
            kernel = prior._kernel()
            return tabulated(kernel.log_density, float(np.log(shape / rate)))
    raise TypeError(f"no transform for the prior {prior!r}")


def beta_transform(a: float, b: float) -> Transform:
    """t = logit(v) for v ~ Beta(a, b)."""
    if a == b == 1.0:
        return UniformLogit()
    if a == 1.0:  # survival (1 - v)^b
        return _from_survival(lambda t: b * torch.nn.functional.logsigmoid(-t), lambda s: log_complement(s / b) - s / b)
    constant = float(
        torch.lgamma(torch.tensor([a + b, a, b], dtype=torch.float64)) @ torch.tensor([1.0, -1.0, -1.0]).double()
    )
    return tabulated(lambda t: constant + a * t - (a + b) * np.logaddexp(0.0, t), float(np.log(a / b)))


class UniformLogit:
    """t = logit(v) for uniform v: the two tails are v and 1 - v."""

    def to_z(self, t: Tensor) -> Tensor:
        return normal_quantile(torch.nn.functional.logsigmoid(t), torch.nn.functional.logsigmoid(-t))

    def from_z(self, z: Tensor) -> Tensor:
        log_v, log_rest = normal_tails(z)
        return log_v - log_rest


def log_shares(transform: Transform, z: Tensor) -> tuple[Tensor, Tensor]:
    """log v and log(1 - v) at z, where the transform's t is logit(v)."""
    if isinstance(transform, UniformLogit):
        return normal_tails(z)
    t = transform.from_z(z)
    return torch.nn.functional.logsigmoid(t), torch.nn.functional.logsigmoid(-t)


def _from_survival(log_survival: Callable[[Tensor], Tensor], quantile: Callable[[Tensor], Tensor]) -> ByTails:
    def tails(t: Tensor) -> tuple[Tensor, Tensor]:
        s = log_survival(t)
        return log_complement(s), s

    return ByTails(tails, lambda _, s: quantile(s))


@dataclass(frozen=True)
class _Affine:
    mean: float
    sd: float

    def to_z(self, t: Tensor) -> Tensor:
        return (t - self.mean) / self.sd

    def from_z(self, z: Tensor) -> Tensor:
        return self.mean + self.sd * z


def _log_expm1(x: Tensor) -> Tensor:
    """log(exp(x) - 1), x > 0."""
    return torch.where(x > 1.0, x + torch.log1p(-torch.exp(-x)), torch.log(torch.expm1(x.clamp(max=2.0))))


def _half_normal(scale: float) -> tuple[Callable[..., tuple[Tensor, Tensor]], Callable[..., Tensor]]:
    log_scale, root2 = float(np.log(scale)), 2.0**0.5

    def tails(t: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.exp(t - log_scale)
        # below 1e-8 the error function is linear: 2 phi(0) x, also where x itself would underflow
        small = t - log_scale + 0.5 * float(np.log(2.0 / np.pi))
        log_cdf = torch.where(x < 1e-8, small, torch.log(torch.erf(x / root2)))
        return log_cdf, float(np.log(2.0)) + torch.special.log_ndtr(-x)

    def quantile(log_cdf: Tensor, log_survival: Tensor) -> Tensor:
        lower = torch.where(
            log_cdf < -18.0,
            log_cdf - 0.5 * float(np.log(2.0 / np.pi)),
            torch.log(torch.erfinv(log_cdf.exp()) * root2),
        )
        upper = torch.log(-torch.special.ndtri(0.5 * log_survival.exp()))
        return log_scale + torch.where(log_cdf < log_survival, lower, upper)

    return tails, quantile


def _half_cauchy(scale: float) -> tuple[Callable[..., tuple[Tensor, Tensor]], Callable[..., Tensor]]:
    log_scale, log_two_over_pi = float(np.log(scale)), float(np.log(2.0 / np.pi))

    def log_arctan(r: Tensor) -> Tensor:  # log(2/pi atan(exp(r)))
        return log_two_over_pi + torch.where(r < -18.0, r, torch.log(torch.arctan(torch.exp(r))))

    def log_tan(log_p: Tensor) -> Tensor:
        x = log_p - log_two_over_pi
        return torch.where(x < -18.0, x, torch.log(torch.tan(torch.exp(x))))

    def tails(t: Tensor) -> tuple[Tensor, Tensor]:
        return log_arctan(t - log_scale), log_arctan(log_scale - t)

    def quantile(log_cdf: Tensor, log_survival: Tensor) -> Tensor:
        return log_scale + torch.where(log_cdf < log_survival, log_tan(log_cdf), -log_tan(log_survival))

    return tails, quantile


def _truncated_exponential(slope: float, lower: float, upper: float) -> ByTails:
    """t on [lower, upper] with density proportional to exp(slope t)."""
    if slope < 0.0:
        mirrored = _truncated_exponential(-slope, -upper, -lower)
        return ByTails(lambda t: mirrored.tails(-t)[::-1], lambda f, s: -mirrored.quantile(s, f))
    width = upper - lower
    if slope * width == 0.0:
        log_width = float(np.log(width))
        return ByTails(
            lambda t: (torch.log(t - lower) - log_width, torch.log(upper - t) - log_width),
            lambda f, s: torch.where(f < s, lower + width * f.exp(), upper - width * s.exp()),
        )
    # survival(t) = (1 - exp(-slope (upper - t))) / (1 - exp(-slope width))
    log_mass = float(np.log(-np.expm1(-slope * width)))

    def tails(t: Tensor) -> tuple[Tensor, Tensor]:
        cdf = torch.log(-torch.expm1(-slope * (t - lower))) - slope * (upper - t) - log_mass
        return cdf, torch.log(-torch.expm1(-slope * (upper - t))) - log_mass

    return ByTails(tails, lambda _, s: upper + torch.log1p(-torch.exp(s + log_mass)).div(slope).clamp(min=-width))


@dataclass(frozen=True)
class Tabulated:
    """t at equally spaced z and its derivative there: cubic Hermite between the knots, Newton's method back."""

    step: float
    t: Tensor
    slope: Tensor

    def from_z(self, z: Tensor) -> Tensor:
        return self._value_slope(z.clamp(-Z_MAX, Z_MAX))[0]

    def to_z(self, t: Tensor) -> Tensor:
        knots = self.t.to(t.device)
        i = (torch.searchsorted(knots, t.contiguous()) - 1).clamp(0, knots.numel() - 2)
        left = -Z_MAX + self.step * i.to(t.dtype)
        z = left + self.step * ((t - knots[i]) / (knots[i + 1] - knots[i])).clamp(0.0, 1.0)
        for _ in range(4):
            value, slope = self._value_slope(z)
            z = torch.minimum(torch.maximum(z - (value - t) / slope, left), left + self.step)
        return z

    def _value_slope(self, z: Tensor) -> tuple[Tensor, Tensor]:
        x = (z + Z_MAX) / self.step
        knots, slope = self.t.to(z.device), self.slope.to(z.device)
        i = x.to(torch.int64).clamp(0, knots.numel() - 2)
        u = x - i
        t0, rise = knots[i], knots[i + 1] - knots[i]
        s0, s1 = slope[i] * self.step, slope[i + 1] * self.step
        c2, c3 = 3.0 * rise - 2.0 * s0 - s1, s0 + s1 - 2.0 * rise
        return t0 + u * (s0 + u * (c2 + u * c3)), (s0 + u * (2.0 * c2 + u * 3.0 * c3)) / self.step


def tabulated(log_density: Callable[[NDArray[np.float64]], NDArray[np.float64]], centre: float) -> Tabulated:
    """The transform of a log-concave density on the real line, given its log.

    The knots are found by Newton's method on the logs of the two tails, which Gauss-Legendre quadrature accumulates
    from outside to inside between neighbouring knots; exact to about 1e-11.
    """
    n = 3001
    z = np.linspace(-Z_MAX, Z_MAX, n)
    lower, upper = (_edge(log_density, centre, sign) for sign in (-1.0, 1.0))
    t = _refined(log_density, centre, lower, upper)
    half_log_two_pi = 0.5 * np.log(2.0 * np.pi)
    for _ in range(8):
        here = _tails_to_z(log_density, t)
        if t.size != n:  # the first time: from the rough knots to the tabulated ones
            inside = np.abs(here) < Z_MAX
            t = np.interp(z, here[inside], t[inside])
            continue
        t = np.maximum.accumulate(t + (z - here) * np.exp(-0.5 * here**2 - half_log_two_pi - log_density(t)))
    slope = np.exp(-0.5 * z**2 - half_log_two_pi - log_density(t))
    return Tabulated(float(z[1] - z[0]), torch.from_numpy(t), torch.from_numpy(slope))


def _edge(log_density: Callable[..., NDArray[np.float64]], centre: float, sign: float) -> float:
    """Where the log density has fallen by 800: beyond every tabulated z."""
    top = float(log_density(np.array([centre]))[0])
    width = 1.0
    while float(log_density(np.array([centre + sign * width]))[0]) > top - 800.0:
        width *= 1.5
    return centre + sign * width


def _refined(
    log_density: Callable[..., NDArray[np.float64]], centre: float, lower: float, upper: float
) -> NDArray[np.float64]:
    """Knots between which the log density changes by less than one."""
    t = np.array([lower, centre, upper])
    while (wide := np.abs(np.diff(np.maximum(log_density(t), -1e4))) > 0.5).any():
        t = np.sort(np.concatenate([t, 0.5 * (t[:-1] + t[1:])[wide]]))
    return np.unique(np.interp(np.arange(0.0, t.size - 0.75, 0.25), np.arange(t.size), t))


def _tails_to_z(log_density: Callable[..., NDArray[np.float64]], t: NDArray[np.float64]) -> NDArray[np.float64]:
    x, w = np.polynomial.legendre.leggauss(12)
    half = 0.5 * np.diff(t)[:, None]
    terms = log_density(0.5 * (t[:-1] + t[1:])[:, None] + half * x) + np.log(w)
    with np.errstate(divide="ignore"):
        pieces = np.logaddexp.reduce(terms, axis=1) + np.log(half[:, 0])
    # beyond the outermost knots the log density is taken as linear
    h = 1e-4 * max(1.0, abs(t[0]))
    left = log_density(t[:1]) - np.log(np.abs(log_density(t[:1] + h) - log_density(t[:1])) / h)
    h = 1e-6 * max(1.0, abs(t[-1]))
    right = log_density(t[-1:]) - np.log(np.abs(log_density(t[-1:]) - log_density(t[-1:] - h)) / h)
    log_cdf = np.logaddexp.accumulate(np.concatenate([left, pieces]))
    log_survival = np.logaddexp.accumulate(np.concatenate([right, pieces[::-1]]))[::-1]
    total = np.logaddexp(log_cdf, log_survival)
    return normal_quantile(torch.from_numpy(log_cdf - total), torch.from_numpy(log_survival - total)).numpy()
