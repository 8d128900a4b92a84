"""The tutorials in docs/ are executed as they stand: every ``python`` block runs, and prints what the page says."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(DOCS.glob("tutorial_*.md"))
BLOCK = re.compile(r"```python\n(.*?)```\n(?:\n((?:    [^\n]*\n)+))?", re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(page, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    pytest.importorskip("arviz_stats")
    monkeypatch.chdir(tmp_path)
    names = {}
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    assert blocks
    for code, expected in blocks:
        exec(compile(code, str(page), "exec"), names)
        printed = capsys.readouterr().out
        assert printed == re.sub(r"^ {4}", "", expected, flags=re.MULTILINE)
    figures = list(tmp_path.glob("*.png"))
    assert figures
    assert all(figure.stat().st_size > 10_000 for figure in figures)


@pytest.mark.skipif(not DOCS.is_dir(), reason="the tests run without the sources, beside an installed wheel")
def test_there_are_pages():
    assert PAGES
