"""theta and predictions of groups: functions of arrays, each for a batch of B datasets.

Arguments are S draws, or S nodes of a quadrature, of each dataset: ``log_alpha`` (B, S), ``log_beta`` (B, S, K) and
``log_weights`` (B, S), None where all weights are equal. ``rows`` (B, K) are the counts of one group in each dataset.
Random streams are addressed by a key, the number ``stream`` of the group, and the numbers ``datasets`` (B,).
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _core, _memory, _validate, _weighted, errors
from hbm_fast._typing import Floats, Key
from hbm_fast.quadrature import Quadrature

NEW_GROUP = 2**64 - 1  # the stream of a group without counts
_MIN_ESS = 100.0  # of reweighted draws: with fewer, averages have errors of a tenth of a standard deviation


def stream_of_counts(rows: NDArray[np.int64]) -> int:
    """The stream of a group that is not in the data: equal counts have equal streams."""
    return int.from_bytes(hashlib.blake2b(rows.tobytes(), digest_size=8).digest(), "little")


def draw_log_theta(
    log_alpha: Floats,
    log_beta: Floats,
    rows: NDArray[np.int64],
    key: Key,
    stream: int,
    datasets: NDArray[np.uint64],
) -> Floats:
    """log theta (B, S, K): a draw of Dirichlet(alpha beta + x) for each draw of (alpha, beta)."""
    out = np.empty_like(log_beta)
    _core.prediction.draw_log_theta(log_alpha, log_beta, rows, key, stream, datasets, out, _validate.threads(None))
    return out


def draw_counts(
    log_theta: Floats, totals: NDArray[np.int64], key: Key, stream: int, datasets: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """Counts (B, S, K): a draw of Multinomial(total, theta) for each draw of theta, with totals (B,)."""
    out = np.empty(log_theta.shape, dtype=np.int64)
    _core.prediction.draw_predictive_counts(log_theta, totals, key, stream, datasets, out, _validate.threads(None))
    return out


def log_pmf(log_alpha: Floats, log_beta: Floats, rows: NDArray[Any], coefficient: bool) -> Floats:
    """log p(x | alpha, beta) (B, S, R) of the groups x (B, R, K)."""
    out = np.empty((*log_alpha.shape, rows.shape[1]))
    _core.prediction.group_log_pmf(
        np.ascontiguousarray(log_alpha),
        np.ascontiguousarray(log_beta),
        np.ascontiguousarray(rows, dtype=np.int64),
        coefficient,
        out,
        _validate.threads(None),
    )
    return out


def mean_theta(log_alpha: Floats, log_beta: Floats, log_weights: Floats | None, rows: NDArray[np.int64]) -> Floats:
    """E[(alpha beta + x) / (alpha + M)] (B, K)."""
    totals = rows.sum(axis=-1)[:, np.newaxis]
    with np.errstate(divide="ignore"):
        # alpha / (alpha + M) from log alpha, which is accurate from 1e-300 to 1e300
        prior_share = 1.0 / (1.0 + np.exp(np.log(totals) - log_alpha))
        observed = rows / np.maximum(totals, 1)
    theta = prior_share[..., np.newaxis] * np.exp(log_beta)
    theta += (1.0 - prior_share)[..., np.newaxis] * observed[:, np.newaxis]
    return _weighted.average(theta, log_weights)


def mean_theta_given(quadratures: Sequence[Quadrature], rows: NDArray[np.int64]) -> Floats:
    """`mean_theta` (B, K) of a further group, by quadratures of the data with this group."""
    means = []
    for quadrature, row in zip(quadratures, rows, strict=True):
        q = quadrature.given(row[np.newaxis])
        nodes = q.log_alpha[np.newaxis], q.log_beta[np.newaxis], q.log_weights[np.newaxis]
        means.append(mean_theta(*nodes, row[np.newaxis]))
    return np.concatenate(means)


def log_mean_pmf(
    log_alpha: Floats,
    log_beta: Floats,
    log_weights: Floats | None,
    rows: NDArray[np.int64],
    *,
    jointly: bool,
    coefficient: bool,
) -> tuple[Floats, Floats]:
    """log E[p(x | alpha, beta)] of new groups (R, K) and the effective number of draws, (B,) jointly or (B, R)."""
    stacked = np.broadcast_to(rows, (log_alpha.shape[0], *rows.shape))
    total = np.zeros(log_alpha.shape)
    value, ess = np.empty((2, *stacked.shape[:2]))
    for chunk in _memory.chunks(rows.shape[0], log_alpha.shape[1]):
        each = log_pmf(log_alpha, log_beta, stacked[:, chunk], coefficient)
        if jointly:
            total += each.sum(axis=-1)
        else:
            value[:, chunk], ess[:, chunk] = _weighted.log_mean_exp(each, log_weights)
    return _weighted.log_mean_exp(total, log_weights) if jointly else (value, ess)


def log_evidence_ratio(
    quadratures: Sequence[Quadrature], rows: NDArray[np.int64], *, jointly: bool, coefficient: bool
) -> Floats:
    """The same by the evidence of the data with the new groups over that of the data, without Monte Carlo error."""
    if jointly:
        return np.array([q.log_predictive(rows, coefficient=coefficient) for q in quadratures])
    different, inverse = np.unique(rows, axis=0, return_inverse=True)
    values = [[q.log_predictive(row[np.newaxis], coefficient=coefficient) for row in different] for q in quadratures]
    return np.array(values)[:, inverse.ravel()]


def reweight(log_alpha: Floats, log_beta: Floats, log_weights: Floats | None, rows: NDArray[np.int64]) -> Floats:
    """Log weights (B, S) of the draws given a further group: the old ones times p(x | alpha, beta)."""
    weighted = log_pmf(log_alpha, log_beta, rows[:, np.newaxis], False)[..., 0]
    if log_weights is not None:
        weighted = weighted + log_weights
    if (weighted.max(axis=1) == -np.inf).any():
        raise ValueError("counts has probability zero under every draw: it holds a category of which beta is 0")
    result = _weighted.normalise(weighted)
    warn_of_reweighting(_weighted.effective_size(result), result.shape[1], "counts")
    return result


def resample_given(
    log_alpha: Floats,
    log_beta: Floats,
    log_weights: Floats | None,
    rows: NDArray[np.int64],
    generators: Sequence[np.random.Generator],
) -> tuple[Floats, Floats]:
    """Draws of (alpha, beta) given a further group, resampled by `reweight`; ``log_weights`` stay theirs."""
    size = log_alpha.shape[1]
    target = np.exp(reweight(log_alpha, log_beta, log_weights, rows))
    weights = np.full_like(target, 1.0 / size) if log_weights is None else np.exp(log_weights)
    log_alpha, log_beta = log_alpha.copy(), log_beta.copy()
    for b, generator in enumerate(generators):
        picked = _weighted.resample(weights[b], target[b], np.asarray(generator.random(size)))
        log_alpha[b], log_beta[b] = log_alpha[b, picked], log_beta[b, picked]
    return log_alpha, log_beta


def draw_given(
    quadratures: Sequence[Quadrature], n: int, rows: NDArray[np.int64], generators: Sequence[np.random.Generator]
) -> tuple[Floats, Floats]:
    """n new draws of (alpha, beta) given a further group, by quadratures of the data with this group."""
    drawn = [
        q.given(row[np.newaxis]).draw(n, generator)
        for q, row, generator in zip(quadratures, rows, generators, strict=True)
    ]
    return np.stack([log_alpha for log_alpha, _ in drawn]), np.stack([log_beta for _, log_beta in drawn])


def warn_of_reweighting(ess: Floats, n_draws: int, name: str) -> None:
    """ConvergenceWarning where a further group leaves few effective draws."""
    few = ess < _MIN_ESS
    if few.any():
        where = f" (fewest of {int(few.sum())} such values)" if ess.size > 1 else ""
        errors.warn(
            f"{name} leaves {ess.min():.1f} effective draws of {n_draws}{where}: the draws were made for the old data. "
            "Draw more (n_draws), or infer again from old and new groups together.",
            errors.ConvergenceWarning,
        )
