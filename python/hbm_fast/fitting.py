"""fit(counts): maximum likelihood, or the mode under a Gamma prior, of one concentration shared by all groups."""

import math
import warnings
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from hbm_fast import _validate, priors
from hbm_fast._fitting_newton import Optimum, maximize
from hbm_fast._fitting_objective import Floats, Objective, Tables
from hbm_fast.errors import ConvergenceWarning

Outcome = Literal["maximum", "infinity", "zero", "undetermined", "unfinished"]

_MESSAGES: dict[str, str] = {
    "maximum": "a maximum was found",
    "infinity": "no finite maximum: the likelihood grows with alpha towards that of a multinomial, "
    "the groups being no more unlike than draws from the same proportions",
    "zero": "no positive maximum: every group is of one category, and the likelihood grows as alpha falls to 0",
    "undetermined": "the likelihood does not depend on alpha: no group has two counts, or there is one category only",
    "unfinished": "Newton's method ran out of iterations; pass a larger max_iterations",
}


@dataclass(frozen=True, eq=False)
class FitResult:
    """What `fit` found.

    Parameters
    ----------
    concentration : float64 array (K,)
        ``alpha * beta``. Exactly 0 for a category that never occurs (maximum likelihood only), infinite where
        ``at_infinity``, 0 where ``at_zero``, NaN where the data say nothing about alpha.
    log_likelihood : float
        Of the counts, with the multinomial coefficient; its limit where there is no maximum.
    standard_error : float64 array (K,)
        Of each concentration, from the observed information; for a mode under a prior, of log concentration times
        the concentration. NaN where there is no maximum and for categories that never occur.
    alpha : float
        Sum of the concentrations.
    beta : float64 array (K,)
        Proportions.
    outcome : str
        ``"maximum"``, ``"infinity"``, ``"zero"``, ``"undetermined"`` or ``"unfinished"``; ``message`` says it in words.
    n_groups : int or float
        Groups with at least one count (their weights' sum): an empty group is a no-op.
    n_parameters : int
        Free parameters: categories that occur (all K under a prior), one less where alpha went to its limit.
    multinomial_log_likelihood : float
        The largest that a multinomial reaches on the same counts.
    prior : Gamma or None
    log_posterior : float or None
        ``log_likelihood`` plus the log density of the prior on log concentration.
    log_evidence : float or None
        Laplace's approximation in log concentration; None without a prior.
    n_iterations : int
    category_names : tuple of str (K,) or None

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> fit = hbm.fit(hbm.datasets.load_rat_tumors().counts[:70])
    >>> fit.concentration.round(4).tolist()
    [2.3048, 14.0798]
    """

    concentration: Floats
    log_likelihood: float
    standard_error: Floats
    alpha: float
    beta: Floats
    outcome: Outcome
    n_groups: float
    n_parameters: int
    multinomial_log_likelihood: float
    prior: priors.Gamma | None = None
    log_posterior: float | None = None
    log_evidence: float | None = None
    n_iterations: int = 0
    category_names: tuple[str, ...] | None = None
    _log_covariance: Floats | None = field(default=None, repr=False)

    @property
    def converged(self) -> bool:
        """Whether the concentration is a maximum. False at infinity or zero, where none exists: see ``outcome``."""
        return self.outcome == "maximum"

    @property
    def at_infinity(self) -> bool:
        """Whether the likelihood grows for ever with alpha: the multinomial is the best of the family."""
        return self.outcome == "infinity"

    @property
    def at_zero(self) -> bool:
        """Whether the likelihood grows as alpha falls to 0: every group is of one category."""
        return self.outcome == "zero"

    @property
    def message(self) -> str:
        """The outcome in words."""
        return _MESSAGES[self.outcome]

    @property
    def aic(self) -> float:
        """``2 k - 2 log L``."""
        return 2.0 * self.n_parameters - 2.0 * self.log_likelihood

    @property
    def bic(self) -> float:
        """``k log N - 2 log L``, N the number of groups."""
        return self.n_parameters * math.log(self.n_groups) - 2.0 * self.log_likelihood

    @property
    def multinomial_p_value(self) -> float:
        """Of the likelihood-ratio test of the multinomial against overdispersion.

        The multinomial is the end alpha = infinity of the family, so that the statistic is 0 half of the time and
        chi-squared with one degree of freedom otherwise (Self & Liang 1987, doi:10.1080/01621459.1987.10478472).
        """
        statistic = 2.0 * (self.log_likelihood - self.multinomial_log_likelihood)
        return 0.5 * math.erfc(math.sqrt(statistic / 2.0)) if statistic > 0.0 else 1.0

    @property
    def multinomial(self) -> bool:
        """Whether a multinomial does as well: the maximum lies at infinity, or ``multinomial_p_value`` is above 1e-4.

        Of tables that are multinomial, one in ten thousand is called something else.
        """
        return self.outcome in ("infinity", "undetermined") or self.multinomial_p_value > 1e-4

    def interval(self, probability: float = 0.95) -> tuple[Floats, Floats]:
        """Ends of the interval of each concentration, symmetric in its logarithm.

        Parameters
        ----------
        probability : float

        Returns
        -------
        lower, upper : float64 arrays (K,)

        Raises
        ------
        ValueError
            For a probability outside (0, 1).

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> lower, upper = hbm.fit(hbm.datasets.load_pollen().counts).interval()
        >>> upper.round(2).tolist()
        [73.79, 1.43, 7.65, 2.83]
        """
        if not 0.0 < probability < 1.0:
            raise ValueError(f"probability must lie between 0 and 1; got {probability}")
        with np.errstate(invalid="ignore", divide="ignore"):
            width = NormalDist().inv_cdf(0.5 + probability / 2.0) * self.standard_error / self.concentration
            return self.concentration * np.exp(-width), self.concentration * np.exp(width)

    def covariance(self) -> Floats:
        """Of the log concentrations (K, K): the inverse of minus the Hessian; NaN where there is no maximum.

        Raises
        ------
        ValueError
            Never; NaN marks what is unknown.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> hbm.fit(hbm.datasets.load_pollen().counts).covariance().shape
        (4, 4)
        """
        if self._log_covariance is None:
            return np.full((len(self.beta), len(self.beta)), np.nan)
        return self._log_covariance


