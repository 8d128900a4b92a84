"""Every public object pickles, copies and shows: its copies give the same results, its text has at most ten lines."""

import copy
import html
import importlib
import inspect
import math
import pickle
import re
import warnings
from functools import cache

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast import priors

WIDE = np.random.default_rng(3).multinomial(50, np.full(40, 1.0 / 40), 12)
BAGS = np.array([[20, 0], [0, 20], [3, 1]])
FOUR = np.array([[5, 1], [1, 5], [3, 3], [6, 0]])
MANY = np.array([[[9, 1], [7, 3]], [[4, 6], [8, 2]], [[1, 9], [5, 5]], [[6, 4], [2, 8]]])
MODEL = hbm.HierarchicalModel(2, alpha=priors.Gamma(2.0, rate=0.1), beta=[0.5, 1.5])

REGRESSION = hbm.RegressionModel(2)
DESIGN = np.column_stack([np.ones(8), np.arange(8.0)])
REGRESSED = np.array([[5, 1], [1, 5], [3, 3], [6, 0], [2, 7], [1, 6], [5, 3], [2, 9]])


def draws(**changes):
    rng = np.random.default_rng(1)
    log_alpha, log_beta = rng.normal(size=(2, 200)), np.log(rng.dirichlet([1.0, 1.0], (2, 200)))
    return hbm.Posterior(log_alpha, log_beta, model=MODEL, counts=BAGS, key=[1, 2], **changes)


class OwnTheta:
    """log theta of each observed group, as a bottom-up network provides it."""

    def __init__(self, shape):
        self.log_theta = np.log(np.random.default_rng(0).dirichlet([1.0, 2.0], shape))

    def __call__(self, group):
        return self.log_theta[group]


def batch_with_own_theta():
    one = draws()
    return hbm.Posterior(
        one.log_alpha[np.newaxis].repeat(2, 0),
        one.log_beta[np.newaxis].repeat(2, 0),
        model=MODEL,
        counts=np.stack([BAGS, BAGS[::-1]]),
        key=[1, 2],
        theta_draws=OwnTheta((3, 2, 2, 200)),
    )


def exact():
    return hbm.exact_posterior(BAGS, MODEL, n_draws=200, rng=1, group_names=["a", "b", "c"])


def population():
    return hbm.sample(MANY, hbm.PopulationModel(2), n_draws=100, n_chains=2, rng=1, diagnostics=False)


def exact_batch():
    return hbm.exact_posterior(np.stack([BAGS, BAGS[::-1]]), MODEL, n_draws=200, rng=1)


def calibration():
    rng = np.random.default_rng(0)
    return hbm.calibration.simulation_based_calibration(
        lambda counts: hbm.exact_posterior(counts, n_draws=20, rng=rng),
        hbm.HierarchicalModel(2),
        3,
        n_groups=2,
        totals=3,
        n_ranks=21,
        rng=0,
    )


def answers_of_posterior(post):
    weights = [] if post.log_weights is None else [post.log_weights]
    names = ("alpha", "log_alpha", "beta")
    return [
        post.log_alpha,
        post.log_beta,
        *weights,
        *(post.mean(name) for name in names),
        *(post.sd(name) for name in names),
        *(post.quantile(name, [0.1, 0.9]) for name in names),
        *(post.theta(group) for group in (None, 1)),
        post.theta(counts=[2, 1]),
        post.predict(1),
        post.predict(counts=[2, 1]),
        post.log_predictive([[2, 1], [0, 3]]),
        post.log_predictive([[2, 1], [0, 3]], jointly=True),
        post.predictive_counts(0),
    ]


def answers_of_quadrature(exact):
    rng = np.random.default_rng(0)
    return [
        exact.log_alpha,
        exact.log_evidence,
        exact.quantile("beta", np.array([0.2, 0.5])),
        exact.cdf("log_alpha", [0.0, 1.0]),
        *exact.marginal("beta"),
        exact.log_density(0.0, [0.1, 0.2]),
        exact.log_predictive(np.array([[1, 2]])),
        *exact.draw(5, rng),
    ]


