"""The errors for bad input name the argument, what was expected and what came."""

import numpy as np
import pytest

import hbm_fast as hbm


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.array([[1.0, 2.0**53 + 2]]), ValueError, r"counts must be at most 2\*\*53"),
        (np.array([[1.0, np.inf]]), ValueError, r"counts must be at most 2\*\*53; got inf at row 0, column 1"),
        (np.array([[3, 4], [2, -1]]), ValueError, r"counts must not be negative; got -1 at index \(1, 1\)"),
        (np.array([1, 2]), ValueError, r"counts must have shape \(N, K\); got \(2,\).*counts\[np\.newaxis, :\]"),
        (np.zeros((2, 2, 2), int), ValueError, r"counts must have shape \(N, K\); got \(2, 2, 2\)"),
        (np.zeros((2, 0), int), ValueError, "at least one category"),
    ],
)
def test_counts(value, error, message):
    with pytest.raises(error, match=message):
        hbm.fit(value)


def test_counts_of_half_precision():
    counts = np.array([[1.0, 2048.0]], np.float16)
    assert hbm.tables.as_counts(counts).counts.tolist() == [[1, 2048]]
    for bad, message in ((0.5, "whole numbers; got 0.5"), (np.inf, "at most 2..53; got inf")):
        with pytest.raises(ValueError, match=message):
            hbm.tables.as_counts(np.array([[1.0, bad]], np.float16))


def test_counts_are_not_copied():
    model = hbm.HierarchicalModel(4)
    for dtype in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"):
        array = np.ones((6, 4), dtype)[::2, ::-1]
        post = hbm.Posterior(np.zeros((1, 1)), np.full((1, 1, 4), -np.log(4)), model=model, counts=array)
        assert np.shares_memory(post.counts, array)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ([1.0, 2.0, 3.0], ValueError, r"concentration must have shape \(\.\.\., K\) with K = 2; got \(3,\)"),
        ([1.0, -2.0], ValueError, r"concentration must be positive and finite; got -2.0 at index \(1,\)"),
        ([1.0, 0.0], ValueError, "must be positive"),
        ([1.0, np.nan], ValueError, r"concentration must not be NaN; got nan at index \(1,\)"),
        ([1.0, np.inf], ValueError, "must be positive and finite; got inf"),
        (["a", "b"], TypeError, "concentration must be an array of numbers"),
    ],
)
def test_concentration(value, error, message):
    with pytest.raises(error, match=message):
        hbm.SufficientStatistics(n_categories=2).log_likelihood_hessian(value)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (True, TypeError, "n_categories must be an integer; got a bool"),
        (2.0, TypeError, r"n_categories must be an integer; got 2\.0 \(float\)"),
        (0, ValueError, "n_categories must be at least 1; got 0"),
        ("3", TypeError, "n_categories must be an integer; got '3'"),
    ],
)
def test_positive_int(value, error, message):
    with pytest.raises(error, match=message):
        hbm.SufficientStatistics(n_categories=value)


def test_threads(monkeypatch):
    monkeypatch.setenv("HBM_FAST_NUM_THREADS", "5")
    assert hbm.log_likelihood([1, 0], [1.0, 1.0]) == hbm.log_likelihood([1, 0], [1.0, 1.0], n_threads=3)
    with pytest.raises(ValueError, match="n_threads must be at least 1; got 0"):
        hbm.log_likelihood([1, 0], [1.0, 1.0], n_threads=0)


def key(rng):
    return hbm.simulate(hbm.HierarchicalModel(2), 0, n_groups=1, totals=1, rng=rng).key


class TestKey:
    def test_the_same_seed_gives_the_same_key(self):
        for make in (lambda: 7, lambda: np.random.SeedSequence(7), lambda: np.random.default_rng(7)):
            assert key(make()).tolist() == key(make()).tolist()
            assert key(make()).dtype == np.uint64

    def test_a_generator_is_used(self):
        generator = np.random.default_rng(0)
        assert key(generator).tolist() != key(generator).tolist()

    def test_none_is_fresh(self):
        assert key(None).tolist() != key(None).tolist()

    def test_global_state_is_not_touched(self):
        before = np.random.get_state()[1].tolist()  # noqa: NPY002
        key(None)
        assert np.random.get_state()[1].tolist() == before  # noqa: NPY002

    @pytest.mark.parametrize("bad", [True, 1.5, "0", np.random.RandomState(0)])
    def test_anything_else_is_refused(self, bad):
        with pytest.raises(TypeError, match="rng must be None, an int, a SeedSequence"):
            key(bad)

    def test_negative_seeds_are_refused(self):
        with pytest.raises(ValueError, match="rng must be a non-negative integer; got -1"):
            key(-1)
