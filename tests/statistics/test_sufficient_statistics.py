"""The likelihood from sufficient statistics is the sum over the groups, however they were built."""

import pickle

import mpmath
import numpy as np
import pytest
import scipy.sparse

import hbm_fast as hbm
import reference
from hbm_fast import _core
from hbm_fast.sufficient_statistics import group_totals


def example(seed=0, n=60, k=4, total=30):
    rng = np.random.default_rng(seed)
    x = np.stack([rng.multinomial(rng.integers(0, total), rng.dirichlet(np.full(k, 0.5))) for _ in range(n)])
    return x, rng.gamma(0.7, size=(5, k)) + 1e-3


def assert_same(stats, counts, concentration, weights=None):
    weights = np.ones(len(counts)) if weights is None else weights
    for coefficient in (True, False):
        value, gradient = stats.log_likelihood_gradient(concentration, coefficient=coefficient)
        each, slopes = hbm.log_likelihood_gradient(counts, concentration[:, np.newaxis], coefficient=coefficient)
        # beyond 1e-12, the rounding of terms that cancel: 4 epsilon of their absolute sum
        totals = counts.sum(axis=1).astype(float)
        absolute = 4 * (weights @ (totals * np.log1p(totals)))
        np.testing.assert_allclose(value, each @ weights, rtol=1e-12, atol=4 * np.finfo(float).eps * absolute)
        np.testing.assert_array_equal(stats.log_likelihood(concentration, coefficient=coefficient), value)
        scale = np.abs(slopes).sum(axis=1) + 1
        np.testing.assert_allclose(gradient / scale, np.einsum("snk,n->sk", slopes, weights) / scale, atol=1e-12)


# the totals decide the form of each category: exceedances, value-weight pairs, or values beyond the tallies
@pytest.mark.parametrize("total", [2, 30, 5_000, 300_000, 2**40])
def test_value_and_gradient(total):
    x, a = example(total=total, n=30)
    stats = hbm.SufficientStatistics(x)
    assert_same(stats, x, a)
    if total >= 300_000:
        core = _core.statistics.SufficientStatistics(4)
        core.add(x, None)
        assert not core.has_table(0)


def exact_log_likelihood(x, a):
    """Value with the coefficients, and gradient, of all groups."""
    slopes = zip(*(reference.log_pmf_gradient(row, a)[0] for row in x), strict=True)
    return mpmath.fsum(reference.log_pmf(row, a) for row in x), list(map(mpmath.fsum, slopes))


@pytest.mark.parametrize("total", [10**6, 10**9, 2**31, 2**40])
def test_large_totals_lose_no_digits(total):
    """Relative to the value, not to log-factorials of 1e13."""
    rng = np.random.default_rng(total)
    x = rng.multinomial(total, rng.dirichlet([0.7, 0.4], 6))
    x[0] = total, 0
    for form in (x, scipy.sparse.csr_array(x)):
        stats = hbm.SufficientStatistics(form)
        for a in ([0.7, 0.4], [1e-3, 20.0], [1e-40, 1e-20], [300.0, 1e4]):
            value, gradient = stats.log_likelihood_gradient(a)
            expected, slopes = exact_log_likelihood(x, a)
            assert abs(value - expected) <= (1e-9 if total < 2**20 else 1e-11) * abs(expected)
            for slope, exact in zip(gradient, slopes, strict=True):
                assert abs(slope - exact) <= 1e-12 * abs(exact)
            batch = stats.log_likelihood([a] * 70)
            assert (batch == value).all()
            plain = stats.log_likelihood(a, coefficient=False)
            assert plain == pytest.approx(value - stats.log_coefficient, rel=1e-14)


