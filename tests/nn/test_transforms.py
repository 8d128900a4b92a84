"""The prior of z is N(0, I): transforms and their inverses against scipy, in both tails."""

import mpmath
import numpy as np
import pytest
import scipy.stats as st

import hbm_fast as hbm
from hbm_fast import _core, priors

torch = pytest.importorskip("torch")

from hbm_fast.nn.transforms import PriorTransform, alpha_transform, beta_transform, normal_tails  # noqa: E402

Z = torch.linspace(-8.0, 8.0, 401, dtype=torch.float64)
ALPHA = [
    (priors.Exponential(2.0), st.expon(scale=0.5), 1e-12),
    (priors.LogNormal(1.0, 2.0), st.lognorm(2.0, scale=np.e), 1e-12),
    (priors.HalfNormal(2.0), st.halfnorm(scale=2.0), 1e-6),  # scipy's own quantile is no better near zero
    (priors.HalfCauchy(3.0), st.halfcauchy(scale=3.0), 1e-12),
    (priors.Lomax(0.5), st.lomax(0.5), 1e-12),
    (priors.LogUniform(0.1, 10.0), st.loguniform(0.1, 10.0), 1e-12),
    (priors.Gamma(2.0, rate=0.5), st.gamma(2.0, scale=2.0), 1e-9),
    (priors.Gamma(50.0, rate=0.5), st.gamma(50.0, scale=2.0), 1e-9),
]


@pytest.mark.parametrize(("prior", "reference", "tolerance"), ALPHA, ids=lambda v: getattr(v, "kind", ""))
def test_alpha_is_the_prior_s_quantile(prior, reference, tolerance):
    z = Z[Z.abs() < 5.0]
    t = alpha_transform(prior).from_z(z).numpy()
    exact = np.log(np.where(z < 0, reference.ppf(st.norm.cdf(z)), reference.isf(st.norm.sf(z))))
    assert np.max(np.abs(t - exact) / np.maximum(1.0, np.abs(exact))) < tolerance


@pytest.mark.parametrize("prior", [case[0] for case in ALPHA if case[0].kind != "log_uniform"], ids=lambda v: v.kind)
def test_alpha_goes_there_and_back(prior):
    transform = alpha_transform(prior)
    z = torch.linspace(-36.0, 36.0, 721, dtype=torch.float64)
    t = transform.from_z(z)
    assert bool(torch.isfinite(t).all())
    assert float((transform.to_z(t) - z).abs().max()) < 1e-10


@pytest.mark.parametrize("exponent", [-2.5, -1.0, 0.5])
def test_a_bounded_prior_stays_inside(exponent):
    transform = alpha_transform(priors.Power(exponent, lower=0.1, upper=10.0))
    t = transform.from_z(torch.linspace(-30.0, 30.0, 61, dtype=torch.float64))
    assert float(t.min()) >= np.log(0.1)
    assert float(t.max()) <= np.log(10.0)
    z = torch.linspace(-4.0, 4.0, 81, dtype=torch.float64)
    assert float((transform.to_z(transform.from_z(z)) - z).abs().max()) < 1e-9


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (1.0, 4.0), (0.5, 0.5), (3.0, 7.0), (100.0, 3.0)])
def test_beta_is_the_prior_s_quantile(a, b):
    transform = beta_transform(a, b)
    z = Z[Z.abs() < 5.0]
    t = transform.from_z(z)
    reference = st.beta(a, b)
    v = torch.sigmoid(t).numpy()
    low = v < reference.median()
    np.testing.assert_allclose(reference.cdf(v)[low], st.norm.cdf(z)[low], rtol=1e-7)
    rest = torch.sigmoid(-t).numpy()  # 1 - v ~ Beta(b, a)
    np.testing.assert_allclose(st.beta(b, a).cdf(rest)[~low], st.norm.sf(z)[~low], rtol=1e-7)
    assert float((transform.to_z(t) - z).abs().max()) < 1e-12


def test_alpha_of_1e_300_survives():
    transform = PriorTransform(hbm.HierarchicalModel(2))
    log_alpha = torch.tensor([np.log(1e-300), np.log(1e-12), 0.0, 5.0], dtype=torch.float64)
    log_beta = torch.log(torch.tensor([[0.3, 0.7]], dtype=torch.float64)).expand(4, 2)
    z = transform.to_z(log_alpha, log_beta)
    back, beta = transform.from_z(z)
    torch.testing.assert_close(back, log_alpha, rtol=1e-11, atol=0.0)
    torch.testing.assert_close(beta, log_beta, rtol=1e-11, atol=0.0)


