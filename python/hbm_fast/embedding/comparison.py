"""ModelComparison: how far the learned model is from the true one, in nats per dataset, independent of q.

    model gap      E[log p_true(x) - log p_psi(x)] over held-out datasets: the KL divergence of the two models
    inference gap  E[log p_psi(x) - ELBO]: the KL divergence of q(z | x) from the learned model's posterior

In two dimensions both evidences are by quadrature, in more by importance sampling around each posterior's mode.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from hbm_fast._display import Displayed
from hbm_fast._random import key as new_key
from hbm_fast._typing import RNGLike
from hbm_fast.embedding import latent_grid, proposals
from hbm_fast.embedding.estimator import Embedding
from hbm_fast.models import HierarchicalModel
from hbm_fast.nn.draws import generator
from hbm_fast.nn.importance import effective_share, log_mean_exp
from hbm_fast.nn.likelihood import exceedance_log_likelihood, node_log_likelihood
from hbm_fast.nn.objectives import log_normal
from hbm_fast.nn.training import torch_threads
from hbm_fast.nn.transforms import PriorTransform
from hbm_fast.sufficient_statistics import exceedance_counts
from hbm_fast.tables.inputs import as_datasets

_CHUNK = 400_000  # (dataset, draw) pairs at once
_LARGEST = 30.0  # of log a: a multinomial to thirteen digits


@dataclass(frozen=True)
class Gap(Displayed):
    """A mean over datasets in nats, and its standard error.

    Attributes
    ----------
    log_ratio, log_ratio_error : float
        Mean of log p_true - log p_psi.
    k3, k3_error : float
        Mean of r - 1 - log r, r = p_psi / p_true: the same expectation, never negative, and far less noisy where the
        gap is small. Where the gap is large r is heavy-tailed and the log ratio is more precise.
    """

    log_ratio: float
    log_ratio_error: float
    k3: float
    k3_error: float

    @property
    def value(self) -> float:
        """k3 below half a nat, the log ratio above."""
        return self.k3 if self.log_ratio < 0.5 else self.log_ratio

    @property
    def error(self) -> float:
        """Standard error of ``value``."""
        return self.k3_error if self.log_ratio < 0.5 else self.log_ratio_error

    @staticmethod
    def of(log_true: Tensor, log_learned: Tensor) -> "Gap":
        """From the evidences of the same datasets, (B,) each."""
        log_r = log_learned - log_true
        k3 = torch.expm1(log_r) - log_r
        root = log_r.numel() ** 0.5
        return Gap(float(-log_r.mean()), float(log_r.std() / root), float(k3.mean()), float(k3.std() / root))


class ModelComparison(Displayed):
    """Log evidence of held-out datasets under the true model, computed once, against that of learned models.

    Parameters
    ----------
    model : HierarchicalModel
    counts : integer array_like (B, N, K)
        Drawn from the model and not used in a training.
    n_draws : int
        Of importance sampling, where z of the model has more than two dimensions.
    rng : None, int, SeedSequence, BitGenerator or Generator

    Attributes
    ----------
    log_true : (B,)
        Without the multinomial coefficients, which cancel.
    ess_share : (B,) or None
        Effective share of the draws, where ``log_true`` is by importance sampling.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> from hbm_fast.embedding import ModelComparison
    >>> model = hbm.HierarchicalModel(2)
    >>> sims = hbm.simulate(model, 200, n_groups=21, totals=20, rng=7)
    >>> comparison = ModelComparison(model, sims.counts)
    >>> comparison.model_gap(hbm.embedding.load("marbles")).value < 0.01
    True
    >>> comparison.model_gap(hbm.embedding.load("marbles-exp-plus-one")).value > 11
    True
    """

    def __repr__(self) -> str:
        return f"ModelComparison({len(self.counts)} datasets, {self.model})"

    def __init__(
        self, model: HierarchicalModel, counts: ArrayLike, *, n_draws: int = 2000, rng: RNGLike = 0, n_threads: int = 1
    ) -> None:
        self.model, self.counts = model, as_datasets(counts)[0].counts
        self.n_draws, self.n_threads = n_draws, n_threads
        self._key = new_key(rng)
        exceedances = self.exceedances = torch.from_numpy(exceedance_counts(self.counts)).double()
        transform = PriorTransform(model)

        def concentration(z: Tensor) -> Tensor:
            log_alpha, log_beta = transform.from_z(z)
            return log_alpha[..., None] + log_beta

        self.ess_share: Tensor | None = None
        with torch_threads(n_threads):
            if transform.dim == 2:
                self.log_true = latent_grid.log_marginal(
                    lambda z: node_log_likelihood(exceedances, concentration(z)), exceedances.shape[0]
                )
            else:
                start = torch.zeros(exceedances.shape[0], transform.dim, dtype=torch.float64)

                def log_joint(part: slice, z: Tensor) -> Tensor:
                    return exceedance_log_likelihood(exceedances[part], concentration(z)) + log_normal(z)

                self.log_true, self.ess_share = importance_evidence(log_joint, start, n_draws, generator(self._key))

    def log_learned(self, embedding: Embedding) -> Tensor:
        """log p_psi of every dataset (B,), without the multinomial coefficients."""
        exact = embedding.exact
        data = embedding.likelihood_data(self.counts)
        with torch_threads(self.n_threads):
            if embedding.dim == 2:
                return latent_grid.log_marginal(lambda z: exact.log_likelihood(data, z), data.shape[0])
            start = embedding.q_draws(self.counts, 64, generator(self._key))[0].mean(1)
            return importance_evidence(
                lambda part, z: exact.log_joint(data[part], z), start, self.n_draws, generator(self._key)
            )[0]

    def model_gap(self, embedding: Embedding, log_learned: Tensor | None = None) -> Gap:
        """The model gap, independent of q; ``log_learned`` may be given where it is known."""
        return Gap.of(self.log_true, self.log_learned(embedding) if log_learned is None else log_learned)

    def least_gap(self, floor: float = 1.0) -> tuple[float, float]:
        """Lower bound of the model gap of one Dirichlet with concentrations above ``floor``, and its standard error.

        The bound is the mean over datasets of log p_true - sup log p(x | a).

        p_psi(x) is an average of p(x | f(z)) over z, which does not exceed the largest value: the bound holds for any
        f, any prior of z, any q and any objective.
        """
        best = highest_likelihood(self.exceedances, floor)
        gap = self.log_true - best
        return float(gap.mean()), float(gap.std() / gap.numel() ** 0.5)

    def inference(
        self, embedding: Embedding, log_learned: Tensor | None = None, *, n_draws: int = 200
    ) -> dict[str, float]:
        """Metrics of q: ``gap``, the inference gap in nats, and the effective share of its importance weights, the mean
        ``ess`` and the 5 % quantile ``ess_low``."""
        with torch_threads(self.n_threads):
            log_w = embedding.q_draws(self.counts, n_draws, generator(self._key))[1]
        share = effective_share(log_w)
        evidence = self.log_learned(embedding) if log_learned is None else log_learned
        gap = evidence - log_w.mean(1)
        return {
            "gap": float(gap.mean()),
            "gap_error": float(gap.std() / gap.numel() ** 0.5),
            "ess": float(share.mean()),
            "ess_low": float(share.quantile(0.05)),
        }


def importance_evidence(
    log_joint: Callable[[slice, Tensor], Tensor], start: Tensor, n_draws: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Log evidence (B,) by importance sampling around the mode, and the effective share of the weights (B,).

    ``log_joint`` maps a slice of the datasets and z (b, S, D) to log p(x, z) (b, S); the search for the mode begins at
    ``start`` (B, D).
    """
    size = max(1, _CHUNK // n_draws)
    evidence, share = [], []
    for i in range(0, start.shape[0], size):
        part = slice(i, i + size)
        _, log_w = proposals.laplace(partial(log_joint, part), start[part], n_draws, generator)
        evidence.append(log_mean_exp(log_w))
        share.append(effective_share(log_w))
    return torch.cat(evidence), torch.cat(share)


def posterior_means(embedding: Embedding, counts: NDArray[Any], *, n_draws: int = 256) -> NDArray[np.float64]:
    """E[z | x] of each dataset, (B, N, K) -> (B, dim), by importance sampling from q."""
    z, log_ratio = embedding.q_draws(counts, n_draws, torch.Generator().manual_seed(0))
    return np.asarray((z * log_ratio.softmax(1)[..., None]).sum(1).numpy())


def highest_likelihood(exceedances: Tensor, floor: float) -> Tensor:
    """sup of log p(x | a) over all concentrations a_k > floor: exceedances (B, K + 1, J) float64 -> (B,)."""

    def log_likelihood(u: Tensor) -> Tensor:
        log_floor = u.new_tensor(floor).log()
        return exceedance_log_likelihood(exceedances, torch.logaddexp(log_floor, u.clamp(max=_LARGEST)))

    # The supremum may lie at infinity on a plateau of slope exp(-u), where Newton's step is 1
    start = torch.zeros(exceedances.shape[0], exceedances.shape[1] - 1, dtype=torch.float64)
    with torch.no_grad():
        return log_likelihood(proposals.find_mode(log_likelihood, start, least=1e-9)[:, None])[:, 0]
