"""The table of ``Posterior.summary``: means, quantiles, and how accurate the draws make them."""

from dataclasses import dataclass

import numpy as np

from hbm_fast import errors
from hbm_fast._typing import Floats
from hbm_fast.posterior import convergence

_MIN_WEIGHTED_ESS = 100.0


@dataclass(frozen=True, eq=False)
class Summary:
    """The result of ``Posterior.summary``: print it, or read its numbers.

    Attributes
    ----------
    names : tuple of str
        Names of the rows: ``"alpha"``, ``"log_alpha"``, ``"beta[...]"`` with the name or the number of each category.
    columns : dict of str to ndarray
        ``"mean"``, ``"sd"``, quantiles such as ``"5%"``; for MCMC ``"mcse"``, ``"ess_bulk"``, ``"ess_tail"`` and
        ``"r_hat"``; for weighted draws ``"mcse"`` and ``"ess"``.
    note : str
        The method and the number of draws.
    """

    names: tuple[str, ...]
    columns: dict[str, Floats]
    note: str

    def __getitem__(self, name: str) -> dict[str, float]:
        """One row."""
        if name not in self.names:
            raise KeyError(f"{name!r} is none of the rows {', '.join(self.names[:4])} ...")
        row = self.names.index(name)
        return {column: float(values[row]) for column, values in self.columns.items()}

    def __str__(self) -> str:
        shown = list(range(len(self.names)))
        if len(shown) > 40:
            shown = [*shown[:20], *shown[-10:]]
        width = max(len(self.names[i]) for i in shown)
        lines = [" " * width + "".join(f"{column:>11}" for column in self.columns)]
        for position, i in enumerate(shown):
            if position and i != shown[position - 1] + 1:
                lines.append(f"... {i - shown[position - 1] - 1} rows ...")
            cells = "".join(f"{_cell(column, values[i]):>11}" for column, values in self.columns.items())
            lines.append(f"{self.names[i]:<{width}}{cells}")
        return "\n".join([*lines, self.note])

    __repr__ = __str__


def _cell(column: str, value: float) -> str:
    if np.isnan(value):
        return "-"
    if column.startswith("ess"):
        return f"{value:.0f}"
    return f"{value:.3f}" if column == "r_hat" else f"{value:.4g}"


def weighted_error(values: Floats, mean: Floats, weights: Floats) -> Floats:
    """Standard error of a self-normalised weighted mean over the draws (C, D, ...), with weights (C, D)."""
    weights = weights.reshape(weights.shape + (1,) * (values.ndim - 2))
    return np.asarray(np.sqrt((weights**2 * (values - mean) ** 2).sum(axis=(0, 1))))


def warn_of_chains(names: tuple[str, ...], columns: dict[str, Floats], n_chains: int, n_draws: int) -> None:
    """ConvergenceWarning where R-hat, or the smaller one of bulk and tail ESS, exceeds the limits of `convergence`."""
    # without alpha, whose ranks are those of log alpha
    r_hat, ess = columns["r_hat"][1:], np.fmin(columns["ess_bulk"], columns["ess_tail"])[1:]
    problems = convergence.problems(names[1:], r_hat, ess, n_chains, n_draws)
    if problems:
        errors.warn(f"{'; '.join(problems)}: {convergence.ADVICE}", errors.ConvergenceWarning)


def warn_of_weights(ess: float, n_draws: int) -> None:
    """ConvergenceWarning where a few draws hold most of the weight."""
    if ess < _MIN_WEIGHTED_ESS:
        errors.warn(
            f"the importance weights leave {ess:.1f} effective draws of {n_draws}: "
            "draw more (n_draws), or use hbm.sample",
            errors.ConvergenceWarning,
        )
