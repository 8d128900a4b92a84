"""What each plot draws: lines, intervals, labels and titles, of every kind of posterior, without a display."""

import io

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast.plots.axes import log_axis

pytest.importorskip("matplotlib")

COUNTS = np.array([[3, 0], [0, 4], [0, 0]])
COLORS = ["white", "black"]


@pytest.fixture(scope="module")
def exact():
    return hbm.exact_posterior(COUNTS, rng=0)


@pytest.fixture(scope="module")
def many():
    """Ten categories of which the later ones are larger, in eight groups."""
    counts = np.random.default_rng(0).poisson(3.0 * np.arange(1, 11), size=(8, 10))
    return hbm.sample(counts, rng=0, n_draws=200, category_names=list("abcdefghij"), diagnostics=False)


def drawn(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=40)
    return len(buffer.getvalue())


def by_draws(exact, **changes):
    return hbm.Posterior(exact.log_alpha, exact.log_beta, model=exact.model, counts=COUNTS, **changes)


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def rows(axes):
    return [text.get_text() for text in axes.get_yticklabels()]


def line(axes, label):
    return next(drawn for drawn in axes.get_lines() if drawn.get_label() == label)


def points(axes, marker):
    """The points with a marker, from top to bottom."""
    found = [line.get_data() for line in axes.get_lines() if line.get_marker() == marker]
    x, y = np.concatenate(found, axis=1)
    return x[np.argsort(y)]


def test_posterior(exact):
    weighted = by_draws(exact, log_weights=exact.log_alpha, category_names=COLORS)
    for post in (exact, weighted, hbm.exact_posterior(COUNTS, hbm.HierarchicalModel(2, alpha=2.0), rng=0)):
        figure = hbm.plots.posterior(post, group=1)
        assert drawn(figure) > 1000
        assert [axes.get_xlabel() for axes in figure.axes] == ["alpha", "beta", "theta of group 1 (of 0 to 2)"]
        assert figure.axes[0].get_title(loc="left") == "3 groups, 2 categories, 7 counts"
        assert figure.axes[0].get_xscale() == "log"
        assert all(axes.get_ylim()[0] == 0.0 for axes in figure.axes[:2])
    assert legend(hbm.plots.posterior(weighted, group=1).axes[2]) == COLORS


def test_groups_have_their_names(exact):
    named = by_draws(exact, group_names=["left", "right", "new"])
    for group in (1, -1, "right"):  # negative numbers count from the last group that has counts
        assert hbm.plots.posterior(named, group=group).axes[2].get_xlabel() == "theta of right"
    assert hbm.plots.posterior(exact, group=-1).axes[2].get_xlabel() == "theta of group 1 (of 0 to 2)"
    assert hbm.plots.posterior(exact).axes[2].get_xlabel() == "theta of a new group"


def test_the_area_under_each_density_is_one(exact):
    weighted = by_draws(exact, log_weights=exact.log_alpha)
    for post in (exact, weighted):
        alpha, beta, _ = hbm.plots.posterior(post).axes
        x, density = alpha.get_lines()[0].get_data()
        assert np.trapezoid(density, np.log(x)) == pytest.approx(1.0, abs=0.02)
        x, density = line(beta, "1").get_data()
        assert np.trapezoid(density, x) == pytest.approx(1.0, abs=0.02)


def test_the_largest_categories_are_shown(many):
    figure = hbm.plots.posterior(many, group=0)
    assert legend(figure.axes[2]) == list("cdefghij")
    assert figure.axes[2].get_legend().get_title().get_text() == "the 8 largest of 10"


def test_nearly_pure_groups_have_a_log_axis_of_shares():
    bags = hbm.datasets.load_marbles()
    post = hbm.exact_posterior(bags.counts, rng=0, category_names=bags.category_names)
    theta = hbm.plots.posterior(post, group=20).axes[2]
    assert theta.get_yscale() == "log"
    shares = line(theta, "black").get_ydata()[1:-1:2]
    assert shares.sum() == pytest.approx(1.0)
    assert shares[-1] == pytest.approx((post.theta(20)[..., 1] > 0.95).mean())


