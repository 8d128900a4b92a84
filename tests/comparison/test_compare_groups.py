"""compare_groups against quadrature, fits by hand, and published tables."""

import math

import numpy as np
import pytest

import hbm_fast as hbm

LEFT, RIGHT = np.array([[9, 1], [8, 2], [7, 3]]), np.array([[2, 8], [1, 9], [3, 7]])
TABLE = np.vstack([LEFT, RIGHT])
LABELS = ["left"] * 3 + ["right"] * 3


@pytest.fixture(scope="module")
def found():
    return hbm.compare_groups(TABLE, by=LABELS, rng=0)


def test_two_categories_by_quadrature(found):
    parts = [hbm.exact_posterior(part, n_draws=1).log_evidence for part in (LEFT, RIGHT, TABLE)]
    assert found.log_bayes_factor == pytest.approx(parts[0] + parts[1] - parts[2], abs=1e-6)
    assert found.log_bayes_factor_error < 1e-6
    left, right = hbm.exact_posterior(LEFT), hbm.exact_posterior(RIGHT)
    mean = (right.mean("log_beta") - left.mean("log_beta")) / math.log(2.0)
    np.testing.assert_allclose(found.log2_ratio.mean(axis=(0, 1)), mean, atol=0.15)
    expected = (right.mean("log_alpha") - left.mean("log_alpha")) / math.log(2.0)
    ratio = found.concentration_ratio["right"]
    assert ratio.log2_ratio == pytest.approx(expected, abs=0.3)
    assert ratio.lower < ratio.log2_ratio < ratio.upper


def test_likelihood_ratio_by_hand(found):
    fits = [hbm.fit(part).log_likelihood for part in (LEFT, RIGHT, TABLE)]
    assert found.likelihood_ratio == 2.0 * (fits[0] + fits[1] - fits[2])
    assert found.df == 2
    assert found.p_value == pytest.approx(math.exp(-0.5 * found.likelihood_ratio), rel=1e-9)  # of two df
    assert found.fits["left"].log_likelihood == fits[0]
    assert found.pooled_fit.log_likelihood == fits[2]


@pytest.mark.filterwarnings("ignore::hbm_fast.PriorWarning")
def test_twins():
    """The reference is of an implementation of its own, in numpy."""
    twins = hbm.datasets.load_twins()
    largest = np.sort(np.argsort(-twins.counts.sum(axis=0), kind="stable")[:20])
    kept = np.array(twins.labels) != "Overwt"
    found = hbm.compare_groups(twins.counts[kept][:, largest], by=np.array(twins.labels)[kept], rng=0)
    assert found.conditions == ("Lean", "Obese")
    assert [len(post.counts) for post in found.posteriors.values()] == [61, 193]
    assert found.likelihood_ratio == pytest.approx(172.263315, abs=1e-5)
    assert found.df == 20
    assert math.log10(found.p_value) == pytest.approx(-25.50, abs=0.01)
    assert found.log_bayes_factor > 5.0


def test_equal_conditions_are_not_told_apart():
    rng = np.random.default_rng(0)
    counts = np.array([rng.multinomial(50, rng.dirichlet([4.0, 8.0, 3.0])) for _ in range(30)])
    found = hbm.compare_groups(counts, by=["a", "b", "c"] * 10, rng=0)
    assert found.log_bayes_factor < 0.0
    assert found.df == 6
    assert found.p_value > 1e-3
    assert found.log2_ratio.shape[::2] == (2, 3)
    assert list(found.concentration_ratio) == ["b", "c"]
    assert len(repr(found).splitlines()) == 8


def test_intervals_cover(benchmark_check):
    """A short version of benchmarks/checks/group_comparison_coverage.py, under the model's own priors."""
    check = benchmark_check("group_comparison_coverage")
    inside, *_ = check.measured(check.Setting("", n_categories=3, n_groups=8, total=30), 30, seed=1).T
    assert inside.mean() > 0.45  # p < 1e-9


