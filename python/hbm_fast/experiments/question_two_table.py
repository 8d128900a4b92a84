"""What `hbm-fast question2` measured: rows, the sentences they support, JSON and Markdown."""

import json
import math
import platform
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from hbm_fast import __version__
from hbm_fast._files import write_text


@dataclass(frozen=True)
class Row:
    """What was measured in one cell."""

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
    total: float  # with the referee's
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
    def place(self) -> tuple[Any, ...]:
        """That of its cell."""
        return (self.group, self.n_categories, self.dim, self.link, self.head, self.q, self.objective)


@dataclass(frozen=True)
class Bound:
    """What nothing can do better than while every concentration exceeds 1, see `ModelComparison.least_gap`."""

    gap: float  # nats per dataset
    gap_error: float
    log_evidence: float  # of the example
    exact_log_evidence: float


def markdown(rows: list[Row]) -> str:
    """The table."""
    head = (
        "| | K | dim z | link | head | q | objective | seed | steps | s | model gap, nats | inference gap | ESS "
        "| P(next black) | P(theta > .95) | log evidence | z used |"
    )
    lines = [head, "|" + "---|" * 17]
    for r in rows:
        probe = ["", "", ""]
        if not math.isnan(r.next_black):
            probe = [f"{r.next_black:.4f}", f"{r.above_95:.4f}", f"{r.log_evidence:.3f}"]
        cells = [
            r.group,
            str(r.n_categories),
            str(r.dim),
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


def verdict(rows: list[Row], least: Bound, exact: Any) -> list[str]:
    """What the table says, in sentences that can be false."""
    two = [r for r in rows if r.n_categories == 2]
    failed = [r for r in two if r.link == "exp_plus_one" and r.head == "dirichlet"]
    cured = [r for r in two if r.link != "exp_plus_one"]
    said = [
        f"While every concentration exceeds 1 no f, no prior of z, no q and no objective can come nearer to the truth "
        f"than {least.gap:.1f} ± {least.gap_error:.1f} nats per dataset, nor give the example more than "
        f"{least.log_evidence:.2f} nats (exact {least.exact_log_evidence:.2f})."
    ]
    if failed:
        said.append(
            f"Measured ({len(failed)} trainings of every q with every objective): the model gap is "
            f"{min(r.gap for r in failed):.1f} to {max(r.gap for r in failed):.1f} nats, and P(next black) "
            f"{min(r.next_black for r in failed):.3f} to {max(r.next_black for r in failed):.3f} "
            f"(exact {exact.predict(20)[1]:.5f})."
        )
    if cured:
        said.append(
            f"Any other link ({len(cured)} trainings): the model gap is {min(r.gap for r in cured):.5f} to "
            f"{max(r.gap for r in cured):.4f} nats, and P(next black) {min(r.next_black for r in cured):.4f} to "
            f"{max(r.next_black for r in cured):.4f}."
        )
    for name, some in (("the note's link", failed), ("the others", cured)):
        if some:
            least_used = [min(r.used_dimensions) for r in some]
            said.append(
                f"Second direction of z with {name}: {min(least_used):.2f} to {max(least_used):.2f} of its prior "
                "variance follows the data."
            )
    return said


def read(path: Path) -> list[Row]:
    """The rows of results.json.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        For a file that `hbm-fast question2` did not write, or a damaged one.
    """
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


def save(out: Path, rows: list[Row], least: Bound, exact: Any) -> None:
    """Writes results.json and results.md."""
    facts = {"version": __version__, "machine": platform.machine(), "seconds": round(sum(r.total for r in rows), 1)}
    text = json.dumps({**facts, "bound": asdict(least), "rows": [asdict(row) for row in rows]}, indent=1)
    write_text(out / "results.json", text.replace("NaN", "null") + "\n")  # the next run with --resume reads it
    sentences = "\n".join(f"* {sentence}" for sentence in verdict(rows, least, exact))
    write_text(out / "results.md", f"# Results of hbm-fast question2\n\n{markdown(rows)}\n{sentences}\n")
