"""Folding of text and chains of letters."""

import numpy as np
import pytest

from hbm_fast.datasets.text import LETTERS, fold, letter_chains, utterances_of


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Tiếng Việt", "tieng viet"),
        ("STRASSE, Straße", "strasse strasse"),
        ("Æ þorn; ðað", "ae thorn dad"),
        ("l'état -- d’où", "letat dou"),
        ("Hawaiʻi", "hawaii"),
        ("ŋ ǝ ɓ ǃ", "n e b"),
        ("  two\n\tlines  ", "two lines"),
        ("Article 12.3", "article"),
        ("ﬁn", "fin"),
    ],
)
def test_folding(text, folded):
    assert fold(text) == folded
    assert fold(folded) == folded


def test_text_of_another_alphabet_is_refused_and_named():
    with pytest.raises(ValueError, match=r"must be in Latin script; .* the first is 'в' \(CYRILLIC SMALL LETTER VE\)"):
        fold("все люди")
    with pytest.raises(ValueError, match=r"CJK UNIFIED IDEOGRAPH"):
        fold("a name, and 人人生而自由")
    # one letter among a hundred is dropped, unless all of them must fold
    text = "a" * 99 + "я"
    assert fold(text) == "a" * 99
    with pytest.raises(ValueError, match=r"1 of its 100 characters"):
        fold(text, most_other=0.0)


@pytest.mark.parametrize("text", ["", "   ", "12 + 3 = 15", "?!"])
def test_text_without_letters_is_refused(text):
    with pytest.raises(ValueError, match=r"text must hold letters; got"):
        fold(text)


def test_what_is_not_text_is_refused():
    with pytest.raises(TypeError, match=r"text must be a str; got bytes"):
        fold(b"abc")
    with pytest.raises(TypeError, match=r"utterances\[1\]: text must be a str; got int"):
        letter_chains(["abc", 3])
    with pytest.raises(ValueError, match=r"utterances\[1\]: text must hold letters"):
        letter_chains(["abc", "..."])


def test_chains_count_every_pair_of_neighbours():
    text = "a cab and Bea"
    counts = letter_chains(text)
    assert counts.shape == (1, 27, 27)
    framed = f" {text.lower()} "
    for first in LETTERS:
        for second in LETTERS:
            expected = sum(framed[i : i + 2] == first + second for i in range(len(framed) - 1))
            assert counts[0, LETTERS.index(first), LETTERS.index(second)] == expected
    # every letter but the frame's is preceded and followed once
    np.testing.assert_array_equal(counts[0].sum(0), counts[0].sum(1))


def test_utterances_are_whole_words_of_a_length():
    words = "all human beings are born free and equal in dignity and rights"
    parts = utterances_of(words, length=20)
    assert parts == ["all human beings are", "born free and equal", "in dignity and rights"]
    # a rest of half the length is kept, a shorter one is left out
    assert utterances_of("ab cd", length=12) == ["ab cd"]
    assert utterances_of("ab cd", length=13) == []
    assert utterances_of("", length=13) == []
