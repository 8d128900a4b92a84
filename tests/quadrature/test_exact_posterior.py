"""exact_posterior against independent integrals, published numbers and its own symmetries."""

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast import priors

BAGS = hbm.datasets.load_marbles().counts
MIXED = np.array([[10, 10]] * 20 + [[0, 1]])


def answers(post, group):
    """Mean and sd of alpha and of log alpha, E[beta_1], the prediction of a group, and the evidence."""
    moments = [(post.mean(name), post.sd(name)) for name in ("alpha", "log_alpha")]
    return [*np.ravel(moments), post.mean("beta")[1], post.predict(group)[1], post.log_evidence]


@pytest.mark.parametrize(
    ("counts", "group", "expected", "error"),
    [
        (
            BAGS,
            20,
            [0.028401, 0.0289, -4.147418, 1.28944, 0.521729, 0.987137, -19.44351],
            [5e-7, 5e-5, 5e-7, 5e-6, 5e-7, 3e-6, 5e-6],
        ),
        (
            MIXED,
            20,
            [8.407165, 2.532373, 2.083672, 0.304838, 0.503736, 0.560427, -299.339671],
            [5e-7, 5e-7, 6e-7, 5e-7, 5e-7, 5e-7, 5e-7],
        ),
        (
            np.array([[0, 1]]),
            0,
            [1.0, 1.0, -np.euler_gamma, np.pi / np.sqrt(6), 2 / 3, 0.865448, -np.log(2)],
            [1e-9, 1e-9, 1e-9, 1e-9, 1e-9, 2e-6, 1e-9],
        ),
    ],
    ids=["pure bags of Le (2020)", "mixed bags of Le (2020)", "one marble"],
)
def test_published_values(counts, group, expected, error):
    post = hbm.exact_posterior(counts, n_draws=10)
    if counts is MIXED:  # stated without the coefficients
        expected = [*expected[:-1], expected[-1] + hbm.SufficientStatistics(counts).log_coefficient]
    assert (np.abs(np.array(answers(post, group)) - expected) < error).all()
    assert post.log_evidence_error < 1e-8


def test_no_data_is_the_prior():
    model = hbm.HierarchicalModel(2, alpha=priors.Gamma(2.0, rate=0.5), beta=[0.3, 2.0])
    post = hbm.exact_posterior(np.zeros((3, 2), dtype=int), model, n_draws=10)
    assert post.log_evidence == pytest.approx(0.0, abs=1e-9)
    assert post.mean("alpha") == pytest.approx(4.0, rel=1e-9)
    assert post.sd("alpha") == pytest.approx(np.sqrt(8.0), rel=1e-9)
    np.testing.assert_allclose(post.mean("beta"), [0.3 / 2.3, 2.0 / 2.3], rtol=1e-9)
    stats = pytest.importorskip("scipy.stats")
    q = np.array([0.001, 0.3, 0.5, 0.999])
    np.testing.assert_allclose(post.quantile("alpha", q), stats.gamma(2.0, scale=2.0).ppf(q), rtol=1e-8)
    np.testing.assert_allclose(post.quantile("beta", q)[:, 0], stats.beta(0.3, 2.0).ppf(q), rtol=1e-6)
    np.testing.assert_allclose(post.quantile("beta", q)[:, 1], stats.beta(2.0, 0.3).ppf(q), rtol=1e-6)
    x = np.array([0.01, 0.5, 0.9])
    np.testing.assert_allclose(post.marginal("alpha", x)[1], stats.gamma(2.0, scale=2.0).pdf(x), rtol=1e-8)
    np.testing.assert_allclose(post.marginal("beta", x)[1][0], stats.beta(0.3, 2.0).pdf(x), rtol=1e-8)


def test_rat_tumours():
    counts = hbm.datasets.load_rat_tumors().counts  # (tumours, none)
    post = hbm.exact_posterior(counts, n_draws=10)
    assert post.mean("alpha") == pytest.approx(8.201, abs=5e-4)
    assert post.mean("beta")[0] == pytest.approx(0.15267, abs=5e-6)