def test_narrow_distributions_have_an_axis_of_their_own():
    post = hbm.exact_posterior([[600, 400]] * 50, rng=0)
    _, beta, theta = hbm.plots.compare({"exact": post}, group=0, category=1).axes
    for axes in (beta, theta):
        low, high = axes.get_xlim()
        assert 0.3 < low < 0.4 < high < 0.5


def test_compare(exact):
    figure = hbm.plots.compare({"exact": exact, "draws": by_draws(exact)}, group=1, category=0, category_name="white")
    assert figure.axes[2].get_xlabel() == "theta of group 1 (of 0 to 2), white"
    assert legend(figure.axes[2]) == ["exact", "draws"]
    assert drawn(figure) > 1000
    named = by_draws(exact, category_names=COLORS)
    assert hbm.plots.compare({"named": named}, category="white").axes[1].get_xlabel() == "beta, white"
    with pytest.raises(ValueError, match="empty"):
        hbm.plots.compare({})
    with pytest.raises(ValueError, match="category 'red' is unknown: the names are white, black"):
        hbm.plots.compare({"named": named}, category="red")
    with pytest.raises(IndexError, match="below K = 2; got 2"):
        hbm.plots.compare({"named": named}, category=2)
    with pytest.raises(TypeError, match=r"index or a name; got 1\.5"):
        hbm.plots.compare({"named": named}, category=1.5)


def test_batches_and_single_posteriors_are_refused_by_name():
    batch = hbm.exact_posterior(COUNTS[np.newaxis], rng=0)
    for refused in (
        lambda: hbm.plots.posterior(batch),
        lambda: hbm.plots.compare({"batch": batch}),
        lambda: hbm.plots.proportions(batch),
        lambda: hbm.plots.prior_posterior(batch),
        lambda: hbm.plots.shrinkage(batch),
        lambda: hbm.plots.difference(batch, batch[0]),
    ):
        with pytest.raises(ValueError, match=r"post\[b\]"):
            refused()
    with pytest.raises(ValueError, match="needs a batch"):
        hbm.plots.learning_curve(batch[0])


def test_calibration():
    ranks = np.random.default_rng(0).integers(63, size=(6, 500))
    figure = hbm.plots.calibration(hbm.calibration.Calibration(tuple("abcdef"), ranks, 63, 0.0))
    assert drawn(figure) > 1000
    assert [axes.get_xlabel() for axes in figure.axes] == [f"rank of {name}" for name in "abcdef"]
    assert "500 datasets" in figure.axes[0].get_title(loc="left")


def test_proportions(exact):
    figure = hbm.plots.proportions(exact, groups=[0, 1])
    axes = figure.axes[0]
    assert legend(axes) == ["over all groups", "group 0 (of 0 to 2)", "group 1 (of 0 to 2)", "raw proportion"]
    assert axes.get_title(loc="left") == "3 groups, 2 categories, 7 counts"
    assert drawn(figure) > 1000
    weighted = by_draws(exact, log_weights=exact.log_alpha, category_names=COLORS)
    axes = hbm.plots.proportions(weighted, groups=[1], probability=0.5, most=1).axes[0]
    assert rows(axes) == ["black"]
    assert "the 1 largest" in axes.get_title(loc="left")
    assert axes.get_xlabel() == "proportion, with 50 % intervals"
    with pytest.raises(ValueError, match="probability"):
        hbm.plots.proportions(exact, probability=2.0)


def test_one_group_by_an_integer_of_numpy(many):
    axes = hbm.plots.proportions(many, groups=np.int64(3)).axes[0]
    assert "group 3" in axes.get_legend().get_texts()[1].get_text()


def test_proportions_are_where_the_numbers_are(many):
    axes = hbm.plots.proportions(many, groups=[3]).axes[0]
    order = np.argsort(-many.mean("beta"))
    bars, circles = points(axes, "|").reshape(10, 2).T, points(axes, "o").reshape(10, 2).T
    np.testing.assert_allclose(bars, [many.mean("beta")[order], many.predict(3)[order]])
    raw = [counts / counts.sum() for counts in (many.counts.sum(axis=0), many.counts[3])]
    np.testing.assert_allclose(circles, np.array(raw)[:, order])
    # each name is in the middle of its rows
    heights = [line.get_ydata() for line in axes.get_lines() if line.get_marker() == "|"]
    np.testing.assert_allclose(np.mean(heights, axis=0), axes.get_yticks())


