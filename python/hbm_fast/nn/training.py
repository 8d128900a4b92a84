"""The training loop of every network here, its options, its state and its progress."""

import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hbm_fast import _config, _files, _progress, _validate
from hbm_fast._display import Displayed
from hbm_fast._typing import Key
from hbm_fast.nn import distributed
from hbm_fast.nn.data import Block
from hbm_fast.nn.distributed import ALONE, ProcessGroup
from hbm_fast.nn.interruption import between_blocks
from hbm_fast.nn.network import Network

WARM_UP = 100  # steps in which the learning rate rises to its value
DEFAULTS = {"n_threads": 1, "device": "cpu", "mixed_precision": False, "progress": False}

Progress = bool | Callable[[float, dict[str, float]], object]


class Trainable(Network, ABC):
    """A network that `run` can train."""

    @abstractmethod
    def calibrate_input(self, block: Block) -> None:
        """Measure the means and scales of the input."""

    @abstractmethod
    def prepare(self, block: Block) -> tuple[Tensor, ...]:
        """Convert datasets to the tensors of a batch; the first axis of each is the datasets."""

    @abstractmethod
    def loss(self, batch: tuple[Tensor, ...], progress: float, generator: torch.Generator) -> Tensor:
        """Loss of a batch at ``progress`` in [0, 1] of the training."""


@dataclass(frozen=True)
class TrainingOptions(Displayed):
    """Options of a training loop, for `hbm_fast.amortize.train` and `hbm_fast.embedding.train` alike.

    Parameters
    ----------
    steps, minutes : optional
        When to stop, whichever comes first: after so many steps (the result repeats, bit for bit on one machine), or
        after so many minutes. Default 5 minutes, of an embedding 2.
    target : float, optional
        Also stop once the held-out KL to the exact posterior is below it; of `hbm_fast.amortize.train` only.
    batch_size : int, default 256
    learning_rate : float, default 0.002, of an embedding 0.004
    n_threads : int, default 1
        Threads of torch and of the simulator; small networks are fastest on one.
    device : str, default "cpu"
        "cuda" trains on a GPU.
    mixed_precision : bool, default False
        Matrix products in bfloat16.
    progress : bool or callable, default False
        Show the share that is done, the time left, the loss and the held-out KL, on stderr. A function is called after
        every few steps as ``progress(share, metrics)``, with the step, the seconds, the loss and the last held-out
        metrics.
    checkpoint : path, optional
        Where to save the training at each tenth of it, and at Ctrl-C, so that ``resume=`` can continue it.
    pause_at : int, optional
        Stop at this step as if interrupted, to save and resume.
    callback : callable, optional
        Called about ten times as ``callback(step, metrics)`` with the seconds, the loss and the held-out metrics so
        far; the training ends where it returns True.
    patience : int, optional
        Evaluations without a better held-out metric before the training ends, default 3 of about ten in all; of
        `hbm_fast.embedding.train` on given datasets only.

    Raises
    ------
    TypeError, ValueError
        For an option out of range; for a GPU where torch sees none.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> options = hbm.amortize.TrainingOptions(steps=10, batch_size=64)
    >>> emb = hbm.embedding.train(2, 2, options=options, rng=0)
    >>> emb.training["steps"], emb.training["batch_size"]
    (10, 64)
    """

    steps: int | None = None
    minutes: float | None = None
    target: float | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    n_threads: int = None  # type: ignore[assignment]  # None until `DEFAULTS` are filled in
    device: str = None  # type: ignore[assignment]
    mixed_precision: bool = None  # type: ignore[assignment]
    progress: Progress = None  # type: ignore[assignment]
    checkpoint: str | Path | None = None
    pause_at: int | None = None
    callback: Callable[[int, dict[str, float]], object] | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        vars(self)["given"] = {f.name for f in fields(self) if getattr(self, f.name) is not None}
        vars(self).update({name: value for name, value in DEFAULTS.items() if getattr(self, name) is None})
        for name in ("steps", "batch_size", "n_threads", "pause_at", "patience"):
            if getattr(self, name) is not None:
                minimum = 0 if name == "pause_at" else 1
                object.__setattr__(self, name, _validate.positive_int(getattr(self, name), name, minimum=minimum))
        for name in ("minutes", "target", "learning_rate"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _validate.finite_float(getattr(self, name), name, positive=True))
        if not callable(self.progress) and self.progress not in (True, False):
            raise TypeError(f"progress must be True, False or a function; got {self.progress!r:.60}")
        if self.callback is not None and not callable(self.callback):
            raise TypeError(f"callback must be a function of the step and the metrics; got {self.callback!r:.60}")
        usable_device(self.device)

    def fraction(self, step: int, seconds: float) -> float:
        """How much of the training is over: 0 at the start, 1 at the end."""
        parts = [0.0]
        if self.steps is not None:
            parts.append(step / self.steps)
        if self.minutes is not None:
            parts.append(seconds / (60.0 * self.minutes))
        return max(parts)

    def rate(self, step: int, fraction: float) -> float:
        """Learning rate of a step: a short warm-up and a cosine decay to zero."""
        assert self.learning_rate is not None
        return self.learning_rate * min(1.0, (step + 1) / WARM_UP) * 0.5 * (1.0 + math.cos(math.pi * fraction))


