"""The learned model and its network q(z | x) as one module, which `nn.training.run` trains."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from hbm_fast.embedding import objectives
from hbm_fast.embedding.generative import GenerativeModel
from hbm_fast.nn import heads
from hbm_fast.nn.data import Block
from hbm_fast.nn.encoders import ExceedanceEncoder
from hbm_fast.nn.features import ExceedanceInput
from hbm_fast.nn.likelihood import (
    exceedance_log_likelihood,
    group_log_likelihood,
    node_group_log_likelihood,
    node_log_likelihood,
)
from hbm_fast.nn.objectives import log_normal
from hbm_fast.nn.training import Trainable
from hbm_fast.sufficient_statistics import exceedance_counts

# The values of the argument q, and the names of their heads.
Q = {"diagonal": "diagonal", "full": "gaussian", "mixture": "mixture", "flow": "spline"}


class EmbeddingNetwork(Trainable):
    """p(x, z), see `GenerativeModel`, and q(z | x), a density of the form ``q`` whose parameters an encoder puts out.

    ``max_total`` is the largest total of a group that q can read, ``q_components`` the number of components of
    q="mixture", ``n_draws`` the draws of q for each dataset and step; ``encoder_width`` and ``encoder_depth`` are those
    of the network from the exceedances to the parameters of q.
    """

    def __init__(
        self,
        n_categories: int,
        max_total: int,
        dim: int,
        *,
        link: str = "exp",
        n_components: int = 1,
        width: int = 64,
        depth: int = 2,
        activation: str = "silu",
        skip: bool = True,
        q: str = "full",
        q_components: int = 8,
        objective: str = "dreg",
        n_draws: int = 8,
        encoder_width: int = 128,
        encoder_depth: int = 2,
    ) -> None:
        super().__init__()
        if q not in Q:
            raise ValueError(f"q must be one of {', '.join(map(repr, Q))}; got {q!r}")
        if objective not in objectives.OBJECTIVES:
            raise ValueError(
                f"objective must be one of {', '.join(map(repr, objectives.OBJECTIVES))}; got {objective!r}"
            )
        if objective == "dreg" and q == "mixture":
            raise ValueError('objective "dreg" needs a reparametrised q: with q="mixture" use "elbo", "iwae" or "rws"')
        self.objective, self.n_draws, self.max_total = objective, n_draws, max_total
        self.generative = GenerativeModel(
            n_categories,
            dim,
            link=link,
            n_components=n_components,
            width=width,
            depth=depth,
            activation=activation,
            skip=skip,
        )
        self.input = ExceedanceInput(n_categories, max_total, canonical=False)
        self.head = heads.head(Q[q], dim, q_components)
        self.encoder = ExceedanceEncoder(
            self.input.n_features, self.head.n_parameters, width=encoder_width, depth=encoder_depth
        )
        heads.start(self.encoder.mlp.last, self.head)

    def forward(self, features: Tensor) -> Tensor:
        """Parameters of q, (B, F) -> (B, P)."""
        parameters: Tensor = self.encoder(features)
        return parameters

    def encoder_input(self, counts: NDArray[Any]) -> Tensor:
        """Features (B, F) of counts (B, N, K)."""
        return self.input.features(torch.from_numpy(exceedance_counts(counts, self.max_total)))

    @property
    def n_categories(self) -> int:
        """K."""
        return self.generative.n_categories

    @property
    def dim(self) -> int:
        """Length of z."""
        return self.generative.dim

    @property
    def needs_groups(self) -> bool:
        """Whether the likelihood needs every group, not only the exceedances."""
        return self.generative.n_components > 1

    # training ---------------------------------------------------------------------------------------------------
    def calibrate_input(self, block: Block) -> None:
        """Measure the features' means and scales."""
        self.encoder.standardize.fit(self.prepare(block)[0])

    def prepare(self, block: Block) -> tuple[Tensor, ...]:
        """Features (B, F), and the data of the likelihood: exceedances (B, K + 1, J) or counts (B, N, K)."""
        features = self.input.features(block.exceedances)
        if not self.needs_groups:
            return features, block.exceedances
        assert block.counts is not None
        return features, block.counts.long()

    def loss(self, batch: tuple[Tensor, ...], progress: float, generator: torch.Generator) -> Tensor:
        """The objective of a batch."""
        features, data = batch
        value, _ = objectives.loss(
            self.objective,
            lambda z: self.log_joint(data, z),
            self.head,
            self(features).float(),  # only the matrix products are in bfloat16
            self.n_draws,
            generator,
        )
        return value

    # densities --------------------------------------------------------------------------------------------------
    def log_likelihood(self, data: Tensor, z: Tensor) -> Tensor:
        """log p(x | z) without the multinomial coefficient, (B, S).

        ``data`` are exceedances (B, K + 1, J), or counts (B, N, K) where ``needs_groups``; z is (B, S, dim), or, for
        nodes that all datasets share, (S, dim).
        """
        log_weight, log_a = (part.to(z.dtype) for part in self.generative(z))
        with torch.autocast(z.device.type, enabled=False):  # sums of thousands of logarithms need their digits
            if self.needs_groups:
                if z.ndim == 2:
                    return node_group_log_likelihood(data, log_weight, log_a)
                return group_log_likelihood(data, log_weight, log_a).sum(-1)
            likelihood = node_log_likelihood if z.ndim == 2 else exceedance_log_likelihood
            return likelihood(data, log_a[..., 0, :])

    def log_joint(self, data: Tensor, z: Tensor) -> Tensor:
        """log p(x, z), (B, S)."""
        likelihood = self.log_likelihood(data, z)
        with torch.autocast(z.device.type, enabled=False):
            return likelihood + log_normal(z)
