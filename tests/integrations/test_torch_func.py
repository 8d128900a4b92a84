"""The likelihood in torch under torch.func and torch.compile, of groups and of statistics."""

import numpy as np
import pytest
import scipy.sparse

import hbm_fast as hbm

torch = pytest.importorskip("torch")
from torch.func import grad, hessian, jacrev, jvp, vmap  # noqa: E402

from hbm_fast.integrations.torch_likelihood import log_prob, series_log_prob  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # that torch.func calls

GENERATOR = np.random.default_rng(4)
COUNTS = GENERATOR.multinomial(20, GENERATOR.dirichlet(np.full(4, 0.5), size=30))
STATISTICS = hbm.SufficientStatistics(COUNTS)
A = torch.tensor([0.3, 1.2, 0.7, 2.0], dtype=torch.float64)
DIAGONAL, CONSTANT = STATISTICS.log_likelihood_hessian(A.numpy())
HESSIAN = np.diag(DIAGONAL) + CONSTANT
SOURCES = {"groups": torch.as_tensor(COUNTS), "statistics": STATISTICS}


@pytest.fixture(params=SOURCES.values(), ids=SOURCES)
def total(request):
    return lambda a: log_prob(request.param, a).sum()


def test_transforms_give_the_derivatives_of_the_numpy_functions(total):
    value, slopes = STATISTICS.log_likelihood_gradient(A.numpy())
    np.testing.assert_allclose(total(A), value, rtol=1e-13)
    np.testing.assert_allclose(grad(total)(A), slopes, rtol=1e-12)
    direction = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    np.testing.assert_allclose(jvp(total, (A,), (direction,))[1], slopes @ direction.numpy(), rtol=1e-12)
    np.testing.assert_allclose(hessian(total)(A), HESSIAN, rtol=1e-11)
    np.testing.assert_allclose(jacrev(jacrev(total))(A), HESSIAN, rtol=1e-11)
    several = A * torch.tensor([[0.1], [1.0], [30.0]], dtype=torch.float64)
    np.testing.assert_array_equal(vmap(grad(total))(several), np.stack([grad(total)(a).numpy() for a in several]))
    np.testing.assert_array_equal(vmap(total, in_dims=1)(several.T.contiguous()), vmap(total)(several))


def test_bits_are_the_numpy_functions():
    a = torch.as_tensor(GENERATOR.gamma(1.0, size=(30, 4)) + 0.01).requires_grad_()
    for counts in (torch.as_tensor(COUNTS), scipy.sparse.csr_array(COUNTS)):
        value = log_prob(counts, a)
        (slopes,) = torch.autograd.grad(value.sum(), a)
        np.testing.assert_array_equal(value.detach(), hbm.log_likelihood(COUNTS, a.detach().numpy()))
        np.testing.assert_array_equal(slopes, hbm.log_likelihood_gradient(COUNTS, a.detach().numpy())[1])
    several = torch.stack([A, 2 * A])
    expected = STATISTICS.log_likelihood(several.numpy(), coefficient=False)
    np.testing.assert_array_equal(log_prob(STATISTICS, several, coefficient=False), expected)
    assert log_prob(STATISTICS, A.float()).dtype == torch.float32


def test_counts_of_each_element_of_a_batch():
    counts = torch.as_tensor(COUNTS[:6].reshape(2, 3, 4))
    np.testing.assert_array_equal(vmap(log_prob, in_dims=(0, None))(counts, A), log_prob(counts, A))
    np.testing.assert_array_equal(
        vmap(log_prob, in_dims=(1, 0))(counts, torch.stack([A, 2 * A, 3 * A])),
        torch.stack([log_prob(counts[:, i], (i + 1) * A) for i in range(3)]),
    )


@pytest.mark.filterwarnings("ignore")
def test_compiled_functions(total):
    compiled = torch.compile(total, fullgraph=True, backend="eager")  # others compile for seconds
    a = A.clone().requires_grad_()
    value = compiled(a)
    value.backward()
    np.testing.assert_allclose(value.detach(), total(A), rtol=2e-12)
    np.testing.assert_allclose(a.grad, grad(total)(A), rtol=1e-10)


@pytest.mark.parametrize("scale", [1e-300, 1e-8, 1.0, 1e8, 1e15])
@pytest.mark.parametrize("coefficient", [False, True])
def test_series_of_statistics(scale, coefficient):
    a = scale * A
    np.testing.assert_allclose(
        series_log_prob(STATISTICS, a, coefficient=coefficient),
        STATISTICS.log_likelihood(a.numpy(), coefficient=coefficient),
        rtol=1e-11,
    )


def test_statistics_have_two_derivatives():
    with pytest.raises(NotImplementedError, match="no third derivative"):
        grad(lambda a: hessian(lambda b: log_prob(STATISTICS, b))(a).sum())(A)
