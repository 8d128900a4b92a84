"""The report: both questions of Le (2020), the answers beside the exact ones, calibration, speed, on one HTML page."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_fast import _validate, datasets, plots
from hbm_fast._config import show_config
from hbm_fast._files import write_text
from hbm_fast._optional import missing_extra
from hbm_fast.benchmark import plots as benchmark_plots
from hbm_fast.benchmark.measure import seconds
from hbm_fast.calibration import Calibration, distance, simulation_based_calibration
from hbm_fast.exact import exact_posterior
from hbm_fast.models import HierarchicalModel
from hbm_fast.plots import axes as plot_axes
from hbm_fast.posterior import Posterior
from hbm_fast.report import drawing
from hbm_fast.report.page import Section, render
from hbm_fast.sampling import sample
from hbm_fast.simulation import simulate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BAGS = datasets.load_marbles().counts
LAST = 20  # the bag of the question
EXACT = "exact (quadrature)"
TITLE = "The marbles, answered"
INTRODUCTION = (
    "The two questions of Tuan Anh Le, <em>Learning and amortized inference in hierarchical Bayesian models</em> "
    "(2020), every figure drawn again beside exact inference."
)

Infer = Callable[[Any], Posterior]


def write(
    path: str | os.PathLike[str],
    *,
    networks: Mapping[str, Infer] | None = None,
    sections: Sequence[Section] = (),
    results: str | os.PathLike[str] | None = None,
    n_calibration: int = 500,
    rng: int = 0,
) -> Path:
    """Write the report to ``path``, in one step when the page is whole.

    Where torch is installed the shipped networks answer too, and the figures of the first question are drawn.
    ``networks`` are further methods of inference for two categories, by name; ``sections`` follow the first question,
    and ``hbm-fast report`` puts the second question there; ``results`` is a folder of the JSON files that
    ``hbm-fast benchmark`` saves; ``n_calibration`` is the number of datasets of each calibration.
    """
    n_calibration = _validate.positive_int(n_calibration, "n_calibration")
    if find_spec("matplotlib") is None:
        raise missing_extra("matplotlib", "report")
    target = Path(path)
    methods = {**_shipped(rng), **(networks or {})}
    benchmarks = list(_benchmarks(results))  # first: a damaged file is found before the long computations
    content = [
        *_question_one(methods, rng),
        *sections,
        *_calibrations(n_calibration, rng),
        *benchmarks,
        Section(
            "Environment",
            "Versions and settings of this run.",
            columns=("", ""),
            rows=[(name, str(value)) for name, value in show_config().items()],
            chapter="Environment",
        ),
    ]
    write_text(target, render(content, TITLE, INTRODUCTION))
    return target


def _shipped(rng: int | np.random.Generator) -> dict[str, Infer]:
    """The shipped networks as they are, uncorrected: as in the figures of Le (2020)."""
    if find_spec("torch") is None:
        return {}
    from hbm_fast import amortize

    nets = {"top-down network": amortize.load("marbles"), "bottom-up network": amortize.load("marbles-bottom-up")}
    return {
        name: lambda counts, net=net: net.sample(counts, n_draws=4000, rng=rng, correct=False)  # type: ignore[misc]
        for name, net in nets.items()
    }


def _question_one(networks: Mapping[str, Infer], rng: int) -> Iterator[Section]:
    model = HierarchicalModel(2)
    methods: dict[str, Infer] = {
        EXACT: lambda counts: exact_posterior(counts, model, n_draws=4000, rng=rng),
        "MCMC": lambda counts: sample(counts, model, rng=rng),
        **networks,
    }
    answered, spent = {}, {}
    for name, infer in methods.items():
        infer(BAGS)  # once untimed: first-use set-up is not counted
        spent[name], answered[name] = seconds(partial(infer, BAGS))
    exact = answered[EXACT]
    yield Section(
        "The question",
        "Ten bags of 20 white marbles, ten of 20 black, and one bag from which one black marble was drawn: "
        "what colour are the others in that last bag?",
        _bags,
        chapter="Question 1: can inference be amortized?",
    )
    yield Section(
        "What alpha means",
        "theta of 20,000 simulated bags, beta = 0.5. Small alpha: most bags are of nearly one colour. Large alpha: "
        "bags differ little from half and half.",
        partial(_thetas, rng),
    )
    yield Section(
        "The answers",
        "Twenty pure bags make a small alpha nearly certain, so that one black marble gives "
        f"{_black(exact):.1%} for the next. {_differences(answered, exact)} A bottom-up network infers each bag's "
        "theta from that bag alone.",
        columns=("", "P(next is black)", "E[log alpha]", "sd", "E[beta, black]", "seconds"),
        rows=[
            (
                name,
                f"{post.predict(LAST)[1]:.5f}",
                f"{post.mean('log_alpha'):.4f}",
                f"{post.sd('log_alpha'):.4f}",
                f"{post.mean('beta')[1]:.4f}",
                f"{spent[name]:.4f}",
            )
            for name, post in answered.items()
        ],
    )
    if find_spec("torch") is not None:
        yield from _network_plots(rng)
    yield Section(
        "The posteriors",
        "alpha, beta and theta of the last bag, without the bottom-up network. Their distances are in the next table.",
        partial(_posteriors, {name: post for name, post in answered.items() if name != "bottom-up network"}),
    )
    distances = {name: distance(post, exact) for name, post in answered.items() if post is not exact}
    largest = {name: max(d.ks for d in found.values()) for name, found in distances.items()}
    yield Section(
        "Distance from the exact posterior",
        f"{exact.alpha.size:,} independent draws of the exact posterior have Kolmogorov-Smirnov distances (KS) of "
        f"about {0.87 / exact.alpha.size**0.5:.3f}. The larger of the two: "
        f"{', '.join(f'{name} {ks:.3f}' for name, ks in largest.items())}.",
        columns=("method", "of", "Wasserstein", "KS"),
        rows=[
            (name, quantity, f"{d.w1:.4f}", f"{d.ks:.4f}")
            for name, found in distances.items()
            for quantity, d in found.items()
        ],
    )


def _network_plots(rng: int) -> Iterator[Section]:
    from hbm_fast.experiments import question_one

    parts: list[tuple[str, str, Callable[[int], Figure], Callable[[int], list[tuple[str, ...]]]]] = [
        (
            "The last bag",
            "theta of the last bag after one marble of it, and after twenty. The table has P(next is black).",
            question_one.last_bag,
            question_one.last_bag_rows,
        ),
        (
            "The abstract knowledge",
            "What all bags share: alpha, how alike they are, and beta, the mean proportion of black. The table has "
            "E[log alpha].",
            question_one.knowledge,
            question_one.knowledge_rows,
        ),
        (
            "New bags",
            "After ten white and ten black bags: theta of a new bag, and the number of black marbles among 20 of it. "
            "The table has the probability that the 20 are of both colours.",
            question_one.new_bags,
            question_one.new_bags_rows,
        ),
    ]
    for title, caption, draw, rows in parts:
        yield Section(title, caption, partial(draw, rng), question_one.COLUMNS, rows(rng))


def _black(post: Posterior) -> float:
    """P(the next marble of the last bag is black)."""
    return float(post.predict(LAST)[1])


def _differences(answered: Mapping[str, Posterior], exact: Posterior) -> str:
    """By how much the other answers differ from the exact one."""
    off = {name: _black(post) - _black(exact) for name, post in answered.items() if post is not exact}
    return f"Differences from it: {', '.join(f'{name} {d:+.4f}' for name, d in off.items())}."


def _calibrations(n: int, rng: int) -> Iterator[Section]:
    model = HierarchicalModel(2)
    generator = np.random.default_rng(rng)
    methods: dict[str, Infer] = {
        "MCMC": lambda counts: sample(counts, model, n_draws=500, rng=generator, diagnostics=False)
    }
    # calibration needs fresh random numbers at every call
    methods |= {name: infer for name, infer in _shipped(generator).items() if name.startswith("top-down")}
    for number, (name, infer) in enumerate(methods.items()):
        calibrated = simulation_based_calibration(
            infer, model, n, n_groups=21, totals=20, n_ranks=21, batch=100, rng=rng
        )
        names = tuple(found.replace("[1]", ", black") for found in calibrated.names)
        yield Section(
            f"Calibration of {'the ' if 'network' in name else ''}{name}",
            f"Ranks of the true values among the draws over {n} simulated datasets. Correct inference gives equal "
            f"bars, of which the band holds 99 %. {_uniform(calibrated)}",
            partial(_ranks, replace(calibrated, names=names)),
            chapter="" if number else "Can the answers be trusted?",
        )


def _uniform(calibrated: Calibration) -> str:
    """Whether the ranks are uniform, by the test of all quantities together."""
    p = calibrated.p_value
    found = "The ranks are not uniform" if p < 0.01 else "No departure from uniform ranks is found"
    return f"{found}: p = {p:.2g}, corrected for {len(calibrated.names)} quantities."


def _ranks(calibrated: Calibration) -> "Figure":
    n = len(calibrated.names)
    figure, panels = drawing.panels(n, height=1.9)
    plots.calibration(calibrated, ax=panels)
    for axes in panels:
        drawing.numbered(axes, "datasets")
    drawing.legend_outside(figure, panels[-1])
    return figure


def _posteriors(posteriors: Mapping[str, Posterior]) -> "Figure":
    figure, panels = drawing.panels(3, height=2.2)
    plots.compare(posteriors, group=LAST, category=1, category_name="black", ax=panels)
    for axes in panels[:2]:
        drawing.numbered(axes, "density")
    panels[0].set_title("", loc="left")
    panels[2].set_xlabel("theta of the last bag, black")
    drawing.legend_outside(figure, panels[2])
    return figure


def _bags() -> "Figure":
    figure, (axes,) = drawing.panels(1, height=2.6)
    places = np.arange(1, len(BAGS) + 1)
    axes.bar(places, BAGS[:, 0], color="#f4f1e8", edgecolor="#888888", label="white")
    axes.bar(places, BAGS[:, 1], bottom=BAGS[:, 0], color="#222222", edgecolor="#888888", label="black")
    axes.set(xticks=places[::5], xlabel="bag", yticks=range(0, 21, 5), ylabel="marbles drawn")
    drawing.legend_outside(figure, axes)
    return figure


def _thetas(rng: int) -> "Figure":
    alphas = (0.1, 1.0, 10.0)
    figure, panels = drawing.panels(len(alphas), height=1.7, sharex=True)
    model = HierarchicalModel(2)
    for axes, alpha in zip(panels, alphas, strict=True):
        drawn = simulate(model, 1, n_groups=20_000, totals=0, alpha=alpha, beta=[0.5, 0.5], rng=rng)
        assert drawn.theta is not None
        axes.hist(drawn.theta[0, :, 1], bins=40, range=(0, 1), density=True, color=plots.PALETTE[0])
        plot_axes.title(axes, f"alpha = {alpha:g}")
        axes.set_ylabel("density")
    panels[-1].set_xlabel("theta, black")
    return figure


def _benchmarks(folder: str | os.PathLike[str] | None) -> Iterator[Section]:
    """What ``hbm-fast benchmark`` saved in the folder; other JSON there is left out."""
    if folder is None:
        return
    chapter = "Speed, and error beside it"
    for file in sorted(Path(folder).glob("*.json")):
        with _named(file):
            saved = json.loads(file.read_bytes())
            if not isinstance(saved, dict) or saved.get("kind") != "amortized_vs_mcmc":
                continue
            where = Section(
                "Where this was measured",
                f"{saved['machine']['cpu']}, {saved['date']}.",
                columns=("", ""),
                rows=[(name, str(version)) for name, version in saved["versions"].items()],
                notes=benchmark_plots.result_notes(saved),
            )
            sections = [*_cases(file, saved, chapter), where]
        yield from sections
        chapter = ""


def _cases(file: Path, saved: Mapping[str, Any], chapter: str) -> Iterator[Section]:
    for case in saved["works"]:
        name = benchmark_plots.case_name(case)
        yield Section(
            f"{saved['title']}: {name}",
            "The lower line is the faster method; hollow points are extrapolated, dashed lines include the training, "
            "which pays only when many datasets share it.",
            partial(_figure, file, benchmark_plots.time_against_datasets, case),
            chapter=chapter,
        )
        chapter = ""
        yield Section(
            f"Accuracy against time: {name}",
            "More draws bring every correct method closer to the reference; a raw network stops at its own error.",
            partial(_figure, file, benchmark_plots.accuracy_against_time, case),
            benchmark_plots.COLUMNS,
            benchmark_plots.rows(case),
            benchmark_plots.case_notes(saved, case),
        )


def _figure(file: Path, draw: Callable[[Any], "Figure"], case: Any) -> "Figure":
    with _named(file):
        figure = draw(case)
    (axes,) = figure.axes
    axes.set_title("")
    figure.set_size_inches(drawing.WIDTH, drawing.WIDTH)
    drawing.legend_outside(figure, axes, columns=1)
    return figure


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Errors caused by the content of a file become one that names the file."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{file}: not what `hbm-fast benchmark` saves, or damaged ({type(error).__name__}: {error})"
        ) from error
