"""The kernels under fork, spawn, threads and asyncio: the same bits, and no deadlock."""

import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

import hbm_fast as hbm

EACH = 200
SETTINGS = {"n_groups": (1, 9), "totals": (0, 30), "rng": 11, "n_threads": 2}
BAGS = np.array([[1, 3], [0, 7], [5, 5]])

# Calls of the library itself, which children find by its name: slices of one stream, then posteriors.
SIMULATIONS = [partial(hbm.simulate, hbm.HierarchicalModel(3), EACH, first=i * EACH, **SETTINGS) for i in range(6)]
POSTERIORS = [partial(hbm.sample, BAGS + i, n_draws=50, n_warmup=50, n_chains=2, rng=i, n_threads=2) for i in range(6)]
TASKS = SIMULATIONS + POSTERIORS


def draws(results):
    return [r.counts for r in results[: len(SIMULATIONS)]] + [r.log_alpha for r in results[len(SIMULATIONS) :]]


@pytest.fixture(scope="module")
def expected():
    return draws([task() for task in TASKS])


def same(results, expected):
    for found, wanted in zip(draws(results), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings(r"ignore:os.fork\(\) was called:RuntimeWarning")  # by JAX, if imported
def test_processes(method, expected):
    """`expected` has run threads in this process before a child is forked, which does not have them."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        same([future.result(120) for future in [pool.submit(task) for task in TASKS]], expected)


def test_threads(expected):
    with ThreadPoolExecutor(8) as pool:
        same([future.result(120) for future in [pool.submit(task) for task in TASKS]], expected)


def test_asyncio(expected):
    async def everything():
        return await asyncio.wait_for(asyncio.gather(*(asyncio.to_thread(task) for task in TASKS)), 120)

    same(asyncio.run(everything()), expected)
