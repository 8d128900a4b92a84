"""Reference implementations of the kernels: slow, and written as the definitions stand. mpmath gives the digits."""

import mpmath
import numpy as np
from scipy import stats
from scipy.special import gammaln

# Beyond this number of factors a log-gamma difference is cheaper than the product.
MOST_FACTORS = 100


def digits(counts, concentration):
    """Decimal digits in which the sums of a log pmf and of its gradient keep 40 after cancellation."""
    positive = [v for v in np.ravel(concentration) if v > 0] or [1.0]
    span = np.log10(max(*positive, 1.0, float(np.sum(counts)))) - np.log10(min(*positive, 1.0))
    return min(700, 60 + int(2 * span))


def log_rising(a, n):
    """log[a (a + 1) ... (a + n - 1)]."""
    if n > MOST_FACTORS:
        return mpmath.loggamma(a + n) - mpmath.loggamma(a)
    return mpmath.log(mpmath.fprod(a + j for j in range(n)))


def log_factorial(n):
    return mpmath.loggamma(n + 1) if n > MOST_FACTORS else mpmath.log(mpmath.factorial(n))


def reciprocals(a, n):
    """1 / a + 1 / (a + 1) + ... + 1 / (a + n - 1), the derivative of `log_rising`."""
    if n > MOST_FACTORS:
        return mpmath.digamma(a + n) - mpmath.digamma(a)
    return mpmath.fsum(1 / (a + j) for j in range(n))


def log_pmf_terms(x, a, coefficient=True):
    """The terms whose sum is the log pmf of one group."""
    with mpmath.workdps(digits(x, a)):
        a, x = [mpmath.mpf(float(v)) for v in a], [int(n) for n in x]
        terms = [*map(log_rising, a, x), -log_rising(mpmath.fsum(a), sum(x))]
        return [*terms, log_factorial(sum(x)), *(-log_factorial(n) for n in x)] if coefficient else terms


def log_pmf(x, a, coefficient=True):
    """Log probability of one group of counts x (K,) under the concentration a (K,)."""
    with mpmath.workdps(digits(x, a)):
        return mpmath.fsum(log_pmf_terms(x, a, coefficient))


def log_pmf_gradient(x, a):
    """Gradient of `log_pmf` with respect to a, and the sum of the two terms whose difference each component is."""
    with mpmath.workdps(digits(x, a)):
        a, x = [mpmath.mpf(float(v)) for v in a], [int(n) for n in x]
        own, shared = list(map(reciprocals, a, x)), reciprocals(mpmath.fsum(a), sum(x))
        return [v - shared for v in own], [v + shared for v in own]


def log_pmf_rows(counts, concentration, coefficient=True):
    """Log pmf of rows of counts (..., K) under their concentrations (..., K), by log-gammas in double precision."""
    total, precision = counts.sum(axis=-1), concentration.sum(axis=-1)
    value = gammaln(precision) - gammaln(precision + total)
    value = value + (gammaln(concentration + counts) - gammaln(concentration)).sum(axis=-1)
    return value + gammaln(total + 1) - gammaln(counts + 1).sum(axis=-1) if coefficient else value


def differences(function, at, step=1e-3):
    """Gradient and Hessian of a function of a vector, by central differences."""
    steps = step * np.eye(len(at))
    gradient = np.array([(function(at + s) - function(at - s)) / (2 * step) for s in steps])
    corners = [
        [sum(a * b * function(at + a * p + b * q) for a in (1, -1) for b in (1, -1)) for q in steps] for p in steps
    ]
    return gradient, np.array(corners) / (4 * step**2)


def relative_error(value, expected):
    """abs(value - expected) / abs(expected); the absolute error where 0 is expected."""
    with mpmath.workdps(40):
        error = abs(mpmath.mpf(float(value)) - expected)
        return float(error / abs(expected) if expected else error)


def exceedances(counts, max_total):
    """For each dataset of counts (B, N, K) and each j the number of groups with a count, and with a total, above j."""
    columns = np.concatenate([counts, counts.sum(-1, keepdims=True)], axis=-1)
    return (columns[..., np.newaxis] > np.arange(max_total)).sum(axis=1)


def chi_square_p(observed, expected):
    """p value of Pearson's chi-square test; cells with an expectation under 5 are merged."""
    small = expected < 5
    if small.any():
        observed = np.append(observed[~small], observed[small].sum())
        expected = np.append(expected[~small], expected[small].sum())
    keep = expected > 0
    assert not observed[~keep].any()
    if keep.sum() < 2:
        return 1.0
    return stats.chisquare(observed[keep], expected[keep] * observed.sum() / expected[keep].sum()).pvalue
