"""Files written by version 0.1.0 load and give the values that this version gave."""

import json
from pathlib import Path

import numpy as np
import pytest

import hbm_fast as hbm

DATA = Path(__file__).parent / "data"
EXPECTED = json.loads((DATA / "expected_0.1.0.json").read_text())
COUNTS = [[3, 0], [0, 4], [1, 1]]
CLOSE = {"rtol": 1e-5, "atol": 1e-5}  # networks are in float32, whose last digits depend on the machine


def check(trained, expected):
    assert trained.metrics == expected["metrics"]
    assert trained.training["steps"] == expected["steps"] == trained.state.step
    post = trained.sample(COUNTS, n_draws=4, rng=2, correct=False)
    for name in set(expected) - {"metrics", "steps"}:
        np.testing.assert_allclose(getattr(post, name), expected[name], **CLOSE)


def test_a_network():
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    net = hbm.amortize.load(DATA / "network_0.1.0.safetensors")
    check(net, EXPECTED["network"])
    assert net.model == hbm.HierarchicalModel(2, alpha=hbm.priors.Gamma(2.0, rate=1.0))
    with pytest.warns(UserWarning, match="not calibrated"):
        assert hbm.amortize.train(resume=net, steps=10).training["steps"] == 10


def test_an_embedding():
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    emb = hbm.embedding.load(DATA / "embedding_0.1.0.safetensors")
    check(emb, EXPECTED["embedding"])
    assert hbm.embedding.train(resume=emb, steps=10).training["steps"] == 10


def test_a_posterior():
    h5netcdf = pytest.importorskip("h5netcdf")
    post = hbm.Posterior.load(DATA / "posterior_0.1.0.nc")
    np.testing.assert_array_equal(post.log_alpha, EXPECTED["posterior"]["log_alpha"])
    with h5netcdf.File(DATA / "posterior_0.1.0.nc") as file:
        np.testing.assert_array_equal(post.log_beta, file["posterior/log_beta"])
    np.testing.assert_array_equal(post.beta, np.exp(post.log_beta))
    np.testing.assert_array_max_ulp(post.beta, np.array(EXPECTED["posterior"]["beta"]))  # the last place is the CPU's
    np.testing.assert_allclose(post.predict(1), EXPECTED["posterior"]["predict"], rtol=1e-12)
