"""Every object with counts goes through every function that takes counts, its names with it; others are refused."""

import warnings
from pathlib import Path

import numpy as np
import pytest

import hbm_fast as hbm
import interpreter
from hbm_fast import tables

COUNTS = np.array([[20, 0], [3, 17], [0, 4]])
CATEGORIES, GROUPS = ("white", "black"), ("first", "second", "third")


def frame():
    pd = pytest.importorskip("pandas")
    return pd.DataFrame(COUNTS, columns=CATEGORIES, index=GROUPS)


def xarray_of(counts, *names):
    xr = pytest.importorskip("xarray")
    dims = ("dataset", "group", "category")[-len(names) :]
    return xr.DataArray(counts, coords=dict(zip(dims, map(list, names), strict=True)), dims=dims)


def anndata_of(values, **layers):
    anndata, pd = pytest.importorskip("anndata"), pytest.importorskip("pandas")
    names = {"obs": pd.DataFrame(index=list(GROUPS)), "var": pd.DataFrame(index=list(CATEGORIES))}
    return anndata.AnnData(X=values, layers=layers, **names)


def sparse(kind, counts):
    return getattr(pytest.importorskip("scipy.sparse"), kind)(counts)


UNNAMED = {
    "array": lambda: COUNTS,
    "small integers": lambda: np.asfortranarray(COUNTS.astype(np.uint8)),
    "whole floats": lambda: COUNTS.astype(np.float32),
    "lists": COUNTS.tolist,
    "lists of floats": COUNTS.astype(float).tolist,
    "masked array without masked entries": lambda: np.ma.masked_array(COUNTS, mask=False),
    "csr": lambda: sparse("csr_array", COUNTS),
    "csc of floats": lambda: sparse("csc_matrix", COUNTS.astype(float)),
    "coo": lambda: sparse("coo_array", COUNTS),
}
NAMED = {
    "CountTable": lambda: tables.CountTable(COUNTS, CATEGORIES, GROUPS),
    "Dataset": lambda: hbm.datasets.Dataset("bags", COUNTS, GROUPS, CATEGORIES, "", "", ""),
    "pandas, index of text": frame,
    "pandas, first column of text": lambda: frame().reset_index(),
    "pandas, floats": lambda: frame().astype(float),
    "pandas, nullable": lambda: frame().astype("Int64"),
    "pandas, several types": lambda: frame().astype({"white": "uint64", "black": "int8"}),
    "pyarrow": lambda: pytest.importorskip("pyarrow").table(frame().reset_index()),
    "polars": lambda: pytest.importorskip("polars").DataFrame(frame().reset_index()),
    "polars, several types": lambda: pytest.importorskip("polars").DataFrame(
        frame().astype({"white": "float64", "black": "uint64"}).reset_index()
    ),
    "xarray": lambda: xarray_of(COUNTS, GROUPS, CATEGORIES),
    "AnnData": lambda: anndata_of(COUNTS.astype(np.float32)),
    "sparse AnnData": lambda: anndata_of(sparse("csr_matrix", COUNTS.astype(np.float32))),
}


@pytest.mark.parametrize("make", (UNNAMED | NAMED).values(), ids=UNNAMED | NAMED)
def test_every_function_takes_every_object(make):
    value, named = make(), make in NAMED.values()
    categories, groups = (CATEGORIES, GROUPS) if named else (None, None)
    fit, expected = hbm.fit(value), hbm.fit(COUNTS)
    assert fit.category_names == categories
    np.testing.assert_array_equal(fit.concentration, expected.concentration)
    np.testing.assert_array_equal(hbm.log_likelihood(value, [1.0, 2.0]), hbm.log_likelihood(COUNTS, [1.0, 2.0]))
    gradients = [hbm.log_likelihood_gradient(x, [1.0, 2.0])[1] for x in (value, COUNTS)]
    np.testing.assert_array_equal(*gradients)
    logpmf = [hbm.dirichlet_multinomial.logpmf(x, [1.0, 2.0], [20, 20, 4]) for x in (value, COUNTS)]
    np.testing.assert_array_equal(*logpmf)
    statistics = hbm.SufficientStatistics(value).add(value)
    assert statistics.log_likelihood([1.0, 2.0]) == hbm.SufficientStatistics([*COUNTS, *COUNTS]).log_likelihood([1, 2])
    for infer in (
        lambda x: hbm.sample(x, n_draws=20, n_chains=2, rng=0, diagnostics=False),
        lambda x: hbm.exact_posterior(x, n_draws=5, rng=0),
    ):
        check(infer(value), infer(COUNTS), categories, groups)


