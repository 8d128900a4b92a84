"""The files that docs/development/architecture.md lists exist and stay few; every public name is in the reference."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import hbm_fast

ROOT = Path(__file__).parents[2]
COUNTS = np.array([[3, 1], [0, 5], [2, 2]])
if not (ROOT / "docs").exists():
    pytest.skip("the tests run without the documents, beside an installed wheel", allow_module_level=True)
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


KERNELS = {
    "log_likelihood": ("log_pmf", lambda: hbm_fast.log_likelihood(COUNTS, np.ones(2))),
    "simulate": ("simulate", lambda: hbm_fast.simulate(hbm_fast.HierarchicalModel(2), 1, n_groups=3, totals=5, rng=0)),
    "sample": ("sample", lambda: hbm_fast.sample(COUNTS, rng=0, n_draws=10, diagnostics=False)),
    "exact_posterior": ("logit_density", lambda: hbm_fast.exact_posterior(COUNTS)),
}


@pytest.mark.parametrize("function", KERNELS)
def test_python_files_between_a_public_name_and_its_kernel_are_listed(function):
    kernel, call = KERNELS[function]
    package = Path(hbm_fast.__file__).parent
    found = set()

    def profile(frame, event, called):
        if event == "c_call" and called.__name__ == kernel and called.__module__.startswith("hbm_fast._core"):
            while frame is not None:
                file = Path(frame.f_code.co_filename)
                found.update([file.relative_to(package.parent)] if package in file.parents else [])
                frame = frame.f_back

    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)
    listed = {Path(file) for name, _, files in PATHS if name == function for file in files.split()}
    assert found
    assert {"python" / file for file in found} <= listed


def test_every_public_name_is_in_the_reference():
    text = "\n".join(page.read_text() for page in (ROOT / "docs" / "reference").glob("*.md"))
    described = set(re.findall(r"(?:auto|py:)\w+:: (hbm_fast[\w.]+)", text))
    names = {f"hbm_fast.{name}" for name in hbm_fast.__all__ if not name.startswith("__")}
    assert names <= described
    assert not [name for name in described if "._" in name]
