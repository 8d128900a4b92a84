"""log p(x) of a model with a two-dimensional z, by the trapezoid rule in float64, independent of q.

The integrand is N(z; 0, I) times a likelihood that is smooth in z, so that the rule converges geometrically in the
number of nodes. It applies to the learned model and to the true one: after `nn.transforms.PriorTransform` the true
prior of (alpha, beta) is N(0, I) too.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from hbm_fast.nn.objectives import log_normal

# Phi(-6.2) is about 3e-10: the mass outside the box changes a log evidence by no more than that
BOX = 6.2
# The first box for one dataset's posterior, wider for data that are improbable under the prior
WIDE_BOX = 12.0
# A density this far below the highest (in nats) does not change log p(x)
NEGLIGIBLE = 45.0
# The error of log p(x) below which the grid's axes are not rotated, and the largest number of rotations
RESOLVED = 1e-3
MOST_ROTATIONS = 6
# z (S, 2) -> log p(x_b | z_s) (B, S), without the multinomial coefficient
LogLikelihood = Callable[[Tensor], Tensor]


def nodes(n: int, low: Tensor | None = None, high: Tensor | None = None) -> tuple[Tensor, float]:
    """n by n equally spaced points of a box, (n * n, 2) float64, and the log of the area of a cell."""
    low = torch.full((2,), -BOX, dtype=torch.float64) if low is None else low
    high = -low if high is None else high
    axes = [torch.linspace(float(a), float(b), n, dtype=torch.float64) for a, b in zip(low, high, strict=True)]
    log_cell = float(torch.log((high - low) / (n - 1)).sum())
    return torch.cartesian_prod(*axes), log_cell


@torch.no_grad()
def log_marginal(log_likelihood: LogLikelihood, n_datasets: int, *, n: int = 201, chunk: int = 512) -> Tensor:
    """log p(x_b) of many datasets on one grid of n by n nodes, (B,) float64.

    One grid for all is right for datasets of tens of groups; for one dataset of any size see ``adaptive``. ``chunk``
    nodes at a time keep the (datasets, nodes) array in the cache: 3x faster than exceeding the cache.
    """
    z, log_cell = nodes(n)
    total = torch.full((n_datasets,), -math.inf, dtype=torch.float64)
    for part in torch.split(z, chunk):
        total = torch.logaddexp(total, (log_likelihood(part) + log_normal(part)).logsumexp(1))
    return total + log_cell


@torch.no_grad()
def adaptive(
    log_likelihood: LogLikelihood, *, n: int = 201, max_rounds: int = 12
) -> tuple[float, float, Tensor, Tensor]:
    """log p(x) of one dataset on a grid that shrinks to where the posterior is, however narrow.

    The grid's axes are those of z. Where an error remains, because the posterior is narrow in a direction between the
    axes, the axes become the principal axes of the posterior. Returns log p(x), its error (the change from every second
    node to all of them), the nodes z (S, 2), and their normalised log weights (S,): the posterior of z.
    """
    high = torch.full((2,), WIDE_BOX, dtype=torch.float64)
    low = -high
    origin, axes = torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    rotations = 0
    while True:
        for _ in range(max_rounds):
            u, log_cell = nodes(n, low, high)
            z = u if rotations == 0 else origin + u @ axes.T
            value = log_likelihood(z)[0] + log_normal(z)
            grid = value.view(n, n)
            inside = grid > grid.max() - NEGLIGIBLE
            within = inside.nonzero()
            step = (high - low) / (n - 1)
            # three cells of margin: the maximum may lie between nodes
            new_low = torch.maximum(low, low + step * (within.amin(0) - 3))
            new_high = torch.minimum(high, low + step * (within.amax(0) + 3))
            shrunk = float(((new_high - new_low) / (high - low)).min())
            if shrunk > 0.7:
                break
            low, high = new_low, new_high
        log_evidence = float(value.logsumexp(0)) + log_cell
        coarse = float(grid[::2, ::2].logsumexp((0, 1))) + log_cell + math.log(4.0)
        log_weight = value - value.logsumexp(0)
        error = abs(log_evidence - coarse)
        if error < RESOLVED or rotations == MOST_ROTATIONS:
            return log_evidence, error, z, log_weight
        rotations += 1
        # the box, in principal axes, of every node that is not negligible, and three cells of the last grid
        origin = log_weight.exp() @ z
        centred = z - origin
        margin = 3.0 * step @ axes.T.abs()
        axes = torch.linalg.eigh(centred.T @ (log_weight.exp()[:, None] * centred))[1]
        found = centred[inside.flatten()] @ axes
        low, high = found.amin(0) - margin @ axes.abs(), found.amax(0) + margin @ axes.abs()
