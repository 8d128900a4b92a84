"""Networks: an encoder of the data and a head on top, q(z | data), that know how to prepare data, learn and draw."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hbm_fast.amortize.local import LocalDraws, LocalNetwork
from hbm_fast.models import HierarchicalModel
from hbm_fast.nn import heads, objectives
from hbm_fast.nn.coordinates import Coordinates
from hbm_fast.nn.data import Block
from hbm_fast.nn.draws import Draws
from hbm_fast.nn.encoders import DeepSetsEncoder, ExceedanceEncoder
from hbm_fast.nn.features import ExceedanceInput, to_network_order, to_user_order
from hbm_fast.simulation import exceedance_counts


class TopDown(nn.Module):
    """q(alpha, beta | x): exceedance statistics -> residual MLP -> a density in z, where the prior is N(0, I).

    Parameters
    ----------
    model : HierarchicalModel
    max_total : int
        J, the largest total of a group.
    encoder : str
        "exceedance" (of the sufficient statistics), or "deepsets" (of the groups themselves).
    head : str
        "mixture" (of full-rank Gaussians), "gaussian", "diagonal" or "spline".
    n_components, width, depth : int
    n_draws : int
        Draws of q next to each pair of the simulator, see `objectives.rao_blackwellised`; 0 for the plain objective.
    wake : float
        Share of the training, at its end, that maximises the evidence lower bound instead: KL(q || p).
    local : str
        "exact": theta_n given (alpha, beta) and x_n from Dirichlet(alpha beta + x_n). "learned": from a network trained
        beside this one, as in the note; it is what ``theta`` and ``predict`` of uncorrected draws use.
    """

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
        self.coordinates = Coordinates(model)
        self.input = ExceedanceInput(model.n_categories, max_total, self.coordinates.exchangeable)
        self.head = heads.head(head, self.coordinates.dim, n_components)
        self.n_draws, self.wake = n_draws, objectives.wake_share(wake, n_draws)
        if local not in ("exact", "learned"):
            raise ValueError(f'local must be "exact" or "learned"; got {local!r}')
        self.sees_groups = encoder == "deepsets"
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

    def calibrate_input(self, block: Block) -> None:
        """Measure the features' means and scales."""
        if isinstance(self.encoder, ExceedanceEncoder):
            self.encoder.standardize.fit(self.prepare(block)[0])

    def prepare(self, block: Block) -> tuple[Tensor, ...]:
        """The encoder's input, tables (B, K + 1, J) and z (B, D), all in the network's order of the categories; for a
        local network alpha, beta and the groups too, in the user's."""
        order, tables, seen = self.inputs(block.tables, block.counts)
        z = self.coordinates.to_z(block.log_alpha, to_network_order(block.log_beta, order))
        if self.local is None:
            return seen, tables, z.float()
        assert block.counts is not None
        assert block.log_theta is not None
        return seen, tables, z.float(), block.log_alpha, block.log_beta, block.counts, block.log_theta

    def inputs(self, tables: Tensor, counts: Tensor | None) -> tuple[Tensor | None, Tensor, Tensor]:
        """The order of the categories, the tables in it, and what the encoder sees: features (B, F) or groups."""
        order = self.input.order(tables)
        tables = self.input.ordered(tables, order)
        if not self.sees_groups:
            return order, tables, self.input.features(tables)
        assert counts is not None
        return order, tables, to_network_order(counts, order)

    def loss(self, batch: tuple[Tensor, ...], progress: float, generator: torch.Generator) -> Tensor:
        """The first tenth learns from the simulator's pairs alone, the rest from draws of q as well."""
        loss = self._loss(batch[:3], progress, generator)
        if self.local is None:
            return loss
        log_alpha, log_beta, counts, log_theta = batch[3:]
        # the two share no parameters
        return loss + self.local.loss(log_alpha, log_beta, counts, log_theta, generator=generator)

    def _loss(self, batch: tuple[Tensor, ...], progress: float, generator: torch.Generator) -> Tensor:
        seen, tables, z = batch
        parameters = self.encoder(seen)
        if self.n_draws == 0 or progress < 0.1:
            return objectives.inference_compilation(self.head, parameters, z)
        z = objectives.candidates(self.head, parameters, z, self.n_draws, generator)
        target = objectives.log_posterior(tables, self.coordinates, z)
        if progress >= 1.0 - self.wake:
            return objectives.reverse(self.head.log_prob(parameters, z[:, 1:]), target[:, 1:])
        return objectives.rao_blackwellised(self.head.log_prob(parameters, z), target)

    @torch.no_grad()
    def log_relative_density(self, counts: NDArray[Any], log_alpha: Tensor, log_beta: Tensor) -> Tensor:
        """log of q(alpha, beta | x) / p(alpha, beta): (B, N, K), (B, S), (B, S, K) -> (B, S), float64."""
        order, _, seen = self._inputs_of(counts)
        parameters = self.encoder(seen)
        z = self.coordinates.to_z(log_alpha, to_network_order(log_beta, order))
        return self.head.log_density(parameters, z) - objectives.log_normal(z)

    @torch.no_grad()
    def draw(
        self, counts: NDArray[Any], n: int, generator: torch.Generator, *, weigh: bool, n_threads: int = 1
    ) -> Draws:
        """n draws for each dataset of counts (B, N, K)."""
        order, tables, seen = self._inputs_of(counts, n_threads)
        parameters = self.encoder(seen)
        z = self.head.sample(parameters, n, generator)
        log_alpha, log_beta = self.coordinates.from_z(z)

        def at(datasets: Tensor, log_alpha: Tensor, log_beta: Tensor) -> tuple[Tensor, Tensor]:
            own = to_network_order(log_beta, None if order is None else order[datasets])
            points = self.coordinates.to_z(log_alpha, own).float()
            log_q = self.head.log_density(parameters[datasets], points) - objectives.log_normal(points)
            return objectives.log_likelihood(tables[datasets], log_alpha, own, n_threads), log_q

        if weigh:
            likelihood = objectives.log_likelihood(tables, log_alpha, log_beta, n_threads)
            log_weight = likelihood + objectives.log_normal(z) - self.head.log_density(parameters, z)
            return Draws(log_alpha, to_user_order(log_beta, order), log_weight, log_likelihood=likelihood, at=at)
        log_beta = to_user_order(log_beta, order)
        if self.local is None:
            return Draws(log_alpha, log_beta, None)
        rows = torch.from_numpy(np.ascontiguousarray(counts, dtype=np.int64))
        seed = int(torch.randint(2**62, (), generator=generator))
        return Draws(log_alpha, log_beta, None, LocalDraws(self.local, log_alpha, log_beta, rows, seed))

    def _inputs_of(self, counts: NDArray[Any], n_threads: int = 1) -> tuple[Tensor | None, Tensor, Tensor]:
        tables = torch.from_numpy(exceedance_counts(counts, self.input.max_total, n_threads=n_threads))
        return self.inputs(tables, torch.from_numpy(np.ascontiguousarray(counts, dtype=np.int64)))
