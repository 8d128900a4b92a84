"""The embedding's links, likelihoods, quadrature, proposals and objectives: what has to hold exactly."""

import math

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast.sufficient_statistics import exceedance_counts

torch = pytest.importorskip("torch")

from hbm_fast.embedding import latent_grid, objectives, proposals  # noqa: E402
from hbm_fast.embedding.generative import LINKS, GenerativeModel, log_concentration  # noqa: E402
from hbm_fast.nn.heads import head as make_head  # noqa: E402
from hbm_fast.nn.likelihood import (  # noqa: E402
    exceedance_log_likelihood,
    group_log_likelihood,
    node_group_log_likelihood,
    node_log_likelihood,
)
from hbm_fast.nn.objectives import log_normal  # noqa: E402
from hbm_fast.nn.transforms import PriorTransform  # noqa: E402

PROBE = hbm.datasets.load_marbles().counts


def counts_and_tables(k=3, b=5, rng=3):
    sims = hbm.simulate(hbm.HierarchicalModel(k), b, n_groups=(1, 9), totals=(0, 12), rng=rng)
    return sims.counts, torch.from_numpy(exceedance_counts(sims.counts)).double()


def true_likelihood(exceedances, transform):
    def log_likelihood(z):
        log_alpha, log_beta = transform.from_z(z)
        likelihood = node_log_likelihood if z.ndim == 2 else exceedance_log_likelihood
        return likelihood(exceedances, log_alpha[..., None] + log_beta)

    return log_likelihood


@pytest.mark.parametrize("link", LINKS)
def test_links_match_their_formulas_and_never_underflow(link):
    raw = torch.linspace(-9.9, 30.0, 50, dtype=torch.float64)
    formula = {"exp": raw.exp(), "exp_plus_one": raw.exp() + 1.0, "softplus": torch.nn.functional.softplus(raw)}[link]
    # torch's softplus is x itself above 20: right to exp(-20)
    torch.testing.assert_close(log_concentration(raw, link), formula.log(), rtol=0, atol=2.1e-9)
    low = torch.tensor([-1e3, -10.0, -10.0 - 1e-9], dtype=torch.float64, requires_grad=True)
    value = log_concentration(low, link)
    assert torch.isfinite(value).all()
    torch.testing.assert_close(value[1], value[2], rtol=0, atol=1e-8)  # the two branches of softplus meet
    (gradient,) = torch.autograd.grad(value.sum(), low)
    assert torch.isfinite(gradient).all()


def test_unknown_link_is_refused():
    with pytest.raises(ValueError, match="link must be one of"):
        GenerativeModel(2, 2, link="identity")


