"""Draws of mixtures beside exact posteriors, and what MixturePosterior computes from them."""

import copy
import itertools
import math
import pickle
import warnings

import numpy as np
import pytest
from tests.mixture.exact_partitions import OPEN, partitions

import hbm_fast as hbm

PROCESS = hbm.MixtureModel(2, n_components=hbm.priors.DirichletProcess(1.0))
BAGS = np.array([[20, 0]] * 4 + [[0, 20]] * 3 + [[10, 10]] * 2)


@pytest.fixture(scope="module")
def finite():
    return hbm.sample(BAGS, hbm.MixtureModel(2, n_components=3), rng=1)


@pytest.fixture(scope="module")
def process():
    return hbm.sample(BAGS, PROCESS, rng=1)


@pytest.mark.parametrize("case", OPEN)
def test_open_number_of_components(case):
    exact = OPEN[case]
    post = hbm.sample(exact["bags"], PROCESS, n_draws=20000, rng=3)
    share = np.bincount(post.n_components_used.ravel(), minlength=len(exact["n_components"]) + 1)[1:]
    np.testing.assert_allclose(share / share.sum(), exact["n_components"], atol=0.01)
    together = post.co_assignment()
    for pair, value in exact["together"].items():
        assert abs(together[pair] - value) < 0.01
    assert post.details["disagreement"] < 0.05


def block_evidence(bags):
    return hbm.exact_posterior(bags).log_evidence


def finite_posterior(bags, n_components):
    """P(number used) and co-assignment by all labellings; weights ~ Dirichlet(1, ..., 1)."""
    n = len(bags)
    known = {}
    used, together, total = np.zeros(n_components + 1), np.zeros((n, n)), 0.0
    for labels in itertools.product(range(n_components), repeat=n):
        log_p = 0.0
        for j in set(labels):
            members = tuple(i for i in range(n) if labels[i] == j)
            if members not in known:
                known[members] = block_evidence(bags[list(members)])
            log_p += known[members] + math.lgamma(len(members) + 1)
        p = math.exp(log_p)
        total += p
        used[len(set(labels))] += p
        together += p * np.equal.outer(labels, labels)
    return used / total, together / total


def test_finite_number_of_components():
    bags = np.array([[8, 0], [7, 1], [0, 9], [4, 4], [0, 0]])
    used, together = finite_posterior(bags, 2)
    post = hbm.sample(bags, hbm.MixtureModel(2, n_components=2), n_draws=20000, rng=2)
    found = np.bincount(post.n_components_used.ravel(), minlength=3) / post.n_components_used.size
    np.testing.assert_allclose(found, used, atol=0.01)
    np.testing.assert_allclose(post.co_assignment(), together, atol=0.01)


def test_one_component_is_the_hierarchical_model():
    bags = np.array([[7, 1, 2], [3, 3, 4], [9, 0, 1], [5, 2, 3]])
    post = hbm.sample(bags, hbm.MixtureModel(3, n_components=1), n_draws=10000, rng=1)
    other = hbm.sample(bags, n_draws=10000, rng=2)
    assert abs(post.log_alpha.mean() - other.mean("log_alpha")) < 0.05
    np.testing.assert_allclose(post.beta[:, :, 0].mean(axis=(0, 1)), other.mean("beta"), atol=0.005)
    np.testing.assert_allclose(post.predict(0), other.predict(0), atol=0.005)
    new = np.array([[3, 0, 1], [0, 0, 0]])
    np.testing.assert_allclose(post.log_predictive(new), other.log_predictive(new), atol=0.01)


