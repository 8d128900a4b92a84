"""Modules import their own package and lower layers only, lazy imports included; each noun has its folders."""

import ast
from pathlib import Path

import pytest

import hbm_fast

ROOT = Path(__file__).parents[2]
PACKAGE = Path(hbm_fast.__file__).parent

# Lowest first. Packages of one layer in SIBLINGS do not import each other.
LAYERS = """
_core _typing _optional _display _validate _weighted _memory _random _files _progress _config errors
tables
datasets
priors
models
sufficient_statistics likelihood distribution simulation variates
quadrature
posterior
sampling exact fitting
evidence
comparison calibration
plots
report nn
amortize embedding integrations
benchmark
experiments
cli __main__
"""
SIBLINGS = {"amortize", "embedding", "integrations"}
RANK = {name: rank for rank, line in enumerate(LAYERS.strip().splitlines()) for name in line.split()}

# The module, the C++ folder and the tests of each noun.
COLUMNS = {
    "priors": ("priors.py", "priors", "models"),
    "likelihood": ("likelihood.py", "likelihood", "likelihood"),
    "statistics": ("sufficient_statistics.py", "statistics", "statistics"),
    "simulation": ("simulation", "simulation", "simulation"),
    "quadrature": ("quadrature", "statistics", "quadrature"),
    "posterior": ("posterior", "prediction", "posterior"),
    "sampling": ("sampling", "mcmc", "sampling"),
    "fitting": ("fitting", None, "fitting"),
    "mixture": ("models/mixture.py", "mixture", "mixture"),
    "regression": ("fitting/regression.py", "regression", "regression"),
    "comparison": ("comparison", None, "comparison"),
    "population": ("models/population.py", "mcmc", "population"),
    "networks": ("nn", "networks", "nn"),
    "amortize": ("amortize", "networks", "amortize"),
    "embedding": ("embedding", "networks", "embedding"),
}


def package_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """Top-level modules of hbm_fast that a file imports, except those only for type checkers."""
    tree = ast.parse(path.read_text())
    typing_only = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for child in ast.walk(statement)
    }
    for node in set(ast.walk(tree)) - typing_only:
        if isinstance(node, ast.ImportFrom) and node.module == "hbm_fast":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hbm_fast."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("hbm_fast."))


MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    here = package_of(path)
    assert here in RANK, f"{here} has no layer: name it in LAYERS"
    for there in set(imports(path)) - {here}:
        if there not in RANK:  # a public name of the package itself, allowed only in the top layers
            assert RANK[here] >= RANK["benchmark"], f"{here} imports hbm_fast.{there}; import it from its module"
            continue
        assert RANK[there] <= RANK[here], f"{here} must not import {there}"
        assert not {here, there} <= SIBLINGS, f"{here} and {there} are siblings"


@pytest.mark.skipif(not (ROOT / "cpp").exists(), reason="the tests run without the sources, beside an installed wheel")
def test_every_noun_has_its_folders():
    for noun, (python, cpp, tests) in COLUMNS.items():
        assert (PACKAGE / python).exists(), noun
        assert cpp is None or (ROOT / "cpp" / cpp).is_dir(), noun
        assert list((ROOT / "tests" / tests).glob("test_*.py")), noun


def test_kernels_are_free_of_python():
    for path in (ROOT / "cpp").rglob("*.?pp"):
        if path.parent.name != "bindings":
            text = path.read_text()
            assert "pybind11" not in text, path
            assert "Python.h" not in text, path
