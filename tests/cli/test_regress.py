"""`hbm-fast regress`: a table and its covariates in, coefficients and a test out, mistakes in one line."""

import csv
import json

import numpy as np
import pytest

import hbm_fast as hbm

pytest.importorskip("typer")
pandas = pytest.importorskip("pandas")
pytest.importorskip("formulaic")


@pytest.fixture
def study(tmp_path):
    """A table of 24 groups, and their covariates in another order."""
    names = [f"g{i}" for i in range(24)]
    data = pandas.DataFrame({"group": ["a", "b"] * 12, "person": np.arange(24) // 2}, index=names)
    truth = {"coefficients": [[0.5, 0.2, 0.0], [1.0, 0.0, 0.0]], "precision_coefficients": [2.0]}
    sims = hbm.simulate(hbm.RegressionModel(3, mean="~ group"), 1, data=data, totals=(20, 60), rng=4, **truth)
    counts = pandas.DataFrame(sims.counts[0], index=data.index, columns=["x", "y", "z"])
    counts.to_csv(tmp_path / "counts.csv", index_label="name")
    data[::-1].to_csv(tmp_path / "meta.csv", index_label="name")
    return tmp_path, counts, data


def test_it_is_fit(run, study):
    folder, counts, data = study
    arguments = ("regress", folder / "counts.csv", "--data", folder / "meta.csv", "--mean", "~ group")
    fit = hbm.fit(counts, hbm.RegressionModel(3, mean="~ group"), data=data)
    code, out, err = run(*arguments, "--out", folder / "coefficients.csv")
    assert (code, err) == (0, "")
    assert out.startswith(str(fit.summary()))
    test = fit.likelihood_ratio_test(hbm.fit(counts, hbm.RegressionModel(3)), small_sample=True)
    assert f"p = {test.p_value:.4g}" in out
    with (folder / "coefficients.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["term"] for row in rows] == ["Intercept", "group[T.b]"] * 2 + ["Intercept"]
    assert float(rows[1]["estimate"]) == fit.coefficients[1, 0]
    code, out, _ = run(*arguments, "--json")
    record = json.loads(out)
    assert record["likelihood_ratio_test"]["p_value"] == pytest.approx(test.p_value)
    assert record["parameters"]["group[T.b][y]"]["sd"] == pytest.approx(fit.standard_error[1, 1])


def test_options_are_those_of_the_model(run, study):
    folder, counts, data = study
    code, out, _ = run(
        "regress", folder / "counts.csv", "--data", folder / "meta.csv", "--mean", "~ group", "--reference", "x",
        "--random-intercept", "person", "--shared-scale", "--out", folder / "fit.json",
    )  # fmt: skip
    model = hbm.RegressionModel(3, mean="~ group", reference="x", random_intercept="person", shared_scale=True)
    fit = hbm.fit(counts, model, data=data)
    assert code == 0
    assert "sd of y" in out
    record = json.loads((folder / "fit.json").read_text())
    assert record["log_likelihood"] == pytest.approx(fit.log_likelihood, abs=1e-8)


def test_mistakes_are_one_line(refuse, study):
    folder, _, data = study
    table, meta = folder / "counts.csv", folder / "meta.csv"
    cases = [
        ((table, "--mean", "~ group"), "needs data"),
        ((table, "--data", meta, "--mean", "~ sex"), "lacks: sex"),
        ((table, "--data", meta, "--mean", "~ group", "--reference", "w"), "reference must be one of"),
        ((table, "--data", folder / "absent.csv", "--mean", "~ group"), "absent.csv"),
    ]
    data[:20].to_csv(folder / "short.csv", index_label="name")
    cases.append(((table, "--data", folder / "short.csv", "--mean", "~ group"), "names of all groups"))
    pandas.concat([data, data[:1]]).to_csv(folder / "twice.csv", index_label="name")
    cases.append(((table, "--data", folder / "twice.csv", "--mean", "~ group"), "name twice"))
    for arguments, message in cases:
        refuse(message, "regress", *arguments)
