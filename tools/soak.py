"""A stress test: many calls of public functions. Exits 1 where the memory of the process grows or a result changes.

    python tools/soak.py [SECONDS]        60 by default; 600 before a release

Calls differ in size and have fixed keys, so that every round must give the same results. The first fifth of the time
fills caches and pools; after it the resident memory may not rise by more than 16 MiB. Linux only.
"""

import sys
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import hbm_fast as hbm

ALLOWED_MIB = 16.0
BAGS = hbm.datasets.load_marbles().counts


def resident_mib() -> float:
    """Resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def public_calls() -> dict[str, Callable[[], Any]]:
    """One call of each public function; each returns a number that must repeat."""
    model = hbm.HierarchicalModel(5)
    counts = hbm.simulate(model, 20, n_groups=(1, 60), totals=(0, 40), rng=1).counts
    assert counts is not None
    concentration = np.full(5, 0.3)

    def threads() -> float:
        found: list[float] = []
        run = lambda: found.append(float(hbm.simulate(model, 50, n_groups=9, totals=9, rng=3).log_alpha.sum()))  # noqa: E731
        crowd = [threading.Thread(target=run) for _ in range(4)]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join()
        return sum(sorted(found))

    def refused() -> float:
        try:
            hbm.log_likelihood([[1, -1]], [1.0, 1.0])
        except ValueError:
            return 1.0
        return 0.0

    result: dict[str, Callable[[], Any]] = {
        "simulate": lambda: hbm.simulate(model, 200, n_groups=(1, 41), totals=(0, 40), rng=2).log_beta.sum(),
        "log_likelihood": lambda: hbm.log_likelihood(counts, concentration).sum(),
        "gradient": lambda: hbm.log_likelihood_gradient(counts, concentration)[1].sum(),
        "statistics": lambda: hbm.SufficientStatistics(counts[0]).log_likelihood(concentration).sum(),
        "sample": lambda: hbm.sample(counts, n_draws=100, n_chains=2, rng=4).log_alpha.sum(),
        "theta": lambda: hbm.sample(BAGS, n_draws=100, rng=4).theta(20).sum(),
        "exact_posterior": lambda: hbm.exact_posterior(BAGS, n_draws=100, rng=5).log_alpha.sum(),
        "fit": lambda: hbm.fit(hbm.datasets.load_pollen().counts).log_likelihood,
        "threads": threads,
        "refused": refused,
    }
    if find_spec("torch") is not None:
        network = hbm.amortize.load("marbles")
        result["network"] = lambda: network.sample(BAGS, n_draws=200, rng=6).log_alpha.sum()
    return result


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    calls = public_calls()
    expected = {name: float(call()) for name, call in calls.items()}
    start = time.monotonic()
    rounds, settled, peak = 0, None, 0.0
    while (elapsed := time.monotonic() - start) < seconds:
        for name, call in calls.items():
            value = float(call())
            if value != expected[name]:
                print(f"{name}: {value!r} in round {rounds}, {expected[name]!r} at first")
                return 1
        rounds += 1
        if elapsed > seconds / 5:
            now = resident_mib()
            settled = now if settled is None else settled
            peak = max(peak, now)
    grown = peak - (settled or 0.0)
    print(f"{rounds} rounds of {len(calls)} calls in {seconds:.0f} s: {settled or 0.0:.0f} MiB, at most {grown:+.1f}")
    return 0 if settled is not None and grown < ALLOWED_MIB else 1


if __name__ == "__main__":
    sys.exit(main())
