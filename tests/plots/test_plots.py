"""Figures of every kind of posterior, without a display."""

import io

import numpy as np
import pytest

import hbm_fast as hbm

pytest.importorskip("matplotlib")

COUNTS = np.array([[3, 0], [0, 4], [0, 0]])


@pytest.fixture(scope="module")
def exact():
    return hbm.exact_posterior(COUNTS, rng=0)


def drawn(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=40)
    return len(buffer.getvalue())


def by_draws(exact, **changes):
    return hbm.Posterior(exact.log_alpha, exact.log_beta, model=exact.model, counts=COUNTS, **changes)


def test_posterior(exact):
    assert drawn(hbm.plots.posterior(exact)) > 1000
    weighted = by_draws(exact, log_weights=exact.log_alpha, category_names=["white", "black"])
    figure = hbm.plots.posterior(weighted, group=1)
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == ["white", "black"]
    fixed = hbm.exact_posterior(COUNTS, hbm.HierarchicalModel(2, alpha=2.0), rng=0)
    assert drawn(hbm.plots.posterior(fixed)) > 1000


def test_compare(exact):
    figure = hbm.plots.compare({"exact": exact, "draws": by_draws(exact)}, group=1, category=0, category_name="white")
    assert figure.axes[2].get_xlabel() == "theta of group 1, white"
    assert drawn(figure) > 1000
    with pytest.raises(ValueError, match="empty"):
        hbm.plots.compare({})


def test_a_batch_is_refused():
    batch = hbm.exact_posterior(COUNTS[np.newaxis], rng=0)
    with pytest.raises(ValueError, match=r"post\[b\]"):
        hbm.plots.posterior(batch)


def test_calibration():
    ranks = np.random.default_rng(0).integers(63, size=(2, 500))
    assert drawn(hbm.plots.calibration(hbm.calibration.Calibration(("a", "b"), ranks, 63, 0.0))) > 1000


def test_proportions(exact):
    figure = hbm.plots.proportions(exact, groups=[0, 1])
    assert len(figure.axes[0].containers) == 3
    assert drawn(figure) > 1000
    weighted = by_draws(exact, log_weights=exact.log_alpha, category_names=["white", "black"])
    figure = hbm.plots.proportions(weighted, groups=[1], probability=0.5, most=1)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["black"]
    assert "1 largest of 2" in figure.axes[0].get_title(loc="left")
    assert figure.axes[0].get_xlabel() == "proportion, with 50 % intervals"
    with pytest.raises(ValueError, match="probability"):
        hbm.plots.proportions(exact, probability=2.0)


def test_concentrations():
    data = hbm.datasets.load_pollen()
    figure = hbm.plots.concentrations(hbm.fit(data.counts, category_names=data.category_names))
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["Pinus", "Quercus", "Alnus", "Abies"]
    assert drawn(figure) > 1000
    with pytest.raises(ValueError, match="nothing to draw"):
        hbm.plots.concentrations(hbm.fit([[5, 5], [5, 5]]))
