"""fit(counts): maximum likelihood, or the mode under a Gamma prior, of one concentration shared by all groups."""

import math
from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _validate, errors, priors
from hbm_fast._typing import CountsLike, Floats, RNGLike
from hbm_fast.fitting.newton import Optimum, maximize
from hbm_fast.fitting.objective import MomentSums, Objective
from hbm_fast.fitting.population import PopulationFit, fit_population
from hbm_fast.fitting.profile import log_totals, profile
from hbm_fast.fitting.result import FitResult, Outcome
from hbm_fast.models import PopulationModel
from hbm_fast.sufficient_statistics import SufficientStatistics
from hbm_fast.tables.inputs import as_counts, check_layer

_ROUNDING = 1e-12  # relative, of sums over groups


@overload
def fit(
    counts: CountsLike | SufficientStatistics,
    model: None = None,
    *,
    prior: priors.Gamma | priors.Exponential | None = None,
    weights: ArrayLike | None = None,
    category_names: Sequence[str] | None = None,
    max_iterations: int = 200,
    layer: str | None = None,
) -> FitResult: ...
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
    model: PopulationModel | None = None,
    *,
    prior: priors.Gamma | priors.Exponential | None = None,
    weights: ArrayLike | None = None,
    category_names: Sequence[str] | None = None,
    max_iterations: int = 200,
    layer: str | None = None,
    rng: RNGLike = None,
    n_threads: int | None = None,
) -> FitResult | PopulationFit:
    """Fit one concentration to all groups, or the population of many datasets: maximum likelihood, or a mode.

    Parameters
    ----------
    counts : array_like of whole numbers (N, K), a table (N, K), or SufficientStatistics
        One group a row. A table is what `hbm_fast.tables.as_counts` takes: a data frame, a CountTable, scipy.sparse and
        others. SufficientStatistics, added up chunk by chunk, may replace tables of any length.
    model : PopulationModel, optional
        Empirical Bayes: counts are many datasets (N_b, K), and mu, tau, kappa and m maximise their marginal likelihood,
        whatever their priors. None: one concentration shared by all groups.
    prior : Gamma or Exponential, optional
        Independent prior of every concentration; the result is then the mode of the posterior density of log
        concentration (Holmes, Harris & Quince 2012). None: maximum likelihood.
    weights : non-negative array (N,), optional
        Multiplicity of each row; default those of a CountTable.
    category_names : sequence of K str, optional
        Kept in the result; default those of the table.
    max_iterations : int, default 200
    layer : str, optional
        The layer of AnnData that holds the counts; default ``X``.
    rng : None, int, SeedSequence, BitGenerator or Generator
        With a PopulationModel: of the draws that approximate its marginal likelihood.
    n_threads : int, optional
        With a PopulationModel.

    Returns
    -------
    FitResult, or PopulationFit for a PopulationModel: ``.model`` is a HierarchicalModel with the learned priors

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
        Where Newton's method used all iterations, or rounding stopped it short of a maximum.

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

    References
    ----------
    Holmes, Harris & Quince (2012), PLoS ONE 7:e30126, doi:10.1371/journal.pone.0030126.

    Levin & Reeds (1977), Annals of Statistics 5:79, doi:10.1214/aos/1176343741.

    Minka (2000), "Estimating a Dirichlet distribution", technical report, MIT.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> fit = hbm.fit(hbm.datasets.load_pollen().counts)
    >>> fit.concentration.round(3).tolist(), round(fit.log_likelihood, 3)
    ([51.895, 0.989, 5.345, 1.966], -507.822)
    >>> hbm.fit([[5, 5], [5, 5], [5, 5]]).at_infinity
    True
    """
    if isinstance(model, PopulationModel):
        if prior is not None or weights is not None:
            raise ValueError("prior and weights are not for a PopulationModel, whose likelihood alone is maximised")
        return fit_population(
            counts,
            model,
            rng=rng,
            n_threads=n_threads,
            max_iterations=_validate.positive_int(max_iterations, "max_iterations"),
            category_names=category_names,
            layer=layer,
        )
    if model is not None:
        raise TypeError(f"model must be a PopulationModel or None; got {model!r}")
    stats, names = _statistics(counts, weights, category_names, layer)
    gamma = _gamma(prior)
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


def _gamma(prior: priors.Gamma | priors.Exponential | None) -> priors.Gamma | None:
    if prior is None or isinstance(prior, priors.Gamma):
        return prior
    if isinstance(prior, priors.Exponential):
        return priors.Gamma(1.0, rate=prior.rate)
    raise TypeError(
        f"prior must be priors.Gamma, priors.Exponential or None; got {prior!r}. hbm.sample takes any prior, one with "
        "a learned concentration of beta too"
    )


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


__all__ = ["FitResult", "PopulationFit", "fit"]
