"""MixtureModel: its description, its dict, and the datasets that simulate draws from it."""

import json
import math

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast import models, priors

OPEN = priors.DirichletProcess(priors.Gamma(2.0, rate=1.0))
MODELS = [
    hbm.MixtureModel(3, n_components=2),
    hbm.MixtureModel(3, n_components=4, alpha=priors.Gamma(2.0, rate=0.1), beta=[0.5, 1.0, 2.0], weights=0.5),
    hbm.MixtureModel(3, n_components=OPEN, beta=0.3),
    hbm.MixtureModel(3, n_components=priors.DirichletProcess(0.5)),
]


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_a_dict_describes_the_model(model):
    assert models.from_dict(json.loads(json.dumps(models.to_dict(model)))) == model


def test_the_concentration_of_a_process():
    with pytest.raises(TypeError, match=r"a number, or a priors\.Gamma to learn it; got Exponential"):
        priors.DirichletProcess(priors.Exponential(1.0))


def test_what_a_model_refuses():
    for options, message in (
        ({"n_components": 0}, "n_components must be at least 1"),
        ({"n_components": 2.5}, "n_components must be an integer"),
        ({"n_components": 2, "weights": -1.0}, "weights must be positive"),
        ({"n_components": 2, "beta": [1.0, 1.0]}, "beta must have K = 3 values"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            hbm.MixtureModel(3, **options)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_simulated_arrays_fit_each_other(model):
    sims = hbm.simulate(model, 50, n_groups=(1, 9), totals=(0, 30), rng=3)
    size = (50, 9)
    assert sims.labels.shape == size
    assert sims.counts.shape == sims.theta.shape == (*size, 3)
    inside = np.arange(size[1]) < sims.n_groups[:, None]
    assert (sims.labels[~inside] == -1).all()
    assert (sims.counts[~inside] == 0).all()
    assert (sims.labels[inside] >= 0).all()
    np.testing.assert_allclose(sims.theta[inside].sum(axis=1), 1.0)
    np.testing.assert_allclose(sims.beta.sum(axis=-1), 1.0)
    assert sims.alpha.shape == sims.beta.shape[:2]
    assert (sims.labels < sims.alpha.shape[1]).all()
    assert "MixtureSimulation(50 datasets" in repr(sims)
    later = hbm.simulate(model, 10, n_groups=(1, 9), totals=(0, 30), rng=sims.key, first=40, n_threads=2)
    np.testing.assert_array_equal(sims.labels[40:], later.labels)
    np.testing.assert_array_equal(sims.counts[40:], later.counts)
    only = hbm.simulate(model, 50, n_groups=(1, 9), totals=(0, 30), rng=3, theta=False, counts=False)
    assert only.theta is only.counts is None
    np.testing.assert_array_equal(only.labels, sims.labels)
    assert len(hbm.simulate(model, 0, n_groups=3, totals=4)) == 0


def test_the_distribution_of_labels():
    """Shares of the labels and pairs of one component, within five standard errors."""
    n = 20_000
    sims = hbm.simulate(hbm.MixtureModel(2, n_components=3, weights=2.0), n, n_groups=2, totals=1, rng=1)
    shares = np.array([(sims.labels == j).mean() for j in range(3)])
    assert np.abs(shares - 1 / 3).max() < 0.013
    together = (sims.labels[:, 0] == sims.labels[:, 1]).mean()
    assert abs(together - 3 / 7) < 0.0175  # 3 w (w + 1) / (3 w (3 w + 1))
    # Of a Dirichlet process the number of components of three groups follows the Chinese restaurant process.
    for process, c in ((priors.DirichletProcess(1.5), 1.5), (OPEN, None)):
        sims = hbm.simulate(hbm.MixtureModel(2, n_components=process), n, n_groups=3, totals=1, rng=2)
        values = sims.process_concentration if c is None else np.full(n, c)
        np.testing.assert_array_equal(sims.process_concentration, values)
        used = sims.labels.max(axis=1) + 1
        expected = np.mean(values**2 / ((1 + values) * (2 + values)))
        error = math.sqrt(expected * (1 - expected) / n)
        assert abs((used == 3).mean() - expected) < 6 * error
        assert (sims.labels[:, 0] == 0).all()
        assert (sims.labels[:, 1:] <= np.maximum.accumulate(sims.labels, axis=1)[:, :-1] + 1).all()
    if c is None:
        assert abs(values.mean() - 2.0) < 6 * math.sqrt(2.0 / n)


def test_groups_of_a_component_share_its_proportions():
    model = hbm.MixtureModel(3, n_components=2, alpha=priors.Gamma(50.0, rate=0.01))
    sims = hbm.simulate(model, 200, n_groups=6, totals=1000, rng=4)
    own = np.take_along_axis(sims.beta, sims.labels[..., None], axis=1)
    assert np.abs(sims.theta - own).max() < 0.06  # alpha of 5,000: a standard deviation of at most 0.007
    assert np.abs(sims.counts / 1000 - own).max() < 0.12


def test_options_of_the_hierarchical_model_are_refused():
    model = MODELS[0]
    for name, value in (("alpha", 1.0), ("beta", [0.2, 0.3, 0.5]), ("statistics", True), ("log_theta", True)):
        with pytest.raises(ValueError, match=f"simulate takes {name} with a HierarchicalModel only"):
            hbm.simulate(model, 2, n_groups=2, totals=2, **{name: value})
