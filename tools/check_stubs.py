"""Generates the stub of the compiled module and compares it with the one that is committed.

python tools/check_stubs.py          exits 1 where they differ
python tools/check_stubs.py --write  writes the new one
"""

import difflib
import subprocess
import sys
import tempfile
from pathlib import Path

STUB = Path(__file__).parent.parent / "python" / "hbm_fast" / "_core.pyi"


def generate() -> str:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pybind11_stubgen", "hbm_fast._core", "--output-dir", folder]
        subprocess.run(command, check=True, capture_output=True)
        text = (Path(folder) / "hbm_fast" / "_core.pyi").read_text()
    # Addresses and the version are facts of one build, not of the interface.
    lines = [line.split(" = ")[0] if line.startswith(("version:", "compiler:")) else line for line in text.splitlines()]
    return "\n".join(lines) + "\n"


def main() -> int:
    new = generate()
    if "--write" in sys.argv:
        STUB.write_text(new)
        return 0
    diff = list(
        difflib.unified_diff(STUB.read_text().splitlines(), new.splitlines(), "committed", "built", lineterm="")
    )
    print("\n".join(diff) or "stubs agree")
    return 1 if diff else 0


if __name__ == "__main__":
    sys.exit(main())
