"""Checks of arguments that several modules share.

A message names the argument and says what was expected, what came, and what to do.
"""

import difflib
import functools
import inspect
import operator
import os
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast._typing import Counts, Floats

# Every whole number up to this one is a float64: the largest count and the largest total of a group.
MAX_COUNT = 2**53
MAX_THREADS = 2**31 - 1
P = ParamSpec("P")
T = TypeVar("T")
_BLOCK = 2**22  # numbers converted by one call of numpy: some hundredths of a second


def first_index(bad: NDArray[np.bool_]) -> tuple[int, ...]:
    """Index of the first True."""
    return tuple(int(i) for i in np.argwhere(bad)[0])


def at_most(value: int, name: str, maximum: int) -> None:
    """Raise above ``maximum``."""
    if value > maximum:
        raise ValueError(f"{name} must be at most {maximum}; got {value}")


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
    at_most(result, name, maximum)
    return result


def finite_float(value: Any, name: str, *, positive: bool = False) -> float:
    """A finite number, optionally above zero; bools and texts are refused."""
    try:
        if isinstance(value, bool | np.bool_ | str | bytes):
            raise TypeError
        result = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number; got {value!r} ({type(value).__name__})") from None
    except OverflowError:
        raise ValueError(f"{name} must be finite; got an integer beyond the largest float") from None
    if not np.isfinite(result):
        raise ValueError(f"{name} must be finite; got {result}")
    if positive and result <= 0:
        raise ValueError(f"{name} must be positive; got {result}")
    return result


def threads(n_threads: Any) -> int:
    """Number of threads; for None HBM_FAST_NUM_THREADS, else the number of CPUs that this process may use."""
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


def no_masked(value: Any, name: str) -> None:
    """Raise for masked entries of an array, or of the arrays in lists: `numpy.asarray` ignores the mask."""
    for part in value if isinstance(value, list | tuple) else (value,):
        if isinstance(part, list | tuple) and part and not isinstance(part[0], int | float):
            no_masked(part, name)
        if type(part) is not np.ndarray and isinstance(part, np.ndarray) and np.ma.is_masked(part):
            where = first_index(np.ma.getmaskarray(part))
            raise ValueError(f"{name} must not be masked; got a masked entry at {where}: fill it, or leave it out")


def no_symbol(value: Any, name: str) -> None:
    """Raise for an object that another library differentiates or compiles, in lists too; imports no library."""
    for part in value if isinstance(value, list | tuple) else ():
        no_symbol(part, name)
    package = type(value).__module__.partition(".")[0]
    if package == "torch" and getattr(value, "requires_grad", False):
        found, use = "a tensor that requires grad", "hbm_fast.integrations.torch_likelihood, or detach the tensor"
    elif package == "jax" and any(parent.__name__ == "Tracer" for parent in type(value).__mro__):
        found, use = "a tracer of JAX", "hbm_fast.integrations.jax inside functions that JAX transforms"
    elif package == "pytensor":
        found, use = "a variable of PyTensor", "hbm_fast.integrations.pymc"
    else:
        return
    raise TypeError(f"{name} must be an array of numbers; got {found} ({type(value).__name__}): use {use}")


def unmasked(value: Any, name: str) -> NDArray[Any]:
    """An array of ``value`` without masked entries."""
    no_masked(value, name)
    if not isinstance(value, np.ndarray | list | tuple):
        no_symbol(value, name)
    try:
        array = np.asarray(value)
    except Exception:
        no_symbol(value, name)
        raise
    if array.dtype == object:
        no_symbol(value, name)
    return array


def integers(value: Any, name: str) -> Counts:
    """An array of integers in native byte order and aligned, as the kernels need it; copied only if it is not."""
    array = unmasked(value, name)
    _integer_dtype(array, name)
    return native(array)


def cell(index: tuple[int, ...], rows: tuple[str, ...] | None = None, columns: tuple[str, ...] | None = None) -> str:
    """A cell in words: by the names of its row and column where they have any."""
    if len(index) < 2:
        return f"index {index[0] if index else 0}"
    names = zip(("row", "column"), index[-2:], (rows, columns), strict=True)
    found = ", ".join(f"{what} {i if named is None else repr(named[i])}" for what, i, named in names)
    return f"dataset {index[0]}, {found}" if len(index) == 3 else found


def count_array(value: Any, name: str, place: Callable[[tuple[int, ...]], str] = cell, hint: str = "") -> Counts:
    """An array of integers as by `integers`; whole numbers of a floating type become int64, as by `whole_numbers`."""
    array = unmasked(value, name)
    if array.dtype.kind == "f":
        return whole_numbers(array, name, place, hint)
    _integer_dtype(array, name)
    return native(array)


