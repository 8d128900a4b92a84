"""Means and intervals of the proportions of all groups at once, from closed forms instead of draws.

Given (alpha, beta), theta_nk is Beta(c, A - c) with c = alpha beta_k + x_nk and A = alpha + M_n; the posterior of
theta_nk is the mixture of these over the draws of (alpha, beta). Its mean and variance are sums over the draws. Its
quantiles are those of the Beta distribution with that mean and variance where the components are alike, and else those
of a mixture of such Beta distributions, one for each of some bins of the draws.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _memory, _weighted
from hbm_fast._optional import import_optional
from hbm_fast._typing import Floats

if TYPE_CHECKING:
    from hbm_fast.posterior.posterior import Posterior

# Estimated error of a quantile above which bins are used. The estimate is the standard deviation times how unlike the
# components are; measured errors are at most 0.8 of it, on tables of 2 to 130 categories, 0 to 1,000 counts a group.
_TOLERANCE = 4e-4
_BINS = (32, 8)  # of alpha, and in each of them of beta_k
# Estimated error above which the bins' quantiles, off by up to 0.005 there, are corrected by all draws.
_ROUGH = 0.01
_LARGEST_STEP = 0.02  # of that correction: the density is tiny between two modes
_PRECISION = 1e-5  # of quantiles that are found by Newton's method
_LARGEST_SIZE = 1e14  # sum of the parameters of a Beta distribution: beyond, scipy's quantiles are NaN
_VALUES_AT_ONCE = 1_000_000


def frame(post: "Posterior", probability: float) -> Any:
    """The table of ``Posterior.proportions``."""
    pandas = import_optional("pandas", "report")
    tails = np.array([0.5 - probability / 2.0, 0.5 + probability / 2.0])
    batch = post.log_alpha.ndim == 3
    datasets = list(post) if batch else [post]
    counts = np.stack([one._data() for one in datasets])  # (B, N, K)
    if post._theta_draws is None:
        found = np.stack([_of_dataset(one, tails) for one in datasets], axis=1)
    else:
        found = np.stack([_of_draws(post, group, tails) for group in range(counts.shape[1])], axis=2)
        found = found.reshape(3, *counts.shape)
    totals = counts.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        raw = counts / totals
    labels = [
        *([("dataset", post.dataset_names or range(len(post)))] if batch else []),
        ("group", post.group_names or range(counts.shape[1])),
        ("category", post.category_names or range(counts.shape[2])),
    ]
    index = pandas.MultiIndex.from_product([names for _, names in labels], names=[name for name, _ in labels])
    columns = dict(zip(("mean", "lower", "upper"), found.reshape(3, -1), strict=True))
    table = pandas.DataFrame({"count": counts.ravel(), "raw": raw.ravel(), **columns}, index=index).reset_index()
    if batch and post.group_names is None:  # rows of zeros at the end pad a ragged batch
        present = np.cumsum(totals[:, ::-1, 0], axis=1)[:, ::-1] > 0
        table = table[np.repeat(present.ravel(), counts.shape[2])].reset_index(drop=True)
    return table


def _of_draws(post: "Posterior", group: int, tails: Floats) -> Floats:
    """Means and both quantiles (3, B, K) of a group whose theta is drawn by a network."""
    theta = post.theta(group).reshape(post._flat_beta().shape)
    weights = post._flat_weights()
    return np.stack([_weighted.average(theta, weights), *_weighted.quantile(theta, weights, tails)])


@_weighted.far_tails
def _of_dataset(post: "Posterior", tails: Floats) -> Floats:
    """Means and both quantiles (3, N, K) of the groups of one dataset."""
    special = import_optional("scipy.special", "report")
    log_alpha, log_beta, log_weights = post._nodes()
    alpha, beta, rest = np.exp(log_alpha[0]), np.exp(log_beta[0]), -np.expm1(log_beta[0])
    weights = np.full(alpha.size, 1.0 / alpha.size) if log_weights is None else np.exp(log_weights[0])
    counts = post._data()
    mean, variance, unlike = _moments(log_alpha[0], beta, weights, counts)
    result = np.stack([mean, *_beta_quantiles(special, mean, variance, tails)])
    error = np.sqrt(variance) * unlike
    for k in range(counts.shape[1]):
        rows = np.flatnonzero(error[:, k] > _TOLERANCE)
        for part in _memory.chunks(rows.size, alpha.size, _VALUES_AT_ONCE):
            chosen = rows[part]
            pairs = np.stack([counts[chosen, k], counts[chosen].sum(axis=1)], axis=1)
            parts = _binned(alpha, beta[:, k], weights, pairs)
            result[1:, chosen, k] = _mixture_quantiles(special, *parts, tails, result[1:, chosen, k])
            rough = error[chosen, k] > _ROUGH
            shapes = alpha * beta[:, k] + pairs[rough, :1], alpha * rest[:, k] + pairs[rough, 1:] - pairs[rough, :1]
            bounds = result[1:, chosen[rough], k]
            result[1:, chosen[rough], k] = _corrected(special, weights, shapes, tails, bounds)
    return result


def _moments(log_alpha: Floats, beta: Floats, weights: Floats, counts: NDArray[Any]) -> tuple[Floats, Floats, Floats]:
    """Means and variances (N, K) of the mixtures, and how unlike their components are.

    The third is the share of the variance that lies between the components, plus the squared coefficient of variation
    of 1 / (A + 1). With raw = x / M and s = alpha / (alpha + M), a component has the mean raw + d, d = s (beta - raw),
    and the variance of that mean times (1 - mean) / (A + 1). The averages of d and d^2 over the draws, with and without
    the factor 1 / (A + 1), are matrix products of one row for each different total.
    """
    totals, inverse = np.unique(counts.sum(axis=1), return_inverse=True)
    raw = counts / np.maximum(totals, 1)[inverse, np.newaxis]
    with_one, squares = np.column_stack([beta, np.ones(weights.size)]), beta**2
    linear = np.empty((2, 2, totals.size, beta.shape[1] + 1))  # of s beta and s^2 beta, without and with 1 / (A + 1)
    quadratic = np.empty((2, totals.size, beta.shape[1]))  # of s^2 beta^2
    scale, spread = np.empty((2, totals.size, 1))
    for part in _memory.chunks(totals.size, weights.size, _VALUES_AT_ONCE):
        total = totals[part, np.newaxis].astype(np.float64)
        with np.errstate(divide="ignore"):
            shrink = 1.0 / (1.0 + np.exp(np.log(total) - log_alpha))
        inner = 1.0 / (np.exp(log_alpha) + total + 1.0)
        scale[part, 0] = inner @ weights
        spread[part, 0] = (inner / scale[part] - 1.0) ** 2 @ weights
        for i, factor in enumerate((weights, weights * inner)):
            linear[i, 0, part] = (factor * shrink) @ with_one
            linear[i, 1, part] = (factor * shrink**2) @ with_one
            quadratic[i, part] = (factor * shrink**2) @ squares

    def of_d(i: int) -> tuple[Floats, Floats]:
        once, twice = linear[i][:, inverse]
        d = once[:, :-1] - raw * once[:, -1:]
        return d, quadratic[i][inverse] - 2.0 * raw * twice[:, :-1] + raw**2 * twice[:, -1:]

    (d, d_squared), (d_inner, d_squared_inner) = of_d(0), of_d(1)
    between = np.maximum(d_squared - d**2, 0.0)
    within = raw * (1.0 - raw) * scale[inverse] + (1.0 - 2.0 * raw) * d_inner - d_squared_inner
    variance = np.maximum(between + within, 0.0)
    unlike = between / np.maximum(variance, np.finfo(np.float64).tiny) + spread[inverse]
    return raw + d, variance, unlike


def _binned(alpha: Floats, beta: Floats, weights: Floats, pairs: NDArray[Any]) -> tuple[Floats, Floats, Floats]:
    """Weights (G,), means and variances (R, G) of the mixture's parts: the draws in bins of alpha and of beta_k.

    ``pairs`` (R, 2) are the count and the total of each group.
    """
    by_alpha = _ranks(alpha, weights, _BINS[0])
    bins = np.empty(alpha.size, np.intp)
    for i in range(_BINS[0]):
        inside = np.flatnonzero(by_alpha == i)
        bins[inside] = i * _BINS[1] + _ranks(beta[inside], weights[inside], _BINS[1])
    order = np.argsort(bins, kind="stable")
    starts = np.flatnonzero(np.diff(bins[order], prepend=-1))
    w, a, b = weights[order], alpha[order], beta[order]
    mass = np.add.reduceat(w, starts)
    x, total = pairs[:, :1].astype(np.float64), pairs[:, 1:].astype(np.float64)
    size = a + total
    means = np.where(size > 0.0, (a * b + x) / np.where(size > 0.0, size, 1.0), b)

    def average(values: Floats) -> Floats:
        return np.asarray(np.add.reduceat(w * values, starts, axis=1) / mass)

    mean = average(means)
    centred = means - np.repeat(mean, np.diff(starts, append=w.size), axis=1)
    return mass, mean, average(centred**2 + means * (1.0 - means) / (size + 1.0))


def _ranks(values: Floats, weights: Floats, n: int) -> NDArray[np.intp]:
    """The bin of each draw, 0 to n - 1, of about equal weights."""
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    result = np.empty(values.size, np.intp)
    if values.size:
        middles = cumulative - 0.5 * weights[order]
        result[order] = np.minimum(
            (n * middles / max(cumulative[-1], np.finfo(np.float64).tiny)).astype(np.intp), n - 1
        )
    return result


def _shapes(mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Both parameters of the Beta distributions with these moments, kept within what `scipy.special` computes."""
    size = mean * (1.0 - mean) / np.maximum(variance, np.finfo(np.float64).tiny) - 1.0
    size = np.clip(size, 1e-300, _LARGEST_SIZE)
    return np.maximum(mean * size, 1e-300), np.maximum((1.0 - mean) * size, 1e-300)