STATISTICS = (hbm.SufficientStatistics, lambda s: [s.n_groups, *s.log_likelihood_gradient([[0.3, 0.7], [2.0, 1.0]])])
FIELDS = (lambda x: [value for value in vars(x).values() if value is not None],)
ALPHA = [
    priors.Fixed(2.0),
    priors.Exponential(2.0),
    priors.Gamma(2.0, rate=1.0),
    priors.LogNormal(1.0, 2.0),
    priors.HalfNormal(3.0),
    priors.HalfCauchy(3.0),
    priors.LogUniform(0.1, 9.0),
    priors.Lomax(0.5, 2.0),
    priors.Power(-1.5, lower=0.1, upper=9.0),
]
EXAMPLES = {
    **{type(prior).__name__: (lambda prior=prior: prior, lambda p: [repr(p), p.log_density(0.3)]) for prior in ALPHA},
    "Dirichlet": (lambda: priors.Dirichlet([1.0, 2.0]), lambda p: [repr(p)]),
    "Normal": (lambda: priors.Normal(1.0, 2.0), lambda p: [repr(p)]),
    "FixedBeta": (lambda: priors.FixedBeta([0.25, 0.75]), lambda p: [repr(p)]),
    "RegressionModel": (lambda: REGRESSION, lambda m: [repr(m)]),
    "RegressionSimulation": (
        lambda: hbm.simulate(REGRESSION, 2, design=DESIGN, totals=9, rng=0),
        lambda s: [s.coefficients, s.counts],
    ),
    "RegressionFit": (
        lambda: hbm.fit(REGRESSED, REGRESSION, design=DESIGN),
        lambda f: [repr(f), f.coefficients, f.standard_error, f.predict(), str(f.summary())],
    ),
    "ManyFits": (
        lambda: hbm.fit_many({"a": REGRESSED}, design=DESIGN, null_design=np.ones((8, 1))),
        lambda f: [repr(f), f.p_value],
    ),
    "HierarchicalModel": (lambda: MODEL, lambda m: [repr(m)]),
    "SufficientStatistics": (lambda: hbm.SufficientStatistics(BAGS, weights=[1.0, 2.5, 1.0]), STATISTICS[1]),
    "Simulation": (lambda: hbm.simulate(MODEL, 3, n_groups=2, totals=4, rng=0), *FIELDS),
    "FitResult": (lambda: hbm.fit(FOUR), lambda f: [str(f), f.concentration, f.covariance()]),
    "MixtureModel": (lambda: hbm.MixtureModel(2, n_components=3), lambda m: [repr(m)]),
    "ComponentSelection": (
        lambda: hbm.select_components(FOUR, [1, 2]),
        lambda s: [str(s), s.best("laplace").concentration, s.best().weights],
    ),
    "MixtureClassifier": (
        lambda: hbm.fit(FOUR, hbm.MixtureModel(2, n_components=1), labels=[*"abab"]),
        lambda c: [str(c), c.predict_proba(BAGS)],
    ),
    "MixtureSimulation": (
        lambda: hbm.simulate(hbm.MixtureModel(2, n_components=2), 3, n_groups=2, totals=4, rng=0),
        *FIELDS,
    ),
    "DirichletProcess": (lambda: priors.DirichletProcess(2.0), lambda p: [repr(p)]),
    "MixtureFit": (
        lambda: hbm.fit(FOUR, hbm.MixtureModel(2, n_components=2)),
        lambda f: [str(f), f.concentration, f.standard_error, f.log_evidence, f.predict_proba(BAGS), str(f.summary())],
    ),
    "MixturePosterior": (
        lambda: hbm.sample(BAGS, hbm.MixtureModel(2, n_components=2), n_draws=50, rng=1, diagnostics=False),
        lambda p: [p.labels, p.log_weights, p.alpha, p.co_assignment(), p.log_predictive([3, 1])],
    ),
    "MultinomialMixturePosterior": (
        lambda: hbm.sample(BAGS, hbm.MixtureModel(2, n_components=2, alpha=math.inf), n_draws=50, rng=1),
        lambda p: [p.labels, p.log_weights, p.co_assignment(), p.predict(1), p.log_predictive([3, 1])],
    ),
    "Evidence": (lambda: hbm.log_evidence(BAGS, MODEL), lambda e: [repr(e), e.value, e.error]),
    "Languages": (hbm.datasets.load_languages, lambda found: [found.names, found.counts(0), found.split]),
    "Dataset": (hbm.datasets.load_rat_tumors, *FIELDS),
    "CountTable": (lambda: hbm.tables.CountTable(BAGS, ("a", "b")), *FIELDS),
    "Posterior": (draws, answers_of_posterior),
    "Calibration": (calibration, lambda c: [c.ranks, c.p_value, str(c)]),
    "Distance": (lambda: hbm.calibration.distance(exact(), exact())["beta"], lambda d: [d.w1, d.ks]),
    "Posterior, weighted": (
        lambda: draws(log_weights=np.linspace(-1.0, 1.0, 400).reshape(2, 200)),
        answers_of_posterior,
    ),
    "Posterior, by MCMC": (lambda: hbm.sample(BAGS, MODEL, n_draws=500, rng=1), answers_of_posterior),
    "Posterior, exact": (exact, answers_of_posterior),
    "Posterior, exact batch": (exact_batch, answers_of_posterior),
    "Posterior, of an exact batch": (lambda: exact_batch()[1], answers_of_posterior),
    "Posterior, own theta": (lambda: draws(theta_draws=OwnTheta((3, 2, 200))), answers_of_posterior),
    "Posterior, batch with own theta": (batch_with_own_theta, answers_of_posterior),
    "Posterior, of a batch with own theta": (lambda: batch_with_own_theta()[1], answers_of_posterior),
    "Quadrature": (lambda: exact().moments, answers_of_quadrature),
    "QuadratureBatch": (
        lambda: exact_batch().moments,
        lambda q: [q.mean("alpha"), q.quantile("beta", np.array([0.3]))],
    ),
    "Posterior, of a slice": (lambda: exact_batch()[:1], answers_of_posterior),
    "Posterior, by Gibbs": (lambda: hbm.sample(BAGS, n_draws=200, method="gibbs", rng=1), answers_of_posterior),
    "Posterior, by MH": (lambda: hbm.sample(BAGS, n_draws=1000, method="mh", rng=1), answers_of_posterior),
    "Posterior, wide": (lambda: hbm.sample(WIDE, n_draws=200, rng=1), lambda p: [p.log_beta, p.predict(1), p.theta(2)]),
    "PopulationModel": (lambda: hbm.PopulationModel(2), lambda m: [repr(m)]),
    "PopulationPosterior": (population, lambda r: [r.population.m, r[1].theta(0), r.log_predictive(BAGS), repr(r)]),
    "Population": (lambda: population().population, lambda p: [p.mu, str(p.summary())]),
    "NewDataset": (lambda: population().new_dataset(), lambda n: [n.predict(BAGS), n.log_predictive(BAGS)]),
    "PopulationFit": (lambda: hbm.fit(MANY, hbm.PopulationModel(2), rng=1), lambda f: [f.m, repr(f)]),
    "RegressionPosterior": (
        lambda: hbm.sample(BAGS, hbm.RegressionModel(BAGS.shape[1]), n_draws=200, rng=1),
        lambda p: [p.coefficients, p.predict(), p.predictive_counts(), p.loo().pointwise, str(p.summary())],
    ),
    "LeaveOneOut": (
        lambda: hbm.sample(BAGS, hbm.RegressionModel(BAGS.shape[1]), n_draws=200, rng=1).loo(),
        lambda f: [repr(f), f.pointwise],
    ),
    "GroupComparison": (
        lambda: hbm.compare_groups(np.vstack([BAGS, BAGS[::-1]]), by=[*"aaabbb"], rng=1),
        lambda c: [repr(c), c.log_bayes_factor, c.log2_ratio, c.likelihood_ratio, str(c.concentration_ratio)],
    ),
    "ModelRanking": (
        lambda: hbm.compare_models({"one": MODEL, "other": hbm.HierarchicalModel(2)}, BAGS, rng=1),
        lambda c: [repr(c), c.probability, c.names, c.loo[0].pointwise],
    ),
    "Summary": (lambda: exact().summary(), lambda s: [str(s), *(list(row.values()) for row in s.values())]),
    "Summary, of a batch": (lambda: exact_batch().summary(), lambda s: [str(s)]),
    "NamedCounts": (lambda: hbm.tables.as_counts(hbm.datasets.load_pollen()), lambda n: [n.counts, n.category_names]),
    "dirichlet_multinomial": (lambda: hbm.dirichlet_multinomial, lambda d: [d.logpmf([1, 2], [1.0, 2.0], 3)]),
    "dirichlet_multinomial, frozen": (
        lambda: hbm.dirichlet_multinomial(np.full(300, 2.0), 5),
        lambda d: [d.mean(), d.var()],
    ),
}


