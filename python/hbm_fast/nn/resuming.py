"""What a training starts from: the arguments ``resume=`` and ``init_from=`` of every ``train``."""

import copy
import inspect
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import nn

from hbm_fast import errors
from hbm_fast._random import key as new_key
from hbm_fast._typing import Key, RNGLike
from hbm_fast.nn.checkpoint import compare
from hbm_fast.nn.distributed import ALONE, ProcessGroup
from hbm_fast.nn.estimator import TrainedNetwork
from hbm_fast.nn.training import TrainingOptions

T = TypeVar("T", bound=TrainedNetwork)


def defaults(network: type[nn.Module]) -> dict[str, Any]:
    """The settings of a network and their default values."""
    parameters = inspect.signature(network).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def arguments(train: Callable[..., Any]) -> list[str]:
    """The names of the keyword arguments of a ``train``, those of `TrainingOptions` included."""
    parameters = inspect.signature(train).parameters.values()
    names = [p.name for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD]
    return names + [f.name for f in fields(TrainingOptions)]


class Origin(Generic[T]):
    """The earlier network of a training, if there is one: ``resume`` to go on, ``init_from`` for its weights alone.

    TypeError or ValueError for both at once, and for another kind of object or file.
    """

    def __init__(self, kind: type[T], resume: T | str | Path | None, init_from: T | str | Path | None) -> None:
        if resume is not None and init_from is not None:
            raise ValueError(
                "give resume (to go on with a training) or init_from (to start from its weights), not both"
            )
        self.resumed = resume is not None
        given = init_from if resume is None else resume
        if given is not None and not isinstance(given, kind | str | Path):
            argument = "resume" if self.resumed else "init_from"
            raise TypeError(f"{argument} must be an {kind.__name__} or the path of one; got {given!r:.60}")
        self.network: T | None = kind.load(given) if isinstance(given, str | Path) else given
        self.name = f"this {kind.noun}" if isinstance(given, kind) else str(given)

    def get(self, name: str, default: Any) -> Any:
        """An attribute of the earlier network, or a default without one."""
        return default if self.network is None else getattr(self.network, name)

    def complete(self, options: TrainingOptions, *, minutes: float, learning_rate: float) -> TrainingOptions:
        """The options with those of the resumed training, or with the defaults, where none were given."""
        values: dict[str, Any] = {"batch_size": 256, "learning_rate": learning_rate}
        if self.resumed:
            values |= {name: self.get("training", {})[name] for name in values}
        if options.steps is None:
            values["minutes"] = minutes
        return replace(options, **{name: v for name, v in values.items() if getattr(options, name) is None})

    def check_same(self, given: dict[str, Any], architecture: type[nn.Module]) -> None:
        """Refuse to resume a training for anything else than what it was for: its metrics would not be comparable.

        ``given`` are the model, ranges and settings by name, ``architecture`` is the class of the network.
        """
        network = self.network
        assert network is not None
        names = [name for name in ("model", "factorization", "n_groups", "totals") if hasattr(network, name)]
        trained = defaults(architecture) | network.settings | {name: getattr(network, name) for name in names}
        trained = {name: tuple(v) if isinstance(v, list) else v for name, v in trained.items()}  # JSON has no tuples
        differ = [name for name in given if given[name] != trained[name]]
        if differ:
            was, got = (", ".join(f"{name}={values[name]!r}" for name in differ) for values in (trained, given))
            raise ValueError(
                f"resume: {self.name} was trained for {was}; got {got}. To go on, leave out what differs. "
                "To start from its weights: init_from="
            )
        if network.state is None:
            raise ValueError(
                f"resume: {self.name} was saved without the state of its training; its weights: init_from="
            )

    def key(self, rng: RNGLike, group: ProcessGroup = ALONE) -> Key:
        """Key of the stream: a new one, or that of the resumed training, with a warning where ``rng`` has another."""
        if not self.resumed:
            return group.from_first(lambda: new_key(rng))
        training = self.get("training", {})
        if "key" not in training:
            raise ValueError(f"resume: {self.name} was saved without the key of its stream")
        key = np.array([int(word) for word in training["key"]], dtype=np.uint64)
        if rng is not None and not np.array_equal(new_key(rng), key):
            errors.warn(
                "rng is ignored: resume= goes on with the random numbers of the training that it resumes", UserWarning
            )
        return key

    def start(self, make: Callable[[], T], seed: int) -> T:
        """The network to train: a copy of the resumed one, or a new one with new weights or those of ``init_from``."""
        old = self.network
        if old is not None and self.resumed:
            return replace(old, network=copy.deepcopy(old.network), state=copy.deepcopy(old.state))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(seed))
            new = make()
        if old is not None:
            weights = old.network.state_dict()
            arguments = f"init_from: the arguments ({new.description})"
            compare(new.network.state_dict(), weights, arguments, f"{self.name} ({old.description})")
            new.network.load_state_dict(weights)
        return new
