"""Importance sampling: how good a network's draws are, and when they may stand for the posterior."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hbm_fast import errors
from hbm_fast._typing import Floats
from hbm_fast._weighted import pareto_k
from hbm_fast.errors import ConvergenceWarning
from hbm_fast.models import HierarchicalModel
from hbm_fast.nn.draws import Draws
from hbm_fast.nn.proposal import Points, Proposal
from hbm_fast.sampling import sample

# Weights this even need no further look. As a network improves, Pareto's k of its nearly constant weights becomes
# meaningless, so that it is consulted below this share only.
EVEN = 0.9
LOWEST_SHARE = 0.3
HIGHEST_K = 0.7
# Draws of the second proposal that look for what the network misses: a fifth as many as draws, and at least 100, which
# see a missing twentieth of the posterior with a probability of 99 %.
LOOKS = 0.2
FEWEST_LOOKS = 100
# The network's draws stand alone where their effective share is above what the mixture would have (about a half), and
# those draws do not see less of it.
BETTER = 0.6
ALIKE = 0.9
LEAST_CAP = 10.0  # of the ratios p / q at those, also for a few draws
# (dataset, draw) pairs at once: few enough to stay in the cache, and enough to pay for torch's calls
CHUNK = 50_000


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
    mixed : (B,) bool, optional
        Whether half of the draws are the second proposal's.
    """

    log_weights: Floats
    share: Floats
    pareto_k: Floats
    log_evidence: Floats
    log_evidence_error: Floats
    accepted: NDArray[np.bool_]
    mixed: NDArray[np.bool_] | None = None


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
        log_evidence_error=standard_error(share, n),
        accepted=accepted,
    )


def standard_error(share: Floats, n: int) -> Floats:
    """Of the log of the mean of n weights, from the share of the draws that is effective."""
    return np.asarray(np.sqrt(np.maximum(1.0 / share - 1.0, 0.0) / n))


