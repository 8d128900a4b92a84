"""The embedding's public functions: shipped networks, train, sample, evidence, ModelComparison, files."""

import json

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast.sufficient_statistics import exceedance_counts

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from hbm_fast import embedding  # noqa: E402
from hbm_fast.embedding import EmbeddingPosterior, Gap, ModelComparison  # noqa: E402
from hbm_fast.embedding.comparison import highest_likelihood, importance_evidence  # noqa: E402
from hbm_fast.embedding.division import divided  # noqa: E402
from hbm_fast.nn.data import DatasetStream  # noqa: E402
from hbm_fast.nn.importance import log_coefficient  # noqa: E402
from hbm_fast.nn.likelihood import node_log_likelihood  # noqa: E402

BAGS = hbm.datasets.load_marbles().counts
MODEL = hbm.HierarchicalModel(2)
SMALL = {"encoder_width": 16, "encoder_depth": 1, "width": 16, "depth": 1, "batch_size": 32}


@pytest.fixture(scope="module")
def marbles():
    return embedding.load("marbles")


@pytest.fixture(scope="module")
def le2020():
    return embedding.load("marbles-exp-plus-one")


@pytest.fixture(scope="module")
def comparison():
    return ModelComparison(MODEL, hbm.simulate(MODEL, 150, n_groups=21, totals=20, rng=99).counts)


@pytest.fixture(scope="module")
def mixture():
    return embedding.train(2, 2, head="mixture", n_components=3, link="exp_plus_one", steps=8, rng=0, **SMALL)


# the second question of Le (2020) -------------------------------------------------------------------------------------
def test_the_learned_model_is_the_true_one_and_with_the_link_of_le2020_it_cannot_be(marbles, le2020, comparison):
    ours, theirs = comparison.model_gap(marbles), comparison.model_gap(le2020)
    assert ours.value < 0.005
    assert theirs.value > 11.0
    assert theirs.error < 2.0


def test_inference_gap_and_weights(marbles, comparison):
    found = comparison.inference(marbles)
    assert found["gap"] < 0.05
    assert found["ess"] > 0.85


def test_the_example(marbles, le2020):
    post = marbles.sample(BAGS, n_draws=4000, rng=0)
    assert post.predict(20)[1] == pytest.approx(0.98714, abs=0.005)
    above = np.average(post.theta(20)[..., 1] > 0.95, weights=np.exp(post.log_weights))
    assert above == pytest.approx(0.9615, abs=0.012)
    assert le2020.sample(BAGS, n_draws=4000, rng=0).predict(20)[1] < 0.70


def test_no_concentration_of_the_link_of_le2020_is_below_one(marbles, le2020):
    z = np.random.default_rng(0).normal(size=(1000, 2))
    assert le2020.concentration(z).min() >= 1.0
    assert (marbles.concentration(z).max(-1) < 1.0).mean() > 0.5


# inference -----------------------------------------------------------------------------------------------------------
def test_sample_returns_a_posterior_with_z(marbles):
    post = marbles.sample(BAGS, n_draws=50, rng=0)
    assert isinstance(post, hbm.Posterior)
    assert post.z.shape == (1, 50, 2)
    assert post.alpha.shape == (1, 50)
    a = marbles.concentration(post.z)
    np.testing.assert_allclose(post.alpha, a.sum(-1), rtol=1e-12)
    np.testing.assert_allclose(post.beta, a / a.sum(-1, keepdims=True), rtol=1e-12)
    assert np.exp(post.log_weights).sum() == pytest.approx(1.0)
    assert post.theta(20).shape == (1, 50, 2)
    assert post.details["path"] in ("importance", "quadrature")


def test_a_batch_is_its_datasets(marbles):
    data = hbm.simulate(MODEL, 3, n_groups=(1, 9), totals=(0, 20), rng=4).counts
    post = marbles.sample(data, n_draws=2000, rng=1)
    assert post.z.shape == (3, 1, 2000, 2)
    assert post[1].z.shape == (1, 2000, 2)
    values = marbles.log_evidence(data)
    # at p < 1e-9: 6.1 standard errors, and quadrature's own error
    assert (np.abs(post.log_evidence - values) < 6.1 * post.log_evidence_error + 1e-4).all()
    assert marbles.log_evidence(data[1]) == pytest.approx(values[1])
    ragged = marbles.log_evidence([d[d.sum(1) > 0] for d in data])
    np.testing.assert_allclose(ragged, values, atol=1e-9)


