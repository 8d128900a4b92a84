"""tools/check_cuda.py, on the CPU."""

import importlib.util
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
PATH = Path(__file__).parents[2] / "tools" / "check_cuda.py"
if not PATH.is_file():
    pytest.skip("the tests run without the repository", allow_module_level=True)
specification = importlib.util.spec_from_file_location("check_cuda", PATH)
check_cuda = importlib.util.module_from_spec(specification)
specification.loader.exec_module(check_cuda)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_machine_without_a_gpu_is_named_in_one_line(capsys):
    assert check_cuda.main([]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), "torch sees no GPU" in err) == ("", 1, True)


def test_the_cpu_agrees_with_itself(capsys):
    checks = ["stream", "likelihood", "sample marbles", "resume", "train tabulated prior", "embed full"]
    assert check_cuda.main(["--device", "cpu", "--steps", "2", "--only", *checks]) == 0
    out = capsys.readouterr().out
    assert "all agree" in out
    assert all(f"\n{check} " in out for check in checks)


@pytest.mark.parametrize("value", [1.3, float("nan")])
def test_numbers_that_differ_are_named(value, capsys):
    assert check_cuda.report("train", {"KL": (1.0, 0.2)}, {"KL": (value, 0.2)}) == ["train: KL"]
    assert "NO" in capsys.readouterr().out


def test_checks_without_time_left_are_named(capsys):
    assert check_cuda.main(["--device", "cpu", "--minutes", "1e-9", "--only", "stream"]) == 1
    assert "stream (no time left)" in capsys.readouterr().out
