"""Quantile residuals of counts whose marginal distributions are beta-binomial."""

from statistics import NormalDist

import numpy as np

from hbm_fast._typing import Counts, Floats

_SMALLEST = 1e-16  # of a probability whose normal quantile is taken


def quantile_residuals(counts: Counts, mean: Floats, precision: Floats, points: Floats) -> Floats:
    """Normal quantiles of F(x - 1) + point P(x) for each count (N, K); NaN where there is nothing to compare."""
    result = np.full(mean.shape, np.nan)
    quantile = NormalDist().inv_cdf
    totals = counts.sum(axis=1)
    for n, k in zip(*np.nonzero((totals > 0)[:, None] & (mean > 0.0) & (mean < 1.0)), strict=True):
        probabilities = _beta_binomial(int(totals[n]), float(mean[n, k]), float(precision[n]))
        x = int(counts[n, k])
        below = float(probabilities[:x].sum() + points[n, k] * probabilities[x])
        above = float(probabilities[x + 1 :].sum() + (1.0 - points[n, k]) * probabilities[x])
        tail = max(min(below, above), _SMALLEST)  # of the nearer end, so that no digit is lost
        result[n, k] = quantile(min(tail, 0.5)) if below < above else -quantile(min(tail, 0.5))
    return result


def _beta_binomial(total: int, mean: float, precision: float) -> Floats:
    """Probabilities of 0, ..., total counts, by the ratios of neighbours."""
    j = np.arange(total, dtype=np.float64)
    if np.isinf(precision):
        odds = np.full(total, mean / (1.0 - mean))
    else:
        odds = (precision * mean + j) / (precision * (1.0 - mean) + (total - 1.0 - j))
    with np.errstate(divide="ignore"):
        logs = np.append(0.0, np.cumsum(np.log(odds * (total - j) / (j + 1.0))))
    logs = np.exp(logs - logs.max())
    return np.asarray(logs / logs.sum())
