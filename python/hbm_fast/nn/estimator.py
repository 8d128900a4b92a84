"""TrainedNetwork: what a training returns, saves and loads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hbm_fast import _validate, errors, models
from hbm_fast._display import Displayed
from hbm_fast._optional import import_optional
from hbm_fast._typing import CountsLike, Key
from hbm_fast.models import HierarchicalModel
from hbm_fast.nn import checkpoint
from hbm_fast.nn.data import Block
from hbm_fast.nn.distributed import ALONE, ProcessGroup
from hbm_fast.nn.training import State, TrainingOptions, metadata, run, usable_device
from hbm_fast.tables.inputs import as_datasets
from hbm_fast.tables.named_counts import NamedCounts

Correct = bool | Literal["auto"]
READERS = {
    "network": "a network: hbm_fast.amortize.load reads it",
    "embedding": "an embedding: hbm_fast.embedding.load reads it",
}


@dataclass
class TrainedNetwork(Displayed):
    """A network, what it was built for, and the description of its training: see `Estimator` and `Embedding`."""

    network: Any
    model: HierarchicalModel | None
    settings: dict[str, Any]
    n_groups: tuple[int, int]
    totals: tuple[int, int]
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    state: State | None = None

    noun: ClassVar[str]  # "network" or "embedding"
    shipped: ClassVar[Path]  # folder of the files that come with hbm_fast

    @property
    def figures(self) -> dict[str, float]:
        """Deprecated name of ``metrics``."""
        errors.warn("figures is deprecated: use metrics", DeprecationWarning)
        return self.metrics

    @property
    def description(self) -> str:
        """What the network was built for, in one line of a message."""
        return f"{type(self.network).__name__}, {self.model}, totals {self.totals}, {self.settings}"

    @property
    def identity(self) -> dict[str, str]:
        """The first fields of the header: what kind of network a file holds."""
        raise NotImplementedError

    @staticmethod
    def build(model: HierarchicalModel | None, header: dict[str, Any]) -> nn.Module:
        """A network of the architecture that a header describes, with new weights."""
        raise NotImplementedError

    # as a module of torch -------------------------------------------------------------------------------------------
    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self.network.device
        return device

    def to(self, device: str | torch.device) -> Self:
        """Move the network to a device, in place as `torch.nn.Module.to`, and return it.

        The device then computes the parameters of q, its draws and its density; the random numbers, the exact
        likelihood and everything after it stay on the CPU. So the draws are those of the CPU up to rounding.

        Parameters
        ----------
        device : str or torch.device
            "cpu" or "cuda".

        Raises
        ------
        ValueError
            For a device that torch cannot use.
        NotImplementedError
            For bottom-up networks and embeddings with ``shared="dataset"``, which stay on the CPU.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> hbm.amortize.load("marbles").to("cpu").device
        device(type='cpu')
        """
        self.network.check_forward("to")
        self.network.to(usable_device(device))
        return self

    @property
    def history(self) -> Any:
        """The evaluations of the training: pandas frame with the index "step" and the columns "seconds", "loss" and
        those of the held-out metrics; without rows where the file has no state of the training."""
        pandas = import_optional("pandas", "report")
        points = [] if self.state is None else self.state.history
        frame = pandas.DataFrame(points, columns=None if points else ["step", "seconds", "loss"])
        return frame.astype({"step": int}).set_index("step")

    def features(self, counts: CountsLike | Sequence[CountsLike]) -> Tensor:
        """The input of the network, (B, F) float32, computed from counts.

        ``network(features)`` are the parameters of q(. | x), (B, P), which ``network.head`` takes (of any-k networks:
        ``network.alpha_head``, then the context of each category). `torch.export` and ONNX take ``network``.

        Parameters
        ----------
        counts : array_like of whole numbers (N, K) or (B, N, K), a table, or a list of (N_b, K)

        Returns
        -------
        Tensor (B, F)
            On the network's device.

        Raises
        ------
        ValueError
            For counts outside the range of the training, and for no datasets.
        NotImplementedError
            For bottom-up networks and embeddings with ``shared="dataset"``, which are not one function of features.

        Examples
        --------
        >>> import torch
        >>> import hbm_fast as hbm
        >>> net = hbm.amortize.load("marbles")
        >>> features = net.features([[20, 0], [0, 20]])
        >>> exported = torch.export.export(net.network, (features,)).module()
        >>> bool(torch.allclose(exported(features), net.network(features)))
        True
        """
        self.network.check_forward("features")
        data, batch = as_datasets(counts)
        if not len(data.counts):
            raise ValueError("counts must hold at least one dataset; got none")
        self.check_inside(data.counts, batch, "the features are those of its range")
        features: Tensor = self.network.encoder_input(data.counts)
        return features.to(self.device)

    def check_inside(self, counts: NDArray[Any], batch: bool, remedy: str) -> None:
        """ValueError for datasets (B, N, K) outside the range of the training; the message ends with the remedy."""
        raise NotImplementedError

    # files ----------------------------------------------------------------------------------------------------------
    def save(self, path: str | Path, *, inference_only: bool = False, state: bool = True) -> None:
        """Write the network to one safetensors file with a JSON header, whole or not at all.

        Parameters
        ----------
        path : path
        inference_only : bool
            Leave out the state of the training: the optimizer's, which is twice as large as the weights, and the
            history. The draws are the same; ``resume=`` cannot go on from such a file, ``init_from=`` can start there.
        state : bool
            The opposite of ``inference_only``, its name before.
        """
        header = {
            **self.identity,
            "model": None if self.model is None else models.to_dict(self.model),
            "settings": self.settings,
            "n_groups": self.n_groups,
            "totals": self.totals,
            "training": self.training,
            "figures": self.metrics,  # the name of the field since format 1
        }
        checkpoint.save(path, self.network, self.state if state and not inference_only else None, header)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file that `save` wrote, or one that comes with hbm_fast, by its name.

        Raises
        ------
        FileNotFoundError, ValueError
            Where there is no such file, or it is damaged, holds something else or was written by a later version.
        """
        tensors, header = checkpoint.read(cls.locate(path))
        found = "embedding" if header.get("kind") == "embedding" else "network"
        if found != cls.noun:
            raise ValueError(f"{path} holds {READERS[found]}")
        model = None if header["model"] is None else models.from_dict(header["model"])
        network, state = checkpoint.restore(path, lambda: cls.build(model, header), tensors, header)
        groups, totals = ((int(low), int(high)) for low, high in (header["n_groups"], header["totals"]))
        return cls(network, model, header["settings"], groups, totals, header["training"], header["figures"], state)

    @classmethod
    def locate(cls, path: str | Path) -> Path:
        """A shipped file by its name, or else the path."""
        shipped = cls.shipped / f"{path}.safetensors"
        where = shipped if isinstance(path, str) and "/" not in path and shipped.is_file() else Path(path)
        if not where.is_file():
            names = ", ".join(repr(p.stem) for p in sorted(cls.shipped.glob("*.safetensors")))
            raise FileNotFoundError(f"no {cls.noun} at {path}; the {cls.noun}s that come with hbm_fast are {names}")
        return where


