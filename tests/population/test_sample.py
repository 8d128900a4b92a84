"""Chains of a population against its definition, its calibration, and what its result says."""

import _thread
import pickle
import threading
import time

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast import models

special = pytest.importorskip("scipy.special")

COUNTS = [[[5, 1], [4, 0]], [[1, 3], [0, 0], [2, 2]], [[0, 0]]]
MODEL = hbm.PopulationModel(2)


def weighted_prior(counts, n):
    """Draws of the model's priors and their weights, the likelihoods of the counts: slow, and obviously right."""
    rng = np.random.default_rng(0)
    mu, tau = rng.normal(0.0, 2.0, n), np.abs(rng.normal(0.0, 1.0, n))
    kappa, m = np.exp(rng.normal(np.log(2.0), 1.0, n)), rng.random(n)
    log_weight = np.zeros(n)
    first = None
    for table in counts:
        alpha = np.exp(mu + tau * rng.standard_normal(n))
        beta = np.clip(rng.beta(kappa * m, kappa * (1.0 - m)), 1e-300, 1.0 - 1e-16)
        first = (np.log(alpha), beta) if first is None else first
        for x, y in table:
            a, b = alpha * beta, alpha * (1.0 - beta)
            log_weight += special.betaln(a + x, b + y) - special.betaln(a, b)
    return [mu, np.log(tau), np.log(kappa), m, *first], np.exp(log_weight - log_weight.max())


def test_against_the_definition():
    truth, weight = weighted_prior(COUNTS, 400_000)
    weight /= weight.sum()
    r = hbm.sample(COUNTS, MODEL, n_draws=6000, rng=3)
    p, first = r.population, r[0]
    draws = [p.mu, np.log(p.tau), np.log(p.kappa), p.m[..., 0], first.log_alpha, first.beta[..., 0]]
    for expected, found in zip(truth, draws, strict=True):
        mean = weight @ expected
        error = np.sqrt(weight**2 @ (expected - mean) ** 2)
        chains = found.mean(axis=1)
        own = np.sqrt(found.var() / 1500.0)  # far fewer effective draws than there are
        assert abs(chains.mean() - mean) < 6.5 * np.hypot(error, own)
        spread = np.sqrt(weight @ (expected - mean) ** 2)
        assert abs(found.std() / spread - 1.0) < 0.15


@pytest.mark.parametrize(("shape", "n"), [((8, 6, 2), 150), ((12, 5, 4), 60)])
def test_calibration(shape, n, benchmark_check):
    """A short version of benchmarks/checks/population_calibration.py: 19 draws, ranks 0 to 19."""
    ranks = benchmark_check("population_calibration").ranks
    uniform_p = benchmark_check("checking").uniform_p
    for column in np.array([ranks(shape, number, n_draws=190, thin=10) for number in range(n)]).T:
        assert uniform_p(column, 20, n_bins=10) > 1e-9


def test_recovery():
    truth = hbm.HierarchicalModel(3, alpha=hbm.priors.LogNormal(0.5, 0.7), beta=[2.0, 1.0, 3.0])
    counts = hbm.simulate(truth, 200, n_groups=(5, 15), totals=20, rng=7, theta=False).counts
    p = hbm.sample(counts, hbm.PopulationModel(3), n_draws=500, rng=1).population
    for draws, true in ((p.mu, 0.5), (p.tau, 0.7), (p.kappa, 6.0), (p.m[..., 0], 1 / 3), (p.m[..., 1], 1 / 6)):
        assert abs(draws.mean() - true) < 5.0 * draws.std()


def test_the_bits_do_not_depend_on_threads():
    counts = hbm.simulate(MODEL, 200, n_groups=(0 + 1, 4), totals=(0, 9), rng=2, theta=False).counts
    one, two = (
        hbm.sample(counts, MODEL, n_draws=20, n_chains=2, n_warmup=20, rng=5, n_threads=n, diagnostics=False)
        for n in (1, 7)
    )
    assert (one.datasets.log_beta == two.datasets.log_beta).all()
    assert (one.population.tau == two.population.tau).all()


def test_large_counts_and_fixed_parameters():
    rng = np.random.default_rng(0)
    theta = rng.dirichlet([40.0, 20.0, 40.0], (6, 8))
    counts = np.array([[rng.multinomial(50_000, row) for row in table] for table in theta])
    model = hbm.PopulationModel(3, tau=0.2, kappa=30.0)
    r = hbm.sample(counts, model, n_draws=150, n_chains=2, n_warmup=100, rng=1, diagnostics=False)
    assert (r.population.tau == 0.2).all()
    assert np.allclose(r.population.kappa, 30.0)
    assert abs(r.population.mu.mean() - np.log(100.0)) < 1.0
    assert np.abs(r.population.m.mean(axis=(0, 1)) - [0.4, 0.2, 0.4]).max() < 0.1


