"""The likelihood against mpmath, on every path and at every instruction-set level."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import mpmath
import numpy as np
import pytest
import scipy.sparse

import hbm_fast as hbm
import interpreter
import reference

# Relative tolerance of each kind of group: it may only shrink.
TOLERANCE = {"pure": 1e-13, "small": 1e-13, "thousand": 1e-13, "large": 1e-12}
RANGES = {
    "all": (-300, 16),
    "tiny": (-300, -1),
    "pure bags": (-12, 2),
    "usual": (-3, 4),
    "large": (0, 16),
    "huge": (10, 16),
}


def groups(kind, exponents, seed, n=6):
    rng = np.random.default_rng([seed, *kind.encode()])
    for i in range(n):
        k = int(rng.integers(2, 6))
        a = 10.0 ** rng.uniform(*exponents, k)
        total = int(
            10 ** rng.uniform(*{"pure": (0, 9), "small": (0, 1.8), "thousand": (1.8, 3), "large": (3, 9)}[kind])
        )
        x = np.zeros(k, dtype=np.int64)
        if kind == "pure":
            x[rng.integers(k)] = total
        else:
            spread = rng.dirichlet(np.ones(k)) if i % 2 else np.maximum(a / a.sum(), 1e-9)
            x[:] = rng.multinomial(total, spread / spread.sum())
        yield x, a


@pytest.mark.parametrize("where", RANGES)
@pytest.mark.parametrize("kind", TOLERANCE)
def test_error_table(kind, where):
    for x, a in groups(kind, RANGES[where], 1):
        for coefficient in (True, False):
            value = hbm.log_likelihood(x, a, coefficient=coefficient)
            error = reference.relative_error(value, reference.log_pmf(x, a, coefficient))
            assert error <= TOLERANCE[kind], (x.tolist(), a.tolist(), coefficient, error)


def on_every_path(x, a, coefficient=True):
    """The value alone, and among rows that share a concentration or have their own, dense and sparse."""
    rows = np.tile(x, (70, 1))
    yield hbm.log_likelihood(x, a, coefficient=coefficient)
    for concentration in (a, np.tile(a, (70, 1))):
        yield hbm.log_likelihood(rows, concentration, coefficient=coefficient)[-1]
        yield hbm.log_likelihood(scipy.sparse.csr_array(rows), concentration, coefficient=coefficient)[-1]


def wide_groups(seed, n):
    """Concentrations of 1e-300 to 1.7e308 side by side or close to each other, totals up to 2**53, pure groups."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        k = int(rng.integers(2, 6))
        low, high = [(-300, 308), sorted(rng.uniform(-300, 308, 2)), (100, 308), (-3, 20), (-300, -50)][i % 5]
        a = np.minimum(10.0 ** rng.uniform(low, high, k), 1.7e308)
        total = int(2 ** (rng.uniform(0, 10) if rng.random() < 0.5 else rng.uniform(10, 53)))
        p = [np.eye(k)[rng.integers(k)], rng.dirichlet(np.ones(k)), a / a.max() / (a / a.max()).sum()][
            int(rng.integers(3))
        ]
        yield rng.multinomial(total, p), a


@pytest.mark.parametrize("seed", range(4))
def test_concentrations_and_totals_of_all_sizes(seed):
    """1e-13 relative to totals of 1,000 and for pure groups; beyond, 4 epsilon times the absolute terms."""
    for x, a in wide_groups(seed, 10):
        value, ordered = reference.log_pmf(x, a), reference.log_pmf(x, a, coefficient=False)
        if x.sum() <= 1000 or (x > 0).sum() == 1:
            tolerance = 1e-13 * abs(float(value)) + 1e-320
        else:
            tolerance = 4 * np.finfo(float).eps * float(sum(map(abs, reference.log_pmf_terms(x, a))))
        case = (x.tolist(), a.tolist())
        for got in on_every_path(x, a):
            assert abs(mpmath.mpf(float(got)) - value) <= tolerance, case
        got = hbm.log_likelihood(x, a, coefficient=False)
        assert abs(mpmath.mpf(float(got)) - ordered) <= max(tolerance, 1e-13 * abs(float(ordered))), case


