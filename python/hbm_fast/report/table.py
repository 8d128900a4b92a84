"""The report of one table of counts: the table, the model, the answer, its accuracy, and whether the model fits."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_fast import _display, plots
from hbm_fast._config import show_config
from hbm_fast._files import write_text
from hbm_fast.plots.labels import categories
from hbm_fast.plots.proportions import side_by_side
from hbm_fast.posterior import Posterior
from hbm_fast.posterior.convergence import r_hat_limit
from hbm_fast.posterior.summary import Summary
from hbm_fast.report import drawing
from hbm_fast.report.page import Section, render
from hbm_fast.report.predictive_check import Check, predictive_checks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST = 20  # categories, and groups in the figure of shrinkage
_INTRODUCTION = "The posterior of a hierarchical Dirichlet-multinomial model; intervals hold 90 % of the probability."
_MODEL = (
    "alpha is the concentration: how alike the groups are (small: each group is of one category; large: all groups "
    "have the same proportions). beta are the mean proportions. Each group has proportions "
    "theta ~ Dirichlet(alpha beta), and its counts are multinomial with them."
)


@dataclass(frozen=True)
class Analysis:
    """A posterior with counts, its summary (5, 50 and 95 %), and the warnings of the reading and of the inference.

    ``transposed`` is whether the file had a category in each row.
    """

    post: Posterior
    summary: Summary
    warnings: Sequence[str] = ()
    transposed: bool = False


def write(
    path: str | os.PathLike[str],
    name: str,
    analyses: Mapping[str | None, Analysis],
    *,
    category: int | str | None = None,
    rng: int = 0,
) -> Path:
    """Write the page for one table, or for the groups of each label of a table.

    Parameters
    ----------
    path : path-like
        The page (.html).
    name : str
        Of the table, in the title.
    analyses : mapping of str to Analysis
        By label, or one of None.
    category : int or str, optional
        The category of the figure of shrinkage; default the one with the largest mean proportion.
    rng : int
        Seed of the simulated tables of the predictive check.
    """
    content: list[Section] = []
    if len(analyses) > 1:
        content += _labels(analyses)
    for label, analysis in analyses.items():
        content += _sections(analysis, label, category, rng)
    settings = [(key, str(value)) for key, value in show_config().items()]
    content.append(
        Section("Versions", "The software of this run.", columns=("", ""), rows=settings, chapter="Environment")
    )
    target = Path(path)
    write_text(target, render(content, name, _INTRODUCTION))
    return target


def _labels(analyses: Mapping[str | None, Analysis]) -> Iterator[Section]:
    """The labels side by side."""
    posts = {str(label): analysis.post for label, analysis in analyses.items()}
    yield Section(
        "Proportions of the labels",
        f"Mean proportions (beta) of the groups of {', '.join(posts)}, with 90 % intervals; the largest categories of "
        f"{next(iter(posts))} first. Each label has a posterior of its own.",
        partial(_side_by_side, posts),
        chapter="The labels side by side",
    )
    rows = []
    for label, post in posts.items():
        assert post.counts is not None
        lower, upper = post.quantile("alpha", [0.05, 0.95])
        numbers = map(_number, (post.mean("alpha"), lower, upper))
        rows.append((label, f"{len(post.counts):,}", f"{int(post.counts.sum()):,}", *numbers))
    yield Section(
        "Concentrations of the labels",
        "The larger alpha is, the more alike the groups of the label are.",
        columns=("label", "groups", "counts", "alpha", "5 %", "95 %"),
        rows=rows,
    )


def _side_by_side(posts: Mapping[str, Posterior]) -> "Figure":
    n_categories = next(iter(posts.values())).n_categories
    figure, (axes,) = drawing.panels(1, height=1.2 + (0.14 + 0.08 * len(posts)) * min(_MOST, n_categories))
    side_by_side(posts, most=_MOST, ax=axes)
    return _legend_below(figure, axes)


def _sections(analysis: Analysis, label: str | None, category: int | str | None, rng: int) -> Iterator[Section]:
    post = analysis.post
    yield _table(post, analysis.transposed, _chapter(label, "The table"))
    yield Section(
        "The model and its priors",
        _MODEL,
        partial(_prior_posterior, post),
        columns=("", "prior"),
        rows=[("alpha", _prior(post.model.alpha)), ("beta", _prior(post.model.beta))],
        notes=[*(f"Warning: {text}" for text in analysis.warnings), "Dashed in the figure: the priors."],
        chapter=_chapter(label, "The answer"),
    )
    yield _answer(analysis)
    yield _accuracy(analysis)
    means = post.mean("beta")
    chosen = int(np.argmax(means)) if category is None else category
    shown = chosen if isinstance(chosen, str) else categories(post)[chosen]
    yield Section(
        f"Shrinkage of {shown}",
        f"Proportion of {shown} in each group: circles are the raw proportions, bars the posterior means with 90 % "
        "intervals. The fewer counts a group has, the nearer its posterior is to the mean over all groups.",
        partial(_shrinkage, post, chosen),
    )
    yield Section(
        "Proportions over all groups",
        f"Means of beta with 90 % intervals, and the raw proportions of all counts together"
        f"{f'; the {_MOST} largest of {len(means)}' if len(means) > _MOST else ''}.",
        partial(_proportions, post),
    )
    assert post.counts is not None
    if post.counts.any():
        yield _check(predictive_checks(post, rng=rng), _chapter(label, "Does the model fit?"))


def _prior(prior: object) -> str:
    """The prior with numbers of four digits."""
    return re.sub(r"\d+\.\d{4,}", lambda found: f"{float(found[0]):.4g}", repr(prior))


def _chapter(label: str | None, title: str) -> str:
    return title if label is None else f"{label}: {title[0].lower()}{title[1:]}"


def _table(post: Posterior, transposed: bool, chapter: str) -> Section:
    assert post.counts is not None
    counts = post.counts
    totals = counts.sum(axis=1)
    zeros = float((counts == 0).mean())
    unseen = int((counts.sum(axis=0) == 0).sum())
    low, middle, high = np.quantile(totals, [0.0, 0.5, 1.0])
    rows = [
        ("groups", f"{len(counts):,}"),
        ("categories", f"{counts.shape[1]:,}"),
        ("counts in all", f"{int(totals.sum()):,}"),
        ("counts of a group", f"{low:,.0f} to {high:,.0f}, median {middle:,.0f}"),
        ("cells without a count", f"{zeros:.1%}"),
        ("groups without a count", f"{int((totals == 0).sum()):,}"),
        ("categories without a count", f"{unseen:,}"),
    ]
    axes = ("columns", "rows") if transposed else ("rows", "columns")
    names = (_display.labels(post.group_names, len(counts)), categories(post))
    some = [", ".join([*part[:3], *(["..."] if len(part) > 3 else [])]) for part in names]
    text = f"The {axes[0]} are groups ({some[0]}), the {axes[1]} categories ({some[1]})."
    return Section("What was read", text, columns=("", ""), rows=rows, chapter=chapter)


def _answer(analysis: Analysis) -> Section:
    """Rows of the summary: parameters that are one number, then the largest proportions."""
    summary, post = analysis.summary, analysis.post
    assert post.counts is not None
    raw = dict(zip(categories(post), post.counts.sum(axis=0) / max(int(post.counts.sum()), 1), strict=True))
    single = [name for name in summary.names if "[" not in name]
    several = sorted((name for name in summary.names if "[" in name), key=lambda name: -summary[name]["mean"])
    rows = []
    for name in [*single, *several[:_MOST]]:
        row = summary[name]
        ess = min((row[key] for key in ("ess", "ess_bulk", "ess_tail") if key in row), default=np.nan)
        observed = raw.get(name.removeprefix("beta[").removesuffix("]"), np.nan) if "[" in name else np.nan
        cells = map(_number, (observed, row["mean"], row["sd"], row["5%"], row["95%"]))
        rows.append((name, *cells, _number(ess, "{:.0f}"), _number(row.get("r_hat", np.nan), "{:.3f}")))
    left = f" The {len(several) - _MOST} smaller proportions are left out." if len(several) > _MOST else ""
    return Section(
        "Summary",
        "raw: the proportion of all counts together; ESS: the effective number of draws, the smaller one of the bulk "
        f"and the tails.{left}",
        columns=("", "raw", "mean", "sd", "5 %", "95 %", "ESS", "R-hat"),
        rows=rows,
    )


def _accuracy(analysis: Analysis) -> Section:
    post, columns = analysis.post, analysis.summary.columns
    rows = [("method", post.method), ("draws", f"{post.n_chains} x {post.n_draws:,}")]
    if "reason" in post.details:
        rows.append(("chosen because", str(post.details["reason"])))
    if "r_hat" in columns and not np.isnan(columns["r_hat"]).all():
        r_hat = columns["r_hat"]
        worst, limit = int(np.nanargmax(r_hat)), r_hat_limit(post.n_draws)
        ess = np.fmin(columns["ess_bulk"], columns["ess_tail"])
        fewest = int(np.nanargmin(ess))
        rows += [
            ("largest R-hat", f"{r_hat[worst]:.3f} ({analysis.summary.names[worst]})"),
            (f"parameters with R-hat above {limit:.4g}", f"{int((r_hat > limit).sum())} of {len(r_hat)}"),
            ("fewest effective draws", f"{ess[fewest]:,.0f} ({analysis.summary.names[fewest]})"),
        ]
    if "n_divergences" in post.details:
        rows.append(("divergent trajectories", f"{int(post.details['n_divergences'])}"))
    return Section(
        "Accuracy of the draws",
        "R-hat compares the chains: about 1 where they agree. Of many parameters a few exceed the limit by chance.",
        columns=("", ""),
        rows=rows,
    )


def _check(checks: Sequence[Check], chapter: str) -> Section:
    rows = []
    for check in checks:
        lower, upper = np.quantile(check.simulated, [0.05, 0.95])
        simulated = f"{_number(lower)} to {_number(upper)}"
        rows.append((check.name, _number(check.observed), simulated, f"{check.p_value:.3f}"))
    failed = [check.name for check in checks if not 0.01 <= check.p_value <= 0.99]
    n = len(checks[0].simulated)
    return Section(
        "Posterior predictive check",
        f"The table beside {n} tables simulated from the posterior, with new groups of the same totals. p is the share "
        "of simulated tables with a larger value: near 0 or 1 the model does not reproduce that property of the table. "
        "The dispersion is Pearson's chi-squared over its degrees of freedom: 1 for groups of equal proportions.",
        partial(_histograms, checks),
        ("", "observed", "simulated, 90 %", "p"),
        rows,
        [f"Not reproduced: {', '.join(failed)}." if failed else "All of them are reproduced (0.01 <= p <= 0.99)."],
        chapter,
    )


def _histograms(checks: Sequence[Check]) -> "Figure":
    figure, all_axes = drawing.panels(len(checks), height=1.9)
    for check, axes in zip(checks, all_axes, strict=True):
        axes.hist(check.simulated, bins=40, histtype="stepfilled", alpha=0.4, color="C0", label="simulated")
        axes.axvline(check.observed, color="C1", linewidth=2.0, label="observed")
        axes.set(title=f"{check.name}: p = {check.p_value:.3f}", yticks=[])
        axes.title.set_fontsize("medium")
        axes.margins(x=0.04)
    figure.axes[0].legend(frameon=False, fontsize="small")
    return figure


def _prior_posterior(post: Posterior) -> "Figure":
    figure, all_axes = drawing.panels(2 + ("beta_concentration" in post.latent), height=2.6)
    plots.prior_posterior(post, ax=all_axes)
    return figure


def _shrinkage(post: Posterior, category: int | str) -> "Figure":
    assert post.counts is not None
    figure, (axes,) = drawing.panels(1, height=1.2 + 0.2 * min(2 * _MOST, len(post.counts)))
    plots.shrinkage(post, category=category, most=2 * _MOST, ax=axes)
    return _legend_below(figure, axes)


def _proportions(post: Posterior) -> "Figure":
    figure, (axes,) = drawing.panels(1, height=1.2 + 0.22 * min(_MOST, post.n_categories))
    plots.proportions(post, most=_MOST, ax=axes)
    return _legend_below(figure, axes)


def _legend_below(figure: "Figure", axes: Any) -> "Figure":
    """The legend below the axes, which leaves them the width of the page; the caption is the title."""
    axes.set_title("", loc="left")
    if axes.get_legend() is not None:
        drawing.legend_outside(figure, axes, place="lower")
    return figure


def _number(value: float, form: str = "{:.3g}") -> str:
    return "-" if np.isnan(value) else f"{value:,.0f}" if abs(value) >= 1000.0 else form.format(value)
