"""A cluster of two processes gives the bits of one process, also after a worker is killed."""

import doctest
import importlib
import os
import signal
from contextlib import contextmanager
from itertools import chain

import numpy as np
import pytest

import hbm_fast as hbm

distributed = pytest.importorskip("distributed")
import dask  # noqa: E402
import dask.array  # noqa: E402
import dask.bag  # noqa: E402
import dask.dataframe  # noqa: E402
import pandas as pd  # noqa: E402

from hbm_fast.integrations import dask as hbm_dask  # noqa: E402

MODEL = hbm.HierarchicalModel(3, alpha=hbm.priors.Gamma(2.0, rate=0.5))
FIELDS = ("alpha", "log_alpha", "beta", "log_beta", "log_theta", "theta", "counts", "n_groups")


@contextmanager
def two_workers():
    settings = {"distributed.comm.timeouts.connect": "60s", "distributed.scheduler.allowed-failures": 10}
    with (
        dask.config.set(settings),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def client():
    with two_workers() as client:
        yield client


@pytest.fixture
def client_of_one_test():
    """A cluster whose worker a test kills: dask may lose a task of any later test there."""
    with two_workers() as client:
        yield client


def tables(n):
    sims = hbm.simulate(MODEL, n, n_groups=12, totals=(1, 30), rng=5)
    return [(f"gene {i}", counts) for i, counts in enumerate(sims.counts)]


def kill_a_worker(client):
    pids = client.run(os.getpid)
    os.kill(min(pids.values()), signal.SIGKILL)


def gathered(client, collection):
    """Blocks sent to the client one by one: `compute` of dask may wait for a killed worker (docs/guide/clusters.md)."""
    return client.gather(client.compute(list(np.ravel(collection.to_delayed()))))


@pytest.mark.parametrize("chunk", [1, 7, 40, 1000])
@pytest.mark.parametrize(
    "settings",
    [
        {"n_groups": 5, "totals": 20},
        {"n_groups": (1, 9), "totals": (0, 40)},
        {"n_groups": np.arange(40) % 6 + 1, "totals": np.arange(240).reshape(40, 6)},
        {"n_groups": 4, "totals": [3, 0, 5, 9], "alpha": np.linspace(0.1, 3, 40), "beta": np.full((40, 3), 1 / 3)},
        {"n_groups": 2, "totals": 9, "alpha": 0.3, "beta": [0.2, 0.3, 0.5], "dtype": np.uint8},
    ],
)
def test_blocks_are_slices_of_the_stream(settings, chunk):
    blocks = hbm_dask.simulate(MODEL, 40, **settings, rng=3, first=17, chunk=chunk)
    whole = hbm.simulate(MODEL, 40, **settings, rng=3, first=17)
    computed = dask.compute(*(getattr(blocks, name) for name in FIELDS), scheduler="synchronous")
    for name, value in zip(FIELDS, computed, strict=True):
        assert getattr(blocks, name).dtype == value.dtype == getattr(whole, name).dtype
        np.testing.assert_array_equal(value, getattr(whole, name), err_msg=name)
    assert blocks.key.tolist() == whole.key.tolist()


def test_theta_can_be_left_out():
    blocks = hbm_dask.simulate(MODEL, 10, n_groups=3, totals=5, rng=0, theta=False, chunk=4)
    assert blocks.theta is None
    assert blocks.log_theta is None
    whole = hbm.simulate(MODEL, 10, n_groups=3, totals=5, rng=0)
    np.testing.assert_array_equal(blocks.counts.compute(scheduler="synchronous"), whole.counts)


def test_settings_are_checked_before_anything_is_computed():
    with pytest.raises(ValueError, match=r"totals must have B = 40 in front; got shape \(3, 5\)"):
        hbm_dask.simulate(MODEL, 40, n_groups=5, totals=np.ones((3, 5), int))
    with pytest.raises(ValueError, match="chunk must be at least 1; got 0"):
        hbm_dask.simulate(MODEL, 40, n_groups=5, totals=5, chunk=0)
    with pytest.raises(ValueError, match="n_groups"):
        hbm_dask.simulate(MODEL, 40, n_groups=0, totals=5)


def test_two_processes_give_the_bits_of_one(client):
    blocks = hbm_dask.simulate(MODEL, 4000, n_groups=(1, 9), totals=(0, 40), rng=3, chunk=300)
    whole = hbm.simulate(MODEL, 4000, n_groups=(1, 9), totals=(0, 40), rng=3)
    counts, theta = client.compute([blocks.counts, blocks.theta], sync=True)
    np.testing.assert_array_equal(counts, whole.counts)
    np.testing.assert_array_equal(theta, whole.theta)


def test_a_killed_workers_blocks_are_the_same_again(client_of_one_test):
    blocks = hbm_dask.simulate(MODEL, 60_000, n_groups=9, totals=40, rng=4, chunk=2000)
    persisted = blocks.counts.persist()
    distributed.wait(distributed.futures_of(persisted)[:5])
    kill_a_worker(client_of_one_test)
    whole = hbm.simulate(MODEL, 60_000, n_groups=9, totals=40, rng=4)
    np.testing.assert_array_equal(np.concatenate(gathered(client_of_one_test, persisted)), whole.counts)


def test_parquet(client, tmp_path):
    blocks = hbm_dask.simulate(MODEL, 50, n_groups=(1, 4), totals=(0, 9), rng=3, first=10, chunk=16)
    files = blocks.to_parquet(tmp_path)
    assert [os.path.basename(f) for f in files] == [f"datasets-{i:012d}.parquet" for i in (10, 26, 42, 58)]
    whole = hbm.simulate(MODEL, 50, n_groups=(1, 4), totals=(0, 9), rng=3, first=10)
    frame = pd.read_parquet(tmp_path)
    real = np.arange(4) < whole.n_groups[:, None]
    dataset, group = np.nonzero(real)
    np.testing.assert_array_equal(frame["dataset"], dataset + 10)
    np.testing.assert_array_equal(frame["group"], group)
    np.testing.assert_array_equal(frame[["count_0", "count_1", "count_2"]], whole.counts[real])
    np.testing.assert_array_equal(frame["alpha"], whole.alpha[dataset])
    np.testing.assert_array_equal(frame["beta_2"], whole.beta[dataset, 2])

    # an interrupted run resumes: existing files are kept, missing ones are written
    os.remove(files[1])
    kept = os.stat(files[0]).st_mtime_ns
    assert blocks.to_parquet(tmp_path) == files
    assert os.stat(files[0]).st_mtime_ns == kept
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path), frame)

    # the unfinished file of a killed worker is ignored by hbm_fast and by readers of the folder
    (tmp_path / ".datasets-000000000010.parquet.1").write_bytes(b"half of it")
    assert blocks.to_parquet(tmp_path) == files
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path), frame)


