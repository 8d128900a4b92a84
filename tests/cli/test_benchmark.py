"""`hbm-fast benchmark`: every way is timed and judged, what was not run is said, break-even is arithmetic."""

import json
import math
import sys

import numpy as np
import pytest

import hbm_fast as hbm

pytest.importorskip("typer")
pytest.importorskip("torch")
pytest.importorskip("matplotlib")
pytest.importorskip("arviz_stats")
from hbm_fast.benchmark import measure as measuring
from hbm_fast.benchmark import methods as ways
from hbm_fast.benchmark import plots as benchmark_plots
from hbm_fast.cli import benchmark, main


@pytest.fixture(scope="module")
def result():
    lines = []
    found = benchmark.run(sizes=(1, 3), with_peers=(), n_draws=200, n_judged=3, seed=1, say=lines.append)
    points = sum(len(work["points"]) + len(work["accuracy_against_time"]) for work in found["works"])
    assert len(lines) == points
    return found


def test_every_way_is_timed_and_judged(result):
    assert [work["n_categories"] for work in result["works"]] == [2, 5]
    two, five = ([(p["way"], p["datasets"]) for p in work["points"]] for work in result["works"])
    names = ["hbm.sample", "network, raw", "network, corrected"]
    assert five == [(name, size) for name in names for size in (1, 3)]
    assert two == [("exact_posterior", 1), ("exact_posterior", 3), *five]
    for work in result["works"]:
        for point in [*work["points"], *work["accuracy_against_time"]]:
            assert point["seconds"] > 0
            assert point["measured"] == point["datasets"]
            assert not point["extrapolated"]
            assert 0 < point["effective_share"] < 3
            # the draws of all ways come from the posterior, or near it
            assert point["ks_log_alpha"] < 0.6 / math.sqrt(point["draws"] / 20)
            assert point["ks_beta"] < 0.6 / math.sqrt(point["draws"] / 20)
    assert result["peers_left_out"] == ["numpyro", "nutpie"]
    assert json.loads(json.dumps(result)) == result


def test_training_is_charged_to_the_networks_alone(result):
    for work in result["works"]:
        assert set(work["break_even"]) == {"network, raw", "network, corrected"}
        for name, way in work["ways"].items():
            assert (way["training_seconds"] > 60) == name.startswith("network")


def test_break_even():
    assert measuring.break_even(100.0, 0.5, 1.5) == 100.0
    assert measuring.break_even(100.0, 1.5, 1.5) == math.inf


def test_a_short_budget_is_extrapolated_openly():
    model = hbm.HierarchicalModel(2)
    counts = hbm.simulate(model, 50, n_groups=3, totals=5, rng=0).counts
    way = next(w for w in ways.ours(model, 1) if w.name == "exact_posterior")
    referee = measuring.Referee(model, counts[:2], 1)
    point = measuring.measure(way, counts, 50, referee, budget=1e-9)
    assert point.extrapolated
    assert point.measured == way.per_call == 10
    more = benchmark._more(point, 500)
    assert more.seconds == pytest.approx(10 * point.seconds)
    assert (more.datasets, more.measured, more.extrapolated) == (500, 10, True)


def test_the_referee_knows_a_wrong_answer():
    for k in (2, 5):
        model = hbm.HierarchicalModel(k)
        counts = hbm.simulate(model, 2, n_groups=21, totals=20, rng=0).counts
        referee = measuring.Referee(model, counts, 1)
        post = hbm.sample(counts, n_draws=4000, n_chains=1, rng=0)
        draws = ways._of_posterior(True)(post)
        moved = ways.Draws(draws.log_alpha + 0.5, draws.beta[..., ::-1], draws.weights, draws.chain)
        right, wrong = referee.judge([draws]), referee.judge([moved])
        assert max(right["ks_log_alpha"], right["ks_beta"]) < 0.1
        assert wrong["ks_log_alpha"] > 0.15
        assert wrong["error_log_alpha"] > 0.3


