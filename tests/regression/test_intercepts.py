"""Random intercepts: the marginal likelihood against numerical integration, its maximum, and what is read off it."""

import copy
import pickle

import numpy as np
import pytest
from scipy import optimize
from scipy.special import logsumexp, softmax
from scipy.stats import chi2

import hbm_fast as hbm
from hbm_fast import _core
from reference import differences, log_pmf_rows

SUBJECTS = np.repeat([f"s{i}" for i in range(10)], 6)
DESIGN = np.column_stack([np.ones(60), np.random.default_rng(0).normal(size=60)])
DATA = {"subject": SUBJECTS}


def table(k=2, scale=0.7, key=3, shared=False, link="softmax", design=DESIGN, data=DATA):
    model = hbm.RegressionModel(k, random_intercept="subject", shared_scale=shared, link=link)
    given = {"coefficients": np.vstack([np.linspace(0.3, 0.0, k), np.linspace(0.6, 0.0, k)]) + (link == "log")}
    if link == "softmax":
        given["precision_coefficients"] = [2.5]
    sims = hbm.simulate(model, 1, design=design, data=data, totals=(10, 40), random_scale=scale, rng=key, **given)
    return sims.counts[0].astype(int), model


def by_integration(counts, theta):
    """The log-likelihood of two categories for (intercept, slope, log precision, scale), by the trapezoidal rule."""
    places = np.linspace(-12.0, 12.0, 401)
    eta = (DESIGN @ theta[:2])[:, None] + theta[3] * places  # (N, places)
    a = np.exp(theta[2]) * softmax(np.stack([eta, np.zeros_like(eta)], axis=-1), axis=-1)
    of_subjects = log_pmf_rows(counts[:, None], a).reshape(10, 6, -1).sum(axis=1)
    step = places[1] - places[0]
    return float(logsumexp(of_subjects - 0.5 * places**2 + np.log(step / np.sqrt(2 * np.pi)), axis=1).sum())


def test_quadrature_is_numerical_integration():
    counts, model = table()
    fit = hbm.fit(counts, model, design=DESIGN, data=DATA, integration="quadrature")
    assert fit.outcome == "converged"
    theta = np.array([*fit.coefficients[:, 0], *fit.precision_coefficients, fit.random_scale[0]])
    assert fit.log_likelihood == pytest.approx(by_integration(counts, theta), abs=1e-8)
    gradient, hessian = differences(lambda t: by_integration(counts, t), theta)
    assert np.abs(np.linalg.solve(hessian, gradient)).max() < 1e-5  # the distance to the maximum
    found = [*fit.standard_error[:, 0], *fit.precision_standard_error, fit.random_scale_standard_error[0]]
    np.testing.assert_allclose(found, np.sqrt(np.diag(np.linalg.inv(-hessian))), rtol=1e-4)
    assert np.isnan(fit.random_scale_standard_error[1])
    laplace = hbm.fit(counts, model, design=DESIGN, data=DATA)
    assert laplace.log_likelihood == pytest.approx(fit.log_likelihood, abs=0.2)
    np.testing.assert_allclose(laplace.coefficients, fit.coefficients, atol=0.02)


@pytest.mark.parametrize(("link", "k", "shared"), [("softmax", 3, True), ("softmax", 4, False), ("log", 3, False)])
def test_laplace_is_the_determinant_at_the_mode(link, k, shared):
    counts, model = table(k, key=5, shared=shared, link=link)
    fit = hbm.fit(counts, model, design=DESIGN, data=DATA)
    free = [j for j in range(k) if link == "log" or j < k - 1]
    total = 0.0
    for s, subject in enumerate(fit.subjects):
        rows, x = counts[subject == SUBJECTS], DESIGN[subject == SUBJECTS]

        def negative(u, rows=rows, x=x):
            eta = x @ fit.coefficients
            eta[:, free] += u
            a = np.exp(eta) if link == "log" else np.exp(fit.precision_coefficients[0]) * softmax(eta, axis=1)
            return -log_pmf_rows(rows, a).sum() + 0.5 * np.sum((u / fit.random_scale[free]) ** 2)

        mode = optimize.minimize(negative, np.zeros(len(free)), method="BFGS", options={"gtol": 1e-7}).x
        np.testing.assert_allclose(fit.random_intercepts[s, free], mode, atol=1e-4)
        _, hessian = differences(negative, mode)
        total -= negative(mode) + 0.5 * np.linalg.slogdet(hessian)[1] + np.log(fit.random_scale[free]).sum()
    assert fit.log_likelihood == pytest.approx(total, abs=1e-4)
    if shared:
        assert fit.random_scale[0] == fit.random_scale[1]


