"""A gate on the instructions of the hot loops, counted by valgrind's callgrind: exact where clocks are noisy.

python tools/instruction_counts.py          exits 1 where a loop takes over 3 % more than the committed count
python tools/instruction_counts.py --write  writes the counts of this compiler

Counts are kept for each compiler version; for a compiler without counts nothing is compared, and it exits 0. Each loop
runs once and twice, and the difference counts, so that set-up plays no part.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
COUNTS = ROOT / "cpp" / "benchmarks" / "instruction_counts.json"
BUILD = ROOT / "build" / "hot_loops"
BAND = 0.03


def build() -> tuple[str, list[str]]:
    """The compiler, as CMake names it, and the loops."""
    options = ["-DCMAKE_BUILD_TYPE=Release", "-DHBM_FAST_WERROR=ON", "-DHBM_FAST_BUILD_BENCHMARKS=ON"]
    report = subprocess.run(
        ["cmake", "-S", ROOT, "-B", BUILD, *options], check=True, capture_output=True, text=True
    ).stdout
    subprocess.run(
        ["cmake", "--build", BUILD, "--target", "hot_loops", "--parallel", "2"], check=True, capture_output=True
    )
    stated = re.search(r"hbm_fast \S+: (\S+) (\d+\.\d+)", report)
    if stated is None:
        raise RuntimeError(f"the configuration names no compiler:\n{report}")
    usage = subprocess.run([BUILD / "hot_loops"], capture_output=True, text=True, check=False).stderr
    return f"{stated[1]} {stated[2]}", usage.split()[2].split("|")


def instructions(loop: str, repeats: int) -> int:
    """Instructions of the whole program."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", BUILD / "hot_loops", loop]
    # callgrind runs AVX2 but no AVX-512: one level on every machine
    environment = {**os.environ, "HBM_FAST_ISA": "v3"}
    run = subprocess.run([*command, str(repeats)], check=True, capture_output=True, text=True, env=environment)
    return int(re.search(r"Collected : (\d+)", run.stderr)[1])  # type: ignore[index]


def main() -> int:
    compiler, loops = build()
    counted = {loop: instructions(loop, 2) - instructions(loop, 1) for loop in loops}
    committed = json.loads(COUNTS.read_text()) if COUNTS.exists() else {}
    if "--write" in sys.argv:
        committed[compiler] = counted
        COUNTS.write_text(json.dumps(committed, indent=2, sort_keys=True) + "\n")
        print(f"{compiler}: {counted}")
        return 0
    if compiler not in committed:
        print(f"no counts for {compiler} in {COUNTS.name} (there are: {', '.join(committed)}): nothing compared")
        return 0
    worse = 0
    for loop, count in counted.items():
        before = committed[compiler].get(loop)
        change = float("inf") if before is None else count / before - 1
        outcome = (
            "unknown: --write"
            if before is None
            else "MORE"
            if change > BAND
            else "less: --write"
            if change < -BAND
            else "same"
        )
        worse += before is None or change > BAND
        print(f"{loop:<12} {count:>12,} {'' if before is None else f'{change:+.2%}':>9}  {outcome}")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
