"""Features of a dataset: functions of its exceedances, which are sufficient for (alpha, beta) and of fixed shape.

c_kj is the number of groups with x_nk > j, for each category k and j >= 0, and d_j that of the totals. Their shape does
not depend on the number of groups; groups with total 0 change nothing. So there are no masks and no padding.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ExceedanceInput:
    """Map exceedances (B, K + 1, J) to features (B, F): log(1 + c), log(1 + d), c / (d + 1/2) and d / (d_0 + 1/2).

    ``canonical`` orders the categories by their number of draws, the largest first. Right when the prior is
    exchangeable: the posterior is then permuted with the categories, and the network is trained on one order only.
    """

    n_categories: int
    max_total: int
    canonical: bool = True

    @property
    def n_features(self) -> int:
        """F."""
        return (2 * self.n_categories + 2) * self.max_total

    def order(self, exceedances: Tensor) -> Tensor | None:
        """(B, K): position p of the network is category ``order[:, p]``; None where the order is the user's."""
        if not self.canonical:
            return None
        # the sum of the counts, ties broken by the sum of their squares
        squares = torch.arange(1.0, 2.0 * self.max_total, 2.0, dtype=torch.float64)
        counts = exceedances[:, :-1].double()
        key = counts.sum(-1) + (counts @ squares) / 1e9
        return torch.argsort(key, dim=-1, descending=True, stable=True)

    def ordered(self, exceedances: Tensor, order: Tensor | None) -> Tensor:
        """The exceedances with their categories in the network's order."""
        if order is None:
            return exceedances
        rows = torch.cat([order, torch.full_like(order[:, :1], self.n_categories)], -1)
        return torch.gather(exceedances, 1, rows[:, :, None].expand(-1, -1, exceedances.shape[-1]))

    def features(self, exceedances: Tensor) -> Tensor:
        """(B, K + 1, J) in the network's order -> (B, F)."""
        b, k = exceedances.shape[0], self.n_categories
        out = exceedances.new_empty(b, 2 * k + 2, self.max_total)
        torch.log1p(exceedances, out=out[:, : k + 1])
        totals = exceedances[:, k:]
        torch.div(exceedances[:, :k], totals + 0.5, out=out[:, k + 1 : 2 * k + 1])
        torch.div(totals, totals[:, :, :1] + 0.5, out=out[:, 2 * k + 1 :])
        return out.view(b, -1)


def to_user_order(values: Tensor, order: Tensor | None) -> Tensor:
    """(B, ..., K) in the network's order -> the user's order."""
    return values if order is None else torch.empty_like(values).scatter_(-1, _expanded(order, values), values)


def to_network_order(values: Tensor, order: Tensor | None) -> Tensor:
    """(B, ..., K) in the user's order -> the network's order."""
    return values if order is None else torch.gather(values, -1, _expanded(order, values))


def _expanded(order: Tensor, values: Tensor) -> Tensor:
    return order.view(order.shape[0], *(1,) * (values.ndim - 2), order.shape[1]).expand_as(values)