@pytest.mark.parametrize("link", ["softmax", "log", "multinomial"])
@pytest.mark.parametrize("quadrature", [False, True])
def test_the_gradient_is_that_of_differences(link, quadrature):
    k = 2 if quadrature else 3
    if quadrature and link == "log":
        return  # two intercepts a subject
    counts, _ = table(k)
    precision = np.ones((60, 1)) if link == "softmax" else None
    weights = np.arange(60) % 3 + 0.5
    problem = _core.regression.Problem(link, counts.astype(float), np.ascontiguousarray(DESIGN), precision, weights)
    j = k if link == "log" else k - 1
    begins, modes = np.arange(0, 61, 6), np.zeros((10, j))
    places, masses = np.polynomial.hermite.hermgauss(25)
    nodes = np.ascontiguousarray(np.column_stack([places, np.log(masses) + places**2])) if quadrature else None
    theta = np.append(np.random.default_rng(1).normal(size=2 * j + (link == "softmax")), np.linspace(0.4, 0.8, j))
    value = [problem.marginal(theta + e, begins, modes, nodes, j, 1) for e in [0 * theta, *1e-5 * np.eye(len(theta))]]
    lower = [problem.marginal(theta - e, begins, modes, nodes, j, 1)[0] for e in 1e-5 * np.eye(len(theta))]
    numerical = [(up[0] - low) / 2e-5 for up, low in zip(value[1:], lower, strict=True)]
    np.testing.assert_allclose(value[0][1], numerical, rtol=1e-5, atol=1e-5)
    for n_threads in (2, 3):
        again = problem.marginal(theta, begins, modes, nodes, j, n_threads)
        assert again[0] == value[0][0]
    flipped = theta.copy()
    flipped[-j:] *= -1
    assert problem.marginal(flipped, begins, modes, nodes, j, 1)[0] == pytest.approx(value[0][0], rel=1e-12)


def test_the_order_of_rows_and_the_reference_change_nothing():
    counts, model = table(3, shared=True)
    fit = hbm.fit(counts, model, design=DESIGN, data=DATA)
    order = np.random.default_rng(2).permutation(60)
    again = hbm.fit(counts[order], model, design=DESIGN[order], data={"subject": SUBJECTS[order]})
    assert again.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-8)
    place = [again.subjects.index(s) for s in fit.subjects]
    np.testing.assert_allclose(again.random_intercepts[place], fit.random_intercepts, atol=1e-5)
    copied = pickle.loads(pickle.dumps(copy.deepcopy(fit)))
    np.testing.assert_array_equal(copied.predict(), fit.predict())
    assert "subject" in str(fit.summary())


def test_subjects_that_do_not_differ_have_a_scale_of_zero():
    counts, model = table(scale=0.0, key=11)
    fit = hbm.fit(counts, model, design=DESIGN, data=DATA)
    plain = hbm.fit(counts, hbm.RegressionModel(2), design=DESIGN)
    assert fit.outcome == "zero scale"
    assert fit.converged
    assert fit.random_scale[0] == 0.0
    assert np.isnan(fit.random_scale_standard_error[0])
    assert fit.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-8)
    np.testing.assert_allclose(fit.standard_error, plain.standard_error, rtol=1e-4)
    np.testing.assert_array_equal(fit.random_intercepts, 0.0)


def test_predictions_of_new_subjects_are_integrated():
    counts, model = table()
    fit = hbm.fit(counts, model, design=DESIGN, data=DATA)
    new = fit.predict(design=DESIGN[:3])
    draws = fit.random_scale[0] * np.random.default_rng(0).standard_normal(1_000_000)
    for row, mean in zip(DESIGN[:3], new, strict=True):
        expected = 1.0 / (1.0 + np.exp(-(row @ fit.coefficients[:, 0] + draws)))
        assert mean[0] == pytest.approx(expected.mean(), abs=6.1 * 0.25 / 1000)
    known = fit.predict(design=DESIGN[:3], data={"subject": ["s4", "s5", "nobody"]})
    eta = DESIGN[0] @ fit.coefficients[:, 0] + fit.random_intercepts[4, 0]
    assert known[0, 0] == pytest.approx(1.0 / (1.0 + np.exp(-eta)), rel=1e-12)
    np.testing.assert_allclose(known[2], new[2], rtol=1e-12)
    np.testing.assert_allclose(fit.predict(design=DESIGN, data=DATA), fit.predict(), rtol=1e-12)