def check_arguments(counts: CountsLike, n_draws: Any, correct: Any, **options: Any) -> tuple[NamedCounts, bool, int]:
    """Check the arguments of ``sample``: datasets (B, N, K), whether there is a batch, and the number of draws.

    Options are those of `hbm_fast.tables.as_counts`.
    """
    if correct not in (True, False, "auto"):
        raise ValueError(f'correct must be "auto", True or False; got {correct!r}')
    n_draws = _validate.positive_int(n_draws, "n_draws")
    return *as_datasets(counts, **options), n_draws


def seeds_of(key: Key) -> NDArray[np.uint64]:
    """Six seeds of a training: of the weights, the held-out data (2), the loss and the ranks of the truth (2)."""
    return np.random.default_rng(key.tolist()).integers(0, 2**63, size=6, dtype=np.uint64)


def fit(
    trained: TrainedNetwork,
    block: Callable[..., Block],
    options: TrainingOptions,
    key: Key,
    *,
    description: dict[str, str] | None = None,
    group: ProcessGroup = ALONE,
    **loop: Any,
) -> None:
    """Train a network in place, and save it to ``options.checkpoint`` at each tenth of the training.

    ``description`` are further fields of ``trained.training``, and ``loop`` further arguments of `training.run`.
    """

    def describe(state: State) -> None:
        trained.state, trained.metrics = state, state.metrics
        trained.training = metadata(state, options, key) | (description or {})

    def save(state: State) -> None:
        assert options.checkpoint is not None
        describe(state)
        trained.save(options.checkpoint)

    write = None if options.checkpoint is None or group.rank > 0 else save
    describe(run(trained.network, block, options, state=trained.state, save=write, group=group, **loop))