@pytest.mark.parametrize(
    "prior",
    [
        {"beta": hbm.priors.Dirichlet(hbm.priors.Exponential(1))},
        {"alpha": 2.0},
        {"beta": hbm.priors.FixedBeta([0.5, 0.2, 0.3])},
        {"alpha": hbm.priors.LogUniform(0.1, 20.0), "beta": 0.3},
    ],
)
def test_other_priors_agree_with_the_hierarchical_model(prior):
    bags = np.array([[7, 1, 0], [3, 0, 4], [9, 0, 1], [5, 2, 3]])
    post = hbm.sample(bags, hbm.MixtureModel(3, n_components=1, **prior), n_draws=10000, rng=1)
    other = hbm.sample(bags, hbm.HierarchicalModel(3, **prior), n_draws=10000, rng=2)
    np.testing.assert_allclose(post.beta[:, :, 0].mean(axis=(0, 1)), other.mean("beta"), atol=0.01)
    assert abs(post.log_alpha.mean() - other.mean("log_alpha")) < 0.05
    if post.beta_concentration is not None:
        assert abs(post.beta_concentration.mean() - other.mean("beta_concentration")) < 0.05


def test_learned_concentration_of_the_process():
    """P(number) with a Gamma prior of the concentration c is the mean of those with c fixed, weighted by evidence."""
    bags = np.array([[9, 0], [0, 9], [5, 4]])
    gamma = hbm.priors.Gamma(2.0, rate=1.0)
    post = hbm.sample(bags, hbm.MixtureModel(2, n_components=hbm.priors.DirichletProcess(gamma)), n_draws=20000, rng=4)
    partitions = [[[0, 1, 2]], [[0, 1], [2]], [[0, 2], [1]], [[1, 2], [0]], [[0], [1], [2]]]
    log_c = np.linspace(-8, 4, 1201)
    c = np.exp(log_c)
    weight = np.exp(gamma.log_density(log_c)) / (c * (c + 1) * (c + 2))
    exact, mean_c = np.zeros(4), 0.0
    for blocks in partitions:
        p = np.exp(sum(block_evidence(bags[b]) + math.lgamma(len(b)) for b in blocks))
        exact[len(blocks)] += p * (weight * c ** len(blocks)).sum()
        mean_c += p * (weight * c ** (len(blocks) + 1)).sum()
    found = np.bincount(post.n_components_used.ravel(), minlength=4) / post.n_components_used.size
    np.testing.assert_allclose(found, exact / exact.sum(), atol=0.01)
    assert abs(post.process_concentration.mean() - mean_c / exact.sum()) < 0.05


def test_large_counts_and_many_categories():
    """Two kinds that are far apart are found from every start; tables of large counts are drawn in jumps."""
    rng = np.random.default_rng(0)
    beta = np.array([[0.5, 0.3, 0.1, 0.05, 0.05], [0.05, 0.05, 0.1, 0.3, 0.5]])
    bags = np.stack([rng.multinomial(5000, rng.dirichlet(20 * beta[n % 2])) for n in range(24)])
    post = hbm.sample(bags, hbm.MixtureModel(5, n_components=2, alpha=hbm.priors.HalfCauchy(10)), rng=1, n_draws=2000)
    assert post.partition().tolist() == [0, 1] * 12
    other = hbm.sample(bags[::2], hbm.HierarchicalModel(5, alpha=hbm.priors.HalfCauchy(10)), rng=2, n_draws=2000)
    one = post.component(0)
    np.testing.assert_allclose(one.mean("beta"), other.mean("beta"), atol=0.01)
    assert abs(one.mean("log_alpha") - other.mean("log_alpha")) < 0.1


def test_order_of_rows_and_threads_change_nothing(finite):
    order = np.random.default_rng(1).permutation(len(BAGS))
    again = hbm.sample(BAGS[order], hbm.MixtureModel(2, n_components=3), rng=1, n_threads=1)
    assert (again.log_alpha == finite.log_alpha).all()
    same = hbm.sample(BAGS, hbm.MixtureModel(2, n_components=3), rng=1, n_threads=3)
    assert (same.labels == finite.labels).all()
    assert (same.log_beta == finite.log_beta).all()


