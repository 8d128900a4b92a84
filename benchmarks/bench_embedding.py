"""The learned embedding against its goals, on one core, in about four minutes:

    pytest benchmarks/bench_embedding.py --benchmark-only --benchmark-json benchmarks/results/embedding.json

Each training has a fixed time; what is compared is how near the learned model comes to the truth in it (``error``, the
model gap in nats per dataset, free of q), and how good q is. Whole experiment: ``hbm-fast question2``.
"""

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast.embedding import ModelComparison, load, train

BAGS = hbm.datasets.load_marbles().counts
FULL = {"n_groups": 21, "totals": 20}
RAGGED = {"n_groups": (1, 21), "totals": (0, 20)}
# categories, seconds, stream, goal in nats
TRAININGS = {
    "K=2, 10 s": (2, 10, FULL, 0.05),
    "K=2, 30 s": (2, 30, FULL, 0.01),
    "K=2 ragged, 40 s": (2, 40, RAGGED, 0.005),
    "K=3, 45 s": (3, 45, FULL, 0.005),
    "K=5, 60 s": (5, 60, FULL, 0.01),
}


@pytest.mark.benchmark(group="embedding: learn")
@pytest.mark.parametrize("name", TRAININGS)
def test_learn(benchmark, name):
    k, seconds, sizes, goal = TRAININGS[name]
    learn = lambda: train(k, minutes=seconds / 60.0, rng=0, **sizes)  # noqa: E731
    embedding = benchmark.pedantic(learn, rounds=1)
    model = hbm.HierarchicalModel(k)
    counts = hbm.simulate(model, 2000 if k == 2 else 300, rng=10_000 + k, **sizes).counts
    referee = ModelComparison(model, counts)
    log_learned = referee.log_learned(embedding)
    gap, q = referee.model_gap(embedding, log_learned), referee.inference(embedding, log_learned)
    benchmark.extra_info |= {
        "error": gap.value,
        "error_se": gap.error,
        "goal": goal,
        "inference_gap": q["gap"],
        "ess": q["ess"],
        "steps": embedding.training["steps"],
    }
    if k == 2:
        benchmark.extra_info["next_black"] = float(embedding.sample(BAGS, n_draws=4000, rng=0).predict(20)[1])


@pytest.mark.benchmark(group="embedding: answer")
@pytest.mark.parametrize("name", ["sample", "log_evidence", "a batch of 1,000"])
def test_answer(benchmark, name):
    marbles = load("marbles")
    exact = hbm.exact_posterior(BAGS, n_draws=100, rng=0)
    if name == "log_evidence":
        value = benchmark(marbles.log_evidence, BAGS)
        benchmark.extra_info["error"] = abs(value - exact.log_evidence)
        return
    counts = BAGS if name == "sample" else hbm.simulate(hbm.HierarchicalModel(2), 1000, rng=3, **FULL).counts
    post = benchmark(lambda: marbles.sample(counts, n_draws=1000, rng=0, n_threads=1))
    if name == "sample":
        benchmark.extra_info["error"] = abs(float(post.predict(20)[1] - exact.predict(20)[1]))
    benchmark.extra_info["ess"] = float(np.mean(post.details["ess_share"]))
