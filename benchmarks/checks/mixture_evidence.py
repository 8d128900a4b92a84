"""Evidences of mixtures by bridge sampling beside known ones.

Tables of ten groups have exact evidences, sums over all labellings. Of the twins' table (Turnbaugh et al. 2009, 278
samples x 130 taxa; prior Gamma(0.1, rate 0.1) of each concentration) the references are bridges of another program's
draws, two of each number of components.

    python benchmarks/checks/mixture_evidence.py --out benchmarks/results/mixture_evidence.json --twins TABLE.csv
"""

from pathlib import Path

import checking
import numpy as np

import hbm_fast as hbm
from hbm_fast.benchmark.records import Record

# The log evidence of J = 1, 2, 3 components, weights ~ Dirichlet(1), alpha ~ Exponential(1), beta ~ Dirichlet(1).
EXACT = {
    "pure and mixed": (
        [[12, 0], [0, 11], [13, 1], [0, 9], [10, 0], [5, 6], [6, 6], [7, 5], [4, 6], [5, 5]],
        (-26.066379348770226, -25.628251036591156, -25.437867468673964),
    ),
    "two proportions": (
        [[9, 1], [11, 2], [10, 1], [12, 3], [9, 2], [2, 10], [1, 9], [3, 11], [2, 9], [1, 12]],
        (-28.164413898800788, -28.69690817267689, -29.086544835022906),
    ),
}
TWINS = {1: (-39224.886, 0.02), 2: (-38847.2, 0.5), 3: (-38737.6, 0.5), 4: (-38669.2, 1.5)}  # J: value, tolerance


def main():
    parser = checking.parser(__doc__)
    parser.add_argument("--twins", type=Path)
    parser.add_argument("--keys", type=int, default=1, help="runs of each number of components of the twins")
    options = parser.parse_args()
    records = []

    def measure(case, counts, model, reference, *, method, key, tolerance):
        found, seconds = checking.timed(hbm.log_evidence, counts, model, method=method, rng=key)
        metrics = {
            "key": key,
            "value": found.value,
            "error": found.error,
            "reference": reference,
            "tolerance": tolerance,
            "difference": found.value - reference,
        }
        records.append(Record(case, found.method, seconds=seconds, error=abs(found.value - reference), metrics=metrics))
        print(f"{case:32s} {found!r}, {seconds:.1f} s; {reference:.4f} +- {tolerance}", flush=True)
        checking.write(options.out, "Evidences of mixtures", records, ["Seconds are of the processor."])

    for case, (bags, exact) in EXACT.items():
        for j, reference in enumerate(exact, 1):
            model = hbm.MixtureModel(2, n_components=j)
            for key in range(3):
                measure(f"{case}, J = {j}", bags, model, reference, method="bridge", key=key, tolerance=0.05)
    if options.twins is None:
        return
    counts = np.loadtxt(options.twins, delimiter=",", skiprows=1, usecols=range(1, 131)).astype(int)
    for key in range(1, options.keys + 1):
        for j, (reference, tolerance) in TWINS.items():
            model = hbm.MixtureModel(
                130, n_components=j, alpha=hbm.priors.Gamma(13.0, rate=0.1), beta=hbm.priors.Dirichlet(0.1)
            )
            measure(f"twins, J = {j}", counts, model, reference, method="auto", key=key, tolerance=tolerance)


if __name__ == "__main__":
    main()