def test_intervals_include_the_intercepts():
    counts, model = table(3)
    fit = hbm.fit(counts, model, design=DESIGN, data=DATA)
    for given in ({}, {"design": DESIGN[:4]}):
        mean, lower, upper = fit.predict(**given, probability=0.9)
        assert ((lower < mean) & (mean < upper)).all()
    # by differences in the coefficients: a new subject's mean as a function of them
    row, base = DESIGN[:1], fit.predict(design=DESIGN[:1], probability=0.6826894921370859)
    logit = np.log(base[0] / (1 - base[0]))
    width = np.log(base[2] / (1 - base[2])) - logit
    draws = fit.random_scale * np.random.default_rng(1).standard_normal((200_000, 3))

    def averaged(coefficients, scale):
        mean = softmax(row @ coefficients + draws * scale / np.where(fit.random_scale > 0, fit.random_scale, 1), axis=1)
        return np.log(mean.mean(axis=0)) - np.log1p(-mean.mean(axis=0))

    slopes = []
    for k in range(2):
        for p in range(2):
            step = np.zeros((2, 3))
            step[p, k] = 1e-3
            slopes.append(
                (
                    averaged(fit.coefficients + step, fit.random_scale)
                    - averaged(fit.coefficients - step, fit.random_scale)
                )
                / 2e-3
            )
    slopes = np.array(slopes)
    covariance = fit.covariance()[:4, :4]
    without_scale = np.sqrt(np.einsum("pk,pq,qk->k", slopes, covariance, slopes))
    np.testing.assert_allclose(width[0], without_scale, rtol=0.1)


def test_the_posterior_mode_and_its_evidence():
    counts, model = table()
    fit = hbm.fit(counts, model, design=DESIGN, data=DATA, prior="model", integration="quadrature")
    assert fit.outcome == "converged"
    theta = np.array([*fit.coefficients[:, 0], *fit.precision_coefficients, fit.random_scale[0]])

    def log_posterior(t):
        # Normal(0, 2) on coefficients that sum to zero: differences of two have sd 2 sqrt 2
        prior = -0.5 * np.sum((t[:2] / np.sqrt(8.0)) ** 2) - 2 * np.log(np.sqrt(8.0)) - 0.5 * (t[2] / 2.0) ** 2
        prior += -np.log(2.0) - 0.5 * t[3] ** 2 + np.log(2.0) + np.log(t[3]) - 2.0 * np.log(2 * np.pi)
        return by_integration(counts, t) + prior

    assert fit.log_posterior == pytest.approx(log_posterior(theta), abs=1e-6)
    # the mode is that of the density of the log of the scale
    gradient, hessian = differences(log_posterior, theta)
    assert np.abs(np.linalg.solve(hessian, gradient)).max() < 1e-5
    jacobian = np.diag([1.0, 1.0, 1.0, theta[3]])
    log_determinant = np.linalg.slogdet(jacobian @ -hessian @ jacobian)[1]
    laplace = log_posterior(theta) + 2.0 * np.log(2 * np.pi) - 0.5 * log_determinant
    assert fit.log_evidence == pytest.approx(laplace, abs=1e-4)
    assert fit.log_likelihood == pytest.approx(by_integration(counts, theta), abs=1e-6)


def test_a_multinomial_and_separation_are_outcomes():
    rng = np.random.default_rng(4)
    u = rng.normal(size=10).repeat(6)
    p = 1.0 / (1.0 + np.exp(-u))
    counts = np.column_stack([rng.binomial(30, p), np.zeros(60, dtype=int)])
    counts[:, 1] = 30 - counts[:, 0]
    model = hbm.RegressionModel(2, random_intercept="subject")
    fit = hbm.fit(counts, model, data=DATA)
    assert fit.outcome in ("infinity", "converged")
    assert fit.random_scale[0] == pytest.approx(1.0, abs=0.6)
    apart = np.column_stack(
        [np.where(np.arange(60) < 30, 5, 0), np.where(np.arange(60) < 30, rng.integers(1, 9, 60), 7)]
    )
    design = np.column_stack([np.ones(60), np.arange(60) >= 30]).astype(float)
    fit = hbm.fit(apart, model, design=design, data=DATA)
    assert fit.outcome == "separated"
    assert np.isnan(fit.standard_error).all()
    with pytest.raises(ValueError, match="separated"):
        fit.wald_test("design[1]")


