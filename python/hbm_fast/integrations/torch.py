"""A dataset stream of simulated data as a `torch.utils.data.IterableDataset`."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from hbm_fast import _core, _random, _validate, simulation
from hbm_fast._optional import missing_extra
from hbm_fast._typing import Key, RNGLike
from hbm_fast.models import HierarchicalModel, check_hierarchical

try:
    import torch
    from torch.utils.data import IterableDataset, get_worker_info
except ImportError:
    raise missing_extra("torch", "amortize") from None

__all__ = ["SimulationStream"]

Batch = dict[str, torch.Tensor]


class SimulationStream(IterableDataset[Batch]):
    """Endless batches of simulated datasets; a background thread prepares the next batch while the network trains.

    Batch i holds the datasets ``i * batch_size, ...`` of the random stream of ``rng``: its bits do not depend on the
    process that draws it. Ranks of `torch.distributed` and workers of a `DataLoader` (pass ``batch_size=None`` to it)
    take turns, so that together they draw every batch once.

    Parameters
    ----------
    model : HierarchicalModel
    batch_size : int
        B, datasets in a batch.
    n_groups, totals : int, (low, high) or array_like
        As in `hbm_fast.simulate`.
    rng : None, int, SeedSequence, BitGenerator, Generator, or a key
        Must be the same on every rank: pass an int or a key there.
    start : int, default 0
        Index of the first batch.
    stop : int, optional
        Index of the batch before which the stream ends; by default it is endless.
    theta, counts, statistics : bool
        Arrays of a batch besides the hyperparameters; see `hbm_fast.simulate`.
    dtype : dtype, default int32
        Of the counts.
    rank, world_size : int, optional
        Rank and number of the consumers; by default those of `torch.distributed`, if it is initialised.
    prefetch : int, default 1
        Batches prepared ahead.
    pin_memory : bool, default False
        Return page-locked tensors, for asynchronous copies to a CUDA device.
    n_threads : int, default 1
        Threads of the simulator; the tensors do not depend on it.

    Yields
    ------
    dict of Tensor
        ``log_alpha`` (B,), ``log_beta`` (B, K), ``log_theta`` (B, N, K) as float32; ``counts`` (B, N, K), ``n_groups``
        (B,) and ``statistics`` (B, K + 1, J), not copied.

    Raises
    ------
    TypeError, ValueError
        As `hbm_fast.simulate`, when the stream is created and not with its first batch.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> from hbm_fast.integrations.torch import SimulationStream
    >>> stream = SimulationStream(hbm.HierarchicalModel(2), 256, n_groups=21, totals=20, rng=0)
    >>> batch = next(iter(stream))
    >>> tuple(batch["counts"].shape)
    (256, 21, 2)
    """

    def __init__(
        self,
        model: HierarchicalModel,
        batch_size: int,
        *,
        n_groups: int | tuple[int, int] | ArrayLike,
        totals: int | tuple[int, int] | ArrayLike,
        rng: RNGLike | Key = None,
        start: int = 0,
        stop: int | None = None,
        theta: bool = False,
        counts: bool = True,
        statistics: bool = False,
        dtype: DTypeLike = np.int32,
        rank: int | None = None,
        world_size: int | None = None,
        prefetch: int = 1,
        pin_memory: bool = False,
        n_threads: int | None = 1,
    ) -> None:
        super().__init__()
        check_hierarchical(model, "SimulationStream")
        self.model = model
        self.batch_size = _validate.positive_int(batch_size, "batch_size")
        self.key = _random.key(rng)
        self._position = _validate.positive_int(start, "start", minimum=0)
        self._stop = None if stop is None else _validate.positive_int(stop, "stop", minimum=0)
        self._rank, self._world_size = _rank_and_size(rank, world_size)
        self._prefetch = _validate.positive_int(prefetch, "prefetch")
        self._pin_memory = pin_memory
        self._settings: dict[str, Any] = {
            "n_groups": n_groups,
            "totals": totals,
            "theta": False,
            "log_theta": theta,
            "counts": counts,
            "statistics": statistics,
            "dtype": dtype,
            "n_threads": n_threads,
        }
        self.batch(0)

    def batch(self, index: int) -> Batch:
        """Batch ``index`` of the stream, a function of the index alone."""
        first = index * self.batch_size
        sims = simulation.simulate(self.model, self.batch_size, rng=self.key, first=first, **self._settings)
        tensors = {
            "log_alpha": torch.from_numpy(sims.log_alpha).float(),
            "log_beta": torch.from_numpy(sims.log_beta).float(),
            "n_groups": torch.from_numpy(sims.n_groups),
        }
        if sims.log_theta is not None:
            tensors["log_theta"] = torch.from_numpy(sims.log_theta).float()
        for name, array in (("counts", sims.counts), ("statistics", sims.statistics)):
            if array is not None:
                tensors[name] = torch.from_numpy(array)
        return {name: tensor.pin_memory() for name, tensor in tensors.items()} if self._pin_memory else tensors

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        n_workers, worker_id = (1, 0) if worker is None else (worker.num_workers, worker.id)
        step = self._world_size * n_workers
        index = self._position + self._rank * n_workers + worker_id
        waiting: deque[Future[Batch]] = deque()
        with ThreadPoolExecutor(1, "hbm_fast-stream") as background:
            try:
                while True:
                    while len(waiting) <= self._prefetch and (self._stop is None or index < self._stop):
                        waiting.append(background.submit(self.batch, index))
                        index += step
                    if not waiting:
                        return
                    ready = waiting.popleft().result()
                    self._position += step
                    yield ready
            finally:
                background.shutdown(wait=False, cancel_futures=True)

    def state_dict(self) -> dict[str, Any]:
        """Position of the stream, from which `load_state_dict` continues with the same bits.

        Batches are counted when they are returned, in the process that iterates: with workers of a `DataLoader`, count
        them and set ``position``.
        """
        return {
            "position": self._position,
            "key": [int(word) for word in self.key],
            "batch_size": self.batch_size,
            "stream_version": _core.config.stream_version,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved position; the other settings must be those of the saved stream.

        Raises
        ------
        ValueError
            If the batch size, or the version of the random streams, differs from the saved one.
        """
        for name, here in (("batch_size", self.batch_size), ("stream_version", _core.config.stream_version)):
            if state[name] != here:
                raise ValueError(f"the saved stream has {name} {state[name]}, this one {here}: it cannot be continued")
        self.key = np.array(state["key"], np.uint64)
        self._position = _validate.positive_int(state["position"], "position", minimum=0)


def _rank_and_size(rank: int | None, world_size: int | None) -> tuple[int, int]:
    if (rank is None) != (world_size is None):
        raise ValueError("rank and world_size go together; got only one of them")
    if rank is None or world_size is None:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return torch.distributed.get_rank(), torch.distributed.get_world_size()
        return 0, 1
    world_size = _validate.positive_int(world_size, "world_size")
    rank = _validate.positive_int(rank, "rank", minimum=0)
    if rank >= world_size:
        raise ValueError(f"rank must be below world_size = {world_size}; got {rank}")
    return rank, world_size
