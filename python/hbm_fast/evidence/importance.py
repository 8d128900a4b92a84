"""Importance sampling of the evidence of one component: the concentrations are independent given a tilt of their sum.

With a_k = alpha beta_k, the posterior of log a is proportional to ``exp(sum_k f_k(a_k) + h(A))``, A the sum of all a_k:
``f_k(a) = b_k log a + sum_n log (a)_{x_nk}`` and ``h(A) = log p(log A) - B log A - sum_n log (A)_{M_n}``, b the
concentration of beta's Dirichlet prior, B its sum. The function exp(h) is nearly a mixture of exponentials
``exp(t A)`` with ``t = h'(A)``, by the saddle point of its inverse Laplace transform of weights
``exp(h(A) - t A) sqrt(h''(A) / 2 pi) dA``. Given t the a_k are independent, and each is nearly a gamma variate.
"""

import numpy as np

from hbm_fast import _core, _validate
from hbm_fast._typing import Floats
from hbm_fast.models import HierarchicalModel
from hbm_fast.posterior.new_component import log_gamma
from hbm_fast.priors import Dirichlet
from hbm_fast.sampling.bridge import effective_share, importance, is_nearly_exact
from hbm_fast.sampling.evidence import ComponentLikelihood
from hbm_fast.sampling.proposals import Points, Prior, log_gammas, log_sum_exp
from hbm_fast.sufficient_statistics import SufficientStatistics

# Nodes of log A reach seven standard deviations from the mode and on to where their weights are below the highest by
# _DEPTH nats; between two of them are half a standard deviation or less.
_NEAR, _LONGEST, _SHORTEST = 7.0, 0.5, 0.15
_DEPTH, _MORE, _MOST_NODES = 16.0, 16, 250
_FAR, _N_FAR = 600.0, 6  # distances at which other modes are looked for
_MOST_STEPS, _LONGEST_STEP, _TOLERANCE = 30, 1.0, 1e-6  # of Newton's method
_BLOCK, _MOST_BLOCKS = 1000, 20
_ENOUGH = 0.001  # standard error


def estimate(
    statistics: SufficientStatistics, model: HierarchicalModel, rng: np.random.Generator
) -> tuple[float, float] | str:
    """log evidence and its standard error, or the reason for which importance sampling gives none.

    The model's alpha and beta are not fixed, and the concentration of beta is known.
    """
    proposal = GammaMixture(statistics, model)
    if proposal.fault:
        return proposal.fault
    likelihood, prior = ComponentLikelihood(statistics), Prior(model)
    weights = np.empty(0)
    for _ in range(_MOST_BLOCKS):
        log_a = proposal.draw(_BLOCK, rng)
        log_alpha = log_sum_exp(log_a, axis=-1)
        points = Points(log_alpha, log_a - log_alpha[:, np.newaxis])
        # the prior's density is of beta, the proposal's of log a: the Jacobian is the product of all beta_k
        target = likelihood(points) + prior.log_density(points) + points.log_beta.sum(axis=-1)
        weights = np.append(weights, target - proposal.log_density(log_a))
        if not np.isfinite(weights.max()):
            return "no proposals are near the posterior"
        value, error = importance(weights)
        if error < _ENOUGH:
            break
    share, k = effective_share(weights)
    if is_nearly_exact(share, k):
        return value, error
    return f"of the draws {share:.1%} are effective, and Pareto's k of their weights is {k:.2f}"


