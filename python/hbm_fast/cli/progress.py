"""One line of progress on a terminal, plain lines elsewhere, both with the time left and the worst R-hat so far."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from hbm_fast._files import finite

Update = Callable[[float, float | None], None]  # the share that is done, and the worst R-hat of the draws so far

_SECONDS = 60.0  # a run that takes hours writes a plain line each minute too


@contextmanager
def progress(name: str, unit: str, total: int, *, quiet: bool) -> Iterator[Update]:
    """Yield the function that draws the line: on stderr, so that the result alone is on stdout."""
    if quiet:
        yield lambda share, r_hat: None
    elif sys.stderr.isatty():
        with _line(name) as update:
            yield update
    else:
        yield _plain(name, unit, total)


@contextmanager
def _line(name: str) -> Iterator[Update]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as line:
        task = line.add_task(escape(name if len(name) <= 24 else f"{name[:21]}..."), total=1.0, note="left")

        def update(share: float, r_hat: float | None) -> None:
            note = "" if share >= 1.0 else "left  "
            line.update(task, completed=share, note=note + ("" if r_hat is None else f"R-hat {r_hat:.3f}"))

        yield update


def _plain(name: str, unit: str, total: int) -> Update:
    start = last = time.monotonic()
    tenths = 0

    def update(share: float, r_hat: float | None) -> None:
        nonlocal last, tenths
        now = time.monotonic()
        if int(10.0 * share) <= tenths and now - last < _SECONDS:
            return
        last, tenths = now, int(10.0 * share)
        left = (now - start) * (1.0 - share) / share if share else 0.0
        parts = [
            f"hbm-fast: {name} {int(100.0 * share)}% ({int(share * total)} of {total} {unit})",
            f"{timedelta(seconds=round(left))} left" if share < 1.0 else f"{timedelta(seconds=round(now - start))}",
        ]
        print(", ".join(parts + ([] if r_hat is None else [f"R-hat {r_hat:.3f}"])), file=sys.stderr, flush=True)

    return update


Log = Callable[[float, float | None, Mapping[str, object]], None]  # what is done, of how much, and metrics


@contextmanager
def log(file: Path | None, command: str) -> Iterator[Log]:
    """Yield the function that appends a line of JSON to the file at each tenth; without a file it does nothing.

    Where it is not known how much there is to do, the total is None, and each call appends a line.
    """
    if file is None:
        yield lambda done, total, metrics: None
        return
    start, tenths = time.monotonic(), -1
    with file.open("a", encoding="utf-8") as lines:

        def write(done: float, total: float | None, metrics: Mapping[str, object]) -> None:
            nonlocal tenths
            reached = int(10.0 * done / total + 1e-9) if total else tenths + 1
            if reached <= tenths:
                return
            tenths = reached
            seconds = round(time.monotonic() - start, 3)
            entry = {"command": command, "seconds": seconds, "done": done, "total": total, "metrics": dict(metrics)}
            print(json.dumps(finite(entry), ensure_ascii=False), file=lines, flush=True)

        yield write
