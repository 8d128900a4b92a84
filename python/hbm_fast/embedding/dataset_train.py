"""Training of a `DatasetEmbedding`: f and q on random sub-sets of the bags, then q on datasets simulated from f."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hbm_fast import _memory, _validate, errors
from hbm_fast._random import key as new_key
from hbm_fast._typing import Floats, Key, RNGLike
from hbm_fast.embedding import dirichlet_rows, objectives
from hbm_fast.embedding.bags import Bags, as_bags
from hbm_fast.embedding.dataset_estimator import DatasetEmbedding
from hbm_fast.embedding.dataset_network import DatasetNetwork, FirstEncoder
from hbm_fast.embedding.division import divided
from hbm_fast.fitting import fit
from hbm_fast.nn import resuming, training
from hbm_fast.nn.data import MOST_TOTAL
from hbm_fast.nn.estimator import seeds_of
from hbm_fast.nn.importance import effective_share, log_mean_exp
from hbm_fast.nn.objectives import inference_compilation
from hbm_fast.nn.training import WARM_UP, EarlyStopping, Trainable, TrainingOptions

Shared = Literal["bag", "dataset", "auto"]
SHARED: tuple[str, ...] = get_args(Shared)
FEW_DATASETS = 40  # below it a fitted Dirichlet does as well
SIZES = (1, 5, 20)  # numbers of bags at which held-out datasets are scored
PATIENCE = 3  # evaluations, of about ten in all
DRAWS = 64  # for each held-out dataset
N_SIMULATED = 20_480  # datasets for the training of q
MOST_DIM = 12
_DEFAULTS: dict[str, Any] = {"steps": 800, "batch_size": 64, "learning_rate": 4e-3}
_INFERENCE_RATE = 2e-3
_MOST_PER_BLOCK = 4_000_000  # counts of a block of sub-sets: 32 MB
_UNUSED = ("checkpoint", "pause_at", "target", "mixed_precision")


def decide(data: Any) -> tuple[Literal["bag", "dataset"], str]:
    """Which of "bag" and "dataset" the data ask for, and why, in words.

    One Dirichlet is fitted to the bags of each dataset, summed over contexts. Where its concentration is infinite, the
    bags vary no more than draws from one theta: there is nothing that a theta of each bag could explain.
    """
    bags = as_bags(data)
    infinite = 0
    for cells in bags.cells:
        table = np.zeros((cells.n_bags, bags.shape[-1]), dtype=np.int64)
        np.add.at(table, (cells.bag, cells.place % bags.shape[-1]), cells.count.astype(np.int64))
        infinite += fit(table).outcome == "infinity"
    shared: Literal["bag", "dataset"] = "dataset" if 2 * infinite >= len(bags) else "bag"
    return shared, (
        f'shared="auto" takes "{shared}": in {infinite} of {len(bags)} datasets the bags vary no more than draws from '
        "one theta"
    )


def train_datasets(
    data: Any,
    *,
    names: Sequence[str] | None,
    held_out: Any,
    dim: int | None,
    rng: RNGLike,
    options: TrainingOptions,
    settings: dict[str, Any],
) -> DatasetEmbedding:
    """`hbm_fast.embedding.train` with ``shared="dataset"``."""
    options = _options(options)
    inference_steps = settings.pop("inference_steps", None)
    n_simulated = _validate.positive_int(settings.pop("n_simulated", N_SIMULATED), "n_simulated")
    known = [
        *resuming.defaults(DatasetNetwork),
        *TrainingOptions.__dataclass_fields__,
        "inference_steps",
        "n_simulated",
    ]
    _validate.keywords(settings, known, "train")
    if settings.get("z_noise") is not None:  # a float in the file, whatever number was given
        settings["z_noise"] = _validate.finite_float(settings["z_noise"], "z_noise")
    bags = as_bags(data)
    if len(bags) < 2:
        raise ValueError(f"data must hold at least 2 datasets; got {len(bags)}")
    names = _validate.names(names, "names", len(bags)) or tuple(map(str, range(len(bags))))
    key = new_key(rng)
    seeds = seeds_of(key)
    learn, test = divided(len(bags), held_out, key)
    n_contexts = bags.shape[0] if len(bags.shape) > 1 else None
    dim = min(MOST_DIM, bags.size - (n_contexts or 1)) if dim is None else _validate.positive_int(dim, "dim")
    settings = {
        "n_categories": bags.shape[-1],
        "n_contexts": n_contexts,
        "dim": dim,
        "n_datasets": len(learn),
    } | settings
    assert options.batch_size is not None
    built = resuming.defaults(DatasetNetwork) | settings
    # pooled counts, the arrays of a step, and the features and z of simulated datasets
    n_values = bags.size * (4 * len(bags) + options.batch_size * (16 + 4 * built["n_draws"]))
    n_values += n_simulated * (built["n_anchors"] * (2 * dim + 1) + dim + (n_contexts or 1))
    _memory.check_fits(
        8 * n_values,
        f"a training on {len(bags)} datasets of {bags.size} cells, in batches of {options.batch_size} with "
        f"{built['n_draws']} draws of q each, and on {n_simulated} simulated ones,",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(seeds[0]))
        network = DatasetNetwork(**settings)
    largest = max(int(np.bincount(cells.bag, cells.count).max()) for cells in bags.cells)
    emb = DatasetEmbedding(
        network,
        None,
        {"shared": "dataset"} | settings,
        (1, max(cells.n_bags for cells in bags.cells)),
        (0, min(largest, MOST_TOTAL)),
        {"names": [names[i] for i in learn]},
    )
    training_bags, held = bags.rows(learn), HeldOut(bags.rows(test), emb, int(seeds[1]))
    _learn(emb, training_bags, held, options, key, seeds, inference_steps, n_simulated)
    if len(learn) < FEW_DATASETS:
        own, other = emb.metrics["log_evidence"], emb.metrics["dirichlet_log_evidence"]
        errors.warn(
            f"data holds {len(learn)} datasets to learn from; below about {FEW_DATASETS} a fitted Dirichlet does as "
            f"well. Log evidence of a held-out bag: {own:.2f} of the embedding, {other:.2f} of the Dirichlet",
            UserWarning,
        )
    return emb


def _options(options: TrainingOptions) -> TrainingOptions:
    """The options with the defaults of this training."""
    given = vars(options)["given"]
    for name in _UNUSED:
        if name in given and getattr(options, name):
            raise TypeError(f'{name} is no option of a training with shared="dataset", which takes a minute')
    if options.device != "cpu":
        raise ValueError(f'device must be "cpu" with shared="dataset": the kernel runs there; got {options.device!r}')
    defaults: dict[str, Any] = {name: _DEFAULTS[name] for name in ("batch_size", "learning_rate") if name not in given}
    if options.steps is None and options.minutes is None:
        defaults["steps"] = _DEFAULTS["steps"]
    return replace(options, **defaults)


@dataclass
class HeldOut:
    """Held-out datasets, scored by their first 1, 5 and 20 bags."""

    bags: Bags
    emb: DatasetEmbedding
    seed: int

    def __post_init__(self) -> None:
        most = max(cells.n_bags for cells in self.bags.cells)
        self.sizes = [n for n in SIZES if n <= most]
        shape = (len(self.bags), -1, self.emb.n_categories)
        self.counts = [self.bags.first(n).reshape(shape) for n in self.sizes]
        self.modes = [torch.zeros(len(self.bags), self.emb.dim, dtype=torch.float64)] * len(self.sizes)
        self.n_bags = [np.minimum(n, [cells.n_bags for cells in self.bags.cells]) for n in self.sizes]

    def log_evidence(self) -> dict[str, float]:
        """Mean log probability of a bag under the learned model, by draws at the mode."""
        self.emb.__dict__.pop("exact", None)  # the weights have changed
        values = []
        for i, counts in enumerate(self.counts):
            draws = torch.Generator().manual_seed(self.seed % 2**63)
            self.modes[i] = self.emb.modes(counts, self.modes[i])  # from the last ones: f has changed little
            values.append(log_mean_exp(self.emb.mode_draws(counts, self.modes[i], DRAWS, draws)[1]).numpy())
        return {"log_evidence": self._mean(values)}

    def dirichlet(self, concentration: Floats) -> float:
        """The same of one Dirichlet for all datasets."""
        log_a = torch.from_numpy(np.log(concentration)).expand(len(self.bags), 1, -1, -1)
        return self._mean(
            [dirichlet_rows.log_likelihood(torch.from_numpy(counts), log_a)[:, 0].numpy() for counts in self.counts]
        )

    def shares(self) -> dict[str, float]:
        """Effective share of q's importance weights, by the number of bags."""
        self.emb.__dict__.pop("exact", None)
        shares = {}
        for n, counts in zip(self.sizes, self.counts, strict=True):
            draws = torch.Generator().manual_seed(self.seed % 2**63)
            shares[f"ess_share_{n}"] = float(effective_share(self.emb.q_draws(counts, DRAWS, draws)[1]).mean())
        return shares

    def _mean(self, values: Sequence[Floats]) -> float:
        return float(np.mean([(value / n).mean() for value, n in zip(values, self.n_bags, strict=True)]))


