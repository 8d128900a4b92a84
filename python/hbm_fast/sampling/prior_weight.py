"""How much the prior of beta weighs beside the data, and one message where it weighs much."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hbm_fast import _core, priors
from hbm_fast._typing import Floats
from hbm_fast.posterior import Posterior
from hbm_fast.posterior.convergence import FEWEST_DRAWS

_LARGEST = 0.25
_FEWEST_CATEGORIES = 10  # a Dirichlet(1, ..., 1) of fewer is the usual uniform prior of some proportions
_N_DRAWS = 16


def message(datasets: Sequence[Any], post: Posterior) -> str | None:
    """The message of a PriorWarning; None where beta's prior weighs little, is fixed, or has a learned concentration.

    What the data tell about beta is a sample from it, of the size m, the number of tables of the Chinese restaurant
    process: given the tables, beta ~ Dirichlet(b + m) with the pseudo-counts b of its prior. The prior weighs much
    where sum(b) exceeds a quarter of the posterior expectation of m,

        E[sum_nk sum_{j < x_nk} a_k / (a_k + j)],   a = alpha beta   (Antoniak 1974, doi:10.1214/aos/1176342871),

    a mean over 16 draws. Each category of a group with counts has one table or more. Of a batch there is a message
    where that is so in more than half of the datasets that have counts.
    """
    beta, k = post.model.beta, post.n_categories
    concentration = beta.concentration if isinstance(beta, priors.Dirichlet) else None
    if k < _FEWEST_CATEGORIES or not isinstance(concentration, float | tuple) or post.n_draws < FEWEST_DRAWS:
        return None
    pseudo_counts = float(np.broadcast_to(concentration, (k,)).sum())
    n_draws = post.n_chains * post.n_draws
    draws = zip(post.log_alpha.reshape(-1, n_draws), post.log_beta.reshape(-1, n_draws, k), strict=True)
    enough = pseudo_counts / _LARGEST
    tables = np.array([_tables(counts, *each, enough) for counts, each in zip(datasets, draws, strict=True)])
    tables = tables[tables > 0.0]
    few = tables[tables < enough]
    if 2 * len(few) <= len(tables):
        return None
    typical = float(np.median(few))
    datasets_named = f", in {len(few)} of {len(tables)} datasets (the median is given)" if len(tables) > 1 else ""
    return (
        f"the prior of beta adds {pseudo_counts:g} pseudo-counts to the {typical:.0f} draws from beta that the counts "
        f"amount to ({100 * pseudo_counts / typical:.0f} %; above {100 * _LARGEST:.0f} % it decides much of the answer)"
        f"{datasets_named}. HierarchicalModel.for_table(counts) learns the concentration of beta; see the guide, "
        "Choosing priors"
    )


def _tables(counts: Any, log_alpha: Floats, log_beta: Floats, enough: float) -> float:
    """The expected number of tables, or the least one where that is enough; of counts (N, K) or statistics."""
    if isinstance(counts, np.ndarray):
        least = float(np.count_nonzero(counts))
        if least >= enough:
            return least
        statistics = _core.statistics.SufficientStatistics(counts.shape[-1])
        statistics.add(counts)
    else:
        statistics = counts
    chosen = np.linspace(0, len(log_alpha) - 1, _N_DRAWS).astype(np.intp)
    return _core.mcmc.expected_tables(statistics, log_alpha[chosen], log_beta[chosen])
