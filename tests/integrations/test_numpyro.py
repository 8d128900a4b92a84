"""The distribution in NumPyro, and statistics as a factor."""

import numpy as np
import pytest

import hbm_fast as hbm

jax = pytest.importorskip("jax")
numpyro = pytest.importorskip("numpyro")
import jax.numpy as jnp  # noqa: E402
import numpyro.distributions as dist  # noqa: E402
from numpyro.infer import Predictive  # noqa: E402
from numpyro.infer.util import log_density  # noqa: E402

from hbm_fast.integrations.jax import log_likelihood  # noqa: E402
from hbm_fast.integrations.numpyro import DirichletMultinomial  # noqa: E402

pytestmark = pytest.mark.peers

GENERATOR = np.random.default_rng(6)
COUNTS = GENERATOR.multinomial(20, GENERATOR.dirichlet(np.full(4, 0.5), size=30))
STATISTICS = hbm.SufficientStatistics(COUNTS)
SHARED = jnp.array([0.3, 1.2, 0.7, 2.0])


def with_plate(distribution, observed):
    a = numpyro.sample("a", dist.Exponential(1.0).expand([4]).to_event(1))
    with numpyro.plate("groups", 30):
        numpyro.sample("x", distribution(a, 20), obs=observed)


def with_statistics():
    a = numpyro.sample("a", dist.Exponential(1.0).expand([4]).to_event(1))
    numpyro.factor("x", log_likelihood(STATISTICS, a))


def test_the_interface_is_that_of_the_library():
    totals = np.array([20, 5])
    concentration = jnp.stack([SHARED, 2 * SHARED])
    ours = DirichletMultinomial(concentration, totals, total_count_max=20, validate_args=True)
    theirs = dist.DirichletMultinomial(concentration, totals, validate_args=True)
    assert (ours.batch_shape, ours.event_shape) == (theirs.batch_shape, theirs.event_shape)
    np.testing.assert_array_equal(ours.mean, theirs.mean)
    np.testing.assert_array_equal(ours.variance, theirs.variance)
    assert DirichletMultinomial.sample is dist.DirichletMultinomial.sample  # drawn in test_prediction
    draws = np.stack([GENERATOR.multinomial(totals, p) for p in GENERATOR.dirichlet(np.ones(4), size=7)])
    np.testing.assert_allclose(ours.log_prob(draws), theirs.log_prob(draws), rtol=1e-4)
    np.testing.assert_array_equal(ours.log_prob(draws.astype(float)), ours.log_prob(draws))
    assert ours.expand((3, 2)).log_prob(draws[0]).shape == (3, 2)
    with pytest.raises(ValueError, match="concentration"):
        DirichletMultinomial(-SHARED, 20, validate_args=True)


@pytest.mark.filterwarnings("ignore")
def test_models_agree():
    point = {"a": SHARED}
    models = [
        (with_plate, (DirichletMultinomial, COUNTS)),
        (with_plate, (dist.DirichletMultinomial, COUNTS)),
        (with_statistics, ()),
    ]

    def both(model, arguments):
        return jax.jit(jax.value_and_grad(lambda p: log_density(model, arguments, {}, p)[0]))(point)

    values, slopes = zip(*(both(*model) for model in models), strict=True)
    np.testing.assert_allclose(values, values[0], rtol=1e-5)
    np.testing.assert_allclose([s["a"] for s in slopes], [slopes[0]["a"]] * 3, rtol=1e-3, atol=1e-3)


@pytest.mark.filterwarnings("ignore")
def test_prediction():
    """Sampling by NUTS: test_one_model.py."""
    samples = {"a": jnp.stack([SHARED, 2 * SHARED])}
    drawn = Predictive(with_plate, samples)(jax.random.key(2), DirichletMultinomial, None)["x"]
    assert drawn.shape == (2, 30, 4)
    assert (drawn.sum(-1) == 20).all()
