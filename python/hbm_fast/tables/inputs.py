"""as_counts: counts and their names from every object that a function takes; align: columns in the order of names."""

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hbm_fast import _display, _validate
from hbm_fast._typing import Counts
from hbm_fast.tables.named_counts import NamedCounts, sparse_integers
from hbm_fast.tables.table import Table


def as_counts(
    counts: Any,
    *,
    name: str = "counts",
    layer: str | None = None,
    category_names: Sequence[str] | None = None,
    group_names: Sequence[str] | None = None,
) -> NamedCounts:
    """Counts and their names, of every object that the package takes: one function, so that all take the same.

    Parameters
    ----------
    counts : array_like, list, CountTable, Dataset, data frame, xarray.DataArray, AnnData or scipy.sparse
        Whole numbers, of a floating type too. A list of datasets (N_b, K), arrays or tables, becomes one array
        (B, N, K), in which rows of zeros pad the shorter ones; a list of pandas Series one table (N, K), by their
        names. The columns of a data frame (pandas, polars, pyarrow) have the roles that `read_counts` gives them: the
        first, if it is text, a date, or headed ``sample`` or the like, or an index that has a name or is text, names
        the groups; ``weight`` weighs them; a table of categories in its rows is transposed, and a long one is made
        wide. In xarray the last dimension is that of the categories, and coordinates other than 0, 1, 2, ... are names.
    name : str
        The name of the argument, for messages.
    layer : str, optional
        The layer of an AnnData object that holds the counts; default ``X``.
    category_names, group_names : sequence of str, optional
        In place of the names of the object.

    Returns
    -------
    NamedCounts

    Raises
    ------
    TypeError, ValueError
        For words, mappings, masked, missing or fractional entries (the message names the first by row and column),
        names that repeat or are missing, and a layer that there is not.

    Warns
    -----
    UserWarning
        Where a data frame has weights or is transposed, and where names may have been read as counts.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> given = hbm.tables.as_counts(hbm.datasets.load_marbles())
    >>> given.category_names, given.counts.shape
    (('white', 'black'), (21, 2))
    >>> hbm.tables.as_counts([[2.0, 1.0]]).counts.tolist()
    [[2, 1]]
    """
    if type(counts) is np.ndarray:
        given = NamedCounts(_validate.count_array(counts, name))
    elif isinstance(counts, NamedCounts):
        given = counts
    elif isinstance(counts, list | tuple):
        given = _of_list(counts, name, layer)
    else:
        given = _of_object(counts, name, layer) or NamedCounts(_validate.count_array(counts, name))
    if not isinstance(counts, list | tuple):
        check_layer(counts, name, layer)
    if category_names is None and group_names is None:
        return given
    shape = given.counts.shape
    category_names = _validate.names(category_names, "category_names", shape[-1] if shape else None)
    group_names = _validate.names(group_names, "group_names", shape[-2] if len(shape) > 1 else None)
    return dataclasses.replace(
        given,
        category_names=category_names or given.category_names,
        group_names=group_names or given.group_names,
    )


def as_datasets(counts: Any, **options: Any) -> tuple[NamedCounts, bool]:
    """Checked counts (B, N, K) without weights, and whether there was a batch; options as `as_counts`."""
    given = as_counts(counts, **options).unweighted()
    name = options.get("name", "counts")
    array = _validate.counts(given.dense(), name=name, ndim=(2, 3))
    if array.shape[-1] < 2:
        raise ValueError(f"{name} must have two categories (columns) at least; got shape {array.shape}")
    batch = array.ndim == 3
    return dataclasses.replace(given, counts=array if batch else array[np.newaxis]), batch


def align(
    counts: Any, category_names: Sequence[str] | None, *, name: str = "counts", layer: str | None = None
) -> Counts:
    """Counts with their columns in the order of the names, so that the columns of a table may stand in any order.

    Parameters
    ----------
    counts
        As in `as_counts`. Counts without names are returned as they are.
    category_names : sequence of str (K,), or None
    name, layer : str
        As in `as_counts`.

    Returns
    -------
    integer array (K,), (N, K) or (B, N, K)

    Raises
    ------
    ValueError
        Where a category is missing from the counts, or they have one that is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> import hbm_fast as hbm
    >>> table = hbm.tables.CountTable(np.array([[3, 1], [0, 4]]), ("white", "black"))
    >>> hbm.tables.align(table, ["black", "white"]).tolist()
    [[1, 3], [4, 0]]
    """
    given = as_counts(counts, name=name, layer=layer)
    if given.weights is not None:
        raise ValueError(f"{name} must have no weights here: pass its rows, each once")
    return aligned(given, category_names, name).dense()


