"""simulate: shapes, settings, messages."""

import numpy as np
import pytest

import hbm_fast as hbm
import reference
from hbm_fast.sufficient_statistics import exceedance_counts

MODEL = hbm.HierarchicalModel(2)


def test_shapes_padding_and_sums():
    sims = hbm.simulate(MODEL, 200, n_groups=(1, 5), totals=(0, 9), rng=0)
    assert sims.counts.shape == sims.theta.shape == sims.log_theta.shape == (200, 5, 2)
    assert set(sims.n_groups.tolist()) == {1, 2, 3, 4, 5}
    real = np.arange(5) < sims.n_groups[:, None]
    assert not sims.counts[~real].any()
    assert not sims.theta[~real].any()
    np.testing.assert_allclose(sims.theta[real].sum(-1), 1.0, rtol=1e-12)
    assert set(sims.counts.sum(-1)[real].tolist()) == set(range(10))


def test_given_totals_and_groups():
    totals = np.array([[3, 0, 7], [1, 2, 300]])
    sims = hbm.simulate(MODEL, 2, n_groups=[3, 2], totals=totals, rng=0)
    np.testing.assert_array_equal(sims.counts.sum(-1), [[3, 0, 7], [1, 2, 0]])
    sims = hbm.simulate(MODEL, 4, n_groups=3, totals=[5, 0, 1], rng=0)
    np.testing.assert_array_equal(sims.counts.sum(-1), np.tile([5, 0, 1], (4, 1)))


def test_given_hyperparameters():
    sims = hbm.simulate(MODEL, 3, n_groups=2, totals=4, rng=0, alpha=[1.0, 2.0, 3.0], beta=[0.25, 0.75])
    np.testing.assert_array_equal(sims.alpha, [1, 2, 3])
    np.testing.assert_array_equal(sims.beta, np.tile([0.25, 0.75], (3, 1)))


def test_statistics_agree_with_the_counts():
    sims = hbm.simulate(MODEL, 50, n_groups=(1, 41), totals=(0, 40), rng=0, statistics=True)
    np.testing.assert_array_equal(exceedance_counts(sims.counts, 40), sims.statistics)
    np.testing.assert_array_equal(sims.statistics, reference.exceedances(sims.counts, 40))
    buffer = np.full((50, 3, 44), -1.0, np.float32)
    only = hbm.simulate(
        MODEL, 50, n_groups=(1, 41), totals=(0, 40), rng=0, theta=False, counts=False, statistics=buffer
    )
    assert only.counts is None
    assert only.statistics is buffer
    np.testing.assert_array_equal(buffer[:, :, :40], sims.statistics)
    assert not buffer[:, :, 40:].any()


@pytest.mark.parametrize("n_categories", [2, 5, 40])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_every_count_type_holds_the_same_counts(dtype, n_categories):
    model, settings = hbm.HierarchicalModel(n_categories), dict(n_groups=3, totals=(0, 100), rng=4)
    sims = hbm.simulate(model, 30, **settings, dtype=dtype)
    assert sims.counts.dtype == dtype
    np.testing.assert_array_equal(sims.counts, hbm.simulate(model, 30, **settings).counts)
    only = hbm.simulate(model, 30, **settings, dtype=dtype, counts=False, statistics=True)
    np.testing.assert_array_equal(exceedance_counts(sims.counts, 100), only.statistics)
    np.testing.assert_array_equal(exceedance_counts(sims.counts, 100), exceedance_counts(sims.counts.astype(int), 100))


def test_out_is_overwritten_and_checked():
    settings = dict(n_groups=3, totals=5)
    first = hbm.simulate(MODEL, 10, **settings, rng=1)
    again = hbm.simulate(MODEL, 10, **settings, rng=2, out=first)
    assert again.counts is first.counts
    np.testing.assert_array_equal(again.counts, hbm.simulate(MODEL, 10, **settings, rng=2).counts)
    with pytest.raises(ValueError, match=r"out\.log_alpha must have shape"):
        hbm.simulate(MODEL, 11, **settings, rng=2, out=first)
    with pytest.raises(TypeError, match=r"out\.counts must have dtype int64"):
        hbm.simulate(MODEL, 10, **settings, rng=2, out=first, dtype=np.int64)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (dict(n_groups=0), ValueError, "n_groups must be at least 1"),
        (dict(n_groups=2.5), TypeError, "n_groups must be an integer"),
        (dict(n_groups=(5, 2)), ValueError, "low <= high"),
        (dict(n_groups=[1, 2]), ValueError, "n_groups must be an int"),
        (dict(totals=-1), ValueError, "totals must be at least 0"),
        (dict(totals=2_000_000_001), ValueError, "totals must be at most 2000000000"),
        (dict(totals=np.array([1.0, 2.0, 3.0])), TypeError, "totals must be integers"),
        (dict(totals=[1, 2]), ValueError, "totals must be an int"),
        (dict(totals=[1, -2, 3]), ValueError, "index"),
        (dict(totals=256, dtype=np.uint8), ValueError, "dtype uint8 holds counts up to 255"),
        (dict(totals=2_000_000_000, dtype=np.int16), ValueError, "pass dtype=np.int32"),
        (dict(dtype=np.float32), TypeError, "dtype must be an integer type"),
        (dict(alpha=[1.0, -1.0]), ValueError, "alpha must be positive"),
        (dict(alpha=[1.0, 2.0]), ValueError, "alpha must have a shape that broadcasts"),
        (dict(beta=[0.5, 0.6]), ValueError, "sum to 1"),
        (dict(beta=[0.2, 0.3, 0.5]), ValueError, "K = 2"),
        (dict(first=-1), ValueError, "first must be at least 0"),
        (dict(statistics=np.zeros((10, 3, 4), np.float32)), ValueError, "J >= 5"),
        (dict(statistics=np.zeros((10, 3, 5))), TypeError, "float32"),
        (dict(rng=1.5), TypeError, "rng"),
    ],
)
def test_bad_input(change, error, message):
    with pytest.raises(error, match=message):
        hbm.simulate(MODEL, 10, **(dict(n_groups=3, totals=5, rng=0) | change))


def test_exceedance_counts_refuse_bad_counts():
    with pytest.raises(ValueError, match="exceeds max_total = 3"):
        exceedance_counts([[[2, 2]]], 3)
    with pytest.raises(ValueError, match="whole"):
        exceedance_counts(np.full((1, 1, 2), 1.5), 3)


def test_strided_counts():
    counts = hbm.simulate(MODEL, 20, n_groups=6, totals=5, rng=0).counts
    view = counts[::2, ::-1, ::-1]
    np.testing.assert_array_equal(exceedance_counts(view, 5), exceedance_counts(view.copy(), 5))
