"""The report: one page that holds everything, light and dark, readable by a real browser."""

import html
import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest

from hbm_fast.exact import exact_posterior

pytest.importorskip("matplotlib")
from hbm_fast.experiments import report


@pytest.fixture(scope="module")
def page(tmp_path_factory):
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
    networks = {"a second method": lambda counts: exact_posterior(counts, n_draws=500, rng=1)}
    more = report.Section("A section of one's own", "One row.", columns=("a", "b"), rows=[("x", "<y>")], chapter="More")
    return report.write(
        folder / "report.html", networks=networks, sections=[more], results=folder, n_calibration=42, rng=0
    )


def test_nothing_is_fetched(page):
    text = page.read_text()
    assert not re.findall(r"""(?:src|href|srcset)\s*=\s*["'](?!data:|#part-)""", text)
    assert "url(" not in text
    assert "@import" not in text
    assert "<script" not in text


def test_headings_and_numbers(page):
    pytest.importorskip("torch")
    text = page.read_text()
    assert re.findall("<h2[^>]*>(.*?)</h2>", text) == [
        "Question 1: can inference be amortized? Yes, top-down",
        "More",
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
        "A section of one&#x27;s own",
        "Calibration of MCMC",
        "Calibration of the top-down network",
        "MCMC against a trained network: the model of Le (2020), K = 2",
        "Accuracy against time: the model of Le (2020), K = 2",
        "Where this was measured",
        "Environment",
    ]
    assert "<td>exact (quadrature)</td><td>0.98714</td><td>-4.1474</td>" in text
    assert "<td>a second method</td><td>0.98714</td>" in text
    assert "<td>network</td><td>10</td><td>~0.25</td><td>60.2</td><td>2,000</td>" in text
    assert "2,400 against hbm.sample &lt;1 chain&gt;" in text
    assert "numpyro is not installed here" in text
    assert text.count("<picture>") == text.count('(prefers-color-scheme: dark)"') == 10
    light, dark = re.findall(r'srcset="(data:[^"]+)"', text), re.findall(r'src="(data:[^"]+)"', text)
    assert len({*light, *dark}) == 20


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
        assert shown_width >= 300  # wide enough to read; a phone scrolls it in its own box
        assert shown_height / shown_width == pytest.approx(natural_height / natural_width, rel=0.02)
    assert sizes["page"] <= sizes["window"]  # the page itself does not scroll sideways


def test_the_command(tmp_path):
    command = [sys.executable, "-m", "hbm_fast", "report", "--out", str(tmp_path / "r.html"), "--n-calibration", "21"]
    first = subprocess.run(command, capture_output=True, text=True, check=True)
    assert first.stdout.strip() == str(tmp_path / "r.html")
    if find_spec("torch") is not None:
        text = (tmp_path / "r.html").read_text()
        assert "Question 2: can the abstract knowledge be learned as an embedding? Yes, with another link" in text
        for figure in (
            "The example",
            "p(theta | z) with exp",
            "What the inference network infers",
            "The partition",
        ):
            assert figure in text
        assert "<td>exact</td><td>0.9871</td><td>-19.444</td>" in text
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert again.stderr.startswith("hbm-fast: error: --out: ")
    assert "pass --force" in again.stderr
    assert again.stderr.count("\n") == 1