def aligned(given: NamedCounts, category_names: Sequence[str] | None, name: str) -> NamedCounts:
    """The counts, sparse ones too, with their columns in the order of the names, where they have names themselves."""
    if category_names is None or given.category_names in (None, tuple(category_names)):
        return given
    place = {category: k for k, category in enumerate(given.category_names or ())}
    missing = [category for category in category_names if category not in place]
    unknown = sorted(set(place) - set(category_names), key=place.__getitem__)
    if missing or unknown:
        found = [f"{what} {_some(names)}" for what, names in (("lack", missing), ("add", unknown)) if names]
        raise ValueError(f"{name} must have the categories of the result; they {' and '.join(found)}")
    order = [place[category] for category in category_names]
    if _validate.is_sparse(given.counts):
        counts = given.counts.tocsr()[:, order]
    else:
        counts = np.ascontiguousarray(given.counts[..., order])
    return dataclasses.replace(given, counts=counts, category_names=tuple(category_names))


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def check_layer(counts: Any, name: str, layer: str | None) -> None:
    """Raise where a layer is given with anything but AnnData."""
    if layer is not None and not hasattr(counts, "layers"):
        raise TypeError(f"layer is for AnnData; got layer={layer!r} with {name} of type {type(counts).__name__}")


def _of_object(value: Any, name: str, layer: str | None) -> NamedCounts | None:
    """The counts of an object with names, or None for anything else, such as an array."""
    if isinstance(value, Table):
        return _of_table(value, name)
    if _validate.is_sparse(value):
        return NamedCounts(sparse_integers(value, name))
    if any(hasattr(type(value), attribute) for attribute in ("columns", "obs_names", "coords", "index")):
        from hbm_fast.tables import frames  # which imports narwhals

        given = frames.of_object(value, name, layer)
        if given is not None:
            return given
    if value is None or isinstance(value, Iterator):
        made = "" if value is None else ": pass list(...) of it"
        raise TypeError(f"{name} must be an array or a table of counts; got {type(value).__name__}{made}")
    if isinstance(value, Mapping | set | frozenset | str | bytes | os.PathLike):
        raise TypeError(
            f"{name} must be an array or a table of counts; got {type(value).__name__}. {_instead_of(value, name)}"
        )
    return None


def _instead_of(value: Any, name: str) -> str:
    """What to pass in the place of an object that is no table."""
    if isinstance(value, str | bytes | os.PathLike):
        return f"To read a file: hbm_fast.tables.read_counts({os.fspath(value)!r})."
    entries = list(value.values()) if isinstance(value, Mapping) else []
    if entries and all(map(_is_table, entries)):
        return f"Several tables: list({name}.values()), with dataset_names=list({name})."
    if entries and all(isinstance(entry, int | float | np.number) for entry in entries):
        return f"The counts of one group by their names: pandas.Series({name})."
    return "To count words, or from {group: {word: count}}: hbm_fast.tables.from_lists(...)."


def _of_table(table: Table, name: str) -> NamedCounts:
    counts = _validate.counts(table.counts, name=f"{name}.counts")
    weights = table.weights
    if weights is not None:
        weights = _validate.integers(weights, f"{name}.weights")
        _validate.no_negative(weights, f"{name}.weights")
        if weights.shape != counts.shape[:1]:
            raise ValueError(f"{name}.weights must have shape ({len(counts)},); got {weights.shape}")
    return NamedCounts(
        counts,
        _validate.names(table.category_names, f"{name}.category_names", counts.shape[1]),
        _validate.names(table.group_names, f"{name}.group_names", counts.shape[0]),
        weights=weights,
    )


