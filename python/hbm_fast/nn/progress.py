"""What a training shows while it runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hbm_fast._optional import missing_extra
from hbm_fast.nn.training import State


def line(state: State, batch_size: int) -> str:
    """The figures of a moment in one line."""
    seconds = max(state.seconds, 1e-9)
    text = f"{state.step * batch_size / seconds:,.0f} datasets/s, simulator {state.simulator_seconds / seconds:.0%}"
    if state.history:
        last = state.history[-1]
        text = "".join(f"{name} {last[name]:.4f}, " for name in ("loss", "kl", "ess_share") if name in last) + text
    return text


@contextmanager
def reporter(show: bool, batch_size: int) -> Iterator[Callable[[State, float], None] | None]:
    """A rich progress bar, or nothing."""
    if not show:
        yield None
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError as error:
        raise missing_extra("rich", "cli") from error
    columns = (TextColumn("training"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[figures]}"), console=Console(stderr=True)) as bar:
        task = bar.add_task("training", total=1.0, figures="")

        def report(state: State, progress: float) -> None:
            bar.update(task, completed=progress, figures=line(state, batch_size))

        yield report
