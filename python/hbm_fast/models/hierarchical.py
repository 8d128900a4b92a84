"""The hierarchical Dirichlet-multinomial model: a frozen description without computation."""

from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike

from hbm_fast import priors
from hbm_fast._display import Displayed
from hbm_fast._validate import positive_int


@dataclass(frozen=True, repr=False)
class HierarchicalModel(Displayed):
    """alpha ~ its prior, beta ~ its prior, theta_n ~ Dirichlet(alpha * beta), x_n ~ Multinomial(M_n, theta_n).

    The parameters are attributes, which cannot be changed: ``alpha`` and ``beta`` are priors there.

    Parameters
    ----------
    n_categories : int
        K, at least 2.
    alpha : AlphaPrior or float, default ``priors.Exponential(1)``
        Prior of alpha; a number fixes it.
    beta : Dirichlet, FixedBeta, float or array_like (K,), default 1
        Prior of beta; a number or an array is the concentration of a Dirichlet.

    Raises
    ------
    TypeError, ValueError
        For anything else, or lengths other than K.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.HierarchicalModel(2)
    HierarchicalModel(2, alpha=Exponential(rate=1.0), beta=Dirichlet(concentration=1.0))
    >>> hbm.HierarchicalModel(3, alpha=hbm.priors.Gamma(2.0, rate=0.5), beta=[0.5, 0.5, 1.0]).beta
    Dirichlet(concentration=(0.5, 0.5, 1.0))
    """

    n_categories: int
    alpha: priors.AlphaPrior
    beta: priors.Dirichlet | priors.FixedBeta

    def __init__(
        self,
        n_categories: int,
        *,
        alpha: priors.AlphaPrior | float | None = None,
        beta: priors.Dirichlet | priors.FixedBeta | ArrayLike | None = None,
    ) -> None:
        object.__setattr__(self, "n_categories", positive_int(n_categories, "n_categories", minimum=2))
        object.__setattr__(self, "alpha", _alpha_prior(alpha))
        object.__setattr__(self, "beta", _beta_prior(beta))
        stated = self.beta.value if isinstance(self.beta, priors.FixedBeta) else self.beta.concentration
        if isinstance(stated, tuple) and len(stated) != self.n_categories:
            raise ValueError(f"beta must have K = {self.n_categories} values; got {len(stated)}")

    def __repr__(self) -> str:
        return f"HierarchicalModel({self.n_categories}, alpha={self.alpha}, beta={self.beta})"


def _alpha_prior(alpha: priors.AlphaPrior | float | None) -> priors.AlphaPrior:
    if alpha is None:
        return priors.Exponential(1.0)
    if isinstance(alpha, priors.AlphaPrior):
        return alpha
    if isinstance(alpha, Real) and not isinstance(alpha, bool):
        return priors.Fixed(float(alpha))
    raise TypeError(f"alpha must be a prior of hbm_fast.priors or a number that fixes it; got {alpha!r}")


def _beta_prior(beta: priors.Dirichlet | priors.FixedBeta | ArrayLike | None) -> priors.Dirichlet | priors.FixedBeta:
    if beta is None:
        return priors.Dirichlet(1.0)
    if isinstance(beta, priors.Dirichlet | priors.FixedBeta):
        return beta
    try:
        array = np.asarray(beta, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            f"beta must be priors.Dirichlet, priors.FixedBeta, a number or an array of K numbers; got {beta!r}"
        ) from None
    return priors.Dirichlet(float(array) if array.ndim == 0 else tuple(array.tolist()))
