"""log_evidence(counts, model): the log marginal likelihood, every constant and multinomial coefficient included."""

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from hbm_fast import _validate, priors
from hbm_fast._display import Displayed
from hbm_fast._random import key as new_key
from hbm_fast._typing import Counts, CountsLike, RNGLike
from hbm_fast.evidence import enumeration, importance
from hbm_fast.models import HierarchicalModel, MixtureModel, RegressionModel
from hbm_fast.posterior import MixturePosterior, RegressionPosterior
from hbm_fast.quadrature import Quadrature
from hbm_fast.sampling import sample
from hbm_fast.sampling.evidence import refuse_multinomial
from hbm_fast.sampling.regression import sample_regression
from hbm_fast.sufficient_statistics import SufficientStatistics
from hbm_fast.tables.inputs import as_counts

Method = Literal["auto", "quadrature", "importance", "bridge", "enumeration"]

_N_CHAINS = 4
_N_DRAWS = 4000  # of each chain: half to fit the proposals, half for the bridge
_MIXTURE_WARMUP = 1000  # a chain may begin in a lower mode
_FEW_CATEGORIES = 200  # of more, a quarter of the draws: they would fill the memory


@dataclass(frozen=True, repr=False)
class Evidence(Displayed):
    """The result of `log_evidence`.

    Attributes
    ----------
    value : float
        log p(counts | model): natural logarithm, multinomial coefficients included.
    error : float
        Its standard error; of a quadrature the estimated error.
    method : str

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> evidence = hbm.log_evidence([[0, 1]], hbm.HierarchicalModel(2))
    >>> round(evidence.value, 4), evidence.method
    (-0.6931, 'quadrature')
    """

    value: float
    error: float
    method: str

    def __repr__(self) -> str:
        return f"Evidence({self.value:.4f} +- {self.error:.2g}, {self.method})"


def log_evidence(
    counts: CountsLike | SufficientStatistics,
    model: HierarchicalModel | MixtureModel | RegressionModel | None = None,
    *,
    data: Any = None,
    design: ArrayLike | None = None,
    precision_design: ArrayLike | None = None,
    method: Method = "auto",
    rng: RNGLike = None,
    coefficient: bool = True,
) -> Evidence:
    """log p(counts | model), all parameters integrated out: what log Bayes factors are differences of.

    Parameters
    ----------
    counts : integer array (N, K), or any table that `hbm_fast.sample` takes
        With a HierarchicalModel SufficientStatistics too.
    model : HierarchicalModel, MixtureModel or RegressionModel, optional
        Default ``HierarchicalModel(K)``.
    data : data frame, optional
        With a RegressionModel: the covariates, one row a group.
    design, precision_design : array_like (N, P), (N, Q), optional
        With a RegressionModel: columns in place of its formulas.
    method : {"auto", "quadrature", "importance", "bridge", "enumeration"}
        ``"auto"`` is, for one component, quadrature where K = 2, then importance sampling where its weights are
        reliable, else bridge sampling; for a mixture bridge sampling; for a Dirichlet process enumeration. Enumeration
        sums over all partitions, of at most ten groups with counts. A RegressionModel has ``"auto"`` alone: importance
        sampling at the mode where that is nearly exact, else bridge sampling.
    rng : None, int, SeedSequence, BitGenerator or Generator
        Of bridge and importance sampling.
    coefficient : bool
        Include the multinomial coefficients. They are the same in all models of the same counts.

    Returns
    -------
    Evidence
        ``.value``, ``.error`` and ``.method``, the method chosen. Of a mixture all labellings are in the sum: nothing
        is to be added for the numbering of the components.

    Raises
    ------
    TypeError, ValueError
        For a model of another class, a method that does not suit the model or the counts, more than ten groups of a
        Dirichlet process, or more than ten components.

    Notes
    -----
    Importance sampling draws a_k = alpha beta_k, which are independent given a tilt of their sum: the likelihood is a
    product over categories times a function of the sum, and that function is nearly a mixture of exponentials
    (weights by the saddle point of its inverse Laplace transform). The proposal is that mixture, the a_k gammas of the
    same mode and curvature given the tilt; its density is exact. 1,000 to 20,000 draws are made, until the standard
    error is below 0.001. The weights must be nearly alike, or have a light tail (Pareto's k below 0.5).

    Bridge sampling (Meng & Wong 1996) compares 4 x 2,000 posterior draws with as many of proposals fitted to 4 x 2,000
    others; for K above 200, a quarter of these. A component's proposal is an equal mixture of scaled Dirichlets, of
    gammas with a common tilt, and of either of these or the prior; of a mixture of components it is averaged over all
    labellings. The error is that of Frühwirth-Schnatter (2004, doi:10.1111/j.1368-423X.2004.00125.x). It takes for
    granted that the chains have converged, and `hbm_fast.sample` warns where they have not. Of a mixture of K >= 20
    categories whose error is above 0.05, chains that lie in a mode whose own evidence is smaller by more than ten nats
    are left out (which changes the sum by less than 0.0001), and the proposals are fitted to clusters of draws with
    similar labels. Modes that no chain has reached are in no evidence.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> bags = [[9, 0], [8, 1], [0, 9], [1, 8]]
    >>> one = hbm.log_evidence(bags, hbm.HierarchicalModel(2))
    >>> kinds = hbm.log_evidence(bags, hbm.MixtureModel(2, n_components=hbm.priors.DirichletProcess(1.0)))
    >>> round(one.value, 3), round(kinds.value, 3), kinds.method
    (-9.041, -8.532, 'enumeration')
    """
    covariates = {"data": data, "design": design, "precision_design": precision_design}
    if model is None:
        table = _table(counts)
        model = HierarchicalModel(table.n_categories if isinstance(table, SufficientStatistics) else table.shape[1])
    elif not isinstance(model, HierarchicalModel | MixtureModel | RegressionModel):
        raise TypeError(
            "model must be a HierarchicalModel, a MixtureModel or a RegressionModel, whose evidence can be computed; "
            f"got {type(model).__name__}: {model!r}"
        )
    if method not in get_args(Method):
        raise ValueError(f"method must be one of {', '.join(map(repr, get_args(Method)))}; got {method!r}")
    if isinstance(model, RegressionModel):
        if method != "auto":
            raise ValueError(f"the evidence of a RegressionModel is by method='auto'; got {method!r}")
        drawn = sample_regression(counts, model, rng=rng, evidence=True, **covariates)
        found = _of_draws(drawn, "importance" if drawn.method == "importance" else "bridge")
        return found if coefficient else _without(found, SufficientStatistics(as_counts(counts).dense()))
    for name, value in covariates.items():
        if value is not None:
            raise TypeError(f"{name} holds covariates, and {model!r} has none: leave {name} out")
    table = _table(counts)
    if isinstance(table, SufficientStatistics):
        if isinstance(model, MixtureModel):
            raise TypeError(f"counts must be a table of groups for {model!r}: SufficientStatistics have no groups")
        statistics, n_categories = table, table.n_categories
    else:
        statistics, n_categories = SufficientStatistics(table), table.shape[1]
    _validate.same_categories(n_categories, model)
    generator = np.random.default_rng(new_key(rng))
    if isinstance(model, HierarchicalModel):
        found = _of_one(statistics, model, method, generator)
    else:
        assert not isinstance(table, SufficientStatistics)
        refuse_multinomial(model)
        found = _of_mixture(table, statistics, model, method, generator)
    return found if coefficient else _without(found, statistics)


