"""Large results begin at a large page, and are ordinary arrays."""

import pickle

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast.sufficient_statistics import exceedance_counts


@pytest.mark.parametrize("size", [0, 5, 1 << 18, 700_001])
@pytest.mark.parametrize(
    "draw",
    [
        lambda size: hbm.dirichlet(0, [1.0, 2.0, 3.0], size),
        lambda size: hbm.multinomial(0, 4, [0.5, 0.5], size),
        lambda size: exceedance_counts(np.ones((size, 1, 2), np.int8), 2),
    ],
    ids=["dirichlet", "multinomial", "exceedances"],
)
def test_results_of_every_size(draw, size):
    array = draw(size)
    assert array.flags.carray
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(array)), array)
    if array.nbytes >= 1 << 21:
        assert array.ctypes.data % (1 << 21) == 0


def test_large_simulations_begin_at_a_large_page():
    sims = hbm.simulate(hbm.HierarchicalModel(2), 7_000, n_groups=21, totals=20, rng=0)
    assert sims.log_theta.nbytes > 1 << 21
    assert sims.log_theta.ctypes.data % (1 << 21) == 0
    assert sims.theta.flags.c_contiguous
    np.testing.assert_array_equal(sims.counts.sum(-1), 20)
