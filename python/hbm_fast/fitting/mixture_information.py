"""Information at a mode of a mixture: Holmes' Laplace approximation, the corrected evidence and standard errors.

The complete data's information, labels known, is a diagonal plus a rank-one term for each component. The observed one
is less by the covariance of the scores over the labels (Louis 1982, doi:10.1111/j.2517-6161.1982.tb01203.x).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _memory
from hbm_fast._typing import Floats
from hbm_fast.fitting.mixture_problem import MixtureProblem, Solutions

_UNSURE = 1e-9  # a group of which a component has all but this share has no covariance of its scores
_EMPTY = 1e-6  # groups in a component below which its information is that of its prior
_SCORES_AT_ONCE = 2**22
_LARGE = 1e4  # from here on the first term of Stirling's series is exact to 1e-14
_NATS = 12.0  # below the largest integral around a mode, from where on another one adds nothing


@dataclass(frozen=True)
class CompleteInformation:
    """The information of the concentrations with labels known: ``diag(d_j) - f_j a_j a_j'`` for each component.

    Attributes
    ----------
    shares : (N, J)
        Responsibilities times multiplicity.
    sizes : (J,)
        Their sums.
    diagonal : (J, K)
    factor : (J,)
    log_determinant : float
        NaN where the information is not positive definite.
    """

    shares: Floats
    sizes: Floats
    diagonal: Floats
    factor: Floats
    log_determinant: float


def complete(problem: MixtureProblem, log_concentration: Floats, log_weights: Floats) -> CompleteInformation:
    """The complete data's information at a point."""
    shares, diagonal, factor = problem.information(log_concentration, log_weights)
    left = 1.0 - factor * (np.exp(2.0 * log_concentration) / diagonal).sum(axis=1)
    positive = bool((diagonal > 0.0).all() and (left > 0.0).all())
    log_determinant = float(np.log(diagonal).sum() + np.log(left).sum()) if positive else math.nan
    return CompleteInformation(shares, shares.sum(axis=0), diagonal, factor, log_determinant)


def laplace(problem: MixtureProblem, log_concentration: Floats, log_weights: Floats, log_posterior: float) -> float:
    """Minus Laplace's approximation of the log evidence as Holmes, Harris & Quince (2012) define it.

    The information is the complete data's, the largest component's weight is left out.
    """
    found = complete(problem, log_concentration, log_weights)
    n, others = found.sizes.sum(), np.delete(found.sizes, int(np.argmax(found.sizes)))
    n_parameters = found.diagonal.size + len(others)
    with np.errstate(divide="ignore"):
        log_determinant = found.log_determinant + float((2.0 * math.log(n) - np.log(others)).sum())
    return -log_posterior + 0.5 * log_determinant - 0.5 * n_parameters * math.log(2.0 * math.pi)


def observed(problem: MixtureProblem, log_concentration: Floats, found: CompleteInformation) -> tuple[Floats, float]:
    """The observed information (P, P) of log concentrations and J - 1 logits of weights; the complete one's log det.

    Components without groups have no logit: their information is that of the prior.
    """
    n_components, n_categories = log_concentration.shape
    free = np.flatnonzero(found.sizes > _EMPTY)
    free = free[free != int(np.argmax(found.sizes))]
    n_concentrations = log_concentration.size
    p = n_concentrations + len(free)
    _memory.check_fits(24 * p * p, f"the information of {p:,} parameters of the mixture")
    whole = np.zeros((p, p))
    blocks = [slice(j * n_categories, (j + 1) * n_categories) for j in range(n_components)]
    for j, block in enumerate(blocks):
        a = np.exp(log_concentration[j])
        whole[block, block] = np.diag(found.diagonal[j]) - found.factor[j] * np.outer(a, a)
    n = found.sizes.sum() + n_components * (problem.model.weights - 1.0)
    w = (found.sizes[free] + problem.model.weights - 1.0) / n
    whole[n_concentrations:, n_concentrations:] = n * (np.diag(w) - np.outer(w, w))
    log_determinant = found.log_determinant + len(free) * math.log(n) + float(np.log(w).sum() + np.log1p(-w.sum()))
    return whole - _missing(problem, log_concentration, found.shares, free, blocks), log_determinant


