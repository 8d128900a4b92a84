"""Mixtures of hierarchical Dirichlet-multinomial models: each group belongs to one of several components."""

import math
from dataclasses import dataclass
from numbers import Real

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

    With ``alpha=math.inf`` all groups of a component have its proportions, ``theta_n = beta_z``: a mixture of
    multinomials, for groups of a few counts each, such as the words of short texts (Yin & Wang 2014). `fit` and
    `sample` have algorithms of their own for it, which take sparse tables of many groups and categories.

    Parameters
    ----------
    n_categories : int
        K, at least 2.
    n_components : int or DirichletProcess
        J; or a prior of partitions, by which the number of components is open.
    alpha : AlphaPrior or float, default ``priors.Exponential(1)``
        Prior of every component's alpha; a number fixes it, ``math.inf`` too.
    beta : Dirichlet, FixedBeta, float or array_like (K,), default 1
        Prior of every component's beta. A number or an array is the concentration of a Dirichlet, whatever alpha is;
        with ``alpha=math.inf`` it must be known.
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

    Yin & Wang (2014), "A Dirichlet multinomial mixture model-based approach for short text clustering", KDD 2014,
    doi:10.1145/2623330.2623715.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.MixtureModel(2, n_components=3)
    MixtureModel(2, n_components=3, alpha=Exponential(rate=1.0), beta=Dirichlet(concentration=1.0), weights=1.0)
    >>> hbm.MixtureModel(2, n_components=hbm.priors.DirichletProcess(1.0)).n_components
    DirichletProcess(concentration=1.0)

    Short texts; columns are the words cat, dog, stock, bond:

    >>> import math
    >>> texts = [[1, 1, 0, 0], [2, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 2, 1], [0, 0, 0, 2]]
    >>> fit = hbm.fit(texts, hbm.MixtureModel(4, n_components=2, alpha=math.inf, beta=0.1))
    >>> fit.labels.tolist(), fit.beta.round(2).tolist()
    ([1, 1, 1, 0, 0, 0], [[0.01, 0.02, 0.42, 0.55], [0.49, 0.48, 0.02, 0.02]])
    """

    n_categories: int
    n_components: int | priors.DirichletProcess
    alpha: priors.AlphaPrior | float
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
        multinomial = isinstance(alpha, Real) and alpha == math.inf
        component = HierarchicalModel(n_categories, alpha=None if multinomial else alpha, beta=beta)
        if multinomial and (not isinstance(component.beta, priors.Dirichlet) or component.beta.is_learned):
            raise ValueError(
                "alpha=math.inf needs a Dirichlet prior of beta of known concentration, such as beta=0.1; got "
                f"beta={component.beta}"
            )
        if not isinstance(n_components, priors.DirichletProcess):
            n_components = positive_int(n_components, "n_components")
        object.__setattr__(self, "n_categories", component.n_categories)
        object.__setattr__(self, "n_components", n_components)
        object.__setattr__(self, "alpha", math.inf if multinomial else component.alpha)
        object.__setattr__(self, "beta", component.beta)
        object.__setattr__(self, "weights", finite_float(weights, "weights", positive=True))

    @property
    def is_multinomial(self) -> bool:
        """Whether the groups of a component are multinomial, ``alpha=math.inf``.

        Examples
        --------
        >>> import math
        >>> import hbm_fast as hbm
        >>> hbm.MixtureModel(2, n_components=3, alpha=math.inf).is_multinomial
        True
        """
        return not isinstance(self.alpha, priors.AlphaPrior)

    @property
    def component(self) -> HierarchicalModel:
        """The model of the groups of one component.

        Raises
        ------
        ValueError
            With ``alpha=math.inf``, which a HierarchicalModel does not have.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> hbm.MixtureModel(2, n_components=3, alpha=2.0).component
        HierarchicalModel(2, alpha=Fixed(value=2.0), beta=Dirichlet(concentration=1.0))
        """
        if not isinstance(self.alpha, priors.AlphaPrior):
            raise ValueError(
                "with alpha=math.inf the components are multinomials, and no HierarchicalModel; pass a finite alpha or "
                "a prior of it"
            )
        return HierarchicalModel(self.n_categories, alpha=self.alpha, beta=self.beta)

    def __repr__(self) -> str:
        weights = "" if isinstance(self.n_components, priors.DirichletProcess) else f", weights={self.weights}"
        return (
            f"MixtureModel({self.n_categories}, n_components={self.n_components}, alpha={self.alpha}, "
            f"beta={self.beta}{weights})"
        )