class _Learning(Trainable):
    """Minus the evidence lower bound of f and a first q together, on pooled sub-sets of the bags."""

    def __init__(self, network: DatasetNetwork, encoder: FirstEncoder) -> None:
        super().__init__()
        self.network, self.encoder = network, encoder

    def calibrate_input(self, block: Any) -> None:
        self.encoder.encoder.standardize.fit(self.encoder.features(block[0]))

    def prepare(self, block: Any) -> tuple[Tensor, ...]:
        parts: tuple[Tensor, ...] = block
        return parts

    def loss(self, batch: tuple[Tensor, ...], progress: float, generator: torch.Generator) -> Tensor:
        network, (counts,) = self.network, batch
        value, _ = objectives.loss(
            "elbo",
            lambda z: network.log_joint(counts, z, torch.randn(z.shape, generator=generator)),
            network.head,
            self.encoder(counts),
            network.n_draws,
            generator,
        )
        return value


class _Inference(Trainable):
    """The loss of q alone, on pairs of features and z of simulated datasets."""

    def __init__(self, network: DatasetNetwork) -> None:
        super().__init__()
        self.network = network

    def calibrate_input(self, block: Any) -> None:
        self.network.encoder.standardize.fit(block[0])

    def prepare(self, block: Any) -> tuple[Tensor, ...]:
        parts: tuple[Tensor, ...] = block
        return parts

    def loss(self, batch: tuple[Tensor, ...], progress: float, generator: torch.Generator) -> Tensor:
        features, z = batch
        return inference_compilation(self.network.head, self.network.encoder(features), z)


