"""Pictures of the page of the languages: narrow, so that a phone shows their text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hbm_fast import _files
from hbm_fast._optional import import_optional
from hbm_fast.datasets import load_languages
from hbm_fast.experiments import languages
from hbm_fast.experiments.languages_families import FAMILIES
from hbm_fast.experiments.languages_study import CURVE, METHODS, N_LEARNED, SIZES, found, learned_from
from hbm_fast.plots.axes import figure_of
from hbm_fast.plots.colors import PALETTE

COLOR = {"naive Bayes": "#E69F00", "fitted Dirichlet": "#D55E00", "mixture": "#009E73", "embedding": "#0072B2"}
MARKER = {"naive Bayes": "s", "fitted Dirichlet": "D", "mixture": "^", "embedding": "o"}
SHOWN = ("Bantu", "Austronesian", "Quechuan", "Mayan", "Romance", "Germanic", "Slavic", "Turkic")
NAMED = ("Faroese", "Turkish", "Slovak", "Scots", "Venda", "Quechua, Cusco", "Cebuano", "Latin")
SIZE = (4.6, 3.6)  # inches


def draw(parts: Any, folder: Path) -> None:
    """Write the four pictures."""
    pictures = {
        "learning": learning(parts),
        "nats": nats(parts),
        "reliability": reliability(parts),
        "map": latent_map(parts["plane"]["at"]),
    }
    for name, figure in pictures.items():
        _files.write_figure(folder / f"{name}.png", figure, dpi=180)


def learning(parts: Any) -> Any:
    """One-shot AUC against the number of languages learned from."""
    figure = figure_of(SIZE)
    axes = figure.subplots()
    n = [*CURVE, N_LEARNED]
    for method in METHODS:
        values = [learned_from(parts, method, size, "auc") for size in CURVE]
        values.append(found(parts, method, "1", "auc"))
        _line(axes, n, [float(np.mean(value)) for value in values], method)
        for size, each in zip(n, values, strict=True):
            if len(each) > 1:
                axes.plot([size] * len(each), each, ".", color=COLOR[method], alpha=0.5, markersize=4)
    _finish(figure, axes, n, "languages learned from", "AUC with one example")
    return figure


def nats(parts: Any) -> Any:
    """Mean log probability of an utterance against the number of examples."""
    figure = figure_of(SIZE)
    axes = figure.subplots()
    for method in METHODS:
        values = [float(np.mean(found(parts, method, str(n), "nats"))) for n in SIZES]
        _line(axes, SIZES, values, method)
    _finish(figure, axes, SIZES, "examples", "log probability of an utterance, nats")
    return figure


def reliability(parts: Any) -> Any:
    """Share that is right against the probability that is stated, with one example."""
    figure = figure_of((4.6, 4.2))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1)
    for method in ("fitted Dirichlet", "mixture", "embedding"):
        names = [name for name in parts if name == method or name.startswith(f"{method}, seed")]
        for i, name in enumerate(names):
            stated, right, _ = np.array(parts[name]["reliability 1"]).T
            axes.plot(
                stated, right, color=COLOR[method], marker=MARKER[method], markersize=4, label=None if i else method
            )
    axes.set(xlabel="probability stated", ylabel="share that is of the language", xlim=(0, 1), ylim=(0, 1))
    axes.set_aspect("equal")
    figure.legend(loc="outside upper center", ncols=3, columnspacing=1.0)
    return figure


def latent_map(at: Any) -> Any:
    """Where the languages are in a z of two dimensions, coloured by family."""
    langs = load_languages()
    places = np.array(at)
    family = np.array([FAMILIES.get(code, "") for code in langs.codes])
    halo = import_optional("matplotlib.patheffects", "report").withStroke
    figure = figure_of((4.6, 5.6))
    axes = figure.subplots()
    axes.plot(*places.T, ".", color="0.75", markersize=5, label="other")
    for name, color in zip(SHOWN, PALETTE, strict=True):
        axes.plot(*places[family == name].T, "o", color=color, markersize=4.5, label=name)
    held_out = langs.split == languages.HELD_OUT
    axes.plot(*places[held_out].T, "o", markersize=8, markerfacecolor="none", markeredgecolor="0.2", label="held out")
    for name in NAMED:
        i = langs.index(name)
        label = axes.annotate(name, places[i], xytext=(5, 5), textcoords="offset points", fontsize=9)
        label.set_path_effects([halo(linewidth=2.5, foreground="white")])
    axes.margins(x=0.13)
    axes.set(xlabel="$z_1$", ylabel="$z_2$")
    figure.legend(loc="outside lower center", ncols=3, fontsize=9, handletextpad=0.2, columnspacing=1.0)
    return figure


def _line(axes: Any, x: Any, y: Any, method: str) -> None:
    axes.plot(x, y, color=COLOR[method], marker=MARKER[method], markersize=5, label=method)


def _finish(figure: Any, axes: Any, ticks: Sequence[int], xlabel: str, ylabel: str) -> None:
    """Labels, a logarithmic axis with these ticks alone, and the legend above."""
    axes.set(xscale="log", xlabel=xlabel, ylabel=ylabel)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    figure.legend(loc="outside upper center", ncols=2)
