"""sample: right against quadrature, the same bits for any number of threads, every prior, every edge."""

import numpy as np
import pytest

import hbm_fast as hbm
import interpreter

METHODS = ("hmc", "gibbs", "mh")
BAGS = hbm.datasets.load_marbles().counts  # of Le (2020): ten white, ten black, one black marble


def test_the_bags_of_le_2020():
    post = hbm.sample(BAGS, rng=1)
    assert abs(post.mean("log_alpha") + 4.147418) < 4 * post.diagnostics("log_alpha")["mcse"]
    assert abs(post.mean("beta")[1] - 0.521729) < 4 * post.diagnostics("beta")["mcse"][1]
    assert post.sd("log_alpha") == pytest.approx(1.28944, abs=0.2)
    assert post.predict(20)[1] == pytest.approx(0.98714, abs=0.002)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_threads", [2, 3, 7])
def test_threads_change_no_bit(n_threads, method):
    batch = np.stack([BAGS, BAGS[::-1], BAGS * 2])
    one = hbm.sample(batch, method=method, rng=5, n_draws=50, n_threads=1)
    many = hbm.sample(batch, method=method, rng=5, n_draws=50, n_threads=n_threads)
    np.testing.assert_array_equal(one.log_alpha, many.log_alpha)
    np.testing.assert_array_equal(one.log_beta, many.log_beta)


def test_a_dataset_of_a_batch_of_one_is_the_dataset():
    alone = hbm.sample(BAGS, rng=5, n_draws=30)
    batch = hbm.sample(BAGS[np.newaxis], rng=5, n_draws=30)
    assert batch.log_alpha.shape == (1, 4, 30)
    np.testing.assert_array_equal(alone.log_alpha, batch.log_alpha[0])
    np.testing.assert_array_equal(alone.log_beta, batch[0].log_beta)


@pytest.mark.parametrize("method", METHODS)
def test_padding_changes_no_bit(method):
    ragged = [BAGS, BAGS[:7], np.zeros((0, 2), dtype=np.int64)]
    padded = np.zeros((3, 25, 2), dtype=np.int64)
    for row, counts in zip(padded, ragged, strict=True):
        row[: len(counts)] = counts
    one = hbm.sample(ragged, method=method, rng=2, n_draws=40)
    two = hbm.sample(padded, method=method, rng=2, n_draws=40)
    np.testing.assert_array_equal(one.log_alpha, two.log_alpha)
    assert one.counts.shape == (3, 21, 2)


@pytest.mark.parametrize("method", METHODS)
def test_no_data_gives_the_prior(method):
    post = hbm.sample(np.zeros((0, 3), dtype=int), method=method, rng=4, n_draws=20_000)
    assert post.mean("alpha") == pytest.approx(1.0, abs=0.05)
    np.testing.assert_allclose(post.mean("beta"), 1 / 3, atol=0.01)
    np.testing.assert_allclose(post.sd("beta"), np.sqrt(1 / 18), atol=0.01)