ALPHA_PRIORS = [
    priors.Exponential(2.0),
    priors.Gamma(0.7, rate=0.2),
    priors.LogNormal(1.0, 2.0),
    priors.HalfNormal(3.0),
    priors.HalfCauchy(0.5),
    priors.LogUniform(1e-3, 1e3),
    priors.Lomax(3.0, 2.0),
    priors.Power(-1.5, lower=0.01, upper=50.0),
]
# ragged, with an empty group
TABLE = np.array([[3, 0], [0, 4], [7, 2], [0, 0], [1, 1], [12, 0], [0, 1]])


def brute_force(model, counts, log_alpha, logit):
    """Log density on a tensor grid, by products of (a + j) alone; without coefficient."""
    special = pytest.importorskip("scipy.special")
    t, u = log_alpha[:, None], logit[None, :]
    alpha = np.exp(t)

    def log_rising(a, n):
        return sum(np.log(a + j) for j in range(n))

    total = 0.0
    for column, a in ((0, alpha * special.expit(-u)), (1, alpha * special.expit(u))):
        for x, times in zip(*np.unique(counts[:, column], return_counts=True), strict=True):
            total = total + times * log_rising(a, x)
    for x, times in zip(*np.unique(counts.sum(axis=1), return_counts=True), strict=True):
        total = total - times * log_rising(alpha, x)
    c0, c1 = np.broadcast_to(model.beta.concentration, (2,))
    prior = c1 * special.log_expit(u) + c0 * special.log_expit(-u) - special.betaln(c0, c1)
    return total + prior + model.alpha.log_density(log_alpha)[:, None]


@pytest.mark.parametrize("alpha", ALPHA_PRIORS, ids=lambda p: type(p).__name__)
def test_every_prior_against_brute_force(alpha):
    model = hbm.HierarchicalModel(2, alpha=alpha, beta=[0.6, 1.5])
    post = hbm.exact_posterior(TABLE, model, n_draws=10)
    lower, upper = (np.log(alpha.lower), np.log(alpha.upper)) if hasattr(alpha, "lower") else (-60.0, 45.0)
    # Gauss-Legendre panels in t (the support may end), the trapezoidal rule in the logit
    x, w = np.polynomial.legendre.leggauss(20)
    edges = np.linspace(lower, upper, 31)
    half = 0.5 * np.diff(edges)[:, None]
    t = (0.5 * (edges[1:] + edges[:-1])[:, None] + half * x).ravel()
    weight = (half * w).ravel()[:, None]
    u = np.arange(-70.0, 40.0, 0.25)
    density = np.exp(brute_force(model, TABLE, t, u)) * weight * 0.25
    total = density.sum()
    coefficient = hbm.SufficientStatistics(TABLE).log_coefficient
    assert post.log_evidence == pytest.approx(np.log(total) + coefficient, abs=1e-9)
    p = density / total
    beta = 1.0 / (1.0 + np.exp(-u))
    mean = (p.sum(1) * t).sum()
    assert post.mean("log_alpha") == pytest.approx(mean, abs=1e-8)
    assert post.sd("log_alpha") == pytest.approx(np.sqrt((p.sum(1) * (t - mean) ** 2).sum()), abs=1e-8)
    assert post.mean("beta")[1] == pytest.approx((p.sum(0) * beta).sum(), abs=1e-9)
    theta = (np.exp(t)[:, None] * beta + 2) / (np.exp(t)[:, None] + 9)
    assert post.predict(2)[1] == pytest.approx((p * theta).sum(), abs=1e-9)
    if not isinstance(alpha, priors.HalfCauchy):
        assert post.mean("alpha") == pytest.approx((p.sum(1) * np.exp(t)).sum(), rel=1e-8)
    else:
        assert post.mean("alpha") == np.inf
    np.testing.assert_allclose(
        post.moments.log_density(t[::50, None], u[::20]),
        brute_force(model, TABLE, t[::50], u[::20]) - np.log(total),
        atol=1e-7,
    )


