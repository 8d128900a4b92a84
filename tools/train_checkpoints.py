"""Train the networks and embeddings that come with hbm_fast: ``python tools/train_checkpoints.py marbles --out DIR``.

Trainings are counted in steps: the same command on the same machine gives the same file. ``--until`` stops a network
early and saves it; the same command goes on from there. Stored with the weights of a network are its KL to the exact
posterior and the effective share on 500 datasets, and simulation-based calibration on 4,000; of the any-K network at
K = 2, 3, 5 and 10.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import hbm_fast as hbm
from hbm_fast.experiments import languages

NETWORKS: dict[str, dict[str, Any]] = {
    "marbles": {"factorization": "top-down", "steps": 12_000, "learning_rate": 3e-3, "rng": 1},
    "marbles-bottom-up": {"factorization": "bottom-up", "steps": 4_000, "learning_rate": 3e-3, "rng": 2},
    "any-k": {"factorization": "any-k", "steps": 40_000, "learning_rate": 3e-3, "batch_size": 128, "rng": 3},
}
LE2020 = {"link": "exp_plus_one", "q": "diagonal", "objective": "elbo", "activation": "relu", "skip": False}
EMBEDDINGS: dict[str, dict[str, Any]] = {
    "embedding-marbles": {"steps": 5_000},
    "embedding-marbles-exp-plus-one": {"steps": 2_000, "learning_rate": 2e-3, **LE2020},
}


def main() -> None:
    """Train one network, or go on with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=[*NETWORKS, *EMBEDDINGS, "languages"])
    parser.add_argument("--out", type=Path, default=None, help="folder; default that of the package")
    parser.add_argument("--until", type=int, default=None, help="stop a network at this step, to go on later")
    options = parser.parse_args()
    if options.name == "languages":
        emb = languages.network()
        emb.network.half()  # in half the bytes
        emb.save((options.out or emb.shipped) / "languages.safetensors", state=False)
        print(emb, emb.training)
        return
    if options.name in EMBEDDINGS:
        folder = options.out or hbm.embedding.Embedding.shipped
        embedding = hbm.embedding.train(2, 2, rng=0, progress=True, **EMBEDDINGS[options.name])
        embedding.save(folder / f"{options.name.removeprefix('embedding-')}.safetensors", state=False)
        print(embedding, embedding.training)
        return
    train_network(options.name, options.out or hbm.amortize.Estimator.shipped, options.until)


def train_network(name: str, folder: Path, until: int | None) -> None:
    """Train a network to its last step, or until another one."""
    settings = NETWORKS[name]
    unfinished = folder / f"{name}.unfinished"
    resume = unfinished if unfinished.exists() else None
    pause = until if until is not None and until < settings["steps"] else None
    estimator = hbm.amortize.train(
        n_groups=(1, 50), totals=(0, 50), **settings, resume=resume, pause_at=pause, progress=True
    )
    if pause is not None:
        estimator.save(unfinished)
        return
    estimator.metrics |= calibration_metrics(estimator, 4_000)
    print(estimator, json.dumps(estimator.metrics, indent=1))
    estimator.save(folder / f"{name}.safetensors", state=False)
    unfinished.unlink(missing_ok=True)


def calibration_metrics(estimator: hbm.amortize.Estimator, n_datasets: int) -> dict[str, float]:
    """KL, effective share and p-values of the ranks; of an any-K network with ``_k2``, ``_k3``, ... after the names.

    ``sbc_p`` is the smallest p-value of all quantities, corrected for their number, and ``sbc_p_theta`` that of the
    groups' theta: a bottom-up network is calibrated in each of them, and not in alpha and beta.
    """
    metrics = {"sbc_datasets": float(n_datasets)}
    for k in [None] if estimator.model is not None else estimator.network.evaluated_categories:
        report = estimator.calibrate(n_datasets, n_categories=k, rng=7)
        theta = [p for name, p in report.sbc.p_values.items() if name.startswith("theta")]
        found = {name: getattr(report, name) for name in ("kl", "kl_error", "ess_share")}
        found["sbc_p"] = report.sbc.p_value
        if theta:
            found["sbc_p_theta"] = min(1.0, len(theta) * min(theta))
        metrics |= {f"{name}_k{k}" if k else name: value for name, value in found.items()}
    return metrics


if __name__ == "__main__":
    main()
