"""The files that docs/development/architecture.md lists exist and stay few; every public name is in the reference."""

import re
from pathlib import Path

import pytest

import hbm_fast

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "development" / "architecture.md").read_text()
PATHS = re.findall(r"`([\w.]+)` \(at most (\d+)\):\n\n```text\n(.*?)\n```", PAGE, re.DOTALL)


@pytest.mark.parametrize(("function", "limit", "listed"), PATHS, ids=[function for function, *_ in PATHS])
def test_paths_from_public_names_to_kernels(function, limit, listed):
    files = listed.split()
    assert len(set(files)) == len(files) <= int(limit)
    for file in files:
        assert (ROOT / file).is_file(), file


def test_five_functions_are_followed():
    assert [function for function, *_ in PATHS] == [
        "log_likelihood",
        "simulate",
        "sample",
        "exact_posterior",
        "amortize.train",
    ]


def test_every_public_name_is_in_the_reference():
    text = "\n".join(page.read_text() for page in (ROOT / "docs" / "reference").glob("*.md"))
    described = set(re.findall(r"(?:auto|py:)\w+:: (hbm_fast[\w.]+)", text))
    names = {f"hbm_fast.{name}" for name in hbm_fast.__all__ if not name.startswith("__")}
    assert names <= described
    assert not [name for name in described if "._" in name]
