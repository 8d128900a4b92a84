"""Calibration of a network's own draws, measured on simulated datasets of its range."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hbm_fast import plots
from hbm_fast._display import Displayed
from hbm_fast._files import replacing
from hbm_fast._typing import Counts, Floats
from hbm_fast.calibration import Calibration, kl_divergence
from hbm_fast.exact import exact_posterior
from hbm_fast.nn.data import TrainingStream
from hbm_fast.nn.draws import Draws
from hbm_fast.nn.importance import validation_metrics


@dataclass(frozen=True, repr=False)
class Report(Displayed):
    """Calibration metrics of a network.

    Attributes
    ----------
    sbc : Calibration
        Ranks of the truth among the network's own draws, uncorrected: p-values and coverage.
    kl, kl_error : float
        Mean over datasets of KL(exact || network), and its standard error: by quadrature for a top-down network of two
        categories, else by importance sampling.
    ess_share : float
        Mean effective share of the importance weights.
    n_categories : int
    """

    sbc: Calibration
    kl: float
    kl_error: float
    ess_share: float
    n_categories: int

    def __repr__(self) -> str:
        return (
            f"K = {self.n_categories}: KL(exact || network) {self.kl:.4f} +- {self.kl_error:.4f} nats, "
            f"effective share of the draws {self.ess_share:.4f}\n{self.sbc}"
        )

    def save(self, path: str | Path) -> None:
        """Save the histograms of the ranks."""
        figure = plots.calibration(self.sbc)
        with replacing(path) as unfinished:
            figure.savefig(unfinished)


def measure_kl(
    draw: Callable[..., Draws],
    log_density: Callable[[Counts, Floats, Floats], Floats] | None,
    stream: TrainingStream,
    n_datasets: int,
) -> tuple[float, float, float]:
    """Mean KL(exact || network) over the stream's first datasets, its standard error, and the effective share.

    With ``log_density`` of (counts, log alpha, logit beta), for two categories, the KL is by quadrature at the nodes of
    `exact_posterior` instead of importance sampling.
    """
    metrics = validation_metrics(draw, [stream], n_datasets, 1000)()
    data = stream.block(0, n_datasets).counts
    if log_density is None or data is None:
        return metrics["kl"], metrics["kl_error"], metrics["ess_share"]
    kl = []
    for counts in data.numpy():
        exact = exact_posterior(counts, stream.model, n_draws=1)
        kl.append(kl_divergence(exact, lambda t, u, x=counts: log_density(x, t, u)))  # type: ignore[misc]
    return float(np.mean(kl)), float(np.std(kl) / np.sqrt(n_datasets)), metrics["ess_share"]
