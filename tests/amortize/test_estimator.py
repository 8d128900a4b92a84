"""train, sample, save, load, on small trainings; the accurate checks are on the shipped networks."""

import json

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast import models
from hbm_fast.errors import ConvergenceWarning

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from hbm_fast.nn.importance import pareto_k, weigh  # noqa: E402
from hbm_fast.sufficient_statistics import exceedance_counts  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:the network's own draws are not calibrated")  # after so few steps

BAGS = hbm.datasets.load_marbles().counts
SMALL = {"n_groups": (1, 6), "totals": (0, 8)}


@pytest.fixture(scope="module")
def small():
    return hbm.amortize.train(hbm.HierarchicalModel(2), steps=400, rng=0, width=32, n_components=4, **SMALL)


def test_training_learns_and_repeats(small):
    assert small.metrics["kl"] < 0.1
    again = hbm.amortize.train(hbm.HierarchicalModel(2), steps=400, rng=0, width=32, n_components=4, **SMALL)
    torch.testing.assert_close(again.network.state_dict(), small.network.state_dict(), rtol=0, atol=0)
    assert small.training["steps"] == 400


def test_draws_repeat_and_weights_agree_with_quadrature(small):
    bags = np.array([[4, 0], [0, 1], [3, 2]])
    exact = hbm.exact_posterior(bags)
    post = small.sample(bags, n_draws=4000, rng=1, correct=True)
    again = small.sample(bags, n_draws=4000, rng=1, correct=True)
    np.testing.assert_array_equal(post.log_alpha, again.log_alpha)
    share = post.details["ess_share"]
    assert share > 0.5
    for name in ("log_alpha", "beta"):
        error = post.sd(name) / np.sqrt(4000 * share)
        assert np.all(np.abs(post.mean(name) - exact.mean(name)) < 7.0 * error)
    assert abs(post.log_evidence - exact.log_evidence) < 7.0 * post.log_evidence_error
    assert post.alpha.shape == (1, 4000)


def test_a_batch_a_ragged_list_and_one_dataset_agree_in_shape_and_evidence(small):
    one, two = np.array([[4, 0], [0, 1], [3, 2]]), np.array([[0, 1]])
    ragged = small.sample([one, two], n_draws=2000, rng=2)
    padded = np.zeros((2, 3, 2), np.int64)
    padded[0], padded[1, :1] = one, two
    batch = small.sample(padded, n_draws=2000, rng=2)
    np.testing.assert_array_equal(ragged.log_alpha, batch.log_alpha)
    assert batch.log_alpha.shape == (2, 1, 2000)
    assert abs(batch.log_evidence[1] - np.log(0.5)) < 7.0 * batch.log_evidence_error[1]
    assert list(batch[1].details) == ["ess_share", "pareto_k", "path", "reason"]


