"""Reading files in a child process with a time limit: of some damaged files libhdf5 never returns, nor heeds Ctrl-C."""

import math
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_SECONDS = 60.0  # and one more for each MB of the file; a process starts in 1 s, and good files of 1 GB take 10 s
# sys.path comes first, so that the child imports what its parent does; -P keeps files of the working folder out.
_PROGRAM = "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); pickle.load(sys.stdin.buffer)()"


def read(function: Callable[..., T], file: Path, *arguments: Any, seconds: float | None = None) -> T:
    """``function(file, *arguments)``, computed in a child process that is ended after some seconds.

    The default is a minute, and a second for each MB of the file. What the function raises is raised here; a process
    that does not end in time, or that dies, is a ValueError that names the file. Warnings of the child are not shown.
    """
    if seconds is None:
        seconds = _SECONDS + file.stat().st_size / 1e6
    expired = threading.Event()
    command = [sys.executable, "-P", "-c", _PROGRAM]
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=null) as process:
        assert process.stdin is not None and process.stdout is not None  # noqa: PT018

        def stop() -> None:
            expired.set()
            process.kill()

        timer = threading.Timer(seconds, stop)
        try:
            timer.start()
            request = pickle.dumps(sys.path) + pickle.dumps(partial(_answer, seconds, function, file, *arguments))
            process.stdin.write(request)
            process.stdin.close()
            result: T
            result, error = pickle.load(process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError):  # of a process that has died
            process.wait()
            if expired.is_set():
                reason = f"could not be read within {seconds:.0f} s: it is probably damaged"
            else:
                reason = f"reading it ended a process, with exit status {process.returncode}: it is probably damaged"
                reason += ", or too large for the memory"
            raise ValueError(f"{file}: {reason}") from None
        finally:  # by Ctrl-C too
            timer.cancel()
            process.kill()
    if error is not None:
        raise error
    return result


def _answer(seconds: float, function: Callable[..., Any], *arguments: Any) -> None:
    """In the child: write the pair of the result and the error to the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches the parent too, which ends the child
    if hasattr(signal, "alarm"):
        signal.alarm(math.ceil(seconds) + 60)  # ends a child whose parent was killed
    pipe = os.dup(1)
    os.dup2(2, 1)  # what libraries print
    result = error = None
    try:
        result = function(*arguments)
    except Exception as raised:
        error = raised
    with os.fdopen(pipe, "wb") as stream:
        pickle.dump((result, error), stream)
