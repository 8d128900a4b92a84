"""The same numbers, lying otherwise in memory."""

import numpy as np


def packed(array: np.ndarray) -> np.ndarray:
    """A field of packed records: unaligned, with a stride that is no multiple of the item size."""
    records = np.zeros(array.shape, [("first", "i1"), ("value", array.dtype)])
    records["value"] = array
    return records["value"]


def shifted(array: np.ndarray) -> np.ndarray:
    """At an odd address, C-contiguous."""
    result = np.empty(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    result[...] = array
    return result
