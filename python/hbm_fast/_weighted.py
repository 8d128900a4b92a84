"""Averages, quantiles and resampling of weighted draws: the last axis of weights is the draws."""

import numpy as np
from numpy.typing import NDArray

from hbm_fast._typing import Floats

# A decorator of what takes exponentials of far tails: they become 0 or infinite, whatever numpy.seterr was told.
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
    """log of the weighted mean over S of exp(values) (B, S, ...), and the effective number of draws in that mean.

    That number is Kish's of the weights times exp(values); 0 where the mean is zero.
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

    That is the smallest draw at which the weights summed up to it reach q (definition 1 of Hyndman & Fan 1996,
    doi:10.1080/00031305.1996.10473566). Draws of weight zero never count: q = 0 and q = 1 give the smallest and the
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
    rounding = n_draws * np.finfo(np.float64).eps  # of the sums: ten draws of weight 1 / 10 reach 0.3 with the third
    result = np.empty((q.size, values.shape[0], *values.shape[2:]))
    for row, level in zip(result, q, strict=True):
        below = ((reached <= 0.0) | (reached < level - rounding)).sum(axis=1)
        picked = largest if level == 1.0 else np.minimum(below, largest)
        row[...] = np.take_along_axis(ascending, picked[:, np.newaxis], axis=1)[:, 0]
    return result


def resample(weights: Floats, target: Floats, uniform: Floats) -> NDArray[np.intp]:
    """Indices (S,) that carry weighted draws to another law, each slot keeping its weight.

    Slot i owns the interval of length weights[i] of (0, 1); the draw it gets is the one that a uniform point of this
    interval picks from the distribution function of ``target``. So the average over slots with ``weights`` is unbiased
    for the average over draws with ``target`` (stratified resampling where the weights are equal), and nothing moves
    where target equals weights.
    """
    edges = np.cumsum(weights)
    points = (edges - weights + uniform * weights) / edges[-1]
    cumulative = np.cumsum(target)
    picked = np.searchsorted(cumulative / cumulative[-1], points, side="right")
    return np.asarray(np.minimum(picked, weights.size - 1))


def effective_size(log_weights: Floats) -> Floats:
    """Kish's effective number of draws, 1 / sum w^2, along the last axis."""
    return np.asarray(np.exp(-np.log(np.exp(2.0 * log_weights).sum(axis=-1))))
