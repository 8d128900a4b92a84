"""The long form: a row for each group and category."""

import numpy as np

from hbm_fast import errors
from hbm_fast.tables.columns import MANY_CELLS, Column, Columns, distinct, names_categories, names_groups
from hbm_fast.tables.table import CountTable

_ROLES = ("group", "category", "count")
_COUNTS = ("count", "counts", "n", "reads", "abundance", "number", "frequency", "freq", "value")


def is_long(content: Columns) -> bool:
    """Whether the columns are group, category and count, or two of text and one of numbers."""
    names = sorted(column.name.strip().lower() for column in content.columns)
    if names == sorted(_ROLES):
        return True
    return content.named and len(names) == 3 and sum(column.is_text() for column in content.columns) == 2


def read(content: Columns, labels: Column | None, transpose: bool | str) -> CountTable:
    """The table of a long form."""
    by_group, by_category, by_count, certain = _roles(content)
    if transpose is True:
        by_group, by_category = by_category, by_group
    elif transpose == "auto" and not certain:
        errors.warn(
            f"{content.file}: column {by_group.name!r} is read as the groups and {by_category.name!r} as the "
            "categories. Pass transpose=False if that is right, transpose=True to exchange them",
            UserWarning,
        )
    group, category = by_group.texts(), by_category.texts()
    values = by_count.integers()
    groups = {name: index for index, name in enumerate(dict.fromkeys(group))}
    categories = {name: index for index, name in enumerate(dict.fromkeys(category))}
    row = np.fromiter((groups[name] for name in group), np.int64, len(group))
    column = np.fromiter((categories[name] for name in category), np.int64, len(category))
    cell = row * len(categories) + column
    _, first = np.unique(cell, return_index=True)
    if len(first) < len(cell):
        again = int(np.setdiff1d(np.arange(len(cell)), first)[0])
        raise ValueError(
            f"{by_count.where(again)}: group {group[again]!r} has category {category[again]!r} twice; "
            "add such rows up first"
        )
    if len(categories) < 2:
        raise ValueError(f"{content.file}: a table needs two categories at least; found {list(categories)}")
    n_cells = len(groups) * len(categories)
    too_large = (
        f"{content.file}: {len(group)} rows name {len(groups)} groups and {len(categories)} categories, a table of "
        f"{n_cells} counts ({8 * n_cells / 2**30:.1f} GiB)"
    )
    if n_cells > max(MANY_CELLS, 1000 * len(group)):
        raise ValueError(f"{too_large}, of which nearly all would be 0; check the columns of groups and categories")
    try:
        counts = np.zeros((len(groups), len(categories)), dtype=np.int64)
    except MemoryError:
        raise ValueError(f"{too_large}, which does not fit in memory") from None
    counts[row, column] = values
    found = None if labels is None else _labels(labels, group)
    return CountTable(counts, tuple(categories), tuple(groups), labels=found)


def _roles(content: Columns) -> tuple[Column, Column, Column, bool]:
    """The columns of groups, categories and counts, and whether the names of the columns say which is which."""
    columns, file = content.columns, content.file
    by_name = {column.name.strip().lower(): column for column in columns}
    if content.named and len(by_name) < len(columns):
        distinct([column.name.strip().lower() for column in columns], f"{file}: two columns are named")
    if not content.named and len(columns) == 3:
        by_name = dict(zip(_ROLES, columns, strict=True))
    missing = [name for name in _ROLES if name not in by_name]
    if not missing:
        return by_name["group"], by_name["category"], by_name["count"], True
    numbers = [column for column in columns if not column.is_text()]
    if len(columns) == 3 and 0 < len(numbers) < 3:
        stated = [column for column in numbers if column.name.strip().lower() in _COUNTS]
        count = (stated or numbers)[-1]
        one, other = (column for column in columns if column is not count)
        for group, category in ((one, other), (other, one)):
            if names_groups(group.name) and not names_groups(category.name):
                certain = category.is_text() or names_categories(category.name)
            else:
                certain = names_categories(category.name) and not names_categories(group.name)
            if certain:
                return group, category, count, True
        if other.is_text() and one.is_text():
            return one, other, count, False
    raise ValueError(f"{file}: the long form needs columns {', '.join(_ROLES)}; missing {', '.join(missing)}")


def _labels(column: Column, groups: list[str]) -> tuple[str, ...]:
    """The label of each group, which all of its rows must have."""
    found: dict[str, str] = {}
    for index, (group, label) in enumerate(zip(groups, column.texts(), strict=True)):
        if found.setdefault(group, label) != label:
            raise ValueError(f"{column.where(index)}: group {group!r} has the labels {found[group]!r} and {label!r}")
    return tuple(found.values())
