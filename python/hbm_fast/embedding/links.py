"""Links: from what the network f puts out to log concentrations. Always the logarithm, so that nothing underflows."""

from typing import Literal, get_args

import torch
from torch import Tensor

Link = Literal["exp", "exp_plus_one", "softplus"]
LINKS: tuple[str, ...] = get_args(Link)


def log_concentration(raw: Tensor, link: str) -> Tensor:
    """log a of the outputs ``raw`` of f.

    Parameters
    ----------
    raw : Tensor
        Any shape.
    link : {"exp", "exp_plus_one", "softplus"}
        a = exp(raw); a = exp(raw) + 1, the note's, in which every concentration exceeds 1; a = log(1 + exp(raw)).

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
    >>> from hbm_fast.embedding.links import log_concentration
    >>> raw = torch.tensor([-200.0, 0.0])
    >>> [log_concentration(raw, link).exp().tolist() for link in ("exp", "exp_plus_one")]
    [[0.0, 1.0], [1.0, 2.0]]
    >>> log_concentration(raw, "softplus")[0].item()  # its own logarithm does not underflow
    -200.0
    """
    match link:
        case "exp":
            return raw
        case "exp_plus_one":
            return torch.nn.functional.softplus(raw)
        case "softplus":
            # log(log1p(e^r)) = r - e^r / 2 + ... where e^r is lost beside 1
            low = raw.clamp(max=-10.0)
            high = torch.nn.functional.softplus(raw.clamp(min=-10.0)).log()
            return torch.where(raw < -10.0, low - 0.5 * low.exp(), high)
    raise ValueError(f"link must be one of {', '.join(map(repr, LINKS))}; got {link!r}")
