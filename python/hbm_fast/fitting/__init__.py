"""fit(counts): maximum likelihood, or the mode under a Gamma prior, of one concentration shared by all groups."""

import math
from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _validate, errors, priors
from hbm_fast._typing import CountsLike, Floats, RNGLike
from hbm_fast.fitting.gamma_prior import independent_gamma
from hbm_fast.fitting.hierarchical import fit_hierarchical
from hbm_fast.fitting.many import ManyFits, fit_many
from hbm_fast.fitting.mixture import Progress, Start, fit_mixture
from hbm_fast.fitting.mixture_classifier import MixtureClassifier, fit_classes
from hbm_fast.fitting.mixture_result import MixtureFit
from hbm_fast.fitting.mixture_selection import ComponentSelection, select_components
from hbm_fast.fitting.newton import Optimum, maximize
from hbm_fast.fitting.objective import MomentSums, Objective
from hbm_fast.fitting.population import PopulationFit, fit_population
from hbm_fast.fitting.profile import log_totals, profile
from hbm_fast.fitting.regression import fit_regression
from hbm_fast.fitting.regression_result import RegressionFit
from hbm_fast.fitting.result import FitResult, Outcome
from hbm_fast.models import HierarchicalModel, MixtureModel, PopulationModel, RegressionModel
from hbm_fast.sufficient_statistics import SufficientStatistics
from hbm_fast.tables.inputs import as_counts, check_layer

_ROUNDING = 1e-12  # relative, of sums over groups


_MIXTURE_OPTIONS = ("group_names", "n_starts", "start", "rng", "n_threads", "progress", "labels")
_POPULATION_OPTIONS = ("rng", "n_threads")
_REGRESSION_OPTIONS = ("data", "design", "precision_design", "n_threads", "integration")