def test_rows_of_zeros_change_no_other_group(process):
    padded = hbm.sample(np.vstack([BAGS, [[0, 0]] * 2]), PROCESS, rng=1)
    np.testing.assert_allclose(padded.co_assignment()[:9, :9], process.co_assignment(), atol=0.08)
    # the Polya urn: the first of them joins a component of s groups with probability s / (9 + 1), a new one with 1 / 10
    sizes = np.stack([(process.labels == j).sum(axis=-1) for j in range(9)])
    together = (sizes * (sizes + 1)).sum(axis=0).mean() / 110 + 1 / 110
    assert abs(padded.co_assignment()[9, 10] - together) < 0.05


def test_labels_and_shapes(finite, process):
    assert finite.labels.shape == (4, 1000, 9)
    assert finite.weights.shape == (4, 1000, 3)
    np.testing.assert_allclose(finite.weights.sum(axis=-1), 1.0)
    used = [len(set(row)) for row in finite.labels[0]]
    assert finite.n_components_used[0].tolist() == used
    assert (process.labels[..., 0] >= 0).all()
    held = np.isfinite(process.log_alpha).sum(axis=-1)
    assert (held == process.n_components_used).all()
    np.testing.assert_allclose(np.nansum(process.weights, axis=-1), 9 / 10)
    together = finite.co_assignment()
    np.testing.assert_allclose(together, together.T)
    np.testing.assert_allclose(np.diag(together), 1.0)


def variation(a, b):
    joint = {}
    for pair in zip(a, b, strict=True):
        joint[pair] = joint.get(pair, 0) + 1
    n = len(a)

    def entropy(sizes):
        return -sum(s / n * math.log(s / n) for s in sizes)

    sizes = [np.unique(x, return_counts=True)[1] for x in (a, b)]
    return 2 * entropy(joint.values()) - entropy(sizes[0]) - entropy(sizes[1])


def test_partition_has_the_least_expected_variation_of_information():
    post = hbm.sample([[9, 0], [8, 1], [0, 9], [5, 5], [4, 6]], PROCESS, n_draws=100, n_chains=2, rng=5)
    draws = post.labels.reshape(-1, 5).tolist()
    expected = {tuple(p): np.mean([variation(p, draw) for draw in draws]) for p in partitions(5)}
    found = post.partition()
    renumbered = [list(dict.fromkeys(found)).index(z) for z in found]
    assert expected[tuple(renumbered)] <= min(expected.values()) + 1e-12


def test_predictions(finite, process):
    for post in (finite, process):
        # of a group of the data: the mean over the draws of its own component
        own = post.labels[..., 0]
        alpha = np.take_along_axis(post.alpha, own[..., np.newaxis], axis=2)[..., 0]
        beta = np.take_along_axis(post.beta, own[..., np.newaxis, np.newaxis], axis=2)[:, :, 0]
        theta = (alpha[..., np.newaxis] * beta + BAGS[0]) / (alpha + 20)[..., np.newaxis]
        np.testing.assert_allclose(post.predict(0), theta.mean(axis=(0, 1)))
        # of a new one: what log_predictive gives for one draw each
        one_draw = np.exp([post.log_predictive([1, 0]), post.log_predictive([0, 1])])
        np.testing.assert_allclose(post.predict(), one_draw, atol=1e-3)
        np.testing.assert_allclose(one_draw.sum(), 1.0, atol=1e-3)
        # and of a group with counts: by the chain rule
        chain = np.exp(post.log_predictive([3, 0], coefficient=False) - post.log_predictive([2, 0], coefficient=False))
        np.testing.assert_allclose(post.predict(counts=[2, 0])[0], chain, atol=2e-3)
        assert post.predict(counts=[1, 0])[0] > 0.8
        pmf = np.exp(post.log_predictive([[k, 4 - k] for k in range(5)]))
        np.testing.assert_allclose(pmf.sum(), 1.0, atol=5e-3)


