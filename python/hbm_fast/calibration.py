"""Checks of methods of inference: simulation-based calibration, coverage, distances to the exact posterior."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _validate, _weighted, errors
from hbm_fast._display import Displayed
from hbm_fast._typing import Floats, RNGLike
from hbm_fast.models import HierarchicalModel, check_hierarchical
from hbm_fast.posterior import Posterior
from hbm_fast.priors import Dirichlet, Fixed, FixedBeta
from hbm_fast.quadrature import Quadrature
from hbm_fast.simulation import simulate

_BINS = 21  # of the ranks; an even number of degrees of freedom has a closed tail probability
_MAX_CORRELATION = 0.2


@dataclass(frozen=True, eq=False, repr=False)
class Calibration(Displayed):
    """Ranks of the true parameters among posterior draws, which are uniform where the inference is right.

    The converse does not hold: uniform ranks of these quantities are necessary for a right posterior, not sufficient
    (see `simulation_based_calibration`).

    Attributes
    ----------
    names : tuple of str
        Q quantities: ``"log_alpha"``, ``"beta[0]"``, ...; ``"beta_concentration"`` where the model learns it;
        ``"theta[0]"``, ... of a group drawn at random; and ``"log_likelihood"``, log p(counts | alpha, beta). Of two
        categories the second is ranked, of many the first ten.
    ranks : ndarray (Q, B)
        Number of the L thinned draws below the truth: 0..L.
    n_ranks : int
        L + 1, the number of values of a rank.
    autocorrelation : float
        Autocorrelation of the thinned draws. Where it is not near zero, the ranks are not uniform even for a right
        sampler.
    """

    names: tuple[str, ...]
    ranks: NDArray[np.int64]
    n_ranks: int
    autocorrelation: float

    @property
    def p_values(self) -> dict[str, float]:
        """p-value of a chi-square test that the ranks are uniform, in 21 bins, for each quantity."""
        expected = self.ranks.shape[1] / _BINS
        result = {}
        for name, ranks in zip(self.names, self.ranks, strict=True):
            found = np.bincount(ranks * _BINS // self.n_ranks, minlength=_BINS)
            result[name] = _chi_square_tail(float(((found - expected) ** 2).sum() / expected), _BINS - 1)
        return result

    @property
    def p_value(self) -> float:
        """The smallest p-value, with Bonferroni's correction for the number of quantities."""
        return min(1.0, len(self.names) * min(self.p_values.values()))

    def coverage(self, levels: ArrayLike = (0.5, 0.8, 0.95)) -> Floats:
        """Share of the central credible intervals that contain the truth: (Q,) + the shape of levels.

        Its standard error is sqrt(level (1 - level) / B). Levels are met to within 1 / n_ranks.
        """
        level = _validate.probabilities(levels, "levels")
        position = (self.ranks + 0.5) / self.n_ranks
        inside = np.abs(2.0 * position - 1.0)[(..., *(np.newaxis,) * level.ndim)] <= level
        return np.asarray(inside.mean(axis=1))

    def __repr__(self) -> str:
        """The first rows of what is printed, in at most ten lines."""
        lines = str(self).splitlines()
        return "\n".join(lines if len(lines) <= 10 else [*lines[:8], f"... {len(lines) - 9} rows ...", lines[-1]])

    def __str__(self) -> str:
        covered = self.coverage()
        lines = [f"{'':14}{'p value':>10}{'50%':>8}{'80%':>8}{'95%':>8}"]
        for (name, p), row in zip(self.p_values.items(), covered, strict=True):
            lines.append(f"{name:14}{p:10.3g}" + "".join(f"{100 * c:7.1f}%" for c in row))
        return "\n".join([*lines, f"{self.ranks.shape[1]} datasets, {self.n_ranks} ranks"])