@pytest.mark.parametrize(
    ("x", "a"),
    [
        ([2, 2], [1e71, 1e20]),
        ([10, 10], [1e200, 1e150]),
        ([3, 2, 7], [1e308, 1e31, 5.0]),
        ([2, 1, 4], [1.7e308, 1.7e308, 1.7e308]),  # the sum overflows
        ([5, 0, 0], [1.7e308, 1.7e308, 1.7e308]),
        ([1, 30], [1.7e308, 1e-310]),
        ([2, 3, 0], [4e-323, 1e-320, 1.0]),
        ([5, 4_294_624_062], [1.28e-300, 3e-300]),  # a total that overflows the ratio to a tiny concentration
        ([2**52, 7, 0], [1.28e-300, 1.28e-300, 3e-300]),
        ([2**40, 2**41, 1], [1.28e-300, 1.28e-300, 3e-300]),
    ],
)
def test_concentrations_beyond_all_products(x, a):
    for coefficient in (True, False):
        for value in on_every_path(np.array(x), np.array(a), coefficient):
            assert reference.relative_error(value, reference.log_pmf(x, a, coefficient)) < 1e-13


@pytest.mark.parametrize("k", [2, 3, 40])
def test_rows_of_a_table_are_as_exact_as_single_groups(k):
    rng = np.random.default_rng(k)
    a = rng.gamma(0.5, size=(150, k)) + 1e-3
    x = np.stack([rng.multinomial(rng.integers(0, 60), rng.dirichlet(np.full(k, 0.3))) for _ in a])
    values = hbm.log_likelihood(x, a)
    for value, row, concentration in zip(values[:40], x, a, strict=False):
        assert reference.relative_error(value, reference.log_pmf(row, concentration)) < 1e-13
    singles = [hbm.log_likelihood(row, concentration) for row, concentration in zip(x, a, strict=True)]
    np.testing.assert_allclose(values, singles, rtol=1e-13)


@pytest.mark.parametrize("coefficient", [True, False])
def test_two_categories_of_one_total(coefficient):
    """Every split of every total that the products take, and some above; more rows than a block of 64."""
    rng = np.random.default_rng(13)
    for total in range(70):
        first = np.concatenate([np.arange(total + 1), rng.integers(0, total + 1, 70)])[:90]
        x = np.stack([first, total - first], axis=1)
        a = 10.0 ** rng.uniform(*((-6, 3) if total % 2 else (-60, 7.5)), size=x.shape)
        values = hbm.log_likelihood(x, a, coefficient=coefficient)
        for n in range(total % 7, len(x), 7):
            error = reference.relative_error(values[n], reference.log_pmf(x[n], a[n], coefficient))
            assert error < 1e-13, (x[n], a[n])


@pytest.mark.parametrize("total", [20, 31])
def test_where_the_probability_of_a_pure_group_nears_one(total):
    """From 0.9 on the logarithm is computed by another formula."""
    rng = np.random.default_rng(total)
    a = rng.exponential(0.3, size=(2_000, 1)) * rng.dirichlet([1.0, 1.0], 2_000) + 1e-6
    x = np.where(rng.random((2_000, 1)) < 0.5, [total, 0], [0, total])
    values = hbm.log_likelihood(x, a)
    near = np.flatnonzero((values > np.log(0.8)) & (values < np.log(0.97)))
    assert len(near) > 100
    for n in near:
        assert reference.relative_error(values[n], reference.log_pmf(x[n], a[n])) < 7e-14


