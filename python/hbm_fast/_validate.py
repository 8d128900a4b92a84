"""All checks of what users pass, and all messages: the argument, what was expected, what came, what to do."""

import difflib
import operator
import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast._typing import Counts, Floats

# Every whole number up to this one is a float64: the largest count and the largest total of a group.
MAX_COUNT = 2**53
MAX_THREADS = 2**31 - 1


def positive_int(value: Any, name: str, *, minimum: int = 1, maximum: int = 2**63 - 1) -> int:
    """An integer from ``minimum`` to ``maximum``; bools and floats are refused."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be an integer; got a bool")
    try:
        result = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer; got {value!r} ({type(value).__name__})") from None
    if result < minimum:
        raise ValueError(f"{name} must be at least {minimum}; got {result}")
    _at_most(result, name, maximum)
    return result


def finite_float(value: Any, name: str, *, positive: bool = False) -> float:
    """A finite number, optionally above zero."""
    try:
        result = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number; got {value!r} ({type(value).__name__})") from None
    if not np.isfinite(result):
        raise ValueError(f"{name} must be finite; got {result}")
    if positive and result <= 0:
        raise ValueError(f"{name} must be positive; got {result}")
    return result


def threads(n_threads: Any) -> int:
    """None: HBM_FAST_NUM_THREADS, else the CPUs this process may use. Results never depend on it."""
    if n_threads is None:
        stated = os.environ.get("HBM_FAST_NUM_THREADS", "")
        if stated:
            name = "the environment variable HBM_FAST_NUM_THREADS"
            if not (stated.isascii() and stated.isdigit() and stated.strip("0")):
                raise ValueError(f"{name} must be a positive integer; got {stated!r}")
            return positive_int(int(stated), name, maximum=MAX_THREADS)
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1
    return positive_int(n_threads, "n_threads", maximum=MAX_THREADS)


def unmasked(value: Any, name: str) -> NDArray[Any]:
    """An array of ``value``; masked entries are refused, since numpy ignores the mask of what becomes an array."""
    for part in value if isinstance(value, list | tuple) else (value,):
        if type(part) is not np.ndarray and isinstance(part, np.ndarray) and np.ma.is_masked(part):
            where = tuple(int(i) for i in np.argwhere(np.ma.getmaskarray(part))[0])
            raise ValueError(f"{name} must not be masked; got a masked entry at {where}: fill it, or leave it out")
    return np.asarray(value)


def integers(value: Any, name: str) -> Counts:
    """An array of integers in native byte order and aligned, as every kernel reads it; not copied where it is so."""
    array = unmasked(value, name)
    _integer_dtype(array, name)
    return native(array)


def native(array: NDArray[Any]) -> NDArray[Any]:
    """The same numbers in native byte order, aligned: a copy only where they are not."""
    if array.dtype.isnative and array.flags.aligned:
        return array
    return array.astype(array.dtype.newbyteorder("="))


def doubles(value: Any, name: str) -> Floats:
    """A float64 array, C-contiguous and aligned, of an array of real numbers."""
    array = unmasked(value, name)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be an array of numbers; got dtype {array.dtype}")
    result = np.ascontiguousarray(array, dtype=np.float64)
    return result if result.flags.aligned else result.copy()


def counts(value: ArrayLike, *, name: str = "counts", ndim: tuple[int, ...] = (2,)) -> Counts:
    """A checked integer array, (N, K), or (B, N, K) where ndim allows 3; not copied where native and aligned.

    Values are checked here, so that every kernel may trust its input: none negative, no total of a group above 2**53.
    """
    array = integers(value, name)
    if array.ndim not in ndim:
        shapes = {1: "(K,)", 2: "(N, K)", 3: "(B, N, K)"}
        expected = " or ".join(shapes[n] for n in ndim)
        hint = f" For one group pass {name}[np.newaxis, :]." if array.ndim == 1 else ""
        raise ValueError(f"{name} must have shape {expected}; got {array.shape}.{hint}")
    if array.shape[-1] < 1:
        raise ValueError(f"{name} must have at least one category; got shape {array.shape}")
    count_values(array, name)
    return array


def _integer_dtype(array: Any, name: str) -> None:
    if array.dtype == bool:
        raise TypeError(f"{name} must be integers; got bool. Use {name}.astype(np.uint8).")
    if array.dtype.kind == "f":
        raise TypeError(
            f"{name} must be integers; got {array.dtype}. If they are whole numbers, use {name}.astype(np.int64)."
        )
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be an array of integers; got dtype {array.dtype}.")


def no_negative(array: NDArray[Any], name: str) -> None:
    """Names the first negative entry."""
    if array.dtype.kind == "i" and array.size and array.min() < 0:
        where = tuple(int(i) for i in np.argwhere(array < 0)[0])
        raise ValueError(f"{name} must not be negative; got {array[where]} at index {where}")


def count_values(array: NDArray[Any], name: str) -> None:
    """Names the first negative count, the first one above 2**53, or a group whose total is above it."""
    no_negative(array, name)
    if not array.size or array.dtype.itemsize < 8:  # 2**21 categories of 32 bits stay within the limit
        return
    largest = int(array.max())
    if largest > MAX_COUNT:
        where = tuple(int(i) for i in np.argwhere(array > MAX_COUNT)[0])
        raise ValueError(f"{name} must be at most 2**53; got {array[where]} at index {where}")
    if largest > MAX_COUNT // array.shape[-1]:
        totals = array.sum(axis=-1, dtype=np.float64)
        if totals.max() > MAX_COUNT:
            raise ValueError(f"{name} must have totals of at most 2**53 in each group; got {totals.max():.6g}")


def concentration(value: ArrayLike, n_categories: int, *, name: str = "concentration", zero: bool = False) -> Floats:
    """A float64 array (..., K), positive (or non-negative where zero is allowed) and finite."""
    result = doubles(value, name)
    if result.ndim < 1 or result.shape[-1] != n_categories:
        raise ValueError(f"{name} must have shape (..., K) with K = {n_categories}; got {np.shape(value)}")
    if not result.size:
        return result
    lowest, highest = np.minimum.reduce(result, axis=None), np.maximum.reduce(result, axis=None)  # NaN where one is NaN
    if not ((lowest >= 0.0 if zero else lowest > 0.0) and highest < np.inf):
        bad = np.isnan(result)  # the first NaN, or else the first that is out of range
        if not bad.any():
            bad = (result < 0.0 if zero else result <= 0.0) | (result == np.inf)
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        need = "not be NaN" if np.isnan(result[where]) else f"be {'non-negative' if zero else 'positive'} and finite"
        raise ValueError(f"{name} must {need}; got {result[where]} at index {where}")
    return result


def draws(value: ArrayLike, name: str, shape: tuple[int, ...] | None = None) -> Floats:
    """A float64 array of posterior draws, of a given shape where the shape is known; NaN is refused."""
    array = doubles(value, name)
    if shape is None and array.ndim not in (2, 3):
        raise ValueError(f"{name} must have shape (C, D) or (B, C, D); got {array.shape}")
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, as log_alpha says; got {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name} must hold at least one draw; got shape {array.shape}")
    if np.isnan(array).any():
        raise ValueError(f"{name} must not be NaN; got nan at index {tuple(np.argwhere(np.isnan(array))[0].tolist())}")
    return array


def parameter(name: Any) -> str:
    """A name that mean, sd, quantile and the diagnostics know."""
    known = ("alpha", "log_alpha", "beta", "log_beta")
    if name not in known:
        raise ValueError(f"name must be one of {', '.join(map(repr, known))}; got {name!r}")
    return str(name)


def group_index(group: Any, names: tuple[str, ...] | None, n_groups: int) -> int:
    """The index of a group given by its number (negative: from the end) or by its name."""
    if isinstance(group, str):
        if names is None or group not in names:
            stated = "no group names are known" if names is None else f"the names are {', '.join(names[:5])} ..."
            raise ValueError(f"group {group!r} is unknown: {stated}; pass its index, or None for a new group")
        return names.index(group)
    if isinstance(group, bool | np.bool_) or not hasattr(group, "__index__"):
        raise TypeError(f"group must be an index, a name or None for a new group; got {group!r}")
    index = operator.index(group)
    if not -n_groups <= index < n_groups:
        raise IndexError(f"group must be below N = {n_groups}; got {index}. For a group not seen use counts=row.")
    return index % n_groups


def names(value: Any, name: str, n: int | None) -> tuple[str, ...] | None:
    """None, or n different strings; whole numbers become strings."""
    if value is None:
        return None
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        raise TypeError(f"{name} must be a sequence of names; got {value!r}")
    given = tuple(value)
    for i, v in enumerate(given):
        if not isinstance(v, str | int | np.integer) or isinstance(v, bool):
            raise TypeError(f"{name} must be str (or int); got {v!r} ({type(v).__name__}) at index {i}")
    result = tuple(map(str, given))
    if n is None:
        raise ValueError(f"{name} needs counts to name the groups of; pass counts too")
    if len(result) != n:
        raise ValueError(f"{name} must hold {n} names; got {len(result)}")
    seen: set[str] = set()
    for v in result:
        if v in seen:
            raise ValueError(f"{name} must differ from each other; {v!r} occurs twice")
        seen.add(v)
    return result


def probabilities(value: ArrayLike, name: str) -> Floats:
    """Numbers in [0, 1]."""
    array = np.asarray(value, dtype=np.float64)
    if not ((array >= 0.0) & (array <= 1.0)).all():
        raise ValueError(f"{name} must lie between 0 and 1; got {value!r}")
    return array


def integer_source(value: Any, name: str, *, minimum: int, maximum: int) -> tuple[int, int] | NDArray[np.int64]:
    """An int or a (low, high) tuple, both inclusive, as (low, high); a list or array as int64 values; all checked."""
    if isinstance(value, tuple) and len(value) == 2:
        low = positive_int(value[0], f"{name}'s low", minimum=minimum)
        high = positive_int(value[1], f"{name}'s high", minimum=minimum)
        if low > high:
            raise ValueError(f"{name} must be (low, high) with low <= high; got {value}")
        _at_most(high, name, maximum)
        return low, high
    if isinstance(value, tuple):
        raise ValueError(
            f"{name} must be (low, high), inclusive; got a tuple of {len(value)}. For given values use an array."
        )
    if isinstance(value, list | np.ndarray) and np.ndim(value) > 0:
        array = integers(value, name)
        if array.size == 0:
            raise ValueError(f"{name} must not be empty; got shape {array.shape}")
        if array.min() < minimum:
            where = tuple(int(i) for i in np.argwhere(array < minimum)[0])
            raise ValueError(f"{name} must be at least {minimum}; got {array[where]} at index {where}")
        _at_most(int(array.max()), name, maximum)
        return np.ascontiguousarray(array, dtype=np.int64)
    single = positive_int(value, name, minimum=minimum)
    _at_most(single, name, maximum)
    return single, single


def _at_most(value: int, name: str, maximum: int) -> None:
    if value > maximum:
        raise ValueError(f"{name} must be at most {maximum}; got {value}")


def count_dtype(dtype: Any, largest: int) -> np.dtype[Any]:
    """An integer dtype that holds the largest total there can be."""
    result = np.dtype(dtype)
    if result.kind not in "iu":
        raise TypeError(f"dtype must be an integer type for the counts; got {result}")
    if largest > np.iinfo(result).max:
        fits = next(t for t in (np.uint8, np.uint16, np.int32, np.int64) if largest <= np.iinfo(t).max)
        raise ValueError(
            f"dtype {result} holds counts up to {np.iinfo(result).max}, and totals reach {largest}; "
            f"pass dtype=np.{np.dtype(fits).name}"
        )
    native: np.dtype[Any] = result.newbyteorder("=")
    return native


def output(value: Any, name: str, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """The caller's buffer: exactly this shape and dtype, C-contiguous, writeable."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be a numpy array to write into; got {type(value).__name__}")
    if value.dtype != dtype:
        raise TypeError(f"{name} must have dtype {np.dtype(dtype)}; got {value.dtype}")
    if value.shape != shape:
        raise ValueError(f"{name} must have shape {shape}; got {value.shape}")
    if not (value.flags.c_contiguous and value.flags.writeable and value.flags.aligned):
        raise ValueError(
            f"{name} must be C-contiguous, aligned and writeable; pass np.empty({shape}, np.{np.dtype(dtype).name})"
        )
    return value


