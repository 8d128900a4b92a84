"""Empirical Bayes: against quadrature, and where the maximum is at a limit."""

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast import priors


def simulated(truth, n_datasets, seed):
    return hbm.simulate(truth, n_datasets, n_groups=10, totals=20, rng=seed, theta=False).counts


def log_evidence(counts, mu, tau, concentration):
    model = hbm.HierarchicalModel(2, alpha=priors.LogNormal(mu, tau), beta=concentration)
    return float(np.sum(hbm.exact_posterior(counts, model, n_draws=1).log_evidence))


def test_the_marginal_likelihood_is_highest():
    counts = simulated(hbm.HierarchicalModel(2, alpha=priors.LogNormal(0, 0.5), beta=[2, 2]), 30, 1)
    found = hbm.fit(counts, hbm.PopulationModel(2), rng=1)
    assert found.converged
    a = found.kappa * found.m
    best = log_evidence(counts, found.mu, found.tau, a)
    for mu, tau, factors in (
        (0.15, 1, 1),
        (-0.15, 1, 1),
        (0, 1.4, 1),
        (0, 0.7, 1),
        (0, 1, 1.5),
        (0, 1, 0.7),
        (0, 1, [1.1, 0.9]),
    ):
        assert log_evidence(counts, found.mu + mu, found.tau * tau, a * factors) < best
    assert found.model.alpha == priors.LogNormal(found.mu, found.tau)
    assert np.allclose(found.model.beta.concentration, a)


def test_limits():
    found = hbm.fit(simulated(hbm.HierarchicalModel(2, alpha=2.0, beta=[1, 2]), 40, 1), hbm.PopulationModel(2), rng=1)
    assert found.outcome == "tau is 0"
    assert found.tau == 0.0
    assert isinstance(found.model.alpha, priors.Fixed)
    truth = hbm.HierarchicalModel(2, alpha=priors.LogNormal(1, 0.8), beta=priors.FixedBeta([0.2, 0.8]))
    found = hbm.fit(simulated(truth, 40, 1), hbm.PopulationModel(2), rng=1)
    assert found.outcome == "kappa is infinite"
    assert isinstance(found.model.beta, priors.FixedBeta)
    assert abs(found.m[0] - 0.2) < 0.05
    assert hbm.simulate(found.model, 2, n_groups=3, totals=5, rng=1).counts.shape == (2, 3, 2)


def test_bad_input():
    with pytest.raises(ValueError, match="'b', which has none"):
        hbm.fit([[[3, 0]], [[2, 0]]], hbm.PopulationModel(2), category_names=["a", "b"])
    with pytest.raises(ValueError, match="two datasets"):
        hbm.fit([[3, 1], [2, 2]], hbm.PopulationModel(2))
    with pytest.raises(ValueError, match="prior and weights"):
        hbm.fit([[[3, 1]], [[2, 2]]], hbm.PopulationModel(2), prior=priors.Exponential(1))
    with pytest.raises(TypeError, match="PopulationModel"):
        hbm.fit([[3, 1], [2, 2]], hbm.priors.Exponential(1))
