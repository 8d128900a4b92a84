"""`hbm-fast config`: versions and the instruction-set level in use."""

from hbm_fast import show_config
from hbm_fast.cli import options


def config(as_json: options.AsJson = False) -> None:
    """Show versions and the instruction-set level in use.

    Example: hbm-fast config --json
    """
    settings = show_config()
    if as_json:
        options.print_json(settings)
        return
    width = max(map(len, settings))
    for name, value in settings.items():
        print(f"{name:<{width}}  {value}")