def fit(
    counts: ArrayLike,
    *,
    prior: priors.Gamma | priors.Exponential | None = None,
    weights: ArrayLike | None = None,
    category_names: list[str] | tuple[str, ...] | None = None,
    max_iterations: int = 200,
) -> FitResult:
    """Fit one concentration to all groups by Newton's method on the exceedance tables.

    Parameters
    ----------
    counts : integer array (N, K)
        One group a row.
    prior : Gamma or Exponential, optional
        Independent prior of every concentration; the result is then the mode of the posterior density of log
        concentration (Holmes, Harris & Quince 2012). None: maximum likelihood.
    weights : non-negative array (N,), optional
        How often each row was seen.
    category_names : sequence of K str, optional
        Kept in the result.
    max_iterations : int, default 200

    Returns
    -------
    FitResult

    Raises
    ------
    TypeError
        For counts or weights of a wrong type, or another prior.
    ValueError
        For wrong shapes, negative values, or data without a single count.

    Warns
    -----
    ConvergenceWarning
        Where Newton's method ran out of iterations.

    Notes
    -----
    In log concentration minus the Hessian is ``diag(d) - t a a'`` (Minka 2000, *Estimating a Dirichlet distribution*):
    a step costs the length of the tables, whatever N. Without a prior there may be no maximum. The slope of the
    likelihood at alpha = infinity has the sign of ``S = sum_nk x_nk (x_nk - 1) / beta_k - sum_n M_n (M_n - 1)``, and
    for given beta the likelihood has one maximum in alpha at most (Levin & Reeds 1977, Annals of Statistics 5:79), so
    that ``S <= 0`` at the pooled proportions says that the multinomial is the limit of a climb. Groups that are all
    of one category have their maximum at alpha = 0.

    References
    ----------
    Holmes, Harris & Quince (2012), PLoS ONE 7:e30126, doi:10.1371/journal.pone.0030126.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> fit = hbm.fit(hbm.datasets.load_pollen().counts)
    >>> fit.concentration.round(3).tolist(), round(fit.log_likelihood, 3)
    ([51.895, 0.989, 5.345, 1.966], -507.822)
    >>> hbm.fit([[5, 5], [5, 5], [5, 5]]).at_infinity
    True
    """
    table = _validate.counts(counts)
    n_groups, n_categories = table.shape
    if n_categories < 2:
        raise ValueError(f"counts must have at least two categories; got shape {table.shape}")
    gamma = _gamma(prior)
    names = _validate.names(category_names, "category_names", n_categories)
    steps = _validate.positive_int(max_iterations, "max_iterations")
    tables = _tables(table, None if weights is None else _validate.weights(weights, n_groups))
    if tables.n_filled == 0:
        raise ValueError("counts must hold at least one count; every group is empty")
    result = _maximum_likelihood(tables, names, steps) if gamma is None else _mode(tables, gamma, names, steps)
    if result.outcome == "unfinished":
        warnings.warn(result.message, ConvergenceWarning, stacklevel=2)
    return result


def _tables(counts: _validate.Counts, weights: Floats | None) -> Tables:
    totals = counts.sum(axis=1, dtype=np.int64)

    def exceedances(values: _validate.Counts) -> Floats:
        histogram = np.bincount(values.astype(np.int64, copy=False), weights=weights).astype(np.float64)
        return np.ascontiguousarray(histogram[::-1].cumsum()[::-1][1:])

    return Tables.of([exceedances(column) for column in counts.T], exceedances(totals))


def _gamma(prior: priors.Gamma | priors.Exponential | None) -> priors.Gamma | None:
    if prior is None or isinstance(prior, priors.Gamma):
        return prior
    if isinstance(prior, priors.Exponential):
        return priors.Gamma(1.0, rate=prior.rate)
    raise TypeError(f"prior must be priors.Gamma, priors.Exponential or None; got {prior!r}")


