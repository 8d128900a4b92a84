"""The hierarchical Dirichlet-multinomial model: a frozen description without computation."""

from dataclasses import dataclass
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _core, priors
from hbm_fast._display import Displayed
from hbm_fast._validate import counts as _counts
from hbm_fast._validate import no_symbol, positive_int
from hbm_fast.tables.inputs import as_counts, check_layer


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
        ``priors.Dirichlet(priors.Exponential(1))`` learns one concentration for all categories from the counts.

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

    @classmethod
    def for_table(cls, counts: Any, *, layer: str | None = None) -> Self:
        """Weakly informative priors for a table's K and totals: a heavy-tailed alpha, a learned concentration of beta.

        The default priors are those of Le (2020), for bags of marbles: in a table of many categories their beta,
        Dirichlet(1, ..., 1), weighs as much as K groups of one category each, and their alpha is rarely above 5.

        Parameters
        ----------
        counts : array_like (N, K) or (B, N, K), list of (N_b, K), table or SufficientStatistics
            As `hbm_fast.sample` takes them. Only K and the median total of the groups with counts are used; weights
            are numbers of groups.
        layer : str, optional
            The layer of AnnData that holds the counts; default ``X``.

        Returns
        -------
        HierarchicalModel
            ``alpha ~ HalfCauchy(sqrt(M))`` with M the median total. log alpha is then symmetric about log sqrt(M), half
            way between alpha = 1 (the first draw of a group is worth as much as the prior) and alpha = M (groups that
            hardly vary more than under a multinomial), with 90 % of its probability within a factor of 13 and tails
            that counts overrule (Gelman 2006, doi:10.1214/06-BA117A).

            ``beta ~ Dirichlet(c, ..., c), c ~ Exponential(1)`` for K of 3 and more: from c near 0, where few
            categories hold nearly all counts, to Dirichlet(1, ..., 1) and some way beyond. For K = 2 one proportion
            says nothing about c, and beta ~ Dirichlet(1, 1), which `hbm_fast.exact_posterior` takes.

        Raises
        ------
        ValueError
            For a table without a single count, or other than K >= 2 categories.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> hbm.HierarchicalModel.for_table([[60, 30, 10], [0, 100, 0]])  # doctest: +NORMALIZE_WHITESPACE
        HierarchicalModel(3, alpha=HalfCauchy(scale=10.0), beta=Dirichlet(concentration=Exponential(rate=1.0)))
        """
        statistics = getattr(counts, "_core", None)
        if isinstance(statistics, _core.statistics.SufficientStatistics):
            check_layer(counts, "counts", layer)
            n_categories = statistics.n_categories
            totals, weights = statistics.pairs(n_categories)
        else:
            given = as_counts(counts, layer=layer)
            table = _counts(given.dense(), ndim=(2, 3))
            n_categories = table.shape[-1]
            totals = table.sum(axis=-1).ravel()
            weights = np.ones(totals.size) if given.weights is None else given.weights
        filled = (totals > 0) & (weights > 0)
        if not filled.any():
            raise ValueError("counts must hold at least one count: the totals of its groups set the scale of alpha")
        beta = priors.Dirichlet(priors.Exponential(1.0) if n_categories > 2 else 1.0)
        scale = float(np.sqrt(_median(totals[filled], weights[filled])))
        return cls(n_categories, alpha=priors.HalfCauchy(scale), beta=beta)

    def __repr__(self) -> str:
        return f"HierarchicalModel({self.n_categories}, alpha={self.alpha}, beta={self.beta})"


def check_hierarchical(model: Any, name: str) -> None:
    """Raise for a model of another class; ``name`` is that of the function, which takes a HierarchicalModel alone."""
    if not isinstance(model, HierarchicalModel):
        raise TypeError(f"model must be a HierarchicalModel, the only one that {name} takes; got {model!r:.100}")


def known_concentration(model: HierarchicalModel, name: str, instead: str) -> HierarchicalModel:
    """The model, refused where the concentration of beta is learned; the message names the function and what to use."""
    check_hierarchical(model, name)
    if isinstance(model.beta, priors.Dirichlet) and model.beta.is_learned:
        raise ValueError(
            f"{name} needs a known concentration of beta; the model learns it, beta={model.beta}. {instead}, or fix "
            "the concentration, such as beta=0.5"
        )
    return model


def _median(values: NDArray[Any], weights: NDArray[Any]) -> float:
    """The median of values of which each occurs as often as its weight."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order], dtype=np.float64)
    half = reached[-1] / 2.0
    middle = [np.searchsorted(reached, half, side=side) for side in ("left", "right")]
    return float(np.mean(values[order][middle]))


def _alpha_prior(alpha: priors.AlphaPrior | float | None) -> priors.AlphaPrior:
    if alpha is None:
        return priors.Exponential(1.0)
    if isinstance(alpha, priors.AlphaPrior):
        return alpha
    if isinstance(alpha, Real) and not isinstance(alpha, bool):
        return priors.Fixed(float(alpha))
    no_symbol(alpha, "alpha")
    raise TypeError(f"alpha must be a prior of hbm_fast.priors or a number that fixes it; got {alpha!r}")


def _beta_prior(beta: priors.Dirichlet | priors.FixedBeta | ArrayLike | None) -> priors.Dirichlet | priors.FixedBeta:
    if beta is None:
        return priors.Dirichlet(1.0)
    if isinstance(beta, priors.Dirichlet | priors.FixedBeta):
        return beta
    no_symbol(beta, "beta")
    try:
        array = np.asarray(beta, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            "beta must be priors.Dirichlet, such as priors.Dirichlet(priors.Exponential(1)), priors.FixedBeta, a "
            f"number or an array of K numbers; got {beta!r}"
        ) from None
    return priors.Dirichlet(float(array) if array.ndim == 0 else tuple(array.tolist()))
