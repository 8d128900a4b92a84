"""Log evidences from draws: of importance weights, and by bridge sampling."""

import math
from collections.abc import Callable

import numpy as np

from hbm_fast import _weighted
from hbm_fast._typing import Floats, Key
from hbm_fast.posterior import diagnostics

FEWEST_DRAWS = 100  # of all chains
_MOST_STEPS = 1000
_TOLERANCE = 1e-10
# Importance sampling is used where this share of its draws is effective and Pareto's k is small: independence
# Metropolis steps then mix at once, and the evidence has a small error.
_LEAST_SHARE = 0.5
_LARGEST_K = 0.5
# Above this share the weights are so alike that Pareto's k is not identifiable.
_ALIKE = 0.9


def importance(log_weights: Floats) -> tuple[float, float]:
    """Log of the mean weight of independent draws (S,), and its standard error."""
    largest = float(log_weights.max())
    weights = np.exp(log_weights - largest)
    mean = float(weights.mean())
    return largest + math.log(mean), float(weights.std(ddof=1)) / (mean * math.sqrt(weights.size))


def effective_share(log_weights: Floats) -> tuple[float, float]:
    """The effective share of importance weights, and Pareto's k of their tail."""
    flat = log_weights.ravel()
    if not np.isfinite(flat.max()):
        return 0.0, float("inf")
    share = float(_weighted.effective_size(_weighted.normalise(flat))) / flat.size
    return share, _weighted.pareto_k(flat)


def is_nearly_exact(share: float, k: float) -> bool:
    """Whether importance sampling is, by these two."""
    return share >= _LEAST_SHARE and (k <= _LARGEST_K or share >= _ALIKE)


def bridge(draws: Floats, log_density: Callable[[Floats], Floats], key: Key) -> tuple[float, float]:
    """Log of the integral of a density from draws of it, and its standard error.

    Parameters
    ----------
    draws : (C, D, d)
        Of the normalised density. A normal distribution has the mean and covariance of the first half of each chain;
        the bridge between it and the density is that of the second half (Meng & Wong 1996, Statistica Sinica 6:831).
    log_density : callable
        Of points (S, d): (S,).
    key : (2,) uint64

    Returns
    -------
    value, error
        As of `log_ratio`.
    """
    half = draws.shape[1] // 2
    fitted = draws[:, :half].reshape(-1, draws.shape[2])
    kept = draws[:, half:]
    centre = fitted.mean(axis=0)
    factor = np.linalg.cholesky(np.atleast_2d(np.cov(fitted, rowvar=False)))
    flat = kept.reshape(-1, draws.shape[2])
    z = np.random.default_rng([*key.tolist(), 2]).standard_normal(flat.shape)
    proposed = centre + z @ factor.T

    def log_normal(y: Floats) -> Floats:
        w = np.linalg.solve(factor, (y - centre).T)
        constant = float(np.log(np.diag(factor)).sum()) + 0.5 * len(centre) * math.log(2.0 * math.pi)
        return np.asarray(-0.5 * (w**2).sum(axis=0) - constant)

    of_draws = log_density(flat) - log_normal(flat)
    return log_ratio(of_draws.reshape(kept.shape[:2]), log_density(proposed) - log_normal(proposed))


def log_ratio(of_draws: Floats, of_proposed: Floats) -> tuple[float, float]:
    """Log of the ratio of two normalising constants by the optimal bridge of Meng & Wong, and its standard error.

    Parameters
    ----------
    of_draws : (C, D)
        Log of the ratio of both unnormalised densities, at draws from the first by Markov chains.
    of_proposed : (S,)
        The same at independent draws from the second; -inf where the first density is 0.

    Returns
    -------
    value, error
        The error is that of Fruehwirth-Schnatter (2004, doi:10.1111/j.1368-423X.2004.00125.x), with the effective
        number of draws of the chains.
    """
    _, ess = diagnostics.convergence(of_draws[..., np.newaxis])
    of_draws = of_draws.ravel()
    n_draws = min(float(np.nan_to_num(ess[0], nan=np.inf)), float(of_draws.size))
    n_proposed = float(of_proposed.size)
    share = n_draws / (n_draws + n_proposed)
    value = float(np.median(of_draws))
    for _ in range(_MOST_STEPS):
        # logs of l / (share l + (1 - share) r) and of 1 / the same, l the ratio of the densities
        numerator = of_proposed - np.logaddexp(math.log(share) + of_proposed, math.log1p(-share) + value)
        denominator = -np.logaddexp(math.log(share) + of_draws, math.log1p(-share) + value)
        new = _log_mean(numerator) - _log_mean(denominator)
        step, value = abs(new - value), new
        if step < _TOLERANCE:
            break
    first = np.exp(numerator - _log_mean(numerator))
    second = np.exp(denominator - _log_mean(denominator))
    error = math.sqrt(first.var(ddof=1) / n_proposed + second.var(ddof=1) / n_draws)
    return value, error


def _log_mean(values: Floats) -> float:
    return float(np.logaddexp.reduce(values) - math.log(values.size))
