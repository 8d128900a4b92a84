"""Every public object of the core package pickles and copies, and its copies give the same results."""

import copy
import importlib
import inspect
import pickle

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast import priors

BAGS = np.array([[20, 0], [0, 20], [3, 1]])
MODEL = hbm.HierarchicalModel(2, alpha=priors.Gamma(2.0, rate=0.1), beta=[0.5, 1.5])


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
    "FixedBeta": (lambda: priors.FixedBeta([0.25, 0.75]), lambda p: [repr(p)]),
    "HierarchicalModel": (lambda: MODEL, lambda m: [repr(m)]),
    "SufficientStatistics": (lambda: hbm.SufficientStatistics(BAGS, weights=[1.0, 2.5, 1.0]), STATISTICS[1]),
    "Simulation": (lambda: hbm.simulate(MODEL, 3, n_groups=2, totals=4, rng=0), *FIELDS),
    "FitResult": (
        lambda: hbm.fit(np.array([[5, 1], [1, 5], [3, 3], [6, 0]])),
        lambda f: [str(f), f.concentration, f.covariance()],
    ),
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
    "Summary": (lambda: exact().summary(), lambda s: [str(s)]),
}


def public_classes():
    """Names of the classes that the core package exports, without warnings and abstract bases."""
    modules = [
        hbm,
        *(importlib.import_module(f"hbm_fast.{name}") for name in ("calibration", "datasets", "priors", "tables")),
    ]
    found = {name: getattr(module, name) for module in modules for name in module.__all__}
    return {
        name
        for name, value in found.items()
        if inspect.isclass(value) and not issubclass(value, Warning) and value is not priors.AlphaPrior
    }


def test_every_public_class_is_tried(absent_extras_skip):
    with absent_extras_skip():
        assert public_classes() <= EXAMPLES.keys()


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
@pytest.mark.parametrize("name", EXAMPLES)
def test_a_copy_gives_the_same_results(name, duplicate):
    make, answers = EXAMPLES[name]
    made = make()
    again = duplicate(made)
    assert type(again) is type(made)
    for one, two in zip(answers(made), answers(again), strict=True):
        np.testing.assert_array_equal(one, two)


def test_processes_return_exact_posteriors():
    """A result returned from a process keeps its densities, and not only its draws."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        found = pool.submit(hbm.exact_posterior, BAGS, MODEL, rng=1).result()
    np.testing.assert_array_equal(found.mean("alpha"), hbm.exact_posterior(BAGS, MODEL, rng=1).mean("alpha"))
    assert found.marginal("log_alpha")[1].max() > 0.0