def _learn(
    emb: DatasetEmbedding,
    bags: Bags,
    held: HeldOut,
    options: TrainingOptions,
    key: Key,
    seeds: NDArray[np.uint64],
    inference_steps: int | None,
    n_simulated: int,
) -> None:
    """Train the network of an embedding in place."""
    network = emb.network
    shape = (-1, network.shape[0], network.n_categories)
    assert options.batch_size is not None
    per_block = max(1, min(16, _MOST_PER_BLOCK // (bags.size * options.batch_size)))

    def counts(index: int, size: int) -> NDArray[np.int64]:
        return bags.subsets(index, min(size, per_block * options.batch_size), key).reshape(shape)  # type: ignore[operator]

    def given(index: int, size: int) -> tuple[Tensor, ...]:
        return (torch.from_numpy(counts(index, size)),)

    base = dirichlet_rows.fitted(bags.pooled().reshape(shape))
    network.start_at(base, torch.Generator().manual_seed(int(seeds[2])))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(seeds[2]))
        first = FirstEncoder(network)
    evidence = held.log_evidence
    stopping = EarlyStopping(network.generative, evidence, "log_evidence", options.patience or PATIENCE)
    state = _run(
        _Learning(network, first),
        given,
        options,
        seed=int(seeds[3]),
        evaluate=stopping,
        stop=stopping.should_stop,
        first_evaluation=WARM_UP,
        steps_per_block=per_block,
    )
    assert stopping.best is not None
    stopping.restore()
    network.linear = None  # f has changed
    if inference_steps is None:
        inference_steps = 2 * state.step
    steps = _validate.positive_int(inference_steps, "inference_steps", minimum=0)
    seconds = state.seconds
    if steps:
        pool = _simulated(network, bags, key, n_simulated)

        def pairs(index: int, size: int) -> tuple[Tensor, ...]:
            chosen = np.random.default_rng([*key.tolist(), 3, index]).integers(0, len(pool[0]), size)
            return pool[0][chosen], pool[1][chosen]

        taught = replace(options, steps=steps, minutes=None, learning_rate=_INFERENCE_RATE, patience=None)
        seconds += _run(_Inference(network), pairs, taught, seed=int(seeds[4])).seconds
    network.eval()
    emb.__dict__.pop("exact", None)
    network.places.copy_(emb.modes(bags.pooled().reshape(shape)))
    emb.training |= training.metadata(state, options, key) | {"inference_steps": steps, "seconds": round(seconds, 2)}
    emb.metrics = stopping.best | {"dirichlet_log_evidence": held.dirichlet(base)} | held.shares()


def _simulated(network: DatasetNetwork, bags: Bags, key: Key, n: int) -> tuple[Tensor, Tensor]:
    """Features and z (n, dim) of datasets simulated from f, with the totals of random sub-sets of given bags."""
    size = max(1, min(1024, _MOST_PER_BLOCK // (network.anchors.shape[0] * bags.size)))
    features, latent = [], []
    for index in range(-(-n // size)):
        generator = np.random.default_rng([*key.tolist(), 2, index])
        totals = bags.subsets(index, size, key).reshape(size, *network.shape).sum(-1)
        z = torch.from_numpy(generator.standard_normal((size, network.dim), dtype=np.float32))
        with torch.no_grad():
            a = network.log_concentration(z).double().clamp(min=-300.0).exp().numpy()
        theta = generator.standard_gamma(a) + 1e-300
        counts = generator.multinomial(totals, theta / theta.sum(-1, keepdims=True))
        features.append(network.features(torch.from_numpy(counts)))
        latent.append(z)
    return torch.cat(features)[:n], torch.cat(latent)[:n]


def _run(network: Trainable, block: Callable[..., Any], options: TrainingOptions, **loop: Any) -> training.State:
    return training.run(network, block, options, clip=20.0, **loop)
