"""Embeddings whose bags share theta: densities against the likelihood and quadrature, training, and bad input."""

import copy
import pickle

import numpy as np
import pytest
import torch

import hbm_fast as hbm
from hbm_fast.embedding import DatasetEmbedding, Embedding, dirichlet_rows
from hbm_fast.embedding.bags import as_bags
from hbm_fast.embedding.dataset_network import DatasetNetwork
from hbm_fast.embedding.scoring import log_probabilities

pytestmark = pytest.mark.filterwarnings("ignore:data holds .* datasets to learn from:UserWarning")
N_BAGS, TOTAL = 8, 20


def chains(n_datasets, seed=0, n_contexts=3, n_categories=4):
    """Datasets (B, N, C, K) of two kinds: in each context a kind has its own mean proportions."""
    rng = np.random.default_rng(seed)
    means = np.random.default_rng(99).dirichlet(np.ones(n_categories), size=(2, n_contexts))
    kind = rng.integers(0, 2, n_datasets)
    theta = hbm.dirichlet(rng, 20.0 * means[kind] + 0.1)
    totals = np.full((n_datasets, N_BAGS, n_contexts), TOTAL)
    return hbm.multinomial(rng, totals, np.broadcast_to(theta[:, None], (*totals.shape, n_categories)))


@pytest.fixture(scope="module")
def data():
    return chains(70)


@pytest.fixture(scope="module")
def emb(data):
    names = [f"dataset {i}" for i in range(70)]
    return hbm.embedding.train(
        data=list(data),
        shared="dataset",
        names=names,
        held_out=range(60, 70),
        dim=1,
        width=32,
        steps=120,
        batch_size=16,
        rng=0,
    )


# densities ----------------------------------------------------------------------------------------------------------
def test_the_likelihood_and_its_gradient():
    rng = np.random.default_rng(0)
    counts = torch.from_numpy(rng.integers(0, 4, (2, 3, 4)))
    log_a = torch.from_numpy(rng.normal(size=(2, 5, 3, 4))).requires_grad_()
    value = dirichlet_rows.log_likelihood(counts, log_a)
    expected = hbm.log_likelihood(counts[:, None].numpy(), log_a.detach().exp().numpy(), coefficient=False).sum(-1)
    np.testing.assert_allclose(value.detach().numpy(), expected, rtol=1e-13)
    value.sum().backward()
    a = log_a.detach().exp().numpy()
    _, gradient = hbm.log_likelihood_gradient(np.broadcast_to(counts[:, None].numpy(), a.shape), a)
    np.testing.assert_allclose(log_a.grad.numpy(), gradient * a, rtol=1e-12)


@pytest.mark.parametrize("largest", [2, 3_000])
def test_scores_of_many_bags(largest):
    rng = np.random.default_rng(largest)
    counts = rng.integers(0, largest, (7, 3, 4))
    counts[0] = 0
    a = np.exp(3.0 * rng.normal(size=(11, 3, 4)))
    expected = hbm.log_likelihood(counts[None], a[:, None], coefficient=False).sum(-1)
    np.testing.assert_allclose(log_probabilities(counts, a), expected, rtol=1e-11, atol=1e-11)


def quadrature(emb, x, new=None):
    """log p(x), or log p(new | x), of pooled counts (C, K) by the trapezoid rule over a z of one dimension."""
    z = np.linspace(-8.0, 8.0, 2001)
    a = emb.concentrations(torch.from_numpy(z[:, None]))
    log_joint = hbm.log_likelihood(x, a, coefficient=False).sum(-1) - 0.5 * z**2
    if new is None:
        return np.logaddexp.reduce(log_joint) + np.log(z[1] - z[0]) - 0.5 * np.log(2.0 * np.pi)
    log_new = hbm.log_likelihood(new, a + x, coefficient=False).sum(-1)
    return np.logaddexp.reduce(log_joint + log_new) - np.logaddexp.reduce(log_joint)


@pytest.mark.parametrize("correct", ["auto", True])
def test_evidence_and_predictive_against_quadrature(emb, data, correct):
    bags, new = data[61, :3], data[[62, 63], 0]
    post = emb.sample(bags, n_draws=4000, rng=1, correct=correct)
    coefficient = (hbm.log_likelihood(bags, np.ones(4)) - hbm.log_likelihood(bags, np.ones(4), coefficient=False)).sum()
    assert post.log_evidence == pytest.approx(quadrature(emb, bags.sum(0)) + coefficient, abs=0.1)
    for each, value in zip(new, post.log_predictive(new, coefficient=False), strict=True):
        assert value == pytest.approx(quadrature(emb, bags.sum(0), each), abs=0.1)
    jointly = post.log_predictive(new, jointly=True, coefficient=False)
    assert jointly == pytest.approx(quadrature(emb, bags.sum(0), new.sum(0)), abs=0.1)
    # against a dataset that was not seen
    factor = quadrature(emb, bags.sum(0), new[0]) - quadrature(emb, new[0])
    assert post.log_bayes_factor(new)[0] == pytest.approx(factor, abs=0.3)


