"""The networks that come with hbm_fast, on the example of Le (2020)."""

import numpy as np
import pytest

import hbm_fast as hbm

pytest.importorskip("torch")
pytest.importorskip("safetensors")

from hbm_fast.experiments import question_one

BAGS = hbm.datasets.load_marbles().counts
FULL = np.array([[20, 0]] * 10 + [[0, 20]] * 11)
N_DRAWS = 20_000


def test_marbles_raw_and_corrected():
    net = hbm.amortize.load("marbles")
    assert net.metrics["kl"] < 0.002
    assert net.metrics["ess_share"] > 0.995
    assert net.metrics["sbc_datasets"] == 4000.0
    assert net.metrics["sbc_p"] > 1e-3
    raw = net.sample(BAGS, n_draws=N_DRAWS, rng=1, correct=False)
    assert abs(raw.predict(20)[1] - 0.98714) < 0.002
    assert abs((raw.theta(20)[..., 1] > 0.9).mean() - 0.9702) < 0.005
    post = net.sample(BAGS, n_draws=N_DRAWS, rng=1)
    assert post.details["path"] == "importance"
    assert post.details["ess_share"] > 0.95
    assert abs(post.predict(20)[1] - 0.98714) < 0.0005
    assert abs(post.mean("log_alpha") + 4.14742) < 0.06
    assert abs(post.log_evidence + 19.44351) < 7.0 * post.log_evidence_error


def test_bottom_up_is_less_certain_as_in_le2020():
    net = hbm.amortize.load("marbles-bottom-up")
    raw = net.sample(BAGS, n_draws=N_DRAWS, rng=1, correct=False)
    assert abs(raw.predict(20)[1] - 0.865) < 0.03
    full = net.sample(FULL, n_draws=N_DRAWS, rng=1, correct=False)
    assert abs(full.predict(20)[1] - 0.99936) < 0.01


@pytest.mark.parametrize("k", [2, 3, 5, 10])
def test_any_k(k):
    net = hbm.amortize.load("any-k")
    counts = hbm.simulate(hbm.HierarchicalModel(k), 40, n_groups=(1, 50), totals=(0, 50), rng=5).counts
    post = net.sample(counts, n_draws=500, rng=1, correct=True)
    assert post.details["ess_share"].mean() > 0.9
    assert net.metrics[f"kl_k{k}"] < 0.06
    assert net.metrics[f"ess_share_k{k}"] > 0.9
    assert net.metrics[f"sbc_p_k{k}"] > 1e-4


@pytest.mark.parametrize(("name", "k"), [("marbles", 2), ("any-k", 3), ("any-k", 10)])
def test_ranks_are_uniform(name, k):
    net = hbm.amortize.load(name)
    ranked = net.rank_truth(1000, n_categories=k, rng=3)
    assert ranked.p_value > 1e-9
    assert np.abs(ranked.coverage([0.5, 0.9]) - [0.5, 0.9]).max() < 0.1  # six standard errors


def test_bottom_up_is_calibrated_in_each_theta_and_there_only():
    net = hbm.amortize.load("marbles-bottom-up")
    p_values = net.rank_truth(1000, rng=3).p_values
    assert p_values["theta[1]"] > 1e-9
    assert p_values["log_alpha"] < 1e-9


@pytest.mark.parametrize("draw", [question_one.last_bag, question_one.knowledge, question_one.new_bags])
def test_the_plots_of_le2020(draw, tmp_path):
    pytest.importorskip("matplotlib")
    figure = draw()
    figure.savefig(tmp_path / "figure.png")
    legends = [*figure.legends, *filter(None, (axes.get_legend() for axes in figure.axes))]
    labels = {text.get_text() for legend in legends for text in legend.get_texts()}
    assert labels == {"exact", "top-down", "bottom-up"}


def test_the_wheel_stays_small():
    files = list(hbm.amortize.Estimator.shipped.glob("*.safetensors"))
    assert {file.stem for file in files} == {"marbles", "marbles-bottom-up", "any-k"}
    assert sum(file.stat().st_size for file in files) < 1_000_000


def test_the_density_is_normalised():
    net = hbm.amortize.load("marbles")
    t, u = np.linspace(-18.0, 4.0, 221), np.linspace(-12.0, 12.0, 241)
    grid = [a.ravel() for a in np.meshgrid(t, u, indexing="ij")]
    density = np.exp(net.log_density(BAGS, *grid))
    assert abs(density.sum() * (t[1] - t[0]) * (u[1] - u[0]) - 1.0) < 0.01


def test_calibrate_prints_its_table(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    report = hbm.amortize.load("marbles").calibrate(200, rng=0, figure=tmp_path / "ranks.png")
    assert "KL(exact || network)" in capsys.readouterr().out
    assert (tmp_path / "ranks.png").stat().st_size > 1000
    assert report.kl < 0.01
    assert report.sbc.p_value > 1e-9
