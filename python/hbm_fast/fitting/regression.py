"""Dirichlet-multinomial regression: maximum likelihood or the posterior mode, and what is read off the fit."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _core, _validate, errors, priors
from hbm_fast._typing import Counts, Floats
from hbm_fast.fitting.regression_result import LARGEST_ERROR, MESSAGES, RegressionFit
from hbm_fast.models import RegressionModel
from hbm_fast.models import design as designs
from hbm_fast.models.design import Design
from hbm_fast.tables.inputs import NamedCounts, as_counts


def fit_regression(
    counts: Any,
    model: RegressionModel,
    *,
    data: Any = None,
    design: ArrayLike | None = None,
    precision_design: ArrayLike | None = None,
    prior: Literal["model"] | priors.Normal | None = None,
    weights: ArrayLike | None = None,
    category_names: Sequence[str] | None = None,
    max_iterations: int = 200,
    n_threads: int | None = None,
    layer: str | None = None,
) -> RegressionFit:
    """`fit` for a `RegressionModel`; its parameters are described there."""
    if model.random_intercept is not None:
        raise NotImplementedError(
            "fit has no random intercepts yet: pass a RegressionModel without random_intercept, or the subject as a "
            "factor of mean"
        )
    table, given = named_counts(counts, category_names, layer)
    names = given.category_names or ()
    _validate.same_categories(table.shape[1], model)
    n_rows = len(table)
    data = aligned(data, given.group_names)
    mean = designs.of_model(model, "mean", data, design, n_rows)
    precision = None
    if model.link == "softmax":
        precision = designs.of_model(model, "precision", data, precision_design, n_rows)
    elif precision_design is not None:
        raise ValueError("precision_design is for link='softmax'; with link='log' design changes the precision already")
    multiplicity = _weights(given.weights if weights is None else weights, n_rows)
    filled = np.asarray(table.any(axis=1))
    if multiplicity is not None:
        filled &= multiplicity > 0
    if not filled.any():
        raise ValueError("counts must hold at least one count; every group is empty")
    for part, name in ((mean, "mean"), (precision, "precision")):
        if part is not None:
            designs.check_rank(part, name, None if filled.all() else filled)
    problem = _Problem(table, model, mean, precision, multiplicity, filled, names, _prior_of(prior, model))
    return problem.fit(_validate.positive_int(max_iterations, "max_iterations"), _validate.threads(n_threads))


def _prior_of(
    prior: Literal["model"] | priors.Normal | None, model: RegressionModel
) -> tuple[priors.Normal, priors.Normal] | None:
    if prior is None:
        return None
    if prior == "model":
        return model.coefficients, model.precision_coefficients
    if isinstance(prior, priors.Normal):
        if model.link == "softmax" and prior.mu != 0.0:
            raise ValueError(f"prior must have mean 0 with link='softmax'; got {prior!r}")
        return prior, model.precision_coefficients
    raise TypeError(f"prior must be priors.Normal, 'model' (the priors of the model) or None; got {prior!r}")


def _weights(weights: ArrayLike | None, n_rows: int) -> Floats | None:
    if weights is None:
        return None
    result = _validate.in_range(_validate.doubles(weights, "weights"), "weights", zero=True)
    if result.shape != (n_rows,):
        raise ValueError(f"weights must have shape ({n_rows},), one a group; got {result.shape}")
    return result


class _Problem:
    """One regression as the kernel takes it: orthogonal designs, categories without counts dropped, reference last."""

    def __init__(
        self,
        table: Counts,
        model: RegressionModel,
        mean: Design,
        precision: Design | None,
        weights: Floats | None,
        filled: NDArray[np.bool_],
        names: tuple[str, ...],
        prior: tuple[priors.Normal, priors.Normal] | None,
    ) -> None:
        self.table, self.model, self.mean, self.precision = table, model, mean, precision
        self.weights, self.names, self.prior, self.n_threads = weights, names, prior, 1
        self.n_groups = float(filled.sum() if weights is None else weights[filled].sum())
        self.largest_total = int(table.sum(axis=1).max())
        present = np.asarray(table[filled].any(axis=0))
        if prior is not None:
            present = np.ones(table.shape[1], dtype=np.bool_)
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
        self.unit = self.q.T @ np.ones(len(table)) / len(table)
        self.counts = np.ascontiguousarray(table[:, self.order], dtype=np.float64)
        if precision is not None:
            self.precision_q, self.precision_r = precision.orthogonal()
            self.precision_unit = self.precision_q.T @ np.ones(len(table)) / len(table)

    def maximize(self, link: str, max_iterations: int) -> tuple[float, Floats, Floats, str, int]:
        """Value, parameters, information, ending and iterations of Newton's method."""
        options: dict[str, Any] = {"weights": self.weights, "offset": self.mean.offset}
        precision_unit = np.empty(0)
        if link == "softmax":
            assert self.precision is not None
            precision_unit = self.precision_unit
            options |= {"precision_design": self.precision_q, "precision_offset": self.precision.offset}
        if self.prior is not None:
            mean, precision = self.prior
            options["penalty"] = _penalty(self.r, mean.sd)
            if mean.mu != 0.0:
                shift = self.mean.matrix.sum(axis=1) * mean.mu
                options["offset"] = shift if self.mean.offset is None else shift + self.mean.offset
            if link == "softmax":
                assert self.precision is not None
                options["precision_penalty"] = _penalty(self.precision_r, precision.sd)
                if precision.mu != 0.0:
                    shift = self.precision.matrix.sum(axis=1) * precision.mu
                    options["precision_offset"] = shift + (options["precision_offset"] or 0.0)
        problem = _core.regression.Problem(link, self.counts, self.q, **options)
        return problem.maximize(self.unit, precision_unit, max_iterations, self.n_threads)

    def fit(self, max_iterations: int, n_threads: int) -> RegressionFit:
        self.n_threads = n_threads
        link: str = self.model.link
        if self.largest_total < 2 and self.prior is None:
            if link == "log":
                raise ValueError("counts must have a group of two counts or more: else the precision has no estimate")
            return self.result(*self.maximize("multinomial", max_iterations), link="multinomial", limit="undetermined")
        found = self.maximize(link, max_iterations)
        if self.prior is None and self._is_constant() and self._may_be_multinomial(found):
            multinomial = self.maximize("multinomial", max_iterations)
            rounding = 1e-12 * abs(multinomial[0])
            if found[3] == "infinity" or found[0] <= multinomial[0] + rounding:
                return self.result(*multinomial, link="multinomial", limit="infinity")
        return self.result(*found, link=link)

    def _is_constant(self) -> bool:
        if self.precision is None or self.precision.offset is not None:
            return False
        return bool((self.precision.matrix == self.precision.matrix[0]).all())

    @staticmethod
    def _may_be_multinomial(found: tuple[float, Floats, Floats, str, int]) -> bool:
        """Whether the likelihood is so flat in the precision that its limit may be higher."""
        return found[3] in ("infinity", "unfinished") or found[2][-1, -1] < 4.0

    def result(
        self,
        value: float,
        theta: Floats,
        information: Floats,
        ending: str,
        n_iterations: int,
        *,
        link: str,
        limit: str | None = None,
    ) -> RegressionFit:
        k, n_columns, j = len(self.names), self.mean.matrix.shape[1], len(self.free)
        outcome = self._outcome(ending, limit)
        inverse = np.linalg.inv(self.r)
        free = inverse @ theta[: j * n_columns].reshape(j, n_columns).T
        spread = self._spread(k)
        coefficients = free @ spread.T
        n_precision = 0 if self.precision is None else self.precision.matrix.shape[1]
        precision = np.full(n_precision, {"infinity": np.inf}.get(limit or "", np.nan))
        maps = [np.einsum("kj,pq->kpjq", spread, inverse).reshape(k * n_columns, j * n_columns)]
        if link == "softmax":
            precision_inverse = np.linalg.inv(self.precision_r)
            precision = precision_inverse @ theta[j * n_columns :]
            maps.append(precision_inverse)
        if self.prior is not None:
            coefficients += self.prior[0].mu
            precision += self.prior[1].mu
        covariance = np.full((k * n_columns + n_precision,) * 2, np.nan)
        filled = k * n_columns + (n_precision if link == "softmax" else 0)
        variance = self._invert(information, j * n_columns)
        transform = np.zeros((filled, len(theta)))
        transform[: k * n_columns, : j * n_columns] = maps[0]
        if link == "softmax":
            transform[k * n_columns :, j * n_columns :] = maps[1]
        covariance[:filled, :filled] = transform @ variance @ transform.T
        error = np.sqrt(np.diag(covariance))
        coefficient_error = error[: k * n_columns].reshape(k, n_columns).T.copy()
        precision_error = error[k * n_columns :].copy()
        absent = np.ones(k, dtype=np.bool_)
        absent[self.present] = False
        coefficients[:, absent] = np.nan
        coefficient_error[:, absent] = np.nan
        if self.reference is not None and link != "log":
            coefficient_error[:, self.reference] = np.nan
        if outcome in ("infinity", "zero", "undetermined", "unfinished"):
            precision_error[:] = np.nan
        with np.errstate(invalid="ignore"):
            runs = (self.mean.matrix**2 @ coefficient_error**2).max(axis=0) > LARGEST_ERROR**2 * n_columns
        coefficient_error[:, runs] = np.nan
        log_prior, log_evidence = self._evidence(free, precision, value, information)
        return RegressionFit(
            model=self.model,
            coefficients=coefficients,
            standard_error=coefficient_error,
            precision_coefficients=precision,
            precision_standard_error=precision_error,
            log_likelihood=min(value if log_prior is None else value + self._quadratic(free, precision), 0.0),
            outcome=outcome,
            n_groups=self.n_groups,
            n_parameters=len(theta) if link != "multinomial" or limit == "undetermined" else len(theta) + n_precision,
            n_iterations=n_iterations,
            column_names=self.mean.column_names,
            precision_column_names=() if self.precision is None else self.precision.column_names,
            category_names=self.names,
            log_posterior=log_prior,
            log_evidence=log_evidence,
            _counts=self.table,
            _design=self.mean,
            _precision=self.precision,
            _covariance=covariance,
            _free=tuple(int(i) for i in self.free),
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

    def _spread(self, k: int) -> Floats:
        """The coefficients of all K categories from the free ones (K, J)."""
        result = np.zeros((k, len(self.free)))
        result[self.free, np.arange(len(self.free))] = 1.0
        if self.model.link == "softmax" and self.reference is None:
            result[self.present] -= result[self.present].mean(axis=0)
        return result

    @staticmethod
    def _invert(information: Floats, n_mean: int) -> Floats:
        try:
            return np.asarray(np.linalg.inv(information))
        except np.linalg.LinAlgError:
            return np.full_like(information, np.nan)

    def _quadratic(self, free: Floats, precision: Floats) -> float:
        """The penalty at the coefficients."""
        assert self.prior is not None
        mean, shape = self.prior
        total = float((free**2).sum())
        if self.model.link == "softmax":
            total -= float((free.sum(axis=1) ** 2).sum()) / len(self.order)
        quadratic = 0.5 * total / mean.sd**2
        if precision.size:
            quadratic += 0.5 * float(((precision - shape.mu) ** 2).sum()) / shape.sd**2
        return quadratic

    def _evidence(
        self, free: Floats, precision: Floats, value: float, information: Floats
    ) -> tuple[float | None, float | None]:
        """Log posterior density of the free coefficients at the mode, and Laplace's approximation of the evidence."""
        if self.prior is None:
            return None, None
        mean, shape = self.prior
        n_columns, j = free.shape
        log_posterior = value - free.size * (math.log(mean.sd) + 0.5 * math.log(2.0 * math.pi))
        if self.model.link == "softmax":  # the volume of the logits in the space of those that sum to zero
            log_posterior -= 0.5 * n_columns * math.log(len(self.order))
            log_posterior -= precision.size * (math.log(shape.sd) + 0.5 * math.log(2.0 * math.pi))
        volume = j * float(np.log(np.abs(np.diag(self.r))).sum())
        if self.model.link == "softmax":
            volume += float(np.log(np.abs(np.diag(self.precision_r))).sum())
        sign, log_determinant = np.linalg.slogdet(information)
        if sign <= 0:
            return log_posterior, math.nan
        size = len(information)
        return log_posterior, log_posterior - volume + 0.5 * (size * math.log(2.0 * math.pi) - float(log_determinant))


def named_counts(
    counts: Any, category_names: Sequence[str] | None = None, layer: str | None = None
) -> tuple[Counts, NamedCounts]:
    """Checked counts (N, K), and the same with the names of categories and groups."""
    given = as_counts(counts, layer=layer, category_names=category_names)
    table = _validate.counts(given.dense())
    names = given.category_names or tuple(map(str, range(table.shape[1])))
    return table, dataclasses.replace(given, category_names=names)


def aligned(data: Any, group_names: Sequence[str] | None) -> Any:
    """The data frame with its rows in the order of the groups, where both have names."""
    rows = designs.row_names(data)
    if rows is None or group_names is None or tuple(group_names) == rows:
        return data
    return data.iloc[positions(group_names, rows, "data")]


def positions(wanted: Sequence[str], names: Sequence[str], what: str) -> list[int]:
    """Where each of the wanted rows is among the names."""
    place = {name: i for i, name in enumerate(names)}
    missing = [name for name in wanted if name not in place]
    if missing or len(place) < len(names):
        problem = f"lacks {missing[0]!r}" if missing else "has a name twice"
        raise ValueError(f"{what} must have a row for each group by name, and {problem}; drop the names of one of both")
    return [place[name] for name in wanted]


def _penalty(r: Floats, sd: float) -> Floats:
    inverse = np.linalg.inv(r)
    return np.ascontiguousarray(inverse.T @ inverse / sd**2)
