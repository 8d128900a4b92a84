"""RESULTS.md is made from saved JSON: every known shape of it is rendered, and lost works are named."""

import importlib.util
import json
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "make_results.py"
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="benchmarks/ is part of the sources, not of the wheel")


@pytest.fixture(scope="module")
def make_results():
    spec = importlib.util.spec_from_file_location("make_results", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def bench(group, way, median, **extra):
    stats = {"median": median}
    return {
        "group": group,
        "name": f"test_x[{way}]",
        "params": {"peer": way, "work": "i"},
        "stats": stats,
        "extra_info": extra,
    }


@pytest.fixture
def folder(tmp_path):
    files = {
        "likelihood": {
            "machine_info": {"cpu": {"brand_raw": "A CPU"}, "python_version": "3.11.7"},
            "datetime": "2026-11-24T12:00:00",
            "benchmarks": [
                bench("rows (i)", "hbm_fast", 0.001, error=1e-15),
                bench("rows (i)", "hbm_fast, two threads", 0.0004, error=1e-15),
                bench("rows (i)", "scipy", 0.1, error=3e-9),
                bench("rows (ii)", "hbm_fast", 0.002, error=0.0),
                bench("rows (ii)", "a table", 0.001, error=0.0),
                # the peer ran a tenth of the work
                bench("shares", "hbm_fast", 0.01, microseconds_a_dataset=1.0),
                bench("shares", "a loop", 0.01, microseconds_a_dataset=10.0),
            ],
        },
        "sampling": {
            "machine": {"cpu": "A CPU", "python": "3.11.7"},
            "versions": {"numpyro": "0.22.0", "pymc": "absent"},
            "works": {
                "i": {
                    "hbm_fast auto": {
                        "wall_s": 0.01, "ess": 3000.0, "ess_per_wall_s": 3e5, "log_alpha": -4.147, "z": 0.1, "rhat": 1.0
                    },
                    "numpyro": {
                        "wall_s": 10.0, "ess": 2000.0, "ess_per_wall_s": 200.0, "log_alpha": -4.1, "z": 1.0, "rhat": 1.0
                    },
                },
                "v": {"hbm_fast": {"cpu_s": 0.1, "wall_s": 0.2}},
            },
        },
        "scale": {
            "date": "2026-11-24", "groups": 1_000_000, "runs": [{"workers": 1, "seconds": 2.0}], "peak": {"MB": 9}
        },
    }  # fmt: skip
    for name, content in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return tmp_path


def test_every_shape_is_rendered(make_results, folder):
    text = make_results.render(folder)
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == [
        "# Results",
        "## Works that are lost",
        "## Likelihood",
        "### rows (i)",
        "### rows (ii)",
        "### shares",
        "## Posterior sampling",
        "### (i) the note's 21 bags, K = 2",
        "### (v) 100 datasets of kind (i), one chain of 1,000 draws each",
        "## Past one machine",
        "### runs",
        "### peak",
    ]
    assert "`likelihood.json`: A CPU, Python 3.11.7, 2026-11-24 12:00." in text
    assert "| scipy | 0.1 | 100 | 3.00e-09 |" in text  # against one thread of ours
    assert "| a loop | 0.01 | 10 | 10 |" in text
    assert "| numpyro | 200 | 10 | 2000 | -4.1 | 1 | 1 | 1.5e+03 |" in text
    assert "numpyro 0.22.0" in text
    assert "pymc" not in text.split("### (i)")[0]
    assert "| groups | 1,000,000 |" in text
    assert "| 0 | 1 | 2 |" in text


def test_lost_works_are_named(make_results, folder):
    lost = make_results.render(folder).split("## Likelihood")[0]
    assert "- Likelihood, rows (ii): a table is faster, by a factor of 2.00." in lost
    assert lost.count("\n- ") == 1


def test_the_committed_results_are_rendered(make_results, tmp_path):
    text = make_results.render(SCRIPT.parent / "results")
    assert "## Posterior sampling" in text
    for line in text.splitlines():
        assert line.startswith("|") <= line.endswith("|")