def positive_array(value: ArrayLike, name: str, shape: tuple[int, ...]) -> Floats:
    """Positive finite numbers that broadcast to ``shape``."""
    array = doubles(value, name)
    bad = ~(np.isfinite(array) & (array > 0))
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{name} must be positive and finite; got {array[where]} at index {where}")
    return _broadcast(array, name, shape)


def proportions(value: ArrayLike, name: str, shape: tuple[int, ...]) -> Floats:
    """Non-negative rows that sum to one (renormalised), broadcast to ``shape``."""
    array = concentration(value, shape[-1], name=name, zero=True)
    sums = array.sum(axis=-1, keepdims=True)
    bad = np.abs(sums[..., 0] - 1.0) > 1e-6
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{name} must have rows that sum to 1; got {sums[where][0]} at index {where}")
    return _broadcast(array / sums, name, shape)


def _broadcast(array: NDArray[Any], name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(f"{name} must have a shape that broadcasts to {shape}; got {array.shape}") from None


def is_ragged(value: Any) -> bool:
    """A list or tuple of (N_b, K) arrays whose N_b differ, or of arrays at all: many datasets."""
    if not isinstance(value, list | tuple) or not value:
        return False
    return (
        any(isinstance(v, np.ndarray) and v.ndim == 2 for v in value) or len({len(v) for v in value if _nested(v)}) > 1
    )


def _nested(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], list | tuple)


