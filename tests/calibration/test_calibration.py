"""Calibration accepts right inference, refuses wrong inference, and distances are those of known distributions."""

from functools import partial

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast import calibration

MODEL = hbm.HierarchicalModel(2)
DESIGN = {"n_groups": (1, 6), "totals": (0, 10), "rng": 1}


def exact(rng, n_draws=62):
    return lambda counts: hbm.exact_posterior(counts, MODEL, n_draws=n_draws, rng=rng)


def test_exact_posteriors_are_calibrated():
    result = calibration.simulation_based_calibration(exact(np.random.default_rng(2)), MODEL, 210, **DESIGN)
    assert result.names == ("log_alpha", "beta[1]", "theta[1]", "log_likelihood")
    assert result.p_value > 1e-9
    assert abs(result.autocorrelation) < 0.05
    # six standard errors
    np.testing.assert_allclose(result.coverage(0.8), 0.8, atol=6 * np.sqrt(0.16 / 210))
    assert "210 datasets" in str(result)


def changed(post, **changes):
    fields = {"log_alpha": post.log_alpha, "log_beta": post.log_beta, "counts": post.counts} | changes
    return hbm.Posterior(fields.pop("log_alpha"), fields.pop("log_beta"), model=MODEL, **fields)


def test_a_shifted_posterior_is_refused():
    infer = exact(np.random.default_rng(2))

    def shifted(counts):
        post = infer(counts)
        return changed(post, log_alpha=post.log_alpha + 1.0)

    result = calibration.simulation_based_calibration(shifted, MODEL, 210, theta=False, **DESIGN)
    assert result.p_values["log_alpha"] < 1e-9
    assert result.p_values["beta[1]"] > 1e-9


def log_likelihood_alone(result):
    """Whether the ranks of the log-likelihood are far from uniform and those of the parameters are not."""
    *others, last = result.p_values.values()
    return last < 1e-9 and min(others) > 1e-6


def test_draws_of_the_prior_are_refused():
    rng = np.random.default_rng(5)

    def infer(counts):
        log_alpha, log_beta = np.log(rng.exponential(size=(1, 62))), np.log(rng.dirichlet([1.0, 1.0], (1, 62)))
        return hbm.Posterior(log_alpha, log_beta, model=MODEL, counts=counts)

    assert log_likelihood_alone(
        calibration.simulation_based_calibration(infer, MODEL, 105, n_groups=6, totals=10, rng=1)
    )


def test_a_posterior_of_half_of_the_data_is_refused():
    infer = exact(np.random.default_rng(5))
    result = calibration.simulation_based_calibration(
        lambda counts: changed(infer(counts[::2]), counts=counts), MODEL, 168, n_groups=10, totals=20, rng=1
    )
    assert log_likelihood_alone(result)


def test_draws_of_alpha_and_beta_that_are_not_paired_are_refused():
    # of one large group: the larger alpha, the nearer beta to the group's proportions
    model = hbm.HierarchicalModel(2, alpha=hbm.priors.LogUniform(0.01, 1e4))
    rng, order = np.random.default_rng(5), np.random.default_rng(6)

    def infer(counts):
        post = hbm.exact_posterior(counts, model, n_draws=62, rng=rng)
        return hbm.Posterior(post.log_alpha, order.permutation(post.log_beta, axis=1), model=model, counts=counts)

    settings = {"n_groups": 1, "totals": 1000, "theta": False, "rng": 1}
    assert log_likelihood_alone(calibration.simulation_based_calibration(infer, model, 168, **settings))


def test_fixed_quantities_are_ranked_at_random():
    model = hbm.HierarchicalModel(2, alpha=1.0, beta=hbm.priors.FixedBeta([0.5, 0.5]))
    rng = np.random.default_rng(0)
    infer = partial(hbm.exact_posterior, model=model, n_draws=62, rng=rng)
    result = calibration.simulation_based_calibration(infer, model, 42, n_groups=2, totals=0, theta=False, rng=1)
    assert result.names == ("log_likelihood",)
    assert np.unique(result.ranks).size > 15
    assert result.autocorrelation == 0.0


def test_weights_are_used():
    rng = np.random.default_rng(3)

    def prior_draws_weighted(counts):
        log_alpha = np.log(rng.exponential(size=(1, 3000)))
        log_beta = np.log(rng.dirichlet([1.0, 1.0], size=(1, 3000)))
        plain = hbm.Posterior(log_alpha, log_beta, model=MODEL, counts=counts)
        return changed(plain, log_weights=plain.log_likelihood().sum(axis=-1))

    result = calibration.simulation_based_calibration(
        prior_draws_weighted, MODEL, 210, n_groups=2, totals=(0, 3), rng=4
    )
    assert result.p_value > 1e-9


def test_correlated_draws_are_thinned_or_reported():
    infer = exact(np.random.default_rng(2))

    def repeated(counts, times):
        post = infer(counts)
        return changed(
            post, log_alpha=post.log_alpha.repeat(times, axis=1), log_beta=post.log_beta.repeat(times, axis=1)
        )

    settings = {"theta": False, **DESIGN}
    result = calibration.simulation_based_calibration(lambda c: repeated(c, 10), MODEL, 105, **settings)
    assert result.p_value > 1e-9
    infer = exact(np.random.default_rng(2), n_draws=6)
    with pytest.warns(hbm.ConvergenceWarning, match="autocorrelation"):
        calibration.simulation_based_calibration(lambda c: repeated(c, 20), MODEL, 10, **settings)


