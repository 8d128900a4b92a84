"""The Python blocks of README.md print the output shown; Sphinx executes the pages in docs/ when it builds them."""

import contextlib
import io
import itertools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
FENCE = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
PEERS = re.compile(r"^```\{code-block\} python\n:class: peers\n\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(not README.exists(), reason="the tests run without the sources, beside an installed wheel")
def test_readme_prints_what_it_shows(tmp_path, monkeypatch, absent_extras_skip):
    monkeypatch.chdir(tmp_path)
    blocks = list(FENCE.finditer(README.read_text()))
    names = {"__name__": "__main__"}
    checked = 0
    for block, following in itertools.pairwise(blocks):
        if block["kind"] != "python":
            continue
        output = io.StringIO()
        with contextlib.redirect_stdout(output), absent_extras_skip():
            exec(compile(block["text"], README.name, "exec"), names)
        if following["kind"] == "text":
            assert output.getvalue() == following["text"], block["text"]
            checked += 1
    assert checked


@pytest.mark.peers
@pytest.mark.filterwarnings("default")
def test_blocks_that_need_peers_run(tmp_path, monkeypatch):
    pytest.importorskip("sbi")
    monkeypatch.chdir(tmp_path)
    blocks = [
        match["text"]
        for page in sorted((ROOT / "docs" / "guide").glob("*.md"))
        for match in PEERS.finditer(page.read_text())
    ]
    assert blocks
    for code in blocks:
        exec(compile(code, "docs/guide", "exec"), {"__name__": "__main__"})
