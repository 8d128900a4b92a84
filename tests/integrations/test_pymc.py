"""The likelihood and the distribution in PyMC."""

import logging
from importlib.util import find_spec

import numpy as np
import pytest
import scipy.sparse

import hbm_fast as hbm

pm = pytest.importorskip("pymc")
import pytensor  # noqa: E402
import pytensor.tensor as pt  # noqa: E402

from hbm_fast.integrations.pymc import DirichletMultinomial, log_likelihood  # noqa: E402

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

GENERATOR = np.random.default_rng(8)
COUNTS = GENERATOR.multinomial(20, GENERATOR.dirichlet(np.full(4, 0.5), size=30))
SHARED = np.array([0.3, 1.2, 0.7, 2.0])
EACH = GENERATOR.gamma(1.0, size=(30, 4)) + 0.01
STATISTICS = hbm.SufficientStatistics(COUNTS)
PYTHON = pytensor.compile.mode.Mode("py", "fast_run")  # seconds of C++ are saved
MODES = {"python": PYTHON, "numba": "NUMBA", "no rewriting": pytensor.compile.mode.Mode("py", None)}
if find_spec("jax") is not None:
    MODES["jax"] = "JAX"


def evaluated(counts, concentration, mode=PYTHON, **options):
    """Values, and the gradient of their sum."""
    a = pt.tensor("a", dtype=concentration.dtype, shape=concentration.shape)
    value = log_likelihood(counts, a, **options)
    return pytensor.function([a], [value, pytensor.grad(value.sum(), a)], mode=mode)(concentration)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [(np.asarray, mode) for mode in MODES.values()]
    + [(kind, PYTHON) for kind in (scipy.sparse.csr_array, pt.constant, pytensor.shared)],
)
def test_values_and_gradients_are_the_numpy_functions(kind, mode):
    counts = COUNTS if kind is not scipy.sparse.csr_array else kind(COUNTS)
    value, gradient = evaluated(kind(COUNTS), EACH, mode)
    np.testing.assert_array_equal(value, hbm.log_likelihood_gradient(counts, EACH)[0])
    np.testing.assert_array_equal(gradient, hbm.log_likelihood_gradient(counts, EACH)[1])
    value, gradient = evaluated(kind(COUNTS), SHARED, mode)
    np.testing.assert_allclose(value, hbm.log_likelihood(counts, SHARED), rtol=1e-13)
    np.testing.assert_allclose(gradient, hbm.log_likelihood_gradient(COUNTS, SHARED)[1].sum(0), rtol=1e-12)


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_statistics(mode):
    a = pt.tensor("a", dtype="float64", shape=(2, 4))
    value = log_likelihood(STATISTICS, a, coefficient=False)
    function = pytensor.function([a], [value, pytensor.grad(value.sum(), a)], mode=mode)
    at = np.stack([SHARED, 2 * SHARED])
    expected = STATISTICS.log_likelihood_gradient(at, coefficient=False)
    for found, wanted in zip(function(at), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    for found, wanted in zip(function(-at), (-np.inf, 0.0), strict=True):
        assert (np.asarray(found) == wanted).all()


def test_later_counts_are_not_in_the_graph():
    statistics = hbm.SufficientStatistics(COUNTS)
    a = pt.dvector("a")
    before = log_likelihood(statistics, a)
    statistics.add(COUNTS)
    assert before.eval({a: SHARED}, mode=PYTHON) == STATISTICS.log_likelihood(SHARED)


def test_leading_axes_broadcast():
    a = np.stack([EACH, 2 * EACH])
    x = pt.tensor("x", dtype="int32", shape=(30, 4))
    concentration = pt.tensor("a", dtype="float64", shape=(2, 1, 4))
    value = log_likelihood(x, concentration)
    weights = np.arange(60.0).reshape(2, 30)
    gradient = pytensor.grad((weights * value).sum(), concentration)
    at = a[:, :1]
    numbers, slopes = hbm.log_likelihood_gradient(COUNTS, at)
    inputs = {x: COUNTS.astype(np.int32), concentration: at}
    np.testing.assert_array_equal(value.eval(inputs, mode=PYTHON), numbers)
    np.testing.assert_allclose(
        gradient.eval(inputs, mode=PYTHON), (weights[..., None] * slopes).sum(1, keepdims=True), rtol=1e-12
    )
    assert value.shape.eval(inputs, mode=PYTHON).tolist() == [2, 30]
    assert evaluated(COUNTS, EACH.astype(np.float32))[0].dtype == np.float32


def test_bad_values():
    value, gradient = evaluated(COUNTS, -EACH)
    assert (value == -np.inf).all()
    assert (gradient == 0.0).all()
    value, gradient = evaluated(STATISTICS, np.full(4, np.nan))
    assert value == -np.inf
    with pytest.raises(ValueError, match="negative"):
        log_likelihood(-COUNTS, EACH)
    with pytest.raises(ValueError, match="negative"):
        evaluated(pytensor.shared(-COUNTS), EACH)
    with pytest.raises(TypeError, match="integer tensor"):
        log_likelihood(pt.dmatrix(), EACH)
    with pytest.raises(TypeError, match="floating"):
        log_likelihood(COUNTS, pt.lvector())
    a = pt.dvector("a")
    slope = pytensor.grad(log_likelihood(STATISTICS, a), a)
    with pytest.raises(NotImplementedError, match="no derivative"):
        pytensor.grad(slope.sum(), a)


CHAIN = dict(chains=1, cores=1, progressbar=False, random_seed=3)


def model_of(distribution, observed, shape=(4,), **options):
    with pm.Model(coords={"category": list("abcd"), "group": np.arange(30)}) as model:
        a = pm.Exponential("a", 1.0, shape=shape)
        distribution("x", 20, a, observed=observed, **options)
    return model


@pytest.mark.parametrize(("shape", "data"), [((4,), False), ((4,), True), ((30, 4), True)])
def test_models_agree_with_the_distribution_of_the_library(shape, data):
    models = []
    for distribution in (pm.DirichletMultinomial, DirichletMultinomial):
        with pm.Model(coords={"category": list("abcd"), "group": np.arange(30)}) as model:
            a = pm.Exponential("a", 1.0, shape=shape)
            observed = pm.Data("counts", COUNTS, dims=("group", "category")) if data else COUNTS
            distribution("x", 20, a, observed=observed, dims=("group", "category"))
        models.append(model)
    point = {"a_log__": np.log(SHARED if shape == (4,) else EACH)}
    theirs, ours = ([f(point) for f in (m.compile_logp(mode=PYTHON), m.compile_dlogp(mode=PYTHON))] for m in models)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-10)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-8, atol=1e-8)
    if data:
        with models[1]:
            pm.set_data({"counts": COUNTS[::-1].copy()})
        expected = hbm.log_likelihood(COUNTS[::-1], SHARED if shape == (4,) else EACH)
        (each,) = models[1].compile_logp(vars=[models[1]["x"]], sum=False, mode=PYTHON)(point)
        np.testing.assert_allclose(each, expected, rtol=1e-12)


