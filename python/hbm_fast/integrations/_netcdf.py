"""The netCDF files of posteriors: written whole with checksums, read with one error for every kind of damage."""

import hashlib
import json
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _validate
from hbm_fast._files import Target, checksum, write_bytes

ENDINGS = (".nc", ".nc4", ".netcdf")
# deflate stores at most 1032 bytes in one (https://zlib.net/zlib_tech.html): a file that states more is damaged
_MAX_RATIO = 1032
_OWN = "hbm_fast"

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


def write(tree: Any, path: Target) -> None:
    """Write a DataTree.

    The image is made in memory: where HDF5 itself meets a full disk, it ends the process later, at its exit.
    """
    write_bytes(path, tree.to_netcdf(engine="h5netcdf"))


def seal(tree: Any, facts: dict[str, Any]) -> None:
    """Put facts (JSON) and the checksums of all arrays into the attributes of the group hbm_fast."""
    sums = {
        f"{group.name}/{name}": checksum(value.to_numpy())
        for group in tree.children.values()
        for name, value in group.data_vars.items()
    }
    text = json.dumps({**facts, "checksums": sums})
    tree[_OWN].attrs = {"facts": text, "facts_checksum": _sha256(text)}


def read(path: Target) -> tuple[dict[str, Any], Groups]:
    """Give the facts and the arrays of every group, as `seal` and `write` left them; the checksums are compared.

    Files written before there were checksums are read without. h5py alone reads: of a damaged file, h5netcdf leaves
    objects that fail again when they are collected.
    """
    try:
        import h5py
    except ImportError:
        raise _validate.missing_extra("h5netcdf", "report") from None
    with h5py.File(path) as file:
        if _OWN not in file:
            raise ValueError(f"{os.fspath(path)} was not written by Posterior.save: it has no group {_OWN}")
        text = file[_OWN].attrs["facts"]
        seal = file[_OWN].attrs.get("facts_checksum")
        facts: dict[str, Any] = json.loads(text)
        stored = {
            # coordinates are scales; what they say is in the facts
            name: {key: value for key, value in group.items() if "CLASS" not in value.attrs}
            for name, group in file.items()
            if isinstance(group, h5py.Group)
        }
        stated = sum(value.nbytes for group in stored.values() for value in group.values())
        size = os.path.getsize(path)
        if stated > _MAX_RATIO * size:
            raise ValueError(f"it states {stated} bytes of arrays, and has {size}")
        groups = {name: {key: _array(value) for key, value in group.items()} for name, group in stored.items()}
    if seal is None and "checksums" not in facts:
        return facts, groups
    if seal != _sha256(text):
        raise ValueError("its facts differ from their checksum")
    found = {f"{group}/{name}": np.asarray(value) for group, arrays in groups.items() for name, value in arrays.items()}
    for name in facts["checksums"].keys() | found.keys():
        if name not in found or facts["checksums"].get(name) != checksum(found[name]):
            raise ValueError(f"the array {name} differs from its checksum")
    return facts, groups


def _array(stored: Any) -> NDArray[Any]:
    values: NDArray[Any] = np.asarray(stored[()])
    return values.astype(bool) if stored.attrs.get("dtype") == "bool" else values  # netCDF has no booleans


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
