"""Priors of alpha (how similar the groups are) and of beta (the mean proportions): no computation.

Each is a frozen dataclass; its density and its draws are computed by the kernels (``cpp/priors/prior.hpp``).
"""

from dataclasses import dataclass, field, fields
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from hbm_fast import _core
from hbm_fast._display import Displayed
from hbm_fast._typing import Floats
from hbm_fast._validate import concentration, finite_float, no_masked


@dataclass(frozen=True)
class AlphaPrior(Displayed):
    """Base of the priors of alpha; use one of its subclasses.

    A subclass states its ``kind``, which is the kernel's name for it, and its parameters as fields in the kernel's
    order. All are positive, except those of ``_any_sign``; ``lower`` and ``upper`` bound alpha.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> isinstance(hbm.priors.Gamma(2, rate=1), hbm.priors.AlphaPrior)
    True
    """

    kind: ClassVar[str]
    _any_sign: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        name = type(self).__name__
        for parameter in self._parameters():
            checked = finite_float(
                getattr(self, parameter), f"{name}'s {parameter}", positive=parameter not in self._any_sign
            )
            object.__setattr__(self, parameter, checked)
        lower, upper = self._bounds()
        if upper and not lower < upper:
            raise ValueError(f"{name} needs lower < upper; got lower={lower}, upper={upper}")

    def log_density(self, log_alpha: ArrayLike) -> Floats:
        """Log density of log(alpha), elementwise; -inf outside the bounds.

        The Jacobian, alpha, is included. A fixed alpha has no density: 0.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> float(hbm.priors.Exponential().log_density(0.0))  # log(exp(-1) * 1)
        -1.0
        """
        return np.asarray(self._kernel().log_density(log_alpha))

    def log_density_slope(self, log_alpha: ArrayLike) -> Floats:
        """Derivative of `log_density` with respect to log(alpha), elementwise.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> float(hbm.priors.Gamma(2, rate=1).log_density_slope(0.0))
        1.0
        """
        return np.asarray(self._kernel().log_density_slope(log_alpha))

    def _parameters(self) -> list[str]:
        return [f.name for f in fields(self)]

    def _bounds(self) -> tuple[float, float]:
        """Lower and upper bound of alpha; 0 and 0 where it has none."""
        return getattr(self, "lower", 0.0), getattr(self, "upper", 0.0)

    def _kernel(self) -> _core.priors.AlphaPrior:
        if type(self) is AlphaPrior:
            raise TypeError("AlphaPrior is abstract: use one of its subclasses")
        values = [getattr(self, name) for name in self._parameters() if name not in ("lower", "upper")]
        a, b = (*values, 0.0, 0.0)[:2]
        return _core.priors.AlphaPrior(self.kind, a, b, *self._bounds())


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


@dataclass(frozen=True)
class Exponential(AlphaPrior):
    """Density ``rate * exp(-rate * alpha)``; the prior of Le (2020) with ``rate=1``.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.priors.Exponential()
    Exponential(rate=1.0)
    """

    kind: ClassVar[str] = "exponential"
    rate: float = 1.0


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
    _any_sign: ClassVar[tuple[str, ...]] = ("mu",)
    mu: float = 0.0
    sigma: float = 1.0


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
    _any_sign: ClassVar[tuple[str, ...]] = ("exponent",)
    exponent: float
    lower: float = field(kw_only=True)
    upper: float = field(kw_only=True)