@cache
def of_datasets():
    counts = hbm.simulate(hbm.HierarchicalModel(2), 50, n_groups=6, totals=9, rng=1).counts
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a short training
        return hbm.embedding.train(data=counts, shared="dataset", dim=2, steps=2, n_simulated=64, rng=0)


def answers_of_dataset(post):
    return [post.predict(None), post.log_predictive(BAGS)]


def answers_of_network(network):
    post = network.sample(BAGS, n_draws=50, rng=1)
    return [post.log_alpha, post.log_beta, post.predict(1)]


# of the packages that need torch
TRAINED = {
    "Estimator": (lambda: hbm.amortize.load("marbles"), answers_of_network),
    "Estimator, any-k": (lambda: hbm.amortize.load("any-k"), answers_of_network),
    "Estimator, bottom-up": (lambda: hbm.amortize.load("marbles-bottom-up"), answers_of_network),
    "Embedding": (lambda: hbm.embedding.load("marbles"), answers_of_network),
    "EmbeddingPosterior": (
        lambda: hbm.embedding.load("marbles").sample(BAGS, n_draws=100, rng=1),
        answers_of_posterior,
    ),
    "Posterior, by a network": (lambda: hbm.amortize.load("marbles").sample(BAGS, rng=1), answers_of_posterior),
    "Posterior, any-k": (lambda: hbm.amortize.load("any-k").sample(BAGS, rng=1), answers_of_posterior),
    "Posterior, bottom-up": (lambda: hbm.amortize.load("marbles-bottom-up").sample(BAGS, rng=1), answers_of_posterior),
    "DatasetEmbedding": (lambda: of_datasets(), lambda e: answers_of_dataset(e.sample(BAGS, rng=1))),
    "DatasetPosterior": (lambda: of_datasets().sample(BAGS, rng=1), lambda p: answers_of_dataset(p)),
    "TrainingOptions": (lambda: hbm.amortize.TrainingOptions(steps=10), lambda o: [repr(o)]),
    "Gap": (
        lambda: importlib.import_module("hbm_fast.embedding").Gap(0.5, 0.1, 0.6, 0.1),
        lambda g: [repr(g), g.value],
    ),
    "ModelComparison": (
        lambda: importlib.import_module("hbm_fast.embedding").ModelComparison(MODEL, BAGS[np.newaxis]),
        lambda c: [c.log_true.numpy(), c.counts],
    ),
}