def test_tables_give_the_likelihood_of_the_counts():
    counts, tables = counts_and_tables()
    log_a = torch.randn(5, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 4.0
    expected = np.stack(
        [
            [hbm.log_likelihood(counts[b], a.exp().numpy(), coefficient=False).sum() for a in log_a[b]]
            for b in range(len(counts))
        ]
    )
    torch.testing.assert_close(exceedance_log_likelihood(tables, log_a).numpy(), expected, rtol=1e-11, atol=1e-11)
    shared = node_log_likelihood(tables, log_a[0])
    torch.testing.assert_close(shared[0].numpy(), expected[0], rtol=1e-11, atol=1e-11)


def test_gradient_of_the_likelihood_is_right():
    _, tables = counts_and_tables()
    log_a = (
        torch.randn(5, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 3.0
    ).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: exceedance_log_likelihood(tables, x), log_a)


def test_likelihood_holds_at_concentrations_of_1e_minus_300():
    _, tables = counts_and_tables(k=2)
    log_a = torch.tensor([[-690.0, -691.0]], dtype=torch.float32).expand(5, 1, 2)
    assert torch.isfinite(exceedance_log_likelihood(tables.float(), log_a)).all()


def test_a_mixture_of_one_is_that_one_and_the_mixture_sums_over_components():
    counts, tables = counts_and_tables()
    x = torch.from_numpy(counts).long()
    generator = torch.Generator().manual_seed(2)
    log_a = torch.randn(5, 4, 2, 3, dtype=torch.float64, generator=generator)
    log_weight = torch.randn(5, 4, 2, dtype=torch.float64, generator=generator).log_softmax(-1)
    one = group_log_likelihood(x, torch.zeros(5, 4, 1, dtype=torch.float64), log_a[:, :, :1]).sum(-1)
    torch.testing.assert_close(one, exceedance_log_likelihood(tables, log_a[:, :, 0]), rtol=1e-10, atol=1e-10)
    each = [group_log_likelihood(x, torch.zeros(5, 4, 1).double(), log_a[:, :, m : m + 1]) for m in range(2)]
    expected = torch.logsumexp(torch.stack([log_weight[..., m, None] + each[m] for m in range(2)]), 0)
    torch.testing.assert_close(group_log_likelihood(x, log_weight, log_a), expected)
    # nodes shared by all datasets give the same as nodes of each
    shared = node_group_log_likelihood(x, log_weight[0], log_a[0])
    torch.testing.assert_close(shared[0], expected[0].sum(-1))


def test_quadrature_gives_the_exact_evidence_whatever_the_grid():
    model = hbm.HierarchicalModel(2)
    likelihood = true_likelihood(torch.from_numpy(exceedance_counts(PROBE[None])).double(), PriorTransform(model))
    exact = hbm.exact_posterior(PROBE, model).log_evidence
    for n in (101, 201, 301):
        assert float(latent_grid.log_marginal(likelihood, 1, n=n)[0]) == pytest.approx(exact, abs=1e-7)
    value, error, z, log_weight = latent_grid.adaptive(likelihood)
    assert value == pytest.approx(exact, abs=1e-7)
    assert error < 1e-6
    log_alpha = PriorTransform(model).from_z(z)[0]
    assert float(log_weight.exp() @ log_alpha) == pytest.approx(-4.147418, abs=1e-5)


def test_adaptive_quadrature_follows_a_narrow_posterior():
    model = hbm.HierarchicalModel(2)
    bags = np.array([[20, 80]] * 300 + [[60, 40]] * 200)
    likelihood = true_likelihood(torch.from_numpy(exceedance_counts(bags[None])).double(), PriorTransform(model))
    value, error, *_ = latent_grid.adaptive(likelihood)
    factorial = lambda n: math.lgamma(n + 1.0)  # noqa: E731
    coefficient = sum(factorial(a + b) - factorial(a) - factorial(b) for a, b in bags)
    assert value + coefficient == pytest.approx(hbm.exact_posterior(bags, model).log_evidence, abs=1e-6)
    assert error < 1e-6


@pytest.mark.parametrize("proposal", ["histogram", "laplace"])
def test_proposals_recover_the_evidence(proposal):
    model = hbm.HierarchicalModel(2)
    likelihood = true_likelihood(torch.from_numpy(exceedance_counts(PROBE[None])).double(), PriorTransform(model))
    generator = torch.Generator().manual_seed(0)
    n = 20_000
    if proposal == "histogram":
        _, log_w = proposals.histogram(likelihood, n, generator)
    else:
        joint = lambda z: likelihood(z) + log_normal(z)  # noqa: E731
        _, log_w = proposals.laplace(joint, torch.zeros(1, 2, dtype=torch.float64), n, generator)
    w = (log_w[0] + 19.4435135).exp()
    # at p < 1e-9: 6.1 standard errors
    assert abs(float(w.mean()) - 1.0) < 6.1 * float(w.std()) / n**0.5
    assert float(w.std()) < (0.05 if proposal == "histogram" else 1.0)


# A joint whose answer is known: z ~ N(0, 1) and x | z ~ N(z, 1) at x = 1, so log p(x) = log N(1; 0, 2) and
# z | x ~ N(1/2, 1/2).
LOG_EVIDENCE = -0.5 * math.log(4.0 * math.pi) - 0.25


def gaussian_joint(z):
    return log_normal(z) - 0.5 * (1.0 - z[..., 0]).square() - 0.5 * math.log(2.0 * math.pi)


def whitening(mean, log_scale):
    return torch.tensor([[0.0, mean, log_scale]], dtype=torch.float64)


@pytest.mark.parametrize("objective", objectives.OBJECTIVES)
def test_bounds_are_tight_at_the_exact_posterior(objective):
    parameters = whitening(0.5, 7.0 * math.atanh(0.5 * math.log(2.0) / 7.0)).requires_grad_()
    loss, bound = objectives.loss(
        objective, gaussian_joint, make_head("gaussian", 1), parameters, 7, torch.Generator().manual_seed(0)
    )
    assert float(bound) == pytest.approx(LOG_EVIDENCE, abs=1e-6)
    (gradient,) = torch.autograd.grad(loss, parameters)
    if objective in ("elbo", "dreg"):  # the score is left out, so that nothing remains of the noise here
        assert gradient.abs().max() < 1e-6


@pytest.mark.parametrize(
    ("objective", "q"),
    [(o, q) for o in objectives.OBJECTIVES for q in ("gaussian", "mixture")]
    + [("dreg", "spline"), ("elbo", "diagonal")],
)
def test_every_objective_finds_the_posterior_with_every_q(objective, q):
    if (objective, q) == ("dreg", "mixture"):
        with pytest.raises(ValueError, match="reparametrised"):
            objectives.loss(objective, gaussian_joint, make_head(q, 1, 2), torch.zeros(1, 6), 8, torch.Generator())
        return
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    head = make_head(q, 1, 2)
    parameters = head.initial_bias()[None].clone().requires_grad_()
    adam = torch.optim.Adam([parameters, *head.parameters()], lr=0.05)
    for _ in range(120):
        loss, _ = objectives.loss(objective, gaussian_joint, head, parameters, 16, generator)
        adam.zero_grad()
        loss.backward()
        adam.step()
    with torch.no_grad():
        z = head.sample(parameters, 4000, generator)
        log_w = gaussian_joint(z) - head.log_prob(parameters, z)
        assert float(log_w.logsumexp(1)) - math.log(4000) == pytest.approx(LOG_EVIDENCE, abs=0.02)
        # "iwae" does not ask q for the posterior, only for useful draws
        assert LOG_EVIDENCE - float(log_w.mean()) < (0.5 if objective == "iwae" else 0.1)


def test_model_gradients_of_dreg_and_iwae_agree():
    # with one and the same set of draws the model's parameters see the same gradient
    head = make_head("gaussian", 1)
    parameters = whitening(0.1, 0.0).float().requires_grad_()
    gradients = []
    for objective in ("iwae", "dreg", "rws"):
        scale = torch.tensor(1.3, requires_grad=True)
        loss, _ = objectives.loss(
            objective, lambda z, s=scale: gaussian_joint(z * s), head, parameters, 32, torch.Generator().manual_seed(5)
        )
        gradients.append(float(torch.autograd.grad(loss, scale)[0]))
    assert gradients == pytest.approx([gradients[0]] * 3, rel=1e-4)


def test_unknown_objective_is_refused():
    with pytest.raises(ValueError, match="objective must be one of"):
        objectives.loss("map", gaussian_joint, make_head("gaussian", 1), torch.zeros(1, 3), 2, torch.Generator())
