"""`hbm-fast mixture`: the table of the numbers of components, memberships, the figure, mistakes in one line."""

import csv
import json

import numpy as np
import pytest

import hbm_fast as hbm

pytest.importorskip("typer")


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(1)
    counts = np.array([rng.multinomial(60, p) for p in [[0.7, 0.2, 0.1]] * 8 + [[0.1, 0.2, 0.7]] * 6])
    file = tmp_path / "table.csv"
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["sample", "a", "b", "c"])
        writer.writerows([f"s{i}", *row] for i, row in enumerate(counts.tolist()))
    return file, counts


def test_the_table_and_the_memberships(run, table, tmp_path):
    file, counts = table
    out = tmp_path / "members.csv"
    code, text, err = run("mixture", file, "--components", "1:3", "--out", out, "--quiet")
    assert (code, err) == (0, "")
    assert "2 components by log_evidence; a maximum was found" in text
    assert max(map(len, text.splitlines())) <= 80
    prior = hbm.priors.Gamma(0.1, rate=0.1)
    fit = hbm.select_components(counts, [1, 2, 3], prior=prior)[2]
    with out.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["group"] for row in rows] == [f"s{i}" for i in range(14)]
    assert [int(row["component"]) for row in rows] == fit.labels.tolist() == [0] * 8 + [1] * 6
    assert [float(row["p_1"]) for row in rows] == fit.responsibilities[:, 1].tolist()
    assert run("mixture", file, "--out", out)[0] == 2  # it exists


def test_json_and_figure(run, table, tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("pandas")
    figure = tmp_path / "mixture.png"
    options = ("--criterion", "laplace", "--prior", "1,0.1", "--starts", 3, "--seed", 4, "--figure", figure)
    code, text, _ = run("mixture", table[0], "--components", "1,2", "--json", "--quiet", *options)
    assert code == 0
    found = json.loads(text)
    selection = hbm.select_components(table[1], [1, 2], prior=hbm.priors.Gamma(1.0, rate=0.1), n_starts=3, rng=4)
    assert [row["laplace"] for row in found["components"]] == [fit.laplace for fit in selection]
    assert found["criterion"] == "laplace"
    assert found["n_components"] == selection.best("laplace").n_components
    assert found["parameters"]["alpha[0]"]["mean"] == selection.best("laplace").alpha[0]
    assert figure.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--components", "1:x"), "--components must be FIRST:LAST"),
        (("--components", "0:2"), "--components must be FIRST:LAST"),
        (("--components", "2,2"), "--components must be FIRST:LAST"),
        (("--criterion", "evidence"), "--criterion must be one of log_evidence, laplace, aic, bic; got 'evidence'"),
        (("--prior", "1"), "--prior must be SHAPE,RATE"),
        (("--out", "members.json"), "--out must end in .csv"),
    ],
)
def test_mistakes_are_one_line(refuse, table, options, message):
    refuse(message, "mixture", table[0], *options)