@pytest.mark.parametrize("total", [3, 40, 300, 2490])
def test_pure_groups_at_any_concentrations(total):
    """One concentration hardly above the total and the other beyond 1e40; a sum of both that overflows."""
    rng = np.random.default_rng(total)
    a = 10.0 ** np.stack([rng.uniform(*(([-300, 308], [0, 5])[i % 2]), 2) for i in range(60)])
    a[::4, 1] = 10.0 ** rng.uniform(30, 80, 15)
    a[:2] = [1.5e308, 1e308], [1e308, 1.5e308]
    for concentration in a:
        expected = reference.log_pmf([total, 0], concentration)
        for n_groups in (1, 64):
            values = hbm.log_likelihood(np.tile([total, 0], (n_groups, 1)), concentration)
            assert abs(values[-1] - expected) <= 1e-13 * abs(expected) + 1e-300, concentration
            assert not np.signbit(values[-1]) or values[-1] < 0


@pytest.mark.parametrize("seed", range(40))
def test_groups_of_a_large_table_as_in_small_ones(seed):
    """Few groups are computed one by one, many share the terms of their concentration."""
    rng = np.random.default_rng([11, seed])
    k, n = int(rng.choice([1, 2, 3, 7, 40, 300])), int(rng.integers(64, 300))
    exponents = [(-4, 1), (-13, 2), (-1, 0.5), (0, 9), (-70, 70)][seed % 5]
    a = 10.0 ** rng.uniform(*exponents, k)
    largest = int(rng.choice([2, 20, 300, 5000, 100_000]))
    x = (rng.random((n, k)) ** rng.choice([1, 8, 40]) * largest).astype(np.int64)
    coefficient = bool(seed % 3)
    values = hbm.log_likelihood(x, a, coefficient=coefficient)
    for rows in (x, scipy.sparse.csr_array(x)):
        few = [hbm.log_likelihood(rows[i : i + 50], a, coefficient=coefficient) for i in range(0, n, 50)]
        np.testing.assert_allclose(values, np.concatenate(few), rtol=2e-13)


def test_a_negative_count_that_wraps_a_total():
    x = np.tile([3, 5], (64, 1))
    x[17] = [-1, 9]
    with pytest.raises(ValueError, match=r"-1 at index \(17, 0\)"):
        hbm.log_likelihood(x, np.ones((64, 2)))


SHAPES = {  # K, largest total, concentrations
    "two": (2, 60, (-3, 3)),
    "few": (5, 400, (-3, 2)),
    "pure": (3, 40, (-9, -3)),
    "many": (200, 1000, (-3, 0)),
    "sparse": (600, 20_000, (-3, -2)),
    "flat": (4, 1000, (2, 5)),
    "large": (12, 100_000, (-5, 1.5)),
}