@pytest.mark.parametrize("make", (UNNAMED | NAMED).values(), ids=UNNAMED | NAMED)
def test_networks_take_every_object(make, absent_extras_skip):
    value, named = make(), make in NAMED.values()
    categories, groups = (CATEGORIES, GROUPS) if named else (None, None)
    with absent_extras_skip():
        networks = [hbm.amortize.load("marbles"), hbm.embedding.load("marbles")]
    for network in networks:
        check(network.sample(value, n_draws=5, rng=0), network.sample(COUNTS, n_draws=5, rng=0), categories, groups)


def check(post, expected, categories, groups):
    np.testing.assert_array_equal(post.log_alpha, expected.log_alpha)
    np.testing.assert_array_equal(post.log_beta, expected.log_beta)
    np.testing.assert_array_equal(post.counts, COUNTS)
    assert (post.category_names, post.group_names) == (categories, groups)
    if categories:
        np.testing.assert_array_equal(post.predict("second"), expected.predict(1))


def test_names_in_the_summary():
    assert "beta[white]" in str(hbm.exact_posterior(tables.CountTable(COUNTS, CATEGORIES)).summary())
    fit = hbm.fit(tables.CountTable(COUNTS, CATEGORIES, GROUPS), category_names=["w", "b"])
    assert fit.category_names == ("w", "b")
    post = hbm.exact_posterior(tables.CountTable(COUNTS, CATEGORIES, GROUPS), group_names=["x", "y", "z"])
    assert (post.category_names, post.group_names) == (CATEGORIES, ("x", "y", "z"))


def test_weights_of_a_table_are_used():
    table = tables.CountTable(COUNTS, CATEGORIES, GROUPS, np.array([2, 0, 3]))
    repeated = np.repeat(COUNTS, table.weights, axis=0)
    assert hbm.fit(table).concentration.tolist() == hbm.fit(repeated).concentration.tolist()
    assert hbm.exact_posterior(table).log_evidence == pytest.approx(hbm.exact_posterior(repeated).log_evidence)
    post = hbm.sample(table, n_draws=20, n_chains=2, rng=0, diagnostics=False)
    assert (post.category_names, post.group_names, post.counts) == (CATEGORIES, None, None)
    other = hbm.sample(repeated, n_draws=20, n_chains=2, rng=0, diagnostics=False)
    np.testing.assert_array_equal(post.log_alpha, other.log_alpha)
    with pytest.raises(ValueError, match="weights: the table has weights already"):
        hbm.fit(table, weights=[1, 1, 1])
    with pytest.raises(ValueError, match="group_names needs counts"):
        hbm.exact_posterior(table, group_names=GROUPS)
    given, _ = tables.as_datasets(table)
    np.testing.assert_array_equal(given.counts[0], repeated)
    many = tables.CountTable(COUNTS, weights=np.array([2**52, 1, 1]))
    with pytest.raises(ValueError, match=r"4503599627370498 groups.*Use hbm_fast.sample"):
        tables.as_datasets(many)


