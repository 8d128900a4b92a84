"""`hbm-fast question2`: the note's second question, one factor at a time, against a referee that needs no q."""

import json
import math
import platform
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from hbm_fast import __version__
from hbm_fast.model import HierarchicalModel
from hbm_fast.quadrature import exact_posterior
from hbm_fast.simulation import simulate

# Ten bags of 20 white marbles, ten of 20 black, and one black marble: the note's example.
BAGS = np.array([[20, 0]] * 10 + [[0, 20]] * 10 + [[0, 1]], dtype=np.int64)
NOTE = {"activation": "relu", "skip": False, "learning_rate": 2e-3}


@dataclass(frozen=True)
class Cell:
    """One training: what differs from the default, and why it is there."""

    group: str
    link: str = "exp"
    head: str = "dirichlet"
    q: str = "full"
    objective: str = "dreg"
    n_categories: int = 2
    more: dict[str, Any] = field(default_factory=dict)


DEFAULT = Cell("default")
CELLS = [
    DEFAULT,
    Cell("link", link="exp_plus_one"),
    Cell("link", link="softplus"),
    Cell("head", head="mixture"),
    Cell("q", q="diagonal"),
    Cell("q", q="flow"),
    Cell("objective", objective="elbo"),
    Cell("objective", objective="iwae"),
    Cell("control", link="exp_plus_one", q="diagonal"),
    Cell("control", link="exp_plus_one", q="flow"),
    Cell("control", link="exp_plus_one", objective="elbo"),
    Cell("control", link="exp_plus_one", objective="iwae"),
    Cell("the note", link="exp_plus_one", q="diagonal", objective="elbo", more=NOTE),
    Cell("the note, link changed", q="diagonal", objective="elbo", more=NOTE),
    Cell("second cure", link="exp_plus_one", head="mixture"),
]
MORE_COLOURS = [Cell("colours", link=link, n_categories=k) for k in (3, 5) for link in ("exp", "exp_plus_one")]


@dataclass(frozen=True)
class Row:
    """What was measured in one cell."""

    group: str
    n_categories: int
    link: str
    head: str
    q: str
    objective: str
    seed: int
    steps: int
    seconds: float
    gap: float  # nats per dataset
    gap_error: float
    log_ratio: float
    log_ratio_error: float
    inference_gap: float
    ess: float
    next_black: float  # of the example; nan for other K
    above_95: float
    log_evidence: float
    used_dimensions: list[float]


def used_dimensions(embedding: Any, counts: Any) -> list[float]:
    """How far each direction of z follows the data: eigenvalues of the covariance over datasets of E[z | x].

    The prior's variance is 1 in every direction, so 1 is a direction that the data determine and 0 one they ignore.
    """
    z = np.asarray(embedding.sample(counts, n_draws=64, rng=0, correct=False).z).mean(axis=(1, 2))
    return sorted(np.linalg.eigvalsh(np.cov(z.T)).tolist(), reverse=True)


def run(cell: Cell, seed: int, minutes: float, referee: Any) -> tuple[Row, Any]:
    """Trains one cell on 21 bags of 20, and measures it."""
    from hbm_fast import embedding

    settings: dict[str, Any] = {"learning_rate": 4e-3, **cell.more}
    emb = embedding.train(
        cell.n_categories,
        link=cell.link,
        head=cell.head,
        q=cell.q,
        objective=cell.objective,
        minutes=minutes,
        n_groups=21,
        totals=20,
        rng=seed,
        **settings,
    )
    log_learned = referee.log_learned(emb)
    gap, inference = referee.model_gap(emb, log_learned), referee.inference(emb, log_learned)
    probe = [math.nan] * 3
    if cell.n_categories == 2:
        post = emb.sample(BAGS, n_draws=4000, rng=0)
        above = np.average(post.theta(20)[..., 1] > 0.95, weights=np.exp(post.log_weights))
        probe = [float(post.predict(20)[1]), float(above), emb.log_evidence(BAGS)]
    row = Row(
        cell.group,
        cell.n_categories,
        cell.link,
        cell.head,
        cell.q,
        cell.objective,
        seed,
        int(emb.training["steps"]),
        float(emb.training["seconds"]),
        gap.value,
        gap.error,
        gap.log_ratio,
        gap.log_ratio_error,
        inference["gap"],
        inference["ess"],
        *probe,
        used_dimensions(emb, referee.counts[:500]),
    )
    return row, emb


