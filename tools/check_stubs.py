"""Generates the stubs of the compiled module, types without docstrings, and compares them with those committed.

python tools/check_stubs.py          exits 1 where they differ
python tools/check_stubs.py --write  writes the new ones
"""

import difflib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

STUBS = Path(__file__).parent.parent / "python" / "hbm_fast" / "_core"


def generate() -> dict[str, str]:
    """The text of each stub by its file name, one a submodule."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pybind11_stubgen", "hbm_fast._core", "--output-dir", folder]
        subprocess.run(command, check=True, capture_output=True)
        texts = {path.name: path.read_text() for path in (Path(folder) / "hbm_fast" / "_core").glob("*.pyi")}
    # Versions belong to one build, not to the interface.
    lines = texts["config.pyi"].splitlines()
    texts["config.pyi"] = "\n".join(
        line.split(" = ")[0] if line.startswith(("version:", "compiler:")) else line for line in lines
    )
    body = re.compile(r"(def [^\n]*:)\n +(?:\"{3}.*?\"{3}|\.\.\.)\n", re.DOTALL)
    return {name: body.sub(r"\1 ...\n", text.rstrip() + "\n") for name, text in texts.items()}


def main() -> int:
    new = generate()
    old = {path.name: path.read_text() for path in STUBS.glob("*.pyi")}
    if "--write" in sys.argv:
        STUBS.mkdir(exist_ok=True)
        for name in old.keys() - new.keys():
            (STUBS / name).unlink()
        for name, text in new.items():
            (STUBS / name).write_text(text)
        return 0
    different = False
    for name in sorted(old.keys() | new.keys()):
        committed, built = old.get(name, "").splitlines(), new.get(name, "").splitlines()
        for line in difflib.unified_diff(committed, built, f"committed/{name}", f"built/{name}", lineterm=""):
            print(line)
            different = True
    if not different:
        print("stubs agree")
    return int(different)


if __name__ == "__main__":
    sys.exit(main())
