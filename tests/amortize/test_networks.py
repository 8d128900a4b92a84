"""Features, heads, objectives: exact properties of each part."""

import numpy as np
import pytest
from scipy.special import gammaln, logsumexp

import hbm_fast as hbm
from hbm_fast import _core
from reference import log_pmf_rows

torch = pytest.importorskip("torch")

from hbm_fast.amortize.local import LocalTransform  # noqa: E402
from hbm_fast.amortize.top_down import TopDown  # noqa: E402
from hbm_fast.nn import objectives  # noqa: E402
from hbm_fast.nn.data import TrainingStream  # noqa: E402
from hbm_fast.nn.features import ExceedanceInput, to_network_order, to_user_order  # noqa: E402
from hbm_fast.nn.heads import head  # noqa: E402
from hbm_fast.nn.training import torch_threads  # noqa: E402
from hbm_fast.nn.transforms import PriorTransform  # noqa: E402
from hbm_fast.sufficient_statistics import exceedance_counts  # noqa: E402

KEY = np.array([3, 4], np.uint64)


def test_exceedance_log_likelihood_is_that_of_the_statistics():
    rng = np.random.default_rng(0)
    counts = rng.multinomial(rng.integers(0, 30, (6, 11)), [0.5, 0.3, 0.2])
    counts[2] = 0
    log_alpha = rng.normal(0.0, 3.0, (6, 300))
    log_beta = np.log(rng.dirichlet([1.0] * 3, (6, 300)))
    out, again = np.empty((6, 300)), np.empty((6, 300))
    tables = exceedance_counts(counts, 31)
    _core.statistics.table_log_likelihood(tables, log_alpha, log_beta, out, 1)
    _core.statistics.table_log_likelihood(tables, log_alpha, log_beta, again, 3)
    np.testing.assert_array_equal(out, again)
    for b in range(6):
        concentration = np.exp(log_alpha[b, :, None] + log_beta[b])
        expected = log_pmf_rows(counts[b], concentration[:, None], coefficient=False).sum(-1)
        np.testing.assert_allclose(out[b], expected, rtol=1e-9, atol=1e-8)  # the reference subtracts log-gammas


def test_exceedance_log_likelihood_far_below_the_smallest_double():
    # one group, one draw of category 0: p = beta_0 whatever alpha
    tables = exceedance_counts(np.array([[[1, 0]]]), 1)
    out = np.empty((1, 3))
    log_beta = np.log([[[0.25, 0.75]] * 3])
    _core.statistics.table_log_likelihood(tables, np.array([[-5000.0, 0.0, 5000.0]]), log_beta, out, 1)
    np.testing.assert_allclose(out, np.log(0.25), atol=1e-10)


def test_statistics_do_not_see_empty_groups_nor_the_order_of_anything():
    counts = np.array([[[3, 0], [1, 2], [0, 5]]])
    shuffled = np.concatenate([counts[:, ::-1, ::-1], np.zeros((1, 4, 2), counts.dtype)], 1)
    features = []
    for x in (counts, shuffled):
        network_input = ExceedanceInput(2, 6)
        tables = torch.from_numpy(exceedance_counts(x, 6))
        order = network_input.order(tables)
        features.append(network_input.features(network_input.ordered(tables, order)))
    assert features[0].shape == (1, ExceedanceInput(2, 6).n_features)
    torch.testing.assert_close(features[0], features[1], rtol=0, atol=0)


def test_orders_are_inverse_to_each_other():
    order = torch.tensor([[2, 0, 1], [1, 0, 2]])
    values = torch.arange(24.0).view(2, 4, 3)
    torch.testing.assert_close(to_user_order(to_network_order(values, order), order), values)
    torch.testing.assert_close(to_network_order(values, order)[0, 0], values[0, 0, [2, 0, 1]])


@pytest.mark.parametrize(
    ("name", "dim"), [("mixture", 2), ("mixture", 3), ("gaussian", 3), ("diagonal", 2), ("spline", 2)]
)
def test_a_head_draws_what_it_scores(name, dim):
    """E_q[f / q] over draws is the integral of f: here of a normal density, 1."""
    torch.manual_seed(1)
    h = head(name, dim, 4)
    parameters = h.initial_bias()[None] + 0.5 * torch.randn(1, h.n_parameters)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        z = h.sample(parameters, 40_000, generator)
        log_q = h.log_prob(parameters, z)
    inner = torch.distributions.MultivariateNormal(z[0].mean(0), 0.25 * torch.cov(z[0].T))
    ratio = (inner.log_prob(z) - log_q).exp()[0]
    error = float(ratio.std()) / 200.0
    assert abs(float(ratio.mean()) - 1.0) < 6.2 * error  # p < 1e-9
    assert error < 0.02