def test_log_evidence_is_near_the_true_one(marbles):
    value = marbles.log_evidence(BAGS)
    assert isinstance(value, float)
    assert value == pytest.approx(hbm.exact_posterior(BAGS).log_evidence, abs=0.3)
    assert 0.0 <= marbles.log_evidence_error(BAGS) < 1e-4


def test_counts_beyond_the_range_of_q_are_answered_without_it(marbles):
    data = np.array([[60, 2], [1, 50], [3, 70]])
    post = marbles.sample(data, n_draws=2000, rng=0)
    assert post.details["path"] == "quadrature"
    exact = hbm.exact_posterior(data)
    assert post.mean("beta")[0] == pytest.approx(exact.mean("beta")[0], abs=0.05)
    with pytest.raises(ValueError, match="totals of at most 20"):
        marbles.sample(data, correct=True)


def test_the_same_rng_gives_the_same_draws(marbles):
    before = torch.random.get_rng_state()
    first, second = (marbles.sample(BAGS, n_draws=20, rng=5).z for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_prior_density_is_a_density(marbles):
    grid = (np.arange(20_000) + 0.5) / 20_000
    z = np.array([[0.0, 0.0], [-1.0, -1.0], [1.0, -0.5]])
    density = marbles.prior_density(z, grid)
    assert density.shape == (3, 20_000)
    a = marbles.concentration(z)
    inside = (grid > 0.1) & (grid < 0.9)
    scipy_stats = pytest.importorskip("scipy.stats")
    for row, (white, black) in zip(density, a, strict=True):
        np.testing.assert_allclose(row[inside], scipy_stats.beta(black, white).pdf(grid[inside]), rtol=1e-8)


def test_wrong_arguments_are_refused_by_name(marbles):
    for call, message in (
        (lambda: marbles.sample(BAGS, correct="yes"), "correct must be"),
        (lambda: marbles.sample(BAGS, n_draws=0), "n_draws must be at least 1"),
        (lambda: marbles.sample([[1, 2, 3]]), "K = 2"),
        (lambda: marbles.sample(BAGS / 3), "whole numbers"),
        (lambda: marbles.prior_density([0.0], [0.5]), "dim = 2"),
        (lambda: marbles.prior_density([0.0, 0.0], [1.0]), "inside the simplex"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


# mixtures of Dirichlets ----------------------------------------------------------------------------------------------
def test_a_mixture_predicts_new_and_seen_groups(mixture):
    post = mixture.sample(BAGS, n_draws=400, rng=0)
    for group in (None, 0, 20):
        assert post.predict(group).sum() == pytest.approx(1.0)
    # a bag of 20 white marbles is of the component with more white
    assert post.predict(0)[0] > post.predict(10)[0]
    assert post.log_likelihood().shape == (1, 400, 21)
    with pytest.raises(ValueError, match="jointly must be False"):
        post.log_predictive([[1, 2]], jointly=True)
    batch = mixture.sample(np.stack([BAGS, BAGS[::-1]]), n_draws=20, rng=0)
    assert batch[1].theta(3).shape == (1, 20, 2)
    np.testing.assert_array_equal(batch[1].log_likelihood(), batch.log_likelihood()[1])


def test_a_mixture_s_evidence_by_draws_and_by_quadrature(mixture):
    data = hbm.simulate(MODEL, 2, n_groups=5, totals=6, rng=4).counts
    post = mixture.sample(data, n_draws=4000, rng=1)
    assert (np.abs(post.log_evidence - mixture.log_evidence(data)) < 6.1 * post.log_evidence_error + 1e-4).all()


# the comparison ------------------------------------------------------------------------------------------------------
def test_the_old_name_of_the_comparison_is_deprecated():
    with pytest.warns(DeprecationWarning, match="use ModelComparison"):
        assert embedding.Referee is ModelComparison
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        embedding.nothing  # noqa: B018


def test_a_gap_is_zero_for_equal_models_and_never_negative():
    log_true = torch.randn(50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    same = Gap.of(log_true, log_true)
    assert (same.value, same.error) == (0.0, 0.0)
    assert Gap.of(log_true, log_true + 0.01).k3 > 0.0
    far = Gap.of(log_true, log_true - 3.0)
    assert far.value == far.log_ratio == pytest.approx(3.0)


def test_the_comparison_uses_the_exact_evidence(comparison):
    exact = hbm.exact_posterior(comparison.counts[:5]).log_evidence
    coefficient = log_coefficient(comparison.counts[:5])
    np.testing.assert_allclose(comparison.log_true[:5].numpy() + coefficient, exact, atol=1e-6)


def test_no_concentration_above_one_comes_near_the_truth(comparison, le2020):
    least, error = comparison.least_gap()
    assert 8.0 < least < comparison.model_gap(le2020).log_ratio
    assert 0.0 < error < 2.0
    tables = torch.from_numpy(exceedance_counts(comparison.counts[:20])).double()
    free, above_one = (highest_likelihood(tables, floor) for floor in (1e-300, 1.0))
    nodes = torch.randn(500, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3.0
    assert (free >= above_one - 1e-9).all()
    assert (node_log_likelihood(tables, nodes).max(1).values <= free + 1e-9).all()
    assert (node_log_likelihood(tables, nodes.abs()).max(1).values <= above_one + 1e-9).all()
    # twenty bags of one colour each and a black marble under concentrations above one
    example = torch.from_numpy(exceedance_counts(BAGS[None])).double()
    assert float(highest_likelihood(example, 1.0)) == pytest.approx(-61.5836, abs=1e-3)


def test_importance_sampling_around_the_mode_agrees_with_quadrature(comparison, marbles):
    exact = marbles.exact
    data = marbles.likelihood_data(comparison.counts[:20])
    start = torch.zeros(20, 2, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    value, share = importance_evidence(lambda part, z: exact.log_joint(data[part], z), start, 2000, generator)
    # 2000 draws at these shares are within 6.1 standard errors, p < 1e-9 each
    error = ((1.0 / share - 1.0) / 2000).sqrt()
    assert (share > 0.3).all()
    assert ((value - comparison.log_learned(marbles)[:20]).abs() < 6.1 * error + 1e-4).all()


def test_more_categories_are_compared_by_importance_sampling():
    model = hbm.HierarchicalModel(3)
    comparison = ModelComparison(model, hbm.simulate(model, 10, n_groups=8, totals=10, rng=3).counts, n_draws=500)
    assert comparison.ess_share is not None
    assert float(comparison.ess_share.min()) > 0.2
    emb = embedding.train(3, steps=3, rng=0, **SMALL)
    assert emb.dim == 3
    assert comparison.model_gap(emb).value > 0.0
    post = emb.sample(comparison.counts[0], n_draws=500, rng=0)
    assert post.beta.shape == (1, 500, 3)
    assert np.isfinite(emb.log_evidence(comparison.counts[0]))


# training ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"q": "diagonal", "objective": "elbo", "link": "softplus"},
        {"q": "mixture"},
        {"q": "flow", "objective": "iwae"},
        {"dim": 1, "activation": "relu", "skip": False},
        {"mixed_precision": True},
    ],
    ids=str,
)
def test_training_improves_the_held_out_bound(settings):
    short, longer = (embedding.train(2, steps=n, rng=0, **SMALL, **settings) for n in (1, 120))
    assert longer.metrics["bound"] > short.metrics["bound"] + 0.3


def test_steps_repeat_and_a_pause_changes_nothing(tmp_path):
    settings = {"steps": 12, "rng": 3, **SMALL}
    whole = embedding.train(2, 2, **settings)
    half = embedding.train(2, 2, pause_at=5, **settings)
    half.save(tmp_path / "half.safetensors")
    rest = embedding.train(2, 2, resume=tmp_path / "half.safetensors", **settings)
    assert half.training["steps"] == 5
    torch.testing.assert_close(rest.network.state_dict(), whole.network.state_dict(), rtol=0, atol=0)


def test_save_and_load_give_the_same_answers(tmp_path, mixture):
    mixture.save(tmp_path / "m.safetensors", state=False)
    again = embedding.load(tmp_path / "m.safetensors")
    one, two = (emb.sample(BAGS[-3:], n_draws=20, rng=0) for emb in (mixture, again))
    np.testing.assert_array_equal(one.z, two.z)
    assert again.model == mixture.model
    assert again.training == mixture.training
    with pytest.raises(ValueError, match="without the state"):
        embedding.train(2, 2, steps=5, resume=again)


def same_posterior(post, again):
    assert type(again) is EmbeddingPosterior
    assert again.latent.keys() == post.latent.keys()
    for name, value in post.latent.items():
        np.testing.assert_array_equal(value, again.latent[name])
    np.testing.assert_array_equal(post.log_likelihood(), again.log_likelihood())
    np.testing.assert_array_equal(post.log_predictive([3, 1]), again.log_predictive([3, 1]))
    for group in (0, 2):
        np.testing.assert_array_equal(post.theta(group), again.theta(group))
        np.testing.assert_array_equal(post.predict(group), again.predict(group))


@pytest.mark.filterwarnings("ignore:Pareto's k", "ignore:new_counts leaves")  # forty draws
@pytest.mark.parametrize("correct", [True, False])
@pytest.mark.parametrize("name", ["mixture", "marbles"])
def test_posteriors_keep_z_and_the_mixture_in_files(name, correct, request, tmp_path):
    pytest.importorskip("h5netcdf")
    emb = request.getfixturevalue(name)
    batch = emb.sample([BAGS[-3:], BAGS[:3], BAGS[8:12]], n_draws=40, rng=0, correct=correct)
    for post in (batch, batch[1], batch[2]):
        post.save(tmp_path / "post.nc")
        same_posterior(post, EmbeddingPosterior.load(tmp_path / "post.nc"))
    if name == "mixture":
        with pytest.raises(ValueError, match="jointly must be False"):
            EmbeddingPosterior.load(tmp_path / "post.nc").log_predictive([[1, 0]], jointly=True)


def test_each_posterior_s_file_names_its_reader(marbles, tmp_path):
    pytest.importorskip("h5netcdf")
    post = marbles.sample(BAGS, n_draws=20, rng=0)
    post.save(tmp_path / "emb.nc")
    with pytest.raises(ValueError, match=r"emb\.nc .*is read by hbm_fast\.embedding\.EmbeddingPosterior\.load"):
        hbm.Posterior.load(tmp_path / "emb.nc")
    plain = hbm.Posterior(post.log_alpha, post.log_beta, model=MODEL, counts=BAGS)
    plain.save(tmp_path / "plain.nc")
    assert type(hbm.Posterior.load(tmp_path / "plain.nc")) is hbm.Posterior
    with pytest.raises(ValueError, match=r"plain\.nc .*it is read by hbm_fast\.Posterior\.load"):
        EmbeddingPosterior.load(tmp_path / "plain.nc")


def test_files_of_posteriors_from_before_they_had_a_class_still_load(marbles, mixture, tmp_path):
    pytest.importorskip("h5netcdf")
    import xarray

    def as_before(post, name):
        post.save(tmp_path / "new.nc")
        with xarray.open_datatree(tmp_path / "new.nc", engine="h5netcdf") as tree:
            tree.load()
        metadata = json.loads(tree["hbm_fast"].attrs["facts"])
        del metadata["class"]
        tree["hbm_fast"].attrs = {"facts": json.dumps(metadata)}  # without a checksum
        tree["posterior"] = tree["posterior"].to_dataset().drop_vars(post.latent)
        tree.to_netcdf(tmp_path / name, engine="h5netcdf")
        return tmp_path / name

    post = marbles.sample(BAGS, n_draws=20, rng=0)
    again = hbm.Posterior.load(as_before(post, "old.nc"))
    assert type(again) is hbm.Posterior
    np.testing.assert_array_equal(again.log_likelihood(), post.log_likelihood())
    with pytest.raises(ValueError, match=r"without the z.*Posterior\.load reads"):
        EmbeddingPosterior.load(tmp_path / "old.nc")
    mixed = mixture.sample(BAGS[-3:], n_draws=20, rng=0, correct=False)
    with pytest.warns(UserWarning, match="without the mixture"):
        again = hbm.Posterior.load(as_before(mixed, "mixed.nc"))
    np.testing.assert_array_equal(again.theta(1), mixed.theta(1))


@pytest.mark.filterwarnings("ignore:Pareto's k")
@pytest.mark.parametrize("name", ["mixture", "marbles"])
def test_arviz_gets_z_and_the_likelihood_of_the_mixture(name, request):
    pytest.importorskip("xarray")
    emb = request.getfixturevalue(name)
    data = np.array([[20, 0]] * 3 + [[0, 20]] * 3 + [[5, 5]])
    post = emb.sample(data, n_draws=4000, rng=0, correct=True)
    tree = post.to_arviz(log_likelihood=True)
    assert tree["posterior"]["z"].dims == ("chain", "draw", "latent")
    if name == "mixture":
        assert tree["posterior"]["log_concentration"].dims == ("chain", "draw", "component", "category")
        assert tree["posterior"]["log_component_weight"].dims == ("chain", "draw", "component")
    # resampled draws: the mean over them is the weighted mean, whose error is at most that of 4000 shares
    weights, values = np.exp(post.log_weights), post.log_likelihood()
    expected = (weights[..., np.newaxis] * values).sum((0, 1))
    spread = np.sqrt((weights[..., np.newaxis] * (values - expected) ** 2).sum((0, 1)))
    found = tree["log_likelihood"]["counts"].mean(("chain", "draw")).to_numpy()
    assert np.all(np.abs(found - expected) < 7.0 * spread / np.sqrt(4000))
    raw = emb.sample(data, n_draws=50, rng=0, correct=False)
    tree = raw.to_arviz(log_likelihood=True)
    np.testing.assert_array_equal(tree["log_likelihood"]["counts"], raw.log_likelihood())
    np.testing.assert_array_equal(tree["posterior"]["z"], raw.z)


def test_what_is_no_embedding_is_refused():
    with pytest.raises(FileNotFoundError, match="marbles-exp-plus-one"):
        embedding.load("nothing")


def test_a_training_on_given_datasets_ends_early():
    data = hbm.simulate(MODEL, 40, n_groups=(2, 6), totals=(0, 8), rng=1).counts
    emb = embedding.train(data=data, steps=400, rng=0, learning_rate=2e-2, **SMALL)
    assert emb.model is None
    assert emb.totals == (0, 8)
    assert emb.training["steps"] < 400  # forty datasets are soon overfitted
    best = max(point["bound"] for point in emb.state.history)
    assert emb.metrics["bound"] == pytest.approx(best)
    assert emb.sample(data[0], rng=0).z.shape == (1, 1000, 2)


def test_every_epoch_has_every_dataset_once():
    data = np.arange(1, 8)[:, None, None] * np.array([[[1, 0]]])
    stream = DatasetStream(data, 7, np.array([1, 2], dtype=np.uint64))
    seen = torch.cat([stream.block(i, 5).counts[:, 0, 0] for i in range(7)])
    for epoch in seen.view(5, 7):
        assert sorted(epoch.tolist()) == list(range(1, 8))
    learn, back = divided(7, 0.1, np.array([1, 2], dtype=np.uint64))
    assert sorted([*learn, *back]) == list(range(7))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"link": "identity"}, "link must be one of"),
        ({"q": "normal"}, "q must be one of"),
        ({"objective": "map"}, "objective must be one of"),
        ({"head": "gaussian"}, "head must be"),
        ({"q": "mixture", "objective": "dreg"}, "reparametrised"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"n_categories": 3, "model": MODEL}, "n_categories must be K = 2"),
        ({"data": [[[1, 2]]]}, "at least 2 datasets"),
        ({"data": [[[1, 2]]] * 4, "held_out": 1.5}, "held_out must lie strictly between"),
        ({"totals": (5, 2)}, "totals must be"),
    ],
    ids=str,
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        embedding.train(**{"steps": 1, **settings})


def test_a_narrow_posterior_between_the_axes_of_z_is_resolved():
    """100,000 groups that hardly differ: the posterior of z is a thin ridge, which a grid along the axes missed."""
    settings = dict(n_groups=100_000, totals=20, alpha=np.array([1e4]), beta=np.array([[0.7, 0.3]]), theta=False)
    counts = hbm.simulate(hbm.HierarchicalModel(2), 1, rng=1, **settings).counts[0]
    emb = embedding.load("marbles")
    assert emb.log_evidence_error(counts) < 1e-3
    post = emb.sample(counts, n_draws=500, rng=1)
    assert post.details["path"] == "quadrature"
    assert post.details["ess_share"] > 0.9
    assert abs(post.log_evidence - emb.log_evidence(counts)) < 7.0 * post.log_evidence_error
