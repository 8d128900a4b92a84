"""Writes are atomic: an earlier file survives a full disk, an exception, Ctrl-C and a kill.

Every file of the package is written as `hbm_fast.tables.npz.write` writes one.
"""

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from hbm_fast.tables import npz

posix = pytest.mark.skipif(os.name != "posix", reason="modes, links and pipes")


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def write(path, value=1):
    npz.write(path, {"value": np.array(value)})


def value_of(path):
    return npz.read(path)["value"]


@pytest.fixture
def old(tmp_path):
    file = tmp_path / "old.npz"
    file.write_text("precious")
    return file


@pytest.fixture
def fill(monkeypatch):
    """Replace the function that fills the temporary file."""
    return lambda function: monkeypatch.setattr(np, "savez_compressed", function)


def test_a_new_file_and_a_replaced_one(tmp_path, fill):
    file = tmp_path / "a.npz"
    write(str(file))
    save = np.savez_compressed

    def look(stream, **arrays):
        unfinished = Path(stream.name)
        assert (unfinished.suffix, unfinished.parent) == (".npz", tmp_path)
        save(stream, **arrays)
        assert value_of(file) == 1

    fill(look)
    write(file, 2)
    assert value_of(file) == 2
    assert names(tmp_path) == ["a.npz"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, SystemExit(143), RuntimeError("x"), MemoryError])
def test_an_earlier_file_survives_what_is_raised(old, fill, failure):
    def half(stream, **arrays):
        stream.write(b"half")
        raise failure

    fill(half)
    with pytest.raises(BaseException) as raised:
        write(old)
    assert raised.type is (failure if isinstance(failure, type) else type(failure))
    assert old.read_text() == "precious"
    assert names(old.parent) == ["old.npz"]


def test_errors_of_the_system_hold_the_name(old, monkeypatch, fill):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"No space left on device: .*old\.npz") as raised:
            write(old)
    assert raised.value.errno == errno.ENOSPC
    assert old.read_text() == "precious"
    with pytest.raises(FileNotFoundError, match=r"nowhere.b\.npz"):
        write(old.parent / "nowhere" / "b.npz")
    with pytest.raises(IsADirectoryError, match=old.parent.name):
        write(old.parent)

    def refuse(error):
        def function(stream, **arrays):
            raise error

        fill(function)

    for error in (OSError("written by a library"), OSError(errno.EIO, "")):
        refuse(error)
        with pytest.raises(OSError, match=r"old\.npz"):
            write(old)
    # an error about another file keeps its own name
    refuse(FileNotFoundError(errno.ENOENT, "No such file", "absent"))
    with pytest.raises(FileNotFoundError, match="absent"):
        write(old)
    assert names(old.parent) == ["old.npz"]


@posix
def test_modes(tmp_path, fill):
    before = os.umask(0o027)
    try:
        write(tmp_path / "new")
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    finally:
        os.umask(before)
    (tmp_path / "new").chmod(0o604)

    def own_file(stream, **arrays):
        unfinished = Path(stream.name)
        unfinished.unlink()
        unfinished.write_text("by a library that makes its own file")
        unfinished.chmod(0o600)

    fill(own_file)
    write(tmp_path / "new")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o604


@posix
def test_symbolic_links_stay(old):
    (old.parent / "deeper").mkdir()
    link = old.parent / "deeper" / "link.npz"
    link.symlink_to("../old.npz")
    write(link, 2)
    assert link.is_symlink()
    assert value_of(old) == 2
    dangling = old.parent / "dangling.npz"
    dangling.symlink_to("made.npz")
    write(dangling, 3)
    assert value_of(old.parent / "made.npz") == 3
    assert names(old.parent / "deeper") == ["link.npz"]


@posix
def test_pipes_devices_and_descriptors_are_written_in_place(tmp_path):
    write("/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    pipe, kept = tmp_path / "pipe", tmp_path / "kept.npz"
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: kept.write_bytes(pipe.read_bytes()))
    reader.start()
    write(pipe, 4)
    reader.join()
    assert value_of(kept) == 4
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    code = "from hbm_fast.tables import npz; npz.write('/dev/stdout', {'value': 5})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    kept.write_bytes(ran.stdout)
    assert value_of(kept) == 5
    with kept.open("wb") as stream:
        inode = os.fstat(stream.fileno()).st_ino
        subprocess.run([sys.executable, "-c", code], stdout=stream, check=True)
    assert (kept.stat().st_ino, value_of(kept)) == (inode, 5)
    if Path("/dev/full").exists():
        with pytest.raises(OSError, match="/dev/full"):
            write("/dev/full")


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_without_permission_is_refused(old):
    old.chmod(0o444)
    with pytest.raises(PermissionError, match=r"old\.npz"):
        write(old)
    assert old.read_text() == "precious"


def test_two_writers_use_different_files(old, fill):
    save, unfinished = np.savez_compressed, []

    def fill_both(stream, **arrays):
        unfinished.append(stream.name)
        if len(unfinished) == 1:
            write(old, 2)
        save(stream, **arrays)

    fill(fill_both)
    write(old, 1)
    assert len(set(unfinished)) == 2
    assert value_of(old) == 1
    assert names(old.parent) == ["old.npz"]


@posix
def test_a_killed_process_loses_nothing(old):
    code = (
        "import os, sys, numpy as np; from hbm_fast.tables import npz\n"
        "def half(stream, **arrays):\n"
        "    stream.write(b'half'); os.kill(os.getpid(), 9)\n"
        "np.savez_compressed = half\n"
        "npz.write(sys.argv[1], {'value': 1})"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(old)], check=False)
    assert ran.returncode == -signal.SIGKILL
    assert old.read_text() == "precious"
    (left,) = set(names(old.parent)) - {"old.npz"}
    assert left.startswith(".old.unfinished-")
