"""`hbm-fast question2`: the note's second question, one factor at a time, against a referee that needs no q."""

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from hbm_fast import datasets
from hbm_fast.exact import exact_posterior
from hbm_fast.experiments.question_two_table import Bound, Row, read, save, verdict
from hbm_fast.models import HierarchicalModel
from hbm_fast.simulation import exceedance_counts, simulate

# Ten bags of 20 white marbles, ten of 20 black, and one black marble: the note's example.
BAGS = datasets.load_marbles().counts
NOTE = {"activation": "relu", "skip": False, "learning_rate": 2e-3}
STEPS, QUICK_STEPS = 1000, 300


@dataclass(frozen=True)
class Cell:
    """One training: what differs from the default, why it is there, and its steps for each one of the default's."""

    group: str
    link: str = "exp"
    head: str = "dirichlet"
    q: str = "full"
    objective: str = "dreg"
    n_categories: int = 2
    dim: int | None = None  # K
    effort: float = 1.0
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> tuple[Any, ...]:
        """What tells this cell from the others."""
        dim = self.dim or self.n_categories
        return (self.group, self.n_categories, dim, self.link, self.head, self.q, self.objective)


# A step of the mixture or of the flow costs two to four times that of the default. The note's network sits on a plateau
# for a thousand steps, with one direction of z unused, before it falls: cut short there it looks like failure.
FLOW, MIXTURE = 0.4, 0.6
CELLS = [
    Cell("default"),
    Cell("link", link="exp_plus_one"),
    Cell("link", link="softplus"),
    Cell("head", head="mixture", effort=MIXTURE),
    Cell("q", q="diagonal"),
    Cell("q", q="flow", effort=FLOW),
    Cell("objective", objective="elbo"),
    Cell("objective", objective="iwae"),
    Cell("control", link="exp_plus_one", q="diagonal"),
    Cell("control", link="exp_plus_one", q="flow", effort=FLOW),
    Cell("control", link="exp_plus_one", objective="elbo"),
    Cell("control", link="exp_plus_one", objective="iwae"),
    Cell("the note", link="exp_plus_one", q="diagonal", objective="elbo", effort=4.0, more=NOTE),
    Cell("the note, link changed", q="diagonal", objective="elbo", effort=4.0, more=NOTE),
    Cell("second cure", link="exp_plus_one", head="mixture", effort=MIXTURE),
]
# One seed: the pairs of q and objective that the control lacks, and more colours.
ONCE = [
    Cell("control", link="exp_plus_one", q="diagonal", objective="iwae"),
    Cell("control", link="exp_plus_one", q="flow", objective="elbo", effort=FLOW),
    Cell("control", link="exp_plus_one", q="flow", objective="iwae", effort=FLOW),
    *(Cell("colours", link=link, n_categories=k, effort=1.5) for k in (3, 5) for link in ("exp", "exp_plus_one")),
    Cell("dim z below K", n_categories=3, dim=2, effort=1.5),
]


def used_dimensions(embedding: Any, counts: Any) -> list[float]:
    """How far each direction of z follows the data: eigenvalues of the covariance over datasets of E[z | x].

    The prior's variance is 1 in every direction, so 1 is a direction that the data determine and 0 one they ignore.
    """
    from hbm_fast.embedding.comparison import posterior_means

    means = posterior_means(embedding, counts)
    return sorted(np.linalg.eigvalsh(np.cov(means.T)).tolist(), reverse=True)


def run(cell: Cell, seed: int, steps: int, referee: Any) -> tuple[Row, Any]:
    """Trains one cell on 21 bags of 20, and measures it."""
    from hbm_fast import embedding

    begin = time.perf_counter()
    settings: dict[str, Any] = {"learning_rate": 4e-3, **cell.more}
    emb = embedding.train(
        cell.n_categories,
        cell.dim,
        link=cell.link,
        head=cell.head,
        q=cell.q,
        objective=cell.objective,
        steps=max(1, round(cell.effort * steps)),
        n_groups=21,
        totals=20,
        rng=seed,
        **settings,
    )
    log_learned = referee.log_learned(emb)
    gap, inference = referee.model_gap(emb, log_learned), referee.inference(emb, log_learned)
    next_black = above_95 = log_evidence = math.nan
    if cell.n_categories == 2:
        post = emb.sample(BAGS, n_draws=4000, rng=0)
        above = np.asarray(post.theta(20)[..., 1] > 0.95, dtype=np.float64)
        assert post.log_weights is not None
        above_95 = float(np.average(above, weights=np.exp(post.log_weights)))
        next_black, log_evidence = float(post.predict(20)[1]), float(emb.log_evidence(BAGS))
    row = Row(
        cell.group,
        cell.n_categories,
        emb.dim,
        cell.link,
        cell.head,
        cell.q,
        cell.objective,
        seed,
        int(emb.training["steps"]),
        float(emb.training["seconds"]),
        time.perf_counter() - begin,
        gap.value,
        gap.error,
        gap.log_ratio,
        gap.log_ratio_error,
        inference["gap"],
        inference["ess"],
        next_black,
        above_95,
        log_evidence,
        used_dimensions(emb, referee.counts[:500]),
    )
    return row, emb


