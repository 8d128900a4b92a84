"""The long form: a row for each group and category."""

from dataclasses import replace

import numpy as np

from hbm_fast import errors
from hbm_fast.tables import roles
from hbm_fast.tables.columns import MANY_CELLS, Column, Columns
from hbm_fast.tables.names import distinct
from hbm_fast.tables.table import CountTable


def read(content: Columns, labels: Column | None, transpose: bool | str, *, stated: bool) -> CountTable:
    """The table of a long form; where it was not stated to be one, a warning names the columns that are left out."""
    columns, file = content.columns, content.file
    if content.named:
        distinct([column.name.strip().lower() for column in columns], f"{file}: two columns are named")
    form = roles.long_form(columns, content.named)
    if form is None:
        present = [column.name.strip().lower() for column in columns]
        missing = ", ".join(name for name in roles.LONG if name not in present)
        raise ValueError(
            f"{file}: the long form needs columns {', '.join(roles.LONG)}; missing {missing}: rename the columns, or "
            "leave others out by drop="
        )
    if transpose is True:
        form = replace(form, group=form.category, category=form.group)
    elif transpose == "auto" and not form.certain:
        errors.warn(
            f"{file}: column {form.group.name!r} is read as the groups and {form.category.name!r} as the categories. "
            "Pass transpose=False if that is right, transpose=True to exchange them",
            UserWarning,
        )
    others = [column.name for column in columns if column not in (form.group, form.category, form.count)]
    if others and not stated:
        errors.warn(
            f"{file}: read as a long table, without its columns {', '.join(map(repr, others))}. Pass layout='long' if "
            "that is right, else layout='wide'",
            UserWarning,
        )
    return table(form, labels)


def table(form: roles.Long[Column], labels: Column | None = None) -> CountTable:
    """The table of the columns of a long form."""
    group, category = form.group.given("a group"), form.category.given("a category")
    file, by_count = form.count.file, form.count
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
        raise ValueError(f"{file}: a table needs two categories at least; found {list(categories)}")
    n_cells = len(groups) * len(categories)
    too_large = (
        f"{file}: {len(group)} rows name {len(groups)} groups and {len(categories)} categories, a table of "
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


def _labels(column: Column, groups: list[str]) -> tuple[str, ...]:
    """The label of each group, which all of its rows must have."""
    found: dict[str, str] = {}
    for index, (group, label) in enumerate(zip(groups, column.given("a label"), strict=True)):
        if found.setdefault(group, label) != label:
            raise ValueError(f"{column.where(index)}: group {group!r} has the labels {found[group]!r} and {label!r}")
    return tuple(found.values())
