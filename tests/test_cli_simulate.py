"""`hbm-fast simulate`: parts, resuming, refusing."""

import sys

import numpy as np
import pytest

import hbm_fast as hbm

pytest.importorskip("typer")
from hbm_fast.cli import main
from hbm_fast.cli import simulate as module


@pytest.fixture
def run(monkeypatch, capsys):
    """Exit code and stderr of a command line."""

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["hbm-fast", "simulate", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        return exit_.value.code or 0, " ".join(capsys.readouterr().err.split())

    return command


OPTIONS = ("--datasets", 25, "--groups", "1:5", "--totals", "0:9", "--part", 10, "--theta", "--seed", 3)
SETTINGS = dict(n_groups=(1, 5), totals=(0, 9), rng=3)


def test_npz_parts_hold_the_stream(run, tmp_path):
    assert run(tmp_path / "a", *OPTIONS, "--format", "npz")[0] == 0
    parts = []
    for file in sorted((tmp_path / "a").glob("part-*.npz")):
        with np.load(file) as part:
            parts.append(dict(part))
    sims = hbm.simulate(hbm.HierarchicalModel(2), 25, **SETTINGS)
    assert [int(p["first"]) for p in parts] == [0, 10, 20]
    for name in ("counts", "log_alpha", "log_beta", "log_theta", "n_groups"):
        np.testing.assert_array_equal(np.concatenate([p[name] for p in parts]), getattr(sims, name))


def test_parquet_rows_are_groups(run, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    code, _ = run(tmp_path / "a", *OPTIONS)
    assert code == 0
    files = sorted((tmp_path / "a").glob("part-*.parquet"))
    columns = [parquet.read_table(file) for file in files]
    sims = hbm.simulate(hbm.HierarchicalModel(2), 25, **SETTINGS)
    real = np.arange(5) < sims.n_groups[:, None]
    count = np.concatenate([c["count_1"].to_numpy() for c in columns])
    np.testing.assert_array_equal(count, sims.counts[real][:, 1])
    dataset = np.concatenate([c["dataset"].to_numpy() for c in columns])
    np.testing.assert_array_equal(dataset, np.nonzero(real)[0])


def test_an_interrupted_run_goes_on(run, tmp_path, monkeypatch):
    target = tmp_path / "a"
    write = module._write_npz
    calls = []

    def interrupted(file, sims):
        calls.append(file)
        if len(calls) == 2:
            raise KeyboardInterrupt
        write(file, sims)

    monkeypatch.setattr(module, "_write_npz", interrupted)
    code, _ = run(target, *OPTIONS, "--format", "npz", "--quiet")
    assert code != 0
    monkeypatch.setattr(module, "_write_npz", write)
    code, error = run(target, *OPTIONS, "--format", "npz", "--quiet")
    assert code == 2
    assert "--resume" in error
    code, error = run(target, *OPTIONS, "--format", "npz", "--quiet", "--seed", 4, "--resume")
    assert code == 2
    assert "was begun with seed 3" in error
    before = (target / "part-000000.npz").stat().st_mtime_ns
    assert run(target, *OPTIONS, "--format", "npz", "--quiet", "--resume")[0] == 0
    assert (target / "part-000000.npz").stat().st_mtime_ns == before
    assert sorted(file.name for file in target.iterdir()) == [
        "part-000000.npz",
        "part-000001.npz",
        "part-000002.npz",
        "simulation.json",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--groups", "many"), "--groups must be a number"),
        (("--totals", "5:2"), "low <= high"),
        (("--alpha", "normal:1"), "--alpha must be one of"),
    ],
)
def test_bad_options(run, tmp_path, options, message):
    code, error = run(tmp_path / "a", *options)
    assert code == 2
    assert message in error
    assert not (tmp_path / "a").exists()
