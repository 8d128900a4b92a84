"""npz and npy files: written atomically with checksums; when read, every header is compared with the file's size."""

import json
import math
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from hbm_fast._files import Target, checksum, replacing

MAGIC = npy.MAGIC_PREFIX
_CHECKSUM = "checksum"
# Largest compression ratio of deflate (https://zlib.net/zlib_tech.html).
_MAX_RATIO = 1032
_CHUNK = 1 << 20  # between two checks for Ctrl-C
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    KeyError,
    NotImplementedError,
    OSError,  # a seek before the start of the file
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
)


def write(path: Target, arrays: Mapping[str, Any]) -> None:
    """Write named arrays, compressed, and the checksum of each in a member ``checksum`` (JSON)."""
    sums = json.dumps({name: checksum(np.asarray(array)) for name, array in arrays.items()})
    members: dict[str, Any] = {**arrays, _CHECKSUM: np.array(sums)}
    with replacing(path) as unfinished, unfinished.open("wb") as stream:
        np.savez_compressed(stream, **members)


def read(path: Target, names: Iterable[str] | None = None) -> dict[str, NDArray[Any]]:
    """Read arrays from an npz file: those of ``names`` that it holds, or all. No other member is unpacked.

    Memory is allocated only for what the file can hold. The CRC-32 of every member is compared, and its checksum if the
    file has one (see `write`).

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        For a file that is no archive of arrays, holds Python objects or is damaged; the message begins with its name.
    """
    with Path(path).open("rb") as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                if len(archive.infolist()) != _stated_members(stream):
                    raise ValueError("its directory lists fewer members than it states")
                return _members(archive, names)
        except _DAMAGE as error:
            raise ValueError(f"{path}: not a readable file of arrays, or damaged ({_text(error)})") from error


def read_npy(path: Target) -> NDArray[Any]:
    """Read one array from an npy file; raises what `read` raises."""
    file = Path(path)
    with file.open("rb") as stream:
        try:
            return _array(stream, file.stat().st_size)
        except _DAMAGE as error:
            raise ValueError(f"{path}: not a readable file of an array, or damaged ({_text(error)})") from error


def names_of(path: Target) -> list[str]:
    """Names of the arrays of an npz file that `read` has read."""
    with zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def _stated_members(stream: IO[bytes]) -> int:
    """By the record at the end of a zip file, which zipfile does not compare (APPNOTE.TXT, 4.3.16)."""
    size = stream.seek(0, 2)
    stream.seek(max(0, size - 22 - 65535))  # the record, and the longest comment behind it
    end = stream.read()
    stated: int = struct.unpack_from("<H", end, end.rfind(b"PK\5\6") + 10)[0]
    return stated


def _members(archive: zipfile.ZipFile, names: Iterable[str] | None) -> dict[str, NDArray[Any]]:
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name in members:
            raise ValueError(f"two arrays are named {name!r}")
        archive.open(info).close()  # compares the name with the one in front of the member
        members[name] = info
    wanted = [name for name in (members if names is None else names) if name != _CHECKSUM]
    found = {name: read_member(archive, members[name]) for name in wanted if name in members}
    if _CHECKSUM in members:
        sums = json.loads(str(read_member(archive, members[_CHECKSUM])))
        for name in wanted:
            if sums.get(name) != (checksum(found[name]) if name in found else None):
                raise ValueError(f"the array {name!r} differs from its checksum")
    return found


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{info.filename!r} is compressed by method {info.compress_type}; numpy writes 0 and 8 alone")
    if info.file_size > _MAX_RATIO * info.compress_size:
        raise ValueError(f"{info.filename!r} claims {info.file_size} bytes in {info.compress_size}")
    with archive.open(info) as stream:
        return _array(stream, info.file_size)


def _array(stream: IO[bytes], size: int) -> NDArray[Any]:
    try:
        first = npy.read_magic(stream) == (1, 0)
        shape, fortran_order, dtype = (npy.read_array_header_1_0 if first else npy.read_array_header_2_0)(stream)
    except Exception as error:  # numpy parses the header as Python and raises the errors of tokenizer and parser
        raise ValueError(f"its header cannot be read: {_text(error)}") from error
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not loaded: save an array of numbers or of strings")
    count, held = math.prod(shape), size - stream.tell()
    stated = count * dtype.itemsize
    if min(shape, default=0) < 0 or stated != held or count > held:
        raise ValueError(f"the header states {dtype} of shape {shape}, {stated} bytes, where there are {held}")
    array = np.empty(count, dtype)
    rest = array.view(np.uint8).data if held else memoryview(b"")
    while rest:
        n = stream.readinto(rest[:_CHUNK])  # type: ignore[attr-defined]
        if not n:
            raise EOFError("it ends too early")
        rest = rest[n:]
    stream.read(1)  # at the end, zipfile compares the CRC
    return array.reshape(shape, order="F" if fortran_order else "C")


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__
