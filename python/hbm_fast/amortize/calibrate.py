"""Calibration of a network's own draws, measured on simulated datasets of its range."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hbm_fast import plots, priors
from hbm_fast._files import replacing
from hbm_fast._typing import Counts, Floats
from hbm_fast.calibration import Calibration, kl_divergence, simulation_based_calibration
from hbm_fast.exact import exact_posterior
from hbm_fast.nn.data import TrainingStream
from hbm_fast.nn.draws import Draws
from hbm_fast.nn.importance import validation_metrics
from hbm_fast.posterior import Posterior

N_RANKS = 63


@dataclass(frozen=True)
class Report:
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

    def __str__(self) -> str:
        return (
            f"K = {self.n_categories}: KL(exact || network) {self.kl:.4f} +- {self.kl_error:.4f} nats, "
            f"effective share of the draws {self.ess_share:.4f}\n{self.sbc}"
        )

    def save(self, path: str | Path) -> None:
        """Save the histograms of the ranks."""
        figure = plots.calibration(self.sbc)
        with replacing(path) as unfinished:
            figure.savefig(unfinished)


def measure(
    sample: Callable[[Counts], Posterior],
    draw: Callable[..., Draws],
    log_density: Callable[[Counts, Floats, Floats], Floats] | None,
    stream: TrainingStream,
    n_datasets: int,
    *,
    theta: bool,
    rng: np.random.Generator,
) -> Report:
    """Measure a network's calibration.

    Parameters
    ----------
    sample : callable
        Counts -> posterior with `N_RANKS` - 1 of the network's own draws.
    draw : callable
        As `nn.importance.validation_metrics` takes it.
    log_density : callable, optional
        (counts, log alpha, logit beta) -> log density of a network with two categories, for the KL by quadrature.
    stream : TrainingStream
        The datasets, with their groups.
    n_datasets : int
        Datasets of the ranks; the KL is taken on an eighth as many, between 20 and 500.
    theta : bool
        Whether to rank the groups' theta too.
    rng : Generator
        Of the ranks.
    """
    sbc = rank_truth(sample, stream, n_datasets, theta=theta, rng=rng)
    n = min(500, max(20, n_datasets // 8))
    metrics = validation_metrics(draw, [stream], n, 1000)()
    kl, error = metrics["kl"], metrics["kl_error"]
    if log_density is not None and not isinstance(stream.model.alpha, priors.Fixed):
        values = quadrature_kl(log_density, stream, n)
        kl, error = float(values.mean()), float(values.std() / np.sqrt(n))
    return Report(sbc, kl, error, metrics["ess_share"], stream.model.n_categories)


def rank_truth(
    sample: Callable[[Counts], Posterior],
    stream: TrainingStream,
    n_datasets: int,
    *,
    theta: bool,
    rng: np.random.Generator,
) -> Calibration:
    """Ranks of the truth among a network's own draws, over datasets of the stream's model and range."""
    return simulation_based_calibration(
        sample,
        stream.model,
        n_datasets,
        n_groups=stream.n_groups,
        totals=stream.totals,
        n_ranks=N_RANKS,
        batch=max(2, min(200, n_datasets)),
        theta=theta,
        rng=rng,
    )


def quadrature_kl(
    log_density: Callable[[Counts, Floats, Floats], Floats], stream: TrainingStream, n_datasets: int
) -> Floats:
    """KL(exact || network) of the stream's first datasets, (B,), at the nodes of `exact_posterior`."""
    data = stream.block(0, n_datasets).counts
    assert data is not None
    values = []
    for counts in data.numpy():
        exact = exact_posterior(counts, stream.model, n_draws=1)
        values.append(kl_divergence(exact, lambda t, u, x=counts: log_density(x, t, u)))  # type: ignore[misc]
    return np.array(values)
