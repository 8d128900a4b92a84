"""What the plots share: the axes of the caller, colours by name, and a display in a notebook."""

import copy
import functools
import io
import pickle

import numpy as np
import pytest

import hbm_fast as hbm

matplotlib = pytest.importorskip("matplotlib")
from matplotlib.colors import to_hex  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.image import imread  # noqa: E402

BAGS = np.array([[20, 0], [0, 20], [0, 1]])
COLORS = ["white", "black"]
PREFIXES = np.array([np.where(np.arange(3)[:, np.newaxis] < n, BAGS, 0) for n in range(4)])


@functools.cache
def post():
    return hbm.exact_posterior(BAGS, rng=0, category_names=COLORS)


@functools.cache
def ranks():
    return hbm.calibration.Calibration(("a", "b"), np.random.default_rng(0).integers(63, size=(2, 500)), 63, 0.0)


# each plot with the number of its axes, and a name that its colors may hold
PLOTS = {
    "posterior": (lambda **options: hbm.plots.posterior(post(), group=2, **options), 3, "black"),
    "compare": (lambda **options: hbm.plots.compare({"exact": post()}, **options), 3, "exact"),
    "prior_posterior": (lambda **options: hbm.plots.prior_posterior(post(), **options), 2, "black"),
    "calibration": (lambda **options: hbm.plots.calibration(ranks(), **options), 2, "a"),
    "proportions": (lambda **options: hbm.plots.proportions(post(), **options), 1, "over all groups"),
    "concentrations": (
        lambda **options: hbm.plots.concentrations(hbm.fit(np.array([[3, 1], [9, 5], [1, 5]])), **options),
        1,
        "0",
    ),
    "learning_curve": (
        lambda **options: hbm.plots.learning_curve(
            hbm.exact_posterior(PREFIXES, rng=0, category_names=COLORS), **options
        ),
        1,
        "black",
    ),
    "shrinkage": (lambda **options: hbm.plots.shrinkage(post(), **options), 1, "black"),
    "difference": (lambda **options: hbm.plots.difference(post(), post(), **options), 1, "black"),
}
cases = pytest.mark.parametrize(("plot", "n_axes", "name"), PLOTS.values(), ids=PLOTS)


def test_every_plot_is_here():
    assert set(PLOTS) == set(hbm.plots.__all__) == set(dir(hbm.plots))


@cases
def test_axes_of_the_caller(plot, n_axes, name):
    figure = Figure()
    axes = figure.subplots(1, n_axes)
    assert plot(ax=axes) is figure
    assert len(figure.axes) == n_axes
    assert all(one.get_xlabel() for one in figure.axes)
    if n_axes > 1:
        assert plot(ax=list(axes)) is figure
    with pytest.raises(ValueError, match=f"got {n_axes + 1}"):
        plot(ax=Figure().subplots(1, n_axes + 1))
    with pytest.raises(TypeError, match="Axes of matplotlib; got 'left'"):
        plot(ax="left")


@cases
def test_colors_of_the_caller(plot, n_axes, name):
    used = {
        to_hex(color)
        for axes in plot(colors={name: "#123456"}).axes
        for color in [
            *(line.get_color() for line in axes.get_lines()),
            *(patch.get_edgecolor() for patch in axes.patches),
        ]
    }
    assert "#123456" in used
    with pytest.raises(ValueError, match="colors holds 'taupe', which is none of the names: "):
        plot(colors={"taupe": "red"})
    with pytest.raises(ValueError, match="must be a colour of matplotlib; got 'no colour'"):
        plot(colors={name: "no colour"})
    with pytest.raises(TypeError, match="mapping from names to colours; got str"):
        plot(colors="red")


@cases
def test_a_notebook_shows_the_figure(plot, n_axes, name):
    image, size = plot()._repr_png_()
    assert image.startswith(b"\x89PNG")
    assert size["width"] > 100


def test_a_figure_is_shown_once_with_inline_display():
    """The formatter that %matplotlib inline registers for figures takes the place of _repr_png_."""
    pytest.importorskip("IPython")
    from IPython.core.formatters import DisplayFormatter

    figure = hbm.plots.posterior(post())
    formatter = DisplayFormatter()
    plain, _ = formatter.format(figure)
    assert set(plain) == {"text/plain", "image/png"}
    formatter.formatters["image/png"].for_type(Figure, lambda figure: b"\x89PNG inline")
    assert formatter.format(figure)[0]["image/png"] == b"\x89PNG inline"


