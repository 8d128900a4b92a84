"""Importance weights of a network's draws: what they may stand for, and what happens where they are uneven."""

import numpy as np
import pytest

import hbm_fast as hbm

pytest.importorskip("torch")

from hbm_fast.nn.importance import estimated_share, starting_points, weigh
from hbm_fast.nn.proposal import Proposal

BAGS = hbm.datasets.load_marbles().counts


def start(log_alpha):
    """Four chains of one dataset at log alpha, beta = (0.4, 0.6)."""
    return np.full((1, 4), log_alpha), np.log(np.broadcast_to([0.4, 0.6], (1, 4, 2))).copy()


@pytest.mark.parametrize("method", ["mh", "gibbs", "hmc"])
def test_chains_start_where_they_are_told(method):
    """No warm-up: the first draw is one step from the start, whatever the sampler's own start would have been."""
    far = hbm.sample([BAGS], start=start(-60.0), diagnostics=False, method=method, n_draws=1, n_warmup=0, rng=1)
    own = hbm.sample([BAGS], method=method, n_draws=1, n_warmup=0, rng=1)
    assert np.all(far.log_alpha != own.log_alpha)
    if method == "mh":  # steps of a few posterior sds
        assert np.all(np.abs(far.log_alpha + 60.0) < 10.0)


@pytest.mark.parametrize("method", ["mh", "gibbs", "hmc"])
def test_a_start_that_is_nowhere_is_left_out(method):
    given = hbm.sample([BAGS], start=start(np.nan), diagnostics=False, method=method, n_draws=20, rng=1)
    own = hbm.sample([BAGS], method=method, n_draws=20, rng=1)
    np.testing.assert_array_equal(given.log_alpha, own.log_alpha)
    np.testing.assert_array_equal(given.log_beta, own.log_beta)


def test_started_chains_do_not_depend_on_threads_and_find_the_posterior():
    one, three = (
        hbm.sample([BAGS], start=start(-2.0), diagnostics=False, n_draws=4000, rng=1, n_threads=n) for n in (1, 3)
    )
    np.testing.assert_array_equal(one.log_alpha, three.log_alpha)
    assert abs(one[0].predict(20)[1] - 0.98714) < 0.002


def test_starts_are_different_draws_that_follow_the_weights():
    generator = np.random.default_rng(0)
    log_alpha = np.arange(50.0)[None] + np.zeros((300, 1))
    log_beta = np.stack([log_alpha, -log_alpha], -1)
    log_weights = np.where(np.arange(50) < 10, 0.0, -30.0) + np.zeros((300, 1))
    chosen, beta = starting_points(log_alpha, log_beta, log_weights, 4, generator)
    assert all(len(set(row)) == 4 for row in chosen)
    assert chosen.max() < 10  # the others have a chance of 1e-12 each
    np.testing.assert_array_equal(beta[..., 0], chosen)
    few, _ = starting_points(log_alpha[:, :1], log_beta[:, :1], log_weights[:, :1], 4, generator)
    assert few.shape == (300, 4)


# In the range of the networks, hardly ever drawn by their prior; benchmarks/checks/networks_rare_datasets.py has more.
ODD = {
    "even": [[25, 25]] * 50,
    "one colour": [[50, 0]] * 50,
    "almost pure": [[49, 1]] * 50,
    "concentrated": [[5, 45]] * 50,
    "alternating": [[30, 20], [20, 30]] * 25,
    "half and half": [[50, 0]] * 12 + [[0, 50]] * 12 + [[25, 25]] * 24,
    "outlier": [[40, 2]] * 40 + [[0, 50]],
    "small": [[1, 0], [0, 1]],
    "mostly empty": [[0, 0]] * 45 + [[17, 3]],
}


@pytest.mark.parametrize("name", ["marbles", "any-k", "marbles-bottom-up"])
@pytest.mark.parametrize("kind", ODD)
def test_odd_datasets_are_answered_within_the_errors_given(name, kind):
    """With the network's draws alone [[49, 1]] * 50 had an evidence 23 standard errors off, without a warning."""
    counts = np.array(ODD[kind])
    exact = hbm.exact_posterior(counts)
    post = hbm.amortize.load(name).sample(counts, n_draws=500, rng=1)
    if post.details["path"] == "sampler":
        assert np.isnan(post.log_evidence)
    else:
        assert abs(post.log_evidence - exact.log_evidence) < 6.0 * post.log_evidence_error
    w = np.exp(post.log_weights[0])
    for draws, truth in ((post.log_alpha[0], exact.mean("log_alpha")), (post.beta[0, :, 0], exact.mean("beta")[0])):
        mean = w @ draws
        assert abs(mean - truth) < 6.0 * np.sqrt(w**2 @ (draws - mean) ** 2)


def test_raw_draws_are_the_network_s_own_and_corrected_ones_too_where_it_is_right():
    net = hbm.amortize.load("marbles")
    raw, weighted = (net.sample(BAGS, n_draws=500, rng=3, correct=how) for how in (False, "auto"))
    np.testing.assert_array_equal(raw.log_alpha, weighted.log_alpha)
    assert weighted.details["ess_share"] > 0.98


def log_normal(x, mean):
    return -0.5 * (x - mean) ** 2


def test_a_second_proposal_sees_a_mode_that_the_draws_of_q_do_not_show():
    rng = np.random.default_rng(0)
    q, r = rng.normal(0.0, 1.0, (1, 1000)), rng.normal(5.0, 8.0, (1, 400))

    def two_modes(x):
        return np.logaddexp(np.log(0.9) + log_normal(x, 0.0), np.log(0.1) + log_normal(x, 12.0))

    log_r = log_normal((r - 5.0) / 8.0, 0.0) - np.log(8.0)
    assert weigh(two_modes(q) - log_normal(q, 0.0)).accepted[0]  # all weights alike
    assert estimated_share(two_modes(r), log_normal(r, 0.0), log_r, 1000)[0] < 0.5
    assert estimated_share(log_normal(r, 0.0), log_normal(r, 0.0), log_r, 1000)[0] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "model",
    [
        hbm.HierarchicalModel(2),
        hbm.HierarchicalModel(2, alpha=3.0, beta=[0.5, 2.0]),
        hbm.HierarchicalModel(2, beta=hbm.priors.FixedBeta([0.3, 0.7])),
        hbm.HierarchicalModel(2, alpha=hbm.priors.LogUniform(0.01, 100.0), beta=0.2),
    ],
)
@pytest.mark.parametrize("counts", [[[7, 1], [0, 9], [3, 3]], [[0, 0]]])
def test_the_proposal_s_density_is_normalised(model, counts):
    """The evidence, by its weights alone, is that of quadrature; without data it is one."""
    points = Proposal(np.array([counts]), model, 1).draw(20_000, np.random.default_rng(0))
    assert points.log_density[0] == pytest.approx(
        Proposal(np.array([counts]), model, 1).log_density(points.log_alpha, points.log_beta)[0]
    )
    concentration = np.exp(np.clip(points.log_alpha[0, :, None] + points.log_beta[0], -690.0, 690.0))
    weights = weigh((hbm.SufficientStatistics(counts).log_likelihood(concentration) - points.log_density[0])[None])
    truth = 0.0 if not np.any(counts) else hbm.exact_posterior(counts, model).log_evidence
    assert weights.share[0] > 0.2
    assert abs(weights.log_evidence[0] - truth) < 6.0 * weights.log_evidence_error[0] + 1e-9


def test_one_draw_has_an_error_too():
    post = hbm.amortize.load("marbles").sample(BAGS, n_draws=1, rng=0)
    assert 0.0 < post.log_evidence_error < 1.0
