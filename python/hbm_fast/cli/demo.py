"""`hbm-fast demo`: the note's question and the rats, answered three ways."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from hbm_fast import _files, datasets
from hbm_fast._files import write_text
from hbm_fast.benchmark.measure import break_even
from hbm_fast.cli import _options
from hbm_fast.datasets import load_rat_tumors
from hbm_fast.exact import exact_posterior
from hbm_fast.models import HierarchicalModel
from hbm_fast.posterior import Posterior
from hbm_fast.sampling import sample

# The stream the network is trained on: wide enough for the note's bags and for the 71 experiments of up to 52 rats.
N_GROUPS = (1, 80)
TOTALS = (0, 60)


@dataclass(frozen=True)
class Case:
    """One data set and the question asked of it."""

    name: str
    title: str
    question: str
    counts: np.ndarray[Any, np.dtype[np.int64]]
    category: int  # the colour asked about
    category_name: str
    group: int  # the bag asked about


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


def cases() -> list[Case]:
    """The note's bags, and the rats."""
    bags = datasets.load_marbles().counts
    rats = load_rat_tumors()
    return [
        Case(
            "marbles",
            "Ten bags of 20 white marbles, ten bags of 20 black, and one bag from which one black marble was drawn",
            "What colour are the others in the last bag?",
            bags,
            1,
            "black",
            20,
        ),
        Case(
            "rats",
            f"Tumours in {len(rats.counts)} groups of control rats (Tarone 1982; Gelman et al., BDA)",
            "How likely is a tumour in the next rat of the last group (4 of 14)?",
            np.asarray(rats.counts, dtype=np.int64),
            rats.category_names.index("tumor"),
            "tumour",
            len(rats.counts) - 1,
        ),
    ]


def answer(method: str, case: Case, infer: Callable[[], Posterior]) -> tuple[Answer, Posterior]:
    """Runs one way of inference on one case; the clock holds the inference alone."""
    infer()  # once untimed: imports and first-use set-up are not the method's speed
    start = time.perf_counter()
    posterior = infer()
    seconds = time.perf_counter() - start
    if posterior.details.get("path") == "sampler":
        method += " (MCMC)"
    theta = posterior.theta(case.group)[..., case.category]
    weights = None if posterior.log_weights is None else np.exp(posterior.log_weights)
    return Answer(
        method,
        float(posterior.mean("log_alpha")),
        float(posterior.mean("beta")[case.category]),
        float(posterior.predict(case.group)[case.category]),
        float(np.average(theta > 0.9, weights=weights)),
        seconds,
        posterior.alpha.size / seconds,
    ), posterior


def table(case: Case, answers: list[Answer]) -> Table:
    """What the demo prints for one case."""
    result = Table(
        title=case.title,
        caption=f"{case.question} beta, next and theta > .9 are of {case.category_name}.",
        title_style="bold",
        caption_style="italic",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for column in ("", "E\\[log alpha]", "E\\[beta]", "P(next)", "P(>.9)", "seconds", "draws/s"):
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
    start = time.perf_counter()
    infer(batch)
    return (time.perf_counter() - start) / copies


def demo(
    quick: Annotated[bool, typer.Option("--quick", help="Train for seconds instead of a minute.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of everything random.", min=0)] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the figures and results.json.")] = Path("hbm-fast-demo"),
    as_json: _options.AsJson = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an earlier demo in that folder.")] = False,
) -> None:
    """Pose the note's question, and answer it by quadrature, by MCMC and by a network trained on the spot.

    Example: hbm-fast demo --quick
    """
    from hbm_fast import amortize, plots

    results = out / "results.json"
    if results.exists() and not force:
        raise ValueError(f"{results} exists: pass --force to overwrite it, or --out for another folder")
    console = Console(quiet=as_json)
    out.mkdir(parents=True, exist_ok=True)
    model = HierarchicalModel(2)

    console.rule("hbm_fast: counts in, beliefs out")
    console.print(
        "Four answers: exact by quadrature; by MCMC; by a network as it is; by the network, corrected (weighted by the "
        "exact likelihood, and handed to MCMC where the weights are too uneven).\n"
    )
    console.print("A network learns to infer (alpha, beta) from endless simulated bags ...")
    start = time.perf_counter()
    # Steps, so that the demo repeats; minutes, so that it ends in time on a busy machine too.
    network = amortize.train(
        model,
        steps=1500 if quick else 6000,
        minutes=0.6 if quick else 2.5,
        n_groups=N_GROUPS,
        totals=TOTALS,
        rng=seed,
        progress=console.is_terminal,
    )
    train_seconds = time.perf_counter() - start
    console.print(f"... trained in {train_seconds:.0f} s\n")

    record: dict[str, Any] = {"seed": seed, "train_seconds": train_seconds, "cases": {}}
    for case in cases():
        ways: dict[str, Callable[[], Posterior]] = {
            "quadrature": lambda c=case: exact_posterior(c.counts, model, n_draws=4000, rng=seed),  # type: ignore[misc]
            "MCMC": lambda c=case: sample(c.counts, model, rng=seed),  # type: ignore[misc]
            "network": lambda c=case: network.sample(c.counts, n_draws=4000, rng=seed, correct=False),  # type: ignore[misc]
            "corrected": lambda c=case: network.sample(c.counts, n_draws=4000, rng=seed),  # type: ignore[misc]
        }
        answered = {name: answer(name, case, infer) for name, infer in ways.items()}
        rows = [row for row, _ in answered.values()]
        console.print(table(case, rows))

        mcmc = seconds_per_dataset(lambda x: sample(x, model, rng=seed, n_chains=1), case.counts, 200)
        amortized = seconds_per_dataset(
            lambda x: network.sample(x, n_draws=1000, rng=seed, correct=False), case.counts, 200
        )
        pays = break_even(train_seconds, amortized, mcmc)
        when = f"after {pays:,.0f} datasets" if np.isfinite(pays) else "never: MCMC is as fast"
        console.print(
            f"1,000 draws of one dataset among 200: MCMC {mcmc * 1e3:.2f} ms, network {amortized * 1e3:.3f} ms. "
            f"Training pays {when}.\n"
        )

        figure = plots.compare(
            {name: posterior for name, (_, posterior) in answered.items() if name != "corrected"},
            group=case.group,
            category=case.category,
            category_name=case.category_name,
        )
        _files.write_figure(out / f"{case.name}.png", figure, dpi=120)
        record["cases"][case.name] = {
            "answers": [asdict(row) for row in rows],
            "seconds_per_dataset": {"mcmc": mcmc, "network": amortized},
            "break_even_datasets": pays if np.isfinite(pays) else None,
        }

    write_text(results, json.dumps(record, indent=1) + "\n")
    if as_json:
        print(json.dumps(record))
    console.print(f"Figures and results.json are in {out}/")