@pytest.mark.parametrize(
    ("x", "a"),
    [
        ([[2, 3], [1, 0], [40, 11]], [1e308, 1e308]),
        ([[2, 3, 1], [1, 0, 5]], [1.7e308, 1.7e308, 1.7e308]),
        ([[2, 3], [1, 0], [40, 11]], [1e71, 1e20]),
        ([[2, 3], [1, 0], [40, 11]], [1e290, 1e-290]),
        ([[0, 20], [0, 20], [0, 7]], [1e-120, 2.5e-63]),
        ([[3, 7], [30, 70], [6, 14]], [3e12, 7e12]),
        ([[3, 7], [30, 70], [6, 15]], [3.1e18, 7.4e18]),
        ([[5, 1], [9, 0]], [1e-310, 1e-309]),
    ],
)
def test_concentrations_of_all_sizes(x, a):
    stats = hbm.SufficientStatistics(x)
    value, gradient = stats.log_likelihood_gradient(a)
    expected, slopes = exact_log_likelihood(x, a)
    assert abs(value - expected) <= 1e-12 * abs(expected)
    for slope, exact in zip(gradient, slopes, strict=True):
        if abs(exact) > np.finfo(float).max:
            assert slope == (np.inf if exact > 0 else -np.inf)
        else:
            assert abs(slope - exact) <= 1e-9 * abs(exact)
    diagonal, constant = stats.log_likelihood_hessian(a)
    assert (diagonal <= 0).all()
    assert constant >= 0


@pytest.mark.parametrize("counts", [[[2**40, 1]], [[10**15, 0]] * 5, scipy.sparse.csr_array([[0, 2**40 + 1]])])
def test_totals_beyond_the_limit_are_refused(counts):
    with pytest.raises(ValueError, match=r"exceeds 2\*\*40"):
        hbm.SufficientStatistics(counts)
    assert hbm.SufficientStatistics([[2**40, 0]]).log_likelihood([1.0, 1.0]) == pytest.approx(-np.log(2**40 + 1))


def test_equal_statistics_of_the_same_groups():
    x, a = example(n=50)
    whole = hbm.SufficientStatistics(x)
    chunks = hbm.SufficientStatistics(n_categories=4)
    for part in np.array_split(x, 7):
        chunks.add(part)
    builds = [
        chunks,
        hbm.SufficientStatistics(x[:20]).merge(hbm.SufficientStatistics(x[20:])),
        hbm.SufficientStatistics(x.reshape(5, 10, 4)),
        hbm.SufficientStatistics(scipy.sparse.csr_array(x)),
        hbm.SufficientStatistics(x[::-1].astype(np.uint8)),
        hbm.SufficientStatistics(np.asfortranarray(x.astype(np.int16))),
        hbm.SufficientStatistics(x, weights=np.ones(50)),
        pickle.loads(pickle.dumps(whole)),
    ]
    for stats in builds:
        assert stats.n_groups == 50
        assert stats.log_coefficient == pytest.approx(whole.log_coefficient, rel=1e-14)
        np.testing.assert_array_equal(stats.log_likelihood(a), whole.log_likelihood(a))


def test_merging_with_itself_doubles():
    x, a = example()
    stats = hbm.SufficientStatistics(x)
    value = stats.log_likelihood(a)
    np.testing.assert_allclose(stats.merge(stats).log_likelihood(a), 2 * value, rtol=1e-14)


def test_weights():
    x, a = example(n=20)
    weights = np.linspace(0, 3, 20)
    assert_same(hbm.SufficientStatistics(x, weights=weights), x, a, weights)
    assert_same(hbm.SufficientStatistics(scipy.sparse.csr_array(x), weights=weights), x, a, weights)
    assert hbm.SufficientStatistics(x, weights=weights).n_groups == pytest.approx(weights.sum())