@overload
def fit(
    counts: CountsLike | SufficientStatistics,
    model: HierarchicalModel | None = None,
    *,
    prior: priors.Gamma | priors.Exponential | None = None,
    weights: ArrayLike | None = None,
    category_names: Sequence[str] | None = None,
    max_iterations: int = 200,
    layer: str | None = None,
) -> FitResult: ...
@overload
def fit(
    counts: CountsLike,
    model: MixtureModel,
    *,
    prior: priors.Gamma | priors.Exponential | None = None,
    weights: ArrayLike | None = None,
    category_names: Sequence[str] | None = None,
    group_names: Sequence[str] | None = None,
    max_iterations: int = 200,
    n_starts: int = 24,
    start: Start | None = None,
    rng: RNGLike = None,
    n_threads: int | None = None,
    progress: Progress = False,
    labels: None = None,
    layer: str | None = None,
) -> MixtureFit: ...
@overload
def fit(
    counts: CountsLike,
    model: MixtureModel,
    *,
    prior: priors.Gamma | priors.Exponential | None = None,
    weights: ArrayLike | None = None,
    category_names: Sequence[str] | None = None,
    group_names: Sequence[str] | None = None,
    max_iterations: int = 200,
    n_starts: int = 24,
    rng: RNGLike = None,
    n_threads: int | None = None,
    progress: Progress = False,
    labels: Sequence[Any],
    layer: str | None = None,
) -> MixtureClassifier: ...
@overload
def fit(
    counts: Any,
    model: RegressionModel,
    *,
    prior: Literal["model"] | priors.Normal | None = None,
    weights: ArrayLike | None = None,
    category_names: Sequence[str] | None = None,
    max_iterations: int = 200,
    data: Any = None,
    design: ArrayLike | None = None,
    precision_design: ArrayLike | None = None,
    n_threads: int | None = None,
    layer: str | None = None,
    integration: Literal["laplace", "quadrature"] = "laplace",
) -> RegressionFit: ...
@overload
def fit(
    counts: Any,
    model: PopulationModel,
    *,
    category_names: Sequence[str] | None = None,
    max_iterations: int = 200,
    layer: str | None = None,
    rng: RNGLike = None,
    n_threads: int | None = None,
) -> PopulationFit: ...
def fit(
    counts: Any,
    model: HierarchicalModel | MixtureModel | PopulationModel | RegressionModel | None = None,
    *,
    prior: Any = None,
    weights: ArrayLike | None = None,
    category_names: Sequence[str] | None = None,
    max_iterations: int = 200,
    layer: str | None = None,
    **options: Any,
) -> FitResult | MixtureFit | MixtureClassifier | PopulationFit | RegressionFit:
    """Fit one concentration to all groups, or a model: maximum likelihood, or the posterior mode under a prior.

    Parameters
    ----------
    counts : array_like of whole numbers (N, K), a table (N, K), or SufficientStatistics
        One group a row. A table is what `hbm_fast.tables.as_counts` takes: a data frame, a CountTable, scipy.sparse and
        others. SufficientStatistics, added up chunk by chunk, may replace tables of any length.
    model : HierarchicalModel, MixtureModel, RegressionModel or PopulationModel, optional
        One concentration, whose posterior mode under the priors of the model is found; components, each with a
        concentration of its own; mean proportions and precision that depend on covariates; or empirical Bayes: counts
        are many datasets (N_b, K), and mu, tau, kappa and m maximise their marginal likelihood, whatever their priors.
        None: maximum likelihood of one concentration shared by all groups.
    prior : Gamma or Exponential, optional
        Independent prior of every concentration; the result is then the mode of the posterior density of log
        concentration (Holmes, Harris & Quince 2012). None: maximum likelihood. With a HierarchicalModel or a
        MixtureModel: in place of the model's priors, which apply without it. With a RegressionModel: ``"model"``, its
        priors, or a `priors.Normal` of the coefficients of the mean in place of the model's.
    weights : non-negative array (N,), optional
        Multiplicity of each row; default those of a CountTable.
    category_names : sequence of K str, optional
        Kept in the result; default those of the table.
    max_iterations : int, default 200
    layer : str, optional
        The layer of AnnData that holds the counts; default ``X``.
    group_names : sequence of N str, optional
        With a MixtureModel: kept in the result; default those of the table.
    n_starts : int, default 24
        With a MixtureModel: starts of the search, half by k-means++ in Hellinger distance, half refined by k-means;
        a single one is the best of three refined seedings. Of multinomial components (``alpha=math.inf``) 8 by default,
        each by Gibbs sampling of the labels.
    start : (array_like (J,), array_like (J, K)), optional
        With a MixtureModel: weights and concentrations to go on from, in place of a search; of multinomial components
        weights and proportions.
    rng : None, int, SeedSequence, BitGenerator or Generator
        With a MixtureModel: seed of the search. None: a hash of the sorted rows, so that the same table gives the same
        result in any order of its rows. With a PopulationModel: of the draws that approximate its marginal likelihood.
    n_threads : int, optional
        With a model; the result does not depend on it.
    progress : bool or callable
        With a MixtureModel: True writes the finished share to stderr; a function is called with it.
    labels : sequence of N names, optional
        With a MixtureModel: the known class of each group. Each class has a mixture of its own, and the result
        classifies new groups.
    data : data frame, optional
        With a RegressionModel: the covariates of its formulas and its subjects, one row a group (pandas, polars,
        pyarrow or a dict of columns).
    design, precision_design : array_like (N, P), (N, Q), optional
        With a RegressionModel: the columns of the mean and of the precision as they are, in place of the formulas; no
        intercept is added.
    integration : ``"laplace"`` or ``"quadrature"``
        How random intercepts are integrated out: by Laplace's approximation, or for K = 2 by adaptive Gauss-Hermite
        quadrature with 25 nodes, which is nearly exact.

    Returns
    -------
    FitResult, or MixtureFit, PopulationFit or RegressionFit for the model of that name; MixtureClassifier with labels
        ``.model`` of a PopulationFit is a HierarchicalModel with the learned priors.

    Raises
    ------
    TypeError
        For counts or weights of a wrong type, or another prior.
    ValueError
        For wrong shapes, negative values, data without a single count, or weights so large or small that they
        cannot be added up in float64.

    Warns
    -----
    ConvergenceWarning
        Where Newton's method used all iterations, or rounding stopped it short of a maximum; where Ctrl-C
        ended the search of a mixture (the result is then the best so far).

    Notes
    -----
    For given alpha the likelihood has one maximum over the proportions, because it is concave in them, under a Gamma
    prior too; in alpha it may have several where the groups' totals differ. (For given proportions and equal totals
    it has one at most: Levin & Reeds 1977.) So the profile, the largest value for given alpha, is evaluated on a grid
    with spacing 1 in log alpha, over a range beyond which it has no maximum except close to the multinomial, and
    Newton's method starts from each of its maxima; the result is the highest. In log concentration minus the Hessian is
    ``diag(d) - t a a'`` (Minka 2000), so that the cost of a step does not depend on N.

    Without a prior there may be no maximum. The profile tends to the multinomial as alpha goes to infinity, from above
    where ``S = sum_nk x_nk (x_nk - 1) / beta_k - sum_n M_n (M_n - 1)`` is positive at the pooled proportions. Where no
    maximum is higher than the multinomial the outcome is ``"infinity"``. Groups that are all of one category have
    their maximum at alpha = 0.

    The log posterior of a mixture has many maxima. L-BFGS in the metric of the complete data's information climbs from
    every start; then two solutions are joined, the components whose loss costs least are dropped, and L-BFGS goes on
    from there; the best distinct maxima are kept. Maximum likelihood of a mixture is not offered: its supremum is
    infinite. Of multinomial components expectation-maximisation climbs, extrapolated (Varadhan & Roland 2008), in the
    density of the logs of proportions: a Dirichlet of a concentration below 1 has no mode in the proportions.

    References
    ----------
    Holmes, Harris & Quince (2012), PLoS ONE 7:e30126, doi:10.1371/journal.pone.0030126.

    Levin & Reeds (1977), Annals of Statistics 5:79, doi:10.1214/aos/1176343741.

    Minka (2000), "Estimating a Dirichlet distribution", technical report, MIT.

    Varadhan & Roland (2008), Scandinavian Journal of Statistics 35:335, doi:10.1111/j.1467-9469.2007.00585.x.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> fit = hbm.fit(hbm.datasets.load_pollen().counts)
    >>> fit.concentration.round(3).tolist(), round(fit.log_likelihood, 3)
    ([51.895, 0.989, 5.345, 1.966], -507.822)
    >>> hbm.fit([[5, 5], [5, 5], [5, 5]]).at_infinity
    True
    """
    common: dict[str, Any] = {
        "prior": prior,
        "weights": weights,
        "category_names": category_names,
        "max_iterations": max_iterations,
        "layer": layer,
    }
    if isinstance(model, MixtureModel):
        _validate.keywords(options, _MIXTURE_OPTIONS, "fit with a MixtureModel")
        labels = options.pop("labels", None)
        if labels is not None:
            return fit_classes(counts, model, labels, **common, **options)
        return fit_mixture(counts, model, **common, **options)
    if isinstance(model, RegressionModel):
        _validate.keywords(options, _REGRESSION_OPTIONS, "fit with a RegressionModel")
        return fit_regression(counts, model, **common, **options)
    if isinstance(model, PopulationModel):
        _validate.keywords(options, _POPULATION_OPTIONS, "fit with a PopulationModel")
        return fit_population(counts, model, **common, **options)
    if model is not None and not isinstance(model, HierarchicalModel):
        raise TypeError(
            "model must be a HierarchicalModel, a MixtureModel, a PopulationModel, a RegressionModel or None; "
            f"got {model!r}"
        )
    _validate.keywords(options, (), "fit without a model" if model is None else "fit with a HierarchicalModel")
    if model is not None and prior is None:
        return fit_hierarchical(counts, model, **{name: common[name] for name in common if name != "prior"})
    stats, names = _statistics(counts, weights, category_names, layer)
    if model is not None:
        _validate.same_categories(stats.n_categories, model)
    gamma = independent_gamma(prior, "hbm.sample takes any prior, one with a learned concentration of beta too")
    steps = _validate.positive_int(max_iterations, "max_iterations")
    moments = MomentSums(stats)
    if moments.n_filled == 0:
        raise ValueError("counts must hold at least one count; every group is empty")
    if gamma is None:
        result = _maximum_likelihood(stats, moments, names, steps)
    else:
        result = _mode(stats, moments, gamma, names, steps)
    if result.outcome == "unfinished":
        errors.warn(result.message, errors.ConvergenceWarning)
    return result


