"""Posterior.proportions: exact means, and bounds within 0.001 of the quantiles of the mixture over the draws."""

import numpy as np
import pytest

import hbm_fast as hbm

pytest.importorskip("pandas")
special = pytest.importorskip("scipy.special")

LEVELS = (0.05, 0.95)


def mixture_quantile(post, row, k, level):
    """By bisection of the mixture's distribution function over every draw, or over the nodes of a quadrature."""
    nodes = post if post.moments is None else post.moments
    log_alpha, log_beta = nodes.log_alpha.ravel(), nodes.log_beta.reshape(-1, post.n_categories)[:, k]
    log_weights = np.zeros(log_alpha.size) if nodes.log_weights is None else nodes.log_weights.ravel()
    weights = np.exp(log_weights) / np.exp(log_weights).sum()
    alpha = np.exp(log_alpha)
    here = np.maximum(alpha * np.exp(log_beta) + row[k], 1e-300)
    rest = np.maximum(alpha * -np.expm1(log_beta) + row.sum() - row[k], 1e-300)
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = 0.5 * (low + high)
        if weights @ special.betainc(here, rest, middle) < level:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def tables():
    rng = np.random.default_rng(4)
    yield "marbles", hbm.datasets.load_marbles().counts[-3:], hbm.HierarchicalModel(2)
    yield "rats", hbm.datasets.load_rat_tumors().counts, hbm.HierarchicalModel(2)
    yield "few counts", np.array([[1, 0, 0], [0, 2, 0], [0, 0, 0], [5, 1, 0]]), hbm.HierarchicalModel(3)
    yield "sparse", rng.multinomial(6, rng.dirichlet(np.full(20, 0.05)), size=12), hbm.HierarchicalModel(20)
    yield "wide", rng.multinomial(300, rng.dirichlet(np.full(60, 0.1)), size=20), hbm.HierarchicalModel(60)
    fixed = hbm.HierarchicalModel(2, alpha=hbm.priors.LogNormal(0.0, 2.0), beta=hbm.priors.FixedBeta([0.3, 0.7]))
    wide_alpha = hbm.priors.LogUniform(1e-3, 1e6)
    yield (
        "alpha over decades",
        np.array([[5, 5, 5]] * 3 + [[0, 0, 0], [2, 0, 0]]),
        hbm.HierarchicalModel(3, alpha=wide_alpha),
    )
    yield "two categories", np.array([[10, 10]] * 3 + [[0, 0]]), hbm.HierarchicalModel(2, alpha=wide_alpha)
    yield "beta fixed", np.array([[3, 0], [1, 4], [0, 0]]), fixed


TABLES = {name: (counts, model) for name, counts, model in tables()}


@pytest.mark.filterwarnings("ignore::hbm_fast.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::hbm_fast.PriorWarning")
@pytest.mark.parametrize("name", TABLES)
def test_bounds_are_those_of_the_mixture(name):
    counts, model = TABLES[name]
    posts = [hbm.sample(counts, model, n_draws=500, rng=1)]
    if model.n_categories == 2:
        posts.append(hbm.exact_posterior(counts, model, rng=1))
    cells = [(n, k) for n in range(len(counts)) for k in range(model.n_categories)]
    chosen = np.random.default_rng(0).permutation(len(cells))[:12]
    for post in posts:
        found = post.proportions()
        mean = found["mean"].to_numpy().reshape(counts.shape)
        np.testing.assert_allclose(mean, [post.predict(n) for n in range(len(counts))], rtol=1e-10, atol=1e-14)
        bounds = found[["lower", "upper"]].to_numpy().reshape(*counts.shape, 2)
        for n, k in (cells[i] for i in chosen):
            expected = [mixture_quantile(post, counts[n], k, level) for level in LEVELS]
            np.testing.assert_allclose(bounds[n, k], expected, rtol=0.0, atol=1e-3)


