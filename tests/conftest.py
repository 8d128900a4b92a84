"""Shared by all tests: the handler of Ctrl-C, skips for missing extras, and the scripts of benchmarks/checks."""

import contextlib
import signal
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

# A shell makes processes in the background, and their children, ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

EXTRAS = {"arviz", "arviz_stats", "dask", "distributed", "h5netcdf", "matplotlib", "numba", "pandas", "pyarrow"}
EXTRAS |= {"jax", "numpyro", "pymc", "rich", "safetensors", "scipy", "sklearn", "torch", "typer", "xarray", "zuko"}


@contextlib.contextmanager
def absent_extras_skip():
    try:
        yield
    except ImportError as error:
        name = (error.name or "").partition(".")[0].replace("-", "_")  # a package or its module
        if name not in EXTRAS or find_spec(name) is not None:
            raise
        pytest.skip(f"{name} is not installed")


@pytest.fixture(name="absent_extras_skip")
def _absent_extras_skip():
    """A context in which an ImportError of an extra that is not installed skips the test."""
    return absent_extras_skip


@pytest.fixture
def benchmark_check(monkeypatch):
    """The module of a script in benchmarks/checks, by its name."""
    folder = Path(__file__).parents[1] / "benchmarks" / "checks"
    if not folder.exists():
        pytest.skip("the tests run without the sources, beside an installed wheel")
    monkeypatch.syspath_prepend(folder)
    return import_module
