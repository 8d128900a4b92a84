"""Figures of the first question of Le (2020): top-down and bottom-up networks beside the exact posterior.

Each figure takes the networks and the seed of `posteriors`, and needs matplotlib (extra `report`), no display.
Component 0 is white, component 1 black.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hbm_fast import plots
from hbm_fast.amortize.estimator import Estimator, load
from hbm_fast.exact import exact_posterior
from hbm_fast.posterior import Posterior

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PURE = np.array([[20, 0]] * 10 + [[0, 20]] * 10, dtype=np.int64)

# The 21 bags by what was drawn from the last one.
DATASETS: dict[str, NDArray[np.int64]] = {
    "one black marble": np.concatenate([PURE, [[0, 1]]]),
    "20 black marbles": np.concatenate([PURE, [[0, 20]]]),
    "20 white marbles": np.concatenate([PURE, [[20, 0]]]),
}
LAST = len(PURE)
NETWORKS = {"top-down": "tab:blue", "bottom-up": "tab:orange"}


def posteriors(
    counts: NDArray[np.int64],
    top_down: Estimator | None = None,
    bottom_up: Estimator | None = None,
    *,
    n_draws: int = 10_000,
    rng: int = 0,
) -> dict[str, Posterior]:
    """The exact posterior, and those of both networks, uncorrected.

    Parameters
    ----------
    counts : (N, 2)
    top_down, bottom_up : Estimator, optional
        Default the shipped ones, "marbles" and "marbles-bottom-up".
    n_draws : int
    rng : int

    Returns
    -------
    dict
        By "exact", "top-down" and "bottom-up".
    """
    networks = {"top-down": top_down or load("marbles"), "bottom-up": bottom_up or load("marbles-bottom-up")}
    exact = exact_posterior(counts, n_draws=n_draws, rng=rng)
    return {
        "exact": exact,
        **{name: net.sample(counts, n_draws=n_draws, rng=rng, correct=False) for name, net in networks.items()},
    }


def last_bag(top_down: Estimator | None = None, bottom_up: Estimator | None = None, *, rng: int = 0) -> "Figure":
    """theta of the last bag: only after one marble is the bottom-up network less certain than the exact posterior.

    Examples
    --------
    >>> from hbm_fast.experiments import question_one
    >>> [axes.get_title().split(":")[0] for axes in question_one.last_bag().axes]
    ['one black marble', '20 black marbles', '20 white marbles']
    """
    figure, panels = plots.panels(len(DATASETS))
    for axes, (title, counts) in zip(panels, DATASETS.items(), strict=True):
        found = posteriors(counts, top_down, bottom_up, rng=rng)
        _shares(axes, {name: post.theta(LAST)[..., 1] for name, post in found.items()})
        means = ", ".join(f"{post.predict(LAST)[1]:.3f}" for post in found.values())
        axes.set_title(f"{title}: mean {means}", fontsize=9)
        axes.set_xlabel("theta of the last bag, black")
    panels[0].legend(fontsize=8)
    return figure


def knowledge(top_down: Estimator | None = None, bottom_up: Estimator | None = None, *, rng: int = 0) -> "Figure":
    """log alpha and beta, which all bags share, for each dataset.

    Examples
    --------
    >>> from hbm_fast.experiments import question_one
    >>> len(question_one.knowledge().axes)
    6
    """
    figure, panels = plots.panels(len(DATASETS), 2)
    for (upper, lower), (title, counts) in zip(panels.reshape(2, -1).T, DATASETS.items(), strict=True):
        found = posteriors(counts, top_down, bottom_up, rng=rng)
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
    panels[0].legend(fontsize=8)
    return figure


def new_bags(top_down: Estimator | None = None, bottom_up: Estimator | None = None, *, rng: int = 0) -> "Figure":
    """New bags, after ten white and ten black ones: theta of a new bag, and how many of 20 marbles are black.

    Examples
    --------
    >>> from hbm_fast.experiments import question_one
    >>> [axes.get_xlabel() for axes in question_one.new_bags().axes]
    ['theta of a new bag, black', 'black marbles of 20 from a new bag']
    """
    figure, (left, right) = plots.panels(2)
    found = posteriors(PURE, top_down, bottom_up, rng=rng)
    _shares(left, {name: post.theta()[..., 1] for name, post in found.items()})
    left.set_xlabel("theta of a new bag, black")
    right.set_yscale("log")
    right.set_yticks([0.001, 0.01, 0.1], ["0.1 %", "1 %", "10 %"])
    black = np.arange(21)
    for i, (name, post) in enumerate(found.items()):
        p = np.exp(post.log_predictive(np.stack([20 - black, black], -1)))
        right.bar(black + 0.27 * (i - 1), p, width=0.27, color=_colour(name), label=name)
    right.set_xlabel("black marbles of 20 from a new bag")
    left.legend(fontsize=8)
    return figure


def _colour(name: str) -> str:
    from matplotlib import rcParams

    return NETWORKS.get(name) or str(rcParams["text.color"])  # the exact posterior shows on dark pages too


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
