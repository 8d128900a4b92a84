"""Posterior: summaries, groups and predictions, weights used everywhere."""

import warnings
from functools import partial

import numpy as np
import pytest

import hbm_fast as hbm

COUNTS = np.array([[3, 1], [0, 4], [2, 2]])
MODEL = hbm.HierarchicalModel(2)


def some_draws(n_chains=2, n_draws=500, n_categories=2, seed=1):
    rng = np.random.default_rng(seed)
    log_alpha = rng.normal(size=(n_chains, n_draws))
    return log_alpha, np.log(rng.dirichlet(np.full(n_categories, 2.0), size=(n_chains, n_draws)))


@pytest.fixture
def post():
    log_alpha, log_beta = some_draws()
    return hbm.Posterior(log_alpha, log_beta, model=MODEL, counts=COUNTS, key=[1, 2])


def weighted(post, seed=5):
    log_weights = np.random.default_rng(seed).normal(size=post.log_alpha.shape) * 0.7
    return hbm.Posterior(post.log_alpha, post.log_beta, model=MODEL, counts=COUNTS, key=[1, 2], log_weights=log_weights)


def test_moments_of_plain_draws(post):
    assert post.mean("alpha") == pytest.approx(post.alpha.mean())
    assert post.sd("log_alpha") == pytest.approx(post.log_alpha.std())
    np.testing.assert_allclose(post.mean("beta"), post.beta.mean(axis=(0, 1)))
    np.testing.assert_allclose(post.quantile("beta", [0.1, 0.9]), np.quantile(post.beta, [0.1, 0.9], axis=(0, 1)))


def test_weights_are_used(post):
    heavy = weighted(post)
    w = np.exp(heavy.log_weights)
    assert w.sum() == pytest.approx(1.0)
    assert heavy.mean("alpha") == pytest.approx((w * heavy.alpha).sum())
    theta = (heavy.alpha[..., None] * heavy.beta + COUNTS[1]) / (heavy.alpha + 4)[..., None]
    np.testing.assert_allclose(heavy.predict(1), (w[..., None] * theta).sum((0, 1)))


def by_definition(values, weights, q):
    """The smallest draw of positive weight at which the weights summed up to it reach q, else the largest."""
    drawn = sorted((v, w) for v, w in zip(values, weights, strict=True) if w > 0)
    total = 0.0
    for value, weight in drawn:
        total += weight
        if total >= q:
            return value
    return drawn[-1][0]


def test_weighted_quantiles_by_the_inverse_distribution_function(post):
    heavy = weighted(post)
    log_weights = np.array(heavy.log_weights)
    log_weights[:, ::7] = -np.inf
    heavy = hbm.Posterior(post.log_alpha, post.log_beta, model=MODEL, log_weights=log_weights)
    q = np.array([[0.0, 0.013, 0.25], [0.5, 0.9, 1.0]])
    w = np.exp(heavy.log_weights).ravel()
    for name in ("alpha", "log_alpha"):
        values = getattr(heavy, name).ravel()
        expected = [[by_definition(values, w, level) for level in row] for row in q]
        np.testing.assert_array_equal(heavy.quantile(name, q), expected)
    for k in range(2):
        expected = [[by_definition(heavy.beta[..., k].ravel(), w, level) for level in row] for row in q]
        np.testing.assert_array_equal(heavy.quantile("beta", q)[..., k], expected)
    assert heavy.summary()["alpha"]["50%"] == heavy.quantile("alpha", 0.5)
    batch = hbm.Posterior(
        np.stack([post.log_alpha, -post.log_alpha]),
        np.stack([post.log_beta] * 2),
        model=MODEL,
        log_weights=np.stack([log_weights, np.zeros_like(log_weights)]),
    )
    np.testing.assert_array_equal(batch.quantile("beta", 0.3)[0], heavy.quantile("beta", 0.3))
    np.testing.assert_array_equal(batch.quantile("alpha", q)[..., 1], batch[1].quantile("alpha", q))


def test_draws_of_weight_zero_do_not_count():
    log_beta = np.log(np.full((1, 3, 2), 0.5))
    log_weights = np.array([[-np.inf, 0.0, 0.0]])
    post = hbm.Posterior(np.array([[-1000.0, 0.0, 1.0]]), log_beta, model=MODEL, log_weights=log_weights)
    found = post.quantile("log_alpha", [0.0, 0.05, 0.1, 0.2, 0.5, 0.51, 1.0])
    np.testing.assert_array_equal(found, [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0])
    top = hbm.Posterior(np.array([[-1000.0, 0.0, 1.0]]), log_beta, model=MODEL, log_weights=log_weights[:, ::-1])
    np.testing.assert_array_equal(top.quantile("log_alpha", [0.0, 0.5, 1.0]), [-1000.0, -1000.0, 0.0])
    # ten equal weights: sums of 1 / 10 reach 0.3 with the third and 0.7 with the seventh, whatever their rounding
    equal = hbm.Posterior(
        np.arange(10.0)[np.newaxis], np.log(np.full((1, 10, 2), 0.5)), model=MODEL, log_weights=np.zeros((1, 10))
    )
    np.testing.assert_array_equal(equal.quantile("log_alpha", [0.1, 0.3, 0.5, 0.7, 0.9]), [0.0, 2.0, 4.0, 6.0, 8.0])


