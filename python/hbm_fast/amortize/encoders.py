"""From features to a context vector: a residual MLP over statistics, or DeepSets over the groups themselves."""

import torch
from torch import Tensor, nn


class Standardize(nn.Module):
    """(x - mean) / sd with fixed values, measured once on the first data of the stream."""

    mean: Tensor
    scale: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))

    def fit(self, features: Tensor) -> None:
        """Measure; a feature that hardly varies is left small instead of blown up."""
        self.mean.copy_(features.mean(0))
        self.scale.copy_(1.0 / features.std(0).clamp(min=0.05))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) * self.scale


class ResidualMLP(nn.Module):
    """Linear, SiLU, then ``depth`` residual layers x + SiLU(W x), then Linear."""

    def __init__(self, n_in: int, n_out: int, *, width: int = 128, depth: int = 2) -> None:
        super().__init__()
        self.first = nn.Linear(n_in, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.last = nn.Linear(width, n_out)

    def forward(self, x: Tensor) -> Tensor:
        h = nn.functional.silu(self.first(x))
        for layer in self.hidden:
            h = h + nn.functional.silu(layer(h))
        out: Tensor = self.last(h)
        return out


class ExceedanceEncoder(nn.Module):
    """Standardised statistics through a residual MLP."""

    def __init__(self, n_features: int, n_out: int, *, width: int = 128, depth: int = 2) -> None:
        super().__init__()
        self.standardize = Standardize(n_features)
        self.mlp = ResidualMLP(n_features, n_out, width=width, depth=depth)

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.mlp(self.standardize(features))
        return out
