"""Importance sampling: weights of a network's draws, their diagnostics, and when they represent the posterior."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hbm_fast import _memory, errors
from hbm_fast._typing import Floats
from hbm_fast._weighted import pareto_k
from hbm_fast.errors import ConvergenceWarning
from hbm_fast.models import HierarchicalModel
from hbm_fast.nn.data import TrainingStream
from hbm_fast.nn.draws import Draws, generator
from hbm_fast.nn.proposal import Points, Proposal, log_sum_exp
from hbm_fast.sampling import sample

# Pareto's k is not used above this share of effective draws: it is not identifiable for nearly constant weights.
EVEN = 0.9
LOWEST_SHARE = 0.3
HIGHEST_K = 0.7
# Draws of the second proposal that test whether the network misses a part of the posterior: a fifth as many as draws,
# and at least 100, which hit a missing twentieth of the posterior with a probability of 99 %.
TEST_DRAWS = 0.2
FEWEST_TEST_DRAWS = 100
# The network's draws are used alone where their effective share is above that of the mixture (about a half), and the
# share estimated from the test draws is no smaller than 0.9 of it.
BETTER = 0.6
ALIKE = 0.9
LEAST_CAP = 10.0  # of the ratios p / q at the test draws, also for few draws
# (dataset, draw) pairs at once: few enough to stay in the cache, and enough to pay for torch's calls
CHUNK = 50_000


@dataclass(frozen=True)
class Weights:
    """Importance weights of B datasets."""

    log_weights: Floats  # (B, S), normalised
    share: Floats  # (B,), Kish's effective number of draws over S
    pareto_k: Floats  # (B,), NaN above the share of 0.9
    log_evidence: Floats  # (B,), of ordered sequences
    log_evidence_error: Floats
    accepted: NDArray[np.bool_]
    mixed: NDArray[np.bool_] | None = None  # whether half of the draws are from the second proposal


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


def log_mean_exp(log_weights: Tensor) -> Tensor:
    """Log of the mean weight, (B, S) -> (B,): the log evidence, or a bound on it in expectation."""
    return torch.logsumexp(log_weights, 1) - float(np.log(log_weights.shape[1]))


def effective_share(log_weights: Tensor) -> Tensor:
    """Kish's effective number of draws over their number, (B, S) -> (B,)."""
    return 1.0 / (log_weights.shape[1] * log_weights.softmax(1).square().sum(1))


def standard_error(share: Floats, n: int) -> Floats:
    """Standard error of the log of the mean of n weights, from the effective share of the draws."""
    return np.asarray(np.sqrt(np.maximum(1.0 / share - 1.0, 0.0) / n))


def corrected(
    network: Any, model: HierarchicalModel, counts: NDArray[Any], n: int, key: NDArray[np.uint64], n_threads: int
) -> tuple[Draws, Weights]:
    """n draws for each dataset of counts (B, N, K), with weights towards the exact posterior.

    Weights of a network's own draws cannot show a part of the posterior that the network misses. Draws of a second
    proposal, centred at the posterior's mode (see `proposal`), test for it. Where the weights are not nearly even by
    both, half of the draws are from the second proposal, and all are weighted by the density of the mixture (the
    balance heuristic of Veach & Guibas 1995, doi:10.1145/218380.218498; defensive mixtures: Hesterberg 1995,
    doi:10.1080/00401706.1995.10484303).
    """
    first, second = generator(key), np.random.default_rng([*key.tolist(), 1])
    found: list[Weights] = []

    def parts() -> Iterator[Draws]:
        for part in _memory.chunks(len(counts), n, CHUNK):
            drawn = network.draw(counts[part], n, first, weigh=True, n_threads=n_threads)
            found.append(_correct(drawn, Proposal(counts[part], model, n_threads), second))
            yield Draws(drawn.log_alpha, drawn.log_beta, torch.from_numpy(found[-1].log_weights))

    draws = Draws.gathered(parts(), counts.shape[0])
    assert draws.log_weight is not None
    names = [field.name for field in fields(Weights) if field.name != "log_weights"]
    columns = {name: np.concatenate([getattr(w, name) for w in found]) for name in names}
    return draws, Weights(log_weights=draws.log_weight.numpy(), **columns)