# after the decorator of dataclasses, which writes the function
TrainingOptions.__init__ = _validate.suggests_keywords(  # type: ignore[method-assign]
    TrainingOptions.__init__, "TrainingOptions"
)


def merge_options(options: TrainingOptions | None, settings: dict[str, Any]) -> tuple[TrainingOptions, dict[str, Any]]:
    """The options with those given as keyword arguments, and the other keyword arguments."""
    if options is None:
        options = TrainingOptions()
    elif not isinstance(options, TrainingOptions):
        raise TypeError(f"options must be a TrainingOptions; got {options!r:.60}")
    names = {f.name for f in fields(TrainingOptions)}
    flat = {name: value for name, value in settings.items() if name in names and value is not None}
    for name in flat.keys() & vars(options)["given"]:
        raise TypeError(f"{name} is given twice, in options and as a keyword argument: give it once")
    return replace(options, **flat), {name: value for name, value in settings.items() if name not in names}


@dataclass
class State:
    """Resumable state of a training; on the CPU a resumed training is bit-identical."""

    step: int = 0
    seconds: float = 0.0
    simulator_seconds: float = 0.0
    generator: Tensor | None = None
    optimizer: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    ended: str = ""  # why the training ended

    @property
    def metrics(self) -> dict[str, float]:
        """The held-out metrics of the last evaluation; none before the first."""
        last = self.history[-1] if self.history else {}
        return {name: value for name, value in last.items() if name not in ("step", "seconds", "loss")}


def metadata(state: State, options: TrainingOptions, key: Key) -> dict[str, Any]:
    """Description of a training for the header of its file."""
    return {
        "key": [str(word) for word in key],
        "steps": state.step,
        "seconds": round(state.seconds, 2),
        "ended": state.ended,
        "batch_size": options.batch_size,
        "learning_rate": options.learning_rate,
        "torch": torch.__version__,
        "library": _config.__version__,
        "stream_version": _config.STREAM_VERSION,
    }


class EarlyStopping:
    """Evaluation that keeps the weights with the highest ``metric``, for a training on a fixed set of datasets.

    After ``patience`` evaluations without a better one the training should stop.
    """

    def __init__(
        self, network: nn.Module, evaluate: Callable[[], dict[str, float]], metric: str, patience: int
    ) -> None:
        self.network, self.evaluate, self.metric, self.patience = network, evaluate, metric, patience
        self.best: dict[str, float] | None = None
        self.weights: dict[str, Tensor] = {}
        self.since = 0

    def __call__(self) -> dict[str, float]:
        metrics = self.evaluate()
        self.since += 1
        if metrics[self.metric] > (-math.inf if self.best is None else self.best[self.metric]):
            self.best, self.since = metrics, 0
            self.weights = {name: v.detach().cpu().clone() for name, v in self.network.state_dict().items()}
        return metrics

    def should_stop(self) -> bool:
        """Whether the last ``patience`` evaluations were no better than an earlier one."""
        return self.since >= self.patience

    def restore(self) -> None:
        """Give the network the weights of the best evaluation."""
        if self.weights:
            self.network.load_state_dict(self.weights)


@contextmanager
def torch_threads(n: int) -> Iterator[None]:
    """Set torch's number of threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def memory_for(what: str) -> Iterator[None]:
    """Within the block, torch's RuntimeError about memory is a MemoryError that names what needs the memory."""
    try:
        yield
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):
            raise
        raise MemoryError(f"{what} takes more memory than there is: {error}") from error


def usable_device(device: str | torch.device) -> str:
    """Return the name of a device; ValueError for one that torch cannot use."""
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f'device must be "cpu" or "cuda"; got {device!r}') from error
    if found.type not in ("cpu", "cuda"):
        raise ValueError(f'device must be "cpu" or "cuda"; got {device!r}')
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f'device={device!r}: torch sees no GPU here; use device="cpu"')
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device={device!r}: torch sees {torch.cuda.device_count()} GPUs here, counted from 0")
    return str(found)


