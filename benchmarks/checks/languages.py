"""A language from a few utterances: the learned embedding on 80 written languages that it was not trained on.

    python benchmarks/checks/languages.py [--seeds 0 1 2] [--part FILE] [--merge FILE ...]

It trains on 231 languages, stops by 30 others and tries 80 further ones: how well a few utterances of a language
predict, recognise and let generate further ones, beside a Dirichlet fitted to the same 231 languages, naive Bayes, and
a mixture over the 231 languages. It writes benchmarks/results/languages.json, or with --part the records of some seeds,
which --merge puts together. Each language has 40 utterances as examples and 20 others as queries. With one example the
reliability is also measured with each of five utterances as that example, over all scores together.
"""

import argparse
from functools import partial
from pathlib import Path

import checking
import numpy as np
import torch

from hbm_fast.benchmark.records import Record, Results, measured_here
from hbm_fast.experiments import languages, languages_methods
from hbm_fast.experiments.languages_study import Study

RESULTS = Path(__file__).parents[1] / "results" / "languages.json"
SIZES = {1: 512, 2: 512, 5: 256, 20: 128, 40: 128}  # numbers of examples, and draws of z: more where z is less known
# The utterance that is the one example, in turn: five times the scores of the first alone.
EXAMPLES = (0, 8, 16, 24, 32)
TRAINING, SCORING, GENERATED = "training", "one example and 100 queries", "generated from 20 examples and recognised"
NAMES = {
    "nats": "nats",
    "which": "which of 80",
    "balanced": "balanced accuracy",
    "gap": "largest gap of a tenth",
    "auc": "area under the curve",
}
IN_TURN = "largest gap of a tenth, with each of five utterances as the example"
STUDY = Study()
TRIAL = STUDY.trial
QUERIES = TRIAL.queries
OWNER = TRIAL.is_own.argmax(0)


def record(name, n, scores):
    """What the scores of a method say that was given n examples."""
    found = languages_methods.measures(scores, TRIAL)
    return Record(case=case(n), method=name, metrics={NAMES[key]: found[key] for key in NAMES if key in found})


def scored(emb, posteriors):
    """Scores by the posterior of each held-out language."""
    queries = [post.log_predictive(QUERIES, coefficient=False) for post in posteriors]
    pairs = zip(posteriors, TRIAL.relatives, strict=True)
    relatives = [post.log_predictive(counts, coefficient=False) for post, counts in pairs]
    method = languages_methods.Learned(emb)
    flat = TRIAL.relatives.reshape(-1, *QUERIES.shape[1:])
    backgrounds = method.background(QUERIES), method.background(flat).reshape(len(posteriors), -1)
    return languages_methods.Scores(np.stack(queries), np.stack(relatives), *backgrounds)


def gap_in_turn(score):
    """The largest gap of a tenth at one example, over the scores with each of five utterances as the example.

    ``score`` maps the place of the utterance to `languages_methods.Scores`.
    """
    own, other, _ = zip(*(languages_methods.evidence(score(place), TRIAL) for place in EXAMPLES), strict=True)
    return languages_methods.largest_gap(np.concatenate(own), np.concatenate(other))


def given_one(emb, place):
    """Scores by the embedding with one utterance of each language as the example."""
    return scored(emb, [emb.sample(x[[place]], n_draws=SIZES[1], rng=i) for i, x in enumerate(TRIAL.held_out)])


def trial_from(place):
    """The trial with another utterance as the first example."""
    held_out = TRIAL.held_out.copy()
    held_out[:, [0, place]] = held_out[:, [place, 0]]
    return languages_methods.Trial(held_out, TRIAL.relatives)


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
    seconds = []
    for counts in TRIAL.held_out[:6, :1]:
        seconds.append(checking.timed(lambda x=counts: emb.sample(x, rng=0).probability_same(QUERIES[:100]))[1])
    return float(np.median(seconds[1:]))


def others():
    """Records of the methods beside the embedding."""
    methods = STUDY.rivals(STUDY.learn, STUDY.pooled)
    records = [
        record(name, n, languages_methods.score(method, TRIAL, n)) for n in SIZES for name, method in methods.items()
    ]
    for found in records:
        if found.case == case(1) and NAMES["gap"] in found.metrics:
            method = methods[found.method]
            found.metrics[IN_TURN] = gap_in_turn(
                lambda place, m=method: languages_methods.score(m, trial_from(place), 1)
            )
    return records


def of_seed(seed):
    """Records of the embedding that a seed gives."""
    name = f"embedding, seed {seed}"
    emb, seconds = checking.timed(languages.network, seed)
    records = [
        Record(case=TRAINING, method=name, seconds=seconds, metrics=emb.metrics),
        Record(case=SCORING, method=name, seconds=conditioning_seconds(emb)),
    ]
    for n, n_draws in SIZES.items():
        posteriors = [emb.sample(counts[:n], n_draws=n_draws, rng=i) for i, counts in enumerate(TRIAL.held_out)]
        records.append(record(name, n, scored(emb, posteriors)))
        if n == 1:
            records[-1].metrics[IN_TURN] = gap_in_turn(partial(given_one, emb))
        print(records[-1], flush=True)
        if n == 20:
            other = [emb.sample(counts[20:], n_draws=n_draws, rng=0) for counts in TRIAL.held_out]

            def recognise(chains, other=other):
                return np.stack([post.log_predictive(chains, coefficient=False) for post in other])

            share = generated(posteriors, recognise, seed)
            real = float((recognise(TRIAL.held_out[:, :20].reshape(-1, 27, 27)).argmax(0) == OWNER).mean())
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
        row(IN_TURN, "<= 0.13", metric(1, IN_TURN)),
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
    notes = [
        "Nats are of an utterance of about 41 letters, without the multinomial coefficients.",
        "The largest gap of a tenth with one example moves by about 0.04 with the draws of z; docs/guide/languages.md "
        "has it from draws at the mode.",
    ]
    measured_here("A language from a few utterances", records, ("torch",), notes).write(asked.part or RESULTS)


if __name__ == "__main__":
    main()