def bound(referee: Any, exact: Any) -> Bound:
    """Of the held-out datasets and of the example."""
    import torch

    from hbm_fast.embedding.comparison import highest_likelihood

    tables = torch.from_numpy(exceedance_counts(BAGS[None])).double()
    # in bags of one colour the multinomial coefficients are 1
    gap, error = referee.least_gap()
    return Bound(gap, error, float(highest_likelihood(tables, 1.0)), float(exact.log_evidence))


def question2(
    quick: Annotated[bool, typer.Option("--quick", help="Seconds a training, one seed, two colours.")] = False,
    steps: Annotated[
        int | None, typer.Option(help=f"Steps of the default's training; default {STEPS}, quick {QUICK_STEPS}.", min=1)
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Seeds of two colours; default 3, quick 1.", min=1)] = None,
    colours: Annotated[bool, typer.Option(help="Also three and five colours, and dim z below K (one seed).")] = True,
    out: Annotated[Path, typer.Option(help="Folder for the table and the figures.")] = Path("hbm-fast-question2"),
    limit: Annotated[int | None, typer.Option(help="At most so many trainings now; --resume goes on.", min=1)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in that folder.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an earlier run in that folder.")] = False,
) -> None:
    """Can "bags of extreme colours" be learnt as an embedding? One factor at a time, and a control that must fail.

    A run of about 15 minutes on one core; --quick takes two. By steps, so that it repeats.

    Example: hbm-fast question2 --quick
    """
    from hbm_fast.embedding import ModelComparison, load
    from hbm_fast.experiments import question_two_plots as figures

    results = out / "results.json"
    if results.exists() and not (force or resume):
        raise ValueError(f"{results} exists: pass --resume to go on, --force to overwrite, --out for another folder")
    out.mkdir(parents=True, exist_ok=True)
    console = Console()
    each = (QUICK_STEPS if quick else STEPS) if steps is None else steps
    n_seeds = (1 if quick else 3) if seeds is None else seeds
    once = [] if quick else [cell for cell in ONCE if colours or cell.n_categories == 2]
    plan = [(cell, 0) for cell in CELLS + once] + [(cell, seed) for seed in range(1, n_seeds) for cell in CELLS]
    rows = read(results) if resume and results.exists() else []
    # without its network a cell that is drawn has to be trained again
    rows = [row for row in rows if not _drawn(row) or _network(out, row).exists()]
    done = {(*row.place, row.seed) for row in rows}
    left = [(cell, seed) for cell, seed in plan if (*cell.place, seed) not in done]
    referees: dict[int, Any] = {}

    def referee(k: int) -> Any:
        if k not in referees:
            model = HierarchicalModel(k)
            n = (300 if quick else 2000) if k == 2 else 500
            counts = simulate(model, n, n_groups=21, totals=20, rng=10_000 + k).counts
            assert counts is not None
            referees[k] = ModelComparison(model, counts)
        return referees[k]

    exact = exact_posterior(BAGS, HierarchicalModel(2), n_draws=4000, rng=0)
    least = bound(referee(2), exact)
    for i, (cell, seed) in enumerate(left[:limit]):
        row, emb = run(cell, seed, each, referee(cell.n_categories))
        rows.append(row)
        if _drawn(row):
            emb.save(_network(out, row), state=False)
        console.print(
            f"{i + 1}/{len(left)} {row.group}: K={row.n_categories} {row.link}, {row.head}, {row.q}, {row.objective}, "
            f"seed {seed}: gap {row.gap:.4f} ± {row.gap_error:.4f} nats, P(next black) {row.next_black:.4f}"
        )
        save(out, rows, least, exact)  # what was measured survives an interruption
    for sentence in verdict(rows, least, exact):
        console.print(sentence)
    networks = [out / f"network-{link}.safetensors" for link in ("exp_plus_one", "exp")]
    if all(path.exists() for path in networks):
        figures.draw(load(networks[0]), load(networks[1]), BAGS, exact, out)
    console.print(f"The table (results.md, results.json) and the figures are in {out}/")


def _drawn(row: Row) -> bool:
    """Whether the figures show this training."""
    return row.seed == 0 and row.group in ("default", "the note")


def _network(out: Path, row: Row) -> Path:
    return out / f"network-{row.link}.safetensors"
