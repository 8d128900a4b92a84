"""Convergence diagnostics of Markov chains: functions of arrays, equal to those of arviz-stats.

Rank-normalised split R-hat, bulk and tail effective sample sizes and the Monte Carlo standard error of the mean, as
defined by Vehtari, Gelman, Simpson, Carpenter and Bürkner 2021, doi:10.1214/20-BA1221.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hbm_fast._typing import Floats

TAIL = (0.05, 0.95)  # the two quantiles of which the tail ESS is the smaller one
_VALUES_A_BLOCK = 100_000  # arrays of one step: they fit in the cache, and Ctrl-C is handled between steps


def diagnostics(draws: Floats, *, mcse: bool = True) -> dict[str, Floats]:
    """R-hat, bulk and tail ESS and the Monte Carlo standard error of the mean.

    Parameters
    ----------
    draws : (C, D, ...)
    mcse : bool
        False leaves out ``"mcse"``.

    Returns
    -------
    dict of str to ndarray (...)
        ``"mcse"``, ``"ess_bulk"``, ``"ess_tail"`` and ``"r_hat"``. NaN for a constant parameter and for fewer than
        four draws a chain; R-hat is NaN for a single chain.
    """
    names = (*(("mcse",) if mcse else ()), "ess_bulk", "ess_tail", "r_hat")
    result = {name: np.full(draws.shape[2:], np.nan).ravel() for name in names}
    for where, block in _blocks(draws):
        result["r_hat"][where], result["ess_bulk"][where], _ = _ranked(block)
        result["ess_tail"][where] = _tail_size(block)
        if mcse:
            result["mcse"][where] = block.std(axis=(1, 2), ddof=1) / np.sqrt(_effective_size(_split(block)))
    return {name: values.reshape(draws.shape[2:]) for name, values in result.items()}


def of_pair(draws: Floats, others: Floats) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """`diagnostics`, without ``"mcse"``, of the draws (C, D, ...) and of others that are a monotone function of them.

    Both have the same ranks, perhaps reversed, and so the same effective sizes; only the distances from the median, of
    which R-hat takes the ranks too, differ.
    """
    first = {name: np.full(draws.shape[2:], np.nan).ravel() for name in ("ess_bulk", "ess_tail", "r_hat")}
    r_hat = first["r_hat"].copy()
    flat = others.reshape(*others.shape[:2], -1)
    for where, block in _blocks(draws):
        other = np.ascontiguousarray(np.moveaxis(flat[:, :, where], 2, 0))
        first["r_hat"][where], first["ess_bulk"][where], r_hat[where] = _ranked(block, other)
        first["ess_tail"][where] = _tail_size(block)
    shaped = {name: values.reshape(draws.shape[2:]) for name, values in first.items()}
    return shaped, shaped | {"r_hat": r_hat.reshape(draws.shape[2:])}


def convergence(draws: Floats) -> tuple[Floats, Floats]:
    """R-hat and bulk ESS of draws (C, D, ...), each (...): the part of `diagnostics` that shares its ranks."""
    r_hat, ess = (np.full(draws.shape[2:], np.nan).ravel() for _ in range(2))
    for where, block in _blocks(draws):
        r_hat[where], ess[where], _ = _ranked(block)
    return r_hat.reshape(draws.shape[2:]), ess.reshape(draws.shape[2:])


def normal_quantile(p: Floats) -> Floats:
    """Quantiles of the standard normal distribution, to a relative error of 1e-15.

    Algorithm AS 241, PPND16 (Wichura 1988, doi:10.2307/2347330).

    Parameters
    ----------
    p : array, each in (0, 1)
    """
    q = p - 0.5
    centre = np.abs(q) <= 0.425
    s = np.sqrt(-np.log(np.minimum(p, 1.0 - p)))
    result = np.empty(p.shape)
    for where, value in (
        (centre, lambda at: q[at] * _ratio(_CENTRE, 0.180625 - q[at] ** 2)),
        (~centre & (s <= 5.0), lambda at: np.copysign(_ratio(_MIDDLE, s[at] - 1.6), q[at])),
        (~centre & (s > 5.0), lambda at: np.copysign(_ratio(_FAR, s[at] - 5.0), q[at])),
    ):
        result[where] = value(where)
    return result


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], r: Floats) -> Floats:
    numerator, denominator = coefficients
    return np.asarray(np.polyval(numerator, r) / np.polyval(denominator, r))


# Numerators and denominators in descending powers.
_CENTRE = (
    (
        2.5090809287301226727e3,
        3.3430575583588128105e4,
        6.7265770927008700853e4,
        4.5921953931549871457e4,
        1.3731693765509461125e4,
        1.9715909503065514427e3,
        1.3314166789178437745e2,
        3.3871328727963666080e0,
    ),
    (
        5.2264952788528545610e3,
        2.8729085735721942674e4,
        3.9307895800092710610e4,
        2.1213794301586595867e4,
        5.3941960214247511077e3,
        6.8718700749205790830e2,
        4.2313330701600911252e1,
        1.0,
    ),
)
_MIDDLE = (
    (
        7.74545014278341407640e-4,
        2.27238449892691845833e-2,
        2.41780725177450611770e-1,
        1.27045825245236838258e0,
        3.64784832476320460504e0,
        5.76949722146069140550e0,
        4.63033784615654529590e0,
        1.42343711074968357734e0,
    ),
    (
        1.05075007164441684324e-9,
        5.47593808499534494600e-4,
        1.51986665636164571966e-2,
        1.48103976427480074590e-1,
        6.89767334985100004550e-1,
        1.67638483018380384940e0,
        2.05319162663775882187e0,
        1.0,
    ),
)
_FAR = (
    (
        2.01033439929228813265e-7,
        2.71155556874348757815e-5,
        1.24266094738807843860e-3,
        2.65321895265761230930e-2,
        2.96560571828504891230e-1,
        1.78482653991729133580e0,
        5.46378491116411436990e0,
        6.65790464350110377720e0,
    ),
    (
        2.04426310338993978564e-15,
        1.42151175831644588870e-7,
        1.84631831751005468180e-5,
        7.86869131145613259100e-4,
        1.48753612908506148525e-2,
        1.36929880922735805310e-1,
        5.99832206555887937690e-1,
        1.0,
    ),
)


def _blocks(draws: Floats) -> Iterator[tuple[NDArray[np.intp], Floats]]:
    """Indices of some parameters that vary, with their draws (P, C, D); none for fewer than four draws."""
    flat = draws.reshape(*draws.shape[:2], -1)
    n_chains, n_draws, n_parameters = flat.shape
    if n_draws < 4:
        return
    size = max(1, _VALUES_A_BLOCK // (n_chains * n_draws))
    for first in range(0, n_parameters, size):
        block = np.ascontiguousarray(np.moveaxis(flat[:, :, first : first + size], 2, 0))
        varies = np.isfinite(block).all(axis=(1, 2)) & (block.max(axis=(1, 2)) > block.min(axis=(1, 2)))
        if varies.any():
            yield first + np.flatnonzero(varies), block if varies.all() else block[varies]


def _split(block: Floats) -> Floats:
    """(P, C, D) -> (P, 2 C, D // 2): both halves of each chain, without the middle draw of an odd number."""
    half = block.shape[2] // 2
    return np.concatenate([block[:, :, :half], block[:, :, -half:]], axis=1)


def _ranked(block: Floats, other: Floats | None = None) -> tuple[Floats, Floats, Floats]:
    """R-hat and bulk ESS of draws (P, C, D), and R-hat of others of the same or the reversed ranks."""
    halves = _split(block)
    flat = halves.reshape(len(halves), -1)
    order = np.argsort(flat, axis=1)
    ordered = np.take_along_axis(flat, order, axis=1)
    scores = _scores(order, ordered).reshape(halves.shape)
    ess = _effective_size(scores)
    if block.shape[1] == 1:
        undefined = np.full(len(block), np.nan)
        return undefined, ess, undefined
    bulk = _r_hat(scores)

    def r_hat(ordered: Floats) -> Floats:
        n = ordered.shape[1]
        median = 0.5 * (ordered[:, (n - 1) // 2] + ordered[:, n // 2])
        distance = np.abs(ordered - median[:, np.newaxis])
        nearest = np.argsort(distance, axis=1, kind="stable")  # a decreasing and an increasing run: a merge
        folded = _scores(np.take_along_axis(order, nearest, axis=1), np.take_along_axis(distance, nearest, axis=1))
        return np.asarray(np.fmax(bulk, _r_hat(folded.reshape(halves.shape))))

    found = r_hat(ordered)
    if other is None:
        return found, ess, found
    return found, ess, r_hat(np.take_along_axis(_split(other).reshape(flat.shape), order, axis=1))


def _scores(order: NDArray[np.intp], ordered: Floats) -> Floats:
    """Normal scores of the ranks of values (P, S), ties sharing their mean rank, from their order and sorted values."""
    n = ordered.shape[1]
    place = np.arange(n)
    twice = np.broadcast_to(2 * place, ordered.shape)  # the first and the last place of each run of ties, added
    new = np.ones(ordered.shape, bool)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=new[:, 1:])
    tied = np.flatnonzero(~new.all(axis=1))
    if tied.size:
        twice = twice.copy()
        starts = np.maximum.accumulate(np.where(new[tied], place, 0), axis=1)
        ends = np.ones((tied.size, n), bool)
        ends[:, :-1] = new[tied, 1:]
        last = np.minimum.accumulate(np.where(ends, place, n)[:, ::-1], axis=1)[:, ::-1]
        twice[tied] = starts + last
    result = np.empty(ordered.shape)
    np.put_along_axis(result, order, _normal_scores(n)[twice], axis=1)
    return result


@lru_cache(maxsize=2)
def _normal_scores(n: int) -> Floats:
    """Normal scores of the ranks 1, 1.5, 2, ..., n (Blom 1958), symmetric about zero."""
    lower = normal_quantile((0.5 * np.arange(n, dtype=np.float64) + 1.0 - 0.375) / (n + 0.25))
    result = np.concatenate([lower, -lower[-2::-1]])
    result.setflags(write=False)
    return result


def _r_hat(chains: Floats) -> Floats:
    """Potential scale reduction of chains (P, M, n)."""
    n = chains.shape[2]
    between = n * chains.mean(axis=2).var(axis=1, ddof=1)
    within = chains.var(axis=2, ddof=1).mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):  # chains that do not move
        return np.asarray(np.sqrt((between / within + n - 1.0) / n))


def _tail_size(block: Floats) -> Floats:
    """The smaller effective size of the indicators of the two tails of draws (P, C, D)."""
    flat = block.reshape(len(block), -1)
    sizes = [
        _effective_size(_split((block <= level[:, np.newaxis, np.newaxis]).astype(np.float64)))
        for level in np.quantile(flat, TAIL, axis=1)
    ]
    return np.minimum(*sizes)


def _effective_size(chains: Floats) -> Floats:
    """Effective number of the draws of chains (P, M, n) by Geyer's initial monotone sequence of autocorrelations."""
    n_parameters, n_chains, n = chains.shape
    means = chains.mean(axis=2, keepdims=True)
    spectrum = np.fft.rfft(chains - means, n=fast_length(2 * n), axis=2)
    power = (spectrum.real**2 + spectrum.imag**2).mean(axis=1)
    covariance = np.fft.irfft(power, n=fast_length(2 * n), axis=1)[:, :n] / n
    within = covariance[:, :1] * n / (n - 1.0)
    total = covariance[:, :1].copy()
    if n_chains > 1:
        total += means[:, :, 0].var(axis=1, ddof=1)[:, np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = 1.0 - (within - covariance) / total
    correlation[:, 0] = 1.0

    # sums of lags (0, 1), (2, 3), ...: used up to the first that is not positive, and made non-increasing
    n_pairs = max((n - 3) // 2, 0) + 1
    pairs = correlation[:, 0 : 2 * n_pairs : 2] + correlation[:, 1 : 2 * n_pairs : 2]
    ends = pairs <= 0.0
    ends[:, -1] = True
    end = ends.argmax(axis=1)
    rows = np.arange(n_parameters)
    counted = np.where(np.arange(n_pairs) < end[:, np.newaxis], np.minimum.accumulate(pairs, axis=1), 0.0)
    last = correlation[rows, 2 * end]
    last = np.where((last > 0.0) | (pairs[rows, end] >= 0.0), last, 0.0)
    size = float(n_chains * n)
    with np.errstate(invalid="ignore"):
        result = size / np.maximum(-1.0 + 2.0 * counted.sum(axis=1) + last, 1.0 / np.log10(size))
    result[np.ptp(chains, axis=(1, 2)) < np.finfo(np.float64).resolution] = size
    return np.asarray(result)


def fast_length(n: int) -> int:
    """The smallest 2^a 3^b 5^c that is at least n: a transform of that length is fast."""
    best = 1 << (n - 1).bit_length()
    five = 1
    while five < best:
        three = five
        while three < best:
            two = three << max((-(-n // three) - 1).bit_length(), 0)
            best = min(best, two)
            three *= 3
        five *= 5
    return best
