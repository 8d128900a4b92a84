"""Encoders: a residual MLP of features, or DeepSets of the groups."""

import torch
from torch import Tensor, nn


class Standardize(nn.Module):
    """(x - mean) / sd with fixed values, measured once on datasets of the stream."""

    mean: Tensor
    scale: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))

    def fit(self, features: Tensor) -> None:
        """Measure mean and standard deviation; the latter at least 0.05, for features that hardly vary."""
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
    """A residual MLP of standardised features."""

    def __init__(self, n_features: int, n_out: int, *, width: int = 128, depth: int = 2) -> None:
        super().__init__()
        self.standardize = Standardize(n_features)
        self.mlp = ResidualMLP(n_features, n_out, width=width, depth=depth)

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.mlp(self.standardize(features))
        return out


class DeepSetsEncoder(nn.Module):
    """A network for each group, its mean and sum over the groups, and a residual MLP of these (Zaheer et al. 2017).

    The alternative to `ExceedanceEncoder`, on the groups instead of their exceedances; empty groups have no effect.
    """

    def __init__(self, n_categories: int, n_out: int, *, width: int = 128, depth: int = 2) -> None:
        super().__init__()
        hidden = width // 2
        self.group = ResidualMLP(2 * n_categories + 2, hidden, width=hidden, depth=1)
        self.mlp = ResidualMLP(2 * hidden + 1, n_out, width=width, depth=depth)

    def forward(self, counts: Tensor) -> Tensor:
        """(B, N, K) -> (B, n_out)."""
        x = counts.to(self.mlp.last.weight.dtype)
        total = x.sum(-1, keepdim=True)
        h = self.group(torch.cat([torch.log1p(x), x / (total + 0.5), torch.log1p(total), 1.0 / (total + 1.0)], -1))
        h = h * (total > 0)
        n = (total > 0).sum(1)
        pooled = h.sum(1)
        out: Tensor = self.mlp(torch.cat([pooled / n.clamp(min=1), pooled / 16.0, torch.log1p(n)], -1))
        return out
