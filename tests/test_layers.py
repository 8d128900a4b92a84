"""The layers of the package point one way, and the door of the house opens light."""

import ast
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import hbm_fast

# Lowest first; a module may import its own layer or a lower one. A folder counts as one room.
LAYERS = [
    {"_core"},
    {"_validate", "_validate_scipy", "_random", "_memory", "_diagnostics", "_files", "_npz", "errors", "_config"},
    {"priors", "model"},
    {"likelihood", "simulation", "variates", "distribution", "datasets", "tables"},
    {"_weights", "posterior"},
    {"sampling", "quadrature", "fitting"},
    {"calibration", "amortize"},
    {"embedding"},
    {"plots", "report"},
    {"integrations"},
    {"cli"},
]
# The one door that opens upward, and only inside the function that needs it (design: Posterior.to_arviz).
LAZY_UPWARD = {("posterior", "integrations")}
ROOT = Path(hbm_fast.__file__).parent


def rank(room):
    for level, rooms in enumerate(LAYERS):
        if room in rooms:
            return level
    # private helpers of a room carry its name: _posterior_theta belongs to posterior
    matches = [i for i, rooms in enumerate(LAYERS) for r in rooms if room.startswith(f"_{r}")]
    assert matches, f"module {room} has no layer: name it in LAYERS"
    return matches[0]


def imports_of(path):
    """(imported room of hbm_fast, whether at module level) for every import of our own package."""
    tree = ast.parse(path.read_text())
    type_checking = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.walk(node)
    }
    lazy = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in type_checking:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "hbm_fast":
            parts = node.module.split(".")
            names = [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [a.name.split(".")[1] for a in node.names if a.name.startswith("hbm_fast.")]
        else:
            continue
        for name in names:
            yield name, node not in lazy


def modules():
    return [
        path
        for path in sorted(ROOT.rglob("*.py"))
        if path.relative_to(ROOT).parts[0] not in {"__init__.py", "__main__.py"}
    ]


def room_of(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def is_room(name):
    return (
        (ROOT / f"{name}.py").exists() or (ROOT / name).is_dir() or name == "_core"
    )  # else a public name re-exported by the package


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path):
    room = room_of(path)
    for imported, eager in imports_of(path):
        if not is_room(imported) or imported == room:
            # `from hbm_fast import name` of a public name is for the top layers only
            assert imported == room or rank(room) >= rank("calibration"), f"{room} imports hbm_fast.{imported}"
            continue
        if not eager and (room, imported) in LAZY_UPWARD:
            continue
        assert rank(imported) <= rank(room), f"{room} must not import {imported}"


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_import_loads_numpy_and_nothing_heavier():
    heavy = "torch numba scipy arviz arviz_stats matplotlib pandas typer rich zuko dask pyarrow xarray sbi bayesflow"
    out = run(f"import sys, hbm_fast; print(sorted(set({heavy.split()!r}) & set(sys.modules)))")
    assert out.strip() == "[]"


def test_the_doors_open():
    """What type checkers are told of the package is what it does."""
    stated = {}
    for node in ast.walk(ast.parse((ROOT / "__init__.py").read_text())):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for line in node.body:
                stated |= {alias.name: line.module.removeprefix("hbm_fast").lstrip(".") for alias in line.names}
    assert {name: room for name, room in stated.items() if room} == hbm_fast._ROOM_OF
    assert {name for name, room in stated.items() if not room} == hbm_fast._ROOMS
    assert set(stated) < set(hbm_fast.__all__) == set(dir(hbm_fast))
    for name, room in hbm_fast._ROOM_OF.items():
        assert getattr(hbm_fast, name) is not None, room


def test_the_version_stands_in_one_place():
    assert hbm_fast.__version__ == metadata.version("hbm-fast") == hbm_fast._core.version


def test_unknown_names_raise():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = hbm_fast.nothing


def test_only_the_bindings_know_python():
    root = Path(__file__).parent.parent / "cpp"
    for path in root.rglob("*.?pp"):
        if path.parent.name != "bindings":
            text = path.read_text()
            assert "pybind11" not in text, path
            assert "Python.h" not in text, path