def run(
    network: Trainable,
    block: Callable[..., Block],
    options: TrainingOptions,
    *,
    seed: int,
    evaluate: Callable[[], dict[str, float]] | None = None,
    stop: Callable[[], bool] | None = None,
    save: Callable[[State], None] | None = None,
    state: State | None = None,
    calibrate: bool = True,
    clip: float = 5.0,
    steps_per_block: int = 16,
    first_evaluation: int = 0,
    group: ProcessGroup = ALONE,
) -> State:
    """Minimise the network's loss over a dataset stream by AdamW, and return the state of the training.

    ``block(i, size)`` returns datasets i * size, ... of the stream; for several processes ``block(i, size, rows)`` with
    a list of slices. ``seed`` is of the draws that the loss makes. About ten times ``evaluate()`` returns held-out
    metrics, of which ``"kl"`` is compared with ``options.target``; then ``stop()`` whether the training ends; if it
    does not, ``save`` is called with the state. A ``state`` is that of a training to be resumed. With ``calibrate`` the
    means and scales of the input are measured first; not with the weights of an earlier training. ``clip`` is the
    largest norm of the gradient, ``steps_per_block`` the number of batches that are simulated together,
    ``first_evaluation`` the step before which there is no evaluation, unless the training ends, ``group`` the processes
    that train together: a step is the same for any number of them.

    Ctrl-C ends the training after the current block: it is evaluated and saved, then KeyboardInterrupt is raised.

    FloatingPointError where the loss is not finite; the batch is saved and named.
    """
    with (
        torch_threads(options.n_threads),
        reporter(options.progress if group.rank == 0 else False) as report,
        between_blocks(group.size == 1) as interruption,
    ):
        state = state or State()
        loop = _Loop(network, options, state, seed, clip, group)
        if state.step == 0 and calibrate:
            network.calibrate_input(block(_CALIBRATION_BLOCK, 4096))
        group.align(network)
        network.train()
        evaluated = 0.1 * math.floor(10.0 * options.fraction(state.step, state.seconds))
        state.ended = ""
        while not state.ended:
            state.ended, loss = loop.train_on(block, steps_per_block)
            state.ended = state.ended or ("by an interruption" if interruption.received else "")
            fraction = min(1.0, options.fraction(state.step, state.seconds))
            due = fraction >= evaluated + 0.1 and state.step >= first_evaluation
            if evaluate is not None and (due or state.ended):
                evaluated = fraction
                network.eval().to("cpu")
                metrics = {"step": float(state.step), "seconds": state.seconds, "loss": loss}
                metrics |= group.from_first(evaluate)
                state.history.append(metrics)
                if options.target is not None and metrics.get("kl", math.inf) <= options.target:
                    state.ended = state.ended or f"at the target, a held-out KL of {metrics['kl']:.4g} nats"
                if stop is not None and stop():
                    state.ended = state.ended or "as the held-out evaluations no longer improved"
                if options.callback is not None:
                    ends = group.from_first(partial(options.callback, state.step, metrics)) is True
                    state.ended = state.ended or ("by the callback" if ends else "")
                if save is not None and not state.ended:
                    save(loop.current_state())
                network.train().to(options.device)
            if fraction < 1.0 or state.ended:
                report(fraction, state, loss)
        network.eval()
        network.to("cpu")
        state = loop.current_state()
        if interruption.received and save is not None:
            save(state)
        interruption.resume()
        return state