def test_a_hundred_thousand_groups():
    rng = np.random.default_rng(0)
    theta = rng.beta(0.6, 1.4, size=100_000)
    x = rng.binomial(20, theta)
    counts = np.stack([20 - x, x], axis=1)
    post = hbm.exact_posterior(counts, n_draws=10)
    t = post.mean("log_alpha") + post.sd("log_alpha") * np.arange(-8.0, 8.0, 0.25)
    u = np.log(post.mean("beta")[1] / post.mean("beta")[0])
    spread = post.sd("beta")[1] / np.prod(post.mean("beta"))
    u = u + spread * np.arange(-8.0, 8.0, 0.25)
    values = brute_force(hbm.HierarchicalModel(2), counts, t, u)
    p = np.exp(values - values.max())
    coefficient = hbm.SufficientStatistics(counts).log_coefficient
    log_total = values.max() + np.log(p.sum() * (t[1] - t[0]) * (u[1] - u[0]))
    # sums of 100,000 groups carry rounding errors of 1e-8
    assert post.log_evidence - coefficient == pytest.approx(log_total, abs=1e-5)
    p /= p.sum()
    assert post.mean("log_alpha") == pytest.approx((p.sum(1) * t).sum(), abs=1e-6 * post.sd("log_alpha"))
    assert post.sd("log_alpha") == pytest.approx(
        np.sqrt((p.sum(1) * (t - post.mean("log_alpha")) ** 2).sum()), rel=1e-6
    )


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        # one marble carries no information on alpha: E[log alpha] is that of the prior
        (priors.Gamma(0.01, rate=1.0), -100.56088545786868),  # digamma(0.01)
        (priors.LogUniform(1e-300, 1e300), 0.0),
        (priors.Lomax(0.5), 2 * np.log(2.0)),  # digamma(1) - digamma(1/2)
        (priors.HalfCauchy(3.0), np.log(3.0)),
        (priors.LogNormal(-900.0, 5.0), -900.0),
        (priors.LogNormal(3.0, 1e-3), 3.0),
    ],
    ids=lambda v: str(v),
)
def test_wide_priors(alpha, expected):
    post = hbm.exact_posterior(np.array([[0, 1]]), hbm.HierarchicalModel(2, alpha=alpha), n_draws=500, rng=1)
    assert post.log_evidence == pytest.approx(-np.log(2.0), abs=1e-8)
    assert post.mean("log_alpha") == pytest.approx(expected, rel=1e-8, abs=1e-7)
    assert post.mean("beta")[1] == pytest.approx(2 / 3, abs=1e-8)
    assert np.isfinite(post.log_theta(0)).all()
    assert abs(post.log_alpha.mean() - expected) < 6 * post.sd("log_alpha") / np.sqrt(500)


@pytest.mark.parametrize("concentration", [[0.01, 0.02], [50.0, 1.0], [1e4, 1e4]])
def test_priors_of_beta(concentration):
    model = hbm.HierarchicalModel(2, beta=concentration)
    post = hbm.exact_posterior(np.array([[0, 1]]), model, n_draws=10)
    c0, c1 = concentration
    assert post.log_evidence == pytest.approx(np.log(c1 / (c0 + c1)), abs=1e-8)
    assert post.mean("beta")[1] == pytest.approx((c1 + 1) / (c0 + c1 + 1), abs=1e-8)


