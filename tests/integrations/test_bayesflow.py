"""The simulator object, without BayesFlow and inside it."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast.integrations.bayesflow import Simulator

MODEL = hbm.HierarchicalModel(2)
SETTINGS = dict(n_groups=(1, 5), totals=(0, 9), rng=4)


def test_samples_are_the_stream():
    simulator = Simulator(MODEL, **SETTINGS, theta=True, statistics=True)
    first, second = simulator.sample(10), simulator.sample((2, 3))
    sims = hbm.simulate(MODEL, 16, **SETTINGS, statistics=True)
    np.testing.assert_array_equal(first["counts"], sims.counts[:10])
    np.testing.assert_array_equal(second["counts"].reshape(6, 5, 2), sims.counts[10:])
    assert first["alpha"].shape == (10, 1)
    assert second["statistics"].shape == (2, 3, 3, 9)
    assert {array.dtype for array in first.values()} == {np.dtype(np.float32)}
    assert simulator.sample(batch_size=2, sample_shape=None, anything=1)["beta"].shape == (2, 2)
    with pytest.raises(TypeError, match="one of them"):
        simulator.sample()
    with pytest.raises(TypeError, match="batch_shape"):
        simulator.sample(2.5)


def test_threads_never_share_a_dataset():
    simulator = Simulator(MODEL, **SETTINGS)
    with ThreadPoolExecutor(4) as pool:
        alpha = np.concatenate([batch["alpha"] for batch in pool.map(simulator.sample, [25] * 16)])
    expected = hbm.simulate(MODEL, 400, **SETTINGS).alpha.astype(np.float32)
    np.testing.assert_array_equal(np.sort(alpha[:, 0]), np.sort(expected))


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
def test_inside_bayesflow():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    bayesflow = pytest.importorskip("bayesflow")
    torch = pytest.importorskip("torch")
    adapter = (
        bayesflow.Adapter()
        .concatenate(["log_alpha", "beta"], into="inference_variables")
        .rename("statistics", "summary_variables")
        .keep(["inference_variables", "summary_variables"])
    )
    simulator = Simulator(MODEL, **SETTINGS, statistics=True)
    dataset = bayesflow.datasets.OnlineDataset(simulator, batch_size=16, num_batches=3, adapter=adapter)
    batch = dataset[0]
    assert batch["inference_variables"].shape == (16, 3)
    assert batch["summary_variables"].shape == (16, 3, 9)
    torch.set_grad_enabled(True)  # importing bayesflow with torch turns gradients off
