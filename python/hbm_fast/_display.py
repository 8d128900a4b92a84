"""What objects show in a notebook: a table, or else the text that they print."""

import html
from collections.abc import Iterable, Sequence
from typing import Any


class Displayed:
    """A base class: a notebook shows the text that ``repr`` gives, with its lines kept."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def table(caption: str, header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> str:
    """An HTML table; every cell is escaped, as names of groups and categories come from users."""
    lines = [_row(header, "th"), *(_row(row, "td") for row in rows)]
    return f"<table><caption>{html.escape(caption)}</caption>{''.join(lines)}</table>"


def _row(cells: Sequence[Any], tag: str) -> str:
    first, *rest = (html.escape(str(cell)) for cell in cells)
    return f"<tr><th>{first}</th>{''.join(f'<{tag}>{cell}</{tag}>' for cell in rest)}</tr>"


def names(given: Sequence[str] | None, most: int = 3) -> str:
    """Names in parentheses behind a number, the first few of them; nothing where there are none."""
    if given is None:
        return ""
    return f" ({', '.join(map(one_line, given[:most]))}{', ...' if len(given) > most else ''})"


def labels(given: Sequence[str] | None, n: int) -> tuple[str, ...]:
    """The n names, or where there are none the numbers 0, 1, ... as text."""
    return tuple(given or map(str, range(n)))


def one_line(name: str, most: int = 40) -> str:
    """A name without line breaks, its middle left out where it is long: lineages differ at their ends."""
    text = " ".join(name.split()) if any(map(str.isspace, name)) else name
    return text if len(text) <= most else f"{text[: most // 2 - 3]}...{text[-(most - most // 2) :]}"
