"""(alpha, beta) in coordinates in which the prior is exactly N(0, I).

The posterior is then N(0, I) times a bounded likelihood: no heavy tail, no boundary, nothing for a network to learn
about the prior. alpha takes one coordinate; beta takes K - 1, by breaking a stick: v_k = beta_k / (1 - beta_1 - ... -
beta_(k-1)) are independent Beta variates when beta is Dirichlet.
"""

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from hbm_fast import priors
from hbm_fast.models import HierarchicalModel
from hbm_fast.nn.transforms import Transport, alpha_transport, beta_transport, log_shares


class Coordinates:
    """The map between (log alpha, log beta) and z, float64.

    Parameters
    ----------
    model : HierarchicalModel
        Its priors; what is fixed there takes no coordinate.

    Raises
    ------
    ValueError
        If nothing is left to infer.

    Examples
    --------
    >>> import torch, hbm_fast as hbm
    >>> from hbm_fast.nn.coordinates import Coordinates
    >>> c = Coordinates(hbm.HierarchicalModel(2))
    >>> log_alpha, log_beta = c.from_z(torch.zeros(1, 2, dtype=torch.float64))
    >>> [round(float(v), 4) for v in (log_alpha.exp(), *log_beta.exp()[0])]
    [0.6931, 0.5, 0.5]
    """

    def __init__(self, model: HierarchicalModel) -> None:
        self.model = model
        self.n_categories = model.n_categories
        self._alpha = None if isinstance(model.alpha, priors.Fixed) else alpha_transport(model.alpha)
        n_sticks = model.n_categories - 1 if isinstance(model.beta, priors.Dirichlet) else 0
        self.dim = (self._alpha is not None) + n_sticks
        if self.dim == 0:
            raise ValueError("the model fixes alpha and beta: there is nothing to infer")

    def __reduce__(self) -> tuple[type["Coordinates"], tuple[HierarchicalModel]]:
        return Coordinates, (self.model,)  # the transports are made again: closures cannot be pickled

    @cached_property
    def _sticks(self) -> list[Transport]:
        # when they are first needed: a file is checked before any work that grows with its number of categories
        if not isinstance(self.model.beta, priors.Dirichlet):
            return []
        c = np.broadcast_to(np.asarray(self.model.beta.concentration, dtype=np.float64), (self.n_categories,))
        rest = np.cumsum(c[::-1])[::-1]
        return [beta_transport(float(a), float(b)) for a, b in zip(c[:-1], rest[1:], strict=True)]

    @property
    def exchangeable(self) -> bool:
        """Whether the prior treats all categories alike, so that their order may be chosen freely."""
        beta = self.model.beta
        if isinstance(beta, priors.FixedBeta):
            return len(set(beta.value)) == 1
        return not isinstance(beta.concentration, tuple) or len(set(beta.concentration)) == 1

    def to_z(self, log_alpha: Tensor, log_beta: Tensor) -> Tensor:
        """(...), (..., K) -> (..., dim)."""
        parts = [] if self._alpha is None else [self._alpha.to_z(log_alpha)]
        if self._sticks:
            # log of what is left behind category k, by sums from the smallest end
            tail = torch.logcumsumexp(log_beta.flip(-1), -1).flip(-1)
            parts += [stick.to_z(log_beta[..., k] - tail[..., k + 1]) for k, stick in enumerate(self._sticks)]
        return torch.stack(parts, -1)

    def from_z(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """(..., dim) -> (...), (..., K)."""
        z = z.double()
        if self._alpha is None:
            log_alpha = torch.full(z.shape[:-1], float(np.log(self.model.alpha.value)), dtype=torch.float64)  # type: ignore[attr-defined]
            first = 0
        else:
            log_alpha, first = self._alpha.from_z(z[..., 0]), 1
        if not self._sticks:
            log_beta = torch.log(torch.tensor(self.model.beta.value, dtype=torch.float64))  # type: ignore[union-attr]
            return log_alpha, log_beta.expand(*z.shape[:-1], self.n_categories)
        # column by column: torch.stack copies element by element
        log_beta = z.new_empty(*z.shape[:-1], self.n_categories)
        log_beta[..., 0], left = log_shares(self._sticks[0], z[..., first])
        for k, stick in enumerate(self._sticks[1:], start=1):
            here, beyond = log_shares(stick, z[..., first + k])
            log_beta[..., k] = left + here
            left = left + beyond
        log_beta[..., -1] = left
        return log_alpha, log_beta
