"""Posterior heads: densities on R^D whose parameters are the output of a network.

Each head has ``log_prob(parameters (B, P), z (B, S, D)) -> (B, S)`` for training, ``log_density`` of the same arguments
in float64 on the CPU for importance weights, and ``sample(parameters, n, generator) -> (B, n, D)``. The device of the
parameters computes; the generator of the random numbers may be on another.
"""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hbm_fast import _core
from hbm_fast._optional import import_optional
from hbm_fast.nn import distributed


class GaussianMixture(nn.Module):
    """A mixture of Gaussians in ``dim`` dimensions, each given by its mean and the Cholesky factor of its precision.

    Parametrised by the whitening y = diag(exp(s)) L (z - mean), L unit lower triangular: log_prob needs no solve. With
    ``full_rank=False`` L is the identity.
    """

    def __init__(self, dim: int, n_components: int = 8, *, full_rank: bool = True) -> None:
        super().__init__()
        self.dim, self.n_components, self.full_rank = dim, n_components, full_rank
        self.n_lower = dim * (dim - 1) // 2 if full_rank else 0
        self.n_parameters = n_components * (1 + 2 * dim + self.n_lower)

    def initial_bias(self) -> Tensor:
        """Parameters of components spread over the prior N(0, I), fixed by construction."""
        c, d = self.n_components, self.dim
        spread = torch.zeros(c, d)
        if c > 1:  # a low-discrepancy sequence (Roberts' R-sequence) through the normal quantile
            root = 1.5
            for _ in range(40):
                root = (1.0 + root) ** (1.0 / (d + 1))
            steps = root ** -torch.arange(1, d + 1, dtype=torch.float64)
            u = (0.5 + torch.arange(1, c + 1, dtype=torch.float64)[:, None] * steps) % 1.0
            spread = torch.special.ndtri(0.1 + 0.8 * u).float()
        scales = torch.full((c, d), 0.3 if c > 1 else 0.0)
        return torch.cat([torch.zeros(c), spread.flatten(), scales.flatten(), torch.zeros(c * self.n_lower)])

    def unpack(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(B, P) -> log weights (B, C), means and log scales of the whitening (B, C, D), its lower part (B, C, L)."""
        b, c, d = parameters.shape[0], self.n_components, self.dim
        logits, mean, scale, lower = torch.split(parameters, [c, c * d, c * d, c * self.n_lower], -1)
        # scales within exp(+-7) of the prior's: wide enough for every posterior
        log_scale = 7.0 * torch.tanh(scale / 7.0)
        return logits.log_softmax(-1), mean.view(b, c, d), log_scale.view(b, c, d), lower.reshape(b, c, self.n_lower)

    def log_prob(self, parameters: Tensor, z: Tensor) -> Tensor:
        """(B, P), (B, S, D) -> (B, S)."""
        log_weight, mean, log_scale, lower = self.unpack(parameters)
        constant = log_weight + log_scale.sum(-1) - 0.5 * self.dim * math.log(2.0 * math.pi)
        scale = log_scale.exp()
        quadratic: Tensor | float = 0.0
        deviations: list[Tensor] = []
        used = 0
        for i in range(self.dim):
            deviation = z[:, :, None, i] - mean[:, None, :, i]
            y = deviation
            if self.n_lower:
                for j in range(i):
                    y = torch.addcmul(y, lower[:, None, :, used + j], deviations[j])
                used += i
            deviations.append(deviation)
            quadratic = quadratic + (y * scale[:, None, :, i]).square()
        return torch.logsumexp(constant[:, None] - 0.5 * quadratic, -1)

    @torch.no_grad()
    def log_density(self, parameters: Tensor, z: Tensor) -> Tensor:
        """(B, P), (B, S, D) -> (B, S), `log_prob` in float64, without gradients and on the CPU."""
        if parameters.device.type != "cpu":
            return self.log_prob(parameters, z.to(parameters.device)).cpu().double()
        log_weight, mean, log_scale, lower = self.unpack(parameters)
        constant = log_weight + log_scale.sum(-1) - 0.5 * self.dim * math.log(2.0 * math.pi)
        value = torch.empty(z.shape[:-1], dtype=torch.float64)
        _core.networks.mixture_log_density(
            _floats(mean),
            _floats(lower),
            _floats(constant),
            _floats(log_scale.exp()),
            _floats(z),
            value.numpy(),
            torch.get_num_threads(),
        )
        return value

    def sample(self, parameters: Tensor, n: int, generator: torch.Generator) -> Tensor:
        """(B, P) -> (B, n, D)."""
        log_weight, mean, log_scale, lower = self.unpack(parameters)
        b = parameters.shape[0]
        u = distributed.rand(generator, b, n).to(parameters.device)
        edges = log_weight.exp().cumsum(-1)[:, :-1].contiguous()
        noise = distributed.randn(generator, b, n, self.dim).to(parameters.device)
        if u.device.type == "cpu" and not (torch.is_grad_enabled() and parameters.requires_grad):
            z = torch.empty_like(noise)
            _core.networks.mixture_draws(
                _floats(mean),
                _floats(lower),
                _floats(edges),
                _floats(torch.exp(-log_scale)),
                _floats(u),
                _floats(noise),
                z.numpy(),
                torch.get_num_threads(),
            )
            return z
        component = torch.searchsorted(edges, u)
        # one gather of everything that a draw needs
        components = torch.cat([mean, torch.exp(-log_scale), lower], -1)
        chosen = torch.gather(components, 1, component[:, :, None].expand(-1, -1, components.shape[-1]))
        centre, spread, low = torch.split(chosen, [self.dim, self.dim, self.n_lower], -1)
        return centre + _solve(noise * spread, low)


class SplineFlow(nn.Module):
    """zuko's neural spline flow in the whitened space of a Gaussian, both conditioned on the context.

    The spline starts as the identity, so that this head starts as the full Gaussian and trains as fast. The bins then
    describe the shape alone, wherever and however narrow the posterior is.
    """

    def __init__(self, dim: int, *, n_context: int = 32, transforms: int = 1, bins: int = 8) -> None:
        super().__init__()
        zuko = import_optional("zuko", "amortize")
        self.dim = dim
        self.gaussian = GaussianMixture(dim, 1)
        self.n_parameters = self.gaussian.n_parameters + n_context
        with torch.device("cpu"):  # zuko sorts its masks, which therefore cannot be on the device meta
            self.flow = zuko.flows.NSF(dim, n_context, transforms=transforms, bins=bins, hidden_features=(64, 64))
        with torch.no_grad():
            for transform in self.flow.transform.transforms:
                last = transform.hyper[-1]
                last.weight.zero_()
                last.bias.zero_()

    def initial_bias(self) -> Tensor:
        """The parameters of the Gaussian, and a context of zeros."""
        initial = self.gaussian.initial_bias()
        return torch.cat([initial, initial.new_zeros(self.n_parameters - initial.numel())])

    def log_prob(self, parameters: Tensor, z: Tensor) -> Tensor:
        """(B, P), (B, S, D) -> (B, S)."""
        mean, log_scale, lower, flow = self._unpack(parameters)
        deviation = z - mean
        rows = []
        for i in range(self.dim):
            first = i * (i - 1) // 2
            rows.append(deviation[..., i] + (lower[..., first : first + i] * deviation[..., :i]).sum(-1))
        out: Tensor = flow.log_prob(torch.stack(rows, -1) * log_scale.exp()) + log_scale.sum(-1)
        return out

    @torch.no_grad()
    def log_density(self, parameters: Tensor, z: Tensor) -> Tensor:
        """(B, P), (B, S, D) -> (B, S), `log_prob` as float64, without gradients and on the CPU."""
        return self.log_prob(parameters, z.to(parameters.device)).cpu().double()

    def sample(self, parameters: Tensor, n: int, generator: torch.Generator) -> Tensor:
        """(B, P) -> (B, n, D)."""
        mean, log_scale, lower, flow = self._unpack(parameters)
        noise = distributed.randn(generator, parameters.shape[0], n, self.dim).to(parameters.device)
        return mean + _solve(flow.transform.inv(noise) * torch.exp(-log_scale), lower)

    def _unpack(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor, Any]:
        """Mean, log scale and lower part of the whitening, (B, 1, .) each, and zuko's distribution."""
        n = self.gaussian.n_parameters
        affine, context = parameters[..., :n], parameters[..., n:]
        _, mean, log_scale, lower = self.gaussian.unpack(affine)
        return mean, log_scale, lower, self.flow(context[:, None])


def _floats(values: Tensor) -> NDArray[np.float32]:
    """float32 as the kernels take it."""
    return values.float().contiguous().numpy()


def _solve(y: Tensor, lower: Tensor) -> Tensor:
    """Solve L x = y by forward substitution, (..., D), for L unit lower triangular.

    ``lower`` holds the elements below the diagonal row by row, or nothing for the identity.
    """
    x: list[Tensor] = []
    for i in range(y.shape[-1]):
        value = y[..., i]
        if lower.shape[-1]:
            first = i * (i - 1) // 2
            for j in range(i):
                value = value - lower[..., first + j] * x[j]
        x.append(value)
    return torch.stack(x, -1)


Head = GaussianMixture | SplineFlow


def head(name: str, dim: int, n_components: int = 8) -> Head:
    """By name: "mixture", "gaussian", "diagonal" or "spline"."""
    match name:
        case "mixture":
            return GaussianMixture(dim, n_components)
        case "gaussian":
            return GaussianMixture(dim, 1)
        case "diagonal":
            return GaussianMixture(dim, 1, full_rank=False)
        case "spline":
            return SplineFlow(dim)
    raise ValueError(f'head must be "mixture", "gaussian", "diagonal" or "spline"; got {name!r}')


def start(last: nn.Linear, of: Head) -> None:
    """Initialise the last layer, whose output is a head's parameters: the density starts near the prior N(0, I)."""
    if last.bias.is_meta:  # only shapes are compared: nothing to initialise
        return
    with torch.no_grad():
        last.weight.mul_(0.1)
        last.bias.copy_(of.initial_bias())