def test_far_new_groups_leave_few_draws():
    rng = np.random.default_rng(2)
    # alpha near 20 and beta near 1/2, as after many even groups
    log_alpha = 3.0 + 0.2 * rng.normal(size=(2, 2000))
    log_beta = np.log(rng.dirichlet([200.0, 200.0], (2, 2000)))
    post = hbm.Posterior(log_alpha, log_beta, model=MODEL, counts=COUNTS, key=[1, 2])
    pure = np.array([[20, 0], [0, 20]] * 20)
    each = post.log_likelihood()  # of the data, here as new groups
    value, ess = post.log_predictive(COUNTS, jointly=True, return_ess=True)
    terms = np.exp(each.sum(axis=-1))
    assert value == pytest.approx(np.log(terms.mean()))
    assert ess == pytest.approx(terms.sum() ** 2 / (terms**2).sum())
    assert 1000 < ess < 4000
    values, sizes = post.log_predictive(COUNTS, return_ess=True)
    np.testing.assert_allclose(sizes, np.exp(each).sum((0, 1)) ** 2 / np.exp(2 * each).sum((0, 1)))
    np.testing.assert_array_equal(values, post.log_predictive(COUNTS))
    assert np.ndim(post.log_predictive(COUNTS[0], return_ess=True)[1]) == 0
    with pytest.warns(hbm.ConvergenceWarning, match=r"new_counts leaves \d+\.\d effective draws of 4000"):
        value, ess = post.log_predictive(pure, jointly=True, return_ess=True)
    assert ess < 20
    with pytest.warns(hbm.ConvergenceWarning, match="new_counts leaves"):
        assert post.log_predictive(pure, jointly=True) == value
    with pytest.warns(hbm.ConvergenceWarning, match="fewest of 1 such values"):
        post.log_predictive([[3, 1], [0, 5000]])
    for call in (post.predict, post.theta, post.log_theta):
        with pytest.warns(hbm.ConvergenceWarning, match="counts leaves") as found:
            call(counts=[0, 5000])
        assert [w.filename for w in found] == [__file__]
    # weights are part of the effective number
    log_weights = np.where(np.arange(2000) < 100, 0.0, -50.0) * np.ones((2, 1))
    heavy = hbm.Posterior(log_alpha, log_beta, model=MODEL, log_weights=log_weights)
    assert heavy.log_predictive([2, 2], return_ess=True)[1] < 200.001
    # of a batch
    batch = hbm.Posterior(np.stack([log_alpha, log_alpha + 1]), np.stack([log_beta] * 2), model=MODEL)
    value, ess = batch.log_predictive(COUNTS, jointly=True, return_ess=True)
    assert value.shape == ess.shape == (2,)
    for b in range(2):
        assert batch[b].log_predictive(COUNTS, jointly=True, return_ess=True) == (value[b], ess[b])
    value, ess = batch.log_predictive(COUNTS, return_ess=True)
    assert value.shape == ess.shape == (2, 3)
    value, ess = batch.log_predictive(COUNTS[0], return_ess=True)
    assert value.shape == ess.shape == (2,)


def test_groups_of_probability_zero():
    log_beta = np.broadcast_to(np.array([-np.inf, 0.0]), (1, 200, 2))
    post = hbm.Posterior(np.zeros((1, 200)), log_beta, model=MODEL)
    with pytest.warns(hbm.ConvergenceWarning, match="0.0 effective"):
        assert post.log_predictive([[1, 2], [0, 2]]).tolist() == [-np.inf, 0.0]
    for call in (post.predict, post.theta):
        with pytest.raises(ValueError, match="probability zero under every draw"):
            call(counts=[1, 2])


@pytest.mark.parametrize("bad", [np.array([2**54, 5]), np.array([2**63 - 1, 5]), np.array([2**64 - 1, 5], "u8")])
def test_counts_beyond_exact_doubles_are_refused(post, bad):
    for call in (
        post.log_predictive,
        lambda row: post.predict(counts=row),
        lambda row: post.theta(counts=row),
        lambda row: post.predictive_counts(counts=row),
    ):
        with pytest.raises(ValueError, match=r"2\*\*53"):
            call(bad)


