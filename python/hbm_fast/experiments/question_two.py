"""The second question of Le (2020): can "bags of extreme colours" be learned as an embedding?

One factor of the training varies at a time, beside a control that must fail; every learned model is compared with the
true one, without q. Results are rows of results.json and results.md.
"""

import json
import math
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from hbm_fast import __version__, datasets, embedding
from hbm_fast._files import write_text
from hbm_fast.embedding import Embedding, ModelComparison
from hbm_fast.embedding.comparison import highest_likelihood, posterior_means
from hbm_fast.exact import exact_posterior
from hbm_fast.experiments import question_two_plots
from hbm_fast.models import HierarchicalModel
from hbm_fast.nn.training import Progress
from hbm_fast.posterior import Posterior
from hbm_fast.simulation import simulate
from hbm_fast.sufficient_statistics import exceedance_counts

# Ten bags of 20 white marbles, ten of 20 black, and one black marble.
BAGS = datasets.load_marbles().counts
GROUP_LE2020 = "Le (2020)"
LE2020 = {"activation": "relu", "skip": False, "learning_rate": 2e-3}
STEPS, QUICK_STEPS = 1000, 300


@dataclass(frozen=True)
class Experiment:
    """One training: the group it belongs to, what differs from the default, and its steps relative to the default."""

    group: str
    link: str = "exp"
    head: str = "dirichlet"
    q: str = "full"
    objective: str = "dreg"
    n_categories: int = 2
    dim: int | None = None  # K
    step_scale: float = 1.0
    overrides: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, int, int, str, str, str, str]:
        """Every factor but the seed."""
        dim = self.dim or self.n_categories
        return (self.group, self.n_categories, dim, self.link, self.head, self.q, self.objective)


# A step of the mixture or of the flow costs two to four times that of the default. The network of Le (2020) stays on a
# plateau for a thousand steps, with one direction of z unused, before its loss falls: it needs more steps.
FLOW, MIXTURE = 0.4, 0.6
EXPERIMENTS = [
    Experiment("default"),
    Experiment("link", link="exp_plus_one"),
    Experiment("link", link="softplus"),
    Experiment("head", head="mixture", step_scale=MIXTURE),
    Experiment("q", q="diagonal"),
    Experiment("q", q="flow", step_scale=FLOW),
    Experiment("objective", objective="elbo"),
    Experiment("objective", objective="iwae"),
    Experiment("control", link="exp_plus_one", q="diagonal"),
    Experiment("control", link="exp_plus_one", q="flow", step_scale=FLOW),
    Experiment("control", link="exp_plus_one", objective="elbo"),
    Experiment("control", link="exp_plus_one", objective="iwae"),
    Experiment(GROUP_LE2020, link="exp_plus_one", q="diagonal", objective="elbo", step_scale=4.0, overrides=LE2020),
    Experiment("Le (2020), link changed", q="diagonal", objective="elbo", step_scale=4.0, overrides=LE2020),
    Experiment("another head", link="exp_plus_one", head="mixture", step_scale=MIXTURE),
]
# With one seed only: the other pairs of q and objective of the control, and more colours.
ONCE = [
    Experiment("control", link="exp_plus_one", q="diagonal", objective="iwae"),
    Experiment("control", link="exp_plus_one", q="flow", objective="elbo", step_scale=FLOW),
    Experiment("control", link="exp_plus_one", q="flow", objective="iwae", step_scale=FLOW),
    *(Experiment("colours", link=e, n_categories=k, step_scale=1.5) for k in (3, 5) for e in ("exp", "exp_plus_one")),
    Experiment("dim z below K", n_categories=3, dim=2, step_scale=1.5),
]


@dataclass(frozen=True)
class Row:
    """Measurements of one training; the first fields are those of `Experiment.key`."""

    group: str
    n_categories: int
    dim: int
    link: str
    head: str
    q: str
    objective: str
    seed: int
    steps: int
    seconds: float  # of the training
    total: float  # with the comparison
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

    @property
    def key(self) -> tuple[Any, ...]:
        """That of its experiment, and the seed."""
        return astuple(self)[:8]

    @property
    def drawn(self) -> bool:
        """Whether the figures show this training."""
        return self.seed == 0 and self.group in ("default", GROUP_LE2020)


@dataclass(frozen=True)
class Bound:
    """Best possible values while every concentration exceeds 1, see `ModelComparison.least_gap`."""

    gap: float  # nats per dataset
    gap_error: float
    log_evidence: float  # of the example
    exact_log_evidence: float