class GammaMixture:
    """A mixture of independent gammas for log a (S, K), one component for each node of log A.

    Parameters
    ----------
    statistics : SufficientStatistics
    model : HierarchicalModel
    """

    def __init__(self, statistics: SufficientStatistics, model: HierarchicalModel) -> None:
        assert isinstance(model.beta, Dirichlet)
        k = model.n_categories
        self.fault = ""
        self._statistics, self._totals, self._model = statistics, _Totals(statistics), model
        self._b = np.broadcast_to(np.asarray(model.beta.concentration, np.float64), (k,))
        mode, log_beta, spread = _core.mcmc.modes(
            [statistics._core], model.alpha._kernel(), model.beta._kernel(k), _validate.threads(None)
        )
        self._log_beta = log_beta[0]
        with np.errstate(all="ignore"):  # nodes at which something is not finite get no weight
            step = self._step(mode[0], float(spread[0]))
            if np.isfinite(step) and step > 0.0:
                self._build(mode[0], step, float(spread[0]))
            else:
                self.fault = "the posterior of alpha is narrower than that of the sum of independent concentrations"

    def _step(self, log_sum: float, spread: float) -> float:
        """Between two nodes: as wide as A is spread given its tilt, or less."""
        a = np.exp(log_sum + self._log_beta)
        shape = self._b - a**2 * self._statistics.log_likelihood_hessian(a)[0]
        curvature = _of_sum(self._totals, self._model, float(self._b.sum()), np.array([log_sum]))[2]
        share = float(curvature[0] * (a**2 / shape).sum())  # of A's variance that the tilts make
        return spread * float(np.clip(1.5 * np.sqrt(1.0 - share) / share, _SHORTEST, _LONGEST)) if share > 0.0 else 0.0

    def _build(self, mode: float, step: float, spread: float) -> None:
        n = int(np.ceil(_NEAR * spread / step))
        far = np.geomspace(_NEAR * spread, max(_FAR, 2.0 * _NEAR * spread), _N_FAR)
        grid = step * np.arange(-n, n + 1.0)
        outside = np.concatenate([-far[:0:-1], far[1:]])
        weight, shape, rate = self._at(mode + np.concatenate([grid, outside]))
        outer, weight, shape, rate = weight[len(grid) :], weight[: len(grid)], shape[: len(grid)], rate[: len(grid)]
        while len(grid) < _MOST_NODES:
            low, high = (weight[end] > weight.max() - _DEPTH for end in (0, -1))
            if not (low or high):
                break
            away = step * np.arange(1.0, _MORE + 1.0)
            more = np.concatenate([(grid[0] - away)[::-1] if low else [], grid[-1] + away if high else []])
            found = self._at(mode + more)
            order = np.argsort(np.concatenate([grid, more]))
            grid = np.concatenate([grid, more])[order]
            weight, shape, rate = (
                np.concatenate([old, new])[order] for old, new in zip((weight, shape, rate), found, strict=True)
            )
        beyond = (outside < grid[0]) | (outside > grid[-1])
        if not np.isfinite(weight.max()):
            self.fault = "no proposals are near the posterior"
        elif max(weight[0], weight[-1], outer[beyond].max(initial=-np.inf)) > weight.max() - _DEPTH:
            self.fault = "the posterior of alpha has several modes or a tail of many decades"
        kept = weight > weight.max() - _DEPTH
        self._shape, self._rate = shape[kept], rate[kept]
        self._share = np.exp(weight[kept] - weight.max())
        self._share /= self._share.sum()
        self._constant = np.log(self._share) + (self._shape * np.log(self._rate) - log_gamma(self._shape)).sum(axis=1)

    def _at(self, log_sum: Floats) -> tuple[Floats, Floats, Floats]:
        """Of each node the log weight, -inf where it has none, and the shapes and rates of the gammas."""
        b, k = self._b, len(self._b)
        log_sum = np.clip(log_sum, -_FAR, _FAR)
        h, tilt, curvature = _of_sum(self._totals, self._model, float(b.sum()), log_sum)
        # h - tilt A of the node comes with the integrals: both may be large
        partial = h - tilt * np.exp(log_sum) + 0.5 * np.log(curvature) + log_sum
        usable = np.isfinite(partial) & (tilt < 0.0)
        weight = np.full(log_sum.shape, -np.inf)
        shape, rate = np.ones((2, len(log_sum), k))
        if usable.any():
            tilt = tilt[usable, np.newaxis]
            log_a, own = self._modes(tilt, self._log_beta + log_sum[usable, np.newaxis])
            a = np.exp(log_a)
            # the integral over log a_k of exp(f_k + tilt a_k), as of a gamma of the same mode and curvature
            each = b * log_a + tilt * a + own + log_gamma(own) - own * np.log(own)
            value = self._statistics.log_likelihood(a, coefficient=False) + self._totals.log_rising(a.sum(axis=1))
            total = partial[usable] + value + each.sum(axis=1)
            weight[usable] = np.where(np.isfinite(total), total, -np.inf)
            shape[usable], rate[usable] = own, own / a
        return weight, shape, rate

    def _modes(self, tilt: Floats, log_a: Floats) -> tuple[Floats, Floats]:
        """Where each f_k + tilt a_k is highest, log a (J, K), and minus its curvature there, by Newton's method."""
        for _ in range(_MOST_STEPS):
            a = np.exp(log_a)
            slope = self._statistics.log_likelihood_gradient(a)[1] + self._totals.slope(a.sum(axis=1))[:, np.newaxis]
            shape = self._b - a**2 * self._statistics.log_likelihood_hessian(a)[0]  # the curvature at the mode
            step = np.clip((self._b + a * (slope + tilt)) / shape, -_LONGEST_STEP, _LONGEST_STEP)
            log_a = np.clip(log_a + np.nan_to_num(step), -_FAR, _FAR)
            if np.abs(step).max() < _TOLERANCE:
                break
        return log_a, shape

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """log a (n, K)."""
        node = rng.choice(len(self._share), n, p=self._share)
        return np.asarray(log_gammas(self._shape[node], rng) - np.log(self._rate[node]))

    def log_density(self, log_a: Floats) -> Floats:
        """Of log a (S, K)."""
        return log_sum_exp(self._constant + log_a @ self._shape.T - np.exp(log_a) @ self._rate.T, axis=-1)