def test_columns_names_and_batches():
    counts = np.array([[[3, 1], [0, 0]], [[0, 2], [5, 5]]])
    names = {"group_names": ["a", "b"], "category_names": ["x", "y"], "dataset_names": ["Ada", "Ben"]}
    batch = hbm.exact_posterior(counts, rng=1, **names)
    found = batch.proportions(probability=0.5)
    assert list(found.columns) == ["dataset", "group", "category", "count", "raw", "mean", "lower", "upper"]
    assert found["count"].tolist() == counts.ravel().tolist()
    assert found.raw.isna().tolist() == [False, False, True, True, False, False, False, False]
    one = batch["Ben"].proportions(probability=0.5)
    assert list(one.columns) == ["group", "category", "count", "raw", "mean", "lower", "upper"]
    rest = found[found.dataset == "Ben"].drop(columns="dataset").reset_index(drop=True)
    np.testing.assert_allclose(rest.iloc[:, 3:].to_numpy(), one.iloc[:, 3:].to_numpy(), rtol=1e-6)
    assert one.group.tolist() == ["a", "a", "b", "b"]
    assert one.category.tolist() == ["x", "y", "x", "y"]
    assert ((found.lower < found["mean"]) & (found["mean"] < found.upper)).all()
    wider = batch.proportions()
    assert ((wider.lower < found.lower) & (found.upper < wider.upper)).all()


def test_padding_is_no_group():
    found = hbm.exact_posterior([[[3, 0], [0, 0], [1, 1]], [[0, 4]]], rng=1).proportions()
    assert found.dataset.tolist() == [0] * 6 + [1] * 2
    assert found.group.tolist() == [0, 0, 1, 1, 2, 2, 0, 0]


def test_extreme_draws():
    counts = np.array([[2**40, 3], [0, 0], [0, 7]])
    log_beta = np.broadcast_to(np.log([0.25, 0.75]), (1, 200, 2))
    for log_alpha in (-800.0, 0.0, 700.0):
        post = hbm.Posterior(np.full((1, 200), log_alpha), log_beta, model=hbm.HierarchicalModel(2), counts=counts)
        found = post.proportions()
        np.testing.assert_allclose(found["mean"].to_numpy().reshape(3, 2), [post.predict(n) for n in range(3)])
        assert np.isfinite(found[["lower", "upper"]].to_numpy()).all()
        if log_alpha == 0.0:
            row = found.iloc[0]
            exact = special.betaincinv(2**40 + 0.25, 3.75, LEVELS)
            np.testing.assert_allclose([row.lower, row.upper], exact, rtol=1e-13)


def test_theta_of_a_network_is_taken_from_its_draws():
    rng = np.random.default_rng(2)
    log_theta = np.log(rng.dirichlet([1.0, 2.0], (3, 2, 400)))
    log_alpha, log_beta = rng.normal(size=(2, 400)), np.log(rng.dirichlet([1.0, 1.0], (2, 400)))
    counts = np.array([[3, 1], [0, 4], [2, 2]])
    post = hbm.Posterior(
        log_alpha, log_beta, model=hbm.HierarchicalModel(2), counts=counts, theta_draws=log_theta.__getitem__
    )
    found = post.proportions()
    theta = np.exp(log_theta).reshape(3, -1, 2)
    np.testing.assert_allclose(found["mean"].to_numpy().reshape(3, 2), theta.mean(axis=1))
    np.testing.assert_allclose(found.lower.to_numpy().reshape(3, 2), np.quantile(theta, 0.05, axis=1))


def test_messages():
    post = hbm.exact_posterior([[3, 0], [0, 4]])
    with pytest.raises(ValueError, match="probability must lie between 0 and 1; got 90"):
        post.proportions(probability=90)
    with pytest.raises(ValueError, match="has no counts"):
        hbm.exact_posterior(hbm.SufficientStatistics([[3, 0], [0, 4]])).proportions()
