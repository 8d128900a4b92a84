"""sample where it is hard (two modes of alpha, priors of alpha with bounds), and its warning where it fails."""

import warnings

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast.posterior import convergence
from hbm_fast.sampling.convergence import check

P = hbm.priors
PURE = [[3, 0], [0, 3]]
MANY_ERRORS = 6.2  # a normal variable is beyond with p < 1e-9

TWO_MODES = {
    "Lomax": ([[5000, 5000]] * 4 + PURE * 7, P.Lomax()),
    "heavy tail": ([[5000, 5000]] * 4 + [[4, 0], [0, 4]] * 5, P.Lomax(0.2)),
    "LogNormal above": ([[18, 2], [2, 18], [15, 5], [4, 16], [9, 11], [19, 1]], P.LogNormal(15, 2)),
    "HalfCauchy": ([[5000, 5000]] * 3 + PURE * 6, P.HalfCauchy(100.0)),
    "Gamma": ([[800, 1200]] * 3 + PURE * 5, P.Gamma(0.1, rate=1e-6)),
    "LogUniform": ([[500, 500]] * 3 + [[2, 0], [0, 2]] * 12, P.LogUniform(1e-3, 1e6)),
}


@pytest.mark.parametrize("method", ["auto", "mh"])
@pytest.mark.parametrize("name", TWO_MODES)
def test_two_modes_of_alpha(name, method):
    counts, prior = TWO_MODES[name]
    model = hbm.HierarchicalModel(2, alpha=prior)
    exact = hbm.exact_posterior(counts, model, n_draws=1, rng=0)
    for rng in range(2):
        post = hbm.sample(counts, model, method=method, rng=rng)
        assert post.details["n_modes"] == 2
        error = post.diagnostics("log_alpha")["mcse"]
        assert abs(post.mean("log_alpha") - exact.mean("log_alpha")) < MANY_ERRORS * error
        # a run that sees one of the two modes has a quarter of this spread
        assert post.sd("log_alpha") == pytest.approx(exact.sd("log_alpha"), rel=0.25)


def test_two_modes_of_alpha_by_gibbs():
    counts, prior = TWO_MODES["LogNormal above"]
    model = hbm.HierarchicalModel(2, alpha=prior)
    post = hbm.sample(counts, model, method="gibbs", rng=1)
    exact = hbm.exact_posterior(counts, model, n_draws=1, rng=0).mean("log_alpha")
    assert abs(post.mean("log_alpha") - exact) < MANY_ERRORS * post.diagnostics("log_alpha")["mcse"]


def test_two_modes_of_many_categories():
    """The shares of two modes are the same from every start: four chains that each had one would differ by 11."""
    counts = np.array([[1250] * 8] * 4 + [(3 * np.eye(8, dtype=int))[i % 8] for i in range(36)])
    post = hbm.sample(counts, hbm.HierarchicalModel(8, alpha=P.Lomax()), rng=0)
    assert post.details["n_modes"] == 2
    high = (post.log_alpha > 5.0).mean(axis=1)
    assert 0.4 < high.min() < high.max() < 0.8


def test_two_modes_of_a_known_beta():
    model = hbm.HierarchicalModel(3, alpha=P.Lomax(), beta=P.FixedBeta([0.2, 0.3, 0.5]))
    counts = np.array([[2000, 3000, 5000]] * 4 + [[3, 0, 0], [0, 3, 0], [0, 0, 3], [0, 0, 3]] * 5)
    stats = hbm.SufficientStatistics(counts)
    t = np.linspace(-20.0, 80.0, 40_001)
    value = stats.log_likelihood(np.exp(t)[:, np.newaxis] * [0.2, 0.3, 0.5]) + model.alpha.log_density(t)
    weight = np.exp(value - value.max())
    post = hbm.sample(counts, model, rng=1)
    assert post.details["n_modes"] == 2
    error = post.diagnostics("log_alpha")["mcse"]
    assert abs(post.mean("log_alpha") - (weight * t).sum() / weight.sum()) < MANY_ERRORS * error


BOUNDED = {
    "three bags of 1,000": ([[500, 500]] * 3, P.LogUniform(0.01, 1e4)),
    "three bags of a million": ([[500_000, 500_000], [600_000, 400_000], [520_000, 480_000]], P.LogUniform(1e-6, 1e6)),
    "rats": (hbm.datasets.load_rat_tumors().counts, P.Power(-1.5, lower=0.01, upper=1000)),
    "pure bags": ([[20, 0]] * 6 + [[0, 20]] * 5, P.LogUniform(1e-5, 100)),
    "against the bound": ([[10, 10]] * 30, P.Power(1.0, lower=0.01, upper=20)),
    "no data": (np.zeros((0, 2), int), P.Power(0.5, lower=0.1, upper=50)),
}