def markdown(rows: list[Row]) -> str:
    """The table."""
    head = (
        "| | K | dim z | link | head | q | objective | seed | steps | s | model gap, nats | inference gap | ESS "
        "| P(next black) | P(theta > 0.95) | log evidence | z used |"
    )
    lines = [head, "|" + "---|" * 17]
    for r in rows:
        probe = ["", "", ""]
        if not math.isnan(r.next_black):
            probe = [f"{r.next_black:.4f}", f"{r.above_95:.4f}", f"{r.log_evidence:.3f}"]
        cells = [
            *map(str, (*r.key, r.steps)),
            f"{r.seconds:.0f}",
            f"{r.gap:.5f} ± {r.gap_error:.5f}" if r.gap < 0.5 else f"{r.gap:.2f} ± {r.gap_error:.2f}",
            f"{r.inference_gap:.4f}",
            f"{r.ess:.3f}",
            *probe,
            " ".join(f"{v:.2f}" for v in r.used_dimensions),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def conclusions(rows: list[Row], least: Bound, exact: Posterior, n_planned: int) -> list[str]:
    """Summary of the table in words and numbers, once all trainings are done."""
    if len(rows) < n_planned:
        return [f"{len(rows)} of {_trainings(n_planned)} done; conclusions follow when all are."]
    two = [r for r in rows if r.n_categories == 2]
    failed = [r for r in two if r.link == "exp_plus_one" and r.head == "dirichlet"]
    other_links = [r for r in two if r.link != "exp_plus_one"]
    lines = [
        f"While every concentration exceeds 1, no f, no prior of z, no q and no objective comes closer to the true "
        f"model than {least.gap:.1f} ± {least.gap_error:.1f} nats per dataset, or gives the example more than "
        f"{least.log_evidence:.2f} nats (exact {least.exact_log_evidence:.2f})."
    ]
    if failed:
        lines.append(
            f"Measured ({_trainings(len(failed))}; q: {', '.join(sorted({r.q for r in failed}))}; objective: "
            f"{', '.join(sorted({r.objective for r in failed}))}): the model gap is "
            f"{_range([r.gap for r in failed], 1)} nats, and P(next black) "
            f"{_range([r.next_black for r in failed], 3)} (exact {exact.predict(20)[1]:.5f})."
        )
    if other_links:
        gaps, next_black = [r.gap for r in other_links], [r.next_black for r in other_links]
        lines.append(
            f"Any other link ({_trainings(len(other_links))}): the model gap is {_range(gaps, 4)} nats, "
            f"and P(next black) {_range(next_black, 4)}."
        )
    for name, some in (("the link of Le (2020)", failed), ("the other links", other_links)):
        if some:
            least_used = [min(r.used_dimensions) for r in some]
            lines.append(
                f"Second direction of z with {name}: {_range(least_used, 2)} of its prior variance follows the data."
            )
    return lines


def _trainings(n: int) -> str:
    return f"{n} training{'' if n == 1 else 's'}"


def _range(values: Sequence[float], digits: int) -> str:
    """The smallest and the largest value, or one number where both are the same when rounded."""
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} to {high}"


def read(path: Path) -> list[Row]:
    """The rows of results.json; ValueError for a file that `hbm-fast question2` did not write, or a damaged one."""
    content = path.read_bytes()
    kinds: dict[Any, Any] = {float: float | int, list[float]: list}
    try:
        rows = []
        for stored in json.loads(content)["rows"]:
            row: dict[str, Any] = {name: math.nan if value is None else value for name, value in stored.items()}
            for field in fields(Row):
                if not isinstance(row[field.name], kinds.get(field.type, field.type)):
                    raise TypeError(f"{field.name} is {row[field.name]!r}")
            rows.append(Row(**row))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path}: not the results of `hbm-fast question2`, or damaged ({type(error).__name__}: {error}); pass "
            "--force to begin anew"
        ) from error
    return rows


def save(out: Path, rows: list[Row], least: Bound, exact: Posterior, n_planned: int) -> None:
    """Write results.json and results.md."""
    metadata = {"version": __version__, "machine": platform.machine(), "seconds": round(sum(r.total for r in rows), 1)}
    text = json.dumps({**metadata, "bound": asdict(least), "rows": [asdict(row) for row in rows]}, indent=1)
    write_text(out / "results.json", text.replace("NaN", "null") + "\n")  # the next run with --resume reads it
    summary = "\n".join(f"* {line}" for line in conclusions(rows, least, exact, n_planned))
    write_text(out / "results.md", f"# Results of hbm-fast question2\n\n{markdown(rows)}\n{summary}\n")


def used_dimensions(embedding: Any, counts: Any) -> list[float]:
    """Share of each direction of z that the data determine: eigenvalues of the covariance over datasets of E[z | x].

    The prior's variance is 1 in every direction: 1 is a direction that the data determine, 0 one that they leave free.
    """
    means = posterior_means(embedding, counts)
    return sorted(np.linalg.eigvalsh(np.cov(means.T)).tolist(), reverse=True)