@pytest.mark.parametrize("total", [30, 50_000])
def test_hessian_is_the_derivative_of_the_gradient(total):
    x, a = example(total=total, n=10)
    stats = hbm.SufficientStatistics(x)
    diagonal, constant = stats.log_likelihood_hessian(a)
    for s, concentration in enumerate(a):
        hessian = np.diag(diagonal[s]) + constant[s]
        for k in range(4):
            step = np.zeros(4)
            step[k] = 1e-5 * concentration[k]
            up, down = (stats.log_likelihood_gradient(concentration + d)[1] for d in (step, -step))
            slope = (up - down) / (2 * step[k])
            np.testing.assert_allclose(hessian[k], slope, rtol=1e-5, atol=1e-6 * abs(hessian[k, k]))


def test_absent_categories_and_tiny_concentrations():
    stats = hbm.SufficientStatistics([[3, 0, 2], [1, 0, 0]])
    assert stats.log_likelihood([1.0, 0.0, 2.0]) == pytest.approx(
        hbm.log_likelihood([[3, 0, 2], [1, 0, 0]], [1.0, 0.0, 2.0]).sum(), rel=1e-14
    )
    assert stats.log_likelihood([1.0, 1.0, 0.0]) == -np.inf
    for first in (1, 3, 5, 200):  # odd numbers of factors, and those that no run of four takes
        one = hbm.SufficientStatistics([[first, 0], [1, 1]])
        for tiny in (1e-305, 1e-299, 1e-160, 1e-80):
            value, gradient = one.log_likelihood_gradient([tiny, 1.0])
            assert value == pytest.approx(hbm.log_likelihood([[first, 0], [1, 1]], [tiny, 1.0]).sum(), rel=1e-13)
            assert gradient[0] == pytest.approx(2 / tiny, rel=1e-13)
    pure = hbm.SufficientStatistics([[5, 0], [0, 5]])
    assert pure.log_likelihood([1e-310, 1e-310]) == pytest.approx(-2 * np.log(2), rel=1e-3)


# few groups of large totals: runs of j with one exceedance, then value-weight pairs
@pytest.mark.parametrize(("total", "n"), [(30, 60), (1_000, 100), (5_000, 500), (300_000, 30)])
@pytest.mark.parametrize("widest", [1, 250])
def test_results_do_not_depend_on_threads_or_the_batch(total, n, widest):
    x, _ = example(total=total, n=n)
    log_a = widest * np.random.default_rng(1).normal(size=(300, 4))
    a = np.exp(np.clip(log_a, np.log(1e-305), np.log(1e100)))  # other loops take over beyond 1e-300 and 1e70
    assert widest == 1 or ((a < 1e-300).any() and (a > 1e70).any())
    stats = hbm.SufficientStatistics(x)
    one = stats.log_likelihood(a, n_threads=1)
    assert np.isfinite(one).all()
    for n_threads in (2, 3, 7):
        np.testing.assert_array_equal(stats.log_likelihood(a, n_threads=n_threads), one)
    np.testing.assert_array_equal([stats.log_likelihood(row) for row in a], one)
    values, gradients = stats.log_likelihood_gradient(a)
    np.testing.assert_array_equal(values, one)
    np.testing.assert_array_equal([stats.log_likelihood_gradient(row)[1] for row in a], gradients)
    assert stats.log_likelihood(a.reshape(3, 100, 4)).shape == (3, 100)


@pytest.mark.parametrize(
    ("counts", "error", "message"),
    [
        ([[1, -1, 2, 0]], ValueError, r"-1 at index \(0, 1\)"),
        (scipy.sparse.csr_array([[1, -1, 2, 0]]), ValueError, "negative"),
        ([[0.5, 1, 2, 3]], ValueError, "whole numbers; got 0.5 at row 0, column 0"),
        ([[1, 2, 3]], ValueError, "K = 4"),
        ([1, 2, 3, 4], ValueError, "newaxis"),
        ([[2**53, 1, 0, 0]], ValueError, "2\\*\\*53"),
    ],
)
def test_bad_counts_add_nothing(counts, error, message):
    x, a = example()
    stats = hbm.SufficientStatistics(x)
    value = stats.log_likelihood(a)
    with pytest.raises(error, match=message):
        stats.add(counts)
    np.testing.assert_array_equal(stats.log_likelihood(a), value)
    assert stats.n_groups == len(x)