def test_batches_give_the_same_ranks_as_any_other_batches():
    def infer(counts):
        return hbm.exact_posterior(counts, MODEL, n_draws=62, rng=7)

    results = [
        calibration.simulation_based_calibration(infer, MODEL, 6, n_groups=3, totals=4, rng=1, batch=batch, theta=False)
        for batch in (6, 7)
    ]
    np.testing.assert_array_equal(results[0].ranks, results[1].ranks)


def test_bad_settings():
    with pytest.raises(ValueError, match="multiple of 21"):
        calibration.simulation_based_calibration(exact(0), MODEL, 3, n_groups=2, totals=2, n_ranks=50)
    with pytest.raises(ValueError, match="has 10 draws"):
        calibration.simulation_based_calibration(exact(0, 10), MODEL, 3, n_groups=2, totals=2)


@pytest.mark.parametrize("power", [1.0, 1.1, 1.5])
def test_p_values_are_those_of_a_chi_square_test(power):
    stats = pytest.importorskip("scipy.stats")
    ranks = (63 * np.random.default_rng(0).random(2000) ** power).astype(int)
    expected = stats.chisquare(np.bincount(ranks // 3)).pvalue
    assert calibration.Calibration(("x",), ranks[np.newaxis], 63, 0.0).p_value == pytest.approx(expected, rel=1e-10)


@pytest.fixture(scope="module")
def reference():
    return hbm.exact_posterior([[3, 0], [0, 4], [5, 1]], n_draws=20_000, rng=0)


def test_distances(reference):
    near = calibration.distance(reference, reference)
    # KS of n exact draws exceeds 3.3 / sqrt(n) with probability 7e-10
    assert max(d.ks for d in near.values()) < 3.3 / np.sqrt(20_000)
    shifted = hbm.Posterior(reference.log_alpha + 0.5, reference.log_beta, model=MODEL)
    far = calibration.distance(shifted, reference)
    assert far["log_alpha"].w1 == pytest.approx(0.5, abs=0.05)
    assert far["beta"].ks == near["beta"].ks
    weighted = hbm.Posterior(
        reference.log_alpha, reference.log_beta, model=MODEL, log_weights=np.zeros_like(reference.log_alpha)
    )
    assert calibration.distance(weighted, reference)["log_alpha"].ks == pytest.approx(near["log_alpha"].ks)
    with pytest.raises(TypeError, match="exact_posterior"):
        calibration.distance(reference, weighted)


def test_ks_distance_against_scipy():
    stats = pytest.importorskip("scipy.stats")
    draws = np.random.default_rng(3).normal(0.2, 1.0, 500)
    found = calibration.ks_distance(draws, np.full(500, 1 / 500), stats.norm.cdf)
    assert found == pytest.approx(stats.kstest(draws, "norm").statistic)


@pytest.mark.parametrize("counts", [np.zeros((1, 2), int), np.array([[0, 1]])], ids=["no data", "one marble"])
@pytest.mark.parametrize("concentration", [0.01, 0.05])
def test_distances_of_a_beta_that_rounds_to_one(concentration, counts):
    model = hbm.HierarchicalModel(2, beta=concentration)
    post = hbm.exact_posterior(counts, model, n_draws=4000, rng=1)
    assert (post.beta[..., 1] == 1.0).mean() > 0.05
    near = calibration.distance(post, post)
    assert set(near) == {"log_alpha", "beta"}
    assert near["beta"].ks < 3.3 / np.sqrt(4000)
    moved = hbm.Posterior(post.log_alpha, post.log_beta[..., ::-1], model=model, counts=counts)
    assert counts.sum() == 0 or calibration.distance(moved, post)["beta"].ks > 0.4


def test_distances_are_of_one_dataset_with_two_categories(reference):
    batch = hbm.Posterior(reference.log_alpha[np.newaxis], reference.log_beta[np.newaxis], model=MODEL)
    with pytest.raises(ValueError, match="one dataset with two categories"):
        calibration.distance(batch, reference)


def test_kl_divergence(reference):
    quadrature = reference.moments
    assert calibration.kl_divergence(reference, quadrature.log_density) == pytest.approx(0.0, abs=1e-12)
    other = calibration.kl_divergence(reference, lambda t, u: quadrature.log_density(t, u) - 0.25)
    assert other == pytest.approx(0.25)
    # against the posterior of other data: the difference of two log densities, averaged over exact draws
    wrong = hbm.exact_posterior([[3, 0], [0, 4]], n_draws=10).moments
    t, u = reference.log_alpha[0], reference.log_beta[0, :, 1] - reference.log_beta[0, :, 0]
    terms = quadrature.log_density(t, u) - wrong.log_density(t, u)
    expected = calibration.kl_divergence(reference, wrong.log_density)
    assert abs(terms.mean() - expected) < 6 * terms.std() / np.sqrt(20_000)