@pytest.mark.parametrize(
    "row", [np.array([2, 1], ">i4"), np.ma.masked_array([2, 1], mask=False), np.array([2, 1], ">u8")]
)
def test_memory_layout_of_new_counts(post, row):
    np.testing.assert_array_equal(post.theta(counts=row), post.theta(counts=[2, 1]))
    np.testing.assert_array_equal(post.predict(counts=row), post.predict(counts=[2, 1]))
    assert post.log_predictive(row) == post.log_predictive([2, 1])
    with pytest.raises(ValueError, match="masked"):
        post.predict(counts=np.ma.masked_array([2, 1], mask=[True, False]))


def test_predict_is_the_mean_of_theta(post):
    for group in (None, 0, 1, 2):
        theta = post.theta(group)
        assert theta.shape == (2, 500, 2)
        error = theta.std(axis=(0, 1)) / np.sqrt(1000)
        assert (abs(theta.mean(axis=(0, 1)) - post.predict(group)) < 6 * error).all()


@pytest.mark.parametrize("with_weights", [False, True])
def test_a_new_row_informs_alpha_and_beta(with_weights):
    log_alpha, log_beta = some_draws(4, 20_000)
    post = hbm.Posterior(log_alpha, log_beta, model=MODEL, key=[1, 2])
    if with_weights:
        post = hbm.Posterior(log_alpha, log_beta, model=MODEL, key=[1, 2], log_weights=0.5 * log_alpha)
    row = np.array([0, 3])
    theta = post.theta(counts=row)
    mean = theta.mean(axis=(0, 1)) if post.log_weights is None else np.einsum("cd,cdk", np.exp(post.log_weights), theta)
    np.testing.assert_allclose(mean, post.predict(counts=row), atol=0.01)
    # the same by hand: weights proportional to p(row | alpha, beta) = rising(ab, 3) / rising(a, 3)
    a, b = post.alpha, post.beta[..., 1]
    w = a * b * (a * b + 1) * (a * b + 2) / (a * (a + 1) * (a + 2))
    w = w if post.log_weights is None else w * np.exp(post.log_weights)
    assert post.predict(counts=row)[1] == pytest.approx((w * (a * b + 3) / (a + 3)).sum() / w.sum())


def test_log_predictive_against_scipy(post):
    stats = pytest.importorskip("scipy.stats")
    rows = np.array([[0, 0], [5, 0], [2, 7]])
    concentration = (post.alpha[..., None] * post.beta).reshape(-1, 2)
    each = np.array([stats.dirichlet_multinomial.logpmf(row, concentration, row.sum()) for row in rows])
    expected = np.log(np.exp(each).mean(axis=1))
    np.testing.assert_allclose(post.log_predictive(rows), expected, rtol=1e-10)
    assert post.log_predictive(rows[1]) == pytest.approx(expected[1])
    assert post.log_predictive(rows, jointly=True) == pytest.approx(np.log(np.exp(each.sum(0)).mean()))
    np.testing.assert_allclose(
        post.log_likelihood().reshape(-1, 3)[:, 1],
        stats.dirichlet_multinomial.logpmf(COUNTS[1], concentration, 4),
        rtol=1e-10,
    )


def test_alpha_below_the_smallest_double():
    log_alpha = np.full((1, 4000), -800.0)
    log_beta = np.broadcast_to(np.log([0.25, 0.75]), (1, 4000, 2))
    post = hbm.Posterior(log_alpha, log_beta, model=MODEL, counts=COUNTS[:2] * [[1, 0], [0, 1]], key=[3, 4])
    np.testing.assert_allclose(post.predict(None), [0.25, 0.75])
    np.testing.assert_allclose(post.predict(0), [1.0, 0.0])
    assert np.isfinite(post.log_theta(None)).all()
    assert abs(post.theta(None)[..., 1].mean() - 0.75) < 6 * np.sqrt(0.1875 / 4000)
    assert post.log_predictive([0, 5]) == pytest.approx(np.log(0.75))
    assert post.log_predictive([1, 1], coefficient=False) == pytest.approx(-800 + np.log(0.1875))


