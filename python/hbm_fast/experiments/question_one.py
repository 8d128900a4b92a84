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
from hbm_fast.posterior import Posterior

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PURE = [[20, 0]] * 10 + [[0, 20]] * 10
LAST = len(PURE)
LAST_BAGS = {"one black marble": (0, 1), "20 black marbles": (0, 20), "20 white marbles": (20, 0)}
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
    """theta of the last bag: only after one marble is the bottom-up network less certain than the exact posterior."""
    figure, panels = plots.panels(len(LAST_BAGS))
    for axes, (title, last) in zip(panels, LAST_BAGS.items(), strict=True):
        found = _posteriors(last, rng)
        _shares(axes, {name: post.theta(LAST)[..., 1] for name, post in found.items()})
        means = ", ".join(f"{post.predict(LAST)[1]:.3f}" for post in found.values())
        axes.set_title(f"{title}: mean {means}", fontsize=9)
        axes.set_xlabel("theta of the last bag, black")
    plots.legend(panels[len(LAST_BAGS) - 1])
    return figure


def knowledge(rng: int = 0) -> "Figure":
    """log alpha and beta, which all bags share, for each dataset."""
    figure, panels = plots.panels(len(LAST_BAGS), 2)
    for (upper, lower), (title, last) in zip(panels.reshape(2, -1).T, LAST_BAGS.items(), strict=True):
        found = dict(_posteriors(last, rng))
        exact = found.pop("exact")
        upper.plot(*exact.marginal("log_alpha"), color=_colour("exact"), label="exact")
        x, density = exact.marginal("beta")
        lower.plot(x[1], density[1], color=_colour("exact"), label="exact")
        _histograms(upper, {name: post.log_alpha for name, post in found.items()}, (-12.0, 3.0))
        _histograms(lower, {name: post.beta[..., 1] for name, post in found.items()})
        upper.set_title(title, fontsize=9)
        upper.locator_params(axis="x", nbins=5)  # more would overlap
        upper.set_xlabel("log alpha")
        lower.set_xlabel("beta, black")
    plots.legend(panels[len(LAST_BAGS) - 1])
    return figure


def new_bags(rng: int = 0) -> "Figure":
    """New bags, after ten white and ten black ones: theta of a new bag, and how many of 20 marbles are black."""
    figure, (left, right) = plots.panels(2)
    found = _posteriors(None, rng)
    _shares(left, {name: post.theta()[..., 1] for name, post in found.items()})
    left.set_xlabel("theta of a new bag, black")
    right.set_yscale("log")
    right.set_yticks([0.001, 0.01, 0.1], ["0.1 %", "1 %", "10 %"])
    black = np.arange(21)
    for i, (name, post) in enumerate(found.items()):
        p = np.exp(post.log_predictive(np.stack([20 - black, black], -1)))
        right.bar(black + 0.27 * (i - 1), p, width=0.27, color=_colour(name), label=name)
    right.set_xlabel("black marbles of 20 from a new bag")
    plots.legend(right)
    return figure


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


def _histograms(
    axes: "Axes", values: Mapping[str, NDArray[np.float64]], limits: tuple[float, float] = (0.0, 1.0)
) -> None:
    for name, drawn in values.items():
        axes.hist(
            drawn.ravel(), 50, range=limits, density=True, histtype="step", color=_colour(name), label=name, lw=1.4
        )
