"""Figures are made without a display, from every kind of posterior."""

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