def test_the_axis_is_logarithmic_where_proportions_span_decades():
    log_beta = np.log([[[0.99, 0.01]] * 20])
    post = hbm.Posterior(np.zeros((1, 20)), log_beta, model=hbm.HierarchicalModel(2))
    assert hbm.plots.proportions(post).axes[0].get_xscale() == "log"
    assert hbm.plots.proportions(post, log=False).axes[0].get_xscale() == "linear"
    assert hbm.plots.proportions(hbm.exact_posterior(COUNTS, rng=0)).axes[0].get_xscale() == "linear"
    axes = hbm.plots.proportions(hbm.exact_posterior(COUNTS, rng=0), groups=[0, 1], log=True).axes[0]
    assert axes.get_xscale() == "log"
    low, high = axes.get_xlim()
    assert 0.0 < low < points(axes, "|").min() < 1.0 < high < 1.5


def test_concentrations():
    data = hbm.datasets.load_pollen()
    figure = hbm.plots.concentrations(hbm.fit(data.counts, category_names=data.category_names))
    assert rows(figure.axes[0]) == ["Pinus", "Quercus", "Alnus", "Abies"]
    assert figure.axes[0].get_title(loc="left").startswith("4 categories, alpha = ")
    assert "; the 2 largest" in hbm.plots.concentrations(hbm.fit(data.counts), most=2).axes[0].get_title(loc="left")
    assert drawn(figure) > 1000
    with pytest.raises(ValueError, match="nothing to draw"):
        hbm.plots.concentrations(hbm.fit([[5, 5], [5, 5]]))


def test_a_log_axis_holds_the_intervals_of_every_series():
    first, second = np.array([0.9, 0.09, 0.01]), np.array([0.9, 0.0999, 0.0001])
    series = [(name, values, 0.5 * values, values) for name, values in (("a", first), ("b", second))]
    figure = hbm.plots.intervals(["x", "y", "z"], series, "share", 3, log=True)
    assert figure.axes[0].get_xlim()[0] < 0.5 * second.min()
    second[2] = 1e-30  # is no reason to squeeze the others
    figure = hbm.plots.intervals(["x", "y", "z"], series, "share", 3, log=True)
    assert 1e-6 < figure.axes[0].get_xlim()[0] < 1e-4


def test_intervals_of_plain_tuples():
    values = np.array([0.2, 0.5, 0.3])
    figure = hbm.plots.intervals(["a", "b", "c"], [("all", values, values - 0.1, values + 0.1)], "share", 2)
    assert rows(figure.axes[0]) == ["b", "c"]
    assert figure.axes[0].get_title(loc="left") == "the 2 largest of 3 categories"


def test_the_prior_is_exact(exact):
    alpha, beta = hbm.plots.prior_posterior(exact).axes
    x, density = line(alpha, "prior").get_data()
    np.testing.assert_allclose(density, x * np.exp(-x), rtol=1e-9)  # of log alpha
    assert legend(beta) == ["prior", "0", "1"]
    np.testing.assert_allclose(line(beta, "prior").get_ydata(), 1.0, rtol=1e-9)
    model = hbm.HierarchicalModel(2, alpha=2.0, beta=[1.0, 3.0])
    alpha, beta = hbm.plots.prior_posterior(hbm.exact_posterior(COUNTS, model, rng=0)).axes
    assert [line.get_label() for line in alpha.get_lines()] == ["posterior"]
    x, density = line(beta, "0, prior").get_data()
    np.testing.assert_allclose(density, 3.0 * (1.0 - x) ** 2, rtol=1e-9)


def test_without_data_the_posterior_repeats_the_prior():
    post = hbm.exact_posterior(np.zeros((1, 2), dtype=int), rng=0)
    alpha, beta = hbm.plots.prior_posterior(post).axes
    x, density = line(alpha, "posterior").get_data()
    np.testing.assert_allclose(np.interp(x, *line(alpha, "prior").get_data()), density, atol=2e-3)
    np.testing.assert_allclose(line(beta, "1").get_ydata(), 1.0, atol=1e-6)


def test_the_prior_of_a_fixed_beta_has_no_line():
    model = hbm.HierarchicalModel(2, beta=hbm.priors.FixedBeta([0.25, 0.75]))
    _, beta = hbm.plots.prior_posterior(hbm.exact_posterior(COUNTS, model, rng=0)).axes
    assert legend(beta) == ["0", "1"]
    assert set(line(beta, "1").get_xdata()) == {0.75}


