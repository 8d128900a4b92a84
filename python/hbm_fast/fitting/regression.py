"""Dirichlet-multinomial regression: maximum likelihood or the posterior mode, and what is read off the fit."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _core, _validate, errors, priors
from hbm_fast._optional import import_optional
from hbm_fast._typing import Counts, Floats
from hbm_fast.fitting.chi_squared import chi_squared_tail
from hbm_fast.models import RegressionModel
from hbm_fast.models import design as designs
from hbm_fast.models.design import Design
from hbm_fast.models.regression import reference_index
from hbm_fast.tables.inputs import NamedCounts, as_counts

_MESSAGES = {
    "converged": "a maximum was found",
    "separated": "no finite maximum: some mean proportions run to 0 or 1, as a category has no counts "
    "(or all) for some values of the covariates; Wald tests do not apply, likelihood-ratio tests do, and a prior gives "
    "a finite mode",
    "infinity": "no finite maximum: the likelihood grows with the precision towards that of a multinomial regression, "
    "whose log-likelihood is given",
    "zero": "no positive maximum: the likelihood grows as the precision falls to 0, every group being of one category",
    "absent category": "a category occurs in no group: its mean proportion is 0, and its coefficients are not finite",
    "undetermined": "the likelihood does not depend on the precision in some direction; no group has two counts",
    "unfinished": "Newton's method stopped short of a maximum; pass a larger max_iterations",
}
_LARGEST_SE = 1e3  # of a log proportion: beyond, the proportion runs to 0 or 1


@dataclass(frozen=True)
class RegressionTest:
    """A test of coefficients.

    Attributes
    ----------
    statistic : float
        Chi-squared under the null hypothesis.
    df : int
        Degrees of freedom.
    p_value : float
    """

    statistic: float
    df: int
    p_value: float


@dataclass(frozen=True, eq=False, repr=False)
class RegressionSummary:
    """The table of a fit: one row a coefficient. Printing it shows the whole.

    Attributes
    ----------
    header : tuple of (str, str)
    rows : tuple of (term, category, estimate, standard error, z, p-value, lower, upper)
    """

    header: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Any, ...], ...]

    def to_frame(self) -> Any:
        """The table as a pandas frame."""
        pandas = import_optional("pandas", "formula")
        names = ("term", "category", "estimate", "standard_error", "z", "p_value", "lower", "upper")
        return pandas.DataFrame(list(self.rows), columns=list(names))

    def __repr__(self) -> str:
        titles = ("term", "category", "coef", "std err", "z", "P>|z|", "[0.025", "0.975]")
        lines = [tuple(map(str, row[:2])) + tuple(map(_number, row[2:])) for row in self.rows]
        widths = [max(len(line[i]) for line in [titles, *lines]) for i in range(len(titles))]
        width = max(sum(widths) + 2 * len(widths) - 2, 60)
        head = [f"{name + ':':<24}{value}" for name, value in self.header]

        def aligned(line: tuple[str, ...]) -> str:
            texts = [t.ljust(w) if i < 2 else t.rjust(w) for i, (t, w) in enumerate(zip(line, widths, strict=True))]
            return "  ".join(texts).rstrip()

        body = [aligned(titles), "-" * width, *map(aligned, lines)]
        return "\n".join(
            [
                "Dirichlet-multinomial regression".center(width).rstrip(),
                "=" * width,
                *head,
                "=" * width,
                *body,
                "=" * width,
            ]
        )


@dataclass(frozen=True, eq=False, repr=False)
class RegressionFit:
    """The result of `fit` with a `RegressionModel`.

    Parameters
    ----------
    model : RegressionModel
    coefficients : float64 array (P, K)
        Of the linear predictor of each category. Zero in the column of the reference; with ``reference=None`` rows sum
        to zero, with ``link="log"`` all are free. NaN in the column of a category that never occurs.
    standard_error : float64 array (P, K)
        From the observed information; NaN in the column of the reference, and where there is no finite maximum.
    precision_coefficients, precision_standard_error : float64 arrays (Q,)
        Of the log precision; empty with ``link="log"``.
    log_likelihood : float
        With the multinomial coefficient; its supremum where there is no maximum.
    outcome : str
        ``"converged"``, ``"separated"``, ``"infinity"``, ``"zero"``, ``"absent category"``, ``"undetermined"`` or
        ``"unfinished"``; ``message`` explains it.
    n_groups : float
        Number of groups with counts, or the sum of their weights.
    n_parameters : int
    n_iterations : int
    column_names, precision_column_names : tuples of str (P,), (Q,)
    category_names : tuple of str (K,)
    log_posterior, log_evidence : float or None
        Under a prior: the log density at the mode, and Laplace's approximation of the log evidence.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> twins = hbm.datasets.load_twins()
    >>> obese = [[1.0, float(label == "Obese")] for label in twins.labels]
    >>> fit = hbm.fit(twins.counts[:, [20, 40, 60]], hbm.RegressionModel(3), design=obese)
    >>> fit.coefficients.shape, fit.outcome
    ((2, 3), 'converged')
    """

    model: RegressionModel
    coefficients: Floats
    standard_error: Floats
    precision_coefficients: Floats
    precision_standard_error: Floats
    log_likelihood: float
    outcome: str
    n_groups: float
    n_parameters: int
    n_iterations: int
    column_names: tuple[str, ...]
    precision_column_names: tuple[str, ...]
    category_names: tuple[str, ...]
    log_posterior: float | None = None
    log_evidence: float | None = None
    _counts: Counts = field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))
    _design: Design | None = None
    _precision: Design | None = None
    _covariance: Floats = field(default_factory=lambda: np.empty((0, 0)))
    _free: tuple[int, ...] = ()  # categories whose coefficients are estimated, of a basis of them

    def __repr__(self) -> str:
        return (
            f"RegressionFit({self.model!r}\n  log_likelihood={self.log_likelihood:.6f}, outcome={self.outcome!r}, "
            f"{self.n_parameters} parameters, {self.n_groups:g} groups)"
        )

    @property
    def converged(self) -> bool:
        """Whether every parameter is at a finite maximum."""
        return self.outcome == "converged"

    @property
    def message(self) -> str:
        """The outcome in words."""
        return _MESSAGES[self.outcome]

    @property
    def aic(self) -> float:
        """``2 k - 2 log L``."""
        return 2.0 * self.n_parameters - 2.0 * self.log_likelihood

    @property
    def bic(self) -> float:
        """``k log N - 2 log L``, N the number of groups."""
        return self.n_parameters * math.log(self.n_groups) - 2.0 * self.log_likelihood

    def covariance(self) -> Floats:
        """Covariance of all coefficients, the inverse of the observed information.

        Returns
        -------
        float64 array (K P + Q, K P + Q)
            Category by category, P coefficients each, then those of the precision; zero for the reference.
        """
        return self._covariance.copy()

    def predict(
        self, data: Any = None, *, design: ArrayLike | None = None, probability: float | None = None
    ) -> Floats | tuple[Floats, Floats, Floats]:
        """Mean proportions, with an interval of each where ``probability`` is given.

        Parameters
        ----------
        data : data frame or array (N, P), optional
            Covariates; default those of the fit.
        design : array (N, P), optional
            The columns themselves.
        probability : float, optional
            Of the interval, symmetric in the logit of the proportion.

        Returns
        -------
        mean : float64 array (N, K), or mean, lower, upper

        Raises
        ------
        TypeError, ValueError
            For covariates that are missing, not finite, or of a level that the fit has not seen.
        """
        matrix, offset = self._covariates(data, design)
        eta = self._predictors(matrix, offset)
        mean = _softmax(eta)
        if probability is None:
            return mean
        if not 0.0 < probability < 1.0:
            raise ValueError(f"probability must lie between 0 and 1; got {probability}")
        self._need_maximum("an interval")
        n_columns, k = matrix.shape[1], len(self.category_names)
        covariance = np.nan_to_num(self._covariance[: k * n_columns, : k * n_columns])
        width = NormalDist().inv_cdf(0.5 + 0.5 * probability)
        lower, upper = np.empty_like(mean), np.empty_like(mean)
        for n, x in enumerate(matrix):
            block = np.einsum("p,jplq,q->jl", x, covariance.reshape(k, n_columns, k, n_columns), x)
            slope = (np.eye(k) - mean[n]) / (1.0 - mean[n])[:, None]  # of the logits in the predictors
            error = width * np.sqrt(np.einsum("kj,jl,kl->k", slope, block, slope))
            logit = np.log(mean[n]) - np.log1p(-mean[n])
            lower[n], upper[n] = (1.0 / (1.0 + np.exp(-(logit + side * error))) for side in (-1.0, 1.0))
        return mean, lower, upper

    def predict_precision(
        self, data: Any = None, *, design: ArrayLike | None = None, precision_design: ArrayLike | None = None
    ) -> Floats:
        """Precision of each group, the sum of its concentrations.

        Parameters
        ----------
        data, design
            As in `predict`; ``design`` with ``link="log"`` only.
        precision_design : array (N, Q), optional

        Returns
        -------
        float64 array (N,)
        """
        if self.model.link == "log":
            return np.asarray(np.exp(self._predictors(*self._covariates(data, design))).sum(axis=1))
        assert self._precision is not None
        if data is None and precision_design is None:
            matrix, offset = self._precision.matrix, self._precision.offset
        else:
            given = data if precision_design is None else np.asarray(precision_design)
            matrix, offset = self._precision.apply(given, "data" if precision_design is None else "precision_design")
        return np.asarray(np.exp(matrix @ self.precision_coefficients + (0.0 if offset is None else offset)))

    def residuals(self, kind: Literal["pearson", "response"] = "pearson") -> Floats:
        """Residuals of the counts.

        Parameters
        ----------
        kind : ``"pearson"`` or ``"response"``
            Counts less their means, ``"pearson"`` divided by their standard deviations: those of a
            Dirichlet-multinomial, ``M mu (1 - mu) (M + A) / (1 + A)`` (Mosimann 1962, doi:10.1093/biomet/49.1-2.65).

        Returns
        -------
        float64 array (N, K)
            NaN for groups without counts, and for categories whose mean is 0.
        """
        if kind not in ("pearson", "response"):
            raise ValueError(f"kind must be 'pearson' or 'response'; got {kind!r}")
        total = self._counts.sum(axis=1, dtype=np.float64)[:, None]
        mean = self.predict()
        assert isinstance(mean, np.ndarray)
        difference = self._counts - total * mean
        if kind == "response":
            return np.asarray(difference)
        precision = self.predict_precision()[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            inflation = np.where(np.isinf(precision), 1.0, (total + precision) / (1.0 + precision))
            return np.asarray(difference / np.sqrt(total * mean * (1.0 - mean) * inflation))

    def wald_test(self, term: str | Sequence[str]) -> RegressionTest:
        """Wald's test that all coefficients of a term are zero.

        Parameters
        ----------
        term : str or sequence of str
            A term of the formula (all columns of a factor), or columns by name.

        Returns
        -------
        RegressionTest

        Raises
        ------
        ValueError
            For an unknown term, and where there is no finite maximum: Wald's statistic tends to 0 under separation
            (Hauck & Donner 1977, doi:10.1080/01621459.1977.10479969). Use `likelihood_ratio_test` there.
        """
        self._need_maximum("Wald's test")
        assert self._design is not None
        columns: list[int] = []
        for name in [term] if isinstance(term, str) else term:
            if name in self._design.terms:
                columns += self._design.terms[name]
            elif name in self.column_names:
                columns.append(self.column_names.index(name))
            else:
                raise ValueError(f"term must be one of {', '.join(map(repr, self._design.terms))}; got {name!r}")
        n_columns = len(self.column_names)
        index = np.array([k * n_columns + p for k in self._free for p in columns])
        values = self.coefficients.T.reshape(-1)[index]
        statistic = float(values @ np.linalg.solve(self._covariance[np.ix_(index, index)], values))
        return RegressionTest(statistic, len(index), chi_squared_tail(statistic, len(index)))

    def likelihood_ratio_test(self, nested: "RegressionFit", *, small_sample: bool = False) -> RegressionTest:
        """Likelihood-ratio test of a smaller model of the same counts.

        Parameters
        ----------
        nested : RegressionFit
            The smaller model.
        small_sample : bool, default False
            Multiply the statistic by ``(N - P) / N``, P the columns of the larger model's mean: with 12 groups the
            plain test rejects 8 to 10 % of true null hypotheses at the 5 % level, the corrected one 4 to 6 %.

        Returns
        -------
        RegressionTest

        Raises
        ------
        TypeError, ValueError
            For another type, other counts, another link, or a model that is not nested.
        """
        if not isinstance(nested, RegressionFit):
            raise TypeError(
                f"nested must be a RegressionFit, the fit of the smaller model; got {type(nested).__name__}"
            )
        if not np.array_equal(nested._counts, self._counts) or nested.n_groups != self.n_groups:
            raise ValueError("nested must be fitted to the same counts")
        if nested.model.link != self.model.link or (nested.log_posterior is None) != (self.log_posterior is None):
            raise ValueError("nested must have the same link, and be fitted without a prior like this fit")
        if self.log_posterior is not None:
            raise ValueError("a likelihood-ratio test needs maximum likelihood: fit both models without prior")
        assert self._design is not None
        assert nested._design is not None
        for small, large, name in (
            (nested._design, self._design, "mean"),
            (nested._precision, self._precision, "precision"),
        ):
            if small is not None and large is not None and not designs.spans(large.matrix, small.matrix):
                raise ValueError(f"nested has columns of its {name} that this model lacks: swap the two, or drop them")
        df = self.n_parameters - nested.n_parameters
        if df < 1:
            raise ValueError(f"nested must have fewer parameters than this fit; got {nested.n_parameters}")
        statistic = max(2.0 * (self.log_likelihood - nested.log_likelihood), 0.0)
        if small_sample:
            statistic *= small_sample_factor(self.n_groups, len(self.column_names))
        return RegressionTest(statistic, df, chi_squared_tail(statistic, df))

    def summary(self) -> RegressionSummary:
        """The coefficients with standard errors, z, p-values and 95 % intervals.

        Returns
        -------
        RegressionSummary
        """
        header: tuple[tuple[str, str], ...] = (
            ("Mean", f"{self.model.mean}, link {self.model.link}"),
            ("Groups, categories", f"{self.n_groups:g}, {len(self.category_names)}"),
            ("Log-likelihood", f"{self.log_likelihood:.4f}"),
            ("AIC, BIC", f"{self.aic:.4f}, {self.bic:.4f}"),
            ("Outcome", self.outcome),
        )
        if self.model.link == "softmax":
            header = (header[0], ("Precision", f"{self.model.precision}, link log"), *header[1:])
        rows = [
            (column, category, self.coefficients[p, k], self.standard_error[p, k])
            for k, category in enumerate(self.category_names)
            if k != self._reference
            for p, column in enumerate(self.column_names)
        ]
        rows += [
            (column, "log precision", self.precision_coefficients[q], self.precision_standard_error[q])
            for q, column in enumerate(self.precision_column_names)
        ]
        return RegressionSummary(header, tuple(_tested(*row) for row in rows))

    @property
    def _reference(self) -> int | None:
        return reference_index(self.model, self.category_names)

    def _covariates(self, data: Any, design: ArrayLike | None) -> tuple[Floats, Floats | None]:
        assert self._design is not None
        if data is None and design is None:
            return self._design.matrix, self._design.offset
        if design is not None:
            return self._design.apply(np.asarray(design), "design")
        return self._design.apply(data, "data")

    def _predictors(self, matrix: Floats, offset: Floats | None) -> Floats:
        eta = matrix @ self.coefficients
        if offset is not None:
            eta[:, [k for k in range(eta.shape[1]) if k != self._reference]] += offset[:, None]
        return np.where(np.isnan(self.coefficients).any(axis=0), -np.inf, eta)

    def _need_maximum(self, what: str) -> None:
        if self.outcome in ("separated", "undetermined", "unfinished"):
            raise ValueError(f"{what} needs a finite maximum; outcome is {self.outcome!r}: {self.message}")


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
    mean = designs.of_array(design, "design", n_rows) if design is not None else _formula(model, "mean", data, n_rows)
    precision = None
    if model.link == "softmax":
        precision = _formula(model, "precision", data, n_rows)
        if precision_design is not None:
            precision = designs.of_array(precision_design, "precision_design", n_rows)
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


def _formula(model: RegressionModel, part: Literal["mean", "precision"], data: Any, n_rows: int) -> Design:
    return designs.of_formula(getattr(model, part), data, part, n_rows)


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
        self.reference = reference_index(model, names)
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
            runs = (self.mean.matrix**2 @ coefficient_error**2).max(axis=0) > _LARGEST_SE**2 * n_columns
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
            errors.warn(_MESSAGES[outcome], errors.ConvergenceWarning)
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


def small_sample_factor(n_groups: float, n_columns: int) -> float:
    """``(N - P) / N``, by which a likelihood-ratio statistic of few groups is multiplied."""
    if n_groups <= n_columns:
        raise ValueError(f"small_sample needs more groups with counts than columns; got {n_groups:g} and {n_columns}")
    return (n_groups - n_columns) / n_groups


def _penalty(r: Floats, sd: float) -> Floats:
    inverse = np.linalg.inv(r)
    return np.ascontiguousarray(inverse.T @ inverse / sd**2)


def _softmax(eta: Floats) -> Floats:
    shifted = np.exp(eta - eta.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def _tested(term: str, category: str, estimate: float, error: float) -> tuple[Any, ...]:
    z = estimate / error if error > 0 else math.nan
    width = 1.959963984540054 * error
    return term, category, estimate, error, z, chi_squared_tail(z * z, 1), estimate - width, estimate + width


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}" if abs(value) < 1e5 else f"{value:.3g}"
