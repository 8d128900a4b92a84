"""Weighted draws: averages, quantiles, resampling, effective numbers. The last axis of weights is that of the draws."""

import numpy as np
from numpy.typing import NDArray

from hbm_fast._typing import Floats

# A decorator for functions that take exponentials of far tails: these become 0 or infinite, under any numpy.seterr.
far_tails = np.errstate(over="ignore", under="ignore")


@far_tails
def normalise(log_weights: Floats) -> Floats:
    """Log weights whose exponentials sum to one along the last axis."""
    largest = log_weights.max(axis=-1, keepdims=True)
    shifted = log_weights - largest
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def average(values: Floats, log_weights: Floats | None) -> Floats:
    """Weighted mean over S of values (B, S, ...), weights (B, S)."""
    if log_weights is None:
        return np.asarray(values.mean(axis=1))
    weights = np.exp(log_weights)
    return np.asarray(np.einsum("bs,bs...->b...", weights, values))


def log_mean_exp(values: Floats, log_weights: Floats | None) -> tuple[Floats, Floats]:
    """log of the weighted mean over S of exp(values) (B, S, ...), and Kish's effective number of draws in that mean.

    The effective number is that of the weights times exp(values); 0 where the mean is zero.
    """
    if log_weights is None:
        log_weights = np.full(values.shape[:2], -np.log(values.shape[1]))
    terms = values + log_weights.reshape(log_weights.shape + (1,) * (values.ndim - 2))
    largest = terms.max(axis=1, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0.0)
    shares = np.exp(terms - largest)
    total, squares = shares.sum(axis=1), (shares**2).sum(axis=1)
    with np.errstate(divide="ignore"):
        value = np.log(total) + largest[:, 0]
    return value, total**2 / np.where(squares > 0.0, squares, 1.0)


def quantile(values: Floats, log_weights: Floats | None, q: Floats) -> Floats:
    """Quantiles (Q, B, ...) over S of values (B, S, ...), of weighted draws by the inverse distribution function.

    The quantile is the smallest draw at which the cumulative weight reaches q (definition 1 of Hyndman & Fan 1996,
    doi:10.1080/00031305.1996.10473566). Draws of weight zero are ignored: q = 0 and q = 1 give the smallest and the
    largest of the others. Without weights: `numpy.quantile`, which interpolates between two draws.
    """
    if log_weights is None:
        return np.asarray(np.quantile(values, q, axis=1))
    weights = np.exp(log_weights).reshape(log_weights.shape + (1,) * (values.ndim - 2))
    order = np.argsort(values, axis=1)
    ascending = np.take_along_axis(values, order, axis=1)
    weights = np.take_along_axis(np.broadcast_to(weights, values.shape), order, axis=1)
    reached = np.cumsum(weights, axis=1)
    reached /= reached[:, -1:]
    n_draws = values.shape[1]
    largest = n_draws - 1 - np.argmax(weights[:, ::-1] > 0.0, axis=1)
    rounding = n_draws * np.finfo(np.float64).eps  # of cumsum: ten draws of weight 1 / 10 reach 0.3 with the third
    result = np.empty((q.size, values.shape[0], *values.shape[2:]))
    for row, level in zip(result, q, strict=True):
        below = ((reached <= 0.0) | (reached < level - rounding)).sum(axis=1)
        picked = largest if level == 1.0 else np.minimum(below, largest)
        row[...] = np.take_along_axis(ascending, picked[:, np.newaxis], axis=1)[:, 0]
    return result


def resample(weights: Floats, target: Floats, uniform: Floats) -> NDArray[np.intp]:
    """Resampling indices (S,) from ``weights`` to ``target`` that keep the weights of the slots.

    They are the identity where both are equal.

    Slot i has the interval of length weights[i] of (0, 1); its draw is the one that a uniform point of this interval
    selects by the inverse distribution function of ``target``. The average over slots with ``weights`` is therefore
    unbiased for the average over draws with ``target``; for equal weights this is stratified resampling.
    """
    edges = np.cumsum(weights)
    points = (edges - weights + uniform * weights) / edges[-1]
    cumulative = np.cumsum(target)
    picked = np.searchsorted(cumulative / cumulative[-1], points, side="right")
    return np.asarray(np.minimum(picked, weights.size - 1))


def effective_size(log_weights: Floats) -> Floats:
    """Kish's effective number of draws, 1 / sum w^2, along the last axis."""
    return np.asarray(np.exp(-np.log(np.exp(2.0 * log_weights).sum(axis=-1))))


def pareto_k(log_ratios: Floats) -> float:
    """Shape of the generalised Pareto tail of the largest ratios (Vehtari et al. 2024; fit of Zhang & Stephens 2009,
    doi:10.1198/tech.2009.08017), from their logs (S,)."""
    n = log_ratios.size
    tail = int(min(0.2 * n, 3.0 * np.sqrt(n)))
    if tail < 5:
        return float("inf")
    ordered = np.sort(log_ratios)
    x = np.exp(ordered[-tail:] - ordered[-1]) - np.exp(ordered[-tail - 1] - ordered[-1])
    return _pareto_tail(x)[0]


def pareto_smoothed(log_ratios: Floats) -> tuple[Floats, float]:
    """Normalised log weights whose largest are quantiles of the fitted Pareto tail, and its shape (Vehtari et al. 2024,
    arXiv:1507.02646), from the logs of ratios (S,)."""
    n = log_ratios.size
    tail = int(min(0.2 * n, 3.0 * np.sqrt(n)))
    result = log_ratios - log_ratios.max()
    if tail < 5:
        return normalise(result), float("inf")
    order = np.argsort(result)
    largest = order[-tail:]
    cut = np.exp(result[order[-tail - 1]])
    k, scale = _pareto_tail(np.exp(result[largest]) - cut)
    if np.isfinite(k):
        p = (np.arange(tail) + 0.5) / tail
        quantiles = np.expm1(-k * np.log1p(-p)) * scale / k if abs(k) > 1e-9 else -scale * np.log1p(-p)
        result[largest] = np.minimum(np.log(quantiles + cut), 0.0)
    return normalise(result), k


def _pareto_tail(x: Floats) -> tuple[float, float]:
    """Shape and scale of a generalised Pareto distribution of the sorted excesses x (S,)."""
    tail = x.size
    if x[-1] <= 0.0:
        return float("-inf"), 0.0
    x = np.maximum(x, np.finfo(float).tiny)
    m = 30 + int(np.sqrt(tail))
    quartile = x[int(tail / 4 + 0.5) - 1]
    b = 1.0 / x[-1] + (1.0 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))) / (3.0 * quartile)
    k = np.log1p(-b[:, None] * x).mean(1)
    log_likelihood = tail * (np.log(-b / k) - k - 1.0)
    weights = np.exp(log_likelihood - log_likelihood.max())
    weights /= weights.sum()
    mean = float(weights @ b)
    fitted = float(np.log1p(-mean * x).mean())
    # a weak prior towards 1/2, worth ten points of the tail
    return (tail * fitted + 5.0) / (tail + 10.0), -fitted / mean
