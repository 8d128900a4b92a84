"""The second question of Le (2020): its table, its interruption, and its plots."""

import json

import pytest

import hbm_fast as hbm

pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("matplotlib")
pytest.importorskip("typer")

from hbm_fast.cli.question2 import question2
from hbm_fast.experiments import question_two, question_two_plots


def test_the_table_is_written_and_a_run_goes_on(tmp_path, monkeypatch):
    # the comparison on 20 datasets
    monkeypatch.setattr(question_two, "simulate", lambda model, n, **settings: hbm.simulate(model, 20, **settings))
    settings = {"quick": True, "steps": 3, "seeds": 1, "colours": False, "out": tmp_path, "force": False, "limit": 1}
    question2(**settings, resume=False)
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert [row["group"] for row in rows] == ["default"]
    text = (tmp_path / "results.md").read_text()
    assert "| default | 2 | 2 | exp |" in text
    assert text.endswith("* 1 of 15 trainings done; conclusions follow when all are.\n")
    with pytest.raises(ValueError, match="--resume"):
        question2(**settings, resume=False)
    # the figures show this network: without its file the cell is trained again, to the same bits
    (network := tmp_path / "network-exp.safetensors").unlink()
    question2(**settings, resume=True)
    (again,) = question_two.read(tmp_path / "results.json")
    assert network.exists()
    assert again.gap == rows[0]["gap"]


def test_the_plots(tmp_path, monkeypatch):
    monkeypatch.setattr(question_two_plots, "DATASETS", {"half and half": [[10, 10]] * 20})
    networks = [hbm.embedding.load(name) for name in ("marbles-exp-plus-one", "marbles")]
    bags = hbm.datasets.load_marbles().counts
    question_two_plots.draw(*networks, bags, hbm.exact_posterior(bags, n_draws=200, rng=0), tmp_path)
    assert len(list(tmp_path.glob("*.png"))) == 6
