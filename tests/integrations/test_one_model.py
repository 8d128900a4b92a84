"""One model in PyMC with nutpie and in NumPyro: the posterior is that of `hbm.sample`."""

import logging

import numpy as np
import pytest


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "package"), [("PyMC, nutpie", "nutpie"), ("NumPyro", "numpyro")])
def test_the_posterior_is_that_of_sample(name, package, benchmark_check):
    for module in (package, "pymc", "numpyro"):
        pytest.importorskip(module)
    logging.getLogger("pymc").setLevel(logging.ERROR)
    found = benchmark_check("other_libraries").posteriors(500, (name,))[name]
    assert found["ess"].min() > 200
    assert np.abs(found["z"]).max() < 4.0