class _Loop:
    """AdamW on blocks of a stream, with the clock and the random generator of a training."""

    def __init__(
        self, network: Trainable, options: TrainingOptions, state: State, seed: int, clip: float, group: ProcessGroup
    ) -> None:
        assert options.batch_size is not None
        assert options.learning_rate is not None
        self.network, self.options, self.state, self.clip, self.group = network, options, state, clip, group
        self.size, self.local_size = options.batch_size, group.local_batch_size(options.batch_size)
        self.generator = distributed.generator(options.device, seed, group)
        network.to(options.device)
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.adam = torch.optim.AdamW(
            self.parameters, lr=options.learning_rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True
        )
        if state.step > 0:
            if state.generator is not None:
                if state.generator.numel() != self.generator.get_state().numel():
                    raise ValueError(
                        f"resume: the training's random numbers cannot go on with device={options.device!r}, which is "
                        "not of the kind that it ran on; to start from its weights: init_from="
                    )
                self.generator.set_state(state.generator)
            _load_adam(self.adam, self.parameters, state.optimizer)
        self.start = time.perf_counter() - state.seconds
        self.loss = 0.0

    def train_on(self, block: Callable[..., Block], steps_per_block: int) -> tuple[str, float]:
        """Train on the batches of the next block; why the training has ended, where it has, and the last loss."""
        state, options = self.state, self.options
        begin = time.perf_counter()
        data = self.group.block(block, state.step // steps_per_block, self.size, steps_per_block)
        state.simulator_seconds += time.perf_counter() - begin
        tensors = tuple(t.to(options.device) for t in self.network.prepare(data))
        for i in range(state.step % steps_per_block, steps_per_block):
            state.seconds = self.clock()
            fraction = options.fraction(state.step, state.seconds)
            if fraction >= 1.0 or state.step == options.pause_at:
                return self._end(), self.loss
            self.step(tuple(t[i * self.local_size : (i + 1) * self.local_size] for t in tensors), fraction)
        state.seconds = self.clock()
        return "", self.loss

    def _end(self) -> str:
        options, step = self.options, self.state.step
        if options.steps is not None and step >= options.steps:
            return "after all steps"
        if step == options.pause_at:
            return f"at step {step}, to pause"
        return f"after {options.minutes:g} minutes"

    def step(self, batch: tuple[Tensor, ...], fraction: float) -> None:
        """One step of AdamW."""
        options, state = self.options, self.state
        self.adam.param_groups[0]["lr"] = options.rate(state.step, fraction)
        with torch.autocast(torch.device(options.device).type, torch.bfloat16, enabled=options.mixed_precision):
            loss = self.network.loss(batch, fraction, self.generator)
        if not math.isfinite(float(loss.detach())):
            raise FloatingPointError(_save_batch(batch, state.step))
        self.adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.loss = float(self.group.average(self.parameters, loss.detach()))
        torch.nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.adam.step()
        state.step += 1

    def clock(self) -> float:
        """Seconds of training; rank 0's where the time decides when to stop."""

        def now() -> float:
            return time.perf_counter() - self.start

        return now() if self.options.minutes is None else self.group.from_first(now)

    def current_state(self) -> State:
        """The state with the generator's and the optimizer's."""
        self.state.generator = self.generator.get_state()
        self.state.optimizer = _save_adam(self.adam, self.parameters)
        return self.state


# Far outside any training: the first blocks of the stream are training data.
_CALIBRATION_BLOCK = 2**40 // 4096


def _save_adam(adam: torch.optim.Optimizer, parameters: list[nn.Parameter]) -> dict[str, Tensor]:
    saved: dict[str, Tensor] = {}
    for i, parameter in enumerate(parameters):
        for name, value in adam.state[parameter].items():
            saved[f"{i}.{name}"] = value.detach().cpu().clone()
    return saved


def _load_adam(adam: torch.optim.Optimizer, parameters: list[nn.Parameter], saved: dict[str, Tensor]) -> None:
    for key, value in saved.items():
        i, name = key.split(".", 1)
        parameter = parameters[int(i)]
        adam.state[parameter][name] = value.to(parameter.device, copy=True)


def _save_batch(batch: tuple[Tensor, ...], step: int) -> str:
    path = Path(os.environ.get("HBM_FAST_DEBUG_DIR", ".")) / f"hbm-fast-bad-batch-{step}.npz"
    arrays: dict[str, Any] = {f"tensor_{i}": tensor.detach().cpu().numpy() for i, tensor in enumerate(batch)}
    with _files.replacing(path) as unfinished:
        np.savez(unfinished, **arrays)
    return f"the loss is not finite at step {step}; the batch is in {path}"


@contextmanager
def reporter(progress: Progress) -> Iterator[Callable[[float, State, float], object]]:
    """The function that reports the share, the state and the loss: to a function, on stderr, or nowhere."""
    if callable(progress):
        yield lambda share, state, loss: progress(
            share, {"step": float(state.step), "seconds": state.seconds, "loss": loss} | state.metrics
        )
        return
    with _progress.progress("training", 1.0, shown=progress) as update:
        yield lambda share, state, loss: update(share, note(loss, state.metrics))


def note(loss: float, metrics: Mapping[str, object]) -> str:
    """What the line of progress says of the network: the loss, and the held-out KL where it was measured."""
    return f"loss {loss:.4f}" + (f", KL {metrics['kl']:.4f}" if "kl" in metrics else "")