def zero_padded(arrays: list[Counts]) -> Counts:
    """(B, N, K) of a list of (N_b, K): groups without draws are added below, which changes nothing."""
    n_categories = arrays[0].shape[1]
    for i, array in enumerate(arrays):
        if array.shape[1] != n_categories:
            raise ValueError(
                f"counts[{i}] must have K = {n_categories} categories, as counts[0] has; got shape {array.shape}"
            )
    dtype = np.result_type(*(a.dtype for a in arrays))
    if dtype.kind == "f":  # uint64 beside a signed type: no total may exceed 2**53, so int64 holds what is valid
        dtype = np.dtype(np.int64)
    result = np.zeros((len(arrays), max(len(a) for a in arrays), n_categories), dtype=dtype)
    for padded, array in zip(result, arrays, strict=True):
        padded[: len(array)] = array
    return result


def datasets(value: Any) -> tuple[Counts, bool]:
    """(B, N, K) of one dataset (N, K), of many (B, N, K) or of a ragged list; and whether there was a batch."""
    if is_ragged(value):
        return zero_padded([counts(c, name=f"counts[{i}]") for i, c in enumerate(value)]), True
    array = counts(value, ndim=(2, 3))
    return (array, True) if array.ndim == 3 else (array[np.newaxis], False)