def test_the_frame(found):
    pandas = pytest.importorskip("pandas")
    frame = found.to_frame()
    assert frame.columns.tolist() == ["category", "condition", "log2_ratio", "lower", "upper", "p_positive"]
    assert frame["category"].tolist() == ["0", "1"]
    assert (frame["condition"] == "right").all()
    np.testing.assert_array_equal(frame["log2_ratio"], np.median(found.log2_ratio[0], axis=0))
    assert frame["p_positive"].tolist() == [(found.log2_ratio[0, :, k] > 0).mean() for k in range(2)]
    wide = found.to_frame(0.99)
    assert (wide["lower"] < frame["lower"]).all()
    assert (wide["upper"] > frame["upper"]).all()
    assert isinstance(frame, pandas.DataFrame)
    with pytest.raises(ValueError, match="probability must lie between 0 and 1; got 1"):
        found.to_frame(1)


def test_empty_categories_and_groups_are_left_out(found):
    wide = np.insert(TABLE, 1, 0, axis=1)
    wide = np.vstack([wide, [[0, 0, 0]]])
    again = hbm.compare_groups(wide, by=[*LABELS, "right"], rng=0)
    assert again.category_names == ("0", "2")
    assert again.likelihood_ratio == found.likelihood_ratio
    assert again.log_bayes_factor == found.log_bayes_factor
    assert again.df == 2
    np.testing.assert_array_equal(again.log2_ratio, found.log2_ratio)


def test_names_are_kept():
    table = hbm.tables.CountTable(TABLE, ("white", "black"), labels=tuple(LABELS))
    for by in (None, "labels", LABELS):
        found = hbm.compare_groups(table, by=by, rng=0)
        assert found.category_names == ("white", "black")
        assert found.conditions == ("left", "right")
    assert found.posteriors["left"].category_names == ("white", "black")
    assert "white in right" in repr(found)


def test_priors():
    model = hbm.HierarchicalModel(2, alpha=hbm.priors.HalfCauchy(5), beta=0.5)
    found = hbm.compare_groups(TABLE, by=LABELS, alpha=model.alpha, beta=0.5, rng=0)
    parts = [hbm.log_evidence(part, model).value for part in (LEFT, RIGHT, TABLE)]
    assert found.log_bayes_factor == pytest.approx(parts[0] + parts[1] - parts[2], abs=1e-9)


def test_labels_of_pandas(found):
    pandas = pytest.importorskip("pandas")
    categorical = pandas.Categorical(LABELS, categories=["right", "none", "left"])
    for by in (categorical, pandas.Series(categorical)):
        turned = hbm.compare_groups(TABLE, by=by, rng=0)
        assert turned.conditions == ("right", "left")
        assert turned.likelihood_ratio == pytest.approx(found.likelihood_ratio, abs=1e-9)
    names = [f"bag {i}" for i in range(6)]
    frame = pandas.DataFrame(TABLE, columns=["white", "black"], index=names)
    labels = pandas.Series(LABELS, index=names)
    for by in (labels, labels[::-1], pandas.Series(LABELS), pandas.concat([labels, pandas.Series({"bag 7": "up"})])):
        assert hbm.compare_groups(frame, by=by, rng=0).likelihood_ratio == found.likelihood_ratio
    with pytest.raises(ValueError, match="names of the groups in its index, such as 'bag 0', or none; it has 'a'"):
        hbm.compare_groups(frame, by=pandas.Series(LABELS, index=[*"abcdef"]))
    whole = frame.assign(side=LABELS)
    assert hbm.compare_groups(whole, by="side", rng=0).likelihood_ratio == found.likelihood_ratio
    shuffled = whole.reset_index(drop=True)
    by = shuffled["side"]
    shuffled = shuffled.drop(columns="side").iloc[[3, 0, 4, 1, 5, 2]]
    assert hbm.compare_groups(shuffled, by=by, rng=0).likelihood_ratio == pytest.approx(found.likelihood_ratio)
    with pytest.raises(ValueError, match=r"1 have none, the first is group 2 \(bag 2\)"):
        hbm.compare_groups(frame, by=labels.where(labels.index != "bag 2"))


def test_labels_of_polars(found):
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"white": TABLE[:, 0], "black": TABLE[:, 1], "side": LABELS})
    assert hbm.compare_groups(frame, by="side", rng=0).likelihood_ratio == found.likelihood_ratio
    ordered = frame.with_columns(polars.col("side").cast(polars.Enum(["right", "left"])))
    assert hbm.compare_groups(ordered, by="side", rng=0).conditions == ("right", "left")