def _statistics(
    counts: CountsLike | SufficientStatistics,
    weights: ArrayLike | None,
    category_names: Sequence[str] | None,
    layer: str | None,
) -> tuple[SufficientStatistics, tuple[str, ...] | None]:
    """The statistics and the names of the categories."""
    if isinstance(counts, SufficientStatistics):
        if weights is not None:
            raise ValueError("weights belong to rows: pass them where the statistics are added up")
        check_layer(counts, "counts", layer)
        names = _validate.names(category_names, "category_names", counts.n_categories) or counts.category_names
        stats = counts
    else:
        given = as_counts(counts, layer=layer, category_names=category_names)
        if not _validate.is_sparse(given.counts):
            _validate.counts(given.counts)
        stats, names = SufficientStatistics(given, weights=weights), given.category_names
    if stats.n_categories < 2:
        raise ValueError(f"counts must have at least two categories; got {stats.n_categories}")
    return stats, names


def _maximum_likelihood(
    stats: SufficientStatistics, moments: MomentSums, names: tuple[str, ...] | None, max_iterations: int
) -> FitResult:
    active = moments.sums > 0
    pooled = moments.sums / moments.sums.sum()
    multinomial = moments.log_multinomial()
    if moments.total_factorial_moment == 0 or active.sum() == 1:
        return _limit(moments, "undetermined", pooled, multinomial, names)
    if moments.present.sum() - moments.n_filled <= _ROUNDING * moments.n_filled:  # every group is of one category
        share = moments.present / moments.present.sum()
        return _limit(moments, "zero", share, float(moments.present[active] @ np.log(share[active])), names)
    objective = Objective(stats, active=active)
    curve = profile(objective, log_totals(moments), moments.present[active], moments.sums[active])
    # The series in 1 / A of the log-likelihood less the multinomial's begins with S / 2: where S is not positive the
    # profile lies below the multinomial there.
    above = moments.overdispersion_score(pooled) > _ROUNDING * moments.total_factorial_moment
    optima = _optima(objective, curve.maxima(beyond=above), max_iterations)
    if optima:
        best = optima[0].curvature
        rounding = max(1e-12 * abs(multinomial), 2.0 * objective.resolution(best.concentration))
        if best.value > multinomial + rounding:
            return _found(moments, optima[0], active, names, None)
    return _limit(moments, "infinity", pooled, multinomial, names)


