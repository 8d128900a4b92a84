"""Every Python block of README.md and docs/ runs, and prints what stands below it."""

import contextlib
import io
import re
from itertools import zip_longest
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if page.exists()]
FENCE = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page, kind):
    """(code, expected output or None) in the order of the page."""
    found = list(FENCE.finditer(page.read_text()))
    for block, following in zip_longest(found, found[1:]):
        if block["kind"] == kind:
            below = (
                following
                and following["kind"] == "text"
                and not page.read_text()[block.end() : following.start()].strip()
            )
            yield block["text"], following["text"] if below else None


def run(page, kind):
    names = {"__name__": "__main__"}
    for code, expected in blocks(page, kind):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(code, page.name, "exec"), names)
        if expected is not None:
            assert output.getvalue() == expected, code


def pages(kind):
    return [pytest.param(page, id=page.name) for page in PAGES if any(blocks(page, kind))]


@pytest.mark.parametrize("page", pages("python"))
def test_blocks_run_and_print_what_the_page_says(page, tmp_path, monkeypatch, absent_extras_skip):
    if page.stem.startswith("tutorial_"):  # before its R-hat, which is another extra's, is looked up
        pytest.importorskip("matplotlib")
        pytest.importorskip("arviz_stats")
    monkeypatch.chdir(tmp_path)
    with absent_extras_skip():
        run(page, "python")


@pytest.mark.peers
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", pages("{.python .peers}"))
def test_blocks_that_need_peers_run(page, tmp_path, monkeypatch):
    pytest.importorskip("sbi")
    monkeypatch.chdir(tmp_path)
    run(page, "{.python .peers}")
