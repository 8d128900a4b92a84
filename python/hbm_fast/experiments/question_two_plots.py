"""Figures of the second question of Le (2020), for its link exp + 1 and for exp."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_fast import _files, plots
from hbm_fast._typing import Floats
from hbm_fast.embedding.comparison import posterior_means
from hbm_fast.models import HierarchicalModel
from hbm_fast.plots import axes as plot_axes
from hbm_fast.posterior import Posterior
from hbm_fast.report import drawing
from hbm_fast.simulation import simulate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {"exp_plus_one": "exp + 1, Le (2020)", "exp": "exp"}
PURE = "10 all white, 10 all black"
# Bags of 20, by name.
DATASETS = {
    PURE: [[20, 0]] * 10 + [[0, 20]] * 10,
    "20 of half and half": [[10, 10]] * 20,
    "20 all white": [[20, 0]] * 20,
    "20 all black": [[0, 20]] * 20,
    "one of each, 20:0 to 0:20": [[20 - i, i] for i in range(21)],
}
CORNERS = np.linspace(-2.0, 2.0, 5)  # of the grid of z
HIGHEST = 5.0  # density that `conditional_priors` shows
_LAST = 20  # the bag of the question
_FILLED = 0.85  # of the distance between two places of the grid: what a curve takes


def draw(exp_plus_one: Any, exp: Any, bags: Any, exact: Posterior, out: Path) -> None:
    """Write six figures to the folder ``out``."""
    both = {"exp_plus_one": exp_plus_one, "exp": exp}
    for link, embedding in both.items():
        _save(conditional_priors(embedding), out / f"priors-{link}.png", f"p(theta | z): {NAMES[link]}")
    _save(posteriors_of_z(draws_of_z(both)), out / "posteriors-of-z.png", "p(z | bags)")
    _save(partition(both), out / "partition.png", "The plane of z")
    _save(use(*means_of_z(both)), out / "use.png", "E[z | x] of 600 datasets: is the second direction of z used?")
    _save(example(answers(both, bags, exact)), out / "example.png", "The last bag of the marbles")


def conditional_priors(embedding: Any) -> "Figure":
    """p(theta | z) on a grid of z: at each place a curve over theta from 0 to 1, cut where it is above `HIGHEST`."""
    figure, (axes,) = drawing.panels(1, height=4.4)
    theta = np.linspace(0.002, 0.998, 200)
    step = CORNERS[1] - CORNERS[0]
    for second in CORNERS:
        for first in CORNERS:
            height = np.minimum(embedding.prior_density([first, second], theta), HIGHEST) / HIGHEST
            x, base = first + (theta - 0.5) * _FILLED * step, second - 0.5 * _FILLED * step
            axes.fill_between(x, base, base + height * _FILLED * step, color=plots.PALETTE[0], alpha=0.6, linewidth=0.0)
            axes.plot(x[[0, -1]], [base, base], color="0.5", linewidth=0.8)
    axes.set(xticks=CORNERS, yticks=CORNERS, xlabel="$z_1$", ylabel="$z_2$")
    return figure


def draws_of_z(both: Mapping[str, Any]) -> dict[str, dict[str, Floats]]:
    """400 draws of z (400, 2) for each link and each of `DATASETS`."""
    return {
        link: {name: embedding.sample(np.array(data), n_draws=400, rng=0).z[0] for name, data in DATASETS.items()}
        for link, embedding in both.items()
    }


def posteriors_of_z(draws: Mapping[str, Mapping[str, Floats]]) -> "Figure":
    """Draws of z given different bags, of `draws_of_z`."""
    figure, panels = drawing.panels(1, 2, height=3.6, sharex=True, sharey=True)
    for axes, (link, found) in zip(panels, draws.items(), strict=True):
        for (name, z), color in zip(found.items(), plots.PALETTE, strict=False):
            axes.plot(*z.T, ".", markersize=2, label=name, color=color)
        axes.set(title=NAMES[link], xlabel="$z_1$", xlim=(-4, 4), ylim=(-4, 4), aspect="equal")
    panels[0].set_ylabel("$z_2$")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False, fontsize="small", markerscale=5)
    return figure


def partition(both: Mapping[str, Any]) -> "Figure":
    """The mean and the total of f(z) over the plane of z."""
    side = np.linspace(-3.0, 3.0, 121)
    plane = np.stack(np.meshgrid(side, side), axis=-1)
    figure, panels = drawing.panels(2, 2, height=2.5, sharex=True, sharey=True)
    rows = panels.reshape(2, 2)
    concentrations = {link: embedding.concentration(plane) for link, embedding in both.items()}
    largest = np.log10(max(a.sum(-1).max() for a in concentrations.values()))
    least = np.log10(min(a.sum(-1).min() for a in concentrations.values()))
    for row, (link, a) in zip(rows, concentrations.items(), strict=True):
        total = a.sum(-1)
        shown = {"shading": "auto", "rasterized": True}
        share = row[0].pcolormesh(side, side, a[..., 1] / total, cmap="gray_r", vmin=0, vmax=1, **shown)
        sizes = row[1].pcolormesh(side, side, np.log10(total), cmap="viridis", vmin=least, vmax=largest, **shown)
        if a.min() < 1.0:
            row[1].contour(side, side, a.min(-1), levels=[1.0], colors="red")
        row[0].set(title=NAMES[link], ylabel="$z_2$", aspect="equal")
        row[1].set(title=NAMES[link], aspect="equal")
    for column, mesh, label in zip(rows.T, (share, sizes), ("mean proportion of black", "log10 alpha"), strict=True):
        column[-1].set_xlabel("$z_1$")
        figure.colorbar(mesh, ax=list(column), location="bottom", label=label, shrink=0.9)
    return figure


def means_of_z(both: Mapping[str, Any]) -> tuple[dict[str, Floats], Floats]:
    """E[z | x] of 600 simulated datasets by link, and the proportion of black in each dataset."""
    counts = simulate(HierarchicalModel(2), 600, n_groups=21, totals=20, rng=2).counts
    assert counts is not None
    means = {link: np.asarray(posterior_means(embedding, counts)) for link, embedding in both.items()}
    return means, counts[..., 1].sum(1) / counts.sum((1, 2))


def variances(means: Floats) -> Floats:
    """Variance of E[z | x] over datasets, in the direction of the most and of the least; the prior's is 1."""
    return np.asarray(np.linalg.eigvalsh(np.cov(means.T))[::-1], dtype=np.float64)


