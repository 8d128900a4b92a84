"""How well held-out languages are predicted, recognised and generated: an embedding beside three rivals, in numbers.

Everything is measured in parts, each of which is stored when it is done, so that an interrupted run goes on.
"""

import json
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _files, embedding
from hbm_fast._typing import Floats
from hbm_fast.benchmark import records
from hbm_fast.datasets import load_languages
from hbm_fast.datasets.text import letter_chains
from hbm_fast.embedding import DatasetEmbedding
from hbm_fast.embedding.dataset_posterior import cosines
from hbm_fast.experiments import languages, languages_methods
from hbm_fast.experiments.languages_families import FAMILIES
from hbm_fast.experiments.languages_methods import N_QUERIES, FittedDirichlet, Learned, Method, Mixture, NaiveBayes
from hbm_fast.nn.training import torch_threads

SIZES = (1, 2, 5, 20, 40)  # examples
LETTER_SIZES = (1, 5, 20)
CURVE = (29, 58, 115)  # languages learned from
N_LEARNED = 231  # all of them
EARTH = 6371.0  # km
N_GENERATED = 10  # texts of each language
RIVALS = ("naive Bayes", "fitted Dirichlet", "mixture")
METHODS = (*RIVALS, "embedding")

Parts = Mapping[str, Any]  # of the results, by name


