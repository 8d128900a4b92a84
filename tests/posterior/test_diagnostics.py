"""R-hat, effective sample sizes and Monte Carlo errors: equal to arviz-stats, and defined at every edge."""

import statistics

import numpy as np
import pytest

from hbm_fast.posterior import diagnostics

KEY = 5


def draws_of(kind, n_chains, n_draws):
    """(C, D, 3) draws of one kind."""
    rng = np.random.default_rng([KEY, n_chains, n_draws])
    x = rng.normal(size=(n_chains, n_draws, 3))
    if kind == "rounded":
        return np.round(x, 1)
    if kind == "walk":
        return x.cumsum(axis=1)
    if kind == "apart":
        return x + np.arange(n_chains)[:, np.newaxis, np.newaxis]
    if kind == "binary":
        return (x > 0.0) * 1.0
    if kind == "antithetic":
        for t in range(1, n_draws):
            x[:, t] -= 0.8 * x[:, t - 1]
    return np.exp(20.0 * x) if kind == "heavy" else x


@pytest.mark.parametrize(
    ("n_chains", "n_draws"), [(1, 4), (1, 50), (2, 5), (3, 6), (4, 7), (4, 10), (4, 101), (3, 1000), (4, 1000)]
)
@pytest.mark.parametrize("kind", ["normal", "rounded", "walk", "apart", "binary", "antithetic", "heavy"])
def test_equal_to_arviz_stats(kind, n_chains, n_draws):
    library = pytest.importorskip("arviz_stats.base").array_stats
    draws = draws_of(kind, n_chains, n_draws)
    draws = draws[:, :, np.ptp(draws, axis=(0, 1)) > 0.0]
    axes = {"chain_axis": 0, "draw_axis": 1}
    with np.errstate(all="ignore"):
        expected = {
            "mcse": library.mcse(draws, method="mean", **axes),
            "ess_bulk": library.ess(draws, method="bulk", **axes),
            "ess_tail": library.ess(draws, method="tail", prob=(0.05, 0.95), **axes),
            "r_hat": library.rhat(draws, method="rank", **axes),
        }
    found = diagnostics.diagnostics(draws)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-10, atol=0.0, err_msg=name)
    np.testing.assert_array_equal(diagnostics.convergence(draws), (found["r_hat"], found["ess_bulk"]))


def test_many_parameters_at_once():
    rng = np.random.default_rng(KEY)
    draws = rng.normal(size=(4, 200, 40, 3)).cumsum(axis=1)  # more than one block
    found = diagnostics.diagnostics(draws)
    for name, values in found.items():
        assert values.shape == (40, 3)
        np.testing.assert_allclose(values[17, 2], diagnostics.diagnostics(draws[:, :, 17, 2])[name], rtol=1e-12)


def test_what_has_no_diagnostics_is_nan():
    rng = np.random.default_rng(KEY)
    for draws in (np.ones((4, 100)), rng.normal(size=(4, 3)), np.full((2, 50), np.inf)):
        assert np.isnan(list(diagnostics.diagnostics(draws).values())).all()
        assert np.isnan(diagnostics.convergence(draws)).all()
    alone = diagnostics.diagnostics(rng.normal(size=(1, 100)))
    assert np.isnan(alone.pop("r_hat"))
    assert np.isfinite(list(alone.values())).all()
    # chains that stand still, each elsewhere
    apart = diagnostics.diagnostics(np.repeat(np.arange(4.0)[:, np.newaxis], 50, axis=1))
    assert apart["r_hat"] == np.inf
    assert apart["ess_bulk"] < 10


def test_normal_quantile():
    p = np.concatenate([10.0 ** -np.arange(1, 300, 7), np.linspace(0.001, 0.999, 999)])
    exact = [statistics.NormalDist().inv_cdf(x) for x in p]
    np.testing.assert_allclose(diagnostics.normal_quantile(p), exact, rtol=2e-15, atol=1e-16)


def test_lengths_of_transforms():
    def smooth(n):
        for prime in (2, 3, 5):
            while n % prime == 0:
                n //= prime
        return n == 1

    for n in range(4, 700):
        length = diagnostics.fast_length(n)
        assert length == next(m for m in range(n, 2 * n + 1) if smooth(m))