def test_responsibilities(finite, process):
    for post in (finite, process):
        of_data, of_new = post.responsibilities(), post.responsibilities([[20, 0], [0, 20]])
        for shares in (of_data, of_new):
            np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert finite.responsibilities().shape == (9, 3)
    assert process.responsibilities([20, 0]).shape == (1, int(process.partition().max()) + 2)
    far = hbm.sample([[30, 0]] * 6 + [[15, 15]] * 6, hbm.MixtureModel(2, n_components=2, alpha=50.0), rng=1)
    assert far.partition().tolist() == [0] * 6 + [1] * 6
    np.testing.assert_allclose(far.responsibilities([[30, 0], [15, 15]]), np.eye(2), atol=0.05)


def test_summary_and_components(finite):
    table = finite.summary()
    assert list(table)[:2] == ["log_likelihood", "n_components_used"]
    assert table["n_components_used"]["mean"] == pytest.approx(finite.n_components_used.mean())
    assert table["log_likelihood"]["r_hat"] < 1.05
    one = finite.component(0)
    assert isinstance(one, hbm.Posterior)
    assert len(one.counts) == (finite.partition() == 0).sum()
    with pytest.raises(IndexError, match="number must be in"):
        finite.component(7)


def test_files_and_copies(finite, tmp_path):
    pytest.importorskip("h5netcdf")
    gamma = hbm.priors.Gamma(1.0, rate=2.0)
    model = hbm.MixtureModel(2, n_components=hbm.priors.DirichletProcess(gamma), beta=hbm.priors.Dirichlet(gamma))
    named = hbm.sample(
        BAGS, model, rng=1, n_draws=50, category_names=["white", "black"], group_names=[f"bag {n}" for n in range(9)]
    )
    for post in (finite, named):
        post.save(tmp_path / "kinds.nc")
        again = hbm.MixturePosterior.load(tmp_path / "kinds.nc")
        for other in (again, pickle.loads(pickle.dumps(post)), copy.deepcopy(post)):
            assert (other.labels == post.labels).all()
            assert other.model == post.model
            np.testing.assert_array_equal(other.log_beta, post.log_beta)
            assert (other.category_names, other.group_names) == (post.category_names, post.group_names)
            np.testing.assert_array_equal(other.predict(0), post.predict(0))
    assert named.predict("bag 3").shape == (2,)
    data = named.to_arviz()
    assert data["posterior"]["labels"].dims == ("chain", "draw", "group")
    with pytest.raises(ValueError, match=r"MixturePosterior\.load"):
        hbm.Posterior.load(tmp_path / "kinds.nc")
    hbm.exact_posterior(BAGS).save(tmp_path / "one.nc")
    with pytest.raises(ValueError, match=r"Posterior\.save"):
        hbm.MixturePosterior.load(tmp_path / "one.nc")


def test_repr_is_short(finite, process):
    for post in (finite, process):
        assert len(repr(post).splitlines()) <= 10
        assert "components used" in post._repr_html_()


def test_chains_that_disagree_are_reported():
    """Two chains that put the groups together in different pairs, with the same density."""
    labels = np.array([[[0, 0, 1, 1]] * 200, [[0, 1, 0, 1]] * 200])
    half = np.full((2, 200, 2), math.log(0.5))
    post = hbm.MixturePosterior(
        labels,
        half,
        np.zeros((2, 200, 2)),
        np.full((2, 200, 2, 2), math.log(0.5)),
        model=hbm.MixtureModel(2, n_components=2),
        counts=np.ones((4, 2), int),
        log_likelihood=np.zeros((2, 200)),
    )
    assert post.disagreement == pytest.approx(2 / 3)
    # Of a learned concentration of beta there are no split moves, and for K = 40 no component is born by chance: chains
    # that start at one component and at four stay there.
    rng = np.random.default_rng(3)
    bags = np.stack([rng.multinomial(400, rng.dirichlet(np.full(40, 0.3))) for _ in range(12)])
    beta = hbm.priors.Dirichlet(hbm.priors.Exponential(1))
    model = hbm.MixtureModel(40, n_components=hbm.priors.DirichletProcess(1.0), beta=beta)
    with pytest.warns(hbm.ConvergenceWarning, match="chains disagree on which groups belong together"):
        hbm.sample(bags, model, n_draws=100, n_warmup=0, rng=1)


