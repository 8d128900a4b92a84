"""Networks: an encoder of the data and a head on top, q(z | data)."""

import torch
from torch import Tensor, nn

from hbm_fast.amortize.encoders import ExceedanceEncoder
from hbm_fast.amortize.heads import GaussianMixture, SplineFlow


class TopDown(nn.Module):
    """q(alpha, beta | x): statistics -> residual MLP -> mixture of Gaussians in z."""

    def __init__(self, n_features: int, head: GaussianMixture | SplineFlow, *, width: int = 128, depth: int = 2) -> None:
        super().__init__()
        self.head = head
        self.encoder = ExceedanceEncoder(n_features, head.n_parameters, width=width, depth=depth)
        last = self.encoder.mlp.last
        with torch.no_grad():
            last.weight.mul_(0.1)
            last.bias.copy_(head.initial_bias())

    def forward(self, features: Tensor) -> Tensor:
        """(B, F) -> the head's parameters (B, P)."""
        out: Tensor = self.encoder(features)
        return out
