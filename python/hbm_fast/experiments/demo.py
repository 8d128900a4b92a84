"""The marbles of Le (2020) and the rats, answered by quadrature, by MCMC and by a network trained on the spot."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from hbm_fast import _files, amortize, datasets, plots
from hbm_fast._optional import import_optional
from hbm_fast.benchmark.measure import break_even, seconds
from hbm_fast.datasets import load_rat_tumors
from hbm_fast.exact import exact_posterior
from hbm_fast.models import HierarchicalModel
from hbm_fast.posterior import Posterior
from hbm_fast.sampling import sample

# Ranges of the training datasets: they hold the 21 bags, and the 71 experiments of up to 52 rats.
N_GROUPS = (1, 80)
TOTALS = (0, 60)
_COPIES = 200  # of an example, for the time of a dataset when many come at once


@dataclass(frozen=True)
class Example:
    """One data set and a question about it."""

    name: str
    title: str
    question: str
    counts: np.ndarray[Any, np.dtype[np.int64]]
    category: int  # of the question
    category_name: str
    group: int  # of the question


@dataclass(frozen=True)
class Answer:
    """One row of the table."""

    method: str
    log_alpha: float
    beta: float
    next_draw: float
    above_90: float
    seconds: float
    draws_per_second: float


def examples() -> list[Example]:
    """The marbles of Le (2020), and the rats."""
    bags = datasets.load_marbles().counts
    rats = load_rat_tumors()
    return [
        Example(
            "marbles",
            "Ten bags of 20 white marbles, ten bags of 20 black, and one bag from which one black marble was drawn",
            "What colour are the others in the last bag?",
            bags,
            1,
            "black",
            20,
        ),
        Example(
            "rats",
            f"Tumours in {len(rats.counts)} groups of control rats (Tarone 1982; Gelman et al., BDA)",
            "How likely is a tumour in the next rat of the last group (4 of 14)?",
            np.asarray(rats.counts, dtype=np.int64),
            rats.category_names.index("tumor"),
            "tumour",
            len(rats.counts) - 1,
        ),
    ]


def answer(method: str, example: Example, infer: Callable[[], Posterior]) -> tuple[Answer, Posterior]:
    """Run one method on one example; only the inference is timed."""
    infer()  # once untimed: imports and first-use set-up are not counted
    spent, posterior = seconds(infer)
    if posterior.details.get("path") == "sampler":
        method += " (MCMC)"
    return Answer(
        method,
        float(posterior.mean("log_alpha")),
        float(posterior.mean("beta")[example.category]),
        float(posterior.predict(example.group)[example.category]),
        above_90(posterior, example),
        spent,
        posterior.alpha.size / spent,
    ), posterior


def above_90(posterior: Posterior, example: Example) -> float:
    """P(theta > 0.9), averaged over the nodes of the quadrature where there is one, else over the draws.

    Given alpha and beta, theta of a group is Beta(alpha beta + x, alpha (1 - beta) + M - x).
    """
    special = import_optional("scipy.special", "report")
    x = example.counts[example.group]
    count, others = x[example.category], x.sum() - x[example.category]
    nodes = posterior if posterior.moments is None else posterior.moments
    beta, alpha = np.exp(nodes.log_beta)[..., example.category], np.exp(nodes.log_alpha)
    tails = special.betainc(alpha * (1.0 - beta) + others, alpha * beta + count, 0.1)
    weights = None if nodes.log_weights is None else np.exp(nodes.log_weights)
    return float(np.average(tails, weights=weights))


def table(example: Example, answers: list[Answer]) -> Table:
    """The answers of all methods to one example."""
    result = Table(
        title=example.title,
        caption=f"{example.question} beta, next and theta > 0.9 are of {example.category_name}.",
        title_style="bold",
        caption_style="italic",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for column in ("", "E\\[log alpha]", "E\\[beta]", "P(next)", "P(>0.9)", "seconds", "draws/s"):
        result.add_column(column, justify="left" if column == "" else "right", no_wrap=True)
    for row in answers:
        result.add_row(
            row.method,
            f"{row.log_alpha:.4f}",
            f"{row.beta:.5f}",
            f"{row.next_draw:.5f}",
            f"{row.above_90:.4f}",
            f"{row.seconds:.4f}",
            f"{row.draws_per_second:,.0f}",
        )
    return result


def seconds_per_dataset(infer: Callable[[Any], Posterior], counts: Any, copies: int) -> float:
    """Mean seconds of one dataset when many come at once."""
    batch = np.broadcast_to(counts, (copies, *counts.shape)).copy()
    infer(batch[:2])
    return seconds(partial(infer, batch))[0] / copies


def run(
    out: Path,
    *,
    quick: bool,
    seed: int,
    console: Console,
    progress: Callable[[float, dict[str, float]], object] = lambda share, metrics: None,
) -> dict[str, Any]:
    """Train a network, answer both examples by every method, and write the figures and results.json to ``out``.

    ``progress`` is called with the share of the training that is done, and its metrics.
    """
    out.mkdir(parents=True, exist_ok=True)
    model = HierarchicalModel(2)
    console.rule("hbm_fast: exact posteriors of counts, and a network that learns them")
    console.print(
        "Four answers: exact by quadrature; by MCMC; by a network as it is; by the network, corrected (weighted by the "
        "exact likelihood, or replaced by MCMC where the weights are too uneven).\n"
    )
    console.print("Training a network on simulated bags to infer (alpha, beta) ...")
    start = time.perf_counter()
    # steps, so that the demo repeats; minutes, so that it ends in time on a busy machine
    network = amortize.train(
        model,
        steps=1500 if quick else 6000,
        minutes=0.6 if quick else 2.5,
        n_groups=N_GROUPS,
        totals=TOTALS,
        rng=seed,
        progress=progress,
    )
    train_seconds = time.perf_counter() - start
    console.print(f"... trained in {train_seconds:.0f} s\n")

    methods: dict[str, Callable[[Any], Posterior]] = {
        "quadrature": lambda counts: exact_posterior(counts, model, n_draws=4000, rng=seed),
        "MCMC": lambda counts: sample(counts, model, rng=seed),
        "network": lambda counts: network.sample(counts, n_draws=4000, rng=seed, correct=False),
        "corrected": lambda counts: network.sample(counts, n_draws=4000, rng=seed),
    }
    record: dict[str, Any] = {"seed": seed, "train_seconds": train_seconds, "cases": {}}
    for example in examples():
        answered = {name: answer(name, example, partial(infer, example.counts)) for name, infer in methods.items()}
        rows = [row for row, _ in answered.values()]
        console.print(table(example, rows))

        infer_many: dict[str, Callable[[Any], Posterior]] = {
            "MCMC": lambda x: sample(x, model, n_chains=1, rng=seed, n_threads=1),
            "network": lambda x: network.sample(x, n_draws=1000, rng=seed, correct=False, n_threads=1),
            "corrected": lambda x: network.sample(x, n_draws=1000, rng=seed, n_threads=1),
        }
        each = {name: seconds_per_dataset(infer, example.counts, _COPIES) for name, infer in infer_many.items()}
        pays = {name: break_even(train_seconds, each[name], each["MCMC"]) for name in ("network", "corrected")}
        when = [
            f"after {n:,.0f} datasets ({name})" if np.isfinite(n) else f"never ({name}: MCMC is as fast)"
            for name, n in pays.items()
        ]
        console.print(
            f"1,000 draws of each of {_COPIES} copies, on one thread: "
            f"{', '.join(f'{name} {spent * 1e3:.2f} ms' for name, spent in each.items())}. "
            f"Against one chain of MCMC the {train_seconds:.0f} s of training pay {' and '.join(when)}.\n"
        )

        figure = plots.compare(
            {name: posterior for name, (_, posterior) in answered.items()},
            group=example.group,
            category=example.category,
            category_name=example.category_name,
        )
        _files.write_figure(out / f"{example.name}.png", figure, dpi=120)
        record["cases"][example.name] = {
            "answers": [asdict(row) for row in rows],
            "seconds_per_dataset": {"mcmc": each["MCMC"], "network": each["network"], "corrected": each["corrected"]},
            "break_even_datasets": {name: n if np.isfinite(n) else None for name, n in pays.items()},
        }
    _files.write_json(out / "results.json", record)
    console.print(
        "A network that is trained for longer is nearer to the exact posterior, and pays later in proportion: "
        "`hbm-fast benchmark` has the numbers of the networks that come with the package."
    )
    console.print(f"Figures and results.json are in {out}/")
    return record