class Study:
    """The data of all parts."""

    def __init__(self) -> None:
        self.langs = load_languages()
        self.learn, self.choose, self.held_out = (np.flatnonzero(self.langs.split == part) for part in range(3))
        self.chains = np.stack([self.langs.counts(i) for i in range(len(self.langs))])  # (341, 60, 27, 27)
        self.pooled = self.chains.sum(1)
        self.shares = languages.shares(self.langs)
        relatives = [languages.nearest_relative(self.shares, i) for i in self.held_out.tolist()]
        self.trial = languages_methods.Trial(self.chains[self.held_out], self.chains[relatives, -N_QUERIES:])

    @cached_property
    def near(self) -> NDArray[np.bool_]:
        """Whether a held-out language is among the half that is nearest to a language learned from, (80,)."""
        root = np.sqrt(self.shares)
        between = np.square(root[self.held_out, None] - root[self.learn]).sum(-1).min(1)
        return np.asarray(between <= np.median(between))

    @cached_property
    def shipped(self) -> Method:
        """The network that comes with hbm_fast, which is that of seed 0."""
        return Learned(embedding.load("languages"))

    def train(self, seed: int, learn: NDArray[np.int64], chains: Any, dim: int = 12) -> DatasetEmbedding:
        """f alone, since the scores take draws at the mode."""
        rows = np.concatenate([learn, self.choose])
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "data holds", UserWarning)  # few languages are the point of the curve
            emb: DatasetEmbedding = embedding.train(
                data=list(chains[rows]),
                names=[self.langs.names[i] for i in rows],
                held_out=np.arange(len(learn), len(rows)),
                shared="dataset",
                dim=dim,
                inference_steps=0,
                rng=seed,
            )
        return emb

    def rivals(self, learn: NDArray[np.int64], pooled: Any) -> dict[str, Method]:
        """The three other methods."""
        methods = (NaiveBayes(), FittedDirichlet(pooled[learn]), Mixture(pooled[learn]))
        return dict(zip(RIVALS, methods, strict=True))

    # parts ----------------------------------------------------------------------------------------------------------
    def method(self, make: Callable[[], Method]) -> dict[str, Any]:
        """One method, by the number of examples; the two halves of the languages; the probabilities that it states."""
        method, trial = make(), self.trial
        found: dict[str, Any] = {}
        for n in SIZES:
            scores = languages_methods.score(method, trial, n)
            found[str(n)] = languages_methods.measures(scores, trial)
            if n == 1:
                found["near"] = languages_methods.measures(scores, trial, self.near)
                found["far"] = languages_methods.measures(scores, trial, ~self.near)
            if scores.background is not None and n in (1, 5):
                own, other, relative = languages_methods.evidence(scores, trial)
                found[f"reliability {n}"] = languages_methods.reliability(own, other)
                found[f"reliability {n}, relatives"] = languages_methods.reliability(own, relative)
        return found

    def curve(self, n: int, seed: int) -> dict[str, Any]:
        """One example, after learning from the first n languages in an order of the seed."""
        learn = np.random.default_rng(seed).permutation(self.learn)[:n]
        methods = self.rivals(learn, self.pooled) | {"embedding": Learned(self.train(seed, learn, self.chains))}
        return {name: self._once(method, self.trial, 1) for name, method in methods.items()}

    def letters(self) -> dict[str, Any]:
        """The same with letters alone, whatever the letter before."""
        chains = self.chains.sum(2)
        trial = languages_methods.Trial(
            self.trial.held_out.sum(2, keepdims=True), self.trial.relatives.sum(2, keepdims=True)
        )
        methods = self.rivals(self.learn, chains.sum(1)[:, None])
        methods["embedding"] = Learned(self.train(0, self.learn, chains))
        return {name: {str(n): self._once(method, trial, n) for n in LETTER_SIZES} for name, method in methods.items()}

    @staticmethod
    def _once(method: Method, trial: languages_methods.Trial, n: int) -> dict[str, float]:
        return languages_methods.measures(languages_methods.score(method, trial, n), trial)

    def generated(self) -> dict[str, Any]:
        """Share of generated texts that are recognised among the 80, by two methods with 20 other examples."""
        examples = [self.langs.utterances[i][:20] for i in self.held_out]
        methods: dict[str, Method] = {"embedding": self.shipped, "naive Bayes": NaiveBayes()}
        scorers = {name: list(method.given(self.trial.held_out[:, 20:40].sum(1))) for name, method in methods.items()}
        owner = np.repeat(np.arange(len(examples)), N_GENERATED)
        generator = np.random.default_rng(0)

        def recognised(texts: Sequence[str]) -> dict[str, float]:
            counts = letter_chains(texts)
            return {
                name: float((np.stack([scorer(counts) for scorer in each]).argmax(0) == owner).mean())
                for name, each in scorers.items()
            }

        real = [text for i in self.held_out for text in self.langs.utterances[i][40 : 40 + N_GENERATED]]
        found: dict[str, Any] = {"real": recognised(real)}
        for name, method in {**self.rivals(self.learn, self.pooled), "embedding": self.shipped}.items():
            chains = method.proportions(self.trial.held_out[:, :20].sum(1))
            triples = [languages.triples(texts) for texts in examples]
            for kind, factor in (("pairs", 0.0), ("triples", 1.0)):
                texts = [
                    languages.chain_text(chain, factor * counts, languages.LENGTH, generator)
                    for chain, counts in zip(chains, triples, strict=True)
                    for _ in range(N_GENERATED)
                ]
                found[f"{name}, {kind}"] = recognised(texts)
        return found

    def plane(self) -> dict[str, Any]:
        """A network with two latent dimensions: where the languages are; and how well it recognises them."""
        emb = self.train(0, self.learn, self.chains, dim=2)
        at = np.empty((len(self.langs), 2))
        at[self.learn] = emb.places
        rest = np.concatenate([self.choose, self.held_out])
        at[rest] = emb.modes(self.pooled[rest]).numpy()
        return {"at": at.round(4).tolist(), "1": self._once(Learned(emb), self.trial, 1)}

    def nearest(self) -> dict[str, Any]:
        """The nearest language learned from: its family, and the distance of its place; by z and by letter pairs."""
        emb = embedding.load("languages")
        z = emb.modes(self.pooled[self.held_out]).numpy()
        root = np.sqrt(self.shares)
        found = {}
        similar = {
            "embedding": cosines(z, emb.places),
            "letter pairs": -np.square(root[self.held_out, None] - root[self.learn]).sum(-1),
        }
        family = np.array([FAMILIES.get(code, "") for code in self.langs.codes])
        known = np.isin(family[self.held_out], family[self.learn]) & (family[self.held_out] != "")
        distance = self.kilometres()
        for name, values in similar.items():
            nearest = self.learn[values.argmax(1)]
            found[name] = {
                "family": float((family[nearest] == family[self.held_out])[known].mean()),
                "kilometres": float(np.median(distance[self.held_out, nearest])),
            }
        same = family[self.held_out][known, None] == family[self.learn]
        found["any"] = {
            "family": float(same.mean()),
            "kilometres": float(np.median(distance[np.ix_(self.held_out, self.learn)])),
        }
        return found | {"n_known": int(known.sum())}

    def kilometres(self) -> Floats:
        """Distances on the globe between the places of all languages, (341, 341)."""
        latitude, longitude = np.radians(self.langs.latitude), np.radians(self.langs.longitude)
        x = np.stack([np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)])
        return np.asarray(EARTH * np.arccos(np.clip(x.T @ x, -1.0, 1.0)))


