"""Priors: densities, slopes, draws, and published posteriors reproduced with them."""

import copy
import dataclasses
import itertools
import math
import pickle

import numpy as np
import pytest
from scipy import integrate, optimize, stats

import hbm_fast as hbm
from hbm_fast import priors

# Each with the same distribution of scipy, where scipy has it.
CASES = [
    (priors.Exponential(), stats.expon()),
    (priors.Exponential(3.0), stats.expon(scale=1 / 3)),
    (priors.Gamma(2.0, rate=0.5), stats.gamma(2.0, scale=2.0)),
    (priors.Gamma(0.1, rate=0.1), stats.gamma(0.1, scale=10.0)),
    (priors.LogNormal(), stats.lognorm(1.0)),
    (priors.LogNormal(-1.0, 2.5), stats.lognorm(2.5, scale=math.exp(-1.0))),
    (priors.HalfNormal(2.0), stats.halfnorm(scale=2.0)),
    (priors.HalfCauchy(), stats.halfcauchy()),
    (priors.HalfCauchy(5.0), stats.halfcauchy(scale=5.0)),
    (priors.LogUniform(0.01, 100.0), stats.loguniform(0.01, 100.0)),
    (priors.Lomax(), stats.lomax(0.5)),
    (priors.Lomax(3.0, 2.0), stats.lomax(3.0, scale=2.0)),
    (priors.Power(-1.0, lower=0.01, upper=100.0), stats.loguniform(0.01, 100.0)),
    (priors.Power(0.0, lower=1.0, upper=5.0), stats.uniform(1.0, 4.0)),
    (priors.Power(-2.5, lower=0.1, upper=1e4), None),
    (priors.Power(-1.5, lower=1e-3, upper=1e5), None),
    (priors.Power(2.0, lower=1.0, upper=20.0), None),
]
IDS = [repr(prior) for prior, _ in CASES]
BOUNDED = (priors.LogUniform, priors.Power)


def support(prior):
    """The range of log alpha: the bounds, or one that holds all of the mass."""
    return (math.log(prior.lower), math.log(prior.upper)) if isinstance(prior, BOUNDED) else (-700.0, 700.0)


@pytest.mark.parametrize(("prior", "reference"), CASES, ids=IDS)
def test_density_integrates_to_one(prior, reference):
    lower, upper = support(prior)
    breaks = [t for t in (-50.0, -10.0, -3.0, 0.0, 3.0, 10.0, 50.0) if lower < t < upper]
    edges = [lower, *breaks, upper]
    mass = sum(
        integrate.quad(lambda t: math.exp(prior.log_density(t)), a, b, epsabs=1e-12, limit=200)[0]
        for a, b in itertools.pairwise(edges)
    )
    assert mass == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(("prior", "reference"), [c for c in CASES if c[1]], ids=[repr(c[0]) for c in CASES if c[1]])
def test_density_is_scipys_times_alpha(prior, reference):
    lower, upper = support(prior)
    t = np.linspace(max(lower, -8.0) + 1e-6, min(upper, 6.0) - 1e-6, 60)
    expected = reference.logpdf(np.exp(t)) + t
    np.testing.assert_allclose(prior.log_density(t), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("prior", "reference"), CASES, ids=IDS)
def test_slope_is_the_derivative(prior, reference):
    lower, upper = support(prior)
    t = np.linspace(max(lower, -8.0) + 0.01, min(upper, 4.0) - 0.01, 40)
    step = 1e-5
    difference = (prior.log_density(t + step) - prior.log_density(t - step)) / (2 * step)
    np.testing.assert_allclose(prior.log_density_slope(t), difference, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("prior", "reference"), CASES, ids=IDS)
def test_draws_follow_the_density(prior, reference):
    sims = hbm.simulate(hbm.HierarchicalModel(2, alpha=prior), 20_000, n_groups=1, totals=1, rng=5)
    if reference is not None:
        cdf = reference.cdf
    else:
        power = prior.exponent + 1.0

        def cdf(alpha):
            bottom, top = prior.lower**power, prior.upper**power
            return (alpha**power - bottom) / (top - bottom)

    assert stats.kstest(sims.alpha, cdf).pvalue > 1e-9