@cache
def example(name):
    """The object and its answers; without torch, those that need it are skipped."""
    if name in TRAINED:
        pytest.importorskip("torch")
        pytest.importorskip("zuko")
        pytest.importorskip("safetensors")
    make, answers = (EXAMPLES | TRAINED)[name]
    made = make()
    return made, answers, answers(made)


def public_classes(*names):
    """Names of the classes that the package and its subpackages export, without warnings and abstract bases."""
    modules = [hbm, *(importlib.import_module(f"hbm_fast.{name}") for name in names)]
    found = {name: getattr(module, name) for module in modules for name in getattr(module, "__all__", ())}
    return {
        name
        for name, value in found.items()
        if inspect.isclass(value) and not issubclass(value, Warning) and value is not priors.AlphaPrior
    }


def test_every_public_class_is_tried(absent_extras_skip):
    core = ("calibration", "datasets", "fitting", "models", "posterior", "priors", "quadrature", "tables")
    with absent_extras_skip():  # the package exports names of its extras too
        assert public_classes(*core) <= EXAMPLES.keys()
        assert public_classes("amortize", "embedding", "plots", "integrations") <= EXAMPLES.keys() | TRAINED.keys()


def by_odd_buffers(made):
    """A pickle whose arrays lie at odd addresses of a message, as those of dask may."""
    buffers = []
    stored = pickle.dumps(made, protocol=5, buffer_callback=buffers.append)
    return pickle.loads(stored, buffers=[memoryview(bytearray(b"_" + buffer.raw()))[1:] for buffer in buffers])


