"""The groups of each condition: labels of groups from every object that holds them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hbm_fast import _display, _validate
from hbm_fast._typing import Counts
from hbm_fast.sufficient_statistics import SufficientStatistics
from hbm_fast.tables.inputs import as_counts
from hbm_fast.tables.table import Table

_FEWEST_GROUPS = 2  # with counts, of each condition


@dataclass(frozen=True, eq=False)
class Conditions:
    """Counts (N_g, K) of each condition, without empty groups and without categories that no group has."""

    names: tuple[str, ...]
    tables: tuple[Counts, ...]
    category_names: tuple[str, ...]


def split(counts: Any, by: Any) -> Conditions:
    """The groups of each condition, in the order of the labels' categories, else of their first appearance."""
    if isinstance(counts, SufficientStatistics):
        raise TypeError("counts must be a table of groups: SufficientStatistics have no groups to label")
    counts, by = _column(counts, by)
    given = as_counts(counts)
    table = _validate.counts(given.dense())
    labels = _aligned(by, counts, given.group_names)
    if len(labels) != len(table):
        raise ValueError(f"by must have one label a group, {len(table)}; got {len(labels)}")
    if given.weights is not None:
        labels = np.repeat(np.array(labels, dtype=object), given.weights).tolist()
        given = given.unweighted()
        table = given.dense()
    names = _order(by, labels)
    if len(names) < 2:
        raise ValueError(f"by must have two conditions at least; got {', '.join(map(repr, names)) or 'no label'} alone")
    filled = table.any(axis=1)
    seen = table.any(axis=0)
    if seen.sum() < 2:
        raise ValueError(f"counts must have two categories with counts at least; got {int(seen.sum())}")
    of_group = np.array(labels, dtype=object)
    tables = []
    for name in names:
        rows = table[(of_group == name) & filled]
        if len(rows) < _FEWEST_GROUPS:
            raise ValueError(
                f"by must label {_FEWEST_GROUPS} groups with counts at least for each condition; {name!r} has "
                f"{len(rows)}: leave it out, or join it with another"
            )
        tables.append(np.ascontiguousarray(rows[:, seen]))
    categories = _display.labels(given.category_names, table.shape[1])
    return Conditions(names, tuple(tables), tuple(np.array(categories, dtype=object)[seen].tolist()))


def _column(counts: Any, by: Any) -> tuple[Any, Any]:
    """The counts and the labels, of which one may hold the other."""
    labels = getattr(counts, "labels", None) if isinstance(counts, Table) else None
    if by is None or (isinstance(by, str) and by == "labels" and labels is not None):
        if labels is None:
            raise TypeError("by must be the labels of the groups; counts has no labels of its own")
        return counts, labels
    if not isinstance(by, str):
        return counts, by
    if hasattr(counts, "obs") and by in counts.obs:
        return counts, counts.obs[by]
    columns = getattr(counts, "column_names", getattr(counts, "columns", None))  # of pyarrow, of the others
    if columns is not None and by in list(columns):
        from narwhals import from_native  # of any data frame

        return from_native(counts).drop(by).to_native(), counts[by]
    where = "a column of counts" if columns is not None or hasattr(counts, "obs") else "the labels of the groups"
    raise ValueError(f"by must be {where}, or a sequence of labels, one a group; got {by!r}")


def _aligned(by: Any, counts: Any, group_names: Sequence[str] | None) -> list[str]:
    """The label of each group as text; those of a pandas Series by its index where the groups have the same names."""
    if not hasattr(by, "__iter__") or isinstance(by, bytes | dict):
        raise TypeError(f"by must be a sequence of labels, one a group; got {type(by).__name__}")
    values = by.to_pylist() if hasattr(by, "to_pylist") else list(by)  # of pyarrow, whose values are no text
    index = getattr(by, "index", None)
    if index is not None and not callable(index):
        own = list(map(str, index))
        rows = list(group_names) if group_names is not None else None
        if rows is None and not callable(getattr(counts, "index", len)):
            rows = list(map(str, counts.index))
        if rows is not None and rows != own:
            place = {name: i for i, name in enumerate(own)}
            if len(place) == len(own) and all(name in place for name in rows):
                values = [values[place[name]] for name in rows]
            elif own != list(map(str, range(len(own)))):
                raise ValueError(
                    f"by must have the names of the groups in its index, such as {rows[0]!r}, or none; it has "
                    f"{own[0]!r}. Where its order is that of the groups pass by.to_numpy()"
                )
    missing = [i for i, value in enumerate(values) if _is_missing(value)]
    if missing:
        name = f" ({group_names[missing[0]]})" if group_names is not None and missing[0] < len(group_names) else ""
        raise ValueError(
            f"by must have a label for every group; {len(missing)} have none, the first is group {missing[0]}{name}: "
            "leave these groups out of counts and by"
        )
    return list(map(str, values))


def _is_missing(value: Any) -> bool:
    """None, NaN, NaT, pandas.NA, or a text without letters."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return True
    different = value != value
    return different is True or (not isinstance(different, bool | np.bool_)) or bool(different)


def _order(by: Any, labels: Sequence[str]) -> tuple[str, ...]:
    present = tuple(dict.fromkeys(labels))
    stated = getattr(getattr(by, "dtype", None), "categories", None)
    if stated is None:
        return present
    return tuple(name for name in map(str, stated) if name in present)
