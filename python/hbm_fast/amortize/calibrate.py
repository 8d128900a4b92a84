"""est.calibrate(): how far a network may be trusted, measured on fresh data of its range."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_fast import priors
from hbm_fast._files import replacing
from hbm_fast._optional import import_optional
from hbm_fast._random import key as new_key
from hbm_fast._typing import RNGLike
from hbm_fast.amortize.held_out import held_out
from hbm_fast.calibration import Calibration, kl_divergence, simulation_based_calibration
from hbm_fast.exact import exact_posterior
from hbm_fast.models import HierarchicalModel
from hbm_fast.nn.data import TrainingStream

if TYPE_CHECKING:
    from hbm_fast.amortize.estimator import Estimator


@dataclass(frozen=True)
class Report:
    """Figures of `calibrate`.

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
        """Draw the histograms of the ranks."""
        Figure = import_optional("matplotlib.figure", "report").Figure
        names, n = self.sbc.names, self.sbc.ranks.shape[1]
        figure = Figure(figsize=(3.2 * len(names), 2.6), layout="constrained")
        bins = np.linspace(-0.5, self.sbc.n_ranks - 0.5, 22)
        expected = n / 21
        for axis, name, ranks in zip(
            figure.subplots(1, len(names), squeeze=False)[0], names, self.sbc.ranks, strict=True
        ):
            axis.hist(ranks, bins, color="0.55")
            axis.axhspan(expected - 2.0 * expected**0.5, expected + 2.0 * expected**0.5, color="tab:blue", alpha=0.25)
            axis.set_title(f"{name}, p = {self.sbc.p_values[name]:.2g}", fontsize=9)
            axis.set_xlabel("rank of the truth")
        with replacing(path) as unfinished:
            figure.savefig(unfinished)


def calibrate(
    estimator: "Estimator",
    n_datasets: int = 1000,
    *,
    n_categories: int | None = None,
    rng: RNGLike = 0,
    figure: str | Path | None = None,
) -> Report:
    """See `Estimator.calibrate`."""
    report = measure(estimator, n_datasets, n_categories=n_categories, rng=rng)
    print(report)
    if figure is not None:
        report.save(figure)
    return report


def measure(estimator: "Estimator", n_datasets: int, *, n_categories: int | None = None, rng: RNGLike = 0) -> Report:
    """What `calibrate` prints."""
    model = estimator.model
    if model is None:
        model = HierarchicalModel(estimator.network.categories[0] if n_categories is None else n_categories)
    key = new_key(rng)
    sbc = rank(estimator, model, n_datasets, np.random.default_rng(key.tolist()))
    stream = TrainingStream(model, estimator.n_groups, estimator.totals, key, True)
    n = min(500, max(20, n_datasets // 8))
    figures = held_out(estimator.network, [stream], n, 1000)()
    kl, error = figures["kl"], figures["kl_error"]
    if model.n_categories == 2 and estimator.factorization == "top-down" and not isinstance(model.alpha, priors.Fixed):
        values = quadrature_kl(estimator, stream, n)
        kl, error = float(values.mean()), float(values.std() / np.sqrt(n))
    return Report(sbc, kl, error, figures["ess_share"], model.n_categories)


def rank(
    estimator: "Estimator", model: HierarchicalModel, n_datasets: int, generator: np.random.Generator
) -> Calibration:
    """Ranks of the truth among the network's own draws, over datasets of its range."""
    return simulation_based_calibration(
        lambda counts: estimator.sample(counts, n_draws=62, rng=generator, correct=False),
        model,
        n_datasets,
        n_groups=estimator.n_groups,
        totals=estimator.totals,
        n_ranks=63,
        batch=max(2, min(200, n_datasets)),
        theta=estimator.factorization == "bottom-up",
        rng=generator,
    )


def stored_figures(estimator: "Estimator", n_datasets: int, rng: RNGLike = 0) -> dict[str, float]:
    """What a checkpoint says of its network: KL, effective share and the p-values of the ranks; for an any-K network
    with ``_k2``, ``_k3``, ... behind the names.

    ``sbc_p`` is the smallest p-value of all quantities, corrected for their number. A bottom-up network is calibrated
    in each group's theta by itself, ``sbc_p_theta``, and not in alpha and beta.
    """
    low, high = (0, 0) if estimator.model is not None else estimator.network.categories
    figures = {"sbc_datasets": float(n_datasets)}
    for k in sorted({low, min(3, high), min(5, high), high}):
        report = measure(estimator, n_datasets, n_categories=k or None, rng=rng)
        p_values = report.sbc.p_values
        theta = [p for name, p in p_values.items() if name.startswith("theta")]
        found = {
            "kl": report.kl,
            "kl_error": report.kl_error,
            "ess_share": report.ess_share,
            "sbc_p": report.sbc.p_value,
            **({"sbc_p_theta": min(1.0, len(theta) * min(theta))} if theta else {}),
        }
        figures |= {f"{name}_k{k}" if k else name: value for name, value in found.items()}
    return figures


def quadrature_kl(estimator: "Estimator", stream: TrainingStream, n_datasets: int) -> Any:
    """KL(exact || network) of the stream's first datasets, (B,), by the nodes of `exact_posterior`."""
    data = stream.block(0, n_datasets).counts
    assert data is not None
    values = []
    for counts in data.numpy():
        exact = exact_posterior(counts, stream.model, n_draws=1)
        values.append(kl_divergence(exact, lambda t, u, x=counts: estimator.log_density(x, t, u)))  # type: ignore[misc]
    return np.array(values)
