"""Several processes that train one network as one would: who draws what, and what all must agree on.

The global batch of step s is datasets s * B, ..., (s + 1) * B - 1 of the stream, for any number of ranks; each takes a
contiguous slice of it. Random numbers of the loss are drawn for the global batch by every rank, from generators in the
same state, and each keeps its slice. So the number of ranks is no part of the result, up to the order of sums, and a
checkpoint knows nothing of it.
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
class Ranks:
    """This process among those that train together; by default it is alone, and every method does nothing."""

    rank: int = 0
    size: int = 1

    @staticmethod
    def of_process_group() -> "Ranks":
        """As `torch.distributed` has it, where its process group was initialised."""
        if distributed.is_available() and distributed.is_initialized():
            return Ranks(distributed.get_rank(), distributed.get_world_size())
        return ALONE

    def share_of(self, batch_size: int) -> int:
        """Datasets of a batch that are this rank's.

        Raises
        ------
        ValueError
            Where the ranks would not get the same number.
        """
        if batch_size % self.size:
            raise ValueError(f"batch_size must be a multiple of the {self.size} ranks; got {batch_size}")
        return batch_size // self.size

    def block(self, stream: Callable[..., Block], index: int, batch_size: int, n_batches: int) -> Block:
        """This rank's datasets of block ``index``: its slice of each batch, one after the other."""
        size = n_batches * batch_size
        if self.size == 1:
            return stream(index, size)
        each = self.share_of(batch_size)
        starts = range(self.rank * each, size, batch_size)
        return stream(index, size, [slice(start, start + each) for start in starts])

    def from_first(self, function: Callable[[], T]) -> T:
        """What rank 0 gets of the function; the others wait for it."""
        if self.size == 1:
            return function()
        held = [function() if self.rank == 0 else None]
        distributed.broadcast_object_list(held, src=0)
        return held[0]  # type: ignore[return-value]  # all hold rank 0's by now

    def align(self, module: nn.Module) -> None:
        """Give every rank the parameters and buffers of rank 0."""
        if self.size > 1:
            for tensor in module.state_dict().values():
                distributed.broadcast(tensor, src=0)

    def average(self, parameters: Sequence[nn.Parameter], loss: Tensor) -> Tensor:
        """Average the gradients over the ranks, in one message; gives the average of the loss."""
        if self.size == 1:
            return loss
        learnt = [p for p in parameters if p.grad is not None]
        flat = torch.cat([*(p.grad.flatten() for p in learnt if p.grad is not None), loss.detach().view(1).float()])
        distributed.all_reduce(flat)
        flat /= self.size
        parts = torch.split(flat[:-1], [p.numel() for p in learnt])
        for parameter, part in zip(learnt, parts, strict=True):
            parameter.grad = part.view_as(parameter)
        return flat[-1]


ALONE = Ranks()


class Generator(torch.Generator):
    """A generator that all ranks hold in the same state: see `rand`, `randn` and `standard_gamma`."""

    ranks: Ranks = ALONE


def generator(device: str, seed: int, ranks: Ranks) -> Generator:
    """The generator of a training."""
    made = Generator(device)
    made.ranks = ranks
    made.manual_seed(seed)
    return made


def rand(source: torch.Generator, rows: int, *shape: int) -> Tensor:
    """This rank's rows of uniform numbers (ranks x rows, ...)."""
    ranks = _ranks(source)
    return torch.rand(ranks.size * rows, *shape, generator=source, device=source.device)[_own(ranks, rows)]


def randn(source: torch.Generator, rows: int, *shape: int) -> Tensor:
    """This rank's rows of normal numbers (ranks x rows, ...)."""
    ranks = _ranks(source)
    return torch.randn(ranks.size * rows, *shape, generator=source, device=source.device)[_own(ranks, rows)]


def standard_gamma(source: torch.Generator, shape: Tensor) -> Tensor:
    """Gamma variates of unit scale, one for each element of ``shape``.

    A draw takes as many random numbers as its rejections ask for, so that the global batch's shapes are gathered first.
    """
    ranks = _ranks(source)
    if ranks.size == 1:
        return torch._standard_gamma(shape, generator=source)
    parts = [torch.empty_like(shape) for _ in range(ranks.size)]
    distributed.all_gather(parts, shape.contiguous())
    return torch._standard_gamma(torch.cat(parts), generator=source)[_own(ranks, len(shape))]


def share(source: torch.Generator, n: int, device: torch.device) -> Tensor | float:
    """What a mean over n rows here weighs in the mean over the rows of all ranks, relative to 1."""
    ranks = _ranks(source)
    if ranks.size == 1:
        return 1.0
    total = torch.tensor(float(n), device=device)
    distributed.all_reduce(total)
    return n * ranks.size / total


def _ranks(source: torch.Generator) -> Ranks:
    return source.ranks if isinstance(source, Generator) else ALONE


def _own(ranks: Ranks, rows: int) -> slice:
    return slice(ranks.rank * rows, (ranks.rank + 1) * rows)


@contextmanager
def launched(device: str) -> Iterator[Ranks]:
    """Join the processes that torchrun started, where it did: gloo between CPUs, nccl between GPUs."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield ALONE
        return
    # The first optimizer step imports this. Imported while a group lives, it keeps the group, so that destroying the
    # group ends none of gloo's threads and the interpreter's exit may abort one that waits for its lock.
    import torch._dynamo

    on_gpu = device.startswith("cuda")
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo")
    try:
        yield Ranks.of_process_group()
    finally:
        distributed.destroy_process_group()
