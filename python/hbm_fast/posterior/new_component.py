"""A group under a component that no other group belongs to: the prior of (alpha, beta), integrated by importance."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast import priors
from hbm_fast._typing import Floats
from hbm_fast.models import HierarchicalModel
from hbm_fast.posterior import predictive
from hbm_fast.simulation import simulate
from hbm_fast.variates import dirichlet

_N_DRAWS = 8192
_SEED = 0x6E6577  # fixed: the same group has the same value at each call


class NewComponent:
    """Draws (S,) of alpha, beta and weights that stand for the posterior of a component given one group.

    alpha is drawn from its prior. Given alpha, beta's posterior is near a Dirichlet whose concentration is that of the
    prior plus the tables of the group (a table count m of x draws at a = alpha beta: m = 1 for a near 0, x for a large
    one); the weight of a draw corrects the difference.

    Parameters
    ----------
    model : HierarchicalModel
    row : (K,) integers
    """

    def __init__(self, model: HierarchicalModel, row: NDArray[np.int64]) -> None:
        sims = simulate(model, _N_DRAWS, n_groups=1, totals=0, rng=_SEED)
        self.log_alpha, self.log_beta = sims.log_alpha, sims.log_beta
        log_ratio = np.zeros(_N_DRAWS)
        if row.any() and isinstance(model.beta, priors.Dirichlet):
            prior = np.broadcast_to(
                sims.beta_concentration[:, np.newaxis]
                if sims.beta_concentration is not None
                else np.asarray(model.beta.concentration, np.float64),
                self.log_beta.shape,
            )
            with np.errstate(over="ignore"):
                a = np.minimum(np.exp(self.log_alpha), 1e300)[:, np.newaxis]
            share = (row + prior) / (row + prior).sum(axis=-1, keepdims=True)
            seen = row > 0
            tables = np.where(seen, 1.0 + a * share * np.log1p(np.maximum(row - 1, 0) / (1.0 + a * share)), 0.0)
            concentration = prior + np.minimum(tables, row)
            self.log_beta = dirichlet(_SEED, concentration, log=True)
            log_ratio = log_dirichlet(self.log_beta, prior) - log_dirichlet(self.log_beta, concentration)
        pmf = predictive.log_pmf(
            self.log_alpha[np.newaxis], self.log_beta[np.newaxis], row[np.newaxis, np.newaxis], False
        )
        log_weights = pmf[0, :, 0] + log_ratio
        largest = log_weights.max()
        total = np.log(np.exp(log_weights - largest).sum()) + largest
        self.log_weights = log_weights - total
        self.log_evidence = float(total - np.log(_N_DRAWS))  # without the multinomial coefficient

    def mean_theta(self, row: NDArray[np.int64]) -> Floats:
        """E[theta | the group] (K,)."""
        return np.asarray(
            predictive.mean_theta(
                self.log_alpha[np.newaxis], self.log_beta[np.newaxis], self.log_weights[np.newaxis], row[np.newaxis]
            )[0]
        )


def log_gamma(x: ArrayLike) -> Floats:
    """log Gamma(x), elementwise."""
    return np.asarray(np.frompyfunc(math.lgamma, 1, 1)(x), np.float64)


def log_dirichlet(log_beta: Floats, concentration: Floats) -> Floats:
    """Log density of beta (..., K), with respect to all but one of its elements."""
    constant = log_gamma(concentration.sum(axis=-1)) - log_gamma(concentration).sum(axis=-1)
    return np.asarray(constant + ((concentration - 1.0) * log_beta).sum(axis=-1))
