"""`hbm-fast benchmark`: files, JSON, `--force`, Ctrl-C."""

import json

import pytest

pytest.importorskip("typer")
pytest.importorskip("torch")
pytest.importorskip("matplotlib")
from hbm_fast.benchmark import amortized_vs_mcmc


def test_the_command(run, monkeypatch, tmp_path):
    result = amortized_vs_mcmc.run(sizes=(1,), with_peers=(), n_draws=50, n_compared=1)
    monkeypatch.setattr(amortized_vs_mcmc, "run", lambda **_: result)

    arguments = ("benchmark", "--out", tmp_path / "b")
    code, out, err = run(*arguments, "--quick")
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
    code, out, err = run(*arguments, "--json")
    assert code == 2
    assert "pass --force" in err
    assert out == ""
    code, out, err = run(*arguments, "--json", "--force")
    assert (code, err) == (0, "")
    assert json.loads(out) == json.loads((tmp_path / "b" / "amortized_vs_mcmc.json").read_text())


def test_ctrl_c_keeps_what_was_measured(run, monkeypatch, tmp_path):
    measure, calls = amortized_vs_mcmc.measure, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return measure(*arguments)

    monkeypatch.setattr(amortized_vs_mcmc, "measure", interrupted)
    monkeypatch.setattr(amortized_vs_mcmc, "SIZES", (1, 2, 3))
    code, out, err = run("benchmark", "--quick", "--out", tmp_path)
    assert code == 130
    assert "kept" in err
    assert "these are the points measured until then" in out
    kept = json.loads((tmp_path / "amortized_vs_mcmc.json").read_text())
    assert [(p["way"], p["datasets"]) for p in kept["works"][0]["points"]] == [
        ("exact_posterior", 1),
        ("exact_posterior", 2),
    ]
