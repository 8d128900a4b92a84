"""compare_models against evidences by quadrature, enumeration and by hand."""

import numpy as np
import pytest

import hbm_fast as hbm

BAGS = np.array([[9, 0], [8, 1], [0, 9], [1, 8], [5, 4]])
ONE = hbm.HierarchicalModel(2)
EQUAL = hbm.HierarchicalModel(2, alpha=100.0)
TWO = hbm.MixtureModel(2, n_components=2)
OPEN = hbm.MixtureModel(2, n_components=hbm.priors.DirichletProcess(1.0))
MODELS = {"one": ONE, "equal": EQUAL, "open": OPEN}


@pytest.fixture(scope="module")
def ranking():
    return hbm.compare_models(MODELS, BAGS, rng=0)


def test_probabilities_are_those_of_the_evidences(ranking):
    evidence = np.array([hbm.log_evidence(BAGS, MODELS[name]).value for name in ranking.names])
    np.testing.assert_allclose(ranking.log_evidence, evidence, atol=1e-6)
    weight = np.exp(evidence - evidence.max())
    np.testing.assert_allclose(ranking.probability, weight / weight.sum(), rtol=1e-6)
    assert (np.diff(ranking.log_evidence) < 0.0).all()
    assert (ranking.error < 1e-6).all()
    assert ranking.notes == ("", "", "")


def test_a_prior_of_the_models(ranking):
    prior = {"equal": 1.0, "one": 3.0, "open": 0.0}
    by_name = hbm.compare_models(MODELS, BAGS, prior=prior, rng=0)
    assert by_name.names[-1] == "open"
    assert by_name.probability[-1] == 0.0
    ratio = dict(zip(by_name.names, by_name.probability, strict=True))
    flat = dict(zip(ranking.names, ranking.probability, strict=True))
    assert ratio["one"] / ratio["equal"] == pytest.approx(3.0 * flat["one"] / flat["equal"])
    in_order = hbm.compare_models(MODELS, BAGS, prior=[3, 1, 0], rng=0)
    np.testing.assert_array_equal(in_order.probability, by_name.probability)
    np.testing.assert_array_equal(in_order.prior, by_name.prior)


def test_the_frame(ranking):
    pytest.importorskip("pandas")
    frame = ranking.to_frame()
    assert frame.index.tolist() == list(ranking.names)
    assert frame.index.name == "model"
    np.testing.assert_array_equal(frame["log_evidence"], ranking.log_evidence)
    loo = dict(zip(ranking.names, ranking.loo, strict=True))
    np.testing.assert_array_equal(frame["elpd_loo"], [one.elpd for one in ranking.loo])
    best = frame["elpd_loo"].idxmax()
    assert frame.loc[best, "elpd_difference"] == frame.loc[best, "elpd_difference_error"] == 0.0
    each = loo["equal"].pointwise - loo[best].pointwise
    assert frame.loc["equal", "elpd_difference"] == pytest.approx(each.sum())
    assert frame.loc["equal", "elpd_difference_error"] == pytest.approx(np.sqrt(5 * each.var(ddof=1)))
    assert "equal" in repr(ranking)
    assert "<td>" in ranking._repr_html_()


def test_leave_one_out_is_that_of_the_posteriors(ranking):
    loo = dict(zip(ranking.names, ranking.loo, strict=True))
    for name in ("one", "equal"):
        exact = sum(
            hbm.log_evidence(BAGS, MODELS[name]).value
            - hbm.log_evidence(np.delete(BAGS, n, axis=0), MODELS[name]).value
            for n in range(len(BAGS))
        )
        assert loo[name].elpd == pytest.approx(exact, abs=0.3)


def test_an_order_of_the_models_changes_no_number(ranking):
    again = hbm.compare_models(dict(reversed(MODELS.items())), BAGS, rng=0)
    assert again.names == ranking.names
    np.testing.assert_array_equal(again.log_evidence, ranking.log_evidence)
    assert [one.elpd for one in again.loo] == [one.elpd for one in ranking.loo]


def test_a_missing_evidence_is_a_gap_of_the_table():
    bags = np.vstack([BAGS, BAGS, BAGS])
    found = hbm.compare_models({"open": OPEN, "one": ONE}, bags, rng=0)
    assert found.names == ("one", "open")
    assert np.isnan(found.log_evidence[1])
    assert np.isnan(found.probability[1])
    assert found.probability[0] == 1.0
    assert found.notes[1].startswith("no log evidence: method='enumeration'")
    assert np.isfinite(found.loo[1].elpd)