def markdown(rows: list[Row]) -> str:
    """The table."""
    head = (
        "| | K | link | head | q | objective | seed | steps | s | model gap, nats | inference gap | ESS "
        "| P(next black) | P(theta > .95) | log evidence | z used |"
    )
    lines = [head, "|" + "---|" * 16]
    for r in rows:
        probe = ["", "", ""]
        if not math.isnan(r.next_black):
            probe = [f"{r.next_black:.4f}", f"{r.above_95:.4f}", f"{r.log_evidence:.3f}"]
        cells = [
            r.group,
            str(r.n_categories),
            r.link,
            r.head,
            r.q,
            r.objective,
            str(r.seed),
            str(r.steps),
            f"{r.seconds:.0f}",
            f"{r.gap:.5f} ± {r.gap_error:.5f}" if r.gap < 0.5 else f"{r.gap:.2f} ± {r.gap_error:.2f}",
            f"{r.inference_gap:.4f}",
            f"{r.ess:.3f}",
            *probe,
            " ".join(f"{v:.2f}" for v in r.used_dimensions),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def verdict(rows: list[Row], exact: float) -> list[str]:
    """What the table says, in sentences that can be false."""
    two = [r for r in rows if r.n_categories == 2]
    failed = [r for r in two if r.link == "exp_plus_one" and r.head == "dirichlet"]
    cured = [r for r in two if r.link != "exp_plus_one"]
    said = []
    if failed:
        worst, best = max(r.next_black for r in failed), min(r.gap for r in failed)
        said.append(
            f"Every concentration above 1 ({len(failed)} trainings, whatever q and objective): the model gap is at "
            f"least {best:.1f} nats, and P(next black) at most {worst:.3f} (exact {exact:.5f})."
        )
    if cured:
        said.append(
            f"Any other link ({len(cured)} trainings): the model gap is at most {max(r.gap for r in cured):.4f} nats, "
            f"and P(next black) between {min(r.next_black for r in cured):.4f} and "
            f"{max(r.next_black for r in cured):.4f}."
        )
    return said


def question2(
    quick: Annotated[bool, typer.Option("--quick", help="Seconds a training, one seed, two colours.")] = False,
    seconds: Annotated[
        float | None, typer.Option(help="Seconds of one training; default 25, quick 4.", min=0.1)
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Seeds of two colours; default 3, quick 1.", min=1)] = None,
    colours: Annotated[bool, typer.Option(help="Also three and five colours (one seed, twice the time).")] = True,
    out: Annotated[Path, typer.Option(help="Folder for the table and the figures.")] = Path("hbm-fast-question2"),
    limit: Annotated[int | None, typer.Option(help="At most so many trainings now; --resume goes on.", min=1)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in that folder.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an earlier run in that folder.")] = False,
) -> None:
    """Can "bags of extreme colours" be learnt as an embedding? One factor at a time, and a control that must fail.

    A run of about 25 minutes; --quick takes two.

    Example: hbm-fast question2 --quick
    """
    from hbm_fast.cli import _question2_figures as figures
    from hbm_fast.embedding import Referee, load

    results = out / "results.json"
    if results.exists() and not (force or resume):
        raise ValueError(f"{results} exists: pass --resume to go on, --force to overwrite, --out for another folder")
    out.mkdir(parents=True, exist_ok=True)
    console = Console()
    each = (4.0 if quick else 25.0) if seconds is None else seconds
    n_seeds = (1 if quick else 3) if seeds is None else seeds
    plan = [(cell, seed) for seed in range(n_seeds) for cell in CELLS]
    if colours and not quick:
        plan += [(cell, 0) for cell in MORE_COLOURS]
    rows = _read(results) if resume and results.exists() else []
    done = {_identity(row) for row in rows}
    left = [(cell, seed) for cell, seed in plan if (*_place(cell), seed) not in done]
    referees: dict[int, Any] = {}
    begin = time.perf_counter()
    for i, (cell, seed) in enumerate(left[:limit]):
        k = cell.n_categories
        if k not in referees:
            model = HierarchicalModel(k)
            n = (300 if quick else 2000) if k == 2 else 500
            referees[k] = Referee(model, simulate(model, n, n_groups=21, totals=20, rng=10_000 + k).counts)
        row, emb = run(cell, seed, each * (1 if k == 2 else 2) / 60.0, referees[k])
        rows.append(row)
        if seed == 0 and cell.group in ("default", "the note"):
            emb.save(out / f"network-{cell.link}.safetensors", state=False)
        console.print(
            f"{i + 1}/{len(left)} {row.group}: K={k} {row.link}, {row.head}, {row.q}, {row.objective}, seed {seed}: "
            f"gap {row.gap:.4f} ± {row.gap_error:.4f} nats, P(next black) {row.next_black:.4f}"
        )
        _save(results, rows, time.perf_counter() - begin)  # what was measured survives an interruption
        (out / "results.md").write_text(markdown(rows))
    exact = exact_posterior(BAGS, HierarchicalModel(2), n_draws=4000, rng=0)
    for sentence in verdict(rows, float(exact.predict(20)[1])):
        console.print(sentence)
    networks = [out / f"network-{link}.safetensors" for link in ("exp_plus_one", "exp")]
    if all(path.exists() for path in networks):
        figures.draw(load(networks[0]), load(networks[1]), BAGS, exact, out)
    console.print(f"The table (results.md, results.json) and the figures are in {out}/")


def _place(cell: Cell) -> tuple[Any, ...]:
    return (cell.group, cell.n_categories, cell.link, cell.head, cell.q, cell.objective)


def _identity(row: Row) -> tuple[Any, ...]:
    return (row.group, row.n_categories, row.link, row.head, row.q, row.objective, row.seed)


def _read(path: Path) -> list[Row]:
    stored = json.loads(path.read_text())["rows"]
    return [Row(**{name: math.nan if value is None else value for name, value in row.items()}) for row in stored]


def _save(path: Path, rows: list[Row], seconds: float) -> None:
    facts = {"version": __version__, "machine": platform.machine(), "seconds": round(seconds, 1)}
    text = json.dumps({**facts, "rows": [asdict(row) for row in rows]}, indent=1)
    path.write_text(text.replace("NaN", "null") + "\n")
