"""Mistakes on the command line in words of this package: what was expected, what came, and what to do."""

import inspect
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from hbm_fast.cli.options import METAVARS, nearest

# Arguments of the library under another name than the option; of the others the name is that of the option.
_OPTIONS = {
    "rng": "--seed",
    "n_draws": "--draws",
    "n_chains": "--chains",
    "n_starts": "--starts",
    "n_categories": "--categories",
    "n_components": "--components",
    "layout": "--layout",
}


def message(error: Exception, group: Any, arguments: Sequence[str]) -> str:
    """One line for an error of the parser, typer's or click's, whose versions word it differently."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    found: Any = error
    name = next((word for word in arguments if not word.startswith("-")), "")
    command = group.commands.get(name, group)
    path = "hbm-fast" if command is group else f"hbm-fast {name}"
    more = f" ({path} --help)"
    parameter = getattr(found, "param", None)
    if "NoSuchOption" in kinds:
        names = [name for p in command.params if not getattr(p, "hidden", False) for name in _spellings(p)]
        return f"{found.option_name} is no option of {path}{nearest(found.option_name, names)}{more}"
    if "BadOptionUsage" in kinds:
        option = found.option_name
        parameter = next(p for p in command.params if option in _spellings(p))
        expected, flag = _expected(command, parameter)
        if flag:
            value = next(word for word in arguments if word.startswith(f"{option}="))
            return f"{option} takes no value; got {value!r}{more}"
        return f"{option} needs a value, {expected}; none came{more}"
    if "MissingParameter" in kinds:
        return f"{_name(parameter)} is missing: give {_expected(command, parameter)[0]}{_example(command)}{more}"
    if "BadParameter" in kinds and parameter is not None:
        value = _given(parameter, arguments)
        return f"{_name(parameter)} must be {_expected(command, parameter)[0]}; got {value!r}{more}"
    if command is group:
        names = [name for name, one in group.commands.items() if not one.hidden]
        if not name:
            return f"a command is missing: one of {', '.join(names)}{more}"
        return f"{name!r} is no command{nearest(name, names)}{more}"
    extra = re.search(r"unexpected extra arguments?\S* \((.*)\)$", str(found.format_message()))
    if extra is not None:
        takes = [_name(p) for p in command.params if p.param_type_name == "argument"]
        return f"{path} takes {'no file' if not takes else f'one {takes[0]}'}; got {extra[1]!r} too{more}"
    return f"{' '.join(str(found.format_message()).split())}{more}"


def names_of(group: Any, arguments: Sequence[str]) -> dict[str, str]:
    """The options of the command by the names of their parameters."""
    command = group.commands.get(next(iter(arguments), ""))
    return {} if command is None else {p.name: _name(p) for p in command.params if p.param_type_name == "option"}


def of_library(text: str, options: Mapping[str, str]) -> str:
    """A message of the package with options in the place of arguments of Python."""
    names = {**_OPTIONS, **options}
    first = "|".join(map(re.escape, names))
    text = re.sub(rf"^({first})(?= must | is |:)", lambda m: names[m[1]], text)
    text = re.sub(rf"^({first})=", lambda m: f"{names[m[1]]} ", text)
    return re.sub(rf"(?<![\w.(])({first})=(?!=)(?=$|[\s,;.)])", lambda m: names[m[1]], text)


def _spellings(parameter: Any) -> list[str]:
    return [*parameter.opts, *parameter.secondary_opts]


def _name(parameter: Any) -> str:
    """--option, or ARGUMENT."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name).strip("[]").upper()
    return str(max(parameter.opts, key=len))


def _expected(command: Any, parameter: Any) -> tuple[str, bool]:
    """What a value must be, and whether there is none, from the annotation of the command's function."""
    hint = get_type_hints(inspect.unwrap(command.callback), include_extras=True)[parameter.name]
    (kind, *extras) = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    lowest = next((low for extra in extras if (low := getattr(extra, "min", None)) is not None), None)
    least = "" if lowest is None else f", {lowest:g} or more"
    kinds = [kind, *get_args(kind)]
    choice = next((k for k in kinds if isinstance(k, type) and issubclass(k, StrEnum)), None)
    if choice is not None:
        return f"one of {', '.join(choice)}", False
    if int in kinds:
        return f"a whole number{least}", False
    if float in kinds:
        return f"a number{least}", False
    return METAVARS.get(str(parameter.metavar or "").strip("[]"), "a value"), bool in kinds


def _given(parameter: Any, arguments: Sequence[str]) -> str:
    """The last value of an option on the command line."""
    value = ""
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, equals, rest = word.partition("=")
        if name in _spellings(parameter):
            value = rest if equals else following
    return value


def _example(command: Any) -> str:
    """That of the docstring."""
    found = re.search(r"Example: (.*?)(\n\n|$)", inspect.getdoc(inspect.unwrap(command.callback)) or "", re.DOTALL)
    return "" if found is None else f", as in: {' '.join(found[1].split())}"
