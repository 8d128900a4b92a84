"""The density of the prior and the simulator, without sbi and inside it."""

import numpy as np
import pytest

import hbm_fast as hbm

torch = pytest.importorskip("torch")
from hbm_fast.integrations.sbi import Prior, Simulator, log_beta  # noqa: E402

MODEL = hbm.HierarchicalModel(2)


def test_prior_density_is_that_of_its_draws():
    # the density integrates to one on the plane
    grid = torch.linspace(-25, 6, 621, dtype=torch.float64)
    other = torch.linspace(-30, 30, 601, dtype=torch.float64)
    points = torch.stack(torch.meshgrid(grid, other, indexing="ij"), dim=-1)
    prior = Prior(hbm.HierarchicalModel(2, alpha=hbm.priors.Gamma(2.0, rate=0.5), beta=[0.5, 3.0]))
    mass = prior.log_prob(points).exp().sum() * 0.05 * 0.1
    assert abs(mass - 1) < 1e-3
    draws = prior.sample((40_000,))
    assert draws.dtype == torch.float32
    assert abs(log_beta(draws).exp()[:, 0].mean() - 0.5 / 3.5) < 0.005
    assert prior.sample().shape == (2,)
    assert prior.sample((2, 3)).shape == (2, 3, 2)
    assert torch.isfinite(prior.mean).all()
    assert (prior.variance > 0).all()


def test_torch_seeds_determine_the_draws():
    prior, simulator = Prior(MODEL), Simulator(MODEL, n_groups=4, totals=9)
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        theta = prior.sample((50,))
        results.append((theta, simulator(theta)))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    assert not torch.equal(results[0][0], results[2][0])


def test_simulator_outputs():
    theta = Prior(MODEL).sample((6,))
    counts = Simulator(MODEL, n_groups=4, totals=9, output="counts")(theta)
    assert counts.shape == (6, 4, 2)
    assert (counts.sum(-1) == 9).all()
    assert Simulator(MODEL, n_groups=4, totals=9)(theta.numpy()).shape == (6, 27)
    # the coordinates determine the counts: large log alpha and beta = (0.9, 0.1) give nearly multinomial ones
    sure = torch.tensor([[12.0, np.log(9.0)]]).repeat(2000, 1)
    mean = Simulator(MODEL, n_groups=4, totals=9, output="counts")(sure)[..., 0].mean()
    assert abs(mean - 8.1) < 0.1
    with pytest.raises(ValueError, match="K = 2"):
        Simulator(MODEL, n_groups=4, totals=9)(torch.zeros(3, 5))
    with pytest.raises(ValueError, match="output"):
        Simulator(MODEL, n_groups=4, totals=9, output="images")
    with pytest.raises(ValueError, match="prior for alpha"):
        Prior(hbm.HierarchicalModel(2, alpha=1.0))


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
def test_inside_sbi():
    pytest.importorskip("sbi")
    from sbi.inference import NPE, simulate_for_sbi
    from sbi.utils.user_input_checks import check_sbi_inputs, process_prior, process_simulator

    prior, n_parameters, returns_numpy = process_prior(Prior(MODEL))
    assert n_parameters == 2
    simulator = process_simulator(Simulator(MODEL, n_groups=6, totals=5), prior, returns_numpy)
    check_sbi_inputs(simulator, prior)
    theta, x = simulate_for_sbi(
        simulator, prior, 2000, num_workers=1, simulation_batch_size=None, seed=3, show_progress_bar=False
    )
    assert theta.shape == (2000, 2)
    assert x.shape == (2000, 15)
    again = simulate_for_sbi(
        simulator, prior, 2000, num_workers=1, simulation_batch_size=None, seed=3, show_progress_bar=False
    )
    assert torch.equal(x, again[1])
    inference = NPE(prior=prior, density_estimator="mdn", show_progress_bars=False)
    inference.append_simulations(theta, x).train(max_num_epochs=2)
    draws = inference.build_posterior().sample((10,), x=x[:1], show_progress_bars=False)
    assert draws.shape == (10, 2)
