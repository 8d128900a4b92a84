"""DatasetEmbedding: a learned model z -> theta of whole datasets, that draws a posterior of z given their bags."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hbm_fast import _memory, _validate, errors
from hbm_fast._random import key as new_key
from hbm_fast._typing import CountsLike, Floats, RNGLike
from hbm_fast.embedding import proposals
from hbm_fast.embedding.bags import Bags, Shape, as_bags
from hbm_fast.embedding.dataset_network import DatasetNetwork
from hbm_fast.embedding.dataset_posterior import DatasetPosterior
from hbm_fast.embedding.latent_model import LatentModel
from hbm_fast.errors import ConvergenceWarning
from hbm_fast.models import HierarchicalModel
from hbm_fast.nn.draws import generator
from hbm_fast.nn.estimator import Correct
from hbm_fast.nn.importance import HIGHEST_K, weigh
from hbm_fast.nn.proposal import log_gamma
from hbm_fast.nn.training import torch_threads

LOWEST_SHARE = 0.1  # effective share of q's weights below which draws at the mode replace them
PRIOR_DRAWS = 1024
_CHUNK = 2_000_000  # concentrations at once


@dataclass(repr=False)
class DatasetEmbedding(LatentModel):
    """A learned model z -> theta of whole datasets, whose bags share theta, with its network q(z | x).

    Attributes
    ----------
    network : DatasetNetwork
    settings : dict
        Arguments that the network was built with.
    names : tuple of str
        Of the datasets that it was trained on.
    training : dict
        Steps, key, seconds, versions.
    metrics : dict
        Of the held-out datasets: ``"log_evidence"`` a bag, the mean for the first 1, 5 and 20 bags, and
        ``"dirichlet_log_evidence"``, the same of a fitted Dirichlet; and ``"ess_share_1"``, ``_5`` and ``_20``, the
        effective share of q's importance weights.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> data = hbm.simulate(hbm.HierarchicalModel(3), 50, n_groups=6, totals=20, rng=0).counts
    >>> emb = hbm.embedding.train(data=data, shared="dataset", dim=2, steps=20, rng=0)
    >>> emb.sample([[5, 0, 1], [4, 1, 0]], rng=0).predict().shape
    (3,)
    """

    _warned: bool = field(default=False, init=False, compare=False)

    @staticmethod
    def build(model: HierarchicalModel | None, header: dict[str, Any]) -> DatasetNetwork:
        return DatasetNetwork(**{name: value for name, value in header["settings"].items() if name != "shared"})

    def __repr__(self) -> str:
        metrics = "".join(f", {name}={value:.4g}" for name, value in self.metrics.items())
        contexts = f"contexts={self.shape[0]}, " if len(self.shape) > 1 else ""
        size = f"{contexts}K={self.n_categories}, dim={self.dim}, {len(self.names)} training datasets"
        return f"DatasetEmbedding({size}{metrics})"

    @property
    def shape(self) -> Shape:
        """Shape of a bag: (K,), or with contexts (C, K)."""
        contexts = self.settings["n_contexts"]
        return (self.n_categories,) if contexts is None else (contexts, self.n_categories)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the training datasets."""
        return tuple(self.training["names"])

    @property
    def places(self) -> Floats:
        """Mode of z of each training dataset, (B, dim)."""
        return np.asarray(self.network.places.double().numpy())

    @cached_property
    def prior_concentration(self) -> Floats:
        """f(z) at 1,024 draws of the prior, the same at each call, (1024, C, K)."""
        _memory.check_fits(8 * PRIOR_DRAWS * int(np.prod(self.shape)), f"f at {PRIOR_DRAWS} draws of the prior")
        seeded = torch.Generator().manual_seed(0)
        return self.concentrations(torch.randn(PRIOR_DRAWS, self.dim, generator=seeded, dtype=torch.float64))

    def sample(
        self,
        counts: CountsLike | Sequence[CountsLike],
        *,
        n_draws: int = 512,
        rng: RNGLike = None,
        correct: Correct = "auto",
        n_threads: int | None = 1,
        dataset_names: Sequence[str] | None = None,
    ) -> DatasetPosterior:
        """Draw z given the bags of a dataset.

        Parameters
        ----------
        counts : array_like of whole numbers, a table, or a list of them
            Bags (N, K), or with contexts (N, C, K), are one dataset; (B, N, K), (B, N, C, K) or a list of datasets are
            a batch.
        n_draws : int
        rng : None, int, SeedSequence, BitGenerator or Generator
        correct : {"auto", True, False}
            False: q's own draws. True: with importance weights. "auto": the same where the weights are even enough, or
            else weighted draws of a Student t at the mode.
        n_threads : int, optional
            Of torch. One is fastest for a few datasets; None uses all.
        dataset_names : sequence of B str, optional
            Kept in the result.

        Returns
        -------
        DatasetPosterior

        Raises
        ------
        TypeError, ValueError
            For bags of another shape, and a dataset without a bag that has counts.
        MemoryError
            For more draws than the machine can hold.

        Warns
        -----
        ConvergenceWarning
            Where weights are too uneven to trust; once for each embedding.
        """
        if correct not in (True, False, "auto"):
            raise ValueError(f'correct must be "auto", True or False; got {correct!r}')
        n_draws = _validate.positive_int(n_draws, "n_draws")
        bags, batch = self._datasets(counts)
        names = _validate.names(dataset_names, "dataset_names", len(bags))
        size = int(np.prod(self.shape))
        _memory.check_fits(8 * n_draws * (3 * size + len(bags) * (self.dim + 2)), f"n_draws = {n_draws}")
        pooled = self._with_context(bags.pooled())
        draws = generator(new_key(rng))
        path = np.full(len(bags), "network" if correct is False else "importance", dtype="<U10")
        with torch_threads(_validate.threads(n_threads)):
            z, log_ratio = self.q_draws(pooled, n_draws, draws)
            if correct == "auto":
                weights = weigh(log_ratio.numpy())
                uneven = np.flatnonzero((weights.share < LOWEST_SHARE) | (weights.pareto_k >= HIGHEST_K))
                if uneven.size:
                    path[uneven] = "mode"
                    found = self.modes(pooled[uneven])
                    z[uneven], log_ratio[uneven] = self.mode_draws(pooled[uneven], found, n_draws, draws)
        weights = weigh(np.zeros(log_ratio.shape) if correct is False else log_ratio.numpy())
        coefficients = self._log_coefficients(bags)
        details: dict[str, Any] = {"path": path, "ess_share": weights.share, "pareto_k": weights.pareto_k}
        evidence, error = weights.log_evidence + coefficients, weights.log_evidence_error
        if correct is False:
            evidence, error = np.full(len(bags), np.nan), np.full(len(bags), np.nan)
        self._warn(weights.pareto_k)
        return DatasetPosterior(
            self,
            z.numpy(),
            weights.log_weights,
            pooled,
            tuple(cells.n_bags for cells in bags.cells),
            batch,
            evidence if batch else float(evidence[0]),
            error if batch else float(error[0]),
            details if batch else {name: value[0] for name, value in details.items()},
            names,
        )

    # inside ---------------------------------------------------------------------------------------------------------
    @torch.no_grad()
    def concentrations(self, z: Tensor) -> Floats:
        """f(z) in float64, (S, dim) -> (S, C, K)."""
        return np.asarray(self.exact.log_concentration(z.double()).exp().numpy())

    @torch.no_grad()
    def q_draws(self, pooled: NDArray[np.int64], n_draws: int, draws: torch.Generator) -> tuple[Tensor, Tensor]:
        """z (B, S, dim) of q, and log p(x, z) - log q(z | x) (B, S), in float64."""
        z, ratios = [], []
        for counts in self._parts(pooled, n_draws):
            parameters = self.network.encoder(self.network.features(counts))
            drawn = self.network.head.sample(parameters, n_draws, draws)
            z.append(drawn.double())
            ratios.append(self.exact.log_joint(counts, z[-1]) - self.network.head.log_density(parameters, drawn))
        return torch.cat(z), torch.cat(ratios)

    def mode_draws(
        self, pooled: NDArray[np.int64], modes: Tensor, n_draws: int, draws: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """z (B, S, dim) of a Student t at the modes (B, dim), and log p(x, z) less its log density (B, S)."""
        parts = self._parts(pooled, max(n_draws, 2 * self.dim + 1))
        pairs = [
            proposals.student_t(lambda z, x=counts: self.exact.log_joint(x, z), mode, n_draws, draws)  # type: ignore[misc]
            for counts, mode in zip(parts, torch.split(modes, len(parts[0])), strict=True)
        ]
        z, ratios = zip(*pairs, strict=True)
        return torch.cat(z), torch.cat(ratios)

    def modes(self, pooled: NDArray[np.int64], start: Tensor | None = None) -> Tensor:
        """Mode of z of each dataset, (B, C, K) -> (B, dim), searched from ``start``, by default the mean of q."""
        parts = self._parts(pooled, 2 * self.dim + 1)
        starts = map(self._q_mean, parts) if start is None else torch.split(start, len(parts[0]))
        found = [
            proposals.find_mode(lambda z, x=counts: self.exact.log_joint(x, z), at)  # type: ignore[misc]
            for counts, at in zip(parts, starts, strict=True)
        ]
        return torch.cat(found)

    @torch.no_grad()
    def _q_mean(self, counts: Tensor) -> Tensor:
        parameters = self.network.encoder(self.network.features(counts))
        return self.network.head.unpack(parameters)[1][:, 0].double()  # type: ignore[no-any-return]

    def _parts(self, pooled: NDArray[np.int64], n_draws: int) -> list[Tensor]:
        chunks = _memory.chunks(len(pooled), n_draws * int(np.prod(pooled.shape[1:])), _CHUNK)
        return [torch.from_numpy(pooled[chunk]) for chunk in chunks]

    def _with_context(self, pooled: NDArray[np.int64]) -> NDArray[np.int64]:
        return pooled.reshape(len(pooled), -1, self.n_categories)

    def _datasets(self, counts: Any) -> tuple[Bags, bool]:
        """The bags of each dataset, and whether they were given as a batch."""
        bag = len(self.shape)
        listed = isinstance(counts, list | tuple) and len(counts) > 0
        first = counts[0] if listed else counts
        dims = (np.ndim(first) if isinstance(first, list | tuple | np.ndarray) else 2) + listed
        if dims not in (bag + 1, bag + 2):
            wanted = "N, K" if bag == 1 else "N, C, K"
            raise ValueError(
                f"counts must have shape ({wanted}) for one dataset or (B, {wanted}) for a batch, here with bags of "
                f"shape {self.shape}; got {dims} dimensions"
            )
        batch = dims == bag + 2
        if not batch and isinstance(counts, list | tuple):
            counts = np.asarray(counts)
        return as_bags(counts if batch else [counts], "counts", self.shape), batch

    def _log_coefficients(self, bags: Bags) -> Floats:
        """Sum over the bags of each dataset of the log multinomial coefficients."""
        values = []
        for cells in bags.cells:
            row = cells.bag * (bags.size // self.n_categories) + cells.place // self.n_categories
            totals = np.asarray(np.bincount(row, cells.count), np.float64)
            values.append(float(np.sum(log_gamma(totals + 1.0)) - np.sum(log_gamma(cells.count + 1.0))))
        return np.array(values)

    def _warn(self, pareto_k: Floats) -> None:
        heavy = (pareto_k > HIGHEST_K) & (pareto_k < np.inf)
        if heavy.any() and not self._warned:
            self._warned = True
            errors.warn(
                f"Pareto's k of the importance weights exceeds {HIGHEST_K}: results and log_evidence_error are not "
                'reliable for such datasets; pass correct="auto" and more draws (n_draws). This is said once for an '
                'embedding; details["pareto_k"] has k of each dataset',
                ConvergenceWarning,
            )
