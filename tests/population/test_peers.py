"""A population of datasets has the posterior that NumPyro finds under the same priors.

benchmarks/checks/population_peers.py compares with PyMC and nutpie too, which take minutes to compile.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

CHECKS = Path(__file__).parents[2] / "benchmarks" / "checks"


@pytest.mark.peers
@pytest.mark.filterwarnings("default")
def test_the_posterior_is_that_of_numpyro(monkeypatch):
    pytest.importorskip("numpyro")
    monkeypatch.setattr(sys, "path", [str(CHECKS), *sys.path])
    from population_peers import compare

    found = compare(6, 6, 2, 500, ("hbm.sample", "NumPyro"))["NumPyro"]
    assert found["ess"].min() > 60
    assert np.abs(found["z"]).max() < 4.0
