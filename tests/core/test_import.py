"""`import hbm_fast`: the modules that it loads and the names that it defines."""

import ast
from importlib import import_module, metadata
from pathlib import Path

import pytest

import hbm_fast
import interpreter


def test_import_loads_numpy_and_nothing_heavier():
    heavy = "torch numba scipy arviz arviz_stats matplotlib pandas typer rich zuko dask pyarrow xarray sbi bayesflow"
    ran = interpreter.run(f"import sys, hbm_fast; print(sorted(set({heavy.split()!r}) & set(sys.modules)))")
    assert ran.stdout.strip() == "[]", ran.stderr


def test_public_names_are_those_that_type_checkers_see():
    stated = {}
    for node in ast.walk(ast.parse(Path(hbm_fast.__file__).read_text())):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for line in node.body:
                stated |= {alias.name: line.module.removeprefix("hbm_fast").lstrip(".") for alias in line.names}
    assert set(stated) < set(hbm_fast.__all__) == set(dir(hbm_fast))
    for name, module in stated.items():
        if module:
            assert getattr(hbm_fast, name) is getattr(import_module(f"hbm_fast.{module}"), name)


def test_one_version():
    assert hbm_fast.__version__ == metadata.version("hbm-fast") == hbm_fast._core.config.version


def test_unknown_names_raise():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = hbm_fast.nothing
