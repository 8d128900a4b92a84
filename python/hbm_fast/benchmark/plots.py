"""What `hbm-fast benchmark` saved, as figures and as tables: for its folder, the report and benchmarks/RESULTS.md."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hbm_fast import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = (
    "way",
    "datasets",
    "seconds",
    "with training",
    "effective draws/s",
    "KS log alpha",
    "KS beta",
    "error of E[log alpha], sd",
)
_MARKS = "osD^vP*X"


def of_work(work: Mapping[str, Any]) -> dict[str, "Figure"]:
    """Both figures of one model by name: time against datasets, accuracy against time."""
    return {"time": time_against_datasets(work), "accuracy": accuracy_against_time(work)}


def time_against_datasets(work: Mapping[str, Any]) -> "Figure":
    """Seconds of many datasets: hollow where extrapolated, dashed with the training charged."""
    figure, (axes,) = plots._figure(1)
    figure.set_size_inches(7.2, 4.6)
    for i, name in enumerate(work["ways"]):
        points = _of(work["points"], name)
        x, y = [p["datasets"] for p in points], [p["seconds"] for p in points]
        colour = f"C{i}"
        axes.plot(x, y, color=colour, label=name)
        for p in points:
            face = "none" if p["extrapolated"] else colour
            axes.plot(p["datasets"], p["seconds"], _MARKS[i % len(_MARKS)], color=colour, markerfacecolor=face)
        trained = work["ways"][name]["training_seconds"]
        if trained:
            axes.plot(x, [s + trained for s in y], "--", color=colour, label=f"{name}, training charged")
    axes.set(xscale="log", yscale="log", xlabel="datasets", ylabel="seconds")
    axes.set_yticks([10.0**e for e in range(-3, 6)])
    axes.legend(fontsize=8)
    axes.set_title(_title(work), fontsize=10)
    return figure


def accuracy_against_time(work: Mapping[str, Any]) -> "Figure":
    """Distance to the truth against seconds a dataset, with a tenth of the draws, all, and ten times as many."""
    figure, (axes,) = plots._figure(1)
    figure.set_size_inches(7.2, 4.6)
    for i, name in enumerate(work["ways"]):
        points = _of(work["accuracy_against_time"], name)
        if not points:  # a peer: what it did on the most datasets that were really run
            points = [p for p in _of(work["points"], name) if not p["extrapolated"]][-1:]
        x = [p["seconds"] / p["datasets"] for p in points]
        axes.plot(x, [p["ks_log_alpha"] for p in points], "-" + _MARKS[i % len(_MARKS)], color=f"C{i}", label=name)
    axes.set(xscale="log", yscale="log", xlabel="seconds a dataset", ylabel="KS distance of log alpha to the truth")
    axes.set_yticks([0.001, 0.003, 0.01, 0.03, 0.1, 0.3], ["0.001", "0.003", "0.01", "0.03", "0.1", "0.3"])
    axes.minorticks_off()
    axes.legend(fontsize=8)
    axes.set_title(_title(work), fontsize=10)
    return figure


def rows(work: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The table of one model, under ``COLUMNS``; extrapolated figures carry a tilde."""
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
        for p in work["points"]
    ]


def sentences(result: Mapping[str, Any], work: Mapping[str, Any]) -> list[str]:
    """What the table of one model does not say by itself."""
    draws = result["settings"]["draws"]
    said = [
        f"{work['n_groups']} groups of {work['totals']}, K = {work['n_categories']}; {draws:,} draws a dataset, "
        f"{result['settings']['threads']} thread. Answers are judged on the first {work['judged']} datasets, the truth "
        f"being {work['reference']}; {draws:,} independent draws of it have a KS of about {0.87 / draws**0.5:.3f}. "
        f"~: extrapolated from as many datasets as {result['settings']['budget_seconds']:g} s allowed."
    ]
    for network, others in work["break_even"].items():
        when = [f"{n:,.0f} against {other}" if n else f"never against {other}" for other, n in others.items()]
        trained = work["ways"][network]["training_seconds"]
        said.append(f"{network}: its {trained:.0f} s of training have paid after so many datasets: {'; '.join(when)}.")
    said += [f"{name}: {way['note']}." for name, way in work["ways"].items() if way["note"]]
    return said


def remarks(result: Mapping[str, Any]) -> list[str]:
    """Peers that did not run, and the figures quoted in place of one that could not be installed."""
    said = [f"{peer} is not installed here: it did not run." for peer in result["absent_peers"]]
    said += [f"{peer} was left out." for peer in result["peers_left_out"]]
    if result.get("interrupted"):
        said.append("The benchmark was interrupted: these are the points measured until then.")
    quoted = result.get("quoted")
    if quoted:
        speeds = "; ".join(f"{what}: {v:,}" for what, v in quoted["effective_draws_per_second"].items())
        others = "; ".join(f"{what}: {v:g} s" for what, v in quoted["seconds"].items())
        said.append(
            f"Compiled Stan, quoted and not run here ({quoted['source']}), effective draws/s: {speeds}; {others}."
        )
    return said


def text(result: Mapping[str, Any]) -> str:
    """For a terminal."""
    lines = [f"{result['title']}: {result['machine']['cpu']}, {result['date']}"]
    for work in result["works"]:
        table = [COLUMNS, *rows(work)]
        widths = [max(len(row[i]) for row in table) for i in range(len(COLUMNS))]
        lines += ["", f"K = {work['n_categories']}: {work['name']}"]
        for row in table:
            cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
            lines.append("  ".join(cells).rstrip())
        lines += sentences(result, work)
    return "\n".join([*lines, "", *remarks(result)])


def seconds(value: float) -> str:
    """Three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _of(points: Sequence[Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    return [p for p in points if p["way"] == name]


def _title(work: Mapping[str, Any]) -> str:
    return f"{work['name']} (K = {work['n_categories']}), {work['n_groups']} groups of {work['totals']}"
