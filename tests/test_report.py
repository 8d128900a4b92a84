"""The report: one page that holds everything, light and dark, readable by a real browser."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from hbm_fast.quadrature import exact_posterior

pytest.importorskip("matplotlib")
from hbm_fast import report


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    saved = {
        "title": "Saved <benchmark>",
        "sentence": "One row.",
        "columns": ["what", "seconds"],
        "rows": [["it", 1.5]],
    }
    (folder / "benchmark.json").write_text(json.dumps(saved))
    (folder / "other.json").write_text("[1, 2]")
    networks = {"a second way": lambda counts: exact_posterior(counts, n_draws=500, rng=1)}
    return report.write(folder / "report.html", networks=networks, results=folder, n_calibration=42, rng=0)


def test_nothing_is_fetched(page):
    text = page.read_text()
    assert not re.findall(r"""(?:src|href|srcset)\s*=\s*["'](?!data:)""", text)
    assert "url(" not in text
    assert "@import" not in text
    assert "<script" not in text


def test_what_it_says(page):
    text = page.read_text()
    titles = re.findall("<h2>(.*?)</h2>", text)
    assert titles == [
        "The question",
        "Question 1: the answers",
        "Question 1: what is believed",
        "Distance from the exact posterior",
        "What alpha means",
        "Calibration",
        "Saved &lt;benchmark&gt;",
        "Environment",
    ]
    assert "<td>exact (quadrature)</td><td>0.98714</td><td>-4.1474</td>" in text
    assert "<td>a second way</td><td>0.98714</td>" in text
    assert text.count("<picture>") == text.count('(prefers-color-scheme: dark)"') == 4
    light, dark = re.findall(r'srcset="(data:[^"]+)"', text), re.findall(r'src="(data:[^"]+)"', text)
    assert len({*light, *dark}) == 8


@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_it(page, tmp_path, width):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    shot = tmp_path / "shot.png"
    command = [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    command += [f"--user-data-dir={tmp_path}", f"--window-size={width},3000", f"--screenshot={shot}", page.as_uri()]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in run.stderr
    from matplotlib.image import imread

    pixels = imread(shot)[..., :3]
    assert pixels.shape[1] >= width
    ink = (pixels < 0.5).all(axis=-1).mean()
    assert 0.005 < ink < 0.5  # text and figures on a light page


def test_the_command(tmp_path):
    command = [sys.executable, "-m", "hbm_fast", "report", "--out", str(tmp_path / "r.html"), "--n-calibration", "21"]
    first = subprocess.run(command, capture_output=True, text=True, check=True)
    assert first.stdout.strip() == str(tmp_path / "r.html")
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert again.stderr.startswith("hbm-fast: error: --out: ")
    assert "pass --force" in again.stderr
    assert again.stderr.count("\n") == 1