def test_batch_equals_its_parts():
    log_alpha, log_beta = some_draws(6, 100)
    log_alpha, log_beta = log_alpha.reshape(3, 2, 100), log_beta.reshape(3, 2, 100, 2)
    counts = np.array([COUNTS, COUNTS + 1, COUNTS * 0])
    batch = hbm.Posterior(log_alpha, log_beta, model=MODEL, counts=counts, key=[1, 2], log_evidence=[-1.0, -2.0, -3.0])
    assert len(batch) == 3
    for b, part in enumerate(batch):
        assert part.log_evidence == -1.0 - b
        np.testing.assert_array_equal(batch.theta(1)[b], part.theta(1))
        np.testing.assert_array_equal(batch.theta(counts=[1, 2])[b], part.theta(counts=[1, 2]))
        np.testing.assert_array_equal(batch.predictive_counts(None, total=9)[b], part.predictive_counts(None, total=9))
        np.testing.assert_allclose(batch.predict(2)[b], part.predict(2))
        np.testing.assert_allclose(batch.mean("beta")[b], part.mean("beta"))
        np.testing.assert_allclose(batch.quantile("alpha", 0.3)[b], part.quantile("alpha", 0.3))
        np.testing.assert_allclose(batch.log_predictive([[1, 2], [3, 0]])[b], part.log_predictive([[1, 2], [3, 0]]))


def test_predictive_counts(post):
    drawn = post.predictive_counts(0)
    assert drawn.shape == (2, 500, 2)
    assert (drawn.sum(axis=-1) == 4).all()
    drawn = post.predictive_counts(1, total=50)
    fraction = drawn[..., 1] / 50
    assert abs(fraction.mean() - post.predict(1)[1]) < 6 * fraction.std() / np.sqrt(1000)
    with pytest.raises(ValueError, match="total must be given"):
        post.predictive_counts()


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda p: p.mean("gamma"), ValueError, "name must be one of"),
        (lambda p: p.theta(3), IndexError, "group must be below N = 3"),
        (lambda p: p.theta(1.0), TypeError, "group must be an index"),
        (lambda p: p.theta("a"), ValueError, "no group names"),
        (lambda p: p.theta(0, counts=[1, 2]), TypeError, "either group or counts"),
        (lambda p: p.predict(counts=[1, 2, 3]), ValueError, "K = 2"),
        (lambda p: p.predict(counts=[1.5, 2.0]), ValueError, "whole numbers"),
        (lambda p: p.log_predictive([-1, 2]), ValueError, "negative"),
        (lambda p: p.quantile("alpha", 1.5), ValueError, "between 0 and 1"),
        (lambda p: len(p), TypeError, "one dataset"),
        (lambda p: hbm.Posterior(p.log_alpha, p.log_beta[:1], model=MODEL), ValueError, "log_beta must have shape"),
        (
            lambda p: hbm.Posterior(p.log_alpha, p.beta, model=MODEL),
            ValueError,
            r"sum to one; the sum is .* index \(0, 0\)",
        ),
        (lambda p: hbm.Posterior(p.log_alpha, p.log_beta + 1e-3, model=MODEL), ValueError, "sum to one"),
        (lambda p: hbm.Posterior(p.log_alpha, p.log_beta - np.inf, model=MODEL), ValueError, "sum to one"),
        (
            lambda p: hbm.Posterior(p.log_alpha, p.log_beta, model=MODEL, log_weights=p.log_alpha - np.inf),
            ValueError,
            "every draw has weight zero",
        ),
        (
            lambda p: hbm.Posterior(
                *(np.stack([x, x]) for x in (p.log_alpha, p.log_beta)),
                model=MODEL,
                log_weights=np.stack([p.log_alpha, p.log_alpha - np.inf]),
            ),
            ValueError,
            "weight zero in dataset 1",
        ),
        (
            lambda p: hbm.Posterior(p.log_alpha, p.log_beta, model=MODEL, log_weights=p.log_alpha + np.inf),
            ValueError,
            "a weight is infinite",
        ),
        (lambda p: p.predictive_counts(total=10**30), ValueError, "total must be at most"),
        (lambda p: hbm.Posterior(p.log_alpha * np.nan, p.log_beta, model=MODEL), ValueError, "must not be NaN"),
    ],
)
def test_messages(post, call, error, match):
    with pytest.raises(error, match=match):
        call(post)


def test_single_precision_betas_are_taken(post):
    log_beta = post.log_beta.astype(np.float32)
    assert hbm.Posterior(post.log_alpha, log_beta, model=MODEL).mean("beta").sum() == pytest.approx(1.0, abs=1e-6)


