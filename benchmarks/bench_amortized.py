"""Amortized inference against the clock: ``python benchmarks/bench_amortized.py --minutes 1``.

On K = 2, N 1..41, M 0..40, one core: training (datasets per second, step time, the simulator's share, the same loop on
numpy's simulator), the held-out KL by quadrature and the note's data after the given minutes, and inference of 1,000
datasets x 1,000 draws. ``--peers`` trains sbi's NPE on the same stream for the same time.
"""

import argparse
import json
import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import hbm_fast as hbm
from hbm_fast import _random
from hbm_fast.amortize.networks import TopDown
from hbm_fast.amortize.report import quadrature_kl
from hbm_fast.amortize.stream import Block, TrainingStream
from hbm_fast.amortize.training import Budget, fit
from hbm_fast.simulation import exceedance_counts

MODEL = hbm.HierarchicalModel(2)
RANGE: dict[str, Any] = {"n_groups": (1, 41), "totals": (0, 40)}
BAGS = np.array([[20, 0]] * 10 + [[0, 20]] * 10 + [[0, 1]])
EXACT = {"log_alpha": -4.14742, "theta": 0.98714, "above": 0.9702}


def held_out_stream() -> TrainingStream:
    """The 500 datasets that every network is judged on."""
    return TrainingStream(MODEL, RANGE["n_groups"], RANGE["totals"], _random.key(99), True)


def accuracy(estimator: hbm.amortize.Estimator) -> dict[str, float]:
    """KL by quadrature, effective share, and the note's data raw and corrected."""
    kl = quadrature_kl(estimator, held_out_stream(), 500)
    data = held_out_stream().block(0, 500).counts
    assert data is not None
    post = estimator.sample(data.numpy(), n_draws=1000, rng=1, correct=True)
    figures = {
        "kl": float(kl.mean()),
        "kl_se": float(kl.std() / np.sqrt(kl.size)),
        "kl_max": float(kl.max()),
        "ess": float(post.details["ess_share"].mean()),
        "ess_min": float(post.details["ess_share"].min()),
    }
    for name, correct in (("raw", False), ("corrected", True)):
        post = estimator.sample(BAGS, n_draws=20_000, rng=2, correct=correct)
        theta = post.theta(20)[..., 1]
        weights = np.full(theta.shape, 1.0 / theta.size) if post.log_weights is None else np.exp(post.log_weights)
        figures |= {
            f"{name}_log_alpha": float(post.mean("log_alpha")),
            f"{name}_theta": float(post.predict(20)[1]),
            f"{name}_above": float((weights * (theta > 0.9)).sum()),
        }
    return figures


def numpy_block(index: int, size: int) -> Block:
    """The same stream by numpy's generators, for the comparison of simulators."""
    rng = np.random.default_rng([7, index])
    stream = TrainingStream(MODEL, RANGE["n_groups"], RANGE["totals"], _random.key(0))
    totals = stream._totals(index, size)
    n_groups = rng.integers(1, 42, size)
    totals[np.arange(41) >= n_groups[:, None]] = 0
    alpha, beta = rng.exponential(size=size), rng.beta(1.0, 1.0, size)
    a = np.maximum(alpha * beta, 1e-12)[:, None]
    b = np.maximum(alpha * (1.0 - beta), 1e-12)[:, None]
    # log-space gammas, so that small alphas do not give 0 / 0
    log_g, log_h = (
        np.log(rng.gamma(s + 1.0, size=totals.shape)) - rng.exponential(size=totals.shape) / s for s in (a, b)
    )
    theta = 1.0 / (1.0 + np.exp(np.clip(log_h - log_g, -700.0, 700.0)))
    x = rng.binomial(totals, theta)
    counts = np.stack([x, totals - x], -1)
    tables = _numpy_tables(counts, 40)
    log_beta = np.log(np.stack([beta, 1.0 - beta], -1))
    return Block(torch.from_numpy(tables), torch.from_numpy(np.log(alpha)), torch.from_numpy(log_beta))


