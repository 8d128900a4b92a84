"""fit_many: the same numbers as single fits, false positives under the null, failures by name."""

import numpy as np
import pytest

import hbm_fast as hbm

DESIGN = np.column_stack([np.ones(12), np.repeat([0.0, 1.0], 6)])
NULL = np.ones((12, 1))


def null_tables(n, k, alpha, key, n_groups=12):
    model = hbm.HierarchicalModel(k, alpha=alpha, beta=hbm.priors.FixedBeta(np.full(k, 1.0 / k)))
    return hbm.simulate(model, n, n_groups=n_groups, totals=(50, 200), rng=key).counts


def test_it_is_the_likelihood_ratio_test_of_single_fits():
    counts = null_tables(30, 4, 10.0, 5)
    names = [f"gene {i}" for i in range(30)]
    tests = hbm.fit_many(zip(names, counts, strict=True), design=DESIGN, null_design=NULL)
    assert tests.names == tuple(names)
    for i, table in enumerate(counts):
        large = hbm.fit(table, hbm.RegressionModel(4), design=DESIGN)
        small = hbm.fit(table, hbm.RegressionModel(4))
        single = large.likelihood_ratio_test(small, small_sample=True)
        assert tests.statistic[i] == pytest.approx(single.statistic, abs=1e-7)
        assert tests.df[i] == 3
        assert tests.precision[i] == pytest.approx(np.exp(large.precision_coefficients[0]), rel=1e-5)


def test_threads_change_nothing():
    tables = dict(enumerate(null_tables(20, 3, 10.0, 6)))
    one, two = (hbm.fit_many(tables, design=DESIGN, null_design=NULL, n_threads=n) for n in (1, 2))
    np.testing.assert_array_equal(one.statistic, two.statistic)


@pytest.mark.parametrize("moderate", [False, True])
def test_false_positives_under_the_null(moderate):
    tables = dict(enumerate(null_tables(2000, 4, 10.0, 7)))
    tests = hbm.fit_many(tables, design=DESIGN, null_design=NULL, moderate=moderate)
    # binomial(2000, 0.05): the rate lies between 2 and 8 % with probability above 1 - 1e-9
    assert 0.02 < (tests.p_value < 0.05).mean() < 0.08
    if moderate:  # all tables have the same precision
        assert np.log(tests.precision).std() < 0.2


def test_categories_one_by_one():
    counts = null_tables(1, 3, 10.0, 8)[0]
    tests = hbm.fit_many({"gene": counts}, design=DESIGN, null_design=NULL, level="category")
    assert tests.categories == ("0", "1", "2")
    for k in range(3):
        pair = np.column_stack([counts[:, k], counts.sum(axis=1) - counts[:, k]])
        single = hbm.fit_many({"gene": pair}, design=DESIGN, null_design=NULL)
        assert tests.statistic[k] == pytest.approx(single.statistic[0], abs=1e-8)


def test_a_table_that_fails_is_named_and_the_others_are_fitted():
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("formulaic")
    counts = null_tables(1, 3, 10.0, 9)[0]
    half = counts.copy()
    half[6:] = 0
    single = np.zeros_like(counts)
    single[:, 1] = 5
    tables = {"good": counts, "short": counts[:5], "half": half, "single": single, "negative": -counts}
    data = pandas.DataFrame({"group": np.repeat(["a", "b"], 6)})
    tests = hbm.fit_many(tables, mean="~ group", null="~ 1", data=data)
    assert set(tests.failures) == {"short", "half", "negative"}
    assert "collinear" in tests.failures["half"]
    assert tests.outcome == ("converged", "failed", "failed", "one category", "failed")
    assert tests.p_value[3] == 1.0
    frame = tests.to_frame()
    assert list(frame.columns) == ["name", "statistic", "df", "p_value", "q_value", "precision", "outcome"]
    assert frame.p_value.isna().sum() == 3
    with pytest.raises(ValueError, match="no table can be fitted; 'short'"):
        hbm.fit_many({"short": counts[:5]}, mean="~ group", null="~ 1", data=data)
    with pytest.raises(ValueError, match="nested"):
        hbm.fit_many({"good": counts}, mean="~ 1", null="~ group", data=data)


@pytest.mark.parametrize("moderate", [False, True])
@pytest.mark.parametrize("level", ["table", "category"])
def test_dask_gives_the_same_numbers(moderate, level):
    pytest.importorskip("dask.bag")
    import dask

    from hbm_fast.integrations import dask as hbm_dask

    tables = {f"gene {i}": counts for i, counts in enumerate(null_tables(20, 3, 10.0, 11))} | {"short": [[1, 2]]}
    settings = {"design": DESIGN, "null_design": NULL, "moderate": moderate, "level": level}
    whole = hbm.fit_many(tables, **settings)
    with dask.config.set(scheduler="synchronous"):
        parts = hbm_dask.fit_many(list(tables.items()), **settings)
    assert parts.names == whole.names
    np.testing.assert_allclose(parts.statistic, whole.statistic, rtol=1e-8)
    np.testing.assert_allclose(parts.q_value, whole.q_value, rtol=1e-8)
    assert parts.failures == whole.failures
    assert parts.outcome == whole.outcome


def test_moderated_precisions_lie_between_their_own_and_the_mean():
    models = [
        hbm.HierarchicalModel(3, alpha=alpha, beta=hbm.priors.FixedBeta([0.5, 0.3, 0.2])) for alpha in (5.0, 40.0)
    ]
    sims = [hbm.simulate(model, 60, n_groups=12, totals=(50, 200), rng=12).counts for model in models]
    tables = dict(enumerate(np.concatenate(sims)))
    own, shrunk = (
        np.log(hbm.fit_many(tables, design=DESIGN, null_design=NULL, moderate=m).precision) for m in (False, True)
    )
    finite = np.isfinite(own)
    assert finite.sum() > 100
    center = shrunk[finite].mean()
    assert (np.abs(shrunk - center) < np.abs(own - center))[finite].mean() > 0.9
    assert shrunk[60:].mean() - shrunk[:60].mean() > 1.0  # log 8 = 2.1 apart


def test_refusals():
    with pytest.raises(ValueError, match="pass data="):
        hbm.fit_many({"a": np.ones((3, 2), int)}, mean="~ x")
    with pytest.raises(ValueError, match="empty"):
        hbm.fit_many({}, design=DESIGN, null_design=NULL)
    with pytest.raises(ValueError, match="level"):
        hbm.fit_many({"a": np.ones((12, 2), int)}, design=DESIGN, null_design=NULL, level="gene")
    with pytest.raises(TypeError, match="two passes"):
        hbm.fit_many(iter([("a", np.ones((12, 2), int))]), design=DESIGN, null_design=NULL, moderate=True)


def test_a_table_with_weights_fails_by_name():
    counts = null_tables(2, 3, 10.0, 8)
    weighted = hbm.tables.CountTable(counts[0], weights=np.arange(12))
    tests = hbm.fit_many({"weighted": weighted, "plain": counts[1]}, design=DESIGN, null_design=NULL)
    assert "weights" in tests.failures["weighted"]
    assert np.isnan(tests.p_value).tolist() == [True, False]
    with pytest.raises(ValueError, match="design must have shape"):
        hbm.fit_many({"plain": counts[1]}, design=5.0)
