"""Counts of data frames (pandas, polars, pyarrow, through narwhals), xarray and AnnData, with their names."""

import sys
from dataclasses import dataclass
from functools import partial
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from hbm_fast import _validate, errors
from hbm_fast.tables import long, names, roles
from hbm_fast.tables.columns import Column
from hbm_fast.tables.named_counts import NamedCounts, Names, sparse_integers

_TEXT = (nw.String, nw.Categorical, nw.Enum)
_DROP = {"PANDAS": "drop(columns=[{!r}])", "POLARS": "drop({!r})", "PYARROW": "drop_columns([{!r}])"}


def of_object(value: Any, name: str, layer: str | None) -> NamedCounts | None:
    """The counts of a data frame, series, xarray or AnnData object; None for anything else."""
    if nw.dependencies.is_into_dataframe(value):
        return _of_frame(_narwhal(value, name), name)
    if nw.dependencies.is_into_series(value):
        series = nw.from_native(value, series_only=True)
        index = nw.maybe_get_index(series)
        n_levels = getattr(index, "nlevels", 1)
        if n_levels > 1:
            raise ValueError(
                f"{name} must have an index of categories; got one of {n_levels} levels: {name}.unstack(fill_value=0) "
                "makes a table of it"
            )
        categories = _coordinates(index, f"the names in the index of {name}")
        return NamedCounts(_validate.count_array(series.to_numpy(), name), categories)
    if _is_instance(value, "xarray", "DataArray"):
        return _of_xarray(value, name)
    if _is_instance(value, "anndata", "AnnData"):
        return _of_anndata(value, name, layer)
    module = type(value).__module__
    if module.startswith("xarray"):
        raise TypeError(f"{name} must be an xarray.DataArray; got {type(value).__name__}: pass one of its variables")
    if nw.dependencies.is_polars_lazyframe(value):
        raise TypeError(f"{name} must be a data frame; got a LazyFrame: pass its .collect()")
    return None


def _is_instance(value: Any, module: str, name: str) -> bool:
    """Whether the value is an instance of a class of an optional package, which is not imported."""
    return module in sys.modules and isinstance(value, getattr(sys.modules[module], name, ()))


def _narwhal(value: Any, name: str) -> nw.DataFrame[Any]:
    try:
        return nw.from_native(value, eager_only=True)
    except ValueError as error:
        raise ValueError(f"{name}: two columns have one name ({' '.join(str(error).split())})") from None


@dataclass(frozen=True, eq=False)
class _Header:
    """A column of a frame by its name, type and position; that of the index is -1."""

    name: str
    dtype: Any = None
    position: int = -1

    def is_text(self) -> bool:
        return self.position < 0 or self.dtype in _TEXT or self.dtype.is_temporal()

    def values(self, frame: nw.DataFrame[Any]) -> NDArray[Any]:
        return np.asarray(nw.maybe_get_index(frame) if self.position < 0 else frame[:, self.position].to_numpy())


def _of_frame(frame: nw.DataFrame[Any], name: str) -> NamedCounts:
    keys: list[Any] = frame.columns  # of pandas not only str
    headers = [_Header(*of) for of in zip(names.texts(keys), frame.schema.values(), range(len(keys)), strict=True)]
    index = nw.maybe_get_index(frame)
    # The numbers of an index without a name of its own name nothing.
    indexed = index is not None and (index.name is not None or np.asarray(index).dtype.kind not in "iuf")
    if index is not None and indexed:
        headers.insert(0, _Header(names.texts([index.name])[0]))
    form = roles.long_form(headers) if roles.is_long(headers) else None
    if form is None or not form.certain:
        return _of_wide(frame, roles.wide_form(headers, indexed=indexed), name)
    others = [header.name for header in headers if header not in (form.group, form.category, form.count)]
    if others:
        found = ", ".join(map(repr, others))
        errors.warn(f"{name}: read as a long table, without its columns {found}: leave them out", UserWarning)
    group, category, count = (
        Column(header.name, header.values(frame), range(len(frame)), name, "row")
        for header in (form.group, form.category, form.count)
    )
    table = long.table(roles.Long(group, category, count))
    return NamedCounts(table.counts, table.category_names, table.group_names)


