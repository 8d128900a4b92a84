"""One regression as the kernel takes it, its maximum without random intercepts, and the fit that is made of it."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from hbm_fast import _core, errors, priors
from hbm_fast._typing import Counts, Floats
from hbm_fast.fitting.regression_curvature import Curvature
from hbm_fast.fitting.regression_result import MESSAGES, Intercepts, RegressionFit
from hbm_fast.models import RegressionModel
from hbm_fast.models import design as designs
from hbm_fast.models.design import Design, normal_penalty

_LOG_TWO_PI = math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Maximum:
    """What Newton's method finds, for one link of the kernel, in the coefficients of the orthogonal columns.

    ``limit`` is the outcome where the likelihood is that of a multinomial regression, or None. With random intercepts
    the parameters end with their scales.
    """

    value: float
    theta: Floats
    information: Floats
    ending: str
    n_iterations: int
    link: str
    limit: str | None = None


class Problem:
    """One regression as the kernel takes it: orthogonal designs, categories without counts dropped, reference last."""

    def __init__(
        self,
        table: Counts,
        model: RegressionModel,
        mean: Design,
        precision: Design | None,
        weights: Floats | None,
        names: tuple[str, ...],
        prior: tuple[priors.Normal, priors.Normal] | None,
        n_threads: int,
    ) -> None:
        self.table, self.model, self.mean, self.precision = table, model, mean, precision
        self.weights, self.names, self.prior, self.n_threads = weights, names, prior, n_threads
        totals = table.sum(axis=1)
        self.filled = totals > 0 if weights is None else (totals > 0) & (weights > 0)
        n_filled = np.count_nonzero(self.filled)
        if n_filled == 0:
            raise ValueError("counts must hold at least one count; every group is empty")
        rows = None if n_filled == len(table) else self.filled
        designs.check_rank(mean, "mean", rows)
        if precision is not None:
            designs.check_rank(precision, "precision", rows)
        self.n_groups = float(n_filled if weights is None else weights[self.filled].sum())
        self.largest_total = int(totals.max())
        present = np.asarray((table if rows is None else table[rows]).any(axis=0))
        if prior is not None:
            present[:] = True
        self.present = np.flatnonzero(present)
        if len(self.present) < 2:
            raise ValueError(
                f"counts must have two categories with counts; only {names[self.present[0]]!r} occurs, whose "
                "proportion is 1 whatever the covariates"
            )
        self.reference = model.reference_index(names)
        if self.reference is not None and not present[self.reference]:
            raise ValueError(
                f"the reference category {names[self.reference]!r} occurs in no group; pass another reference= to "
                "RegressionModel, or reference=None"
            )
        last = self.present[-1] if self.reference is None else self.reference
        if model.link == "log":
            self.order = self.present
        else:
            self.order = np.append(self.present[self.present != last], last)
        self.free = self.order if model.link == "log" else self.order[:-1]
        self.q, self.r = mean.orthogonal()
        self.counts = np.ascontiguousarray(table[:, self.order], dtype=np.float64)
        if precision is not None:
            self.precision_q, self.precision_r = precision.orthogonal()

    @property
    def n_mean(self) -> int:
        """The number of coefficients of the mean that are estimated."""
        return len(self.free) * len(self.mean.column_names)

    def kernel(self, link: str, order: Any = slice(None)) -> _core.regression.Problem:
        """The kernel's view of the rows, in the order given."""

        def rows(array: Floats | None) -> Floats | None:
            return None if array is None else np.ascontiguousarray(array[order])

        options: dict[str, Any] = {"weights": rows(self.weights)}
        offset = self.mean.offset
        if self.prior is not None:
            mean, _ = self.prior
            options["penalty"] = normal_penalty(self.r, mean.sd)
            offset = self.mean.shifted(mean.mu)
        if link == "softmax":
            assert self.precision is not None
            options["precision_design"] = rows(self.precision_q)
            shift = self.precision.offset
            if self.prior is not None:
                _, precision = self.prior
                options["precision_penalty"] = normal_penalty(self.precision_r, precision.sd)
                shift = self.precision.shifted(precision.mu)
            options["precision_offset"] = rows(shift)
        return _core.regression.Problem(link, self.counts[order], self.q[order], offset=rows(offset), **options)

    def penalty(self, link: str) -> Floats | None:
        """The matrix of the prior's quadratic form in the kernel's parameters; None without a prior."""
        if self.prior is None:
            return None
        mean, precision = self.prior
        share = 0.0 if self.model.link == "log" else 1.0 / len(self.order)
        result = np.asarray(np.kron(np.eye(len(self.free)) - share, normal_penalty(self.r, mean.sd)), dtype=np.float64)
        if link != "softmax":
            return result
        size, q = len(result), len(self.precision_r)
        whole = np.zeros((size + q, size + q))
        whole[:size, :size] = result
        whole[size:, size:] = normal_penalty(self.precision_r, precision.sd)
        return whole

    def _maximize(self, link: str, max_iterations: int, limit: str | None = None) -> Maximum:
        # the coefficients whose predictor is nearest to 1
        unit = self.q.sum(axis=0) / len(self.q)
        precision_unit = self.precision_q.sum(axis=0) / len(self.q) if link == "softmax" else np.empty(0)
        found = self.kernel(link).maximize(unit, precision_unit, max_iterations, self.n_threads)
        return Maximum(*found, link=link, limit=limit)

    def multinomial(self, max_iterations: int) -> Maximum:
        """The limit of an infinite precision."""
        return self._maximize("multinomial", max_iterations, "infinity")

    def maximum(self, max_iterations: int) -> Maximum:
        """The maximum over the coefficients, or the multinomial limit where the likelihood is highest there."""
        link: str = self.model.link
        if self.largest_total < 2 and self.prior is None:
            if link == "log":
                raise ValueError("counts must have a group of two counts or more: else the precision has no estimate")
            return self._maximize("multinomial", max_iterations, "undetermined")
        found = self._maximize(link, max_iterations)
        if self.may_be_multinomial(found.ending, found.information):
            multinomial = self.multinomial(max_iterations)
            rounding = 1e-12 * abs(multinomial.value)
            if found.ending == "infinity" or found.value <= multinomial.value + rounding:
                return multinomial
        return found

    def may_be_multinomial(self, ending: str, information: Floats) -> bool:
        """Whether the likelihood is so flat in the precision, one for all groups, that its limit may be higher."""
        if self.precision is None or self.prior is not None or self.precision.offset is not None:
            return False
        flat = ending in ("infinity", "unfinished") or information[self.n_mean, self.n_mean] < 4.0
        return flat and bool((self.precision.matrix == self.precision.matrix[0]).all())

    def result(self, found: Maximum, intercepts: Intercepts | None = None) -> RegressionFit:
        """The fit."""
        theta, link, limit = found.theta, found.link, found.limit
        free = np.linalg.inv(self.r) @ theta[: self.n_mean].reshape(len(self.free), -1).T
        coefficients = np.zeros((len(free), len(self.names)))
        coefficients[:, self.free] = free
        if self.model.link == "softmax" and self.reference is None:
            coefficients[:, self.present] -= free.sum(axis=1, keepdims=True) / len(self.present)
        n_precision = 0 if self.precision is None else len(self.precision.column_names)
        precision = np.full(n_precision, {"infinity": np.inf}.get(limit or "", np.nan))
        if link == "softmax":
            precision = np.linalg.solve(self.precision_r, theta[self.n_mean : self.n_mean + n_precision])
        n_parameters = len(theta) + (n_precision if limit == "infinity" else 0)
        log_likelihood, log_posterior, log_evidence = found.value, None, None
        if self.prior is not None:
            log_posterior, log_evidence, log_likelihood = self._evidence(free, precision, found, intercepts)
            coefficients += self.prior[0].mu
            precision += self.prior[1].mu
        if len(self.present) < len(self.names):
            coefficients[:, np.setdiff1d(np.arange(len(self.names)), self.present)] = np.nan
        return RegressionFit(
            model=self.model,
            coefficients=coefficients,
            precision_coefficients=precision,
            log_likelihood=min(log_likelihood, 0.0),
            outcome=self._outcome(found.ending, limit),
            n_groups=self.n_groups,
            n_parameters=n_parameters,
            n_iterations=found.n_iterations,
            column_names=self.mean.column_names,
            precision_column_names=() if self.precision is None else self.precision.column_names,
            category_names=self.names,
            log_posterior=log_posterior,
            log_evidence=log_evidence,
            _counts=self.table,
            _design=self.mean,
            _precision=self.precision,
            _weights=self.weights,
            _free=tuple(self.free.tolist()),
            _curvature=Curvature(
                found.information,
                self.r,
                self.precision_r if link == "softmax" else None,
                n_precision,
                self.free,
                self.present if self.model.link == "softmax" and self.reference is None else None,
                len(self.names),
            ),
            _intercepts=intercepts,
        )

    def _outcome(self, ending: str, limit: str | None) -> str:
        if ending == "separated":
            return ending
        outcome = limit or {"flat": "undetermined"}.get(ending, ending)
        if outcome == "converged" and len(self.present) < len(self.names):
            return "absent category"
        if outcome == "unfinished":
            errors.warn(MESSAGES[outcome], errors.ConvergenceWarning)
        return outcome

    def _evidence(
        self, free: Floats, precision: Floats, found: Maximum, intercepts: Intercepts | None
    ) -> tuple[float, float, float]:
        """Log posterior density at the mode, Laplace's approximation of the evidence, and the log-likelihood.

        The density is that of the free coefficients, the coefficients of the precision and the log scales.
        """
        assert self.prior is not None
        mean, shape = self.prior
        n_columns, j = free.shape
        total = float((free**2).sum())
        if self.model.link == "softmax":  # the volume of the logits in the space of those that sum to zero
            total -= float((free.sum(axis=1) ** 2).sum()) / len(self.order)
        quadratic = 0.5 * total / mean.sd**2 + 0.5 * float((precision**2).sum()) / shape.sd**2
        normal = free.size * (math.log(mean.sd) + 0.5 * _LOG_TWO_PI)
        volume = j * float(np.log(np.abs(np.diag(self.r))).sum())
        if self.model.link == "softmax":
            normal += 0.5 * n_columns * math.log(len(self.order))
            normal += precision.size * (math.log(shape.sd) + 0.5 * _LOG_TWO_PI)
            volume += float(np.log(np.abs(np.diag(self.precision_r))).sum())
        information, log_posterior, log_scales = found.information, found.value - normal, 0.0
        if intercepts is not None:
            scales = np.abs(found.theta[self.n_mean + precision.size :])
            log_scales = float(self.log_density_of_scales(scales)[0])
            steps = np.append(np.ones(len(found.theta) - len(scales)), scales)
            information = steps[:, None] * information * steps
        sign, log_determinant = np.linalg.slogdet(information)
        log_evidence = math.nan
        if sign > 0:
            log_evidence = log_posterior - volume + 0.5 * (len(information) * _LOG_TWO_PI - float(log_determinant))
        return log_posterior, log_evidence, found.value + quadratic - log_scales

    def log_density_of_scales(self, scales: Floats) -> tuple[float, Floats]:
        """Log prior density of the logs of the scales, and its derivatives in the scales."""
        sd = self.model.random_scale.scale
        value = np.log(scales) - 0.5 * (scales / sd) ** 2 - math.log(sd) + math.log(2.0) - 0.5 * _LOG_TWO_PI
        return float(value.sum()), 1.0 / scales - scales / sd**2
