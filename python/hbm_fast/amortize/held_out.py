"""Held-out figures of a network while it trains: cheap, for any K."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from hbm_fast.nn.data import TrainingStream


def held_out(
    network: Any, streams: Sequence[TrainingStream], n_datasets: int = 100, n_draws: int = 300
) -> Callable[[], dict[str, float]]:
    """KL(exact || q) and the effective share, means over fixed datasets of another key.

    With draws of q and w = p(z, x) / (q(z | x) Z), KL(p || q) = E_q[w log w] = E_q[w log w - w + 1], whose terms are
    never negative; Z is the mean of the same weights.
    """
    data = [stream.block(0, n_datasets // len(streams)).counts for stream in streams]

    def figures() -> dict[str, float]:
        generator = torch.Generator().manual_seed(0)
        drawn = [network.draw(counts.numpy(), n_draws, generator, weigh=True) for counts in data if counts is not None]
        log_ratio = torch.cat([draws.log_weight for draws in drawn])
        log_w = log_ratio - torch.logsumexp(log_ratio, 1, keepdim=True) + float(np.log(n_draws))
        w = log_w.exp()
        kl = (w * log_w - w + 1.0).mean(1)
        return {
            "kl": float(kl.mean()),
            "kl_error": float(kl.std() / kl.numel() ** 0.5),
            "ess_share": float((w.sum(1).square() / w.square().sum(1)).mean() / n_draws),
        }

    return figures
