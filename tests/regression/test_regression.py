"""Regression: the likelihood and its derivatives, fits against scipy, outcomes, and what is read off a fit."""

import numpy as np
import pytest
from scipy.special import gammaln, logsumexp
from scipy.stats import betabinom, chi2, kstest, norm

import hbm_fast as hbm
from hbm_fast import _core
from reference import log_pmf_rows


def reference_value(counts, eta, log_precision):
    """The log-likelihood by log-gammas: eta (N, K) and log precision (N,)."""
    a = np.exp(eta - logsumexp(eta, axis=1, keepdims=True) + np.asarray(log_precision)[:, None])
    return float(log_pmf_rows(counts, a).sum())


def table(n=60, k=3, key=0, precision=10.0, slope=0.7):
    """Counts (n, k) of a regression on one normal covariate, and its design."""
    rng = np.random.default_rng(key)
    x = rng.normal(size=n)
    eta = np.linspace(-0.5, 0.5, k) + slope * np.outer(x, np.linspace(1.0, 0.0, k))
    theta = [rng.dirichlet(precision * np.exp(e) / np.exp(e).sum()) for e in eta]
    counts = np.array([rng.multinomial(rng.integers(20, 80), t) for t in theta])
    return counts, np.column_stack([np.ones(n), x])


def derivatives(link, counts, design, theta):
    precision = np.ones((len(counts), 1)) if link == "softmax" else None
    problem = _core.regression.Problem(link, counts.astype(float), np.ascontiguousarray(design), precision)
    return problem.derivatives(np.ascontiguousarray(theta), 1)


