"""A short version of benchmarks/checks/mixture_calibration.py: ranks of the true values are uniform."""

import pytest


@pytest.mark.parametrize("case", ["two components", "Dirichlet process"])
def test_ranks_are_uniform(case, benchmark_check):
    check, checking = benchmark_check("mixture_calibration"), benchmark_check("checking")
    for quantity, values in check.ranks(case, 120, seed=1).items():
        assert checking.uniform_p(values, check.N_RANKS, n_bins=10) > 1e-9, quantity
