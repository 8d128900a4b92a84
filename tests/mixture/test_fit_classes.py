"""fit(counts, MixtureModel, labels=known): one mixture a class."""

import numpy as np
import pytest

import hbm_fast as hbm

GAMMA = hbm.priors.Gamma(0.1, rate=0.1)
MODEL = hbm.MixtureModel(6, n_components=2)


@pytest.fixture(scope="module")
def data():
    """Two classes with two components each, which share no proportions."""
    rng = np.random.default_rng(3)
    beta = rng.dirichlet(np.full(6, 0.4), 4)
    z = np.repeat([0, 1, 2, 3], [12, 10, 8, 6])
    counts = np.array([rng.multinomial(30, rng.dirichlet(15.0 * beta[j] + 0.01)) for j in z])
    return counts, np.where(z < 2, "well", "ill")


@pytest.fixture(scope="module")
def classifier(data):
    return hbm.fit(data[0], MODEL, prior=GAMMA, labels=data[1], n_starts=8)


def test_each_class_has_its_own_fit(data, classifier):
    counts, labels = data
    assert classifier.classes == ("ill", "well")
    np.testing.assert_allclose(classifier.class_weights, [14 / 36, 22 / 36])
    for name in classifier.classes:
        alone = hbm.fit(counts[labels == name], MODEL, prior=GAMMA, n_starts=8)
        assert classifier[name].log_posterior == alone.log_posterior
    with pytest.raises(KeyError, match="'dead' is none of the classes ill, well"):
        classifier["dead"]


def test_bayes_rule(data, classifier):
    counts, labels = data
    joint = np.log(classifier.class_weights) + np.stack([f.score_samples(counts) for f in classifier.fits], axis=1)
    expected = np.exp(joint) / np.exp(joint).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(classifier.predict_proba(counts), expected, atol=1e-12)
    assert classifier.predict(counts).tolist() == [classifier.classes[j] for j in joint.argmax(axis=1)]
    assert classifier.score(counts, labels) == (classifier.predict(counts) == labels).mean() > 0.9


def test_cross_validation_leaves_the_group_out(data, classifier):
    counts, labels = data
    found = classifier.cross_validate()
    assert found.shape == (36, 2)
    kept = np.arange(36) != 20
    start = (classifier["well"].weights, classifier["well"].concentration)
    well = hbm.fit(counts[kept & (labels == "well")], MODEL, prior=GAMMA, start=start)
    scores = np.array([classifier["ill"].score(counts[[20]]), well.score(counts[[20]])]) + np.log([14, 21])
    np.testing.assert_allclose(found[20], np.exp(scores - np.logaddexp(*scores)), rtol=1e-9)
    assert (found.argmax(axis=1) == (labels == "well")).mean() > 0.8
    folds = classifier.cross_validate(4, rng=1)
    np.testing.assert_array_equal(folds, classifier.cross_validate(4, rng=1))
    assert np.abs(folds - found).max() > 1e-6
    np.testing.assert_allclose(folds.sum(axis=1), 1.0)


def test_sparse_tables_names_and_weights(data, classifier):
    sparse = pytest.importorskip("scipy.sparse")
    counts, labels = data
    one = hbm.fit(sparse.coo_array(counts), MODEL, prior=GAMMA, labels=labels, n_starts=8)
    np.testing.assert_array_equal(one.predict_proba(sparse.coo_array(counts)), classifier.predict_proba(counts))
    np.testing.assert_allclose(one.cross_validate(4), classifier.cross_validate(4), rtol=1e-9)
    names = list("abcdef")
    weighted = hbm.fit(
        counts, MODEL, prior=GAMMA, labels=labels, weights=np.full(36, 2.0), category_names=names, n_starts=4, rng=0
    )
    assert weighted.fits[0].category_names == tuple(names)
    assert weighted.fits[1].n_groups == 44.0
    np.testing.assert_allclose(weighted.class_weights, classifier.class_weights)
    table = hbm.tables.CountTable(counts[:, ::-1], tuple(reversed(names)))
    np.testing.assert_allclose(weighted.predict_proba(table), weighted.predict_proba(counts))


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (["a"], {}, "labels must hold 4 names"),
        ("aabb", {}, "labels must be a sequence"),
        ([None, 0, 1, 1], {}, "that of group 0 is missing"),
        ([0.0, 1.0, float("nan"), 1.0], {}, "that of group 2 is missing"),
        (np.ma.array([0, 0, 1, 1], mask=[0, 1, 0, 0]), {}, r"labels must not be masked; got a masked entry at \(1,\)"),
        ([0, 0, 1, 1], {"start": ([1.0], [[1.0, 1.0]])}, "start is for one mixture"),
        ([0, 0, 0, 1], {}, "class '1': counts must hold at least one count"),
    ],
)
def test_what_is_refused(labels, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        hbm.fit([[3, 1], [2, 2], [4, 0], [0, 0]], hbm.MixtureModel(2, n_components=1), labels=labels, **options)


def test_missing_labels_of_pandas_are_refused():
    pandas = pytest.importorskip("pandas")
    labels = pandas.Series(["a", None, "b", "b"], dtype="string")
    with pytest.raises(ValueError, match="that of group 1 is missing"):
        hbm.fit([[3, 1], [2, 2], [4, 0], [0, 1]], hbm.MixtureModel(2, n_components=1), labels=labels)


def test_folds_that_leave_nothing_are_refused():
    found = hbm.fit([[3, 1], [2, 2], [4, 0]], hbm.MixtureModel(2, n_components=1), labels=[0, 0, 1])
    with pytest.raises(ValueError, match="class '1' has no counts"):
        found.cross_validate()
    with pytest.raises(ValueError, match="n_folds must be at most 3"):
        found.cross_validate(4)
