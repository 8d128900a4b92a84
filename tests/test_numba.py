"""The likelihood inside numba's compiled functions."""

import numpy as np
import pytest

import hbm_fast as hbm

numba = pytest.importorskip("numba")
from hbm_fast.integrations.numba import log_likelihood  # noqa: E402

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
    np.testing.assert_allclose(by_group(counts, CONCENTRATION), expected, rtol=1e-13)
    np.testing.assert_allclose(log_likelihood(counts, CONCENTRATION), expected, rtol=1e-15)


def test_bad_values_give_nan_and_bad_types_do_not_compile():
    assert np.isnan(rows(-COUNTS[:2], CONCENTRATION[:2])).all()
    assert np.isnan(by_group(COUNTS[:2], -CONCENTRATION[:2])).all()
    with pytest.raises(numba.TypingError, match="integer array"):
        rows(COUNTS.astype(float), CONCENTRATION)
    with pytest.raises(ValueError, match="same K"):
        rows(COUNTS, CONCENTRATION[:, :3].copy())