def test_data_outside_the_training_go_to_the_exact_sampler(small):
    post = small.sample([BAGS, BAGS[:2] // 10], n_draws=1000, rng=3)
    assert post.details["path"].tolist() == ["sampler", "importance"]
    assert "21 groups" in post.details["reason"][0]
    assert abs(post[0].predict(20)[1] - 0.98714) < 0.01
    with pytest.raises(ValueError, match=r"21 groups.*trained on up to 6"):
        small.sample(BAGS, correct=False)
    with pytest.raises(ValueError, match="total 9"):
        small.sample([[9, 0]], correct=True)


def test_a_network_that_learned_nothing_is_mixed_with_a_fit_at_the_mode_or_left_to_the_sampler():
    bad = hbm.amortize.train(hbm.HierarchicalModel(2), steps=2, rng=0, **SMALL)
    data = np.array([[8, 0], [8, 0], [7, 1], [8, 0], [8, 0], [8, 0]])
    exact = hbm.exact_posterior(data)
    post = bad.sample(data, n_draws=1000, rng=4)
    assert post.details["path"] == "importance"
    assert "half of the draws" in post.details["reason"]
    assert abs(post.log_evidence - exact.log_evidence) < 6.0 * post.log_evidence_error
    assert abs(post.mean("beta")[0] - exact.mean("beta")[0]) < 0.05
    few = bad.sample(data, n_draws=12, rng=4)  # too few to measure a tail
    assert few.details["path"] == "sampler"
    assert np.isnan(few.log_evidence)  # rejected weights give no evidence
    assert np.isnan(few.log_evidence_error)
    with pytest.warns(ConvergenceWarning, match="importance weights of 1 of 1"):
        bad.sample(data, n_draws=12, rng=4, correct=True)


def test_arguments_are_checked(small):
    for call, message in (
        (lambda: hbm.amortize.train(steps=1, factorization="sideways"), "factorization"),
        (lambda: hbm.amortize.train(steps=1, n_groups=(5, 2)), "n_groups"),
        (lambda: small.sample([[1, 0]], correct="maybe"), "correct"),
        (lambda: hbm.amortize.train(steps=1, head="other"), "head"),
        (lambda: small.sample([[1, 0, 2]]), "categories"),
        (lambda: hbm.amortize.train(hbm.HierarchicalModel(2), steps=1, factorization="any-k"), "takes no model"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("head", ["gaussian", "diagonal", "spline"])
def test_every_head_trains(head):
    est = hbm.amortize.train(
        hbm.HierarchicalModel(3, alpha=hbm.priors.Gamma(2.0, rate=1.0)), steps=12, rng=0, head=head, **SMALL
    )
    assert np.isfinite(est.metrics["kl"])
    assert est.sample([[1, 2, 3]], n_draws=10, rng=0, correct=False).beta.shape == (1, 10, 3)


def test_deepsets_ignore_empty_groups():
    est = hbm.amortize.train(hbm.HierarchicalModel(2), steps=300, rng=0, width=32, encoder="deepsets", **SMALL)
    assert est.metrics["kl"] < 0.5
    data = np.array([[[3, 1], [0, 2]]])
    padded = np.concatenate([np.zeros_like(data), data], 1)[..., ::-1]
    log_alpha = torch.zeros(1, 1, dtype=torch.float64)
    log_beta = torch.log(torch.tensor([[[0.2, 0.8]]], dtype=torch.float64))
    of_data = est.network.log_relative_density(data, log_alpha, log_beta)
    of_padded = est.network.log_relative_density(padded, log_alpha, log_beta.flip(-1))
    torch.testing.assert_close(of_data, of_padded, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="encoder"):
        hbm.amortize.train(steps=1, encoder="other")


def test_a_wake_phase_trains():
    est = hbm.amortize.train(hbm.HierarchicalModel(2), steps=400, rng=0, width=32, n_components=4, wake=0.3, **SMALL)
    assert est.metrics["kl"] < 0.1
    with pytest.raises(ValueError, match="wake must be a share"):
        hbm.amortize.train(steps=1, wake=1.5, **SMALL)
    with pytest.raises(ValueError, match="wake needs n_draws of 2"):
        hbm.amortize.train(steps=1, wake=0.5, n_draws=1, **SMALL)


@pytest.mark.parametrize("k", [2, 3])
def test_a_learned_local_network_samples_theta(k):
    est = hbm.amortize.train(hbm.HierarchicalModel(k), steps=400, rng=0, width=32, local="learned", **SMALL)
    data = np.array([[5, 0, 1], [0, 6, 0], [0, 1, 0]])[:, :k]
    raw = est.sample(data, n_draws=4000, rng=1, correct=False)
    theta = raw.theta(2)
    np.testing.assert_array_equal(theta, raw.theta(2))
    np.testing.assert_allclose(raw.predict(2), theta.mean((0, 1)))
    # the exact conditional under the same draws of alpha and beta
    a = raw.alpha[..., None] * raw.beta
    exact = ((a + data[2]) / (a + data[2]).sum(-1, keepdims=True)).mean((0, 1))
    assert np.abs(raw.predict(2) - exact).max() < 0.04
    assert not np.array_equal(raw.predict(2), exact)
    corrected = est.sample(data, n_draws=4000, rng=1, correct=True)  # Dirichlet(alpha beta + x) again
    a, w = corrected.alpha[..., None] * corrected.beta, np.exp(corrected.log_weights)[..., None]
    np.testing.assert_allclose(
        corrected.predict(2), (w * (a + data[2]) / (a + data[2]).sum(-1, keepdims=True)).sum((0, 1))
    )
    with pytest.raises(ValueError, match="local must be"):
        hbm.amortize.train(steps=1, local="sideways", **SMALL)


def test_asymmetric_and_fixed_priors_train():
    model = hbm.HierarchicalModel(2, alpha=3.0, beta=[0.5, 2.0])
    est = hbm.amortize.train(model, steps=300, rng=0, width=32, **SMALL)
    data = np.array([[5, 1], [2, 2]])
    exact = hbm.exact_posterior(data, model)
    post = est.sample(data, n_draws=4000, rng=1, correct=True)
    assert abs(post.mean("beta")[0] - exact.mean("beta")[0]) < 0.03
    np.testing.assert_allclose(post.alpha, 3.0)


def test_bottom_up_samples_theta():
    est = hbm.amortize.train(hbm.HierarchicalModel(2), factorization="bottom-up", steps=400, rng=0, width=32, **SMALL)
    data = np.array([[8, 0], [0, 8], [0, 1]])
    raw = est.sample(data, n_draws=2000, rng=1, correct=False)
    theta = raw.theta(2)
    assert theta.shape == (1, 2000, 2)
    np.testing.assert_allclose(raw.predict(2), theta.mean((0, 1)))
    weighted = est.sample(data, n_draws=2000, rng=1, correct=True)
    exact = hbm.exact_posterior(data)
    assert abs(weighted.log_evidence - exact.log_evidence) < 0.3
    assert raw.log_evidence is None


def test_any_k_is_equivariant_and_has_a_range():
    est = hbm.amortize.train(factorization="any-k", categories=(2, 4), steps=60, rng=0, width=32, hidden=16, **SMALL)
    data = np.array([[[3, 1, 2], [0, 4, 0]]])
    order = [2, 0, 1]
    z = torch.tensor([[0.3]])
    log_beta = torch.log(torch.tensor([[[0.2, 0.5, 0.3]]], dtype=torch.float64))
    values = []
    for permuted, b in ((data, log_beta), (data[..., order], log_beta[..., order])):
        tables = torch.from_numpy(exceedance_counts(permuted, 8))
        with torch.no_grad():
            values.append(est.network.log_prob(est.network.encode(tables), tables, z, b))
    torch.testing.assert_close(values[0], values[1], rtol=1e-5, atol=1e-5)
    assert est.sample(data[0], n_draws=50, rng=0).beta.shape == (1, 50, 3)
    with pytest.raises(ValueError, match="between 2 and 4"):
        est.sample([[1, 1, 1, 1, 1]])


@pytest.mark.parametrize(
    "model",
    [
        hbm.HierarchicalModel(2),
        hbm.HierarchicalModel(3, alpha=hbm.priors.Power(-2.5, lower=0.1, upper=9.0), beta=[1.0, 2.0, 0.5]),
        hbm.HierarchicalModel(2, alpha=2.0, beta=hbm.priors.FixedBeta([0.25, 0.75])),
    ],
)
def test_models_survive_as_json(model):
    described = json.loads(json.dumps(models.to_dict(model)))
    assert models.from_dict(described) == model
    described["alpha"]["prior"] = "AlphaPriors"
    with pytest.raises(ValueError, match="does not have"):
        models.from_dict(described)


def test_pareto_k_measures_heavy_tails():
    rng = np.random.default_rng(0)
    for shape in (0.2, 0.5, 1.0):  # a Pareto variate's tail has k = 1 / its index
        assert abs(pareto_k(shape * rng.exponential(size=20_000)) - shape) < 0.25
    even = weigh(rng.normal(0.0, 0.05, (2, 1000)))
    assert even.accepted.all()
    assert np.isnan(even.pareto_k).all()
    assert not weigh(rng.normal(0.0, 5.0, (1, 1000))).accepted[0]
    assert pareto_k(1e4 * rng.normal(size=4000)) > 1  # so uneven that the weights of the fit must not overflow
