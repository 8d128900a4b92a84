"""The referee: how far the learned model is from the true one, in nats per dataset, whatever q does.

    model gap      E[log p_true(x) - log p_psi(x)] over held-out datasets: the KL divergence of the two models
    inference gap  E[log p_psi(x) - ELBO]: the KL divergence of q(z | x) from the learned model's posterior

For two dimensions both evidences are quadratures, for more they are importance sampling around each posterior's mode.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from hbm_fast import _validate
from hbm_fast._random import key as new_key
from hbm_fast._typing import RNGLike
from hbm_fast.embedding import latent_grid as quadrature
from hbm_fast.embedding import proposals
from hbm_fast.embedding.estimator import Embedding
from hbm_fast.nn.likelihood import node_log_likelihood, table_log_likelihood
from hbm_fast.models import HierarchicalModel
from hbm_fast.nn.coordinates import Coordinates
from hbm_fast.nn.training import torch_threads
from hbm_fast.simulation import exceedance_counts

_CHUNK = 400_000  # (dataset, draw) pairs at once
_LARGEST = 30.0  # of log a: a multinomial to thirteen digits


@dataclass(frozen=True)
class Gap:
    """A mean over datasets in nats, and its standard error.

    Attributes
    ----------
    log_ratio, log_ratio_error : float
        Mean of log p_true - log p_psi.
    k3, k3_error : float
        Mean of r - 1 - log r, r = p_psi / p_true: the same expectation, never negative, and far less noisy where the
        gap is small. Where it is large r is heavy-tailed, and the log ratio is the one to read.
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


