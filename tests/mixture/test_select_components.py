"""select_components: fits side by side, the criteria, and the figures."""

import math

import numpy as np
import pytest

import hbm_fast as hbm

GAMMA = hbm.priors.Gamma(0.1, rate=0.1)


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(0)
    beta = rng.dirichlet(np.full(10, 0.5), 3)
    return np.array([rng.multinomial(200, rng.dirichlet(20.0 * beta[z] + 1e-3)) for z in np.repeat([0, 1, 2], 20)])


@pytest.fixture(scope="module")
def selection(counts):
    return hbm.select_components(counts, range(1, 6), prior=GAMMA, n_starts=8, rng=0)


def test_every_criterion_finds_three_clear_components(selection):
    assert selection.n_components == (1, 2, 3, 4, 5)
    for criterion in ("laplace", "log_evidence", "aic", "bic"):
        assert selection.best(criterion).n_components == 3, criterion
    assert selection.best() is selection[3]
    assert [fit.n_components for fit in selection] == [1, 2, 3, 4, 5]
    assert len(selection) == len(selection.fits) == 5


def test_the_table_has_a_row_for_each_number(selection):
    pytest.importorskip("pandas")
    table = selection.table
    assert table.index.tolist() == [1, 2, 3, 4, 5]
    for name in ("log_likelihood", "log_posterior", "laplace", "log_evidence", "aic", "bic", "outcome"):
        assert table[name].tolist() == [getattr(fit, name) for fit in selection], name
    assert table["laplace"].idxmin() == 3
    assert (np.diff(table["log_likelihood"][:3]) > 0).all()


def test_a_fit_is_no_worse_than_one_alone(counts, selection):
    """The modes with one component less are further starts."""
    alone = hbm.fit(counts, hbm.MixtureModel(10, n_components=4), prior=GAMMA, n_starts=8, rng=0)
    assert selection[4].log_posterior > alone.log_posterior - 1.0


def test_seeds_and_threads(counts, selection):
    again = hbm.select_components(counts, range(1, 6), prior=GAMMA, n_starts=8, rng=0, n_threads=2)
    assert [fit.log_posterior for fit in again] == [fit.log_posterior for fit in selection]
    order = np.random.default_rng(1).permutation(len(counts))
    one, other = (hbm.select_components(x, [2, 3], n_starts=4) for x in (counts, counts[order]))
    for a, b in zip(one, other, strict=True):
        assert abs(a.log_posterior - b.log_posterior) < 1e-6
        np.testing.assert_array_equal(a.labels[order], b.labels)


def test_names_priors_and_progress():
    shares = []
    table = hbm.datasets.load_pollen()
    model = {"beta": 0.5, "alpha": hbm.priors.Gamma(2.0, rate=0.1)}
    found = hbm.select_components(table, [2, 1], **model, progress=shares.append)
    assert found[1].category_names == table.category_names
    assert found[1].model.beta == hbm.priors.Dirichlet(0.5)
    assert shares == sorted(shares)
    assert math.isclose(shares[-1], 1.0)
    one = hbm.fit(table, hbm.MixtureModel(4, n_components=1, **model))
    assert one.log_posterior == found[1].log_posterior


def test_ctrl_c_keeps_the_fits_so_far(counts):
    def press(share):
        if share > 0.6:
            raise KeyboardInterrupt

    with pytest.warns(hbm.ConvergenceWarning, match="Ctrl-C"):
        found = hbm.select_components(counts, [1, 2, 3], n_starts=4, progress=press)
    assert found.n_components == (1, 2)
    assert found[2].outcome == "interrupted"


@pytest.mark.parametrize(
    ("n_components", "message"),
    [(3, "several numbers"), ([], "at least one"), ([1, 1], "different"), ([0], "at least 1"), ("12", "several")],
)
def test_what_is_refused(counts, n_components, message):
    with pytest.raises((TypeError, ValueError), match=message):
        hbm.select_components(counts, n_components)


def test_unknown_criteria_and_numbers(selection):
    with pytest.raises(ValueError, match="criterion must be one of 'laplace'"):
        selection.best("evidence")
    with pytest.raises(KeyError, match="no fit has 9 components"):
        selection[9]


def test_plots(counts, selection):
    pytest.importorskip("matplotlib")
    pytest.importorskip("pandas")
    fit = selection[3]
    figure = hbm.plots.mixture(fit, most=4, colors={"component 1": "red"})
    groups, means = figure.axes[:2]
    shown = groups.images[0].get_array()
    assert shown.shape == (4, 60)
    first = fit.contributions().index[0]
    assert groups.get_yticklabels()[0].get_text() == str(first)
    raw = np.sort(np.sqrt(counts[:, first] / counts.sum(axis=1)))
    np.testing.assert_allclose(np.sort(shown[0]), raw)
    assert means.get_lines()[1].get_color() == "red"
    np.testing.assert_array_equal(means.get_lines()[0].get_xdata()[0], fit.beta[0, first])
    figure = hbm.plots.components(selection)
    for line in figure.axes[0].get_lines():
        assert min(line.get_ydata()) == 0.0
        assert line.get_xdata()[int(np.argmin(line.get_ydata()))] == 3
    with pytest.raises(TypeError, match="fit must be a MixtureFit"):
        hbm.plots.mixture(selection)
    with pytest.raises(TypeError, match="selection must be a ComponentSelection"):
        hbm.plots.components(fit)
