"""`hbm-fast config`: what runs here."""

import json
from typing import Annotated

import typer

from hbm_fast import show_config


def config(as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False) -> None:
    """Show versions and the instruction-set level in use.

    Example: hbm-fast config --json
    """
    facts = show_config()
    if as_json:
        print(json.dumps(facts))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width}}  {value}")
