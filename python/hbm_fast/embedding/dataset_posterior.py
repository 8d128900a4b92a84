"""DatasetPosterior: draws of z given the bags of a dataset, and what they say of further bags."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _random, _validate
from hbm_fast._display import Displayed
from hbm_fast._typing import Floats, RNGLike
from hbm_fast.embedding.scoring import log_probabilities
from hbm_fast.nn.importance import log_coefficient
from hbm_fast.tables.inputs import as_counts
from hbm_fast.variates import dirichlet, multinomial

if TYPE_CHECKING:
    from hbm_fast.embedding.dataset_estimator import DatasetEmbedding


@dataclass(frozen=True, eq=False, repr=False)
class DatasetPosterior(Displayed):
    """Weighted draws of z for one dataset, or for each of a batch of B, from `DatasetEmbedding.sample`.

    Given z the dataset's theta has the distribution Dirichlet(f(z) + x), where x are the pooled counts of its bags.
    Results have a leading axis B where ``batch`` is true.

    Attributes
    ----------
    embedding : DatasetEmbedding
    latent : float64 array (B, S, dim)
    log_weights : float64 array (B, S)
        Normalised importance weights.
    pooled : int64 array (B, C, K)
        Counts of all bags of each dataset, C = 1 without contexts.
    n_bags : tuple of int (B,)
    batch : bool
    log_evidence, log_evidence_error : float or (B,)
        Log probability of the bags, with the multinomial coefficients, and its standard error.
    details : dict
        ``"path"``: "network" (draws of q), "importance" (weighted ones) or "mode" (a Student t at the mode), of each
        dataset; ``"ess_share"`` and ``"pareto_k"`` of its weights.
    dataset_names : tuple of str or None

    Examples
    --------
    >>> import numpy as np
    >>> import hbm_fast as hbm
    >>> data = hbm.simulate(hbm.HierarchicalModel(3), 50, n_groups=6, totals=20, rng=0).counts
    >>> emb = hbm.embedding.train(data=data, shared="dataset", dim=2, steps=20, rng=0)
    >>> post = emb.sample([[5, 0, 1], [4, 1, 0]], rng=0)
    >>> post.log_predictive([[6, 0, 0], [0, 0, 6]]).shape
    (2,)
    """

    embedding: "DatasetEmbedding"
    latent: Floats
    log_weights: Floats
    pooled: NDArray[np.int64]
    n_bags: tuple[int, ...]
    batch: bool
    log_evidence: Any
    log_evidence_error: Any
    details: dict[str, Any]
    dataset_names: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        n, s = self.log_weights.shape
        what = f"{n} datasets" if self.batch else f"one dataset of {self.n_bags[0]} bags"
        evidence = "" if self.batch else f", log evidence {self.log_evidence:.4g}"
        return f"DatasetPosterior({what}, {s} draws of a z of length {self.latent.shape[-1]}{evidence})"

    @property
    def z(self) -> Floats:
        """Draws of z, (S, dim) or (B, S, dim)."""
        return np.asarray(self._shaped(self.latent))

    def log_predictive(self, new_counts: ArrayLike, *, jointly: bool = False, coefficient: bool = True) -> Any:
        """Log probability of new bags of the dataset, given its bags.

        The mean over the draws of the Dirichlet-multinomial's probability at f(z) + x.

        Parameters
        ----------
        new_counts : array_like (R, K) or (R, C, K), or (B, R, K) or (B, R, C, K) for each dataset of a batch
            Bags.
        jointly : bool
            The probability of all R bags together, which share one theta, instead of each bag's.
        coefficient : bool
            Include the multinomial coefficients; False gives the probability of an ordered sequence.

        Returns
        -------
        float64 array (R,) or (B, R); with ``jointly`` float or (B,)

        Raises
        ------
        TypeError, ValueError
            For bags of another shape.

        References
        ----------
        J. E. Mosimann (1962), "On the compound multinomial distribution", Biometrika 49, 65-82.
        """
        new, log_factor = self._bags(new_counts, coefficient, jointly)
        return self._out(self._log_predictive(new) + log_factor, jointly)

    def log_bayes_factor(self, new_counts: ArrayLike) -> Any:
        """Log of the Bayes factor that each new bag is of this dataset, against a dataset that was not seen.

        log p(new | bags) - log p(new): the latter over 1,024 draws of z from the prior, since with few draws the
        probability under the prior is too low, and bags of other datasets are accepted.

        Parameters
        ----------
        new_counts : array_like (R, K) or (R, C, K), or with a leading axis B

        Returns
        -------
        float64 array (R,) or (B, R)

        Raises
        ------
        TypeError, ValueError
            For bags of another shape.
        """
        new, _ = self._bags(new_counts, False, False)
        prior = self.embedding.prior_concentration
        if new.strides[0] == 0 or len(new) == 1:  # the same bags for every dataset
            background = _log_mean(log_probabilities(new[0], prior), np.zeros(len(prior)))[None]
        else:
            background = np.stack([_log_mean(log_probabilities(bags, prior), np.zeros(len(prior))) for bags in new])
        return self._out(self._log_predictive(new) - background, False)

    def probability_same(self, new_counts: ArrayLike, *, prior: float = 0.5) -> Any:
        """Probability that each new bag is of this dataset, when it is of one that was not seen otherwise.

        Parameters
        ----------
        new_counts : array_like (R, K) or (R, C, K), or with a leading axis B
        prior : float
            Probability before the bag is seen, between 0 and 1.

        Returns
        -------
        float64 array (R,) or (B, R)

        Raises
        ------
        TypeError, ValueError
            For bags of another shape, and a prior outside (0, 1).
        """
        prior = _validate.finite_float(prior, "prior")
        if not 0.0 < prior < 1.0:
            raise ValueError(f"prior must lie strictly between 0 and 1; got {prior}")
        log_odds = self.log_bayes_factor(new_counts) + math.log(prior) - math.log1p(-prior)
        return np.exp(-np.logaddexp(0.0, -log_odds))

    def nearest(self, n: int = 5) -> Any:
        """Names of the training datasets whose z makes the smallest angle with the mean of z, the nearest first.

        The angle is that between the vectors (z, 1). The z of training datasets lie farther from 0 than those of new
        datasets, so that by distance the few training datasets near 0 would be named for most. The 1 gives an angle to
        a z of one dimension, and to a z near 0.

        Parameters
        ----------
        n : int

        Returns
        -------
        list of str, or for a batch a list of lists
        """
        n = _validate.positive_int(n, "n", maximum=len(self.embedding.names))
        mean = np.einsum("bs,bsd->bd", np.exp(self.log_weights), self.latent)
        chosen = np.argsort(-cosines(mean, self.embedding.places), axis=1, kind="stable")[:, :n]
        return self._shaped([[self.embedding.names[i] for i in row] for row in chosen])

    def predict(self, group: None = None) -> Floats:
        """The dataset's mean proportions given its bags.

        Parameters
        ----------
        group : None
            All bags have the same theta, so there is none for a bag.

        Returns
        -------
        float64 array (K,) or (C, K), with a leading axis B for a batch

        Raises
        ------
        ValueError
            For anything but None.
        """
        if group is not None:
            raise ValueError(f"group must be None: the bags of a dataset share one theta; got {group!r}")
        means = []
        for b, weights in enumerate(np.exp(self.log_weights)):
            a = self._concentration(b)
            means.append(np.einsum("s,sck->ck", weights, a / a.sum(-1, keepdims=True)))
        return np.asarray(self._shaped(np.stack(means).reshape(-1, *self.embedding.shape)))

    def simulate(self, totals: ArrayLike, *, rng: RNGLike = None) -> NDArray[np.int64]:
        """New bags of the dataset: for each a draw of z, of theta given z and the dataset's bags, and of the counts.

        Parameters
        ----------
        totals : int array_like (R,), or with contexts (R, C)
            Number of counts of each bag, in each context.
        rng : None, int, SeedSequence, BitGenerator or Generator

        Returns
        -------
        int64 array (R, K) or (R, C, K), with a leading axis B for a batch

        Raises
        ------
        TypeError, ValueError
            For totals that are no whole numbers from 0, or of another shape.
        """
        shape = self.embedding.shape
        n = _validate.integers(totals, "totals")
        _validate.no_negative(n, "totals")
        if n.ndim != len(shape) or n.shape[1:] != shape[:-1]:
            wanted = "(R,)" if len(shape) == 1 else f"(R, C) with C = {shape[0]}"
            raise ValueError(f"totals must have shape {wanted}; got {n.shape}")
        generator = np.random.default_rng(_random.key(rng).tolist())
        n = n.reshape(len(n), -1)
        bags = []
        for b, weights in enumerate(np.exp(self.log_weights)):
            chosen = generator.choice(len(weights), size=len(n), p=weights / weights.sum())
            theta = dirichlet(generator, self._concentration(b, chosen))
            bags.append(multinomial(generator, n, theta / theta.sum(-1, keepdims=True)))
        return np.asarray(self._shaped(np.stack(bags).reshape(len(bags), len(n), *shape)))

    # inside ---------------------------------------------------------------------------------------------------------
    def _concentration(self, b: int, chosen: NDArray[np.int64] | None = None) -> Floats:
        """f(z) + x of a dataset, (S, C, K), at all draws or those chosen."""
        z = torch.from_numpy(self.latent[b] if chosen is None else self.latent[b][chosen])
        return np.asarray(self.embedding.concentrations(z) + self.pooled[b])

    def _log_predictive(self, new: NDArray[np.int64]) -> Floats:
        """(B, R) of bags (B, R, C, K), without coefficients."""
        values = [
            _log_mean(log_probabilities(bags, self._concentration(b)), self.log_weights[b])
            for b, bags in enumerate(new)
        ]
        return np.stack(values)

    def _bags(self, value: ArrayLike, coefficient: bool, jointly: bool) -> tuple[NDArray[np.int64], Floats]:
        """New bags (B, R, C, K) and their log coefficients (B, R), pooled to R = 1 where they are scored jointly."""
        shape, n = self.embedding.shape, len(self.latent)
        own = int(np.ndim(value) == len(shape) + 2 and self.batch)
        counts = as_counts(value, name="new_counts").unweighted("new_counts").dense()
        counts = _validate.counts(counts, name="new_counts", ndim=(len(shape) + 1 + own,))
        if counts.shape[counts.ndim - len(shape) :] != shape or (own and len(counts) != n):
            wanted = ", ".join([*([f"B = {n}"] if own else []), "R", *map(str, shape)])
            raise ValueError(f"new_counts must have shape ({wanted}); got {counts.shape}")
        bags = counts.astype(np.int64).reshape(*counts.shape[: 1 + own], *self.pooled.shape[1:])
        log_factor = np.zeros(bags.shape[: 1 + own])
        if coefficient:
            log_factor = log_coefficient(bags.reshape(-1, *self.pooled.shape[1:])).reshape(log_factor.shape)
        if jointly:
            bags, log_factor = bags.sum(own, keepdims=True), log_factor.sum(own, keepdims=True)
        return np.broadcast_to(bags, (n, *bags.shape[own:])), np.broadcast_to(log_factor, (n, *log_factor.shape[own:]))

    def _out(self, values: Floats, jointly: bool) -> Any:
        values = values[:, 0] if jointly else values
        return values if self.batch else (float(values[0]) if jointly else values[0])

    def _shaped(self, values: Any) -> Any:
        return values if self.batch else values[0]


def cosines(z: Floats, places: Floats) -> Floats:
    """Cosine of the angle between the vectors (z, 1) and (place, 1), (B, dim) and (N, dim) -> (B, N)."""
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (np.insert(at, 0, 1.0, axis=1) for at in (z, places))]
    return np.asarray(unit[0] @ unit[1].T)


def _log_mean(values: Floats, log_weights: Floats) -> Floats:
    """Log of the weighted mean over draws of the exponentials, (S, R) and (S,) -> (R,)."""
    weighed = values + (log_weights - np.logaddexp.reduce(log_weights))[:, None]
    largest = weighed.max(0)
    return np.asarray(largest + np.log(np.exp(weighed - largest).sum(0)))