def test_names_are_checked_when_changed(post):
    named = post.rename(category_names=["white", "black"], group_names=(name for name in "abc"))
    assert named.category_names == ("white", "black")
    assert named.group_names == ("a", "b", "c")
    assert post.category_names is post.group_names is None
    np.testing.assert_array_equal(named.theta("b"), post.theta(1))
    assert named.rename(category_names=np.arange(2)).category_names == ("0", "1")
    assert named.rename(category_names=np.arange(2)).group_names == ("a", "b", "c")
    for name, value, error, match in (
        ("category_names", ["white"], ValueError, "category_names must hold 2 names; got 1"),
        ("category_names", ["white", "black", "red"], ValueError, "must hold 2 names; got 3"),
        ("category_names", ["white", "white"], ValueError, "must differ from each other; 'white' occurs twice"),
        ("category_names", [1, "1"], ValueError, "'1' occurs twice"),
        ("category_names", ["white", 1.5], TypeError, r"must be str \(or int\); got 1.5 \(float\) at index 1"),
        ("category_names", ["white", None], TypeError, "at index 1"),
        ("category_names", "ab", TypeError, "sequence of names"),
        ("category_names", 3, TypeError, "sequence of names"),
        ("group_names", ["a", "b"], ValueError, "group_names must hold 3 names"),
        ("dataset_names", ["a", "b"], ValueError, "dataset_names must hold 1 names"),
    ):
        with pytest.raises(error, match=match):
            named.rename(**{name: value})
        with pytest.warns(DeprecationWarning, match=name), pytest.raises(error, match=match):
            setattr(named, name, value)
    assert named.category_names == ("white", "black")
    with pytest.raises(ValueError, match="needs counts"):
        hbm.Posterior(post.log_alpha, post.log_beta, model=MODEL).rename(group_names=["a"])


def test_assignment_is_deprecated(post):
    with pytest.warns(DeprecationWarning, match=r"assigning category_names is deprecated: .*rename\(category_names="):
        post.category_names = ["white", "black"]
    assert post.category_names == ("white", "black")
    with pytest.warns(DeprecationWarning, match="assigning latent is deprecated"):
        post.latent = {}


def batch_of(n_datasets, n_chains=2, n_draws=200, n_categories=2, **changes):
    log_alpha, log_beta = some_draws(n_chains * n_datasets, n_draws, n_categories)
    return hbm.Posterior(
        log_alpha.reshape(n_datasets, n_chains, n_draws),
        log_beta.reshape(n_datasets, n_chains, n_draws, n_categories),
        model=hbm.HierarchicalModel(n_categories),
        key=[1, 2],
        **changes,
    )


def test_slices_and_names_of_a_batch():
    counts = np.arange(5 * 3 * 2).reshape(5, 3, 2)
    details = {"share": np.linspace(0.0, 1.0, 5), "n_warmup": 100}
    names = {"dataset_names": list("abcde"), "group_names": ["x", "y", "z"]}
    batch = batch_of(5, counts=counts, details=details, log_evidence=np.arange(5.0), **names)
    part = batch[1:4]
    assert len(part) == 3
    assert part.dataset_names == ("b", "c", "d")
    assert part.details["share"].tolist() == [0.25, 0.5, 0.75]
    assert part.details["n_warmup"] == 100
    assert part.log_evidence.tolist() == [1.0, 2.0, 3.0]
    for name, b in (("b", 1), ("d", 3)):
        one = batch[name]
        assert one.dataset_names == (name,)
        for other in (batch[b], part[name], part[b - 1], batch[b - 5], batch[::-1][name]):
            np.testing.assert_array_equal(other.counts, one.counts)
            np.testing.assert_array_equal(other.log_alpha, one.log_alpha)
            np.testing.assert_array_equal(other.theta(1), one.theta(1))
            np.testing.assert_array_equal(other.theta(counts=[1, 2]), one.theta(counts=[1, 2]))
            assert other.log_evidence == b
    np.testing.assert_array_equal(part.theta(2), batch.theta(2)[1:4])
    exact = hbm.exact_posterior(counts, rng=1, n_draws=10, dataset_names=list("abcde"))
    np.testing.assert_array_equal(exact[3:].predict(1), exact.predict(1)[3:])
    assert exact["e"].summary()["alpha"] == exact.summary()["e", "alpha"]
    for index, error, match in (
        ("f", ValueError, "dataset 'f' is unknown: the names are a, b, c, d, e"),
        (5, IndexError, "below B = 5; got 5"),
        (slice(3, 3), IndexError, "selects none of the B = 5"),
        (1.0, TypeError, "an integer, a slice or a name of dataset_names; got 1.0"),
        (True, TypeError, "an integer, a slice"),
    ):
        with pytest.raises(error, match=match):
            batch[index]