class _Totals:
    """What the groups' totals M_n add: sums over groups of log (A)_{M_n} and of its derivatives."""

    def __init__(self, statistics: SufficientStatistics) -> None:
        totals, self._times = statistics._core.pairs(statistics.n_categories)
        self._totals = np.asarray(totals, np.float64)
        # of a table with an empty column, whose derivative is that of the totals alone
        counts = np.stack([totals, np.zeros_like(totals)], axis=1).astype(np.int64)
        self._table = SufficientStatistics(counts, weights=self._times)

    def log_rising(self, a: Floats) -> Floats:
        """(S,)."""
        a = a[:, np.newaxis]
        return np.asarray((log_gamma(a + self._totals) - log_gamma(a)) @ self._times)

    def slope(self, a: Floats) -> Floats:
        """The first derivative (S,)."""
        return -self._table.log_likelihood_gradient(np.stack([a, a], axis=1) / 2.0)[1][:, 1]

    def curvature(self, a: Floats) -> Floats:
        """The second derivative (S,), which is negative."""
        return -np.asarray(self._table.log_likelihood_hessian(np.stack([a, a], axis=1) / 2.0)[1])


def _of_sum(totals: _Totals, model: HierarchicalModel, b: float, log_sum: Floats) -> tuple[Floats, Floats, Floats]:
    """h, and its first two derivatives with respect to A."""
    a, step = np.exp(log_sum), 1e-4
    prior = model.alpha
    slope = prior.log_density_slope(log_sum)
    bend = (prior.log_density_slope(log_sum + step) - prior.log_density_slope(log_sum - step)) / (2.0 * step)
    return (
        prior.log_density(log_sum) - b * log_sum - totals.log_rising(a),
        (slope - b) / a - totals.slope(a),
        (bend - slope + b) / a**2 - totals.curvature(a),
    )