def _missing(
    problem: MixtureProblem, log_concentration: Floats, shares: Floats, free: NDArray[np.intp], blocks: list[slice]
) -> Floats:
    """Covariance (P, P) of the scores over the labels, summed over the groups."""
    n_components, n_concentrations = len(blocks), log_concentration.size
    result = np.zeros((n_concentrations + len(free),) * 2)
    weights = problem.group_weights
    groups = np.flatnonzero(shares.max(axis=1) < (1.0 - _UNSURE) * weights)
    step = max(1, _SCORES_AT_ONCE // log_concentration.size)
    for chosen in (groups[first : first + step] for first in range(0, len(groups), step)):
        r = shares[chosen] / weights[chosen, np.newaxis]
        scores = problem.scores(log_concentration, chosen)
        for i in range(n_components):
            for j in range(n_components):
                common = weights[chosen] * r[:, i] * ((i == j) - r[:, j])
                if j <= i:
                    block = (common[:, np.newaxis] * scores[:, i]).T @ scores[:, j]
                    result[blocks[i], blocks[j]] += block
                    if j < i:
                        result[blocks[j], blocks[i]] += block.T
                for at in n_concentrations + np.flatnonzero(free == j):
                    cross = common @ scores[:, i]
                    result[blocks[i], at] += cross
                    result[at, blocks[i]] += cross
                    result[n_concentrations + np.flatnonzero(free == i), at] += common.sum()
    return result


def log_evidence(problem: MixtureProblem, modes: Solutions) -> float:
    """The corrected evidence: each mode's own integral, times the orders of its components, summed over the modes.

    In place of Laplace's normal integrals: for each concentration that of a log-gamma (Stirling's remainder of the
    information's diagonal), and the exact integral over the weights, given the sizes of the components; the observed
    information in place of the complete data's. Saddle points and modes far below the best are left out.
    """
    first = [_complete_evidence(problem, modes, s) for s in range(len(modes))]
    best = max((value for value, _ in first), default=math.nan)
    terms = [
        value + _log_missing_share(problem, modes.log_concentration[s], found)
        for s, (value, found) in enumerate(first)
        if value > best - _NATS
    ]
    kept = np.array([term for term in terms if not math.isnan(term)])
    if math.isnan(best) or not len(kept):
        return math.nan
    return float(np.logaddexp.reduce(kept))


def _complete_evidence(problem: MixtureProblem, modes: Solutions, s: int) -> tuple[float, CompleteInformation]:
    """Log integral around one mode with the responsibilities as they are at the mode."""
    log_weights = modes.log_weights[s]
    found = complete(problem, modes.log_concentration[s], log_weights)
    j, d, n = len(log_weights), problem.model.weights, float(found.sizes.sum())
    of_weights = math.lgamma(j) - math.lgamma(n + j * d)
    of_weights += sum(math.lgamma(size + d) for size in found.sizes) - float((found.sizes + d - 1.0) @ log_weights)
    orders = math.lgamma(j + 1.0) - math.lgamma(1.0 + int((found.sizes <= _EMPTY).sum()))  # empty ones are alike
    of_concentrations = 0.5 * (found.diagonal.size * math.log(2.0 * math.pi) - found.log_determinant)
    of_concentrations += _stirling_remainders(found.diagonal)
    return float(modes.value[s]) + of_weights + of_concentrations + orders, found


def _stirling_remainders(diagonal: Floats) -> float:
    """Sum of ``lgamma(d) - (d - 1/2) log d + d - log(2 pi) / 2``."""
    half = 0.5 * math.log(2.0 * math.pi)
    return sum(
        1.0 / (12.0 * d) if d > _LARGE else math.lgamma(d) - (d - 0.5) * math.log(d) + d - half
        for d in diagonal.ravel().tolist()
        if d > 0.0
    )


def _log_missing_share(problem: MixtureProblem, log_concentration: Floats, found: CompleteInformation) -> float:
    """-1/2 log det of the observed information relative to the complete one; NaN at a saddle point."""
    if len(found.sizes) == 1:
        return 0.0
    try:
        information, log_determinant = observed(problem, log_concentration, found)
        return 0.5 * log_determinant - float(np.log(np.linalg.cholesky(information).diagonal()).sum())
    except np.linalg.LinAlgError:
        return math.nan


def standard_errors(problem: MixtureProblem, log_concentration: Floats, log_weights: Floats) -> Floats:
    """Standard errors (J, K) of the log concentrations, from the observed information; NaN at a saddle point."""
    found = complete(problem, log_concentration, log_weights)
    information, _ = observed(problem, log_concentration, found)
    try:
        root = np.linalg.cholesky(information)
    except np.linalg.LinAlgError:
        return np.full(log_concentration.shape, np.nan)
    variance = (np.linalg.inv(root) ** 2).sum(axis=0)[: log_concentration.size]
    return np.asarray(np.sqrt(variance).reshape(log_concentration.shape))
