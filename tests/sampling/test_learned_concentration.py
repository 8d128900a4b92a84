"""A learned concentration of beta: against quadrature, against its own simulations, and what posteriors say of it."""

import copy
import pickle

import numpy as np
import pytest
from scipy import stats

import hbm_fast as hbm
from hbm_fast import calibration, models

array_stats = pytest.importorskip("arviz_stats.base").array_stats

METHODS = ("hmc", "gibbs", "mh")
LEARNED = hbm.priors.Dirichlet(hbm.priors.Exponential(1))
SPARSE = np.random.default_rng(3).negative_binomial(0.2, 0.01, size=(20, 40))


def within(draws, truth, errors=4.5):
    return abs(draws.mean() - truth) < errors * array_stats.mcse(draws, chain_axis=0, draw_axis=1, method="mean")


def exact_means(counts, alpha, prior):
    """Posterior means of log alpha, beta_1, log c: exact posteriors for fixed c, weighted by prior and evidence."""
    log_c = np.linspace(-16, 9, 251)
    exact = [
        hbm.exact_posterior(counts, hbm.HierarchicalModel(2, alpha=alpha, beta=float(c)), n_draws=1)
        for c in np.exp(log_c)
    ]
    log_weight = prior.log_density(log_c) + [e.log_evidence for e in exact]
    weight = np.exp(log_weight - log_weight.max())
    return [
        weight @ value / weight.sum()
        for value in ([e.mean("log_alpha") for e in exact], [e.mean("beta")[1] for e in exact], log_c)
    ]


@pytest.mark.parametrize(
    ("counts", "alpha", "prior"),
    [
        ([[3, 0], [0, 4], [1, 1]], hbm.priors.Exponential(1), hbm.priors.Exponential(1)),
        ([[9, 1], [12, 0], [5, 0], [7, 2]], hbm.priors.HalfCauchy(5), hbm.priors.Gamma(2, rate=0.5)),
        ([[1, 0]], hbm.priors.Exponential(1), hbm.priors.LogUniform(0.05, 20)),
        ([[2, 8], [30, 1]], 2.0, hbm.priors.HalfCauchy(1)),
        # two modes of log alpha, between which chains jump
        ([[1, 1], [1, 1], [0, 40], [40, 0]], hbm.priors.LogUniform(1e-4, 1e6), hbm.priors.LogNormal(0, 1)),
    ],
    ids=["exponential", "gamma", "bounded", "alpha fixed", "jumps"],
)
def test_against_quadrature(counts, alpha, prior):
    model = hbm.HierarchicalModel(2, alpha=alpha, beta=hbm.priors.Dirichlet(prior))
    log_alpha, black, log_c = exact_means(counts, alpha, prior)
    for method in METHODS:
        post = hbm.sample(counts, model, method=method, n_draws=4000, rng=5, diagnostics=False)
        assert not isinstance(alpha, hbm.priors.AlphaPrior) or within(post.log_alpha, log_alpha), method
        assert within(post.beta[..., 1], black), method
        assert within(np.log(post.beta_concentration), log_c), method


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("n_categories", "prior", "n_groups", "totals"),
    [(2, hbm.priors.Exponential(1), 12, (0, 12)), (8, hbm.priors.HalfCauchy(0.2), (1, 6), (0, 30))],
    ids=["K = 2", "K = 8"],
)
def test_calibration(method, n_categories, prior, n_groups, totals):
    model = hbm.HierarchicalModel(n_categories, beta=hbm.priors.Dirichlet(prior))
    rng = np.random.default_rng(n_categories)

    def infer(counts):
        return hbm.sample(counts, model, method=method, n_draws=400, rng=rng, diagnostics=False)

    result = calibration.simulation_based_calibration(
        infer, model, 315, n_groups=n_groups, totals=totals, batch=30, n_ranks=42, rng=4
    )
    assert "beta_concentration" in result.names
    assert result.autocorrelation < 0.2
    assert result.p_value > 1e-9, str(result)


def test_calibration_has_power():
    """The same model with a wrong prior of the concentration is refused."""
    rng = np.random.default_rng(1)
    wrong = hbm.HierarchicalModel(8, beta=hbm.priors.Dirichlet(hbm.priors.Exponential(0.1)))

    def infer(counts):
        return hbm.sample(counts, wrong, n_draws=500, rng=rng, diagnostics=False)

    result = calibration.simulation_based_calibration(
        infer, hbm.HierarchicalModel(8, beta=LEARNED), 420, n_groups=10, totals=20, batch=30, n_ranks=42, rng=4
    )
    assert result.p_values["beta_concentration"] < 1e-9


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("prior", [hbm.priors.LogUniform(1e-300, 1e-290), hbm.priors.LogNormal(0, 500)], ids=repr)
def test_tiny_and_huge_concentrations_stay_finite(method, prior):
    model = hbm.HierarchicalModel(4, beta=hbm.priors.Dirichlet(prior))
    for counts in (np.zeros((2, 4), dtype=int), [[3, 0, 0, 0], [0, 1, 0, 0]]):
        post = hbm.sample(counts, model, method=method, n_draws=200, rng=1, diagnostics=False)
        assert np.isfinite(post.log_alpha).all()
        assert np.isfinite(post.log_beta).all()
        assert (post.beta_concentration >= 0).all()