def test_effective_draws():
    rng = np.random.default_rng(0)
    log_alpha, beta = rng.normal(size=(2, 2000)), rng.dirichlet([1, 1], size=(2, 2000))
    even = np.full((2, 2000), 1 / 2000)
    plain = ways.Draws(log_alpha, beta, even, np.zeros(2, bool))
    assert measuring.effective([plain]) == pytest.approx(2000)
    weights = np.where(np.arange(2000) < 500, 1 / 500, 0.0) * np.ones((2, 1))
    assert measuring.effective([ways.Draws(log_alpha, beta, weights, np.zeros(2, bool))]) == pytest.approx(500)
    sticky = np.repeat(log_alpha[:, :200], 10, axis=1)
    chain = ways.Draws(sticky, np.repeat(beta[:, :200], 10, axis=1), even, np.ones(2, bool))
    assert 100 < measuring.effective([chain]) < 400


def test_the_command(monkeypatch, capsys, tmp_path, result):
    monkeypatch.setattr(benchmark, "run", lambda **_: result)

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["hbm-fast", "benchmark", "--out", str(tmp_path / "b"), *arguments])
        with pytest.raises(SystemExit) as exit_:
            main()
        return exit_.value.code or 0, *capsys.readouterr()

    code, out, err = command("--quick")
    assert (code, err) == (0, "")
    assert "hbm.sample" in out
    assert "Compiled Stan, quoted and not run here" in out
    assert "numpyro was left out" in out
    names = sorted(file.name for file in (tmp_path / "b").iterdir())
    assert names == [
        "amortized_vs_mcmc-k2-accuracy.png",
        "amortized_vs_mcmc-k2-time.png",
        "amortized_vs_mcmc-k5-accuracy.png",
        "amortized_vs_mcmc-k5-time.png",
        "amortized_vs_mcmc.json",
    ]
    code, out, err = command("--json")
    assert code == 2
    assert "pass --force" in err
    assert out == ""
    code, out, err = command("--json", "--force")
    assert (code, err) == (0, "")
    assert json.loads(out) == json.loads((tmp_path / "b" / "amortized_vs_mcmc.json").read_text())


def test_ctrl_c_keeps_what_was_measured(monkeypatch, capsys, tmp_path):
    measure, calls = benchmark.measure, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return measure(*arguments)

    monkeypatch.setattr(benchmark, "measure", interrupted)
    monkeypatch.setattr(benchmark, "SIZES", (1, 2, 3))
    monkeypatch.setattr(sys, "argv", ["hbm-fast", "benchmark", "--quick", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as exit_:
        main()
    out, err = capsys.readouterr()
    assert exit_.value.code == 130
    assert "kept" in err
    assert "these are the points measured until then" in out
    kept = json.loads((tmp_path / "amortized_vs_mcmc.json").read_text())
    assert [(p["way"], p["datasets"]) for p in kept["works"][0]["points"]] == [
        ("exact_posterior", 1),
        ("exact_posterior", 2),
    ]


def test_extrapolated_figures_carry_a_tilde(result):
    work = {**result["works"][0]}
    work["points"] = [{**point, "extrapolated": True} for point in work["points"]]
    assert all(row[2].startswith("~") for row in benchmark_plots.rows(work))


@pytest.mark.peers
@pytest.mark.filterwarnings("default")
def test_peers_answer_as_we_do():
    pytest.importorskip("numpyro")
    found = benchmark.run(sizes=(1, 2), categories=(2,), n_draws=500, n_judged=2, budget=120.0, seed=1)
    assert found["absent_peers"] == []
    points = {p["way"]: p for p in found["works"][0]["points"]}
    for name in ("numpyro NUTS", "nutpie"):
        assert points[name]["measured"] == 2
        assert points[name]["ks_log_alpha"] < 0.35
        assert points[name]["error_log_alpha"] < 0.7
