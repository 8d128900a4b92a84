"""The model with the interfaces of sbi: a prior on unconstrained coordinates and a batched simulator.

The coordinates are (log alpha, log(beta_1 / beta_K), ..., log(beta_{K-1} / beta_K)), of dimension K. Both draw their
key from torch's global generator when they are called, so that sbi's ``seed=`` determines the draws.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hbm_fast import simulation
from hbm_fast._optional import missing_extra
from hbm_fast._typing import Key
from hbm_fast.models import HierarchicalModel, check_hierarchical, known_concentration
from hbm_fast.priors import FixedBeta

try:
    import torch
    from torch.distributions import Distribution, constraints
except ImportError:
    raise missing_extra("torch", "amortize") from None

__all__ = ["Prior", "Simulator", "log_beta"]


class Prior(Distribution):
    """The prior of (alpha, beta) on the unconstrained coordinates, with its density.

    Parameters
    ----------
    model : HierarchicalModel
        With a prior, not a fixed value, for both alpha and beta.

    Raises
    ------
    ValueError
        If alpha or beta is fixed: it has no density then.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> from hbm_fast.integrations.sbi import Prior
    >>> prior = Prior(hbm.HierarchicalModel(3))
    >>> prior.log_prob(prior.sample((5,))).shape
    torch.Size([5])
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012
    support = constraints.real_vector
    has_rsample = False

    def __init__(self, model: HierarchicalModel) -> None:
        check_hierarchical(model, "Prior")
        if model.alpha.kind == "fixed" or isinstance(model.beta, FixedBeta):
            raise ValueError(f"Prior needs a prior for alpha and for beta; got {model}")
        known_concentration(model, "Prior", "Use hbm.sample")
        self.model = model
        concentration = np.broadcast_to(np.asarray(model.beta.concentration, dtype=np.float64), (model.n_categories,))
        self._concentration = torch.tensor(concentration)
        super().__init__(torch.Size(), torch.Size([model.n_categories]), validate_args=False)

    def sample(self, sample_shape: Any = ()) -> torch.Tensor:
        """Draws of shape ``(*sample_shape, K)``, float32."""
        shape = torch.Size(sample_shape)
        sims = simulation.simulate(
            self.model, shape.numel(), n_groups=1, totals=0, rng=_key(), theta=False, counts=False, n_threads=1
        )
        ratios = sims.log_beta[:, :-1] - sims.log_beta[:, -1:]
        draws = np.concatenate([sims.log_alpha[:, None], ratios], axis=1)
        return torch.from_numpy(draws).float().reshape(*shape, -1)

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        """Log density of (..., K) coordinates, in their dtype."""
        log_alpha = value[..., 0].detach().cpu().double().numpy()
        alpha_part = torch.from_numpy(self.model.alpha.log_density(log_alpha))
        c = self._concentration
        # the Jacobian of the log ratios is the product of the betas: every exponent c - 1 becomes c
        beta_part = (c * log_beta(value)).sum(-1) + torch.lgamma(c.sum()) - torch.lgamma(c).sum()
        return (alpha_part.to(beta_part) + beta_part).to(value.dtype)

    @property
    def mean(self) -> torch.Tensor:
        """By simulation: 100,000 draws at a fixed key."""
        return self._moments()[0]

    @property
    def variance(self) -> torch.Tensor:
        """By simulation: 100,000 draws at a fixed key."""
        return self._moments()[1]

    def _moments(self) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            draws = self.sample((100_000,)).double()
        return draws.mean(0).float(), draws.var(0).float()


def log_beta(coordinates: torch.Tensor) -> torch.Tensor:
    """log beta (..., K), float64, from coordinates (..., K)."""
    ratios = coordinates[..., 1:].double()
    return torch.log_softmax(torch.cat([ratios, torch.zeros_like(ratios[..., :1])], dim=-1), dim=-1)


class Simulator:
    """Data ``(n, *event)``, float32, simulated from coordinates (n, K) in one call.

    Pass it to ``simulate_for_sbi(..., num_workers=1, simulation_batch_size=None)``; otherwise sbi calls it row by row.

    Parameters
    ----------
    model : HierarchicalModel
    n_groups, totals : int or (low, high)
        As in `hbm_fast.simulate`.
    output : {"statistics", "counts"}, default "statistics"
        The exceedance counts, flattened to (n, (K + 1) * J), which are sufficient for alpha and beta; or the counts
        (n, N, K).
    n_threads : int, optional

    Raises
    ------
    ValueError
        For another ``output``, or coordinates that do not have K columns.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> from hbm_fast.integrations.sbi import Prior, Simulator
    >>> model = hbm.HierarchicalModel(2)
    >>> Simulator(model, n_groups=21, totals=20)(Prior(model).sample((7,))).shape
    torch.Size([7, 60])
    """

    def __init__(
        self,
        model: HierarchicalModel,
        *,
        n_groups: int | tuple[int, int],
        totals: int | tuple[int, int],
        output: Literal["statistics", "counts"] = "statistics",
        n_threads: int | None = None,
    ) -> None:
        if output not in ("statistics", "counts"):
            raise ValueError(f'output must be "statistics" or "counts"; got {output!r}')
        check_hierarchical(model, "Simulator")
        self.model = model
        self._settings: dict[str, Any] = {"n_groups": n_groups, "totals": totals, "n_threads": n_threads}
        self._output = output

    def __call__(self, coordinates: torch.Tensor | NDArray[Any]) -> torch.Tensor:
        """One dataset for each row."""
        values = torch.as_tensor(coordinates).detach().cpu()
        k = self.model.n_categories
        if values.shape[-1] != k or values.ndim != 2:
            raise ValueError(f"coordinates must have shape (n, K) with K = {k}; got {tuple(values.shape)}")
        statistics = self._output == "statistics"
        sims = simulation.simulate(
            self.model,
            len(values),
            rng=_key(),
            alpha=values[:, 0].double().exp().clamp(1e-300, 1e300).numpy(),
            beta=log_beta(values).exp().numpy(),
            theta=False,
            counts=not statistics,
            statistics=statistics,
            **self._settings,
        )
        data = sims.statistics if statistics else sims.counts
        tensor = torch.from_numpy(data).float()
        return tensor.reshape(len(values), -1) if statistics else tensor


def _key() -> Key:
    words = torch.randint(-(2**63), 2**63 - 1, (2,), dtype=torch.int64)
    return words.numpy().view(np.uint64)