@pytest.mark.parametrize("name", BOUNDED)
def test_priors_with_bounds(name):
    counts, prior = BOUNDED[name]
    model = hbm.HierarchicalModel(2, alpha=prior)
    post = hbm.sample(counts, model, rng=3)
    found = post.diagnostics("log_alpha")
    assert found["ess_bulk"] > 400
    exact = hbm.exact_posterior(counts, model, n_draws=1, rng=0).mean("log_alpha")
    assert abs(post.mean("log_alpha") - exact) < MANY_ERRORS * found["mcse"]
    assert (post.alpha >= prior.lower).all()
    assert (post.alpha <= prior.upper).all()


def test_one_number_far_below_its_start():
    """A single wide mode: the prior of log alpha is as wide as 1,000."""
    model = hbm.HierarchicalModel(2, alpha=P.Gamma(0.001, rate=0.001))
    post = hbm.sample([[5, 0], [0, 5]] * 3, model, rng=0)
    assert post.details["ess_bulk"] > 400
    exact = hbm.exact_posterior([[5, 0], [0, 5]] * 3, model, n_draws=1, rng=0).mean("log_alpha")
    assert abs(post.mean("log_alpha") - exact) < MANY_ERRORS * post.diagnostics("log_alpha")["mcse"]


def test_each_dataset_of_a_batch_has_its_sampler():
    models = (hbm.HierarchicalModel(40, alpha=a) for a in (0.3, 300.0))
    batch = np.stack([hbm.simulate(m, 1, n_groups=50, totals=200, rng=1).counts[0] for m in models])
    post = hbm.sample(batch, hbm.HierarchicalModel(40, alpha=P.Lomax()), rng=1, n_draws=400)
    assert post.method == "mixed"
    assert post.details["method"].tolist() == [post[0].method, post[1].method] == ["gibbs", "hmc"]
    assert post[1].details["method"] == "hmc"
    assert post.details["reason"].shape == post.details["acceptance_rate"].shape == (2,)
    assert post.details["ess_bulk"][1] > 400
    turned = hbm.sample(batch[::-1], hbm.HierarchicalModel(40, alpha=P.Lomax()), rng=1, n_draws=100)
    assert turned.details["method"].tolist() == ["hmc", "gibbs"]


@pytest.mark.parametrize("method", ["hmc", "mh"])
@pytest.mark.parametrize("alpha", [P.Lomax(), P.LogUniform(0.01, 1e4), P.Fixed(2.0)], ids=["free", "bounded", "fixed"])
def test_log_density_is_that_of_the_posterior(method, alpha):
    counts = np.array([[480, 520], [500, 500], [510, 490]])
    model = hbm.HierarchicalModel(2, alpha=alpha, beta=[1.5, 0.5])
    post = hbm.sample(counts, model, method=method, rng=1, n_draws=30)
    expected = alpha.log_density(post.log_alpha) + post.log_beta @ [1.5, 0.5]
    expected += hbm.SufficientStatistics(counts).log_likelihood(post.alpha[..., np.newaxis] * post.beta)
    constant = post.sample_stats["log_density"] - expected
    np.testing.assert_allclose(constant, constant[0, 0], rtol=1e-9)


def test_gibbs_exports_no_log_density():
    post = hbm.sample([[5, 1], [2, 9]], method="gibbs", rng=1, n_draws=10)
    assert "log_density" not in post.sample_stats
    assert "acceptance_rate" in post.sample_stats


SLOW = np.array([[100] * 20] * 3)  # for Gibbs: its table counts hardly change a large alpha
EASY = np.array([[2] * 10 + [0] * 10, [0] * 10 + [2] * 10, [0, 1] * 10])
WIDE = hbm.HierarchicalModel(20, alpha=P.LogUniform(0.01, 1e4))


def test_sample_warns_once():
    with pytest.warns(hbm.ConvergenceWarning, match=r"R-hat of .*; .* effective draws.*n_draws") as caught:
        post = hbm.sample(SLOW, WIDE, method="gibbs", rng=1, n_draws=300)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert post.details["r_hat"] > 1.1
    assert post.details["ess_bulk"] < 100
    post.summary()  # does not repeat it


