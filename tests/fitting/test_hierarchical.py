"""fit with a HierarchicalModel: the mode under its priors, equal to the modes under priors that other paths take."""

import math

import numpy as np
import pytest
from scipy import optimize
from scipy.special import gammaln

import hbm_fast as hbm
from reference import differences

TABLE = hbm.datasets.load_pollen()


def log_posterior(log_a, counts):
    """Under the default priors: Exponential(1) of alpha and a uniform beta, as a density of log concentration."""
    a = np.exp(log_a)
    alpha, k = a.sum(), len(a)
    log_likelihood = hbm.log_likelihood(counts, a).sum()
    return log_likelihood - alpha + gammaln(k) - (k - 1) * math.log(alpha) + log_a.sum()


def test_the_mode_is_that_of_the_density():
    fit = hbm.fit(TABLE, hbm.HierarchicalModel(4))
    here = np.log(fit.concentration)
    assert fit.log_posterior == pytest.approx(log_posterior(here, TABLE.counts), abs=1e-9)
    found = optimize.minimize(lambda x: -log_posterior(x, TABLE.counts), here + 0.3, tol=1e-10)
    np.testing.assert_allclose(here, found.x, atol=1e-4)
    covariance = np.linalg.inv(-differences(lambda x: log_posterior(x, TABLE.counts), here)[1])
    np.testing.assert_allclose(fit.covariance(), covariance, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(fit.standard_error, fit.concentration * np.sqrt(np.diag(covariance)), rtol=1e-3)
    assert fit.log_evidence == pytest.approx(-555.313, abs=0.02)
    assert (fit.outcome, fit.category_names) == ("maximum", TABLE.category_names)


def test_gammas_as_priors_of_a_model_and_as_prior():
    prior = hbm.priors.Gamma(0.1, rate=0.1)
    model = hbm.HierarchicalModel(4, alpha=hbm.priors.Gamma(0.4, rate=0.1), beta=0.1)
    by_model, by_prior = hbm.fit(TABLE, model), hbm.fit(TABLE, prior=prior)
    np.testing.assert_allclose(by_model.concentration, by_prior.concentration, rtol=1e-8)
    assert by_model.log_posterior == pytest.approx(by_prior.log_posterior, abs=1e-8)
    replaced = hbm.fit(TABLE, hbm.HierarchicalModel(4), prior=prior)
    assert replaced.log_posterior == by_prior.log_posterior


def test_weights_repeat_rows():
    model = hbm.HierarchicalModel(2)
    weighted = hbm.fit([[3, 1], [1, 3], [2, 2]], model, weights=[2, 1, 1])
    repeated = hbm.fit([[3, 1], [3, 1], [1, 3], [2, 2]], model)
    np.testing.assert_allclose(weighted.concentration, repeated.concentration, rtol=1e-10)
    assert weighted.n_groups == repeated.n_groups == 4


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (hbm.HierarchicalModel(3), "pass HierarchicalModel"),
        (hbm.HierarchicalModel(4, alpha=2.0), "a prior of alpha with a density"),
        (hbm.HierarchicalModel.for_table(TABLE), "Dirichlet prior of beta of known concentration"),
    ],
)
def test_models_without_a_mode_are_refused(model, message):
    with pytest.raises(ValueError, match=message):
        hbm.fit(TABLE, model)


def test_statistics_and_further_options_are_refused():
    with pytest.raises(TypeError, match="counts must be a table of groups"):
        hbm.fit(hbm.SufficientStatistics(TABLE), hbm.HierarchicalModel(4))
    with pytest.raises(TypeError, match="fit with a HierarchicalModel got an unexpected keyword argument 'n_starts'"):
        hbm.fit(TABLE, hbm.HierarchicalModel(4), n_starts=2)