def _table(counts: CountsLike | SufficientStatistics) -> Counts | SufficientStatistics:
    """A checked table, or statistics as they are."""
    if isinstance(counts, SufficientStatistics):
        return counts
    return _validate.counts(as_counts(counts).unweighted().dense())


def _without(evidence: Evidence, statistics: SufficientStatistics) -> Evidence:
    """The multinomial coefficients left out."""
    return replace(evidence, value=evidence.value - statistics.log_coefficient)


def _of_one(
    statistics: SufficientStatistics, model: HierarchicalModel, method: str, rng: np.random.Generator
) -> Evidence:
    """Of one component."""
    if method == "enumeration":
        raise ValueError("method='enumeration' is of a mixture; use 'auto', 'quadrature', 'importance' or 'bridge'")
    learned = isinstance(model.beta, priors.Dirichlet) and model.beta.is_learned
    exact = model.n_categories == 2 and not learned
    if method == "quadrature" and not exact:
        raise ValueError(f"method='quadrature' needs K = 2 and a known concentration of beta; got {model!r}")
    if method == "quadrature" or (method == "auto" and exact):
        exactly = Quadrature(statistics, model)
        return Evidence(exactly.log_evidence, exactly.error, "quadrature")
    free = not (learned or isinstance(model.alpha, priors.Fixed) or isinstance(model.beta, priors.FixedBeta))
    if method == "importance" and not free:
        raise ValueError(
            f"method='importance' needs a prior of alpha and a known concentration of beta; got {model!r}. "
            "Use method='bridge'"
        )
    if free and method != "bridge":
        found = importance.estimate(statistics, model, rng)
        if not isinstance(found, str):
            return Evidence(*found, "importance")
        if method == "importance":
            raise ValueError(f"method='importance' does not suit these counts: {found}. Use method='bridge'")
    n_draws = _N_DRAWS if model.n_categories <= _FEW_CATEGORIES else _N_DRAWS // 4
    post = sample(statistics, model, n_chains=_N_CHAINS, n_draws=n_draws, rng=rng, evidence=True)
    return Evidence(post.log_evidence, post.log_evidence_error, "bridge")


def _of_mixture(
    table: Counts, statistics: SufficientStatistics, model: MixtureModel, method: str, rng: np.random.Generator
) -> Evidence:
    is_open = isinstance(model.n_components, priors.DirichletProcess)
    if is_open and method not in ("auto", "enumeration"):
        raise ValueError(f"the evidence of a Dirichlet process is by method='enumeration'; got {method!r}")
    if is_open or method == "enumeration":

        def of_block(block: Counts) -> tuple[float, float]:
            found = _of_one(SufficientStatistics(block), model.component, "auto", rng)
            return found.value, found.error

        return Evidence(*enumeration.estimate(table, model, of_block), "enumeration")
    if model.n_components == 1:
        return _of_one(statistics, model.component, method, rng)
    if method not in ("auto", "bridge"):
        raise ValueError(f"method={method!r} is of one component; use 'bridge'")
    post = sample(table, model, n_chains=_N_CHAINS, n_draws=_N_DRAWS, n_warmup=_MIXTURE_WARMUP, rng=rng, evidence=True)
    return _of_draws(post, "bridge")


def _of_draws(post: MixturePosterior | RegressionPosterior, method: str) -> Evidence:
    assert post.log_evidence is not None
    assert post.log_evidence_error is not None
    return Evidence(post.log_evidence, post.log_evidence_error, method)


__all__ = ["Evidence", "log_evidence"]
