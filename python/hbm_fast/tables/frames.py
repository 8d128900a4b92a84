"""Counts of data frames (pandas, polars, pyarrow, through narwhals), xarray and AnnData, with their names."""

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from hbm_fast import _validate
from hbm_fast.tables.inputs import NamedCounts, Names, sparse_integers


def of_object(value: Any, name: str, layer: str | None) -> NamedCounts | None:
    """The counts of a data frame, series, xarray or AnnData object; None for anything else."""
    if nw.dependencies.is_into_dataframe(value):
        return _of_frame(_narwhal(value, name), name)
    if nw.dependencies.is_into_series(value):
        series = nw.from_native(value, series_only=True)
        names = _names(nw.maybe_get_index(series), f"the names in the index of {name}")
        return NamedCounts(_validate.count_array(series.to_numpy(), name), names)
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


def _of_frame(frame: nw.DataFrame[Any], name: str) -> NamedCounts:
    index = nw.maybe_get_index(frame)
    groups = _names(index, f"the names in the index of {name}")
    schema = frame.schema
    columns: list[Any] = list(schema)  # of pandas not only str
    text = [column for column, dtype in schema.items() if dtype in (nw.String, nw.Categorical, nw.Enum)]
    if groups is None and text and text[0] == columns[0]:
        groups = _names(frame[columns[0]].to_list(), f"the names in column {columns[0]!r} of {name}")
        columns, text = columns[1:], text[1:]
    if text:
        raise TypeError(
            f"{name} must hold one count in each column; column {text[0]!r} holds text: leave it out, "
            f"as in {name}.drop(columns=[{text[0]!r}]), or make a long table wide with {name}.pivot(...)"
        )
    for column in columns:
        if not schema[column].is_numeric():
            raise TypeError(f"{name} must hold integers; column {column!r} is {schema[column]}: store it as int64")
    if not columns:
        raise ValueError(f"{name} must have at least one column of counts; got none")
    numbered = all(column == k for k, column in enumerate(columns))  # by pandas, where they have no names
    categories = None if numbered else tuple(map(str, columns))
    place = partial(_validate.cell, rows=groups, columns=categories)
    return NamedCounts(_numbers(frame.select(nw.col(*columns)), name, place), categories, groups)


def _numbers(frame: nw.DataFrame[Any], name: str, place: Any) -> NDArray[Any]:
    """The counts of a frame of numbers, without a copy where the columns share one array.

    Columns of several types, or with missing entries, are converted one by one: their common type may be floating, to
    which large integers are rounded.
    """
    types = set(frame.schema.values())
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


def _names(values: Any, what: str) -> Names:
    """Different names, or None: numbers name nothing, unless the index of a frame has a name of its own."""
    if values is None:
        return None
    array = np.asarray(values)
    if array.dtype.kind in "iuf" and getattr(values, "name", None) is None:
        return None
    return _different(array.tolist(), what)


def _different(values: Sequence[Any], what: str) -> Names:
    return _validate.names([str(value) for value in values], what, len(values))


def _of_xarray(array: Any, name: str) -> NamedCounts:
    names = []
    for dim in array.dims[-3:]:
        given = array.coords[dim].to_numpy().tolist() if dim in array.coords else None
        names.append(None if given is None else _different(given, f"the names in coordinate {dim!r} of {name}"))
    datasets, groups, categories = ([None] * 3 + names)[-3:]
    values = array.to_numpy()
    if values.dtype.kind == "f":
        values = _validate.whole_numbers(values, name, partial(_validate.cell, rows=groups, columns=categories))
    return NamedCounts(_validate.count_array(values, name), categories, groups, datasets)


def _of_anndata(data: Any, name: str, layer: str | None) -> NamedCounts:
    layers = ", ".join(map(repr, data.layers)) or "none"
    if layer is not None and layer not in data.layers:
        raise ValueError(f"layer must be one of the layers of {name}, {layers}; got {layer!r}")
    values = data.X if layer is None else data.layers[layer]
    stored = "X" if layer is None else f"layer {layer!r}"
    hint = f". This is {stored} of AnnData, whose layers are {layers}: pass layer=, if one of them holds counts"
    if values is None:
        raise ValueError(f"{name} has no X{hint}")
    values = values.to_memory() if hasattr(values, "to_memory") else values  # of an object that is on the disk
    groups = _different(data.obs_names, f"{name}.obs_names")
    categories = _different(data.var_names, f"{name}.var_names")
    if _validate.is_sparse(values):
        return NamedCounts(sparse_integers(values, name, groups, categories, hint), categories, groups)
    values = _validate.unmasked(values, name)
    if values.dtype.kind == "f":
        values = _validate.whole_numbers(values, name, partial(_validate.cell, rows=groups, columns=categories), hint)
    return NamedCounts(_validate.count_array(values, name), categories, groups)
