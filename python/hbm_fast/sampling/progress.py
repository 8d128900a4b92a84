"""The share of a call of `hbm_fast.sample` that is done, on stderr or to a function of the caller."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = bool | Callable[[float], object]


@contextmanager
def reporting(progress: Progress, name: str) -> Iterator[Callable[[float], object] | None]:
    """Yield the function that takes the share: the caller's, or for True one that writes it behind the name.

    The share is 1 where the block ends; after an exception nothing more is reported.
    """

    def write(share: float) -> None:
        print(f"\r{name}: {share:4.0%}", end="", file=sys.stderr, flush=True)

    report = progress if callable(progress) else write if progress else None
    yield report
    if report is not None:
        report(1.0)
    if report is write:
        print(file=sys.stderr)
