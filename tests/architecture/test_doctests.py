"""The examples in the docstrings run and print the output shown."""

import doctest
import importlib
import pkgutil

import pytest

import hbm_fast

PEERS = tuple(f"hbm_fast.integrations.{name}" for name in ("jax", "numpyro", "pymc", "sklearn"))
# The tests of dask run the examples of its modules, on a cluster.
MODULES = [
    pytest.param(module.name, marks=pytest.mark.peers if module.name in PEERS else ())
    for module in pkgutil.walk_packages(hbm_fast.__path__, "hbm_fast.")
    if not module.name.endswith("__main__") and ".cli" not in module.name and ".dask" not in module.name
]


class Runner(doctest.DocTestRunner):
    """A runner that re-raises an ImportError, so that the examples of a missing extra are skipped."""

    def report_unexpected_exception(self, out, test, example, exc_info):
        if isinstance(exc_info[1], ImportError):
            raise exc_info[1]
        super().report_unexpected_exception(out, test, example, exc_info)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, absent_extras_skip):
    with absent_extras_skip():
        module = importlib.import_module(name)
    runner, absent = Runner(), None
    for test in doctest.DocTestFinder().find(module, name):
        try:
            with absent_extras_skip():
                runner.run(test)
        except pytest.skip.Exception as skipped:  # the other examples still run
            absent = skipped
    assert runner.summarize(verbose=False).failed == 0
    if absent is not None:
        raise absent


def test_the_public_names_have_examples():
    subpackages = {"amortize", "calibration", "datasets", "embedding", "integrations", "plots", "priors", "tables"}
    warnings = {"ConvergenceWarning", "PerformanceWarning", "PriorWarning"}
    without = {"STREAM_VERSION", "__version__", *warnings, *subpackages}
    for name in sorted(set(hbm_fast.__all__) - without):
        assert ">>>" in (getattr(hbm_fast, name).__doc__ or ""), f"hbm_fast.{name} has no example"
