"""Proposals for z given log p(x, z), independent of q, each with log p(x, z) - log proposal(z).

``histogram`` (two dimensions) draws from the cells of the adaptive grid; ``laplace`` (any dimension) from a Student t
at the posterior's mode. Both replace q outside its range; ``laplace`` is the reference where quadrature is too costly.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from hbm_fast import errors
from hbm_fast.embedding import latent_grid
from hbm_fast.nn.objectives import log_normal

# z (B, S, D) float64 -> log p(x_b, z) (B, S), with a gradient
LogJoint = Callable[[Tensor], Tensor]

_LARGEST_ERROR = 0.01  # nats of log p(x)
_DEGREES = 5.0  # of freedom of the Student t: tails heavier than any posterior's under a normal prior
_NEWTON_STEPS = 40
_LEAST_CURVATURE = 0.3  # the prior's alone is 1


def histogram(
    log_likelihood: latent_grid.LogLikelihood, n_draws: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draws z (1, S, 2) of one dataset's posterior over a two-dimensional z, and their log ratios (1, S).

    ConvergenceWarning where the grid does not resolve the posterior to 0.01 nats.
    """
    _, error, z, log_weight = latent_grid.adaptive(log_likelihood)
    if error > _LARGEST_ERROR:
        errors.warn(
            f"the grid over z is too coarse for this posterior: log p(x) changes by {error:.2g} nats with its spacing, "
            "and log_evidence_error does not contain that",
            errors.ConvergenceWarning,
        )
    chosen = torch.multinomial(log_weight.exp(), n_draws, replacement=True, generator=generator)
    n = math.isqrt(z.shape[0])
    cell = torch.stack([z[-n] - z[0], z[n - 1] - z[0]]) / (n - 1)  # the two sides of a cell
    jitter = torch.rand(n_draws, 2, generator=generator, dtype=torch.float64) - 0.5
    drawn = z[chosen] + jitter @ cell
    log_proposal = log_weight[chosen] - torch.linalg.det(cell).abs().log()
    log_joint = log_likelihood(drawn)[0] + log_normal(drawn)
    return drawn[None], (log_joint - log_proposal)[None].detach()


def laplace(log_joint: LogJoint, start: Tensor, n_draws: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws (B, S, D) from a Student t at the mode, with the curvature of each dataset's posterior; log ratios (B, S).

    The search for the mode begins at ``start`` (B, D) float64.
    """
    return student_t(log_joint, find_mode(log_joint, start), n_draws, generator)


def student_t(log_joint: LogJoint, mode: Tensor, n_draws: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """`laplace` where the mode (B, D) is at hand."""
    _, values, vectors = _curvature(log_joint, mode)
    b, d = mode.shape
    noise = torch.randn(b, n_draws, d, generator=generator, dtype=torch.float64)
    # chi-square of 5 degrees from normals: torch has no chi-square with a generator
    chi2 = torch.randn(b, n_draws, int(_DEGREES), generator=generator, dtype=torch.float64).square().sum(-1)
    t = noise / (chi2 / _DEGREES).sqrt()[..., None]
    z = mode[:, None] + torch.einsum("bij,bsj->bsi", vectors / values.sqrt()[:, None], t)
    log_t = (
        math.lgamma(0.5 * (_DEGREES + d))
        - math.lgamma(0.5 * _DEGREES)
        - 0.5 * d * math.log(_DEGREES * math.pi)
        - 0.5 * (_DEGREES + d) * torch.log1p(t.square().sum(-1) / _DEGREES)
        + 0.5 * values.log().sum(-1, keepdim=True)
    )
    with torch.no_grad():
        return z, log_joint(z) - log_t


def find_mode(log_joint: LogJoint, start: Tensor, *, least: float = _LEAST_CURVATURE) -> Tensor:
    """Mode of each dataset's log p, (B, D) -> (B, D), by Newton's method.

    The curvature is bounded below by ``least``: the smaller, the longer the steps along a plateau.
    """
    z = start.double()
    steps = torch.tensor([1.0, 0.5, 0.2, 0.05, 0.01, 0.0], dtype=torch.float64)
    for _ in range(_NEWTON_STEPS):
        gradient, values, vectors = _curvature(log_joint, z, least)
        # Newton's direction with the absolute curvature, at least that of a wide posterior
        along = torch.einsum("bij,bi->bj", vectors, gradient) / values
        direction = torch.einsum("bij,bj->bi", vectors, along)
        direction = direction * (2.0 / direction.norm(dim=-1, keepdim=True)).clamp(max=1.0)
        tried = z[:, None] + steps[:, None] * direction[:, None]
        with torch.no_grad():
            best = log_joint(tried).argmax(1)
        moved = steps[best][:, None] * direction
        z = z + moved
        if float(moved.abs().max()) < 1e-5:
            break
    return z


def _curvature(
    log_joint: LogJoint, z: Tensor, least: float = _LEAST_CURVATURE, h: float = 1e-4
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradient (B, D), and eigenvalues (B, D) and eigenvectors (B, D, D) of minus the Hessian, by differences."""
    d = z.shape[-1]
    eye = torch.eye(d, dtype=torch.float64)
    offsets = torch.cat([torch.zeros(1, d, dtype=torch.float64), h * eye, -h * eye])
    with torch.enable_grad():
        points = (z.detach()[:, None] + offsets).requires_grad_()
        (gradient,) = torch.autograd.grad(log_joint(points).sum(), points)
    hessian = (gradient[:, d + 1 :] - gradient[:, 1 : d + 1]) / (2.0 * h)
    values, vectors = torch.linalg.eigh(0.5 * (hessian + hessian.mT))
    return gradient[:, 0], values.abs().clamp(min=least), vectors
