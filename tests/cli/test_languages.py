"""`hbm-fast languages`: one held-out language in a terminal, as JSON, and what it refuses."""

import json

import pytest

pytest.importorskip("typer")
pytest.importorskip("torch")
pytest.importorskip("safetensors")


def test_the_answer_fits_a_terminal(run):
    text = "Everyone has the right to freedom of peaceful assembly and association, and to work."
    code, out, err = run("languages", "--language", "Huastec (Sierra de Otontepec)", "--examples", 2, "--text", text)
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    assert "Given 2 sentences of Huastec (Sierra de Otontepec)" in out
    for part in ("* its nearest relative", "back-off from trigrams", "Nearest languages", "your text", "English"):
        assert part in out


def test_json(run):
    code, out, err = run("languages", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["command"], found["language"], found["n_learned"]) == ("languages", "Faroese", 231)
    assert len(found["examples"]) == 1
    assert all(0.0 <= row["probability"] <= 1.0 for row in found["new"])
    assert [row["relation"] for row in found["new"]] == ["same"] * 2 + ["nearest relative"] + ["other"] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--examples", "3"], "--examples must be one of 1, 2, 5, 20; got '3'"),
        (["--language", "Klingon"], "language must be one of the 80 held-out languages"),
        (["--text", "привет"], "text must be in Latin script"),
        (["--text", "?!"], "text must hold letters"),
        (["--page", "page.html"], "--page must end in .md"),
        (["--page", "absent/page.md"], "--page: the folder 'absent' does not exist"),
    ],
)
def test_mistakes(refuse, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    refuse(message, "languages", *arguments)
    assert list(tmp_path.iterdir()) == []
