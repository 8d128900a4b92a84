"""The command `hbm-fast`: one file a command, registered in `app`."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Terminated(KeyboardInterrupt):
    """SIGTERM, which keeps what Ctrl-C keeps."""


def main() -> None:
    """Run the command line; an error of the user becomes one line and exit code 2, never a traceback.

    Exit codes: 0 done, 1 the reader of the output closed it, 2 wrong input or not enough memory, 130 interrupted by
    Ctrl-C, 143 ended by SIGTERM.
    """
    with _sigterm() as received:
        try:
            code = _run()
        except KeyboardInterrupt:
            print("hbm-fast: interrupted; no further result was written", file=sys.stderr)
            code = 130
    sys.exit(143 if code == 130 and received else code)


@contextmanager
def _sigterm() -> Iterator[list[int]]:
    """SIGTERM becomes an exception as Ctrl-C does; the list holds the signals received.

    Not in the ranks of torchrun: it ends those that wait for another by SIGTERM, and there Python's handler is not run.
    """
    received: list[int] = []

    def terminate(number: int, _: Any) -> None:
        received.append(number)
        raise Terminated

    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        and "TORCHELASTIC_RUN_ID" not in os.environ
    )
    if ours:
        signal.signal(signal.SIGTERM, terminate)
    try:
        yield received
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _run() -> int:
    """The exit code."""
    try:
        import typer

        from hbm_fast.cli.app import app
    except ImportError as error:
        if error.name not in {"typer", "rich", "click"}:
            raise
        print(f"hbm-fast: error: {error.name} is not installed: pip install 'hbm-fast[cli]'", file=sys.stderr)
        return 2
    from hbm_fast.cli import options, usage

    group, arguments = typer.main.get_command(app), sys.argv[1:]
    usage_error: type[Exception] = typer.BadParameter.__mro__[1]  # typer may have a click of its own
    try:
        if not arguments:
            arguments = ["--help"]
        code = group.main(arguments, prog_name="hbm-fast", standalone_mode=False)
    except typer.Abort:  # typer's name for Ctrl-C
        raise KeyboardInterrupt from None
    except usage_error as error:
        print(f"hbm-fast: error: {usage.message(error, group, arguments)}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `hbm-fast ... | head`: the reader is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    # RuntimeError is what torch raises, for memory that it lacks too; everything else is an error of this package
    except (ValueError, TypeError, OSError, ImportError, MemoryError, ArithmeticError, RuntimeError) as error:
        if os.environ.get("HBM_FAST_TRACEBACK"):
            raise
        text = options.words(error) if isinstance(error, OSError) else str(error)
        message = usage.of_library(" ".join(text.split()), usage.names_of(group, arguments))
        if isinstance(error, MemoryError):
            message = f"not enough memory{f' ({message})' if message else ''}"
        print(f"hbm-fast: error: {message or type(error).__name__}", file=sys.stderr)
        return 2
    return code if isinstance(code, int) else 0
