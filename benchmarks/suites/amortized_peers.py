"""Amortized inference against sbi and BayesFlow: ``python benchmarks/run.py amortized_peers --seconds 300``.

All learn the posterior of K = 2, N 1..41, M 0..40 on the same stream of datasets, in the same coordinates (where the
prior is N(0, I)), for the same wall-clock time on one core, and are compared on the same 500 datasets: KL(exact || q)
from draws of the exact posterior by quadrature. The methods:

hbm_fast            hbm_fast.amortize.train with its defaults
sbi, sets           NPE as documented: a permutation-invariant embedding of the groups, a neural spline flow
sbi, statistics     NPE as documented on our statistics, a neural spline flow
sbi, by hand        its mixture density network on our statistics and our endless stream, with a decaying rate
bayesflow           online training on our statistics, a coupling flow of splines
bayesflow, sets     online training, its DeepSet of the groups, an affine coupling flow
"""

import itertools
import os
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
from suites.amortized import MODEL, RANGE, ReferenceDraws

TITLE = "Amortized inference: peers"
PACKAGES = ("torch", "sbi", "bayesflow")
NOTES = ("error: KL(exact || network) in nats; seconds: of the training.",)
LogDensity = Callable[[Block, Tensor], Tensor]  # of datasets, at z (B, S, 2): (B, S)
Trained = tuple[LogDensity, int]  # and how many datasets it has seen
MAX_GROUPS = 41


def stream(with_groups: bool) -> TrainingStream:
    """The training data of every peer."""
    return TrainingStream(MODEL, RANGE["n_groups"], RANGE["totals"], _random.key(0), with_groups)


def inputs(kind: str) -> tuple[Callable[[Block], tuple[Tensor, Tensor]], TopDown]:
    """From a block to (data, z): our statistics, or the groups as sets (B, N, 2), NaN where there is none."""
    network = TopDown(MODEL, RANGE["totals"][1])

    def of_statistics(block: Block) -> tuple[Tensor, Tensor]:
        features, _, z = network.prepare(block)
        return features, z

    def of_sets(block: Block) -> tuple[Tensor, Tensor]:
        order, _, _ = network.inputs(block.exceedances, block.counts)
        assert block.counts is not None
        assert order is not None
        x = torch.gather(block.counts.float(), -1, order[:, None].expand(-1, block.counts.shape[1], -1))
        if x.shape[1] < MAX_GROUPS:
            x = torch.nn.functional.pad(x, (0, 0, 0, MAX_GROUPS - x.shape[1]))
        total = x.sum(-1, keepdim=True)
        x = torch.cat([x / total.clamp(min=1.0), torch.log1p(total)], -1)
        x[(total == 0)[..., 0]] = float("nan")
        return x, network.prepare(block)[2]

    return (of_statistics if kind == "statistics" else of_sets), network


def hbm_fast(seconds: float) -> Trained:
    """Ours."""
    estimator = hbm.amortize.train(MODEL, minutes=seconds / 60.0, rng=0, **RANGE)
    network = estimator.network

    def log_q(block: Block, z: Tensor) -> Tensor:
        density: Tensor = network.head.log_prob(network.encoder(network.prepare(block)[0]), z.float())
        return density

    return log_q, estimator.training["steps"] * estimator.training["batch_size"]


def sbi_documented(seconds: float, kind: str) -> Trained:
    """simulate, append_simulations, train to convergence or to the end of the time."""
    from sbi.inference import NPE
    from sbi.neural_nets import posterior_nn
    from sbi.neural_nets.embedding_nets import FCEmbedding, PermutationInvariantEmbedding
    from sbi.utils import BoxUniform

    prepare, _ = inputs(kind)
    n = int(min(300_000, 1000 * seconds))  # what it gets through a few dozen times
    start = time.perf_counter()
    x, z = prepare(stream(True).block(0, n))
    if kind == "sets":
        trial = FCEmbedding(input_dim=3, output_dim=32, num_hiddens=64)
        embedding = PermutationInvariantEmbedding(trial, trial_net_output_dim=32, output_dim=32)
        density = posterior_nn("nsf", embedding_net=embedding, z_score_x="none")
        # every dataset needs a group, and sbi one number of NaN columns: an empty one is (0, 0, 0)
        x[:, 0] = torch.nan_to_num(x[:, 0], nan=0.0)
    else:
        density = posterior_nn("nsf")
    prior = BoxUniform(torch.full((2,), -40.0), torch.full((2,), 40.0))
    inference = NPE(prior=prior, density_estimator=density, show_progress_bars=False)
    inference.append_simulations(z, x, exclude_invalid_x=False)
    epochs: int = 0
    trained: Any = None
    while time.perf_counter() - start < seconds:
        epochs += 1
        trained = inference.train(max_num_epochs=epochs, resume_training=epochs > 1, training_batch_size=200)
        if inference._converged(epochs, 20):
            break
    assert trained is not None

    def log_q(block: Block, values: Tensor) -> Tensor:
        data = prepare(block)[0]
        if kind == "sets":
            data[:, 0] = torch.nan_to_num(data[:, 0], nan=0.0)
        density: Tensor = trained.log_prob(values.float().transpose(0, 1), condition=data).T
        return density

    return log_q, n * epochs