@pytest.mark.parametrize("link", ["softmax", "log"])
@pytest.mark.parametrize("shift", [-6.0, 0.0, 6.0])
def test_derivatives_are_those_of_log_gammas(link, shift):
    counts, design = table()
    rng = np.random.default_rng(1)
    theta = rng.normal(scale=0.5, size=5 if link == "softmax" else 6)
    if link == "softmax":
        theta[-1] += shift
    else:
        theta[::2] += shift

    def value(t):
        if link == "softmax":
            eta = np.column_stack([design @ t[:4].reshape(2, 2).T, np.zeros(len(counts))])
            return reference_value(counts, eta, np.full(len(counts), t[4]))
        eta = design @ t.reshape(3, 2).T
        return reference_value(counts, eta, logsumexp(eta, axis=1))

    at, gradient, information = derivatives(link, counts, design, theta)
    np.testing.assert_allclose(at, value(theta), rtol=1e-11)
    steps = 1e-4 * np.eye(len(theta))
    numerical = [(value(theta + s) - value(theta - s)) / 2e-4 for s in steps]
    np.testing.assert_allclose(gradient, numerical, rtol=1e-5, atol=1e-4)
    ends = [[derivatives(link, counts, design, theta + side * s)[1] for side in (1, -1)] for s in steps]
    numerical = -np.array([(up - down) / 2e-4 for up, down in ends])
    np.testing.assert_allclose(information, numerical, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("link", ["softmax", "log"])
def test_the_gradient_vanishes_and_errors_are_those_of_the_hessian(link):
    counts, design = table(key=2)
    fit = hbm.fit(counts, hbm.RegressionModel(3, link=link), design=design)
    free = fit.coefficients if link == "log" else fit.coefficients[:, :2]
    theta = np.concatenate([free.T.ravel(), fit.precision_coefficients])
    value, gradient, information = derivatives(link, counts, design, theta)
    assert fit.outcome == "converged"
    np.testing.assert_allclose(fit.log_likelihood, value, rtol=1e-13)
    assert np.abs(gradient).max() < 1e-8
    error = np.concatenate([fit.standard_error[:, : free.shape[1]].T.ravel(), fit.precision_standard_error])
    np.testing.assert_allclose(error, np.sqrt(np.diag(np.linalg.inv(information))), rtol=1e-6)


def test_more_rows_than_one_chunk_and_threads_change_nothing():
    counts, design = table(n=5000)
    fits = [hbm.fit(counts, hbm.RegressionModel(3), design=design, n_threads=n) for n in (1, 3)]
    assert fits[0].log_likelihood == fits[1].log_likelihood
    np.testing.assert_array_equal(fits[0].coefficients, fits[1].coefficients)


@pytest.mark.parametrize("load", ["load_pollen", "load_rat_tumors", "load_marbles"])
@pytest.mark.parametrize("link", ["softmax", "log"])
def test_without_covariates_it_is_fit(load, link):
    counts = getattr(hbm.datasets, load)().counts
    plain = hbm.fit(counts)
    fit = hbm.fit(counts, hbm.RegressionModel(counts.shape[1], link=link))
    assert abs(fit.log_likelihood - plain.log_likelihood) < 1e-8
    np.testing.assert_allclose(fit.predict()[0], plain.beta, atol=1e-6)


def test_the_reference_changes_no_prediction_and_no_posterior():
    counts, design = table(k=4)
    fits = [hbm.fit(counts, hbm.RegressionModel(4, reference=r), design=design) for r in (-1, 0, None)]
    for fit in fits[1:]:
        np.testing.assert_allclose(fit.predict(), fits[0].predict(), atol=1e-9)
        assert fit.wald_test("design[1]").statistic == pytest.approx(fits[0].wald_test("design[1]").statistic, rel=1e-6)
    assert (fits[1].coefficients[:, 0] == 0.0).all()
    assert np.isnan(fits[1].standard_error[:, 0]).all()
    np.testing.assert_allclose(fits[2].coefficients.sum(axis=1), 0.0, atol=1e-12)
    modes = [hbm.fit(counts, hbm.RegressionModel(4, reference=r), design=design, prior="model") for r in (-1, 1, None)]
    assert np.ptp([mode.log_posterior for mode in modes]) < 1e-9
    assert np.ptp([mode.log_evidence for mode in modes]) < 1e-9


def test_covariates_may_have_any_scale():
    counts, design = table()
    wide = np.column_stack([design[:, 0], 2000.0 + 1e-3 * design[:, 1]])
    plain = hbm.fit(counts, hbm.RegressionModel(3), design=design)
    fit = hbm.fit(counts, hbm.RegressionModel(3), design=wide)
    assert abs(fit.log_likelihood - plain.log_likelihood) < 1e-8
    np.testing.assert_allclose(fit.coefficients[1], 1e3 * plain.coefficients[1], rtol=1e-5)


def test_separation_is_an_outcome():
    design = np.column_stack([np.ones(8), np.repeat([0.0, 1.0], 4)])
    counts = np.array([[5, 9, 0], [9, 3, 0], [2, 8, 0], [7, 7, 0], [5, 5, 3], [9, 2, 6], [2, 6, 2], [7, 9, 1]])
    fit = hbm.fit(counts, hbm.RegressionModel(3, reference=0), design=design)
    assert fit.outcome == "separated"
    assert not fit.converged
    assert np.isnan(fit.standard_error[:, 2]).all()
    assert np.isfinite(fit.standard_error[:, 1]).all()
    np.testing.assert_allclose(fit.predict()[0, 2], 0.0, atol=1e-6)
    with pytest.raises(ValueError, match="separated"):
        fit.wald_test("design[1]")
    smaller = hbm.fit(counts, hbm.RegressionModel(3, reference=0))
    assert 0.0 < fit.likelihood_ratio_test(smaller).p_value < 0.05
    assert hbm.fit(counts, hbm.RegressionModel(3), design=design, prior="model").outcome == "converged"


def test_the_multinomial_limit_is_an_outcome():
    counts = np.array([[5, 5, 10], [5, 5, 10], [6, 5, 9], [5, 4, 11], [5, 5, 10], [4, 6, 10]])
    fit = hbm.fit(counts, hbm.RegressionModel(3))
    assert fit.outcome == "infinity"
    assert fit.precision_coefficients[0] == np.inf
    p = counts.sum(axis=0) / counts.sum()
    expected = np.sum(gammaln(21) - gammaln(counts + 1).sum(axis=1)) + np.sum(counts * np.log(p))
    np.testing.assert_allclose(fit.log_likelihood, expected, rtol=1e-12)
    np.testing.assert_allclose(fit.predict()[0], p, atol=1e-9)


def test_absent_categories():
    counts, design = table()
    with_gap = np.insert(counts, 1, 0, axis=1)
    fit = hbm.fit(with_gap, hbm.RegressionModel(4), design=design)
    plain = hbm.fit(counts, hbm.RegressionModel(3), design=design)
    assert fit.outcome == "absent category"
    assert fit.log_likelihood == plain.log_likelihood
    assert (fit.predict()[:, 1] == 0.0).all()
    with pytest.raises(ValueError, match="reference"):
        hbm.fit(with_gap, hbm.RegressionModel(4, reference=1), design=design)


def test_likelihood_ratio_test():
    counts, design = table()
    large = hbm.fit(counts, hbm.RegressionModel(3), design=design)
    small = hbm.fit(counts, hbm.RegressionModel(3))
    test = large.likelihood_ratio_test(small)
    assert test.df == 2
    assert test.statistic == pytest.approx(2.0 * (large.log_likelihood - small.log_likelihood))
    assert test.p_value == pytest.approx(chi2.sf(test.statistic, 2), rel=1e-9)
    corrected = large.likelihood_ratio_test(small, small_sample=True)
    assert corrected.statistic == pytest.approx(test.statistic * 58 / 60)
    with pytest.raises(ValueError, match="nested"):
        small.likelihood_ratio_test(large)
    with pytest.raises(ValueError, match="same counts"):
        large.likelihood_ratio_test(hbm.fit(counts[::-1].copy(), hbm.RegressionModel(3)))


def test_the_tail_of_chi_squared():
    from hbm_fast.fitting.chi_squared import benjamini_hochberg, chi_squared_tail

    for df in (1, 2, 3, 7, 50, 129):
        for statistic in (0.1, 1.0, 10.0, 150.0, 900.0):
            assert chi_squared_tail(statistic, df) == pytest.approx(chi2.sf(statistic, df), rel=1e-10)
    np.testing.assert_allclose(benjamini_hochberg(np.array([0.04, 0.01, np.nan, 0.03])), [0.04, 0.03, np.nan, 0.04])


def test_intervals_and_residuals():
    counts, design = table()
    fit = hbm.fit(counts, hbm.RegressionModel(3), design=design)
    mean, lower, upper = fit.predict(probability=0.9)
    assert (lower < mean).all()
    assert (mean < upper).all()
    pearson = fit.residuals()
    assert pearson.shape == counts.shape
    assert 0.5 < pearson.var() < 2.0
    np.testing.assert_allclose(fit.residuals("response").sum(axis=1), 0.0, atol=1e-9)


@pytest.mark.parametrize("frames", ["pandas", "polars"])
def test_formulas(frames):
    library = pytest.importorskip(frames)
    pytest.importorskip("formulaic")
    counts, design = table()
    group = np.tile(["a", "b", "c"], 20)
    data = library.DataFrame({"x": design[:, 1], "group": group, "t": np.linspace(1.0, 2.0, 60)})
    fit = hbm.fit(counts, hbm.RegressionModel(3, mean="~ x * group", precision="~ x"), data=data)
    assert fit.column_names[:2] == ("Intercept", "x")
    assert fit.coefficients.shape == (6, 3)
    assert fit.precision_coefficients.shape == (2,)
    assert fit.wald_test("group").df == 4
    np.testing.assert_allclose(fit.predict(data[10:12]), fit.predict()[10:12], rtol=1e-12)
    with pytest.raises(ValueError, match="level of a factor"):
        fit.predict(library.DataFrame({"x": [0.0, 1.0], "group": ["a", "z"]}))
    with pytest.raises(ValueError, match="lacks: sex"):
        hbm.fit(counts, hbm.RegressionModel(3, mean="~ sex"), data=data)
    shifted = hbm.fit(counts, hbm.RegressionModel(3, precision="~ 1 + offset(t)"), data=data)
    other = hbm.fit(counts, hbm.RegressionModel(3, precision="~ 1 + offset(t + 1)"), data=data)
    np.testing.assert_allclose(shifted.precision_coefficients - other.precision_coefficients, 1.0, rtol=1e-6)
    gaps = library.DataFrame({"x": [None, *design[1:, 1].tolist()]})
    with pytest.raises(ValueError, match="'x' has 1 missing"):
        hbm.fit(counts, hbm.RegressionModel(3, mean="~ x"), data=gaps)


def test_refusals_name_the_cause():
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("formulaic")
    counts, design = table()
    levels = pandas.Categorical(np.tile(["a", "b"], 30), categories=["a", "b", "c"])
    data = pandas.DataFrame({"x": design[:, 1], "y": 2.0 * design[:, 1], "group": levels})
    for call, message in (
        (lambda: hbm.fit(counts, hbm.RegressionModel(3, mean="~ x + y"), data=data), "collinear: column 'y'"),
        (lambda: hbm.fit(counts, hbm.RegressionModel(3, mean="~ group"), data=data), r"without data: group\[T.c\]"),
        (lambda: hbm.fit(counts, hbm.RegressionModel(3, mean="~ x")), "needs data"),
        (lambda: hbm.fit(counts, hbm.RegressionModel(3, mean="~ x"), data=data[1:]), "60 rows; got 59"),
        (lambda: hbm.fit(counts, hbm.RegressionModel(4)), "K = 3"),
        (lambda: hbm.RegressionModel(3, reference=3), "reference"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    named = pandas.DataFrame({"x": design[::-1, 1]}, index=[f"g{i}" for i in range(60)][::-1])
    table_of_names = hbm.tables.CountTable(counts, group_names=tuple(f"g{i}" for i in range(60)))
    fit = hbm.fit(table_of_names, hbm.RegressionModel(3, mean="~ x"), data=named)
    np.testing.assert_allclose(fit.coefficients, hbm.fit(counts, hbm.RegressionModel(3), design=design).coefficients)


def test_the_summary_lists_every_coefficient():
    counts, design = table()
    fit = hbm.fit(counts, hbm.RegressionModel(3), design=design, category_names=["low", "middle", "high"])
    text = str(fit.summary())
    assert "Log-likelihood" in text
    assert "middle" in text
    assert len(fit.summary().rows) == 5
    assert len(repr(fit.summary()).splitlines()) <= 10


def test_weights_are_multiplicities():
    counts, design = table()
    weights = np.arange(60) % 3
    fit = hbm.fit(counts, hbm.RegressionModel(3), design=design, weights=weights)
    repeated = hbm.fit(counts.repeat(weights, axis=0), hbm.RegressionModel(3), design=design.repeat(weights, axis=0))
    assert fit.log_likelihood == pytest.approx(repeated.log_likelihood, rel=1e-11)
    assert fit.n_groups == repeated.n_groups


@pytest.mark.parametrize("precision", [0.5, 30.0, np.inf])
def test_quantile_residuals_are_normal_under_the_model(precision):
    model = hbm.RegressionModel(3)
    design = np.column_stack([np.ones(500), np.linspace(-1.0, 1.0, 500)])
    truth = {
        "coefficients": [[0.5, -2.0, 0.0], [1.0, 0.0, 0.0]],
        "precision_coefficients": [min(np.log(precision), 50.0)],
    }
    counts = hbm.simulate(model, 1, design=design, totals=(1, 30), rng=3, **truth).counts[0]
    fit = hbm.fit(counts, model, design=design)
    residuals = fit.residuals("quantile", rng=0)
    np.testing.assert_array_equal(residuals, fit.residuals("quantile", rng=0))
    for k in range(3):
        # the Kolmogorov distance: 1.36 / sqrt(N) at 5 %, 3.3 / sqrt(N) at 1e-9
        assert kstest(residuals[:, k], "norm").statistic < 3.3 / np.sqrt(500)
    counts[5] = 0
    assert np.isnan(hbm.fit(counts, model, design=design).residuals("quantile")[5]).all()


def test_quantile_residuals_are_those_of_scipy():
    counts, design = table(k=2)
    fit = hbm.fit(counts, hbm.RegressionModel(2), design=design)
    points = np.random.default_rng(5).random(counts.shape)
    mean, precision = fit.predict(), fit.predict_precision()[:, None]
    known = betabinom(counts.sum(axis=1)[:, None], precision * mean, precision * (1 - mean))
    expected = norm.ppf(known.cdf(counts - 1) + points * known.pmf(counts))
    np.testing.assert_allclose(fit.residuals("quantile", rng=np.random.default_rng(5)), expected, atol=1e-9)


def test_the_bootstrap_factor():
    model = hbm.RegressionModel(4, reference=0)
    design = np.column_stack([np.ones(12), np.repeat([0.0, 1.0], 6)])
    counts = hbm.simulate(
        model, 1, design=design[:, :1], totals=(50, 200), rng=1, coefficients=np.zeros(4), precision_coefficients=[2.0]
    ).counts[0]
    large, small = (hbm.fit(counts, model, design=d) for d in (design, design[:, :1]))
    plain = large.likelihood_ratio_test(small)
    factor = large.likelihood_ratio_test(small, n_bootstrap=100, rng=0).statistic / plain.statistic
    assert 0.4 < factor < 1.3  # about 0.86, with a standard error of 0.075
    assert factor == large.likelihood_ratio_test(small, n_bootstrap=100, rng=0).statistic / plain.statistic
    with pytest.raises(ValueError, match="without small_sample"):
        large.likelihood_ratio_test(small, n_bootstrap=10, small_sample=True)
    flat = np.array([[5, 5, 10], [5, 5, 10], [6, 5, 9], [5, 4, 11], [5, 5, 10], [4, 6, 10]])
    half = np.column_stack([np.ones(6), np.repeat([0.0, 1.0], 3)])
    limit, nested = (hbm.fit(flat, hbm.RegressionModel(3), design=d) for d in (half, half[:, :1]))
    assert nested.outcome == "infinity"
    assert limit.likelihood_ratio_test(nested, n_bootstrap=50, rng=0).p_value > 0.5


def test_pure_groups_and_single_counts_are_outcomes():
    rng = np.random.default_rng(6)
    pure = np.eye(3, dtype=int)[rng.integers(0, 3, 40)] * rng.integers(2, 9, (40, 1))
    assert hbm.fit(pure, hbm.RegressionModel(3)).outcome == "zero"
    single = np.eye(3, dtype=int)[rng.integers(0, 3, 40)]
    fit = hbm.fit(single, hbm.RegressionModel(3))
    assert fit.outcome == "undetermined"
    np.testing.assert_allclose(fit.predict()[0], single.mean(axis=0), atol=1e-6)
    for outcome in ("zero", "undetermined"):
        assert len(hbm.fit(pure if outcome == "zero" else single, hbm.RegressionModel(3)).message) > 20


def test_refusals_of_arrays_and_of_predictions():
    counts, design = table()
    gap = design.copy()
    gap[7, 1] = np.nan
    model, both = hbm.RegressionModel(3), (design, design[:, :1])
    fit = hbm.fit(counts, model, design=design)
    weighted = [hbm.fit(counts, model, design=d, weights=np.ones(60)) for d in both]
    modes = [hbm.fit(counts, model, design=d, prior="model") for d in both]
    wide = np.column_stack([design, design.sum(axis=1)])
    for call, message in (
        (lambda: hbm.fit(counts, model, design=gap), r"design must be finite; got nan in row 7, column 'design\[1\]'"),
        (lambda: hbm.fit(counts, model, design=wide), r"collinear: column 'design\[2\]'"),
        (lambda: hbm.fit(counts, model, design=design[1:]), r"N = 60, one row a group; got \(59, 2\)"),
        (lambda: hbm.fit(counts, hbm.RegressionModel(2), design=design), r"pass RegressionModel\(3"),
        (lambda: fit.predict(design=design[:, :1]), r"design must have shape \(N, 2\)"),
        (lambda: fit.predict(probability=90), "probability must lie between"),
        (lambda: fit.wald_test("age"), "term must be one of"),
        (lambda: weighted[0].likelihood_ratio_test(weighted[1], n_bootstrap=5), "without weights"),
        (lambda: modes[0].likelihood_ratio_test(modes[1]), "without prior"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_a_prior_of_the_precision_may_have_an_offset_and_a_mean():
    pytest.importorskip("formulaic")
    counts, _ = table()
    offset = {"t": np.linspace(0.0, 0.5, 60)}
    prior = hbm.priors.Normal(3.0, 0.01)
    model = hbm.RegressionModel(3, precision="~ 1 + offset(t)", precision_coefficients=prior)
    assert hbm.fit(counts, model, data=offset, prior="model").precision_coefficients[0] == pytest.approx(3.0, abs=0.05)


def test_a_nested_model_has_the_weights_and_the_offsets_of_the_larger():
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("formulaic")
    counts, design = table()
    data = pandas.DataFrame({"x": design[:, 1], "t": np.linspace(0.0, 1.0, 60)})
    large, small, shifted = (
        hbm.fit(counts, hbm.RegressionModel(3, mean), data=data) for mean in ("~ x", "~ 1", "~ x + offset(t)")
    )
    ones = hbm.fit(counts, hbm.RegressionModel(3), weights=np.ones(60))
    statistic = large.likelihood_ratio_test(small).statistic
    assert large.likelihood_ratio_test(ones).statistic == pytest.approx(statistic, rel=1e-9)
    with pytest.raises(ValueError, match="offset"):
        shifted.likelihood_ratio_test(small)
    weights = np.arange(60) % 3
    weighted = hbm.fit(counts, hbm.RegressionModel(3, "~ x"), data=data, weights=weights)
    with pytest.raises(ValueError, match="same weights"):
        weighted.likelihood_ratio_test(hbm.fit(counts, hbm.RegressionModel(3), weights=weights[::-1]))


def test_masked_designs_and_infinite_offsets():
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("formulaic")
    counts, design = table()
    fit = hbm.fit(counts, hbm.RegressionModel(3), design=design)
    with pytest.raises(ValueError, match="design must not be masked"):
        fit.predict(design=np.ma.masked_greater(design, 1.5))
    data = pandas.DataFrame({"t": [np.inf, *np.linspace(0.0, 1.0, 59)]})
    with pytest.raises(ValueError, match="finite offsets; got inf in row 0"):
        hbm.fit(counts, hbm.RegressionModel(3, precision="~ 1 + offset(t)"), data=data)
    with pytest.raises(ValueError, match="design must have shape"):
        hbm.simulate(hbm.RegressionModel(3), 1, design=5.0, totals=10)


def test_walds_test_takes_a_column_once():
    counts, design = table()
    fit = hbm.fit(counts, hbm.RegressionModel(3), design=design)
    assert fit.wald_test(["design[1]", "design[1]"]) == fit.wald_test("design[1]")
    with pytest.raises(ValueError, match="it is empty"):
        fit.wald_test([])