@_weighted.far_tails
def simulation_based_calibration(
    infer: Callable[[Any], Posterior],
    model: HierarchicalModel,
    n_datasets: int = 1000,
    *,
    n_groups: int | tuple[int, int] | ArrayLike,
    totals: int | tuple[int, int] | ArrayLike,
    n_ranks: int = 63,
    batch: int = 1,
    theta: bool = True,
    rng: RNGLike = None,
) -> Calibration:
    """Rank the parameters of simulated datasets among posterior draws, which makes uniform ranks of right inference.

    Parameters
    ----------
    infer : callable
        ``infer(counts)`` gives a Posterior: of counts (N, K), or of (B, N, K) where ``batch`` is above 1. Every call
        needs other random numbers: pass one Generator as its ``rng``, not one seed.
    model : HierarchicalModel
    n_datasets : int
    n_groups, totals
        As in ``simulate``; ragged datasets are padded with groups of total 0.
    n_ranks : int
        A multiple of 21, and far below the effective number of draws: ``n_ranks - 1`` draws are kept, evenly spaced
        over the chains, so that autocorrelation does not spoil the ranks. Weighted draws are resampled.
    batch : int
        Number of datasets in one call of ``infer``.
    theta : bool
        Whether to rank a group's theta too.
    rng : None, int, SeedSequence, BitGenerator or Generator

    Returns
    -------
    Calibration
        Ranks of log alpha, beta, a group's theta, and, as the last row, of log p(counts | alpha, beta).

    Raises
    ------
    ValueError
        Where ``n_ranks`` is no multiple of 21, or a posterior has fewer draws.

    Warns
    -----
    ConvergenceWarning
        Where even the thinned draws are correlated: ``infer`` should draw more.

    Notes
    -----
    A right posterior has uniform ranks. Uniform ranks do not prove that it is right: ranks of the parameters alone are
    uniform too for draws of the prior, for a posterior that ignores part of the data, and for draws of alpha and beta
    that are not paired. The rank of log p(counts | alpha, beta) of all the counts detects the first two and, where
    alpha and beta are dependent in the posterior, the third (Modrák et al. 2023). No rank shows errors that cancel over
    the prior, errors in datasets that are rare under it, errors in functions of the parameters that are not ranked, and
    deviations too small for the number of datasets (with 600, a posterior 10 % too narrow). To check the answer for
    one dataset, compare it with another method.

    References
    ----------
    Talts, Betancourt, Simpson, Vehtari and Gelman 2018, arXiv:1804.06788

    Modrák, Moon, Kim, Bürkner, Huurre, Faltejsková, Gelman and Vehtari 2023, doi:10.1214/23-BA1404

    Examples
    --------
    >>> import numpy as np
    >>> import hbm_fast as hbm
    >>> rng = np.random.default_rng(0)
    >>> result = hbm.calibration.simulation_based_calibration(
    ...     lambda counts: hbm.exact_posterior(counts, n_draws=62, rng=rng),
    ...     hbm.HierarchicalModel(2), 20, n_groups=3, totals=5, rng=0,
    ... )
    >>> result.names, result.ranks.shape
    (('log_alpha', 'beta[1]', 'theta[1]', 'log_likelihood'), (4, 20))
    """
    n_ranks = _validate.positive_int(n_ranks, "n_ranks", minimum=_BINS)
    if n_ranks % _BINS:
        raise ValueError(f"n_ranks must be a multiple of {_BINS}, so that its bins are equal; got {n_ranks}")
    batch = _validate.positive_int(batch, "batch")
    check_hierarchical(model, "simulation_based_calibration")
    sims = simulate(model, n_datasets, n_groups=n_groups, totals=totals, rng=rng, theta=False, log_theta=True)
    assert sims.counts is not None
    assert sims.log_theta is not None
    generator = np.random.default_rng(sims.key)
    groups = generator.integers(sims.n_groups)
    names, shown = _quantities(model, theta), _shown(model.n_categories)
    ranks = np.empty((len(names), n_datasets), dtype=np.int64)
    correlations = []
    for first in range(0, n_datasets, batch):
        last = min(first + batch, n_datasets)
        found = infer(sims.counts[first:last] if batch > 1 else sims.counts[first])
        for b, post in zip(range(first, last), found if batch > 1 else [found], strict=True):
            chosen = _thinned(post, n_ranks - 1, generator)
            log_beta = post.log_beta.reshape(-1, model.n_categories)[chosen]
            truth, drawn = [], []
            if "log_alpha" in names:
                truth.append(sims.log_alpha[b : b + 1])
                drawn.append(post.log_alpha.ravel()[chosen][:, np.newaxis])
            if not isinstance(model.beta, FixedBeta):
                truth.append(sims.log_beta[b, shown])
                drawn.append(log_beta[:, shown])
            if sims.beta_concentration is not None:
                truth.append(sims.beta_concentration[b : b + 1])
                drawn.append(post.beta_concentration.ravel()[chosen][:, np.newaxis])
            if theta:
                truth.append(sims.log_theta[b, groups[b], shown])
                drawn.append(post.log_theta(int(groups[b])).reshape(-1, model.n_categories)[chosen, shown])
            # one call for the truth and the draws: equal parameters then have likelihoods equal to the last bit
            log_alpha = np.append(sims.log_alpha[b], post.log_alpha.ravel()[chosen])
            both = np.concatenate([sims.log_beta[b : b + 1], log_beta])
            own = Posterior(log_alpha[np.newaxis], both[np.newaxis], model=model, counts=sims.counts[b])
            log_likelihood = own.log_likelihood(coefficient=False)[0].sum(axis=-1)
            truth.append(log_likelihood[:1])
            drawn.append(log_likelihood[1:, np.newaxis])
            table, values = np.concatenate(drawn, axis=1), np.concatenate(truth)
            ties = generator.integers(0, (table == values).sum(axis=0) + 1)
            ranks[:, b] = (table < values).sum(axis=0) + ties
            correlations.append(_lag_one(table))
    autocorrelation = _largest_mean(np.array(correlations))
    if autocorrelation > _MAX_CORRELATION:
        errors.warn(
            f"draws {n_ranks - 1} apart still have an autocorrelation of {autocorrelation:.2f}: their ranks are not "
            "uniform even if the sampler is right. Let infer draw more, or pass a smaller n_ranks.",
            errors.ConvergenceWarning,
        )
    return Calibration(names, ranks, n_ranks, autocorrelation)