def _of_list(value: Sequence[Any], name: str, layer: str | None) -> NamedCounts:
    """Counts of nested lists, or of a list of datasets."""
    for part in value:
        if not isinstance(part, list | tuple | int | float | np.ndarray):
            _validate.no_symbol(part, name)
    rows = any(_is_row(v) for v in value)
    if rows or any(_is_dataset(v) for v in value) or len({len(v) for v in value if _nested(v)}) > 1:
        parts = [as_counts(v, name=f"{name}[{i}]", layer=layer) for i, v in enumerate(value)]
        return (_stacked if rows else _padded)(parts, name)
    _validate.no_masked(value, name)
    try:
        array = _validate.unmasked(value, name)
    except ValueError:
        words = ". To count words: hbm_fast.tables.from_lists(...)" if _has_words(value) else ""
        raise ValueError(f"{name} must have rows of one length, K counts in each{words}") from None
    return NamedCounts(_validate.count_array(value if array.dtype == object else array, name))


def _has_words(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list | tuple) and any(map(_has_words, value)))


def _is_dataset(value: Any) -> bool:
    """Whether an entry of a list is a dataset of its own, not a row of numbers."""
    if isinstance(value, np.ndarray):
        return value.ndim == 2
    if isinstance(value, list | tuple | int | float | np.generic):
        return False
    return isinstance(value, Mapping | str) or _is_table(value)


def _is_table(value: Any) -> bool:
    return isinstance(value, Table) or len(getattr(value, "shape", ())) == 2


def _is_row(value: Any) -> bool:
    """Whether an entry of a list is one group that may have names, such as a pandas Series."""
    return not isinstance(value, np.ndarray) and len(getattr(value, "shape", ())) == 1


def _nested(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], list | tuple)


def _stacked(rows: list[NamedCounts], name: str) -> NamedCounts:
    """Groups (K,) as one array (N, K): by the names of their categories, of which one that a group lacks is 0."""
    named = [row.category_names for row in rows if row.category_names is not None]
    if not named:
        return as_counts([row.counts.tolist() for row in rows], name=name)
    numbers = all(category.isdigit() for names in named for category in names)
    places: dict[str, int] = {}
    for i, row in enumerate(rows):
        if row.category_names is None and not numbers:
            raise ValueError(f"{name}[{i}] must have names of its categories, as others have; or none has")
        for category in _display.labels(row.category_names, len(row.counts)):
            places.setdefault(category, len(places))
    counts = np.zeros((len(rows), len(places)), np.int64)
    for target, row in zip(counts, rows, strict=True):
        categories = _display.labels(row.category_names, len(row.counts))
        target[[places[category] for category in categories]] = row.counts
    return NamedCounts(counts, tuple(places))


def _padded(parts: list[NamedCounts], name: str) -> NamedCounts:
    """The datasets (N_b, K) as one array (B, N, K): rows of zeros are added below, which changes no result."""
    first = parts[0]
    arrays: list[Counts] = []
    for i, part in enumerate(parts):
        part = part.unweighted()
        array = _validate.counts(part.dense(), name=f"{name}[{i}]")
        k = arrays[0].shape[1] if arrays else array.shape[1]
        if array.shape[1] != k:
            raise ValueError(f"{name}[{i}] must have K = {k} categories, as {name}[0] has; got shape {array.shape}")
        if part.category_names != first.category_names:
            if part.category_names is None or first.category_names is None:
                raise ValueError(f"{name}[{i}] and {name}[0]: either both have category names or none has")
            array = aligned(part, first.category_names, f"{name}[{i}]").dense()
        arrays.append(array)
    dtype = np.result_type(*(a.dtype for a in arrays))
    if dtype.kind == "f":  # uint64 beside a signed type: no total may exceed 2**53, so int64 holds what is valid
        dtype = np.dtype(np.int64)
    result = np.zeros((len(arrays), max(len(a) for a in arrays), arrays[0].shape[1]), dtype=dtype)
    for padded, array in zip(result, arrays, strict=True):
        padded[: len(array)] = array
    same = all(part.group_names == first.group_names for part in parts)
    return NamedCounts(result, first.category_names, first.group_names if same else None)