def test_one_group_for_each_dataset():
    counts = np.array([[[1, 2], [3, 0], [0, 0]], [[5, 0], [0, 0], [0, 0]], [[1, 1], [0, 0], [0, 4]]])
    exact = hbm.exact_posterior(counts, n_draws=50, rng=1, group_names=["a", "b", "c"])
    own = np.log(np.random.default_rng(3).dirichlet([1.0, 2.0], (3, 3, 2, 200)))
    for post in (exact, batch_of(3, counts=counts), batch_of(3, counts=counts, theta_draws=own.__getitem__)):
        for call in (
            post.predict,
            post.theta,
            partial(post.predictive_counts, total=7),
            post.predictive_counts,
        ):
            found = call([0, 2, 1])
            for b, group in enumerate([0, 2, 1]):
                np.testing.assert_array_equal(found[b], call(group)[b])
            # rows of zeros at the end are padding: -1 is the last group with counts
            np.testing.assert_array_equal(call(-1), call([1, 0, 2]))
            np.testing.assert_array_equal(call(np.array([0, 0, 0])), call(0))
        for b, last in enumerate([1, 0, 2]):
            np.testing.assert_array_equal(post[b].predict(-1), post[b].predict(last))
            np.testing.assert_allclose(post[b].predict(-1), post.predict(-1)[b], rtol=1e-12)
    np.testing.assert_array_equal(exact.predict(["b", 0, "c"]), exact.predict([1, 0, 2]))
    with pytest.raises(ValueError, match=r"one for each of the B = 3 datasets; got 500 of them$"):
        exact.predict([2] * 500)
    with pytest.raises(IndexError, match="below N = 3; got 7"):
        exact.predict([0, 1, 7])
    with pytest.raises(IndexError, match="got -2"):
        exact.predict(-2)  # the second dataset has one group
    with pytest.raises(ValueError, match="or one, of one dataset; got 2"):
        exact[0].predict([0, 1])
    nothing = hbm.exact_posterior(np.zeros((2, 2), int))
    np.testing.assert_array_equal(nothing.predict(-1), nothing.predict(1))


@pytest.mark.filterwarnings("ignore::hbm_fast.ConvergenceWarning")  # far draws: few of them are left
def test_numpy_s_error_state_changes_nothing():
    log_alpha, log_beta = some_draws(1, 500)
    log_alpha, log_beta = log_alpha * 200, np.log(np.random.default_rng(1).dirichlet([0.01, 0.01], (1, 500)) + 1e-300)
    log_weights = 1000.0 * np.linspace(-1.0, 1.0, 500)[np.newaxis]
    post = hbm.Posterior(log_alpha, log_beta, model=MODEL, counts=COUNTS, key=[1, 2])
    calls = (
        lambda: hbm.Posterior(log_alpha, log_beta, model=MODEL, log_weights=log_weights).mean("alpha"),
        lambda: hbm.Posterior(log_alpha, log_beta, model=MODEL, log_weights=log_weights).quantile("beta", 0.3),
        lambda: post.alpha,
        lambda: post.beta,
        lambda: post.theta(0),
        lambda: post.predict(1),
        lambda: post.predict(counts=[1, 1]),
        lambda: post.log_predictive([[1, 1]], jointly=True),
        lambda: post.predictive_counts(2),
        lambda: post.sd("beta"),
        lambda: post.quantile("beta", 0.3),
    )
    for call in calls:
        expected = call()
        with np.errstate(all="raise"):
            np.testing.assert_array_equal(call(), expected)


def test_summary_of_chains():
    log_alpha, log_beta = some_draws(4, 1000)
    post = hbm.Posterior(log_alpha, log_beta, model=MODEL)
    table = post.summary()
    assert table["log_alpha"]["mean"] == pytest.approx(post.mean("log_alpha"))
    assert table["beta[1]"]["95%"] == pytest.approx(post.quantile("beta", 0.95)[1])
    assert 3000 < table["alpha"]["ess_bulk"] < 5000
    assert table["alpha"]["r_hat"] < 1.01
    assert "4 x 1000 draws" in str(table)
    batch = hbm.Posterior(post.log_alpha[None], post.log_beta[None], model=MODEL)
    np.testing.assert_allclose(batch.diagnostics("beta")["ess_bulk"][0], post.diagnostics("beta")["ess_bulk"])
    assert batch.summary()[0, "log_alpha"]["ess_tail"] == pytest.approx(table["log_alpha"]["ess_tail"])


def test_summary_warns():
    log_alpha, log_beta = some_draws(4, 400)
    apart = hbm.Posterior(log_alpha + np.arange(4)[:, None], log_beta, model=MODEL)
    with pytest.warns(hbm.ConvergenceWarning, match="R-hat of .*n_draws"):
        apart.summary()
    slow = hbm.Posterior(np.repeat(log_alpha[:, :20], 20, axis=1), log_beta, model=MODEL)
    with pytest.warns(hbm.ConvergenceWarning, match="log_alpha has .* effective draws, below 160"):
        slow.summary()
    heavy = hbm.Posterior(log_alpha, log_beta, model=MODEL, log_weights=20 * log_alpha)
    with pytest.warns(hbm.ConvergenceWarning, match="importance weights"):
        heavy.summary()


