"""What all commands have in common: help with an example, one line for mistakes, JSON, exit codes, completion."""

import dataclasses
import json
import os
import shlex
import subprocess
import sys

import pytest

import interpreter

typer = pytest.importorskip("typer")
from hbm_fast.cli import simulate as simulate_module  # noqa: E402
from hbm_fast.cli.app import app  # noqa: E402

COMMANDS = sorted(info.callback.__name__ for info in app.registered_commands)


def test_all_commands_are_registered():
    expected = {"demo", "simulate", "sample", "fit", "train", "infer", "benchmark", "report", "config"}
    assert expected <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(run, command):
    code, out, err = run(command, "--help")
    assert (code, err) == (0, "")
    assert f"Example: hbm-fast {command}" in " ".join(out.split())


def test_no_command_shows_the_help(run):
    _, out, err = run()
    assert "simulate" in out + err
    assert "Traceback" not in out + err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sampel", "x.csv"], "'sampel' is no command; did you mean sample? (hbm-fast --help)"),
        (["--nothing"], "--nothing is no option of hbm-fast (hbm-fast --help)"),
        (["config", "--jsno"], "--jsno is no option of hbm-fast config; did you mean --json?"),
        (["sample", "x.csv", "--drws", "3"], "--drws is no option of hbm-fast sample; did you mean --draws?"),
        (["sample", "--draws"], "--draws needs a value, a whole number, 1 or more; none came"),
        (["sample", "x.csv", "--quiet=3"], "--quiet takes no value; got '--quiet=3'"),
        (["sample", "x.csv", "y.csv"], "hbm-fast sample takes one DATA; got 'y.csv' too"),
        (["config", "x"], "hbm-fast config takes no file; got 'x' too"),
        (["infer"], "DATA is missing: give a table of counts, as in: hbm-fast infer counts.csv"),
        (["train"], "OUT is missing: give the file to write, as in: hbm-fast train"),
        (["regress", "x.csv"], "--mean is missing: give a formula, such as '~ group + age'"),
        (["train", "x.safetensors", "--steps", "many"], "--steps must be a whole number, 1 or more; got 'many'"),
        (["train", "x.safetensors", "--minutes=-1"], "--minutes must be a number, 0.001 or more; got '-1'"),
        (["simulate", "x", "--datasets", "0"], "--datasets must be a whole number, 1 or more; got '0'"),
        (["simulate", "x", "--n-groups", "many"], "--n-groups must be a number"),
        (["simulate", "x", "--totals", "5:2"], "low <= high"),
        (["simulate", "x", "--alpha", "normal:1"], "--alpha must be one of"),
        (["simulate", "x", "--log", "log.txt"], "--log must end in .jsonl"),
        (["simulate", "x", "--format", "tall"], "--format must be one of parquet, npz; got 'tall'"),
        (["infer", "absent.csv"], "DATA: there is no file or folder 'absent.csv'"),
        (["sample", "x.csv", "--log", "x.txt"], "--log must end in .jsonl; got 'x.txt'"),
        (["benchmark", "--threads", "0"], "--threads must be a whole number, 1 or more; got '0'"),
        (["train", "x.txt"], "OUT must end in .safetensors"),
        (["report", "--out", "x.txt"], "--out must end in .html"),
        (["report", "--results", "absent"], "--results: the folder 'absent' does not exist"),
    ],
)
def test_mistakes_are_one_line_and_code_2(refuse, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    refuse(message, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_without_force(run, tmp_path):
    for name in ("demo/results.json", "benchmark/amortized_vs_mcmc.json", "question2/results.json"):
        file = tmp_path / name
        file.parent.mkdir()
        file.write_text("keep me")
        code, _, err = run(file.parent.name, "--out", file.parent)
        assert code == 2
        assert (err.count("\n"), "--force" in err) == (1, True)
        assert file.read_text() == "keep me"
    for command, name in (("train", "net.safetensors"), ("report --out", "page.html")):
        (tmp_path / name).write_text("keep me")
        code, _, err = run(*command.split(), tmp_path / name)
        assert code == 2
        assert err.startswith("hbm-fast: error: ")
        assert (err.count("\n"), "pass --force" in err) == (1, True)
        assert (tmp_path / name).read_text() == "keep me"


def test_json_of_simulate_and_config(run, tmp_path):
    code, out, err = run("simulate", tmp_path / "bags", "--datasets", 5, "--format", "npz", "--json", "--quiet")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["parts"], found["datasets"]) == (1, 5)
    assert json.loads(run("config", "--json")[1])["stream_version"] == found["stream_version"]


def test_json_of_train_and_infer(run, tmp_path):
    pytest.importorskip("torch")
    target = tmp_path / "net.safetensors"
    options = ["--steps", 3, "--n-groups", "1:5", "--totals", "0:5"]
    code, out, err = run("train", target, *options, "--json", "--quiet")
    assert code == 0
    assert err.startswith("hbm-fast: warning: the network's own draws are not calibrated")  # after three steps
    assert err.count("\n") == 1
    found = json.loads(out)
    assert (found["network"], found["training"]["steps"]) == (str(target), 3)
    (tmp_path / "bags.csv").write_text("white,black\n3,0\n0,4\n")
    code, out, _ = run("infer", tmp_path / "bags.csv", "--network", target, "--draws", 50, "--json")
    assert code == 0
    assert json.loads(out)["path"] in ("importance", "sampler")


def test_ctrl_c_is_code_130_and_says_how_to_go_on(run, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(simulate_module, "write_npz", interrupted)
    code, out, err = run("simulate", tmp_path / "bags", "--datasets", 5, "--format", "npz", "--quiet")
    assert (code, out) == (130, "")
    again = f"hbm-fast simulate {tmp_path / 'bags'} --datasets 5 --format npz --quiet --resume"
    assert err == (
        f"hbm-fast: interrupted; 0 of 5 datasets are in {tmp_path / 'bags'}, in whole files\n"
        f"hbm-fast: go on with: {again}\n"
    )
    monkeypatch.undo()
    assert run(*shlex.split(again)[1:]) == (0, "", "")
    assert sorted(file.name for file in (tmp_path / "bags").iterdir()) == ["part-000000.npz", "simulation.json"]


@pytest.mark.skipif(os.name != "posix", reason="pipes that close")
def test_a_reader_that_goes_away_is_no_traceback():
    program = "import sys; sys.argv = ['hbm-fast', 'sample', '--help']; from hbm_fast.cli import main; main()"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        err = process.stderr.read()
    assert b"Traceback" not in err


@pytest.mark.parametrize(
    ("shell", "words"), [("bash", "hbm-fast sim"), ("zsh", "hbm-fast sim"), ("fish", "hbm-fast sim")]
)
def test_shells_complete_the_commands(shell, words):
    program = "import sys; sys.argv = ['hbm-fast']; from hbm_fast.cli import main; main()"
    environment = {"_HBM_FAST_COMPLETE": f"complete_{shell}", "COMP_WORDS": words, "COMP_CWORD": "1"}
    environment |= {"_TYPER_COMPLETE_ARGS": words, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    found = interpreter.run(program, **environment)
    assert "simulate" in found.stdout
    assert "sample" not in found.stdout
    assert found.stderr == ""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("Unable to allocate 26.8 GiB"),
        FloatingPointError("the loss"),
        RuntimeError("of torch"),
    ],
)
def test_what_does_not_fit_is_one_line(refuse, tmp_path, monkeypatch, error):
    def fails(*_):
        raise error

    monkeypatch.setattr(simulate_module, "write_npz", fails)
    refuse(str(error), "simulate", tmp_path / "bags", "--datasets", 5, "--format", "npz", "--quiet")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        '{"kind": "amortized_vs_mcmc"}',
        '{"kind": "amortized_vs_mcmc", "works": [{}], "title": "x"}',
        '{"kind": "amortized_vs_mcmc", "works": [], "machine": {"cpu": 1}, "date": 1, "versions": {}}',
        '{"kind": "amortized_vs_mcmc", "works": 3}',
    ],
)
def test_results_of_another_origin_are_named(tmp_path, content):
    pytest.importorskip("matplotlib")
    from hbm_fast.experiments import report

    (tmp_path / "a.json").write_text('{"kind": "other"}')
    (tmp_path / "b.json").write_text(content)
    with pytest.raises(ValueError, match=r"b\.json: not what `hbm-fast benchmark` saves"):
        report.write(tmp_path / "page.html", results=tmp_path, n_calibration=21)
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"rows": 3}', '{"rows": [{"group": "default"}]}', '{"rows": [[1]]}', "\xff"]
)
def test_rows_of_another_origin_are_named(tmp_path, content):
    pytest.importorskip("torch")
    from hbm_fast.experiments import question_two

    (tmp_path / "results.json").write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match=r"results\.json: not the results of `hbm-fast question2`"):
        question_two.read(tmp_path / "results.json")
    row = question_two.Row("default", 2, 2, "exp", "dirichlet", "full", "dreg", 0, 1, *[1.0] * 11, [1.0, 0.5])
    text = json.dumps({"rows": [dataclasses.asdict(row)]})
    (tmp_path / "results.json").write_text(text)
    assert question_two.read(tmp_path / "results.json") == [row]
    (tmp_path / "results.json").write_text(text.replace('"steps": 1', '"steps": "many"'))
    with pytest.raises(ValueError, match=r"results\.json.*steps is 'many'"):
        question_two.read(tmp_path / "results.json")


