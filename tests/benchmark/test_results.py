"""RESULTS.md is rendered from records: a table for each case or family of cases, and the cases that peers win."""

import sys
from pathlib import Path

import pytest

from hbm_fast.benchmark.records import Record, Results

FOLDER = Path(__file__).parents[2] / "benchmarks"
pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="benchmarks/ is part of the sources, not of the wheel")


@pytest.fixture(scope="module")
def render():
    sys.path.insert(0, str(FOLDER))
    try:
        import render
    finally:
        sys.path.remove(str(FOLDER))
    return render.render


@pytest.fixture
def page(render, tmp_path):
    machine = {"cpu": "A CPU", "python": "3.11.7", "cpus": 2}
    Results(
        "Likelihood",
        [
            Record("rows (i)", "hbm_fast", 0.001, 1.0, 1e-15),
            Record("rows (i)", "hbm_fast, two threads", 0.0004, 0.4, 1e-15),
            Record("rows (i)", "scipy", 0.1, 100.0, 3e-9, metrics={"ns_a_row": 1234567.0}),
            Record("rows (ii)", "hbm_fast", 0.002, 1.0, 0.0),
            Record("rows (ii)", "a table", 0.001, 0.5, 0.0),
            Record("rows (iii)", "slow", note="not finished in 20 s"),
        ],
        machine,
        {"numpyro": "0.22.0", "pymc": "absent"},
        "2026-11-24 12:00 UTC",
        ["a note"],
    ).write(tmp_path / "likelihood.json")
    records = [
        Record("networks: marbles", "hbm_fast", error=0.5, ess=0.25, metrics={"calibrated": True}),
        Record("networks: any-k", "hbm_fast", error=0.25, metrics={"outcomes": {"maximum": 4, "zero": 1}}),
    ]
    Results("Other", records).write(tmp_path / "a_suite_without_an_order.json")
    return render(tmp_path)


def test_tables(page):
    headings = [line for line in page.splitlines() if line.startswith("#")]
    assert headings == [
        "# Results",
        "## Cases in which hbm_fast is slower",
        "## Likelihood",
        "### rows (i)",
        "### rows (ii)",
        "### rows (iii)",
        "## Other",
        "### networks",
    ]
    assert "`likelihood.json`: A CPU, python 3.11.7, numpyro 0.22.0, 2026-11-24 12:00 UTC.\n\n- a note\n" in page
    assert "| method | seconds | ratio | error | ns a row |" in page
    assert "| scipy | 0.1 | 100 | 3.00e-09 | 1,234,567 |" in page
    assert "| hbm_fast | 0.001 | 1 | 1.00e-15 |  |" in page
    assert "| slow | value |\n| --- | ---: |\n| note | not finished in 20 s |" in page  # one record: a metric a line
    assert "| case | error | ess | calibrated | outcomes |" in page  # a family of cases shares a table
    assert "| marbles | 0.5 | 0.25 | yes |  |" in page
    assert "| any-k | 0.25 |  |  | maximum 4, zero 1 |" in page


def test_cases_with_a_faster_peer_are_listed(page):
    listed = page.split("## Likelihood")[0]
    assert "- Likelihood, rows (ii): a table is faster, by a factor of 2.00." in listed
    assert listed.count("\n- ") == 1


def test_the_committed_results_are_rendered(render):
    text = render(FOLDER / "results")
    assert text == (FOLDER / "RESULTS.md").read_text(encoding="utf-8")
    for line in text.splitlines():
        assert line.startswith("|") <= line.endswith("|")
