"""A population of datasets has the posterior that NumPyro finds under the same priors.

benchmarks/checks/population_peers.py compares with PyMC and nutpie too, which take minutes to compile.
"""

import numpy as np
import pytest


@pytest.mark.peers
@pytest.mark.filterwarnings("default")
def test_the_posterior_is_that_of_numpyro(benchmark_check):
    pytest.importorskip("numpyro")
    compare = benchmark_check("population_peers").compare
    found = compare(6, 6, 2, 500, ("hbm.sample", "NumPyro"))["NumPyro"]
    assert found["ess"].min() > 60
    assert np.abs(found["z"]).max() < 4.0
