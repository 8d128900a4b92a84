"""Progress of long commands on a terminal of 80 columns and piped, their logs, and what Ctrl-C leaves."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

pytest.importorskip("typer")
from hbm_fast.cli import sample as sample_module
from hbm_fast.cli import train as train_module

TABLE = "group,white,black\n" + "".join(f"g{n},{n},{20 - n}\n" for n in range(20))
SIMULATE = ["--datasets", "400", "--part", "2", "--format", "npz"]


def terminal(*arguments, columns=80, cwd, **environment):
    """Exit code and output of a command whose stdin, stdout and stderr are a terminal."""
    pty, fcntl, termios, struct = (pytest.importorskip(name) for name in ("pty", "fcntl", "termios", "struct"))
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    given = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    given |= {"TERM": "xterm-256color", **environment}
    command = [sys.executable, "-m", "hbm_fast", *arguments]
    with subprocess.Popen(command, stdin=other, stdout=other, stderr=other, env=given, cwd=cwd) as process:
        os.close(other)
        output = b""
        while True:
            try:
                part = os.read(main, 65536)
            except OSError:  # the last process has closed it
                break
            if not part:
                break
            output += part
    os.close(main)
    return process.returncode, output.decode()


def lines_of(output):
    """Everything that was on one line of the terminal at some time."""
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", output)
    return [line for line in re.split(r"[\r\n]+", text) if line.strip()]


def test_a_terminal_has_one_line_of_80_columns(tmp_path):
    code, output = terminal("simulate", "bags", *SIMULATE, cwd=tmp_path)
    assert code == 0
    lines = lines_of(output)
    assert max(map(len, lines)) <= 80
    assert re.search(r"simulate \S+ +\d+% \S+ left  [\d,]+ datasets/s", "\n".join(lines))
    assert re.fullmatch(r"simulate ━+ 100% \d:\d\d:\d\d [\d,]+ datasets/s *", lines[-2])
    assert lines[-1] == "400 datasets in 200 parts: bags"
    assert re.search(r"\x1b\[3\d|\x1b\[38;", output)  # colours
    (tmp_path / "t.csv").write_text(TABLE)
    code, output = terminal(
        "sample", "t.csv", "--draws", "3000", "--method", "mh", columns=60, cwd=tmp_path, NO_COLOR="1"
    )
    assert code == 0
    bar = [line for line in lines_of(output) if "%" in line and "━" in line]
    assert max(map(len, bar)) <= 60
    assert "R-hat" in bar[-1]
    assert not re.search(r"\x1b\[[0-9;]*m", output.replace("\x1b[0m", "").replace("\x1b[1m", "").replace("\x1b[2m", ""))


def test_piped_progress_is_a_line_at_each_tenth(run, tmp_path):
    code, out, err = run("simulate", tmp_path / "bags", *SIMULATE)
    assert (code, out) == (0, f"400 datasets in 200 parts: {tmp_path / 'bags'}\n")
    lines = err.splitlines()
    assert [line.split()[2] for line in lines] == [f"{10 * n}%" for n in range(1, 11)]
    assert "(40 of 400 datasets)" in lines[0]
    assert all(line.endswith("datasets/s") for line in lines)
    assert "left" in lines[4]
    assert "left" not in lines[-1]
    assert "\x1b" not in err
    assert run("simulate", tmp_path / "quiet", *SIMULATE, "--quiet") == (0, "", "")


def test_sample_shows_r_hat_and_logs_each_tenth(run, monkeypatch, tmp_path):
    monkeypatch.setattr(sample_module, "_ENTRIES_A_BLOCK", 1)  # blocks of 500 draws
    (tmp_path / "t.csv").write_text(TABLE)
    log = tmp_path / "log.jsonl"
    code, out, err = run("sample", tmp_path / "t.csv", "--draws", 10_000, "--log", log)
    assert code == 0
    lines = [line for line in err.splitlines() if line.startswith("hbm-fast: sample")]
    assert [line.split()[2] for line in lines] == [f"{10 * n}%" for n in range(1, 11)]
    assert re.search(r"100% \(10000 of 10000 draws\), \S+, R-hat 1\.0\d\d$", lines[-1])
    assert "%" not in out.splitlines()[0]
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(entries) == 10
    assert all(list(entry) == ["command", "seconds", "done", "total", "metrics"] for entry in entries)
    assert [entry["done"] // 1000 for entry in entries] == list(range(1, 11))
    assert {(entry["command"], entry["total"]) for entry in entries} == {("sample", 10_000)}
    assert entries[-1]["metrics"]["r_hat"] == pytest.approx(1.0, abs=0.05)


TRAIN = ["--steps", 160, "--n-groups", "1:2", "--totals", "0:4", "--batch-size", 8, "--seed", 2]


@pytest.mark.filterwarnings("ignore:the network's own draws are not calibrated")
def test_train_shows_its_loss_logs_and_goes_on_after_ctrl_c(run, monkeypatch, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    out, log = tmp_path / "net.safetensors", tmp_path / "log.jsonl"
    progress = train_module.progress

    @contextmanager
    def pressed(*arguments, **options):
        with progress(*arguments, **options) as update:

            def press(done, *more, **keywords):
                update(done, *more, **keywords)
                if done == 48:
                    signal.raise_signal(signal.SIGINT)

            yield press

    monkeypatch.setattr(train_module, "progress", pressed)
    code, text, err = run("train", out, *TRAIN, "--log", log)
    assert (code, text) == (130, "")
    lines = err.splitlines()
    assert [line.split()[2] for line in lines[:-2]] == ["10%", "20%", "30%", "40%"]
    assert all(re.search(r"\(\d+ of 160 steps\), .*loss -?\d+\.\d{4}, KL \d", line) for line in lines[:-2])
    assert lines[-2] == f"hbm-fast: interrupted; {out} has the training up to step 64"
    command = shlex.split(lines[-1].removeprefix("hbm-fast: go on with: hbm-fast "))
    assert command == ["train", str(out), *map(str, TRAIN), "--log", str(log), "--resume", str(out), "--force"]
    monkeypatch.undo()
    code, text, err = run(*command)
    assert code == 0
    assert "160 steps" in text
    assert "ended after all steps" in text
    lines = [line for line in err.splitlines() if line.startswith("hbm-fast: train ")]
    assert [line.split()[2] for line in lines] == ["50%", "60%", "70%", "80%", "90%", "100%"]
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(entry["command"], entry["done"], entry["total"]) for entry in entries] == [
        ("train", done, 160) for done in range(16, 161, 16)
    ]
    assert all({"step", "seconds", "loss", "kl"} <= set(entry["metrics"]) for entry in entries)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["log.jsonl", "net.safetensors"]


def test_mixture_shows_its_evidence_and_a_quick_fit_nothing(run, tmp_path):
    file = tmp_path / "t.csv"
    file.write_text(TABLE)
    code, _, err = run("mixture", file, "--components", "1:2", "--starts", 2)
    assert code == 0
    assert re.search(r"hbm-fast: mixture 50% \(1 of 2 fits\).*", err)
    assert re.search(r"hbm-fast: mixture 100% \(2 of 2 fits\).*log evidence -\d+\.\d$", err, re.MULTILINE)
    assert run("fit", file)[2] == ""  # of less than a second


def test_question2_keeps_its_results_and_says_how_to_go_on(run, monkeypatch, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    from hbm_fast.experiments import question_two

    def interrupted(out, plan, *, report, **_):
        out.mkdir(exist_ok=True)
        if "--resume" not in sys.argv:
            report(0.5, len(plan), {"loss": 1.5})
            (out / "results.json").write_text("{}")
            report(1, len(plan), {"gap": 0.25})
        raise KeyboardInterrupt

    monkeypatch.setattr(question_two, "run_all", interrupted)
    options = ["--quick", "--out", tmp_path / "q", "--log", tmp_path / "log.jsonl"]
    code, out, err = run("question2", *options)
    assert (code, out) == (130, "")
    again = f"hbm-fast: go on with: hbm-fast question2 {' '.join(map(str, options))} --resume"
    assert err.splitlines()[-2:] == [
        f"hbm-fast: interrupted; 1 of 15 trainings of this run are in {tmp_path / 'q' / 'results.json'}",
        again,
    ]
    code, _, err = run("question2", *options, "--resume")
    assert err.splitlines() == ["hbm-fast: interrupted; no training of this run was finished", again]