@dataclass(frozen=True)
class Distance(Displayed):
    """Distances of one marginal to the exact one: Wasserstein-1 in the parameter's units, and Kolmogorov-Smirnov.

    Attributes
    ----------
    w1, ks : float
    """

    w1: float
    ks: float


@_weighted.far_tails
def distance(post: Posterior, exact: Posterior) -> dict[str, Distance]:
    """Distances of the marginals of draws to those of an exact posterior of the same data.

    Parameters
    ----------
    post : Posterior
        Of two categories, weighted or not.
    exact : Posterior
        The result of ``exact_posterior`` for the same counts.

    Returns
    -------
    dict
        ``"log_alpha"`` and ``"beta"`` (of category 1): ``Distance(w1, ks)``, Wasserstein-1 and Kolmogorov-Smirnov. D
        independent draws from the exact posterior have ``ks`` of about 0.87 / sqrt(D). The ``ks`` of beta is that of
        log(beta[1] / beta[0]), which has the same order and distinguishes values that round to a beta of 0 or 1.

    Raises
    ------
    TypeError
        Where ``exact`` was not made by ``exact_posterior``.
    ValueError
        For a batch, or other than two categories.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> exact = hbm.exact_posterior([[3, 0], [0, 4]], n_draws=4000, rng=0)
    >>> hbm.calibration.distance(exact, exact)["log_alpha"].ks < 0.03
    True
    """
    quadrature = _exact(exact)
    if post.log_alpha.ndim != 2 or post.n_categories != 2:
        raise ValueError(f"post must be of one dataset with two categories; got {post!r}")
    n_draws = post.log_alpha.size
    log_weights = np.full(n_draws, -np.log(n_draws)) if post.log_weights is None else post.log_weights.ravel()
    levels = (np.arange(2000) + 0.5) / 2000
    beta, logit = post.beta[..., 1].ravel(), (post.log_beta[..., 1] - post.log_beta[..., 0]).ravel()
    result = {}
    for name, values, ranked_name, ranked in (
        ("log_alpha", post.log_alpha.ravel(), "log_alpha", post.log_alpha.ravel()),
        ("beta", beta, "logit_beta", logit),
    ):
        ks = ks_distance(ranked, np.exp(log_weights), partial(quadrature.cdf, ranked_name))
        ideal = quadrature.quantile(name, levels).reshape(levels.size, -1)[:, -1]
        drawn = _weighted.quantile(values[np.newaxis], log_weights[np.newaxis], levels)[:, 0]
        result[name] = Distance(float(np.abs(drawn - ideal).mean()), ks)
    return result