def test_lists_of_datasets():
    ragged = [COUNTS, COUNTS[:1].astype(float), COUNTS[1:].tolist()]
    given, batch = tables.as_datasets(ragged)
    assert batch
    np.testing.assert_array_equal(given.counts, [COUNTS, [COUNTS[0], [0, 0], [0, 0]], [*COUNTS[1:], [0, 0]]])
    posts = hbm.exact_posterior(ragged, n_draws=5)
    assert posts.log_evidence[1] == hbm.exact_posterior(COUNTS[:1]).log_evidence
    table = tables.CountTable(COUNTS, CATEGORIES, GROUPS)
    backwards = tables.CountTable(COUNTS[:, ::-1], CATEGORIES[::-1], GROUPS)
    given = tables.as_counts([table, backwards])
    np.testing.assert_array_equal(given.counts, [COUNTS, COUNTS])
    assert (given.category_names, given.group_names) == (CATEGORIES, GROUPS)
    for other, message in (
        (tables.CountTable(COUNTS, ("white", "grey")), r"counts\[1\] must have the categories.*lack 'black' and add"),
        (COUNTS, r"counts\[1\] and counts\[0\]: either both have category names or none has"),
        (np.zeros((1, 3), int), r"counts\[1\] must have K = 2 categories"),
    ):
        with pytest.raises(ValueError, match=message):
            tables.as_counts([table, other])


def test_names_of_datasets_in_xarray():
    given = tables.as_counts(xarray_of(np.stack([COUNTS, COUNTS]), "uv", GROUPS, CATEGORIES))
    assert (given.dataset_names, given.group_names, given.category_names) == (("u", "v"), GROUPS, CATEGORIES)
    batch = xarray_of(np.stack([COUNTS, COUNTS]), "uv", GROUPS, CATEGORIES)
    for infer in (hbm.exact_posterior, lambda x: hbm.sample(x, n_draws=5, n_chains=1, rng=0)):
        assert infer(batch).dataset_names == ("u", "v")
    xr = pytest.importorskip("xarray")
    assert tables.as_counts(xr.DataArray(COUNTS)).category_names is None


def test_networks_keep_names_of_datasets(absent_extras_skip):
    batch = xarray_of(np.stack([COUNTS, COUNTS]), "uv", GROUPS, CATEGORIES)
    with absent_extras_skip():
        networks = [hbm.amortize.load("marbles"), hbm.embedding.load("marbles")]
    for network in networks:
        post = network.sample(batch, n_draws=5, rng=0)
        assert (post.dataset_names, post.group_names) == (("u", "v"), GROUPS)
        assert post["v"].dataset_names == ("v",)


def test_layers_of_anndata():
    data = anndata_of(COUNTS / 3, counts=sparse("csr_matrix", COUNTS), raw=COUNTS * 2.0)
    assert hbm.fit(data, layer="counts").category_names == CATEGORIES
    np.testing.assert_array_equal(hbm.exact_posterior(data, layer="raw", n_draws=5).counts, 2 * COUNTS)
    np.testing.assert_array_equal(hbm.sample(data, layer="raw", n_draws=5, n_chains=1).counts, 2 * COUNTS)
    np.testing.assert_array_equal(hbm.log_likelihood(data, [1, 1], layer="counts"), hbm.log_likelihood(COUNTS, [1, 1]))
    with pytest.raises(ValueError, match=r"got 6\.6.* at row 'first', column 'white'.*layers are 'counts', 'raw'"):
        hbm.fit(data)
    with pytest.raises(ValueError, match=r"layer must be one of the layers of counts, 'counts', 'raw'; got 'other'"):
        hbm.fit(data, layer="other")
    with pytest.raises(TypeError, match="layer is for AnnData; got layer='counts' with counts of type ndarray"):
        hbm.fit(COUNTS, layer="counts")
    with pytest.raises(TypeError, match="layer is for AnnData"):
        hbm.sample(hbm.SufficientStatistics(COUNTS), layer="counts")


def repeated_columns():
    pd = pytest.importorskip("pandas")
    return pd.DataFrame(COUNTS, columns=["white", "white"])