def use(means: Mapping[str, Floats], black: Floats) -> "Figure":
    """The posterior means of `means_of_z`: on a line, or over the whole plane."""
    figure, panels = drawing.panels(1, 2, height=3.6, sharex=True, sharey=True)
    for axes, (link, found) in zip(panels, means.items(), strict=True):
        points = axes.scatter(*found.T, c=black, s=5, cmap="coolwarm", vmin=0.0, vmax=1.0)
        axes.set(title=NAMES[link], xlabel="$z_1$", xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
    panels[0].set_ylabel("$z_2$")
    figure.colorbar(points, ax=list(panels), location="bottom", label="proportion of black in the dataset", shrink=0.7)
    return figure


def answers(both: Mapping[str, Any], bags: Any, exact: Posterior) -> dict[str, Posterior]:
    """Posteriors of the bags by name: of both learned models, and the exact one."""
    learned = {NAMES[link]: embedding.sample(bags, n_draws=4000, rng=0) for link, embedding in both.items()}
    return {**learned, "exact": exact}


def example(posteriors: Mapping[str, Posterior]) -> "Figure":
    """The last bag's proportion of black given all bags, of `answers`."""
    figure, panels = drawing.panels(len(posteriors), height=1.9, sharex=True, sharey=True)
    for axes, (name, post) in zip(panels, posteriors.items(), strict=True):
        theta = post.theta(_LAST)[..., 1].ravel()
        weights = np.ones(theta.size) if post.log_weights is None else np.exp(post.log_weights).ravel()
        axes.hist(theta, bins=20, range=(0, 1), weights=weights / weights.sum(), color=plots.PALETTE[0])
        plot_axes.title(axes, f"{name}: P(next is black) = {post.predict(_LAST)[1]:.3f}")
        axes.set_ylabel("share of draws")
    panels[-1].set_xlabel("proportion of black in the last bag")
    return figure


def _save(figure: "Figure", path: Path, title: str) -> None:
    figure.suptitle(title, fontsize="medium")
    _files.write_figure(path, figure, dpi=150)
