"""Draws of (alpha, beta) that a network returns for a batch of datasets."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hbm_fast._typing import Key

LogTheta = Callable[[int], NDArray[np.float64]]  # of a group: (B, S, K); pickles


@dataclass(frozen=True)
class Draws:
    """Draws of a network for B datasets, in the user's order of the categories, float64."""

    log_alpha: Tensor  # (B, S)
    log_beta: Tensor  # (B, S, K)
    log_weight: Tensor | None  # (B, S): log p(x, z) - log q(z | x), without the multinomial coefficients
    log_theta: LogTheta | None = None
    log_likelihood: Tensor | None = None  # (B, S), where there are weights
    # of datasets r (R,) at other points, log alpha (R, M) and log beta (R, M, K): the log-likelihood (R, M), and the
    # log density of q relative to the prior
    at: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]] | None = None

    @staticmethod
    def gathered(parts: "Iterable[Draws]", n_datasets: int) -> "Draws":
        """The draws of consecutive datasets as one; parts are freed as they are copied."""
        whole: dict[str, Tensor] = {}
        thetas: list[LogTheta] = []
        begin = 0
        for part in parts:
            end = begin + len(part.log_alpha)
            for name in ("log_alpha", "log_beta", "log_weight"):
                values = getattr(part, name)
                if values is None:
                    continue
                if name not in whole:  # memory of numpy is in large pages; torch's takes four times as long to fill
                    whole[name] = torch.from_numpy(np.empty((n_datasets, *values.shape[1:])))
                whole[name][begin:end] = values
            if part.log_theta is not None:
                thetas.append(part.log_theta)
            begin = end
        theta = partial(_concatenated, thetas) if thetas else None
        return Draws(whole["log_alpha"], whole["log_beta"], whole.get("log_weight"), theta)


def one_chain(log_theta: LogTheta, batch: bool, group: int) -> NDArray[np.float64]:
    """``theta_draws`` of a `Posterior`: log theta as one chain, (B, 1, S, K) or, without a batch, (1, S, K)."""
    values = log_theta(group)[:, None]
    return values if batch else values[0]


def _concatenated(parts: Sequence[LogTheta], group: int) -> NDArray[np.float64]:
    return np.concatenate([part(group) for part in parts])


def generator(key: Key) -> torch.Generator:
    """The generator of a network's draws."""
    return torch.Generator().manual_seed(int(key[0] >> np.uint64(1)))
