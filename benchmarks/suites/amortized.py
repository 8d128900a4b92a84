"""Networks of amortized inference: speed of the training, error after it, speed of the inference.

    python benchmarks/run.py amortized --seconds 300 --out benchmarks/results/amortized.json

On K = 2, N 1..41, M 0..40, one core: training (datasets per second, step time, the simulator's share, the same loop on
numpy's simulator), the KL to the exact posterior and the 21 bags after --seconds of training, what the draws of the
Rao-Blackwellised objective buy in that time, inference of 1,000 datasets x 1,000 draws, the any-K network against long
MCMC, and the metrics stored with the shipped networks.
"""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import hbm_fast as hbm
from hbm_fast import _random
from hbm_fast.amortize.top_down import TopDown
from hbm_fast.benchmark.records import Record
from hbm_fast.nn.data import Block, TrainingStream
from hbm_fast.nn.features import to_network_order
from hbm_fast.nn.importance import log_coefficient
from hbm_fast.nn.objectives import log_posterior
from hbm_fast.nn.training import TrainingOptions, run
from suites.simulation import numpy_tables

TITLE = "Amortized inference: training and networks"
PACKAGES = ("torch",)
NOTES = ("error: KL(exact || network) in nats, mean over the validation datasets.",)
MODEL = hbm.HierarchicalModel(2)
RANGE: dict[str, Any] = {"n_groups": (1, 41), "totals": (0, 40)}
BAGS = hbm.datasets.load_marbles().counts
EXACT = {"log_alpha": -4.14742, "theta": 0.98714, "above": 0.9702}  # of the 21 bags


class ReferenceDraws:
    """500 datasets, and 200 draws of the exact posterior of each in the coordinates where the prior is N(0, I)."""

    def __init__(self, n_datasets: int = 500, n_draws: int = 200) -> None:
        self.block = TrainingStream(MODEL, RANGE["n_groups"], RANGE["totals"], _random.key(99), True).block(
            0, n_datasets
        )
        assert self.block.counts is not None
        self.counts = self.block.counts.numpy()
        network = TopDown(MODEL, RANGE["totals"][1])
        order, tables, _ = network.inputs(self.block.exceedances, self.block.counts)
        exact = [hbm.exact_posterior(x, MODEL, n_draws=n_draws, rng=i) for i, x in enumerate(self.counts)]
        log_alpha, log_beta = (
            torch.from_numpy(np.concatenate([getattr(post, name) for post in exact]))
            for name in ("log_alpha", "log_beta")
        )
        self.z = network.transform.to_z(log_alpha, to_network_order(log_beta, order))
        evidence = np.array([post.log_evidence for post in exact]) - log_coefficient(self.counts)
        self.log_p = log_posterior(tables, network.transform, self.z) - torch.from_numpy(evidence)[:, None]

    def kl(self, log_q: Callable[[Block, Tensor], Tensor]) -> dict[str, float]:
        """KL(exact || q): its mean over the datasets, the standard error and the largest."""
        kl = (self.log_p - log_q(self.block, self.z).double()).mean(1)
        return {"kl": float(kl.mean()), "kl_se": float(kl.std() / len(kl) ** 0.5), "kl_max": float(kl.max())}


def accuracy(estimator: hbm.amortize.Estimator, reference: ReferenceDraws) -> dict[str, float]:
    """KL to the exact posterior, effective share, calibration, and the 21 bags raw and corrected."""
    network = estimator.network
    with torch.no_grad():
        metrics = reference.kl(
            lambda block, z: network.head.log_prob(network.encoder(network.prepare(block)[0]), z.float())
        )
    post = estimator.sample(reference.counts, n_draws=1000, rng=1, correct=True)
    metrics |= {
        "ess": float(post.details["ess_share"].mean()),
        "ess_min": float(post.details["ess_share"].min()),
        "sbc_p": estimator.rank_truth(4_000, rng=7).p_value,
    }
    return metrics | marbles(estimator)


