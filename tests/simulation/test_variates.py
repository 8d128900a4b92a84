"""The distributions of the variates, by exact tests at fixed keys: every threshold is p > 1e-9."""

import itertools
import math

import numpy as np
import pytest
from scipy import special, stats

import hbm_fast as hbm
import reference

P = 1e-9


def groups(n, concentration, totals, rng=0, **more):
    """n groups, one a dataset, at a given concentration."""
    a = np.asarray(concentration, dtype=float)
    model = hbm.HierarchicalModel(len(a))
    return hbm.simulate(model, n, n_groups=1, totals=totals, rng=rng, alpha=a.sum(), beta=a / a.sum(), **more)


@pytest.mark.parametrize("a", [(0.3, 0.7), (1.0, 1.0), (5.0, 0.01), (2.0, 300.0), (1e6, 3e6), (1e10, 1e10)])
@pytest.mark.parametrize("totals", [0, 1000])
def test_theta_of_two_is_beta(a, totals):
    theta = groups(40_000, a, totals).theta[:, 0]
    smaller = int(np.argmin(a))  # theta of the other rounds to 1
    assert stats.kstest(theta[:, smaller], stats.beta(a[smaller], a[1 - smaller]).cdf).pvalue > P


@pytest.mark.parametrize("k", [3, 31, 32, 100, 150])
@pytest.mark.parametrize("scale", [0.002, 0.5, 30.0])
def test_theta_marginals_in_both_layouts(k, scale):
    a = scale * (1.0 + np.arange(k) % 3)
    log_theta = groups(20_000, a, 0).log_theta[:, 0]
    for column in (0, 1, k // 2, k - 1):
        expected = stats.beta(a[column], a.sum() - a[column])
        below = log_theta[:, column][log_theta[:, column] < math.log(0.7)]  # further up theta may round to 1
        assert stats.binomtest(len(below), len(log_theta), expected.cdf(0.7)).pvalue > P
        # the distribution function: its leading term where theta itself would underflow
        tail = a[column] * below - np.log(a[column]) - special.betaln(a[column], a.sum() - a[column])
        u = np.where(below > -700, expected.cdf(np.exp(below)), np.exp(tail))
        assert stats.kstest(u / expected.cdf(0.7), "uniform").pvalue > P


@pytest.mark.parametrize("alpha", [1e-2, 1e-4, 1e-8, 1e-290])
@pytest.mark.parametrize("k", [2, 40])
def test_left_tails_on_the_log_scale(alpha, k):
    # for small shapes a log theta_k is -Exp(1) where category k does not win: P(theta < e^-t) = (1 - p) e^(-a t) there
    sims = groups(40_000, np.full(k, alpha / k), 0)
    log_theta = sims.log_theta[:, 0]
    assert np.isfinite(log_theta).all()
    a = alpha / k
    column = log_theta[:, 0]
    losers = column[column < -50]
    expected = (k - 1) / k * math.exp(-50 * a)
    assert stats.binomtest(len(losers), len(column), expected).pvalue > P
    assert stats.kstest(-(losers + 50) * a, "expon").pvalue > P
    assert np.isfinite(groups(1000, np.full(k, 1e-300), 0).log_theta).all()
    np.testing.assert_allclose(sims.theta.sum(-1), 1.0, rtol=0, atol=4e-16)


@pytest.mark.parametrize("k", [2, 5, 40, 1000])
def test_theta_sums_to_one(k):
    sims = hbm.simulate(hbm.HierarchicalModel(k), 300, n_groups=2, totals=3, rng=0)
    np.testing.assert_allclose(sims.theta.sum(-1), 1.0, rtol=0, atol=1e-15 * math.sqrt(k))
    assert (sims.log_theta <= 0).all()
    assert np.isfinite(sims.log_theta).all()
    normal = sims.log_theta > -700
    np.testing.assert_allclose(sims.theta[normal], np.exp(sims.log_theta[normal]), rtol=2e-12)


@pytest.mark.parametrize("total", [1, 2, 20, 64, 65, 100, 400])  # the urn's last total and the binomial's first
@pytest.mark.parametrize("a", [(0.02, 0.05), (0.5, 1.5), (40.0, 3.0)])
def test_counts_of_two_are_beta_binomial(total, a):
    x = groups(60_000, a, total, theta=False).counts[:, 0, 0]
    observed = np.bincount(x, minlength=total + 1)
    assert reference.chi_square_p(observed, len(x) * stats.betabinom(total, *a).pmf(np.arange(total + 1))) > P


@pytest.mark.parametrize(("k", "total"), [(3, 4), (4, 3), (3, 50)])
def test_enumeration_of_the_collapsed_pmf(k, total):
    a = np.array([0.4, 1.3, 0.05, 2.0])[:k]
    x = groups(60_000, a, total, theta=False).counts[:, 0]
    rows = [row for row in itertools.product(range(total + 1), repeat=k) if sum(row) == total]
    log_pmf = hbm.log_likelihood(np.array(rows), a)
    np.testing.assert_allclose(np.exp(log_pmf).sum(), 1.0, rtol=1e-12)
    place = {row: i for i, row in enumerate(rows)}
    observed = np.bincount([place[tuple(row)] for row in x.tolist()], minlength=len(rows))
    assert reference.chi_square_p(observed, len(x) * np.exp(log_pmf)) > P


@pytest.mark.parametrize("k", [2, 10, 40])
@pytest.mark.parametrize("total", [5, 30, 500])
def test_theta_and_counts_belong_together(k, total):
    # E[x theta] and E[theta^2] of the joint distribution tie the counts to the theta they are returned with
    a = np.full(k, 0.6)
    sims = groups(60_000, a, total)
    theta, x = sims.theta[:, 0, 0], sims.counts[:, 0, 0]
    difference = x - total * theta
    z = difference.mean() / difference.std() * math.sqrt(len(x))
    assert abs(z) < 6.1
    pull = difference**2 - total * theta * (1 - theta)
    assert abs(pull.mean() / pull.std() * math.sqrt(len(x))) < 6.1
    high = difference * theta
    assert abs(high.mean() / high.std() * math.sqrt(len(x))) < 6.1


def binomial(n, p, size, rng=0):
    return hbm.multinomial(rng, n, [p, 1 - p], size=size)[:, 0]


@pytest.mark.parametrize("n", [1, 7, 60, 400, 10_000])
@pytest.mark.parametrize("p", [0.002, 0.03, 0.3, 0.5, 0.77, 0.97])
def test_binomial(n, p):
    x = binomial(n, p, 60_000, rng=1)
    expected = stats.binom(n, p)
    observed = np.bincount(x, minlength=n + 1)
    assert reference.chi_square_p(observed, len(x) * expected.pmf(np.arange(n + 1))) > P


@pytest.mark.parametrize("n", [10**6, 2 * 10**9])
@pytest.mark.parametrize("p", [1e-9, 1e-6, 0.013, 0.5, 0.999])
def test_binomial_of_large_totals(n, p):
    x = binomial(n, p, 40_000, rng=2)
    assert x.dtype == np.int64
    expected = stats.binom(n, p)
    # cells of equal probability
    edges = np.unique(expected.ppf(np.linspace(0.02, 0.98, 49)))
    cells = np.searchsorted(edges, x, side="left")
    probability = np.diff(np.concatenate([[0.0], expected.cdf(edges), [1.0]]))
    assert reference.chi_square_p(np.bincount(cells, minlength=len(probability)), len(x) * probability) > P


def test_neighbours_are_independent():
    model = hbm.HierarchicalModel(2)
    sims = hbm.simulate(model, 60_000, n_groups=3, totals=20, rng=8, alpha=1.0, beta=[0.5, 0.5])
    # alpha = 1, beta = 1/2: theta has the arcsine distribution; u is uniform
    u = 2 / np.pi * np.arcsin(np.sqrt(sims.theta[:, :, 0]))
    pairs = {
        "groups": (u[:, 0], u[:, 1]),
        "groups two apart": (u[:, 0], u[:, 2]),
        "datasets": (u[:-1, 0], u[1:, 0]),
        "dataset and next group": (u[:-1, 1], u[1:, 0]),
    }
    for name, (left, right) in pairs.items():
        table = np.histogram2d(left, right, bins=16, range=[[0, 1], [0, 1]])[0]
        assert stats.chisquare(table.ravel()).pvalue > P, name
    alpha = hbm.simulate(model, 60_000, n_groups=1, totals=1, rng=8)
    v, w = np.exp(-alpha.alpha), alpha.beta[:, 0]
    for left, right in ((v[:-1], v[1:]), (w[:-1], w[1:]), (v, w)):
        table = np.histogram2d(left, right, bins=16, range=[[0, 1], [0, 1]])[0]
        assert stats.chisquare(table.ravel()).pvalue > P


def test_neighbouring_counts_are_independent():
    sims = hbm.simulate(
        hbm.HierarchicalModel(2), 100_000, n_groups=2, totals=3, rng=8, alpha=2.0, beta=[0.5, 0.5], theta=False
    )
    x = sims.counts[:, :, 0]
    p = stats.betabinom(3, 1.0, 1.0).pmf(np.arange(4))
    for left, right in ((x[:, 0], x[:, 1]), (x[:-1, 0], x[1:, 0]), (x[:-1, 1], x[1:, 0])):
        table = np.bincount(4 * left + right, minlength=16)
        assert reference.chi_square_p(table, len(left) * np.outer(p, p).ravel()) > P


@pytest.mark.parametrize("beta", [0.2, 1.0, 3.0, (0.5, 1.0, 4.0)])
def test_beta_follows_its_prior(beta):
    c = np.broadcast_to(beta, 3)
    sims = hbm.simulate(hbm.HierarchicalModel(3, beta=beta), 40_000, n_groups=1, totals=0, rng=0, theta=False)
    for k in range(3):
        assert stats.kstest(sims.beta[:, k], stats.beta(c[k], c.sum() - c[k]).cdf).pvalue > P


def test_number_of_groups_and_totals_are_uniform():
    sims = hbm.simulate(hbm.HierarchicalModel(2), 30_000, n_groups=(2, 7), totals=(3, 12), rng=0, theta=False)
    assert stats.chisquare(np.bincount(sims.n_groups)[2:]).pvalue > P
    totals = sims.counts.sum(-1)[np.arange(7) < sims.n_groups[:, None]]
    assert stats.chisquare(np.bincount(totals)[3:]).pvalue > P


def test_many_categories_scale_in_both_mixtures():
    # one dataset whose blocks of 64 categories have tiny and ordinary shapes
    a = np.concatenate([np.full(128, 1e-3), np.full(100, 0.7)])
    theta = groups(20_000, a, 0).theta[:, 0]
    first = theta[:, :128].sum(-1)
    assert stats.kstest(first, stats.beta(0.128, 70.0).cdf).pvalue > P
    mean = theta.mean(0)
    error = theta.std(0) / math.sqrt(len(theta))
    assert (np.abs(mean - a / a.sum()) < 6.5 * error + 1e-6).all()


def test_dirichlet_and_multinomial_like_a_generator():
    rng = np.random.default_rng(3)
    theta = hbm.dirichlet(rng, [0.4, 1.0, 2.5], size=40_000)
    assert stats.kstest(theta[:, 0], stats.beta(0.4, 3.5).cdf).pvalue > P
    log_theta = hbm.dirichlet(rng, np.full((5, 4), 1e-8), log=True)
    assert log_theta.shape == (5, 4)
    assert np.isfinite(log_theta).all()
    x = hbm.multinomial(rng, [[3], [5]], theta[:7])
    assert x.shape == (2, 7, 3)
    np.testing.assert_array_equal(x.sum(-1), np.repeat([[3], [5]], 7, axis=1))
    assert hbm.multinomial(0, 4, [0.5, 0.5]).shape == (2,)
    assert not hbm.multinomial(0, 100, [0.5, 0.0, 0.5], size=50)[:, 1].any()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: hbm.dirichlet(0, [1.0, 0.0]), ValueError, "positive"),
        (lambda: hbm.dirichlet(0, [1.0, np.nan]), ValueError, "NaN"),
        (lambda: hbm.dirichlet(0, [[1.0, 2.0]] * 3, size=2), ValueError, "size must be a shape"),
        (lambda: hbm.multinomial(0, 2.5, [0.5, 0.5]), TypeError, "astype"),
        (lambda: hbm.multinomial(0, -1, [0.5, 0.5]), ValueError, "negative"),
        (lambda: hbm.multinomial(0, 2_000_000_001, [0.5, 0.5]), ValueError, "at most"),
        (lambda: hbm.multinomial(0, 1, [0.5, 0.6]), ValueError, "sum to 1"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
