"""`hbm-fast sample` and `hbm-fast fit`: files in, files out, mistakes in one line, Ctrl-C keeps the draws."""

import csv
import errno
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import hbm_fast as hbm
from hbm_fast import priors

pytest.importorskip("typer")
from hbm_fast.cli import sample as sample_module
from hbm_fast.cli.priors import parse_alpha

posix = pytest.mark.skipif(os.name != "posix", reason="signals")


@pytest.fixture
def pollen(tmp_path):
    data = hbm.datasets.load_pollen()
    file = tmp_path / "pollen.csv"
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["sample", *data.category_names])
        writer.writerows([name, *row] for name, row in zip(data.group_names, data.counts.tolist(), strict=True))
    return file


# fit -------------------------------------------------------------------------------------------------------


def test_fit_prints_the_table(run, pollen):
    code, out, err = run("fit", pollen)
    assert (code, err) == (0, "")
    assert "Pinus" in out
    assert "-507.8220" in out
    assert "differ more than a multinomial" in out


def test_fit_writes_csv_json_and_a_figure(run, pollen, tmp_path):
    expected = hbm.fit(hbm.datasets.load_pollen().counts)
    for name in ("fit.csv", "fit.json"):
        assert run("fit", pollen, "--out", tmp_path / name)[0] == 0
    with (tmp_path / "fit.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["category"] for row in rows] == ["Pinus", "Abies", "Quercus", "Alnus"]
    assert [float(row["concentration"]) for row in rows] == expected.concentration.tolist()
    found = json.loads((tmp_path / "fit.json").read_text())
    assert found["log_likelihood"] == expected.log_likelihood
    assert found["parameters"]["concentration[Pinus]"]["mean"] == expected.concentration[0]
    assert found["parameters"]["concentration[Pinus]"]["sd"] == expected.standard_error[0]
    code, out, _ = run("fit", pollen, "--json", "--prior", "0.1,0.1", "--figure", tmp_path / "fit.png")
    assert json.loads(out)["prior"] == "Gamma(shape=0.1, rate=0.1)"
    assert code == 0
    assert (tmp_path / "fit.png").read_bytes().startswith(b"\x89PNG")


def test_fit_of_a_frequency_table(run, tmp_path):
    data = hbm.datasets.load_saxony_families()
    rows = np.column_stack([data.counts, data.weights])
    file = tmp_path / "saxony.csv"
    file.write_text("boys,girls,frequency\n" + "\n".join(",".join(map(str, row)) for row in rows.tolist()))
    code, out, _ = run("fit", file, "--json")
    assert code == 0
    assert json.loads(out)["log_likelihood"] == pytest.approx(-12492.871359, abs=1e-6)


def test_fit_of_multinomial_data_says_so(run, tmp_path):
    file = tmp_path / "even.csv"
    file.write_text("white,black\n5,5\n5,5\n4,6\n")
    code, out, _ = run("fit", file)
    assert code == 0
    assert "multinomial does as well" in out
    found = json.loads(run("fit", file, "--json")[1])
    assert (found["outcome"], found["alpha"]) == ("infinity", None)
    code, out, err = run("fit", file, "--figure", tmp_path / "f.png")
    assert (code, "multinomial does as well" in out, "nothing to draw" in err) == (2, True, True)


def test_fit_words_its_conclusion_by_the_p_value(run, tmp_path):
    # p = 0.22, 0.0042 and 2e-10
    file = tmp_path / "table.csv"
    for rows, conclusion in [
        ("5,5\n3,7\n8,2\n", "a multinomial does as well"),
        ("5,5\n1,9\n9,1\n", "the groups may differ more than a multinomial allows"),
        ("0,10\n10,0\n0,10\n9,1\n", "the groups differ more than a multinomial allows"),
    ]:
        file.write_text("white,black\n" + rows)
        assert " ".join(run("fit", file)[1].split()).endswith(conclusion)


# sample ----------------------------------------------------------------------------------------------------


def test_sample_is_hbm_sample(run, pollen, tmp_path):
    code, out, err = run("sample", pollen, "--draws", 200, "--chains", 2, "--seed", 7, "--out", tmp_path / "d.csv")
    assert code == 0, err
    assert "beta[Pinus]" in out
    post = hbm.sample(hbm.datasets.load_pollen().counts, n_draws=200, n_chains=2, rng=7)
    with (tmp_path / "d.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 400
    assert [float(row["alpha"]) for row in rows[:200]] == post.alpha[0].tolist()
    assert [float(row["beta[Alnus]"]) for row in rows[200:]] == post.beta[1, :, 3].tolist()


def test_sample_writes_netcdf_json_groups_and_a_figure(run, pollen, tmp_path):
    arviz = pytest.importorskip("arviz")
    options = ["--draws", 150, "--chains", 2, "--quiet"]
    names = {"--out": "d.nc", "--groups": "g.csv", "--figure": "f.png"}
    files = {option: tmp_path / name for option, name in names.items()}
    code, _, err = run("sample", pollen, *options, *(item for pair in files.items() for item in pair))
    assert code == 0, err
    stored = arviz.from_netcdf(str(files["--out"]))
    assert stored.posterior["alpha"].shape == (2, 150)
    assert stored.posterior["beta"].shape == (2, 150, 4)
    with files["--groups"].open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 74 * 4
    assert (rows[0]["group"], rows[0]["category"], rows[0]["count"]) == ("sample 1", "Pinus", "94")
    assert rows[-1]["group"] == "(new group)"
    assert all(float(row["lower"]) <= float(row["mean"]) <= float(row["upper"]) for row in rows[:4])
    assert files["--figure"].stat().st_size > 5000
    code, out, _ = run("sample", pollen, *options, "--json", "--out", tmp_path / "d.json")
    assert code == 0
    assert json.loads(out) == json.loads((tmp_path / "d.json").read_text())
    assert json.loads(out)["parameters"]["beta[Pinus]"]["mean"] == pytest.approx(0.86, abs=0.02)


def test_sample_exact_with_a_prior(run, tmp_path):
    file = tmp_path / "one.csv"
    file.write_text("white,black\n0,1\n")
    found = json.loads(run("sample", file, "--method", "exact", "--alpha", "gamma:2,0.5", "--json")[1])
    # one draw is no evidence about alpha: its mean is that of the prior
    assert found["parameters"]["alpha"]["mean"] == pytest.approx(4.0, rel=1e-6)
    assert found["parameters"]["beta[black]"]["mean"] == pytest.approx(2 / 3, rel=1e-6)


def test_sample_of_a_frequency_table(run, tmp_path):
    file = tmp_path / "families.csv"
    file.write_text("boys,girls,weight\n3,1,40\n0,4,7\n2,2,30\n")
    exact = json.loads(run("sample", file, "--method", "exact", "--json")[1])["parameters"]["log_alpha"]
    drawn = json.loads(run("sample", file, "--json", "--draws", 3000)[1])["parameters"]["log_alpha"]
    assert abs(drawn["mean"] - exact["mean"]) < 6 * drawn["sd"] / drawn["ess"] ** 0.5
    code, _, err = run("sample", file, "--groups", tmp_path / "g.csv")
    assert code == 2
    assert "frequency table" in err


def test_blocks_depend_on_the_table_alone_and_hold_every_draw(monkeypatch, run, pollen):
    counts = hbm.datasets.load_pollen().counts
    assert list(sample_module.block_sizes(counts, 1000, 4)) == [1000]
    monkeypatch.setattr(sample_module, "_ENTRIES_A_BLOCK", 1)
    blocks = list(sample_module.block_sizes(counts, 2600, 4))
    assert sum(blocks) == 2600
    assert min(blocks) >= 500
    found = json.loads(run("sample", pollen, "--draws", 2600, "--json")[1])
    assert (found["n_draws"], found["interrupted"]) == (2600, False)
    # chains that start afresh in every block agree
    assert found["parameters"]["log_alpha"]["r_hat"] < 1.01


@pytest.fixture
def end_at(monkeypatch):
    """Blocks of 500 draws, and a signal before the block of the given number."""
    monkeypatch.setattr(sample_module, "_ENTRIES_A_BLOCK", 1)
    draw = sample_module.sample_counts

    def end(number, signal_number=signal.SIGINT):
        blocks = itertools.count(1)

        def sample_counts(*arguments, **options):
            if next(blocks) == number:
                signal.raise_signal(signal_number)
            return draw(*arguments, **options)

        monkeypatch.setattr(sample_module, "sample_counts", sample_counts)

    return end


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=posix)])
def test_ctrl_c_and_sigterm_keep_what_was_drawn(end_at, run, pollen, tmp_path, number, expected):
    end_at(3, number)
    code, out, err = run("sample", pollen, "--draws", 5000, "--out", tmp_path / "d.csv")
    assert code == expected
    assert "1000 of 5000 draws of each chain were kept" in err
    assert "d.csv" in err
    assert "beta[Pinus]" in out
    assert len((tmp_path / "d.csv").read_text().splitlines()) == 1 + 4 * 1000
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_ctrl_c_before_the_first_draws(end_at, run, pollen):
    end_at(1)
    code, _, err = run("sample", pollen, "--draws", 5000)
    assert code == 130
    assert "before the first draws" in err