def _beta_quantiles(special: Any, mean: Floats, variance: Floats, tails: Floats) -> Floats:
    """Quantiles (2, ...) of the Beta distributions with these moments; the mean where the variance is 0."""
    shapes = _shapes(mean, variance)
    return np.stack([np.where(variance > 0.0, special.betaincinv(*shapes, level), mean) for level in tails])


def _mixture_quantiles(
    special: Any, mass: Floats, mean: Floats, variance: Floats, tails: Floats, start: Floats
) -> Floats:
    """Quantiles (2, R) of mixtures of G Beta distributions, by Newton's method kept in a shrinking interval."""
    shapes = _shapes(mean, variance)
    log_norm = special.betaln(*shapes)
    result = start.copy()
    for x, level in zip(result, tails, strict=True):
        low, high = np.zeros(x.size), np.ones(x.size)
        x[:] = np.clip(x, 1e-6, 1.0 - 1e-6)
        active = np.arange(x.size)
        for _ in range(60):
            at = x[active, np.newaxis]
            below, density = _distribution(special, mass, (shapes[0][active], shapes[1][active]), log_norm[active], at)
            excess = below - level
            low[active] = np.where(excess < 0.0, x[active], low[active])
            high[active] = np.where(excess < 0.0, high[active], x[active])
            with np.errstate(divide="ignore", invalid="ignore"):
                new = x[active] - excess / density
            inside = (new > low[active]) & (new < high[active])
            new = np.where(inside, new, 0.5 * (low[active] + high[active]))
            moved, x[active] = np.abs(new - x[active]), new
            active = active[moved > _PRECISION]
            if not active.size:
                break
    return result