def test_the_mode_replaces_a_poor_q(emb, data):
    poor = copy.deepcopy(emb)
    with torch.no_grad():
        poor.network.encoder.mlp.last.bias[1] += 9.0  # the mean of q
    post = poor.sample(data[61, :3], n_draws=2000, rng=0)
    assert post.details["path"] == "mode"
    assert post.details["ess_share"] > 0.1
    assert post.log_evidence == pytest.approx(emb.sample(data[61, :3], n_draws=2000, rng=0).log_evidence, abs=0.1)


def test_uneven_weights_are_reported_once(emb, data):
    poor = copy.deepcopy(emb)
    with torch.no_grad():
        poor.network.encoder.mlp.last.bias[1] += 9.0
    with pytest.warns(hbm.ConvergenceWarning, match="Pareto's k .* said once for an embedding"):
        poor.sample(data[61, :3], rng=0, correct=True)
    poor.sample(data[61, :3], rng=0, correct=True)  # warnings are errors


def test_pooled_counts_are_sufficient(emb, data):
    apart, pooled = emb.sample(data[61], rng=0), emb.sample(data[61].sum(0, keepdims=True), rng=0)
    np.testing.assert_array_equal(apart.z, pooled.z)
    np.testing.assert_array_equal(apart.log_predictive(data[62]), pooled.log_predictive(data[62]))
    # empty bags change nothing
    padded = np.concatenate([data[61], np.zeros_like(data[61, :2])])
    np.testing.assert_array_equal(apart.z, emb.sample(padded, rng=0).z)


def test_coefficients_of_new_bags(emb, data):
    post, new = emb.sample(data[61, :2], rng=0), data[62]
    log_factor = hbm.log_likelihood(new, np.ones(4)) - hbm.log_likelihood(new, np.ones(4), coefficient=False)
    np.testing.assert_allclose(
        post.log_predictive(new) - post.log_predictive(new, coefficient=False), log_factor.sum(-1), rtol=1e-10
    )


# use ----------------------------------------------------------------------------------------------------------------
def test_a_batch_is_its_datasets(emb, data):
    batch = emb.sample([data[61, :3], data[62, :5]], rng=0)
    assert batch.z.shape == (2, 512, 1)
    assert batch.log_predictive(data[63]).shape == batch.log_bayes_factor(data[63]).shape == (2, N_BAGS)
    assert batch.log_predictive(data[63], jointly=True).shape == batch.log_evidence.shape == (2,)
    own = batch.log_predictive(data[[63, 64]])
    np.testing.assert_array_equal(own[1], batch.log_predictive(data[64])[1])
    assert batch.predict().shape == (2, 3, 4)
    assert batch.simulate(np.full((5, 3), 2), rng=0).shape == (2, 5, 3, 4)
    assert [len(names) for names in batch.nearest(3)] == [3, 3]
    array = emb.sample(data[61:63, :3], rng=0)
    np.testing.assert_allclose(array.log_evidence[0], batch.log_evidence[0], atol=0.2)
    assert repr(batch).startswith("DatasetPosterior(2 datasets")


def test_probabilities_are_those_of_the_bayes_factor(emb, data):
    post = emb.sample(data[61, :3], rng=0)
    factor = np.exp(post.log_bayes_factor(data[61:63, 3]))
    np.testing.assert_allclose(post.probability_same(data[61:63, 3]), factor / (1.0 + factor), rtol=1e-12)
    expected = factor * 0.1 / (factor * 0.1 + 0.9)
    np.testing.assert_allclose(post.probability_same(data[61:63, 3], prior=0.1), expected, rtol=1e-12)
    assert post.probability_same(data[:0, 3]).shape == (0,)


