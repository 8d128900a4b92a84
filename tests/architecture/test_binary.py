"""The built extension has no AVX-512 instruction outside its level, no OpenMP and no flush-to-zero."""

import itertools
import re
import shutil
import subprocess
import sys

import pytest

from hbm_fast import _core


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(shutil.which("objdump") is None, reason="objdump is not installed")
def test_avx512_stays_in_its_level():
    # Each object of the level is one stretch of code (there are two: likelihood, simulate); a stray
    # instruction elsewhere would lie far from them.
    text = run("objdump", "-d", "--no-show-raw-insn", _core.__file__)
    found = re.findall(r"^\s*([0-9a-f]+):\s.*%(?:zmm|k[1-7]\b)", text, re.MULTILINE)
    places = sorted(int(address, 16) for address in found)
    stretches = sum(b - a > 16384 for a, b in itertools.pairwise(places)) + 1 if places else 0
    assert stretches <= 2


@pytest.mark.skipif(shutil.which("readelf") is None, reason="readelf is not installed")
def test_no_openmp_among_the_needed_libraries():
    needed = [line for line in run("readelf", "-d", _core.__file__).splitlines() if "NEEDED" in line]
    assert needed
    assert not [line for line in needed if "omp" in line]


def test_subnormals_live_after_import():
    program = "import hbm_fast as h; h.log_likelihood([1, 2], [1.0, 2.0]); assert float('1e-310') / 2 > 0.0"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