def test_every_parameter_learns():
    model = hbm.HierarchicalModel(2)
    stream = TrainingStream(model, (1, 8), (0, 8), KEY)
    for n_draws in (0, 3):
        network = TopDown(model, 8, width=16, n_draws=n_draws)
        batch = network.prepare(stream.block(0, 64))
        network.loss(batch, 0.5, torch.Generator().manual_seed(0)).backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert float(parameter.grad.abs().max()) > 0.0, name


def test_the_rao_blackwellised_gradient_is_unbiased_and_less_noisy():
    """On a conjugate target, z ~ N(0, 1), x ~ N(z, 1): against the plain gradient, over many pairs."""
    torch.manual_seed(0)
    h = head("gaussian", 1)
    n = 100_000
    z = torch.randn(n, 1)
    x = z + torch.randn(n, 1)
    # mean x/2 and precision 2 are exact; the network is a little off
    parameters = torch.stack([torch.zeros(n), 0.45 * x[:, 0] + 0.1, torch.full((n,), 0.25)], -1)

    def blackwellised_loss(p):
        def log_target(z):
            return (-0.5 * z.square() - 0.5 * (x[:, None] - z).square()).sum(-1).double()

        generator = torch.Generator().manual_seed(1)
        return objectives.WakeSleep(7, 0.0).loss(
            0.5,
            (z,),
            sample=lambda n: (h.sample(p, n, generator),),
            log_q=lambda z: h.log_prob(p, z),
            log_target=log_target,
        )

    gradients = []
    for loss in (lambda p: objectives.inference_compilation(h, p, z), blackwellised_loss):
        leaf = parameters.clone().requires_grad_()
        (n * loss(leaf)).backward()
        gradients.append(leaf.grad[:, 1:])
    plain, blackwellised = gradients
    difference = plain - blackwellised
    assert bool((difference.mean(0).abs() < 6.2 * difference.std(0) / n**0.5).all())  # p < 1e-9
    assert bool((blackwellised.var(0) < 0.25 * plain.var(0)).all())


def test_the_wake_phase_follows_the_gradient_of_the_lower_bound():
    """q = N(m, exp(-2 s)), p = N(0, 1): KL(q || p) = s + (exp(-2 s) + m^2) / 2 + constant."""
    h = head("gaussian", 1)
    n, m, s = 100_000, 0.4, 0.25
    parameters = torch.tensor([[0.0, m, s]]).expand(n, 3).clone().requires_grad_()
    with torch.no_grad():
        z = h.sample(parameters, 5, torch.Generator().manual_seed(3))
    (n * objectives.reverse(h.log_prob(parameters, z), -0.5 * z[..., 0].double().square())).backward()
    found = parameters.grad[:, 1:]
    error = 6.2 * found.std(0) / n**0.5  # p < 1e-9
    slope = 1.0 - np.tanh(s / 7.0) ** 2  # of 7 tanh(s / 7), which is what keeps s in bounds
    scale = 7.0 * np.tanh(s / 7.0)
    expected = torch.tensor([m, slope * (1.0 - np.exp(-2.0 * scale))], dtype=torch.float32)
    assert bool(((found.mean(0) - expected).abs() < error).all())
    assert float(error.max()) < 0.02


@pytest.mark.parametrize("factorization", ["top-down", "bottom-up", "any-k"])
def test_every_factorisation_has_a_wake_phase(factorization):
    from hbm_fast.amortize.estimator import NETWORKS

    model = hbm.HierarchicalModel(2)
    block = TrainingStream(model, (1, 8), (0, 8), KEY, with_groups=True).block(0, 64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = NETWORKS[factorization](None if factorization == "any-k" else model, 8, width=16, wake=0.3)
    batch = network.prepare(block)
    gradients = []
    for progress in (0.5, 0.69, 0.71):
        network.zero_grad()
        network.loss(batch, progress, torch.Generator().manual_seed(0)).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters()]))
    asleep, still, awake = gradients
    torch.testing.assert_close(asleep, still, rtol=0, atol=0)
    assert bool(awake.isfinite().all())
    assert not torch.equal(awake, still)


