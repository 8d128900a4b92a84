"""log_evidence beside exact values."""

import math

import numpy as np
import pytest
from tests.mixture.exact_partitions import FINITE, OPEN

import hbm_fast as hbm
from hbm_fast.sampling.evidence import of_mixture

PROCESS = hbm.MixtureModel(2, n_components=hbm.priors.DirichletProcess(1.0))


@pytest.mark.parametrize("case", OPEN)
def test_dirichlet_process(case):
    found = hbm.log_evidence(OPEN[case]["bags"], PROCESS)
    assert found.method == "enumeration"
    assert found.value == pytest.approx(OPEN[case]["log_evidence"], abs=1e-6)
    padded = hbm.log_evidence(OPEN[case]["bags"] + [[0, 0]], PROCESS)
    assert padded.value == pytest.approx(found.value, abs=1e-9)


@pytest.mark.parametrize("case", FINITE)
@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_finite_mixture_by_bridge_sampling(case, n_components):
    model = hbm.MixtureModel(2, n_components=n_components)
    found = hbm.log_evidence(FINITE[case]["bags"], model, method="bridge", rng=1)
    exact = FINITE[case]["log_evidence"][n_components]
    assert abs(found.value - exact) < min(0.05, 6 * found.error)
    assert found.error < 0.02
    if n_components == 1:
        one = hbm.log_evidence(FINITE[case]["bags"], model)
        assert one.method == "quadrature"
        assert one.value == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("model", [hbm.MixtureModel(2, n_components=2, weights=0.5), PROCESS])
def test_enumeration_agrees_with_all_labellings(model):
    """A direct sum for four bags: over labellings of a finite mixture, over partitions of a process."""
    bags = np.array([[6, 0], [5, 1], [0, 7], [3, 3]])
    found = hbm.log_evidence(bags, model, method="enumeration")
    total = 0.0
    for code in range(4**4):
        labels = [code >> 2 * n & 3 for n in range(4)]
        if model is PROCESS and [list(dict.fromkeys(labels)).index(z) for z in labels] != labels:
            continue  # each partition once
        if model is not PROCESS and max(labels) > 1:
            continue
        sizes = [labels.count(j) for j in range(4)]
        log_p = sum(hbm.exact_posterior(bags[np.equal(labels, j)]).log_evidence for j in range(4) if sizes[j])
        if model is PROCESS:
            log_p += sum(math.lgamma(s) for s in sizes if s) - math.lgamma(5)
        else:
            log_p += sum(math.lgamma(0.5 + s) - math.lgamma(0.5) for s in sizes[:2]) - math.lgamma(5)
        total += math.exp(log_p)
    assert found.value == pytest.approx(math.log(total), abs=1e-6)


def test_many_categories():
    """One group and alpha known: the evidence is that of a mixture of Dirichlet-multinomials with known beta."""
    # alpha = 1e9: the group is one multinomial with beta ~ Dirichlet(1), so the evidence is 1 / C(M + K - 1, M)
    found = hbm.log_evidence([[3, 1, 0, 2]], hbm.HierarchicalModel(4, alpha=1e9), rng=1)
    assert found.method == "bridge"
    assert found.value == pytest.approx(-math.log(math.comb(9, 3)), abs=max(0.01, 6 * found.error))
    # pollen, 73 x 4, by importance sampling at the mode: -555.3130 +- 0.0008
    pollen = hbm.datasets.load_pollen().counts
    for method in ("auto", "bridge"):
        found = hbm.log_evidence(pollen, method=method, rng=1)
        assert found.method == {"auto": "importance", "bridge": "bridge"}[method]
        assert found.error < {"auto": 0.001, "bridge": 0.01}[method]
        assert abs(found.value + 555.3130) < 6 * found.error


@pytest.mark.parametrize("coefficient", [True, False])
def test_coefficients(coefficient):
    counts = np.array([[3, 1, 0], [2, 2, 1]])
    mixture = hbm.MixtureModel(3, n_components=2)
    design = {"design": np.ones((2, 1))}
    for model, options in ((None, {}), (mixture, {"method": "enumeration"}), (hbm.RegressionModel(3), design)):
        found = hbm.log_evidence(counts, model, rng=1, coefficient=coefficient, **options)
        with_them = hbm.log_evidence(counts, model, rng=1, **options)
        left_out = 0.0 if coefficient else math.log(4 * 30)  # 4! / 3! and 5! / (2! 2!)
        assert with_them.value - found.value == pytest.approx(left_out, abs=1e-12)
        assert (found.error, found.method) == (with_them.error, with_them.method)


def test_errors_are_honest(benchmark_check):
    """z, error over standard error, of importance and bridge sampling: a short version of
    benchmarks/checks/evidence_errors.py."""
    check = benchmark_check("evidence_errors")
    cases = [*check.cases(20, ["K = 2"]), *check.cases(1, ["K = 3"])]
    assert [(name, method) for name, method, *_ in cases] == [
        ("K = 2", "importance"),
        ("K = 2", "bridge"),
        ("K = 3", "importance"),
        ("K = 3", "bridge"),
    ]
    for name, method, model, counts, truths in cases:
        z, errors = check.z_scores(model, method, counts, truths)
        assert np.abs(z).max() < 7, (name, method)
        assert errors.max() < (0.002 if method == "importance" else 0.03)
        if name == "K = 2":  # of chi-square with 20 degrees of freedom p < 1e-9 outside
            assert 1.2 < (z**2).sum() < 90, (name, method)