def _correct(drawn: Draws, proposal: Proposal, rng: np.random.Generator) -> Weights:
    """Weights of a network's draws; where they are not even, the second half of the draws is replaced."""
    assert drawn.log_weight is not None
    assert drawn.log_likelihood is not None
    n = drawn.log_alpha.shape[1]
    weights = weigh(drawn.log_weight.numpy())
    test = proposal.draw(max(FEWEST_TEST_DRAWS, int(TEST_DRAWS * n)), rng)
    log_p, log_q = _at(drawn, np.arange(len(weights.share)), test)
    estimated = estimated_share(log_p, log_q, test.log_density, n)
    mixed = ~weights.accepted | (weights.share < BETTER) | (estimated < ALIKE * weights.share)
    error = standard_error(np.minimum(weights.share, estimated), n)
    weights = replace(weights, log_evidence_error=error, accepted=~mixed, mixed=mixed)
    rows = np.flatnonzero(mixed)
    if rows.size == 0:
        return weights
    first, second = slice(n - n // 2), slice(n - n // 2, n)
    log_alpha, log_beta = drawn.log_alpha.numpy(), drawn.log_beta.numpy()
    proposal = proposal.rows(rows)
    points = proposal.draw(n // 2, rng)
    log_alpha[rows, second], log_beta[rows, second] = points.log_alpha, points.log_beta
    log_p = drawn.log_likelihood.numpy()[rows]  # relative to the prior, as every density here
    log_q = log_p - drawn.log_weight.numpy()[rows]
    log_p[:, second], log_q[:, second] = _at(drawn, rows, points)
    log_r = np.concatenate(
        [proposal.log_density(log_alpha[rows, first], log_beta[rows, first]), points.log_density], axis=1
    )
    fraction = n // 2 / n
    with np.errstate(divide="ignore"):  # a single draw is the network's
        mixture = np.logaddexp(np.log1p(-fraction) + log_q, np.log(fraction) + log_r)
    of_mixture = weigh(log_p - mixture)
    k = np.array([pareto_k(ratios) for ratios in log_p - mixture])
    of_mixture = replace(of_mixture, pareto_k=k, accepted=(of_mixture.share >= LOWEST_SHARE) & (k < HIGHEST_K))
    for name in ("log_weights", "share", "pareto_k", "log_evidence", "log_evidence_error", "accepted"):
        getattr(weights, name)[rows] = getattr(of_mixture, name)
    return weights


def _at(drawn: Draws, rows: NDArray[np.intp], points: Points) -> tuple[Floats, Floats]:
    """Log likelihood and log density of the network relative to the prior at the points, -inf outside the support of a
    bounded prior."""
    assert drawn.at is not None
    log_p, log_q = (
        value.numpy()
        for value in drawn.at(
            torch.from_numpy(rows), torch.from_numpy(points.log_alpha), torch.from_numpy(points.log_beta)
        )
    )
    inside = np.isfinite(points.log_density) & np.isfinite(log_p)
    return np.where(inside, log_p, -np.inf), np.where(inside & np.isfinite(log_q), log_q, -np.inf)


def estimated_share(log_p: Floats, log_q: Floats, log_r: Floats, n: int) -> Floats:
    """Effective share of n draws of q, 1 / E_p[p / q], estimated from draws of r: (B, M) each -> (B,).

    Where p / q is large q has no draws, so that the weights of draws of q do not show it. p / q is truncated at sqrt(n)
    (Ionides 2008, doi:10.1198/106186008X320456): a part of the posterior beyond it, of mass m, moves a mean by its
    distance times m, which is below the Monte Carlo error where m sqrt(n) is small.
    """
    weight = log_p - log_r
    total = log_sum_exp(weight)
    log_mean = total - log_sum_exp(log_q - log_r)  # of p / q
    with np.errstate(invalid="ignore"):  # p and q are both zero where the weight is
        ratio = np.minimum(log_p - log_q - log_mean[:, None], np.log(max(LEAST_CAP, np.sqrt(n))))
    return np.exp(total - log_sum_exp(np.where(np.isneginf(weight), -np.inf, weight + ratio)))


def warn_of_weights(weights: Weights) -> None:
    """ConvergenceWarning where the weights are not accepted."""
    rejected = np.flatnonzero(~weights.accepted)
    if rejected.size:
        b = int(rejected[0])
        errors.warn(
            f"the importance weights of {rejected.size} of {weights.share.size} datasets are uneven (dataset {b}: "
            f"{weights.share[b]:.0%} of the draws are effective, at least {LOWEST_SHARE:.0%} are needed; Pareto's k is "
            f"{weights.pareto_k[b]:.2f}, needed below {HIGHEST_K}): their summaries and evidences are not "
            'reliable; pass more n_draws, or correct="auto" for the exact sampler',
            ConvergenceWarning,
        )


def log_coefficient(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Sum over groups of the log multinomial coefficient, (B, N, K) -> (B,)."""
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
    """Draws of MCMC given counts (B, N, K), four chains concatenated, started from draws of the network.

    ``network`` holds log alpha (B, S), log beta (B, S, K) and log weights (B, S); NaN where there are no draws of the
    network: the chains then start as those of `sample`. Warns as `hbm_fast.sample`.
    """
    n_chains = 4 if n_draws >= 400 else 1
    each = -(-n_draws // n_chains)
    start = starting_points(*network, n_chains, np.random.default_rng(key.tolist()))
    post = sample(counts, model, n_draws=each, n_chains=n_chains, start=start, rng=key, n_threads=threads)  # type: ignore[call-overload]
    b, k = counts.shape[0], counts.shape[-1]
    return post.log_alpha.reshape(b, -1)[:, :n_draws], post.log_beta.reshape(b, -1, k)[:, :n_draws]


def starting_points(
    log_alpha: Floats, log_beta: Floats, log_weights: Floats, n_chains: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Choose n_chains different draws of each dataset by their weights, (B, C) and (B, C, K)."""
    # the largest of log w + Gumbel noise are a weighted sample without replacement
    order = np.argsort(log_weights + rng.gumbel(size=log_weights.shape), axis=1)
    # fewer draws than chains: the best are repeated
    chosen = order[:, -1 - np.arange(n_chains) % order.shape[1]]
    rows = np.arange(len(chosen))[:, np.newaxis]
    return log_alpha[rows, chosen], log_beta[rows, chosen]


def validation_metrics(
    draw: Callable[..., Draws], streams: Sequence[TrainingStream], n_datasets: int = 100, n_draws: int = 300
) -> Callable[[], dict[str, float]]:
    """Return a function that computes KL(exact || q) and the effective share, means over fixed datasets, for any K.

    With draws of q and w = p(z, x) / (q(z | x) Z), KL(p || q) = E_q[w log w] = E_q[w log w - w + 1], whose terms are
    never negative; Z is the mean of the same weights. The ``streams`` have another key than that of the training.
    """
    data = [stream.block(0, n_datasets // len(streams)).counts for stream in streams]

    def metrics() -> dict[str, float]:
        rng = torch.Generator().manual_seed(0)
        drawn = [draw(counts.numpy(), n_draws, rng, weigh=True) for counts in data if counts is not None]
        log_ratio = torch.cat([draws.log_weight for draws in drawn if draws.log_weight is not None])
        log_w = log_ratio - torch.logsumexp(log_ratio, 1, keepdim=True) + float(np.log(n_draws))
        w = log_w.exp()
        kl = (w * log_w - w + 1.0).mean(1)
        return {
            "kl": float(kl.mean()),
            "kl_error": float(kl.std() / kl.numel() ** 0.5),
            "ess_share": float(effective_share(log_ratio).mean()),
        }

    return metrics