def same_categories(n_categories: int, model: Any) -> None:
    """The model's K is that of the counts."""
    if not hasattr(model, "n_categories"):
        raise TypeError(f"model must be a HierarchicalModel; got {model!r}")
    if model.n_categories != n_categories:
        raise ValueError(
            f"counts has K = {n_categories} categories and the model {model.n_categories}: "
            f"pass HierarchicalModel({n_categories}, ...)"
        )


def latent(value: ArrayLike, name: str, dim: int) -> Floats:
    """Points (..., dim) of a latent space, finite."""
    array = doubles(value, name)
    if array.ndim < 1 or array.shape[-1] != dim:
        raise ValueError(f"{name} must have shape (..., dim) with dim = {dim}; got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite")
    return array


def simplex_points(value: ArrayLike, name: str, n_categories: int) -> Floats:
    """Points (G, K) inside the simplex; for K = 2 also (G,), the proportion of category 1."""
    array = np.asarray(value, dtype=np.float64)
    if array.ndim == 1 and n_categories == 2:
        array = np.stack([1.0 - array, array], axis=-1)
    if array.ndim != 2 or array.shape[-1] != n_categories:
        also = " or (G,)" if n_categories == 2 else ""
        raise ValueError(f"{name} must have shape (G, {n_categories}){also}; got {np.shape(value)}")
    if not (array > 0.0).all() or not np.allclose(array.sum(-1), 1.0):
        raise ValueError(f"{name} must lie inside the simplex: positive, with rows that sum to one")
    return array