@pytest.mark.parametrize("prior", [prior for prior, _ in CASES if isinstance(prior, BOUNDED)], ids=repr)
def test_nothing_outside_the_bounds(prior):
    lower, upper = support(prior)
    assert prior.log_density(lower - 1e-3) == -math.inf
    assert prior.log_density(upper + 1e-3) == -math.inf


@pytest.mark.parametrize(("prior", "reference"), CASES, ids=IDS)
def test_far_tails_are_numbers(prior, reference):
    # a chain that strays there must come back: no NaN, and minus infinity only where the density underflows for good
    values = prior.log_density(np.array([-745.0, -300.0, 300.0, 700.0]))
    slopes = prior.log_density_slope(np.array([-745.0, -300.0, 300.0]))
    assert not np.isnan(values).any()
    assert not np.isnan(slopes).any()
    if not isinstance(prior, BOUNDED):
        assert np.isfinite(values[:2]).all()


def test_fixed_is_constant():
    prior = priors.Fixed(2.5)
    assert prior.log_density(0.3) == 0.0
    assert prior.log_density_slope(0.3) == 0.0
    np.testing.assert_array_equal(
        hbm.simulate(hbm.HierarchicalModel(2, alpha=2.5), 3, n_groups=1, totals=1, rng=0).alpha, 2.5
    )


def test_lomax_draws_survive_a_heavy_tail():
    # (1 + alpha)^-0.001 = u has alpha beyond float64 for most u: its logarithm must stay finite
    sims = hbm.simulate(hbm.HierarchicalModel(2, alpha=priors.Lomax(0.02)), 2000, n_groups=1, totals=1, rng=0)
    assert np.isfinite(np.log(sims.alpha[sims.alpha < np.inf])).all()
    assert np.isfinite(sims.counts).all()


def test_alpha_and_beta_are_the_exponentials_of_their_logs():
    """Also where they are no normal numbers: alpha from 0 to inf, beta with a category that cannot be."""
    model = hbm.HierarchicalModel(3, alpha=priors.LogNormal(0.0, 600.0))
    sims = hbm.simulate(model, 3000, n_groups=1, totals=1, rng=0, beta=[0.25, 0.0, 0.75])
    assert {0.0, np.inf} < set(sims.alpha)
    assert ((sims.alpha > 0) & (sims.alpha < 2.3e-308)).any()
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(sims.alpha, np.exp(sims.log_alpha), rtol=1e-15)
    for i in np.flatnonzero((sims.alpha > 1e-300) & (sims.alpha < 1e300))[:200]:
        alone = hbm.simulate(model, 1, n_groups=1, totals=1, rng=0, first=int(i), beta=[0.25, 0.0, 0.75])
        assert alone.alpha[0] == sims.alpha[i]
    sims = hbm.simulate(hbm.HierarchicalModel(3, beta=1e-3), 3000, n_groups=1, totals=1, rng=0)
    assert sims.log_beta.min() < -750
    assert (sims.beta == 0).any()
    np.testing.assert_allclose(sims.beta, np.exp(sims.log_beta), rtol=1e-15)


# descriptions ----------------------------------------------------------------------------------------------

EVERY = [*(prior for prior, _ in CASES), priors.Fixed(2.0), priors.Dirichlet(0.5), priors.Dirichlet((1.0, 2.0))]
EVERY += [priors.FixedBeta([0.25, 0.75])]


@pytest.mark.parametrize("prior", EVERY, ids=repr)
def test_a_prior_is_a_value(prior):
    assert copy.deepcopy(prior) == prior
    assert pickle.loads(pickle.dumps(prior)) == prior
    assert hash(pickle.loads(pickle.dumps(prior))) == hash(prior)
    assert eval(repr(prior), vars(priors)) == prior
    with pytest.raises(dataclasses.FrozenInstanceError):
        prior.kind = "other"
    assert sum(prior == other for other in EVERY) == 1


