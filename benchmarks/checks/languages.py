"""A language from a few utterances: the learned embedding on 80 written languages that it was not trained on.

    python benchmarks/checks/languages.py [--seeds 0 1 2] [--part FILE] [--merge FILE ...]

It trains on 231 languages, stops by 30 others and tries 80 further ones: how well a few utterances of a language
predict, recognise and let generate further ones, beside a Dirichlet fitted to the same 231 languages, naive Bayes, and
a mixture over the 231 languages. It writes benchmarks/results/languages.json, or with --part the records of some seeds,
which --merge puts together. Each language has 40 utterances as examples and 20 others as queries.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

import hbm_fast as hbm
from hbm_fast.benchmark.records import Record, Results, measured_here
from hbm_fast.embedding import dirichlet_rows
from hbm_fast.embedding.scoring import log_probabilities

RESULTS = Path(__file__).parents[1] / "results" / "languages.json"
SIZES = {1: 512, 2: 512, 5: 256, 20: 128, 40: 128}  # numbers of examples, and draws of z: more where z is less known
N_EXAMPLES, N_QUERIES = 40, 20
TRAINING, SCORING, GENERATED = "training", "one example and 100 queries", "generated from 20 examples and recognised"
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
        self.posteriors = [self.emb.sample(counts[:n], n_draws=SIZES[n], rng=i) for i, counts in enumerate(COUNTS)]
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


def others():
    """Records of the methods beside the embedding."""
    pooled = np.stack([LANGUAGES.counts(int(i)).sum(0) for i in LEARN])
    methods = {"naive Bayes": NaiveBayes(), "fitted Dirichlet": Dirichlet(dirichlet_rows.fitted(pooled))}
    methods |= {"mixture": Mixture(pooled)}
    return [
        Record(case=case(n), method=name, metrics=measures(method.score(n), method.background))
        for n in SIZES
        for name, method in methods.items()
    ]


def of_seed(seed):
    """Records of the embedding that a seed gives."""
    name = f"embedding, seed {seed}"
    emb, seconds = learned(seed)
    records = [
        Record(case=TRAINING, method=name, seconds=seconds, metrics=emb.metrics),
        Record(case=SCORING, method=name, seconds=conditioning_seconds(emb)),
    ]
    method = Learned(emb)
    for n in SIZES:
        records.append(Record(case=case(n), method=name, metrics=measures(method.score(n), method.background)))
        print(records[-1], flush=True)
        if n == 20:
            other = [emb.sample(counts[20:], n_draws=SIZES[20], rng=0) for counts in COUNTS]

            def recognise(chains, other=other):
                return np.stack([post.log_predictive(chains, coefficient=False) for post in other])

            share = generated(method.posteriors, recognise, seed)
            real = float((recognise(COUNTS[:, :20].reshape(-1, 27, 27)).argmax(0) == OWNER).mean())
            records.append(Record(case=GENERATED, method=name, metrics={"recognised": share, "real": real}))
    return records


def case(n):
    """Name of the case of n examples."""
    return f"{n} example{'s' if n > 1 else ''}"


ORDER = [*map(case, SIZES), GENERATED, TRAINING, SCORING]


def goals(records):
    """What each seed reaches, beside the goal."""
    found = {(record.case, record.method): record for record in records}
    seeds = [record.method for record in records if record.case == TRAINING]

    def row(name, goal, value):
        return Record(case=f"goals: {name}", method="embedding", metrics={"goal": goal} | {s: value(s) for s in seeds})

    def metric(n, name):
        return lambda seed: found[case(n), seed].metrics[name]

    dirichlet = found[case(1), "fitted Dirichlet"].metrics["nats"]
    return [
        row("nats over the fitted Dirichlet, 1 example", ">= 3.8", lambda s: metric(1, "nats")(s) - dirichlet),
        row("area under the curve, 1 example", ">= 0.965", metric(1, "area under the curve")),
        row("balanced accuracy at Bayes factor 1, 1 example", ">= 0.91", metric(1, "balanced accuracy")),
        row("balanced accuracy at Bayes factor 1, 5 examples", ">= 0.97", metric(5, "balanced accuracy")),
        row("which of 80, 1 example", ">= 0.59", metric(1, "which of 80")),
        row("nats, 40 examples", ">= -83.6", metric(40, "nats")),
        row("largest gap of a tenth, 1 example", "<= 0.13", metric(1, "largest gap of a tenth")),
        row(GENERATED, ">= 0.90", lambda s: found[GENERATED, s].metrics["recognised"]),
        row(
            "effective share of the weights of q, 1 example",
            ">= 0.08",
            lambda s: found[TRAINING, s].metrics["ess_share_1"],
        ),
        row("CPU seconds of the training", "<= 60", lambda s: found[TRAINING, s].seconds),
        row(f"CPU seconds, {SCORING}", "<= 0.2", lambda s: found[SCORING, s].seconds),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--part", type=Path)
    parser.add_argument("--merge", type=Path, nargs="*", default=[])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.merge:
        records = [record for path in asked.merge for record in Results.read(path).records]
    else:
        records = [record for seed in asked.seeds for record in of_seed(seed)]
    if asked.part is None:
        records = sorted([*others(), *records], key=lambda record: ORDER.index(record.case))
        records = [*goals(records), *records]
    notes = ["Nats are of an utterance of about 41 letters, without the multinomial coefficients."]
    measured_here("A language from a few utterances", records, ("torch",), notes).write(asked.part or RESULTS)


if __name__ == "__main__":
    main()
