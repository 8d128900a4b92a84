"""Allocation of large results, and the division of large computations."""

import math
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_LARGE_PAGE = 1 << 21
# numpy requests large pages (MADV_HUGEPAGE) for arrays of at least this size.
_NUMPY_REQUESTS = 1 << 22


def check_fits(n_bytes: int, what: str) -> None:
    """Raise MemoryError, which names ``what``, before a computation that needs more memory than the machine has."""
    try:
        installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return
    if n_bytes > installed:
        raise MemoryError(
            f"{what} takes {n_bytes / 2**30:,.1f} GiB of memory, and this machine has {installed / 2**30:,.1f} GiB"
        )


def chunks(n: int, n_values: int, most: int = 4_000_000) -> Iterator[slice]:
    """Slices of n items of ``n_values`` values each: a slice has at most ``most`` values, or a single item.

    The default is 32 MB of doubles.
    """
    size = max(1, most // n_values)
    return (slice(begin, min(begin + size, n)) for begin in range(0, n, size))


def empty(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """``numpy.empty`` whose data begin at a large page, if they fill one.

    Mapping pages of 4 KiB takes Linux longer than the kernels take to fill them: a third of the time of a simulation.
    numpy requests large pages for arrays of 4 MiB and more, and Linux maps only whole ones inside the array. The
    padding before and after the data is never touched, so it is never committed.
    """
    item = np.dtype(dtype)
    size = math.prod(shape) * item.itemsize
    if size < _LARGE_PAGE:
        return np.empty(shape, item)
    whole = -(-size // _LARGE_PAGE) * _LARGE_PAGE
    memory = np.empty(max(whole + _LARGE_PAGE, _NUMPY_REQUESTS), np.uint8)
    begin = -memory.__array_interface__["data"][0] % _LARGE_PAGE
    return memory[begin : begin + size].view(item).reshape(shape)
