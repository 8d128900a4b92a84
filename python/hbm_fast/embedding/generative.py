"""The learned model: z ~ N(0, I), and for every group theta ~ Dirichlet(f(z)), or a mixture of Dirichlets."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from hbm_fast.embedding.links import log_concentration

# A concentration beyond exp(40) is a multinomial to every digit; the bound keeps float32 finite.
_LARGEST = 40.0


class GenerativeModel(nn.Module):
    """f: from z to the Dirichlet, or to the mixture of Dirichlets, that the groups' theta come from.

    Parameters
    ----------
    n_categories : int
        K.
    dim : int
        Length of z.
    link : {"exp", "exp_plus_one", "softplus"}
    n_components : int
        M Dirichlets; 1 is the note's model. A group belongs to each with a probability that depends on z.
    width, depth : int
        Hidden units and hidden layers.
    activation : {"silu", "relu"}
    skip : bool
        Whether a linear map of z is added to the output: it shortens the plateau at the start of training.
    """

    def __init__(
        self,
        n_categories: int,
        dim: int,
        *,
        link: str = "exp",
        n_components: int = 1,
        width: int = 64,
        depth: int = 2,
        activation: str = "silu",
        skip: bool = True,
    ) -> None:
        super().__init__()
        self.n_categories, self.dim, self.link, self.n_components = n_categories, dim, link, n_components
        log_concentration(torch.zeros(1), link)  # an unknown link is refused here
        if activation not in ("silu", "relu"):
            raise ValueError(f'activation must be "silu" or "relu"; got {activation!r}')
        n_out = n_components * n_categories + (n_components if n_components > 1 else 0)
        sizes = [dim] + [width] * depth
        layers: list[nn.Module] = []
        for n_in, n_next in pairwise(sizes):
            layers += [nn.Linear(n_in, n_next), nn.SiLU() if activation == "silu" else nn.ReLU()]
        last = nn.Linear(width, n_out)
        self.layers = nn.Sequential(*layers, last)
        self.skip = nn.Linear(dim, n_out, bias=False) if skip else None
        if n_components > 1:  # components that start alike stay alike
            with torch.no_grad():
                nn.init.normal_(last.bias[: n_components * n_categories])

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """(..., dim) -> log weights (..., M) and log concentrations (..., M, K)."""
        raw = self.layers(z)
        if self.skip is not None:
            raw = raw + self.skip(z)
        m, k = self.n_components, self.n_categories
        log_a = log_concentration(raw[..., : m * k], self.link).clamp(max=_LARGEST)
        log_weight = raw[..., m * k :].log_softmax(-1) if m > 1 else torch.zeros_like(raw[..., :1])
        return log_weight, log_a.view(*z.shape[:-1], m, k)

    def log_concentration(self, z: Tensor) -> Tensor:
        """(..., dim) -> (..., K), of a model of one component."""
        return self(z)[1][..., 0, :]  # type: ignore[no-any-return]
