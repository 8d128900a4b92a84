"""The command `hbm-fast`: one file a command, registered in `_app`."""

import os
import sys


def main() -> None:
    """Runs the command line; what users got wrong becomes one clear line and exit code 2, never a traceback.

    Exit codes: 0 done, 1 a reader went away, 2 wrong input, 130 interrupted by Ctrl-C.
    """
    try:
        import typer

        from hbm_fast.cli._app import app
    except ImportError as error:
        if error.name not in {"typer", "rich", "click"}:
            raise
        sys.exit(f"hbm-fast: {error.name} is not installed: pip install 'hbm-fast[cli]'")
    usage_error: type[Exception] = typer.BadParameter.__mro__[1]  # typer may have a click of its own
    try:
        code = app(prog_name="hbm-fast", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        print("hbm-fast: interrupted", file=sys.stderr)
        sys.exit(130)
    except usage_error as error:
        _complain_of_usage(error)
        sys.exit(2)
    except BrokenPipeError:  # `hbm-fast ... | head`: nobody listens any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (ValueError, TypeError, OSError, ImportError) as error:
        if os.environ.get("HBM_FAST_TRACEBACK"):
            raise
        message = " ".join(str(error).split())
        print(f"hbm-fast: error: {message}", file=sys.stderr)
        sys.exit(2)
    sys.exit(code if isinstance(code, int) else 0)


def _complain_of_usage(error: Exception) -> None:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError" and context is not None:
        print(context.get_help())
        return
    message = " ".join(str(error.format_message()).split())  # type: ignore[attr-defined]
    hint = "" if context is None else f" ({context.command_path} --help)"
    print(f"hbm-fast: error: {message}{hint}", file=sys.stderr)