def test_summary_without_arviz_stats(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "arviz_stats", None)
    log_alpha, log_beta = some_draws(4, 1000)
    post = hbm.Posterior(log_alpha, log_beta, model=MODEL)
    assert post.summary()["log_alpha"]["r_hat"] == post.diagnostics("log_alpha")["r_hat"] < 1.01


def test_summary_of_one_chain():
    log_alpha, log_beta = some_draws(1, 1000)
    table = hbm.Posterior(log_alpha, log_beta, model=MODEL).summary()
    assert np.isnan(table["alpha"]["r_hat"])
    assert table["alpha"]["ess_bulk"] > 500
    slow = hbm.Posterior(np.repeat(log_alpha[:, :5], 40, axis=1), log_beta[:, :200], model=MODEL)
    with pytest.warns(hbm.ConvergenceWarning, match="effective draws, below 20"):
        slow.summary()
    for n in (3, 50):  # too short to be checked
        hbm.Posterior(log_alpha[:, :n], log_beta[:, :n], model=MODEL).summary()


def test_summary_and_sample_have_one_rule():
    bags = hbm.datasets.load_marbles().counts
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for rng in range(5):  # short chains, whose R-hat exceeds 1.01 by chance
            hbm.sample(bags, n_draws=200, rng=rng)
            hbm.sample(bags, n_draws=200, rng=rng, diagnostics=False).summary()


def test_weighted_summary(post):
    table = weighted(post).summary()
    assert table["alpha"]["ess"] == pytest.approx(1 / (np.exp(weighted(post).log_weights) ** 2).sum())


def test_own_theta_draws(post):
    log_theta = np.log(np.random.default_rng(0).dirichlet([1.0, 2.0], size=(3, 2, 500)))
    own = hbm.Posterior(
        post.log_alpha, post.log_beta, model=MODEL, counts=COUNTS, theta_draws=lambda group: log_theta[group]
    )
    np.testing.assert_array_equal(own.log_theta(-1), log_theta[2])
    np.testing.assert_allclose(own.predict(1), np.exp(log_theta[1]).mean(axis=(0, 1)))
    np.testing.assert_allclose(own.predict(None), post.predict(None))


def groups_of(data):
    return set(data.children if hasattr(data, "children") else data.groups())


@pytest.mark.parametrize("batch", [False, True])
def test_to_arviz_resamples_weighted_draws(batch):
    pytest.importorskip("xarray")
    rng = np.random.default_rng(7)
    shape = (3, 1, 64_000) if batch else (2, 32_000)
    log_alpha, log_beta = rng.normal(size=shape), np.log(rng.dirichlet(np.ones(2), shape))
    counts = np.broadcast_to(COUNTS, (3, *COUNTS.shape)) if batch else COUNTS
    # weights exp(log alpha): the mean of log alpha moves from 0 to 1
    heavy = hbm.Posterior(log_alpha, log_beta, model=MODEL, counts=counts, key=[1, 2], log_weights=log_alpha)
    tree = heavy.to_arviz(theta=True, log_likelihood=True)
    assert "sample_stats" not in groups_of(tree)
    drawn = tree["posterior"]["log_alpha"].to_numpy()
    assert drawn.shape == shape
    assert np.isin(drawn, log_alpha).all()
    found = drawn.mean(axis=(-2, -1))
    np.testing.assert_allclose(found, heavy.mean("log_alpha"), atol=0.01)  # of 64,000 systematic draws
    assert (abs(found - log_alpha.mean(axis=(-2, -1))) > 0.8).all()
    # alpha and beta of a draw stay together
    pairs = dict(zip(log_alpha.ravel(), log_beta.reshape(-1, 2), strict=True))
    beta = tree["posterior"]["log_beta"].to_numpy().reshape(-1, 2)
    np.testing.assert_array_equal(beta, [pairs[a] for a in drawn.ravel()])
    again = heavy.to_arviz()["posterior"]["log_alpha"].to_numpy()
    np.testing.assert_array_equal(drawn, again)
    if batch:
        np.testing.assert_array_equal(heavy[1].to_arviz()["posterior"]["log_alpha"].to_numpy(), drawn[1])


