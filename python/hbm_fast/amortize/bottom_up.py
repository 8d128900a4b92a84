"""The bottom-up factorisation of Le (2020): q(theta_n | x_n) of each group, then q(alpha, beta | theta_1, ...).

It does not have the posterior's dependencies: a group's theta is inferred without the others. So the approximation has
an error however well both networks are trained.
"""

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hbm_fast.amortize.local import FEW_GROUPS, LocalTransform, group_features, real_groups
from hbm_fast.models import HierarchicalModel
from hbm_fast.nn import distributed, heads
from hbm_fast.nn.data import Block
from hbm_fast.nn.draws import Draws
from hbm_fast.nn.encoders import ResidualMLP, Standardize
from hbm_fast.nn.features import to_network_order, to_user_order
from hbm_fast.nn.likelihood import log_likelihood
from hbm_fast.nn.objectives import WakeSleep, inference_compilation, log_normal
from hbm_fast.nn.training import Trainable
from hbm_fast.nn.transforms import PriorTransform
from hbm_fast.sufficient_statistics import exceedance_counts

# Components of the mixture that approximates q(alpha, beta | x) when the draws are weighted.
MARGINAL = 64


class BottomUp(Trainable):
    """q(theta_n | x_n) and q(alpha, beta | theta_1, ..., theta_N), trained together.

    The input of the second is N and the means of -log theta, which are sufficient for (alpha, beta). Groups of total 0
    are left out of it. The arguments are as of `TopDown`. The wake phase is of the second alone, which approximates a
    posterior: a lower bound for q(theta_n | x_n) would move each theta towards those of the other groups, against the
    factorisation.
    """

    factorization = "bottom-up"
    title = "a bottom-up network"
    steps_per_block = 16
    needs_groups = True

    def __init__(
        self,
        model: HierarchicalModel,
        max_total: int,
        *,
        n_components: int = 8,
        width: int = 64,
        depth: int = 2,
        n_draws: int = 7,
        wake: float = 0.0,
    ) -> None:
        super().__init__()
        k = model.n_categories
        self.max_total = max_total
        self.transform = PriorTransform(model)
        self.schedule = WakeSleep(n_draws, wake)
        self.local_head = heads.GaussianMixture(k - 1, n_components)
        self.local = ResidualMLP(4 * k + 1, self.local_head.n_parameters, width=width, depth=depth)
        self.head = heads.GaussianMixture(self.transform.dim, n_components)
        self.standardize = Standardize(2 * k + 1)
        self.encoder = ResidualMLP(2 * k + 1, self.head.n_parameters, width=width, depth=depth)
        heads.start(self.local.last, self.local_head)
        heads.start(self.encoder.last, self.head)

    # data -----------------------------------------------------------------------------------------------------------
    def statistics(self, log_theta: Tensor, present: Tensor) -> Tensor:
        """Means of -log theta (..., K) over the groups that are present, and N: (..., K + 1) float64."""
        n = present.sum(-1, keepdim=True).double()
        total = -(log_theta * present[..., None]).sum(-2)
        return torch.cat([total / n.clamp(min=1.0), n], -1)

    def ordered(self, statistics: Tensor) -> tuple[Tensor, Tensor | None]:
        """Statistics (R, K + 1) in the network's order, and this order: by the mean of -log theta, upwards."""
        if not self.transform.exchangeable:
            return statistics, None
        order = torch.argsort(statistics[:, :-1], dim=-1, stable=True)
        return torch.cat([to_network_order(statistics[:, :-1], order), statistics[:, -1:]], -1), order

    def features(self, statistics: Tensor) -> Tensor:
        """Statistics (R, K + 1) in the network's order -> (R, 2 K + 1)."""
        logs = torch.log(statistics[:, :-1].clamp(min=1e-12))
        means = torch.exp(-statistics[:, :-1])  # geometric means of theta
        return torch.cat([logs, means, torch.log1p(statistics[:, -1:])], -1).float()

    def calibrate_input(self, block: Block) -> None:
        """Measure the features' means and scales."""
        self.standardize.fit(self.features(self.prepare(block)[2]))

    def prepare(self, block: Block) -> tuple[Tensor, ...]:
        """Counts (B, N, K), u (B, N, K - 1), statistics (B, K + 1) and z (B, D), both in the network's order."""
        assert block.counts is not None
        assert block.log_theta is not None
        present = block.counts.sum(-1) > 0
        statistics = self.statistics(block.log_theta, present)
        ordered, order = self.ordered(statistics)
        z = self.transform.to_z(block.log_alpha, to_network_order(block.log_beta, order))
        return block.counts, LocalTransform.to_u(block.log_theta).float(), ordered, z.float()

    def loss(self, batch: tuple[Tensor, ...], progress: float, generator: torch.Generator) -> Tensor:
        """Sum of the two networks' losses, which share no parameters."""
        counts, u, statistics, z = batch
        few = min(FEW_GROUPS, counts.shape[1])
        real = real_groups(counts[:, :few])
        x, y = counts[:, :few].flatten(0, 1), u[:, :few].flatten(0, 1)
        local_parameters = self.local(group_features(x[real]))
        local = inference_compilation(self.local_head, local_parameters, y[real])
        local = local * distributed.mean_weight(generator, len(local_parameters), x.device)
        parameters = self.encoder(self.standardize(self.features(statistics)))
        return local + self.schedule.loss(
            progress,
            (z,),
            sample=lambda n: (self.head.sample(parameters, n, generator),),
            log_q=lambda z: self.head.log_prob(parameters, z),
            log_target=lambda z: log_dirichlet_posterior(statistics, self.transform, z),
        )

    # inference ------------------------------------------------------------------------------------------------------
    @torch.no_grad()
    def draw(
        self, counts: NDArray[Any], n: int, generator: torch.Generator, *, weigh: bool, n_threads: int = 1
    ) -> Draws:
        """n draws for each dataset of counts (B, N, K): of all thetas, and of (alpha, beta) given them.

        Weighted, the draws come from a mixture over a few draws of the thetas, whose density is known.
        """
        x = torch.from_numpy(np.ascontiguousarray(counts, dtype=np.int64))
        b, groups, k = x.shape
        outer = min(n, MARGINAL) if weigh else n
        parameters = self.local(group_features(x.view(-1, k)))
        u = self.local_head.sample(parameters, outer, generator).view(b, groups, outer, k - 1)
        log_theta = LocalTransform.from_u(u)
        present = (x.sum(-1) > 0)[:, None].expand(b, outer, groups)
        statistics = self.statistics(log_theta.transpose(1, 2), present).view(b * outer, k + 1)
        ordered, order = self.ordered(statistics)
        parameters = self.encoder(self.standardize(self.features(ordered)))
        each = -(-n // outer)
        z = self.head.sample(parameters, each, generator)
        log_alpha, log_beta = self.transform.from_z(z)
        # the draws alternate between the outer ones, so that the first n use all of them equally
        log_alpha = log_alpha.view(b, outer, each).transpose(1, 2).reshape(b, -1)[:, :n].contiguous()
        log_beta = to_user_order(log_beta, order).view(b, outer, each, k).transpose(1, 2).reshape(b, -1, k)[:, :n]
        log_beta = log_beta.contiguous()
        if not weigh:
            return Draws(log_alpha, log_beta, None, partial(_log_theta, u))
        exceedances = torch.from_numpy(exceedance_counts(counts, self.max_total, n_threads=n_threads))

        def at(datasets: Tensor, log_alpha: Tensor, log_beta: Tensor) -> tuple[Tensor, Tensor]:
            """Densities relative to the prior, since each order of the categories has a z of its own, N(0, I) under the
            prior."""
            log_q = torch.empty(log_alpha.shape, dtype=torch.float64)
            for row, i in enumerate(datasets.tolist()):
                components = slice(i * outer, (i + 1) * outer)
                chosen = None if order is None else order[components]
                ordered = to_network_order(log_beta[row].expand(outer, -1, k), chosen)
                z = self.transform.to_z(log_alpha[row].expand(outer, -1), ordered).float()
                each = self.head.log_density(parameters[components], z) - log_normal(z.double())
                log_q[row] = torch.logsumexp(each, 0) - float(np.log(outer))
            return log_likelihood(exceedances[datasets], log_alpha, log_beta, n_threads), log_q

        likelihood, log_q = at(torch.arange(b), log_alpha, log_beta)
        return Draws(log_alpha, log_beta, likelihood - log_q, log_likelihood=likelihood, at=at)


def _log_theta(u: Tensor, group: int) -> NDArray[np.float64]:
    """log theta of a group (B, S, K) from u (B, N, S, K - 1)."""
    log_theta: NDArray[np.float64] = LocalTransform.from_u(u[:, group]).numpy()
    return log_theta


def log_dirichlet_posterior(statistics: Tensor, transform: PriorTransform, z: Tensor) -> Tensor:
    """log p(theta_1, ..., theta_N | z) + log N(z; 0, I), z (B, S, D), up to a constant of the thetas.

    ``statistics`` (B, K + 1) are the means of -log theta, and N.
    """
    log_alpha, log_beta = transform.from_z(z)
    n = statistics[:, None, -1]
    shape = (log_alpha[..., None] + log_beta).exp().clamp(min=1e-300)
    value = torch.lgamma(log_alpha.exp().clamp(min=1e-300)) - torch.lgamma(shape).sum(-1)
    value = value - (shape * statistics[:, None, :-1]).sum(-1)
    return n * value - 0.5 * z.double().square().sum(-1)
