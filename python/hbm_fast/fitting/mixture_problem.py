"""What the search, the information and the result of a mixture's fit share: the slots of the counts and the priors."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _core, _validate, priors
from hbm_fast._typing import CountsLike, Floats
from hbm_fast.models import MixtureModel
from hbm_fast.tables.inputs import as_counts

_CANDIDATES = (2, 4)  # for each seed of a plain start, of one that is refined


@dataclass(frozen=True)
class Rows:
    """Compressed sparse rows of counts: values, columns, offsets, and shape (N, K)."""

    values: NDArray[np.int64]
    columns: NDArray[np.int64]
    offsets: NDArray[np.int64]
    shape: tuple[int, int]

    @classmethod
    def of(cls, counts: CountsLike) -> "Rows":
        """Rows of checked counts (N, K), of any kind that `hbm_fast.tables.as_counts` takes."""
        counts = as_counts(counts).counts
        if _validate.is_sparse(counts):
            values, columns, offsets, shape = _validate.csr(counts)
            _validate.count_values(values[:, np.newaxis], "counts")
        else:
            array = _validate.counts(counts)
            where, columns = np.nonzero(array)
            values, shape = array[where, columns], (array.shape[0], array.shape[1])
            offsets = np.searchsorted(where, np.arange(shape[0] + 1))
        values, columns, offsets = (np.ascontiguousarray(a, dtype=np.int64) for a in (values, columns, offsets))
        row = np.repeat(np.arange(shape[0]), np.diff(offsets))
        totals = np.bincount(row, values)  # of an array they are checked with the values
        _validate.at_most(int(totals.max(initial=0.0)), "counts' total of each group", _validate.MAX_COUNT)
        order = np.lexsort((columns, row))
        return cls(values[order], columns[order], offsets, shape)

    def __getitem__(self, rows: NDArray[np.intp]) -> "Rows":
        lengths = np.diff(self.offsets)[rows]
        offsets = np.append(0, np.cumsum(lengths))
        index = np.repeat(self.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Rows(self.values[index], self.columns[index], offsets, (len(rows), self.shape[1]))

    def slots(self, weights: Floats | None = None) -> _core.mixture.CountSlots:
        """The kernels' form of the rows with counts; the order of the rows has no effect on it."""
        return _core.mixture.CountSlots(self.values, self.columns, self.offsets, self.shape[1], weights)

    def proportions(self, columns: list[int]) -> Floats:
        """Proportions (N, C) of some columns; NaN in rows without counts."""
        result = np.zeros((self.shape[0], len(columns)))
        row = np.repeat(np.arange(self.shape[0]), np.diff(self.offsets))
        for i, column in enumerate(columns):
            here = self.columns == column
            result[row[here], i] = self.values[here]
        with np.errstate(invalid="ignore"):
            return np.asarray(result / np.bincount(row, self.values, minlength=self.shape[0])[:, np.newaxis])

    def dense(self, row: int) -> Floats:
        """One row (K,)."""
        result = np.zeros(self.shape[1])
        part = slice(self.offsets[row], self.offsets[row + 1])
        result[self.columns[part]] = self.values[part]
        return result


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
        return Solutions(
            self.log_concentration[index],
            self.log_weights[index],
            self.value[index],
            self.n_iterations[index],
            self.converged[index],
        )

    @staticmethod
    def joined(parts: list["Solutions"]) -> "Solutions":
        """All solutions of the parts."""
        return Solutions(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("log_concentration", "log_weights", "value", "n_iterations", "converged")
            )
        )


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
        alpha, beta = model.alpha, model.beta
        if prior is not None:  # independent gammas: their sum is a gamma, and independent of the proportions
            alpha = priors.Gamma(self.n_categories * prior.shape, rate=prior.rate)
            beta = priors.Dirichlet(prior.shape)
        bounded = isinstance(alpha, priors.Fixed | priors.LogUniform | priors.Power)
        if bounded or not isinstance(beta, priors.Dirichlet) or beta.is_learned:
            raise ValueError(
                "fit takes a prior of alpha with a density on all positive numbers, whose mode is at no bound, and a "
                f"Dirichlet prior of beta of known concentration for a mixture; got alpha={alpha}, beta={beta}. Pass "
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
        """Log density of the weights relative to the uniform one; 0 where they are Dirichlet(1)."""
        d, j = self.model.weights, len(weights)
        if d == 1.0:
            return 0.0
        return math.lgamma(j * d) - math.lgamma(j) - j * math.lgamma(d) + (d - 1.0) * float(np.log(weights).sum())

    def starts(self, uniforms: Floats, n_refined: int) -> tuple[Floats, Floats]:
        """Log concentrations (S, J, K) and log weights (S, J) of k-means++ seeds.

        Each seed is the best of some candidates; the last ``n_refined`` starts have Lloyd's iterations too. With one
        component the starts have different total concentrations instead.
        """
        n_starts, n_components = uniforms.shape
        if n_components == 1:
            totals, labels = np.geomspace(0.01, 1e4, n_starts), np.zeros((n_starts, self.slots.n_groups), np.int32)
        else:
            totals, plain = np.full(n_starts, 20.0), n_starts - n_refined
            labels = np.concatenate(
                [
                    self.slots.seeds(uniforms[:plain], _CANDIDATES[0], 0, self.n_threads),
                    self.slots.seeds(uniforms[plain:], _CANDIDATES[1], 10, self.n_threads),
                ]
            )
        return self.slots.starts(labels, n_components, totals, *self._kernels, self.n_threads)

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
