"""Methods that score utterances of a language that they were not fitted to, and the measures of their scores.

Each method is given the first n utterances of each held-out language, and returns the log probability of other
utterances, as sequences: without the multinomial coefficients.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from hbm_fast._typing import Floats
from hbm_fast.embedding import DatasetEmbedding, DatasetPosterior, dirichlet_rows
from hbm_fast.embedding.scoring import log_probabilities

N_EXAMPLES, N_QUERIES = 40, 20  # utterances of a held-out language
LEAST_IN_TENTH = 100  # scores, for a tenth of the reliability diagram to count
Counts = NDArray[np.int64]
Scorer = Callable[[Counts], Floats]  # utterances (R, C, K) -> log probabilities (R,)


class Method(Protocol):
    """A way to score utterances."""

    def given(self, pooled: Counts) -> Iterator[Scorer]:
        """A scorer for each language, from the counts of its examples, (B, C, K)."""

    def background(self, counts: Counts) -> Floats | None:
        """Log probabilities without examples, where the method has them."""

    def proportions(self, pooled: Counts) -> Floats:
        """Mean proportions of each language, (B, C, K)."""


class NaiveBayes:
    """Shares with 0.1 added to every count; utterances have no probability without examples."""

    def given(self, pooled: Counts) -> Iterator[Scorer]:
        for share in self.proportions(pooled):
            yield partial(np.einsum, "ck,rck->r", np.log(share))

    def background(self, counts: Counts) -> None:
        return None

    def proportions(self, pooled: Counts) -> Floats:
        return _shares(pooled + 0.1)


class FittedDirichlet:
    """The conjugate model: one Dirichlet for each context, fitted to the languages learned from."""

    def __init__(self, pooled: Counts) -> None:
        self.concentration = dirichlet_rows.fitted(pooled)

    def given(self, pooled: Counts) -> Iterator[Scorer]:
        for x in pooled:
            yield partial(_mean, self.concentration[None] + x, np.zeros(1))

    def background(self, counts: Counts) -> Floats:
        return np.asarray(log_probabilities(counts, self.concentration[None])[0])

    def proportions(self, pooled: Counts) -> Floats:
        return _shares(self.concentration + pooled)


class Mixture:
    """A language is like one of those learned from: theta ~ Dirichlet(30 times its shares)."""

    def __init__(self, pooled: Counts) -> None:
        self.concentration = 30.0 * _shares(pooled + 0.1)

    def given(self, pooled: Counts) -> Iterator[Scorer]:
        for x, log_weights in zip(pooled, self._log_weights(pooled), strict=True):
            yield partial(_mean, self.concentration + x, log_weights)

    def background(self, counts: Counts) -> Floats:
        n = len(self.concentration)
        return _mean(self.concentration, np.full(n, -np.log(n)), counts)

    def proportions(self, pooled: Counts) -> Floats:
        weights = np.exp(self._log_weights(pooled))
        return np.stack([_average(self.concentration + x, w) for x, w in zip(pooled, weights, strict=True)])

    def _log_weights(self, pooled: Counts) -> Floats:
        """Of each language learned from, for each given, (B, M)."""
        values = log_probabilities(pooled, self.concentration).T
        return np.asarray(values - np.logaddexp.reduce(values, axis=1, keepdims=True))


class Learned:
    """The embedding."""

    def __init__(self, emb: DatasetEmbedding) -> None:
        self.emb = emb

    def given(self, pooled: Counts) -> Iterator[Scorer]:
        post = self._posterior(pooled)
        for z, log_weights, x in zip(post.latent, post.log_weights, pooled, strict=True):
            yield partial(_mean, self.emb.concentrations(torch.from_numpy(z)) + x, log_weights)

    def background(self, counts: Counts) -> Floats:
        prior = self.emb.prior_concentration.reshape(-1, *counts.shape[1:])
        return _mean(prior, np.full(len(prior), -np.log(len(prior))), counts)

    def proportions(self, pooled: Counts) -> Floats:
        return self._posterior(pooled).predict().reshape(pooled.shape)

    def _posterior(self, pooled: Counts) -> DatasetPosterior:
        return self.emb.sample(pooled.reshape(len(pooled), 1, *self.emb.shape), rng=0)


def _shares(a: Any) -> Floats:
    return np.asarray(a / a.sum(-1, keepdims=True))


def _average(concentration: Floats, weights: Floats) -> Floats:
    return np.asarray(np.einsum("s,sck->ck", weights, _shares(concentration)))


def _mean(concentration: Floats, log_weights: Floats, counts: Counts) -> Floats:
    values = log_probabilities(counts, concentration) + log_weights[:, None]
    return np.asarray(np.logaddexp.reduce(values))


@dataclass(frozen=True)
class Trial:
    """Utterances (80, 60, C, K) of the held-out languages, and (80, 20, C, K) of the nearest relative of each."""

    held_out: Counts
    relatives: Counts

    @property
    def queries(self) -> Counts:
        """(1600, C, K)."""
        return self.held_out[:, N_EXAMPLES:].reshape(-1, *self.held_out.shape[2:])

    @property
    def is_own(self) -> NDArray[np.bool_]:
        """Which queries are of which language, (80, 1600)."""
        n = len(self.held_out)
        return np.repeat(np.eye(n, dtype=bool), N_QUERIES, axis=1)


@dataclass(frozen=True)
class Scores:
    """Log probabilities: (80, 1600) of all queries, (80, 20) of the relative's, and both without examples."""

    queries: Floats
    relatives: Floats
    background: Floats | None
    relatives_background: Floats | None