def test_a_learned_concentration_has_a_panel(many):
    model = hbm.HierarchicalModel(10, beta=hbm.priors.Dirichlet(hbm.priors.Exponential(1)))
    learned = hbm.sample(many.counts, model, rng=0, n_draws=200, diagnostics=False, category_names=many.category_names)
    posterior = hbm.plots.posterior(learned)
    prior = hbm.plots.prior_posterior(learned)
    both = hbm.plots.compare({"fixed": many, "learned": learned})
    for figure, n_axes in ((posterior, 4), (prior, 3), (both, 4)):
        assert len(figure.axes) == n_axes
        last = figure.axes[-1]
        assert last.get_xlabel() == "concentration of beta"
        assert last.get_xscale() == "log"
        x, density = last.get_lines()[-1].get_data()
        assert np.trapezoid(density, np.log(x)) == pytest.approx(1.0, abs=0.02)
        assert last.get_ylim()[0] == 0.0
        assert drawn(figure) > 1000
    x, density = line(prior.axes[-1], "prior").get_data()
    np.testing.assert_allclose(density, x * np.exp(-x), rtol=1e-9)
    assert legend(posterior.axes[-1]) == list("cdefghij")
    assert [line.get_label() for line in both.axes[-1].get_lines()] == ["learned"]
    assert legend(both.axes[-1]) == ["fixed", "learned"]
    assert len(hbm.plots.compare({"fixed": many}).axes) == 3
    for n_axes in (3, 4):
        axes = hbm.plots.panels(n_axes)[1]
        assert len(hbm.plots.posterior(learned, ax=axes).axes) == n_axes
        assert bool(axes[-1].get_xlabel() == "concentration of beta") == (n_axes == 4)


def test_ticks_of_a_log_axis_are_plain_and_apart():
    for low, high, ticks in ((0.1, 10_000.0, "0.1 10 1000"), (1e-9, 1.0, "1e-9 1e-5 0.1"), (12.0, 28.0, "15 20 25")):
        figure, (axes,) = hbm.plots.panels(1, size=(2.2, 2.0))
        log_axis(axes.xaxis)
        axes.set_xlim(low, high)
        figure.draw_without_rendering()
        assert " ".join(label.get_text() for label in axes.get_xticklabels()) == ticks


def test_learning_curve():
    bags = hbm.datasets.load_marbles()
    number = np.arange(21)[:, np.newaxis]
    prefixes = np.array([np.where((number < n) | (number == 20), bags.counts, 0) for n in (0, 1, 10, 20)])
    batch = hbm.exact_posterior(prefixes, rng=0, category_names=bags.category_names)
    axes = hbm.plots.learning_curve(batch, group=20, category="black").axes[0]
    x, y = line(axes, "prediction").get_data()
    assert list(x) == [0, 1, 10, 20]
    np.testing.assert_allclose(y, batch.predict(20)[:, 1])
    band = axes.collections[0].get_datalim(axes.transData)
    lowest = np.quantile(batch.theta(20)[..., 1].reshape(4, -1), 0.05, axis=1).min()
    assert band.y0 == pytest.approx(lowest)
    assert axes.get_xlabel() == "other groups"
    several = hbm.plots.learning_curve(batch, group=[20, 20, 0, 0]).axes[0]
    assert several.get_title(loc="left") == "one group of each dataset, after 0 to 20 other groups"
    np.testing.assert_allclose(line(several, "prediction").get_ydata(), batch.predict([20, 20, 0, 0])[:, 1])
    assert hbm.plots.learning_curve(batch).axes[0].get_xlabel() == "groups"
    again = hbm.exact_posterior(np.stack([bags.counts, bags.counts]), rng=0)
    assert hbm.plots.learning_curve(again).axes[0].get_xlabel() == "datasets"


def test_shrinkage_of_no_groups():
    with pytest.raises(ValueError, match="of no groups"):
        hbm.plots.shrinkage(hbm.exact_posterior(np.zeros((0, 2), np.int64), rng=0))


