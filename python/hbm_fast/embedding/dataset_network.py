"""DatasetNetwork: a model z -> theta of a whole dataset, and q(z | x), trained together.

    z ~ N(0, I),   theta_c ~ Dirichlet(f_c(z)) for each context c,   x_nc ~ Multinomial(theta_c) for each bag n

The bags of a dataset share theta, so that the sum of their counts is all that the model reads of them.
"""

import copy

import numpy as np
import torch
from torch import Tensor, nn

from hbm_fast import _validate
from hbm_fast._typing import Floats
from hbm_fast.embedding import dirichlet_rows
from hbm_fast.embedding.generative import GenerativeModel
from hbm_fast.nn import heads
from hbm_fast.nn.encoders import ExceedanceEncoder
from hbm_fast.nn.network import Network
from hbm_fast.nn.objectives import log_normal

_STEP = 1e-4  # of the central differences of f
_LARGEST_NOISE = 10.0  # standard deviations of z


class Gaussian(heads.GaussianMixture):
    """A Gaussian of full covariance, by products of matrices: faster than `GaussianMixture` in ten dimensions."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, 1)
        self.below = np.tril_indices(dim, -1)

    def _whitening(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean (B, 1, D), log scales (B, D) and the Cholesky factor of the precision (B, D, D)."""
        _, mean, log_scale, lower = self.unpack(parameters)
        unit = torch.eye(self.dim, dtype=mean.dtype).repeat(len(mean), 1, 1)
        unit[:, *self.below] = lower[:, 0]
        return mean, log_scale[:, 0], log_scale[:, 0, :, None].exp() * unit

    def log_prob(self, parameters: Tensor, z: Tensor) -> Tensor:
        """(B, P), (B, S, D) -> (B, S)."""
        mean, log_scale, factor = self._whitening(parameters)
        y = (z - mean) @ factor.mT
        return log_normal(y) + log_scale.sum(-1, keepdim=True)

    def sample(self, parameters: Tensor, n: int, generator: torch.Generator) -> Tensor:
        """(B, P) -> (B, n, D)."""
        mean, _, factor = self._whitening(parameters)
        noise = torch.randn(len(mean), n, self.dim, generator=generator).to(mean.dtype)
        drawn: Tensor = mean + torch.linalg.solve_triangular(factor, noise.mT, upper=False).mT
        return drawn


