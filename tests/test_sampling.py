"""sample: right against quadrature, the same bits for any number of threads, every prior, every edge."""

import numpy as np
import pytest

import hbm_fast as hbm

BAGS = np.array([[20, 0]] * 10 + [[0, 20]] * 10 + [[0, 1]])  # the note's: ten white, ten black, one black marble


def test_the_notes_bags():
    arviz_stats = pytest.importorskip("arviz_stats.base").array_stats
    post = hbm.sample(BAGS, rng=1)
    for draws, truth in ((post.log_alpha, -4.147418), (post.beta[..., 1], 0.521729)):
        error = arviz_stats.mcse(draws, chain_axis=0, draw_axis=1, method="mean")
        assert abs(draws.mean() - truth) < 4 * error
    assert post.sd("log_alpha") == pytest.approx(1.28944, abs=0.2)
    assert post.predict(20)[1] == pytest.approx(0.98714, abs=0.002)


@pytest.mark.parametrize("n_threads", [2, 3, 7])
def test_threads_change_no_bit(n_threads):
    batch = np.stack([BAGS, BAGS[::-1], BAGS * 2])
    one = hbm.sample(batch, rng=5, n_draws=50, n_threads=1)
    many = hbm.sample(batch, rng=5, n_draws=50, n_threads=n_threads)
    np.testing.assert_array_equal(one.log_alpha, many.log_alpha)
    np.testing.assert_array_equal(one.log_beta, many.log_beta)