def _of_wide(frame: nw.DataFrame[Any], form: roles.Wide[_Header], name: str) -> NamedCounts:
    rows = header = weights = None
    if form.names is not None:
        header = form.names.name
        where = "the index" if form.names.position < 0 else f"column {header!r}"
        rows = _names(form.names.values(frame), f"the names in {where} of {name}")
    if form.weights is not None:
        place = partial(_validate.cell, rows=rows, columns=(form.weights.name,))
        weights = _matrix(frame, [form.weights], f"the weights of {name}", place)[:, 0]
        _validate.no_negative(weights, f"the weights of {name}")
        errors.warn(
            f"{name}: column {form.weights.name!r} is read as the weights of the rows; rename it if it is a category",
            UserWarning,
        )
    swap = weights is None and roles.rows_are_categories(header, rows or (), [c.name for c in form.counts])
    columns = [c for c in form.counts if not swap or c is not form.lineage]
    if not columns:
        raise ValueError(f"{name} must have at least one column of counts; got none")
    for column in columns:
        if column.dtype in _TEXT:
            drop = _DROP[frame.implementation.name].format(column.name)
            raise TypeError(
                f"{name} must hold one count in each column; column {column.name!r} holds text: leave it out, as in "
                f"{name}.{drop}, or make a long table wide, as by pivot"
            )
        if not column.dtype.is_numeric():
            raise TypeError(f"{name} must hold integers; column {column.name!r} is {column.dtype}: store it as int64")
    keys: list[Any] = frame.columns
    numbered = all(keys[c.position] == k for k, c in enumerate(columns))  # by pandas, where they have no names
    others = None if numbered else _names([c.name for c in columns], f"the columns of {name}")
    counts = _matrix(frame, columns, name, partial(_validate.cell, rows=rows, columns=others))
    if swap:
        by = f"the header {header!r}" if header and roles.names_categories(header) else "their names"
        errors.warn(
            f"{name}: the rows are read as categories, by {by}. Pass the transposed table if that is right; if the "
            "rows are groups, change the header of their names to 'group'",
            UserWarning,
        )
        return NamedCounts(counts.T, rows, others)
    found = ", ".join(repr(column.name) for column in roles.may_be_names(columns))
    if found:
        errors.warn(
            f"{name}: the counts of categories are read from {found} too; leave out what holds names, and make a long "
            "table wide, as by pivot",
            UserWarning,
        )
    return NamedCounts(counts, others, rows, weights=weights)


def _matrix(frame: nw.DataFrame[Any], columns: list[_Header], name: str, place: Any) -> NDArray[Any]:
    """The counts of columns of numbers, without a copy where the columns share one array.

    Columns of several types, or with missing entries, are converted one by one: their common type may be floating, to
    which large integers are rounded.
    """
    if len(columns) < frame.shape[1]:
        frame = frame[:, [column.position for column in columns]]
    types = {column.dtype for column in columns}
    if len(types) == 1:
        whole = frame.to_numpy()
        if whole.dtype.kind in "iu":
            return _validate.native(whole)
        if types.pop().is_float():
            return _validate.whole_numbers(whole, name, place)
    arrays = []
    for k, column in enumerate(frame.iter_columns()):
        missing = column.is_null().to_numpy()
        if missing.any():
            raise ValueError(f"{name} must not be missing; got none at {place((int(np.argmax(missing)), k))}: write 0")
        array = column.to_numpy()
        if array.dtype.kind == "f":
            array = _validate.whole_numbers(array, name, lambda index, k=k: place((*index, k)))  # type: ignore[misc]
        array = _validate.count_array(array, f"{name}'s column {column.name!r}")
        _validate.count_values(array[:, np.newaxis], f"{name}'s column {column.name!r}")
        arrays.append(array.astype(np.int64))
    return np.column_stack(arrays)


def _coordinates(values: Any, what: str) -> Names:
    """Different names, or None: the numbers 0, 1, 2, ... name nothing."""
    if values is None or np.array_equal(values, np.arange(len(values))):
        return None
    return _names(values, what)


def _names(values: Any, what: str) -> Names:
    found = names.texts(values)
    if "" in found:
        raise ValueError(f"{what} must not be missing; got none at position {found.index('')}")
    return _validate.names(found, what, len(found))


def _of_xarray(array: Any, name: str) -> NamedCounts:
    found: list[Names] = []
    for dim in array.dims[-3:]:
        given = array.coords[dim].to_numpy() if dim in array.coords else None
        found.append(_coordinates(given, f"the names in coordinate {dim!r} of {name}"))
    datasets, groups, categories = ([None] * 3 + found)[-3:]
    place = partial(_validate.cell, rows=groups, columns=categories)
    return NamedCounts(_validate.count_array(array.to_numpy(), name, place), categories, groups, datasets)


def _of_anndata(data: Any, name: str, layer: str | None) -> NamedCounts:
    layers = ", ".join(map(repr, data.layers)) or "none"
    if layer is not None and layer not in data.layers:
        raise ValueError(f"layer must be one of the layers of {name}, {layers}; got {layer!r}")
    values = data.X if layer is None else data.layers[layer]
    stored = "X" if layer is None else f"layer {layer!r}"
    hint = f". This is {stored} of AnnData, whose layers are {layers}: pass layer=, if one of them holds counts"
    if values is None:
        raise ValueError(f"{name} has no X; pass layer= with one of its layers, {layers}")
    values = values.to_memory() if hasattr(values, "to_memory") else values  # of an object that is on the disk
    groups = _names(data.obs_names, f"{name}.obs_names")
    categories = _names(data.var_names, f"{name}.var_names")
    if _validate.is_sparse(values):
        return NamedCounts(sparse_integers(values, name, groups, categories, hint), categories, groups)
    place = partial(_validate.cell, rows=groups, columns=categories)
    return NamedCounts(_validate.count_array(values, name, place, hint), categories, groups)
