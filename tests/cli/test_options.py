"""The options of all commands: one meaning for each name, one style of values, help pages of 80 columns."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, get_args, get_origin, get_type_hints

import pytest

typer = pytest.importorskip("typer")
from hbm_fast.cli.app import app  # noqa: E402
from hbm_fast.cli.options import METAVARS  # noqa: E402

GROUP = typer.main.get_command(app)
CALLBACKS = {info.callback.__name__: info.callback for info in app.registered_commands}
SAME_OF_ANOTHER_COMPUTATION = ("--by", "--draws", "--network", "--prior", "--seeds", "--steps")
# One meaning, in two forms: --out is where the result is written, --resume goes on with an interrupted run.
TWO_FORMS = {"--out": [{"FILE"}, {"FOLDER"}], "--resume": [{""}, {"FILE"}]}


def annotation(command, parameter):
    """Types without None, and the smallest value where there is one."""
    hint = get_type_hints(CALLBACKS[command], include_extras=True)[parameter.name]
    kind, *extras = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    kinds = {k for k in (get_args(kind) if not isinstance(kind, type) else (kind,)) if k is not type(None)}
    lowest = [extra.min for extra in extras if getattr(extra, "min", None) is not None]
    names = {re.sub(r"^list\[(.*)\]$", r"\1", str(k)).replace("<class 'str'>", "str") for k in kinds or {kind}}
    return frozenset(names), *lowest


def parameters(hidden=False):
    for command, one in GROUP.commands.items():
        for parameter in one.params:
            if parameter.name in get_type_hints(CALLBACKS[command]) and getattr(parameter, "hidden", False) == hidden:
                yield command, parameter


def meaning(command, parameter):
    words = re.split(r"[;,] (?:by default|for as many steps)", parameter.help or "")[0].rstrip(".")
    return (parameter.metavar or "", *annotation(command, parameter), words)


def test_an_option_has_one_meaning_in_all_commands():
    found = {}
    for command, parameter in parameters():
        if parameter.param_type_name == "option":
            found.setdefault(max(parameter.opts, key=len), {})[command] = meaning(command, parameter)
    assert {"--seed", "--n-groups", "--totals", "--layout", "--log", "--quiet"} <= set(found)
    for option, by_command in found.items():
        metavars = {values[0] for values in by_command.values()}
        if option in TWO_FORMS:
            assert metavars <= set().union(*TWO_FORMS[option]), (option, by_command)
            continue
        assert len({values[:2] for values in by_command.values()}) == 1, (option, by_command)
        if option not in SAME_OF_ANOTHER_COMPUTATION:
            assert len(set(by_command.values())) == 1, (option, by_command)


def test_values_are_named_in_one_style():
    documented = Path(__file__).parents[2] / "docs" / "reference" / "command_line.md"
    if not documented.exists():
        pytest.skip("the tests run without the documents, beside an installed wheel")
    rows = re.findall(r"^\| `([A-Z][A-Z,:\\|]*)` \|", documented.read_text(), re.MULTILINE)
    assert [row.replace("\\|", "|") for row in rows] == list(METAVARS)
    for command, parameter in parameters():
        hint = get_type_hints(CALLBACKS[command])[parameter.name]
        kinds = [k for k in (hint, *get_args(hint)) if isinstance(k, type)]
        choice = next((k for k in kinds if issubclass(k, StrEnum)), None)
        if choice is not None:
            assert parameter.metavar == "|".join(choice), (command, parameter.name)
        elif bool in kinds:
            assert not parameter.metavar, (command, parameter.name)
        else:
            assert (parameter.metavar or "").strip("[]") in METAVARS, (command, parameter.name)


def test_long_commands_have_progress_and_a_log():
    options = {command: {name for p in one.params for name in p.opts} for command, one in GROUP.commands.items()}
    assert all("--quiet" in options[command] for command in options if command not in ("config", "languages"))
    logged = {command for command in options if "--log" in options[command]}
    assert logged >= {"train", "simulate", "sample", "question2", "benchmark"}


def test_former_names_are_hidden():
    assert {(command, max(p.opts, key=len)) for command, p in parameters(hidden=True)} == {
        ("simulate", "--groups"),
        ("train", "--groups"),
        ("train", "--total"),
    }


def test_the_former_format_of_a_table_is_its_layout(run, tmp_path):
    file = tmp_path / "long.csv"
    file.write_text("group,category,count\na,x,1\na,y,2\nb,x,3\nb,y,1\n")
    code, out, err = run("fit", file, "--format=long", "--json")
    assert (code, err.splitlines()[0]) == (0, "hbm-fast: warning: --format of a table is now --layout")
    assert run("fit", file, "--layout", "long", "--json")[:2] == (0, out)


@pytest.mark.parametrize("command", [None, *CALLBACKS])
def test_help_pages_fit_80_columns(run, monkeypatch, command):
    monkeypatch.delenv("COLUMNS", raising=False)
    code, out, err = run(*([] if command is None else [command]), "--help")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out
    assert "…" not in out
    assert not re.search(r"\w\.\.\.$", out, re.MULTILINE)  # nothing cut short