def test_auto_mixes_in_a_wide_table():
    post = hbm.sample(SPARSE, hbm.HierarchicalModel(40, alpha=hbm.priors.HalfCauchy(10), beta=LEARNED), rng=1)
    for name in ("log_alpha", "beta_concentration"):
        assert post.diagnostics(name)["ess_bulk"] > 400
    assert post.details["r_hat"] < 1.01


@pytest.mark.parametrize("method", METHODS)
def test_threads_and_batches_change_no_bit(method):
    model = hbm.HierarchicalModel(40, beta=LEARNED)
    both = hbm.sample([SPARSE, SPARSE[:7]], model, method=method, n_draws=50, rng=3, n_threads=2, diagnostics=False)
    alone = hbm.sample(SPARSE, model, method=method, n_draws=50, rng=3, n_threads=1, diagnostics=False)
    assert both.beta_concentration.shape == (2, 4, 50)
    np.testing.assert_array_equal(both[0].beta_concentration, alone.beta_concentration)
    np.testing.assert_array_equal(both[0].log_beta, alone.log_beta)


def test_the_log_density_is_the_joint_one():
    """Differences of sample_stats are those of prior, Dirichlet and likelihood written out."""
    counts = [[3, 0, 1], [0, 4, 0]]
    post = hbm.sample(counts, hbm.HierarchicalModel(3, beta=LEARNED), method="hmc", n_draws=100, rng=2)
    expected = []
    for t, log_beta, c in zip(
        post.log_alpha.ravel(), post.log_beta.reshape(-1, 3), post.beta_concentration.ravel(), strict=True
    ):
        value = hbm.SufficientStatistics(counts).log_likelihood(np.exp(t + log_beta))
        value += stats.dirichlet([c] * 3).logpdf(np.exp(log_beta)) + log_beta.sum()  # of log-ratios
        expected.append(value + t - np.exp(t) + np.log(c) - c)
    difference = post.sample_stats["log_density"].ravel() - expected
    np.testing.assert_allclose(difference, difference[0], atol=1e-9)


@pytest.fixture(scope="module")
def post():
    return hbm.sample(SPARSE, hbm.HierarchicalModel(40, beta=LEARNED), n_draws=100, rng=1, diagnostics=False)


def test_summaries_have_the_concentration(post):
    c = post.beta_concentration
    assert c.shape == (4, 100)
    np.testing.assert_allclose(post.mean("beta_concentration"), c.mean())
    np.testing.assert_allclose(post.sd("beta_concentration"), c.std())
    np.testing.assert_allclose(post.quantile("beta_concentration", [0.1, 0.9]), np.quantile(c, [0.1, 0.9]), rtol=0.05)
    assert set(post.diagnostics("beta_concentration")) == {"r_hat", "ess_bulk", "ess_tail", "mcse"}


@pytest.mark.filterwarnings("ignore::hbm_fast.errors.ConvergenceWarning")
def test_the_summary_has_its_row(post):
    summary = post.summary()
    assert summary.names[:4] == ("alpha", "log_alpha", "beta_concentration", "beta[0]")
    np.testing.assert_allclose(summary["beta_concentration"]["mean"], post.mean("beta_concentration"))
    np.testing.assert_allclose(summary["beta[39]"]["mean"], post.mean("beta")[39])


def test_other_models_have_none():
    post = hbm.sample([[1, 2]], n_draws=10, rng=1)
    with pytest.raises(
        ValueError, match=r"beta_concentration is of a model that learns it.*Dirichlet\(concentration=1"
    ):
        post.beta_concentration  # noqa: B018
    with pytest.raises(ValueError, match="name must be one of"):
        post.mean("beta_concentration")


def test_one_of_a_batch():
    batch = hbm.sample(np.stack([SPARSE[:3], SPARSE[3:6]]), hbm.HierarchicalModel(40, beta=LEARNED), n_draws=20, rng=1)
    assert batch.mean("beta_concentration").shape == (2,)
    np.testing.assert_array_equal(batch[1].beta_concentration, batch.beta_concentration[1])
    np.testing.assert_allclose(batch[1].mean("beta_concentration"), batch.mean("beta_concentration")[1])