def test_a_shared_concentration_is_evaluated_by_statistics():
    function = model_of(DirichletMultinomial, COUNTS).logp_dlogp_function(ravel_inputs=True, mode=PYTHON)
    kernels = [n.op for n in function._pytensor_function.maker.fgraph.apply_nodes if "Groups" in type(n.op).__name__]
    assert [(type(op).__name__, op.gradient) for op in kernels] == [("_AllGroups", True)]


def test_impossible_counts_have_no_probability():
    a = pt.as_tensor_variable(SHARED)
    for n, x in [(20, [3, 2, 1, 0]), (6, [3, 2, 2, -1]), (6, [2.5, 3.5, 0, 0])]:
        assert pm.logp(DirichletMultinomial.dist(n, a), np.array(x)).eval(mode=PYTHON) == -np.inf
    x = np.array([3, 2, 1, 0])
    assert pm.logp(DirichletMultinomial.dist(6, a), x).eval(mode=PYTHON) == hbm.log_likelihood(x, SHARED)
    draws = pm.draw(DirichletMultinomial.dist(6, a, shape=(5, 4)), random_seed=1)
    assert (draws.sum(-1) == 6).all()


def test_prediction():
    """Sampling by nutpie: test_one_model.py."""
    logging.getLogger("pymc").setLevel(logging.ERROR)
    model = model_of(DirichletMultinomial, COUNTS, dims=("group", "category"))
    with model:
        trace = pm.sample(20, tune=20, compile_kwargs={"mode": PYTHON}, **CHAIN)
        pm.compute_log_likelihood(trace, progressbar=False, compile_kwargs={"mode": PYTHON})
        drawn = pm.sample_posterior_predictive(trace, progressbar=False, random_seed=1, compile_kwargs={"mode": PYTHON})
    a = trace.posterior["a"].values
    assert a.shape == (1, 20, 4)
    expected = hbm.log_likelihood(COUNTS, a[..., np.newaxis, :])
    np.testing.assert_allclose(trace.log_likelihood["x"].values, expected, rtol=1e-12)
    counts = drawn.posterior_predictive["x"]
    assert counts.dims == ("chain", "draw", "group", "category")
    assert (counts.sum("category") == 20).all()


def test_sparse_counts_are_a_potential():
    logging.getLogger("pymc").setLevel(logging.ERROR)
    model = model_of(DirichletMultinomial, scipy.sparse.csr_array(COUNTS), dims=("group", "category"))
    assert model.potentials == [model["x"]]
    point = {"a_log__": np.log(SHARED)}
    np.testing.assert_allclose(
        model.compile_logp(vars=[model["x"]])(point), STATISTICS.log_likelihood(SHARED), rtol=1e-12
    )
    np.testing.assert_allclose(
        model.compile_dlogp()(point), model_of(DirichletMultinomial, COUNTS).compile_dlogp()(point)
    )
    with model:
        trace = pm.sample(20, tune=20, compile_kwargs={"mode": PYTHON}, **CHAIN)
        for names in (None, ["x"]):
            with pytest.raises(NotImplementedError, match="sparse observed"):
                pm.sample_posterior_predictive(trace, var_names=names, progressbar=False)
    with pytest.raises(ValueError, match="n must be the constant totals"):
        model_of(DirichletMultinomial, scipy.sparse.csr_array(COUNTS[:, ::-1] * 2))
    with pytest.raises(TypeError, match="total_size"):
        model_of(DirichletMultinomial, scipy.sparse.csr_array(COUNTS), total_size=60)
