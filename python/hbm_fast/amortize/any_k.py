"""One network for every number of categories, exactly equivariant under their permutation.

alpha: a mixture of Gaussians in z, where its prior is N(0, 1). beta given alpha: a mixture of Dirichlets whose
parameters are one plus a learned function of the category's statistics, of all categories, and of alpha. The posterior
given alpha has this form: a mixture of Dirichlet(1 + tables) over the categories' numbers of tables of the Chinese
restaurant process. Every parameter exceeds one, so that no draw underflows.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hbm_fast.models import HierarchicalModel
from hbm_fast.nn import distributed, heads
from hbm_fast.nn.data import Block
from hbm_fast.nn.draws import Draws
from hbm_fast.nn.encoders import ResidualMLP, Standardize
from hbm_fast.nn.likelihood import log_likelihood
from hbm_fast.nn.objectives import WakeSleep, log_normal
from hbm_fast.nn.training import Trainable
from hbm_fast.nn.transforms import alpha_transform
from hbm_fast.priors import Exponential
from hbm_fast.sufficient_statistics import exceedance_counts


class AnyK(Trainable):
    """q(alpha, beta | x) for any number of categories, under alpha ~ Exponential(1), beta ~ Dirichlet(1, ..., 1).

    ``model`` must be None: K is that of the data, trained on for K within ``categories``. ``width`` and ``hidden`` are
    units of the layers of a dataset and of those of each category; ``wake`` is as of `TopDown`.
    """

    factorization = "any-k"
    steps_per_block = 2
    transform = alpha_transform(Exponential(1.0))  # an attribute of the class: its closures cannot be pickled

    def __init__(
        self,
        model: HierarchicalModel | None,
        max_total: int,
        *,
        categories: tuple[int, int] = (2, 10),
        width: int = 128,
        hidden: int = 64,
        n_components: int = 8,
        n_dirichlets: int = 3,
        n_draws: int = 7,
        wake: float = 0.0,
    ) -> None:
        super().__init__()
        if model is not None:
            raise ValueError('factorization="any-k" takes no model: it is trained on HierarchicalModel(K) for all K')
        self.categories = (int(categories[0]), int(categories[1]))
        self.max_total, self.n_dirichlets = max_total, n_dirichlets
        self.schedule = WakeSleep(n_draws, wake)
        self.alpha_head = heads.GaussianMixture(1, n_components)
        self.category_scale, self.total_scale = Standardize(2 * max_total), Standardize(2 * max_total)
        self.from_category = nn.Linear(2 * max_total, hidden)
        self.from_totals = nn.Linear(2 * max_total, hidden)
        self.category_layer = nn.Linear(hidden, hidden)
        self.trunk = ResidualMLP(3 * hidden + 1, width, width=width)
        self.to_alpha = nn.Linear(width, self.alpha_head.n_parameters)
        self.beta_category = nn.Linear(hidden, hidden)
        self.beta_global = nn.Linear(width, hidden)
        self.beta_alpha = nn.Linear(2, hidden)
        self.to_beta = nn.Linear(hidden, n_dirichlets)
        self.to_weight = nn.Linear(hidden, n_dirichlets)
        heads.start(self.to_alpha, self.alpha_head)
        with torch.no_grad():
            self.to_beta.weight.mul_(0.1)

    @property
    def evaluated_categories(self) -> list[int]:
        """Numbers of categories at which the network is evaluated."""
        low, high = self.categories
        return sorted({low, min(3, high), min(5, high), high})

    # data -----------------------------------------------------------------------------------------------------------
    def encoder_input(self, counts: NDArray[Any]) -> Tensor:
        """Features (B, F) of counts (B, N, K)."""
        return _features(torch.from_numpy(exceedance_counts(counts, self.max_total)))

    def calibrate_input(self, block: Block) -> None:
        """Measure the features' means and scales."""
        of_categories, of_totals = self._split(_features(block.exceedances))
        self.category_scale.fit(of_categories.flatten(0, 1))
        self.total_scale.fit(of_totals)

    def prepare(self, block: Block) -> tuple[Tensor, ...]:
        """Exceedances (B, K + 1, J), z of alpha (B,) and log beta (B, K)."""
        return block.exceedances, self.transform.to_z(block.log_alpha).float(), block.log_beta

    # the density ----------------------------------------------------------------------------------------------------
    def forward(self, features: Tensor) -> Tensor:
        """(B, F) -> parameters of alpha's mixture, then the context of each category's beta, (B, P + K H)."""
        of_categories, of_totals = self._split(features)
        total = self.from_totals(self.total_scale(of_totals))
        h = nn.functional.silu(self.from_category(self.category_scale(of_categories)) + total[:, None])
        h = h + nn.functional.silu(self.category_layer(h))
        n_categories = torch.full_like(total[:, :1], float(np.log(h.shape[1])))
        g = self.trunk(torch.cat([h.mean(1), h.square().mean(1), total, n_categories], -1))
        context = self.beta_category(h) + self.beta_global(g)[:, None]
        return torch.cat([self.to_alpha(g), context.flatten(1)], -1)

    def _split(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features of the categories (B, K, 2 J) and of the totals (B, 2 J)."""
        rows = features.view(features.shape[0], -1, 2 * self.max_total)
        return rows[:, :-1], rows[:, -1]

    def encode(self, exceedances: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, K + 1, J) -> parameters of alpha (B, P), context (B, K, H) and rough estimate (B, K) of beta."""
        out = self(_features(exceedances))
        n, hidden = self.alpha_head.n_parameters, self.to_beta.in_features
        return out[:, :n], out[:, n:].view(out.shape[0], -1, hidden), _estimated_beta(exceedances)

    def dirichlets(self, context: Tensor, z: Tensor, exceedances: Tensor, estimate: Tensor) -> tuple[Tensor, Tensor]:
        """Parameters (B, S, K, C) and log weights (B, S, C) of beta's Dirichlets at the draws z (B, S) of alpha."""
        of_alpha = self.beta_alpha(torch.stack([z, z.square()], -1))
        h = nn.functional.silu(context[:, None] + of_alpha[:, :, None])
        # the expected number of tables at the estimate of beta, times a factor that the network learns
        alpha = self.transform.from_z(z.double()).exp().float()
        log_crp_tables = _log_crp_tables(exceedances, alpha, estimate)
        r = 1.0 + torch.exp((log_crp_tables[..., None] + self.to_beta(h)).clamp(-20.0, 12.0))
        return r, self.to_weight(h.mean(2)).log_softmax(-1)

    def log_prob(
        self, encoded: tuple[Tensor, Tensor, Tensor], exceedances: Tensor, z: Tensor, log_beta: Tensor
    ) -> Tensor:
        """Density in (z, beta): (B, S), (B, S, K) -> (B, S)."""
        parameters, context, estimate = encoded
        r, log_weight = self.dirichlets(context, z, exceedances, estimate)
        log_density = torch.lgamma(r.sum(2)) - torch.lgamma(r).sum(2) + ((r - 1.0) * log_beta.float()[..., None]).sum(2)
        return self.alpha_head.log_prob(parameters, z[..., None]) + torch.logsumexp(log_weight + log_density, -1)

    def sample_z(
        self, encoded: tuple[Tensor, Tensor, Tensor], exceedances: Tensor, n: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """n draws of z (B, n) and log beta (B, n, K), float64."""
        parameters, context, estimate = encoded
        z = self.alpha_head.sample(parameters, n, generator)[..., 0]
        r, log_weight = self.dirichlets(context, z, exceedances, estimate)
        u = distributed.rand(generator, *z.shape, 1).to(z.device)
        component = (log_weight.exp().cumsum(-1)[..., :-1] < u).sum(-1)
        chosen = torch.gather(r, 3, component[..., None, None].expand(*r.shape[:3], 1))[..., 0]
        log_gamma = distributed.standard_gamma(generator, chosen.double()).log()
        return z, log_gamma - torch.logsumexp(log_gamma, -1, keepdim=True)

    def log_target(self, exceedances: Tensor, z: Tensor, log_beta: Tensor, n_threads: int = 1) -> Tensor:
        """log p(x | z, beta) + log N(z; 0, 1) + log of beta's prior density."""
        log_alpha = self.transform.from_z(z.double())
        likelihood = log_likelihood(exceedances, log_alpha, log_beta, n_threads)
        return likelihood + _log_prior(z, log_beta.shape[-1])

    def loss(self, batch: tuple[Tensor, ...], progress: float, generator: torch.Generator) -> Tensor:
        """As of `TopDown`."""
        exceedances, z, log_beta = batch
        encoded = self.encode(exceedances)
        return self.schedule.loss(
            progress,
            (z, log_beta),
            sample=lambda n: self.sample_z(encoded, exceedances, n, generator),
            log_q=lambda z, log_beta: self.log_prob(encoded, exceedances, z, log_beta),
            log_target=lambda z, log_beta: self.log_target(exceedances, z, log_beta),
        )

    @torch.no_grad()
    def draw(
        self, counts: NDArray[Any], n: int, generator: torch.Generator, *, weigh: bool, n_threads: int = 1
    ) -> Draws:
        """n draws for each dataset of counts (B, N, K)."""
        exceedances = torch.from_numpy(exceedance_counts(counts, self.max_total, n_threads=n_threads))
        encoded_counts = exceedances.to(self.device)
        encoded = self.encode(encoded_counts)
        z, log_beta = (part.cpu() for part in self.sample_z(encoded, encoded_counts, n, generator))
        log_alpha = self.transform.from_z(z.double())
        if not weigh:
            return Draws(log_alpha, log_beta, None)

        def log_density(datasets: Any, z: Tensor, log_beta: Tensor) -> Tensor:
            """Of q in (z, beta), float64 on the CPU."""
            of_datasets = (encoded[0][datasets], encoded[1][datasets], encoded[2][datasets])
            points = z.to(self.device), log_beta.to(self.device)
            return self.log_prob(of_datasets, encoded_counts[datasets], *points).cpu().double()

        def at(datasets: Tensor, log_alpha: Tensor, log_beta: Tensor) -> tuple[Tensor, Tensor]:
            points = self.transform.to_z(log_alpha).float()
            log_q = log_density(datasets, points, log_beta) - _log_prior(points, log_beta.shape[-1])
            return log_likelihood(exceedances[datasets], log_alpha, log_beta, n_threads), log_q

        likelihood = log_likelihood(exceedances, log_alpha, log_beta, n_threads)
        log_weight = likelihood + _log_prior(z, log_beta.shape[-1]) - log_density(slice(None), z, log_beta)
        return Draws(log_alpha, log_beta, log_weight, log_likelihood=likelihood, at=at)


def _log_prior(z: Tensor, n_categories: int) -> Tensor:
    """log N(z; 0, 1) + log of beta's prior density, which is constant."""
    return log_normal(z[..., None].double()) + float(np.sum(np.log(np.arange(1, n_categories))))


def _features(exceedances: Tensor) -> Tensor:
    """(B, K + 1, J) -> (B, F): of each category, then of the totals, log(1 + c) and the shares of those beyond j."""
    categories, totals = exceedances[:, :-1], exceedances[:, -1:]
    shares = torch.cat([categories / (totals + 0.5), totals / (totals[:, :, :1] + 0.5)], 1)
    return torch.cat([torch.log1p(exceedances), shares], -1).flatten(1)


def _estimated_beta(exceedances: Tensor) -> Tensor:
    """A rough estimate of beta (B, K): the counts, the j-th draw of a group with weight 1 / (j + 1)."""
    j = torch.arange(1.0, exceedances.shape[-1] + 1.0, device=exceedances.device)
    estimate = 1.0 + (exceedances[:, :-1] / j).sum(-1)
    return estimate / estimate.sum(-1, keepdim=True)


def _log_crp_tables(exceedances: Tensor, alpha: Tensor, estimate: Tensor) -> Tensor:
    """Log of the expected number of tables, sum_j c_kj a_k / (a_k + j) with a_k = alpha estimate_k: (B, S, K).

    The sum over j is taken at a few nodes: between powers of two a / (a + j) hardly changes.
    """
    a = (alpha[:, :, None] * estimate[:, None]).clamp(min=1e-30)
    n = exceedances.shape[-1]
    value = exceedances[:, None, :-1, 0]
    low = 1
    while low < n:
        high = min(2 * low, n)
        middle = 0.5 * (low + high - 1)
        value = value + exceedances[:, None, :-1, low:high].sum(-1) * (a / (a + middle))
        low = high
    return torch.log(value + 0.05)
