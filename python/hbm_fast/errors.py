"""Warnings of our own, and where they point; errors are the builtin ones."""

import sys
import warnings


class ConvergenceWarning(UserWarning):
    """The draws do not yet represent the posterior; the message says what to do."""


class PerformanceWarning(UserWarning):
    """The answer is right, and a cheaper way to it exists."""


def warn(message: str, category: type[Warning]) -> None:
    """A warning that points at the line that called the package, however deep in it the cause is found."""
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in ("hbm_fast", "numpy"):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