REFUSED = {
    "fraction": (
        lambda: [[1, 2], [3, 0.5]],
        r"counts must be whole numbers; got 0\.5 at row 1, column 1: pass the counts",
    ),
    "fraction in a batch": (lambda: np.full((2, 1, 2), 0.5), r"got 0\.5 at dataset 0, row 0, column 0"),
    "fraction in a frame": (lambda: frame() / 3, r"got 6\.66\d+ at row 'first', column 'white'"),
    "fraction in a sparse matrix": (lambda: sparse("csr_array", COUNTS / 3), r"got 6\.66\d+ at row 0, column 0"),
    "fraction in xarray": (lambda: xarray_of(COUNTS / 3, GROUPS, CATEGORIES), "at row 'first', column 'white'"),
    "NaN": (lambda: np.array([[1.0, np.nan]]), "counts must not be NaN; got NaN at row 0, column 1: write 0 for none"),
    "NaN in a frame": (lambda: frame().where(frame() > 0), r"\w+ at row 'first', column 'black': write 0"),
    "missing": (lambda: frame().astype("Int64").mask(frame() == 0), "row 'third', column 'white': write 0"),
    "large float": (lambda: [[1.0, 1e17]], r"at most 2\*\*53; got 1e\+17 at row 0, column 1"),
    "negative float": (lambda: [[1.0, -1.0]], r"counts must not be negative; got -1 at index \(0, 1\)"),
    "masked": (lambda: np.ma.masked_equal(COUNTS, 0), r"not be masked; got a masked entry at \(0, 1\): fill it"),
    "masked rows of a dataset": (lambda: [[np.ma.masked_equal([1, 0], 0), [1, 2]], [[3, 4], [5, 6]]], "not be masked"),
    "bool": (lambda: COUNTS > 3, "counts must be integers; got bool"),
    "words": (lambda: [["red", "blue"], ["red", "red"]], "counts must be an array of integers; got words.*from_lists"),
    "ragged words": (lambda: [["red", "blue"], ["red"]], "from_lists"),
    "mapping": (lambda: {"bag": {"red": 3}}, "got dict.*from_lists"),
    "one string": (lambda: "red", "got str"),
    "path": (lambda: Path("twins.tsv"), r"got \w*Path. To read a file: hbm_fast.tables.read_counts\('twins.tsv'\)"),
    "tables by label": (
        lambda: tables.CountTable(COUNTS, labels=("x", "y", "x")).by_label(),
        r"got dict. Several tables: list\(counts.values\(\)\), with dataset_names=list\(counts\)",
    ),
    "counts by name": (lambda: {"white": 3, "black": 1}, r"got dict.*by their names: pandas.Series\(counts\)"),
    "AnnData without X": (lambda: anndata_of(None, raw=COUNTS), "counts has no X; pass layer= .*its layers, 'raw'"),
    "rows of which one has no names": (
        lambda: [frame().iloc[0], pytest.importorskip("pandas").Series([3, 4])],
        r"counts\[1\] must have names of its categories",
    ),
    "generator": (lambda: (row for row in COUNTS), r"got generator: pass list\(...\) of it"),
    "rows of several lengths": (lambda: [[1, 2], [3]], "rows of one length"),
    "text column": (lambda: frame().assign(pheno="x"), r"column 'pheno' holds text.*drop\(columns=\['pheno'\]\)"),
    "negative weights in a frame": (
        lambda: frame().assign(weight=[1, -2, 1]),
        r"the weights of counts must not be negative; got -2",
    ),
    "fractional weights in a frame": (
        lambda: frame().assign(weight=[1.0, 2.5, 1.0]),
        r"the weights of counts must be whole numbers; got 2\.5 at row 'second', column 'weight'",
    ),
    "repeated columns": (repeated_columns, "two columns have one name"),
    "repeated index": (lambda: frame().iloc[[0, 0]], "names in the index of counts must differ.*'first' occurs twice"),
    "missing name": (
        lambda: frame().rename({"third": None}),
        "names in the index of counts must not be missing.*position 2",
    ),
    "text column of polars": (
        lambda: pytest.importorskip("polars").DataFrame({"a": [1], "b": ["x"]}),
        r"column 'b' holds text: leave it out, as in counts.drop\('b'\)",
    ),
    "text column of pyarrow": (
        lambda: pytest.importorskip("pyarrow").table({"a": [1], "b": ["x"]}),
        r"leave it out, as in counts.drop_columns\(\['b'\]\)",
    ),
    "series of several levels": (
        lambda: frame().stack(),
        r"index of categories; got one of 2 levels: counts.unstack\(fill_value=0\)",
    ),
    "dates": (lambda: frame().assign(day=np.datetime64("2026-11-30")), "column 'day' is Datetime.*int64"),
    "xarray.Dataset": (lambda: xarray_of(COUNTS, GROUPS, CATEGORIES).to_dataset(name="x"), "one of its variables"),
    "lazy frame": (lambda: pytest.importorskip("polars").LazyFrame({"a": [1], "b": [2]}), "collect"),
    "large integers beside signed ones": (
        lambda: pytest.importorskip("polars").DataFrame(
            {"a": np.array([2**53 + 1], np.uint64), "b": np.array([1], np.int64)}
        ),
        "9007199254740993",
    ),
    "names of a table": (lambda: tables.CountTable(COUNTS, ("white",)), r"counts\.category_names must hold 2 names"),
    "weights of a table": (
        lambda: tables.CountTable(COUNTS, weights=np.array([1])),
        r"counts\.weights must have shape",
    ),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_other_objects_are_refused(make, message):
    value = make()
    for function in (hbm.fit, hbm.sample, hbm.exact_posterior, hbm.SufficientStatistics):
        with pytest.raises((TypeError, ValueError), match=message):
            function(value)


def test_none_and_one_category_are_refused():
    for function in (hbm.fit, hbm.sample, tables.as_datasets):
        with pytest.raises(TypeError, match="counts must be an array or a table of counts; got NoneType"):
            function(None)
        with pytest.raises(ValueError, match=r"counts must have (at least )?two categories"):
            function([[3], [4]])


def test_numbers_name_nothing():
    pd = pytest.importorskip("pandas")
    given = tables.as_counts(pd.DataFrame(COUNTS))
    assert (given.category_names, given.group_names) == (None, None)
    given = tables.as_counts(pd.DataFrame(COUNTS, columns=[7, 8], index=pd.Index([4, 5, 6], name="bag")))
    assert (given.category_names, given.group_names) == (("7", "8"), ("4", "5", "6"))


FRAMES = {
    "pandas": lambda columns: pytest.importorskip("pandas").DataFrame(columns),
    "polars": lambda columns: pytest.importorskip("polars").DataFrame(columns),
    "pyarrow": lambda columns: pytest.importorskip("pyarrow").table(columns),
}
DATES = np.array(["2020-01-01", "2020-01-02"], "M8[ns]")
TWO = {"a": [3, 0], "b": [1, 4]}
ROLES = {
    "numeric names": ({"sample": [0, 1], **TWO}, ("0", "1"), ("a", "b"), None),
    "names of dates": ({"day": DATES, **TWO}, ("2020-01-01", "2020-01-02"), ("a", "b"), None),
    "weights": ({**TWO, "weight": [5, 6]}, None, ("a", "b"), "column 'weight' is read as the weights"),
    "categories": ({"taxon": ["x", "y"], **TWO}, ("a", "b"), ("x", "y"), "read as categories, by the header 'taxon'"),
    "names of categories": ({"": ["ASV1", "ASV2"], **TWO}, ("a", "b"), ("ASV1", "ASV2"), "categories, by their names"),
    "lineages": ({"#OTU ID": [7, 8], **TWO, "taxonomy": ["k", "l"]}, ("a", "b"), ("7", "8"), "header '#OTU ID'"),
    "long": ({"sample": [1, 1, 2], "taxon": ["a", "b", "b"], "n": [3, 1, 4]}, ("1", "2"), ("a", "b"), None),
    "long, and more": (
        {"sample": ["x", "x"], "taxon": ["a", "b"], "count": [3, 1], "percent": [75.0, 25.0]},
        ("x",),
        ("a", "b"),
        "long table, without its columns 'percent'",
    ),
    "later ids": ({**TWO, "patient": [8, 9]}, None, ("a", "b", "patient"), "categories are read from 'patient' too"),
}


@pytest.mark.parametrize("library", FRAMES)
@pytest.mark.parametrize(("columns", "groups", "categories", "message"), ROLES.values(), ids=ROLES)
def test_frames_have_the_roles_of_files(library, columns, groups, categories, message, tmp_path):
    frame = FRAMES[library](columns)
    if message is None:
        given = tables.as_counts(frame)
    else:
        with pytest.warns(UserWarning, match=message):
            given = tables.as_counts(frame)
    file = tmp_path / "counts.parquet"
    pytest.importorskip("pyarrow.parquet").write_table(FRAMES["pyarrow"](columns), file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        table = tables.read_counts(file)
    for found in (given, table):
        assert (found.group_names, found.category_names) == (groups, categories)
        assert (found.weights is None) == ("weight" not in columns)
    np.testing.assert_array_equal(given.counts, table.counts)
    np.testing.assert_array_equal(given.weights, table.weights)


def test_names_of_an_index():
    pd = pytest.importorskip("pandas")
    by_taxon = pd.DataFrame(TWO, index=pd.Index(["x", "y"], name="taxon"))
    with pytest.warns(UserWarning, match="by the header 'taxon'"):
        given = tables.as_counts(by_taxon)
    transposed = tables.as_counts(by_taxon.T)
    np.testing.assert_array_equal(given.counts, transposed.counts)
    assert given.category_names == transposed.category_names == ("x", "y")
    days = pd.date_range("2020-01-01", periods=2)
    for index in (days, days.to_period("D")):
        assert tables.as_counts(pd.DataFrame(TWO, index=index)).group_names == ("2020-01-01", "2020-01-02")
    assert tables.as_counts(pd.DataFrame(TWO, index=days).T).category_names == ("2020-01-01", "2020-01-02")
    levels = pd.DataFrame([[3, 1], [0, 4]], columns=pd.MultiIndex.from_tuples([("u", 1), ("u", 2)]))
    assert tables.as_counts(levels).category_names == ("('u', 1)", "('u', 2)")
    crossed = pd.crosstab(pd.Series(list("xxy"), name="sample"), pd.Series(list("uvu"), name="taxon"))
    assert tables.as_counts(crossed).category_names == ("u", "v")


def test_coordinates_that_are_positions_are_no_names():
    for groups, expected in ((range(3), None), ([4, 5, 6], ("4", "5", "6")), ([1, 0, 2], ("1", "0", "2"))):
        given = tables.as_counts(xarray_of(COUNTS, groups, range(2)))
        assert (given.group_names, given.category_names) == (expected, None)
    days = tables.as_counts(xarray_of(COUNTS[:2], DATES, CATEGORIES))
    assert days.group_names == ("2020-01-01", "2020-01-02")


def test_lists_of_series():
    pd = pytest.importorskip("pandas")
    first, second = (pd.Series(list(text)).value_counts() for text in ("aaab", "abbbc"))
    given = tables.as_counts([first, second])
    assert (given.category_names, given.counts.tolist()) == (("a", "b", "c"), [[3, 1, 0], [1, 3, 1]])
    assert hbm.fit([first, second]).category_names == ("a", "b", "c")
    numbers = [pd.Series(values).value_counts() for values in ([0, 0, 1], [1, 1, 0], [1, 1, 2])]
    given = tables.as_counts(numbers)
    assert (given.category_names, given.counts.tolist()) == (("0", "1", "2"), [[2, 1, 0], [1, 2, 0], [0, 2, 1]])
    unnamed = tables.as_counts([pd.Series([3, 1]), pd.Series([0, 4])])
    assert (unnamed.category_names, unnamed.counts.tolist()) == (None, [[3, 1], [0, 4]])


def test_predictions_align_names():
    post = hbm.exact_posterior(tables.CountTable(COUNTS, CATEGORIES))
    rows = np.array([[5, 1], [2, 9]])
    backwards = tables.CountTable(rows[:, ::-1], CATEGORIES[::-1])
    np.testing.assert_array_equal(post.log_predictive(backwards), post.log_predictive(rows))
    row = tables.CountTable(rows[:1, ::-1], CATEGORIES[::-1])
    np.testing.assert_array_equal(post.predict(counts=row), post.predict(counts=rows[0]))
    np.testing.assert_array_equal(post.theta(counts=row), post.theta(counts=rows[0]))
    series = frame()[["black", "white"]].iloc[1]
    np.testing.assert_array_equal(post.predict(counts=series), post.predict(counts=COUNTS[1]))
    unknown = tables.CountTable(rows[:1], ("white", "grey"))
    for call in (lambda: post.predict(counts=unknown), lambda: post.log_predictive(unknown)):
        with pytest.raises(
            ValueError, match="must have the categories of the result; they lack 'black' and add 'grey'"
        ):
            call()
    with pytest.raises(ValueError, match="no weights here"):
        post.log_predictive(tables.CountTable(rows, CATEGORIES, weights=np.array([1, 2])))
    unnamed = hbm.exact_posterior(COUNTS)
    np.testing.assert_array_equal(unnamed.log_predictive(backwards), unnamed.log_predictive(rows[:, ::-1]))


def test_sparse_counts_stay_sparse():
    scipy_sparse = pytest.importorskip("scipy.sparse")
    huge = scipy_sparse.csr_array((np.ones(3), ([0, 1, 2], [0, 1, 10**6])), shape=(10**6, 10**6 + 1))
    assert hbm.SufficientStatistics(huge).n_groups == 10**6
    with pytest.raises(MemoryError, match=r"counts of shape \(1000000, 1000001\), dense as theta"):
        hbm.sample(huge)


def test_counts_of_words():
    table = tables.from_lists([["blue", "red", "blue"], [], {"green": 2, "red": 1}])
    assert (table.category_names, table.group_names) == (("blue", "red", "green"), None)
    assert table.counts.tolist() == [[2, 1, 0], [0, 0, 0], [0, 1, 2]]
    assert tables.from_lists({"a": ["x"], 3: ["y"]}).group_names == ("a", "3")
    for groups, error, message in (
        (["red"], TypeError, "one list of words for each group; got 'red' at index 0"),
        ([[1, 2]], TypeError, r"must hold words; got 1 \(int\)"),
        ([[], []], ValueError, "at least one word"),
        ([{"red": 1.5}], TypeError, "the count of 'red' in group 0 must be an integer"),
        ([{"red": -1}], ValueError, "the count of 'red' in group 0 must be at least 0"),
    ):
        with pytest.raises(error, match=message):
            tables.from_lists(groups)


def test_tables_are_shown_short():
    table = tables.CountTable(np.ones((40, 30), int), tuple(f"<{k}>" for k in range(30)))
    for shown in (table, hbm.datasets.load_twins()):
        assert len(repr(shown).splitlines()) <= 10
        assert "groups x" in shown._repr_html_()
        assert shown._repr_html_().count("<tr>") <= 10
    assert "&lt;3&gt;" in table._repr_html_()
    assert "<3>" not in table._repr_html_()


def test_tables_by_label():
    table = tables.CountTable(COUNTS, CATEGORIES, GROUPS, np.array([1, 2, 3]), ("x", "y", "x"))
    parts = table.by_label()
    assert list(parts) == ["x", "y"]
    assert parts["x"].counts.tolist() == COUNTS[[0, 2]].tolist()
    assert (parts["x"].group_names, parts["x"].weights.tolist()) == (("first", "third"), [1, 3])
    assert parts["y"].labels == ("y",)
    with pytest.raises(ValueError, match="no labels"):
        tables.CountTable(COUNTS).by_label()


def test_numpy_arrays_import_nothing():
    code = (
        "import sys, numpy as np, hbm_fast as hbm; x = np.array([[1, 2]]); hbm.fit(x); hbm.log_likelihood(x, [1., 1.]);"
        "print(sorted({'narwhals', 'pandas', 'zipfile', 'anndata', 'xarray'} & set(sys.modules)))"
    )
    assert interpreter.run(code, check=True).stdout.strip() == "[]"
