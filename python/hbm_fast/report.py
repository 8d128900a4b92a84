"""One self-contained HTML page: the note's question, its answers beside the exact ones, calibration, the machine."""

import base64
import html
import io
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_fast import _validate, plots
from hbm_fast._config import show_config
from hbm_fast.calibration import distance, simulation_based_calibration
from hbm_fast.model import HierarchicalModel
from hbm_fast.posterior import Posterior
from hbm_fast.quadrature import exact_posterior
from hbm_fast.sampling import sample
from hbm_fast.simulation import simulate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BAGS = np.array([[20, 0]] * 10 + [[0, 20]] * 10 + [[0, 1]], dtype=np.int64)
LAST = 20  # the bag asked about

Infer = Callable[[Any], Posterior]


@dataclass(frozen=True)
class Section:
    """A heading, one sentence that says what to see, a figure or a table."""

    title: str
    sentence: str
    draw: Callable[[], "Figure"] | None = None
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


def write(
    path: str | os.PathLike[str],
    *,
    networks: Mapping[str, Infer] | None = None,
    results: str | os.PathLike[str] | None = None,
    n_calibration: int = 500,
    rng: int = 0,
) -> Path:
    """Write the report.

    Parameters
    ----------
    path : path
        Of the page; it is written over.
    networks : mapping of str to callable, optional
        Further ways of inference for two categories by name: ``counts -> Posterior``, counts (N, K).
    results : path, optional
        A folder of the JSON files that ``hbm-fast benchmark`` saves: the page then shows them.
    n_calibration : int
        Datasets of the calibration of MCMC.
    rng : int
        Seed of everything random.

    Returns
    -------
    Path

    Raises
    ------
    ImportError
        Without matplotlib (extra ``report``).

    Examples
    --------
    >>> import os, tempfile
    >>> import hbm_fast as hbm
    >>> from hbm_fast import report
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = report.write(os.path.join(folder, "report.html"), n_calibration=21)
    ...     page.read_text().startswith("<!doctype html>")
    True
    """
    n_calibration = _validate.positive_int(n_calibration, "n_calibration")
    try:
        import matplotlib
    except ImportError as error:
        raise _validate.missing_extra("matplotlib", "report") from error
    target = Path(path)
    body = "\n".join(_html(section, matplotlib) for section in _sections(networks or {}, results, n_calibration, rng))
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    target.write_text(_PAGE.replace("{made}", made).replace("{body}", body), encoding="utf-8")
    return target


def _sections(
    networks: Mapping[str, Infer], results: str | os.PathLike[str] | None, n_calibration: int, rng: int
) -> Iterator[Section]:
    model = HierarchicalModel(2)
    ways: dict[str, Infer] = {
        "exact (quadrature)": lambda counts: exact_posterior(counts, model, n_draws=4000, rng=rng),
        "MCMC": lambda counts: sample(counts, model, rng=rng),
        **networks,
    }
    answered, seconds = {}, {}
    for name, infer in ways.items():
        infer(BAGS)  # once untimed: first-use set-up is not the method's speed
        start = time.perf_counter()
        answered[name] = infer(BAGS)
        seconds[name] = time.perf_counter() - start
    exact = answered["exact (quadrature)"]

    yield Section(
        "The question",
        "Ten bags of 20 white marbles, ten of 20 black, and one bag from which one black marble came: "
        "what colour are the others in that last bag?",
        _bags,
    )
    yield Section(
        "Question 1: the answers",
        "One black marble settles the bag: every way of inference puts about 99 % on the next one being black, "
        "because twenty pure bags have taught that alpha is small.",
        columns=("", "P(next is black)", "E[log alpha]", "sd", "E[beta, black]", "seconds"),
        rows=[
            (
                name,
                f"{post.predict(LAST)[1]:.5f}",
                f"{post.mean('log_alpha'):.4f}",
                f"{post.sd('log_alpha'):.4f}",
                f"{post.mean('beta')[1]:.4f}",
                f"{seconds[name]:.4f}",
            )
            for name, post in answered.items()
        ],
    )
    yield Section(
        "Question 1: what is believed",
        "The curves lie on top of each other: log alpha far below 0, beta undecided between the colours, "
        "theta of the last bag almost surely black.",
        lambda: plots.compare(answered, group=LAST, category=1, category_name="black"),
    )
    rows = [
        (name, quantity, f"{d.w1:.4f}", f"{d.ks:.4f}")
        for name, post in answered.items()
        if post is not exact
        for quantity, d in distance(post, exact).items()
    ]
    yield Section(
        "Distance from the exact posterior",
        "What is left is Monte Carlo error: for a few thousand draws Kolmogorov-Smirnov distances of about 0.02.",
        columns=("method", "of", "Wasserstein-1", "Kolmogorov-Smirnov"),
        rows=rows,
    )
    yield Section(
        "What alpha means",
        "Small alpha: every bag is of one colour. Large alpha: every bag is the mixture. Equal beta in all three.",
        lambda: _thetas(rng),
    )
    generator = np.random.default_rng(rng)
    calibrated = simulation_based_calibration(
        lambda counts: sample(counts, model, n_draws=500, rng=generator),
        model,
        n_calibration,
        n_groups=21,
        totals=20,
        n_ranks=21,
        batch=100,
        rng=rng,
    )
    yield Section(
        "Calibration",
        f"Ranks of the truth among the draws over {n_calibration} simulated datasets: flat within the band, as they "
        "are where the inference is right on average over the prior.",
        lambda: plots.calibration(calibrated),
    )
    yield from _benchmarks(results)
    yield Section(
        "Environment",
        "What ran here.",
        columns=("", ""),
        rows=[(name, str(value)) for name, value in show_config().items()],
    )


