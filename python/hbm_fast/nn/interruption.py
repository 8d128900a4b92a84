"""Ctrl-C in a training waits for the end of a block, so that what is saved then can be resumed bit for bit."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Interruption:
    """The signals that arrived, and the handlers that they are for; a second signal goes to its handler at once."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self.handlers: dict[int, Any] = {}

    def handle(self, number: int, frame: Any) -> None:
        """Keep the signal for later."""
        if self.received:
            self.handlers[number](number, frame)
        self.received.append(number)

    def resume(self) -> None:
        """Give the first signal to its handler, which raises KeyboardInterrupt unless it was replaced."""
        if self.received:
            number = self.received.pop(0)
            self.handlers[number](number, None)


@contextmanager
def between_blocks(wanted: bool) -> Iterator[Interruption]:
    """Keep SIGINT and SIGTERM within the block, for a training that stops between two blocks of its datasets.

    Nothing changes where this is not ``wanted``, in a thread other than the main one, which receives no signals, and
    for a signal that Python does not handle.
    """
    kept = Interruption()
    if wanted and threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if callable(signal.getsignal(number)):
                kept.handlers[int(number)] = signal.signal(number, kept.handle)
    try:
        yield kept
    finally:
        for received, handler in kept.handlers.items():
            signal.signal(received, handler)
