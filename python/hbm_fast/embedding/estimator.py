"""Embedding: a learned model z -> theta that draws a posterior of z given counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from hbm_fast import _memory, _validate, errors
from hbm_fast._random import key as new_key
from hbm_fast._typing import CountsLike, Floats, RNGLike
from hbm_fast.embedding import latent_grid, proposals
from hbm_fast.embedding.latent_model import LatentModel
from hbm_fast.embedding.network import EmbeddingNetwork
from hbm_fast.embedding.posterior import EmbeddingPosterior
from hbm_fast.errors import ConvergenceWarning
from hbm_fast.models import HierarchicalModel
from hbm_fast.nn.draws import generator
from hbm_fast.nn.estimator import Correct, check_arguments
from hbm_fast.nn.importance import HIGHEST_K, Weights, log_coefficient, weigh
from hbm_fast.nn.training import memory_for, torch_threads
from hbm_fast.sufficient_statistics import exceedance_counts, group_totals

_CHUNK = 8_000  # (dataset, draw) pairs at once: their arrays of logarithms fit in the cache


@dataclass
class Embedding(LatentModel):
    """A learned model z -> theta with its network q(z | x).

    Attributes
    ----------
    network : EmbeddingNetwork
    model : HierarchicalModel or None
        Of the simulated datasets it was trained on; None where it was trained on given datasets.
    settings : dict
        Arguments that the network was built with.
    n_groups, totals : (low, high)
        The range it was trained on.
    training : dict
        Steps, key, seconds, versions.
    metrics : dict
        Held-out metrics at the end of the training.
    state : State or None
        What a later training goes on from.
    """

    @staticmethod
    def build(model: HierarchicalModel | None, header: dict[str, Any]) -> EmbeddingNetwork:
        return EmbeddingNetwork(**header["settings"])

    @property
    def n_components(self) -> int:
        """Number of Dirichlet components of theta given z."""
        return int(self.network.generative.n_components)

    def __repr__(self) -> str:
        link = self.network.generative.link
        metrics = "".join(f", {name}={value:.4g}" for name, value in self.metrics.items())
        size = f"K={self.n_categories}, dim={self.dim}, link={link!r}, components={self.n_components}"
        return f"Embedding({size}{metrics})"

    # inference ------------------------------------------------------------------------------------------------------
    def sample(
        self,
        counts: CountsLike | Sequence[CountsLike],
        *,
        n_draws: int = 1000,
        rng: RNGLike = None,
        correct: Correct = "auto",
        n_threads: int | None = None,
        category_names: Sequence[str] | None = None,
        group_names: Sequence[str] | None = None,
        dataset_names: Sequence[str] | None = None,
        layer: str | None = None,
    ) -> EmbeddingPosterior:
        """Draw z given the counts.

        Parameters
        ----------
        counts : array_like of whole numbers (N, K) or (B, N, K), a table, or a list of (N_b, K)
            A table is what `hbm_fast.tables.as_counts` takes; a row of weight w counts as w groups.
        n_draws : int
            D; there is one chain.
        rng : None, int, SeedSequence, BitGenerator or Generator
        correct : {"auto", True, False}
            False: q's own draws. True: with importance weights. "auto": the same where the weights are even enough;
            otherwise, and where a total exceeds the range of q, draws from the posterior by quadrature (two
            dimensions) or around its mode (more), again with weights.
        n_threads : int, optional
        category_names, group_names, dataset_names : sequence of K, of N, of B str, optional
            Kept in the result; default those of the table.
        layer : str, optional
            The layer of AnnData that holds the counts; default ``X``.

        Returns
        -------
        EmbeddingPosterior
            A `Posterior` whose ``alpha`` is the sum of f(z) and whose ``beta`` is f(z) over that sum, with ``z``
            beside them. ``log_evidence`` is that of the counts, with its error; ``details["path"]`` is the method of
            each dataset: "network", "importance", "quadrature" or "mode".

        Raises
        ------
        TypeError, ValueError
            For counts of another K, or totals beyond the range of q unless ``correct="auto"``.
        MemoryError
            For more draws than the machine can hold.

        Examples
        --------
        >>> import numpy as np
        >>> import hbm_fast as hbm
        >>> bags = hbm.datasets.load_marbles().counts
        >>> post = hbm.embedding.load("marbles").sample(bags, n_draws=4000, rng=0)
        >>> bool(abs(post.predict(20)[1] - 0.98714) < 0.005)
        True
        """
        names = {"category_names": category_names, "group_names": group_names}
        given, batch, n_draws = check_arguments(counts, n_draws, correct, layer=layer, **names)
        data = given.counts
        self._check_categories(data)
        # z and a weight of each draw, and the weight and concentrations of each component
        values = self.dim + 1 + self.n_components * (1 + self.n_categories)
        _memory.check_fits(8 * len(data) * n_draws * values, f"n_draws = {n_draws}")
        key = new_key(rng)
        rng_z = generator(key)
        n = data.shape[0]
        inside = group_totals(data).max(1, initial=0) <= self.network.max_total
        if correct != "auto":
            self.check_inside(data, batch, 'correct="auto" samples without q')
        path = np.full(n, "network" if correct is False else "importance", dtype="<U10")
        with torch_threads(_validate.threads(n_threads)), memory_for(f"n_draws = {n_draws}"):
            z = torch.zeros(n, n_draws, self.dim, dtype=torch.float64)
            log_ratio = torch.zeros(n, n_draws, dtype=torch.float64)
            if inside.any():
                drawn, ratio = self._draw(data[inside], n_draws, rng_z, weighted=correct is not False)
                z[torch.from_numpy(inside)], log_ratio[torch.from_numpy(inside)] = drawn, ratio
            if correct == "auto":
                failed = ~inside
                failed[inside] = ~weigh(log_ratio[torch.from_numpy(inside)].numpy()).accepted
                for b in np.flatnonzero(failed).tolist():
                    path[b] = "quadrature" if self.dim == 2 else "mode"
                    z[b], log_ratio[b] = self._without_q(data[b : b + 1], n_draws, rng_z)
            weights = None if correct is False else weigh(log_ratio.numpy())
            if weights is not None:
                _warn(weights)
            log_weight, log_a = self.exact.generative(z)
        return EmbeddingPosterior.build(
            z.numpy(),
            log_weight.numpy(),
            log_a.numpy(),
            counts=data,
            batch=batch,
            weights=weights,
            log_coefficient=log_coefficient(data),
            path=path,
            model=self.model or HierarchicalModel(self.n_categories),
            key=key,
            category_names=given.category_names,
            group_names=given.group_names,
            dataset_names=given.dataset_names if dataset_names is None else dataset_names,
        )

    def log_evidence(self, counts: ArrayLike | Sequence[ArrayLike], *, n_draws: int = 4000, rng: RNGLike = 0) -> Any:
        """log p(counts) under the learned model, the multinomial coefficients included.

        By quadrature in two dimensions of z, by importance sampling in more; see `log_evidence_error`.

        Parameters
        ----------
        counts : integer array_like (N, K) or (B, N, K), or list of (N_b, K)
        n_draws, rng
            Of importance sampling.

        Returns
        -------
        float, or (B,)

        Examples
        --------
        >>> import numpy as np
        >>> import hbm_fast as hbm
        >>> bags = hbm.datasets.load_marbles().counts
        >>> emb = hbm.embedding.load("marbles")
        >>> bool(abs(emb.log_evidence(bags) - hbm.exact_posterior(bags).log_evidence) < 0.3)
        True
        """
        return self._evidence(counts, n_draws, rng)[0]

    def log_evidence_error(
        self, counts: ArrayLike | Sequence[ArrayLike], *, n_draws: int = 4000, rng: RNGLike = 0
    ) -> Any:
        """Standard error of `log_evidence`: of the weights, or the change when the grid of the quadrature is halved."""
        return self._evidence(counts, n_draws, rng)[1]

    def prior_density(self, z: ArrayLike, grid: ArrayLike) -> NDArray[np.float64]:
        """Density of theta given z, the conditional prior of Le (2020).

        Parameters
        ----------
        z : array_like (..., dim)
        grid : array_like (G,) or (G, K)
            For K = 2 values of theta of category 1 inside (0, 1), or points inside the simplex.

        Returns
        -------
        (..., G)
            With respect to the first K - 1 proportions.

        Raises
        ------
        ValueError
            For points on the edge of the simplex or outside.

        Examples
        --------
        >>> import numpy as np
        >>> import hbm_fast as hbm
        >>> grid = (np.arange(4000) + 0.5) / 4000
        >>> density = hbm.embedding.load("marbles-exp-plus-one").prior_density([0.0, 0.0], grid)
        >>> float(density.mean().round(3))
        1.0
        """
        nodes = torch.from_numpy(_latent_points(z, "z", self.dim))
        points = torch.from_numpy(_simplex_points(grid, "grid", self.n_categories)).log()
        log_weight, log_a = self.exact.generative(nodes)
        a = log_a.exp()  # (..., M, K)
        constant = torch.lgamma(a.sum(-1)) - torch.lgamma(a).sum(-1)
        log_density = constant[..., None] + (a - 1.0) @ points.T
        return np.asarray((log_weight[..., None] + log_density).logsumexp(-2).exp().numpy())

    def concentration(self, z: ArrayLike) -> NDArray[np.float64]:
        """f(z): concentrations (..., K), or (..., M, K) of a mixture of M Dirichlets."""
        log_a = self.exact.generative(torch.from_numpy(_latent_points(z, "z", self.dim)))[1].exp()
        return np.asarray((log_a if self.network.needs_groups else log_a[..., 0, :]).numpy())

    def check_inside(self, counts: NDArray[Any], batch: bool, remedy: str) -> None:
        self._check_categories(counts)
        outside = np.flatnonzero(group_totals(counts).max(1, initial=0) > self.network.max_total)
        if outside.size:
            raise ValueError(
                f"counts must have totals of at most {self.network.max_total}, the range of the network; "
                f"dataset {outside[0]} has more: {remedy}"
            )

    # inside ---------------------------------------------------------------------------------------------------------
    def likelihood_data(self, counts: NDArray[Any]) -> Tensor:
        """Data of the exact likelihood: exceedances of all totals, or the counts."""
        if self.network.needs_groups:
            return torch.from_numpy(counts.astype(np.int64))
        return torch.from_numpy(exceedance_counts(counts)).double()

    def q_draws(self, counts: NDArray[Any], n_draws: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """z (B, S, dim) and log p(x, z) - log q(z | x) (B, S), in float64."""
        return self._draw(counts, n_draws, generator, weighted=True)

    @torch.no_grad()
    def _draw(
        self, counts: NDArray[Any], n_draws: int, generator: torch.Generator, *, weighted: bool
    ) -> tuple[Tensor, Tensor]:
        z, ratios = [], []
        for part in (counts[chunk] for chunk in _memory.chunks(len(counts), n_draws, _CHUNK)):
            parameters = self.network(self.network.encoder_input(part).to(self.device))
            drawn = self.network.head.sample(parameters, n_draws, generator).cpu()
            z.append(drawn.double())
            if weighted:
                log_q = self.network.head.log_density(parameters, drawn)
                ratios.append(self.exact.log_joint(self.likelihood_data(part), z[-1]) - log_q)
            else:
                ratios.append(torch.zeros(drawn.shape[:2], dtype=torch.float64))
        return torch.cat(z), torch.cat(ratios)

    def _without_q(self, counts: NDArray[Any], n_draws: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        data = self.likelihood_data(counts)
        if self.dim == 2:
            z, ratio = proposals.histogram(lambda nodes: self.exact.log_likelihood(data, nodes), n_draws, generator)
        else:
            start = torch.zeros(1, self.dim, dtype=torch.float64)
            z, ratio = proposals.laplace(lambda z: self.exact.log_joint(data, z), start, n_draws, generator)
        return z[0], ratio[0]

    def _evidence(self, counts: Any, n_draws: int, rng: RNGLike) -> tuple[Any, Any]:
        given, batch, n_draws = check_arguments(counts, n_draws, True)
        data = given.counts
        self._check_categories(data)
        if self.dim == 2:
            pairs = []
            for b in range(data.shape[0]):
                one = self.likelihood_data(data[b : b + 1])
                pairs.append(latent_grid.adaptive(lambda z, x=one: self.exact.log_likelihood(x, z))[:2])  # type: ignore[misc]
            value, error = (np.array(column) for column in zip(*pairs, strict=True))
            value = value + log_coefficient(data)
        else:
            post = self.sample(data, n_draws=n_draws, rng=rng)
            value, error = np.asarray(post.log_evidence), np.asarray(post.log_evidence_error)
        return (value, error) if batch else (float(value[0]), float(error[0]))

    def _check_categories(self, data: NDArray[Any]) -> None:
        if data.shape[-1] != self.n_categories:
            raise ValueError(f"counts must have K = {self.n_categories} categories; got shape {data.shape}")


def _warn(weights: Weights) -> None:
    """Warn where the tail of the importance weights is too heavy for their standard error."""
    k = weights.pareto_k
    heavy = np.flatnonzero((k > HIGHEST_K) & (k < np.inf))  # infinite for too few draws
    if heavy.size:
        b = int(heavy[0])
        errors.warn(
            f"Pareto's k of the importance weights exceeds {HIGHEST_K} for {heavy.size} of {k.size} datasets "
            f"(dataset {b}: k = {k[b]:.2f}): their summaries and log_evidence_error are not reliable; pass "
            'correct="auto", or more draws',
            ConvergenceWarning,
        )


def _latent_points(value: ArrayLike, name: str, dim: int) -> Floats:
    """Points (..., dim) of a latent space, finite."""
    array = _validate.doubles(value, name)
    if array.ndim < 1 or array.shape[-1] != dim:
        raise ValueError(f"{name} must have shape (..., dim) with dim = {dim}; got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite")
    return array


def _simplex_points(value: ArrayLike, name: str, n_categories: int) -> Floats:
    """Points (G, K) inside the simplex; for K = 2 also (G,), the proportion of category 1."""
    array = np.asarray(value, dtype=np.float64)
    if array.ndim == 1 and n_categories == 2:
        array = np.stack([1.0 - array, array], axis=-1)
    if array.ndim != 2 or array.shape[-1] != n_categories:
        also = " or (G,)" if n_categories == 2 else ""
        raise ValueError(f"{name} must have shape (G, {n_categories}){also}; got {np.shape(value)}")
    if not (array > 0.0).all() or not np.allclose(array.sum(-1), 1.0):
        raise ValueError(f"{name} must lie inside the simplex: positive, with rows that sum to one")
    return array
