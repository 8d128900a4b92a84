"""Programs in a new interpreter."""

import os
import subprocess
import sys
import textwrap


def run(program, *arguments, check=False, **environment):
    """The exit status and the output of a program given as text, within ten minutes."""
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=600, check=check
    )
