"""How far a long computation is: one line on a terminal, plain lines elsewhere, and lines of JSON in a file."""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from hbm_fast._files import finite
from hbm_fast._optional import import_optional

_SECONDS = 60.0  # a run that takes hours writes a plain line each minute too
_NAME, _BAR = 20, 20  # columns of the name, at most, and of the bar


class Update(Protocol):
    """Reports what is done of the total, one number that describes the result so far, and all of them by name."""

    def __call__(
        self, done: float, note: str = "", metrics: Mapping[str, object] = {}, *, total: float | None = None
    ) -> None: ...


@contextmanager
def progress(
    name: str,
    total: float,
    unit: str = "",
    *,
    shown: bool = True,
    after: float = 0.0,
    log: Path | None = None,
    command: str = "",
) -> Iterator[Update]:
    """Yield the function that draws the line on stderr, and that appends a line of JSON to ``log`` at each tenth.

    Parameters
    ----------
    name, unit
        Of the computation and of what is counted, for the lines.
    total
        What there is to do; a call of the function may correct it.
    shown
        Whether there is a line, or plain lines.
    after
        Seconds before the line, or the first of the plain lines: what ends before has none.
    log, command
        The file, and the command that each of its lines names; by default the name.
    """
    whole = total
    with ExitStack() as stack:
        writers: list[Callable[[float, float, str, Mapping[str, object]], None]] = []
        if shown:
            terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
            writers.append(stack.enter_context(_line(name, after)) if terminal else _plain(name, unit, after))
        if log is not None:
            writers.append(stack.enter_context(_log(log, command or name)))

        def update(
            done: float, note: str = "", metrics: Mapping[str, object] = {}, *, total: float | None = None
        ) -> None:
            nonlocal whole
            whole = whole if total is None else total
            for write in writers:
                write(done, whole, note, metrics)

        yield update


@contextmanager
def _line(name: str, after: float) -> Iterator[Callable[[float, float, str, Mapping[str, object]], None]]:
    rich: Any = import_optional("rich.progress", "cli")
    console = import_optional("rich.console", "cli").Console(stderr=True)
    columns = (
        rich.TextColumn("{task.description}", markup=False),
        rich.BarColumn(bar_width=_BAR),
        rich.TaskProgressColumn(),
        rich.TimeRemainingColumn(elapsed_when_finished=True),
        rich.TextColumn("{task.fields[note]}", markup=False),
    )
    name = _clipped(name, _NAME)
    line = rich.Progress(*columns, console=console, redirect_stdout=False, redirect_stderr=False)
    task = line.add_task(name, total=1.0, note="left")
    timer = threading.Timer(after, line.start)
    timer.daemon = True
    if after > 0.0:
        timer.start()
    else:
        line.start()
    try:

        def write(done: float, total: float, note: str, metrics: Mapping[str, object]) -> None:
            left = "" if done >= total else "left  "
            space = console.width - len(name) - _BAR - len(" 100% 0:00:00  ")
            line.update(task, completed=min(done / total, 1.0), note=_clipped(left + note, space))
            if done >= total:  # results may follow on the same terminal
                line.stop()

        yield write
    finally:
        timer.cancel()
        if after > 0.0:
            timer.join()
        line.stop()


def _clipped(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: max(0, width - 3)]}..."


def _plain(name: str, unit: str, after: float) -> Callable[[float, float, str, Mapping[str, object]], None]:
    start = last = time.monotonic()
    first: float | None = None
    tenths = 0

    def write(done: float, total: float, note: str, metrics: Mapping[str, object]) -> None:
        nonlocal first, last, tenths
        now = time.monotonic()
        first = done if first is None else first
        reached = _tenths(done, total)
        if now - start < after or (reached <= tenths and now - last < _SECONDS):
            return
        last, tenths = now, reached
        parts = [f"hbm-fast: {name} {int(100.0 * min(done / total, 1.0) + 1e-9)}%"]
        if unit:
            parts[0] += f" ({done:.0f} of {total:.0f} {unit})"
        if done >= total:
            parts.append(f"{timedelta(seconds=round(now - start))}")
        elif done > first:  # a run that goes on starts above zero
            parts.append(f"{timedelta(seconds=round((now - start) * (total - done) / (done - first)))} left")
        print(", ".join([*parts, note] if note else parts), file=sys.stderr, flush=True)

    return write


def _tenths(done: float, total: float) -> int:
    return int(10.0 * done / total + 1e-9)


@contextmanager
def _log(file: Path, command: str) -> Iterator[Callable[[float, float, str, Mapping[str, object]], None]]:
    start, tenths = time.monotonic(), 0
    with file.open("a", encoding="utf-8") as lines:

        def write(done: float, total: float, note: str, metrics: Mapping[str, object]) -> None:
            nonlocal tenths
            reached = _tenths(done, total)
            if reached <= tenths:
                return
            tenths = reached
            seconds = round(time.monotonic() - start, 3)
            entry = {"command": command, "seconds": seconds, "done": done, "total": total, "metrics": dict(metrics)}
            print(json.dumps(finite(entry), ensure_ascii=False), file=lines, flush=True)

        yield write