def test_regressions():
    rng = np.random.default_rng(1)
    x = np.repeat([0.0, 1.0], 12)
    counts = np.array([rng.multinomial(40, rng.dirichlet(10.0 * np.array([0.3 + 0.4 * v, 0.7 - 0.4 * v]))) for v in x])
    models = {"changed": hbm.RegressionModel(2, "~ x"), "equal": hbm.RegressionModel(2), "one": ONE}
    by_data = hbm.compare_models(models, counts, data={"x": x}, rng=0)
    assert by_data.names[0] == "changed"
    assert by_data.probability[0] > 0.99
    assert {loo.unit for loo in by_data.loo} == {"group"}
    design = {"changed": np.column_stack([np.ones(24), x]), "equal": np.ones((24, 1))}
    by_design = hbm.compare_models(models, counts, design=design, rng=0)
    np.testing.assert_allclose(by_design.log_evidence, by_data.log_evidence, atol=0.05)
    own = hbm.log_evidence(counts, models["changed"], data={"x": x}, rng=3).value
    assert by_data.log_evidence[0] == pytest.approx(own, abs=0.05)


def test_subjects_are_not_compared_with_groups():
    rng = np.random.default_rng(2)
    counts = rng.multinomial(20, [0.4, 0.6], 8)
    models = {"one": ONE, "subjects": hbm.RegressionModel(2, random_intercept="person")}
    found = hbm.compare_models(models, counts, data={"person": [*"aabbccdd"]}, rng=0)
    i = found.names.index("subjects")
    assert "elpd of subjects, not of groups" in found.notes[i]
    pytest.importorskip("pandas")
    assert np.isnan(found.to_frame().loc["subjects", "elpd_difference"])


def test_unreliable_groups_are_in_the_notes():
    counts = np.array([[200, 200]] * 8 + [[400, 0]])
    model = hbm.HierarchicalModel(2, alpha=hbm.priors.HalfCauchy(100))
    found = hbm.compare_models({"odd one": model}, counts, rng=1)
    assert found.notes == ("Pareto k of 1 of 9 groups above 0.7",)
    assert "above 0.7" in repr(found)


def test_warnings_name_the_model():
    counts = np.random.default_rng(0).multinomial(3, np.full(30, 1 / 30), 6)
    with pytest.warns(hbm.PriorWarning, match="^flat: the prior of beta adds"):
        hbm.compare_models({"flat": hbm.HierarchicalModel(30)}, counts, rng=0)


class PopulationModel:
    n_categories = 2


@pytest.mark.parametrize(
    ("models", "options", "message"),
    [
        ([ONE], {}, "models must be a mapping from names to models; got list"),
        ({}, {}, "at least one model"),
        ({1: ONE}, {}, "names that are str; got 1"),
        ({"one": "two"}, {}, r"models\['one'\] must be a HierarchicalModel, .* got 'two'"),
        ({"many": PopulationModel()}, {}, r"models\['many'\] is a PopulationModel, whose evidence is not offered"),
        ({"one": hbm.HierarchicalModel(3)}, {}, r"models\['one'\] has K = 3 and counts K = 2"),
        ({"one": ONE}, {"data": {"x": [1]}}, "data holds covariates, and no model is a RegressionModel"),
        ({"a": hbm.RegressionModel(2)}, {"design": {"b": [[1.0]]}}, "design has the name 'b'; the names are 'a'"),
        ({"one": ONE}, {"prior": {"two": 1.0}}, "prior has the name 'two'; the names are 'one'"),
        ({"one": ONE, "two": TWO}, {"prior": {"two": 1.0}}, "'one' has none"),
        ({"one": ONE}, {"prior": [0.5, 0.5]}, r"one probability a model, 1; got shape \(2,\)"),
        ({"one": ONE}, {"prior": [-1.0]}, "prior must be non-negative and finite; got -1.0"),
        ({"one": ONE}, {"prior": [0.0]}, "positive for at least one model"),
    ],
)
def test_what_is_refused(models, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        hbm.compare_models(models, BAGS, **options)


def test_statistics_are_refused():
    with pytest.raises(TypeError, match="SufficientStatistics have no groups"):
        hbm.compare_models({"one": ONE}, hbm.SufficientStatistics(BAGS))
