"""The likelihood in JAX: bits, transformations, and the declarations of XLA's interface."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

import hbm_fast as hbm

jax = pytest.importorskip("jax")
import jax.numpy as jnp  # noqa: E402

from hbm_fast.integrations.jax import log_likelihood  # noqa: E402

pytestmark = pytest.mark.peers

enable_x64 = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64  # its earlier place
ROOT = Path(__file__).parents[2]
GENERATOR = np.random.default_rng(6)
COUNTS = GENERATOR.multinomial(20, GENERATOR.dirichlet(np.full(4, 0.5), size=30))
EACH = GENERATOR.gamma(1.0, size=(30, 4)) + 0.01
SHARED = np.array([0.3, 1.2, 0.7, 2.0])
STATISTICS = hbm.SufficientStatistics(COUNTS)
DIAGONAL, CONSTANT = STATISTICS.log_likelihood_hessian(SHARED)
HESSIAN = np.diag(DIAGONAL) + CONSTANT


@pytest.fixture(autouse=True)
def _double_precision():
    with enable_x64(True):
        yield


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int32, np.uint64])
def test_bits_are_the_numpy_functions(dtype):
    counts = jnp.asarray(COUNTS.astype(dtype))
    function = jax.jit(lambda x, a: (log_likelihood(x, a), jax.grad(lambda b: log_likelihood(x, b).sum())(a)))
    value, slopes = function(counts, EACH)
    np.testing.assert_array_equal(value, hbm.log_likelihood(COUNTS, EACH))
    np.testing.assert_array_equal(slopes, hbm.log_likelihood_gradient(COUNTS, EACH)[1])
    assert value.dtype == np.float64
    plain = log_likelihood(COUNTS, SHARED, coefficient=False, n_threads=2)
    np.testing.assert_array_equal(plain, hbm.log_likelihood(COUNTS, SHARED, coefficient=False))


def test_bits_of_statistics_are_the_numpy_functions():
    several = np.stack([SHARED, 2 * SHARED, EACH[0]])[:, np.newaxis]
    value, pull_back = jax.vjp(lambda a: log_likelihood(STATISTICS, a, n_threads=2), several)
    expected = STATISTICS.log_likelihood_gradient(several)
    np.testing.assert_array_equal(value, expected[0])
    np.testing.assert_array_equal(pull_back(np.ones_like(value))[0], expected[1])
    plain = log_likelihood(STATISTICS, SHARED, coefficient=False)
    assert plain == STATISTICS.log_likelihood(SHARED, coefficient=False)
    statistics = hbm.SufficientStatistics(COUNTS)
    function = jax.jit(lambda a: log_likelihood(statistics, a))
    before = function(SHARED)
    statistics.add(COUNTS)
    assert function(SHARED) == before
    assert log_likelihood(statistics, SHARED) == statistics.log_likelihood(SHARED)
    sparse = log_likelihood(scipy.sparse.csr_array(COUNTS), SHARED)
    np.testing.assert_array_equal(sparse, hbm.log_likelihood(COUNTS, SHARED))


def test_statistics_of_another_process_are_refused():
    call = jax.ffi.ffi_call("hbm_fast_statistics", [jax.ShapeDtypeStruct((), np.float64)])
    with pytest.raises(Exception, match="another process"):
        jax.block_until_ready(call(SHARED, coefficient=np.int64(1), n_threads=np.int64(1), key=np.int64(1)))


@pytest.mark.parametrize("kind", ["array", "statistics"])
def test_transformations(kind):
    source = {"array": jnp.asarray(COUNTS), "statistics": STATISTICS}[kind]

    def total(a):
        return log_likelihood(source, a).sum()

    direction = np.array([1.0, -2.0, 0.5, 3.0])
    several = SHARED * np.array([[0.1], [1.0], [30.0]])
    both = jax.jit(jax.value_and_grad(total))
    value, slopes = both(SHARED)
    expected = STATISTICS.log_likelihood_gradient(SHARED)
    np.testing.assert_allclose(value, expected[0], rtol=1e-13)
    np.testing.assert_allclose(slopes, expected[1], rtol=1e-11)
    tangent = jax.jit(lambda a: jax.jvp(total, (a,), (direction,))[1])(SHARED)
    np.testing.assert_allclose(tangent, expected[1] @ direction, rtol=1e-11)
    np.testing.assert_allclose(jax.jit(jax.hessian(total))(SHARED), HESSIAN, rtol=1e-10)
    values, gradients = jax.jit(jax.vmap(jax.value_and_grad(total), in_axes=1))(several.T)
    np.testing.assert_allclose(values, [both(a)[0] for a in several], rtol=1e-13)
    np.testing.assert_allclose(gradients, [both(a)[1] for a in several], rtol=1e-11)


def test_leading_axes_and_batches():
    counts = jnp.asarray(COUNTS[:6].reshape(2, 3, 4))
    a = EACH[:6].reshape(2, 3, 4)
    np.testing.assert_array_equal(
        log_likelihood(counts, a[:, :1]), hbm.log_likelihood(COUNTS[:6].reshape(2, 3, 4), a[:, :1])
    )
    slopes = jax.grad(lambda b: log_likelihood(counts, b).sum())(jnp.asarray(a[:1]))
    expected = hbm.log_likelihood_gradient(np.asarray(counts), a[:1])[1].sum(0, keepdims=True)
    np.testing.assert_allclose(slopes, expected, rtol=1e-12)
    np.testing.assert_array_equal(
        jax.vmap(log_likelihood, in_axes=(1, None))(counts, SHARED).T, log_likelihood(counts, SHARED)
    )
    several = jnp.asarray(EACH[:3])
    np.testing.assert_array_equal(
        jax.vmap(lambda b: log_likelihood(counts, b))(several), np.stack([log_likelihood(counts, b) for b in several])
    )
    assert log_likelihood([3, 4], [1.0, 2.0]) == hbm.log_likelihood([3, 4], [1.0, 2.0])
    assert log_likelihood(STATISTICS, EACH[:6].reshape(2, 3, 4)).shape == (2, 3)


def test_single_precision():
    with enable_x64(False):
        a = jnp.asarray(EACH)
        value, slopes = jax.jit(jax.value_and_grad(lambda b: log_likelihood(COUNTS, b).sum()))(a)
        each = log_likelihood(jnp.asarray(COUNTS), a)
        assert value.dtype == slopes.dtype == each.dtype == np.float32
        np.testing.assert_array_equal(each, hbm.log_likelihood(COUNTS, np.asarray(a, float)).astype(np.float32))
        with pytest.raises(ValueError, match="jax_enable_x64"):
            log_likelihood([[2**40, 1]], a[0, :2])


@pytest.fixture(scope="module")
def by_series():
    """Value and gradient of groups and of their statistics, compiled as for a device without the kernels."""
    first = hbm.SufficientStatistics(COUNTS[:3])

    def of(source):
        return jax.value_and_grad(lambda a: log_likelihood(source, a).sum())

    function = jax.jit(lambda a: (log_likelihood(COUNTS[:3], a), of(COUNTS[:3])(a), of(first)(a)))
    with pytest.MonkeyPatch.context() as patch, enable_x64(True):
        patch.setattr(jax.lax, "platform_dependent", lambda *arguments, cpu, default: default(*arguments))
        assert "hbm_fast" not in function.lower(SHARED).as_text()
        function(SHARED)
    return function


@pytest.mark.parametrize("scale", [1e-300, 1e-8, 0.5, 1.0, 1e3, 1e15, 1e100])
def test_series(scale, by_series):
    a = scale * SHARED
    values, slopes = hbm.log_likelihood_gradient(COUNTS[:3], a)
    each, *sums = by_series(a)
    np.testing.assert_allclose(each, values, rtol=2e-12)
    for value, gradient in sums:
        np.testing.assert_allclose(value, values.sum(), rtol=2e-12)
        if scale <= 1.0:  # beyond, the two sums of a slope cancel
            np.testing.assert_allclose(gradient, slopes.sum(0), rtol=1e-10)


@pytest.mark.parametrize(("platform", "called"), [("cpu", True), ("cuda", False)])
@pytest.mark.parametrize(("source", "target"), [(COUNTS, "hbm_fast_log_pmf"), (STATISTICS, "hbm_fast_statistics")])
def test_the_kernels_are_of_the_cpu(source, target, platform, called):
    function = jax.jit(jax.value_and_grad(lambda a: log_likelihood(source, a).sum()))
    export = pytest.importorskip("jax.export")  # of JAX 0.5 it needs absl, which JAX does not require
    unchecked = [export.DisabledSafetyCheck.custom_call(target)]
    exported = export.export(function, platforms=[platform], disabled_checks=unchecked)(SHARED)
    assert (target in exported.mlir_module()) == called


def test_bad_values():
    assert np.isnan(jax.jit(log_likelihood)(jnp.asarray(COUNTS), -EACH)).all()
    assert np.isnan(log_likelihood(-jnp.asarray(COUNTS), EACH)).all()
    mixed = log_likelihood(STATISTICS, np.stack([SHARED, -SHARED, np.full(4, np.nan), np.full(4, np.inf)]))
    np.testing.assert_array_equal(np.isnan(mixed), [False, True, True, True])
    assert mixed[0] == STATISTICS.log_likelihood(SHARED)
    assert np.isnan(jax.grad(lambda a: log_likelihood(COUNTS, a).sum())(np.full(4, np.inf))).all()
    with pytest.raises(ValueError, match="negative"):
        log_likelihood(-COUNTS, EACH)
    with pytest.raises(TypeError, match="astype"):
        log_likelihood(jnp.asarray(COUNTS) / 1.0, EACH)
    with pytest.raises(TypeError, match="floating"):
        log_likelihood(COUNTS, np.array([1, 2, 3, 4]))
    with pytest.raises(ValueError, match="K = 3"):
        log_likelihood(COUNTS, SHARED[:3])
    with pytest.raises(ValueError, match="K = 4"):
        log_likelihood(STATISTICS, SHARED[:3])


def test_our_declarations_are_those_of_the_installed_library():
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None or not (ROOT / "cpp").exists():
        pytest.skip("needs a compiler and the sources")
    source = Path(__file__).with_name("xla_layout.cpp")
    command = [compiler, "-std=c++20", "-fsyntax-only", f"-I{ROOT / 'cpp'}", f"-I{jax.ffi.include_dir()}", str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
