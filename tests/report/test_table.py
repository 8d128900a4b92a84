"""`hbm-fast report TABLE`: a page about a table, and the predictive check on it."""

import re

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast.report.predictive_check import predictive_checks


def test_predictive_checks_against_a_loop():
    counts = hbm.datasets.load_pollen().counts
    post = hbm.sample(counts, rng=0)
    zeros, largest, dispersion = predictive_checks(post, rng=1)
    assert zeros.observed == (counts == 0).sum()
    assert largest.observed == pytest.approx((counts / counts.sum(axis=1, keepdims=True)).max(axis=1).mean())
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    freedom = (counts.shape[0] - 1) * (counts.shape[1] - 1)
    assert dispersion.observed == pytest.approx(((counts - expected) ** 2 / expected).sum() / freedom)


def test_predictive_checks_pass_for_the_model_and_fail_for_another():
    model = hbm.HierarchicalModel(4, alpha=5.0)
    counts = hbm.simulate(model, 1, n_groups=200, totals=50, rng=3).counts[0]
    for check in predictive_checks(hbm.sample(counts, model, rng=0)):
        assert 0.005 < check.p_value < 0.995, check.name
    other = hbm.HierarchicalModel(4, alpha=500.0)  # groups much more alike than these
    assert predictive_checks(hbm.sample(counts, other, rng=0))[2].p_value == 0.0


def test_weighted_draws_are_resampled_by_their_weights():
    log_alpha = np.log([[1e-3, 1e3]])
    post = hbm.Posterior(
        log_alpha,
        np.log(np.full((1, 2, 2), 0.5)),
        model=hbm.HierarchicalModel(2),
        counts=np.array([[50, 0], [0, 50]] * 20),
        log_weights=np.array([[-np.inf, 0.0]]),
    )
    assert predictive_checks(post)[0].simulated.max() == 0.0  # alpha is 1,000: no group is of one category


def test_the_page_of_a_table(tmp_path):
    pytest.importorskip("matplotlib")
    page = pytest.importorskip("hbm_fast.report.table")
    data = hbm.datasets.load_pollen()
    analyses = {}
    for label, rows in {"early": slice(0, 30), "late": slice(30, 73)}.items():
        names = {"category_names": data.category_names, "group_names": data.group_names[rows]}
        post = hbm.sample(data.counts[rows], n_draws=200, rng=0, diagnostics=False, **names)
        analyses[label] = page.Analysis(post, post.summary(), ["a <warning>"], transposed=label == "late")
    text = page.write(tmp_path / "page.html", "pollen.csv", analyses).read_text()
    assert re.findall("<h2[^>]*>(.*?)</h2>", text) == [
        "The labels side by side",
        *(f"{k}: {part}" for k in analyses for part in ("the table", "the answer", "does the model fit?")),
        "Environment",
    ]
    assert text.count("Warning: a &lt;warning&gt;") == 2
    assert "The rows are groups (sample 1, sample 2, sample 3, ...), the columns categories (Pinus, " in text
    assert "The columns are groups (sample 31, sample 32, sample 33, ...), the rows categories (Pinus, " in text
    assert not re.findall(r"""(?:src|href|srcset)\s*=\s*["'](?!data:|#part-)""", text)
    assert "<script" not in text
    images = re.findall(r'<img src="data:image/svg\+xml;base64,[^"]+" style="[^"]*" alt="([^"]+)"', text)
    assert len(images) == text.count("<picture>") == 1 + 2 * 4
    assert "<td>Pinus" in text or "<td>beta[Pinus]</td>" in text
    assert "Posterior predictive check" in text
