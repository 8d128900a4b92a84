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

    Parameters
    ----------
    raw : Tensor
        Any shape.
    link : {"exp", "exp_plus_one", "softplus"}
        a = exp(raw); a = exp(raw) + 1, that of Le (2020), where every concentration exceeds 1; a = log(1 + exp(raw)).

    Returns
    -------
    Tensor
        The shape of ``raw``; finite for every finite ``raw``.

    Raises
    ------
    ValueError
        For another link.

    Examples
    --------
    >>> import torch
    >>> from hbm_fast.embedding.generative import log_concentration
    >>> raw = torch.tensor([-200.0, 0.0])
    >>> [log_concentration(raw, link).exp().tolist() for link in ("exp", "exp_plus_one")]
    [[0.0, 1.0], [1.0, 2.0]]
    >>> log_concentration(raw, "softplus")[0].item()  # the logarithm does not underflow
    -200.0
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
    """f: from z to the Dirichlet, or to the mixture of Dirichlets, from which the groups' theta are drawn.

    Parameters
    ----------
    n_categories : int
        K.
    dim : int
        Length of z.
    link : {"exp", "exp_plus_one", "softplus"}
    n_components : int
        M Dirichlets; 1 in Le (2020). A group belongs to each with a probability that depends on z.
    width, depth : int
        Hidden units and hidden layers.
    activation : {"silu", "relu"}
    skip : bool
        Whether a linear function of z is added to the output, which shortens the plateau at the start of training.
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
