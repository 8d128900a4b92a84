"""Data-parallel training, reproducible for any number of processes.

The global batch of step s is datasets s * B, ..., (s + 1) * B - 1 of the stream, for any number of ranks; each rank
takes a contiguous slice of it. Every rank draws the loss's random numbers for the global batch, from generators in the
same state, and uses its slice of them. So the result does not depend on the number of ranks, up to the order of sums,
and a checkpoint does not store it.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

from hbm_fast.nn.data import Block

T = TypeVar("T")


@dataclass(frozen=True)
class ProcessGroup:
    """This process and the number of processes that train together; with one process every method is a no-op."""

    rank: int = 0
    size: int = 1

    @staticmethod
    def current() -> "ProcessGroup":
        """The process group of `torch.distributed` where it was initialised, otherwise this process alone."""
        if distributed.is_available() and distributed.is_initialized():
            return ProcessGroup(distributed.get_rank(), distributed.get_world_size())
        return ALONE

    def local_batch_size(self, batch_size: int) -> int:
        """Datasets of a batch that one rank takes; ValueError for a batch size that is no multiple of the ranks."""
        if batch_size % self.size:
            raise ValueError(f"batch_size must be a multiple of the {self.size} ranks; got {batch_size}")
        return batch_size // self.size

    def block(self, stream: Callable[..., Block], index: int, batch_size: int, n_batches: int) -> Block:
        """This rank's datasets of block ``index``: its slice of each batch, one after the other."""
        size = n_batches * batch_size
        if self.size == 1:
            return stream(index, size)
        each = self.local_batch_size(batch_size)
        starts = range(self.rank * each, size, batch_size)
        return stream(index, size, [slice(start, start + each) for start in starts])

    def from_first(self, function: Callable[[], T]) -> T:
        """The function's value on rank 0, broadcast to the others."""
        if self.size == 1:
            return function()
        values = [function() if self.rank == 0 else None]
        distributed.broadcast_object_list(values, src=0)
        return values[0]  # type: ignore[return-value]

    def align(self, module: nn.Module) -> None:
        """Give every rank the parameters and buffers of rank 0."""
        if self.size > 1:
            for tensor in module.state_dict().values():
                distributed.broadcast(tensor, src=0)

    def average(self, parameters: Sequence[nn.Parameter], loss: Tensor) -> Tensor:
        """Average the gradients over the ranks in one message; return the average of the loss."""
        if self.size == 1:
            return loss
        trained = [p for p in parameters if p.grad is not None]
        flat = torch.cat([*(p.grad.flatten() for p in trained if p.grad is not None), loss.detach().view(1).float()])
        distributed.all_reduce(flat)
        flat /= self.size
        parts = torch.split(flat[:-1], [p.numel() for p in trained])
        for parameter, part in zip(trained, parts, strict=True):
            parameter.grad = part.view_as(parameter)
        return flat[-1]


ALONE = ProcessGroup()


class Generator(torch.Generator):
    """A generator in the same state on all ranks: see `rand`, `randn` and `standard_gamma`."""

    group: ProcessGroup = ALONE


def generator(device: str, seed: int, group: ProcessGroup) -> Generator:
    """The generator of a training."""
    result = Generator(device)
    result.group = group
    result.manual_seed(seed)
    return result


def rand(source: torch.Generator, rows: int, *shape: int) -> Tensor:
    """This rank's rows of uniform numbers (ranks x rows, ...)."""
    group = _group(source)
    return torch.rand(group.size * rows, *shape, generator=source, device=source.device)[_local(group, rows)]


def randn(source: torch.Generator, rows: int, *shape: int) -> Tensor:
    """This rank's rows of normal numbers (ranks x rows, ...)."""
    group = _group(source)
    return torch.randn(group.size * rows, *shape, generator=source, device=source.device)[_local(group, rows)]


def standard_gamma(source: torch.Generator, shape: Tensor) -> Tensor:
    """Gamma variates of unit scale, one for each element of ``shape``.

    A draw takes a random number of random numbers, by its rejections, so that the global batch's shapes are gathered.
    """
    group = _group(source)
    if group.size == 1:  # the generator of `sample` stays on the CPU
        return torch._standard_gamma(shape.to(source.device), generator=source).to(shape.device)
    parts = [torch.empty_like(shape) for _ in range(group.size)]
    distributed.all_gather(parts, shape.contiguous())
    return torch._standard_gamma(torch.cat(parts), generator=source)[_local(group, len(shape))]


def mean_weight(source: torch.Generator, n: int, device: torch.device) -> Tensor | float:
    """Weight of this rank's mean over n rows in the mean over the rows of all ranks, relative to equal weights."""
    group = _group(source)
    if group.size == 1:
        return 1.0
    total = torch.tensor(float(n), device=device)
    distributed.all_reduce(total)
    return n * group.size / total


def _group(source: torch.Generator) -> ProcessGroup:
    return source.group if isinstance(source, Generator) else ALONE


def _local(group: ProcessGroup, rows: int) -> slice:
    return slice(group.rank * rows, (group.rank + 1) * rows)


@contextmanager
def launched(device: str) -> Iterator[ProcessGroup]:
    """Join the processes that torchrun started, if it did: gloo between CPUs, nccl between GPUs."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield ALONE
        return
    # The first optimizer step imports torch._dynamo. An import while a process group exists holds a reference to it:
    # destroying the group then ends none of gloo's threads, and one of them may abort when the interpreter exits.
    import torch._dynamo

    on_gpu = device.startswith("cuda")
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo")
    try:
        yield ProcessGroup.current()
    finally:
        distributed.destroy_process_group()
