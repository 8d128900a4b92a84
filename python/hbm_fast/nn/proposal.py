"""A proposal for importance sampling around the posterior's mode, independent of any network."""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hbm_fast import _core, priors
from hbm_fast._typing import Floats
from hbm_fast.models import HierarchicalModel
from hbm_fast.sufficient_statistics import exceedance_counts

# Student's t of log alpha: its tails are heavier than those of the posterior, which fall at least as exp(-|log alpha|)
# under an exponential prior. A little wider than the curvature at the mode implies, because most posteriors are skewed.
DEGREES = 5.0
WIDER = 1.2


@dataclass(frozen=True)
class Points:
    """Draws of a proposal and its density there."""

    log_alpha: Floats  # (B, S)
    log_beta: Floats  # (B, S, K)
    log_density: Floats  # (B, S), relative to the prior


class Proposal:
    """For counts (B, N, K): log alpha from Student's t at the mode, beta given alpha from a scaled Dirichlet.

    Given alpha the likelihood's slope in log beta_k is r_k = sum_j c_kj a_k / (a_k + j) with a_k = alpha beta_k, and
    its curvature sum_j c_kj (a_k / (a_k + j))^2. With the prior's concentration b_k added to both, which gives r_k and
    d_k, beta_k is proportional to Gamma(d_k) r_k / d_k: the same mode and curvature, and the same skewness where a
    category has no counts. r_k is the expected number of tables of the Chinese restaurant process (Antoniak 1974,
    doi:10.1214/aos/1176342871).
    """

    def __init__(self, counts: NDArray[np.int64], model: HierarchicalModel, n_threads: int) -> None:
        self.model = model
        alpha, beta = model.alpha._kernel(), model.beta._kernel(model.n_categories)
        self.centre, self.log_beta, spread = _core.mcmc.modes(list(counts), alpha, beta, n_threads)
        self.spread = WIDER * spread
        self.nodes, self.exceedances = _by_octaves(exceedance_counts(counts, n_threads=n_threads)[:, :-1])
        if isinstance(model.beta, priors.Dirichlet):
            at_mode = self._crp_tables(self.centre[:, None])[0][:, 0]
            self.log_factor = self.log_beta - np.log(at_mode)  # at the mode r is proportional to beta

    def rows(self, chosen: NDArray[np.intp]) -> "Proposal":
        """The proposal of some of the datasets."""
        part = copy.copy(self)
        for name in ("centre", "spread", "log_beta", "exceedances", "log_factor"):
            if hasattr(self, name):
                setattr(part, name, getattr(self, name)[chosen])
        return part

    def draw(self, n: int, generator: np.random.Generator) -> Points:
        """n independent draws for each dataset."""
        t = generator.standard_t(DEGREES, (self.centre.size, n))
        log_alpha = self.centre[:, None] + self.spread[:, None] * t
        if isinstance(self.model.beta, priors.FixedBeta):
            log_beta = np.repeat(self.log_beta[:, None], n, axis=1)
            return Points(log_alpha, log_beta, self._log_density_of_alpha(log_alpha))
        shape, log_scale = self._dirichlet(log_alpha)
        # Gamma(d) as Gamma(d + 1) U^(1 / d), whose logarithm does not underflow
        log_beta = np.log(generator.standard_gamma(shape + 1.0))
        log_beta -= generator.standard_exponential(shape.shape) / shape
        log_beta += log_scale
        log_beta -= log_sum_exp(log_beta)[..., None]
        return Points(
            log_alpha,
            log_beta,
            self._log_density_of_alpha(log_alpha) + self._log_density_of_beta(log_beta, shape, log_scale),
        )

    def log_density(self, log_alpha: Floats, log_beta: Floats) -> Floats:
        """Relative to the prior: (B, S), (B, S, K) -> (B, S)."""
        value = self._log_density_of_alpha(log_alpha)
        if not isinstance(self.model.beta, priors.FixedBeta):
            value = value + self._log_density_of_beta(log_beta, *self._dirichlet(log_alpha))
        return value

    def _log_density_of_alpha(self, log_alpha: Floats) -> Floats:
        if isinstance(self.model.alpha, priors.Fixed):
            return np.zeros(log_alpha.shape)
        t = (log_alpha - self.centre[:, None]) / self.spread[:, None]
        constant = log_gamma(np.array([0.5 * (DEGREES + 1.0), 0.5 * DEGREES])) @ [1.0, -1.0]
        constant -= 0.5 * np.log(DEGREES * np.pi)
        prior: Floats = self.model.alpha.log_density(log_alpha.ravel()).reshape(log_alpha.shape)
        value: Floats = constant - 0.5 * (DEGREES + 1.0) * np.log1p(t * t / DEGREES) - np.log(self.spread)[:, None]
        return value - prior

    def _dirichlet(self, log_alpha: Floats) -> tuple[Floats, Floats]:
        """Shapes d (B, S, K) and log scales log(r / d) of the gamma variates of beta given alpha."""
        r, d = self._crp_tables(log_alpha)
        return d, np.log(r / d) + self.log_factor[:, None]

    def _crp_tables(self, log_alpha: Floats) -> tuple[Floats, Floats]:
        """r and d at alpha and the mode of beta, (B, S) -> (B, S, K)."""
        concentration = self._concentration()
        a = np.exp(np.clip(log_alpha[..., None] + self.log_beta[:, None], -700.0, 700.0))
        r, d = (np.broadcast_to(concentration, a.shape).copy() for _ in range(2))
        for node, exceedances in zip(self.nodes, np.moveaxis(self.exceedances, -1, 0), strict=True):
            share = a / (a + node)
            tables = exceedances[:, None] * share
            r += tables
            d += tables * share
        return r, d

    def _log_density_of_beta(self, log_beta: Floats, shape: Floats, log_scale: Floats) -> Floats:
        prior = self._concentration()
        total = shape.sum(-1)
        value = log_gamma(total) - log_gamma(prior.sum())
        value += (log_gamma(prior) - log_gamma(shape) - shape * log_scale + (shape - prior) * log_beta).sum(-1)
        result: Floats = value - total * log_sum_exp(log_beta - log_scale)
        return result

    def _concentration(self) -> Floats:
        assert isinstance(self.model.beta, priors.Dirichlet)
        return np.full(self.log_beta.shape[-1], self.model.beta.concentration, dtype=np.float64)


def _by_octaves(exceedances: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """(B, K, J) as sums over j of 0, 1, 2-3, 4-7, ...: the middle of each range (G,), the sums (B, K, G).

    Within a range a / (a + j) hardly changes, and a proposal need not be exact.
    """
    size = exceedances.shape[-1]
    edges = np.unique(np.minimum([0, *(2**i for i in range(size.bit_length()))], size))
    sums = np.add.reduceat(exceedances.astype(np.float64), edges[:-1], axis=-1)
    return 0.5 * (edges[:-1] + edges[1:] - 1.0), sums


def log_gamma(x: Floats) -> Floats:
    """log Gamma(x), elementwise."""
    return np.asarray(torch.lgamma(torch.from_numpy(np.ascontiguousarray(x))).numpy())


def log_sum_exp(x: Floats) -> Floats:
    """Log-sum-exp over the last axis."""
    return np.asarray(torch.logsumexp(torch.from_numpy(x), -1).numpy())
