"""Simulated regressions: their distribution, their streams, and what describes and stores a model."""

import copy
import json
import pickle

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast import models

DESIGN = np.column_stack([np.ones(40), np.repeat([0.0, 1.0], 20)])


def test_counts_have_the_moments_of_their_concentrations():
    coefficients = [[0.5, -0.5, 0.0], [1.0, 0.0, 0.0]]
    sims = hbm.simulate(
        hbm.RegressionModel(3),
        400,
        design=DESIGN,
        totals=30,
        coefficients=coefficients,
        precision_coefficients=[np.log(8.0)],
        rng=1,
    )
    eta = DESIGN @ np.array(coefficients)
    mean = np.exp(eta) / np.exp(eta).sum(axis=1, keepdims=True)
    share = sims.counts.reshape(400, 2, 20, 3).mean(axis=(0, 2)) / 30
    error = np.sqrt(0.25 / 8000 * (1 / 30 + 1 / 9))
    assert np.abs(share - mean[[0, 20]]).max() < 6.1 * error  # p < 1e-9
    variance = sims.counts[:, :20, 0].var() / 900
    expected = mean[0, 0] * (1 - mean[0, 0]) * (30 + 8) / (30 * 9)
    assert variance == pytest.approx(expected, rel=6.1 * np.sqrt(3 / 8000))
    assert (sims.counts.sum(axis=-1) == 30).all()


@pytest.mark.parametrize("link", ["softmax", "log"])
def test_parameters_come_from_their_priors(link):
    model = hbm.RegressionModel(3, link=link, random_intercept="person", coefficients=hbm.priors.Normal(0, 1.5))
    data = {"person": [f"p{i // 4}" for i in range(40)]}
    sims = hbm.simulate(model, 600, design=DESIGN, data=data, totals=(5, 9), rng=2)
    assert sims.random_intercepts.shape == (600, 10, 3)
    # with the softmax the differences of two categories that sum to zero have variance 2 sd^2
    variance = 1.5**2 * (2.0 if link == "softmax" else 1.0)
    assert sims.coefficients[:, :, 0].var() == pytest.approx(variance, rel=6.1 * np.sqrt(2 / 1200))
    assert np.mean(sims.random_scale[:, 0] ** 2) == pytest.approx(1.0, rel=6.1 * np.sqrt(2 / 600))
    ratio = sims.random_intercepts[:, :, 0] / sims.random_scale[:, :1]
    assert ratio.var() == pytest.approx(1.0, rel=6.1 * np.sqrt(2 / 6000))
    if link == "softmax":
        assert (sims.coefficients[:, :, 2] == 0.0).all()
        assert (sims.random_scale[:, 2] == 0.0).all()
        assert sims.precision_coefficients.var() == pytest.approx(4.0, rel=6.1 * np.sqrt(2 / 600))


def test_a_dataset_depends_on_its_number_alone():
    model = hbm.RegressionModel(4, random_intercept="person", shared_scale=True)
    data = {"person": np.arange(40) % 7}
    whole = hbm.simulate(model, 6, design=DESIGN, data=data, totals=(5, 50), rng=3)
    part = hbm.simulate(model, 2, design=DESIGN, data=data, totals=(5, 50), rng=whole.key, first=4, n_threads=2)
    np.testing.assert_array_equal(part.counts, whole.counts[4:])
    assert (whole.random_scale[:, :3] == whole.random_scale[:, :1]).all()
    again = pickle.loads(pickle.dumps(copy.deepcopy(whole)))
    np.testing.assert_array_equal(again.theta, whole.theta)
    assert len(repr(whole).splitlines()) <= 10
    assert whole.counts.dtype == np.int32
    with pytest.raises(ValueError, match="too small"):
        hbm.simulate(model, 1, design=DESIGN, data=data, totals=8000, rng=3, dtype=np.int16)


def test_formulas_and_refusals():
    pytest.importorskip("formulaic")
    data = {"x": np.linspace(0, 1, 12), "person": [1, 2, None] * 4}
    sims = hbm.simulate(hbm.RegressionModel(3, mean="~ x", precision="~ x"), 2, data=data, totals=9, rng=1)
    assert sims.column_names == ("Intercept", "x")
    assert sims.precision_coefficients.shape == (2, 2)
    matrix = np.ones((2, 4))
    for model, options, error, message in (
        ({"random_intercept": "person"}, {"data": data}, ValueError, "row 2"),
        ({"random_intercept": "subject"}, {"data": data}, ValueError, "lacks; it has x, person"),
        ({}, {}, TypeError, "data= or design="),
        ({}, {"n_groups": 4, "alpha": 1.0}, ValueError, "simulate takes alpha with"),
        ({}, {"n_groups": 4, "coefficients": matrix}, ValueError, "coefficients must have a shape"),
        ({"reference": None, "random_intercept": "person"}, {}, ValueError, "reference"),
        ({"shared_scale": True}, {}, ValueError, "shared_scale"),
    ):
        with pytest.raises(error, match=message):
            hbm.simulate(hbm.RegressionModel(3, **model), 2, totals=9, **options)


def test_models_go_through_json():
    model = hbm.RegressionModel(3, "~ x", precision="~ x", reference="b", random_intercept="person", shared_scale=True)
    assert models.from_dict(json.loads(json.dumps(models.to_dict(model)))) == model
    assert pickle.loads(pickle.dumps(model)) == model
    assert "RegressionModel(3" in model._repr_html_()
