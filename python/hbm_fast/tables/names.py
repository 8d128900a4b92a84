"""Names of groups, categories and labels, from cells of any type."""

from collections.abc import Iterable
from typing import Any

import numpy as np


def texts(values: Any) -> list[str]:
    """Each value as text: dates in ISO form, and "" for one that is missing."""
    if not isinstance(values, list):
        array = np.asarray(values)
        # tolist() makes numbers of nanoseconds
        values = (array.astype("M8[us]") if array.dtype.kind == "M" else array).tolist()
    return [_text(value) for value in values]


def _text(value: Any) -> str:
    if value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value):
        return ""
    if hasattr(value, "isoformat"):
        return str(value.isoformat()).removesuffix("T00:00:00")
    return str(value).strip()


def distinct(names: Iterable[str], message: str) -> tuple[str, ...]:
    """The names; raises with the message and the first that occurs twice."""
    seen: dict[str, None] = {}
    for name in names:
        if name in seen:
            raise ValueError(f"{message} {name!r}")
        seen[name] = None
    return tuple(seen)
