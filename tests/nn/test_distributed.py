"""Two processes of torchrun train the network that one trains; this file is also what they run."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import hbm_fast as hbm

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from hbm_fast.nn import distributed  # noqa: E402
from hbm_fast.nn.data import AnyKStream, TrainingStream  # noqa: E402
from hbm_fast.nn.distributed import ALONE, ProcessGroup  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:the network's own draws are not calibrated")  # after so few steps

STEPS, BATCH, PAUSE = 20, 64, 5  # the pause falls within a block of sixteen steps
COMMON = {"n_groups": (1, 6), "totals": (0, 8), "rng": 7, "batch_size": BATCH, "width": 32}
TRAININGS = {
    "whole": {"steps": STEPS},
    "paused": {"steps": STEPS, "pause_at": PAUSE},
    "bottom-up": {"steps": STEPS, "factorization": "bottom-up"},
    "any-k": {"steps": STEPS, "factorization": "any-k", "categories": (2, 3)},
    "wake": {"steps": STEPS, "head": "gaussian", "wake": 0.5, "local": "learned"},
}
KEY = np.array([3, 4], np.uint64)


def train(name, **settings):
    return hbm.amortize.train(**{**COMMON, **TRAININGS[name], **settings})


def drawn(log):
    """Log (first, number) of all datasets that the training streams simulate."""
    from hbm_fast import simulation

    simulate = simulation.simulate

    def logged(model, n, **settings):
        if "first" in settings:
            log.append((settings["first"], n))
        return simulate(model, n, **settings)

    simulation.simulate = logged


def main(folder):
    """What each rank runs."""
    with distributed.launched("cpu") as here:
        log = []
        drawn(log)
        for name in TRAININGS:
            log.clear()
            network = train(name)
            (folder / f"{name}-{here.rank}.json").write_text(json.dumps(log))
            network.save(folder / f"{name}-{here.rank}.safetensors")
        train("whole", resume=folder / "paused-by-one.safetensors").save(folder / f"resumed-{here.rank}.safetensors")
        clock = time.perf_counter
        time.perf_counter = lambda: clock() * (1 + here.rank)  # rank 1's clock runs twice as fast
        stopped = hbm.amortize.train(**COMMON, minutes=0.02)
        stopped.save(folder / f"by-time-{here.rank}.safetensors")
    threads = [file.read_text().strip() for file in Path("/proc/self/task").glob("*/comm")]
    (folder / f"threads-{here.rank}.json").write_text(json.dumps(threads))


def torchrun(*arguments, cwd):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0"]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture(scope="module")
def one():
    return {name: train(name) for name in TRAININGS}


@pytest.fixture(scope="module")
def folder(one, tmp_path_factory):
    """Where two ranks left their networks."""
    folder = tmp_path_factory.mktemp("ranks")
    one["paused"].save(folder / "paused-by-one.safetensors")
    done = torchrun(__file__, folder, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def same(a, b, tolerance=1e-5):
    """The loss curves and the parameters, up to the order of sums."""
    curves = [{point["step"]: point for point in network.state.history} for network in (a, b)]
    assert curves[0].keys() <= curves[1].keys()  # a pause is a point of the curve too
    for step, point in curves[0].items():
        for figure in ("loss", "kl", "ess_share"):
            assert point[figure] == pytest.approx(curves[1][step][figure], rel=tolerance, abs=tolerance), (step, figure)
    torch.testing.assert_close(a.network.state_dict(), b.network.state_dict(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", TRAININGS)
def test_two_ranks_train_what_one_trains(one, folder, name):
    two = [hbm.amortize.load(folder / f"{name}-{rank}.safetensors") for rank in (0, 1)]
    same(one[name], two[0])
    assert torch.equal(one[name].state.generator, two[0].state.generator)
    # and the ranks agree to the last bit
    torch.testing.assert_close(two[0].network.state_dict(), two[1].network.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("name", ["whole", "bottom-up"])
def test_no_rank_repeats_anothers_datasets(folder, name):
    of_rank = []
    for rank in (0, 1):
        parts = json.loads((folder / f"{name}-{rank}.json").read_text())
        numbers = [np.arange(first, first + n) for first, n in parts if n == BATCH // 2]
        of_rank.append(np.concatenate(numbers))
        # the first half of each batch is rank 0's, the second rank 1's
        assert (of_rank[-1] % BATCH // (BATCH // 2) == rank).all()
    together = np.sort(np.concatenate(of_rank))
    np.testing.assert_array_equal(together, np.arange(32 * BATCH))  # two blocks of sixteen steps


def test_trainings_resume_with_another_number_of_ranks(one, folder):
    same(one["whole"], hbm.amortize.load(folder / "resumed-0.safetensors"))  # from one rank to two
    same(one["whole"], train("whole", resume=folder / "paused-0.safetensors"))  # from two to one


def test_rank_0_decides_when_the_time_is_up(folder):
    a, b = (hbm.amortize.load(folder / f"by-time-{rank}.safetensors") for rank in (0, 1))
    assert a.training["steps"] == b.training["steps"] > 0
    assert a.state.history == b.state.history


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="names of threads are read from Linux's /proc")
def test_no_thread_of_gloo_outlives_the_group(folder):
    """One that waits for the interpreter's lock at exit would abort the process."""
    for rank in (0, 1):
        threads = json.loads((folder / f"threads-{rank}.json").read_text())
        assert not [name for name in threads if "gloo" in name], threads


