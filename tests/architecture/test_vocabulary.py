"""The words of the repository are the field's: no banned word in a text, no private noun in a name."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BANNED = re.compile(r"\b(house|rooms?|doors?|referees?|oracles?|beliefs?|strangers?|verdicts?)\b", re.IGNORECASE)
NOUNS = {"way", "ways", "work", "works", "law", "laws", "facts", "figures", "sentences", "remarks"}
NOUNS |= {"verdict", "referee", "unless", "bend"}
ALIASES = re.compile(r"\bReferee\b")  # deprecated public names, in texts
DATA = {".csv", ".json", ".png", ".safetensors", ".npz", ".nc", ".xz"}


def tracked():
    try:
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("the tests run without the repository")
    files = (ROOT / name for name in listed.splitlines())
    return [path for path in files if path.is_file() and path.suffix not in DATA and path != Path(__file__)]


def names(path):
    """Names of a file and of its classes, functions, parameters and class fields, without deprecated aliases."""
    yield path.stem
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.ClassDef):
            yield from [node.name, *(field.target.id for field in node.body if isinstance(field, ast.AnnAssign))]
        elif isinstance(node, ast.FunctionDef) and "DeprecationWarning" not in ast.unparse(node):
            yield node.name


def private_nouns(name, path):
    """The private nouns among the parts of a name; pictures are figures in modules of plots."""
    parts = {part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
    return parts & (NOUNS - {"figures"} if "plots" in str(path.relative_to(ROOT)) else NOUNS)


def test_no_text_has_a_banned_word():
    lines = [
        (path.relative_to(ROOT), number, line)
        for path in tracked()
        if path.name != "CHANGELOG.md"
        for number, line in enumerate(path.read_text().splitlines(), 1)
    ]
    found = [f"{path}:{number}: {line}" for path, number, line in lines if BANNED.search(ALIASES.sub("", line))]
    assert not found, "\n".join(found)


def test_names_are_terms_of_the_field():
    pairs = [(path, name) for path in tracked() if path.suffix == ".py" for name in names(path)]
    found = [f"{path.relative_to(ROOT)}: {name}" for path, name in pairs if private_nouns(name, path)]
    assert not found, "\n".join(sorted(set(found)))