@pytest.mark.parametrize(
    "alpha",
    [
        hbm.priors.HalfCauchy(1.0),
        hbm.priors.Gamma(0.4, rate=0.1),  # a long tail on the left
        hbm.priors.LogNormal(0.0, 1.0),
    ],
)
@pytest.mark.parametrize("bags", [[[0, 1]] * 10 + [[1, 0]] * 10, [[9, 0], [0, 8]] * 3, [[3, 0]]])
def test_importance_sampling_agrees_with_quadrature(alpha, bags):
    model = hbm.HierarchicalModel(2, alpha=alpha)
    exact, found = (hbm.log_evidence(bags, model, method=method, rng=1) for method in ("quadrature", "importance"))
    assert abs(found.value - exact.value) < 6 * found.error + 1e-6
    assert found.error < 0.003


def test_importance_sampling_is_left_where_it_does_not_suit():
    """A prior with bounds: the posterior is no mixture of independent concentrations."""
    model = hbm.HierarchicalModel(4, alpha=hbm.priors.LogUniform(0.1, 10.0))
    pollen = hbm.datasets.load_pollen().counts
    assert hbm.log_evidence(pollen, model, rng=1).method == "bridge"
    with pytest.raises(ValueError, match="method='importance' does not suit these counts"):
        hbm.log_evidence(pollen, model, method="importance", rng=1)
    with pytest.raises(ValueError, match="needs a prior of alpha"):
        hbm.log_evidence(pollen, hbm.HierarchicalModel(4, alpha=2.0), method="importance")


def test_no_counts_and_statistics():
    assert hbm.log_evidence(np.zeros((3, 5), int)).value == pytest.approx(0.0, abs=1e-6)
    counts = [[3, 1, 0], [2, 2, 1]]
    assert hbm.log_evidence(hbm.SufficientStatistics(counts), rng=1) == hbm.log_evidence(counts, rng=1)


def test_the_smallest_concentrations():
    """Of a prior whose mass lies below the smallest numbers: the likelihood is linear in their logarithms there."""
    model = hbm.HierarchicalModel(2, alpha=hbm.priors.Gamma(0.001, rate=0.001))
    for bags in ([[3, 0]], [[9, 0], [0, 8]] * 3):
        post = hbm.sample(bags, model, method="gibbs", n_draws=2000, rng=1, evidence=True, diagnostics=False)
        assert abs(post.log_evidence - hbm.exact_posterior(bags, model).log_evidence) < 6 * post.log_evidence_error
        assert post.log_evidence_error < 0.05


def test_chains_in_a_lower_mode_are_left_out():
    """Of three chains of a mixture one lies where both components are alike, a hundred nats below."""
    rng = np.random.default_rng(1)
    shape = np.repeat(rng.dirichlet(np.full(24, 0.3), 2), 12, axis=0) * 10 + 0.05
    counts = np.stack([rng.multinomial(80, rng.dirichlet(a)) for a in shape])
    model = hbm.MixtureModel(24, n_components=2)
    options = {"n_chains": 3, "n_draws": 400, "rng": 1, "diagnostics": False}
    post = hbm.sample(counts, model, evidence=True, **options)
    one = hbm.sample(counts, **options)
    log_alpha, log_beta, labels = post.log_alpha.copy(), post.log_beta.copy(), post.labels.copy()
    log_alpha[2], log_beta[2] = one.log_alpha[2][:, np.newaxis], one.log_beta[2][:, np.newaxis]
    labels[2] = rng.integers(2, size=labels[2].shape)
    stuck = hbm.MixturePosterior(
        labels,
        post.log_weights,
        log_alpha,
        log_beta,
        model=model,
        counts=counts,
        log_likelihood=post.log_likelihood,
        key=post.key,
    )
    value, error = of_mixture(stuck)
    assert error < 0.5
    assert abs(value - post.log_evidence) < 6 * (error + post.log_evidence_error)


# sample(evidence=True) ------------------------------------------------------------------------------------------------
def test_sample_fills_the_evidence():
    bags = [[9, 1], [11, 2], [10, 1], [12, 3]]
    post = hbm.sample(bags, rng=1, evidence=True)
    plain = hbm.sample(bags, rng=1)
    assert plain.log_evidence is None
    np.testing.assert_array_equal(post.log_beta, plain.log_beta)
    exact = hbm.exact_posterior(bags).log_evidence
    assert abs(post.log_evidence - exact) < 6 * post.log_evidence_error
    assert post.log_evidence_error < 0.03
    batch = hbm.sample([bags, bags[:2]], rng=1, evidence=True)
    assert batch.log_evidence.shape == batch.log_evidence_error.shape == (2,)
    assert abs(batch.log_evidence[1] - hbm.exact_posterior(bags[:2]).log_evidence) < 6 * batch.log_evidence_error[1]
    stats = hbm.sample(hbm.SufficientStatistics(bags), rng=1, evidence=True)
    assert stats.log_evidence == pytest.approx(post.log_evidence, abs=1e-9)


