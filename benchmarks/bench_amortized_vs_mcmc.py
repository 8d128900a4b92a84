"""MCMC against amortized inference, the work of ``hbm-fast benchmark``, saved among the other results.

    taskset -c 1 python benchmarks/bench_amortized_vs_mcmc.py --out benchmarks/results/amortized_vs_mcmc.json

About four minutes on one core with the peers (numpyro, nutpie) installed.
"""

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
from hbm_fast._files import finite
from hbm_fast.cli import benchmark


def main() -> None:
    """Run, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--budget", type=float, default=20.0, help="seconds a way, a number of datasets")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(benchmark.SIZES))
    parser.add_argument("--categories", type=int, nargs="+", default=[2, 5])
    parser.add_argument("--peers", nargs="*", default=list(benchmark.PEERS), choices=benchmark.PEERS)
    options = parser.parse_args()
    result = benchmark.run(
        sizes=options.sizes,
        categories=options.categories,
        with_peers=options.peers,
        budget=options.budget,
        say=lambda text: print(text, flush=True),
    )
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(finite(result), indent=1) + "\n")


if __name__ == "__main__":
    main()
