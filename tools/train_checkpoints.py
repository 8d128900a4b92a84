"""Trains the networks that come with hbm_fast: ``python benchmarks/train_shipped.py marbles --out DIR``.

The same command on the same machine gives the same file: trainings are counted in steps. ``--until`` stops early and
saves; the same command again goes on from there. Stored beside the weights are the KL to the exact posterior and the
effective share on 500 datasets, and simulation-based calibration on 4,000; of the any-K network at K = 2, 3, 5 and 10.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import hbm_fast as hbm
from hbm_fast.amortize.calibrate import stored_figures

RECIPES: dict[str, dict[str, Any]] = {
    "marbles": {"factorization": "top-down", "steps": 12_000, "learning_rate": 3e-3, "rng": 1},
    "marbles-bottom-up": {"factorization": "bottom-up", "steps": 4_000, "learning_rate": 3e-3, "rng": 2},
    "any-k": {"factorization": "any-k", "steps": 40_000, "learning_rate": 3e-3, "batch_size": 128, "rng": 3},
}


def main() -> None:
    """Train one network, or go on with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument("--out", type=Path, default=Path("python/hbm_fast/amortize/checkpoints"))
    parser.add_argument("--until", type=int, default=None, help="stop at this step, to go on later")
    options = parser.parse_args()
    recipe = RECIPES[options.name]
    unfinished = options.out / f"{options.name}.unfinished"
    resume = unfinished if unfinished.exists() else None
    pause = options.until if options.until is not None and options.until < recipe["steps"] else None
    estimator = hbm.amortize.train(
        n_groups=(1, 50), totals=(0, 50), **recipe, resume=resume, pause_at=pause, progress=True
    )
    if pause is not None:
        estimator.save(unfinished)
        return
    estimator.figures |= stored_figures(estimator, 4_000, rng=7)
    print(estimator, json.dumps(estimator.figures, indent=1))
    estimator.state = None  # what it takes to go on training would double the file
    estimator.save(options.out / f"{options.name}.safetensors")
    unfinished.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
