"""The three samplers against quadrature for K = 2, against each other for more, and against their own simulations."""

import numpy as np
import pytest

import hbm_fast as hbm

array_stats = pytest.importorskip("arviz_stats.base").array_stats

METHODS = ("hmc", "gibbs", "mh")
WHITE, BLACK = [20, 0], [0, 20]


def exact_means(counts, model=None):
    """Means of log alpha and beta_1 by quadrature, which tests/quadrature compares with independent integrals."""
    exact = hbm.exact_posterior(counts, model, n_draws=1)
    return exact.mean("log_alpha"), exact.mean("beta")[1]


def within(draws, truth, errors=4.0):
    return abs(draws.mean() - truth) < errors * array_stats.mcse(draws, chain_axis=0, draw_axis=1, method="mean")


RNG = np.random.default_rng(20)


def beta_binomial(n_groups, alpha, share, totals):
    theta = RNG.beta(alpha * share, alpha * (1 - share), size=n_groups)
    white = RNG.binomial(totals, theta)
    return np.stack([white, totals - white], axis=1)


DATASETS = {
    "Le (2020)": [WHITE] * 10 + [BLACK] * 10 + [[0, 1]],
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


@pytest.mark.parametrize("method", METHODS)
def test_against_quadrature(method):
    wrong = []
    for i, (name, rows) in enumerate(DATASETS.items()):
        counts = np.asarray(rows)
        post = hbm.sample(counts, method=method, rng=100 + i, n_draws=2000, diagnostics=False)
        log_alpha, white = exact_means(counts)
        if not within(post.log_alpha, log_alpha) or not within(post.beta[..., 1], white):
            wrong.append((name, post.mean("log_alpha"), log_alpha, post.mean("beta")[1], white))
    assert not wrong


PRIORS = [
    hbm.priors.Gamma(2.0, rate=0.5),
    hbm.priors.LogNormal(1.0, 0.7),
    hbm.priors.HalfNormal(2.0),
    hbm.priors.HalfCauchy(1.5),
    hbm.priors.Lomax(0.5),
    hbm.priors.LogUniform(0.1, 5.0),
    hbm.priors.Power(-1.5, lower=0.2, upper=50.0),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("prior", PRIORS, ids=lambda p: p.kind)
def test_every_prior_against_quadrature(prior, method):
    model = hbm.HierarchicalModel(2, alpha=prior)
    for i, name in enumerate(("ragged", "high alpha", "one marble")):
        counts = np.asarray(DATASETS[name])
        post = hbm.sample(counts, model, method=method, rng=300 + i, n_draws=2000, diagnostics=False)
        log_alpha, white = exact_means(counts, model)
        assert within(post.log_alpha, log_alpha, 4.5)
        assert within(post.beta[..., 1], white, 4.5)


@pytest.mark.parametrize("method", METHODS)
def test_fixed_alpha(method):
    model = hbm.HierarchicalModel(2, alpha=3.0, beta=[0.7, 1.2])
    counts = np.array([[5, 2], [0, 4]])
    post = hbm.sample(counts, model, method=method, rng=1, n_draws=4000)
    np.testing.assert_array_equal(post.log_alpha, np.log(3.0))
    assert within(post.beta[..., 1], exact_means(counts, model)[1])


@pytest.mark.parametrize("method", METHODS)
def test_fixed_beta(method):
    beta = [0.2, 0.3, 0.5]
    counts = np.array([[5, 2, 0], [0, 4, 1], [0, 0, 9]])
    t = np.linspace(-30, 8, 20001)
    log_likelihood = hbm.SufficientStatistics(counts).log_likelihood(np.exp(t)[:, np.newaxis] * beta)
    log_density = log_likelihood + t - np.exp(t)  # under alpha ~ Exponential(1)
    weight = np.exp(log_density - log_density.max())
    model = hbm.HierarchicalModel(3, beta=hbm.priors.FixedBeta(beta))
    post = hbm.sample(counts, model, method=method, rng=2, n_draws=4000)
    np.testing.assert_allclose(post.beta[0, 0], beta)
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
def test_samplers_agree_on_the_benchmarks_cases(n_groups, n_categories, total):
    """log alpha and the first 20 beta at the sizes of the sampling benchmarks."""
    simulated = hbm.HierarchicalModel(n_categories, alpha=2.0)
    counts = hbm.simulate(simulated, 1, n_groups=n_groups, totals=total, rng=1).counts[0]
    n_draws = 1000 if n_categories < 1000 else 400
    posts = {m: hbm.sample(counts, method=m, rng=5, n_draws=n_draws, diagnostics=False) for m in METHODS}
    for method in ("hmc", "mh"):
        # each beta of a random walk in a thousand dimensions has a dozen effective draws: too few to estimate its error
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
    model, rng = hbm.HierarchicalModel(n_categories), np.random.default_rng(8)
    result = hbm.calibration.simulation_based_calibration(
        lambda counts: hbm.sample(counts, model, method=method, n_chains=1, n_draws=16 * 63, rng=rng),
        model,
        1000,
        n_groups=n_groups,
        totals=totals,
        batch=1000,
        theta=False,
        rng=7,
    )
    assert result.p_value > 1e-4
