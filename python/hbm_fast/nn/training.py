"""The training loop: one for every network here, and for the embedding."""

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from hbm_fast.nn.data import Block
from hbm_fast.nn.distributed import ALONE, Ranks
from hbm_fast.nn.distributed import generator as shared_generator


class Trainable(Protocol):
    """What the training loop needs of a module: see `fit`."""

    def calibrate_input(self, block: Block) -> None: ...

    def prepare(self, block: Block) -> tuple[Tensor, ...]: ...

    def loss(self, batch: tuple[Tensor, ...], progress: float, generator: torch.Generator) -> Tensor: ...


@dataclass(frozen=True)
class Budget:
    """When to stop: after ``steps`` (repeats exactly), after ``minutes`` (for people), or once the held-out KL falls
    below ``target``, whichever comes first."""

    steps: int | None = None
    minutes: float | None = None
    target: float | None = None

    def progress(self, step: int, seconds: float) -> float:
        """0 at the start, 1 at the end."""
        parts = [0.0]
        if self.steps is not None:
            parts.append(step / self.steps)
        if self.minutes is not None:
            parts.append(seconds / (60.0 * self.minutes))
        return max(parts)


@dataclass(frozen=True)
class Optimizer:
    """AdamW with a short warm-up and a cosine decay to zero."""

    batch_size: int = 256
    learning_rate: float = 2e-3
    warm_up: int = 100
    clip: float = 5.0
    steps_per_block: int = 16

    def rate(self, step: int, progress: float) -> float:
        """Learning rate of a step."""
        return self.learning_rate * min(1.0, (step + 1) / self.warm_up) * 0.5 * (1.0 + math.cos(math.pi * progress))


@dataclass
class State:
    """Where a training stands; with it the next step is the same bits, on CPU."""

    step: int = 0
    seconds: float = 0.0
    simulator_seconds: float = 0.0
    generator: Tensor | None = None
    optimizer: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)


@contextmanager
def torch_threads(n: int) -> Iterator[None]:
    """torch's number of threads for a while; the caller's is put back."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def memory_for(what: str) -> Iterator[None]:
    """Within it, torch's RuntimeError about memory is a MemoryError that names what was asked for."""
    try:
        yield
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):
            raise
        raise MemoryError(f"{what} takes more memory than there is: {error}") from error


def usable_device(device: str) -> str:
    """The name of a device, after a check that torch can use it.

    Raises
    ------
    ValueError
        For a name that torch does not have, or a GPU where it sees none.
    """
    try:
        kind = torch.device(device).type
    except (RuntimeError, TypeError) as error:
        raise ValueError(f'device must be "cpu" or "cuda"; got {device!r}') from error
    if kind not in ("cpu", "cuda"):
        raise ValueError(f'device must be "cpu" or "cuda"; got {device!r}')
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f'device={device!r}: torch sees no GPU here; use device="cpu"')
    return device