@pytest.mark.parametrize(
    "other", [{"rng": 4}, {"totals": (0, 8)}, {"n_groups": 4}, {"alpha": 2.0}, {"totals": [1, 2, 3, 9]}, {"chunk": 17}]
)
def test_parquet_files_of_other_datasets_are_refused(other, tmp_path):
    settings = {"n_groups": (1, 4), "totals": (0, 9), "rng": 3, "first": 10, "chunk": 16}
    with dask.config.set(scheduler="synchronous"):
        hbm_dask.simulate(MODEL, 50, **settings).to_parquet(tmp_path)
        with pytest.raises(FileExistsError, match="holds other datasets"):
            hbm_dask.simulate(MODEL, 50, **{**settings, **other}).to_parquet(tmp_path)


def test_parquet_and_back(client, tmp_path):
    blocks = hbm_dask.simulate(MODEL, 30, n_groups=(2, 4), totals=(1, 9), rng=3, chunk=8)
    blocks.to_parquet(tmp_path)
    frame = dask.dataframe.read_parquet(tmp_path)
    bag = hbm_dask.datasets_from_frame(frame, "dataset", ["count_0", "count_1", "count_2"])
    found = dict(bag.compute())
    whole = hbm.simulate(MODEL, 30, n_groups=(2, 4), totals=(1, 9), rng=3)
    assert sorted(found) == list(range(30))
    for name, counts in found.items():
        rows = sorted(map(tuple, counts.tolist()))
        assert rows == sorted(map(tuple, whole.counts[name, : whole.n_groups[name]].tolist()))


@pytest.mark.parametrize("n_partitions", [1, 3])
def test_sample_does_not_depend_on_the_partitions(client, n_partitions):
    pairs = tables(6)
    bag = dask.bag.from_sequence(pairs, npartitions=n_partitions)
    outcomes = hbm_dask.sample(bag, MODEL, rng=8, n_draws=50, n_chains=2).compute()
    assert [o.key for o in outcomes] == [name for name, _ in pairs]
    for outcome, (name, counts) in zip(outcomes, pairs, strict=True):
        alone = hbm.sample(counts, MODEL, rng=hbm_dask.dataset_key(8, name), n_draws=50, n_chains=2)
        assert outcome.error is None
        np.testing.assert_array_equal(outcome.value.log_alpha, alone.log_alpha)
        np.testing.assert_array_equal(outcome.value.log_beta, alone.log_beta)