def _bags() -> "Figure":
    figure, (axes,) = plots._figure(1)
    figure.set_size_inches(9, 2.6)
    places = np.arange(1, len(BAGS) + 1)
    axes.bar(places, BAGS[:, 0], color="#f4f1e8", edgecolor="#888888", label="white")
    axes.bar(places, BAGS[:, 1], bottom=BAGS[:, 0], color="#222222", edgecolor="#888888", label="black")
    axes.set_xticks(places[::5])
    axes.set_xlabel("bag")
    axes.set_ylabel("marbles drawn")
    axes.legend(loc="lower left")
    return figure


def _thetas(rng: int) -> "Figure":
    figure, panels = plots._figure(3)
    model = HierarchicalModel(2)
    for axes, alpha in zip(panels, (0.1, 1.0, 10.0), strict=True):
        drawn = simulate(model, 1, n_groups=20_000, totals=0, alpha=alpha, beta=[0.5, 0.5], rng=rng)
        assert drawn.theta is not None
        axes.hist(drawn.theta[0, :, 1], bins=40, range=(0, 1), density=True, color="C0")
        axes.set_xlabel(f"theta, black (alpha = {alpha:g})")
    return figure


def _benchmarks(folder: str | os.PathLike[str] | None) -> Iterator[Section]:
    """One section for each saved file: {"title", "sentence", "columns", "rows"}."""
    if folder is None:
        return
    for file in sorted(Path(folder).glob("*.json")):
        saved = json.loads(file.read_text(encoding="utf-8"))
        if {"title", "sentence", "columns", "rows"} <= set(saved):
            rows = [[str(cell) for cell in row] for row in saved["rows"]]
            yield Section(saved["title"], saved["sentence"], columns=saved["columns"], rows=rows)


def _html(section: Section, matplotlib: Any) -> str:
    parts = [f"<section><h2>{html.escape(section.title)}</h2>", f"<p>{html.escape(section.sentence)}</p>"]
    if section.draw is not None:
        light = _image(section.draw, matplotlib, {"savefig.facecolor": "#ffffff"})
        dark = _image(section.draw, matplotlib, _dark(matplotlib))
        parts.append(
            f'<div class="wide"><picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
            f'<img src="{light}" alt="{html.escape(section.title)}"></picture></div>'
        )
    if section.rows:
        head = "".join(f"<th>{html.escape(c)}</th>" for c in section.columns)
        rows = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in section.rows)
        parts.append(f'<div class="wide"><table><tr>{head}</tr>{rows}</table></div>')
    return "\n".join([*parts, "</section>"])


def _dark(matplotlib: Any) -> dict[str, Any]:
    from matplotlib import style

    dark = dict(style.library["dark_background"])
    return dark | {"figure.facecolor": "#16181d", "axes.facecolor": "#16181d", "savefig.facecolor": "#16181d"}


def _image(draw: Callable[[], "Figure"], matplotlib: Any, style: dict[str, Any]) -> str:
    with matplotlib.rc_context(style):
        file = io.BytesIO()
        draw().savefig(file, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>hbm_fast: report</title>
<link rel="icon" href="data:,">
<style>
:root { --back: #ffffff; --text: #1b1f24; --faint: #5b6470; --line: #d9dde2; }
@media (prefers-color-scheme: dark) {
  :root { --back: #16181d; --text: #e6e8eb; --faint: #9aa3ad; --line: #3a3f47; }
}
body { background: var(--back); color: var(--text); font: 16px/1.5 system-ui, sans-serif;
       max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { margin-bottom: 0; } h2 { margin: 2.5rem 0 .25rem; }
.faint { color: var(--faint); margin-top: 0; }
img { width: 100%; min-width: 36rem; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .3rem .8rem; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
</style>
</head>
<body>
<h1>hbm_fast</h1>
<p class="faint">Counts in, beliefs out. Made {made}.</p>
{body}
</body>
</html>
"""