@posix
def test_ctrl_c_from_outside(tmp_path):
    # a real SIGINT to a real process, once a tenth is announced as done
    rng = np.random.default_rng(0)
    counts = np.array([rng.multinomial(20_000, p) for p in rng.dirichlet(np.full(40, 0.5), size=60)])
    np.savez(tmp_path / "big.npz", counts=counts)
    out = tmp_path / "draws.csv"
    command = [sys.executable, "-m", "hbm_fast", "sample", str(tmp_path / "big.npz"), "--draws", "20000"]
    with subprocess.Popen(
        [*command, "--chains", "1", "--out", str(out)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        watchdog = threading.Timer(240, process.kill)
        watchdog.start()
        assert process.stderr is not None
        for line in process.stderr:
            if " draws)" in line:
                process.send_signal(signal.SIGINT)
                break
        stdout, stderr = process.communicate()
        watchdog.cancel()
    assert process.returncode == 130, stderr
    assert "were kept" in stderr
    assert "log_alpha" in stdout
    assert len(out.read_text().splitlines()) > 500


# mistakes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["sample", "fit"])
def test_mistakes_are_one_line_and_code_2(run, refuse, pollen, tmp_path, command):
    bad = tmp_path / "bad.csv"
    bad.write_text("group,white,black\na,1,2\nb,3,x\n")
    (tmp_path / "old.csv").write_text("keep me")
    for arguments, message in [
        ([bad], "bad.csv, line 3, column 'black': counts must be whole numbers; got 'x'"),
        ([tmp_path / "absent.csv"], "absent.csv"),
        ([tmp_path / "counts.xlsx"], "the ending must be"),
        ([pollen, "--layout", "long"], "the long form needs columns"),
        ([pollen, "--out", tmp_path / "d.txt"], "--out must end in"),
        ([pollen, "--out", tmp_path / "old.csv"], "pass --force"),
        ([pollen, "--out", tmp_path / "nowhere" / "d.csv"], "does not exist"),
        ([pollen, "--figure", tmp_path / "f.gif"], "--figure must end in"),
    ]:
        refuse(message, command, *arguments)
    assert (tmp_path / "old.csv").read_text() == "keep me"
    assert run(command, pollen, "--out", tmp_path / "old.csv", "--force")[0] == 0
    assert (tmp_path / "old.csv").read_text() != "keep me"
    assert run(command, pollen, "--layout", "tall")[0] == 2
    assert run(command)[0] == 2


def test_mistakes_in_priors(run, pollen):
    for alpha in ("gamma", "gamma:2", "gamma:2,x", "gamma:1,2,3", "gamma:-1,2", "uniform:1", "power:-1,3,2"):
        code, _, err = run("sample", pollen, "--alpha", alpha)
        assert code == 2, alpha
        assert "--alpha" in err
    assert run("fit", pollen, "--prior", "1")[0] == 2
    assert run("sample", pollen, "--method", "exact")[0] == 2  # K = 4


def test_priors_by_name():
    assert parse_alpha("exponential") == priors.Exponential(1.0)
    assert parse_alpha("gamma:2,0.5") == priors.Gamma(2.0, rate=0.5)
    assert parse_alpha("power:-1.5,0.01,1000") == priors.Power(-1.5, lower=0.01, upper=1000.0)
    assert parse_alpha("half-cauchy:2") == priors.HalfCauchy(2.0)
    assert parse_alpha("lomax") == priors.Lomax(0.5, 1.0)
    assert parse_alpha("fixed:3") == priors.Fixed(3.0)


# files and signals ---------------------------------------------------------------------------------------------------


@pytest.fixture
def full_disk(monkeypatch):
    """Writing ends as on a full disk, when the bytes are to reach it."""

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)


@pytest.mark.parametrize(
    ("command", "option", "name"),
    [
        ("sample", "--out", "draws.csv"),
        ("sample", "--out", "draws.nc"),
        ("sample", "--out", "draws.json"),
        ("sample", "--groups", "groups.csv"),
        ("sample", "--figure", "figure.png"),
        ("fit", "--out", "fit.csv"),
        ("fit", "--out", "fit.json"),
        ("fit", "--figure", "figure.pdf"),
    ],
)
def test_an_earlier_file_survives_a_full_disk(run, pollen, tmp_path, full_disk, command, option, name):
    if name.endswith(".nc"):
        pytest.importorskip("h5netcdf")
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / name).write_text("keep me")
    more = ["--draws", 50, "--chains", 2, "--quiet"] if command == "sample" else []
    code, _, err = run(command, pollen, option, folder / name, "--force", *more)
    assert code == 2
    assert "No space left on device" in err
    assert name in err
    assert len([line for line in err.splitlines() if "error" in line]) == 1
    assert "Traceback" not in err
    assert (folder / name).read_text() == "keep me"
    assert [file.name for file in folder.iterdir()] == [name]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 300 kB, where one may be mounted."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("name", ["draws.csv", "draws.nc"])
