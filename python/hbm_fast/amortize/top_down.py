"""The top-down network: an encoder of the data and a posterior head, q(alpha, beta | x)."""

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hbm_fast.amortize.local import LocalNetwork
from hbm_fast.models import HierarchicalModel
from hbm_fast.nn import heads
from hbm_fast.nn.data import Block
from hbm_fast.nn.draws import Draws
from hbm_fast.nn.encoders import DeepSetsEncoder, ExceedanceEncoder
from hbm_fast.nn.features import ExceedanceInput, to_network_order, to_user_order
from hbm_fast.nn.likelihood import log_likelihood
from hbm_fast.nn.objectives import WakeSleep, log_normal, log_posterior
from hbm_fast.nn.training import Trainable
from hbm_fast.nn.transforms import PriorTransform
from hbm_fast.sufficient_statistics import exceedance_counts


class TopDown(Trainable):
    """q(alpha, beta | x): exceedances -> residual MLP -> a density in z, where the prior is N(0, I).

    ``max_total`` is J, the largest total of a group. ``encoder`` is "exceedance" (of the exceedances, which are
    sufficient) or "deepsets" (of the groups), ``head`` "mixture" (of full-rank Gaussians), "gaussian", "diagonal" or
    "spline". ``n_draws`` of q are added to each simulated pair, see `objectives.rao_blackwellised`; 0 for the sleep
    phase throughout. ``wake`` is the share of the training, at its end, that maximises the evidence lower bound
    instead: KL(q || p). ``local`` is "exact": theta_n given (alpha, beta) and x_n from Dirichlet(alpha beta + x_n); or
    "learned": from a network trained beside this one, as in Le (2020), which ``theta`` and ``predict`` of uncorrected
    draws use.
    """

    factorization = "top-down"
    steps_per_block = 16

    def __init__(
        self,
        model: HierarchicalModel,
        max_total: int,
        *,
        encoder: str = "exceedance",
        head: str = "mixture",
        n_components: int = 8,
        width: int = 128,
        depth: int = 2,
        n_draws: int = 7,
        wake: float = 0.0,
        local: str = "exact",
    ) -> None:
        super().__init__()
        self.transform = PriorTransform(model)
        self.input = ExceedanceInput(model.n_categories, max_total, self.transform.exchangeable)
        self.head = heads.head(head, self.transform.dim, n_components)
        self.schedule = WakeSleep(n_draws, wake)
        if local not in ("exact", "learned"):
            raise ValueError(f'local must be "exact" or "learned"; got {local!r}')
        n_out = self.head.n_parameters
        self.encoder: ExceedanceEncoder | DeepSetsEncoder
        if encoder == "exceedance":
            self.encoder = ExceedanceEncoder(self.input.n_features, n_out, width=width, depth=depth)
        elif encoder == "deepsets":
            self.encoder = DeepSetsEncoder(model.n_categories, n_out, width=width, depth=depth)
        else:
            raise ValueError(f'encoder must be "exceedance" or "deepsets"; got {encoder!r}')
        heads.start(self.encoder.mlp.last, self.head)
        self.local = LocalNetwork(model.n_categories) if local == "learned" else None
        self.needs_groups = encoder == "deepsets" or local == "learned"

    def forward(self, features: Tensor) -> Tensor:
        """Parameters of the head, (B, F) -> (B, P)."""
        if isinstance(self.encoder, DeepSetsEncoder):
            features = features.view(features.shape[0], -1, self.input.n_categories)
        parameters: Tensor = self.encoder(features)
        return parameters

    def encoder_input(self, counts: NDArray[Any]) -> Tensor:
        """Features (B, F) of counts (B, N, K)."""
        return self._inputs(counts)[2]

    def calibrate_input(self, block: Block) -> None:
        """Measure the features' means and scales."""
        if isinstance(self.encoder, ExceedanceEncoder):
            self.encoder.standardize.fit(self.prepare(block)[0])

    def prepare(self, block: Block) -> tuple[Tensor, ...]:
        """Features (B, F), exceedances (B, K + 1, J) and z (B, D), in the network's order of the categories.

        For a local network also alpha, beta and the groups, in the user's order.
        """
        order, exceedances, features = self.inputs(block.exceedances, block.counts)
        z = self.transform.to_z(block.log_alpha, to_network_order(block.log_beta, order))
        if self.local is None:
            return features, exceedances, z.float()
        assert block.counts is not None
        assert block.log_theta is not None
        return features, exceedances, z.float(), block.log_alpha, block.log_beta, block.counts, block.log_theta

    def inputs(self, exceedances: Tensor, counts: Tensor | None) -> tuple[Tensor | None, Tensor, Tensor]:
        """The order of the categories, the exceedances in it, and the features (B, F), of DeepSets the counts."""
        order = self.input.order(exceedances)
        exceedances = self.input.ordered(exceedances, order)
        if isinstance(self.encoder, ExceedanceEncoder):
            return order, exceedances, self.input.features(exceedances)
        assert counts is not None
        return order, exceedances, to_network_order(counts, order).flatten(1).float()

    def loss(self, batch: tuple[Tensor, ...], progress: float, generator: torch.Generator) -> Tensor:
        """Loss of the schedule, see `objectives.WakeSleep`, and that of the local network."""
        features, exceedances, z = batch[:3]
        parameters = self(features)
        loss = self.schedule.loss(
            progress,
            (z,),
            sample=lambda n: (self.head.sample(parameters, n, generator),),
            log_q=lambda z: self.head.log_prob(parameters, z),
            log_target=lambda z: log_posterior(exceedances, self.transform, z),
        )
        if self.local is None:
            return loss
        log_alpha, log_beta, counts, log_theta = batch[3:]
        # the two share no parameters
        return loss + self.local.loss(log_alpha, log_beta, counts, log_theta, generator=generator)

    @torch.no_grad()
    def log_relative_density(self, counts: NDArray[Any], log_alpha: Tensor, log_beta: Tensor) -> Tensor:
        """Log of q(alpha, beta | x) / p(alpha, beta): (B, N, K), (B, S), (B, S, K) -> (B, S), float64."""
        order, _, features = self._inputs(counts)
        parameters = self(features.to(self.device))
        z = self.transform.to_z(log_alpha, to_network_order(log_beta, order))
        return self.head.log_density(parameters, z) - log_normal(z.double())

    @torch.no_grad()
    def draw(
        self, counts: NDArray[Any], n: int, generator: torch.Generator, *, weigh: bool, n_threads: int = 1
    ) -> Draws:
        """n draws for each dataset of counts (B, N, K)."""
        order, exceedances, features = self._inputs(counts, n_threads)
        parameters = self(features.to(self.device))
        z = self.head.sample(parameters, n, generator).cpu()
        log_alpha, log_beta = self.transform.from_z(z)

        def at(datasets: Tensor, log_alpha: Tensor, log_beta: Tensor) -> tuple[Tensor, Tensor]:
            ordered = to_network_order(log_beta, None if order is None else order[datasets])
            points = self.transform.to_z(log_alpha, ordered).float()
            log_q = self.head.log_density(parameters[datasets], points) - log_normal(points.double())
            return log_likelihood(exceedances[datasets], log_alpha, ordered, n_threads), log_q

        if weigh:
            likelihood = log_likelihood(exceedances, log_alpha, log_beta, n_threads)
            log_weight = likelihood + log_normal(z.double()) - self.head.log_density(parameters, z)
            return Draws(log_alpha, to_user_order(log_beta, order), log_weight, log_likelihood=likelihood, at=at)
        log_beta = to_user_order(log_beta, order)
        if self.local is None:
            return Draws(log_alpha, log_beta, None)
        rows = torch.from_numpy(np.ascontiguousarray(counts, dtype=np.int64))
        seed = int(torch.randint(2**62, (), generator=generator))
        return Draws(log_alpha, log_beta, None, partial(self.local.draw, log_alpha, log_beta, rows, seed))

    def _inputs(self, counts: NDArray[Any], n_threads: int = 1) -> tuple[Tensor | None, Tensor, Tensor]:
        exceedances = torch.from_numpy(exceedance_counts(counts, self.input.max_total, n_threads=n_threads))
        return self.inputs(exceedances, torch.from_numpy(np.ascontiguousarray(counts, dtype=np.int64)))