def test_sample_fills_the_evidence_of_mixtures_and_regressions(tmp_path):
    case = FINITE["two proportions"]
    post = hbm.sample(case["bags"], hbm.MixtureModel(2, n_components=2), rng=1, evidence=True)
    assert abs(post.log_evidence - case["log_evidence"][2]) < 6 * post.log_evidence_error
    assert post.log_evidence_error < 0.05
    pytest.importorskip("h5netcdf")
    post.save(tmp_path / "post.nc")
    again = hbm.MixturePosterior.load(tmp_path / "post.nc")
    assert (again.log_evidence, again.log_evidence_error) == (post.log_evidence, post.log_evidence_error)
    data = {"subject": ["a", "a", "b", "b", "c", "c"]}
    model = hbm.RegressionModel(2, "~ 1", random_intercept="subject")
    counts = [[9, 1], [8, 2], [3, 7], [2, 8], [5, 5], [4, 6]]
    plain, one, other = (
        hbm.sample(counts, model, data=data, rng=key, n_draws=100, diagnostics=False, evidence=key > 0)
        for key in range(3)
    )
    assert plain.log_evidence is None
    assert abs(one.log_evidence - other.log_evidence) < 6 * (one.log_evidence_error + other.log_evidence_error)
    assert one.log_evidence_error < 0.2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_draws": 4, "n_chains": 50}, "8 of each chain"),
        ({"n_draws": 20, "n_chains": 4}, "100 draws"),
        ({"model": PROCESS}, "fixed number of components"),
        ({"model": hbm.MixtureModel(2, n_components=11)}, "at most 10 components"),
        ({"model": hbm.RegressionModel(2), "design": np.ones((2, 1)), "n_draws": 20}, "100 draws"),
    ],
)
def test_sample_refuses_what_gives_no_evidence(options, message):
    with pytest.raises(ValueError, match=message):
        hbm.sample([[3, 1], [2, 2]], evidence=True, **options)


@pytest.mark.parametrize(
    "prior",
    [
        {"beta": hbm.priors.FixedBeta([0.3, 0.7])},
        {"alpha": 2.0},
        {"alpha": 2.0, "beta": hbm.priors.FixedBeta([0.3, 0.7])},
        {"alpha": hbm.priors.LogUniform(0.1, 10), "beta": [0.5, 2.0]},
    ],
)
def test_bridge_agrees_with_quadrature(prior):
    bags = [[6, 0], [5, 1], [0, 7], [3, 3]]
    model = hbm.HierarchicalModel(2, **prior)
    exact, found = (hbm.log_evidence(bags, model, method=method, rng=1) for method in ("quadrature", "bridge"))
    assert abs(found.value - exact.value) < 6 * found.error + 1e-5


def test_learned_concentration_of_beta():
    """Its evidence is the mean over its prior of the evidences of fixed concentrations."""
    bags = [[6, 0], [5, 1], [0, 7], [3, 3]]
    prior = hbm.priors.Gamma(3.0, rate=2.0)
    log_c = np.linspace(-4, 3, 57)
    each = [hbm.exact_posterior(bags, hbm.HierarchicalModel(2, beta=math.exp(t))).log_evidence for t in log_c]
    exact = math.log((np.exp(np.array(each) + prior.log_density(log_c)) * (log_c[1] - log_c[0])).sum())
    found = hbm.log_evidence(bags, hbm.HierarchicalModel(2, beta=hbm.priors.Dirichlet(prior)), rng=1)
    assert abs(found.value - exact) < 6 * found.error + 1e-4


def test_refusals_and_repr():
    bags, one, two = np.full((11, 2), 3), hbm.HierarchicalModel(2), hbm.MixtureModel(2, n_components=2)
    for counts, model, options, error, message in (
        (bags, PROCESS, {}, ValueError, "at most 10 groups"),
        (bags, PROCESS, {"method": "bridge"}, ValueError, "enumeration"),
        ([[1, 2, 3]], hbm.HierarchicalModel(3), {"method": "quadrature"}, ValueError, "K = 2"),
        (bags, one, {"method": "laplace"}, ValueError, "method must be"),
        (bags, 3, {}, TypeError, "model must be"),
        (hbm.SufficientStatistics(bags), two, {}, TypeError, "SufficientStatistics have no groups"),
        (bags, two, {"method": "importance"}, ValueError, "of one component"),
        (bags, one, {"data": bags}, TypeError, "data holds covariates"),
        (bags, hbm.MixtureModel(2, n_components=11), {}, ValueError, "at most 10 components"),
    ):
        with pytest.raises(error, match=message):
            hbm.log_evidence(counts, model, **options)
    assert repr(hbm.log_evidence([[0, 1]], one)).startswith("Evidence(-0.6931")
