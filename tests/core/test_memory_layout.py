"""Every public function gives the same result for the same counts in every memory layout."""

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast.sufficient_statistics import exceedance_counts
from layouts import packed, shifted

COUNTS = np.array([[3, 0], [0, 4], [2, 2], [5, 1]] * 12, np.int64)
STRETCHED = np.repeat(np.repeat(COUNTS, 3, axis=0), 2, axis=1)


LAYOUTS = {
    **{d: COUNTS.astype(d) for d in ("i1", "u1", "i2", "u8")},
    **{f"big-endian {d}": COUNTS.astype(f">{d}") for d in ("i2", "i4", "i8", "u2", "u4", "u8")},
    **{f"packed {d}": packed(COUNTS.astype(d)) for d in ("<i2", "<i4", ">i4", "<i8")},
    **{f"unaligned {d}": shifted(COUNTS.astype(d)) for d in ("<i2", "<i4", "<u8", ">i8")},
    **{f"strided {d}": STRETCHED.astype(d)[::3, ::2] for d in ("i1", "<i4", ">i4")},
    "Fortran": np.asfortranarray(COUNTS),
    "backwards": np.ascontiguousarray(COUNTS[::-1, ::-1])[::-1, ::-1],
    "masked where nothing is masked": np.ma.masked_array(COUNTS, mask=False),
}


def by_network(x):
    for module in ("torch", "zuko", "safetensors"):
        pytest.importorskip(module)
    return hbm.amortize.load("marbles").sample(x, n_draws=20, rng=0, correct=False).log_alpha


FUNCTIONS = {
    "log_likelihood": lambda x: hbm.log_likelihood(x, [0.3, 5.0]),
    "log_likelihood_gradient": lambda x: hbm.log_likelihood_gradient(x, [0.3, 5.0])[1],
    "dirichlet_multinomial": lambda x: hbm.dirichlet_multinomial.logpmf(x, [0.3, 5.0], x.sum(axis=-1)),
    "SufficientStatistics": lambda x: hbm.SufficientStatistics(x).log_likelihood([0.3, 5.0]),
    "fit": lambda x: hbm.fit(x).concentration,
    "hmc": lambda x: hbm.sample(x, method="hmc", n_draws=20, n_chains=2, rng=0).log_alpha,
    "gibbs": lambda x: hbm.sample(x, method="gibbs", n_draws=20, n_chains=2, rng=0).log_alpha,
    "mh": lambda x: hbm.sample(x, method="mh", n_draws=20, n_chains=2, rng=0).log_alpha,
    "a list of datasets": lambda x: hbm.sample([x, x[:7]], n_draws=20, n_chains=2, rng=0).log_alpha,
    "exact_posterior": lambda x: hbm.exact_posterior(x, rng=0).mean("log_alpha"),
    "predict": lambda x: hbm.exact_posterior(x, rng=0).predict(counts=x[1]),
    "log_predictive": lambda x: hbm.exact_posterior(x, rng=0).log_predictive(x[:3]),
    "theta": lambda x: hbm.sample(x, method="hmc", n_draws=20, n_chains=2, rng=0).theta(1),
    "exceedance_counts": lambda x: exceedance_counts(x[np.newaxis], 6),
    "network": by_network,
}


@pytest.mark.filterwarnings("ignore::hbm_fast.ConvergenceWarning")  # twenty draws do not converge
@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_layout_gives_the_same_result(function):
    call = FUNCTIONS[function]
    expected = call(COUNTS)
    for layout, counts in LAYOUTS.items():
        np.testing.assert_array_equal(counts, COUNTS)
        np.testing.assert_array_equal(call(counts), expected, err_msg=layout)


@pytest.mark.filterwarnings("ignore::hbm_fast.ConvergenceWarning")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_masked_counts_are_refused(function):
    masked = np.ma.masked_array(COUNTS, mask=False)
    masked[1, 0] = np.ma.masked
    with pytest.raises(ValueError, match="must not be masked"):
        FUNCTIONS[function](masked)


@pytest.mark.filterwarnings("ignore::hbm_fast.ConvergenceWarning")
@pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - {"dirichlet_multinomial", "predict", "log_predictive"}))
@pytest.mark.parametrize(
    ("dtype", "value"),
    [("i8", -1), ("i4", -(2**31)), ("i8", -(2**63)), ("i8", 2**53 + 2), ("u8", 2**64 - 1), (">u8", 2**63), (">i4", -2)],
)
def test_counts_out_of_range_are_refused(function, dtype, value):
    counts = COUNTS.astype(dtype)
    counts[41, 1] = value
    with pytest.raises(ValueError, match=r"must not be negative|2\*\*53|exceed"):
        FUNCTIONS[function](counts)


def test_totals_beyond_float64_are_refused():
    counts = np.array([[2**53, 2**53], [1, 0]])
    for function in ("log_likelihood", "SufficientStatistics", "fit", "hmc", "exact_posterior"):
        with pytest.raises(ValueError, match=r"2\*\*53|2\*\*31|at most"):
            FUNCTIONS[function](counts)


def test_masked_entries_in_a_list_are_refused():
    row = np.ma.masked_array([1, 2], mask=[False, True])
    with pytest.raises(ValueError, match="masked"):
        hbm.log_likelihood([row, row], [1.0, 1.0])


def test_unaligned_numbers_beside_counts():
    a = shifted(np.array([0.3, 5.0]))
    stats = hbm.SufficientStatistics(COUNTS)
    expected = stats.log_likelihood([0.3, 5.0])
    assert stats.log_likelihood(a) == expected
    assert stats.log_likelihood(a.astype(">f8")) == expected
    weights = shifted(np.ones(len(COUNTS)))
    assert hbm.SufficientStatistics(COUNTS, weights=weights).log_likelihood(a) == expected
    draws = hbm.dirichlet(0, [0.3, 5.0], size=10)
    np.testing.assert_array_equal(hbm.dirichlet(0, a, size=10), draws)


@pytest.mark.parametrize("size", [10**30, (10**10, 10**10), 2**62])
def test_sizes_beyond_memory_are_named(size):
    with pytest.raises(ValueError, match="size must"):
        hbm.dirichlet(0, [1.0, 1.0], size=size)
    with pytest.raises(ValueError, match="size must"):
        hbm.multinomial(0, 3, [0.5, 0.5], size=size)


@pytest.mark.parametrize("value", ["²", "99999999999", "0", "-1", "1e3", " 2", "many"])
def test_the_environment_names_a_number_of_threads(monkeypatch, value):
    monkeypatch.setenv("HBM_FAST_NUM_THREADS", value)
    with pytest.raises(ValueError, match=r"HBM_FAST_NUM_THREADS must be (a positive integer|at most 2147483647)"):
        hbm.log_likelihood([[1, 2]], [1.0, 1.0])


def test_numbers_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="n_threads must be at most"):
        hbm.log_likelihood([[1, 2]], [1.0, 1.0], n_threads=2**31)
    for name in ("n_draws", "n_chains", "n_warmup"):
        with pytest.raises(ValueError, match=f"{name} must be at most"):
            hbm.sample([[1, 2]], **{name: 10**30})
    with pytest.raises(ValueError, match="n_categories must be at most"):
        hbm.HierarchicalModel(10**30)
