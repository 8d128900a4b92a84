"""What is minimised: KL(p(z | x) || q(z | x)) on average over the stream, by two estimators of its gradient."""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from hbm_fast import _core
from hbm_fast.nn.coordinates import Coordinates


class Head(Protocol):
    """What the objectives need of a posterior head."""

    def log_prob(self, parameters: Tensor, z: Tensor) -> Tensor: ...

    def sample(self, parameters: Tensor, n: int, generator: torch.Generator) -> Tensor: ...


def log_posterior(tables: Tensor, coordinates: Coordinates, z: Tensor, n_threads: int = 1) -> Tensor:
    """log p(x | z) + log N(z; 0, I) without the multinomial coefficients, float64.

    Parameters
    ----------
    tables : (B, K + 1, J) float32
    z : (B, S, D)

    Returns
    -------
    (B, S)
    """
    return log_likelihood(tables, *coordinates.from_z(z), n_threads) + log_normal(z)


def log_normal(z: Tensor) -> Tensor:
    """log N(z; 0, I), (..., D) -> (...), float64."""
    d = z.shape[-1]
    # a product with a vector: torch's sum over a short last axis takes seven times as long
    half = torch.full((d,), -0.5, dtype=torch.float64, device=z.device)
    return z.double().square() @ half - 0.5 * d * float(np.log(2.0 * np.pi))


def log_likelihood(tables: Tensor, log_alpha: Tensor, log_beta: Tensor, n_threads: int = 1) -> Tensor:
    """log p(x | alpha, beta) of ordered sequences: (B, K + 1, J), (B, S), (B, S, K) -> (B, S)."""
    value = torch.empty(log_alpha.shape, dtype=torch.float64)
    _core.table_log_likelihood(
        tables.cpu().contiguous().numpy(),
        log_alpha.cpu().contiguous().numpy(),
        log_beta.cpu().contiguous().numpy(),
        value.numpy(),
        n_threads,
    )
    return value.to(tables.device)


def inference_compilation(head: Head, parameters: Tensor, z: Tensor) -> Tensor:
    """-log q(z | x) of the pair that the simulator drew: the sleep phase (Le et al. 2017).

    Parameters
    ----------
    parameters : (B, P)
    z : (B, D)
    """
    return -head.log_prob(parameters, z[:, None])[:, 0].mean()


def rao_blackwellised(log_q: Tensor, log_target: Tensor) -> Tensor:
    """The same gradient in expectation, with a variance that vanishes as q approaches the posterior.

    z of the simulator is one exact draw of p(z | x). Next to it n draws of q are set, and all n + 1 get weights
    w proportional to p(z, x) / q(z | x). Choosing one of them with probability w leaves p(z | x) invariant (iterated
    sampling importance resampling; Andrieu, Lee & Vihola 2018, doi:10.3150/15-BEJ785), so the weighted average of
    grad log q over all n + 1 is unbiased for its expectation under the exact posterior, whatever q. Since
    E_q[grad log q] = 0, 1 / (n + 1) of it is subtracted at each draw of q: where q is exact what remains of the noise
    of one pair is its (n + 1)-th part.

    The value has the right gradient; it is not itself the KL.

    Parameters
    ----------
    log_q : (B, n + 1)
        At the simulator's z in column 0 and at the draws of q, which carry no gradient themselves.
    log_target : (B, n + 1) float64
        log p(z, x) there, up to a constant of each dataset.
    """
    with torch.no_grad():
        weights = torch.softmax(log_target - log_q.double(), 1).to(log_q.dtype)
        weights[:, 1:] -= 1.0 / log_q.shape[1]
    return -(weights * log_q).sum(1).mean()


def reverse(log_q: Tensor, log_target: Tensor) -> Tensor:
    """Minus the evidence lower bound, the wake phase: the gradient of KL(q || p) by the score of draws of q alone, each
    centred by the others' mean (Kool, van Hoof & Welling 2019).

    Parameters
    ----------
    log_q, log_target : (B, n)
        At draws of q that carry no gradient themselves.
    """
    n = log_q.shape[1]
    with torch.no_grad():
        cost = (log_q.double() - log_target).to(log_q.dtype)
        cost = (cost - cost.mean(1, keepdim=True)) / (n - 1)
    return (cost * log_q).sum(1).mean()


def candidates(head: Head, parameters: Tensor, z: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """The simulator's z (B, D) and n draws of the head: (B, n + 1, D), without gradients."""
    with torch.no_grad():
        return torch.cat([z[:, None], head.sample(parameters, n, generator)], 1)


def wake_share(wake: float, n_draws: int) -> float:
    """The share of a training, at its end, that is the wake phase.

    Raises
    ------
    ValueError
        Outside [0, 1), or where there are too few draws of q to centre the score.
    """
    if not 0.0 <= wake < 1.0:
        raise ValueError(f"wake must be a share of the training in [0, 1); got {wake}")
    if wake > 0.0 and n_draws < 2:
        raise ValueError(f"wake needs n_draws of 2 or more, each centred by the others; got {n_draws}")
    return float(wake)
