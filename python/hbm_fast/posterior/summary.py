"""The table that post.summary() prints, and the warnings about the draws behind it."""

import warnings
from dataclasses import dataclass

import numpy as np

from hbm_fast._typing import Floats
from hbm_fast.errors import ConvergenceWarning

MAX_R_HAT = 1.01
MIN_ESS_PER_CHAIN = 100.0  # Vehtari et al. 2021, doi:10.1214/20-BA1221
MIN_WEIGHTED_ESS = 100.0


@dataclass(frozen=True, eq=False)
class Summary:
    """What ``Posterior.summary`` returns: print it, or take the figures from it.

    Attributes
    ----------
    names : tuple of str
        Of the rows: ``"alpha"``, ``"log_alpha"``, ``"beta[...]"`` with the name or the number of each category.
    columns : dict of str to ndarray
        ``"mean"``, ``"sd"``, quantiles such as ``"5%"``; for MCMC ``"mcse"``, ``"ess_bulk"``, ``"ess_tail"`` and
        ``"r_hat"``; for weighted draws ``"mcse"`` and ``"ess"``.
    note : str
        Where the figures come from.
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
            figures = "".join(f"{_figure(column, values[i]):>11}" for column, values in self.columns.items())
            lines.append(f"{self.names[i]:<{width}}{figures}")
        return "\n".join([*lines, self.note])

    __repr__ = __str__


def _figure(column: str, value: float) -> str:
    if np.isnan(value):
        return "-"
    if column.startswith("ess"):
        return f"{value:.0f}"
    return f"{value:.3f}" if column == "r_hat" else f"{value:.4g}"


def warn_of_chains(names: tuple[str, ...], columns: dict[str, Floats], n_chains: int) -> None:
    """ConvergenceWarning where R-hat or an ESS says that the draws do not represent the posterior yet."""
    r_hat, ess = columns["r_hat"], np.fmin(columns["ess_bulk"], columns["ess_tail"])
    if np.isnan(ess).all():
        return
    problems = []
    if not np.isnan(r_hat).all():  # as for one chain
        worst = int(np.nanargmax(r_hat))
        if r_hat[worst] > MAX_R_HAT:
            problems.append(f"R-hat of {names[worst]} is {r_hat[worst]:.3f}, above {MAX_R_HAT}")
    needed = MIN_ESS_PER_CHAIN * n_chains
    worst = int(np.nanargmin(ess))
    if ess[worst] < needed:
        problems.append(f"{names[worst]} has {ess[worst]:.0f} effective draws, below {needed:.0f}")
    if problems:
        warnings.warn(
            f"{'; '.join(problems)}: the draws do not represent the posterior yet. "
            "Pass a larger n_draws (and n_warmup) to hbm.sample, or another method=.",
            ConvergenceWarning,
            stacklevel=3,
        )


def warn_of_weights(ess: float, n_draws: int) -> None:
    """ConvergenceWarning where a few draws hold most of the weight."""
    if ess < MIN_WEIGHTED_ESS:
        warnings.warn(
            f"the importance weights leave {ess:.1f} effective draws of {n_draws}: "
            "ask for more n_draws, or use hbm.sample",
            ConvergenceWarning,
            stacklevel=3,
        )