def ks_distance(values: Floats, weights: Floats, cdf: Callable[[Floats], Floats]) -> float:
    """Kolmogorov-Smirnov distance of weighted draws to a distribution function.

    Parameters
    ----------
    values, weights : array (S,)
        The draws, and their weights, which sum to one.
    cdf : callable
        ``cdf(x (S,))`` of the reference distribution.

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> import hbm_fast as hbm
    >>> uniform = (np.arange(10) + 0.5) / 10
    >>> round(hbm.calibration.ks_distance(uniform, np.full(10, 0.1), lambda x: x), 3)
    0.05
    """
    order = np.argsort(values)
    below, mass = np.cumsum(weights[order]), weights[order]
    expected = cdf(values[order])
    return float(max(np.abs(below - expected).max(), np.abs(below - mass - expected).max()))


@_weighted.far_tails
def kl_divergence(exact: Posterior, log_density: Callable[[Floats, Floats], Floats]) -> float:
    """Kullback-Leibler divergence KL(exact || q), by the nodes of the quadrature.

    Parameters
    ----------
    exact : Posterior
        The result of ``exact_posterior``.
    log_density : callable
        ``log_density(log_alpha (S,), logit_beta (S,))`` of q, normalised in (log alpha, log(beta[1] / beta[0])).

    Returns
    -------
    float

    Raises
    ------
    TypeError
        Where ``exact`` was not made by ``exact_posterior``.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> exact = hbm.exact_posterior([[3, 0], [0, 4]])
    >>> abs(hbm.calibration.kl_divergence(exact, exact.moments.log_density)) < 1e-9
    True
    """
    quadrature = _exact(exact)
    logit = quadrature.log_beta[:, 1] - quadrature.log_beta[:, 0]
    mine = quadrature.log_density(quadrature.log_alpha, logit)
    theirs = np.asarray(log_density(quadrature.log_alpha, logit), dtype=np.float64)
    return float(_weighted.average((mine - theirs)[np.newaxis], quadrature.log_weights[np.newaxis])[0])


def _exact(exact: Posterior) -> Quadrature:
    if not isinstance(exact.moments, Quadrature):
        raise TypeError(f"exact must be the result of exact_posterior for one dataset; got {exact!r}")
    return exact.moments


def _shown(n_categories: int) -> slice:
    """The components that are ranked: of two categories the second, of more the first ten."""
    return slice(1, 2) if n_categories == 2 else slice(0, 10)


def _quantities(model: HierarchicalModel, theta: bool) -> tuple[str, ...]:
    """Names of the quantities that are not fixed."""
    shown = range(model.n_categories)[_shown(model.n_categories)]
    names: list[str] = []
    if not isinstance(model.alpha, Fixed):
        names.append("log_alpha")
    if not isinstance(model.beta, FixedBeta):
        names += [f"beta[{k}]" for k in shown]
    if isinstance(model.beta, Dirichlet) and model.beta.is_learned:
        names.append("beta_concentration")
    if theta:
        names += [f"theta[{k}]" for k in shown]
    return (*names, "log_likelihood")


def _thinned(post: Posterior, n: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """n of the flattened draws: evenly spaced, or at random by their weights."""
    total = post.log_alpha.size
    if total < n:
        raise ValueError(f"the posterior has {total} draws; n_ranks needs {n}: let infer draw more")
    if post.log_weights is not None:
        return generator.choice(total, size=n, p=np.exp(post.log_weights.ravel()))
    return (np.arange(n) * total // n + total // (2 * n)).astype(np.intp)


def _largest_mean(correlations: Floats) -> float:
    """The largest of the means over datasets (B, Q); a quantity that is constant in every draw counts as 0."""
    known = np.isfinite(correlations)
    means = np.where(known, correlations, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return float(means.max())


def _lag_one(table: Floats) -> Floats:
    centred = table - table.mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((centred[1:] * centred[:-1]).sum(axis=0) / (centred**2).sum(axis=0))


def _chi_square_tail(x: float, degrees: int) -> float:
    """P(chi-square > x) for an even number of degrees of freedom: the first terms of a Poisson distribution."""
    terms = np.arange(degrees // 2)
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, degrees // 2)))])
    return float(np.exp(terms * np.log(max(0.5 * x, 1e-300)) - 0.5 * x - log_factorials).sum())


__all__ = ["Calibration", "Distance", "distance", "kl_divergence", "ks_distance", "simulation_based_calibration"]