def test_figures_pickle_and_copy():
    figure = hbm.plots.posterior(post(), group=2)
    for again in (pickle.loads(pickle.dumps(figure)), copy.deepcopy(figure)):
        copied, drawn = (imread(io.BytesIO(one._repr_png_()[0])) for one in (again, figure))
        np.testing.assert_allclose(copied, drawn, atol=0.1)  # the layout may differ by rounding errors


def test_names_that_are_colours_have_them():
    counts = np.eye(5, dtype=np.int64)[[0, 1, 2, 3, 4, 0]] * 9
    names = ["White", "black", "blue", "green", "striped"]
    sampled = hbm.sample(counts, rng=0, n_draws=100, category_names=names, diagnostics=False)
    lines = {line.get_label(): line for line in hbm.plots.posterior(sampled).axes[1].get_lines()}
    assert to_hex(lines["White"].get_color()) == "#ffffff"
    assert to_hex(lines["black"].get_color()) == "#000000"
    red, green, blue = (int(to_hex(lines["blue"].get_color())[i : i + 2], 16) for i in (1, 3, 5))
    assert blue > max(red, green)
    assert len({line.get_color() for line in lines.values()}) == 5
    # white on a white page has an edge, blue needs none
    assert lines["White"].get_path_effects()
    assert not lines["blue"].get_path_effects()
    with matplotlib.rc_context({"axes.facecolor": "black"}):
        lines = {line.get_label(): line for line in hbm.plots.posterior(sampled).axes[1].get_lines()}
    assert lines["black"].get_path_effects()
    assert not lines["White"].get_path_effects()


def test_long_names_leave_space_for_the_data():
    taxa = [f"k__Bacteria; p__Firmicutes; c__Clostridia; o__Clostridiales; g__Genus_{k}" for k in range(9)]
    counts = np.random.default_rng(0).poisson(8.0, size=(4, 9))
    options = {"category_names": taxa, "group_names": [f"participant {'of a cohort ' * 9}{n}" for n in range(4)]}
    long = hbm.sample(counts, rng=0, n_draws=100, diagnostics=False, **options)
    for figure in (
        hbm.plots.posterior(long, group=0),
        hbm.plots.proportions(long, groups=[0]),
        hbm.plots.shrinkage(long),
    ):
        figure.draw_without_rendering()  # a warning, thus an error, where names take all the space
        assert all(min(axes.get_position().size) > 0.15 for axes in figure.axes)
    assert all(text.get_text().startswith("…") for text in figure.axes[0].get_yticklabels())


def test_names_are_drawn_as_they_are():
    names = ["_x", r"k__B_$\x$"]
    post = hbm.sample([[3, 1], [0, 4], [5, 2]], rng=0, n_draws=100, diagnostics=False, category_names=names)
    figure = hbm.plots.posterior(post)
    figure.draw_without_rendering()  # an error, where a name is read as a formula
    assert [text.get_text() for text in figure.axes[2].get_legend().get_texts()] == names
    batch = hbm.exact_posterior([[[3, 1]], [[0, 4]]], rng=0, category_names=names)
    for figure in (
        hbm.plots.proportions(post, groups=0),
        hbm.plots.shrinkage(post),
        hbm.plots.learning_curve(batch),
        hbm.plots.compare({"_a": post, "$b": post}),
    ):
        figure.draw_without_rendering()
    assert [text.get_text() for text in figure.axes[2].get_legend().get_texts()] == ["_a", "$b"]


def test_compare_takes_categories_by_name():
    counts = np.array([[9, 1], [7, 2], [8, 0]])
    a = hbm.exact_posterior(counts, rng=0, category_names=["x", "y"])
    b = hbm.exact_posterior(counts[:, ::-1], rng=0, category_names=["y", "x"])
    first, second = hbm.plots.compare({"a": a, "b": b}, category="x").axes[1].get_lines()
    peaks = [line.get_xdata()[np.argmax(line.get_ydata())] for line in (first, second)]
    assert peaks[0] == pytest.approx(peaks[1], abs=0.02)
    assert peaks[0] > 0.5
    with pytest.raises(ValueError, match="same categories; only one has x, z"):
        hbm.plots.compare({"a": a, "c": hbm.exact_posterior(counts, category_names=["z", "y"])})