class DatasetNetwork(Network):
    """f, and a Gaussian q(z | x) whose mean and precision an encoder of pooled counts puts out.

    ``n_contexts`` is C, None without contexts; ``n_datasets`` the number of training datasets, whose z it keeps;
    ``width`` and ``depth`` are those of f, ``n_draws`` the draws of q for each dataset and step; ``n_anchors`` the
    points of z at which the input of q is computed; ``encoder_width`` and ``encoder_depth`` are those of the network
    from it to the parameters of q. ``z_noise`` is the standard deviation of the normal noise added to z wherever f is
    evaluated while it is learned: f then fits around the z of each training dataset, and predicts new datasets better.
    Default dim / 30, at most 0.4: in few dimensions datasets lie closer together.
    """

    title = "an embedding with shared='dataset'"
    base: Tensor  # (C, K), concentrations of the Dirichlet fitted to the training datasets
    places: Tensor  # (n_datasets, dim), the modes of their z
    anchors: Tensor  # (M, dim)

    def __init__(
        self,
        n_categories: int,
        n_contexts: int | None,
        dim: int,
        n_datasets: int,
        *,
        width: int = 128,
        depth: int = 2,
        n_draws: int = 4,
        n_anchors: int = 8,
        encoder_width: int = 128,
        encoder_depth: int = 1,
        z_noise: float | None = None,
    ) -> None:
        super().__init__()
        self.z_noise = min(0.4, dim / 30.0) if z_noise is None else _validate.finite_float(z_noise, "z_noise")
        if not 0.0 <= self.z_noise <= _LARGEST_NOISE:
            raise ValueError(f"z_noise must lie between 0 and {_LARGEST_NOISE:g}; got {z_noise}")
        self.n_categories, self.dim, self.n_draws = n_categories, dim, n_draws
        self.shape = (n_contexts or 1, n_categories)
        n_cells = self.shape[0] * n_categories
        self.generative = GenerativeModel(n_cells, dim, width=width, depth=depth)
        self.register_buffer("base", torch.ones(self.shape))
        self.register_buffer("places", torch.zeros(n_datasets, dim))
        self.head = Gaussian(dim)
        self.register_buffer("anchors", torch.zeros(n_anchors, dim))
        self.linear: tuple[Tensor, Tensor] | None = None
        n_features = n_anchors * (2 * dim + 1) + self.shape[0] + 1
        self.encoder = ExceedanceEncoder(n_features, self.head.n_parameters, width=encoder_width, depth=encoder_depth)
        heads.start(self.encoder.mlp.last, self.head)

    def start_at(self, concentration: Floats, generator: torch.Generator) -> None:
        """Let f begin at the fitted Dirichlet (C, K), whatever z, and draw the anchors; the first is z = 0."""
        self.anchors[1:] = torch.randn(self.anchors[1:].shape, generator=generator)
        self.base.copy_(torch.from_numpy(concentration))
        last = self.generative.layers[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.bias.copy_(torch.from_numpy(np.log(concentration)).flatten())

    def features(self, counts: Tensor) -> Tensor:
        """Features (B, F) of pooled counts (B, C, K): the slopes of log p(x | z) in z at the anchors, and the totals.

        With f nearly linear, a slope at one point is nearly all that the counts say of z.
        """
        if self.linear is None:
            self.linear = self._linearized()
        log_a, slopes = self.linear
        n = counts.sum((-1, -2))[:, None, None] + 1.0
        with torch.no_grad():
            value, slope = dirichlet_rows.log_likelihood_slope(counts, log_a)
            moved = torch.einsum("bsck,sckd->bsd", slope, slopes)
            totals = counts.sum(-1)
            size = torch.cat([totals, totals.sum(-1, keepdim=True)], -1).log1p()
            parts = [moved / n.sqrt(), moved / n, value[..., None] / n.sqrt()]
            features = torch.cat([*(part.flatten(1) for part in parts), size], -1)
        return features.to(self.encoder.mlp.last.weight.dtype)

    @torch.no_grad()
    def _linearized(self) -> tuple[Tensor, Tensor]:
        """Log f at the anchors, (M, C, K), and its derivatives, (M, C, K, dim)."""
        z = self.anchors.double()
        f = copy.deepcopy(self.generative).double()
        step = _STEP * torch.eye(self.dim, dtype=torch.float64)

        def log_f(at: Tensor) -> Tensor:
            log_a: Tensor = f(at)[1]
            return log_a.view(*at.shape[:-1], *self.shape)

        return log_f(z), ((log_f(z[:, None] + step) - log_f(z[:, None] - step)) / (2.0 * _STEP)).movedim(1, -1)

    def log_concentration(self, z: Tensor) -> Tensor:
        """log f(z), (..., dim) -> (..., C, K)."""
        log_a: Tensor = self.generative(z)[1]
        return log_a.view(*z.shape[:-1], *self.shape)

    def log_joint(self, counts: Tensor, z: Tensor, noise: Tensor | None = None) -> Tensor:
        """log p(x, z) without the multinomial coefficients, (B, C, K), (B, S, dim) -> (B, S) float64.

        With ``noise`` (B, S, dim) the likelihood is that at z + z_noise * noise, the prior that at z.
        """
        at = z if noise is None else z + self.z_noise * noise
        return dirichlet_rows.log_likelihood(counts, self.log_concentration(at)) + log_normal(z.double())


class FirstEncoder(nn.Module):
    """From pooled counts to the parameters of a q that is trained together with f, before f is known."""

    base: Tensor

    def __init__(self, network: DatasetNetwork, *, width: int = 128, depth: int = 1) -> None:
        super().__init__()
        self.register_buffer("base", network.base.clone())
        n_contexts, n_categories = network.shape
        n_features = n_contexts * (n_categories + 1) + 1
        self.encoder = ExceedanceEncoder(n_features, network.head.n_parameters, width=width, depth=depth)
        heads.start(self.encoder.mlp.last, network.head)

    def features(self, counts: Tensor) -> Tensor:
        """How far the shares of the fitted Dirichlet move, and the totals, (B, C, K) -> (B, F)."""
        x = counts.double()
        a = self.base.double()
        totals = x.sum(-1)
        moved = ((x + a) / (totals + a.sum(-1))[..., None] * (a.sum(-1, keepdim=True) / a)).log()
        size = torch.cat([totals, totals.sum(-1, keepdim=True)], -1).log1p()
        return torch.cat([moved.flatten(1), size], -1).float()

    def forward(self, counts: Tensor) -> Tensor:
        """(B, C, K) -> (B, P)."""
        out: Tensor = self.encoder(self.features(counts))
        return out