def marbles(estimator: hbm.amortize.Estimator) -> dict[str, float]:
    """The 21 bags."""
    metrics = {}
    for name, correct in (("raw", False), ("corrected", True)):
        post = estimator.sample(BAGS, n_draws=20_000, rng=2, correct=correct)
        theta = post.theta(20)[..., 1]
        weights = np.full(theta.shape, 1.0 / theta.size) if post.log_weights is None else np.exp(post.log_weights)
        metrics |= {
            f"{name}_log_alpha": float(post.mean("log_alpha")),
            f"{name}_theta": float(post.predict(20)[1]),
            f"{name}_above": float((weights * (theta > 0.9)).sum()),
        }
    return metrics


def shipped() -> Iterator[Record]:
    """Metrics of the networks of the wheel, measured when they were saved; those of any-k for each K too."""
    for name in ("marbles", "marbles-bottom-up", "any-k"):
        parts: dict[str, dict[str, float]] = {}
        for key, value in hbm.amortize.load(name).metrics.items():
            found = re.fullmatch(r"(.*)_k(\d+)", key)
            label, metric = (name, key) if found is None else (f"{name}, K = {found[2]}", found[1])
            parts.setdefault(label, {})[metric] = value
        for label, metrics in parts.items():
            yield record(f"shipped networks: {label}", metrics)


def record(case: str, metrics: dict[str, float], method: str = "hbm_fast") -> Record:
    """KL is the error."""
    return Record(case, method, error=metrics.pop("kl", None), metrics=metrics)


def bottom_up() -> dict[str, float]:
    """The 21 bags by the shipped bottom-up network, uncorrected: the limit of the factorisation is 0.86545."""
    network = hbm.amortize.load("marbles-bottom-up")
    full = np.concatenate([BAGS[:-1], [[0, 20]]])
    answers = [network.sample(x, n_draws=20_000, rng=1, correct=False).predict(20)[1] for x in (BAGS, full)]
    return {
        "one_black_marble": float(answers[0]),
        "one_black_marble_ideal": 0.86545,
        "all_bags_of_20": float(answers[1]),
        "all_bags_of_20_exact": float(hbm.exact_posterior(full).predict(20)[1]),
    }


def any_k_against_mcmc(k: int = 5, n_datasets: int = 20) -> dict[str, float]:
    """A classifier two-sample test (Lopez-Paz & Oquab 2017, arXiv:1610.06545) of the any-K network against a long MCMC:
    the accuracy of a nearest-neighbour classifier, which is one half for equal distributions.

    Coordinates: log alpha and log(beta_k / beta_K), whitened; 2,000 draws of each.
    """
    network = hbm.amortize.load("any-k")
    counts = hbm.simulate(hbm.HierarchicalModel(k), n_datasets, n_groups=(1, 41), totals=(0, 40), rng=11).counts
    assert counts is not None
    long = hbm.sample(counts, n_draws=5_000, rng=1)
    shares: dict[str, list[float]] = {"raw": [], "corrected": [], "mcmc": []}
    generator = np.random.default_rng(0)
    for b in range(n_datasets):
        reference = coordinates(long.log_alpha[b].ravel(), long.log_beta[b].reshape(-1, k))
        two = generator.permutation(len(reference))[:4_000].reshape(2, -1)
        answers = {"mcmc": reference[two[1]]}
        for name, correct in (("raw", False), ("corrected", True)):
            post = network.sample(counts[b], n_draws=20_000, rng=b, correct=correct)
            p = None if post.log_weights is None else np.exp(post.log_weights[0])
            picked = generator.choice(20_000, 2_000, p=p, replace=False)
            answers[name] = coordinates(post.log_alpha[0, picked], post.log_beta[0, picked])
        for name, draws in answers.items():
            shares[name].append(two_sample(reference[two[0]], draws))
    return {f"c2st_{name}": float(np.mean(values)) for name, values in shares.items()}


def coordinates(log_alpha: NDArray[np.float64], log_beta: NDArray[np.float64]) -> NDArray[np.float64]:
    """(S,), (S, K) -> (S, K) unconstrained."""
    return np.concatenate([log_alpha[:, None], log_beta[:, :-1] - log_beta[:, -1:]], 1)