def fit(
    module: nn.Module,
    task: Trainable,
    block: Callable[..., Block],
    budget: Budget,
    *,
    seed: int,
    optimizer: Optimizer | None = None,
    evaluate: Callable[[], dict[str, float]] | None = None,
    stop: Callable[[State], bool] | None = None,
    report: Callable[[State, float], None] | None = None,
    keep: Callable[[State], None] | None = None,
    state: State | None = None,
    pause_at: int | None = None,
    device: str = "cpu",
    mixed_precision: bool = False,
    ranks: Ranks = ALONE,
    calibrate: bool = True,
) -> State:
    """Minimise ``task.loss`` over the endless stream ``block(index, size)``.

    Parameters
    ----------
    module : nn.Module
        Whose parameters are learnt.
    task : Trainable
        Turns blocks into tensors, and these into a loss; often the module itself.
    block : callable
        ``block(i, size)`` gives datasets i * size, ... of the stream; where there are several ranks,
        ``block(i, size, rows)`` gives those of them in a list of slices.
    budget, optimizer
    seed : int
        Of the draws that the loss makes.
    evaluate : callable, optional
        Held-out figures, asked for about ten times; ``"kl"`` among them is what ``budget.target`` compares.
    stop : callable, optional
        Asked after every evaluation whether to end here: for data that are not endless.
    report : callable, optional
        Called with the state and the progress in [0, 1] after every block.
    keep : callable, optional
        Called after every evaluation but the last with a state from which a later call can go on.
    state : State, optional
        Of an earlier call, to go on from there.
    pause_at : int, optional
        Stop at this step without ending the schedule, to save and to resume.
    device : str
        Where the network learns; data are simulated on the CPU.
    mixed_precision : bool
        bfloat16 matrix products.
    ranks : Ranks
        The processes that train together; a step is the same for any number of them.
    calibrate : bool
        Whether to measure the means and scales of the input first; not where the weights are those of an earlier
        training, which learnt with its own.

    Raises
    ------
    FloatingPointError
        Where the loss is not finite; the batch is saved and named.
    """
    settings = optimizer or Optimizer()
    state = state or State()
    generator = shared_generator(device, seed, ranks)
    module.to(device)
    parameters = [p for p in module.parameters() if p.requires_grad]
    adam = torch.optim.AdamW(parameters, lr=settings.learning_rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    if state.step == 0 and calibrate:
        task.calibrate_input(block(_CALIBRATION_BLOCK, 4096))
    if state.step > 0:
        if state.generator is not None:
            generator.set_state(state.generator)
        _load_adam(adam, parameters, state.optimizer)
    ranks.align(module)
    module.train()
    start = time.perf_counter() - state.seconds

    def clock() -> float:
        def now() -> float:
            return time.perf_counter() - start

        # where the time decides when to stop, it is rank 0's
        return now() if budget.minutes is None else ranks.from_first(now)

    def hold() -> State:
        state.generator = generator.get_state()
        state.optimizer = _save_adam(adam, parameters)
        return state

    evaluated = 0.1 * math.floor(10.0 * budget.progress(state.step, state.seconds))
    size, per_block = settings.batch_size, settings.steps_per_block
    own = ranks.share_of(size)
    finished, loss_value = False, 0.0
    while not finished:
        begin = time.perf_counter()
        data = ranks.block(block, state.step // per_block, size, per_block)
        state.simulator_seconds += time.perf_counter() - begin
        tensors = tuple(t.to(device) for t in task.prepare(data))
        for i in range(state.step % per_block, per_block):
            state.seconds = clock()
            progress = budget.progress(state.step, state.seconds)
            finished = progress >= 1.0 or state.step == pause_at
            if finished:
                break
            batch = tuple(t[i * own : (i + 1) * own] for t in tensors)
            adam.param_groups[0]["lr"] = settings.rate(state.step, progress)
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=mixed_precision):
                loss = task.loss(batch, progress, generator)
            if not math.isfinite(float(loss.detach())):
                raise FloatingPointError(_save_batch(batch, state.step))
            adam.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            loss_value = float(ranks.average(parameters, loss.detach()))
            torch.nn.utils.clip_grad_norm_(parameters, settings.clip)
            adam.step()
            state.step += 1
        state.seconds = clock()
        progress = min(1.0, budget.progress(state.step, state.seconds))
        if evaluate is not None and (progress >= evaluated + 0.1 or finished):
            evaluated = progress
            module.eval().to("cpu")
            figures = {"step": float(state.step), "seconds": state.seconds, "loss": loss_value}
            figures |= ranks.from_first(evaluate)
            state.history.append(figures)
            finished = finished or (budget.target is not None and figures.get("kl", math.inf) <= budget.target)
            finished = finished or (stop is not None and stop(state))
            if keep is not None and not finished:
                keep(hold())
            module.train().to(device)
        if report is not None:
            report(state, progress)
    module.eval()
    module.to("cpu")
    return hold()


# Far outside any training: the first data of the stream are for learning.
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
    np.savez(path, **arrays)
    return f"the loss is not finite at step {step}; the batch is in {path}"