def sbi_by_hand(seconds: float) -> Trained:
    """Its mixture density network, trained on an endless stream of datasets."""
    from sbi.neural_nets import posterior_nn

    prepare, _ = inputs("statistics")
    data = stream(False)
    x, z = prepare(data.block(2**20, 4096))
    estimator = posterior_nn("mdn", hidden_features=128, num_components=8)(z, x)
    adam = torch.optim.Adam(estimator.parameters(), lr=2e-3)
    start, step, size, per_block = time.perf_counter(), 0, 256, 16
    while (share := (time.perf_counter() - start) / seconds) < 1.0:
        xs, zs = prepare(data.block(step // per_block, per_block * size))
        for i in range(per_block):
            adam.param_groups[0]["lr"] = 1e-3 * (1.0 + float(np.cos(np.pi * share)))
            rows = slice(i * size, (i + 1) * size)
            loss = estimator.loss(zs[rows], condition=xs[rows]).mean()
            adam.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(estimator.parameters(), 5.0)
            adam.step()
            step += 1

    def log_q(block: Block, values: Tensor) -> Tensor:
        density: Tensor = estimator.log_prob(values.float().transpose(0, 1), condition=prepare(block)[0]).T
        return density

    return log_q, step * size


def bayesflow(seconds: float, kind: str) -> Trained:
    """A ContinuousApproximator fitted online by keras' Adam with cosine decay."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import bayesflow as bf
    import keras

    torch.set_grad_enabled(True)  # importing it with torch turns gradients off
    prepare, _ = inputs(kind)
    where = "summary_variables" if kind == "sets" else "inference_conditions"
    data, size, blocks = stream(kind == "sets"), 256, itertools.count()
    mean, scale = standard(prepare(data.block(2**20, 4096))[0])

    def batch(block: Block) -> dict[str, NDArray[np.float32]]:
        x, z = prepare(block)
        x = torch.nan_to_num((x - mean) * scale, nan=0.0)
        return {where: x.numpy(), "inference_variables": z.numpy()}

    class Stream:
        def sample(self, *_: Any, **__: Any) -> dict[str, NDArray[np.float32]]:
            return batch(data.block(next(blocks), size))

    class Clock(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_begin(self, logs: Any = None) -> None:
            self.start = time.perf_counter()

        def on_train_batch_end(self, index: int, logs: Any = None) -> None:
            share = (time.perf_counter() - self.start) / seconds
            self.model.optimizer.learning_rate = 5e-4 * (1.0 + np.cos(np.pi * min(share, 1.0)))
            self.model.stop_training = share >= 1.0

    approximator = bf.approximators.ContinuousApproximator(
        inference_network=bf.networks.CouplingFlow(transform="affine" if kind == "sets" else "spline"),
        summary_network=bf.networks.DeepSet(summary_dim=16) if kind == "sets" else None,
        adapter=bf.Adapter(),
        standardize=None,
    )
    approximator.compile(optimizer=keras.optimizers.Adam(1e-3, clipnorm=5.0))
    # short epochs: the time limit is checked between epochs only
    dataset = bf.datasets.OnlineDataset(Stream(), batch_size=size, num_batches=10, adapter=None)
    approximator.fit(dataset=dataset, epochs=1_000_000, callbacks=[Clock()], verbose=0)

    def log_q(block: Block, values: Tensor) -> Tensor:
        b, s, d = values.shape
        conditions = np.repeat(batch(block)[where], s, axis=0)
        found = approximator.log_prob({where: conditions, "inference_variables": values.float().reshape(-1, d).numpy()})
        return torch.from_numpy(np.asarray(found, dtype=np.float64)).view(b, s)

    return log_q, next(blocks) * size


def standard(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and 1 / sd of the features, over all but the last axis; NaN left out."""
    rows = x.reshape(-1, x.shape[-1])
    rows = rows[~rows.isnan().any(-1)]
    return rows.mean(0), 1.0 / rows.std(0).clamp(min=0.05)


METHODS: dict[str, Callable[[float], Trained]] = {
    "hbm_fast": hbm_fast,
    "sbi, by hand": sbi_by_hand,
    "sbi, statistics": lambda seconds: sbi_documented(seconds, "statistics"),
    "sbi, sets": lambda seconds: sbi_documented(seconds, "sets"),
    "bayesflow": lambda seconds: bayesflow(seconds, "statistics"),
    "bayesflow, sets": lambda seconds: bayesflow(seconds, "sets"),
}


def records(options: Any) -> Iterator[Record]:
    """Train one after the other, and compare."""
    torch.set_num_threads(1)
    reference = ReferenceDraws()
    ours: float | None = None
    for name, train in METHODS.items():
        if options.methods is not None and name not in options.methods:
            continue
        torch.manual_seed(0)
        start = time.perf_counter()
        log_q, seen = train(options.seconds)
        seconds = time.perf_counter() - start
        with torch.no_grad():
            metrics = reference.kl(log_q)
        error = metrics.pop("kl")
        metrics["datasets_per_s"] = seen / options.seconds
        if name == "hbm_fast":
            ours = error
        if ours is not None:
            metrics["kl_over_ours"] = error / ours
        case = f"KL to the exact posterior after {options.seconds:g} s"
        yield Record(case, name, seconds, error=error, metrics=metrics)
