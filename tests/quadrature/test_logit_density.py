"""The kernel of two categories against its sums written out in extended precision; far tails, threads and places."""

import numpy as np

import reference
from hbm_fast import _core

CONCENTRATION = np.array([0.6, 1.5])
COUNTS = np.array([[3, 0], [0, 4], [7, 2], [1, 1], [12, 0], [0, 1]])
TABLES = reference.exceedances(COUNTS[np.newaxis], 13)[0].astype(float)


def kernel(t, u, n_threads=1, tables=TABLES):
    value, slope = np.empty(len(t)), np.empty(len(t))
    _core.statistics.logit_density(tables, CONCENTRATION, np.array(t), np.array(u), value, slope, n_threads)
    return value, slope


def test_value_and_slope_are_the_sums():
    t, u = (a.ravel() for a in np.meshgrid(np.arange(-90.0, 69.0, 3.7), np.arange(-200.0, 200.0, 12.3)))
    j, alpha = np.arange(13), np.exp(t.astype(np.longdouble))[:, np.newaxis]
    betas = [1 / (1 + np.exp(sign * u.astype(np.longdouble)))[:, np.newaxis] for sign in (1, -1)]
    value = -(TABLES[2] * np.log(alpha + j)).sum(1)
    slope = np.zeros_like(value)
    for beta, other, sign, b, row in zip(betas, betas[::-1], (-1, 1), CONCENTRATION, TABLES, strict=False):
        value += b * np.log(beta[:, 0]) + (row * np.log(alpha * beta + j)).sum(1)
        slope += sign * other[:, 0] * (b + (row * alpha * beta / (alpha * beta + j)).sum(1))
    found, found_slope = kernel(t, u)
    np.testing.assert_allclose(found, value.astype(float), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(found_slope, slope.astype(float), rtol=1e-10, atol=1e-10)


def test_threads_and_places_change_nothing():
    t = -8.0 + 0.002 * np.arange(5000)
    one = kernel(t, 0.9 * t)[0]
    np.testing.assert_array_equal(kernel(t, 0.9 * t, 4)[0], one)
    assert kernel(t[77:78], 0.9 * t[77:78])[0] == one[77]


def test_far_tails_and_no_data():
    low, high, beyond = kernel([-1e4, 1e4, 80.0], [0.0, 1.0, 1.0])[0]
    # alpha to the power of (groups that show each category) - (groups)
    assert abs(low / -1e4 - 2.0) < 0.01
    assert high == beyond
    value = kernel([0.0], [0.0], tables=np.empty((3, 0)))[0]
    np.testing.assert_allclose(value, 2.1 * np.log(0.5), rtol=1e-15)