def test_predictions_and_simulations_agree(emb, data):
    post = emb.sample(data[61, :3], rng=0)
    mean = post.predict()
    np.testing.assert_allclose(mean.sum(-1), 1.0)
    drawn = post.simulate(np.full((4000, 3), 10), rng=1)
    np.testing.assert_array_equal(drawn.sum(-1), 10)
    # a mean of 4,000 shares: seven standard errors, each at most sqrt(0.25 / 4000)
    np.testing.assert_allclose(drawn.mean(0) / 10.0, mean, atol=7 * 0.5 / np.sqrt(4000))
    np.testing.assert_array_equal(drawn, post.simulate(np.full((4000, 3), 10), rng=1))
    # many bags: the dataset's own shares
    x = np.tile(data[61], (50, 1, 1))
    np.testing.assert_allclose(emb.sample(x, rng=0).predict(), x.sum(0) / x.sum((0, 2))[:, None], atol=0.02)


def test_a_training_dataset_is_nearest_to_itself(emb, data):
    post = emb.sample(data[7], n_draws=4000, rng=0)
    assert "dataset 7" in post.nearest(10)
    assert len(set(post.nearest(60))) == 60
    with pytest.raises(ValueError, match="n must be at most 60"):
        post.nearest(61)


def test_nearest_is_by_direction(emb, data):
    """Two places in the direction of z, near and far, come before one that is closer and elsewhere."""
    emb = copy.deepcopy(emb)
    post = emb.sample(data[7], rng=0)
    sign = np.sign(np.exp(post.log_weights[0]) @ post.z[:, 0])
    emb.network.places.fill_(-0.1 * sign)
    emb.network.places[[3, 5], 0] = torch.tensor([30.0, 20.0]) * float(sign)
    assert post.nearest(2) == ["dataset 5", "dataset 3"]


def test_noise_added_to_z_makes_f_smoother(data):
    """f changes less with z where it was learned with more noise."""
    slopes = []
    for noise in (0.0, 3.0):
        emb = hbm.embedding.train(
            data=data[:60], shared="dataset", dim=1, steps=300, inference_steps=0, rng=0, z_noise=noise
        )
        f = emb.concentrations(torch.tensor([[-1.0], [1.0]]))
        share = f / f.sum(-1, keepdims=True)
        slopes.append(np.abs(share[0] - share[1]).max())
    assert slopes[1] < 0.7 * slopes[0]
    assert [DatasetNetwork(3, None, dim, 5).z_noise for dim in (3, 20)] == [0.1, 0.4]


def test_settings_of_numpys_types_are_saved(data, tmp_path):
    emb = hbm.embedding.train(
        data=data,
        shared="dataset",
        dim=1,
        steps=2,
        inference_steps=0,
        width=np.int64(8),
        z_noise=np.float32(0.125),
        rng=0,
    )
    emb.save(tmp_path / "chains.safetensors")
    assert hbm.embedding.load(tmp_path / "chains.safetensors").settings["z_noise"] == 0.125


def test_files_and_copies(emb, data, tmp_path):
    emb.save(tmp_path / "chains.safetensors")
    again = hbm.embedding.load(tmp_path / "chains.safetensors")
    assert isinstance(again, DatasetEmbedding)
    assert isinstance(hbm.embedding.load("marbles"), Embedding)
    assert again.names == emb.names == tuple(f"dataset {i}" for i in range(60))
    post = emb.sample(data[61], rng=0)
    for other in (again.sample(data[61], rng=0), pickle.loads(pickle.dumps(post)), copy.deepcopy(post)):
        np.testing.assert_array_equal(other.log_bayes_factor(data[62]), post.log_bayes_factor(data[62]))
        assert other.nearest() == post.nearest()
    assert "contexts=3, K=4, dim=1, 60 training datasets" in repr(emb)
    assert "one dataset of 8 bags, 512 draws" in repr(post)


# training -----------------------------------------------------------------------------------------------------------
def test_the_embedding_beats_the_dirichlet_where_there_are_two_kinds(emb, data):
    assert emb.metrics["log_evidence"] > emb.metrics["dirichlet_log_evidence"] + 0.1
    assert {"ess_share_1", "ess_share_5"} <= set(emb.metrics)
    assert emb.metrics["ess_share_1"] > 0.3
    # and the bags of a held-out dataset are recognised among those of others
    post = emb.sample(data[60, :4], rng=0)
    kind = data[60:].sum(1)[:, 0] / data[60:].sum((1, 3))[:, :1]
    other = np.abs(kind - kind[0]).sum(-1).argmax() + 60
    assert post.log_bayes_factor(data[60, 4:]).min() > post.log_bayes_factor(data[other]).max()