@pytest.mark.parametrize("coefficient", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_one_concentration_for_all_groups(shape, coefficient):
    """Counts within and beyond the lookup, dense and sparse, against mpmath."""
    k, largest, exponents = SHAPES[shape]
    rng = np.random.default_rng([7, *shape.encode()])
    a = 10.0 ** rng.uniform(*exponents, k)
    log_theta = np.log(rng.standard_gamma(a + 1.0, size=(300, k))) + np.log(rng.random((300, k))) / a
    theta = np.exp(log_theta - log_theta.max(-1, keepdims=True))
    x = rng.multinomial(rng.integers(0, largest + 1, 300), theta / theta.sum(-1, keepdims=True))
    values = hbm.log_likelihood(x, a, coefficient=coefficient)
    for n in range(0, 300, 20):
        tolerance = 1e-13 if x[n].sum() <= 1000 or (x[n] > 0).sum() == 1 else TOLERANCE["large"]
        assert reference.relative_error(values[n], reference.log_pmf(x[n], a, coefficient)) < tolerance, x[n].tolist()
    each = hbm.log_likelihood(x, np.tile(a, (300, 1)), coefficient=coefficient)
    np.testing.assert_allclose(each, values, rtol=2e-13)
    sparse = hbm.log_likelihood(scipy.sparse.csr_array(x), a, coefficient=coefficient)
    np.testing.assert_allclose(sparse, values, rtol=2e-13)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("k", [2, 3, 40])
def test_exceptional_rows_among_many(k, shared):
    """Rows that the vector loops leave to the exact path, among rows that they take."""
    rng = np.random.default_rng(8)
    a = np.tile(rng.gamma(1.0, size=k) + 0.1, (200, 1))
    x = rng.multinomial(20, np.ones(k) / k, size=200)
    x[3] = 0
    x[10], x[11] = np.eye(k, dtype=int)[0] * 20, np.eye(k, dtype=int)[1] * 10**9
    x[20, 0], x[21, :2] = 40, (10**6, 10**8)
    if not shared:
        a[30, 0], a[31, 1], a[32], a[33, 0] = 0.0, 1e-300, 1e12, 1e-80
        a[40, 0], x[40, 0] = 0.0, 0
    values = hbm.log_likelihood(x, a[0] if shared else a)
    for n in [3, 10, 11, 20, 21, 30, 31, 32, 33, 40, 50, 199]:
        if a[n, 0] == 0.0 and x[n, 0] > 0:
            assert values[n] == -np.inf
        else:
            error = reference.relative_error(values[n], reference.log_pmf(x[n], a[n]))
            assert error < TOLERANCE["large"], n
    for bad in (-1, 2**53 + 1):
        broken = x.copy()
        broken[150, 1] = bad
        with pytest.raises(ValueError, match="negative" if bad < 0 else r"2\*\*53"):
            hbm.log_likelihood(broken, a[0] if shared else a)


def test_the_gradient_is_that_of_the_definition():
    rng = np.random.default_rng(2)
    for exponents in RANGES.values():
        a = 10.0 ** rng.uniform(*exponents, 3)
        x = rng.multinomial(30, [0.2, 0.3, 0.5])
        value, gradient = hbm.log_likelihood_gradient(x, a)
        assert reference.relative_error(value, reference.log_pmf(x, a)) < 1e-13
        for slope, expected, absolute in zip(gradient, *reference.log_pmf_gradient(x, a), strict=True):
            assert abs(mpmath.mpf(slope) - expected) <= 1e-12 * absolute


def assert_gradient(x, a, tolerance=1e-12):
    gradient = hbm.log_likelihood_gradient(x, a)[1]
    for got, expected in zip(gradient, reference.log_pmf_gradient(x, a)[0], strict=True):
        if abs(expected) > np.finfo(float).max:
            assert got == (np.inf if expected > 0 else -np.inf), (x, a)
        else:
            assert abs(mpmath.mpf(float(got)) - expected) <= tolerance * abs(expected) + 1e-320, (x, a, got)


@pytest.mark.parametrize("seed", range(2))
def test_every_component_of_the_gradient_keeps_its_digits(seed):
    for x, a in wide_groups(10 + seed, 15):
        assert_gradient(x, a)


@pytest.mark.parametrize(
    ("x", "a"),
    [
        ([0, 20], [1e-120, 2.5e-63]),
        ([200, 0, 0], [3e-200, 1e-260, 0.0]),
        ([20, 1], [2.5e-63, 1e-120]),
        ([3, 7], [3.0001e10, 6.9999e10]),
        ([300, 700], [3e15, 7e15]),
        ([3, 7, 0], [3e120, 7e120, 1e100]),
        ([2**52, 2**51], [2e9, 1e9]),
        ([1, 2], [1.5e308, 1.6e308]),
        ([4, 0], [1e-310, 1e-309]),
        ([4, 3], [1e-310, 2.0]),
    ],
)
def test_the_gradient_where_its_two_sums_cancel(x, a):
    assert_gradient(x, a)


def test_the_gradient_where_a_category_is_absent_but_seen():
    """At 0 the value is -inf; the one-sided limits of the slopes."""
    value, gradient = hbm.log_likelihood_gradient([1, 0], [0.0, 0.0])
    assert value == -np.inf
    assert gradient.tolist() == [np.inf, -np.inf]
    value, gradient = hbm.log_likelihood_gradient([3, 2, 1], [1.0, 2.0, 0.0])
    assert value == -np.inf
    assert gradient[2] == np.inf
    assert np.isfinite(gradient[:2]).all()


@pytest.mark.parametrize("k", [1, 2, 3, 15, 16, 40, 1500])
def test_the_gradient_of_many_rows(k):
    rng = np.random.default_rng(20 + k)
    n = 130 if k < 100 else 5  # more than a block of rows; more than a block of counts
    x = rng.multinomial(rng.integers(0, 90, n) * (rng.random(n) < 0.9), rng.dirichlet(np.full(k, 0.3)))
    a = 10.0 ** rng.uniform(-90.0, 15.0, (n, k)) if k == 3 else 10.0 ** rng.uniform(-3.0, 4.0, (n, k))
    a[(rng.random((n, k)) < 0.1) & (x == 0)] = 0.0  # absent categories
    a[:, 0] = np.maximum(a[:, 0], 0.01)
    value, gradient = hbm.log_likelihood_gradient(x, a)
    np.testing.assert_array_equal(value, hbm.log_likelihood(x, a))
    for row, slopes, concentration in zip(x, gradient, a, strict=True):
        expected, absolute = reference.log_pmf_gradient(row, concentration)
        assert (np.abs(slopes - expected) <= 1e-12 * np.array(absolute)).all()
    for other in (x.astype(np.int8), np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2]):
        np.testing.assert_array_equal(hbm.log_likelihood_gradient(other, a, n_threads=3)[1], gradient)
    # one concentration for all, and broadcasting
    shared = hbm.log_likelihood_gradient(x, a[0] + 0.5)[1]
    np.testing.assert_array_equal(shared, hbm.log_likelihood_gradient(x, np.tile(a[0] + 0.5, (n, 1)))[1])
    grid = hbm.log_likelihood_gradient(x[:, None], a[:4] + 0.5)[1]
    assert grid.shape == (n, 4, k)
    np.testing.assert_array_equal(grid[:, 0], shared)


