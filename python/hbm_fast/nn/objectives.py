"""Training objectives: KL(p(z | x) || q(z | x)) averaged over the dataset stream, by two estimators of its gradient.

`WakeSleep` is the schedule: which objective is minimised at which part of a training.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hbm_fast.nn.heads import Head
from hbm_fast.nn.likelihood import log_likelihood
from hbm_fast.nn.transforms import PriorTransform

# Share of a training, at its start, that is the sleep phase alone.
SLEEP = 0.1


def log_posterior(exceedances: Tensor, transform: PriorTransform, z: Tensor, n_threads: int = 1) -> Tensor:
    """log p(x | z) + log N(z; 0, I) without the coefficients: (B, K + 1, J), (B, S, D) -> (B, S) float64."""
    return log_likelihood(exceedances, *transform.from_z(z), n_threads) + log_normal(z.double())


def log_normal(z: Tensor) -> Tensor:
    """log N(z; 0, I), (..., D) -> (...), in the precision of z."""
    d = z.shape[-1]
    # a product with a vector: torch's sum over a short last axis takes seven times as long
    half = torch.full((d,), -0.5, dtype=z.dtype, device=z.device)
    return z.square() @ half - 0.5 * d * float(np.log(2.0 * np.pi))


def inference_compilation(head: Head, parameters: Tensor, z: Tensor) -> Tensor:
    """-log q(z | x) of simulated pairs, z (B, D), averaged over the batch: the sleep phase (Le et al. 2017)."""
    return -head.log_prob(parameters, z[:, None])[:, 0].mean()


def rao_blackwellised(log_q: Tensor, log_target: Tensor) -> Tensor:
    """Loss of the same expected gradient, with a variance that vanishes as q approaches the posterior.

    The simulated z is one exact draw of p(z | x). To it n draws of q are added, and all n + 1 get weights w
    proportional to p(z, x) / q(z | x). Choosing one of them with probability w leaves p(z | x) invariant (iterated
    sampling importance resampling; Andrieu, Lee & Vihola 2018, doi:10.3150/15-BEJ785), so the weighted average of grad
    log q over all n + 1 is unbiased for its expectation under the exact posterior, whatever q. Since E_q[grad log q] =
    0, 1 / (n + 1) of it is subtracted at each draw of q: where q is exact, an (n + 1)-th part of the noise of one pair
    remains. The value has the right gradient; it is not itself the KL.

    Both arguments are (B, n + 1): at the simulated z in column 0 and at the draws of q, which carry no gradient;
    ``log_target`` is log p(z, x), up to a constant of each dataset, float64.
    """
    with torch.no_grad():
        weights = torch.softmax(log_target - log_q.double(), 1).to(log_q.dtype)
        weights[:, 1:] -= 1.0 / log_q.shape[1]
    return -(weights * log_q).sum(1).mean()


def reverse(log_q: Tensor, log_target: Tensor) -> Tensor:
    """Minus the evidence lower bound, the wake phase: the gradient of KL(q || p) by the score of draws of q alone, each
    centred by the others' mean (Kool, van Hoof & Welling 2019). Both arguments are (B, n), at draws without a gradient.
    """
    n = log_q.shape[1]
    with torch.no_grad():
        cost = (log_q.double() - log_target).to(log_q.dtype)
        cost = (cost - cost.mean(1, keepdim=True)) / (n - 1)
    return (cost * log_q).sum(1).mean()


@dataclass(frozen=True)
class WakeSleep:
    """Schedule of the objectives over a training.

    The first tenth is the sleep phase, `inference_compilation`. After it the loss is `rao_blackwellised`, with
    ``n_draws`` draws of q added to each simulated pair (0: the sleep phase throughout). The last share ``wake`` of the
    training is the wake phase, `reverse`.
    """

    n_draws: int
    wake: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.wake < 1.0:
            raise ValueError(f"wake must be a share of the training in [0, 1); got {self.wake}")
        if self.wake > 0.0 and self.n_draws < 2:
            raise ValueError(f"wake needs n_draws of 2 or more, each centred by the others; got {self.n_draws}")

    def loss(
        self,
        progress: float,
        simulated: tuple[Tensor, ...],
        *,
        sample: Callable[[int], tuple[Tensor, ...]],
        log_q: Callable[..., Tensor],
        log_target: Callable[..., Tensor],
    ) -> Tensor:
        """Loss of a batch at ``progress`` in [0, 1], where the simulator drew the variables ``simulated`` (B, ...).

        ``sample(n)`` draws n of each variable from q, (B, n, ...); ``log_q`` and ``log_target`` are functions of
        variables (B, S, ...), the latter log p(x, variables).
        """
        pairs = tuple(value[:, None] for value in simulated)
        if self.n_draws == 0 or progress < SLEEP:
            return -log_q(*pairs)[:, 0].mean()
        with torch.no_grad():
            drawn = sample(self.n_draws)
            points = tuple(torch.cat(parts, 1) for parts in zip(pairs, drawn, strict=True))
            target = log_target(*points)
        if progress >= 1.0 - self.wake:
            return reverse(log_q(*drawn), target[:, 1:])
        return rao_blackwellised(log_q(*points), target)
