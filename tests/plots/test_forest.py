"""The forest of effects: which categories and terms it draws, where, and in which order."""

import numpy as np
import pytest

import hbm_fast as hbm

pytest.importorskip("matplotlib")

TABLE = np.array([[9, 1, 0, 5], [8, 2, 0, 4], [7, 3, 0, 6], [2, 8, 0, 5], [1, 9, 0, 4], [3, 7, 0, 6]])
GROUPED = hbm.tables.CountTable(TABLE, ("white", "black", "red", "green"), labels=("a", "a", "a", "b", "b", "c"))
X = np.array([[1.0, 0.0]] * 3 + [[1.0, 1.0]] * 3)


def rows(figure):
    return [text.get_text() for text in figure.axes[0].get_yticklabels()]


def middles(figure):
    """The points from top to bottom."""
    found = [line.get_data() for line in figure.axes[0].get_lines() if line.get_marker() == "|"]
    x, y = np.concatenate(found, axis=1)
    return x[np.argsort(y)]


def test_conditions():
    found = hbm.compare_groups(TABLE, by=[*"aaabbb"], rng=0)
    figure = hbm.plots.forest(found)
    ratios = np.median(found.log2_ratio[0], axis=0)
    order = np.argsort(-ratios)
    assert rows(figure) == [found.category_names[k] for k in order] == ["1", "3", "0"]
    np.testing.assert_allclose(middles(figure), ratios[order])
    assert figure.axes[0].get_title(loc="left") == "3 categories"
    few = hbm.plots.forest(found, most=2)
    assert rows(few) == ["1", "0"]  # the clearest, one above and one below 0
    assert few.axes[0].get_title(loc="left") == "3 categories; the 2 clearest"


def test_three_conditions_have_a_colour_each():
    by = np.array([*"aabbcc"])
    figure = hbm.plots.forest(hbm.compare_groups(GROUPED.counts, by=by, rng=0))
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["b", "c", "no difference"]


def test_coefficients_of_a_regression():
    fit = hbm.fit(TABLE[:, [0, 1, 3]], hbm.RegressionModel(3), design=X, category_names=["white", "black", "green"])
    figure = hbm.plots.forest(fit, probability=0.95)
    term = fit.column_names[1]
    estimates = fit.coefficients[1, :2]
    np.testing.assert_allclose(middles(figure), np.sort(estimates)[::-1])
    assert rows(figure) == ["black", "white"]  # green is the reference
    assert figure.axes[0].get_xlabel() == "coefficient, over green, with 95 % intervals"
    ends = np.concatenate([line.get_xdata() for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 6])
    assert np.nanmax(ends) == pytest.approx((estimates + 1.959964 * fit.standard_error[1, :2]).max(), rel=1e-6)
    post = hbm.sample(TABLE[:, [0, 1, 3]], fit.model, design=X, rng=1, n_draws=500)
    drawn = hbm.plots.forest(post, colors={term: "#123456"})
    np.testing.assert_allclose(middles(drawn), np.sort(np.median(post.coefficients[:, :, 1, :2], axis=(0, 1)))[::-1])


def test_what_is_refused():
    with pytest.raises(TypeError, match="a RegressionFit or a RegressionPosterior; got ndarray"):
        hbm.plots.forest(TABLE)
    with pytest.raises(ValueError, match="its only column is the intercept"):
        hbm.plots.forest(hbm.fit(TABLE, hbm.RegressionModel(4)))
    with pytest.raises(ValueError, match="probability must lie between 0 and 1; got 1"):
        hbm.plots.forest(hbm.compare_groups(TABLE, by=[*"aaabbb"], rng=0), probability=1)
