"""RESULTS.md from benchmarks/results/*.json: speed and error of every way in one table for each work.

    python benchmarks/make_results.py [--results FOLDER] [--out FILE]

Knows pytest-benchmark's JSON, what bench_sampling.py and bench_amortized_vs_mcmc.py save, and shows any other JSON of
named figures as it stands. A table's ratio is the time (or the inverse of the speed) over that of hbm_fast's best
way on one thread.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hbm_fast.benchmark import plots as benchmark_plots

ROOT = Path(__file__).parent
OURS = ("hbm_fast", "hbm.", "ours", "exact_posterior", "network", "corrected")
TITLES = {
    "likelihood": "Likelihood",
    "simulate": "Simulation",
    "ratios": "Likelihood and simulation: ratios of interleaved rounds",
    "ratios_two_threads": "Likelihood and simulation: two threads",
    "sampling": "Posterior sampling",
    "sampling_peers": "Posterior sampling: peers",
    "amortized": "Amortized inference: training and networks",
    "amortized_peers": "Amortized inference: peers, five minutes each",
    "amortized_vs_mcmc": "MCMC against a trained network",
    "scale": "Past one machine",
    "embedding": "The learned embedding",
    "fit_maxima": "Maximum likelihood and modes: fit against 30 starts",
}
Loss = tuple[str, str, str, float]  # file, work, the peer that wins, by how much
# a time a dataset (or a row) is fairer than a median where slow peers ran a share of the work
TIMES = ("microseconds_a_dataset", "ns_a_row", "ns_an_evaluation")


def is_ours(way: str) -> bool:
    return any(way.startswith(name) for name in OURS)


def number(value: Any) -> str:
    """Figures to four digits, everything else as it is."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            return str(value)
        size = abs(value)
        return f"{value:,.0f}" if size >= 10_000 else f"{value:.2e}" if 0 < size < 1e-4 else f"{value:.4g}"
    if isinstance(value, list | tuple):
        return " ".join(number(item) for item in value)
    return str(value).replace("|", "\\|").replace("\n", " ")


def table(columns: list[str], rows: list[list[str]]) -> list[str]:
    align = "|" + "|".join([" --- ", *[" ---: "] * (len(columns) - 1)]) + "|"
    return ["| " + " | ".join(columns) + " |", align, *("| " + " | ".join(row) + " |" for row in rows), ""]


# pytest-benchmark -----------------------------------------------------------------------------------------------


def way_of(bench: Mapping[str, Any]) -> str:
    """Which of the ways of its group a benchmark is."""
    extra, params = bench.get("extra_info") or {}, bench.get("params") or {}
    for name in ("way", "peer", "method", "library", "function"):
        if name in extra or name in params:
            return str(extra.get(name, params.get(name)))
    return bench["name"].removeprefix("test_")


def pytest_benchmark(saved: Mapping[str, Any], file: str, losses: list[Loss]) -> Iterator[str]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for bench in saved["benchmarks"]:
        groups.setdefault(bench["group"] or bench["name"], []).append(bench)
    for group, benches in groups.items():
        extras: dict[str, None] = {}
        for bench in benches:
            extras |= dict.fromkeys(k for k in bench.get("extra_info") or {} if k != "way")
        unit = next((name for name in TIMES if all(name in (b.get("extra_info") or {}) for b in benches)), None)
        times = [float(b["extra_info"][unit]) if unit else float(b["stats"]["median"]) for b in benches]
        mine = [(t, way_of(b)) for t, b in zip(times, benches, strict=True) if is_ours(way_of(b))]
        # peers run on one thread: they are held against one thread of ours
        best = min((t for t, way in mine if "thread" not in way), default=min((t for t, _ in mine), default=None))
        columns = ["way", "median, s", *(["time / ours"] if best else []), *(name.replace("_", " ") for name in extras)]
        rows = []
        for time, bench in sorted(zip(times, benches, strict=True), key=lambda pair: pair[0]):
            extra = bench.get("extra_info") or {}
            ratio = [f"{time / best:.3g}"] if best else []
            rows.append(
                [
                    way_of(bench),
                    number(float(bench["stats"]["median"])),
                    *ratio,
                    *(number(extra.get(n)) for n in extras),
                ]
            )
            if best and time < best and not is_ours(way_of(bench)):
                losses.append((file, group, way_of(bench), best / time))
        yield f"### {group}\n"
        yield from table(columns, rows)


def pytest_machine(saved: Mapping[str, Any]) -> str:
    info = saved.get("machine_info") or {}
    cpu = (info.get("cpu") or {}).get("brand_raw") or info.get("processor") or info.get("machine", "?")
    return f"{cpu}, Python {info.get('python_version', '?')}, {saved.get('datetime', '?')[:16].replace('T', ' ')}"


# bench_sampling.py ----------------------------------------------------------------------------------------------

SAMPLING = ("effective draws/s", "seconds", "effective draws", "E[log alpha]", "z", "R-hat")
WORKS = {
    "i": "(i) the note's 21 bags, K = 2",
    "ii": "(ii) 1,000 groups, K = 5, total 50",
    "iii": "(iii) 200 groups, K = 50, total 200",
    "iv": "(iv) 200 groups, K = 1,000, total 5,000",
    "v": "(v) 100 datasets of kind (i), one chain of 1,000 draws each",
}