def test_the_same_key_gives_the_same_bits(data):
    def trained(rng):
        return hbm.embedding.train(
            data=data, shared="dataset", dim=2, steps=4, inference_steps=3, n_simulated=64, rng=rng
        )

    first, second, third = trained(0), trained(0), trained(1)
    torch.testing.assert_close(second.network.state_dict(), first.network.state_dict(), rtol=0, atol=0)
    assert not torch.equal(first.network.encoder.mlp.last.weight, third.network.encoder.mlp.last.weight)
    assert first.training["steps"] == 4
    assert first.training["inference_steps"] == 3


@pytest.mark.parametrize("shared", ["bag", "dataset"])
def test_given_datasets_are_held_out(data, shared):
    def weights(changed):
        other = data[:45].sum(2)
        other[changed] = other[changed, :, ::-1]
        options = {"n_simulated": 64, "inference_steps": 1} if shared == "dataset" else {}
        emb = hbm.embedding.train(data=other, shared=shared, dim=2, held_out=[3, 9], steps=2, rng=0, **options)
        return emb.network.generative.layers[-1].weight

    assert torch.equal(weights(3), weights(9))
    assert not torch.equal(weights(3), weights(4))


def test_random_subsets_hold_one_to_all_bags(data):
    bags = as_bags(list(data))
    key = np.array([1, 2], np.uint64)
    sums = bags.subsets(3, 700, key)
    np.testing.assert_array_equal(sums, bags.subsets(3, 700, key))
    assert not np.array_equal(sums, bags.subsets(4, 700, key))
    n = sums.sum((1, 2)) // (3 * TOTAL)
    # log-uniform on 1 to 8: one bag in log 2 / log 9 of the sub-sets
    assert set(n) == set(range(1, N_BAGS + 1))
    share = np.log(2.0) / np.log(9.0)
    assert abs((n == 1).mean() - share) < 6.5 * np.sqrt(share * (1 - share) / 700)
    np.testing.assert_array_equal(bags.pooled(), data.sum(1))
    np.testing.assert_array_equal(bags.first(2), data[:, :2].sum(1))


def test_without_contexts_a_bag_is_a_row(data):
    rows = data[:, :, 0]
    emb = hbm.embedding.train(data=rows, shared="dataset", dim=2, steps=4, n_simulated=64, rng=0)
    assert emb.shape == (4,)
    post = emb.sample(rows[0], rng=0)
    assert post.predict().shape == (4,)
    assert post.log_predictive(rows[1]).shape == (N_BAGS,)
    assert post.simulate([3, 0, 5], rng=0).sum(-1).tolist() == [3, 0, 5]
    table = hbm.tables.CountTable(rows[0], ("a", "b", "c", "d"))
    np.testing.assert_array_equal(emb.sample(table, rng=0).z, post.z)
    assert emb.sample(rows[0].tolist(), rng=0).z.shape == post.z.shape
    assert len(emb.sample([table, rows[1]], rng=0).n_bags) == 2


def test_auto_decides_by_the_bags():
    rng = np.random.default_rng(5)
    same = hbm.multinomial(rng, np.full((45, 6), 30), hbm.dirichlet(rng, np.ones((45, 1, 3))))
    with pytest.warns(UserWarning, match=r'takes "dataset": in \d+ of 45 datasets the bags vary no more than draws'):
        emb = hbm.embedding.train(data=same, shared="auto", dim=2, steps=2, rng=0)
    assert isinstance(emb, DatasetEmbedding)
    varied = hbm.multinomial(rng, np.full((45, 6), 30), hbm.dirichlet(rng, np.ones((45, 6, 3))))
    with pytest.warns(UserWarning, match=r'takes "bag": in 0 of 45 datasets'):
        emb = hbm.embedding.train(data=varied, shared="auto", dim=2, steps=2, rng=0)
    assert isinstance(emb, Embedding)


def test_few_datasets_are_told_that_a_dirichlet_does_as_well(data):
    with pytest.warns(UserWarning, match=r"data holds 27 datasets .* of the embedding, -\d+\.\d+ of the Dirichlet"):
        hbm.embedding.train(data=data[:30], shared="dataset", dim=2, steps=2, n_simulated=64, rng=0)


def test_contexts_and_categories_without_counts():
    empty = chains(45)
    empty[:, :, 1] = 0  # a context that never occurs
    empty[:, :, 2, 3] = 0  # a category that never occurs in a context
    base = dirichlet_rows.fitted(empty.sum(1))
    assert base[2, 3] == 0.001
    np.testing.assert_allclose(base[1], 0.25)
    emb = hbm.embedding.train(data=empty, shared="dataset", dim=2, steps=2, n_simulated=64, rng=0)
    new = empty[:1, 0].copy()
    new[0, 2, 3] = 1
    assert np.isfinite(emb.sample(empty[0], rng=0).log_predictive(new)).all()