def whole_numbers(
    array: NDArray[Any], name: str, place: Callable[[tuple[int, ...]], str] = cell, hint: str = ""
) -> NDArray[np.int64]:
    """Floating-point counts as int64; raises for the first that is NaN, fractional or beyond 2**53.

    ``place`` names a cell by its index, and ``hint`` ends the message.
    """
    result = np.empty(array.shape, np.int64)
    source, target = np.atleast_1d(array), np.atleast_1d(result)
    step = max(1, _BLOCK * len(source) // max(source.size, 1))
    for start in range(0, len(source), step):  # between two blocks Python sees Ctrl-C
        part = source[start : start + step]
        with np.errstate(invalid="ignore", over="ignore"):  # 2**53 is infinite in half precision
            converted = part.astype(np.int64)
            bad = (converted != part) | (np.abs(part) > MAX_COUNT)
        if bad.any():
            index = first_index(bad)
            index = (index[0] + start, *index[1:])
            found = source[index]
            if np.isnan(found):
                raise ValueError(f"{name} must not be NaN; got NaN at {place(index)}: write 0 for none{hint}")
            if abs(float(found)) > MAX_COUNT:
                raise ValueError(f"{name} must be at most 2**53; got {found} at {place(index)}{hint}")
            hint = hint or ": pass the counts, neither proportions nor scaled values"
            raise ValueError(f"{name} must be whole numbers; got {found} at {place(index)}{hint}")
        target[start : start + step] = converted
    return result


def native(array: NDArray[Any]) -> NDArray[Any]:
    """The array in native byte order and aligned; copied only if it is not."""
    if array.dtype.isnative and array.flags.aligned:
        return array
    return array.astype(array.dtype.newbyteorder("="))


def native_state(state: dict[str, Any]) -> dict[str, Any]:
    """The state of a pickled object with its arrays `native`: in a message, as of dask, they lie at odd addresses."""
    return {name: native(value) if isinstance(value, np.ndarray) else value for name, value in state.items()}


def doubles(value: Any, name: str) -> Floats:
    """A C-contiguous, aligned float64 array of real numbers."""
    array = unmasked(value, name)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be an array of numbers; got dtype {array.dtype}")
    result = np.ascontiguousarray(array, dtype=np.float64)
    return result if result.flags.aligned else result.copy()


def counts(value: ArrayLike, *, name: str = "counts", ndim: tuple[int, ...] = (2,)) -> Counts:
    """A checked integer array, (N, K), or (B, N, K) where ``ndim`` allows 3; copied as by `count_array`.

    No count is negative and no total of a group is above 2**53, which the kernels rely on.
    """
    array = count_array(value, name)
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
    if array.dtype.kind in "US":
        raise TypeError(
            f"{name} must be an array of integers; got words (dtype {array.dtype}). To count words: "
            "hbm_fast.tables.from_lists(...)."
        )
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be an array of integers; got dtype {array.dtype}.")


def no_negative(array: NDArray[Any], name: str) -> None:
    """Raise for the first negative entry."""
    if array.dtype.kind == "i" and array.size and array.min() < 0:
        where = first_index(array < 0)
        raise ValueError(f"{name} must not be negative; got {array[where]} at index {where}")


def count_values(array: NDArray[Any], name: str) -> None:
    """Raise for the first negative count, the first one above 2**53, or a total of a group above 2**53."""
    no_negative(array, name)
    if not array.size or array.dtype.itemsize < 8:  # 2**21 categories of 32 bits stay within the limit
        return
    largest = int(array.max())
    if largest > MAX_COUNT:
        where = first_index(array > MAX_COUNT)
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
    return in_range(result, name, zero=zero)


def in_range(array: Floats, name: str, *, zero: bool = False) -> Floats:
    """The array itself; raises for the first entry that is NaN, or not positive (``zero``: negative), or infinite."""
    if not array.size:
        return array
    lowest, highest = np.minimum.reduce(array, axis=None), np.maximum.reduce(array, axis=None)  # NaN if any is NaN
    if not ((lowest >= 0.0 if zero else lowest > 0.0) and highest < np.inf):
        bad = np.isnan(array)
        need = "not be NaN"
        if not bad.any():
            bad = (array < 0.0 if zero else array <= 0.0) | (array == np.inf)
            need = f"be {'non-negative' if zero else 'positive'} and finite"
        where = first_index(bad)
        raise ValueError(f"{name} must {need}; got {array[where]} at index {where}")
    return array


def parameter(name: Any, more: tuple[str, ...] = ()) -> None:
    """Raise where the name is not that of a parameter that `Posterior` summarises; `more` are those of a model."""
    known = ("alpha", "log_alpha", "beta", "log_beta", *more)
    if name not in known:
        raise ValueError(f"name must be one of {', '.join(map(repr, known))}; got {name!r}")


def names(value: Any, name: str, n: int | None) -> tuple[str, ...] | None:
    """n different strings, or None; whole numbers become strings."""
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
        raise ValueError(f"{name} needs counts, whose groups it names; pass counts too")
    if len(result) != n:
        raise ValueError(f"{name} must hold {n} names; got {len(result)}")
    seen: set[str] = set()
    for v in result:
        if v in seen:
            raise ValueError(f"{name} must differ from each other; {v!r} occurs twice")
        seen.add(v)
    return result


def position(value: str, names: tuple[str, ...] | None, noun: str) -> int:
    """The index of a name among the names of groups or datasets."""
    if names is None or value not in names:
        stated = f"no {noun} names are known" if names is None else f"the names are {', '.join(names[:5])} ..."
        raise ValueError(f"{noun} {value!r} is unknown: {stated}; pass a name, or an index")
    return names.index(value)


def probabilities(value: ArrayLike, name: str) -> Floats:
    """A float64 array of numbers in [0, 1]."""
    array = np.asarray(value, dtype=np.float64)
    if not ((array >= 0.0) & (array <= 1.0)).all():
        raise ValueError(f"{name} must lie between 0 and 1; got {value!r}")
    return array


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


def proportions(value: ArrayLike, name: str, shape: tuple[int, ...]) -> Floats:
    """Non-negative rows that sum to one (renormalised), broadcast to ``shape``."""
    array = concentration(value, shape[-1], name=name, zero=True)
    sums = array.sum(axis=-1, keepdims=True)
    bad = np.abs(sums[..., 0] - 1.0) > 1e-6
    if bad.any():
        where = first_index(bad)
        raise ValueError(f"{name} must have rows that sum to 1; got {sums[where][0]} at index {where}")
    return broadcast(array / sums, name, shape)


def broadcast(array: NDArray[Any], name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """The array broadcast to ``shape``."""
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(f"{name} must have a shape that broadcasts to {shape}; got {array.shape}") from None


def same_categories(n_categories: int, model: Any) -> None:
    """Raise where the model has another K than the counts."""
    if not hasattr(model, "n_categories"):
        raise TypeError(f"model must be a HierarchicalModel; got {model!r}")
    if model.n_categories != n_categories:
        raise ValueError(
            f"counts has K = {n_categories} categories and the model {model.n_categories}: "
            f"pass {type(model).__name__}({n_categories}, ...)"
        )


def inclusive_range(value: Any, name: str, minimum: int, maximum: int) -> tuple[int, int]:
    """(low, high) of an int or of a pair with low <= high."""
    if isinstance(value, tuple) and len(value) != 2:
        raise ValueError(f"{name} must be an int or (low, high); got a tuple of {len(value)}")
    low, high = value if isinstance(value, tuple) else (value, value)
    low = positive_int(low, name, minimum=minimum)
    high = positive_int(high, name, minimum=max(1, minimum))
    if high < low:
        raise ValueError(f"{name} must be an int or (low, high) with low <= high; got {value}")
    at_most(high, name, maximum)
    return low, high


def keywords(given: Iterable[str], known: Iterable[str], function: str) -> None:
    """Raise for an unknown keyword argument where ``**kwargs`` are passed on; the message names the most similar."""
    known = list(known)
    for name in given:
        if name not in known:
            alike = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {alike[0]!r}?" if alike else f"; it takes {', '.join(known)}" if known else ""
            raise TypeError(f"{function} got an unexpected keyword argument {name!r}{hint}")


def suggests_keywords(function: Callable[P, T], name: str | None = None) -> Callable[P, T]:
    """Decorate a function: its TypeError for an unknown keyword argument is that of `keywords`."""
    known = [parameter for parameter in inspect.signature(function).parameters if parameter != "self"]

    @functools.wraps(function)
    def checked(*args: P.args, **options: P.kwargs) -> T:
        keywords(options, known, name or function.__name__)
        return function(*args, **options)

    return checked


def is_sparse(value: Any) -> bool:
    """Whether the value is a scipy.sparse matrix or array; does not import scipy."""
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
