"""theta of one group: a transform in which its density is well-posed, and a network for theta_n given (alpha, beta)."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hbm_fast.nn import distributed, heads
from hbm_fast.nn.encoders import ResidualMLP
from hbm_fast.nn.network import Network
from hbm_fast.nn.objectives import inference_compilation

# Groups of a dataset in a step of a local network: groups are exchangeable, so that a few give an unbiased gradient.
FEW_GROUPS = 4

# Largest number of draws in one evaluation of the local network.
CHUNK = 50_000


class LocalTransform:
    """theta as u = asinh of the logits of a broken stick, (..., K - 1): for two categories asinh(logit theta).

    Given a group with counts in one category only, -log theta of the other has a tail like 1 / t, without a mean: a
    density of theta or of log theta would depend on where the logarithm is clipped. The inverse hyperbolic sine makes
    the tail exponential and is exact.
    """

    @staticmethod
    def to_u(log_theta: Tensor) -> Tensor:
        """(..., K) -> (..., K - 1)."""
        tail = torch.logcumsumexp(log_theta.flip(-1), -1).flip(-1)
        return torch.asinh(log_theta[..., :-1] - tail[..., 1:])

    @staticmethod
    def from_u(u: Tensor) -> Tensor:
        """(..., K - 1) -> log theta (..., K), float64."""
        logits = torch.sinh(u.double())
        here = torch.nn.functional.logsigmoid(logits)
        left = torch.nn.functional.logsigmoid(-logits).cumsum(-1)
        before = torch.cat([torch.zeros_like(left[..., :1]), left], -1)
        return torch.cat([here + before[..., :-1], left[..., -1:]], -1)


def group_features(counts: Tensor) -> Tensor:
    """Features of the counts of a group, (..., K) -> (..., 4 K + 1)."""
    x = counts.float()
    total = x.sum(-1, keepdim=True)
    parts = [torch.log1p(x), x / (total + 0.5), (x == 0).float(), (x == total).float(), torch.log1p(total)]
    return torch.cat(parts, -1)


def real_groups(counts: Tensor) -> Tensor:
    """Which of the first groups of each dataset, (B, N', K), are no padding, (B N',) bool."""
    few = counts.shape[1]
    flat = counts.flatten(0, 1)
    # the first group is never padding, also where it is empty
    real: Tensor = (flat.sum(-1) > 0) | (torch.arange(len(flat), device=flat.device) % few == 0)
    return real


class LocalNetwork(Network):
    """q(theta_n | alpha, beta, x_n), the local network of the top-down factorisation: a mixture of Gaussians of u.

    The exact conditional is Dirichlet(alpha beta + x_n); this network is trained on simulated pairs alone, as for a
    model without a closed form.
    """

    title = "the network of theta given alpha and beta"

    def __init__(self, n_categories: int, *, n_components: int = 8, width: int = 64, depth: int = 2) -> None:
        super().__init__()
        self.head = heads.GaussianMixture(n_categories - 1, n_components)
        self.mlp = ResidualMLP(6 * n_categories + 2, self.head.n_parameters, width=width, depth=depth)
        heads.start(self.mlp.last, self.head)

    def parameters_at(self, log_alpha: Tensor, log_beta: Tensor, counts: Tensor) -> Tensor:
        """Parameters of the head: (R,), (R, K), (R, K) -> (R, P)."""
        log_a = log_alpha[:, None] + log_beta
        # the scale of u is that of log(a): a coarse and a fine function of it distinguish both ends of the prior
        functions = [log_a.clamp(-40.0, 8.0) / 8.0, torch.tanh(log_a / 2.0), torch.tanh(log_alpha / 2.0)[:, None]]
        parameters: Tensor = self.mlp(torch.cat([torch.cat(functions, -1).float(), group_features(counts)], -1))
        return parameters

    def loss(
        self, log_alpha: Tensor, log_beta: Tensor, counts: Tensor, log_theta: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        """-log q of the simulated thetas: (B,), (B, K), (B, N, K), (B, N, K)."""
        few = min(FEW_GROUPS, counts.shape[1])
        x = counts[:, :few]
        real = real_groups(x)
        parameters = self.parameters_at(
            log_alpha.repeat_interleave(few)[real], log_beta.repeat_interleave(few, 0)[real], x.flatten(0, 1)[real]
        )
        u = LocalTransform.to_u(log_theta[:, :few].flatten(0, 1)[real])
        mean = inference_compilation(self.head, parameters, u.float())
        return mean * distributed.mean_weight(generator, len(parameters), counts.device)

    @torch.no_grad()
    def draw(self, log_alpha: Tensor, log_beta: Tensor, counts: Tensor, seed: int, group: int) -> NDArray[np.float64]:
        """One log theta of a group for each draw: (B, S), (B, S, K), counts (B, N, K) -> (B, S, K)."""
        generator, device = torch.Generator().manual_seed(seed + group), self.mlp.last.weight.device
        b, s, k = log_beta.shape
        rows = counts[:, group, None].expand(b, s, k).reshape(-1, k)
        parts = [
            LocalTransform.from_u(self.head.sample(self.parameters_at(t, v, x), 1, generator)[:, 0].cpu())
            for t, v, x in zip(
                *(torch.split(t.to(device), CHUNK) for t in (log_alpha.reshape(-1), log_beta.reshape(-1, k), rows)),
                strict=True,
            )
        ]
        result: NDArray[Any] = torch.cat(parts).view(b, s, k).numpy()
        return result