def test_refusals():
    model = hbm.MixtureModel(2, n_components=2)
    post = hbm.sample(BAGS, model, n_draws=10, rng=1)
    for call, error, message in (
        (lambda: hbm.sample(hbm.SufficientStatistics(BAGS), model), TypeError, "SufficientStatistics have no groups"),
        (lambda: hbm.sample(BAGS, model, method="hmc"), TypeError, "is of a HierarchicalModel"),
        (lambda: hbm.sample(BAGS[np.newaxis], model), ValueError, "counts"),
        (lambda: hbm.sample(BAGS, hbm.MixtureModel(3, n_components=2)), ValueError, "K = "),
        (lambda: hbm.sample([[1, -1]], model), ValueError, "negative"),
        (lambda: hbm.sample(BAGS, model, n_draws=10**12), MemoryError, "n_draws = 1000000000000 of the mixture takes"),
        (lambda: post.predict(0, counts=[1, 0]), TypeError, "either group or counts"),
        (lambda: post.predict(9), IndexError, "below N"),
        (lambda: post.log_predictive([1, 2, 3]), ValueError, "K = 2"),
    ):
        with pytest.raises(error, match=message):
            call()


@pytest.mark.parametrize("model", [hbm.MixtureModel(2, n_components=2), PROCESS])
def test_a_table_without_groups_has_draws_from_the_prior(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        post = hbm.sample(np.zeros((0, 2), int), model, n_draws=50, rng=2)
        assert (post.n_components_used == 0).all()
        assert post.partition().shape == (0,)
        assert post.co_assignment().shape == (0, 0)
        assert post.responsibilities([[1, 0]]).sum() == pytest.approx(1.0)
        assert post.summary()["n_components_used"]["mean"] == 0.0
    with pytest.raises(IndexError, match="a component of partition"):
        post.component(0)


def test_the_partition_of_many_groups_is_a_minimum():
    """Each move of one group to another component, or to one of its own, has a larger expected distance."""
    rng = np.random.default_rng(5)
    kinds = rng.integers(0, 4, 200)
    labels = np.where(rng.random((2, 100, 200)) < 0.2, rng.integers(0, 5, (2, 100, 200)), kinds)
    post = hbm.MixturePosterior(
        labels,
        np.full((2, 100, 5), math.log(0.2)),
        np.zeros((2, 100, 5)),
        np.full((2, 100, 5, 2), math.log(0.5)),
        model=hbm.MixtureModel(2, n_components=5),
        counts=np.ones((200, 2), int),
        log_likelihood=np.zeros((2, 100)),
    )
    found = post.partition()

    def distance(partition):
        """Expected variation of information, up to a constant."""
        code = labels.reshape(200, 200) * 8 + partition
        shared = (code[:, :, np.newaxis] == code[:, np.newaxis]).sum(axis=-1)
        same = (partition[:, np.newaxis] == partition).sum(axis=-1)
        return np.log(same).mean() - 2.0 * np.log(shared).mean()

    least = distance(found)
    for n in rng.choice(200, 10, replace=False):
        for j in range(found.max() + 2):
            moved = found.copy()
            moved[n] = j
            assert distance(moved) >= least - 1e-9


def test_no_counts_is_the_prior():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        post = hbm.sample(np.zeros((3, 2), int), PROCESS, n_draws=5000, rng=2)
    # of the Chinese restaurant process with c = 1 and three groups: 1/3, 1/2, 1/6
    share = np.bincount(post.n_components_used.ravel(), minlength=4)[1:] / post.n_components_used.size
    np.testing.assert_allclose(share, [1 / 3, 1 / 2, 1 / 6], atol=0.02)
    assert abs(np.nanmean(post.alpha) - 1.0) < 0.05
