"""Bad input gets a clear error: the argument, what was expected, what came."""

import numpy as np
import pytest

from hbm_fast import _random, _validate


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.array([[1.0, 2.0]]), TypeError, r"counts must be integers; got float64.*counts\.astype\(np\.int64\)"),
        (np.array([[1.5, np.nan]]), TypeError, "counts must be integers; got float64"),
        (np.array([[True, False]]), TypeError, "counts must be integers; got bool"),
        (np.array([["a", "b"]]), TypeError, "counts must be an array of integers; got dtype <U1"),
        (np.array([[3, 4], [2, -1]]), ValueError, r"counts must not be negative; got -1 at index \(1, 1\)"),
        (np.array([1, 2]), ValueError, r"counts must have shape \(N, K\); got \(2,\).*counts\[np\.newaxis, :\]"),
        (np.zeros((2, 2, 2), int), ValueError, r"counts must have shape \(N, K\); got \(2, 2, 2\)"),
        (np.zeros((2, 0), int), ValueError, "at least one category"),
    ],
)
def test_counts(value, error, message):
    with pytest.raises(error, match=message):
        _validate.counts(value)


def test_counts_are_not_copied():
    for dtype in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"):
        array = np.ones((6, 4), dtype)[::2, ::-1]
        assert _validate.counts(array) is array


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
        _validate.concentration(value, 2)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (True, TypeError, "n must be an integer; got a bool"),
        (2.0, TypeError, r"n must be an integer; got 2\.0 \(float\)"),
        (0, ValueError, "n must be at least 1; got 0"),
        ("3", TypeError, "n must be an integer; got '3'"),
    ],
)
def test_positive_int(value, error, message):
    with pytest.raises(error, match=message):
        _validate.positive_int(value, "n")


def test_threads(monkeypatch):
    assert _validate.threads(3) == 3
    monkeypatch.setenv("HBM_FAST_NUM_THREADS", "5")
    assert _validate.threads(None) == 5
    monkeypatch.setenv("HBM_FAST_NUM_THREADS", "many")
    with pytest.raises(ValueError, match="HBM_FAST_NUM_THREADS must be a positive integer; got 'many'"):
        _validate.threads(None)
    monkeypatch.delenv("HBM_FAST_NUM_THREADS")
    assert _validate.threads(None) >= 1
    with pytest.raises(ValueError, match="n_threads must be at least 1; got 0"):
        _validate.threads(0)


class TestKey:
    def test_the_same_seed_gives_the_same_key(self):
        for make in (lambda: 7, lambda: np.random.SeedSequence(7), lambda: np.random.default_rng(7)):
            assert _random.key(make()).tolist() == _random.key(make()).tolist()
            assert _random.key(make()).dtype == np.uint64

    def test_a_generator_is_used(self):
        generator = np.random.default_rng(0)
        assert _random.key(generator).tolist() != _random.key(generator).tolist()

    def test_none_is_fresh(self):
        assert _random.key(None).tolist() != _random.key(None).tolist()

    def test_global_state_is_not_touched(self):
        before = np.random.get_state()[1].tolist()  # noqa: NPY002
        _random.key(None)
        assert np.random.get_state()[1].tolist() == before  # noqa: NPY002

    @pytest.mark.parametrize("bad", [True, 1.5, "0", np.random.RandomState(0)])
    def test_anything_else_is_refused(self, bad):
        with pytest.raises(TypeError, match="rng must be None, an int, a SeedSequence"):
            _random.key(bad)

    def test_negative_seeds_are_refused(self):
        with pytest.raises(ValueError, match="rng must be a non-negative integer; got -1"):
            _random.key(-1)