@pytest.mark.parametrize(
    "duplicate",
    [lambda x: pickle.loads(pickle.dumps(x)), by_odd_buffers, copy.deepcopy, copy.copy],
    ids=["pickle", "buffers", "deep", "copy"],
)
@pytest.mark.parametrize("name", [*EXAMPLES, *TRAINED])
@pytest.mark.filterwarnings("ignore::hbm_fast.ConvergenceWarning")
def test_a_copy_gives_the_same_results(name, duplicate):
    made, answers, expected = example(name)
    again = duplicate(made)
    assert type(again) is type(made)
    for one, two in zip(expected, answers(again), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("name", [*EXAMPLES, *TRAINED])
@pytest.mark.filterwarnings("ignore::hbm_fast.ConvergenceWarning")
def test_what_is_shown_is_short(name):
    made, *_ = example(name)
    text = repr(made)
    assert 0 < len(text.splitlines()) <= 10
    assert max(map(len, text.splitlines())) <= 250
    assert " object at 0x" not in text
    shown = made._repr_html_()
    assert re.match(r"<(pre|table)>", shown)
    assert shown.count("<tr>") == shown.count("</tr>") <= 41


def test_cards():
    names = {"category_names": ["white", "<b>black</b>"]}
    post = hbm.exact_posterior(hbm.datasets.load_marbles().counts, rng=0, **names)
    text = repr(post)
    assert text.startswith("Posterior: 21 groups, 2 categories (white, <b>black</b>); exact, by quadrature")
    assert "alpha " in text
    low, high = post.quantile("beta", [0.05, 0.95])[:, 1]
    assert f"beta[<b>black</b>]  {post.mean('beta')[1]:.3g} [{low:.3g}, {high:.3g}]" in text
    assert text.endswith("log evidence -19.4435")
    shown = post._repr_html_()
    assert "<b>" not in shown
    assert html.escape("beta[<b>black</b>]") in shown
    assert "<b>" not in post.summary()._repr_html_()
    chains = hbm.sample(WIDE, n_draws=200, rng=1)
    assert f"R-hat at most {chains.details['r_hat']:.3f}" in repr(chains)
    assert "and 37 further categories" in repr(chains)
    fit = hbm.fit(hbm.datasets.load_pollen()).rename(category_names=list("abcd"))
    assert repr(fit).splitlines()[0].startswith("FitResult: 73 groups, 4 categories (a, b, c, ...); log-likelihood -")
    assert f"a {fit.concentration[0]:.4g} (standard error {fit.standard_error[0]:.2g})" in repr(fit)
    sims = hbm.simulate(hbm.HierarchicalModel(2), 100, n_groups=(3, 21), totals=20, rng=0)
    assert repr(sims).startswith("Simulation(100 datasets, 3 to 21 groups, K = 2, totals 20, first 0, rng key 0x")


def test_a_card_of_many_draws_is_thinned():
    """The thinned mean is that of a part of the draws: near the whole one, and quick."""
    rng = np.random.default_rng(0)
    log_alpha, log_beta = rng.normal(size=(4, 5000)), np.log(rng.dirichlet(np.ones(200), (4, 5000)))
    for log_weights in (None, np.zeros((4, 5000))):
        model = hbm.HierarchicalModel(200)
        text = repr(hbm.Posterior(log_alpha, log_beta, model=model, log_weights=log_weights))
        found = float(re.search(r"alpha +(\S+) \[", text)[1])
        assert abs(found - np.exp(0.5)) < 0.3  # 5,000 draws with a standard deviation of 2.2: a standard error of 0.03


def test_processes_return_exact_posteriors():
    """A result returned from a process keeps its densities, and not only its draws."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        found = pool.submit(hbm.exact_posterior, BAGS, MODEL, rng=1).result()
    np.testing.assert_array_equal(found.mean("alpha"), hbm.exact_posterior(BAGS, MODEL, rng=1).mean("alpha"))
    assert found.marginal("log_alpha")[1].max() > 0.0
