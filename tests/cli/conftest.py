"""A command line run in this process."""

import sys

import pytest


@pytest.fixture
def run(monkeypatch, capsys):
    """Exit code, stdout and stderr of a command line."""

    def command(*arguments):
        from hbm_fast.cli import main

        monkeypatch.setattr(sys, "argv", ["hbm-fast", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        out, err = capsys.readouterr()
        return exit_.value.code or 0, out, err

    return command
