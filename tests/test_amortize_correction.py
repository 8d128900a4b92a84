"""What happens where the weights are uneven: the exact sampler goes on from the network's draws."""

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast.sampling import sample_from

pytest.importorskip("torch")

from hbm_fast.amortize.correction import starting_points

BAGS = np.array([[20, 0]] * 10 + [[0, 20]] * 10 + [[0, 1]])


def start(log_alpha):
    """Four chains of one dataset at log alpha, beta = (.4, .6)."""
    return np.full((1, 4), log_alpha), np.log(np.broadcast_to([0.4, 0.6], (1, 4, 2))).copy()


@pytest.mark.parametrize("method", ["mh", "gibbs", "hmc"])
def test_chains_start_where_they_are_told(method):
    """No warm-up: the first draw is one step from the start, whatever the sampler's own start would have been."""
    far = sample_from(start(-60.0), [BAGS], method=method, n_draws=1, n_warmup=0, rng=1)
    own = hbm.sample([BAGS], method=method, n_draws=1, n_warmup=0, rng=1)
    assert np.all(far.log_alpha != own.log_alpha)
    if method == "mh":  # steps of a few posterior sds
        assert np.all(np.abs(far.log_alpha + 60.0) < 10.0)


@pytest.mark.parametrize("method", ["mh", "gibbs", "hmc"])
def test_a_start_that_is_nowhere_is_left_out(method):
    given = sample_from(start(np.nan), [BAGS], method=method, n_draws=20, rng=1)
    own = hbm.sample([BAGS], method=method, n_draws=20, rng=1)
    np.testing.assert_array_equal(given.log_alpha, own.log_alpha)
    np.testing.assert_array_equal(given.log_beta, own.log_beta)


def test_started_chains_do_not_depend_on_threads_and_find_the_posterior():
    one, three = (sample_from(start(-2.0), [BAGS], n_draws=4000, rng=1, n_threads=n) for n in (1, 3))
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
