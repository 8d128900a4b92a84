"""Reading HDF5: files whose headers state more than they can hold are refused before memory is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm_fast._optional import import_optional

_CHUNK = 2**20  # entries read between two checks for Ctrl-C
_MAX_RATIO = 1032  # of deflate (https://zlib.net/zlib_tech.html)


@contextmanager
def opened(path: Path, kind: str) -> Iterator[Any]:
    """The open file; every error while it is read is a ValueError that names it."""
    h5py = import_optional("h5py", "tables")
    with path.open("rb") as stream:  # raises the error of the system, such as for a folder of that name
        start = stream.read(8)
    if start.lstrip().startswith(b"{"):
        raise ValueError(f"{path}: BIOM 1.0, which is JSON, is not read: biom convert --to-hdf5 makes BIOM 2.1 of it")
    try:
        with h5py.File(path, "r") as stored:
            _check_sizes(stored, h5py, path.stat().st_size)
            yield stored
    except (ImportError, MemoryError):
        raise
    except Exception as error:  # h5py and anndata raise many kinds, anndata its own
        text = str(error) or type(error).__name__
        raise ValueError(
            text if text.startswith(str(path)) else f"{path}: not a readable {kind} file, or damaged ({text})"
        ) from None


def array(dataset: Any) -> NDArray[Any]:
    """A one-dimensional dataset, read in parts."""
    (n,) = dataset.shape
    result = np.empty(n, dataset.dtype)
    for start in range(0, n, _CHUNK):
        result[start : start + _CHUNK] = dataset[start : start + _CHUNK]
    return result


def texts(dataset: Any) -> tuple[str, ...]:
    """A one-dimensional dataset of text; h5py 3.11 has no parts of a dataset's own view as text."""
    if getattr(dataset, "dtype", np.dtype("O")).kind not in "SO":
        raise ValueError(f"{dataset.name} must hold text; it holds {dataset.dtype}")
    return tuple(text.decode() for text in array(dataset))


def _check_sizes(stored: Any, h5py: Any, size: int) -> None:
    def check(name: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset) or item.shape is None:
            return
        held = min(size, item.id.get_storage_size()) * (_MAX_RATIO if item.chunks else 1)
        if item.nbytes > held:
            raise ValueError(f"{name} states {item.nbytes} bytes, more than the file can hold")

    stored.visititems(check)
