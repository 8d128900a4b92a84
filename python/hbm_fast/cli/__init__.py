"""The command `hbm-fast`: one file a command, registered in `_app`."""

import os
import sys


def main() -> None:
    """Runs the command line; what users got wrong becomes one clear line and exit code 2, never a traceback."""
    try:
        from hbm_fast.cli._app import app
    except ImportError as error:
        if error.name not in {"typer", "rich", "click"}:
            raise
        sys.exit(f"hbm-fast: {error.name} is not installed: pip install 'hbm-fast[cli]'")
    try:
        app()
    except (ValueError, TypeError, OSError, ImportError) as error:
        if os.environ.get("HBM_FAST_TRACEBACK"):
            raise
        message = " ".join(str(error).split())
        print(f"hbm-fast: error: {message}", file=sys.stderr)
        sys.exit(2)
