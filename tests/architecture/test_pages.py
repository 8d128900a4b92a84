"""The files that docs/development/architecture.md lists exist, and are no more than it states."""

import re
from pathlib import Path

import pytest

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
