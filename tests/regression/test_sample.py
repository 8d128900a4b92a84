"""sample with a RegressionModel: the density, references, quadrature, predictions, random intercepts, calibration."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import logsumexp
from scipy.stats import norm

import hbm_fast as hbm
from hbm_fast import _core
from reference import log_pmf_rows

HERE = Path(__file__).parent
NORMAL = hbm.priors.Normal
# Means and standard deviations (P, K) of the posterior under Normal(0, 2) of every coefficient, by importance sampling
# with 26,574 effective draws; the log evidence is that of 400,000.
MEAN = np.array(
    [
        [0.832154, 0.193303, 0.903328, -0.429794, 0.323603],
        [0.196160, -0.465149, -0.084808, 0.305028, -0.212650],
        [-0.455081, 0.662382, 0.086979, 0.207932, -0.185464],
    ]
)
SD = np.array(
    [
        [0.063727, 0.067710, 0.064020, 0.074428, 0.066931],
        [0.051944, 0.050656, 0.048364, 0.058409, 0.050775],
        [0.093871, 0.094702, 0.091722, 0.105978, 0.096611],
    ]
)
LOG_EVIDENCE = -6186.4557


@pytest.fixture(scope="module")
def reference():
    table = np.loadtxt(HERE / "dmreg_500x5x3.csv", delimiter=",", skiprows=1)
    return table[:, :5].astype(int), np.column_stack([np.ones(500), table[:, 5:]])


def visits(k=2, n_subjects=8, n_visits=3, key=3):
    """Counts of subjects with several visits, and a frame of a covariate and the subject."""
    rng = np.random.default_rng(key)
    subject = np.repeat(np.arange(n_subjects), n_visits)
    x = rng.normal(size=len(subject))
    eta = np.outer(x, np.linspace(0.5, 0.0, k)) + rng.normal(size=(n_subjects, k))[subject]
    theta = [rng.dirichlet(20 * np.exp(e) / np.exp(e).sum()) for e in eta]
    return np.array([rng.multinomial(40, t) for t in theta]), {"x": x, "subject": [f"s{i}" for i in subject]}


@pytest.mark.parametrize(
    ("link", "of_all", "shared"),
    [("softmax", False, False), ("softmax", True, True), ("softmax", True, False), ("log", False, False)],
)
def test_the_density_has_its_gradient(link, of_all, shared):
    counts, data = visits(k=3)
    design = np.column_stack([np.ones(24), data["x"]])
    options = {"penalty": 0.3 * np.eye(2), "offset": 0.1 * data["x"]}
    if link == "softmax":
        options |= {"precision_design": design, "precision_penalty": 0.2 * np.eye(2)}
    problem = _core.regression.Problem(link, counts.astype(float), design, **options)
    size = 6
    subject = np.repeat(np.arange(8), 3)
    post = _core.regression.Posterior(problem, 0.0, [0.1] * size, subject, 8, of_all, shared, 0.8)
    y = post.centre + 0.3 * np.random.default_rng(0).normal(size=post.centre.size)
    value, gradient = post.log_density(y)
    steps = 1e-5 * np.eye(y.size)
    numerical = [(post.log_density(y + e)[0] - post.log_density(y - e)[0]) / 2e-5 for e in steps]
    np.testing.assert_allclose(gradient, numerical, rtol=1e-6, atol=1e-4)
    # the value by log-gammas: coefficients, scales, standardised intercepts
    n_scales = 1 if shared else 3 if of_all or link == "log" else 2
    scales, z = y[size : size + n_scales], y[size + n_scales :].reshape(8, -1)
    intercepts = z * scales
    free = y[: size if link == "log" else 4].reshape(-1, 2).T
    eta = design @ free + intercepts[subject][:, : free.shape[1]] + options["offset"][:, None]
    expected = norm.logpdf(z).sum() + norm.logpdf(scales, scale=0.8).sum()
    quadratic = 0.3 * (free**2).sum()
    if link == "softmax":
        if of_all:
            eta -= intercepts[subject][:, 2:]
        eta = np.column_stack([eta, np.zeros(24)])
        eta += (design @ y[4:6])[:, None] - logsumexp(eta, axis=1, keepdims=True)
        quadratic += 0.2 * (y[4:6] ** 2).sum() - 0.3 * (free.sum(axis=1) ** 2).sum() / 3
    expected += log_pmf_rows(counts, np.exp(eta)).sum() - 0.5 * quadratic
    assert value == pytest.approx(expected, rel=1e-12)


def test_the_reference_posterior(reference):
    counts, design = reference
    post = hbm.sample(counts, hbm.RegressionModel(5, link="log"), design=design, n_draws=10_000, rng=0)
    assert post.method == "importance"
    assert post.details["ess_share"] > 0.9
    assert np.abs((post.coefficients.mean(axis=(0, 1)) - MEAN) / SD).max() < 0.04
    assert np.abs(post.coefficients.std(axis=(0, 1)) / SD - 1.0).max() < 0.03
    assert abs(post.log_evidence - LOG_EVIDENCE) < 0.01
    assert post.log_evidence_error < 0.002


def test_hmc_agrees_with_importance_sampling(reference):
    counts, design = reference
    model = hbm.RegressionModel(5)
    one = hbm.sample(counts, model, design=design, method="importance", rng=1)
    two = hbm.sample(counts, model, design=design, method="hmc", rng=2)
    a, b = one.summary(), two.summary()
    for name in a:
        error = np.hypot(a[name]["mcse"], b[name]["mcse"])
        assert abs(a[name]["mean"] - b[name]["mean"]) < 6.5 * error
    error = np.hypot(one.log_evidence_error, two.log_evidence_error)
    assert abs(one.log_evidence - two.log_evidence) < 6.5 * error


def test_no_covariates_agree_with_quadrature():
    counts = hbm.datasets.load_rat_tumors().counts[:12]
    grid = np.linspace(-6.0, 8.0, 281)
    a, b = np.meshgrid(grid, grid, indexing="ij")
    concentration = np.exp(np.stack([a, b], axis=-1))
    log_density = norm.logpdf(a, 0.5, 1.5) + norm.logpdf(b, 0.5, 1.5)
    log_density += sum(log_pmf_rows(x, concentration) for x in counts)
    log_evidence = logsumexp(log_density) + 2 * np.log(grid[1] - grid[0])
    weights = np.exp(log_density - logsumexp(log_density))
    model = hbm.RegressionModel(2, link="log", coefficients=NORMAL(0.5, 1.5))
    for method in ("auto", "hmc"):
        post = hbm.sample(counts, model, method=method, n_draws=4000, rng=1)
        summary = post.summary()
        for k, values in enumerate((a, b)):
            row = summary[f"Intercept[{k}]"]
            mean = (weights * values).sum()
            assert abs(row["mean"] - mean) < 6.5 * row["mcse"]
            assert row["sd"] == pytest.approx(np.sqrt((weights * (values - mean) ** 2).sum()), rel=0.1)
        assert abs(post.log_evidence - log_evidence) < 6.5 * post.log_evidence_error


def test_the_precision_agrees_with_a_hierarchical_model():
    counts = np.array([[8, 2], [3, 7], [9, 1], [5, 5], [2, 8], [7, 3]] * 3)
    # proportions known to be halves: the coefficients of the mean have a prior of no width
    model = hbm.RegressionModel(2, coefficients=NORMAL(0, 1e-4), precision_coefficients=NORMAL(0.5, 1.0))
    post = hbm.sample(counts, model, n_draws=4000, rng=1)
    exact = hbm.exact_posterior(
        counts, hbm.HierarchicalModel(2, alpha=hbm.priors.LogNormal(0.5, 1.0), beta=hbm.priors.FixedBeta([0.5, 0.5]))
    )
    row = post.summary()["log precision: Intercept"]
    assert abs(row["mean"] - exact.mean("log_alpha")) < 6.5 * row["mcse"]
    assert abs(post.log_evidence - exact.log_evidence) < 6.5 * post.log_evidence_error + 1e-4


def test_the_reference_category_changes_no_posterior(reference):
    counts, design = reference
    found = [hbm.sample(counts, hbm.RegressionModel(5, reference=r), design=design, rng=1) for r in (-1, 0, None)]
    contrasts = [post.coefficients - post.coefficients.mean(axis=-1, keepdims=True) for post in found]
    for post, contrast in zip(found[1:], contrasts[1:], strict=True):
        error = np.hypot(post.log_evidence_error, found[0].log_evidence_error)
        assert abs(post.log_evidence - found[0].log_evidence) < 6.5 * error
        difference = contrast.mean(axis=(0, 1)) - contrasts[0].mean(axis=(0, 1))
        assert np.abs(difference / contrasts[0].std(axis=(0, 1))).max() < 6.5 * np.sqrt(2 / 2500)
    assert (found[1].coefficients[..., 0] == 0.0).all()
    np.testing.assert_allclose(found[2].coefficients.sum(axis=-1), 0.0, atol=1e-12)


def test_threads_and_copies_change_nothing(reference):
    counts, design = reference
    for method in ("importance", "hmc"):
        options = {"design": design[:60], "method": method, "n_draws": 120, "rng": 4}
        one = hbm.sample(counts[:60], hbm.RegressionModel(5), n_threads=1, **options)
        two = hbm.sample(counts[:60], hbm.RegressionModel(5), n_threads=2, **options)
        np.testing.assert_array_equal(one.coefficients, two.coefficients)
        assert one.log_evidence == two.log_evidence
        again = pickle.loads(pickle.dumps(one))
        np.testing.assert_array_equal(again.predictive_counts(10), one.predictive_counts(10))


def test_predictions(reference):
    counts, design = reference
    post = hbm.sample(counts, hbm.RegressionModel(5), design=design, rng=1)
    new = design[:3]
    mean, lower, upper = post.predict(design=new, probability=0.9)
    assert ((lower < mean) & (mean < upper)).all()
    np.testing.assert_allclose(mean.sum(axis=1), 1.0)
    fitted = hbm.fit(counts, hbm.RegressionModel(5), design=design)
    assert np.abs(mean - fitted.predict(design=new)).max() < 0.01
    replicated = post.predictive_counts([30, 40, 0], design=new)
    assert replicated.shape == (4, 1000, 3, 5)
    assert (replicated.sum(axis=-1) == [30, 40, 0]).all()
    spread = replicated[:, :, 1].std(axis=(0, 1)) / np.sqrt(4000)
    assert (np.abs(replicated[:, :, 1].mean(axis=(0, 1)) - 40 * mean[1]) < 6.5 * spread).all()
    # the log predictive by hand
    flat = post.coefficients.reshape(-1, 3, 5)
    eta = np.einsum("p,spk->sk", new[0], flat)
    a = np.exp(eta - logsumexp(eta, axis=1, keepdims=True) + post.precision_coefficients.reshape(-1, 1))
    expected = logsumexp(log_pmf_rows(counts[0], a)) - np.log(4000)
    assert post.log_predictive(counts[:3], design=new)[0] == pytest.approx(expected, rel=1e-10)


def test_leave_one_out_agrees_with_arviz(reference):
    arviz = pytest.importorskip("arviz")
    counts, design = reference
    post = hbm.sample(counts, hbm.RegressionModel(5, link="log"), design=design, rng=1)
    found = post.loo()
    assert found.pareto_k.max() < 0.7
    expected = arviz.loo(post.to_arviz(log_likelihood=True))
    elpd = expected.elpd_loo if hasattr(expected, "elpd_loo") else expected.elpd  # before ArviZ 1.0, and since
    assert found.elpd == pytest.approx(elpd, abs=0.05)
    assert found.standard_error == pytest.approx(expected.se, rel=0.01)
    assert 13.0 < found.n_effective < 15.5


@pytest.mark.parametrize("k", [2, 3, 5])
def test_subjects_are_integrated_out(k):
    counts, data = visits(k)
    model = hbm.RegressionModel(k, mean="~ x", random_intercept="subject", shared_scale=k == 5)
    post = hbm.sample(counts, model, data=data, n_draws=100, rng=1, diagnostics=False)
    found = post.subject_log_likelihood(3)
    assert found.shape[1] == 8
    step = -(-400 // 3)
    rows = [i for i, s in enumerate(data["subject"]) if s == "s2"]
    design = np.column_stack([np.ones(len(rows)), np.array(data["x"])[rows]])
    for r in range(len(found)):
        coefficients = post.coefficients.reshape(-1, 2, k)[r * step]
        precision = np.exp(post.precision_coefficients.ravel()[r * step])
        scale = post.random_scale.reshape(400, -1)[r * step]
        scale = np.append(np.broadcast_to(scale, k)[:-1], 0.0) if k == 5 else np.nan_to_num(scale)

        def likelihood(z, coefficients=coefficients, precision=precision, scale=scale):
            eta = design @ coefficients + z[..., None, :] * scale
            a = precision * np.exp(eta - logsumexp(eta, axis=-1, keepdims=True))
            return log_pmf_rows(counts[rows], a).sum(axis=-1)

        if k == 2:
            value = quad(lambda z: np.exp(likelihood(np.array([z, 0.0]))) * norm.pdf(z), -9, 9, epsrel=1e-10, limit=200)
            assert found[r, 2] == pytest.approx(np.log(value[0]), abs=1e-7)
        elif k == 3:
            grid = np.linspace(-7, 7, 281)
            z = np.stack([*np.meshgrid(grid, grid), np.zeros((281, 281))], axis=-1)
            terms = likelihood(z) + norm.logpdf(z[..., :2]).sum(axis=-1)
            assert found[r, 2] == pytest.approx(logsumexp(terms) + 2 * np.log(grid[1] - grid[0]), abs=1e-3)
        else:  # by draws
            z = np.random.default_rng(r).normal(size=(40_000, k))
            terms = likelihood(z)
            weights = np.exp(terms - terms.max())
            error = weights.std() / weights.mean() / np.sqrt(len(z))
            assert abs(found[r, 2] - logsumexp(terms) + np.log(len(z))) < 6.5 * error + 0.3


def test_random_intercepts():
    counts, data = visits(2, n_subjects=30)
    model = hbm.RegressionModel(2, mean="~ x", random_intercept="subject")
    post = hbm.sample(counts, model, data=data, rng=1)
    assert post.random_scale.shape == (4, 1000, 2)
    assert np.isnan(post.random_scale[..., 1]).all()
    assert post.random_intercepts.shape == (4, 1000, 30, 2)
    assert (post.random_intercepts[..., 1] == 0.0).all()
    assert post.subject_names[:2] == ("s0", "s1")
    summary = post.summary()
    assert summary["random scale[0]"]["ess_bulk"] > 400
    common = post.common()
    evidence = hbm.log_evidence(counts, model, data=data, rng=2)
    again = hbm.sample(counts, model, data=data, n_draws=120, rng=3, evidence=True)
    assert evidence.method == "bridge"
    assert abs(evidence.value - again.log_evidence) < 6.5 * np.hypot(evidence.error, again.log_evidence_error)
    assert common.shape == (4, 1000, 4)
    # subjects: of the fit, and not seen
    known = post.predict({"x": [0.0], "subject": ["s3"]})
    by_hand = 1 / (1 + np.exp(-(post.coefficients[:, :, 0, 0] + post.random_intercepts[:, :, 3, 0])))
    assert known[0, 0] == pytest.approx(by_hand.mean(), rel=1e-12)
    mean, lower, upper = post.predict({"x": [0.0], "subject": ["new"]}, probability=0.9)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    eta = post.coefficients[:, :, 0, 0, None] + post.random_scale[:, :, 0, None] * nodes
    values = 1 / (1 + np.exp(-eta))
    expected = (values @ (weights / weights.sum())).mean()
    assert abs(mean[0, 0] - expected) < 6.5 * values.std() * 2 / np.sqrt(4000)
    assert upper[0, 0] - lower[0, 0] > 0.4
    found = post.loo()
    assert found.unit == "subject"
    assert found.pointwise.size == 30


def test_files(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("h5netcdf")
    counts, data = visits(3)
    frame = pandas.DataFrame(data).assign(group=pandas.Categorical(["a", "b", "c"] * 8))
    model = hbm.RegressionModel(3, "~ x + group", precision="~ x", random_intercept="subject", reference="1")
    post = hbm.sample(counts, model, data=frame, n_draws=50, rng=1)
    post.save(tmp_path / "post.nc")
    again = hbm.RegressionPosterior.load(tmp_path / "post.nc")
    assert again.model == model
    np.testing.assert_array_equal(again.predict(frame[:4]), post.predict(frame[:4]))
    np.testing.assert_array_equal(
        again.log_predictive(counts[:2], frame[:2]), post.log_predictive(counts[:2], frame[:2])
    )
    assert repr(again) == repr(post)
    with pytest.raises(ValueError, match=r"RegressionPosterior\.load"):
        hbm.Posterior.load(tmp_path / "post.nc")


def test_bad_input(reference):
    counts, design = reference
    model = hbm.RegressionModel(5)
    post = hbm.sample(counts, model, design=design, n_draws=50, rng=1)
    subjects = hbm.RegressionModel(5, random_intercept="subject")
    for call, error, message in (
        (lambda: hbm.sample(counts, model, method="gibbs"), ValueError, "method must be"),
        (lambda: hbm.sample(counts, model, start=(1, 2)), TypeError, "start is of a HierarchicalModel"),
        (lambda: hbm.sample(counts, model, design=design[:3]), ValueError, "design must have shape"),
        (lambda: hbm.sample(counts, model, design=np.ones((500, 2))), ValueError, "collinear"),
        (lambda: hbm.sample(counts, model, designs=design), TypeError, "unexpected keyword"),
        (lambda: hbm.sample(np.zeros((4, 5), int), model), ValueError, "every group is empty"),
        (lambda: hbm.sample(counts, subjects, design=design), ValueError, "needs data with that column"),
        (lambda: hbm.sample(counts, design=design), TypeError, "unexpected keyword"),
        (lambda: post.log_predictive(counts[:2], design=design[:3]), ValueError, "new_counts must have shape"),
        (lambda: post.predict(probability=1.5), ValueError, "probability"),
    ):
        with pytest.raises(error, match=message):
            call()


@pytest.mark.parametrize("case", ["softmax", "log", "random intercepts"])
def test_ranks_are_uniform(case, benchmark_check):
    check, checking = benchmark_check("regression_sbc"), benchmark_check("checking")
    found = check.ranks(check.CASES[case], 40, 1)
    assert min(checking.uniform_p(values, check.N_RANKS + 1) for values in found.values()) > 1e-9


def test_evidence_by_its_public_name():
    rng = np.random.default_rng(2)
    design = np.column_stack([np.ones(12), rng.normal(size=12)])
    counts = rng.multinomial(20, [0.2, 0.3, 0.5], size=12)
    model = hbm.RegressionModel(3)
    evidence = hbm.log_evidence(counts, model, design=design, rng=1)
    assert evidence.method == "importance"
    post = hbm.sample(counts, model, design=design, rng=1)
    assert evidence.value == pytest.approx(
        post.log_evidence, abs=6.5 * np.hypot(evidence.error, post.log_evidence_error)
    )
    with pytest.raises(ValueError, match="by method='auto'"):
        hbm.log_evidence(counts, model, design=design, method="bridge")


def test_offsets_of_the_precision_are_those_of_the_data():
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("formulaic")
    counts, data = visits()
    frame = pandas.DataFrame({"t": data["x"]})
    model = hbm.RegressionModel(2, precision="~ 1 + offset(t)")
    post = hbm.sample(counts, model, data=frame, n_draws=50, rng=1)
    np.testing.assert_array_equal(post.log_predictive(counts, frame), post.log_predictive(counts))
    with pytest.raises(ValueError, match="totals must not be negative"):
        post.predictive_counts(-1)
    with pytest.raises(ValueError, match="totals must not be masked"):
        post.predictive_counts(np.ma.masked_equal(counts.sum(axis=1), 40))


def test_covariates_that_are_times_pass_through_files(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("formulaic")
    pytest.importorskip("h5netcdf")
    counts, _ = visits()
    day = pandas.to_datetime(["2026-01-01", "2026-01-02 12:30"] * 12, format="ISO8601", utc=True)
    data = pandas.DataFrame({"day": day, "wait": pandas.to_timedelta([1, 1, 2] * 8, unit="h")})
    post = hbm.sample(counts, hbm.RegressionModel(2, "~ C(day) + C(wait)"), data=data, n_draws=50, rng=1)
    post.save(tmp_path / "post.nc")
    again = hbm.RegressionPosterior.load(tmp_path / "post.nc")
    np.testing.assert_array_equal(again.predict(data[3:]), post.predict(data[3:]))


def test_the_summary_of_one_draw():
    counts, _ = visits()
    post = hbm.sample(counts, hbm.RegressionModel(2), method="hmc", n_chains=1, n_draws=1, rng=1)
    assert (post.summary().columns["sd"] == 0.0).all()
