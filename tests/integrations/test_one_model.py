"""One model in PyMC with nutpie and in NumPyro: the posterior is that of `hbm.sample`."""

import logging
from pathlib import Path

import numpy as np
import pytest

CHECKS = Path(__file__).parents[2] / "benchmarks" / "checks"


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not CHECKS.exists(), reason="the tests run without the sources, beside an installed wheel")
@pytest.mark.parametrize(("name", "package"), [("PyMC, nutpie", "nutpie"), ("NumPyro", "numpyro")])
def test_the_posterior_is_that_of_sample(name, package, monkeypatch):
    for module in (package, "pymc", "numpyro"):
        pytest.importorskip(module)
    logging.getLogger("pymc").setLevel(logging.ERROR)
    monkeypatch.syspath_prepend(CHECKS)
    from other_libraries import posteriors

    found = posteriors(500, (name,))[name]
    assert found["ess"].min() > 200
    assert np.abs(found["z"]).max() < 4.0