class Referee:
    """Held-out datasets with their log evidence under the true model, computed once for any number of embeddings.

    Parameters
    ----------
    model : HierarchicalModel
    counts : integer array_like (B, N, K)
        Drawn from the model, and not trained on.
    n_draws : int
        Of importance sampling, where the model has more than two coordinates.
    rng : None, int, SeedSequence, BitGenerator or Generator

    Attributes
    ----------
    log_true : (B,)
        Without the multinomial coefficients, which cancel.
    ess_share : (B,) or None
        Effective share of the draws behind ``log_true``, where it came from draws.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> from hbm_fast.embedding import Referee
    >>> model = hbm.HierarchicalModel(2)
    >>> sims = hbm.simulate(model, 200, n_groups=21, totals=20, rng=7)
    >>> referee = Referee(model, sims.counts)
    >>> referee.model_gap(hbm.embedding.load("marbles")).value < 0.01
    True
    >>> referee.model_gap(hbm.embedding.load("marbles-exp-plus-one")).value > 11
    True
    """

    def __init__(
        self, model: HierarchicalModel, counts: ArrayLike, *, n_draws: int = 2000, rng: RNGLike = 0, n_threads: int = 1
    ) -> None:
        self.model, self.counts = model, _validate.datasets(counts)[0]
        self.n_draws, self.n_threads = n_draws, n_threads
        self._seed = int(new_key(rng)[0] >> np.uint64(1))
        tables = self._tables = torch.from_numpy(exceedance_counts(self.counts)).double()
        coordinates = Coordinates(model)

        def concentration(z: Tensor) -> Tensor:
            log_alpha, log_beta = coordinates.from_z(z)
            return log_alpha[..., None] + log_beta

        self.ess_share: Tensor | None = None
        with torch_threads(n_threads):
            if coordinates.dim == 2:
                self.log_true = quadrature.log_marginal(
                    lambda z: node_log_likelihood(tables, concentration(z)), tables.shape[0]
                )
            else:
                start = torch.zeros(tables.shape[0], coordinates.dim, dtype=torch.float64)

                def log_joint(part: slice, z: Tensor) -> Tensor:
                    return table_log_likelihood(tables[part], concentration(z)) + quadrature.log_prior(z)

                self.log_true, self.ess_share = self._importance(log_joint, start)

    def log_learned(self, embedding: Embedding) -> Tensor:
        """log p_psi of every dataset (B,), without the multinomial coefficients."""
        exact = embedding.exact
        data = embedding.likelihood_data(self.counts)
        with torch_threads(self.n_threads):
            if embedding.dim == 2:
                return quadrature.log_marginal(lambda z: exact.log_likelihood(data, z), data.shape[0])
            generator = torch.Generator().manual_seed(self._seed)
            start = embedding.q_draws(self.counts, 64, generator)[0].mean(1)
            return self._importance(lambda part, z: exact.log_joint(data[part], z), start)[0]

    def model_gap(self, embedding: Embedding, log_learned: Tensor | None = None) -> Gap:
        """The model gap: free of q. ``log_learned`` spares its computation where it is known."""
        return Gap.of(self.log_true, self.log_learned(embedding) if log_learned is None else log_learned)

    def least_gap(self, floor: float = 1.0) -> tuple[float, float]:
        """What the model gap cannot fall below where one Dirichlet has all its concentrations above ``floor``: the mean
        over datasets of log p_true - sup log p(x | a), and its standard error.

        p_psi(x) is an average of p(x | f(z)) over z, and no average exceeds the largest value: the bound holds for any
        f, any prior of z, any q and any objective.
        """
        best = highest_likelihood(self._tables, floor)
        gap = self.log_true - best
        return float(gap.mean()), float(gap.std() / gap.numel() ** 0.5)

    def inference(
        self, embedding: Embedding, log_learned: Tensor | None = None, *, n_draws: int = 200
    ) -> dict[str, float]:
        """How good q is: ``gap``, the inference gap in nats, and the effective share of its importance weights: the
        mean ``ess`` and the 5 % quantile ``ess_low``."""
        generator = torch.Generator().manual_seed(self._seed)
        with torch_threads(self.n_threads):
            log_w = embedding.q_draws(self.counts, n_draws, generator)[1]
        share = 1.0 / (n_draws * log_w.softmax(1).square().sum(1))
        known = self.log_learned(embedding) if log_learned is None else log_learned
        gap = known - log_w.mean(1)
        return {
            "gap": float(gap.mean()),
            "gap_error": float(gap.std() / gap.numel() ** 0.5),
            "ess": float(share.mean()),
            "ess_low": float(share.quantile(0.05)),
        }

    def _importance(self, log_joint: Callable[[slice, Tensor], Tensor], start: Tensor) -> tuple[Tensor, Tensor]:
        """log evidence (B,) and the effective share of the weights, dataset by dataset around the mode."""
        generator = torch.Generator().manual_seed(self._seed)
        size = max(1, _CHUNK // self.n_draws)
        evidence, share = [], []
        for i in range(0, start.shape[0], size):
            part = slice(i, i + size)
            _, log_w = proposals.laplace(partial(log_joint, part), start[part], self.n_draws, generator)
            evidence.append(log_w.logsumexp(1) - float(np.log(self.n_draws)))
            share.append(1.0 / (self.n_draws * log_w.softmax(1).square().sum(1)))
        return torch.cat(evidence), torch.cat(share)


def posterior_means(embedding: Embedding, counts: NDArray[Any], *, n_draws: int = 256) -> NDArray[np.float64]:
    """E[z | x] of each dataset, (B, N, K) -> (B, dim), by importance sampling from q."""
    z, log_ratio = embedding.q_draws(counts, n_draws, torch.Generator().manual_seed(0))
    return np.asarray((z * log_ratio.softmax(1)[..., None]).sum(1).numpy())


def highest_likelihood(tables: Tensor, floor: float) -> Tensor:
    """sup of log p(x | a) over all concentrations a_k > floor.

    Parameters
    ----------
    tables : (B, K + 1, J) float64
    floor : float

    Returns
    -------
    (B,)
    """

    def log_likelihood(u: Tensor) -> Tensor:
        log_floor = u.new_tensor(floor).log()
        return table_log_likelihood(tables, torch.logaddexp(log_floor, u.clamp(max=_LARGEST)))

    # The supremum may lie at infinity, where a plateau falls off like exp(-u): Newton's step there is 1, at any height
    start = torch.zeros(tables.shape[0], tables.shape[1] - 1, dtype=torch.float64)
    with torch.no_grad():
        return log_likelihood(proposals.highest(log_likelihood, start, least=1e-9)[:, None])[:, 0]