def test_fixed_alpha_and_fixed_beta():
    special = pytest.importorskip("scipy.special")
    beta = np.array([0.2, 0.8])
    both = hbm.exact_posterior(TABLE, hbm.HierarchicalModel(2, alpha=1.5, beta=priors.FixedBeta(beta)), n_draws=5)
    a = 1.5 * beta
    pmf = special.gammaln(a + TABLE) - special.gammaln(a) - special.gammaln(TABLE + 1)
    totals = TABLE.sum(1)
    log_likelihood = (
        pmf.sum() + (special.gammaln(1.5) - special.gammaln(1.5 + totals) + special.gammaln(totals + 1)).sum()
    )
    assert both.log_evidence == pytest.approx(log_likelihood, abs=1e-10)
    assert both.mean("alpha") == pytest.approx(1.5)
    assert both.sd("alpha") == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(both.mean("beta"), beta)
    np.testing.assert_allclose(both.theta(2).shape, (1, 5, 2))
    np.testing.assert_allclose(both.quantile("beta", 0.3), beta)

    model = hbm.HierarchicalModel(2, alpha=1.5, beta=[0.6, 1.5])
    known_alpha = hbm.exact_posterior(TABLE, model, n_draws=5)
    u = np.arange(-60.0, 40.0, 0.1)
    p = np.exp(brute_force(model, TABLE, np.log([1.5]), u)[0])
    assert known_alpha.mean("beta")[1] == pytest.approx((p / (1 + np.exp(-u))).sum() / p.sum(), abs=1e-9)
    with pytest.raises(ValueError, match="alpha is fixed"):
        known_alpha.marginal("alpha")

    known_beta = hbm.exact_posterior(TABLE, hbm.HierarchicalModel(2, beta=priors.FixedBeta(beta)), n_draws=5)
    t = np.arange(-50.0, 6.0, 0.05)
    p = np.exp(brute_force(hbm.HierarchicalModel(2), TABLE, t, np.log([4.0]))[:, 0])
    assert known_beta.mean("log_alpha") == pytest.approx((p * t).sum() / p.sum(), abs=1e-8)
    with pytest.raises(ValueError, match="beta is fixed"):
        known_beta.marginal("beta")


def test_evidence_and_predictions_agree():
    """p(D, x) = p(D) p(x | D), and a new row informs as a row of the data."""
    new = np.array([[1, 5], [0, 3]])
    before = hbm.exact_posterior(BAGS, n_draws=10)
    after = [hbm.exact_posterior(np.concatenate([BAGS, row[None]]), n_draws=10) for row in new]
    both = hbm.exact_posterior(np.concatenate([BAGS, new]), n_draws=10)
    np.testing.assert_allclose(
        before.log_predictive(new), [post.log_evidence - before.log_evidence for post in after], atol=1e-9
    )
    joint = before.log_predictive(new, jointly=True)
    assert joint == pytest.approx(both.log_evidence - before.log_evidence, abs=1e-9)
    np.testing.assert_allclose(before.predict(counts=new[0]), after[0].predict(21), atol=1e-9)
    np.testing.assert_allclose(np.exp(before.log_predictive(np.eye(2, dtype=int))), before.predict(None), atol=1e-9)


PURE = np.array([[20, 0], [0, 20]])


@pytest.mark.parametrize(
    ("old", "new", "model"),
    [
        (np.tile([10, 10], (20, 1)), np.tile(PURE, (20, 1)), hbm.HierarchicalModel(2)),
        (np.tile([10, 10], (20, 1)), np.tile(PURE, (5, 1)), hbm.HierarchicalModel(2)),
        (np.tile([500, 500], (100, 1)), np.tile(PURE, (20, 1)), hbm.HierarchicalModel(2)),
        (np.tile([[50, 0], [0, 50]], (200, 1)), np.tile([10, 10], (100, 1)), hbm.HierarchicalModel(2)),
        (MIXED, BAGS, hbm.HierarchicalModel(2, alpha=priors.Lomax())),
        (BAGS, MIXED, hbm.HierarchicalModel(2, alpha=priors.LogUniform(1e-3, 1e4), beta=0.3)),
        (MIXED, BAGS, hbm.HierarchicalModel(2, alpha=3.0)),
        (MIXED, BAGS, hbm.HierarchicalModel(2, beta=priors.FixedBeta([0.3, 0.7]))),
    ],
)
def test_groups_far_from_the_data_are_scored_exactly(old, new, model):
    post = hbm.exact_posterior(old, model, n_draws=10)
    both = hbm.exact_posterior(np.concatenate([old, new]), model, n_draws=10)
    joint, ess = post.log_predictive(new, jointly=True, return_ess=True)
    assert joint == pytest.approx(both.log_evidence - post.log_evidence, abs=1e-7)
    assert ess == np.inf
    coefficient = hbm.SufficientStatistics(new).log_coefficient
    assert post.log_predictive(new, jointly=True, coefficient=False) == pytest.approx(joint - coefficient, abs=1e-9)
    batch = hbm.exact_posterior(np.stack([old, old]), model, n_draws=10)
    np.testing.assert_array_equal(batch.log_predictive(new, jointly=True), [joint, joint])


