"""Atomic writes: a file is written under a temporary name and renamed when complete, so that no failure damages it.

`replacing` does this, and the ``write_*`` functions use it; `checksum` is stored in files of arrays.
"""

import csv
import errno
import hashlib
import json
import math
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Target = str | os.PathLike[str]


@contextmanager
def replacing(path: Target) -> Iterator[Path]:
    """Yield the name of an empty file, which is renamed to ``path`` when the block ends without an error.

    An earlier file of that name is unchanged until then and after any failure in the block or after it; the temporary
    file is removed in that case. Only a killed process leaves one: ``.<stem>.unfinished-<random digits><suffix>`` in
    the same folder. The content is on the disk (fsync) before the name changes. A new file has the mode of the umask, a
    replaced one keeps its mode; of a symbolic link the target is replaced. Pipes, devices and open descriptors
    (``/dev/stdout``) are written when the block ends.

    The name has the suffix of ``path``; the block may open the file several times and must close it. OSError with
    ``path`` as its file name for a folder of that name, a file without permission to write, and any failure in the
    block or after it, such as a full disk.
    """
    target = Path(path)
    temporary: Path | None = None
    try:
        mode = _mode(target)
        if mode is not None and (not stat.S_ISREG(mode) or _is_descriptor(target)):
            with tempfile.TemporaryDirectory() as folder:
                temporary = Path(folder, target.name)
                temporary.touch()
                yield temporary
                with temporary.open("rb") as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
            return
        final = Path(os.path.realpath(target))
        temporary = final.with_name(f".{final.stem[:40]}.unfinished-{secrets.token_hex(6)}{final.suffix}")
        try:
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            if mode is None:
                mode = temporary.stat().st_mode
            temporary.chmod(stat.S_IMODE(mode) | stat.S_IRUSR | stat.S_IWUSR)
            yield temporary
            _sync(temporary)
            temporary.chmod(stat.S_IMODE(mode))  # some libraries replace the file and its mode
            temporary.replace(final)
        finally:
            temporary.unlink(missing_ok=True)  # exists only after a failure
        if os.name == "posix":
            with suppress(OSError):  # not every file system syncs folders
                _sync(final.parent)
    except OSError as error:
        if error.filename not in (None, target, str(target), temporary, str(temporary)):
            raise
        raise _named(error, target) from error


def write_bytes(path: Target, content: bytes | memoryview) -> None:
    """Write a file atomically."""
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)


def write_text(path: Target, text: str) -> None:
    """Write a file in UTF-8, atomically."""
    write_bytes(path, text.encode())


def checksum(array: NDArray[Any]) -> str:
    """SHA-256 of an array's type, shape and content, independent of the byte order of the machine."""
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    digest = hashlib.sha256(repr((little.dtype.str, array.shape)).encode())
    if little.nbytes:
        digest.update(little.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _mode(target: Path) -> int | None:
    """The type and permissions of a file, or None if there is none."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if not os.access(target, os.W_OK):  # a rename ignores it
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))
    return mode


def _is_descriptor(path: Path) -> bool:
    """Whether the name is that of an open descriptor, such as /dev/stdout: its file may not be replaced."""
    for _ in range(40):  # Linux follows this many links
        parent = os.path.realpath(path.parent)
        if parent.startswith(("/proc/", "/dev/")) and os.path.basename(parent) == "fd":
            return True
        if not path.is_symlink():
            return False
        path = Path(parent, path.readlink())
    return False


def _sync(path: Path) -> None:
    # Windows syncs only files opened for writing; a folder can only be opened for reading
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _named(error: OSError, target: Path) -> OSError:
    if error.errno is None:
        return OSError(f"{target}: {error}")
    return OSError(error.errno, error.strerror or os.strerror(error.errno), str(target))


def finite(value: Any) -> Any:
    """The value with infinities and NaN as strings: JSON has neither."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def write_json(target: Path, content: dict[str, Any]) -> None:
    """Write indented JSON in UTF-8."""
    write_text(target, json.dumps(finite(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(target: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file with a header; floats keep every digit."""
    with replacing(target) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)


def write_figure(target: Path, figure: Any, dpi: int) -> None:
    """Write a matplotlib figure in the format of the suffix."""
    with replacing(target) as unfinished:
        figure.savefig(unfinished, dpi=dpi)