@pytest.mark.parametrize("method", METHODS)
def test_huge_counts_and_unseen_categories(method):
    counts = np.array([[1_000_000, 0, 500_000], [900_000, 0, 700_000], [1_100_000, 0, 600_000]])
    # Gibbs and MH have few effective draws here, and would warn
    post = hbm.sample(counts, method=method, rng=4, n_draws=500, diagnostics=False)
    assert np.isfinite(post.log_alpha).all()
    assert np.isfinite(post.log_beta).all()
    assert abs(post.mean("beta")[0] - 0.6) < 0.1
    np.testing.assert_allclose(np.exp(post.log_beta).sum(axis=-1), 1.0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("beta", [0.002, 1.0])
def test_sparse_prior_and_tiny_alpha_stay_finite(method, beta):
    model = hbm.HierarchicalModel(4, alpha=hbm.priors.LogNormal(-600.0, 50.0), beta=beta)
    # a beta of 0.002 leaves HMC and MH few effective draws
    post = hbm.sample(np.array([[5, 0, 0, 0]] * 3), model, method=method, rng=4, n_draws=500, diagnostics=False)
    assert np.isfinite(post.log_alpha).all()
    assert np.isfinite(post.log_beta).all()
    if beta == 1.0:  # pure groups carry no information on so small an alpha: the posterior is the prior
        assert post.mean("log_alpha") == pytest.approx(-600, abs=15)
        assert post.sd("log_alpha") == pytest.approx(50, abs=10)


def test_statistics_replace_the_data():
    stats = hbm.SufficientStatistics(BAGS[:15])
    stats.add(BAGS[15:])
    for method in METHODS:
        post = hbm.sample(stats, method=method, rng=2, n_draws=40)
        np.testing.assert_array_equal(post.log_alpha, hbm.sample(BAGS, method=method, rng=2, n_draws=40).log_alpha)
        assert post.counts is None
        assert post.predict(None).shape == post.predict(counts=[0, 1]).shape == (2,)


def test_details_have_the_sampler_and_the_reason():
    assert hbm.sample(BAGS, rng=1, n_draws=5).details["method"] == "hmc"
    bounded = hbm.HierarchicalModel(2, alpha=hbm.priors.LogUniform(0.01, 100.0))
    assert hbm.sample(BAGS, bounded, rng=1, n_draws=5).details["method"] == "hmc"
    many = hbm.sample(np.eye(300, dtype=int), rng=1, n_draws=5)
    assert many.method == many.details["method"] == "gibbs"
    assert "300" in many.details["reason"]


def test_alpha_and_beta_fixed():
    model = hbm.HierarchicalModel(2, alpha=2.0, beta=hbm.priors.FixedBeta([0.25, 0.75]))
    for method in METHODS:
        post = hbm.sample(BAGS, model, method=method, rng=1, n_draws=5)
        np.testing.assert_allclose(post.alpha, 2.0)
        np.testing.assert_allclose(post.beta[..., 1], 0.75)


def test_progress_is_written(capsys):
    hbm.sample(BAGS, rng=1, n_draws=200_000, method="mh", progress=True, n_threads=1)
    assert capsys.readouterr().err.endswith("\rhbm_fast.sample (mh): 100%\n")
    shares = []
    hbm.sample(BAGS, rng=1, n_draws=200_000, method="mh", progress=shares.append, n_threads=1)
    assert shares == sorted(shares)
    assert (shares[0] < 1.0, shares[-1]) == (True, 1.0)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("method", METHODS)
def test_interrupt(method, n_threads):
    """Ctrl-C stops a chain in its middle."""
    script = (
        "import os, signal, threading, numpy as np, hbm_fast as hbm\n"
        "sample = hbm.sample\n"  # imported before the timer starts: Python may lose a signal during an import
        "threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "try:\n"
        f"    sample(np.eye(300, dtype=int) * 9, method={method!r}, n_draws=10, n_chains=3,\n"
        f"           n_warmup=10**9, n_threads={n_threads})\n"
        "except KeyboardInterrupt:\n"
        "    print('stopped')\n"
    )
    assert interpreter.run(script, check=True).stdout == "stopped\n"


@pytest.mark.parametrize(
    ("counts", "options", "error", "match"),
    [
        ([1, 2], {}, ValueError, r"\(N, K\)"),
        ([BAGS, BAGS[:, :1]], {}, ValueError, r"counts\[1\] must have K = 2"),
        (BAGS, {"model": hbm.HierarchicalModel(3)}, ValueError, "HierarchicalModel"),
        (BAGS, {"model": "marbles"}, TypeError, "HierarchicalModel"),
        (BAGS, {"method": "nuts"}, ValueError, "'nuts'"),
        (BAGS, {"n_draws": 0}, ValueError, "n_draws"),
        (BAGS, {"n_chains": 2.0}, TypeError, "n_chains"),
        (BAGS, {"n_warmup": -1}, ValueError, "n_warmup"),
        (BAGS, {"rng": -1}, ValueError, "rng"),
        (BAGS, {"n_threads": 0}, ValueError, "n_threads"),
        (BAGS, {"start": (np.zeros((1, 4)), np.zeros((1, 4, 2)))}, ValueError, r"log alpha \(4,\) .* \(4, 2\); got"),
        (BAGS, {"start": 5}, TypeError, "start must be a pair"),
        (BAGS, {"start": (["a"] * 4, np.zeros((4, 2)))}, TypeError, "start must be an array of numbers"),
        ([BAGS], {"start": (np.zeros(4), np.zeros((4, 2)))}, ValueError, r"log alpha \(1, 4\)"),
    ],
)
def test_bad_input(counts, options, error, match):
    with pytest.raises(error, match=match):
        hbm.sample(counts, **options)


def test_auto_chooses_by_alpha():
    few = hbm.simulate(hbm.HierarchicalModel(50, alpha=2.0), 1, n_groups=100, totals=100, rng=0).counts[0]
    assert hbm.sample(few, n_draws=5, rng=0).details["method"] == "gibbs"
    many = hbm.simulate(hbm.HierarchicalModel(50, alpha=20.0), 1, n_groups=100, totals=100, rng=0).counts[0]
    assert hbm.sample(many, n_draws=5, rng=0).details["method"] == "hmc"
    # statistics alone lead to the same choice, and the same draws
    for counts in (few, many):
        whole = hbm.sample(counts, n_draws=5, rng=0)
        half = hbm.SufficientStatistics(counts[:50]).add(counts[50:])
        post = hbm.sample(half, n_draws=5, rng=0)
        assert post.details["reason"] == whole.details["reason"]
        np.testing.assert_array_equal(post.log_alpha, whole.log_alpha)
    known = hbm.sample(many, hbm.HierarchicalModel(50, alpha=1.0), n_draws=5, rng=0)
    assert known.details["method"] == "gibbs"
    # no alpha to estimate: no data, one draw a group, groups all alike
    for counts in (np.zeros((3, 40), int), np.eye(40, dtype=int), np.ones((5, 40), int)):
        assert np.isfinite(hbm.sample(counts, n_draws=5, rng=0).log_alpha).all()


def test_start_of_one_dataset_is_that_of_a_batch_of_one():
    log_alpha, log_beta = np.array([-3.0, -2.0, np.nan, 0.0]), np.log(np.full((4, 2), 0.5))
    post = hbm.sample(BAGS, start=(log_alpha, log_beta), rng=1, n_draws=10)
    batch = hbm.sample([BAGS], start=(log_alpha[np.newaxis], log_beta[np.newaxis]), rng=1, n_draws=10)
    np.testing.assert_array_equal(post.log_alpha, batch[0].log_alpha)
    default = hbm.sample(BAGS, rng=1, n_draws=10)
    assert (post.log_alpha == default.log_alpha).all(axis=1).tolist() == [False, False, True, False]


def test_names_are_kept():
    post = hbm.sample(BAGS, rng=1, n_draws=400, category_names=["white", "black"], group_names=range(21))
    assert post.summary().names[-1] == "beta[black]"
    np.testing.assert_array_equal(post.theta("20"), post.theta(20))
    assert hbm.exact_posterior(BAGS, n_draws=1, category_names=["w", "b"]).category_names == ("w", "b")
    with pytest.raises(ValueError, match="must hold 2 names"):
        hbm.sample(BAGS, category_names=["white"])
    with pytest.raises(ValueError, match="needs counts"):
        hbm.sample(hbm.SufficientStatistics(BAGS), group_names=["a"])


def test_sequential_use_equals_the_batch_answer():
    stats = hbm.SufficientStatistics(n_categories=2)
    for n, bag in enumerate(BAGS, start=1):
        stats.add(bag[np.newaxis])
        if n in (1, 10, 21):
            post = hbm.sample(stats, rng=n, n_draws=20)
            np.testing.assert_array_equal(post.log_beta, hbm.sample(BAGS[:n], rng=n, n_draws=20).log_beta)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_warmup", [0, 1, 7, 100])
def test_adaptation_ends_with_the_warm_up(method, n_warmup):
    for counts in (BAGS, np.arange(120).reshape(3, 40)):  # more categories than a full covariance takes
        post = hbm.sample(counts, method=method, rng=2, n_draws=30, n_warmup=n_warmup)
        assert np.isfinite(post.log_beta).all()
        assert (np.ptp(post.sample_stats["step_size"], axis=1) == 0.0).all()
        assert (post.sample_stats["acceptance_rate"] <= 1.0).all()