@pytest.mark.parametrize("old", [np.zeros((1, 2), int), np.tile([500, 500], (100, 1))], ids=["no data", "even"])
@pytest.mark.parametrize("row", [[1000, 0], [500, 500], [3000, 7000]])
def test_one_large_group_is_scored_exactly(old, row):
    model = hbm.HierarchicalModel(2, alpha=priors.Lomax())
    post = hbm.exact_posterior(old, model, n_draws=4000, rng=1)
    after = hbm.exact_posterior(np.concatenate([old, [row]]), model, n_draws=10)
    assert post.log_predictive(row) == pytest.approx(after.log_evidence - post.log_evidence, abs=1e-7)
    np.testing.assert_array_equal(post.log_predictive([row, [1, 2], row])[[0, 2]], post.log_predictive([row])[[0, 0]])
    np.testing.assert_allclose(post.predict(counts=row), after.predict(len(old)), atol=1e-9)
    # draws given the group are those of the data with it
    theta = post.theta(counts=row)[..., 1]
    expected = after.predict(len(old))[1]
    assert abs(theta.mean() - expected) < 6 * theta.std() / np.sqrt(4000) + 1e-12


def test_no_new_groups_have_probability_one():
    post = hbm.exact_posterior(TABLE, n_draws=10)
    assert post.log_predictive(np.zeros((0, 2), int), jointly=True) == 0.0
    assert post.log_predictive(np.zeros((0, 2), int)).shape == (0,)
    np.testing.assert_array_equal(post.log_predictive([[0, 0], [0, 0]]), [0.0, 0.0])


@pytest.mark.parametrize("sigma", [0.5, 3.0, 10.0, 13.0, 18.0, 20.0, 26.0])
def test_moments_of_wide_log_normals(sigma):
    """One marble carries no information on alpha: its moments are those of the prior."""
    post = hbm.exact_posterior([[0, 1]], hbm.HierarchicalModel(2, alpha=priors.LogNormal(0.3, sigma)), n_draws=10)
    log_mean = 0.3 + 0.5 * sigma**2
    assert np.log(post.mean("alpha")) == pytest.approx(log_mean, abs=1e-7)
    log_sd = log_mean + 0.5 * (sigma**2 + np.log(-np.expm1(-(sigma**2))))
    assert np.log(post.sd("alpha")) == pytest.approx(log_sd, abs=1e-7)


@pytest.mark.parametrize("sigma", [10.0, 40.0, 300.0])
def test_wide_log_normals_on_ordinary_data(sigma):
    model = hbm.HierarchicalModel(2, alpha=priors.LogNormal(0.0, sigma))
    post = hbm.exact_posterior(TABLE, model, n_draws=10)
    t, u = np.linspace(-12 * sigma - 40, 12 * sigma + 40, 2001), np.arange(-60.0, 40.0, 0.4)
    near = np.arange(-40.0, 40.0, 0.2)  # where the likelihood varies; beyond it is flat
    t = np.unique(np.concatenate([t, near]))
    p = np.exp(
        brute_force(model, TABLE, np.clip(t, -300.0, 30.0), u)
        - model.alpha.log_density(np.clip(t, -300.0, 30.0))[:, None]
        + model.alpha.log_density(t)[:, None]
    )
    marginal = np.trapezoid(p, u, axis=1)
    assert post.mean("log_alpha") == pytest.approx(np.trapezoid(marginal * t, t) / np.trapezoid(marginal, t), rel=1e-3)
    assert (post.mean("alpha") == np.inf) == (sigma > 28.0)


@pytest.mark.parametrize(
    ("alpha", "mean", "sd"),
    [
        (priors.HalfCauchy(2.0), np.inf, np.inf),
        (priors.Lomax(1.0, 1e250), np.inf, np.inf),
        (priors.Lomax(1.5), 2.0, np.inf),
        (priors.Lomax(3.0, 1e200), 5e199, np.sqrt(0.75) * 1e200),
        (priors.LogNormal(0.0, 60.0), np.inf, np.inf),  # exp(1800)
    ],
)
def test_moments_exist_where_the_prior_has_them(alpha, mean, sd):
    post = hbm.exact_posterior([[0, 1]], hbm.HierarchicalModel(2, alpha=alpha), n_draws=10)
    assert post.mean("alpha") == pytest.approx(mean, rel=1e-7)
    assert post.sd("alpha") == pytest.approx(sd, rel=1e-7)


