"""The report: both questions of Le (2020), the answers beside the exact ones, calibration, speed, on one HTML page."""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from hbm_fast.calibration import distance, simulation_based_calibration
from hbm_fast.exact import exact_posterior
from hbm_fast.models import HierarchicalModel
from hbm_fast.posterior import Posterior
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
    answered, seconds = {}, {}
    for name, infer in methods.items():
        infer(BAGS)  # once untimed: first-use set-up is not counted
        start = time.perf_counter()
        answered[name] = infer(BAGS)
        seconds[name] = time.perf_counter() - start
    exact = answered[EXACT]
    yield Section(
        "The question",
        "Ten bags of 20 white marbles, ten of 20 black, and one bag from which one black marble was drawn: "
        "what colour are the others in that last bag?",
        _bags,
        chapter="Question 1: can inference be amortized? Yes, top-down",
    )
    yield Section(
        "What alpha means",
        "Small alpha: every bag is of one colour. Large alpha: every bag is the mixture. Equal beta in all three.",
        partial(_thetas, rng),
    )
    yield Section(
        "The answers",
        "Exact inference, MCMC and the top-down network put about 99 % on the next marble being black, because twenty "
        "pure bags make a small alpha almost certain; a bottom-up network, which uses each bag alone, cannot use that.",
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
    if find_spec("torch") is not None:
        yield from _network_plots(rng)
    agreeing = {name: post for name, post in answered.items() if name != "bottom-up network"}
    yield Section(
        "The posteriors",
        "The curves lie on top of each other: log alpha far below 0, beta undecided between the colours, "
        "theta of the last bag almost surely black.",
        lambda: plots.compare(agreeing, group=LAST, category=1, category_name="black"),
    )
    yield Section(
        "Distance from the exact posterior",
        "For MCMC what is left is Monte Carlo error: for a few thousand draws Kolmogorov-Smirnov distances of about "
        "0.02; the top-down network is close, the bottom-up network is not.",
        columns=("method", "of", "Wasserstein-1", "Kolmogorov-Smirnov"),
        rows=[
            (name, quantity, f"{d.w1:.4f}", f"{d.ks:.4f}")
            for name, post in answered.items()
            if post is not exact
            for quantity, d in distance(post, exact).items()
        ],
    )


def _network_plots(rng: int) -> Iterator[Section]:
    from hbm_fast.experiments import question_one

    yield Section(
        "The last bag",
        "After one black marble the bottom-up network is uncertain, the top-down one and the exact answer are not; "
        "after 20 marbles from the last bag all three agree (the numbers are P(next is black): exact, top-down, "
        "bottom-up).",
        partial(question_one.last_bag, rng=rng),
    )
    yield Section(
        "The abstract knowledge",
        "Top-down lies on the exact curves; bottom-up puts alpha too high: bags of less extreme colours.",
        partial(question_one.knowledge, rng=rng),
    )
    yield Section(
        "New bags",
        "After ten white and ten black bags a new one is white or black; bottom-up expects mixed bags slightly more "
        "often than it should.",
        partial(question_one.new_bags, rng=rng),
    )


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
        yield Section(
            f"Calibration of {'the ' if 'network' in name else ''}{name}",
            f"Ranks of the true values among the draws over {n} simulated datasets: flat within the band, as they "
            "are where the inference is correct on average over the prior.",
            partial(plots.calibration, calibrated),
            chapter="" if number else "Can the answers be trusted?",
        )


def _bags() -> "Figure":
    figure, (axes,) = plots.panels(1)
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
    figure, all_axes = plots.panels(3)
    model = HierarchicalModel(2)
    for axes, alpha in zip(all_axes, (0.1, 1.0, 10.0), strict=True):
        drawn = simulate(model, 1, n_groups=20_000, totals=0, alpha=alpha, beta=[0.5, 0.5], rng=rng)
        assert drawn.theta is not None
        axes.hist(drawn.theta[0, :, 1], bins=40, range=(0, 1), density=True, color="C0")
        axes.set_xlabel(f"theta, black (alpha = {alpha:g})")
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
        name = f"{case['name']}, K = {case['n_categories']}"
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
        return draw(case)


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Errors caused by the content of a file become one that names the file."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{file}: not what `hbm-fast benchmark` saves, or damaged ({type(error).__name__}: {error})"
        ) from error
