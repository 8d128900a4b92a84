"""log_evidence(counts, model): the log marginal likelihood, every constant and multinomial coefficient included."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from hbm_fast import _validate, priors
from hbm_fast._display import Displayed
from hbm_fast._random import key as new_key
from hbm_fast._typing import Counts, CountsLike, RNGLike
from hbm_fast.evidence import bridge, enumeration
from hbm_fast.evidence.proposals import Points
from hbm_fast.exact import exact_posterior
from hbm_fast.models import HierarchicalModel, MixtureModel, RegressionModel
from hbm_fast.sampling import regression_evidence, sample
from hbm_fast.sufficient_statistics import SufficientStatistics
from hbm_fast.tables.inputs import as_counts

Method = Literal["auto", "quadrature", "bridge", "enumeration"]

_N_CHAINS = 4
_N_DRAWS = 4000  # of each chain: half to fit the proposals, half for the bridge


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
    counts: CountsLike,
    model: HierarchicalModel | MixtureModel | RegressionModel,
    *,
    data: Any = None,
    design: ArrayLike | None = None,
    precision_design: ArrayLike | None = None,
    method: Method = "auto",
    rng: RNGLike = 0,
) -> Evidence:
    """log p(counts | model), all parameters integrated out: what Bayes factors are differences of.

    Parameters
    ----------
    counts : integer array (N, K), or any table that `hbm_fast.sample` takes
    model : HierarchicalModel, MixtureModel or RegressionModel
    data : data frame, optional
        With a RegressionModel: the covariates, one row a group.
    design, precision_design : array_like (N, P), (N, Q), optional
        With a RegressionModel: columns in place of its formulas.
    method : {"auto", "quadrature", "bridge", "enumeration"}
        ``"auto"`` is quadrature for one component and K = 2, enumeration for a Dirichlet process, else bridge sampling.
        Enumeration sums over all partitions, of at most ten groups with counts. A RegressionModel has ``"auto"`` alone:
        importance sampling at the mode where that is nearly exact, else bridge sampling.
    rng : None, int, SeedSequence, BitGenerator or Generator
        Of bridge and importance sampling.

    Returns
    -------
    Evidence
        ``.value``, ``.error`` and ``.method``. Of a mixture all labellings are in the sum: nothing is to be added for
        the numbering of the components.

    Raises
    ------
    TypeError, ValueError
        For a method that does not suit the model, more than ten groups of a Dirichlet process, or more than ten
        components.

    Notes
    -----
    Bridge sampling (Meng & Wong 1996) compares 4 x 2,000 posterior draws with as many of proposals fitted to 4 x 2,000
    others. A component's proposal is an equal mixture of scaled Dirichlets, of gammas with a common tilt, and of
    either of these or the prior; of a mixture of components it is averaged over all labellings. The error is that of
    Frühwirth-Schnatter (2004, doi:10.1111/j.1368-423X.2004.00125.x). It takes for granted that the chains have
    converged, and `hbm_fast.sample` warns where they have not.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> bags = [[9, 0], [8, 1], [0, 9], [1, 8]]
    >>> one = hbm.log_evidence(bags, hbm.HierarchicalModel(2))
    >>> kinds = hbm.log_evidence(bags, hbm.MixtureModel(2, n_components=hbm.priors.DirichletProcess(1.0)))
    >>> round(one.value, 3), round(kinds.value, 3), kinds.method
    (-9.041, -8.532, 'enumeration')
    """
    if not isinstance(model, HierarchicalModel | MixtureModel | RegressionModel):
        raise TypeError(f"model must be a HierarchicalModel, a MixtureModel or a RegressionModel; got {model!r}")
    covariates = {"data": data, "design": design, "precision_design": precision_design}
    if isinstance(model, RegressionModel):
        if method != "auto":
            raise ValueError(f"the evidence of a RegressionModel is by method='auto'; got {method!r}")
        return Evidence(*regression_evidence.log_evidence(counts, model, rng=rng, **covariates))
    for name, value in covariates.items():
        if value is not None:
            raise TypeError(f"{name} holds covariates, and {model!r} has none: leave {name} out")
    if isinstance(counts, SufficientStatistics):
        raise TypeError("counts must be a table of groups: SufficientStatistics have no groups, nor their coefficients")
    if method not in ("auto", "quadrature", "bridge", "enumeration"):
        raise ValueError(f"method must be 'auto', 'quadrature', 'bridge' or 'enumeration'; got {method!r}")
    table = _validate.counts(as_counts(counts).unweighted().dense())
    _validate.same_categories(table.shape[1], model)
    key = new_key(rng)
    if isinstance(model, HierarchicalModel):
        return _of_one(table, model, method, key)
    if isinstance(model.n_components, priors.DirichletProcess):
        if method not in ("auto", "enumeration"):
            raise ValueError(f"the evidence of a Dirichlet process is by method='enumeration'; got {method!r}")
        method = "enumeration"
    elif model.n_components == 1 and method != "enumeration":
        return _of_one(table, model.component, method, key)
    if method == "enumeration":

        def of_block(block: Counts) -> tuple[float, float]:
            found = _of_one(block, model.component, "auto", key)
            return found.value, found.error

        return Evidence(*enumeration.estimate(table, model, of_block), "enumeration")
    if method == "quadrature":
        raise ValueError("method='quadrature' is of one component and K = 2; use 'bridge'")
    return Evidence(*_bridge_of_mixture(table, model, key), "bridge")


def _of_one(table: Counts, model: HierarchicalModel, method: str, key: Any) -> Evidence:
    """Of one component."""
    if method == "enumeration":
        raise ValueError("method='enumeration' is of a mixture; use 'quadrature' or 'bridge'")
    learned = isinstance(model.beta, priors.Dirichlet) and model.beta.is_learned
    exact = model.n_categories == 2 and not learned
    if method == "quadrature" and not exact:
        raise ValueError(f"method='quadrature' needs K = 2 and a known concentration of beta; got {model!r}")
    if exact and method != "bridge":
        post = exact_posterior(table, model, n_draws=1, rng=key)
        return Evidence(float(post.log_evidence), float(post.log_evidence_error), "quadrature")
    draws = sample(table, model, n_chains=_N_CHAINS, n_draws=_N_DRAWS, rng=key)
    log_c = np.log(draws.beta_concentration)[:, :, np.newaxis] if learned else None
    points = bridge.MixturePoints(
        Points(draws.log_alpha[:, :, np.newaxis], draws.log_beta[:, :, np.newaxis], log_c),
        np.zeros((_N_CHAINS, _N_DRAWS, 1)),
    )
    return Evidence(*_bridge(table, model, 1.0, points, key), "bridge")


def _bridge_of_mixture(table: Counts, model: MixtureModel, key: Any) -> tuple[float, float]:
    assert isinstance(model.n_components, int)
    if model.n_components > bridge.MOST_COMPONENTS:
        raise ValueError(
            f"bridge sampling sums over the labellings of at most {bridge.MOST_COMPONENTS} components; "
            f"got n_components={model.n_components}"
        )
    post = sample(table, model, n_chains=_N_CHAINS, n_draws=_N_DRAWS, rng=key)
    order = np.argsort(post.columns, axis=1).reshape(_N_CHAINS, _N_DRAWS, -1)

    def numbered(values: Any) -> Any:
        index = order.reshape(*order.shape, *(1,) * (values.ndim - 3))
        return np.take_along_axis(values, index, axis=2)

    log_c = None if post.beta_concentration is None else numbered(np.log(post.beta_concentration))
    points = bridge.MixturePoints(
        Points(numbered(post.log_alpha), numbered(post.log_beta), log_c), numbered(post.log_weights)
    )
    return _bridge(table, model.component, model.weights, points, key)


def _bridge(
    table: Counts, component: HierarchicalModel, weights: float, points: bridge.MixturePoints, key: Any
) -> tuple[float, float]:
    """From points (C, D, J, ...) whose components are numbered alike."""
    rng = np.random.default_rng(key.tolist())
    first, second = (_joined(points[:, half]) for half in (slice(_N_DRAWS // 2), slice(_N_DRAWS // 2, None)))
    proposal = bridge.MixtureProposal(component, weights, first)
    return bridge.estimate(bridge.Target(table, component, weights), proposal, second, _N_CHAINS, rng)


def _joined(points: bridge.MixturePoints) -> bridge.MixturePoints:
    """Chains one after the other."""

    def flat(values: Any) -> Any:
        return values.reshape(-1, *values.shape[2:])

    one = points.components
    log_c = None if one.log_c is None else flat(one.log_c)
    return bridge.MixturePoints(Points(flat(one.log_alpha), flat(one.log_beta), log_c), flat(points.log_weights))


__all__ = ["Evidence", "log_evidence"]
