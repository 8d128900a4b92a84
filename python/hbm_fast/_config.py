"""Version, and configuration of the build."""

import platform

import numpy as np

from hbm_fast import _core

__version__: str = _core.config.version  # importlib.metadata takes a third of the time that numpy takes
STREAM_VERSION: int = _core.config.stream_version


def show_config() -> dict[str, str | int]:
    """Versions and the instruction-set level of the running build.

    Returns
    -------
    dict
        ``version``, ``stream_version``, ``isa`` (``"v2"``, ``"v3"``, ``"v4"`` or ``"portable"``), ``compiler``,
        ``numpy``, ``python``, ``machine``.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.show_config()["stream_version"] == hbm.STREAM_VERSION
    True
    """
    return {
        "version": __version__,
        "stream_version": STREAM_VERSION,
        "isa": _core.config.isa_level(),
        "compiler": _core.config.compiler,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
