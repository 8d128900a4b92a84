"""What a command prints after Ctrl-C: what was saved, and the command line that goes on."""

import shlex
import sys
from collections.abc import Sequence

import typer


def interrupted(saved: str, go_on: str | None = None) -> typer.Exit:
    """Print the message; the result is to be raised."""
    print(f"hbm-fast: interrupted; {saved}", file=sys.stderr)
    if go_on is not None:
        print(f"hbm-fast: go on with: {go_on}", file=sys.stderr, flush=True)
    return typer.Exit(130)


def command_line(*added: str, without: Sequence[str]) -> str:
    """The command line of this run with further options and ``without`` some, ``--x=`` for one that has a value."""
    kept: list[str] = []
    given = iter(sys.argv[1:])
    for word in given:
        name = word.partition("=")[0]
        if name in without:
            continue
        if f"{name}=" in without:
            if name == word:
                next(given, None)
            continue
        kept.append(word)
    return shlex.join(["hbm-fast", *kept, *added])