def inclusive_range(value: Any, name: str, minimum: int, maximum: int | None = None) -> tuple[int, int]:
    """(low, high) of an int or of a pair with low <= high."""
    if isinstance(value, tuple) and len(value) != 2:
        raise ValueError(f"{name} must be an int or (low, high); got a tuple of {len(value)}")
    low, high = value if isinstance(value, tuple) else (value, value)
    low = positive_int(low, name, minimum=minimum)
    high = positive_int(high, name, minimum=max(1, minimum))
    if high < low:
        raise ValueError(f"{name} must be an int or (low, high) with low <= high; got {value}")
    if maximum is not None and high > maximum:
        raise ValueError(f"{name} must be at most {maximum}; got {high}")
    return low, high


def keywords(given: Iterable[str], known: Iterable[str], function: str) -> None:
    """Keyword arguments that a function hands on: an unknown one is refused, with the known one that is most alike."""
    known = list(known)
    for name in given:
        if name not in known:
            alike = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {alike[0]!r}?" if alike else f"; it takes {', '.join(known)}"
            raise TypeError(f"{function} got an unexpected keyword argument {name!r}{hint}")


def share(value: Any, name: str) -> float:
    """A number strictly between 0 and 1."""
    result = finite_float(value, name)
    if not 0.0 < result < 1.0:
        raise ValueError(f"{name} must lie strictly between 0 and 1; got {result}")
    return result


def counts_and_concentration(x: ArrayLike, a: ArrayLike) -> tuple[Counts, Floats]:
    """Counts (..., K) as they lie in memory and float64 concentrations, broadcast over their leading axes, or (K,).

    Their values are looked at by the kernel, in the same pass; `explain_rows` says what was wrong with them.
    """
    x, a = integers(x, "counts"), unmasked(a, "concentration")
    if a.dtype.kind not in "fiu":
        raise TypeError(f"concentration must be an array of numbers; got dtype {a.dtype}")
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"counts must have shape (..., K) with K >= 1; got {x.shape}")
    if a.ndim == 0 or a.shape[-1] != x.shape[-1]:
        raise ValueError(f"concentration must have shape (..., K) with K = {x.shape[-1]}; got {a.shape}")
    if x.shape != a.shape and a.ndim > 1:  # one concentration stays as it is: broadcasting costs more than a small call
        try:
            x, a = np.broadcast_arrays(x, a)
        except ValueError:
            raise ValueError(
                f"concentration's leading axes must broadcast against those of counts; got {a.shape} and {x.shape}"
            ) from None
    return x, a if a.dtype == np.float64 and a.flags.aligned else a.astype(np.float64)


def explain_rows(x: Counts, a: Floats) -> None:
    """Raises with the place of a count or concentration that the kernel refused."""
    count_values(x, "counts")
    bad = ~((a >= 0) & np.isfinite(a))
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"concentration must be non-negative and finite; got {a[where]} at index {where}")


