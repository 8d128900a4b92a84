"""Count tables in npz and npy files."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _validate
from hbm_fast.tables import npz
from hbm_fast.tables.names import distinct
from hbm_fast.tables.table import CountTable


def read(file: Path) -> CountTable:
    """The table in the arrays `counts`, `weights`, `category_names` and `group_names` of a file; no other is read."""
    with file.open("rb") as stream:
        single = stream.read(len(npz.MAGIC)) == npz.MAGIC
    if single:
        arrays = {"counts": npz.read_npy(file)}
    else:
        arrays = npz.read(file, ("counts", "weights", "category_names", "group_names"))
    if "counts" not in arrays:
        raise ValueError(f"{file}: no array named 'counts'; found {', '.join(npz.names_of(file)) or 'nothing'}")
    try:
        return _table_of(arrays)
    except TypeError as error:
        raise TypeError(f"{file}: {error}") from None
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def _table_of(arrays: dict[str, NDArray[Any]]) -> CountTable:
    counts = _bounded(_validate.counts(arrays["counts"]), "counts")
    n_groups, n_categories = counts.shape
    if n_groups < 1:
        raise ValueError("no rows")
    if n_categories < 2:
        raise ValueError(f"a table needs two categories at least; counts has shape {counts.shape}")
    weights = arrays.get("weights")
    if weights is not None:
        if weights.dtype.kind not in "iu":
            raise TypeError(f"weights must be integers; got dtype {weights.dtype}")
        if weights.shape != (n_groups,):
            raise ValueError(f"weights must have shape ({n_groups},), one for each row of counts; got {weights.shape}")
        _validate.no_negative(weights, "weights")
        weights = _bounded(weights, "weights")
    return CountTable(
        counts,
        _names_of(arrays, "category_names", n_categories),
        _names_of(arrays, "group_names", n_groups),
        weights,
    )


def _bounded(values: NDArray[Any], name: str) -> NDArray[np.int64]:
    """The array as int64; raises for a value above 2**53, since uint64 would wrap."""
    if values.size and values.max() > _validate.MAX_COUNT:
        place = np.unravel_index(int(np.argmax(values > _validate.MAX_COUNT)), values.shape)
        raise ValueError(
            f"{name}[{', '.join(map(str, place))}] = {values[place]} is beyond 2**53, from where on a float64 skips "
            "whole numbers"
        )
    return values.astype(np.int64, copy=False)


def _names_of(arrays: dict[str, NDArray[Any]], name: str, n: int) -> tuple[str, ...] | None:
    array = arrays.get(name)
    if array is None:
        return None
    if array.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},); got {array.shape}")
    if array.dtype.kind == "S":
        array = np.strings.decode(array, "utf-8")
    return distinct((str(item).strip() for item in array), f"{name} holds twice")
