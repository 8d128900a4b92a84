"""Figures of the first question of Le (2020): top-down and bottom-up networks beside the exact posterior.

Component 0 is white, component 1 black.
"""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hbm_fast import plots
from hbm_fast.amortize.estimator import load
from hbm_fast.exact import exact_posterior
from hbm_fast.plots import axes as plot_axes
from hbm_fast.posterior import Posterior
from hbm_fast.report import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PURE = [[20, 0]] * 10 + [[0, 20]] * 10
LAST = len(PURE)
LAST_BAGS = {"one black marble": (0, 1), "20 black marbles": (0, 20), "20 white marbles": (20, 0)}
COLUMNS = ("bags", "exact", "top-down", "bottom-up")
NETWORKS = {"top-down": ("marbles", plots.PALETTE[0]), "bottom-up": ("marbles-bottom-up", plots.PALETTE[1])}


@cache  # several figures show the same posteriors, and the report draws each figure light and dark
def _posteriors(last: tuple[int, int] | None, rng: int) -> dict[str, Posterior]:
    """The exact posterior of the pure bags and a last one, and those of both networks, uncorrected."""
    counts = np.array(PURE if last is None else [*PURE, last])
    answers = {"exact": exact_posterior(counts, n_draws=10_000, rng=rng)}
    for name, (network, _) in NETWORKS.items():
        answers[name] = load(network).sample(counts, n_draws=10_000, rng=rng, correct=False)
    return answers


def last_bag(rng: int = 0) -> "Figure":
    """theta of the last bag, for each last bag."""
    figure, panels = drawing.panels(len(LAST_BAGS), height=2.0, sharex=True)
    for axes, (title, last) in zip(panels, LAST_BAGS.items(), strict=True):
        _shares(axes, {name: post.theta(LAST)[..., 1] for name, post in _posteriors(last, rng).items()})
        plot_axes.title(axes, title)
    panels[-1].set_xlabel("theta of the last bag, black")
    drawing.legend_outside(figure, panels[0])
    return figure


def last_bag_rows(rng: int = 0) -> list[tuple[str, ...]]:
    """P(next is black) for each last bag, under `COLUMNS`."""
    return [
        (title, *(f"{post.predict(LAST)[1]:.4f}" for post in _posteriors(last, rng).values()))
        for title, last in LAST_BAGS.items()
    ]


def knowledge(rng: int = 0) -> "Figure":
    """log alpha and beta, which all bags share, for each last bag."""
    figure, panels = drawing.panels(len(LAST_BAGS), 2, height=2.1, sharex="col")
    for (left, right), (title, last) in zip(panels.reshape(-1, 2), LAST_BAGS.items(), strict=True):
        found = dict(_posteriors(last, rng))
        exact = found.pop("exact")
        left.plot(*exact.marginal("log_alpha"), color=_colour("exact"), label="exact")
        x, density = exact.marginal("beta")
        right.plot(x[1], density[1], color=_colour("exact"), label="exact")
        _histograms(left, {name: post.log_alpha for name, post in found.items()}, (-12.0, 3.0))
        _histograms(right, {name: post.beta[..., 1] for name, post in found.items()})
        plot_axes.title(left, title)
        left.set(xlim=(-12.0, 3.0), ylabel="density")
    panels[-2].set_xlabel("log alpha")
    panels[-1].set_xlabel("beta, black")
    drawing.legend_outside(figure, panels[0])
    return figure


def knowledge_rows(rng: int = 0) -> list[tuple[str, ...]]:
    """E[log alpha] for each last bag, under `COLUMNS`."""
    return [
        (title, *(f"{post.mean('log_alpha'):.3f}" for post in _posteriors(last, rng).values()))
        for title, last in LAST_BAGS.items()
    ]


def new_bags(rng: int = 0) -> "Figure":
    """New bags, after ten white and ten black ones: theta of a new bag, and how many of 20 marbles are black."""
    figure, (upper, lower) = drawing.panels(2, height=2.5)
    _shares(upper, {name: post.theta()[..., 1] for name, post in _posteriors(None, rng).items()})
    upper.set_xlabel("theta of a new bag, black")
    lower.set_yscale("log")
    lower.set_yticks([0.001, 0.01, 0.1], ["0.1 %", "1 %", "10 %"])
    lower.minorticks_off()
    for i, (name, p) in enumerate(_new_counts(rng).items()):
        lower.bar(np.arange(21) + 0.27 * (i - 1), p, width=0.27, color=_colour(name))
    lower.set(xlabel="black marbles of 20 from a new bag", xticks=range(0, 21, 5), ylabel="probability")
    drawing.legend_outside(figure, upper)
    return figure


def new_bags_rows(rng: int = 0) -> list[tuple[str, ...]]:
    """The probability that 20 marbles of a new bag are of both colours, under `COLUMNS`."""
    return [("ten white, ten black", *(f"{p[1:20].sum():.4f}" for p in _new_counts(rng).values()))]


def _new_counts(rng: int) -> dict[str, NDArray[np.float64]]:
    """P(0, ..., 20 black marbles among 20 of a new bag)."""
    black = np.arange(21)
    outcomes = np.stack([20 - black, black], -1)
    return {name: np.exp(post.log_predictive(outcomes)) for name, post in _posteriors(None, rng).items()}


def _colour(name: str) -> str:
    from matplotlib import rcParams

    return NETWORKS[name][1] if name in NETWORKS else str(rcParams["text.color"])  # visible on dark pages too


def _shares(axes: "Axes", values: Mapping[str, NDArray[np.float64]]) -> None:
    """Shares of theta in 20 intervals, on a logarithmic axis: almost all of it lies at the ends."""
    for name, drawn in values.items():
        share = np.full(drawn.size, 1.0 / drawn.size)
        axes.hist(
            drawn.ravel(), 20, range=(0.0, 1.0), weights=share, histtype="step", color=_colour(name), label=name, lw=1.4
        )
    axes.set_yscale("log")
    axes.set_ylim(3e-4, 1.5)
    axes.set_yticks([0.001, 0.01, 0.1, 1.0], ["0.1 %", "1 %", "10 %", "100 %"])
    axes.minorticks_off()
    axes.set_ylabel("share of draws")


def _histograms(
    axes: "Axes", values: Mapping[str, NDArray[np.float64]], limits: tuple[float, float] = (0.0, 1.0)
) -> None:
    for name, drawn in values.items():
        axes.hist(
            drawn.ravel(), 50, range=limits, density=True, histtype="step", color=_colour(name), label=name, lw=1.4
        )
