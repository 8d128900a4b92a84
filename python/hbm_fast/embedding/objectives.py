"""Objectives for the model p(x, z) and the network q(z | x) together, for any joint density and any q.

With draws z_s of q and weights w_s = p(x, z_s) / q(z_s | x):

    "elbo"  the mean of log w_s; the score of q is left out, as its expectation is zero ("sticking the landing", Roeder
            et al. 2017)
    "iwae"  log of the mean of w_s (Burda et al. 2016)
    "dreg"  the same bound, with the doubly reparametrised gradient for q (Tucker et al. 2019)
    "rws"   reweighted wake-sleep (Bornschein & Bengio 2015): the same gradient for the model; q follows the
            self-normalised weights, so it needs no reparametrisation

A mixture of Gaussians has no reparametrisation: "elbo" and "iwae" draw from each component and weight the draws by the
components' shares, which is exact; "dreg" is refused.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from hbm_fast.nn.heads import GaussianMixture, Head
from hbm_fast.nn.importance import log_mean_exp

Objective = Literal["elbo", "iwae", "dreg", "rws"]
OBJECTIVES: tuple[str, ...] = get_args(Objective)
LogJoint = Callable[[Tensor], Tensor]


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Within the block the module's parameters are constants."""
    flags = [p.requires_grad for p in module.parameters()]
    module.requires_grad_(False)
    try:
        yield
    finally:
        for p, flag in zip(module.parameters(), flags, strict=True):
            p.requires_grad_(flag)


def loss(
    objective: str, log_joint: LogJoint, head: Head, parameters: Tensor, n_draws: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The loss to minimise, a scalar, and the bound (B,) on log p(x) that the loss raises, detached.

    Only the gradient of the loss is meaningful. The bound is the mean of log w ("elbo") or the log of the mean of w.

    ``log_joint`` maps z (B, S, D) to log p(x, z) (B, S); ``parameters`` (B, P) of q, the ``head``, come from the
    encoder. ValueError for another objective, and for "dreg" with a mixture.
    """
    mixture = isinstance(head, GaussianMixture) and head.n_components > 1
    match objective:
        case "elbo" | "iwae":
            z, log_share = _stratified(head, parameters, n_draws, generator)
            if objective == "elbo":
                with frozen(head):
                    log_w = log_joint(z) - head.log_prob(parameters.detach(), z)
                bound = (log_share.exp() * log_w).sum(1)
            else:
                log_w = log_joint(z) - head.log_prob(parameters, z)
                bound = (log_share + log_w).logsumexp(1)
            return -bound.mean(), bound.detach()
        case "dreg":
            if mixture:
                raise ValueError(
                    'objective "dreg" needs a q that is reparametrised: with q="mixture" use "iwae" or "rws"'
                )
            z = head.sample(parameters, n_draws, generator)
            with frozen(head):
                log_w = log_joint(z) - head.log_prob(parameters.detach(), z)
            weights = log_w.detach().softmax(1)
            # through z the gradient carries the weight twice, to the model's parameters once
            z.register_hook(lambda grad: grad * weights[..., None])  # type: ignore[no-untyped-call]
            return -(weights * log_w).sum(1).mean(), log_mean_exp(log_w.detach())
        case "rws":
            with torch.no_grad():
                z = head.sample(parameters, n_draws, generator)
            log_p, log_q = log_joint(z), head.log_prob(parameters, z)
            log_w = (log_p - log_q).detach()
            weights = log_w.softmax(1)
            return -(weights * (log_p + log_q)).sum(1).mean(), log_mean_exp(log_w.detach())
    raise ValueError(f"objective must be one of {', '.join(map(repr, OBJECTIVES))}; got {objective!r}")


def _stratified(head: Head, parameters: Tensor, n_draws: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws (B, S, D) and the logs of their shares (B, S), such that E[sum_s share_s g(z_s)] = E_q[g]."""
    if not isinstance(head, GaussianMixture) or head.n_components == 1:
        z = head.sample(parameters, n_draws, generator)
        return z, z.new_full(z.shape[:2], -math.log(n_draws))
    b, c, d = parameters.shape[0], head.n_components, head.dim
    each = -(-n_draws // c)
    logits, mean, scale, lower = torch.split(parameters, [c, c * d, c * d, c * head.n_lower], -1)
    one = GaussianMixture(d, 1, full_rank=head.n_lower > 0)
    parts = [mean.reshape(b * c, d), scale.reshape(b * c, d), lower.reshape(b * c, head.n_lower)]
    single = torch.cat([mean.new_zeros(b * c, 1), *parts], -1)
    z = one.sample(single, each, generator).view(b, c * each, d)
    log_share = logits.log_softmax(-1) - math.log(each)
    return z, log_share.repeat_interleave(each, 1)