def _mode(
    stats: SufficientStatistics,
    moments: MomentSums,
    prior: priors.Gamma,
    names: tuple[str, ...] | None,
    max_iterations: int,
) -> FitResult:
    normalizer = prior.shape * math.log(prior.rate) - math.lgamma(prior.shape)
    objective = Objective(stats, prior.shape, prior.rate, moments.n_categories * normalizer)
    totals = log_totals(moments, prior.shape, prior.rate)
    curve = profile(objective, totals, moments.present + prior.shape, moments.sums + prior.shape)
    optima = _optima(objective, curve.maxima(beyond=True), max_iterations)
    return _found(moments, optima[0], np.ones(moments.n_categories, dtype=np.bool_), names, prior)


def _optima(objective: Objective, starts: list[Floats], max_iterations: int) -> list[Optimum]:
    """Maxima that Newton's method finds from each start, the highest first."""
    optima = [maximize(objective, start, max_iterations=max_iterations) for start in starts]
    return sorted(optima, key=lambda optimum: -optimum.curvature.value)


def _found(
    moments: MomentSums,
    optimum: Optimum,
    active: NDArray[np.bool_],
    names: tuple[str, ...] | None,
    prior: priors.Gamma | None,
) -> FitResult:
    here, k = optimum.curvature, moments.n_categories
    concentration, error = np.zeros(k), np.full(k, np.nan)
    concentration[active] = here.concentration
    if here.definiteness > 0:
        error[active] = here.concentration * np.sqrt(here.variance())
    log_likelihood, log_posterior, log_evidence = here.value, None, None
    if prior is not None:
        log_posterior = here.value
        log_likelihood -= float(np.sum(prior.log_density(np.log(concentration))))
        log_determinant = here.log_determinant() if here.definiteness > 0 else math.nan
        log_evidence = log_posterior + 0.5 * (k * math.log(2.0 * math.pi) - log_determinant)
    return FitResult(
        concentration=concentration,
        log_likelihood=min(log_likelihood, 0.0),  # a sum of large terms may round to above 0
        standard_error=error,
        alpha=float(concentration.sum()),
        beta=concentration / concentration.sum(),
        outcome="maximum" if optimum.converged else "unfinished",
        n_groups=moments.n_filled,
        n_parameters=int(active.sum()),
        multinomial_log_likelihood=moments.log_multinomial(),
        prior=prior,
        log_posterior=log_posterior,
        log_evidence=log_evidence,
        n_iterations=optimum.n_iterations,
        category_names=names,
        _curvature=here,
    )


def _limit(
    moments: MomentSums, outcome: Outcome, beta: Floats, log_likelihood: float, names: tuple[str, ...] | None
) -> FitResult:
    alpha = {"infinity": math.inf, "zero": 0.0}.get(outcome, math.nan)
    return FitResult(
        concentration=np.where(beta > 0, alpha, 0.0),
        log_likelihood=log_likelihood,
        standard_error=np.full(len(beta), np.nan),
        alpha=alpha,
        beta=beta,
        outcome=outcome,
        n_groups=moments.n_filled,
        n_parameters=int((beta > 0).sum()) - 1,
        multinomial_log_likelihood=moments.log_multinomial(),
        category_names=names,
    )


__all__ = [
    "ComponentSelection",
    "FitResult",
    "ManyFits",
    "MixtureClassifier",
    "MixtureFit",
    "PopulationFit",
    "RegressionFit",
    "fit",
    "fit_many",
    "select_components",
]
