"""Warnings of the package; its errors are the built-in ones."""

import sys
import warnings


class ConvergenceWarning(UserWarning):
    """The draws do not represent the posterior yet; the message names the remedy."""


class PerformanceWarning(UserWarning):
    """Results are correct but could be computed faster."""


class PriorWarning(UserWarning):
    """The prior weighs much beside the data; the message has both numbers, and names a model for such data."""


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the line that called the package, at whatever depth the cause is found."""
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in ("hbm_fast", "numpy"):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