def test_refusals():
    counts, model = table(3)
    for of, options, message in (
        (model, {}, "needs data"),
        (model, {"data": DATA, "integration": "quadrature"}, "for K = 2"),
        (model, {"data": DATA, "integration": "exact"}, "integration must be"),
        (hbm.RegressionModel(3), {"integration": "quadrature"}, "models with random_intercept"),
    ):
        with pytest.raises(ValueError, match=message):
            hbm.fit(counts, of, design=DESIGN, **options)
    plain = hbm.fit(counts, hbm.RegressionModel(3), design=DESIGN)
    with pytest.raises(AttributeError, match="no random intercepts"):
        _ = plain.random_scale
    assert logsumexp(np.log(plain.predict()), axis=1) == pytest.approx(np.zeros(60), abs=1e-12)


def test_likelihood_ratio_tests_of_coefficients_and_of_the_scale():
    counts, model = table()
    large = hbm.fit(counts, model, design=DESIGN, data=DATA)
    small = hbm.fit(counts, model, data=DATA)
    test = large.likelihood_ratio_test(small, small_sample=True)
    assert test.df == 1
    # N is the number of subjects
    assert test.statistic == pytest.approx(2 * (large.log_likelihood - small.log_likelihood) * 8 / 10)
    plain = hbm.fit(counts, hbm.RegressionModel(2), design=DESIGN)
    scale = large.likelihood_ratio_test(plain)
    assert scale.df == 1
    assert scale.p_value == pytest.approx(0.5 * chi2.sf(scale.statistic, 1), rel=1e-9)
    with pytest.raises(ValueError, match="the random intercepts of this model"):
        plain.likelihood_ratio_test(small)
    factor = large.likelihood_ratio_test(small, n_bootstrap=20, rng=0).statistic / test.statistic
    assert 0.4 < factor < 2.0


def test_false_positives_of_a_covariate_between_subjects(benchmark_check):
    """A short version of benchmarks/checks/regression_false_positives.py."""
    records = benchmark_check("regression_false_positives").repeated_measures(100, 7)
    rejected = {record.method: record.metrics["rejected"] for record in records}
    # binomial(100, 0.05): at most 22 with probability 1 - 1e-9
    assert rejected["random intercept, Laplace"] <= 0.22
    assert rejected["random intercept, quadrature"] <= 0.22
    assert rejected["random intercept, Laplace"] < rejected["subjects ignored"]


@pytest.mark.parametrize("gap", [None, np.nan, "pandas.NA"])
@pytest.mark.parametrize("frame", [False, True])
def test_a_group_without_a_subject(gap, frame):
    pandas = pytest.importorskip("pandas")
    counts, model = table(2)
    data = {"subject": [*map(str, DATA["subject"][:-1]), pandas.NA if gap == "pandas.NA" else gap]}
    for function in (hbm.fit, hbm.sample):
        with pytest.raises(ValueError, match="1 missing values, first in row 59"):
            function(counts, model, design=DESIGN, data=pandas.DataFrame(data) if frame else data)


def test_subjects_of_other_data_have_the_rows_of_the_design():
    counts, model = table(2)
    fit = hbm.fit(counts, model, design=DESIGN, data=DATA)
    with pytest.raises(ValueError, match="3 rows; got 60"):
        fit.predict(DATA, design=DESIGN[:3])


@pytest.mark.parametrize("value", [1e155, np.inf, np.nan])
def test_parameters_that_overflow_have_no_value(value):
    counts, model = table(3)
    problem = _core.regression.Problem("softmax", counts.astype(float), DESIGN, np.ones((60, 1)))
    theta = np.array([0.0, 0.0, 0.0, 0.0, 1.0, value, value])
    begins = np.arange(0, 61, 6)
    assert np.isnan(problem.marginal(theta, begins, np.zeros((10, 2)), None, 2, 1)[0])
    post = hbm.sample(counts, model, design=DESIGN, data=DATA, n_chains=1, n_draws=1, diagnostics=False, rng=1)
    post.random_scale[:] = value
    assert np.isnan(post.subject_log_likelihood()).all()