def test_labels_of_pyarrow(found):
    pyarrow = pytest.importorskip("pyarrow")
    frame = pyarrow.table({"white": TABLE[:, 0], "black": TABLE[:, 1], "side": LABELS})
    assert hbm.compare_groups(frame, by="side", rng=0).likelihood_ratio == found.likelihood_ratio
    with pytest.raises(ValueError, match="1 have none, the first is group 5"):
        hbm.compare_groups(TABLE, by=pyarrow.array([*LABELS[:5], None]))


def test_labels_of_anndata(found):
    anndata = pytest.importorskip("anndata")
    pandas = pytest.importorskip("pandas")
    names = [f"bag {i}" for i in range(6)]
    data = anndata.AnnData(TABLE.astype(np.float32), obs=pandas.DataFrame({"side": LABELS}, index=names))
    assert hbm.compare_groups(data, by="side", rng=0).likelihood_ratio == found.likelihood_ratio


def test_rows_with_weights():
    weights = np.array([2, 1, 1, 1, 1, 3])
    table = hbm.tables.CountTable(TABLE, weights=weights)
    repeated = hbm.compare_groups(np.repeat(TABLE, weights, axis=0), by=np.repeat(LABELS, weights), rng=0)
    found = hbm.compare_groups(table, by=LABELS, rng=0)
    assert found.likelihood_ratio == repeated.likelihood_ratio
    assert found.log_bayes_factor == repeated.log_bayes_factor


def test_no_finite_maximum():
    """Groups as alike as draws of one multinomial: the limit of the likelihood is taken."""
    counts = np.array([[5, 5]] * 4 + [[7, 3]] * 4)
    found = hbm.compare_groups(counts, by=["a"] * 4 + ["b"] * 4, rng=0)
    assert found.fits["a"].at_infinity
    fits = [hbm.fit(part).log_likelihood for part in (counts[:4], counts[4:], counts)]
    assert found.likelihood_ratio == pytest.approx(2.0 * (fits[0] + fits[1] - fits[2]))


def test_numbers_as_labels():
    assert hbm.compare_groups(TABLE, by=[1, 1, 1, 0, 0, 0], rng=0).conditions == ("1", "0")


@pytest.mark.parametrize(
    ("counts", "by", "message"),
    [
        (TABLE, LABELS[:5], "by must have one label a group, 6; got 5"),
        (TABLE, ["left"] * 6, "two conditions at least; got 'left' alone"),
        (TABLE, [*LABELS[:5], None], "1 have none, the first is group 5"),
        (TABLE, [*LABELS[:5], math.nan], "1 have none, the first is group 5"),
        (TABLE, [*LABELS[:5], " "], "1 have none, the first is group 5"),
        (TABLE, [*LABELS[:5], "up"], "'up' has 1: leave it out, or join it with another"),
        (np.where(np.arange(6)[:, np.newaxis] > 3, 0, TABLE), LABELS, "'right' has 1"),
        (TABLE * [1, 0], LABELS, "two categories with counts at least; got 1"),
        (TABLE, None, "by must be the labels of the groups; counts has no labels of its own"),
        (TABLE, "side", "by must be the labels of the groups, or a sequence of labels, one a group; got 'side'"),
        (TABLE, 3, "by must be a sequence of labels, one a group; got int"),
        (hbm.SufficientStatistics(TABLE), LABELS, "SufficientStatistics have no groups to label"),
        (TABLE - 2, LABELS, "must not be negative"),
    ],
)
def test_what_is_refused(counts, by, message):
    with pytest.raises((TypeError, ValueError), match=message):
        hbm.compare_groups(counts, by=by)


def test_warnings_name_the_condition():
    counts = np.random.default_rng(0).multinomial(3, np.full(30, 1 / 30), 12)
    with pytest.warns(hbm.PriorWarning) as caught:
        hbm.compare_groups(counts, by=["left", "right"] * 6, rng=0)
    named = [str(one.message).partition(": ")[0] for one in caught]
    assert {"left", "right"} <= set(named) <= {"left", "right", "all conditions"}