def corrected(
    network: Any, model: HierarchicalModel, counts: NDArray[Any], n: int, key: NDArray[np.uint64], n_threads: int
) -> tuple[Draws, Weights]:
    """n draws for each dataset of counts (B, N, K), with weights towards the exact posterior.

    Weights of a network's own draws cannot show what the network misses. So draws of a second proposal, made from the
    posterior's mode (see `proposal`), look for it; where the weights are not nearly even by both, half of the draws are
    the second proposal's, and all are weighted by the density of the mixture (the balance heuristic of Veach & Guibas
    1995, doi:10.1145/218380.218498; defensive mixtures: Hesterberg 1995, doi:10.1080/00401706.1995.10484303).
    """
    generator = torch.Generator().manual_seed(int(key[0] >> np.uint64(1)))
    second = np.random.default_rng([*key.tolist(), 1])
    size = max(1, CHUNK // n)
    found: list[Weights] = []

    def parts() -> Iterator[Draws]:
        for i in range(0, counts.shape[0], size):
            part = counts[i : i + size]
            drawn = network.draw(part, n, generator, weigh=True, n_threads=n_threads)
            found.append(_correct(drawn, Proposal(part, model, n_threads), second))
            yield Draws(drawn.log_alpha, drawn.log_beta, torch.from_numpy(found[-1].log_weights))

    draws = Draws.gathered(parts(), counts.shape[0])
    assert draws.log_weight is not None
    columns = {
        field.name: np.concatenate([getattr(w, field.name) for w in found])
        for field in fields(Weights)
        if field.name != "log_weights"
    }
    return draws, Weights(log_weights=draws.log_weight.numpy(), **columns)


def _correct(drawn: Draws, proposal: Proposal, generator: np.random.Generator) -> Weights:
    """Weights of a network's draws; where they are not even, the second half of the draws is written anew."""
    assert drawn.log_weight is not None
    assert drawn.log_likelihood is not None
    n = drawn.log_alpha.shape[1]
    weights = weigh(drawn.log_weight.numpy())
    looks = proposal.draw(max(FEWEST_LOOKS, int(LOOKS * n)), generator)
    log_p, log_q = _at(drawn, np.arange(len(weights.share)), looks)
    seen = seen_share(log_p, log_q, looks.log_density, n)
    mixed = ~weights.accepted | (weights.share < BETTER) | (seen < ALIKE * weights.share)
    error = standard_error(np.minimum(weights.share, seen), n)
    weights = replace(weights, log_evidence_error=error, accepted=~mixed, mixed=mixed)
    rows = np.flatnonzero(mixed)
    if rows.size == 0:
        return weights
    first, second = slice(n - n // 2), slice(n - n // 2, n)
    log_alpha, log_beta = drawn.log_alpha.numpy(), drawn.log_beta.numpy()
    proposal = proposal.rows(rows)
    points = proposal.draw(n // 2, generator)
    log_alpha[rows, second], log_beta[rows, second] = points.log_alpha, points.log_beta
    log_p = drawn.log_likelihood.numpy()[rows]  # relative to the prior, as all densities here
    log_q = log_p - drawn.log_weight.numpy()[rows]
    log_p[:, second], log_q[:, second] = _at(drawn, rows, points)
    log_r = np.concatenate(
        [proposal.log_density(log_alpha[rows, first], log_beta[rows, first]), points.log_density], axis=1
    )
    fraction = n // 2 / n
    with np.errstate(divide="ignore"):  # one draw alone is the network's
        mixture = np.logaddexp(np.log1p(-fraction) + log_q, np.log(fraction) + log_r)
    of_mixture = weigh(log_p - mixture)
    k = np.array([pareto_k(ratios) for ratios in log_p - mixture])
    of_mixture = replace(of_mixture, pareto_k=k, accepted=(of_mixture.share >= LOWEST_SHARE) & (k < HIGHEST_K))
    for name in ("log_weights", "share", "pareto_k", "log_evidence", "log_evidence_error", "accepted"):
        getattr(weights, name)[rows] = getattr(of_mixture, name)
    return weights


def _at(drawn: Draws, rows: NDArray[np.intp], points: Points) -> tuple[Floats, Floats]:
    """Log likelihood and log density of the network (relative to the prior) at the points; -inf outside a bounded
    prior's support."""
    assert drawn.at is not None
    log_p, log_q = (
        value.numpy()
        for value in drawn.at(
            torch.from_numpy(rows), torch.from_numpy(points.log_alpha), torch.from_numpy(points.log_beta)
        )
    )
    inside = np.isfinite(points.log_density) & np.isfinite(log_p)
    return np.where(inside, log_p, -np.inf), np.where(inside & np.isfinite(log_q), log_q, -np.inf)


def seen_share(log_p: Floats, log_q: Floats, log_r: Floats, n: int) -> Floats:
    """The effective share of n draws of q, 1 / E_p[p / q], as draws of r show it: (B, M) each -> (B,).

    Where p / q is large q has no draws, so that its own weights cannot tell. p / q is truncated at sqrt(n) (Ionides
    2008, doi:10.1198/106186008X320456): a part of the posterior beyond, of mass m, moves a mean by its distance times
    m, which is lost in the Monte Carlo error where m sqrt(n) is small.
    """
    weight = log_p - log_r
    total = _log_sum(weight)
    log_mean = total - _log_sum(log_q - log_r)  # of p / q, where both are seen
    with np.errstate(invalid="ignore"):  # p and q are both zero where the weight is
        ratio = np.minimum(log_p - log_q - log_mean[:, None], np.log(max(LEAST_CAP, np.sqrt(n))))
    return np.exp(total - _log_sum(np.where(np.isneginf(weight), -np.inf, weight + ratio)))


def _log_sum(x: Floats) -> Floats:
    return np.asarray(torch.logsumexp(torch.from_numpy(x), 1).numpy())


def warn_of_weights(weights: Weights) -> None:
    """ConvergenceWarning where the weights are not accepted."""
    rejected = np.flatnonzero(~weights.accepted)
    if rejected.size:
        b = int(rejected[0])
        errors.warn(
            f"the importance weights of {rejected.size} of {weights.share.size} datasets are uneven (dataset {b}: "
            f"{weights.share[b]:.0%} of the draws are effective, at least {LOWEST_SHARE:.0%} are needed; Pareto's k is "
            f"{weights.pareto_k[b]:.2f}, needed below {HIGHEST_K}): their summaries and evidences are not to be relied "
            'on; pass more n_draws, or correct="auto" for the exact sampler',
            ConvergenceWarning,
        )


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
        NaN where the network gave no draws: there the chains start as those of `sample`.

    Warns
    -----
    ConvergenceWarning
        As `hbm_fast.sample`.
    """
    n_chains = 4 if n_draws >= 400 else 1
    each = -(-n_draws // n_chains)
    start = starting_points(*network, n_chains, np.random.default_rng(key.tolist()))
    post = sample(counts, model, n_draws=each, n_chains=n_chains, start=start, rng=key, n_threads=threads)  # type: ignore[arg-type]
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
