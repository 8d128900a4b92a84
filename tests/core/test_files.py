"""Writes are atomic: an earlier file survives a full disk, an exception, Ctrl-C and a kill."""

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hbm_fast._files import replacing, write_bytes, write_text

posix = pytest.mark.skipif(os.name != "posix", reason="modes, links and pipes")


def names(folder):
    return sorted(file.name for file in folder.iterdir())


@pytest.fixture
def old(tmp_path):
    file = tmp_path / "old.csv"
    file.write_text("precious")
    return file


def test_a_new_file_and_a_replaced_one(tmp_path):
    file = tmp_path / "a.txt"
    write_text(file, "ä\n")
    assert file.read_bytes() == "ä\n".encode()
    write_bytes(str(file), b"b")
    with replacing(file) as unfinished:
        assert unfinished.suffix == ".txt"
        assert unfinished.parent == tmp_path
        unfinished.write_text("later")
        assert file.read_bytes() == b"b"
    assert file.read_text() == "later"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, SystemExit(143), RuntimeError("x"), MemoryError])
def test_an_earlier_file_survives_what_is_raised(old, failure):
    with pytest.raises(BaseException) as raised, replacing(old) as unfinished:  # noqa: PT012
        unfinished.write_text("half")
        raise failure
    assert raised.type is (failure if isinstance(failure, type) else type(failure))
    assert old.read_text() == "precious"
    assert names(old.parent) == ["old.csv"]


def test_errors_of_the_system_hold_the_name(old, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: .*old\.csv") as raised:
        write_text(old, "new")
    assert raised.value.errno == errno.ENOSPC
    assert old.read_text() == "precious"
    monkeypatch.undo()
    for error in (OSError("written by a library"), OSError(errno.EIO, "")):
        with pytest.raises(OSError, match=r"old\.csv"), replacing(old):
            raise error
    with pytest.raises(FileNotFoundError, match=r"nowhere.b\.csv"):
        write_text(old.parent / "nowhere" / "b.csv", "")
    with pytest.raises(IsADirectoryError, match=old.parent.name):
        write_text(old.parent, "")
    # an error about another file keeps its own name
    with pytest.raises(FileNotFoundError, match="absent"), replacing(old):
        (old.parent / "absent").read_text()
    assert names(old.parent) == ["old.csv"]


@posix
def test_modes(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "new", "")
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    finally:
        os.umask(before)
    (tmp_path / "new").chmod(0o604)
    with replacing(tmp_path / "new") as unfinished:
        unfinished.unlink()
        unfinished.write_text("by a library that makes its own file")
        unfinished.chmod(0o600)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o604


@posix
def test_symbolic_links_stay(old):
    (old.parent / "deeper").mkdir()
    link = old.parent / "deeper" / "link.csv"
    link.symlink_to("../old.csv")
    write_text(link, "new")
    assert link.is_symlink()
    assert old.read_text() == "new"
    dangling = old.parent / "dangling.csv"
    dangling.symlink_to("made.csv")
    write_text(dangling, "made")
    assert (old.parent / "made.csv").read_text() == "made"
    assert names(old.parent / "deeper") == ["link.csv"]


@posix
def test_pipes_devices_and_descriptors_are_written_in_place(tmp_path):
    write_text("/dev/null", "x")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "through the pipe")
    reader.join()
    assert got == ["through the pipe"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    code = "from hbm_fast._files import write_text; write_text('/dev/stdout', 'out')"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "out"
    kept = tmp_path / "kept.txt"
    with kept.open("w") as stream:
        inode = os.fstat(stream.fileno()).st_ino
        subprocess.run([sys.executable, "-c", code], stdout=stream, check=True)
    assert (kept.stat().st_ino, kept.read_text()) == (inode, "out")
    if Path("/dev/full").exists():
        with pytest.raises(OSError, match="/dev/full"):
            write_text("/dev/full", "x")


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_without_permission_is_refused(old):
    old.chmod(0o444)
    with pytest.raises(PermissionError, match=r"old\.csv"):
        write_text(old, "new")
    assert old.read_text() == "precious"


def test_two_writers_use_different_files(old):
    with replacing(old) as first, replacing(old) as second:
        assert first != second
        first.write_text("a" * 1000)
        second.write_text("b")
    assert old.read_text() == "a" * 1000
    assert names(old.parent) == ["old.csv"]


@posix
def test_a_killed_process_loses_nothing(old):
    code = (
        "import os, sys; from hbm_fast._files import replacing\n"
        "with replacing(sys.argv[1]) as f:\n"
        "    f.write_text('half'); os.kill(os.getpid(), 9)"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(old)], check=False)
    assert ran.returncode == -signal.SIGKILL
    assert old.read_text() == "precious"
    (left,) = set(names(old.parent)) - {"old.csv"}
    assert left.startswith(".old.unfinished-")