def test_without_typer_the_extra_is_named():
    hidden = "import sys; sys.modules['typer'] = None; sys.argv = ['hbm-fast']; "
    for program, code in (("import hbm_fast.cli.app", 1), ("from hbm_fast.cli import main; main()", 2)):
        ran = interpreter.run(hidden + program)
        assert ran.returncode == code
        assert "typer is not installed: pip install 'hbm-fast[cli]'" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_without_torch_the_extra_is_named(tmp_path):
    pytest.importorskip("matplotlib")
    program = "import sys; sys.modules['torch'] = None; sys.argv = ['hbm-fast', 'question2', '--out', sys.argv[1]]; "
    program += "from hbm_fast.cli import main; main()"
    ran = interpreter.run(program, tmp_path / "out")
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert "torch is needed here and is not installed: pip install 'hbm-fast[amortize]'" in ran.stderr


def test_train_goes_on_for_the_same_model_and_starts_from_weights_for_another(run, tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    options = ["--categories", 3, "--n-groups", "1:2", "--totals", "0:4", "--batch-size", 32, "--quiet"]
    assert run("train", first, *options, "--seed", 5, "--steps", 4, "--pause-at", 2)[0] == 0
    code, _, err = run("train", second, "--resume", first, "--steps", 4, "--alpha", "gamma:400,20", "--quiet")
    assert code == 2
    assert err.count("\n") == 1
    assert "alpha=Exponential" in err
    assert "alpha=Gamma" in err
    assert "--init-from" in err
    assert not second.exists()
    code, out, err = run("train", second, "--resume", first, "--steps", 4, "--quiet", "--json")
    assert (code, json.loads(out)["training"]["steps"]) == (0, 4)
    assert err.startswith("hbm-fast: warning: the network's own draws are not calibrated")  # after four steps
    code, _, err = run("train", second, "--resume", first, "--steps", 4, "--seed", 6, "--quiet", "--force")
    assert (code, "warning: --seed is ignored: --resume goes on" in err) == (0, True)
    started = ["--init-from", first, "--steps", 1, "--alpha", "gamma:400,20", "--quiet", "--force"]
    assert run("train", second, *started)[0] == 0
    from hbm_fast import amortize

    network = amortize.load(second)
    assert (network.n_groups, network.totals, str(network.model.alpha)) == (
        (1, 2),
        (0, 4),
        "Gamma(shape=400.0, rate=20.0)",
    )
    if not torch.cuda.is_available():
        code, _, err = run("train", second, "--steps", 1, "--device", "cuda", "--force")
        assert (code, err.count("\n"), "torch sees no GPU" in err) == (2, 1, True)
