"""The mixture as an estimator of scikit-learn."""

import pickle

import numpy as np
import pytest
import scipy.sparse

import hbm_fast as hbm

sklearn = pytest.importorskip("sklearn")
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import FunctionTransformer  # noqa: E402
from sklearn.utils.estimator_checks import check_estimator  # noqa: E402

from hbm_fast.integrations import sklearn as integration  # noqa: E402
from hbm_fast.integrations.sklearn import DirichletMultinomialMixture  # noqa: E402

pytestmark = pytest.mark.peers

GENERATOR = np.random.default_rng(5)
COUNTS = np.concatenate([GENERATOR.multinomial(30, p, size=40) for p in ([0.8, 0.1, 0.05, 0.05], [0.1, 0.2, 0.3, 0.4])])
PRIOR = hbm.priors.Gamma(0.1, rate=0.1)
WHOLE = "the data of the check are not whole numbers, and counts must be whole"
EXPECTED_FAILURES = dict.fromkeys(
    [
        "check_dict_unchanged",
        "check_dont_overwrite_parameters",
        "check_dtype_object",
        "check_estimator_sparse_tag",
        "check_estimators_dtypes",
        "check_estimators_fit_returns_self",
        "check_estimators_nan_inf",
        "check_estimators_overwrite_params",
        "check_estimators_pickle",
        "check_f_contiguous_array_estimator",
        "check_fit2d_1sample",
        "check_fit2d_predict1d",
        "check_fit_check_is_fitted",
        "check_fit_idempotent",
        "check_fit_score_takes_y",
        "check_methods_sample_order_invariance",
        "check_methods_subset_invariance",
        "check_n_features_in",
        "check_n_features_in_after_fitting",
        "check_pipeline_consistency",
        "check_readonly_memmap_input",
    ],
    WHOLE,
)
CLASSIFIERS = "the check takes every estimator with sparse input and predict_proba for a classifier, and reads its tags"
FOR_CLASSIFIERS = dict.fromkeys(["check_estimator_sparse_array", "check_estimator_sparse_matrix"], CLASSIFIERS)


def rounded(estimator, X, **options):
    X = sklearn.utils.validation.validate_data(estimator, X, **options)
    return (20 * X).astype(int) if X.dtype.kind == "f" else X


@pytest.mark.filterwarnings("ignore:the mixture of", "ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize("whole", [False, True])
def test_checks_of_the_library(whole, monkeypatch):
    """With their data rounded the checks pass, so that the expected failures have no other cause."""
    if whole:
        monkeypatch.setattr(integration, "validate_data", rounded)
    failures = FOR_CLASSIFIERS if whole else EXPECTED_FAILURES | FOR_CLASSIFIERS
    results = check_estimator(DirichletMultinomialMixture(n_starts=2), expected_failed_checks=failures)
    failed = {result["check_name"] for result in results if result["status"] == "xfail"}
    assert failed == set(failures)


def test_results_are_those_of_fit():
    mixture = DirichletMultinomialMixture(2, random_state=3).fit(COUNTS)
    seed = int(np.random.RandomState(3).randint(2**31 - 1))
    fit = hbm.fit(COUNTS, hbm.MixtureModel(4, n_components=2), prior=PRIOR, n_starts=10, rng=seed)
    np.testing.assert_array_equal(mixture.weights_, fit.weights)
    np.testing.assert_array_equal(mixture.concentration_, fit.concentration)
    np.testing.assert_array_equal(mixture.predict_proba(COUNTS), fit.predict_proba(COUNTS))
    assert mixture.converged_
    assert mixture.n_features_in_ == 4
    assert mixture.aic(COUNTS) == pytest.approx(fit.aic)
    assert mixture.bic(COUNTS) == pytest.approx(fit.bic)
    assert mixture.score(COUNTS) == mixture.score_samples(COUNTS).mean()
    assert len(set(mixture.predict(COUNTS)[:40])) == 1
    again = pickle.loads(pickle.dumps(mixture))
    np.testing.assert_array_equal(again.predict(COUNTS), mixture.predict(COUNTS))


def test_sparse_counts_and_frames_give_the_same():
    pd = pytest.importorskip("pandas")
    dense = DirichletMultinomialMixture(2).fit(COUNTS)
    sparse = DirichletMultinomialMixture(2).fit(scipy.sparse.csr_array(COUNTS))
    np.testing.assert_array_equal(dense.concentration_, sparse.concentration_)
    np.testing.assert_allclose(
        sparse.score_samples(scipy.sparse.coo_matrix(COUNTS)), dense.score_samples(COUNTS), rtol=1e-12
    )
    frame = pd.DataFrame(COUNTS, columns=list("abcd"))
    named = DirichletMultinomialMixture(2).fit(frame)
    assert named.feature_names_in_.tolist() == list("abcd")
    assert named.result_.category_names == tuple("abcd")
    np.testing.assert_array_equal(named.predict(frame), dense.predict(COUNTS))
    with pytest.raises(ValueError, match="feature names should match"):
        named.predict(frame[["b", "a", "c", "d"]])


def test_in_pipelines_and_searches():
    first = FunctionTransformer(lambda X: X[:, :3], validate=True)
    pipeline = make_pipeline(first, DirichletMultinomialMixture(2, n_starts=4))
    assert pipeline.fit(COUNTS).predict(COUNTS).shape == (80,)
    search = GridSearchCV(DirichletMultinomialMixture(n_starts=4), {"n_components": [1, 2]}, cv=3)
    assert search.fit(COUNTS).best_params_ == {"n_components": 2}
    assert np.isfinite(cross_val_score(search.best_estimator_, COUNTS, cv=3)).all()


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="whole numbers"):
        DirichletMultinomialMixture().fit(COUNTS / 2 + 0.25)
    with pytest.raises(ValueError, match="Negative"):
        DirichletMultinomialMixture().fit(-COUNTS)
    with pytest.raises(sklearn.exceptions.NotFittedError):
        DirichletMultinomialMixture().predict(COUNTS)
