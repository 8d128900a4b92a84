"""MCMC against a trained network: every method is timed and compared, extrapolation is marked, break-even is exact."""

import json
import math

import numpy as np
import pytest

import hbm_fast as hbm

pytest.importorskip("torch")
pytest.importorskip("matplotlib")
pytest.importorskip("arviz_stats")
from hbm_fast.benchmark import amortized_vs_mcmc, methods, plots
from hbm_fast.benchmark.reference import ReferencePosterior, effective_draws


@pytest.fixture(scope="module")
def result():
    seen = []
    found = amortized_vs_mcmc.run(
        sizes=(1, 3), with_peers=(), n_draws=200, n_compared=3, seed=1, report=lambda *found: seen.append(found)
    )
    points = sum(len(case["points"]) + len(case["accuracy_against_time"]) for case in found["works"])
    assert [done for _, done, _ in seen] == list(range(1, points + 1))
    assert seen[-1][2] == points
    return found


def test_every_method_is_timed_and_compared(result):
    assert [case["n_categories"] for case in result["works"]] == [2, 5]
    two, five = ([(p["way"], p["datasets"]) for p in case["points"]] for case in result["works"])
    names = ["hbm.sample", "network, raw", "network, corrected"]
    assert five == [(name, size) for name in names for size in (1, 3)]
    assert two == [("exact_posterior", 1), ("exact_posterior", 3), *five]
    for case in result["works"]:
        for point in [*case["points"], *case["accuracy_against_time"]]:
            assert point["seconds"] > 0
            assert point["measured"] == point["datasets"]
            assert not point["extrapolated"]
            assert 0 < point["effective_share"] < 3
            # the draws of all methods come from the posterior, or nearly
            assert point["ks_log_alpha"] < 0.6 / math.sqrt(point["draws"] / 20)
            assert point["ks_beta"] < 0.6 / math.sqrt(point["draws"] / 20)
    assert result["peers_left_out"] == ["numpyro", "nutpie"]
    assert json.loads(json.dumps(result)) == result


def test_training_is_charged_to_the_networks_alone(result):
    for case in result["works"]:
        assert set(case["break_even"]) == {"network, raw", "network, corrected"}
        for name, method in case["ways"].items():
            assert (method["training_seconds"] > 60) == name.startswith("network")


def test_a_short_budget_is_extrapolated_openly():
    model = hbm.HierarchicalModel(2)
    counts = hbm.simulate(model, 50, n_groups=3, totals=5, rng=0).counts
    method = next(m for m in methods.ours(model, 1) if m.name == "exact_posterior")
    reference = ReferencePosterior(model, counts[:2], 1)
    point = amortized_vs_mcmc.measure(method, counts, 50, reference, budget=1e-9)
    assert point.extrapolated
    assert point.measured == method.per_call == 10
    more = point.extrapolate(500)
    assert more.seconds == pytest.approx(10 * point.seconds)
    assert (more.datasets, more.measured, more.extrapolated) == (500, 10, True)


@pytest.mark.parametrize("k", [2, 5])
def test_a_wrong_answer_is_far_from_the_reference(k):
    model = hbm.HierarchicalModel(k)
    counts = hbm.simulate(model, 2, n_groups=21, totals=20, rng=0).counts
    reference = ReferencePosterior(model, counts, 1)
    draws = methods.posterior_draws(hbm.sample(counts, n_draws=4000, n_chains=1, rng=0), True)
    moved = methods.Draws(draws.log_alpha + 0.5, draws.log_beta[..., ::-1], draws.weights, draws.chain)
    right, wrong = reference.compare(draws), reference.compare(moved)
    assert max(right["ks_log_alpha"], right["ks_beta"]) < 0.1
    assert wrong["ks_log_alpha"] > 0.15
    assert wrong["error_log_alpha"] > 0.3


def test_the_distance_of_beta_is_taken_on_the_logit():
    """Pure groups: most draws of beta are within rounding of 0 or 1, their logits are not."""
    model = hbm.HierarchicalModel(2, alpha=hbm.priors.LogUniform(1e-6, 1e-3), beta=1e-3)
    counts = np.array([[[20, 0]] * 3])
    reference = ReferencePosterior(model, counts, 1)
    post = hbm.exact_posterior(counts, model, n_draws=2000, rng=0)
    assert (post.beta[..., 1].ravel() < 1e-300).mean() > 0.1
    assert reference.compare(methods.posterior_draws(post, False))["ks_beta"] < 0.05


def test_effective_draws():
    rng = np.random.default_rng(0)
    log_alpha, log_beta = rng.normal(size=(2, 2000)), np.log(rng.dirichlet([1, 1], size=(2, 2000)))
    even = np.full((2, 2000), 1 / 2000)
    plain = methods.Draws(log_alpha, log_beta, even, np.zeros(2, bool))
    assert effective_draws(plain) == pytest.approx(2000)
    weights = np.where(np.arange(2000) < 500, 1 / 500, 0.0) * np.ones((2, 1))
    assert effective_draws(methods.Draws(log_alpha, log_beta, weights, np.zeros(2, bool))) == pytest.approx(500)
    sticky = np.repeat(log_alpha[:, :200], 10, axis=1)
    chain = methods.Draws(sticky, np.repeat(log_beta[:, :200], 10, axis=1), even, np.ones(2, bool))
    assert 100 < effective_draws(chain) < 400


def test_extrapolated_seconds_carry_a_tilde(result):
    case = {**result["works"][0]}
    case["points"] = [{**point, "extrapolated": True} for point in case["points"]]
    assert all(row[2].startswith("~") for row in plots.rows(case))


@pytest.mark.peers
@pytest.mark.filterwarnings("default")
def test_peers_answer_as_we_do():
    pytest.importorskip("numpyro")
    found = amortized_vs_mcmc.run(sizes=(2,), categories=(2,), n_draws=500, n_compared=2, budget=120.0, seed=1)
    assert found["absent_peers"] == []
    points = {p["way"]: p for p in found["works"][0]["points"]}
    for name in ("numpyro NUTS", "nutpie"):
        assert points[name]["measured"] == 2
        assert points[name]["ks_log_alpha"] < 0.35
        assert points[name]["error_log_alpha"] < 0.7
