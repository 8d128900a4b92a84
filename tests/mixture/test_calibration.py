"""A short version of benchmarks/checks/mixture_calibration.py: ranks of the true values are uniform."""

import pytest


@pytest.mark.parametrize("case", ["two components", "Dirichlet process"])
def test_ranks_are_uniform(case, benchmark_check):
    check = benchmark_check("mixture_calibration")
    for quantity, values in check.ranks(case, 120, seed=1).items():
        assert check.chi_square_p(values, n_bins=10) > 1e-9, quantity