def test_numbers_become_floats():
    assert priors.Gamma(2, rate=np.float32(0.5)) == priors.Gamma(2.0, rate=0.5)
    assert priors.Dirichlet(2).concentration == 2.0
    assert priors.Dirichlet([1, 2]) == priors.Dirichlet((1.0, 2.0))
    assert priors.FixedBeta(np.array([1 / 3, 2 / 3])).value == (1 / 3, 2 / 3)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: priors.Exponential(0.0), ValueError, "Exponential's rate must be positive"),
        (lambda: priors.Exponential(-1.0), ValueError, "positive"),
        (lambda: priors.Exponential(math.nan), ValueError, "finite"),
        (lambda: priors.Exponential("a"), TypeError, "must be a number"),
        (lambda: priors.Gamma(2.0), TypeError, "rate"),
        (lambda: priors.Gamma(2.0, 1.0), TypeError, "positional"),
        (lambda: priors.Gamma(0.0, rate=1.0), ValueError, "Gamma's shape"),
        (lambda: priors.LogNormal(0.0, 0.0), ValueError, "LogNormal's sigma"),
        (lambda: priors.LogNormal(math.inf), ValueError, "LogNormal's mu must be finite"),
        (lambda: priors.HalfCauchy(math.inf), ValueError, "finite"),
        (lambda: priors.HalfNormal(-2.0), ValueError, "positive"),
        (lambda: priors.Lomax(0.0), ValueError, "Lomax's shape"),
        (lambda: priors.LogUniform(0.0, 1.0), ValueError, "LogUniform's lower must be positive"),
        (lambda: priors.LogUniform(2.0, 1.0), ValueError, "lower < upper"),
        (lambda: priors.Power(-1.5, lower=1.0, upper=math.inf), ValueError, "Power's upper must be finite"),
        (lambda: priors.Power(-1.5, lower=0.0, upper=1.0), ValueError, "Power's lower must be positive"),
        (lambda: priors.Fixed(0.0), ValueError, "Fixed's value"),
        (lambda: priors.Dirichlet(0.0), ValueError, "positive"),
        (lambda: priors.Dirichlet([1.0, -1.0]), ValueError, "index"),
        (lambda: priors.Dirichlet([[1.0, 1.0]]), ValueError, "shape"),
        (lambda: priors.FixedBeta([0.5, 0.6]), ValueError, "sum to 1"),
        (lambda: priors.FixedBeta([0.0, 1.0]), ValueError, "positive"),
        (lambda: priors.FixedBeta(1.0), ValueError, "shape"),
        (lambda: priors.AlphaPrior().log_density(0.0), TypeError, "abstract"),
    ],
)
def test_bad_parameters(make, error, message):
    with pytest.raises(error, match=message):
        make()


# published posteriors --------------------------------------------------------------------------------------


def bda_log_density(counts, prior, point):
    """Of (log(a/b), log(a+b)), up to a constant: Bayesian Data Analysis, equation 5.8 with its Jacobian."""
    logit, log_alpha = point
    log_beta = -np.logaddexp(0.0, [-logit, logit])
    a = np.exp(log_alpha + log_beta)
    value = hbm.log_likelihood(counts, a).sum()
    return value + float(prior.log_density(log_alpha)) + log_beta.sum()  # beta uniform, in its logit


def test_rats_as_in_bayesian_data_analysis():
    # Gelman et al., Bayesian Data Analysis, 5.3: p(a, b) proportional to (a + b)^(-5/2) has its posterior mode at
    # (log(a/b), log(a+b)) = (-1.786, 2.744), and E[a | y] = 2.4, E[b | y] = 14.3.
    counts = hbm.datasets.load_rat_tumors().counts
    prior = priors.Power(-1.5, lower=0.05, upper=1e4)
    found = optimize.minimize(
        lambda point: -bda_log_density(counts, prior, point), [-1.5, 2.5], method="Nelder-Mead", tol=1e-8
    )
    # read off a grid: the density there is lower than at our mode, by less than one part in ten thousand
    published = [-1.786, 2.744]
    np.testing.assert_allclose(found.x, published, atol=3e-3)
    assert -1e-4 < bda_log_density(counts, prior, published) + found.fun < 0
    post = hbm.exact_posterior(counts, hbm.HierarchicalModel(2, alpha=prior), n_draws=20_000, rng=1)
    a = post.alpha[..., np.newaxis] * post.beta
    np.testing.assert_allclose(a.mean(axis=(0, 1)), [2.4, 14.3], atol=0.05)