def parts(study: Study, n_seeds: int) -> dict[str, Callable[[], dict[str, Any]]]:
    """What is measured, by name."""
    found: dict[str, Callable[[], dict[str, Any]]] = {"embedding, seed 0": partial(study.method, lambda: study.shipped)}
    for name, method in study.rivals(study.learn, study.pooled).items():
        found[name] = partial(study.method, lambda method=method: method)  # type: ignore[misc]
    found |= {"generated": study.generated, "nearest": study.nearest, "plane": study.plane, "letters": study.letters}
    for seed in range(n_seeds):
        for n in CURVE:
            found[f"learned from {n}, seed {seed}"] = partial(study.curve, n, seed)
        if seed > 0:
            found[f"embedding, seed {seed}"] = partial(
                study.method,
                lambda seed=seed: Learned(study.train(seed, study.learn, study.chains)),  # type: ignore[misc]
            )
    return found


def run(path: Path, n_seeds: int, *, report: Callable[[str], Any] = print) -> dict[str, Any]:
    """Measure the parts that the file lacks, and write it after each."""
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"parts": {}}
    study = Study()
    planned = parts(study, n_seeds)
    with torch_threads(1):
        for number, (name, measure) in enumerate(planned.items(), 1):
            if name in results["parts"]:
                continue
            begin = time.process_time()
            content = measure()
            seconds = time.process_time() - begin
            report(f"{number} of {len(planned)}: {name}, {seconds:.0f} s of processor time")
            results["parts"][name] = {"seconds": round(seconds, 1), **content}
            results |= {
                "n_seeds": n_seeds,
                "machine": records.machine(),
                "versions": records.versions(("hbm-fast", "numpy", "torch")),
                "date": records.now(),
            }
            _files.write_json(path, results)
    return results


def seeds(parts: Parts) -> list[int]:
    """Seeds whose training with all languages is measured."""
    return [seed for seed in range(1000) if f"embedding, seed {seed}" in parts]


def found(parts: Parts, method: str, *keys: str) -> list[float]:
    """A measurement of a method, of each seed where the method is trained."""
    names = [f"embedding, seed {seed}" for seed in seeds(parts)] if method == "embedding" else [method]
    values = []
    for name in names:
        value: Any = parts[name]
        for key in keys:
            value = None if value is None else value.get(key)
        if value is not None:
            values.append(float(value))
    return values


def learned_from(parts: Parts, method: str, n: int, key: str) -> list[float]:
    """The same at one example, after learning from n languages only."""
    names = [f"learned from {n}, seed {seed}" for seed in range(1000)]
    return [float(parts[name][method][key]) for name in names if name in parts and key in parts[name][method]]
