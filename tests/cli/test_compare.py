"""`hbm-fast compare`: a table with labels in, a Bayes factor, a test and ratios out."""

import csv
import json

import numpy as np
import pytest

import hbm_fast as hbm

pytest.importorskip("typer")
pytest.importorskip("pandas")

TABLE = np.array([[9, 1], [8, 2], [7, 3], [2, 8], [1, 9], [3, 7]])
LABELS = ["left"] * 3 + ["right"] * 3


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "bags.csv"
    rows = [f"b{i},{label},{w},{b}" for i, (label, (w, b)) in enumerate(zip(LABELS, TABLE, strict=True))]
    path.write_text("\n".join(["sample,side,white,black", *rows]) + "\n")
    return path


def test_groups_are_compared(run, table, tmp_path):
    found = hbm.compare_groups(hbm.tables.CountTable(TABLE, ("white", "black")), by=LABELS, rng=0)
    code, out, err = run("compare", table, "--by", "side", "--out", tmp_path / "ratios.csv")
    assert (code, err) == (0, "")
    assert out.startswith(repr(found))
    with (tmp_path / "ratios.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["category"], row["condition"]) for row in rows] == [("white", "right"), ("black", "right")]
    assert float(rows[1]["log2_ratio"]) == np.median(found.log2_ratio[0, :, 1])
    code, out, _ = run("compare", table, "--by", "side", "--json")
    record = json.loads(out)
    assert code == 0
    assert record["likelihood_ratio"] == pytest.approx(found.likelihood_ratio)
    assert record["log_bayes_factor"] == pytest.approx(found.log_bayes_factor)
    assert record["conditions"] == ["left", "right"]
    row = record["parameters"]["log2_ratio[black, right]"]
    assert row["lower"] < row["mean"] < row["upper"]


def test_priors_and_a_figure(run, table, tmp_path):
    pytest.importorskip("matplotlib")
    alpha = hbm.priors.HalfCauchy(5)
    found = hbm.compare_groups(TABLE, by=LABELS, alpha=alpha, rng=0)
    code, out, _ = run("compare", table, "--by", "side", "--alpha", "half-cauchy:5", "--figure", tmp_path / "r.png")
    assert code == 0
    assert f"log Bayes factor {found.log_bayes_factor:.3f}" in out
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")


def test_a_mistake_is_one_line(refuse, table):
    refuse("kind", "compare", table, "--by", "kind")