def test_diagnostics_can_be_left_out():
    post = hbm.sample(SLOW, WIDE, method="gibbs", rng=1, n_draws=300, diagnostics=False)
    assert "r_hat" not in post.details
    with pytest.warns(hbm.ConvergenceWarning):
        post.summary()


def test_what_is_not_checked():
    for options in ({"n_chains": 1, "n_draws": 300}, {"n_draws": 99}):
        post = hbm.sample(SLOW, WIDE, method="gibbs", rng=1, **options)
        assert np.isnan(post.details["r_hat"])


def test_one_warning_for_a_batch():
    batch = np.stack([SLOW, EASY, SLOW])
    with pytest.warns(hbm.ConvergenceWarning, match=r"2 of 3 datasets .* worst, dataset [02]: R-hat of") as caught:
        post = hbm.sample(batch, WIDE, method="gibbs", rng=1, n_draws=300)
    assert len(caught) == 1
    assert post.details["r_hat"].shape == (3,)
    assert post.details["r_hat"][1] < 1.05 < post.details["r_hat"][0]
    assert post[0].details["r_hat"] == post.details["r_hat"][0]
    with pytest.warns(hbm.ConvergenceWarning):  # which the one warning did not name
        post[0].summary()


def problems(r_hat, ess, n_draws=1000):
    names = ("log_alpha", *(f"beta[{k}]" for k in range(len(r_hat) - 1)))
    return convergence.problems(names, np.asarray(r_hat), np.asarray(ess), 4, n_draws)


def test_the_rule_of_many_parameters():
    r_hat, ess = np.full(501, 1.002), np.full(501, 2000.0)
    assert problems(r_hat, ess) == []
    r_hat[7], ess[8] = 1.012, 390.0  # one of 500 beta
    assert problems(r_hat, ess) == []
    r_hat[7] = 1.06
    assert problems(r_hat, ess) == ["R-hat of beta[6] is 1.060, above 1.01"]
    r_hat[7] = 1.002
    ess[8] = 79.0
    assert problems(r_hat, ess) == ["beta[7] has 79 effective draws, below 400"]
    ess[8] = 2000.0
    r_hat[1:31] = 1.012
    assert problems(r_hat, ess) == ["R-hat of 30 of 501 parameters above 1.01, the largest 1.012 of beta[0]"]
    r_hat[1:31] = 1.002
    r_hat[0], ess[0] = 1.011, 399.0  # log alpha
    assert problems(r_hat, ess) == [
        "R-hat of log_alpha is 1.011, above 1.01",
        "log_alpha has 399 effective draws, below 400",
    ]
    assert problems([1.0, np.nan, np.nan], [2000.0, np.nan, np.nan]) == []  # beta is fixed


def test_short_chains_have_wider_limits():
    assert problems([1.04, 1.0], [90.0, 200.0], n_draws=200) == []
    assert problems([1.06, 1.0], [79.0, 200.0], n_draws=200) == [
        "R-hat of log_alpha is 1.060, above 1.05",
        "log_alpha has 79 effective draws, below 80",
    ]
    assert problems([2.0, 2.0], [1.0, 1.0], n_draws=99) == []


@pytest.mark.parametrize("n", [80, 81])
def test_divergences_are_reported(n):
    """More than 2 % of 4 x 1,000 trajectories."""
    rng = np.random.default_rng(1)
    log_beta = np.log(rng.dirichlet([2.0, 2.0], (4, 1000)))
    model, details = hbm.HierarchicalModel(2), {"n_divergences": n}
    post = hbm.Posterior(rng.normal(size=(4, 1000)), log_beta, model=model, details=details)
    checked, message = check(post)
    assert checked.details["r_hat"] < 1.01
    assert (message is None) == (n == 80)
    assert message is None or message.startswith("81 of 4000 trajectories diverged: ")


def test_no_warning_where_all_is_well():
    bags = hbm.datasets.load_marbles().counts
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for rng in range(5):
            post = hbm.sample(bags, rng=rng)
            assert post.details["r_hat"] < 1.01
            assert post.details["n_modes"] == 1
        for counts in (np.zeros((0, 2), int), [[3, 1]]):
            hbm.sample(counts, rng=1)
        hbm.sample(bags, hbm.HierarchicalModel(2, alpha=2.0), rng=1)  # log alpha is constant
        hbm.sample(bags, hbm.HierarchicalModel(2, alpha=2.0, beta=P.FixedBeta([0.5, 0.5])), rng=1)