def sampling(saved: Mapping[str, Any], file: str, losses: list[Loss]) -> Iterator[str]:
    for work, ways in saved["works"].items():
        yield f"### {WORKS.get(work, work)}\n"
        if any("ess" not in row for row in ways.values()):
            names = list(dict.fromkeys(name for row in ways.values() for name in row))
            yield from table(
                ["way", *names], [[way, *(number(row.get(n)) for n in names)] for way, row in ways.items()]
            )
            continue
        speeds = {way: float(row["ess_per_wall_s"]) for way, row in ways.items()}
        best = max((s for way, s in speeds.items() if is_ours(way)), default=0.0)
        rows = []
        for way, row in sorted(ways.items(), key=lambda item: -speeds[item[0]]):
            figures = (speeds[way], row["wall_s"], row["ess"], row["log_alpha"], row.get("z"), row.get("rhat"))
            rows.append([way, *(number(f) for f in figures), f"{best / speeds[way]:.3g}"])
            if speeds[way] > best and not is_ours(way):
                losses.append((file, WORKS.get(work, work), way, speeds[way] / best))
        yield from table(["way", *SAMPLING, "ours / it"], rows)
    yield (
        "z is the distance of E[log alpha] from the exact value (i), or from ours, in Monte Carlo standard errors. "
        '"hand" is nutpie on the sufficient statistics written by hand, "pymc" nutpie on the library\'s own '
        'DirichletMultinomial, "uncollapsed" numpyro with theta in the model.\n'
    )


# bench_amortized_vs_mcmc.py -------------------------------------------------------------------------------------


def amortized_vs_mcmc(saved: Mapping[str, Any], file: str, losses: list[Loss]) -> Iterator[str]:
    for work in saved["works"]:
        name = f"{work['name']}, K = {work['n_categories']}"
        yield f"### {name}\n"
        yield from table(list(benchmark_plots.COLUMNS), [list(row) for row in benchmark_plots.rows(work)])
        yield from (f"- {said}" for said in benchmark_plots.sentences(saved, work))
        yield ""
        for network, others in work["break_even"].items():
            n = others.get("hbm.sample")
            when = (
                "with the training charged never" if n is None else f"with the training charged below {n:,.0f} datasets"
            )
            losses.append((file, f"{name}: {network}, {when}", "hbm.sample", float("nan")))
    yield from (f"- {said}" for said in benchmark_plots.remarks(saved))
    yield ""


# anything else --------------------------------------------------------------------------------------------------


def figures(saved: Mapping[str, Any]) -> Iterator[str]:
    """Named figures: a table for each record, one table for records of the same fields."""
    plain = {
        k: v for k, v in saved.items() if not isinstance(v, dict) and not _records(v) and k not in ("date", "kind")
    }
    if plain:
        yield from table(["figure", "value"], [[k.replace("_", " "), number(v)] for k, v in plain.items()])
    for name, value in saved.items():
        if name in ("machine", "versions"):
            continue
        rows = {str(i): row for i, row in enumerate(value)} if _records(value) else value
        if not isinstance(rows, dict) or not rows:
            continue
        yield f"### {name.replace('_', ' ')}\n"
        if all(isinstance(row, dict) for row in rows.values()):
            columns = list(dict.fromkeys(k for row in rows.values() for k in row))
            body = [[key, *(number(row.get(c)) for c in columns)] for key, row in rows.items()]
            yield from table(["", *(c.replace("_", " ") for c in columns)], body)
        else:
            yield from table(["figure", "value"], [[k.replace("_", " "), number(v)] for k, v in rows.items()])


def _records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def machine(saved: Mapping[str, Any]) -> str:
    found = saved.get("machine") or {}
    if isinstance(found, str):
        return found
    parts = [number(found[k]) for k in ("cpu",) if k in found]
    parts += [f"{k} {found[k]}" for k in ("isa", "compiler", "python", "numpy", "version") if k in found]
    versions = [f"{k} {v}" for k, v in (saved.get("versions") or {}).items() if v != "absent"]
    return ", ".join([*parts, *versions, *([saved["date"]] if "date" in saved else [])])


def render(folder: Path) -> str:
    """The whole page."""
    losses: list[Loss] = []
    body: list[str] = []
    for path in sorted(
        folder.glob("*.json"), key=lambda p: (list(TITLES).index(p.stem) if p.stem in TITLES else 99, p)
    ):
        saved = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(saved, dict):
            raise ValueError(f"{path}: expected an object of results")
        title = TITLES.get(path.stem, path.stem.replace("_", " "))
        if "benchmarks" in saved and "machine_info" in saved:
            where, content = pytest_machine(saved), pytest_benchmark(saved, title, losses)
        elif saved.get("kind") == "amortized_vs_mcmc":
            where, content = machine(saved), amortized_vs_mcmc(saved, title, losses)
        elif isinstance(saved.get("works"), dict):
            where, content = machine(saved), sampling(saved, title, losses)
        else:
            where, content = machine(saved), figures(saved)
        body += [f"## {title}\n", f"`{path.name}`{': ' + where if where else ''}.\n", *content]
    return "\n".join([*_HEAD, *_lost(losses), *body]).rstrip() + "\n"


def _lost(losses: list[Loss]) -> Iterator[str]:
    yield "## Works that are lost\n"
    if not losses:
        yield "No table below has a peer ahead of hbm_fast's best way on one thread.\n"
    for file, work, peer, factor in losses:
        by = "" if factor != factor else f", by a factor of {factor:.2f}"
        yield f"- {file}, {work}: {peer} is faster{by}."
    yield ""


_HEAD = [
    "# Results",
    "",
    "Generated by `python benchmarks/make_results.py` from `benchmarks/results/*.json`; not edited by hand. Each table "
    "has speed and error of every way that ran; CONTRIBUTING says how to run the benchmarks again.",
    "",
]


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    parser.add_argument("--out", type=Path, default=ROOT / "RESULTS.md")
    options = parser.parse_args()
    options.out.write_text(render(options.results), encoding="utf-8")
    print(options.out)


if __name__ == "__main__":
    main()