def test_to_arviz(post):
    pytest.importorskip("xarray")
    named = hbm.Posterior(
        post.log_alpha,
        post.log_beta,
        model=MODEL,
        counts=COUNTS,
        category_names=["white", "black"],
        group_names=["a", "b", "c"],
        sample_stats={"diverging": np.zeros((2, 500), dtype=bool)},
    )
    tree = named.to_arviz(log_likelihood=True, theta=True, posterior_predictive=True)
    assert groups_of(tree) == {
        "posterior",
        "sample_stats",
        "observed_data",
        "log_likelihood",
        "posterior_predictive",
    }
    np.testing.assert_array_equal(tree["posterior"]["beta"].sel(category="black"), post.beta[..., 1])
    np.testing.assert_array_equal(tree["observed_data"]["counts"].sel(group="b"), [0, 4])
    np.testing.assert_array_equal(tree["posterior"]["theta"].sel(group="c"), named.theta("c"))
    assert tree["log_likelihood"]["counts"].dims == ("chain", "draw", "group")
    assert (tree["posterior_predictive"]["counts"].sum("category") == COUNTS.sum(1)).all()


@pytest.mark.parametrize("kind", ["plain", "weighted", "own theta", "batch"])
def test_save_and_load(post, kind, tmp_path):
    pytest.importorskip("h5netcdf")
    saved = post
    if kind == "weighted":
        saved = weighted(post)
    if kind == "own theta":
        log_theta = np.log(np.random.default_rng(0).dirichlet([1.0, 2.0], size=(3, 2, 500)))
        saved = hbm.Posterior(
            post.log_alpha, post.log_beta, model=MODEL, counts=COUNTS, theta_draws=log_theta.__getitem__, key=[5, 6]
        )
    if kind == "batch":
        saved = hbm.Posterior(
            post.log_alpha[None],
            post.log_beta[None],
            model=hbm.HierarchicalModel(2, alpha=hbm.priors.Gamma(2.0, rate=0.1), beta=[0.5, 1.5]),
            counts=COUNTS[None],
            log_evidence=[-3.5],
            details={"step": np.array([0.25]), "why": "because"},
            category_names=["white", "black"],
        )
    saved.save(tmp_path / "file.nc")
    again = hbm.Posterior.load(tmp_path / "file.nc")
    assert again.model == saved.model
    assert again.category_names == saved.category_names
    np.testing.assert_array_equal(again.log_alpha, saved.log_alpha)
    np.testing.assert_array_equal(again.theta(1), saved.theta(1))
    np.testing.assert_array_equal(again.theta(None), saved.theta(None))
    np.testing.assert_allclose(again.mean("beta"), saved.mean("beta"))
    np.testing.assert_array_equal(again.log_evidence, saved.log_evidence)


def test_files_keep_the_details_of_a_batch(post, tmp_path):
    pytest.importorskip("h5netcdf")
    details = {
        "share": np.array([0.25, 0.5]),
        "path": np.array(["network", "sampler"]),
        "n_warmup": 100,
        "why": "given",
    }
    stacked = (np.stack([x, x]) for x in (post.log_alpha, post.log_beta))
    hbm.Posterior(*stacked, model=MODEL, counts=np.stack([COUNTS] * 2), details=details).save(tmp_path / "batch.nc")
    again = hbm.Posterior.load(tmp_path / "batch.nc")
    for name in ("share", "path"):
        np.testing.assert_array_equal(again.details[name], details[name])
        assert again.details[name].dtype == details[name].dtype
    assert again[1].details == {"share": 0.5, "path": "sampler", "n_warmup": 100, "why": "given"}
    exact = hbm.exact_posterior(np.stack([COUNTS, COUNTS + 1]), n_draws=10)
    exact.save(tmp_path / "exact.nc")
    assert hbm.Posterior.load(tmp_path / "exact.nc")[1].details == exact[1].details


def test_threads_change_nothing(post, monkeypatch):
    found = []
    for n_threads in (1, 2, 3, 7):
        monkeypatch.setenv("HBM_FAST_NUM_THREADS", str(n_threads))
        found.append((post.log_theta(1), post.log_theta(counts=[2, 5]), post.predictive_counts(total=9)))
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_groups_have_different_random_streams(post):
    drawn = [post.theta(None), post.theta(0), post.theta(1), post.theta(counts=[3, 1])]
    flat = np.array([theta[..., 0].ravel() for theta in drawn])
    # what two groups share is (alpha, beta); given those, their draws are independent
    expected = [post.predict(None), post.predict(0), post.predict(1), post.predict(counts=[3, 1])]
    assert np.unique(flat).size > 0.98 * flat.size  # some round to 0 or 1
    np.testing.assert_allclose(flat.mean(axis=1), [p[0] for p in expected], atol=0.1)
    np.testing.assert_array_equal(post.theta(1), drawn[2])
