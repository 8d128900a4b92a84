"""Warnings of our own; errors are the builtin ones."""


class ConvergenceWarning(UserWarning):
    """The draws do not yet represent the posterior; the message says what to do."""


class PerformanceWarning(UserWarning):
    """The answer is right, and a cheaper way to it exists."""