@dataclass(frozen=True)
class Dirichlet(Displayed):
    """beta ~ Dirichlet(concentration): a scalar for all categories, one value for each, or a prior of the scalar.

    With a prior, such as ``Exponential(1)``, the concentration c of beta ~ Dirichlet(c, ..., c) is learned from the
    counts: a small c is a table in which few categories have most of the counts. Any prior of alpha serves;
    ``Fixed(c)`` is the number c.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.priors.Dirichlet([1, 2])
    Dirichlet(concentration=(1.0, 2.0))
    >>> hbm.priors.Dirichlet(hbm.priors.Exponential(1))
    Dirichlet(concentration=Exponential(rate=1.0))
    """

    concentration: float | tuple[float, ...] | AlphaPrior = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.concentration, Fixed):
            object.__setattr__(self, "concentration", self.concentration.value)
        if isinstance(self.concentration, AlphaPrior):
            self.concentration._kernel()  # refuses the abstract class
            return
        no_masked(self.concentration, "Dirichlet's concentration")
        try:
            value = np.asarray(self.concentration, dtype=np.float64)
        except (TypeError, ValueError):
            raise TypeError(
                "Dirichlet's concentration must be a number, K numbers, or the prior of one number, such as "
                f"priors.Exponential(1); got {self.concentration!r}"
            ) from None
        checked = concentration(np.atleast_1d(value), np.atleast_1d(value).shape[-1], name="Dirichlet's concentration")
        if checked.ndim != 1:
            raise ValueError(f"Dirichlet's concentration must be a number or have shape (K,); got {checked.shape}")
        frozen = float(value) if value.ndim == 0 else tuple(float(c) for c in checked)
        object.__setattr__(self, "concentration", frozen)

    @property
    def is_learned(self) -> bool:
        """Whether the concentration has a prior, and is drawn with beta.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> hbm.priors.Dirichlet(0.5).is_learned, hbm.priors.Dirichlet(hbm.priors.Gamma(2, rate=1)).is_learned
        (False, True)
        """
        return isinstance(self.concentration, AlphaPrior)

    def _kernel(self, n_categories: int) -> _core.priors.BetaPrior:
        if isinstance(self.concentration, AlphaPrior):
            return _core.priors.BetaPrior(False, np.ones(n_categories), self.concentration._kernel())
        values = np.broadcast_to(np.asarray(self.concentration, dtype=np.float64), (n_categories,))
        return _core.priors.BetaPrior(False, np.ascontiguousarray(values))


@dataclass(frozen=True)
class FixedBeta(Displayed):
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

    def _kernel(self, n_categories: int) -> _core.priors.BetaPrior:
        return _core.priors.BetaPrior(True, np.asarray(self.value, dtype=np.float64))


@dataclass(frozen=True)
class DirichletProcess(Displayed):
    """Partition of the groups by the Chinese restaurant process: the number of components of a mixture is open.

    A group joins a component of n others with probability ``n / (n_all + concentration)`` and begins a new one with
    probability ``concentration / (n_all + concentration)``.

    Parameters
    ----------
    concentration : float or Gamma, default 1.0
        A number, or its prior.

    Raises
    ------
    TypeError, ValueError
        For anything else.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.priors.DirichletProcess(hbm.priors.Gamma(1.0, rate=1.0))
    DirichletProcess(concentration=Gamma(shape=1.0, rate=1.0))
    """

    concentration: float | Gamma = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.concentration, Gamma):
            if isinstance(self.concentration, AlphaPrior):
                raise TypeError(
                    "DirichletProcess's concentration must be a number, or a priors.Gamma to learn it; got "
                    f"{self.concentration!r}"
                )
            checked = finite_float(self.concentration, "DirichletProcess's concentration", positive=True)
            object.__setattr__(self, "concentration", checked)


@dataclass(frozen=True)
class Normal(Displayed):
    """A normal distribution of a coefficient, which may have either sign.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.priors.Normal(0, 2)
    Normal(mu=0.0, sd=2.0)
    """

    mu: float = 0.0
    sd: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "mu", finite_float(self.mu, "Normal's mu"))
        object.__setattr__(self, "sd", finite_float(self.sd, "Normal's sd", positive=True))


__all__ = [
    "AlphaPrior",
    "Dirichlet",
    "DirichletProcess",
    "Exponential",
    "Fixed",
    "FixedBeta",
    "Gamma",
    "HalfCauchy",
    "HalfNormal",
    "LogNormal",
    "LogUniform",
    "Lomax",
    "Normal",
    "Power",
]
