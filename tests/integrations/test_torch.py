"""The dataset stream: its batches, their distribution over ranks and workers, and saved positions."""

from itertools import islice

import numpy as np
import pytest

import hbm_fast as hbm

torch = pytest.importorskip("torch")
from hbm_fast.integrations.torch import SimulationStream  # noqa: E402

MODEL = hbm.HierarchicalModel(2)
SETTINGS = dict(n_groups=(1, 5), totals=(0, 9), rng=4)


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_batches_are_the_datasets_of_the_stream():
    stream = SimulationStream(MODEL, 16, **SETTINGS, theta=True, statistics=True)
    batches = list(islice(stream, 3))
    sims = hbm.simulate(MODEL, 48, **SETTINGS, statistics=True)
    for name in ("counts", "n_groups", "statistics"):
        np.testing.assert_array_equal(torch.cat([b[name] for b in batches]), getattr(sims, name))
    for name in ("log_alpha", "log_beta", "log_theta"):
        np.testing.assert_array_equal(torch.cat([b[name] for b in batches]), getattr(sims, name).astype(np.float32))
    assert batches[0]["statistics"].dtype == torch.float32
    assert batches[0]["counts"].dtype == torch.int32


def test_ranks_share_the_batches_without_overlap():
    whole = list(islice(SimulationStream(MODEL, 8, **SETTINGS), 6))
    for rank in range(3):
        part = list(islice(SimulationStream(MODEL, 8, **SETTINGS, rank=rank, world_size=3), 2))
        assert same(part[0], whole[rank])
        assert same(part[1], whole[rank + 3])


def test_workers_share_the_batches_without_overlap():
    stream = SimulationStream(MODEL, 8, **SETTINGS, stop=7)
    loader = torch.utils.data.DataLoader(stream, batch_size=None, num_workers=2, multiprocessing_context="spawn")
    whole = list(SimulationStream(MODEL, 8, **SETTINGS, stop=7))
    assert len(whole) == 7
    got = list(loader)
    assert len(got) == 7
    for batch in got:
        assert sum(same(batch, other) for other in whole) == 1


def test_a_saved_position_continues_with_the_same_bits():
    whole = list(islice(SimulationStream(MODEL, 8, **SETTINGS), 5))
    stream = SimulationStream(MODEL, 8, **SETTINGS)
    assert same(next(iter(stream)), whole[0])
    iterator = iter(stream)
    assert same(next(iterator), whole[1])
    state = stream.state_dict()
    resumed = SimulationStream(MODEL, 8, **{**SETTINGS, "rng": 99})
    resumed.load_state_dict(state)
    for batch, expected in zip(islice(resumed, 3), whole[2:], strict=True):
        assert same(batch, expected)
    with pytest.raises(ValueError, match="batch_size"):
        SimulationStream(MODEL, 9, **SETTINGS).load_state_dict(state)


def test_errors_of_the_background_thread_and_of_settings():
    with pytest.raises(ValueError, match="totals"):
        SimulationStream(MODEL, 8, n_groups=2, totals=-1)
    with pytest.raises(ValueError, match="go together"):
        SimulationStream(MODEL, 8, **SETTINGS, rank=0)
    with pytest.raises(ValueError, match="below world_size"):
        SimulationStream(MODEL, 8, **SETTINGS, rank=2, world_size=2)
    stream = SimulationStream(MODEL, 8, **SETTINGS)
    stream._settings["totals"] = -1
    with pytest.raises(ValueError, match="totals"):
        next(iter(stream))


def test_counts_and_statistics_are_the_simulators_own_memory(monkeypatch):
    from hbm_fast.integrations import torch as module

    made, simulate = [], hbm.simulate

    def noted(*arguments, **settings):
        made.append(simulate(*arguments, **settings))
        return made[-1]

    monkeypatch.setattr(module.simulation, "simulate", noted)
    batch = SimulationStream(MODEL, 8, **SETTINGS, statistics=True).batch(3)
    for name in ("counts", "statistics", "n_groups"):
        assert batch[name].data_ptr() == getattr(made[-1], name).ctypes.data, name


def test_every_tensor_is_pinned(monkeypatch):
    if torch.cuda.is_available():
        batch = next(iter(SimulationStream(MODEL, 8, **SETTINGS, pin_memory=True)))
        assert all(tensor.is_pinned() for tensor in batch.values())
        return
    pinned = []

    def pin(tensor):
        pinned.append(tensor.data_ptr())
        return tensor

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    batch = SimulationStream(MODEL, 8, **SETTINGS, pin_memory=True).batch(1)
    assert sorted(pinned[-len(batch) :]) == sorted(tensor.data_ptr() for tensor in batch.values())
    pinned.clear()
    SimulationStream(MODEL, 8, **SETTINGS)
    assert not pinned
