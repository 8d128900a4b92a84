"""A language from a few utterances: recognised and generated with a network that learned from 231 other languages."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hbm_fast import embedding
from hbm_fast._typing import Floats
from hbm_fast.datasets import load_languages
from hbm_fast.datasets.languages import Languages
from hbm_fast.datasets.text import LETTERS, fold, letter_chains
from hbm_fast.embedding import DatasetEmbedding, DatasetPosterior

HELD_OUT = 2  # part of the split
OTHERS = ("Slovak", "Palauan", "Turkish", "Somali", "Venda")  # chosen before any result was seen
N_OWN, N_OTHER = 2, 3  # new sentences of the language itself and of other held-out ones
LENGTH = 40  # letters of a generated text, at least
WEIGHT = 10.0  # of a letter's probability by the chain, in counts of letter pairs


@dataclass(frozen=True)
class NewSentence:
    """A sentence, and the probability that it is of the same language as the examples."""

    language: str
    relation: str  # "same", "nearest relative", "other" or "yours"
    text: str
    probability: float


@dataclass(frozen=True)
class Demonstration:
    """What the examples of one language give."""

    language: str
    examples: list[str]
    new: list[NewSentence]
    generated: list[str]
    nearest: list[str]
    nearest_to_text: list[str] | None
    n_learned: int

    def record(self) -> dict[str, Any]:
        """As an object of JSON."""
        return asdict(self)


def demonstrate(language: str, n_examples: int, text: str | None = None, *, rng: int = 0) -> Demonstration:
    """Condition the shipped network on the first utterances of a held-out language, and try it on new sentences.

    Raises
    ------
    ValueError
        For a language that is not held out, and a ``text`` without letters or in another alphabet.
    """
    langs = load_languages()
    place = held_out(langs, language)
    yours = None if text is None else fold(text)
    emb = embedding.load("languages")
    utterances = langs.utterances[place]
    examples = utterances[:n_examples]
    post = emb.sample(letter_chains(examples), rng=rng)
    shown = [(langs.names[place], "same", utterance) for utterance in utterances[-N_OWN:]]
    relative = nearest_relative(shares(langs), place)
    shown.append((langs.names[relative], "nearest relative", langs.utterances[relative][-1]))
    others = [name for name in OTHERS if name != langs.names[place]][:N_OTHER]
    shown += [(name, "other", langs.utterances[langs.index(name)][-1]) for name in others]
    if yours is not None:
        shown.append(("your text", "yours", yours))
    probability = post.probability_same(letter_chains([utterance for _, _, utterance in shown]))
    return Demonstration(
        langs.names[place],
        examples,
        [NewSentence(*row, float(p)) for row, p in zip(shown, probability, strict=True)],
        [generate(post, examples, rng=rng + i) for i in range(2)],
        post.nearest(5),
        None if yours is None else emb.sample(letter_chains([yours]), rng=rng).nearest(5),
        len(emb.names),
    )


def held_out(langs: Languages, language: str) -> int:
    """Place of a held-out language from its name, in letters of any case."""
    names = [langs.names[i] for i in np.flatnonzero(langs.split == HELD_OUT)]
    for name in names:
        if name.lower() == language.strip().lower():
            return langs.index(name)
    learned = language.strip().lower() in (name.lower() for name in langs.names)
    reason = "is one of those that the network learned from" if learned else "is none of them"
    close = [name for name in names if language.strip().lower() in name.lower()] or [*OTHERS, "Faroese", "Scots"]
    raise ValueError(
        f"language must be one of the {len(names)} held-out languages; {language!r} {reason}: take one such as "
        f"{', '.join(map(repr, close[:7]))}"
    )


def shares(langs: Languages) -> Floats:
    """Share of each letter pair in all utterances of each language, (341, 729)."""
    pooled = np.stack([langs.counts(i).sum(0).ravel() for i in range(len(langs))])
    return np.asarray(pooled / pooled.sum(1, keepdims=True))


def nearest_relative(of: Floats, place: int) -> int:
    """The other language whose `shares` are nearest by Hellinger's distance."""
    squares = np.square(np.sqrt(of) - np.sqrt(of[place])).sum(1)
    squares[place] = np.inf
    return int(squares.argmin())


def generate(post: DatasetPosterior, examples: list[str], *, length: int = LENGTH, rng: int = 0) -> str:
    """Text of a language, letter by letter: the chain of the posterior, with a back-off from letter triples.

    The probability of a letter c after a and b is (n_abc + 10 p(c | b)) / (n_ab + 10), where n counts the letter
    triples of the examples and p are the posterior's mean proportions. Where the examples lack a pair of letters, the
    chain alone is left.
    """
    return chain_text(post.predict(), triples(examples), length, np.random.default_rng(rng))


def triples(examples: list[str]) -> Floats:
    """How often each letter follows each pair of letters, (27, 27, 27); an utterance starts with two spaces."""
    counts = np.zeros((len(LETTERS),) * 3)
    for example in examples:
        codes = np.array([LETTERS.index(letter) for letter in f"  {fold(example)} "])
        np.add.at(counts, (codes[:-2], codes[1:-1], codes[2:]), 1.0)
    return counts


def chain_text(chain: Floats, of_triples: Floats, length: int, generator: np.random.Generator) -> str:
    """Whole words of at least so many letters and spaces: ``chain`` (27, 27), ``of_triples`` (27, 27, 27) or zeros."""
    text, before, last = "", 0, 0
    while len(text) < length or last != 0:
        counts = of_triples[before, last]
        p = (counts + WEIGHT * chain[last]) / (counts.sum() + WEIGHT)
        if last == 0:
            p[0] = 0.0  # no word is empty
        before, last = last, min(int(np.searchsorted(p.cumsum(), generator.random() * p.sum())), len(LETTERS) - 1)
        text += LETTERS[last]
        if len(text) >= 2 * length:  # a chain without spaces ends too
            break
    return text.strip()


def network(seed: int = 0) -> DatasetEmbedding:
    """Train on the languages to learn from, stopped by those to choose with; seed 0 is the network of hbm_fast."""
    langs = load_languages()
    learn, choose = (np.flatnonzero(langs.split == part) for part in (0, 1))
    rows = np.concatenate([learn, choose])
    emb: DatasetEmbedding = embedding.train(
        data=[langs.counts(int(i)) for i in rows],
        names=[langs.names[i] for i in rows],
        held_out=np.arange(len(learn), len(rows)),
        shared="dataset",
        dim=12,
        rng=seed,
    )
    return emb
