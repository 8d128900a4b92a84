"""What the search, the information and the result of a mixture's fit share: the slots of the counts and the priors."""

import math
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hbm_fast import priors
from hbm_fast._typing import Floats
from hbm_fast.models import MixtureModel
from hbm_fast.tables.rows import Rows

_TOTAL = 20.0  # concentration of a start
_CANDIDATES = (2, 4)  # for each seed of a plain start, of one that is refined


@dataclass(frozen=True)
class Solutions:
    """S points of the parameters' space and the log posterior at each.

    Attributes
    ----------
    log_concentration : (S, J, K)
    log_weights : (S, J)
    value : (S,)
    n_iterations, converged : (S,)
    """

    log_concentration: Floats
    log_weights: Floats
    value: Floats
    n_iterations: NDArray[np.int64]
    converged: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, index: NDArray[np.intp] | slice) -> "Solutions":
        return Solutions(*(getattr(self, f.name)[index] for f in fields(self)))

    @staticmethod
    def starts(log_concentration: Floats, log_weights: Floats) -> "Solutions":
        """Points from which to search; their values are not known."""
        n = len(log_weights)
        return Solutions(
            log_concentration, log_weights, np.full(n, -np.inf), np.zeros(n, np.int64), np.zeros(n, np.bool_)
        )

    @staticmethod
    def joined(parts: list["Solutions"]) -> "Solutions":
        """All solutions of the parts."""
        return Solutions(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Solutions)))


