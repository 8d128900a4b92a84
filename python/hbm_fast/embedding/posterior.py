"""EmbeddingPosterior: draws of z, with the Dirichlet f(z) from which the groups are drawn."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _core, _validate
from hbm_fast._typing import Floats, Key
from hbm_fast.models import HierarchicalModel
from hbm_fast.nn.draws import one_chain
from hbm_fast.nn.importance import Weights
from hbm_fast.nn.likelihood import group_log_likelihood
from hbm_fast.posterior import Posterior

_NEW_COMPONENT = 2**64 - 3  # random stream of the component of a group that was not observed


class EmbeddingPosterior(Posterior):
    """A `Posterior` whose (alpha, beta) are those of Dirichlet(f(z)): alpha is the sum of f(z), beta f(z) over alpha.

    For a mixture of Dirichlets, (alpha, beta) are those of one component for every draw of z, drawn as for a new group;
    the component of an observed group is drawn given that group's counts.

    Attributes
    ----------
    z : (C, D, dim) or (B, C, D, dim)

    Examples
    --------
    ``save`` and ``to_arviz`` keep z and the mixture; ``EmbeddingPosterior.load`` reads the file.

    >>> import tempfile, pathlib
    >>> import hbm_fast as hbm
    >>> post = hbm.embedding.load("marbles").sample([[3, 0], [0, 4]], n_draws=100, rng=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     post.save(pathlib.Path(folder) / "bags.nc")
    ...     again = hbm.embedding.EmbeddingPosterior.load(pathlib.Path(folder) / "bags.nc")
    >>> bool((again.z == post.z).all())
    True
    """

    # the last two only of a mixture
    latent_dims: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "z": ("latent",),
        "log_component_weight": ("component",),
        "log_concentration": ("component", "category"),
    }

    @property
    def z(self) -> Floats:
        """(C, D, dim) or (B, C, D, dim)."""
        return self.latent["z"]

    @property
    def _mixture(self) -> tuple[Floats, Floats] | None:
        """Log weights (B, S, M) and log concentrations (B, S, M, K) of a mixture of Dirichlets."""
        if "log_concentration" not in self.latent:
            return None
        shape = self._flat_alpha().shape
        weight, concentration = self.latent["log_component_weight"], self.latent["log_concentration"]
        return weight.reshape(*shape, -1), concentration.reshape(*shape, -1, self.n_categories)

    @classmethod
    def build(
        cls,
        z: Floats,
        log_weight: Floats,
        log_a: Floats,
        *,
        counts: NDArray[Any],
        batch: bool,
        weights: Weights | None,
        log_coefficient: Floats,
        path: NDArray[Any],
        model: HierarchicalModel,
        key: Key,
        category_names: Sequence[str] | None = None,
        group_names: Sequence[str] | None = None,
        dataset_names: Sequence[str] | None = None,
    ) -> "EmbeddingPosterior":
        """Build from draws z (B, S, dim) and f of them: log weights (B, S, M) and log concentrations (B, S, M, K)."""
        latent, theta = {"z": z}, None
        if log_a.shape[-2] > 1:
            latent |= {"log_component_weight": log_weight, "log_concentration": log_a}
            theta = partial(one_chain, partial(_mixture_log_theta, log_weight, log_a, counts, key), batch)
            chosen = _choose(log_weight, key, _NEW_COMPONENT)
        else:
            chosen = np.zeros(z.shape[:2], dtype=np.int64)
        log_alpha, log_beta = _alpha_beta(log_a, chosen)

        def shaped(values: Any) -> Any:
            return values if batch else values[0]

        details: dict[str, Any] = {"path": path}
        if weights is not None:
            details |= {"ess_share": weights.share, "pareto_k": weights.pareto_k}
        return cls(
            shaped(log_alpha[:, None]),
            shaped(log_beta[:, None]),
            model=model,
            counts=shaped(counts),
            log_weights=None if weights is None else shaped(weights.log_weights[:, None]),
            log_evidence=None if weights is None else shaped(weights.log_evidence + log_coefficient),
            log_evidence_error=None if weights is None else shaped(weights.log_evidence_error),
            method="embedding",
            details={name: shaped(value) for name, value in details.items()},
            key=key,
            theta_draws=theta,
            latent={name: shaped(value[:, None]) for name, value in latent.items()},
            category_names=category_names,
            group_names=group_names,
            dataset_names=dataset_names,
        )

    def log_predictive(
        self, new_counts: ArrayLike, *, jointly: bool = False, coefficient: bool = True, return_ess: bool = False
    ) -> Any:
        """As `Posterior.log_predictive`; for a mixture of Dirichlets only group by group.

        Raises
        ------
        ValueError
            For ``jointly=True`` with a mixture: each new group has its own component.
        """
        if jointly and self._mixture is not None:
            raise ValueError("jointly must be False for a mixture of Dirichlets: score the groups one by one")
        return super().log_predictive(new_counts, jointly=jointly, coefficient=coefficient, return_ess=return_ess)

    def log_likelihood(self, *, coefficient: bool = True) -> Floats:
        """Pointwise log-likelihood of every group under every draw of z, as `Posterior.log_likelihood`."""
        if self._mixture is None:
            return super().log_likelihood(coefficient=coefficient)
        rows = torch.from_numpy(self._data().astype(np.int64)).reshape(self._datasets.size, -1, self.n_categories)
        value = group_log_likelihood(rows, *(torch.from_numpy(part) for part in self._mixture)).numpy()
        if coefficient:
            x = rows.double()
            value = value + (torch.lgamma(x.sum(-1) + 1.0) - torch.lgamma(x + 1.0).sum(-1)).numpy()[:, None]
        return np.asarray(value.reshape(*self.log_alpha.shape, rows.shape[1]))


def _alpha_beta(log_a: Floats, chosen: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """(B, S, M, K) and the chosen component (B, S) -> log alpha (B, S), log beta (B, S, K)."""
    picked = torch.from_numpy(np.take_along_axis(log_a, chosen[..., None, None], axis=2)[:, :, 0])
    log_alpha = picked.logsumexp(-1)
    return log_alpha.numpy(), (picked - log_alpha[..., None]).numpy()


def _choose(log_weight: Floats, key: Key, code: int) -> NDArray[np.int64]:
    """Draw one component for each draw, (B, S, M) -> (B, S); the same at each call."""
    generator = np.random.default_rng([*key.tolist(), code])
    edges = np.exp(log_weight).cumsum(-1)[..., :-1]
    u = generator.random(log_weight.shape[:2])
    return np.asarray((u[..., None] > edges).sum(-1))


def _mixture_log_theta(
    log_weight: Floats, log_concentration: Floats, counts: NDArray[Any], key: Key, group: int
) -> Floats:
    """log theta (B, S, K) of an observed group: its component given its counts, then Dirichlet(a + x).

    From log weights (B, S, M), log concentrations (B, S, M, K) and counts (B, N, K).
    """
    rows = np.ascontiguousarray(counts[:, group], dtype=np.int64)
    log_w, log_a = torch.from_numpy(log_weight), torch.from_numpy(log_concentration)
    given = torch.from_numpy(rows)[:, None]
    parts = [
        group_log_likelihood(given, torch.zeros_like(log_w[..., :1]), log_a[:, :, i : i + 1])[..., 0]
        for i in range(log_a.shape[-2])
    ]
    responsibility = (log_w + torch.stack(parts, -1)).log_softmax(-1).numpy()
    log_alpha, log_beta = _alpha_beta(log_concentration, _choose(responsibility, key, group))
    out = np.empty_like(log_beta)
    datasets = np.arange(rows.shape[0], dtype=np.uint64)
    _core.prediction.draw_log_theta(log_alpha, log_beta, rows, key, group, datasets, out, _validate.threads(None))
    return out
