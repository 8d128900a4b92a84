"""`hbm-fast simulate`: parts, resuming, refusing."""

import json

import numpy as np
import pytest

import hbm_fast as hbm

pytest.importorskip("typer")
from hbm_fast.cli import simulate as module


@pytest.fixture
def simulate(run):
    """Exit code and stderr of `hbm-fast simulate`."""

    def command(*arguments):
        code, _, err = run("simulate", *arguments)
        return code, " ".join(err.split())

    return command


OPTIONS = ("--datasets", 25, "--n-groups", "1:5", "--totals", "0:9", "--part", 10, "--theta", "--seed", 3)
SETTINGS = dict(n_groups=(1, 5), totals=(0, 9), rng=3)


def test_npz_parts_hold_the_stream(simulate, tmp_path):
    assert simulate(tmp_path / "a", *OPTIONS, "--format", "npz")[0] == 0
    parts = []
    for file in sorted((tmp_path / "a").glob("part-*.npz")):
        with np.load(file) as part:
            parts.append(dict(part))
    sims = hbm.simulate(hbm.HierarchicalModel(2), 25, **SETTINGS)
    assert [int(p["first"]) for p in parts] == [0, 10, 20]
    for name in ("counts", "log_alpha", "log_beta", "log_theta", "n_groups"):
        np.testing.assert_array_equal(np.concatenate([p[name] for p in parts]), getattr(sims, name))


def test_parquet_rows_are_groups(simulate, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    code, _ = simulate(tmp_path / "a", *OPTIONS)
    assert code == 0
    files = sorted((tmp_path / "a").glob("part-*.parquet"))
    columns = [parquet.read_table(file) for file in files]
    sims = hbm.simulate(hbm.HierarchicalModel(2), 25, **SETTINGS)
    real = np.arange(5) < sims.n_groups[:, None]
    count = np.concatenate([c["count_1"].to_numpy() for c in columns])
    np.testing.assert_array_equal(count, sims.counts[real][:, 1])
    dataset = np.concatenate([c["dataset"].to_numpy() for c in columns])
    np.testing.assert_array_equal(dataset, np.nonzero(real)[0])


def test_an_interrupted_run_goes_on(simulate, tmp_path, monkeypatch):
    target = tmp_path / "a"
    write = module.write_npz
    calls = []

    def interrupted(file, sims):
        calls.append(file)
        if len(calls) == 2:
            raise KeyboardInterrupt
        write(file, sims)

    monkeypatch.setattr(module, "write_npz", interrupted)
    options = (target, *OPTIONS, "--format", "npz", "--quiet")
    assert simulate(*options)[0] != 0
    monkeypatch.setattr(module, "write_npz", write)
    code, error = simulate(*options)
    assert code == 2
    assert "--resume" in error
    code, error = simulate(*options, "--seed", 4, "--resume")
    assert code == 2
    assert "was begun with seed 3" in error
    before = (target / "part-000000.npz").stat().st_mtime_ns
    assert simulate(*options, "--resume")[0] == 0
    assert (target / "part-000000.npz").stat().st_mtime_ns == before
    assert sorted(file.name for file in target.iterdir()) == [
        "part-000000.npz",
        "part-000001.npz",
        "part-000002.npz",
        "simulation.json",
    ]


@pytest.fixture
def npz(simulate, tmp_path):
    """A finished run in npz parts, and its options."""
    options = (tmp_path / "a", *OPTIONS, "--format", "npz", "--quiet")
    assert simulate(*options)[0] == 0
    return tmp_path / "a", options


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b'"x"', b"{", b"\xff\xfe", b"null", b"[" * 100_000])
def test_a_damaged_or_foreign_manifest_is_named(simulate, npz, content):
    folder, options = npz
    (folder / "simulation.json").write_bytes(content)
    code, error = simulate(*options, "--resume")
    assert code == 2
    assert error.startswith("hbm-fast: error: --resume: ")
    assert "simulation.json" in error
    (folder / "simulation.json").write_text("{}")
    assert "was begun with datasets None" in simulate(*options, "--resume")[1]


@pytest.mark.parametrize("format", ["npz", "parquet"])
def test_a_damaged_part_is_named_and_made_again(simulate, tmp_path, format):
    if format == "parquet":
        pytest.importorskip("pyarrow")
    options = (tmp_path / "a", *OPTIONS, "--format", format, "--quiet")
    assert simulate(*options)[0] == 0
    part = tmp_path / "a" / f"part-000001.{format}"
    whole = part.read_bytes()
    for damaged in (whole[:-9], whole[:200] + bytes([whole[200] ^ 1]) + whole[201:], b""):
        part.write_bytes(damaged)
        code, error = simulate(*options, "--resume")
        assert code == 2
        assert f"part-000001.{format}" in error
        assert "delete the file" in error
    part.unlink()
    assert simulate(*options, "--resume")[0] == 0
    assert part.stat().st_size == len(whole)


def test_two_runs_at_once_do_not_meet(simulate, tmp_path, monkeypatch):
    options = (tmp_path / "a", *OPTIONS, "--format", "npz", "--quiet")
    save = np.savez_compressed
    calls = []

    def slow(stream, **arrays):
        calls.append(stream)
        if len(calls) == 1:  # while the first run writes its first part, another makes the whole folder
            stream.write(b"half")
            assert simulate(*options, "--resume")[0] == 0
            stream.seek(0)
        save(stream, **arrays)

    monkeypatch.setattr(np, "savez_compressed", slow)
    assert simulate(*options)[0] == 0
    names = sorted(file.name for file in (tmp_path / "a").iterdir())
    assert names == ["part-000000.npz", "part-000001.npz", "part-000002.npz", "simulation.json"]
    sims = hbm.simulate(hbm.HierarchicalModel(2), 25, **SETTINGS)
    parts = [np.load(tmp_path / "a" / name)["counts"] for name in names[:3]]
    np.testing.assert_array_equal(np.concatenate(parts), sims.counts)


def test_a_killed_start_can_begin_again(simulate, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".simulation.unfinished-0123456789ab.json").write_text("{")
    assert simulate(tmp_path / "a", *OPTIONS, "--format", "npz", "--quiet", "--resume")[0] == 0


def test_the_former_name_of_an_option(simulate, tmp_path):
    options = ("--datasets", 5, "--format", "npz", "--quiet")
    assert simulate(tmp_path / "a", *options, "--n-groups", "1:5") == (0, "")
    code, warning = simulate(tmp_path / "b", *options, "--groups", "1:5")
    assert (code, warning.strip()) == (0, "hbm-fast: warning: --groups is now --n-groups 1:5")
    assert (tmp_path / "a" / "part-000000.npz").read_bytes() == (tmp_path / "b" / "part-000000.npz").read_bytes()
    code, error = simulate(tmp_path / "c", *options, "--groups", "5", "--n-groups", "5")
    assert code == 2
    assert "--groups is the former name of --n-groups" in error


def test_a_line_of_the_log_at_each_tenth(simulate, tmp_path):
    log = tmp_path / "log.jsonl"
    options = ("--datasets", 40, "--part", 2, "--format", "npz", "--quiet", "--log", log)
    assert simulate(tmp_path / "a", *options) == (0, "")
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [entry["done"] for entry in entries] == list(range(4, 41, 4))
    assert {(entry["command"], entry["total"]) for entry in entries} == {("simulate", 40)}
    assert all(entry["metrics"]["datasets_per_second"] > 0.0 for entry in entries)
