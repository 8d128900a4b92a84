"""The tail of the chi-squared distribution with a whole number of degrees of freedom: p-values without scipy."""

import math

import numpy as np

from hbm_fast._typing import Floats


def chi_squared_tail(statistic: float, df: int) -> float:
    """``P(X > statistic)`` for X chi-squared with df degrees of freedom; 1 for df = 0.

    The incomplete gamma function of a whole or half number is a finite sum (Abramowitz & Stegun 26.4.4, 26.4.5).
    """
    if math.isnan(statistic):
        return math.nan
    if statistic <= 0.0 or df == 0:
        return 1.0
    half = 0.5 * statistic
    start = 0.5 * (df % 2)  # the sum of exp(-half) half**i / gamma(i + 1) over i = start, start + 1, ... below df / 2
    total = math.erfc(math.sqrt(half)) if df % 2 else 0.0
    i = start
    while i < 0.5 * df:
        total += math.exp(i * math.log(half) - half - math.lgamma(i + 1.0))
        i += 1.0
    return min(total, 1.0)


def benjamini_hochberg(p_values: Floats) -> Floats:
    """Adjusted p-values that control the false discovery rate (Benjamini & Hochberg 1995); NaN stays NaN."""
    result = np.full(p_values.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    scaled = p_values[order] * len(order) / np.arange(1, len(order) + 1)
    result[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return result
