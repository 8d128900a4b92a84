"""The packaged languages: their size, their split, and letter chains that agree with the text."""

import copy
import pickle

import numpy as np
import pytest

import hbm_fast as hbm

LANGUAGES = hbm.datasets.load_languages()


def test_the_languages_and_their_split():
    assert len(LANGUAGES) == len(LANGUAGES.names) == len(set(LANGUAGES.names)) == len(set(LANGUAGES.codes)) == 341
    assert np.bincount(LANGUAGES.split).tolist() == [231, 30, 80]
    # the split is that of the random order of numpy's generator 0
    assert set(np.flatnonzero(LANGUAGES.split == 2)) == set(np.random.default_rng(0).permutation(341)[:80])
    assert (np.abs(LANGUAGES.latitude) <= 90).all()
    assert (np.abs(LANGUAGES.longitude) <= 180).all()
    faroese = LANGUAGES.index("Faroese")
    assert LANGUAGES.codes[faroese] == "fao"
    assert LANGUAGES.latitude[faroese] == pytest.approx(62, abs=1)


def test_utterances_are_folded_words_of_about_forty_letters():
    assert {len(utterances) for utterances in LANGUAGES.utterances} == {60}
    text = [utterance for utterances in LANGUAGES.utterances for utterance in utterances]
    assert set("".join(text)) == set(hbm.datasets.text.LETTERS)
    assert all(hbm.datasets.text.fold(utterance) == utterance for utterance in text[::50])
    assert np.mean([len(utterance) for utterance in text]) == pytest.approx(41, abs=0.5)


def test_counts_are_the_letters_of_the_utterances():
    place = LANGUAGES.index("Faroese")
    counts = LANGUAGES.counts("Faroese")
    assert counts.shape == (60, 27, 27)
    np.testing.assert_array_equal(counts, LANGUAGES.counts(place))
    np.testing.assert_array_equal(LANGUAGES.letters(place), counts.sum(1))
    for utterance, letters in zip(LANGUAGES.utterances[place], LANGUAGES.letters(place), strict=True):
        expected = [utterance.count(letter) for letter in hbm.datasets.text.LETTERS]
        expected[0] += 1  # the space behind the last word
        assert letters.tolist() == expected
    assert LANGUAGES.index(-1) == 340


def test_a_language_that_there_is_not():
    with pytest.raises(ValueError, match=r"language must be one of 341 names; got 'Faro'.*'Faroese'"):
        LANGUAGES.counts("Faro")
    with pytest.raises(IndexError, match=r"language must be below 341, the number of languages; got 341"):
        LANGUAGES.letters(341)
    with pytest.raises(TypeError, match=r"language must be an integer; got 1\.5"):
        LANGUAGES.counts(1.5)


def test_languages_show_their_number_and_their_source():
    assert "341 written languages" in repr(LANGUAGES)
    assert repr(LANGUAGES) in LANGUAGES._repr_html_()
    assert "Human Rights" in LANGUAGES.source
    assert "MIT" in LANGUAGES.licence
    for again in (copy.deepcopy(LANGUAGES), pickle.loads(pickle.dumps(LANGUAGES))):
        assert again.utterances == LANGUAGES.utterances