def two_sample(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """How often the majority of a point's 5 nearest neighbours is of the same sample."""
    from scipy.spatial import cKDTree

    points = np.concatenate([x, y])
    white = np.linalg.cholesky(np.linalg.inv(np.cov(x.T)))
    points = points @ white
    label = np.arange(len(points)) >= len(x)
    nearest = cKDTree(points).query(points, 6)[1][:, 1:]
    return float(((label[nearest].sum(1) > 2) == label).mean())


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
    log_beta = np.log(np.stack([beta, 1.0 - beta], -1))
    return Block(torch.from_numpy(numpy_tables(x, totals)), torch.from_numpy(np.log(alpha)), torch.from_numpy(log_beta))


def training_speed(block: Any, seconds: float) -> dict[str, float]:
    """Datasets per second of the training loop on a simulator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = TopDown(MODEL, 40)
    options = TrainingOptions(minutes=seconds / 60.0, batch_size=256, learning_rate=2e-3)
    state = run(network, block, options, seed=0)
    return {
        "datasets_per_s": 256 * state.step / state.seconds,
        "step_ms": 1e3 * state.seconds / state.step,
        "simulator_share": state.simulator_seconds / state.seconds,
    }


def training_speeds(rounds: int = 9, seconds: float = 2.0) -> dict[str, dict[str, float]]:
    """Medians of rounds that alternate our simulator and numpy's: the machine's own speed changes between minutes."""
    ours = TrainingStream(MODEL, RANGE["n_groups"], RANGE["totals"], _random.key(0)).block
    pairs = [(training_speed(ours, seconds), training_speed(numpy_block, seconds)) for _ in range(rounds)]
    names = ("hbm_fast", "hbm_fast, numpy's simulator")
    result = {
        name: {key: float(np.median([pair[i][key] for pair in pairs])) for key in pairs[0][i]}
        for i, name in enumerate(names)
    }
    ratios = [mine["datasets_per_s"] / theirs["datasets_per_s"] for mine, theirs in pairs]
    result["hbm_fast"]["over_numpy"] = float(np.median(ratios))
    return result


def inference_speed(estimator: hbm.amortize.Estimator) -> dict[str, float]:
    """Best of 7: 1,000 datasets x 1,000 draws, raw and corrected; and one dataset x 1,000 draws, best of 200."""
    counts = hbm.simulate(MODEL, 1000, **RANGE, rng=5).counts
    assert counts is not None
    result = {}
    for name, correct in (("raw", False), ("corrected", True)):
        for what, data, repeats in (("1000_datasets", counts, 7), ("one_dataset", counts[0], 200)):
            times = []
            for _ in range(repeats):
                start = time.perf_counter()
                estimator.sample(data, n_draws=1000, rng=0, correct=correct, n_threads=1)
                times.append(time.perf_counter() - start)
            result[f"{what}_{name}_s"] = min(times)
    return result


def records(options: Any) -> Iterator[Record]:
    """Everything."""
    torch.set_num_threads(1)
    yield record("the 21 bags of Le (2020), exact posterior", dict(EXACT), "quadrature")
    for method, metrics in training_speeds().items():
        yield record("training", metrics, method)
    reference = ReferenceDraws()
    # without draws of q, the plain sleep phase, first: what the draws buy in the same time
    for method, settings in (("hbm_fast, without draws of q", {"n_draws": 0}), ("hbm_fast", {})):
        estimator = hbm.amortize.train(MODEL, minutes=options.seconds / 60.0, rng=0, **settings, **RANGE)
        metrics = {"steps": estimator.training["steps"], **accuracy(estimator, reference)}
        yield record(f"accuracy after {options.seconds:g} s of training", metrics, method)
    yield record("inference", inference_speed(estimator))
    yield record("bottom-up", bottom_up())
    yield record("any-K against MCMC, K = 5", any_k_against_mcmc())
    yield from shipped()