def _log_multinomial(tables: Tables) -> float:
    sums = tables.sums[tables.sums > 0]
    return float(sums @ np.log(sums / sums.sum())) + tables.log_coefficient


def _excess(tables: Tables, beta: Floats) -> float:
    """S: the sign of the slope of the likelihood in 1 / alpha at alpha = infinity."""
    seen = tables.pairs > 0
    return float((tables.pairs[seen] / beta[seen]).sum()) - tables.total_pairs


def _start(tables: Tables, beta: Floats, excess: float) -> Floats:
    """The moment estimate of alpha: the expectation of S is (K - 1) / (alpha + 1) times the sum of M (M - 1)."""
    alpha = (int((beta > 0).sum()) - 1) * tables.total_pairs / excess - 1.0
    return np.asarray(np.log(beta) + math.log(max(alpha, 1e-2)))


def _maximum_likelihood(tables: Tables, names: tuple[str, ...] | None, max_iterations: int) -> FitResult:
    sums = tables.sums
    active = sums > 0
    pooled = sums / sums.sum()
    multinomial = _log_multinomial(tables)
    if tables.total_pairs == 0 or active.sum() == 1:
        return _limit(tables, "undetermined", pooled, multinomial, names)
    if tables.present.sum() == tables.n_filled:
        share = tables.present / tables.n_filled
        return _limit(tables, "zero", share, float(tables.present[active] @ np.log(share[active])), names)

    inner = tables.restrict(active)
    objective = Objective(inner)
    # Where the pooled proportions lead to infinity, those of the first counts may still lead to a finite maximum.
    for beta in (pooled[active], inner.present / inner.present.sum()):
        excess = _excess(inner, beta)
        if excess <= 0.0:
            continue
        optimum = maximize(objective, _start(inner, beta, excess), max_iterations=max_iterations)
        if optimum.curvature.value > multinomial + 1e-12 * abs(multinomial):
            return _found(tables, active, optimum, objective, names, multinomial, None)
    return _limit(tables, "infinity", pooled, multinomial, names)


def _mode(tables: Tables, prior: priors.Gamma, names: tuple[str, ...] | None, max_iterations: int) -> FitResult:
    normalizer = prior.shape * math.log(prior.rate) - math.lgamma(prior.shape)
    objective = Objective(tables, prior.shape, prior.rate, tables.n_categories * normalizer)
    beta = tables.sums + prior.shape
    beta /= beta.sum()
    excess = max(_excess(tables, beta), 1e-3 * max(tables.total_pairs, 1.0))
    optimum = maximize(objective, _start(tables, beta, excess), max_iterations=max_iterations)
    everywhere = np.ones(tables.n_categories, dtype=np.bool_)
    return _found(tables, everywhere, optimum, objective, names, _log_multinomial(tables), prior)


def _found(
    tables: Tables,
    active: np.ndarray[tuple[int], np.dtype[np.bool_]],
    optimum: Optimum,
    objective: Objective,
    names: tuple[str, ...] | None,
    multinomial: float,
    prior: priors.Gamma | None,
) -> FitResult:
    k = tables.n_categories
    concentration = np.zeros(k)
    concentration[active] = optimum.curvature.concentration
    covariance = np.full((k, k), np.nan)
    if optimum.curvature.reserve > 0:
        covariance[np.ix_(active, active)] = optimum.curvature.covariance()
    log_posterior = log_evidence = None
    if prior is not None:
        log_posterior = optimum.curvature.value
        log_evidence = log_posterior + 0.5 * (k * math.log(2.0 * math.pi) - optimum.curvature.log_determinant())
    return FitResult(
        concentration=concentration,
        log_likelihood=objective.log_likelihood(optimum.curvature.concentration),
        standard_error=concentration * np.sqrt(np.diag(covariance)),
        alpha=float(concentration.sum()),
        beta=concentration / concentration.sum(),
        outcome="maximum" if optimum.converged else "unfinished",
        n_groups=tables.n_filled,
        n_parameters=int(active.sum()),
        multinomial_log_likelihood=multinomial,
        prior=prior,
        log_posterior=log_posterior,
        log_evidence=log_evidence,
        n_iterations=optimum.n_iterations,
        category_names=names,
        _log_covariance=covariance,
    )


def _limit(
    tables: Tables, outcome: Outcome, beta: Floats, log_likelihood: float, names: tuple[str, ...] | None
) -> FitResult:
    alpha = {"infinity": math.inf, "zero": 0.0}.get(outcome, math.nan)
    return FitResult(
        concentration=np.where(beta > 0, alpha, 0.0),
        log_likelihood=log_likelihood,
        standard_error=np.full(len(beta), np.nan),
        alpha=alpha,
        beta=beta,
        outcome=outcome,
        n_groups=tables.n_filled,
        n_parameters=int((beta > 0).sum()) - 1,
        multinomial_log_likelihood=_log_multinomial(tables),
        category_names=names,
    )