def test_outside_the_support():
    post = hbm.exact_posterior(TABLE, hbm.HierarchicalModel(2, alpha=priors.LogUniform(0.1, 10.0)), n_draws=10)
    inside = np.array([0.5, 2.0])
    _, density = post.marginal("alpha", np.array([-1.0, 0.0, 0.05, *inside, 11.0, np.inf]))
    np.testing.assert_array_equal(density[[0, 1, 2, 5, 6]], 0.0)
    np.testing.assert_array_equal(density[3:5], post.marginal("alpha", inside)[1])
    assert (density[3:5] > 0.0).all()
    np.testing.assert_array_equal(post.marginal("log_alpha", np.array([-np.inf, -9.0, 9.0, np.inf]))[1], 0.0)
    np.testing.assert_array_equal(post.marginal("beta", np.array([-1.0, 1.5]))[1], 0.0)
    np.testing.assert_array_equal(post.marginal("log_beta", np.array([-np.inf, 0.5]))[1], 0.0)
    cdf = post.moments.cdf
    np.testing.assert_array_equal(cdf("alpha", [-1.0, 0.0, 0.09, 11.0, np.inf]), [0.0, 0.0, 0.0, 1.0, 1.0])
    np.testing.assert_array_equal(cdf("log_alpha", [-np.inf, np.inf]), [0.0, 1.0])
    np.testing.assert_array_equal(cdf("beta", [-0.1, 0.0, 1.0, 1.1]), [[0.0, 0.0, 1.0, 1.0]] * 2)
    np.testing.assert_array_equal(cdf("log_beta", [-np.inf, 0.0, 0.3]), [[0.0, 1.0, 1.0]] * 2)
    fixed = hbm.exact_posterior(TABLE, hbm.HierarchicalModel(2, alpha=2.0, beta=priors.FixedBeta([0.5, 0.5])))
    np.testing.assert_array_equal(fixed.moments.cdf("alpha", [-1.0, 1.9, 2.1]), [0.0, 0.0, 1.0])
    np.testing.assert_array_equal(fixed.moments.cdf("beta", [-0.1, 1.1]), [[0.0, 1.0]] * 2)
    # at the ends of an open support: the density of the nearest number inside
    flat = hbm.exact_posterior(np.zeros((1, 2), int), n_draws=10)
    assert flat.marginal("alpha", 0.0)[1] == pytest.approx(1.0, rel=1e-9)
    np.testing.assert_array_equal(flat.marginal("alpha", np.array([-1.0, np.inf]))[1], 0.0)
    np.testing.assert_array_equal(flat.marginal("log_alpha", np.array([-np.inf, np.inf]))[1], 0.0)
    assert np.isnan(flat.marginal("alpha", np.array([np.nan]))[1]).all()
    np.testing.assert_allclose(flat.marginal("beta", np.array([0.0, 1.0]))[1], 1.0, rtol=1e-7)


def test_numpy_s_error_state_changes_nothing():
    expected = hbm.exact_posterior(BAGS, rng=1)
    with np.errstate(all="raise"):
        post = hbm.exact_posterior(BAGS, rng=1)
        for name in ("alpha", "log_alpha", "beta", "log_beta"):
            np.testing.assert_array_equal(post.mean(name), expected.mean(name))
            np.testing.assert_array_equal(post.sd(name), expected.sd(name))
            q = [0.0, 0.5, 1.0]
            np.testing.assert_array_equal(post.quantile(name, q), expected.quantile(name, q))
            np.testing.assert_array_equal(post.marginal(name)[1], expected.marginal(name)[1])
            np.testing.assert_array_equal(post.moments.cdf(name, [0.1, 1.0]), expected.moments.cdf(name, [0.1, 1.0]))
        np.testing.assert_array_equal(post.theta(0), expected.theta(0))
        np.testing.assert_array_equal(post.theta(counts=[3, 9]), expected.theta(counts=[3, 9]))
        np.testing.assert_array_equal(post.predict(0), expected.predict(0))
        np.testing.assert_array_equal(post.predict(counts=[300, 9]), expected.predict(counts=[300, 9]))
        assert post.log_predictive([300, 300]) == expected.log_predictive([300, 300])
        assert str(post.summary()) == str(expected.summary())


