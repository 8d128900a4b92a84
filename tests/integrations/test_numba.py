"""The likelihood and the variates inside numba's compiled functions."""

import numpy as np
import pytest

import hbm_fast as hbm

numba = pytest.importorskip("numba")
from hbm_fast.integrations.numba import log_dirichlet, log_likelihood, multinomial  # noqa: E402

RNG = np.random.default_rng(3)
COUNTS = RNG.multinomial(12, np.ones(4) / 4, size=50)
CONCENTRATION = RNG.gamma(1.0, size=(50, 4)) + 0.01


@numba.njit(nogil=True)
def rows(counts, concentration):
    return log_likelihood(counts, concentration)


@numba.njit(parallel=True)
def by_group(counts, concentration):
    out = np.empty(len(counts))
    for n in numba.prange(len(counts)):
        out[n] = log_likelihood(counts[n], concentration[n])
    return out


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_equals_the_package(dtype):
    counts = COUNTS.astype(dtype)
    expected = hbm.log_likelihood(counts, CONCENTRATION)
    np.testing.assert_allclose(rows(counts, CONCENTRATION), expected, rtol=1e-13)
    np.testing.assert_allclose(rows(counts, CONCENTRATION[0]), hbm.log_likelihood(counts, CONCENTRATION[0]), rtol=1e-13)
    np.testing.assert_allclose(rows(counts[::2], CONCENTRATION[::2]), expected[::2], rtol=1e-13)
    if dtype == np.int64:  # parallel loops take seconds to compile
        np.testing.assert_allclose(by_group(counts, CONCENTRATION), expected, rtol=1e-13)
    np.testing.assert_allclose(log_likelihood(counts, CONCENTRATION), expected, rtol=1e-15)


def test_bad_values_give_nan_and_bad_types_do_not_compile():
    assert np.isnan(rows(-COUNTS[:2], CONCENTRATION[:2])).all()
    assert np.isnan(by_group(COUNTS[:2], -CONCENTRATION[:2])).all()
    with pytest.raises(numba.TypingError, match="integer array"):
        rows(COUNTS.astype(float), CONCENTRATION)
    with pytest.raises(ValueError, match="same K"):
        rows(COUNTS, CONCENTRATION[:, :3].copy())


KEY = np.array([2**63 + 5, 11], np.uint64)


@numba.njit(parallel=True)
def simulate(key, n, total, concentration):
    log_theta, counts = np.empty((n, len(concentration))), np.empty((n, len(concentration)), np.int64)
    for i in numba.prange(n):
        log_theta[i] = log_dirichlet(key, i, concentration)
        counts[i] = multinomial(key, i, total, np.exp(log_theta[i]))
    return log_theta, counts


@pytest.mark.parametrize("concentration", [[0.3, 2.0, 1e-8], [1.0, 1.0], np.full(9, 1e-3)])
def test_variates_are_the_rows_of_the_package(concentration):
    concentration = np.array(concentration)
    log_theta, counts = simulate(KEY, 300, 40, concentration)
    np.testing.assert_array_equal(log_theta, hbm.dirichlet(KEY, concentration, 300, log=True))
    np.testing.assert_array_equal(counts, hbm.multinomial(KEY, 40, np.exp(log_theta)))
    np.testing.assert_array_equal(log_dirichlet(KEY, 7, concentration), log_theta[7])
    np.testing.assert_array_equal(multinomial(KEY, 7, 40, np.exp(log_theta[7])), counts[7])
    assert (counts.sum(-1) == 40).all()


@numba.njit
def one(key, index, n, pvals):
    return log_dirichlet(key, index, pvals), multinomial(key, index, n, pvals)


def test_variates_of_bad_values():
    flat = np.ones(3)
    for bad in ([1.0, -1.0, 1.0], [1.0, np.nan, 1.0], [1.0, np.inf, 1.0]):
        log_theta, counts = one(KEY, 0, 5, np.array(bad))
        assert np.isnan(log_theta).all()
        assert (counts == -1).all()
    for total in (-1, 2_000_000_001):
        assert (one(KEY, 0, total, flat)[1] == -1).all()
    assert (multinomial(KEY, 0, 5, np.zeros(3)) == -1).all()
    assert np.isnan(log_dirichlet(KEY, 0, np.zeros(3))).all()
    assert one(KEY, 3, 2_000_000_000, flat)[1].sum() == 2_000_000_000
    with pytest.raises(numba.TypingError, match="key must be a uint64 array"):
        one(KEY.astype(float), 0, 5, flat)
    with pytest.raises(numba.TypingError, match=r"(pvals|concentration) must be a float64"):
        one(KEY, 0, 5, flat.astype(int))
    with pytest.raises(ValueError, match="two words"):
        one(KEY[:1], 0, 5, flat)