def _numpy_tables(counts: NDArray[np.int64], max_total: int) -> NDArray[np.float32]:
    values = np.concatenate([counts, counts.sum(-1, keepdims=True)], -1)
    b, _, rows = values.shape
    cell = (np.arange(b)[:, None, None] * rows + np.arange(rows)) * (max_total + 1) + values
    histogram = np.bincount(cell.ravel(), minlength=b * rows * (max_total + 1)).reshape(b, rows, max_total + 1)
    table = histogram[..., ::-1].cumsum(-1)[..., ::-1][..., 1:]
    return np.ascontiguousarray(table, dtype=np.float32)


def training_speed(block: Any, seconds: float) -> dict[str, float]:
    """Datasets per second of the training loop on a simulator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = TopDown(MODEL, 40)
    state = fit(network, network, block, Budget(minutes=seconds / 60.0), seed=0)
    return {
        "datasets_per_s": 256 * state.step / state.seconds,
        "step_ms": 1e3 * state.seconds / state.step,
        "simulator_share": state.simulator_seconds / state.seconds,
    }


def inference_speed(estimator: hbm.amortize.Estimator) -> dict[str, float]:
    """Best of 5: 1,000 datasets x 1,000 draws, raw and corrected."""
    counts = hbm.simulate(MODEL, 1000, **RANGE, rng=5).counts
    assert counts is not None
    exceedance_counts(counts, 40)
    result = {}
    for name, correct in (("raw_s", False), ("corrected_s", True)):
        times = []
        for _ in range(5):
            start = time.perf_counter()
            estimator.sample(counts, n_draws=1000, rng=0, correct=correct, n_threads=1)
            times.append(time.perf_counter() - start)
        result[name] = min(times)
    return result


def sbi_npe(minutes: float) -> dict[str, float]:
    """sbi's NPE as documented, on the statistics of our stream: simulate, train until the time is over, KL on 500."""
    from sbi.inference import NPE
    from sbi.utils import BoxUniform

    stream = TrainingStream(MODEL, RANGE["n_groups"], RANGE["totals"], _random.key(0))
    network = TopDown(MODEL, 40)
    features, _, z = network.prepare(stream.block(0, 100_000))
    inference = NPE(prior=BoxUniform(torch.full((2,), -40.0), torch.full((2,), 40.0)), show_progress_bars=False)
    start = time.perf_counter()
    epochs = 0
    inference.append_simulations(z, features)
    while time.perf_counter() - start < 60.0 * minutes:
        epochs += 5
        density = inference.train(max_num_epochs=epochs, resume_training=epochs > 5, training_batch_size=200)
    held = held_out_stream().block(0, 500)
    features, tables, z = network.prepare(held)
    from hbm_fast.amortize.objectives import log_posterior

    with torch.no_grad():
        draws = density.sample((1000,), condition=features).transpose(0, 1)
        log_q = density.log_prob(draws.transpose(0, 1), condition=features).T.double()
        log_w = log_posterior(tables, network.coordinates, draws) - log_q
    log_w = log_w - torch.logsumexp(log_w, 1, keepdim=True) + float(np.log(1000))
    return {"kl": float((log_w.exp() * log_w - log_w.exp() + 1.0).mean()), "epochs": float(epochs)}


def main() -> None:
    """Run and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--peers", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    stream = TrainingStream(MODEL, RANGE["n_groups"], RANGE["totals"], _random.key(0))
    results: dict[str, Any] = {"exact": EXACT}
    results["training"] = training_speed(stream.block, 15.0)
    results["training_numpy"] = training_speed(numpy_block, 15.0)
    estimator = hbm.amortize.train(MODEL, minutes=options.minutes, rng=0, **RANGE)
    results["accuracy"] = {"minutes": options.minutes, **accuracy(estimator)}
    results["inference"] = inference_speed(estimator)
    if options.peers:
        results["sbi"] = sbi_npe(options.minutes)
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
