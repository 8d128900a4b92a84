"""Optional dependencies: the error for a missing one names the extra of hbm_fast that installs it."""

from importlib import import_module
from typing import Any


def missing_extra(module: str, extra: str) -> ImportError:
    """The error for an optional dependency that is not installed."""
    return ImportError(f"{module} is needed here and is not installed: pip install 'hbm-fast[{extra}]'", name=module)


def import_optional(name: str, extra: str, module: str = "") -> Any:
    """Return the module ``name``; without the package, raise the ImportError that names ``extra``.

    ``module`` is the name for the message, if it is not the first part of ``name``.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise missing_extra(module or name.partition(".")[0], extra) from error
