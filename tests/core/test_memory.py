"""Large results lie in large pages, and are arrays like others."""

import pickle

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast import _memory


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int64])
@pytest.mark.parametrize("shape", [(0, 3), (5, 7), (1 << 21,), (700_001, 3), (3, 1_000_003)])
def test_an_array_like_others(shape, dtype):
    array = _memory.empty(shape, dtype)
    assert array.shape == shape
    assert array.dtype == dtype
    assert array.flags.carray
    array[...] = np.arange(array.size, dtype=np.int64).reshape(shape) % 251
    copy = pickle.loads(pickle.dumps(array))
    np.testing.assert_array_equal(copy, array)
    if array.nbytes >= 1 << 21:
        assert array.ctypes.data % (1 << 21) == 0


def test_large_simulations_begin_at_a_large_page():
    sims = hbm.simulate(hbm.HierarchicalModel(2), 7_000, n_groups=21, totals=20, rng=0)
    assert sims.log_theta.nbytes > 1 << 21
    assert sims.log_theta.ctypes.data % (1 << 21) == 0
    assert sims.theta.flags.c_contiguous
    np.testing.assert_array_equal(sims.counts.sum(-1), 20)