@pytest.mark.parametrize("k", [2, 3])
def test_probabilities_sum_to_one(k):
    cells = [x for x in itertools.product(range(8), repeat=k) if sum(x) == 7]
    for a in (0.3, 1.0, 1e-7, 1e9):
        assert abs(np.exp(hbm.log_likelihood(cells, np.linspace(a, 2 * a, k))).sum() - 1) < 1e-13


def test_absent_categories_and_empty_groups():
    assert hbm.log_likelihood([0, 0], [1.0, 2.0]) == 0.0
    present = hbm.log_likelihood([3, 2], [1.0, 2.0])
    assert hbm.log_likelihood([3, 2, 0], [1.0, 2.0, 0.0]) == pytest.approx(present, rel=1e-14)
    assert hbm.log_likelihood([3, 2, 1], [1.0, 2.0, 0.0]) == -np.inf
    assert hbm.log_likelihood([5, 0], [1.0, 0.0]) == 0.0


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4"])
@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray, lambda x: np.repeat(x, 2, axis=1)[:, ::2]])
def test_every_dtype_and_layout(dtype, layout):
    rng = np.random.default_rng(4)
    x = rng.multinomial(25, np.ones(20) / 20, size=30)
    a = rng.gamma(1.0, size=20).astype(np.float32)
    expected = hbm.log_likelihood(x, a.astype(np.float64))
    np.testing.assert_array_equal(hbm.log_likelihood(layout(x.astype(dtype)), a), expected)


