"""The three samplers against quadrature for K = 2, against each other for more, and against their own simulations."""

import numpy as np
import pytest
from scipy import special, stats

import hbm_fast as hbm

array_stats = pytest.importorskip("arviz_stats.base").array_stats

METHODS = ("hmc", "gibbs", "mh")
WHITE, BLACK = [20, 0], [0, 20]


def quadrature(counts, log_prior):
    """Means of log alpha and beta_1 on grids that shrink to where the posterior is; log_prior is of log alpha."""
    (rows, times) = np.unique(counts, axis=0, return_counts=True)

    def log_density(log_alpha, logit):
        log_b0, log_b1 = -np.logaddexp(0, logit), -np.logaddexp(0, -logit)
        alpha, a0, a1 = np.exp(log_alpha), np.exp(log_alpha + log_b0), np.exp(log_alpha + log_b1)
        value = log_prior(log_alpha) + log_b0 + log_b1  # beta uniform, on the logit scale
        for (x0, x1), n in zip(rows, times, strict=True):
            value = value + n * (rising(a0, log_alpha + log_b0, x0) + rising(a1, log_alpha + log_b1, x1))
            value = value - n * rising(alpha, log_alpha, x0 + x1)
        return value

    box = np.array([[-60.0, 12.0], [-45.0, 45.0]])
    for _ in range(3):
        log_alpha, logit = (np.linspace(*edge, 401) for edge in box)
        value = log_density(log_alpha[:, np.newaxis], logit)
        inside = value > value.max() - 45
        for axis, grid in enumerate((log_alpha, logit)):
            hit = np.flatnonzero(inside.any(axis=1 - axis))
            box[axis] = grid[max(hit[0] - 1, 0)], grid[min(hit[-1] + 1, 400)]
    weight = np.exp(value - value.max())
    weight /= weight.sum()
    return (weight.sum(axis=1) * log_alpha).sum(), (weight.sum(axis=0) * special.expit(logit)).sum()


def rising(a, log_a, n):
    """log a (a + 1) ... (a + n - 1), right for a -> 0."""
    if n == 0:
        return 0.0
    if n > 200:
        return log_a + special.gammaln(a + n) - special.gammaln(a + 1)
    return log_a + sum(np.log(a + j) for j in range(1, n))


def within(draws, truth, errors=4.0):
    return abs(draws.mean() - truth) < errors * array_stats.mcse(draws, chain_axis=0, draw_axis=1, method="mean")


RNG = np.random.default_rng(20)


def beta_binomial(n_groups, alpha, share, totals):
    theta = RNG.beta(alpha * share, alpha * (1 - share), size=n_groups)
    white = RNG.binomial(totals, theta)
    return np.stack([white, totals - white], axis=1)


DATASETS = {
    "the note's": [WHITE] * 10 + [BLACK] * 10 + [[0, 1]],
    "no group": np.zeros((0, 2), dtype=int),
    "empty groups": np.zeros((5, 2), dtype=int),
    "one marble": [[1, 0]],
    "one pair": [[1, 1]],
    "one pure bag": [WHITE],
    "one mixed bag": [[7, 13]],
    "one large bag": [[400, 600]],
    "all white": [WHITE] * 12,
    "pure": [WHITE] * 5 + [BLACK] * 3,
    "single marbles": [[1, 0]] * 6 + [[0, 1]] * 9,
    "nearly pure": [[19, 1]] + [WHITE] * 6 + [BLACK] * 6,
    "mixed": [[10, 10]] * 8,
    "all alike": [[3, 17]] * 30,
    "one odd": [[10, 10]] * 20 + [[20, 0]],
    "ragged": [[0, 0], [3, 1], [0, 12], [50, 2], [1, 0], [8, 9]],
    "low alpha": beta_binomial(40, 0.05, 0.3, 30),
    "high alpha": beta_binomial(40, 30.0, 0.7, 30),
    "rare": beta_binomial(300, 2.0, 0.01, 10),
    "100,000 groups": beta_binomial(100_000, 1.5, 0.4, 6),
}
EXPONENTIAL = lambda t: t - np.exp(t)  # noqa: E731


