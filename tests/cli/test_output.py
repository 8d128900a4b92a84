"""What sample, fit and infer print and write: one JSON schema, tables of 80 columns, labels, progress."""

import csv
import io
import json
import math
import subprocess
import sys

import numpy as np
import pytest

import hbm_fast as hbm

pytest.importorskip("typer")

COMMANDS = ["sample", "fit", "infer"]
KEYS = ["command", "data", "n_groups", "n_categories", "model", "method", "warnings", "parameters"]
ROW = ["mean", "sd", "lower", "upper", "ess", "r_hat"]


def options(command):
    if command == "infer":
        pytest.importorskip("torch")
    return {"sample": ["--draws", 200, "--quiet"], "infer": ["--draws", 200]}.get(command, [])


def no_constant(constant):
    raise AssertionError(f"JSON has no {constant}")


def check_record(found, command, n_groups, names):
    """The schema that docs/reference/command_line.md states."""
    assert set(KEYS) <= set(found)
    assert (found["command"], found["n_groups"], found["n_categories"]) == (command, n_groups, len(names))
    assert all(isinstance(found[key], str) for key in ("data", "model", "method"))
    assert all(isinstance(text, str) for text in found["warnings"])
    assert {"alpha", "log_alpha", *(f"beta[{name}]" for name in names)} <= set(found["parameters"])
    for row in found["parameters"].values():
        assert list(row) == ROW
        assert all(value is None or math.isfinite(value) for value in row.values())
        if row["lower"] is not None:
            assert row["lower"] <= row["upper"]