def _corrected(special: Any, weights: Floats, shapes: tuple[Floats, Floats], tails: Floats, bounds: Floats) -> Floats:
    """Quantiles (2, R) after two steps of Newton's method with the Beta distributions (R, S) of all draws."""
    shapes = np.maximum(shapes[0], 1e-300), np.maximum(shapes[1], 1e-300)
    log_norm = special.betaln(*shapes)
    result = bounds.copy()
    for x, level in zip(result, tails, strict=True):
        for _ in range(2):
            below, density = _distribution(special, weights, shapes, log_norm, x[:, np.newaxis])
            step = (level - below) / np.maximum(density, np.finfo(np.float64).tiny)
            x[:] = np.clip(x + np.clip(step, -_LARGEST_STEP, _LARGEST_STEP), 0.0, 1.0)
    return result


def _distribution(
    special: Any, mass: Floats, shapes: tuple[Floats, Floats], log_norm: Floats, at: Floats
) -> tuple[Floats, Floats]:
    """Distribution functions and densities (R,) of R mixtures of G Beta distributions, each at one point."""
    left, right = shapes
    log_density = special.xlogy(left - 1.0, at) + special.xlog1py(right - 1.0, -at) - log_norm
    return special.betainc(left, right, at) @ mass, np.exp(log_density) @ mass