def test_a_killed_worker_loses_no_draw(client_of_one_test):
    pairs = tables(40)
    outcomes = hbm_dask.sample(dask.bag.from_sequence(pairs, npartitions=20), MODEL, rng=8, n_draws=200, n_chains=1)
    persisted = outcomes.persist()
    distributed.wait(distributed.futures_of(persisted)[:2])
    kill_a_worker(client_of_one_test)
    for outcome, (name, counts) in zip(chain(*gathered(client_of_one_test, persisted)), pairs, strict=True):
        alone = hbm.sample(counts, MODEL, rng=hbm_dask.dataset_key(8, name), n_draws=200, n_chains=1)
        np.testing.assert_array_equal(outcome.value.log_alpha, alone.log_alpha)


def test_failures_are_reported_by_name_and_affect_no_other(client):
    pairs = tables(5)
    pairs[2] = ("broken", np.array([[1, -2, 3]]))
    pairs[4] = ("floats", np.array([[1.5, 2.0, 3.0]]))
    outcomes = hbm_dask.fit(pairs).compute()
    assert [o.key for o in outcomes if o.error] == ["broken", "floats"]
    assert outcomes[2].error == "ValueError: counts must not be negative; got -2 at index (0, 1)"
    assert outcomes[4].error.startswith("ValueError: counts must be whole numbers; got 1.5 at row 0, column 0")
    for outcome, (_, counts) in zip(outcomes, pairs, strict=True):
        if outcome.error is None:
            np.testing.assert_array_equal(outcome.value.concentration, hbm.fit(counts).concentration)


class Heavy:
    """A result that counts the live instances of its class."""

    alive = 0

    def __init__(self):
        Heavy.alive += 1

    def __del__(self):
        Heavy.alive -= 1


def test_a_worker_holds_one_result_at_a_time():
    outcomes = hbm_dask.map_datasets(lambda name, counts: Heavy(), dask.bag.from_sequence(tables(50), npartitions=2))
    alive = outcomes.map(lambda outcome: type(outcome.value).alive).compute(scheduler="synchronous")
    assert len(alive) == 50
    assert max(alive) <= 2  # the current one, and the previous one until its summary is taken


@pytest.mark.parametrize("module", ["simulation", "datasets", "statistics"])
def test_examples(module):
    failures, tried = doctest.testmod(importlib.import_module(f"hbm_fast.integrations.dask.{module}"))
    assert tried
    assert failures == 0


def test_datasets_from_a_table(client):
    pairs = tables(7)
    rows = [{"gene": name, "a": r[0], "b": r[1], "c": r[2]} for name, counts in pairs for r in counts]
    table = pd.DataFrame(rows).sample(frac=1.0, random_state=0)
    bag = hbm_dask.datasets_from_frame(dask.dataframe.from_pandas(table, npartitions=3), "gene", ["a", "b", "c"])
    found = {o.key: o.value for o in hbm_dask.fit(bag).compute()}
    assert set(found) == {name for name, _ in pairs}
    for name, counts in pairs:
        np.testing.assert_allclose(found[name].concentration, hbm.fit(counts).concentration, rtol=1e-6)


@pytest.mark.parametrize("split_every", [2, 8])
def test_statistics_of_one_large_dataset(client, split_every):
    counts = hbm.simulate(MODEL, 1, n_groups=5000, totals=(0, 60), rng=1).counts[0]
    whole = hbm.SufficientStatistics(counts)
    blocks = dask.array.from_array(counts, chunks=(333, 2))
    reduced = hbm_dask.statistics(blocks, split_every=split_every).compute()
    assert reduced.n_groups == 5000
    concentration = [[0.3, 1.0, 2.0], [5.0, 0.1, 0.1]]
    np.testing.assert_allclose(
        reduced.log_likelihood(concentration), whole.log_likelihood(concentration), rtol=1e-13, atol=0
    )
    # equal exceedances give equal draws
    here, there = (hbm.sample(s, MODEL, rng=3, n_draws=20, n_chains=1).log_alpha for s in (whole, reduced))
    np.testing.assert_array_equal(here, there)


def test_statistics_need_integers():
    with pytest.raises(TypeError, match="counts must be integers; got bool"):
        hbm_dask.statistics(dask.array.ones((10, 3), dtype=bool, chunks=5))
    with pytest.raises(ValueError, match=r"counts must have shape \(N, K\)"):
        hbm_dask.statistics(dask.array.ones((10, 3, 2), dtype=int, chunks=5))
