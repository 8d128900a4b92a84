"""A language from a few utterances: the learned embedding on 80 written languages that it was not trained on.

``python benchmarks/checks/languages.py [seeds]`` trains on 231 languages, stops by 30 others and tries 80 further ones:
how well a few utterances of a language predict, recognise and let generate further ones, beside a Dirichlet fitted to
the same 231 languages, naive Bayes, and a mixture over the 231 languages. It writes benchmarks/results/languages.json.
Each language has 40 utterances as examples and 20 others as queries.
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch

import hbm_fast as hbm
from hbm_fast.benchmark.records import Record, measured_here
from hbm_fast.embedding import dirichlet_rows
from hbm_fast.embedding.scoring import log_probabilities

RESULTS = Path(__file__).parents[1] / "results" / "languages.json"
SIZES = (1, 2, 5, 20, 40)
N_EXAMPLES, N_QUERIES = 40, 20
LANGUAGES = hbm.datasets.load_languages()
LEARN, CHOOSE, HELD_OUT = (np.flatnonzero(LANGUAGES.split == part) for part in range(3))
COUNTS = np.stack([LANGUAGES.counts(int(i)) for i in HELD_OUT])
QUERIES = COUNTS[:, N_EXAMPLES:].reshape(-1, 27, 27)
OWNER = np.repeat(np.arange(len(HELD_OUT)), N_QUERIES)


def learned(seed):
    """The embedding, and the seconds of its training."""
    rows = np.concatenate([LEARN, CHOOSE])
    begin = time.process_time()
    emb = hbm.embedding.train(
        data=[LANGUAGES.counts(int(i)) for i in rows],
        names=[LANGUAGES.names[i] for i in rows],
        held_out=np.arange(len(LEARN), len(rows)),
        shared="dataset",
        dim=12,
        rng=seed,
    )
    return emb, time.process_time() - begin


class Learned:
    """The embedding as a method of the table."""

    def __init__(self, emb):
        self.emb = emb
        prior = log_probabilities(QUERIES, emb.prior_concentration)
        self.background = np.logaddexp.reduce(prior) - np.log(len(prior))

    def score(self, n):
        """Log probabilities (80, 1600) of the queries given the first n examples of each language."""
        self.posteriors = [self.emb.sample(counts[:n], rng=i) for i, counts in enumerate(COUNTS)]
        return np.stack([post.log_predictive(QUERIES, coefficient=False) for post in self.posteriors])


class Dirichlet:
    """The conjugate model: a Dirichlet for each row, fitted to the pooled counts of the languages to learn from."""

    def __init__(self, concentration):
        self.concentration = concentration
        self.background = log_probabilities(QUERIES, concentration[None])[0]

    def score(self, n):
        return log_probabilities(QUERIES, self.concentration + COUNTS[:, :n].sum(1))


class NaiveBayes:
    """Shares with 0.1 added to every count; it has no probability of a query without examples."""

    background = None

    def score(self, n):
        x = COUNTS[:, :n].sum(1) + 0.1
        log_share = np.log(x / x.sum(-1, keepdims=True))
        return np.einsum("lck,qck->lq", log_share, QUERIES)


class Mixture:
    """A language is like one of the 231 languages, theta ~ Dirichlet(30 times its shares)."""

    def __init__(self, pooled):
        x = pooled + 0.1
        self.concentration = 30.0 * x / x.sum(-1, keepdims=True)
        prior = log_probabilities(QUERIES, self.concentration)
        self.background = np.logaddexp.reduce(prior) - np.log(len(prior))

    def score(self, n):
        rows = []
        for x in COUNTS[:, :n].sum(1):
            log_weight = log_probabilities(x[None], self.concentration)
            value = log_probabilities(QUERIES, self.concentration + x) + log_weight - np.logaddexp.reduce(log_weight)
            rows.append(np.logaddexp.reduce(value))
        return np.stack(rows)


def area_under_curve(own, other):
    """Probability that a query of the language scores above one of another."""
    values = np.concatenate([own, other])
    order = np.argsort(values, kind="stable")
    rank = np.empty(len(values))
    rank[order] = np.arange(1, len(values) + 1)
    return (rank[: len(own)].sum() - len(own) * (len(own) + 1) / 2) / (len(own) * len(other))


def reliability(own, other):
    """Largest gap between the probability that is stated and the share that is right, over ten intervals."""
    stated = 1.0 / (1.0 + np.exp(-np.concatenate([own, other])))
    weight = np.concatenate([np.full(len(own), 0.5 / len(own)), np.full(len(other), 0.5 / len(other))])
    same = np.concatenate([np.ones(len(own)), np.zeros(len(other))])
    tenth = np.minimum(9, (10 * stated).astype(int))
    gaps = [
        abs(np.average(stated[tenth == i] - same[tenth == i], weights=weight[tenth == i]))
        for i in range(10)
        if (tenth == i).sum() >= 100
    ]
    return max(gaps)


def measures(score, background):
    """What the scores (80, 1600) of one number of examples say."""
    is_own = OWNER[None] == np.arange(len(HELD_OUT))[:, None]
    found = {"nats": score[is_own].mean(), "which of 80": (score.argmax(0) == OWNER).mean()}
    if background is not None:
        log_factor = score - background
        own, other = log_factor[is_own], log_factor[~is_own]
        found["balanced accuracy"] = 0.5 * ((own > 0).mean() + (other <= 0).mean())
        found["largest gap of a tenth"] = reliability(own, other)
    else:
        own, other = (score / QUERIES.sum((1, 2)))[is_own], (score / QUERIES.sum((1, 2)))[~is_own]
    found["area under the curve"] = area_under_curve(own, other)
    return {name: float(value) for name, value in found.items()}


def generated(posteriors, recognise, rng):
    """Share of generated utterances, by the mean proportions of each language, that are recognised among the 80.

    ``recognise`` maps counts of utterances to log probabilities (80, utterances); its examples are not the generator's.
    """
    generator = np.random.default_rng(rng)
    chains, owner = [], []
    for place, post in enumerate(posteriors):
        share = post.predict().cumsum(-1)
        for query in QUERIES[place == OWNER]:
            length, before = int(query.sum()), 0
            chain = np.zeros((27, 27), np.int64)
            for _ in range(length):
                after = min(26, int(np.searchsorted(share[before], generator.random() * share[before, -1])))
                chain[before, after] += 1
                before = after
            chains.append(chain)
            owner.append(place)
    return float((recognise(np.stack(chains)).argmax(0) == np.array(owner)).mean())


def conditioning_seconds(emb):
    """CPU seconds of one posterior and of 100 probabilities, the median of five."""
    emb.sample(COUNTS[0, :1], rng=0).probability_same(QUERIES[:100])
    seconds = []
    for i in range(5):
        begin = time.process_time()
        emb.sample(COUNTS[i, :1], rng=0).probability_same(QUERIES[:100])
        seconds.append(time.process_time() - begin)
    return float(np.median(seconds))


def main(n_seeds):
    torch.set_num_threads(1)
    pooled = np.stack([LANGUAGES.counts(int(i)).sum(0) for i in LEARN])
    base = dirichlet_rows.fitted(pooled)
    methods = {"naive Bayes": NaiveBayes(), "fitted Dirichlet": Dirichlet(base), "mixture": Mixture(pooled)}
    records = []

    def add(case, method, metrics, seconds=None):
        print(case, method, {name: round(value, 4) for name, value in metrics.items()}, seconds, flush=True)
        records.append(Record(case=case, method=method, seconds=seconds, metrics=metrics))

    for name, method in methods.items():
        for n in SIZES:
            add(f"{n} examples", name, measures(method.score(n), method.background))
    for seed in range(n_seeds):
        emb, seconds = learned(seed)
        add("training", f"embedding, seed {seed}", emb.metrics, seconds)
        add("one example and 100 queries", f"embedding, seed {seed}", {}, conditioning_seconds(emb))
        method = Learned(emb)
        for n in SIZES:
            add(f"{n} examples", f"embedding, seed {seed}", measures(method.score(n), method.background))
            if n == 20:
                other = [emb.sample(counts[20:], rng=0) for counts in COUNTS]

                def recognise(chains, other=other):
                    return np.stack([post.log_predictive(chains, coefficient=False) for post in other])

                share = generated(method.posteriors, recognise, seed)
                real = float((recognise(COUNTS[:, :20].reshape(-1, 27, 27)).argmax(0) == OWNER).mean())
                add("generated from 20 examples", f"embedding, seed {seed}", {"recognised": share, "real": real})
    measured_here("A language from a few utterances", records, ("torch",)).write(RESULTS)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
