"""`hbm-fast report`: one page that holds everything, light and dark, readable by a real browser."""

import html
import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest

from hbm_fast.report.page import Section, render

pytest.importorskip("matplotlib")
pytest.importorskip("typer")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """As the command writes it, with saved results and a further network."""
    folder = tmp_path_factory.mktemp("report")
    point = {
        "way": "hbm.sample <1 chain>",
        "datasets": 10,
        "measured": 10,
        "extrapolated": False,
        "draws": 100,
        "seconds": 0.5,
        "training_seconds": 0.0,
        "effective_per_second": 2000.0,
        "effective_share": 1.0,
        "ks_log_alpha": 0.03,
        "ks_beta": 0.02,
        "error_log_alpha": 0.1,
    }
    network = {**point, "way": "network", "training_seconds": 60.0, "extrapolated": True, "seconds": 0.25}
    case = {
        "name": "the model of Le (2020)",
        "n_categories": 2,
        "n_groups": 21,
        "totals": 20,
        "reference": "quadrature",
        "judged": 10,
        "ways": {p["way"]: {"note": "", "training_seconds": p["training_seconds"]} for p in (point, network)},
        "points": [point, network],
        "accuracy_against_time": [point, network],
        "break_even": {"network": {"hbm.sample <1 chain>": 2400.0}},
    }
    saved = {
        "kind": "amortized_vs_mcmc",
        "title": "MCMC against a trained network",
        "date": "2026-11-24 12:00 UTC",
        "machine": {"cpu": "a processor"},
        "versions": {"numpyro": "absent"},
        "settings": {"draws": 100, "threads": 1, "budget_seconds": 3},
        "absent_peers": ["numpyro"],
        "peers_left_out": [],
        "works": [case],
    }
    (folder / "benchmark.json").write_text(json.dumps(saved))
    (folder / "other.json").write_text("[1, 2]")
    more = ["--network", "marbles"] if find_spec("torch") else []
    out = folder / "report.html"
    command = [sys.executable, "-m", "hbm_fast", "report", "--out", out, "--results", folder, "--n-calibration", "42"]
    done = subprocess.run([*map(str, command), *more], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(out)
    return out


def test_nothing_is_fetched(page):
    text = page.read_text()
    assert not re.findall(r"""(?:src|href|srcset)\s*=\s*["'](?!data:|#part-)""", text)
    assert "url(" not in text
    assert "@import" not in text
    assert "<script" not in text


def test_headings_and_numbers(page):
    pytest.importorskip("torch")
    text = page.read_text().replace("<wbr>", "")  # where a long word may break
    assert re.findall("<h2[^>]*>(.*?)</h2>", text) == [
        "Question 1: can inference be amortized?",
        "Question 2: can the abstract knowledge be learned as an embedding?",
        "Can the answers be trusted?",
        "Speed, and error beside it",
        "Environment",
    ]
    assert re.findall("<h3>(.*?)</h3>", text) == [
        "The question",
        "What alpha means",
        "The answers",
        "The last bag",
        "The abstract knowledge",
        "New bags",
        "The posteriors",
        "Distance from the exact posterior",
        "The answers",
        "The example",
        "p(theta | z) with exp + 1, Le (2020)",
        "p(theta | z) with exp",
        "What the inference network infers",
        "The plane of z",
        "Which directions of z are used",
        "Calibration of MCMC",
        "Calibration of the top-down network",
        "MCMC against a trained network: the model of Le (2020), K = 2",
        "Accuracy against time: the model of Le (2020), K = 2",
        "Where this was measured",
        "Environment",
    ]
    assert "<td>exact (quadrature)</td><td>0.98714</td><td>-4.1474</td>" in text
    assert re.search(r"<td>network marbles</td><td>0\.98\d{3}</td>", text)
    assert "<td>exact</td><td>0.9871</td><td>-19.444</td>" in text
    assert "<td>network</td><td>10</td><td>~0.25</td><td>60.2</td><td>2,000</td>" in text
    assert "pay against hbm.sample &lt;1 chain&gt; after 2,400 datasets." in text
    assert "numpyro is not installed here" in text
    assert text.count("<picture>") == text.count('(prefers-color-scheme: dark)"') == 16
    light, dark = re.findall(r'srcset="(data:[^"]+)"', text), re.findall(r'src="(data:[^"]+)"', text)
    assert len({*light, *dark}) == 32


# Sizes as the browser sees them, measured by a script in a copy: the page itself has none.
MEASURE = """<script>addEventListener("load", () => {
  const images = [...document.images].map(i => [i.naturalWidth, i.naturalHeight, i.clientWidth, i.clientHeight]);
  const sizes = {images, page: document.documentElement.scrollWidth, window: innerWidth};
  document.documentElement.dataset.sizes = JSON.stringify(sizes);
});</script></body>"""


def chromium(tmp_path, *arguments):
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on this machine")
    command = [found, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in run.stderr
    return run.stdout


@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_it(page, tmp_path, width):
    shot = tmp_path / "shot.png"
    chromium(tmp_path, f"--window-size={width},3000", f"--screenshot={shot}", page.as_uri())
    from matplotlib.image import imread

    pixels = imread(shot)[..., :3]
    assert pixels.shape[1] >= width
    ink = (pixels < 0.5).all(axis=-1).mean()
    assert 0.005 < ink < 0.5  # text and figures on a light page


@pytest.mark.parametrize("width", [1280, 390])
def test_every_figure_is_visible(page, tmp_path, width):
    copy = tmp_path / "copy.html"
    copy.write_text(page.read_text().replace("</body>", MEASURE))
    dom = chromium(tmp_path, f"--window-size={width},900", "--dump-dom", copy.as_uri())
    sizes = json.loads(html.unescape(re.search('data-sizes="([^"]+)"', dom)[1]))
    assert len(sizes["images"]) == page.read_text().count("<picture>")
    for natural_width, natural_height, shown_width, shown_height in sizes["images"]:
        assert min(natural_width, natural_height) > 100  # decoded
        assert 300 <= shown_width <= sizes["window"]  # wide enough to read, without scrolling
        assert shown_height / shown_width == pytest.approx(natural_height / natural_width, rel=0.02)
    assert sizes["page"] <= sizes["window"]  # the page itself does not scroll sideways


def test_a_section_of_ones_own():
    section = Section("A section of one's own", "One row.", columns=("a", "b"), rows=[("x", "<y>")], chapter="More")
    text = render([section], "A title", "<em>An introduction</em>")
    assert '<h2 class="chapter" id="part-0">More</h2>' in text
    assert "<h3>A section of one&#x27;s own</h3>" in text
    assert "<td>x</td><td>&lt;y&gt;</td>" in text
    assert "<p><em>An introduction</em></p>" in text
