"""The evidence of a mixture of few groups: a sum over all partitions, by subsets."""

import math
from collections.abc import Callable

import numpy as np

from hbm_fast import priors
from hbm_fast._typing import Counts, Floats
from hbm_fast.models import MixtureModel
from hbm_fast.posterior.new_component import log_gamma
from hbm_fast.sampling.proposals import log_sum_exp

MOST_GROUPS = 10
_N_REPLICATES = 32  # of the blocks' errors


def estimate(
    counts: Counts, model: MixtureModel, evidence: Callable[[Counts], tuple[float, float]]
) -> tuple[float, float]:
    """log evidence and its standard error.

    Parameters
    ----------
    counts : (N, K)
        Groups without counts are left out: they change no evidence.
    model : MixtureModel
    evidence : callable
        log evidence of groups of one component, and its error.
    """
    rows = counts[counts.any(axis=1)]
    n = len(rows)
    if n > MOST_GROUPS:
        raise ValueError(
            f"method='enumeration' sums over all partitions of at most {MOST_GROUPS} groups with counts; got {n}. "
            "Compare Dirichlet processes on more groups by p = hbm.sample(...) and p.n_components_used, or use a "
            "MixtureModel with a fixed n_components, whose evidence is by bridge sampling"
        )
    blocks = _blocks(rows, evidence)
    open_number = isinstance(model.n_components, priors.DirichletProcess)
    size = np.array([int(mask).bit_count() for mask in range(1 << n)])
    prior = (
        log_gamma(np.maximum(size, 1)) if open_number else log_gamma(model.weights + size) - log_gamma(model.weights)
    )
    # of each subset the sum over its partitions into t blocks (R, t): replicate 0 without errors
    each = blocks + prior[:, np.newaxis]
    total = np.full((1 << n, blocks.shape[1], n + 1), -np.inf)
    total[0, :, 0] = 0.0
    for mask in range(1, 1 << n):
        lowest = mask & -mask
        rest = mask ^ lowest
        parts = []
        inside = rest
        while True:
            block = inside | lowest
            parts.append(each[block][:, np.newaxis] + total[mask ^ block][:, :-1])
            if not inside:
                break
            inside = (inside - 1) & rest
        total[mask, :, 1:] = log_sum_exp(np.stack(parts), axis=0)
    value = log_sum_exp(total[-1] + _log_number_prior(model, n), axis=1)
    return float(value[0]), float(value[1:].std())


def _blocks(rows: Counts, evidence: Callable[[Counts], tuple[float, float]]) -> Floats:
    """log evidence of each subset (2^N, 1 + replicates): those after the first have errors added."""
    n = len(rows)
    rng = np.random.default_rng(0)
    known: dict[tuple[bytes, ...], Floats] = {}
    result = np.zeros((1 << n, 1 + _N_REPLICATES))
    for mask in range(1, 1 << n):
        block = rows[[i for i in range(n) if mask >> i & 1]]
        name = tuple(sorted(row.tobytes() for row in block))
        if name not in known:
            value, error = evidence(block)
            known[name] = value + error * np.append(0.0, rng.standard_normal(_N_REPLICATES))
        result[mask] = known[name]
    return result


def _log_number_prior(model: MixtureModel, n: int) -> Floats:
    """What the number of blocks t adds to the log probability of a partition (n + 1,)."""
    t = np.arange(n + 1)
    if not isinstance(model.n_components, priors.DirichletProcess):
        j, w = model.n_components, model.weights
        numbered = np.where(t <= j, math.lgamma(j + 1.0) - log_gamma(np.maximum(j - t, 0) + 1.0), -np.inf)
        return np.asarray(numbered + math.lgamma(j * w) - math.lgamma(j * w + n))
    prior = model.n_components.concentration
    if isinstance(prior, priors.Gamma):  # the trapezoidal rule in log c
        log_c = np.linspace(-60.0, 20.0, 8001)
        log_weight = prior.log_density(log_c) + math.log(log_c[1] - log_c[0])
    else:
        log_c, log_weight = np.array([math.log(prior)]), np.zeros(1)
    c = np.exp(log_c)
    rising = np.log(c[:, np.newaxis] + np.arange(n)).sum(axis=1)
    return log_sum_exp(log_weight - rising + t[:, np.newaxis] * log_c, axis=1)
