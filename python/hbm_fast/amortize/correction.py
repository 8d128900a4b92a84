"""Importance sampling: how good a network's draws are, and when they may stand for the posterior."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hbm_fast.model import HierarchicalModel
from hbm_fast.sampling import sample_from

Floats = NDArray[np.float64]

# Weights this even need no further look. As a network improves, Pareto's k of its nearly constant weights becomes
# meaningless, so that it is consulted below this share only.
EVEN = 0.9
LOWEST_SHARE = 0.3
HIGHEST_K = 0.7


@dataclass(frozen=True)
class Weights:
    """Importance weights of B datasets.

    Attributes
    ----------
    log_weights : (B, S), normalised
    share : (B,) Kish's effective number of draws over S
    pareto_k : (B,), NaN where it was not needed
    log_evidence, log_evidence_error : (B,) of ordered sequences
    accepted : (B,) bool
    """

    log_weights: Floats
    share: Floats
    pareto_k: Floats
    log_evidence: Floats
    log_evidence_error: Floats
    accepted: NDArray[np.bool_]


def weigh(log_ratios: Floats) -> Weights:
    """From log p(x, z) - log q(z | x), (B, S)."""
    n = log_ratios.shape[1]
    largest = log_ratios.max(1, keepdims=True)
    scaled = np.exp(log_ratios - largest)
    mean = scaled.mean(1)
    share = mean**2 / (scaled**2).mean(1)
    k = np.full(share.shape, np.nan)
    for b in np.flatnonzero(share < EVEN):
        k[b] = pareto_k(log_ratios[b])
    accepted = (share >= EVEN) | ((share >= LOWEST_SHARE) & (k < HIGHEST_K))
    return Weights(
        log_weights=log_ratios - largest - np.log(mean)[:, None] - np.log(n),
        share=share,
        pareto_k=k,
        log_evidence=largest[:, 0] + np.log(mean),
        log_evidence_error=scaled.std(1) / mean / np.sqrt(n),
        accepted=accepted,
    )


def pareto_k(log_ratios: Floats) -> float:
    """Shape of the generalised Pareto tail of the largest ratios (Vehtari et al. 2024; fit of Zhang & Stephens 2009,
    doi:10.1198/tech.2009.08017).

    Parameters
    ----------
    log_ratios : (S,)
    """
    n = log_ratios.size
    tail = int(min(0.2 * n, 3.0 * np.sqrt(n)))
    if tail < 5:
        return float("inf")
    ordered = np.sort(log_ratios)
    cut = np.exp(ordered[-tail - 1] - ordered[-1])
    x = np.exp(ordered[-tail:] - ordered[-1]) - cut
    if x[-1] <= 0.0:
        return float("-inf")
    x = np.maximum(x, np.finfo(float).tiny)
    m = 30 + int(np.sqrt(tail))
    quartile = x[int(tail / 4 + 0.5) - 1]
    b = 1.0 / x[-1] + (1.0 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))) / (3.0 * quartile)
    k = np.log1p(-b[:, None] * x).mean(1)
    log_likelihood = tail * (np.log(-b / k) - k - 1.0)
    weights = np.exp(log_likelihood - log_likelihood.max())
    weights /= weights.sum()
    fitted = np.log1p(-float(weights @ b) * x).mean()
    # a weak prior towards 1/2, worth ten points of the tail
    return float((tail * fitted + 5.0) / (tail + 10.0))


def log_coefficient(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Sum over groups of the log multinomial coefficient, (B,)."""
    x = torch.from_numpy(counts.astype(np.float64))
    value = torch.lgamma(x.sum(-1) + 1.0).sum(-1) - torch.lgamma(x + 1.0).sum((-1, -2))
    return np.asarray(value.numpy())


def exact_draws(
    counts: NDArray[Any],
    model: HierarchicalModel,
    n_draws: int,
    key: NDArray[np.uint64],
    threads: int,
    network: tuple[Floats, Floats, Floats],
) -> tuple[Floats, Floats]:
    """Draws of MCMC, four chains behind each other, started from draws of the network.

    Parameters
    ----------
    counts : (B, N, K)
    network : log alpha (B, S), log beta (B, S, K), log weights (B, S)
        NaN where the network gave no draws: there the chains start at the Laplace approximation.
    """
    n_chains = 4 if n_draws >= 400 else 1
    each = -(-n_draws // n_chains)
    start = starting_points(*network, n_chains, np.random.default_rng(key.tolist()))
    post = sample_from(start, counts, model, n_draws=each, n_chains=n_chains, rng=key, n_threads=threads)  # type: ignore[arg-type]
    b, k = counts.shape[0], counts.shape[-1]
    return (
        post.log_alpha.reshape(b, -1)[:, :n_draws],
        post.log_beta.reshape(b, -1, k)[:, :n_draws],
    )


def starting_points(
    log_alpha: Floats, log_beta: Floats, log_weights: Floats, n_chains: int, generator: np.random.Generator
) -> tuple[Floats, Floats]:
    """Of each dataset n_chains different draws by their weights, (B, C) and (B, C, K)."""
    # the largest of log w + Gumbel noise are a weighted sample without replacement
    order = np.argsort(log_weights + generator.gumbel(size=log_weights.shape), axis=1)
    # fewer draws than chains: the best of them serve again
    chosen = order[:, -1 - np.arange(n_chains) % order.shape[1]]
    rows = np.arange(len(chosen))[:, np.newaxis]
    return log_alpha[rows, chosen], log_beta[rows, chosen]
