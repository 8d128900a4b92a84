"""What is repeated outside pyproject.toml agrees with it."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("name", ["CITATION.cff", "recipe/recipe.yaml"])
def test_the_version_is_that_of_pyproject(name):
    if not (ROOT / name).exists():
        pytest.skip("the tests run without the repository")
    (version,) = re.findall(r'^ *version: "?([\d.]+)"?$', (ROOT / name).read_text(), re.MULTILINE)
    assert version == PROJECT["version"]


def test_the_recipe_has_the_bounds_of_pyproject():
    recipe = ROOT / "recipe/recipe.yaml"
    if not recipe.exists():
        pytest.skip("the tests run without the repository")
    run = recipe.read_text().partition("  run:")[2].partition("tests:")[0]
    assert re.findall(r"- (\w+) (>=.*)", run) == [
        re.fullmatch(r"(\w+)(>=.*)", bound).groups() for bound in PROJECT["dependencies"]
    ]