@pytest.mark.parametrize("concentration", [1.0, (0.5, 2.0, 3.0, 0.7)])
def test_the_prior_is_normal_in_z(concentration):
    model = hbm.HierarchicalModel(4, alpha=priors.Gamma(0.7, rate=2.0), beta=concentration)
    sims = hbm.simulate(model, 20_000, n_groups=1, totals=1, rng=3)
    z = PriorTransform(model).to_z(torch.from_numpy(sims.log_alpha), torch.from_numpy(sims.log_beta)).numpy()
    assert z.shape == (20_000, 4)
    for column in z.T:
        assert st.kstest(column, "norm").pvalue > 1e-9
    # correlations of 20,000 independent pairs stay below 6.1 / sqrt(20,000) but for one case in 1e9
    assert np.abs(np.corrcoef(z.T) - np.eye(4)).max() < 6.1 / np.sqrt(20_000)


def test_what_is_fixed_takes_no_coordinate():
    model = hbm.HierarchicalModel(3, alpha=2.0)
    transform = PriorTransform(model)
    assert transform.dim == 2
    log_alpha, log_beta = transform.from_z(torch.zeros(5, 2))
    torch.testing.assert_close(log_alpha.exp(), torch.full((5,), 2.0, dtype=torch.float64))
    torch.testing.assert_close(log_beta.exp().sum(-1), torch.ones(5, dtype=torch.float64))
    assert PriorTransform(hbm.HierarchicalModel(2, beta=priors.FixedBeta([0.3, 0.7]))).dim == 1
    with pytest.raises(ValueError, match="nothing to infer"):
        PriorTransform(hbm.HierarchicalModel(2, alpha=1.0, beta=priors.FixedBeta([0.3, 0.7])))


def test_the_tails_have_their_slope_at_zero_too():
    z = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64, requires_grad=True)
    low, high = normal_tails(z)
    density = torch.exp(-0.5 * z.detach() ** 2) / (2.0 * torch.pi) ** 0.5
    (slope,) = torch.autograd.grad(low.sum(), z, retain_graph=True)
    torch.testing.assert_close(slope, density / low.detach().exp())
    (slope,) = torch.autograd.grad(high.sum(), z)
    torch.testing.assert_close(slope, -density / high.detach().exp())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_tails_of_the_kernel_to_the_last_digits(dtype):
    # from the middle to where float64 ends, in a column of a table, written into columns
    z = np.concatenate([np.linspace(-37.5, 37.5, 301), np.geomspace(1e-300, 1.0, 30), -np.geomspace(1e-9, 20.0, 30)])
    table = np.stack([z, z, z], 1).astype(dtype)
    lower, upper = np.empty((2, len(z), 2))
    _core.networks.normal_tails(table[:, 1], lower[:, 1], upper[:, 1], 1)
    with mpmath.workdps(400):  # Phi(37.5) is 1 - 5e-308

        def log_tail(x):
            return float(mpmath.log(mpmath.erfc(-mpmath.mpf(float(x)) / mpmath.sqrt(2)) / 2))

        expected = np.array([[log_tail(x), log_tail(-x)] for x in table[:, 1]])
    np.testing.assert_allclose(lower[:, 1], expected[:, 0], rtol=2e-15)
    np.testing.assert_allclose(upper[:, 1], expected[:, 1], rtol=2e-15)


def test_the_tails_of_the_kernel_at_the_ends_and_by_both_paths():
    z = torch.tensor([np.inf, -np.inf, np.nan, -0.0, 40.0], dtype=torch.float64)
    lower, upper = normal_tails(z)
    torch.testing.assert_close(lower, upper[[1, 0, 2, 3, 1]], equal_nan=True)
    assert lower[2].isnan()
    assert lower[4] == lower[0]
    assert lower.isfinite().sum() == 4
    x = torch.linspace(-37.0, 37.0, 5001, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        kernel = normal_tails(x)
    for by_kernel, by_torch in zip(kernel, normal_tails(x), strict=True):
        torch.testing.assert_close(by_kernel, by_torch.detach(), rtol=3e-13, atol=0.0)
    assert all(tail.shape == (0, 2) for tail in normal_tails(torch.empty(0, 2)))
