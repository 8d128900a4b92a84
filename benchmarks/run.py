"""Run a suite of benchmarks.

    taskset -c 0 python benchmarks/run.py likelihood --out benchmarks/results/likelihood.json

Each record is printed as it comes. ``--out`` keeps the records that the file holds of other cases. The suites of
kernels run under pytest-benchmark too: ``pytest benchmarks --benchmark-only``.
"""

import argparse
import json
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from hbm_fast._files import finite
from hbm_fast.benchmark.measure import measure
from hbm_fast.benchmark.records import Results, measured_here

SUITES = sorted(path.stem for path in (Path(__file__).parent / "suites").glob("*.py"))


def records(suite, options):
    """Of the cases of a suite, or of what it measures itself."""
    if not hasattr(suite, "CASES"):
        yield from suite.records(options)
        return
    for case in suite.CASES:
        if options.cases is None or case.name in options.cases:
            yield from measure(case, options.methods, options.rounds)


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--cases", nargs="+", help="names of cases; all by default")
    parser.add_argument("--methods", nargs="+", help="names of methods; by default all that are installed")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--seconds", type=float, default=60.0, help="of a training, or of a peer on one case")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    suite = import_module(f"suites.{options.suite}")
    found = []
    for record in records(suite, options):
        print(json.dumps(finite(asdict(record))), flush=True)
        found.append(record)
        if options.out is not None:
            kept = Results.read(options.out).records if options.out.exists() else []
            cases = {record.case for record in found}
            kept = [record for record in kept if record.case not in cases]
            notes = getattr(suite, "NOTES", ())
            measured_here(suite.TITLE, [*kept, *found], ("hbm-fast", *suite.PACKAGES), notes).write(options.out)


if __name__ == "__main__":
    main()