def test_theta_of_the_bag_of_le_2020():
    post = hbm.exact_posterior(BAGS, n_draws=20_000, rng=5)
    theta = post.theta(20)[..., 1]
    for threshold, exact in ((0.9, 0.97025), (0.95, 0.9615)):
        assert abs((theta > threshold).mean() - exact) < 6 * np.sqrt(exact * (1 - exact) / 20_000)


@pytest.mark.parametrize("counts", [BAGS, MIXED, TABLE], ids=["pure", "mixed", "ragged"])
def test_draws_are_exact(counts):
    n = 20_000
    post = hbm.exact_posterior(counts, n_draws=n, rng=3)
    values = {"log_alpha": post.log_alpha[0], "beta": post.beta[0, :, 1]}
    for name, drawn in values.items():
        below = np.sort(post.moments.cdf(name, drawn).reshape(-1, n)[-1])
        ks = np.abs(below - (np.arange(n) + 0.5) / n).max()
        assert ks < 3.4 / np.sqrt(n)  # p = 2e-10
    assert np.unique(post.log_alpha).size == np.unique(post.log_beta[..., 1]).size == n
    # the dependence between the two: a moment of both
    drawn = (values["log_alpha"] - post.mean("log_alpha")) * (values["beta"] - post.mean("beta")[1])
    nodes = post.moments
    both = (nodes.log_alpha - post.mean("log_alpha")) * (np.exp(nodes.log_beta[:, 1]) - post.mean("beta")[1])
    exact = (np.exp(nodes.log_weights) * both).sum()
    assert abs(drawn.mean() - exact) < 6 * drawn.std() / np.sqrt(n)
    stratified, _ = nodes.draw(1000, np.random.default_rng(0), stratified=True)
    assert abs(stratified.mean() - post.mean("log_alpha")) < 0.01 * post.sd("log_alpha")


def test_quantiles_and_marginals_agree():
    post = hbm.exact_posterior(BAGS, n_draws=10)
    q = np.array([1e-4, 0.1, 0.5, 0.9])
    for name in ("alpha", "log_alpha", "beta"):
        values = post.quantile(name, q)
        reached = post.moments.cdf(name, values if values.ndim == 1 else values[:, 1])
        np.testing.assert_allclose(reached if reached.ndim == 1 else reached[1], q, atol=1e-9)
        x, density = post.marginal(name)
        steps = np.diff(x, axis=-1)
        area = (0.5 * (density[..., 1:] + density[..., :-1]) * steps).sum(axis=-1)
        np.testing.assert_allclose(area, 1.0, atol=2e-2 if name == "alpha" else 1e-3)
    # the derivative of the distribution function is the density
    for name, x in (("log_alpha", np.array([-6.0, -4.0, -2.0])), ("beta", np.array([0.3, 0.5, 0.8]))):
        slope = (post.moments.cdf(name, x + 1e-3) - post.moments.cdf(name, x - 1e-3)) / 2e-3
        np.testing.assert_allclose(slope, post.marginal(name, x)[1], rtol=1e-3)
    mirrored = hbm.exact_posterior(BAGS[:, ::-1], n_draws=10)
    np.testing.assert_allclose(mirrored.quantile("beta", q)[:, ::-1], post.quantile("beta", q), rtol=1e-9)