def score(method: Method, trial: Trial, n: int) -> Scores:
    """Score the queries by a method that is given the first n utterances of each language."""
    queries, own, other = trial.queries, [], []
    for scorer, relatives in zip(method.given(trial.held_out[:, :n].sum(1)), trial.relatives, strict=True):
        own.append(scorer(queries))
        other.append(scorer(relatives))
    background = method.background(queries)
    flat = trial.relatives.reshape(-1, *queries.shape[1:])
    of_relatives = method.background(flat)
    shaped = None if of_relatives is None else of_relatives.reshape(len(own), -1)
    return Scores(np.stack(own), np.stack(other), background, shaped)


def measures(scores: Scores, trial: Trial, languages: Any = slice(None)) -> dict[str, float]:
    """What the scores of the held-out languages, or of some of them, say of a method."""
    is_own = trial.is_own[languages]
    of_these = is_own.any(0)
    own, other, relative = evidence(scores, trial, languages)
    found = {
        "nats": float(scores.queries[languages][is_own].mean()),
        "which": float((scores.queries.argmax(0) == trial.is_own.argmax(0))[of_these].mean()),
        "auc": area_under_curve(own, other),
        "auc_relative": area_under_curve(own, relative),
    }
    if scores.background is not None:
        found["nats_without"] = float(scores.background[of_these].mean())
        found["balanced"] = float(0.5 * ((own > 0.0).mean() + (other <= 0.0).mean()))
        found["relative_taken_for_own"] = float((relative > 0.0).mean())
        found["gap"] = largest_gap(own, other)
    return found


def evidence(scores: Scores, trial: Trial, languages: Any = slice(None)) -> tuple[Floats, Floats, Floats]:
    """Log Bayes factors of own utterances, those of other held-out languages, and those of the nearest relative.

    Without a background: log probabilities a letter.
    """
    is_own = trial.is_own[languages]
    if scores.background is None or scores.relatives_background is None:
        values = scores.queries[languages] / trial.queries.sum((1, 2))
        relative = scores.relatives[languages] / trial.relatives.sum((2, 3))[languages]
    else:
        values = scores.queries[languages] - scores.background
        relative = (scores.relatives - scores.relatives_background)[languages]
    return values[is_own], values[~is_own], relative.ravel()


def area_under_curve(own: Floats, other: Floats) -> float:
    """Probability that an utterance of the language scores above one of another."""
    ranks = np.empty(len(own) + len(other))
    ranks[np.argsort(np.concatenate([own, other]), kind="stable")] = np.arange(1, len(ranks) + 1)
    return float((ranks[: len(own)].sum() - len(own) * (len(own) + 1) / 2) / (len(own) * len(other)))


def reliability(own: Floats, other: Floats) -> list[tuple[float, float, int]]:
    """Mean probability stated, share that is right, and scores, in each tenth; own and other count the same."""
    stated = 1.0 / (1.0 + np.exp(-np.clip(np.concatenate([own, other]), -700.0, 700.0)))
    weight = np.concatenate([np.full(len(own), 0.5 / len(own)), np.full(len(other), 0.5 / len(other))])
    same = np.concatenate([np.ones(len(own)), np.zeros(len(other))])
    tenth = np.minimum(9, (10.0 * stated).astype(int))
    return [
        (
            float(np.average(stated[tenth == i], weights=weight[tenth == i])),
            float(np.average(same[tenth == i], weights=weight[tenth == i])),
            int((tenth == i).sum()),
        )
        for i in range(10)
        if (tenth == i).any()
    ]


def largest_gap(own: Floats, other: Floats) -> float:
    """Largest difference between the probability stated and the share that is right, of tenths that hold enough."""
    gaps = [abs(stated - right) for stated, right, n in reliability(own, other) if n >= LEAST_IN_TENTH]
    return max(gaps, default=np.nan)