def run(
    experiment: Experiment, seed: int, steps: int, comparison: ModelComparison, progress: Progress = False
) -> tuple[Row, Embedding]:
    """Train on datasets of 21 bags of 20, and compare the learned model with the true one."""
    begin = time.perf_counter()
    settings: dict[str, Any] = {"learning_rate": 4e-3, **experiment.overrides}
    emb = embedding.train(
        experiment.n_categories,
        experiment.dim,
        link=experiment.link,
        head=experiment.head,
        q=experiment.q,
        objective=experiment.objective,
        steps=max(1, round(experiment.step_scale * steps)),
        n_groups=21,
        totals=20,
        rng=seed,
        progress=progress,
        **settings,
    )
    log_learned = comparison.log_learned(emb)
    gap, inference = comparison.model_gap(emb, log_learned), comparison.inference(emb, log_learned)
    next_black = above_95 = log_evidence = math.nan
    if experiment.n_categories == 2:
        post = emb.sample(BAGS, n_draws=4000, rng=0)
        above = np.asarray(post.theta(20)[..., 1] > 0.95, dtype=np.float64)
        assert post.log_weights is not None
        above_95 = float(np.average(above, weights=np.exp(post.log_weights)))
        next_black, log_evidence = float(post.predict(20)[1]), float(emb.log_evidence(BAGS))
    row = Row(
        *experiment.key,
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
        used_dimensions(emb, comparison.counts[:500]),
    )
    return row, emb


def bound(comparison: ModelComparison, exact: Posterior) -> Bound:
    """Of the validation datasets and of the 21 bags."""
    import torch

    tables = torch.from_numpy(exceedance_counts(BAGS[None])).double()
    # in bags of one colour the multinomial coefficients are 1
    gap, error = comparison.least_gap()
    return Bound(gap, error, float(highest_likelihood(tables, 1.0)), float(exact.log_evidence or math.nan))


def plan(*, quick: bool, n_seeds: int, colours: bool) -> list[tuple[Experiment, int]]:
    """Experiments and seeds in the order of the run."""
    once = [] if quick else [e for e in ONCE if colours or e.n_categories == 2]
    return [(e, 0) for e in EXPERIMENTS + once] + [(e, seed) for seed in range(1, n_seeds) for e in EXPERIMENTS]


def run_all(
    out: Path,
    experiments: Sequence[tuple[Experiment, int]],
    *,
    steps: int,
    quick: bool,
    resume: bool,
    limit: int | None,
    console: Console,
    report: Callable[[float, int, dict[str, float]], object] = lambda done, total, metrics: None,
) -> None:
    """Run the experiments that ``out`` does not hold yet; write the table after each, and the figures at the end.

    ``report`` is called with the trainings done, a part of one too, with how many there are, and with metrics.
    """
    out.mkdir(parents=True, exist_ok=True)
    results = out / "results.json"
    rows = read(results) if resume and results.exists() else []
    # a training that the figures show runs again where its network is missing
    rows = [row for row in rows if not row.drawn or _network(out, row.link).exists()]
    done = {row.key for row in rows}
    n_planned = len(done | {(*experiment.key, seed) for experiment, seed in experiments})
    remaining = [(experiment, seed) for experiment, seed in experiments if (*experiment.key, seed) not in done]

    @cache
    def comparison(k: int) -> ModelComparison:
        model = HierarchicalModel(k)
        n = (300 if quick else 2000) if k == 2 else 500
        counts = simulate(model, n, n_groups=21, totals=20, rng=10_000 + k).counts
        assert counts is not None
        return ModelComparison(model, counts)

    exact = exact_posterior(BAGS, HierarchicalModel(2), n_draws=4000, rng=0)
    least = bound(comparison(2), exact)
    now = remaining[:limit]
    lines = []
    for i, (experiment, seed) in enumerate(now):

        def within(share: float, metrics: dict[str, float], i: int = i) -> None:
            report(i + 0.99 * share, len(now), metrics)  # the comparison follows

        row, network = run(experiment, seed, steps, comparison(experiment.n_categories), within)
        rows.append(row)
        if row.drawn:
            network.save(_network(out, row.link), state=False)
        lines.append(
            f"{i + 1}/{len(remaining)} {row.group}: K={row.n_categories} {row.link}, {row.head}, {row.q}, "
            f"{row.objective}, seed {seed}: gap {row.gap:.4f} ± {row.gap_error:.4f} nats, "
            f"P(next black) {row.next_black:.4f}"
        )
        save(out, rows, least, exact, n_planned)  # an interruption keeps what was measured
        report(i + 1, len(now), {"gap": row.gap, "gap_error": row.gap_error, "next_black": row.next_black})
    for line in [*lines, *conclusions(rows, least, exact, n_planned)]:
        console.print(line, highlight=False)
    le2020, ours = (_network(out, link) for link in ("exp_plus_one", "exp"))
    if le2020.exists() and ours.exists():
        question_two_plots.draw(embedding.load(le2020), embedding.load(ours), BAGS, exact, out)
    console.print(f"The table (results.md, results.json) and the figures are in {out}/")


def _network(out: Path, link: str) -> Path:
    return out / f"network-{link}.safetensors"
