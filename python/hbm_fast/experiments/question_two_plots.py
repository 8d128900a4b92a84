"""Figures of the second question of Le (2020), for its link exp + 1 and for exp."""

from pathlib import Path
from typing import Any

import numpy as np

from hbm_fast import _files
from hbm_fast._optional import import_optional
from hbm_fast.embedding.comparison import posterior_means
from hbm_fast.models import HierarchicalModel
from hbm_fast.simulation import simulate

NAMES = {"exp_plus_one": "exp + 1, Le (2020)", "exp": "exp"}
# Bags of 20, by name.
DATASETS = {
    "10 all white, 10 all black": [[20, 0]] * 10 + [[0, 20]] * 10,
    "20 bags of half and half": [[10, 10]] * 20,
    "20 all white": [[20, 0]] * 20,
    "20 all black": [[0, 20]] * 20,
    "one of each: 20:0, 19:1, ..., 0:20": [[20 - i, i] for i in range(21)],
}


def draw(exp_plus_one: Any, exp: Any, bags: Any, exact: Any, out: Path) -> None:
    """Write six figures to the folder ``out``."""
    both = {"exp_plus_one": exp_plus_one, "exp": exp}
    for link, embedding in both.items():
        _save(conditional_priors(embedding), out / f"priors-{link}.png", f"p(theta | z): {NAMES[link]}")
    _save(posteriors_of_z(both), out / "posteriors-of-z.png", "p(z | bags)")
    title = "Over the plane of z: the mean proportion of black, and how alike the bags are"
    _save(partition(both), out / "partition.png", title)
    _save(use(both), out / "use.png", "E[z | x] of 600 datasets: is the second direction of z used?")
    title = "10 white bags, 10 black bags, one black marble: the proportion of black in the last bag"
    _save(example(both, bags, exact), out / "example.png", title)


def conditional_priors(embedding: Any, n: int = 5) -> Any:
    """p(theta | z) on a grid of z."""
    figure, axes = _panels(n, n, (9, 8), sharex=True)
    grid = np.linspace(0.002, 0.998, 400)
    values = np.linspace(-2.0, 2.0, n)
    for i, second in enumerate(values[::-1]):
        for j, first in enumerate(values):
            density = embedding.prior_density([first, second], grid)
            axes[i, j].fill_between(grid, density, alpha=0.6)
            axes[i, j].set_ylim(0.0, max(3.0, 1.1 * float(np.quantile(density, 0.97))))
            axes[i, j].set_yticks([])
            axes[i, j].set_title(f"z = ({first:g}, {second:g})", fontsize=7)
    axes[-1, n // 2].set_xlabel("proportion of black")
    return figure


def posteriors_of_z(both: dict[str, Any]) -> Any:
    """Draws of z given different bags."""
    figure, axes = _panels(1, 2, (11, 5), sharex=True, sharey=True)
    for axis, (link, embedding) in zip(axes, both.items(), strict=True):
        for name, data in DATASETS.items():
            post = embedding.sample(np.array(data), n_draws=400, rng=0)
            axis.plot(*post.z[0].T, ".", markersize=2, label=name)
        axis.set(title=NAMES[link], xlabel="$z_1$", ylabel="$z_2$", xlim=(-4, 4), ylim=(-4, 4))
    axes[1].legend(markerscale=5, fontsize=7)
    return figure


def partition(both: dict[str, Any]) -> Any:
    """The mean and the total of f(z) over the plane of z."""
    side = np.linspace(-3.0, 3.0, 121)
    plane = np.stack(np.meshgrid(side, side), axis=-1)
    figure, axes = _panels(2, 2, (10, 8), sharex=True, sharey=True)
    for row, (link, embedding) in zip(axes, both.items(), strict=True):
        a = embedding.concentration(plane)
        total = a.sum(-1)
        share = row[0].pcolormesh(
            side, side, a[..., 1] / total, cmap="gray_r", vmin=0, vmax=1, shading="auto", rasterized=True
        )
        sizes = row[1].pcolormesh(side, side, np.log10(total), cmap="viridis", shading="auto", rasterized=True)
        if a.min() < 1.0:
            row[1].contour(side, side, a.min(-1), levels=[1.0], colors="red")
        row[0].set(title=f"{NAMES[link]}: mean proportion of black", ylabel="$z_2$")
        row[1].set(title="log10 of the sum of f(z); red: min f(z) = 1")
        figure.colorbar(share, ax=row[0])
        figure.colorbar(sizes, ax=row[1])
    return figure


def use(both: dict[str, Any]) -> Any:
    """Posterior means of z: on a line, or over the whole plane."""
    counts = simulate(HierarchicalModel(2), 600, n_groups=21, totals=20, rng=2).counts
    assert counts is not None
    black = counts[..., 1].sum(1) / counts.sum((1, 2))
    figure, axes = _panels(1, 2, (11, 5), sharex=True, sharey=True)
    for axis, (link, embedding) in zip(axes, both.items(), strict=True):
        means = posterior_means(embedding, counts)
        share = np.linalg.eigvalsh(np.cov(means.T))[::-1]
        axis.scatter(*means.T, c=black, s=6, cmap="coolwarm")
        axis.set(title=f"{NAMES[link]}: variance {share[0]:.2f} and {share[1]:.2f} of the prior's 1")
        axis.set(xlabel="$z_1$", ylabel="$z_2$", xlim=(-3, 3), ylim=(-3, 3))
    return figure


def example(both: dict[str, Any], bags: Any, exact: Any) -> Any:
    """The last bag's proportion of black given all bags: for both links, and exactly."""
    figure, axes = _panels(1, 3, (12, 3.6), sharey=True)
    answers = {NAMES[link]: emb.sample(bags, n_draws=4000, rng=0) for link, emb in both.items()}
    for axis, (name, post) in zip(axes, {**answers, "exact": exact}.items(), strict=True):
        weights = None if post.log_weights is None else np.exp(post.log_weights).ravel()
        axis.hist(post.theta(20)[..., 1].ravel(), bins=40, range=(0, 1), weights=weights, density=True)
        axis.set(title=f"{name}: P(next black) = {post.predict(20)[1]:.4f}", xlabel="proportion of black")
    return figure


def _panels(rows: int, columns: int, size: tuple[float, float], **shared: bool) -> tuple[Any, Any]:
    figure = import_optional("matplotlib.figure", "report").Figure(figsize=size, layout="tight")
    return figure, figure.subplots(rows, columns, **shared)


def _save(figure: Any, path: Path, title: str) -> None:
    figure.suptitle(title)
    _files.write_figure(path, figure, dpi=90)
