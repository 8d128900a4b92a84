"""Many datasets, each with its own (alpha, beta), whose distribution is learned: a description without computation."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hbm_fast import priors
from hbm_fast._display import Displayed
from hbm_fast._validate import positive_int
from hbm_fast.models.hierarchical import HierarchicalModel


@dataclass(frozen=True, repr=False)
class PopulationModel(Displayed):
    """log alpha_b ~ Normal(mu, tau), beta_b ~ Dirichlet(kappa m), for dataset b; all four parameters are learned.

    The groups of each dataset follow the hierarchical model: theta_n ~ Dirichlet(alpha_b beta_b), x_n ~
    Multinomial(M_n, theta_n). So the datasets (children, schools, languages, studies, genes) inform each other, and a
    dataset of three groups is read in the light of the others: the third level of Kemp, Perfors and Tenenbaum (2007,
    doi:10.1111/j.1467-7687.2007.00585.x).

    Parameters
    ----------
    n_categories : int
        K, at least 2.
    mu : Normal, default ``priors.Normal(0, 2)``
        Prior of the mean of log alpha over the datasets.
    tau : AlphaPrior or float, default ``priors.HalfNormal(1)``
        Prior of the standard deviation of log alpha; a number fixes it.
    kappa : AlphaPrior or float, default ``priors.LogNormal(log K, 1)``
        Prior of the concentration of beta_b about m; a number fixes it.
    m : Dirichlet, float or array_like (K,), default ``priors.Dirichlet(1)``
        Prior of the mean of beta_b (K,); a number or an array is the concentration of a Dirichlet.

    Raises
    ------
    TypeError, ValueError
        For anything else, or lengths other than K.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.PopulationModel(2)  # doctest: +NORMALIZE_WHITESPACE
    PopulationModel(2, mu=Normal(mu=0.0, sd=2.0), tau=HalfNormal(scale=1.0),
        kappa=LogNormal(mu=0.6931471805599453, sigma=1.0), m=Dirichlet(concentration=1.0))
    """

    n_categories: int
    mu: priors.Normal
    tau: priors.AlphaPrior
    kappa: priors.AlphaPrior
    m: priors.Dirichlet

    def __init__(
        self,
        n_categories: int,
        *,
        mu: priors.Normal | None = None,
        tau: priors.AlphaPrior | float | None = None,
        kappa: priors.AlphaPrior | float | None = None,
        m: priors.Dirichlet | ArrayLike | None = None,
    ) -> None:
        k = positive_int(n_categories, "n_categories", minimum=2)
        object.__setattr__(self, "n_categories", k)
        object.__setattr__(self, "mu", priors.Normal(0.0, 2.0) if mu is None else mu)
        object.__setattr__(self, "tau", _positive(priors.HalfNormal(1.0) if tau is None else tau, "tau"))
        object.__setattr__(self, "kappa", _positive(priors.LogNormal(math.log(k)) if kappa is None else kappa, "kappa"))
        if not isinstance(self.mu, priors.Normal):
            raise TypeError(f"mu must be priors.Normal; got {mu!r}")
        object.__setattr__(self, "m", m if isinstance(m, priors.Dirichlet) else _dirichlet(1.0 if m is None else m))
        if self.m.is_learned:
            raise ValueError(f"m must be a Dirichlet of known concentration, because kappa is learned; got {self.m}")
        if isinstance(self.m.concentration, tuple) and len(self.m.concentration) != k:
            raise ValueError(f"m must have K = {k} values; got {len(self.m.concentration)}")

    def __repr__(self) -> str:
        return f"PopulationModel({self.n_categories}, mu={self.mu}, tau={self.tau}, kappa={self.kappa}, m={self.m})"

    def _upper(self) -> HierarchicalModel:
        """kappa and m as the alpha and the beta of a hierarchical model: of the datasets, as of groups."""
        return HierarchicalModel(self.n_categories, alpha=self.kappa, beta=self.m)


def _dirichlet(m: ArrayLike) -> priors.Dirichlet:
    try:
        array = np.asarray(m, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"m must be priors.Dirichlet, a number or an array of K numbers; got {m!r}") from None
    return priors.Dirichlet(float(array) if array.ndim == 0 else tuple(array.tolist()))


def _positive(value: priors.AlphaPrior | float, name: str) -> priors.AlphaPrior:
    if isinstance(value, priors.AlphaPrior):
        value._kernel()  # refuses the abstract class
        return value
    if isinstance(value, float | int) and not isinstance(value, bool):
        return priors.Fixed(value)
    raise TypeError(f"{name} must be a prior of hbm_fast.priors for a positive number, or a number; got {value!r}")