def test_a_batch_equals_its_parts():
    counts = np.zeros((3, 21, 2), dtype=int)
    counts[0], counts[1], counts[2, :7] = BAGS, MIXED, TABLE
    batch = hbm.exact_posterior(counts, n_draws=50, rng=4)
    assert batch.log_evidence.shape == (3,)
    for b, alone in enumerate(counts):
        post = hbm.exact_posterior(alone, n_draws=50, rng=4)
        assert batch.log_evidence[b] == post.log_evidence
        assert batch.mean("log_alpha")[b] == post.mean("log_alpha")
        np.testing.assert_array_equal(batch.quantile("beta", 0.3)[b], post.quantile("beta", 0.3))
        np.testing.assert_allclose(batch.predict(6)[b], post.predict(6), rtol=1e-12)
        np.testing.assert_allclose(batch.log_predictive([1, 2])[b], post.log_predictive([1, 2]), rtol=1e-12)
        np.testing.assert_array_equal(batch[b].marginal("beta")[1], post.marginal("beta")[1])
    np.testing.assert_array_equal(batch[0].log_alpha, hbm.exact_posterior(BAGS, n_draws=50, rng=4).log_alpha)
    assert not np.array_equal(batch.log_alpha[0] > batch.mean("log_alpha")[0], batch.log_alpha[1] > 2.08)


def test_empty_groups_change_nothing():
    padded = np.concatenate([TABLE, np.zeros((9, 2), dtype=int)])
    assert hbm.exact_posterior(padded, n_draws=2).log_evidence == hbm.exact_posterior(TABLE, n_draws=2).log_evidence


@pytest.mark.parametrize(
    ("counts", "model", "error", "match"),
    [
        ([[1, 2, 3]], None, ValueError, "K = 2 categories; got 3. Use hbm.sample"),
        ([[1, 2, 3]], hbm.HierarchicalModel(2), ValueError, "counts must have K = 2"),
        ([1, 2], None, ValueError, "newaxis"),
        (np.zeros((0, 3, 2), int), None, ValueError, "at least one dataset"),
        ([[0, 1]], hbm.HierarchicalModel(2, alpha=priors.Lomax(2.001)), ValueError, "bound the prior"),
    ],
)
def test_bad_input(counts, model, error, match):
    with pytest.raises(error, match=match):
        hbm.exact_posterior(counts, model)


@pytest.mark.parametrize(
    ("counts", "evidence"),  # by the trapezoidal rule in mpmath, of 34 digits
    [
        ([[10**6, 0], [7 * 10**5, 3 * 10**5], [123456, 876544], [0, 10**6]], -36.575110269375855),
        ([[10**9, 0], [7 * 10**8, 3 * 10**8], [123456789, 876543211]], -47.799906341050026),
        ([[2**31, 0], [2**30, 2**30], [10, 2**31 - 10], [2**29, 3 * 2**29], [2**31 - 1, 1]], -63.4608388049642),
        ([[2**40, 0], [2**39, 2**39], [10, 2**40 - 10], [2**31, 2**31]], -66.72779263931133),
    ],
)
def test_large_totals(counts, evidence):
    assert abs(hbm.exact_posterior(counts, rng=1).log_evidence - evidence) < 1e-8


def test_totals_beyond_the_limit_are_refused():
    with pytest.raises(ValueError, match=r"exceeds 2\*\*40"):
        hbm.exact_posterior([[10**15, 0]] * 5)


def test_log_predictive_of_large_groups():
    """Of a posterior that is one point: the likelihood itself, whatever the totals."""
    model = hbm.HierarchicalModel(2, alpha=priors.Fixed(2.5), beta=priors.FixedBeta([0.3, 0.7]))
    exact = hbm.exact_posterior([[3, 4]], model, rng=1, n_draws=200)
    groups = [[2**31, 2**30], [2**39, 7], [2**40, 0], [300, 5]]
    np.testing.assert_allclose(exact.log_predictive(groups), hbm.log_likelihood(groups, [0.75, 1.75]), rtol=1e-9)
    with pytest.raises(ValueError, match=r"2\*\*40"):
        exact.log_predictive([[2**50, 7]])
    draws = hbm.Posterior(exact.log_alpha, exact.log_beta, model=model)
    groups[1] = [2**50, 7]
    np.testing.assert_allclose(draws.log_predictive(groups), hbm.log_likelihood(groups, [0.75, 1.75]), rtol=1e-12)