def test_a_disk_that_is_really_full(small_disk, pollen, name):
    if name.endswith(".nc"):
        pytest.importorskip("h5netcdf")
    (small_disk / name).write_text("keep me")
    command = [sys.executable, "-m", "hbm_fast", "sample", str(pollen), "--draws", "3000", "--quiet"]
    ran = subprocess.run(
        [*command, "--out", str(small_disk / name), "--force"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2, ran.stderr
    assert "No space left on device" in ran.stderr
    assert name in ran.stderr
    assert (small_disk / name).read_text() == "keep me"
    assert [file.name for file in small_disk.iterdir()] == [name]


def test_the_summary_after_ctrl_c_is_of_fewer_draws_and_comes_after_the_file(
    monkeypatch, end_at, run, pollen, tmp_path
):
    monkeypatch.setattr(sample_module, "_QUICK_VALUES", 4 * 6 * 1000)
    end_at(5)
    code, out, err = run("sample", pollen, "--draws", 5000, "--out", tmp_path / "d.csv", "--json")
    assert code == 130
    assert "the summary of every 2th draw" in err
    assert json.loads(out)["summary_of_every"] == 2
    assert len((tmp_path / "d.csv").read_text().splitlines()) == 1 + 4 * 2000

    def again(_):
        raise KeyboardInterrupt

    end_at(5)
    monkeypatch.setattr(hbm.Posterior, "summary", again)
    code, out, err = run("sample", pollen, "--draws", 5000, "--out", tmp_path / "e.csv")
    assert (code, out) == (130, "")
    assert len((tmp_path / "e.csv").read_text().splitlines()) == 1 + 4 * 2000


def test_large_weights_need_no_row_for_each_group(run, tmp_path):
    file = tmp_path / "families.csv"
    file.write_text("boys,girls,weight\n3,1,100000000\n0,4,200000000\n2,2,300000000\n")
    found = json.loads(run("sample", file, "--method", "exact", "--json")[1])
    mode = hbm.fit([[3, 1], [0, 4], [2, 2]], weights=[10**8, 2 * 10**8, 3 * 10**8])
    assert found["parameters"]["alpha"]["mean"] == pytest.approx(mode.alpha, rel=1e-4)
    pytest.importorskip("torch")
    code, out, err = run("infer", file)
    assert (code, out) == (2, "")
    assert "families.csv: the weights add up to 600000000 groups" in err
    file.write_text("boys,girls,weight\n3,1,9000000000000000000\n0,4,9000000000000000000\n")
    for command in (["sample", "--method", "exact"], ["infer"], ["fit"]):
        code, _, err = run(*command, file)
        assert code == 2
        assert "families.csv, line 2, column 'weight'" in err
