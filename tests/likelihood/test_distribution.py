"""`dirichlet_multinomial` is a drop-in for scipy's, and draws."""

import ast
import itertools
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import scipy.stats

import hbm_fast as hbm
import reference


def scipys_own_tests():
    """scipy's test class with our object in the place of its own; the rest of that file asks for marks of scipy's."""
    folder = Path(scipy.stats.__file__).parent / "tests"
    source = (folder / "test_multivariate.py").read_text() if folder.is_dir() else "class TestDirichletMultinomial: ..."
    tree = ast.parse(source)
    chosen = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "TestDirichletMultinomial"]
    names = {
        "np": np,
        "pytest": pytest,
        "scipy": scipy,
        "stats": scipy.stats,
        "assert_equal": np.testing.assert_equal,
        "assert_allclose": np.testing.assert_allclose,
        "assert_raises": pytest.raises,
        "dirichlet_multinomial": hbm.dirichlet_multinomial,
    }
    exec(compile(ast.Module(chosen, []), "test_multivariate.py", "exec"), names)
    return names["TestDirichletMultinomial"]


TestScipysOwn = scipys_own_tests()


@pytest.mark.parametrize(
    ("x", "alpha", "n"),
    [
        ([1, 2], [1.0, 2.0], 3),
        ([1.0, 2.0], [1, 2], 3.0),
        ([1, 1], [1, 2], 3),
        ([[1, 2], [2, 2]], [1, 2], [3, 4]),
        ([1, 2], [[1, 2], [3, 4]], [3, 4]),
        ([1, 2], [1, 2], [[3]]),
        ([1, 2], 2, 3),
        (3, [1, 2], 3),
        ([1, 2], [np.nan, 2], 3),
    ],
)
def test_shapes_and_values_are_scipys(x, alpha, n):
    expected = scipy.stats.dirichlet_multinomial.logpmf(x, alpha, n)
    result = hbm.dirichlet_multinomial.logpmf(x, alpha, n)
    assert np.shape(result) == np.shape(expected)
    assert type(result) is type(expected)
    np.testing.assert_allclose(result, expected, rtol=1e-12)


def test_large_concentrations_keep_their_digits():
    # to first order in 1/alpha a fair multinomial: log(10! / (5! 5! 2^10))
    value = hbm.dirichlet_multinomial.logpmf([5, 5], [1e15, 1e15], 10)
    assert abs(value - np.log(252 / 1024)) < 1e-13


@pytest.mark.parametrize("alpha", [[0.4, 1.5, 2.0], [1e-3, 2e-3, 1e-3]])
def test_rvs_follow_the_pmf(alpha):
    n, size = 4, 40_000
    draws = hbm.dirichlet_multinomial(alpha, n).rvs(size=size, random_state=5)
    cells = [x for x in itertools.product(range(n + 1), repeat=3) if sum(x) == n]
    expected = size * hbm.dirichlet_multinomial.pmf(cells, alpha, n)
    observed = np.array([np.all(draws == x, axis=1).sum() for x in cells])
    assert abs(expected.sum() - size) < 1e-6
    assert reference.chi_square_p(observed, expected) > 1e-9


def test_rvs_shapes_and_states():
    frozen = hbm.dirichlet_multinomial([[1.0, 2.0], [3.0, 4.0]], [5, 6])
    assert frozen.rvs().shape == (2, 2)
    draws = frozen.rvs(size=(3, 4), random_state=1)
    assert draws.shape == (3, 4, 2, 2)
    assert (draws.sum(axis=-1) == [5, 6]).all()
    np.testing.assert_array_equal(draws, frozen.rvs(size=(3, 4), random_state=np.random.default_rng(1)))
    old = frozen.rvs(size=2, random_state=np.random.RandomState(1))
    np.testing.assert_array_equal(old, frozen.rvs(size=2, random_state=np.random.RandomState(1)))
    seeded = hbm.dirichlet_multinomial([1.0, 1.0], 9, seed=3)
    np.testing.assert_array_equal(seeded.rvs(size=5), hbm.dirichlet_multinomial([1.0, 1.0], 9).rvs(5, random_state=3))


def test_tiny_concentrations_draw_pure_groups():
    draws = hbm.dirichlet_multinomial.rvs([1e-200, 1e-200], 20, size=1000, random_state=2)
    assert set(draws[:, 0].tolist()) == {0, 20}


def test_subnormal_concentrations_and_sums_that_overflow():
    draws = hbm.dirichlet_multinomial.rvs([1e-312, 3e-312], 20, size=4000, random_state=1)
    assert set(draws[:, 0].tolist()) == {0, 20}
    assert abs((draws[:, 0] > 0).mean() - 0.25) < 0.05
    huge = [1.7e308] * 3
    np.testing.assert_allclose(hbm.dirichlet_multinomial.mean(huge, 9), 3.0)
    np.testing.assert_allclose(hbm.dirichlet_multinomial.var(huge, 9), 2.0)


def test_callers_that_let_numpy_raise():
    with np.errstate(all="raise"):
        hbm.dirichlet_multinomial.rvs([1e-8, 1e-300, 2.0], 20, size=50, random_state=1)
        hbm.dirichlet_multinomial.rvs([1e-320, 1.0], 20, size=50, random_state=1)
        assert hbm.dirichlet_multinomial.pmf([2000, 2000], [1e300, 1.0], 4000) == 0.0
        assert (hbm.dirichlet(0, [1e-8, 1e-8], size=50).sum(-1) == 1.0).all()
