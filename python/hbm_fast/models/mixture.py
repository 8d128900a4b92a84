"""Mixtures of hierarchical Dirichlet-multinomial models: each group belongs to one of several components."""

from dataclasses import dataclass

from numpy.typing import ArrayLike

from hbm_fast import priors
from hbm_fast._display import Displayed
from hbm_fast._validate import finite_float, positive_int
from hbm_fast.models.hierarchical import HierarchicalModel


@dataclass(frozen=True, repr=False)
class MixtureModel(Displayed):
    """z_n ~ Categorical(weights), (alpha_j, beta_j) ~ their priors, theta_n ~ Dirichlet(alpha_z * beta_z).

    Groups come in kinds: each component has a concentration and mean proportions of its own (Holmes, Harris & Quince
    2012; with an open number of components, Kemp, Perfors & Tenenbaum 2007).

    Parameters
    ----------
    n_categories : int
        K, at least 2.
    n_components : int or DirichletProcess
        J; or a prior of partitions, by which the number of components is open.
    alpha : AlphaPrior or float, default ``priors.Exponential(1)``
        Prior of every component's alpha.
    beta : Dirichlet, FixedBeta, float or array_like (K,), default 1
        Prior of every component's beta.
    weights : float, default 1.0
        ``weights ~ Dirichlet(weights, ..., weights)``; without a meaning for a Dirichlet process.

    Raises
    ------
    TypeError, ValueError
        For anything else.

    References
    ----------
    Holmes, Harris & Quince (2012), PLoS ONE 7:e30126, doi:10.1371/journal.pone.0030126.

    Kemp, Perfors & Tenenbaum (2007), Developmental Science 10:307, doi:10.1111/j.1467-7687.2007.00585.x.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.MixtureModel(2, n_components=3)
    MixtureModel(2, n_components=3, alpha=Exponential(rate=1.0), beta=Dirichlet(concentration=1.0), weights=1.0)
    >>> hbm.MixtureModel(2, n_components=hbm.priors.DirichletProcess(1.0)).n_components
    DirichletProcess(concentration=1.0)
    """

    n_categories: int
    n_components: int | priors.DirichletProcess
    alpha: priors.AlphaPrior
    beta: priors.Dirichlet | priors.FixedBeta
    weights: float

    def __init__(
        self,
        n_categories: int,
        *,
        n_components: int | priors.DirichletProcess,
        alpha: priors.AlphaPrior | float | None = None,
        beta: priors.Dirichlet | priors.FixedBeta | ArrayLike | None = None,
        weights: float = 1.0,
    ) -> None:
        component = HierarchicalModel(n_categories, alpha=alpha, beta=beta)
        if not isinstance(n_components, priors.DirichletProcess):
            n_components = positive_int(n_components, "n_components")
        object.__setattr__(self, "n_categories", component.n_categories)
        object.__setattr__(self, "n_components", n_components)
        object.__setattr__(self, "alpha", component.alpha)
        object.__setattr__(self, "beta", component.beta)
        object.__setattr__(self, "weights", finite_float(weights, "weights", positive=True))

    @property
    def component(self) -> HierarchicalModel:
        """The model of the groups of one component.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> hbm.MixtureModel(2, n_components=3, alpha=2.0).component
        HierarchicalModel(2, alpha=Fixed(value=2.0), beta=Dirichlet(concentration=1.0))
        """
        return HierarchicalModel(self.n_categories, alpha=self.alpha, beta=self.beta)

    def __repr__(self) -> str:
        weights = "" if isinstance(self.n_components, priors.DirichletProcess) else f", weights={self.weights}"
        return (
            f"MixtureModel({self.n_categories}, n_components={self.n_components}, alpha={self.alpha}, "
            f"beta={self.beta}{weights})"
        )