def test_log_posterior_integrates_to_the_evidence():
    model = hbm.HierarchicalModel(2)
    bags = np.array([[4, 0], [0, 1], [3, 2]])
    grid = torch.linspace(-8.0, 8.0, 321, dtype=torch.float64)
    z = torch.cartesian_prod(grid, grid)[None]
    tables = torch.from_numpy(exceedance_counts(bags[None], 5))
    log_joint = objectives.log_posterior(tables, PriorTransform(model), z)
    coefficient = (gammaln(bags.sum(-1) + 1.0) - gammaln(bags + 1.0).sum(-1)).sum()
    evidence = float(torch.logsumexp(log_joint, 1)) + 2.0 * np.log(float(grid[1] - grid[0])) + coefficient
    assert abs(evidence - hbm.exact_posterior(bags, model).log_evidence) < 1e-8


def test_local_coordinates_go_there_and_back_where_theta_underflows():
    log_theta = torch.tensor([[-1e5, 0.0, -1e7], [-0.2, -2.0, -3.0]], dtype=torch.float64)
    log_theta = log_theta - torch.logsumexp(log_theta, -1, keepdim=True)
    back = LocalTransform.from_u(LocalTransform.to_u(log_theta))
    torch.testing.assert_close(back, log_theta, rtol=1e-9, atol=1e-12)


def test_the_stream_repeats_and_covers_its_range():
    stream = TrainingStream(hbm.HierarchicalModel(2), (1, 5), (0, 12), KEY, with_groups=True)
    a, b = stream.block(3, 500), stream.block(3, 500)
    torch.testing.assert_close(a.exceedances, b.exceedances, rtol=0, atol=0)
    assert bool((a.exceedances != stream.block(4, 500).exceedances).any())
    totals = a.counts.sum(-1)
    assert int(totals.max()) == 12
    np.testing.assert_array_equal(a.exceedances.numpy(), exceedance_counts(a.counts.numpy(), 12))
    nonempty = (totals > 0).sum(1)
    assert set(nonempty.tolist()) >= {1, 2, 3, 4, 5}


@pytest.mark.parametrize("name", ["mixture", "gaussian", "diagonal"])
@pytest.mark.parametrize(("dim", "n_draws"), [(1, 130), (2, 1), (4, 64), (9, 200)])
def test_the_kernels_of_the_mixture_are_the_formulas(name, dim, n_draws):
    density = head(name, dim)
    generator = torch.Generator().manual_seed(3)
    parameters = density.initial_bias() + 0.8 * torch.randn(5, density.n_parameters, generator=generator)
    state = generator.get_state()
    z = density.sample(parameters, n_draws, generator)
    generator.set_state(state)
    by_torch = density.sample(parameters.requires_grad_(), n_draws, generator)
    assert by_torch.requires_grad
    torch.testing.assert_close(z, by_torch.detach(), rtol=0.0, atol=0.0)
    # what torch works out in float32 is compared in float64
    exact = density.log_prob(parameters.detach().double(), z.double())
    value = density.log_density(parameters, z)
    assert value.dtype == torch.float64
    assert not value.requires_grad
    torch.testing.assert_close(value, exact, rtol=3e-5, atol=3e-5)  # the parameters' maps are float32
    with torch_threads(2):
        torch.testing.assert_close(density.log_density(parameters, z), value, rtol=0.0, atol=0.0)


def test_the_mixture_kernel_in_float64_and_with_what_is_no_number():
    rng = np.random.default_rng(4)
    mean, lower, scale = (rng.normal(size=(3, 4, n)).astype(np.float32) for n in (3, 3, 3))
    constant, z = rng.normal(size=(3, 4)).astype(np.float32), rng.normal(0.0, 9.0, (3, 70, 3)).astype(np.float32)
    z[1, 5, 2] = np.nan
    out = np.empty((3, 70))
    _core.networks.mixture_log_density(mean, lower, constant, scale, z, out, 1)
    m, low, s = (a.astype(np.float64)[:, None] for a in (mean, lower, scale))
    y = z.astype(np.float64)[:, :, None] - m
    first = np.stack([y[..., 0], y[..., 1] + low[..., 0] * y[..., 0]], -1)
    last = y[..., 2] + low[..., 1] * y[..., 0] + low[..., 2] * y[..., 1]
    quadratic = ((np.concatenate([first, last[..., None]], -1) * s) ** 2).sum(-1)
    expected = logsumexp(constant.astype(np.float64)[:, None] - 0.5 * quadratic, axis=-1)
    np.testing.assert_allclose(out, expected, rtol=1e-14, atol=1e-14)
    with pytest.raises(ValueError, match="constant has the wrong size"):
        _core.networks.mixture_log_density(mean, lower, constant[:, :3].copy(), scale, z, out, 1)
