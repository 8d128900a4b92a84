"""The likelihood in torch: values of the kernel, derivatives, and the distribution."""

import mpmath
import numpy as np
import pytest
import scipy.stats

import hbm_fast as hbm
import reference

torch = pytest.importorskip("torch")
from hbm_fast.integrations.torch_likelihood import DirichletMultinomial, log_prob, series_log_prob  # noqa: E402

COUNTS = torch.tensor([[3, 0, 2], [0, 0, 7], [1, 1, 1], [0, 0, 0]])


def concentrations(dtype=torch.float64):
    return torch.tensor([[0.5, 1.5, 2.5]], dtype=dtype, requires_grad=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_are_the_kernels(dtype):
    a = concentrations(dtype)
    value = log_prob(COUNTS, a)
    assert value.dtype == dtype
    expected = hbm.log_likelihood(COUNTS.numpy(), a.detach().double().numpy())
    np.testing.assert_allclose(value.detach().numpy(), expected, rtol=1e-6 if dtype == torch.float32 else 1e-15)


@pytest.mark.parametrize("formula", [log_prob, series_log_prob])
def test_first_and_second_derivatives(formula):
    assert torch.autograd.gradcheck(lambda a: formula(COUNTS, a), (concentrations(),))
    assert torch.autograd.gradgradcheck(lambda a: formula(COUNTS, a), (concentrations(),))


def test_coefficient_changes_the_value_only():
    a, b = concentrations(), concentrations()
    log_prob(COUNTS, a).sum().backward()
    log_prob(COUNTS, b, coefficient=False).sum().backward()
    torch.testing.assert_close(a.grad, b.grad)
    assert log_prob(COUNTS, a, coefficient=False)[0] < log_prob(COUNTS, a)[0]


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e-40, 1e-8, 1e-2, 1.0, 1e3, 1e8, 1e15, 1e40, 1e150])
def test_series_form_is_accurate_at_every_concentration(scale):
    a = scale * torch.tensor([0.5, 1.5, 2.5], dtype=torch.float64)
    counts = torch.tensor([[30, 10, 2], [1, 1, 1], [5, 0, 7]])
    expected = hbm.log_likelihood(counts.numpy(), a.numpy())
    a.requires_grad_()
    value = series_log_prob(counts, a)
    np.testing.assert_allclose(value.detach().numpy(), expected, rtol=2e-12)
    value.sum().backward()
    slopes = hbm.log_likelihood_gradient(counts.numpy(), a.detach().numpy())[1].sum(0)
    np.testing.assert_allclose(a.grad.numpy(), slopes, rtol=1e-9)


@pytest.mark.parametrize("scale", [1e-50, 0.5, 7.9, 8.1, 1e4, 1e12, 1e16, 1e100])
@pytest.mark.parametrize("n", [1, 7, 40, 10**9])
def test_second_derivatives_keep_their_digits(scale, n):
    """Of a pure group of one category beside an empty one: trigamma(A) - trigamma(A + n)."""
    a = scale * torch.tensor([1.0, 1.0], dtype=torch.float64)
    hessian = torch.autograd.functional.hessian(lambda b: log_prob(torch.tensor([n, 0]), b), a)
    with mpmath.workdps(250):
        total = 2 * mpmath.mpf(scale)
        expected = mpmath.psi(1, total) - mpmath.psi(1, total + n)
    assert abs(hessian[1, 1].item() - expected) <= 1e-12 * expected


def test_bad_arguments():
    with pytest.raises(TypeError, match=r"counts\.to\(torch\.int64\)"):
        log_prob(COUNTS.double(), concentrations())
    with pytest.raises(TypeError, match="floating"):
        log_prob(COUNTS, COUNTS)
    with pytest.raises(ValueError, match="negative"):
        log_prob(-COUNTS, concentrations())


def test_distribution_has_the_interface_of_torch():
    # explicit, since importing zuko turns the default of torch off
    concentration = torch.tensor([[0.4, 1.6], [3.0, 5.0]], dtype=torch.float64)
    d = DirichletMultinomial(9, concentration, validate_args=True)
    assert d.batch_shape == (2,)
    assert d.event_shape == (2,)
    reference = scipy.stats.dirichlet_multinomial(d.concentration.numpy(), [9, 9])
    np.testing.assert_allclose(d.mean.numpy(), reference.mean())
    np.testing.assert_allclose(d.variance.numpy(), reference.var())
    wide = d.expand((3, 2))
    assert wide.batch_shape == (3, 2)
    assert wide.log_prob(torch.tensor([4.0, 5.0])).shape == (3, 2)
    with pytest.raises(ValueError, match="support"):
        d.log_prob(torch.tensor([4.0, 4.0]))
    with pytest.raises(ValueError, match="concentration"):
        DirichletMultinomial(3, torch.tensor([-1.0, 1.0]), validate_args=True)


def test_samples_follow_log_prob():
    d = DirichletMultinomial(6, torch.tensor([0.3, 0.9], dtype=torch.float64))
    with torch.random.fork_rng():
        torch.manual_seed(7)
        draws = d.sample((20_000,))
        pure = DirichletMultinomial(6, torch.tensor([1e-200, 1e-200], dtype=torch.float64)).sample((100,))
    observed = np.bincount(draws[:, 0].long().numpy(), minlength=7)
    cells = torch.tensor([[x, 6 - x] for x in range(7)])
    expected = 20_000 * d.log_prob(cells).exp().numpy()
    assert reference.chi_square_p(observed, expected) > 1e-9
    assert set(pure[:, 0].tolist()) == {0.0, 6.0}


def test_moments_and_draws_at_the_ends_of_the_range():
    huge = DirichletMultinomial(5, torch.tensor([1e38, 3e38]))
    assert huge.mean.tolist() == [1.25, 3.75]
    assert huge.variance.tolist() == [0.9375, 0.9375]
    assert DirichletMultinomial(0, torch.ones(3)).sample((2,)).tolist() == [[0.0] * 3] * 2
    with torch.random.fork_rng():
        torch.manual_seed(8)
        pure = DirichletMultinomial(9, torch.tensor([1e-310, 3e-310], dtype=torch.float64)).sample((4_000,))
    assert set(pure[:, 0].tolist()) == {0.0, 9.0}
    assert abs((pure[:, 0] > 0).double().mean().item() - 0.25) < 0.05