def test_datasets_without_counts_have_the_population_as_posterior():
    r = hbm.sample([*COUNTS[:2], np.zeros((3, 2), int), np.zeros((1, 2), int)], MODEL, n_draws=4000, rng=1)
    empty, new = r[2], r.new_dataset()
    assert abs(empty.log_alpha.mean() - new.mu.mean()) < 0.3
    assert abs(empty.beta[..., 0].mean() - new.predict()[0]) < 0.03


def test_a_new_dataset_is_as_one_among_the_data():
    new = [[6, 0], [5, 1], [0, 4]]
    r = hbm.sample(COUNTS, MODEL, n_draws=5000, rng=1)
    within = hbm.sample([*COUNTS, new], MODEL, n_draws=5000, rng=2)[3]
    model = r.new_dataset()
    apart = hbm.sample(new, model, n_draws=5000)
    assert abs(apart.mean("log_alpha") - within.mean("log_alpha")) < 0.12
    assert np.abs(apart.mean("beta") - within.mean("beta")).max() < 0.02
    assert np.abs(model.predict(new) - apart.mean("beta")).max() < 1e-12  # the same draws
    few = hbm.sample(new, model, n_draws=50, n_chains=2, rng=3, group_names=["a", "b", "c"], diagnostics=False)
    assert few.log_alpha.shape == (2, 50)
    assert few.group_names == ("a", "b", "c")
    again, other = (hbm.sample(new, model, n_draws=50, n_chains=2, rng=key, diagnostics=False) for key in (3, 4))
    assert (again.log_alpha == few.log_alpha).all()
    assert (other.log_alpha != few.log_alpha).any()


def test_the_probability_of_a_new_dataset():
    r = hbm.sample(COUNTS, MODEL, n_draws=1500, rng=1, diagnostics=False)
    # two groups of two draws: the probabilities of all tables add up to 1
    groups = [[2, 0], [1, 1], [0, 2]]
    tables = [[a, b] for a in groups for b in groups]
    values, sizes = zip(*(r.log_predictive(table, return_ess=True) for table in tables), strict=True)
    assert min(sizes) > 1000
    assert abs(np.exp(values).sum() - 1.0) < 0.02
    ordered = r.log_predictive(tables[1], coefficient=False)
    assert r.log_predictive(tables[1]) == pytest.approx(ordered + np.log(2.0))


def test_ctrl_c():
    counts = hbm.simulate(MODEL, 300, n_groups=10, totals=15, rng=2, theta=False).counts
    threading.Timer(0.3, _thread.interrupt_main).start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        hbm.sample(counts, MODEL, n_draws=200_000, n_chains=2)
    assert time.monotonic() - start < 20.0


def test_names_files_and_copies(tmp_path):
    pytest.importorskip("h5netcdf")
    names = {"category_names": ["white", "black"], "dataset_names": ["Ada", "Ben", "Cem"]}
    r = hbm.sample(COUNTS, MODEL, n_draws=50, rng=1, diagnostics=False, **names)
    assert r["Ben"].dataset_names == ("Ben",)
    assert "m[white]" in r.population.summary()
    assert len(r) == 3
    assert len(list(r)) == 3
    r.save(tmp_path / "r.nc")
    for again in (hbm.PopulationPosterior.load(tmp_path / "r.nc"), pickle.loads(pickle.dumps(r))):
        assert again.model == MODEL
        assert (again.population.m == r.population.m).all()
        assert (again["Cem"].theta(0) == r["Cem"].theta(0)).all()
        assert again.log_predictive([[3, 1]]) == r.log_predictive([[3, 1]])
    with pytest.raises(ValueError, match=r"PopulationPosterior\.load"):
        hbm.Posterior.load(tmp_path / "r.nc")
    r["Ada"].save(tmp_path / "one.nc")
    with pytest.raises(ValueError, match="Posterior"):
        hbm.PopulationPosterior.load(tmp_path / "one.nc")
    tree = r.to_arviz()
    assert tree["posterior"]["m"].dims == ("chain", "draw", "category")
    assert tree["posterior"]["alpha"].dims == ("dataset", "chain", "draw")


