"""The netCDF files of posteriors: written whole with a checksum, read with one error for every kind of damage."""

import hashlib
import io
import json
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from hbm_fast._files import Target, write_bytes
from hbm_fast._optional import import_optional

ENDINGS = (".nc", ".nc4", ".netcdf")
# deflate stores at most 1032 bytes in one (https://zlib.net/zlib_tech.html): a file that states more is damaged
_MAX_RATIO = 1032
_OWN = "hbm_fast"
_MARK = b"\nhbm_fast sha256 "
_STATED = b"hbm_fast: SHA-256 of all before it in the last line of the file"

Reader = TypeVar("Reader", bound=Callable[..., Any])
Groups = dict[str, dict[str, NDArray[Any]]]


def names_the_file(function: Reader) -> Reader:
    """Turn what the libraries raise about a damaged or foreign file into a ValueError that begins with its name."""

    @wraps(function)
    def named(path: Target, *args: Any, **kwargs: Any) -> Any:
        with Path(path).open("rb"):  # what the system has to say, such as FileNotFoundError, comes first
            pass
        try:
            return function(path, *args, **kwargs)
        except ImportError:
            raise
        except Exception as error:  # h5py, xarray and HDF5 raise all kinds
            message = str(error)
            if isinstance(error, ValueError) and message.startswith(os.fspath(path)):
                raise
            raise ValueError(
                f"{os.fspath(path)}: not a posterior that `save` wrote, or damaged ({type(error).__name__}: {message})"
            ) from error

    return cast(Reader, named)


def check_ending(path: Target) -> None:
    """Refuse a name that says another format."""
    file = Path(path)
    if file.suffix.lower() not in ENDINGS and not (file.exists() and not file.is_file()):
        raise ValueError(
            f"path must end in {', '.join(ENDINGS)}, as the file is netCDF; got {os.fspath(path)!r}. For a table of "
            "the draws write post.alpha and post.beta yourself, or use hbm-fast sample --out draws.csv"
        )


def write(tree: Any, path: Target, facts: dict[str, Any] | None = None) -> None:
    """Write a DataTree; with facts, which become JSON in an attribute, it is a file for `read`, with its checksum.

    The image is made in memory: where HDF5 itself meets a full disk, it ends the process later, at its exit. The
    checksum is a last line behind what HDF5 reads.
    """
    if facts is not None:
        tree[_OWN].attrs = {"facts": json.dumps(facts), "checksum": _STATED.decode()}
    image = bytes(tree.to_netcdf(engine="h5netcdf"))
    write_bytes(path, image if facts is None else image + _last_line(image))


def read(path: Target) -> tuple[dict[str, Any], Groups]:
    """Give the facts and the arrays of every group that `write` wrote.

    The checksum is compared before HDF5 sees the file, because HDF5 can hang in a damaged one; files written before
    there were checksums are read without. h5py alone reads: of a damaged file, h5netcdf leaves objects that fail again
    when they are collected.
    """
    h5py = import_optional("h5py", "report", "h5netcdf")
    content = Path(path).read_bytes()
    image, mark, _ = content.rpartition(_MARK)
    if mark and content != image + _last_line(image):
        raise ValueError("it differs from the checksum in its last line")
    if not mark and _STATED in content:
        raise ValueError("its last line, the checksum, is missing: it was cut off, or written anew by another program")
    with h5py.File(io.BytesIO(image if mark else content)) as file:
        if _OWN not in file:
            raise ValueError(f"{os.fspath(path)} was not written by Posterior.save: it has no group {_OWN}")
        facts: dict[str, Any] = json.loads(file[_OWN].attrs["facts"])
        stored = {
            # coordinates are scales; what they say is in the facts
            name: {key: value for key, value in group.items() if "CLASS" not in value.attrs}
            for name, group in file.items()
            if isinstance(group, h5py.Group)
        }
        stated = sum(value.nbytes for group in stored.values() for value in group.values())
        if stated > _MAX_RATIO * len(content):
            raise ValueError(f"it states {stated} bytes of arrays, and has {len(content)}")
        return facts, {name: {key: _array(value) for key, value in group.items()} for name, group in stored.items()}


def _last_line(image: bytes) -> bytes:
    return _MARK + hashlib.sha256(image).hexdigest().encode() + b"\n"


def _array(stored: Any) -> NDArray[Any]:
    values: NDArray[Any] = np.asarray(stored[()])
    return values.astype(bool) if stored.attrs.get("dtype") == "bool" else values  # netCDF has no booleans