def test_bad_arguments():
    stats = hbm.SufficientStatistics([[1, 2]])
    for call, error, message in (
        (hbm.SufficientStatistics, ValueError, "n_categories"),
        (lambda: hbm.SufficientStatistics([[1, 2]], weights=[1.0, 2.0]), ValueError, "weights must have shape"),
        (lambda: hbm.SufficientStatistics([[1, 2]], weights=[-1.0]), ValueError, "weights must be non-negative"),
        (lambda: stats.merge(3), TypeError, "SufficientStatistics"),
        (lambda: stats.merge(hbm.SufficientStatistics([[1, 2, 3]])), ValueError, "merge"),
        (lambda: stats.log_likelihood([-1.0, 1.0]), ValueError, "non-negative"),
    ):
        with pytest.raises(error, match=message):
            call()


@pytest.mark.parametrize("shape", [(0, 3, 2), (2, 0, 2), (3, 5, 2), (1, 5_000_000, 2), (3000, 700, 3)])
def test_totals_of_blocks_are_those_of_the_whole(shape):
    counts = np.random.default_rng(0).integers(0, 9, shape, dtype=np.int8)[..., ::-1]
    np.testing.assert_array_equal(group_totals(counts), counts.sum(axis=-1, dtype=np.int64))


def test_names_align_the_columns_of_tables():
    pd = pytest.importorskip("pandas")
    sparse = pytest.importorskip("scipy.sparse")
    anndata = pytest.importorskip("anndata")
    frame = pd.DataFrame([[3, 1, 0], [0, 4, 2]], columns=["a", "b", "c"])
    other = frame[["c", "a", "b"]]
    names = {"obs": pd.DataFrame(index=["x", "y"]), "var": pd.DataFrame(index=list(other))}
    stored = anndata.AnnData(sparse.csr_matrix(other.to_numpy(np.float32)), **names)
    twice = hbm.SufficientStatistics(np.repeat(frame.to_numpy(), 2, axis=0))
    concentration = [0.5, 2.0, 1.0]
    for table in (other, stored):
        for stats in (
            hbm.SufficientStatistics(frame).add(table),
            hbm.SufficientStatistics(n_categories=3).add(frame).add(table),
            hbm.SufficientStatistics(n_categories=3).merge(hbm.SufficientStatistics(frame)).add(table),
            pickle.loads(pickle.dumps(hbm.SufficientStatistics(frame))).add(table),
        ):
            assert stats.category_names == ("a", "b", "c")
            assert stats.log_likelihood(concentration) == twice.log_likelihood(concentration)
    stats = hbm.SufficientStatistics(frame).add([[1, 2, 3]])
    assert stats.n_groups == 3
    with pytest.raises(ValueError, match="must have the categories of the result; they lack 'c' and add 'd'"):
        stats.add(frame.rename(columns={"c": "d"}))
    with pytest.raises(ValueError, match=r"other must have the categories \('a', 'b', 'c'\) in this order"):
        stats.merge(hbm.SufficientStatistics(other))
    assert stats.n_groups == 3
    with pytest.raises(ValueError, match="not be negative"):
        hbm.SufficientStatistics(n_categories=3).add(-frame)


def test_names_go_into_results():
    stats = hbm.SufficientStatistics(hbm.datasets.load_marbles())
    for result in (
        hbm.fit(stats),
        hbm.exact_posterior(stats),
        hbm.sample(stats, n_draws=20, n_chains=1, diagnostics=False),
    ):
        assert result.category_names == ("white", "black")
    assert hbm.fit(stats, category_names=["w", "b"]).category_names == ("w", "b")
    assert hbm.SufficientStatistics([[1, 2]]).category_names is None
