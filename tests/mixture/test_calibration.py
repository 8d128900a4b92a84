"""A short version of benchmarks/checks/mixture_calibration.py: ranks of the true values are uniform."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "checks" / "mixture_calibration.py"


@pytest.mark.skipif(not SCRIPT.exists(), reason="the tests run without the sources, beside an installed wheel")
@pytest.mark.parametrize("case", ["two components", "Dirichlet process"])
def test_ranks_are_uniform(case):
    spec = importlib.util.spec_from_file_location("mixture_calibration", SCRIPT)
    check = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(check)
    for quantity, values in check.ranks(case, 120, seed=1).items():
        assert check.chi_square_p(values, n_bins=10) > 1e-9, quantity