@pytest.fixture
def files(tmp_path):
    """Counts of 12 groups of two kinds, with long names, as CSV, as QIIME writes them, and with their metadata."""
    names = [f"k__Bacteria f__Family{k} g__A very long genus name {k}" for k in range(3)]
    rows = hbm.simulate(hbm.HierarchicalModel(3), 1, n_groups=12, totals=20, alpha=5.0, rng=4).counts[0].tolist()
    groups = [f"S{n}" for n in range(12)]
    kinds = ["lean", "obese"] * 6
    tables = {
        "wide.csv": [["sample", *names], *([g, *row] for g, row in zip(groups, rows, strict=True))],
        "kinds.csv": [
            ["sample", "kind", *names],
            *([g, kind, *row] for g, kind, row in zip(groups, kinds, rows, strict=True)),
        ],
        "meta.csv": [["sample", "kind"], *map(list, zip(groups, kinds, strict=True))],
    }
    for name, table in tables.items():
        with (tmp_path / name).open("w", newline="") as stream:
            csv.writer(stream).writerows(table)
    lines = ["# Constructed from biom file", "\t".join(["#OTU ID", *groups, "taxonomy"])]
    lines += ["\t".join([f"otu{k}", *(f"{row[k]}.0" for row in rows), names[k]]) for k in range(3)]
    (tmp_path / "otu.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path, names, np.array(rows)


@pytest.mark.parametrize("command", COMMANDS)
def test_one_schema(run, files, command):
    folder, names, _ = files
    code, out, _ = run(command, folder / "wide.csv", "--json", *options(command))
    assert code == 0
    found = json.loads(out, parse_constant=no_constant)
    check_record(found, command, 12, names)
    assert found["data"] == "wide.csv"
    assert found["parameters"]["alpha"]["sd"] > 0


def test_undefined_numbers_are_null(run, tmp_path):
    file = tmp_path / "even.csv"
    file.write_text("white,black\n5,5\n5,5\n4,6\n")
    found = json.loads(run("fit", file, "--json")[1], parse_constant=no_constant)
    check_record(found, "fit", 3, ["white", "black"])
    assert found["parameters"]["alpha"]["mean"] is None
    found = json.loads(run("sample", file, "--method", "exact", "--json")[1], parse_constant=no_constant)
    assert [found["parameters"]["alpha"][key] for key in ("ess", "r_hat")] == [None, None]


@pytest.mark.parametrize("command", COMMANDS)
def test_tables_fit_80_columns_sorted_by_mean(run, files, command):
    folder, names, counts = files
    code, out, _ = run(command, folder / "wide.csv", *options(command))
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    rows = [line for line in out.splitlines() if line.startswith(("alpha  ", "log_alpha  ", "beta["))]
    assert [row.split()[0] for row in rows[:2]] == ["alpha", "log_alpha"]
    order = [int(row[: row.index("]")].split()[-1]) for row in rows[2:]]
    assert order == np.argsort(-counts.sum(axis=0)).tolist()
    wide = run(command, folder / "wide.csv", "--wide", *options(command))[1]
    assert all(f"beta[{name}]" in wide for name in names)


def test_many_rows_are_counted_and_wide_shows_all(run, tmp_path):
    counts = hbm.datasets.load_twins()
    np.savez(tmp_path / "twins.npz", counts=counts.counts, category_names=counts.category_names)
    out = run("fit", tmp_path / "twins.npz")[1]
    assert max(map(len, out.splitlines())) <= 80
    assert out.count("beta[") == 20
    assert "and 110 smaller ones: --wide shows all" in out
    assert run("fit", tmp_path / "twins.npz", "--wide")[1].count("beta[") == 130


@pytest.mark.parametrize("command", COMMANDS)
def test_by_gives_one_result_a_label(run, files, command):
    folder, names, _ = files
    more = options(command)
    table = ["--by", "kind", "--json", *more]
    found = json.loads(run(command, folder / "kinds.csv", *table)[1])
    assert (found["column"], list(found["by"])) == ("kind", ["lean", "obese"])
    for record in found["by"].values():
        check_record(record, command, 6, names)
    other = json.loads(run(command, folder / "wide.csv", "--metadata", folder / "meta.csv", *table)[1])
    assert [r["parameters"] for r in other["by"].values()] == [r["parameters"] for r in found["by"].values()]
    assert found["by"]["lean"]["parameters"] != found["by"]["obese"]["parameters"]
    out = run(command, folder / "kinds.csv", "--by", "kind", *more)[1]
    assert [line for line in out.splitlines() if "kinds.csv, lean: 6 groups" in line or "kinds.csv, obese:" in line]
    assert max(map(len, out.splitlines())) <= 80


def test_by_writes_a_file_a_label_and_one_figure(run, files):
    for module in ("matplotlib", "pandas", "scipy"):
        pytest.importorskip(module)
    folder, names, counts = files
    targets = ["--out", folder / "d.csv", "--groups", folder / "g.csv", "--figure", folder / "f.png"]
    arguments = ["sample", folder / "kinds.csv", "--by", "kind", "--draws", 100, "--chains", 2, "--quiet", *targets]
    assert run(*arguments)[0] == 0
    for label, first in (("lean", 0), ("obese", 1)):
        assert len((folder / f"d-{label}.csv").read_text().splitlines()) == 1 + 200
        rows = list(csv.DictReader(io.StringIO((folder / f"g-{label}.csv").read_text())))
        assert len(rows) == 7 * 3
        assert (rows[0]["group"], rows[0]["category"]) == (f"S{first}", names[0])
        assert [row["group"] for row in rows[-3:]] == ["(new group)"] * 3
        post = hbm.sample(counts[first::2], n_draws=100, n_chains=2, rng=0, diagnostics=False)
        for name in ("mean", "lower", "upper"):
            found = [float(row[name]) for row in rows]
            np.testing.assert_allclose(found[:-3], post.proportions()[name], rtol=1e-3)
        np.testing.assert_allclose([float(row["mean"]) for row in rows[-3:]], post.predict(), rtol=1e-3)
        assert all(float(row["lower"]) < float(row["mean"]) < float(row["upper"]) for row in rows[-3:])
        assert int(rows[0]["count"]) == counts[first, 0]
        assert float(rows[0]["raw"]) == pytest.approx(counts[first, 0] / 20, abs=5e-5)
        assert max(len(row["mean"].replace("0.", "").lstrip("0")) for row in rows if "e" not in row["mean"]) <= 4
    assert (folder / "f.png").read_bytes().startswith(b"\x89PNG")
    code, _, err = run(*arguments[:-2])
    assert (code, err.count("\n"), "d-lean.csv" in err) == (2, 1, True)


def test_proportions_of_groups_need_pandas(run, files, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    target = files[0] / "g.csv"
    assert "pip install 'hbm-fast[report]'" in run("sample", files[0] / "wide.csv", "--groups", target)[2]
    assert not target.exists()


def test_tables_of_qiime_standard_input_and_dropped_columns(run, files):
    folder, _, counts = files
    expected = hbm.fit(counts).alpha
    for arguments in ([folder / "otu.tsv"], [folder / "kinds.csv", "--drop", "kind"], [folder / "wide.csv"]):
        found = json.loads(run("fit", *arguments, "--json")[1])
        assert found["alpha"] == pytest.approx(expected, rel=1e-9)
    assert "12 groups x 3 categories (the rows of the file)" in run("fit", folder / "otu.tsv")[1]
    labelled = ["fit", folder / "otu.tsv", "--metadata", folder / "meta.csv", "--by", "kind"]
    assert run(*labelled)[1].count("6 groups x 3 categories (the rows of the") == 2
    assert all(record["transposed"] for record in json.loads(run(*labelled, "--json")[1])["by"].values())
    assert json.loads(run("fit", folder / "wide.csv", "--transpose", "--json")[1])["n_groups"] == 3
    command = [sys.executable, "-m", "hbm_fast", "fit", "-", "--json"]
    text = (folder / "wide.csv").read_text()
    piped = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    assert json.loads(piped.stdout)["data"] == "stdin"
    assert json.loads(piped.stdout)["alpha"] == pytest.approx(expected, rel=1e-9)


def test_layers_of_anndata(run, files):
    anndata = pytest.importorskip("anndata")
    pd = pytest.importorskip("pandas")
    folder, names, counts = files
    obs = pd.DataFrame({"kind": ["lean", "obese"] * 6}, index=[f"S{n}" for n in range(12)])
    data = anndata.AnnData(counts / 3, obs=obs, var=pd.DataFrame(index=names), layers={"counts": counts})
    data.write_h5ad(folder / "cells.h5ad")
    table = ["fit", folder / "cells.h5ad", "--json"]
    assert json.loads(run(*table, "--layer", "counts")[1])["alpha"] == hbm.fit(counts).alpha
    assert list(json.loads(run(*table, "--layer", "counts", "--by", "kind")[1])["by"]) == ["lean", "obese"]
    assert "This is X of AnnData, whose layers are 'counts': pass --layer," in run(*table)[2]
    assert "--layer is for .h5ad; got --layer 'counts'" in run("fit", folder / "wide.csv", "--layer", "counts")[2]


def test_mistakes_name_the_options(refuse, files):
    folder, _, _ = files
    for arguments, message in [
        (["kinds.csv"], "--drop 'kind'"),
        (["kinds.csv", "--drop", "nope"], "--drop must name columns; got 'nope'"),
        (["wide.csv", "--by", "kind"], "--by must name columns; got 'kind'"),
        (["wide.csv", "--metadata", folder / "meta.csv"], "--metadata needs --by"),
        (["wide.csv", "--metadata", folder / "meta.csv", "--by", "age"], "--by must name columns; got 'age'"),
    ]:
        refuse(message, "fit", folder / arguments[0], *arguments[1:])


def test_infer_writes_what_sample_writes(run, tmp_path):
    for module in ("torch", "matplotlib", "pandas", "scipy"):
        pytest.importorskip(module)
    (tmp_path / "bags.csv").write_text("bag,white,black\na,3,0\nb,0,4\n")
    targets = ["--out", tmp_path / "d.csv", "--groups", tmp_path / "g.csv", "--figure", tmp_path / "f.svg"]
    code, out, _ = run("infer", tmp_path / "bags.csv", "--network", "marbles", "--draws", 60, *targets)
    assert code == 0
    assert "beta[white]" in out
    rows = list(csv.DictReader(io.StringIO((tmp_path / "d.csv").read_text())))
    assert list(rows[0]) == ["chain", "draw", "log_weight", "alpha", "beta[white]", "beta[black]"]
    assert sum(math.exp(float(row["log_weight"])) for row in rows) == pytest.approx(1.0)
    assert (tmp_path / "g.csv").read_text().splitlines()[1].startswith("a,white,3,1.0,")
    assert (tmp_path / "f.svg").stat().st_size > 1000


def test_learned_concentration_and_priors_for_a_table(run, refuse, tmp_path):
    twins = hbm.datasets.load_twins()
    file = tmp_path / "twins.npz"
    np.savez(file, counts=twins.counts[:10], category_names=twins.category_names)
    command = ["sample", file, "--draws", 150, "--chains", 2, "--quiet"]
    code, out, err = run(*command)
    assert code == 0
    assert "hbm-fast sample --for-table learns the concentration" in err
    assert "beta_concentration" not in out
    found = json.loads(run(*command, "--json")[1])
    assert [text.split(" adds")[0] for text in found["warnings"] if "pseudo" in text] == ["the prior of beta"]
    code, out, err = run(*command, "--for-table", "--out", tmp_path / "d.csv")
    assert (code, "pseudo-counts" in err) == (0, False)
    rows = out.splitlines()
    assert max(map(len, rows)) <= 80
    at = next(n for n, row in enumerate(rows) if row.startswith("alpha "))
    assert [row.split()[0] for row in rows[at : at + 3]] == ["alpha", "log_alpha", "beta_concentration"]
    model = hbm.HierarchicalModel.for_table(twins.counts[:10])
    post = hbm.sample(twins.counts[:10], model, n_draws=150, n_chains=2, rng=0, diagnostics=False)
    with (tmp_path / "d.csv").open(newline="") as stream:
        draws = [float(row["beta_concentration"]) for row in csv.DictReader(stream)]
    assert draws == post.beta_concentration.ravel().tolist()
    learned = json.loads(run(*command, "--beta", "gamma:2,4", "--json")[1])
    assert "concentration=Gamma(shape=2.0, rate=4.0)" in learned["model"]
    assert learned["parameters"]["beta_concentration"]["mean"] < 0.3
    assert "Dirichlet(concentration=0.1)" in json.loads(run(*command, "--beta", "0.1", "--json")[1])["model"]
    for options, message in (
        (["--for-table", "--alpha", "fixed:3"], "--for-table chooses both priors"),
        (["--beta", "none"], "--beta must be the concentration of a Dirichlet, a positive number such as 0.5, or"),
        (["--beta", "-1"], "--beta must be"),
        (["--beta", "exponential:x"], "--beta exponential:rate: could not convert"),
        (["--beta", "exponential:1", "--method", "exact"], "--method exact needs a known concentration of beta"),
    ):
        refuse(message, *command, *options)


def test_version_and_short_help(run):
    assert run("--version")[:2] == (0, f"hbm-fast {hbm.__version__}\n")
    for command in ([], ["sample"], ["config"]):
        assert run(*command, "-h") == run(*command, "--help")


LABELLED = "group,kind,a,b\nx,p q,5,5\ny,p q,4,6\nz,p_q,9,1\nw,p_q,1,9\n"


@pytest.mark.parametrize("command", ["sample", "fit"])
def test_labels_that_have_one_file_are_refused(run, tmp_path, command):
    (tmp_path / "t.csv").write_text(LABELLED)
    code, _, err = run(command, tmp_path / "t.csv", "--by", "kind", "--out", tmp_path / "d.csv")
    assert (code, "'p q' and 'p_q' have one file" in err) == (2, True)
    assert [file.name for file in tmp_path.iterdir()] == ["t.csv"]


def test_the_figure_of_labels_leaves_out_what_has_no_maximum(run, tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "t.csv").write_text(LABELLED)
    code, out, err = run("fit", tmp_path / "t.csv", "--by", "kind", "--figure", tmp_path / "f.png")
    assert (code, out.count("2 groups x 2 categories"), "p q is not in the figure" in err) == (0, 2, True)
    assert (tmp_path / "f.png").exists()


def test_a_report_of_an_empty_table_and_of_a_numbered_category(run, tmp_path):
    pytest.importorskip("matplotlib")
    page = tmp_path / "page.html"
    for content, more in (("g,a,b\nx,0,0\ny,0,0\n", []), ("5,5\n3,4\n", ["--category", "0"])):
        (tmp_path / "t.csv").write_text(content)
        options = ["--draws", 100, "--out", page, "--quiet", "--force", *more]
        assert run("report", tmp_path / "t.csv", *options)[0] == 0
        assert ("Posterior predictive check" in page.read_text()) == bool(more)
        assert ("Shrinkage of 0" in page.read_text()) == bool(more)


def test_groups_of_a_frequency_table_are_counted_by_weight(run, tmp_path):
    (tmp_path / "t.csv").write_text("kind,a,b,weight\np,3,1,10\np,1,3,3\nq,2,2,2\nq,0,4,1\n")
    found = json.loads(run("fit", tmp_path / "t.csv", "--by", "kind", "--json")[1])
    assert (found["n_groups"], [record["n_groups"] for record in found["by"].values()]) == (16, [13, 3])
