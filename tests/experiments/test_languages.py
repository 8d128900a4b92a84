"""The experiment with written languages: the shipped network, its rivals, generated text, the study and its page."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

import hbm_fast as hbm

pytest.importorskip("torch")
pytest.importorskip("safetensors")

from hbm_fast.datasets.text import LETTERS, letter_chains
from hbm_fast.experiments import languages, languages_methods, languages_page, languages_study
from hbm_fast.experiments.languages_families import FAMILIES

GUIDE = Path(__file__).parents[2] / "docs" / "guide"
LANGS = hbm.datasets.load_languages()


@pytest.fixture(scope="module")
def emb():
    return hbm.embedding.load("languages")


def posterior(emb, name, n):
    return emb.sample(letter_chains(LANGS.utterances[LANGS.index(name)][:n]), rng=0)


# the shipped network ------------------------------------------------------------------------------------------------
def test_the_network_learned_from_the_languages_to_learn_from_alone(emb):
    assert emb.names == tuple(LANGS.names[i] for i in np.flatnonzero(LANGS.split == 0))
    assert (emb.shipped / "languages.safetensors").stat().st_size <= 600_000
    assert {str(weight.dtype) for weight in emb.network.state_dict().values()} == {"torch.float32"}


def test_a_network_is_saved_again_in_full(emb, tmp_path):
    emb.save(tmp_path / "again.safetensors")
    again = hbm.embedding.load(tmp_path / "again.safetensors")
    np.testing.assert_array_equal(again.places, emb.places)


def test_five_utterances_of_a_held_out_language(emb):
    shown = languages.demonstrate("turkish", 5, "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar")
    of = {}
    for row in shown.new:
        of.setdefault(row.relation, []).append(row.probability)
    assert len(of["same"]) == 2
    assert len(of["nearest relative"]) == 1
    assert min(of["same"]) > 0.9
    assert max(of["other"]) < 0.1
    assert of["yours"][0] > 0.9
    assert {"Gagauz", "South Azerbaijani"} & set(shown.nearest)
    assert json.loads(json.dumps(shown.record()))["examples"] == LANGS.utterances[LANGS.index("Turkish")][:5]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Icelandic", 1), "80 held-out languages; 'Icelandic' is one of those that the network learned from"),
        (("Faro", 1), "'Faro' is none of them: take one such as 'Faroese'"),
        (("Faroese", 1, "12 34"), "text must hold letters"),
        (("Faroese", 1, "всё"), "text must be in Latin script"),
    ],
)
def test_bad_languages_and_text(arguments, message):
    with pytest.raises(ValueError, match=message):
        languages.demonstrate(*arguments)


def test_the_nearest_relative():
    at = np.array([[1.0, 0.0], [0.5, 0.5], [0.8, 0.2], [0.0, 1.0]])
    assert [languages.nearest_relative(at, place) for place in range(4)] == [2, 2, 1, 1]


# generated text -----------------------------------------------------------------------------------------------------
def test_text_is_words_of_the_chain():
    chain = np.full((27, 27), 1.0 / 27)
    text = languages.chain_text(chain, np.zeros((27, 27, 27)), 40, np.random.default_rng(0))
    assert set(text) <= set(LETTERS)
    assert text == " ".join(text.split())
    assert 39 <= len(text) <= 80


def test_the_back_off_follows_the_triples():
    generator = np.random.default_rng(1)
    triples = languages.triples(["ab"])  # two spaces, a; a space, a, b; a, b, a space
    assert triples.sum() == 3
    drawn = [languages.chain_text(np.full((27, 27), 1 / 27), 1e9 * triples, 2, generator) for _ in range(5)]
    assert drawn == ["ab"] * 5
    # one count of a triple beside the weight 10 of the chain: (1 + 10 / 26) / 11 for b after " a"
    firsts = [languages.chain_text(np.full((27, 27), 1 / 27), triples, 2, generator)[:2] for _ in range(2000)]
    after_a = [text[1:2] or " " for text in firsts if text[0] == "a"]
    p = (1.0 + 10.0 / 27.0) / 11.0
    assert abs(np.mean([letter == "b" for letter in after_a]) - p) < 6.1 * np.sqrt(p * (1 - p) / len(after_a))


def test_generated_text_is_recognised(emb):
    names = ("Turkish", "Venda", "Slovak", "Somali", "Quechua, Cusco")
    chains = np.stack([LANGS.counts(name) for name in names])
    method = languages_methods.Learned(emb)
    others = list(method.given(chains[:, 20:].sum(1)))
    right = 0
    for i, chain in enumerate(method.proportions(chains[:, :20].sum(1))):
        triples = languages.triples(LANGS.utterances[LANGS.index(names[i])][:20])
        text = letter_chains(languages.chain_text(chain, triples, 60, np.random.default_rng(5)))
        right += int(np.argmax([scorer(text)[0] for scorer in others])) == i
    assert right >= 4


def test_a_text_depends_on_its_seed(emb):
    examples = LANGS.utterances[LANGS.index("Faroese")][:2]
    post = posterior(emb, "Faroese", 2)
    texts = [languages.generate(post, examples, length=20, rng=rng) for rng in (0, 1, 0)]
    assert texts[0] == texts[2] != texts[1]
    chain = languages_methods.Learned(emb).proportions(letter_chains(examples).sum(0)[None])[0]
    np.testing.assert_allclose(chain, post.predict(), atol=0.05)  # other draws of the same posterior


# methods and measures -----------------------------------------------------------------------------------------------
def test_the_rivals_are_the_models_that_they_are_named_after():
    rng = np.random.default_rng(0)
    pooled, new = rng.integers(0, 9, (6, 2, 4)), rng.integers(0, 3, (5, 2, 4))
    learned = rng.integers(1, 9, (4, 2, 4))
    dirichlet = languages_methods.FittedDirichlet(learned)
    (scorer, *_) = dirichlet.given(pooled)
    a = dirichlet.concentration
    expected = hbm.log_likelihood(new, np.broadcast_to(a + pooled[0], new.shape), coefficient=False).sum(-1)
    np.testing.assert_allclose(scorer(new), expected, rtol=1e-10)
    mixture = languages_methods.Mixture(learned)
    (scorer, *_) = mixture.given(pooled)

    def log_p(x):
        x = np.broadcast_to(x, mixture.concentration.shape)
        return hbm.log_likelihood(x, mixture.concentration, coefficient=False).sum(-1)

    joint = [np.logaddexp.reduce(log_p(pooled[0] + x)) - np.logaddexp.reduce(log_p(pooled[0])) for x in new]
    np.testing.assert_allclose(scorer(new), joint, rtol=1e-9)
    (scorer, *_) = languages_methods.NaiveBayes().given(pooled)
    share = (pooled[0] + 0.1) / (pooled[0] + 0.1).sum(-1, keepdims=True)
    np.testing.assert_allclose(scorer(new), (new * np.log(share)).sum((1, 2)))
    for method in (dirichlet, mixture, languages_methods.NaiveBayes()):
        np.testing.assert_allclose(method.proportions(pooled).sum(-1), 1.0)


def test_the_measures():
    own, other = np.array([3.0, 1.0, 2.0]), np.array([0.0, 2.5])
    pairs = [(x > y) for x, y in itertools.product(own, other)]
    assert languages_methods.area_under_curve(own, other) == np.mean(pairs)
    rows = languages_methods.reliability(np.array([0.0, 5.0]), np.array([0.0, -5.0]))
    assert [row[2] for row in rows] == [1, 2, 1]
    assert rows[1][:2] == (0.5, 0.5)
    held_out = np.zeros((2, 60, 1, 2), np.int64)
    held_out[0, ..., 0], held_out[1, ..., 1] = 5, 5
    trial = languages_methods.Trial(held_out, held_out[::-1, :20])
    method = languages_methods.FittedDirichlet(np.array([[[9, 1]], [[1, 9]], [[5, 4]]]))
    found = languages_methods.measures(languages_methods.score(method, trial, 5), trial)
    assert found["which"] == found["auc"] == found["auc_relative"] == found["balanced"] == 1.0
    assert found["relative_taken_for_own"] == 0.0
    assert found["nats"] > found["nats_without"]


def test_families_are_of_languages_that_exist():
    assert set(FAMILIES) <= set(LANGS.codes)


# the study and its page ---------------------------------------------------------------------------------------------
def test_a_study_goes_on(tmp_path, monkeypatch):
    measured = []

    def parts(study, n_seeds):
        return {f"part {i}": lambda i=i: measured.append(i) or {"value": i} for i in range(n_seeds)}

    monkeypatch.setattr(languages_study, "Study", object)
    monkeypatch.setattr(languages_study, "parts", parts)
    languages_study.run(tmp_path / "results.json", 1, report=str)
    results = languages_study.run(tmp_path / "results.json", 3, report=str)
    assert measured == [0, 1, 2]
    assert {name: part["value"] for name, part in results["parts"].items()} == {f"part {i}": i for i in range(3)}
    assert json.loads((tmp_path / "results.json").read_text()) == results


@pytest.mark.skipif(not GUIDE.exists(), reason="the tests run without the sources, beside an installed wheel")
def test_the_page_is_what_the_results_give(tmp_path):
    pytest.importorskip("matplotlib")
    results = json.loads((GUIDE / "languages" / "results.json").read_text(encoding="utf-8"))
    assert languages_page.render(results, "languages") == (GUIDE / "languages.md").read_text(encoding="utf-8")
    languages_page.languages_plots.draw(results["parts"], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        path.name for path in (GUIDE / "languages").glob("*.png")
    )