def test_copies_and_files(post, tmp_path):
    for again in (pickle.loads(pickle.dumps(post)), copy.deepcopy(post)):
        np.testing.assert_array_equal(again.beta_concentration, post.beta_concentration)
    pytest.importorskip("h5netcdf")
    post.save(tmp_path / "post.nc")
    again = hbm.Posterior.load(tmp_path / "post.nc")
    assert again.model == post.model
    np.testing.assert_array_equal(again.beta_concentration, post.beta_concentration)
    np.testing.assert_array_equal(post.to_arviz()["posterior"]["beta_concentration"], post.beta_concentration)


def test_models_are_values():
    model = hbm.HierarchicalModel(5, beta=hbm.priors.Dirichlet(hbm.priors.Gamma(2, rate=0.5)))
    assert "beta=Dirichlet(concentration=Gamma(shape=2.0, rate=0.5))" in repr(model)
    assert models.from_dict(models.to_dict(model)) == model == pickle.loads(pickle.dumps(model))
    assert hash(model) == hash(copy.deepcopy(model))
    assert hbm.priors.Dirichlet(hbm.priors.Fixed(0.5)) == hbm.priors.Dirichlet(0.5)


@pytest.mark.parametrize("concentration", ["exponential", hbm.priors.Dirichlet(1), [hbm.priors.Exponential()]])
def test_other_concentrations_are_refused(concentration):
    with pytest.raises(TypeError, match="Dirichlet's concentration must be a number, K numbers, or the prior"):
        hbm.priors.Dirichlet(concentration)


def test_the_abstract_prior_is_refused():
    with pytest.raises(TypeError, match="abstract"):
        hbm.priors.Dirichlet(hbm.priors.AlphaPrior())


def test_weights_that_are_not_whole_are_refused():
    statistics = hbm.SufficientStatistics(SPARSE, weights=np.full(20, 0.5))
    with pytest.raises(ValueError, match="not whole numbers need a known concentration of beta"):
        hbm.sample(statistics, hbm.HierarchicalModel(40, beta=LEARNED))


def test_methods_without_it_refuse_it_by_name():
    model = hbm.HierarchicalModel(2, beta=LEARNED)
    instead = r"needs a known concentration of beta.*Exponential.*Use hbm.sample"
    with pytest.raises(ValueError, match=f"exact_posterior {instead}"):
        hbm.exact_posterior([[1, 2]], model)
    with pytest.raises(TypeError, match=r"Dirichlet.*hbm.sample takes any prior"):
        hbm.fit([[1, 2]], prior=LEARNED)
    pytest.importorskip("torch")
    for factorization in ("top-down", "bottom-up"):
        with pytest.raises(ValueError, match=f"a network of alpha and beta {instead}"):
            hbm.amortize.train(model, factorization=factorization, steps=1)
    with pytest.raises(ValueError, match=f"embedding.train {instead}"):
        hbm.embedding.train(model=model, steps=1)


def test_simulated_concentrations():
    """Bits of alpha are those of the same model with a known concentration; a given beta has no concentration."""
    settings = {"n_groups": 2, "totals": 3, "rng": 4}
    sims = hbm.simulate(hbm.HierarchicalModel(3, beta=LEARNED), 20_000, **settings)
    np.testing.assert_array_equal(sims.alpha, hbm.simulate(hbm.HierarchicalModel(3), 20_000, **settings).alpha)
    c = sims.beta_concentration
    assert c.shape == (20_000,)
    assert stats.kstest(c, "expon").pvalue > 1e-9
    # given c, beta_0 is Beta(c, 2 c)
    assert stats.kstest(stats.beta(c, 2 * c).cdf(sims.beta[:, 0]), "uniform").pvalue > 1e-9
    later = hbm.simulate(sims.model, 10, n_groups=2, totals=3, rng=sims.key, first=100)
    np.testing.assert_array_equal(later.beta_concentration, c[100:110])
    assert hbm.simulate(sims.model, 5, beta=[0.2, 0.3, 0.5], **settings).beta_concentration is None


def test_whole_weights_are_repeated_groups():
    model = hbm.HierarchicalModel(40, beta=LEARNED)
    twice = hbm.sample(hbm.SufficientStatistics(SPARSE, weights=np.full(20, 2)), model, rng=1, diagnostics=False)
    rows = hbm.sample(np.repeat(SPARSE, 2, axis=0), model, rng=1, diagnostics=False)
    np.testing.assert_array_equal(twice.beta_concentration, rows.beta_concentration)