def test_columns_in_any_order():
    table = hbm.tables.CountTable(np.array([[3, 1], [0, 4]]), ("white", "black"))
    swapped = hbm.tables.CountTable(np.array([[1, 3], [4, 0]]), ("black", "white"))
    r = hbm.sample([table, table], MODEL, n_draws=50, rng=1, diagnostics=False)
    assert r.log_predictive(table) == r.log_predictive(swapped)


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        ([[3, 1], [0, 4]], {}, "two datasets or more"),
        ([[[3, 1], [0, 4]]], {}, "two datasets or more"),
        ([[[3, 1, 1]], [[0, 4, 0]]], {}, "K = 3"),
        (COUNTS, {"dataset_names": ["Ada"]}, "dataset_names"),
    ],
)
def test_bad_input(counts, options, message):
    with pytest.raises(ValueError, match=message):
        hbm.sample(counts, MODEL, **options)


def test_refused_by_name():
    for options in ({"method": "gibbs"}, {"start": (1, 2)}, {"data": {}}):
        with pytest.raises(TypeError, match=next(iter(options))):
            hbm.sample(COUNTS, MODEL, **options)


def test_refused_with_a_new_dataset():
    new = hbm.sample(COUNTS, MODEL, n_draws=10, rng=1, diagnostics=False).new_dataset()
    wrong = {"method": "hmc", "start": (1, 2), "n_warmup": 5, "category_names": ["a", "b"], "dataset_names": ["a"]}
    for name, value in (wrong | {"data": {}}).items():
        with pytest.raises(TypeError, match=name):
            hbm.sample([[3, 1]], new, **{name: value})
    with pytest.raises(TypeError, match="SufficientStatistics"):
        hbm.sample(hbm.SufficientStatistics([[3, 1]]), new)
    with pytest.raises(ValueError, match="one dataset"):
        hbm.sample(COUNTS, new)
    with pytest.raises(ValueError, match="K = 2"):
        hbm.sample([[3, 1, 1]], new)


def test_refused_by_functions_of_one_dataset():
    functions = {
        "exact_posterior": lambda: hbm.exact_posterior([[3, 1]], MODEL),
        "simulation_based_calibration": lambda: hbm.calibration.simulation_based_calibration(
            hbm.sample, MODEL, n_groups=3, totals=5
        ),
    }
    for name, function in functions.items():
        with pytest.raises(TypeError, match=rf"HierarchicalModel, the only one that {name} takes"):
            function()


def test_models():
    model = hbm.PopulationModel(3, mu=hbm.priors.Normal(1, 0.5), tau=hbm.priors.HalfCauchy(1), kappa=4, m=[2, 1, 1])
    assert models.from_dict(models.to_dict(model)) == model
    assert model.m == hbm.priors.Dirichlet([2, 1, 1])
    for wrong in ({"mu": 3.0}, {"tau": "wide"}, {"kappa": None, "m": "flat"}):
        with pytest.raises(TypeError):
            hbm.PopulationModel(3, **wrong)
    for wrong in ({"m": hbm.priors.Dirichlet(hbm.priors.Exponential(1))}, {"m": [1, 2]}, {"tau": -1.0}):
        with pytest.raises(ValueError, match=r"m must|Fixed"):
            hbm.PopulationModel(3, **wrong)


def test_one_population_for_each_key():
    sims = hbm.simulate(hbm.PopulationModel(3), 6, n_groups=4, totals=9, rng=1)
    later = hbm.simulate(hbm.PopulationModel(3), 2, n_groups=4, totals=9, rng=sims.key, first=4)
    assert (later.counts == sims.counts[4:]).all()
    assert later.population["mu"] == sims.population["mu"]
    assert sims.population["m"].sum() == pytest.approx(1.0)


def test_a_dataset_without_counts_has_probability_one():
    new = hbm.sample(COUNTS, MODEL, n_draws=100, n_chains=2, rng=1, diagnostics=False).new_dataset()
    assert new.log_predictive(np.zeros((0, 2), dtype=int)) == pytest.approx(0.0, abs=1e-12)
    value, effective = new.log_predictive([[0, 0]], return_ess=True)
    assert value == pytest.approx(0.0, abs=1e-12)
    assert effective == pytest.approx(4000.0)


def test_plots_are_of_one_dataset():
    post = hbm.sample(COUNTS, MODEL, n_draws=50, n_chains=1, rng=1)
    with pytest.raises(TypeError, match=r"got a PopulationPosterior. Of a PopulationPosterior plot post\[b\]"):
        hbm.plots.posterior(post)
