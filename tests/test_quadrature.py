"""exact_posterior against independent integrals, published numbers and its own symmetries."""

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast import priors

BAGS = np.array([[20, 0]] * 10 + [[0, 20]] * 10 + [[0, 1]])
MIXED = np.array([[10, 10]] * 20 + [[0, 1]])


def test_the_note_s_pure_bags():
    post = hbm.exact_posterior(BAGS, n_draws=10)
    assert post.mean("alpha") == pytest.approx(0.028401, abs=5e-7)
    assert post.sd("alpha") == pytest.approx(0.0289, abs=5e-5)
    assert post.mean("log_alpha") == pytest.approx(-4.147418, abs=5e-7)
    assert post.sd("log_alpha") == pytest.approx(1.28944, abs=5e-6)
    assert post.mean("beta")[1] == pytest.approx(0.521729, abs=5e-7)
    assert post.predict(20)[1] == pytest.approx(0.987137, abs=3e-6)
    assert post.log_evidence == pytest.approx(-19.44351, abs=5e-6)
    assert post.log_evidence_error < 1e-8


def test_the_note_s_mixed_bags():
    post = hbm.exact_posterior(MIXED, n_draws=10)
    assert post.mean("alpha") == pytest.approx(8.407165, abs=5e-7)
    assert post.sd("alpha") == pytest.approx(2.532373, abs=5e-7)
    assert post.mean("log_alpha") == pytest.approx(2.083672, abs=6e-7)
    assert post.sd("log_alpha") == pytest.approx(0.304838, abs=5e-7)
    assert post.mean("beta")[1] == pytest.approx(0.503736, abs=5e-7)
    assert post.predict(20)[1] == pytest.approx(0.560427, abs=5e-7)
    coefficient = hbm._core.SufficientStatistics(2)
    coefficient.add(MIXED)
    assert post.log_evidence - coefficient.log_coefficient == pytest.approx(-299.339671, abs=5e-7)


def test_one_marble():
    post = hbm.exact_posterior(np.array([[0, 1]]), n_draws=10)
    assert post.mean("alpha") == pytest.approx(1.0, abs=1e-9)
    assert post.mean("log_alpha") == pytest.approx(-np.euler_gamma, abs=1e-9)
    assert post.mean("beta")[1] == pytest.approx(2 / 3, abs=1e-9)
    assert post.predict(0)[1] == pytest.approx(0.865448, abs=2e-6)
    assert post.log_evidence == pytest.approx(-np.log(2), abs=1e-9)


def test_no_data_is_the_prior():
    model = hbm.HierarchicalModel(2, alpha=priors.Gamma(2.0, rate=0.5), beta=[0.3, 2.0])
    post = hbm.exact_posterior(np.zeros((3, 2), dtype=int), model, n_draws=10)
    assert post.log_evidence == pytest.approx(0.0, abs=1e-9)
    assert post.mean("alpha") == pytest.approx(4.0, rel=1e-9)
    assert post.sd("alpha") == pytest.approx(np.sqrt(8.0), rel=1e-9)
    np.testing.assert_allclose(post.mean("beta"), [0.3 / 2.3, 2.0 / 2.3], rtol=1e-9)
    stats = pytest.importorskip("scipy.stats")
    q = np.array([0.001, 0.3, 0.5, 0.999])
    np.testing.assert_allclose(post.quantile("alpha", q), stats.gamma(2.0, scale=2.0).ppf(q), rtol=1e-8)
    np.testing.assert_allclose(post.quantile("beta", q)[:, 0], stats.beta(0.3, 2.0).ppf(q), rtol=1e-6)
    np.testing.assert_allclose(post.quantile("beta", q)[:, 1], stats.beta(2.0, 0.3).ppf(q), rtol=1e-6)
    x = np.array([0.01, 0.5, 0.9])
    np.testing.assert_allclose(post.marginal("alpha", x)[1], stats.gamma(2.0, scale=2.0).pdf(x), rtol=1e-8)
    np.testing.assert_allclose(post.marginal("beta", x)[1][0], stats.beta(0.3, 2.0).pdf(x), rtol=1e-8)
