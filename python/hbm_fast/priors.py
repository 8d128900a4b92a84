"""Priors of alpha (how alike the groups are) and of beta (the categories over all groups): no computation.

Each is a frozen dataclass; its density and its draws live in the kernels (``cpp/priors/prior.hpp``).
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from hbm_fast import _core
from hbm_fast._validate import concentration, finite_float


@dataclass(frozen=True)
class AlphaPrior:
    """Base of the priors of alpha; use one of its subclasses.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> isinstance(hbm.priors.Gamma(2, rate=1), hbm.priors.AlphaPrior)
    True
    """

    kind: ClassVar[str]

    def _parameters(self) -> tuple[float, float, float, float]:
        raise TypeError(f"{type(self).__name__} is abstract: use one of its subclasses")

    def _kernel(self) -> _core.AlphaPrior:
        return _core.AlphaPrior(self.kind, *self._parameters())


def _set(instance: object, name: str, *, positive: bool = True) -> None:
    label = f"{type(instance).__name__}'s {name}"
    object.__setattr__(instance, name, finite_float(getattr(instance, name), label, positive=positive))


@dataclass(frozen=True)
class Fixed(AlphaPrior):
    """alpha known, equal to ``value`` > 0. A plain number in ``HierarchicalModel(alpha=2.0)`` means the same.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.priors.Fixed(2)
    Fixed(value=2.0)
    """

    kind: ClassVar[str] = "fixed"
    value: float

    def __post_init__(self) -> None:
        _set(self, "value")

    def _parameters(self) -> tuple[float, float, float, float]:
        return (self.value, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Exponential(AlphaPrior):
    """Density ``rate * exp(-rate * alpha)``; the note's prior with ``rate=1``.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.priors.Exponential()
    Exponential(rate=1.0)
    """

    kind: ClassVar[str] = "exponential"
    rate: float = 1.0

    def __post_init__(self) -> None:
        _set(self, "rate")

    def _parameters(self) -> tuple[float, float, float, float]:
        return (self.rate, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Gamma(AlphaPrior):
    """Density proportional to ``alpha**(shape - 1) * exp(-rate * alpha)``; mean ``shape / rate``.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.priors.Gamma(2, rate=0.5)
    Gamma(shape=2.0, rate=0.5)
    """

    kind: ClassVar[str] = "gamma"
    shape: float
    rate: float = field(kw_only=True)

    def __post_init__(self) -> None:
        _set(self, "shape")
        _set(self, "rate")

    def _parameters(self) -> tuple[float, float, float, float]:
        return (self.shape, self.rate, 0.0, 0.0)


@dataclass(frozen=True)
class LogNormal(AlphaPrior):
    """``log(alpha) ~ Normal(mu, sigma)``.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.priors.LogNormal(0, 1.5)
    LogNormal(mu=0.0, sigma=1.5)
    """

    kind: ClassVar[str] = "log_normal"
    mu: float = 0.0
    sigma: float = 1.0

    def __post_init__(self) -> None:
        _set(self, "mu", positive=False)
        _set(self, "sigma")

    def _parameters(self) -> tuple[float, float, float, float]:
        return (self.mu, self.sigma, 0.0, 0.0)


@dataclass(frozen=True)
class HalfNormal(AlphaPrior):
    """The absolute value of a ``Normal(0, scale)``.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.priors.HalfNormal(10)
    HalfNormal(scale=10.0)
    """

    kind: ClassVar[str] = "half_normal"
    scale: float = 1.0

    def __post_init__(self) -> None:
        _set(self, "scale")

    def _parameters(self) -> tuple[float, float, float, float]:
        return (self.scale, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class HalfCauchy(AlphaPrior):
    """The absolute value of a ``Cauchy(0, scale)``.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.priors.HalfCauchy(5)
    HalfCauchy(scale=5.0)
    """

    kind: ClassVar[str] = "half_cauchy"
    scale: float = 1.0

    def __post_init__(self) -> None:
        _set(self, "scale")

    def _parameters(self) -> tuple[float, float, float, float]:
        return (self.scale, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class LogUniform(AlphaPrior):
    """``log(alpha)`` uniform between the logs of ``lower`` and ``upper``.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.priors.LogUniform(0.01, 100)
    LogUniform(lower=0.01, upper=100.0)
    """

    kind: ClassVar[str] = "log_uniform"
    lower: float
    upper: float

    def __post_init__(self) -> None:
        _bounds(self)

    def _parameters(self) -> tuple[float, float, float, float]:
        return (0.0, 0.0, self.lower, self.upper)


@dataclass(frozen=True)
class Lomax(AlphaPrior):
    """Density ``shape / scale * (1 + alpha / scale)**(-shape - 1)`` (Pareto type II).

    ``Lomax(0.5)`` is proportional to ``(1 + alpha)**(-3/2)``, the proper prior that is uniform on
    ``(1 + alpha)**(-1/2)``.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.priors.Lomax()
    Lomax(shape=0.5, scale=1.0)
    """

    kind: ClassVar[str] = "lomax"
    shape: float = 0.5
    scale: float = 1.0

    def __post_init__(self) -> None:
        _set(self, "shape")
        _set(self, "scale")

    def _parameters(self) -> tuple[float, float, float, float]:
        return (self.shape, self.scale, 0.0, 0.0)


@dataclass(frozen=True)
class Power(AlphaPrior):
    """Density proportional to ``alpha**exponent`` between ``lower`` and ``upper``, both positive and finite.

    ``Power(-1.5, lower=..., upper=...)`` with beta uniform is the hyperprior of Gelman et al., Bayesian Data Analysis,
    5.3: a density ``(a + b)**(-5/2)`` of the two concentrations is ``alpha**(-3/2)`` in (alpha, beta), the Jacobian
    being alpha. Its integral diverges at alpha = 0; the bounds make it proper.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.priors.Power(-1.5, lower=0.01, upper=1000)
    Power(exponent=-1.5, lower=0.01, upper=1000.0)
    """

    kind: ClassVar[str] = "power"
    exponent: float
    lower: float = field(kw_only=True)
    upper: float = field(kw_only=True)

    def __post_init__(self) -> None:
        _set(self, "exponent", positive=False)
        _bounds(self)

    def _parameters(self) -> tuple[float, float, float, float]:
        return (self.exponent, 0.0, self.lower, self.upper)


def _bounds(instance: LogUniform | Power) -> None:
    _set(instance, "lower")
    _set(instance, "upper")
    if not instance.lower < instance.upper:
        raise ValueError(
            f"{type(instance).__name__} needs lower < upper; got lower={instance.lower}, upper={instance.upper}"
        )


@dataclass(frozen=True)
class Dirichlet:
    """beta ~ Dirichlet(concentration): a scalar for all categories, or one value for each.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.priors.Dirichlet([1, 2])
    Dirichlet(concentration=(1.0, 2.0))
    """

    concentration: float | tuple[float, ...] = 1.0

    def __post_init__(self) -> None:
        value = np.asarray(self.concentration, dtype=np.float64)
        checked = concentration(np.atleast_1d(value), np.atleast_1d(value).shape[-1], name="Dirichlet's concentration")
        if checked.ndim != 1:
            raise ValueError(f"Dirichlet's concentration must be a number or have shape (K,); got {checked.shape}")
        frozen = float(value) if value.ndim == 0 else tuple(float(c) for c in checked)
        object.__setattr__(self, "concentration", frozen)

    def _kernel(self, n_categories: int) -> _core.BetaPrior:
        values = np.broadcast_to(np.asarray(self.concentration, dtype=np.float64), (n_categories,))
        return _core.BetaPrior(False, np.ascontiguousarray(values))


@dataclass(frozen=True)
class FixedBeta:
    """beta known: positive proportions that sum to one.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.priors.FixedBeta([0.25, 0.75])
    FixedBeta(value=(0.25, 0.75))
    """

    value: tuple[float, ...]

    def __init__(self, value: ArrayLike) -> None:
        array = np.asarray(value, dtype=np.float64)
        if array.ndim != 1:
            raise ValueError(f"FixedBeta's value must have shape (K,); got {array.shape}")
        array = concentration(array, array.shape[0], name="FixedBeta's value")
        if abs(array.sum() - 1.0) > 1e-9:
            raise ValueError(f"FixedBeta's value must sum to 1; its sum is {array.sum()}")
        object.__setattr__(self, "value", tuple(float(b) for b in array / array.sum()))

    def _kernel(self, n_categories: int) -> _core.BetaPrior:
        return _core.BetaPrior(True, np.asarray(self.value, dtype=np.float64))


__all__ = [
    "AlphaPrior",
    "Dirichlet",
    "Exponential",
    "Fixed",
    "FixedBeta",
    "Gamma",
    "HalfCauchy",
    "HalfNormal",
    "LogNormal",
    "LogUniform",
    "Lomax",
    "Power",
]
