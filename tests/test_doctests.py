"""The examples in the docstrings run, and print what they say."""

import doctest
import importlib
import pkgutil

import pytest

import hbm_fast

# Modules of extras that this environment may lack are met by their own tests.
MODULES = [
    module.name
    for module in pkgutil.walk_packages(hbm_fast.__path__, "hbm_fast.")
    if not module.name.endswith("__main__") and ".cli" not in module.name and ".integrations" not in module.name
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    failures, _ = doctest.testmod(module)
    assert failures == 0


def test_the_public_names_have_examples():
    rooms = {"amortize", "calibration", "datasets", "embedding", "integrations", "plots", "priors", "tables"}
    plain = {"STREAM_VERSION", "__version__", "ConvergenceWarning", "PerformanceWarning", *rooms}
    for name in sorted(set(hbm_fast.__all__) - plain):
        assert ">>>" in (getattr(hbm_fast, name).__doc__ or ""), f"hbm_fast.{name} has no example"
