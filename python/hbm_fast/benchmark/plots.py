"""Figures, tables and notes of what `hbm-fast benchmark` saved: for its folder, the report and benchmarks/RESULTS.md.

A case is one entry of "works" in the saved file, a method one of "ways".
"""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_fast import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = (
    "method",
    "datasets",
    "seconds",
    "with training",
    "effective draws/s",
    "KS log alpha",
    "KS beta",
    "error of E[log alpha], sd",
)
_NARROW = ("method", "datasets", "seconds", "+ trained", "draws/s", "KS alpha", "KS beta", "error")
_EXPLAINED = (
    "+ trained: seconds with the training; draws/s: effective draws; KS: of log alpha and of beta; error: of "
    "E[log alpha], in posterior standard deviations."
)
_MARKS = "osD^vP*X"
_COLORS = plots.PALETTE[:6]  # the others are near to the background of a light or a dark page


def figures(case: Mapping[str, Any]) -> dict[str, "Figure"]:
    """Both figures of one case by name: time against datasets, accuracy against time."""
    return {"time": time_against_datasets(case), "accuracy": accuracy_against_time(case)}


def time_against_datasets(case: Mapping[str, Any]) -> "Figure":
    """Seconds of many datasets: hollow where extrapolated, dashed with the training charged."""
    figure, (axes,) = plots.panels(1)
    figure.set_size_inches(7.2, 4.6)
    for i, name in enumerate(case["ways"]):
        points = _of(case["points"], name)
        x, y = [p["datasets"] for p in points], [p["seconds"] for p in points]
        colour = _COLORS[i % len(_COLORS)]
        axes.plot(x, y, color=colour, label=name)
        for p in points:
            face = "none" if p["extrapolated"] else colour
            axes.plot(p["datasets"], p["seconds"], _MARKS[i % len(_MARKS)], color=colour, markerfacecolor=face)
        trained = case["ways"][name]["training_seconds"]
        if trained:
            dashes = (4 * i, (4, 8))  # the lines of two networks lie on each other: the dashes alternate
            axes.plot(x, [s + trained for s in y], linestyle=dashes, color=colour, label=f"{name}, with training")
    axes.set(xscale="log", yscale="log", xlabel="datasets", ylabel="seconds")
    low, high = (np.log10(limit) for limit in axes.get_ylim())
    axes.set_yticks([10.0**e for e in range(math.ceil(low), math.floor(high) + 1)])
    plots.legend(axes)
    axes.set_title(_title(case), fontsize=10)
    return figure


def accuracy_against_time(case: Mapping[str, Any]) -> "Figure":
    """KS distance to the reference against seconds a dataset, with a tenth of the draws, all, and ten times as many."""
    figure, (axes,) = plots.panels(1)
    figure.set_size_inches(7.2, 4.6)
    for i, name in enumerate(case["ways"]):
        points = _of(case["accuracy_against_time"], name)
        if not points:  # a peer: its point of the most datasets that were run
            points = [p for p in _of(case["points"], name) if not p["extrapolated"]][-1:]
        x = [p["seconds"] / p["datasets"] for p in points]
        style = {"color": _COLORS[i % len(_COLORS)], "label": name}
        axes.plot(x, [p["ks_log_alpha"] for p in points], "-" + _MARKS[i % len(_MARKS)], **style)
    axes.set(xscale="log", yscale="log", xlabel="seconds a dataset", ylabel="KS distance of log alpha to the reference")
    axes.set_yticks([0.001, 0.003, 0.01, 0.03, 0.1, 0.3], ["0.001", "0.003", "0.01", "0.03", "0.1", "0.3"])
    axes.minorticks_off()
    plots.legend(axes)
    axes.set_title(_title(case), fontsize=10)
    return figure


def rows(case: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The table of one case, under ``COLUMNS``; extrapolated seconds carry a tilde."""
    return [
        (
            p["way"],
            f"{p['datasets']:,}",
            ("~" if p["extrapolated"] else "") + seconds(p["seconds"]),
            seconds(p["seconds"] + p["training_seconds"]) if p["training_seconds"] else "",
            f"{p['effective_per_second']:,.0f}",
            f"{p['ks_log_alpha']:.3f}",
            f"{p['ks_beta']:.3f}",
            f"{p['error_log_alpha']:.3f}",
        )
        for p in case["points"]
    ]


def case_notes(result: Mapping[str, Any], case: Mapping[str, Any]) -> list[str]:
    """Settings, break-even and methods of one case."""
    draws = result["settings"]["draws"]
    notes = [
        f"{case['n_groups']} groups of {case['totals']}, K = {case['n_categories']}; {draws:,} draws a dataset, "
        f"{result['settings']['threads']} thread. Answers are compared on the first {case['judged']} datasets with "
        f"{case['reference']}; {draws:,} independent draws from it have a KS of about {0.87 / draws**0.5:.3f}. "
        f"~: extrapolated from as many datasets as {result['settings']['budget_seconds']:g} s allowed."
    ]
    for network, others in case["break_even"].items():
        when = [f"against {other} {f'after {n:,.0f} datasets' if n else 'never'}" for other, n in others.items()]
        trained = case["ways"][network]["training_seconds"]
        notes.append(f"{network}: its {trained:.0f} s of training pay {', '.join(when)}.")
    notes += [f"{name}: {method['note']}." for name, method in case["ways"].items() if method["note"]]
    return notes


def result_notes(result: Mapping[str, Any]) -> list[str]:
    """Peers that did not run, and the speeds quoted for one that could not be installed."""
    notes = [f"{peer} is not installed here: it did not run." for peer in result["absent_peers"]]
    notes += [f"{peer} was left out." for peer in result["peers_left_out"]]
    if result.get("interrupted"):
        notes.append("The benchmark was interrupted: these are the points measured until then.")
    quoted = result.get("quoted")
    if quoted:
        speeds = "; ".join(f"{what}: {v:,}" for what, v in quoted["effective_draws_per_second"].items())
        others = "; ".join(f"{what}: {v:g} s" for what, v in quoted["seconds"].items())
        notes.append(
            f"Compiled Stan, quoted and not run here ({quoted['source']}), effective draws/s: {speeds}; {others}."
        )
    return notes


def text(result: Mapping[str, Any]) -> str:
    """For a terminal of 80 columns."""
    lines = [f"{result['title']}: {result['machine']['cpu']}, {result['date']}"]
    for case in result["works"]:
        table = [_NARROW, *rows(case)]
        widths = [max(len(row[i]) for row in table) for i in range(len(COLUMNS))]
        lines += ["", f"K = {case['n_categories']}: {case['name']}"]
        for row in table:
            cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
            lines.append(" ".join(cells).rstrip())
        lines += map(_filled, case_notes(result, case))
    return "\n".join([*lines, "", *map(_filled, (*result_notes(result), _EXPLAINED))])


def _filled(note: str) -> str:
    return textwrap.fill(note, 80, break_on_hyphens=False)


def seconds(value: float) -> str:
    """Three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _of(points: Sequence[Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    return [p for p in points if p["way"] == name]


def case_name(case: Mapping[str, Any]) -> str:
    """The name of a case, with its number of categories."""
    k = f"K = {case['n_categories']}"
    return str(case["name"]) if k in case["name"] else f"{case['name']}, {k}"


def _title(case: Mapping[str, Any]) -> str:
    return f"{case_name(case)}, {case['n_groups']} groups of {case['totals']}"