@pytest.mark.parametrize("method", METHODS)
def test_against_quadrature(method):
    wrong = []
    for i, (name, rows) in enumerate(DATASETS.items()):
        counts = np.asarray(rows)
        post = hbm.sample(counts, method=method, rng=100 + i, n_draws=2000, diagnostics=False)
        log_alpha, white = quadrature(counts, EXPONENTIAL)
        if not within(post.log_alpha, log_alpha) or not within(post.beta[..., 1], white):
            wrong.append((name, post.mean("log_alpha"), log_alpha, post.mean("beta")[1], white))
    assert not wrong


PRIORS = {
    hbm.priors.Gamma(2.0, rate=0.5): lambda t: 2 * t - 0.5 * np.exp(t),
    hbm.priors.LogNormal(1.0, 0.7): lambda t: -0.5 * ((t - 1) / 0.7) ** 2,
    hbm.priors.HalfNormal(2.0): lambda t: t - 0.5 * (np.exp(t) / 2) ** 2,
    hbm.priors.HalfCauchy(1.5): lambda t: t - np.log1p((np.exp(t) / 1.5) ** 2),
    hbm.priors.Lomax(0.5): lambda t: t - 1.5 * np.log1p(np.exp(t)),
    hbm.priors.LogUniform(0.1, 5.0): lambda t: np.where((t > np.log(0.1)) & (t < np.log(5.0)), 0.0, -np.inf),
    hbm.priors.Power(-1.5, lower=0.2, upper=50.0): lambda t: np.where(
        (t > np.log(0.2)) & (t < np.log(50.0)), -0.5 * t, -np.inf
    ),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("prior", PRIORS, ids=lambda p: p.kind)
def test_every_prior_against_quadrature(prior, method):
    bounded = isinstance(prior, hbm.priors.LogUniform | hbm.priors.Power)
    for i, name in enumerate(("ragged", "high alpha", "one marble")):
        counts = np.asarray(DATASETS[name])
        model = hbm.HierarchicalModel(2, alpha=prior)
        post = hbm.sample(counts, model, method=method, rng=300 + i, n_draws=2000, diagnostics=False)
        log_alpha, white = quadrature(counts, PRIORS[prior])
        # the oracle's edge of a bounded prior is one cell wide
        assert within(post.log_alpha - log_alpha, 0.0, 4.5) or (
            bounded and abs(post.mean("log_alpha") - log_alpha) < 0.02
        )
        assert within(post.beta[..., 1], white, 4.5)


@pytest.mark.parametrize("method", METHODS)
def test_fixed_alpha(method):
    # one group, K = 2: the posterior of beta on a grid
    model = hbm.HierarchicalModel(2, alpha=3.0, beta=[0.7, 1.2])
    grid = (np.arange(20000) + 0.5) / 20000
    log_density = -0.3 * np.log(grid) + 0.2 * np.log1p(-grid)
    for x in ((5, 2), (0, 4)):
        log_density = log_density + special.betaln(3 * grid + x[0], 3 * (1 - grid) + x[1])
        log_density = log_density - special.betaln(3 * grid, 3 * (1 - grid))
    weight = np.exp(log_density - log_density.max())
    post = hbm.sample(np.array([[5, 2], [0, 4]]), model, method=method, rng=1, n_draws=4000)
    np.testing.assert_array_equal(post.log_alpha, np.log(3.0))
    assert within(post.beta[..., 0], (weight * grid).sum() / weight.sum())


@pytest.mark.parametrize("method", METHODS)
def test_fixed_beta(method):
    model = hbm.HierarchicalModel(3, beta=hbm.priors.FixedBeta([0.2, 0.3, 0.5]))
    counts = np.array([[5, 2, 0], [0, 4, 1], [0, 0, 9]])
    t = np.linspace(-30, 8, 20001)
    log_density = EXPONENTIAL(t)
    for row in counts:
        log_density = log_density - rising(np.exp(t), t, row.sum())
        for b, x in zip((0.2, 0.3, 0.5), row, strict=True):
            log_density = log_density + rising(b * np.exp(t), np.log(b) + t, x)
    weight = np.exp(log_density - log_density.max())
    post = hbm.sample(counts, model, method=method, rng=2, n_draws=4000)
    np.testing.assert_allclose(post.beta[0, 0], [0.2, 0.3, 0.5])
    assert within(post.log_alpha, (weight * t).sum() / weight.sum())


@pytest.mark.parametrize(("n_groups", "n_categories", "total"), [(300, 5, 50), (60, 20, 80), (40, 60, 300)])
def test_samplers_agree_with_each_other(n_groups, n_categories, total):
    model = hbm.HierarchicalModel(n_categories)
    counts = hbm.simulate(model, 1, n_groups=n_groups, totals=total, rng=n_categories).counts[0]
    posts = {
        m: hbm.sample(counts, method=m, rng=3, n_draws=4000 if m == "mh" else 2000, diagnostics=False) for m in METHODS
    }
    reference = posts["gibbs"]
    for name in ("hmc", "mh"):
        for one, other in (
            (posts[name].log_alpha, reference.log_alpha),
            *((posts[name].beta[..., k], reference.beta[..., k]) for k in range(5)),
        ):
            errors = [array_stats.mcse(x, chain_axis=0, draw_axis=1, method="mean") for x in (one, other)]
            assert abs(one.mean() - other.mean()) < 4.5 * np.hypot(*errors)


@pytest.mark.parametrize(("n_groups", "n_categories", "total"), [(1000, 5, 50), (200, 50, 200), (200, 1000, 5000)])
def test_samplers_agree_on_the_benchmarks_works(n_groups, n_categories, total):
    """(ii) to (iv) of benchmarks/bench_sampling.py: log alpha and the first 20 beta."""
    simulated = hbm.HierarchicalModel(n_categories, alpha=2.0)
    counts = hbm.simulate(simulated, 1, n_groups=n_groups, totals=total, rng=1).counts[0]
    n_draws = 1000 if n_categories < 1000 else 400
    posts = {m: hbm.sample(counts, method=m, rng=5, n_draws=n_draws, diagnostics=False) for m in METHODS}
    for method in ("hmc", "mh"):
        # each beta of a random walk in a thousand dimensions has a dozen effective draws: too few to know its error by
        n_compared = 0 if method == "mh" and n_categories == 1000 else min(20, n_categories)
        one, other = posts[method], posts["gibbs"]
        pairs = [(one.beta[..., k], other.beta[..., k]) for k in range(n_compared)]
        for x, y in [(one.log_alpha, other.log_alpha), *pairs]:
            errors = [array_stats.mcse(draws, chain_axis=0, draw_axis=1, method="mean") for draws in (x, y)]
            assert abs(x.mean() - y.mean()) < 4 * np.hypot(*errors)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("n_categories", "n_groups", "totals"), [(2, 12, (0, 12)), (5, 10, (1, 30))])
def test_simulation_based_calibration(method, n_categories, n_groups, totals):
    """Ranks of the truth among draws thinned until they are independent are uniform (Talts et al. 2018)."""
    model = hbm.HierarchicalModel(n_categories)
    sims = hbm.simulate(model, 1000, n_groups=n_groups, totals=totals, rng=7)
    n_kept, thin = 63, 16
    post = hbm.sample(sims.counts, model, method=method, n_chains=1, n_draws=n_kept * thin, rng=8)
    quantities = [(post.log_alpha[:, 0], sims.log_alpha)]
    quantities += [(post.log_beta[:, 0, :, k], sims.log_beta[:, k]) for k in range(n_categories)]
    for draws, truth in quantities:
        ranks = (draws[:, ::thin] < truth[:, np.newaxis]).sum(axis=1)  # 0 .. 63
        observed = np.bincount(ranks // 4, minlength=16)
        assert stats.chisquare(observed).pvalue > 1e-4