def test_the_command_line(tmp_path):
    options = ["--steps", "20", "--n-groups", "1:6", "--totals", "0:8", "--seed", "7", "--batch-size", "64"]
    done = torchrun("-m", "hbm_fast", "train", "two.safetensors", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("two.safetensors: 20 steps") == 1  # rank 0 alone speaks
    alone = hbm.amortize.train(steps=20, n_groups=(1, 6), totals=(0, 8), rng=7, batch_size=64)
    same(alone, hbm.amortize.load(tmp_path / "two.safetensors"))


@pytest.mark.parametrize("size", [1, 2, 4, 16])
@pytest.mark.parametrize("kind", ["exceedances", "groups", "any-k"])
def test_the_slices_of_the_ranks_are_the_batches(size, kind):
    model = hbm.HierarchicalModel(2)
    stream = TrainingStream(model, (1, 6), (0, 8), KEY, kind == "groups")
    block = AnyKStream((2, 4), (1, 6), (0, 8), KEY).block if kind == "any-k" else stream.block
    whole = block(5, 48)
    parts = [ProcessGroup(r, size).block(block, 5, 16, 3) for r in range(size)]
    for name in ("exceedances", "log_alpha", "log_beta", "counts", "log_theta"):
        value = getattr(whole, name)
        if value is None:
            assert all(getattr(part, name) is None for part in parts)
            continue
        batches = [getattr(part, name).view(3, 16 // size, *value.shape[1:]) for part in parts]
        assert torch.equal(torch.cat(batches, 1).view(value.shape), value), name


def test_random_numbers_belong_to_the_global_batch():
    whole = distributed.generator("cpu", 3, ALONE)
    expected = distributed.rand(whole, 6, 2), distributed.randn(whole, 6, 2, 3)
    for rank in range(3):
        source = distributed.generator("cpu", 3, ProcessGroup(rank, 3))
        own = slice(2 * rank, 2 * rank + 2)
        assert torch.equal(distributed.rand(source, 2, 2), expected[0][own])
        assert torch.equal(distributed.randn(source, 2, 2, 3), expected[1][own])
    plain = torch.Generator().manual_seed(3)
    assert torch.equal(torch.rand(6, 2, generator=plain), expected[0])  # one rank draws what torch draws


def test_batches_that_cannot_be_shared_are_refused():
    with pytest.raises(ValueError, match="batch_size must be a multiple of the 3 ranks; got 64"):
        ProcessGroup(0, 3).local_batch_size(64)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
