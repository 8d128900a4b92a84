"""HierarchicalModel: an immutable value, and its errors for bad arguments."""

import copy
import pickle

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast import priors


def test_defaults_are_the_model_of_le_2020():
    model = hbm.HierarchicalModel(2)
    assert model.n_categories == 2
    assert model.alpha == priors.Exponential(1.0)
    assert model.beta == priors.Dirichlet(1.0)


@pytest.mark.parametrize(
    ("given", "prior"),
    [(2, priors.Fixed(2.0)), (np.float64(0.5), priors.Fixed(0.5)), (priors.HalfCauchy(), priors.HalfCauchy())],
)
def test_alpha(given, prior):
    assert hbm.HierarchicalModel(2, alpha=given).alpha == prior


@pytest.mark.parametrize(
    ("given", "prior"),
    [
        (0.5, priors.Dirichlet(0.5)),
        ([0.5, 1.5], priors.Dirichlet((0.5, 1.5))),
        (np.array([1, 2]), priors.Dirichlet((1.0, 2.0))),
        (priors.Dirichlet(2.0), priors.Dirichlet(2.0)),
        (priors.FixedBeta([0.25, 0.75]), priors.FixedBeta([0.25, 0.75])),
    ],
)
def test_beta(given, prior):
    assert hbm.HierarchicalModel(2, beta=given).beta == prior


def test_a_model_is_a_value():
    make = [
        lambda: hbm.HierarchicalModel(2),
        lambda: hbm.HierarchicalModel(3),
        lambda: hbm.HierarchicalModel(2, alpha=2.0),
        lambda: hbm.HierarchicalModel(3, alpha=priors.Gamma(2.0, rate=0.5), beta=[0.5, 0.5, 1.0]),
        lambda: hbm.HierarchicalModel(2, beta=priors.FixedBeta([0.25, 0.75])),
    ]
    models = [f() for f in make]
    for index, f in enumerate(make):
        model = f()
        assert [model == other for other in models] == [n == index for n in range(len(models))]
        assert hash(model) == hash(models[index])
        assert pickle.loads(pickle.dumps(model)) == model
        assert copy.deepcopy(model) == model
        assert eval(repr(model), {**vars(priors), "HierarchicalModel": hbm.HierarchicalModel}) == model
    assert models[0] != "HierarchicalModel(2)"


def test_a_model_is_immutable():
    model = hbm.HierarchicalModel(2)
    for name in ("n_categories", "alpha", "beta", "other"):
        with pytest.raises(AttributeError):
            setattr(model, name, 1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((1,), ValueError, "n_categories must be at least 2"),
        ((2.0,), TypeError, "n_categories must be an integer"),
        ((True,), TypeError, "bool"),
        ((2, "exponential"), TypeError, "alpha must be a prior"),
        ((2, True), TypeError, "alpha must be a prior"),
        ((2, 0.0), ValueError, "Fixed's value must be positive"),
        ((2, None, [1.0, 1.0, 1.0]), ValueError, "beta must have K = 2 values; got 3"),
        ((2, None, priors.FixedBeta([0.2, 0.3, 0.5])), ValueError, "K = 2"),
        ((2, None, -1.0), ValueError, "positive"),
        ((2, None, "flat"), TypeError, "beta must be"),
        ((2, None, [[1.0, 1.0]]), ValueError, "shape"),
    ],
)
def test_bad_arguments(arguments, error, message):
    n, alpha, beta = (*arguments, None, None)[:3]
    with pytest.raises(error, match=message):
        hbm.HierarchicalModel(n, alpha=alpha, beta=beta)


def test_priors_are_keywords():
    with pytest.raises(TypeError):
        hbm.HierarchicalModel(2, 1.0)
