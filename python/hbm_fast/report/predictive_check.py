"""Posterior predictive checks: properties of a table beside those of tables that the fitted model simulates."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hbm_fast._typing import Floats
from hbm_fast.posterior import Posterior
from hbm_fast.simulation import simulate

_MOST_TABLES = 500
_FEWEST_TABLES = 50
_CELLS = 20_000_000  # of all simulated tables: some seconds
_CELLS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Check:
    """One statistic of the table, and of every table simulated with the same totals.

    ``p_value`` is the posterior predictive P(simulated > observed) + P(simulated = observed) / 2: near 0 or 1 the
    model does not reproduce the statistic (Gelman, Meng & Stern 1996, Statistica Sinica 6, 733).
    """

    name: str
    observed: float
    simulated: Floats

    @property
    def p_value(self) -> float:
        """P(simulated > observed), ties counted half."""
        return float((self.simulated > self.observed).mean() + 0.5 * (self.simulated == self.observed).mean())


def predictive_checks(post: Posterior, *, rng: int = 0) -> list[Check]:
    """Checks of the posterior of one dataset, whose groups are all drawn anew.

    Each simulated table has one draw of (alpha, beta), new theta of every group and the totals of the data, so that
    the checks are of the distribution of the groups, which the model describes by alpha and beta alone.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> from hbm_fast.report.predictive_check import predictive_checks
    >>> post = hbm.sample(hbm.datasets.load_rat_tumors().counts, rng=0)
    >>> [0.001 < check.p_value < 0.999 for check in predictive_checks(post)]
    [True, True, True]
    """
    assert post.counts is not None
    counts = post.counts[post.counts.sum(axis=1) > 0].astype(np.int64)
    n_tables = min(max(_CELLS // max(counts.size, 1), _FEWEST_TABLES), _MOST_TABLES)
    observed = _statistics(counts[np.newaxis])[0]
    simulated = np.concatenate([_statistics(tables) for tables in _tables(post, counts, n_tables, rng)])
    names = ("cells without a count", "average largest proportion of a group", "dispersion of the groups")
    return [Check(name, float(observed[i]), simulated[:, i]) for i, name in enumerate(names)]


def _tables(post: Posterior, counts: NDArray[np.int64], n_tables: int, rng: int) -> Iterator[NDArray[np.int64]]:
    """Simulated tables (S, N, K), some at a time."""
    log_alpha, log_beta = post.log_alpha.ravel(), post.log_beta.reshape(-1, post.n_categories)
    weights = None if post.log_weights is None else np.exp(post.log_weights.ravel())
    chosen = np.random.default_rng(rng).choice(log_alpha.size, n_tables, p=weights)
    alpha = np.exp(np.maximum(log_alpha[chosen], -700.0))  # a smaller alpha is 0 in a float64, which has no Dirichlet
    beta = np.exp(log_beta[chosen])
    beta /= beta.sum(axis=1, keepdims=True)
    size = max(1, _CELLS_AT_ONCE // max(counts.size, 1))
    for first in range(0, n_tables, size):
        part = slice(first, min(first + size, n_tables))
        sims = simulate(
            post.model,
            part.stop - first,
            n_groups=len(counts),
            totals=counts.sum(axis=1),
            alpha=alpha[part],
            beta=beta[part],
            theta=False,
            rng=rng,
            first=first,
            dtype=np.int64,
        )
        assert sims.counts is not None
        yield sims.counts


def _statistics(counts: NDArray[np.int64]) -> Floats:
    """The statistics (S, 3) of tables (S, N, K) without empty groups.

    The dispersion is Pearson's chi-squared of the groups over its degrees of freedom: about 1 for groups of equal
    proportions (a multinomial), and larger the more their proportions differ.
    """
    totals = counts.sum(axis=2).astype(np.float64)
    zeros = (counts == 0).sum(axis=(1, 2))
    largest = (counts.max(axis=2) / totals).mean(axis=1)
    sums = counts.sum(axis=1).astype(np.float64)
    squares = (counts.astype(np.float64) ** 2 / totals[..., np.newaxis]).sum(axis=1)  # sum_n x_nk^2 / M_n
    total = totals.sum(axis=1)
    seen = sums > 0
    ratio = np.divide(squares, sums, out=np.zeros_like(sums), where=seen).sum(axis=1)
    freedom = np.maximum((counts.shape[1] - 1) * (seen.sum(axis=1) - 1), 1)
    return np.column_stack([zeros, largest, total * (ratio - 1.0) / freedom])
