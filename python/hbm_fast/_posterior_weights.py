"""Averages, quantiles and resampling of weighted draws: the last axis of weights is the draws."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


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


def log_mean_exp(values: Floats, log_weights: Floats | None) -> Floats:
    """log of the weighted mean over S of exp(values) (B, S, ...)."""
    if log_weights is None:
        log_weights = np.full(values.shape[:2], -np.log(values.shape[1]))
    terms = values + log_weights.reshape(log_weights.shape + (1,) * (values.ndim - 2))
    largest = terms.max(axis=1, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.exp(terms - largest).sum(axis=1)) + largest[:, 0])


def quantile(values: Floats, log_weights: Floats | None, q: Floats) -> Floats:
    """Quantiles (Q, B, ...) over S of values (B, S, ...); weighted ones interpolate midpoints of the weights."""
    if log_weights is None:
        return np.asarray(np.quantile(values, q, axis=1))
    flat = values.reshape(*values.shape[:2], -1)
    result = np.empty((q.size, flat.shape[0], flat.shape[2]))
    weights = np.exp(log_weights)
    for b in range(flat.shape[0]):
        order = np.argsort(flat[b], axis=0)
        for p in range(flat.shape[2]):
            w = weights[b, order[:, p]]
            result[:, b, p] = np.interp(q, np.cumsum(w) - 0.5 * w, flat[b, order[:, p], p])
    return result.reshape((q.size, values.shape[0], *values.shape[2:]))


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
