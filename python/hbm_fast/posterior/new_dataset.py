"""A dataset of a population that is not among the data, by importance sampling over all draws of the population."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _display, _validate, _weighted, variates
from hbm_fast._typing import Floats, Key
from hbm_fast.models import HierarchicalModel
from hbm_fast.posterior import predictive
from hbm_fast.posterior.new_component import log_dirichlet
from hbm_fast.posterior.posterior import Posterior
from hbm_fast.priors import Dirichlet, LogNormal
from hbm_fast.sufficient_statistics import SufficientStatistics
from hbm_fast.tables.inputs import align

_CELLS = 300  # of log alpha
_FEWEST = 4000  # draws of (alpha, beta)


class NewDataset(_display.Displayed):
    """A dataset not seen: log alpha ~ Normal(mu, tau), beta ~ Dirichlet(kappa m), mixed over draws of the population.

    Made by ``PopulationPosterior.new_dataset()``.

    Parameters
    ----------
    mu, tau, kappa : ndarray (S,)
    m : ndarray (S, K)
    category_names : tuple of str (K,) or None
    key : (2,) uint64
        Key of the random streams.

    Notes
    -----
    Given a table x, (alpha, beta) is drawn once for each draw s of the population from a proposal q_s, and weighted by

        w_s = p(x | alpha, beta) Normal(log alpha; mu_s, tau_s) Dirichlet(beta; kappa_s m_s) / q_s(log alpha, beta),

    so that the mean of w_s is an unbiased estimate of the probability of x. q_s has log alpha from a histogram of its
    approximate posterior given mu_s and tau_s, and beta from Dirichlet(kappa_s m_s + e p): p the proportions of the
    expected CRP tables, e = sum_n M_n (1 + alpha) / (M_n + alpha) the number of independent draws from beta that the
    table amounts to (the variance of a Dirichlet-multinomial over that of a multinomial, inverted).
    """

    def __init__(
        self,
        mu: Floats,
        tau: Floats,
        kappa: Floats,
        m: Floats,
        *,
        category_names: tuple[str, ...] | None = None,
        key: Key,
    ) -> None:
        self.mu, self.tau, self.kappa, self.m = mu, tau, kappa, m
        self.category_names = category_names
        self._key = key

    @property
    def n_categories(self) -> int:
        """K."""
        return int(self.m.shape[-1])

    def __repr__(self) -> str:
        names = _display.names(self.category_names)
        return f"NewDataset: {self.n_categories} categories{names}, {len(self.mu)} draws of the population"

    def predict(self, counts: Any = None) -> Floats:
        """Probability of each category at the first draw from a new group of the dataset: E[beta].

        Parameters
        ----------
        counts : array_like (N, K) or a table, optional
            Groups of this dataset that have been seen.

        Returns
        -------
        (K,)

        Warns
        -----
        ConvergenceWarning
            Where fewer than 100 effective draws are left.
        """
        if counts is None:
            return np.asarray(self.m.mean(axis=0))
        table = self._table(counts, "counts")
        _, log_beta, log_weights = self._weighted_draws(table, self._enough(), self._key)
        return np.asarray(np.exp(_weighted.normalise(log_weights)) @ np.exp(log_beta))

    def log_predictive(self, new_table: Any, *, coefficient: bool = True, return_ess: bool = False) -> Any:
        """Log probability of a whole new dataset, its alpha, beta and thetas integrated out.

        Parameters
        ----------
        new_table : array_like (N, K) or a table
        coefficient : bool
            Whether to include the multinomial coefficients.
        return_ess : bool
            Whether to return the effective number of draws too.

        Returns
        -------
        float, or (float, float) with ``return_ess``

        Warns
        -----
        ConvergenceWarning
            Where fewer than 100 effective draws are left.
        """
        table = self._table(new_table, "new_table")
        _, _, log_weights = self._weighted_draws(table, self._enough(), self._key)
        value = float(np.logaddexp.reduce(log_weights) - np.log(len(log_weights)))
        if coefficient:
            value += SufficientStatistics(table).log_coefficient
        return (value, float(_effective_size(log_weights))) if return_ess else value

    def _draw(
        self,
        counts: Any,
        shape: tuple[int, int],
        *,
        key: Key | None = None,
        group_names: Sequence[str] | None = None,
        diagnostics: bool = True,
    ) -> Posterior:
        """The posterior of the dataset given its counts: weighted draws (C, D)."""
        table, key = self._table(counts, "counts"), self._key if key is None else key
        drawn = self._weighted_draws(table, shape[0] * shape[1], key, diagnostics=diagnostics)
        log_alpha, log_beta, log_weights = drawn
        return Posterior(
            log_alpha.reshape(shape),
            log_beta.reshape(*shape, -1),
            model=self.model,
            counts=table,
            log_weights=log_weights.reshape(shape),
            method="importance",
            key=key,
            category_names=self.category_names,
            group_names=group_names,
        )

    @property
    def model(self) -> HierarchicalModel:
        """A model of one dataset with the moments of the population's parameters, for the report and the figures."""
        spread = float(np.sqrt((self.tau**2).mean() + self.mu.var()))
        beta = np.maximum(self.kappa.mean() * self.m.mean(axis=0), 1e-300)
        alpha = LogNormal(float(self.mu.mean()), max(spread, 1e-12))
        return HierarchicalModel(self.n_categories, alpha=alpha, beta=Dirichlet(beta.tolist()))

    def _table(self, counts: Any, name: str) -> NDArray[np.int64]:
        table = _validate.counts(np.atleast_2d(align(counts, self.category_names, name=name)), name=name)
        if table.shape[1] != self.n_categories:
            raise ValueError(f"{name} must have K = {self.n_categories} categories; got shape {table.shape}")
        return np.ascontiguousarray(table, dtype=np.int64)

    def _concentration(self) -> Floats:
        return np.maximum(self.kappa[:, np.newaxis] * self.m, 1e-300)

    def _enough(self) -> int:
        """A multiple of the number of draws of the population."""
        return -(-_FEWEST // len(self.mu)) * len(self.mu)

    def _weighted_draws(
        self, table: NDArray[np.int64], n_draws: int, key: Key, *, diagnostics: bool = True
    ) -> tuple[Floats, Floats, Floats]:
        """log alpha (R,), log beta (R, K) and log weights (R,), without the multinomial coefficients."""
        rng = np.random.default_rng([*key.tolist(), predictive.stream_of_counts(table)])
        of_population = np.arange(n_draws) * len(self.mu) // n_draws
        mu, tau = self.mu[of_population], np.maximum(self.tau[of_population], 1e-12)
        prior = self._concentration()[of_population]
        if not table.any():  # nothing was seen: draws of the population itself
            log_alpha = mu + tau * rng.standard_normal(len(mu))
            return log_alpha, variates.dirichlet(rng, prior, log=True), np.zeros(n_draws)
        stats = SufficientStatistics(table)
        edges = np.linspace((mu - 7 * tau).min(), (mu + 7 * tau).max(), _CELLS + 1)
        width, centre = edges[1] - edges[0], 0.5 * (edges[:-1] + edges[1:])
        shares, height = _approximation(table, centre, prior.mean(axis=0))
        # the cell of each draw from the approximate posterior given mu_s and tau_s
        log_cell = height - 0.5 * ((centre - mu[:, np.newaxis]) / tau[:, np.newaxis]) ** 2
        log_cell -= np.logaddexp.reduce(log_cell, axis=1, keepdims=True)
        cumulative = np.cumsum(np.exp(log_cell), axis=1)
        cell = (cumulative < rng.random((len(mu), 1)) * cumulative[:, -1:]).sum(axis=1)
        log_alpha = edges[cell] + width * rng.random(len(mu))
        proposal = prior + shares[cell]
        log_beta = variates.dirichlet(rng, proposal, log=True)
        likelihood = stats.log_likelihood(
            np.exp(np.clip(log_alpha[:, np.newaxis] + log_beta, -690.0, 690.0)), coefficient=False
        )
        z = (log_alpha - mu) / tau
        log_weights = (
            likelihood
            - 0.5 * z * z
            - np.log(tau)
            - 0.5 * np.log(2 * np.pi)
            + log_dirichlet(log_beta, prior)
            - log_dirichlet(log_beta, proposal)
            - np.take_along_axis(log_cell, cell[:, np.newaxis], axis=1)[:, 0]
            + np.log(width)
        )
        if diagnostics:
            predictive.warn_of_reweighting(_effective_size(log_weights), n_draws, "the table")
        return log_alpha, log_beta, log_weights


def _effective_size(log_weights: Floats) -> Floats:
    return _weighted.effective_size(_weighted.normalise(log_weights))


def _approximation(table: NDArray[np.int64], log_alpha: Floats, prior: Floats) -> tuple[Floats, Floats]:
    """At each log alpha (G,): the counts (G, K) by which the table adds to beta's Dirichlet, and its log-likelihood."""
    # the slope of a further category without counts is minus the part that all categories share
    stats = SufficientStatistics(np.pad(table, ((0, 0), (0, 1))))
    totals = table.sum(axis=1)
    alpha = np.exp(np.clip(log_alpha, -230.0, 230.0))[:, np.newaxis]
    draws = (totals * (1.0 + alpha) / (totals + alpha)).sum(axis=1)
    beta = np.tile(prior + table.sum(axis=0), (len(alpha), 1))
    beta /= beta.sum(axis=1, keepdims=True)
    for _ in range(8):  # towards the mode of beta; the weights correct what is left
        concentration = np.maximum(alpha * beta, 1e-300)
        slope = stats.log_likelihood_gradient(np.pad(concentration, ((0, 0), (0, 1)), constant_values=1e-300))[1]
        tables = np.maximum(concentration * (slope[:, :-1] - slope[:, -1:]), 0.0)
        beta = prior + tables
        beta /= beta.sum(axis=1, keepdims=True)
    counts = tables * np.minimum(draws / np.maximum(tables.sum(axis=1), 1e-300), 1.0)[:, np.newaxis]
    concentration = np.pad(np.maximum(alpha * beta, 1e-300), ((0, 0), (0, 1)))
    height = stats.log_likelihood(concentration, coefficient=False)
    log_beta = np.log(np.maximum(beta, 1e-300))
    return counts, height + log_dirichlet(log_beta, prior) - log_dirichlet(log_beta, prior + counts)