class MixtureProblem:
    """Counts and the priors of a mixture of them; the order of the rows has no effect.

    Parameters
    ----------
    rows : Rows
    model : MixtureModel
    prior : Gamma or None
        Of every concentration, in place of the model's.
    weights : (N,) or None
        Multiplicity of each row.
    n_threads, max_iterations : int
    """

    def __init__(
        self,
        rows: Rows,
        model: MixtureModel,
        prior: priors.Gamma | None,
        weights: Floats | None,
        n_threads: int,
        max_iterations: int,
    ) -> None:
        self.rows, self.model, self.n_threads, self.max_iterations = rows, model, n_threads, max_iterations
        self.n_categories = rows.shape[1]
        self.slots = rows.slots(weights)
        if self.slots.n_groups == 0:
            raise ValueError("counts must hold at least one count; every group is empty")
        alpha, beta = model.component.alpha, model.beta
        if prior is not None:  # independent gammas: their sum is a gamma, and independent of the proportions
            alpha = priors.Gamma(self.n_categories * prior.shape, rate=prior.rate)
            beta = priors.Dirichlet(prior.shape)
        bounded = isinstance(alpha, priors.Fixed | priors.LogUniform | priors.Power)
        if bounded or not isinstance(beta, priors.Dirichlet) or beta.is_learned:
            raise ValueError(
                "fit takes a prior of alpha with a density on all positive numbers, whose mode is at no bound, and a "
                f"Dirichlet prior of beta of known concentration; got alpha={alpha}, beta={beta}. Pass "
                "prior=priors.Gamma(...), or use hbm.sample"
            )
        self.alpha = alpha
        self.b = np.broadcast_to(np.asarray(beta.concentration), (self.n_categories,))
        self._kernels = (alpha._kernel(), beta._kernel(self.n_categories), model.weights)

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """The row of each group with a count."""
        return self.slots.order

    @cached_property
    def group_weights(self) -> Floats:
        """Multiplicity of each group with a count."""
        return self.slots.weights

    def log_prior(self, log_concentration: Floats) -> Floats:
        """Log density (...,) of log concentrations (..., K) of components."""
        largest = log_concentration.max(axis=-1, keepdims=True)
        log_alpha = np.log(np.exp(log_concentration - largest).sum(axis=-1)) + largest[..., 0]
        normalizer = math.lgamma(self.b.sum()) - sum(map(math.lgamma, self.b))
        return np.asarray(
            normalizer
            + self.alpha.log_density(log_alpha)
            + (self.b * (log_concentration - log_alpha[..., np.newaxis])).sum(axis=-1)
        )

    def log_prior_of_weights(self, weights: Floats) -> float:
        """As the function of this name, with the model's prior."""
        return log_prior_of_weights(self.model.weights, weights)

    def starts(self, uniforms: Floats, n_refined: int) -> tuple[Floats, Floats]:
        """Log concentrations (S, J, K) and log weights (S, J) of k-means++ seeds.

        Each seed is the best of some candidates; the last ``n_refined`` starts have Lloyd's iterations too. With one
        component the starts have different total concentrations instead.
        """
        n_starts, n_components = uniforms.shape
        if n_components == 1:
            totals, labels = np.geomspace(0.01, 1e4, n_starts), np.zeros((n_starts, self.slots.n_groups), np.int32)
        else:
            totals, plain = np.full(n_starts, _TOTAL), n_starts - n_refined
            labels = np.concatenate(
                [
                    self.slots.seeds(uniforms[:plain], _CANDIDATES[0], 0, self.n_threads),
                    self.slots.seeds(uniforms[plain:], _CANDIDATES[1], 10, self.n_threads),
                ]
            )
        return self.slots.starts(labels, n_components, totals, *self._kernels, self.n_threads)

    def best_start(self, uniforms: Floats) -> tuple[Floats, Floats]:
        """One start (1, J, K), (1, J): of some refined seedings (S, J) that whose components are narrowest."""
        n_components, rows = uniforms.shape[1], self.rows
        labels = self.slots.seeds(uniforms, _CANDIDATES[1], 10, self.n_threads)
        row = np.repeat(np.arange(rows.shape[0]), np.diff(rows.offsets))
        of_row, weights = np.zeros(rows.shape[0], np.int64), np.zeros(rows.shape[0])
        weights[self.order] = self.group_weights
        roots = weights[row] * np.sqrt(rows.values / np.bincount(row, rows.values)[row])
        within = []
        for own in labels:
            of_row[self.order] = own
            at = of_row[row] * rows.shape[1] + rows.columns
            sums = np.bincount(at, roots, minlength=n_components * rows.shape[1]).reshape(n_components, -1)
            sizes = np.bincount(of_row, weights, minlength=n_components)
            squares = (sums**2).sum(axis=1)
            within.append((squares / np.maximum(sizes, 1e-300)).sum())  # the squared roots less the distances
        best = labels[[int(np.argmax(within))]]
        return self.slots.starts(best, n_components, np.full(1, _TOTAL), *self._kernels, self.n_threads)

    def maximize(self, log_concentration: Floats, log_weights: Floats, tolerance: float) -> tuple[Solutions, bool]:
        """The modes that starts lead to, and whether Ctrl-C stopped the call: then those that were not begun have the
        value -inf.
        """
        a, w = log_concentration.copy(), log_weights.copy()
        value, n_iterations, converged, interrupted = self.slots.maximize(
            a, w, *self._kernels, tolerance, self.max_iterations, self.n_threads
        )
        return Solutions(a, w, value + self.slots.log_coefficient, n_iterations, converged), interrupted

    def log_joint(self, log_concentration: Floats, log_weights: Floats) -> Floats:
        """Log weight plus log likelihood without coefficient (N, J) of one solution."""
        return self.slots.log_joint(log_concentration[np.newaxis], log_weights[np.newaxis])

    def information(self, log_concentration: Floats, log_weights: Floats) -> tuple[Floats, Floats, Floats]:
        """Responsibilities times multiplicity (N, J), diagonal (J, K) and rank-one factor (J,) of the complete data's
        information ``diag(d) - f a a'``.
        """
        shares, diagonal, factor, _ = self.slots.information(
            log_concentration[np.newaxis], log_weights[np.newaxis], *self._kernels
        )
        return shares, np.ascontiguousarray(diagonal.T), factor[0]

    def scores(self, log_concentration: Floats, groups: NDArray[np.int64]) -> Floats:
        """Slopes of the log likelihood of groups in log concentration, (R, J, K)."""
        return self.slots.scores(np.ascontiguousarray(log_concentration), groups)


def log_prior_of_weights(d: float, weights: Floats) -> float:
    """Log density of weights ~ Dirichlet(d, ..., d) relative to the uniform one; 0 where d is 1."""
    j = len(weights)
    if d == 1.0:
        return 0.0
    return math.lgamma(j * d) - math.lgamma(j) - j * math.lgamma(d) + (d - 1.0) * float(np.log(weights).sum())
