"""The learned embedding against its goals, on one core, in about four minutes.

Each training has a fixed time. `error` is the model gap in nats per dataset, which does not depend on q; `ess` and
`inference_gap` measure q. The whole experiment: ``hbm-fast question2``.
"""

from functools import cache

import numpy as np

import hbm_fast as hbm
from hbm_fast.benchmark.measure import Case, Method
from hbm_fast.embedding import ModelComparison, load, train

TITLE = "The learned embedding"
PACKAGES = ("torch",)
BAGS = hbm.datasets.load_marbles().counts
FULL = {"n_groups": 21, "totals": 20}
RAGGED = {"n_groups": (1, 21), "totals": (0, 20)}
# categories, seconds, ranges of the datasets, goal in nats
TRAININGS = {
    "K=2, 10 s": (2, 10, FULL, 0.05),
    "K=2, 30 s": (2, 30, FULL, 0.01),
    "K=2 ragged, 40 s": (2, 40, RAGGED, 0.005),
    "K=3, 45 s": (3, 45, FULL, 0.005),
    "K=5, 60 s": (5, 60, FULL, 0.01),
}


def _learning(name, k, seconds, sizes, goal):
    def check(embedding, n):
        model = hbm.HierarchicalModel(k)
        counts = hbm.simulate(model, 2000 if k == 2 else 300, rng=10_000 + k, **sizes).counts
        comparison = ModelComparison(model, counts)
        log_learned = comparison.log_learned(embedding)
        gap, q = comparison.model_gap(embedding, log_learned), comparison.inference(embedding, log_learned)
        metrics = {"error": gap.value, "error_se": gap.error, "goal": goal, "inference_gap": q["gap"], "ess": q["ess"]}
        metrics["steps"] = embedding.training["steps"]
        if k == 2:
            metrics["next_black"] = float(embedding.sample(BAGS, n_draws=4000, rng=0).predict(20)[1])
        return metrics

    method = Method("hbm_fast", lambda: lambda: train(k, minutes=seconds / 60.0, rng=0, **sizes))
    return Case(f"embedding, learn: {name}", 1, "training", lambda n: (), check, [method], rounds=1, warm=False)


@cache
def _exact():
    return hbm.exact_posterior(BAGS, n_draws=100, rng=0)


def _sample(counts):
    marbles = load("marbles")
    return lambda: marbles.sample(counts, n_draws=1000, rng=0, n_threads=1)


def _log_evidence(counts):
    marbles = load("marbles")
    return lambda: marbles.log_evidence(counts)


def _check_posterior(post, n):
    metrics = {"ess": float(np.mean(post.details["ess_share"]))}
    if n == 1:
        metrics["next_black_error"] = abs(float(post.predict(20)[1] - _exact().predict(20)[1]))
    return metrics


def _check_evidence(value, n):
    return {"log_evidence_error": abs(value - _exact().log_evidence)}


def _datasets(n):
    return (BAGS if n == 1 else hbm.simulate(hbm.HierarchicalModel(2), n, rng=3, **FULL).counts,)


CASES = (
    *(_learning(name, *settings) for name, settings in TRAININGS.items()),
    *(
        Case(f"embedding, answer: {name}", size, "dataset", _datasets, check, [Method("hbm_fast", prepare)], rounds=7)
        for name, size, prepare, check in (
            ("sample", 1, _sample, _check_posterior),
            ("log_evidence", 1, _log_evidence, _check_evidence),
            ("a batch of 1,000", 1_000, _sample, _check_posterior),
        )
    ),
)