def test_shrinkage(many):
    axes = hbm.plots.shrinkage(many, category="b").axes[0]
    raw = many.counts[:, 1] / many.counts.sum(axis=1)
    order = np.argsort(-raw)
    assert rows(axes) == [f"group {n}" for n in order]
    np.testing.assert_allclose(points(axes, "|"), [many.predict(n)[1] for n in order])
    np.testing.assert_allclose(points(axes, "o"), raw[order])
    assert line(axes, "mean of beta").get_xdata()[0] == many.mean("beta")[1]
    assert axes.get_title(loc="left") == f"groups 0 to 7, {many.counts.sum():,} counts"
    few = hbm.plots.shrinkage(many, category="b", most=3).axes[0]
    assert rows(few) == [f"group {n}" for n in order[::3]]
    assert few.get_title(loc="left").endswith("one in 3 is shown")
    with pytest.raises(ValueError, match="no counts"):
        hbm.plots.shrinkage(hbm.Posterior(many.log_alpha, many.log_beta, model=many.model))


def test_groups_without_counts_have_no_raw_proportion():
    post = hbm.exact_posterior([[0, 0], [5, 1]], rng=0)
    axes = hbm.plots.shrinkage(post).axes[0]
    assert rows(axes) == ["group 1", "group 0"]
    assert np.isnan(points(axes, "o")[1])
    assert points(axes, "|")[1] == pytest.approx(post.predict(0)[1])


def test_difference():
    model, rng = hbm.HierarchicalModel(3), np.random.default_rng(0)

    def with_beta(concentration, names):
        draws = rng.dirichlet(concentration, size=(1, 20_000))
        return hbm.Posterior(np.zeros((1, 20_000)), np.log(draws), model=model, category_names=names)

    a = with_beta([600.0, 300.0, 100.0], ["x", "y", "z"])
    b = with_beta([100.0, 300.0, 600.0], ["z", "y", "x"])
    c = with_beta([200.0, 700.0, 100.0], ["x", "y", "z"])
    same = hbm.plots.difference(a, b).axes[0]
    np.testing.assert_allclose(points(same, "|"), 1.0, atol=0.05)
    axes = hbm.plots.difference(a, c, names=("first", "second"), most=2).axes[0]
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "beta of first / beta of second, with 90 % intervals"
    assert axes.get_title(loc="left") == "3 categories; the 2 clearest"
    assert rows(axes) == ["x", "y"]
    np.testing.assert_allclose(points(axes, "|"), [3.0, 3.0 / 7.0], rtol=0.02)
    axes = hbm.plots.difference(a, c, ratio=False).axes[0]
    assert sorted(rows(axes)) == ["x", "y", "z"]
    np.testing.assert_allclose(sorted(points(axes, "|")), [-0.4, 0.0, 0.4], atol=0.01)
    with pytest.raises(ValueError, match="only one has w, z"):
        hbm.plots.difference(a, with_beta([1.0, 1.0, 1.0], ["x", "y", "w"]))
    with pytest.raises(ValueError, match="got K = 3 and 2"):
        hbm.plots.difference(a, hbm.exact_posterior(COUNTS, rng=0))


def test_the_draws_of_a_difference_are_independent():
    """A posterior beside itself has twice the variance, also where both come from the same random stream."""
    post = hbm.exact_posterior([[50, 50]] * 20, rng=0, n_draws=20_000)
    width = np.ptp(hbm.plots.difference(post, post, ratio=False, most=1).axes[0].get_lines()[0].get_xdata()[:2])
    lower, upper = post.quantile("beta", [0.05, 0.95])
    assert width == pytest.approx(np.sqrt(2.0) * (upper - lower)[0], rel=0.05)


def test_weights_count_in_a_difference(exact):
    weighted = by_draws(exact, log_weights=np.where(exact.beta[..., 0] > 0.5, 0.0, -np.inf))
    axes = hbm.plots.difference(weighted, by_draws(exact), ratio=False, most=2).axes[0]
    centre = points(axes, "|")[rows(axes).index("0")]
    assert centre > 0.1


def test_alpha_near_zero_and_near_infinity_is_drawn():
    log_alpha = np.linspace(-1200.0, 1200.0, 50)[np.newaxis]
    post = hbm.Posterior(log_alpha, np.log(np.full((1, 50, 2), 0.5)), model=hbm.HierarchicalModel(2))
    assert drawn(hbm.plots.posterior(post)) > 1000
