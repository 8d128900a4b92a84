"""The page docs/guide/languages.md: prose of languages_page.md, with the tables, pictures and numbers of a study."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from hbm_fast import _files
from hbm_fast.experiments import languages_plots, languages_study
from hbm_fast.experiments.languages_study import (
    CURVE,
    LETTER_SIZES,
    METHODS,
    N_LEARNED,
    SIZES,
    Parts,
    found,
    learned_from,
    seeds,
)

TEMPLATE = Path(__file__).with_suffix(".md")
ABSENT = "-"


def write(page: Path, *, n_seeds: int, force: bool, report: Callable[[str], Any]) -> None:
    """Measure what is not measured yet, and write the page; its pictures and results.json are in a folder beside it.

    With ``force`` everything is measured again.
    """
    folder = page.with_suffix("")
    target = folder / "results.json"
    folder.mkdir(parents=True, exist_ok=True)
    if force:
        target.unlink(missing_ok=True)
    results = languages_study.run(target, n_seeds, report=report)
    languages_plots.draw(results["parts"], folder)
    _files.write_text(page, render(results, folder.name))


def render(results: Mapping[str, Any], folder: str) -> str:
    """The page as Markdown."""
    parts = results["parts"]
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        folder=folder,
        n_seeds=len(seeds(parts)),
        cpu=results["machine"]["cpu"],
        date=results["date"],
        minutes=f"{sum(part['seconds'] for part in parts.values()) / 60.0:.0f}",
        curve_auc=_curve(parts, "auc", 3),
        curve_nats=_curve(parts, "nats", 1),
        nats=_by_examples(parts, "nats", 1),
        which=_by_examples(parts, "which", 3),
        auc=_by_examples(parts, "auc", 3),
        balanced=_by_examples(parts, "balanced", 3),
        gap=_by_examples(parts, "gap", 2),
        halves=_halves(parts),
        relatives=_relatives(parts),
        letters=_letters(parts["letters"]),
        generated=_generated(parts["generated"]),
        nearest=_nearest(parts["nearest"]),
        **_numbers(parts),
    )


def _numbers(parts: Parts) -> dict[str, str]:
    """Numbers of the prose."""
    own, dirichlet = (_mean_of(parts, name) for name in ("embedding", "fitted Dirichlet"))
    spread = {key: np.ptp(found(parts, "embedding", "1", key)) for key in ("nats", "auc")}
    letters = parts["letters"]

    def change(method: str) -> str:
        first, last = learned_from(parts, method, CURVE[0], "auc"), found(parts, method, "1", "auc")
        return f"{_cell(first, 3)} with {CURVE[0]} and {_cell(last, 3)} with {N_LEARNED}"

    few = partial(learned_from, parts, n=CURVE[0], key="nats")
    return {
        "flat": change("fitted Dirichlet"),
        "rising": change("embedding"),
        "gain_few": f"{np.mean(few('embedding')) - np.mean(few('fitted Dirichlet')):.1f}",
        "curve_seeds": str(len(learned_from(parts, "embedding", CURVE[0], "auc"))),
        "one_auc": f"{own('1', 'auc'):.3f}",
        "one_balanced": f"{own('1', 'balanced'):.3f}",
        "five_balanced": f"{own('5', 'balanced'):.3f}",
        "one_gain": f"{own('1', 'nats') - dirichlet('1', 'nats'):.1f}",
        "forty_gain": f"{own('40', 'nats') - dirichlet('40', 'nats'):.2f}",
        "spread_nats": f"{spread['nats']:.1f}",
        "spread_auc": f"{spread['auc']:.3f}",
        "largest_gap": f"{max(found(parts, 'embedding', '1', 'gap')):.2f}",
        "near_gain": f"{own('near', 'nats') - dirichlet('near', 'nats'):.1f}",
        "far_gain": f"{own('far', 'nats') - dirichlet('far', 'nats'):.1f}",
        "near_auc": f"{own('near', 'auc'):.3f} instead of {dirichlet('near', 'auc'):.3f}",
        "far_auc": f"{own('far', 'auc'):.3f} instead of {dirichlet('far', 'auc'):.3f}",
        "taken": f"{100.0 * own('1', 'relative_taken_for_own'):.0f} %",
        "taken_20": f"{100.0 * own('20', 'relative_taken_for_own'):.0f} %",
        "relative_auc": f"{own('1', 'auc_relative'):.3f}",
        "relative_auc_dirichlet": f"{dirichlet('1', 'auc_relative'):.3f}",
        "letters_gain": f"{letters['embedding']['1']['nats'] - letters['fitted Dirichlet']['1']['nats']:.1f}",
        "letters_which": f"{letters['embedding']['1']['which']:.3f}",
        "letters_which_dirichlet": f"{letters['fitted Dirichlet']['1']['which']:.3f}",
        "letters_which_mixture": f"{letters['mixture']['1']['which']:.3f}",
        "plane_auc": f"{parts['plane']['1']['auc']:.3f}",
        "plane_nats": f"{parts['plane']['1']['nats']:.1f}",
        "n_known": str(parts["nearest"]["n_known"]),
    }


def _mean_of(parts: Parts, method: str) -> Callable[..., float]:
    """Means over the seeds of one method."""
    return lambda *keys: float(np.mean(found(parts, method, *keys)))


def _curve(parts: Parts, key: str, decimals: int) -> str:
    def cell(method: str, n: int) -> str:
        values = found(parts, method, "1", key) if n == N_LEARNED else learned_from(parts, method, n, key)
        return _cell(values, decimals)

    sizes = (*CURVE, N_LEARNED)
    return _table(["languages", *map(str, sizes)], [[method, *(cell(method, n) for n in sizes)] for method in METHODS])


def _by_examples(parts: Parts, key: str, decimals: int) -> str:
    rows = [[method, *(_cell(found(parts, method, str(n), key), decimals) for n in SIZES)] for method in METHODS]
    return _table(["examples", *map(str, SIZES)], rows)


def _halves(parts: Parts) -> str:
    keys = {"nats": ("nats", 1), "which of 80": ("which", 3), "AUC": ("auc", 3)}
    rows = [
        [
            method,
            *(
                " / ".join(_cell(found(parts, method, half, key), decimals) for half in ("near", "far"))
                for key, decimals in keys.values()
            ),
        ]
        for method in METHODS
    ]
    return _table(["", *(f"{name}: near / far" for name in keys)], rows)


def _relatives(parts: Parts) -> str:
    def cell(method: str, n: int) -> str:
        auc = found(parts, method, str(n), "auc_relative")
        return f"{_cell(auc, 3)} / {_cell(found(parts, method, str(n), 'relative_taken_for_own'), 2)}"

    return _table(["examples", *map(str, SIZES)], [[method, *(cell(method, n) for n in SIZES)] for method in METHODS])


def _letters(content: Parts) -> str:
    def cell(values: Mapping[str, float]) -> str:
        return f"{values['nats']:.1f} / {values['which']:.3f}"

    rows = [[method, *(cell(content[method][str(n)]) for n in LETTER_SIZES)] for method in METHODS]
    return _table(["examples", *map(str, LETTER_SIZES)], rows)


def _generated(content: Parts) -> str:
    def cell(name: str) -> str:
        return f"{content[name]['embedding']:.3f} / {content[name]['naive Bayes']:.3f}"

    rows = [[method, *(cell(f"{method}, {kind}") for kind in ("pairs", "triples"))] for method in METHODS]
    rows.append(["real utterances", cell("real"), ""])
    return _table(["text by", "letter pairs", "with back-off from triples"], rows)


def _nearest(content: Parts) -> str:
    names = {
        "embedding": "the nearest in z, by angle",
        "letter pairs": "the nearest in shares of letter pairs",
        "any": "any language learned from",
    }
    rows = [
        [text, f"{content[name]['family']:.2f}", f"{content[name]['kilometres']:,.0f}"] for name, text in names.items()
    ]
    return _table(["", "of the same family", "median distance, km"], rows)


def _cell(values: Sequence[float], decimals: int) -> str:
    return f"{np.mean(values):.{decimals}f}" if values else ABSENT


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---", *["--:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
