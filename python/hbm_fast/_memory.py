"""Memory for large results."""

import math
import os
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_LARGE_PAGE = 1 << 21
# From here on numpy asks Linux for large pages (MADV_HUGEPAGE).
_NUMPY_ASKS = 1 << 22


def check_fits(n_bytes: int, what: str) -> None:
    """Refuse work that needs more memory than the machine has, before any of it is done.

    Raises
    ------
    MemoryError
        With ``what`` asks for so much.
    """
    try:
        installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return
    if n_bytes > installed:
        raise MemoryError(
            f"{what} takes {n_bytes / 2**30:,.1f} GiB of memory, and this machine has {installed / 2**30:,.1f} GiB"
        )


def empty(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """``numpy.empty`` that begins at a large page, where it fills one.

    Linux takes longer to hand out a page of 4 KiB than the kernels take to fill it: a third of a simulation. numpy asks
    for large pages, but only whole ones inside an array of 4 MiB or more can be had. What lies before and behind the
    array is never touched, so that it takes no memory.
    """
    item = np.dtype(dtype)
    size = math.prod(shape) * item.itemsize
    if size < _LARGE_PAGE:
        return np.empty(shape, item)
    whole = -(-size // _LARGE_PAGE) * _LARGE_PAGE
    memory = np.empty(max(whole + _LARGE_PAGE, _NUMPY_ASKS), np.uint8)
    begin = -memory.__array_interface__["data"][0] % _LARGE_PAGE
    return memory[begin : begin + size].view(item).reshape(shape)
