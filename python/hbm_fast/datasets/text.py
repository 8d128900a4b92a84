"""Written text in Latin script as counts: folded to 26 letters and the space, then which letter follows which."""

import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LETTERS = " abcdefghijklmnopqrstuvwxyz"

# Letters that Unicode's decomposition (NFKD) does not take apart, by what they become.
_FOLDED = {
    "": "ƹǀǁǂǃʔʼꞌ",
    "a": "ɑʌ",
    "ae": "æ",
    "b": "ɓ",
    "c": "ȼ",
    "d": "ðđɖɗ",
    "e": "ǝəɛɜ",
    "f": "ƒ",
    "g": "ɠɡɣ",
    "h": "ħɦ",
    "i": "ıɨɩɪ",
    "j": "ɟ",
    "k": "ĸƙ",
    "l": "łƚƛɫɬ",
    "n": "ŋƞɲɳ",
    "o": "øǫɔɤɵ",
    "oe": "œ",
    "p": "ƥ",
    "r": "ɾ",
    "s": "ʃ",
    "ss": "ß",
    "t": "ŧƭʈ",
    "th": "þ",
    "u": "ɯʉʊ",
    "v": "ʋ",
    "y": "ƴɥ",
    "z": "ʒ",
}
_FOLD = {letter: base for base, letters in _FOLDED.items() for letter in letters}
_APOSTROPHES = "'’‘′ʻ"  # within words: they become nothing, and other punctuation a space


def fold(text: str, *, most_other: float = 0.02) -> str:
    """Text in Latin script as lower-case words of the letters a to z, with one space between them.

    Accents, tone marks, digits and apostrophes are dropped, other punctuation becomes a space, and some sixty special
    letters become the nearest plain ones, so that languages with other spellings have the same 27 categories.

    Parameters
    ----------
    text : str
    most_other : float
        Letters of another alphabet are dropped where their share of the characters is no larger.

    Returns
    -------
    str

    Raises
    ------
    TypeError
        For anything but text.
    ValueError
        Where the text has no letters, or more than the share ``most_other`` is of another alphabet, such as Cyrillic.

    Examples
    --------
    >>> from hbm_fast.datasets.text import fold
    >>> fold("Øll menniskju eru fødd fræls!")
    'oll menniskju eru fodd fraels'
    """
    if not isinstance(text, str):
        raise TypeError(f"text must be a str; got {type(text).__name__}")
    folded: list[str] = []
    other: list[str] = []
    letters = unicodedata.normalize("NFKD", text.lower())
    for letter in letters:
        if "a" <= letter <= "z":
            folded.append(letter)
        elif letter in _FOLD:
            folded.append(_FOLD[letter])
        elif letter in _APOSTROPHES:
            continue
        elif letter.isspace() or unicodedata.category(letter)[0] in "PZ":
            folded.append(" ")
        elif unicodedata.category(letter)[0] == "L":
            other.append(letter)
    if len(other) > most_other * len(letters):
        raise ValueError(
            f"text must be in Latin script; {len(other)} of its {len(letters)} characters are other letters, the first "
            f"is {other[0]!r} ({unicodedata.name(other[0], 'without a name')}): write the text in Latin letters first"
        )
    words = " ".join("".join(folded).split())
    if not words:
        raise ValueError(f"text must hold letters; got {text!r:.60}")
    return words


def letter_chains(utterances: str | Sequence[str]) -> NDArray[np.int64]:
    """How often each letter follows each other letter, in each utterance.

    A Markov chain of letters is the smallest model of a language's sound that tells languages apart: the categories are
    the letters, and the context of a letter is the letter before it. An utterance starts and ends with a space.

    Parameters
    ----------
    utterances : sequence of N str, or one str
        Texts in Latin script, which `fold` folds.

    Returns
    -------
    int64 array (N, 27, 27)
        Element (n, c, k) is the number of times that letter k follows letter c, both as places in `LETTERS`, of which
        the first is the space.

    Raises
    ------
    TypeError, ValueError
        As `fold`; the message names the utterance.

    Examples
    --------
    >>> from hbm_fast.datasets.text import LETTERS, letter_chains
    >>> chains = letter_chains(["a cab", "Bac"])
    >>> chains.shape, int(chains[0, LETTERS.index("c"), LETTERS.index("a")])
    ((2, 27, 27), 1)
    """
    utterances = [utterances] if isinstance(utterances, str) else utterances
    counts = np.zeros((len(utterances), len(LETTERS), len(LETTERS)), dtype=np.int64)
    for n, utterance in enumerate(utterances):
        try:
            words = fold(utterance)
        except (TypeError, ValueError) as error:
            raise type(error)(f"utterances[{n}]: {error}") from error
        codes = np.frombuffer(f" {words} ".encode(), np.uint8).astype(np.int64) - (ord("a") - 1)
        codes[codes < 0] = 0
        np.add.at(counts[n], (codes[:-1], codes[1:]), 1)
    return counts


def utterances_of(paragraph: str, length: int = 40) -> list[str]:
    """Folded text of a paragraph in parts of whole words.

    A part ends with the word by which its letters and spaces, the last one counted too, reach ``length``; a rest
    shorter than half of it is left out.

    Parameters
    ----------
    paragraph : str
        Folded text.
    length : int

    Returns
    -------
    list of str

    Examples
    --------
    >>> from hbm_fast.datasets.text import utterances_of
    >>> utterances_of("all human beings are born free", length=10)
    ['all human', 'beings are', 'born free']
    """
    parts: list[str] = []
    part = ""
    for word in paragraph.split():
        part = f"{part} {word}" if part else word
        if len(part) + 1 >= length:
            parts.append(part)
            part = ""
    if 2 * (len(part) + 1) >= length and part:
        parts.append(part)
    return parts