def test_broadcasting_out_and_threads():
    rng = np.random.default_rng(5)
    x = rng.multinomial(9, [0.2, 0.3, 0.5], size=(4, 1, 6))
    a = rng.gamma(1.0, size=(5, 1, 3)) + 0.01
    values = hbm.log_likelihood(x, a)
    assert values.shape == (4, 5, 6)
    assert values[2, 3, 1] == pytest.approx(hbm.log_likelihood(x[2, 0, 1], a[3, 0]), rel=1e-13)
    out = np.empty((4, 5, 6))
    assert hbm.log_likelihood(x, a, out=out) is out
    np.testing.assert_array_equal(out, values)
    big = rng.multinomial(30, np.ones(7) / 7, size=20_003)
    one = hbm.log_likelihood(big, np.ones(7), n_threads=1)
    for n_threads in (2, 3, 7):
        np.testing.assert_array_equal(hbm.log_likelihood(big, np.ones(7), n_threads=n_threads), one)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("shared", [True, False])
def test_sparse_counts(index, shared):
    rng = np.random.default_rng(6)
    x = rng.multinomial(50, rng.dirichlet(np.full(500, 0.02)), size=40)
    x[3] = 0
    x[4] = np.eye(500, dtype=int)[7] * 50
    a = rng.gamma(0.3, size=500 if shared else (40, 500)) + 1e-6
    sparse = scipy.sparse.csr_array(x)
    sparse.indices, sparse.indptr = sparse.indices.astype(index), sparse.indptr.astype(index)
    np.testing.assert_allclose(hbm.log_likelihood(sparse, a), hbm.log_likelihood(x, a), rtol=1e-13)
    np.testing.assert_allclose(hbm.log_likelihood(scipy.sparse.coo_array(x), a), hbm.log_likelihood(x, a), rtol=1e-13)


@pytest.mark.parametrize(
    ("counts", "concentration", "error", "message"),
    [
        ([1.5, 2.0], [1, 1], ValueError, "whole numbers"),
        ([True, False], [1, 1], TypeError, "bool"),
        ([[1, 2], [3, -4]], [1, 1], ValueError, r"-4 at index \(1, 1\)"),
        ([1, 2], [1, np.nan], ValueError, "nan at index"),
        ([1, 2], [1, -1.0], ValueError, "-1.0 at index"),
        ([1, 2], [1, np.inf], ValueError, "inf at index"),
        ([1, 2], [1, 2, 3], ValueError, "K = 2"),
        ([[1, 2]] * 3, [[1, 2]] * 2, ValueError, "broadcast"),
        ([2**53, 1], [1, 1], ValueError, "2\\*\\*53"),
        (3, [1, 1], ValueError, "shape"),
    ],
)
def test_bad_input(counts, concentration, error, message):
    with pytest.raises(error, match=message):
        hbm.log_likelihood(counts, concentration)
    with pytest.raises(error, match=message):
        hbm.log_likelihood_gradient(counts, concentration)


def test_bad_out():
    with pytest.raises(ValueError, match="out must have shape"):
        hbm.log_likelihood([[1, 2]], [1, 1], out=np.empty(2))
    with pytest.raises(TypeError, match="float64"):
        hbm.log_likelihood([[1, 2]], [1, 1], out=np.empty(1, dtype=np.float32))


@pytest.mark.parametrize("level", ["v2", "v3", "v4"])
def test_every_instruction_set_level(level):
    if os.environ.get("HBM_FAST_ISA"):
        return  # this is the run inside
    environment = {**os.environ, "HBM_FAST_ISA": level}
    show = "import hbm_fast; print(hbm_fast.show_config()['isa'])"
    if interpreter.run(show, check=True, HBM_FAST_ISA=level).stdout.strip() == hbm.show_config()["isa"]:
        return  # the other tests of this run are of this level already
    tests = Path(__file__).parents[1]
    own = [__file__, str(tests / "statistics" / "test_sufficient_statistics.py")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *own]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