def is_sparse(value: Any) -> bool:
    """A scipy.sparse matrix or array, recognised without importing scipy."""
    return hasattr(value, "tocsr") and hasattr(value, "nnz")


def csr(value: Any, name: str = "counts") -> tuple[Counts, NDArray[Any], NDArray[Any], tuple[int, int]]:
    """Values, columns, offsets and shape of sparse counts; duplicates are summed (in a copy)."""
    if len(value.shape) != 2 or value.shape[1] < 1:
        raise ValueError(f"{name} must have shape (N, K); got {value.shape}")
    _integer_dtype(value, name)
    matrix = value.tocsr()
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    columns, offsets = matrix.indices, matrix.indptr
    if columns.dtype != offsets.dtype:
        columns, offsets = columns.astype(np.int64), offsets.astype(np.int64)
    return native(matrix.data), columns, offsets, (int(matrix.shape[0]), int(matrix.shape[1]))


def whole_number(cell: Any, where: str) -> None:
    """One cell of a file that must hold a count; ``where`` names the file, the line and the column."""
    text = str(cell).strip()
    if text in ("", "None", "nan"):
        raise ValueError(f"{where}: missing; write 0 for none")
    shown = text if len(text) <= 40 else f"{text[:40]}..."
    if not text.isascii() or "_" in text:  # 1_000 and other scripts' digits, which int() takes
        raise ValueError(f"{where}: counts must be whole numbers; got {shown!r}: write the digits 0 to 9 alone")
    try:
        number = int(text)
    except ValueError:
        raise ValueError(f"{where}: counts must be whole numbers; got {shown!r}") from None
    if number < 0:
        raise ValueError(f"{where}: counts must not be negative; got {shown}")
    if number >= 2**63:
        raise ValueError(f"{where}: the count {shown} is beyond 64 bits")
    if number > 2**53:
        raise ValueError(f"{where}: the count {shown} is beyond 2**53, from where on a float64 skips whole numbers")


def n_categories_of(value: Any, name: str = "counts") -> int:
    """K of dense or sparse counts."""
    shape = value.shape if is_sparse(value) else np.shape(value)
    if len(shape) < 2 or shape[-1] < 1:
        hint = f" For one group pass {name}[np.newaxis, :]." if len(shape) == 1 else ""
        raise ValueError(f"{name} must have shape (N, K) or (B, N, K); got {tuple(shape)}.{hint}")
    return int(shape[-1])


def same_last_axis(shape: tuple[int, ...], n_categories: int, name: str = "counts") -> None:
    """These counts have the K of what they are added to."""
    if shape[-1] != n_categories:
        raise ValueError(f"{name} must have K = {n_categories} categories; got shape {shape}")


def count_table(value: ArrayLike, n_categories: int, name: str = "counts") -> Counts:
    """Counts (N, K) or (B, N, K), native and aligned; the kernel checks their values in its own pass over them."""
    array = integers(value, name)
    n_categories_of(array, name)
    if array.ndim > 3:
        raise ValueError(f"{name} must have shape (N, K) or (B, N, K); got {array.shape}")
    same_last_axis(array.shape, n_categories, name)
    return array


def group_weights(value: ArrayLike | None, shape: tuple[int, ...]) -> Floats | None:
    """Non-negative finite weights of exactly this shape, or None."""
    if value is None:
        return None
    array = doubles(value, "weights")
    if array.shape != shape:
        raise ValueError(f"weights must have shape {shape}, one for each group; got {array.shape}")
    bad = ~(np.isfinite(array) & (array >= 0))
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"weights must be non-negative and finite; got {array[where]} at index {where}")
    return array


def totals_array(value: Any, name: str, *, maximum: int) -> NDArray[np.int64]:
    """Non-negative integers of any shape, at most ``maximum``."""
    array = integers(value, name)
    no_negative(array, name)
    if array.size:
        _at_most(int(array.max()), name, maximum)
    return array.astype(np.int64)
