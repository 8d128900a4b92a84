"""The learned model: z ~ N(0, I), and for every group theta ~ Dirichlet(f(z)), or a mixture of Dirichlets."""

from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn

# A concentration beyond exp(40) is a multinomial to every digit; the bound keeps float32 finite.
_LARGEST = 40.0
Link = Literal["exp", "exp_plus_one", "softplus"]
LINKS: tuple[str, ...] = get_args(Link)


def log_concentration(raw: Tensor, link: str) -> Tensor:
    """Log concentrations log a from the outputs ``raw`` of f; the logarithm, so that nothing underflows.

    a = exp(raw) for the link "exp"; exp(raw) + 1 for "exp_plus_one", that of Le (2020), where every concentration
    exceeds 1; log(1 + exp(raw)) for "softplus". ValueError for another link.
    """
    match link:
        case "exp":
            return raw
        case "exp_plus_one":
            return torch.nn.functional.softplus(raw)
        case "softplus":
            # log(log1p(e^r)) = r - e^r / 2 + ... where 1 + e^r rounds to 1
            low = raw.clamp(max=-10.0)
            high = torch.nn.functional.softplus(raw.clamp(min=-10.0)).log()
            return torch.where(raw < -10.0, low - 0.5 * low.exp(), high)
    raise ValueError(f"link must be one of {', '.join(map(repr, LINKS))}; got {link!r}")


class GenerativeModel(nn.Module):
    """f: from z (..., dim) to the Dirichlet, or to the mixture of M Dirichlets, from which the groups' theta are drawn.

    ``n_components`` is M, 1 in Le (2020): a group belongs to each with a probability that depends on z. ``width`` and
    ``depth`` are hidden units and layers. With ``skip`` a linear function of z is added to the output, which shortens
    the plateau at the start of training.
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
        if n_components > 1:  # components with equal weights would have equal gradients
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