# bad input ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": []}, r"data must hold at least one dataset; got an empty list"),
        ({"data": [np.zeros((0, 3, 4), int)] * 3}, r"data\[0\] must hold a bag with counts; got 0 bags"),
        ({"data": [np.zeros((2, 3, 4), int)] * 3}, r"data\[0\] must hold a bag with counts; got 2 bags"),
        (
            {"data": [np.ones((2, 3, 4), int), np.ones((2, 3, 5), int)]},
            r"data\[1\] must .* C = 3 .* K = 4 .*0\]",
        ),
        ({"data": [np.ones((2, 3, 4), int), np.ones((2, 4), int)]}, r"data\[1\] must hold .*; got bags of K = 4"),
        ({"data": [np.ones((2, 3, 4), int), -np.ones((2, 3, 4), int)]}, r"data\[1\]"),
        ({"data": np.ones((1, 2, 4), int)}, r"data must hold at least 2 datasets; got 1"),
        ({"names": ["a", "b"]}, r"names must hold 70 names; got 2"),
        ({"held_out": 1.5}, r"held_out must lie strictly between 0 and 1, or be indices"),
        ({"held_out": [3, 3]}, r"held_out must be different indices below 70"),
        ({"held_out": []}, r"held_out must be different indices below 70"),
        ({"held_out": [70]}, r"held_out must be different indices below 70"),
        ({"shared": "group"}, r"shared must be one of 'bag', 'dataset', 'auto'; got 'group'"),
        ({"dim": 0}, r"dim must be at least 1"),
        ({"z_noise": -0.1}, r"z_noise must lie between 0 and 10; got -0.1"),
        ({"z_noise": np.nan}, r"z_noise must be finite; got nan"),
        ({"shared": "bag"}, r'data hold counts in contexts, .*: only shared="dataset" takes them'),
        ({"shared": "bag", "data": list(np.ones((3, 2, 3, 4), int))}, r"data hold counts in contexts"),
    ],
)
def test_bad_training_data_are_refused(data, change, message):
    with pytest.raises(ValueError, match=message):
        hbm.embedding.train(**{"data": data, "shared": "dataset", "steps": 2} | change)


def test_memory_is_stated_before_it_is_taken(data):
    with pytest.raises(MemoryError, match=r"70 datasets of 12 cells, in batches of 64 .* takes .* GiB of memory"):
        hbm.embedding.train(data=data, shared="dataset", n_simulated=10**12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": None}, r'shared="dataset" learns from given datasets and needs data='),
        ({"n_groups": 3}, r"takes no n_groups="),
        ({"widht": 3}, r"widht"),
        ({"pause_at": 3}, r"pause_at is no option"),
        ({"resume": "saved.safetensors"}, r"learns from given datasets and takes no resume="),
        ({"shared": "bag", "names": ["a"] * 70, "data": np.ones((70, 2, 3), int)}, r'names is for shared="dataset"'),
    ],
)
def test_bad_arguments_of_the_training_are_refused(data, change, message):
    with pytest.raises(TypeError, match=message):
        hbm.embedding.train(**{"data": data, "shared": "dataset", "steps": 2} | change)


def test_bad_bags_are_refused(emb, data):
    post, five = emb.sample(data[0], rng=0), np.ones((2, 3, 5), int)
    for call, message in (
        (lambda: emb.sample(data[0, 0]), r"counts must have shape \(N, C, K\) for one dataset"),
        (lambda: emb.sample(five), r"counts\[0\] must hold bags of C = 3 contexts and K = 4 categories; got"),
        (lambda: emb.sample([data[0], np.zeros((2, 3, 4), int)]), r"counts\[1\] must hold a bag with counts"),
        (lambda: emb.sample(data[0], correct="yes"), "correct must be"),
        (lambda: post.log_predictive(data[0, :, :, :3]), r"new_counts must have shape \(R, 3, 4\); got \(8, 3, 3\)"),
        (lambda: post.simulate([1, 2]), r"totals must have shape \(R, C\) with C = 3; got \(2,\)"),
        (lambda: post.predict(3), "group must be None"),
        (lambda: post.probability_same(data[0], prior=0.0), "prior must lie strictly between 0 and 1"),
        (lambda: post.probability_same(data[0], prior=1.0), "prior must lie strictly between 0 and 1"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
