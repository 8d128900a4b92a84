"""A command line run in this process."""

import re
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


@pytest.fixture
def refuse(run):
    """Check that a command line ends with code 2 and one line, which holds the message."""

    def check(message, *arguments):
        code, out, err = run(*arguments)
        assert (code, out) == (2, ""), arguments
        assert re.fullmatch("hbm-fast: error: .+\n", err)
        assert message in err

    return check
