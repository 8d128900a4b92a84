"""Dirichlet-multinomial regression: the result of a fit, and what is read off it."""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _random, _validate, errors
from hbm_fast._display import Displayed, table
from hbm_fast._optional import import_optional
from hbm_fast._typing import Counts, Floats, Key, RNGLike
from hbm_fast.fitting.chi_squared import chi_squared_tail
from hbm_fast.fitting.criteria import InformationCriteria
from hbm_fast.fitting.regression_curvature import Curvature
from hbm_fast.fitting.regression_quantiles import quantile_residuals
from hbm_fast.models import RegressionModel
from hbm_fast.models import design as designs
from hbm_fast.models.design import Design, Subjects
from hbm_fast.simulation.regression import RegressionDraws, dataset_stream

MESSAGES = {
    "converged": "a maximum was found",
    "separated": "no finite maximum: some mean proportions run to 0 or 1, as a category has no counts "
    "(or all) for some values of the covariates; Wald tests do not apply, likelihood-ratio tests do, and a prior gives "
    "a finite mode",
    "infinity": "no finite maximum: the likelihood grows with the precision towards that of a multinomial regression, "
    "whose log-likelihood is given",
    "zero": "no positive maximum: the likelihood grows as the precision falls to 0, every group being of one category",
    "absent category": "a category occurs in no group: its mean proportion is 0, and its coefficients are not finite",
    "undetermined": "the likelihood does not depend on the precision in some direction; no group has two counts",
    "zero scale": "a maximum was found, at a standard deviation of 0 of some random intercepts: the subjects do not "
    "differ more than their groups do",
    "unfinished": "Newton's method stopped short of a maximum; pass a larger max_iterations",
}
_LIMITS = ("infinity", "zero", "undetermined", "unfinished")
_LARGEST_ERROR = 1e3  # of a log proportion: beyond, the proportion runs to 0 or 1
Integration = Literal["laplace", "quadrature"]


@dataclass(frozen=True)
class RegressionTest(Displayed):
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
class RegressionSummary(Displayed):
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
        """At most ten lines; ``print`` shows all."""
        lines = str(self).splitlines()
        return "\n".join(lines if len(lines) <= 10 else [*lines[:2], *lines[-8:-1], "print shows all coefficients"])

    def _repr_html_(self) -> str:
        titles = ("term", "category", "coef", "std err", "z", "P>|z|", "[0.025", "0.975]")
        return table(
            ", ".join(f"{name}: {value}" for name, value in self.header),
            titles,
            ((*row[:2], *map(_number, row[2:])) for row in self.rows),
        )

    def __str__(self) -> str:
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


@dataclass(frozen=True, eq=False)
class Intercepts:
    """Random intercepts of a fit.

    Attributes
    ----------
    subjects : Subjects
    integration : ``"laplace"`` or ``"quadrature"``
    scale : (K,)
    values : (S, K)
        Their modes given the coefficients.
    covariance : (S, J, J)
        Of the intercepts of the free categories given the coefficients.
    slopes : (S, J, p)
        Derivatives of the modes in the parameters of the optimiser.
    n_subjects : int
        Subjects with counts.
    """

    subjects: Subjects
    integration: Integration
    scale: Floats
    values: Floats
    covariance: Floats
    slopes: Floats
    n_subjects: int


@dataclass(frozen=True, eq=False, repr=False)
class RegressionFit(Displayed, InformationCriteria):
    """The result of `fit` with a `RegressionModel`.

    Parameters
    ----------
    model : RegressionModel
    coefficients : float64 array (P, K)
        Of the linear predictor of each category. Zero in the column of the reference; with ``reference=None`` rows sum
        to zero, with ``link="log"`` all are free. NaN in the column of a category that never occurs.
    precision_coefficients : float64 array (Q,)
        Of the log precision; empty with ``link="log"``.
    log_likelihood : float
        With the multinomial coefficient; its supremum where there is no maximum.
    outcome : str
        ``"converged"``, ``"separated"``, ``"infinity"``, ``"zero"``, ``"zero scale"``, ``"absent category"``,
        ``"undetermined"`` or ``"unfinished"``; ``message`` explains it.
    n_groups : float
        Number of groups with counts, or the sum of their weights.
    n_parameters : int
    n_iterations : int
    column_names, precision_column_names : tuples of str (P,), (Q,)
    category_names : tuple of str (K,)
    log_posterior, log_evidence : float or None
        Under a prior: the log density at the mode, and Laplace's approximation of the log evidence. The density is
        that of the coefficients and of the logs of the random scales.

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
    precision_coefficients: Floats
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
    _weights: Floats | None = None
    _free: tuple[int, ...] = ()  # categories whose coefficients are estimated, of a basis of them
    _curvature: Curvature | None = None
    _intercepts: Intercepts | None = None
    _refit: Callable[["RegressionFit", Counts], "RegressionFit"] | None = None  # the same model to other counts

    def __repr__(self) -> str:
        return (
            f"RegressionFit({self.model!r}\n  log_likelihood={self.log_likelihood:.6f}, outcome={self.outcome!r}, "
            f"{self.n_parameters} parameters, {self.n_groups:g} groups)"
        )

    @cached_property
    def standard_error(self) -> Floats:
        """Standard errors of the coefficients (P, K), from the observed information.

        NaN in the column of the reference, and where there is no finite maximum.
        """
        assert self._design is not None
        k, n_columns = len(self.category_names), len(self.column_names)
        with np.errstate(invalid="ignore"):
            error = np.sqrt(np.diag(self._covariance))[: k * n_columns].reshape(k, n_columns).T.copy()
            error[:, np.isnan(self.coefficients).any(axis=0)] = np.nan
            if self._reference is not None:
                error[:, self._reference] = np.nan
            runs = (self._design.matrix**2 @ error**2).max(axis=0) > _LARGEST_ERROR**2 * n_columns
        error[:, runs] = np.nan
        return error

    @cached_property
    def precision_standard_error(self) -> Floats:
        """Standard errors of the coefficients of the log precision (Q,); NaN where they have no finite maximum."""
        with np.errstate(invalid="ignore"):
            error = np.sqrt(np.diag(self._covariance))[self.coefficients.size :]
        return np.full_like(error, np.nan) if self.outcome in _LIMITS else error

    @property
    def random_scale(self) -> Floats:
        """Standard deviations of the random intercepts (K,); zero for the reference."""
        return self._random().scale

    @property
    def random_scale_standard_error(self) -> Floats:
        """Their standard errors (K,); NaN for the reference, and for a standard deviation of 0."""
        assert self._curvature is not None
        result = np.full(len(self.category_names), np.nan)
        with np.errstate(invalid="ignore"):
            result[list(self._free)] = np.sqrt(np.diag(self._curvature.variance)[-self._n_scales :])
        result[self.random_scale == 0.0] = np.nan
        return result

    @property
    def random_intercepts(self) -> Floats:
        """The modes of the random intercepts (S, K), one row a subject of ``subjects``, zero for the reference."""
        return self._random().values

    @property
    def random_intercept_standard_error(self) -> Floats:
        """Their standard deviations given the counts (S, K), the uncertainty of the coefficients included."""
        assert self._curvature is not None
        intercepts = self._random()
        variance = np.einsum("sjp,pq,sjq->sj", intercepts.slopes, self._curvature.variance, intercepts.slopes)
        variance += np.einsum("sjj->sj", intercepts.covariance)
        result = np.full_like(intercepts.values, np.nan)
        result[:, list(self._free)] = np.sqrt(variance)
        return result

    @property
    def subjects(self) -> tuple[Any, ...]:
        """The subjects, in the order of the rows of ``random_intercepts``; empty without random intercepts."""
        return () if self._intercepts is None else self._intercepts.subjects.labels

    @property
    def n_subjects(self) -> int:
        """Subjects with counts; 0 without random intercepts."""
        return 0 if self._intercepts is None else self._intercepts.n_subjects

    @property
    def integration(self) -> Integration | None:
        """How the random intercepts were integrated out; None without any."""
        return None if self._intercepts is None else self._intercepts.integration

    @property
    def converged(self) -> bool:
        """Whether every parameter is at a finite maximum, or a random scale at its boundary of 0."""
        return self.outcome in ("converged", "zero scale")

    @property
    def message(self) -> str:
        """The outcome in words."""
        return MESSAGES[self.outcome]

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
            The columns themselves; ``data`` then has the subjects only.
        probability : float, optional
            Of the interval, symmetric in the logit of the proportion.

        Returns
        -------
        mean : float64 array (N, K), or mean, lower, upper

        Raises
        ------
        TypeError, ValueError
            For covariates that are missing, not finite, or of a level that the fit has not seen.

        Notes
        -----
        With random intercepts, those of the subjects of the fit are taken at their modes. The intercept of another
        subject, and of a group whose subject ``data`` does not have, is integrated out. The intervals are those of the
        delta method, and include the uncertainty of the intercepts; their limits lie between 0 and 1.
        """
        matrix, offset = self._covariates(data, design)
        eta = self._predictors(matrix, offset)
        codes = self._codes(data, design, len(matrix))
        nodes, weights = self._nodes
        mean = _softmax(eta + self._values(codes))
        unseen = [] if self._intercepts is None else np.flatnonzero(codes < 0).tolist()
        for n in unseen:
            mean[n] = weights @ _softmax(eta[n] + nodes)
        if probability is None:
            return mean
        if not 0.0 < probability < 1.0:
            raise ValueError(f"probability must lie between 0 and 1; got {probability}")
        self._need_maximum("an interval")
        width = NormalDist().inv_cdf(0.5 + 0.5 * probability)
        lower, upper = np.empty_like(mean), np.empty_like(mean)
        for n, row in enumerate(matrix):
            error = width * np.sqrt(self._logit_variance(row, eta[n], mean[n], int(codes[n])))
            with np.errstate(divide="ignore"):
                logit = np.log(mean[n]) - np.log1p(-mean[n])
                lower[n], upper[n] = (1.0 / (1.0 + np.exp(-(logit + side * error))) for side in (-1.0, 1.0))
        return mean, lower, upper

    def predict_precision(
        self, data: Any = None, *, design: ArrayLike | None = None, precision_design: ArrayLike | None = None
    ) -> Floats:
        """Precision of each group, the sum of its concentrations.

        With random intercepts and ``link="log"`` those of the fit's subjects are at their modes, others at 0.

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
            eta = self._predictors(*self._covariates(data, design))
            return np.asarray(np.exp(eta + self._values(self._codes(data, design, len(eta)))).sum(axis=1))
        assert self._precision is not None
        if data is None and precision_design is None:
            matrix, offset = self._precision.matrix, self._precision.offset
        elif precision_design is None:
            matrix, offset = self._precision.apply(data, "data")
        else:
            matrix, offset = self._precision.apply_array(precision_design, "precision_design")
        return np.asarray(np.exp(matrix @ self.precision_coefficients + (0.0 if offset is None else offset)))

    def residuals(self, kind: Literal["pearson", "response", "quantile"] = "pearson", *, rng: RNGLike = None) -> Floats:
        """Residuals of the counts.

        Parameters
        ----------
        kind : ``"pearson"``, ``"response"`` or ``"quantile"``
            Counts less their means, ``"pearson"`` divided by their standard deviations: those of a
            Dirichlet-multinomial, ``M mu (1 - mu) (M + A) / (1 + A)`` (Mosimann 1962, doi:10.1093/biomet/49.1-2.65).
            ``"quantile"``: the standard normal quantile of a point that is uniform between the probabilities of fewer
            counts and of at most as many (Dunn & Smyth 1996, doi:10.1080/10618600.1996.10474708), each category being
            beta-binomial. They are standard normal under the model, in each category, however few the counts are.
        rng : None, int, SeedSequence, BitGenerator or Generator
            For the points of ``"quantile"``.

        Returns
        -------
        float64 array (N, K)
            NaN for groups without counts, and for categories whose mean is 0. With random intercepts the means are
            those at the modes of the intercepts.
        """
        if kind not in ("pearson", "response", "quantile"):
            raise ValueError(f"kind must be 'pearson', 'response' or 'quantile'; got {kind!r}")
        total = self._counts.sum(axis=1, dtype=np.float64)[:, None]
        mean = self.predict()
        assert isinstance(mean, np.ndarray)
        if kind == "response":
            return np.asarray(self._counts - total * mean)
        precision = self.predict_precision()[:, None]
        if kind == "quantile":
            points = np.random.default_rng(rng).random(mean.shape)
            return quantile_residuals(self._counts, mean, precision[:, 0], points)
        with np.errstate(invalid="ignore", divide="ignore"):
            inflation = np.where(np.isinf(precision), 1.0, (total + precision) / (1.0 + precision))
            return np.asarray((self._counts - total * mean) / np.sqrt(total * mean * (1.0 - mean) * inflation))

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
        for name in [term] if isinstance(term, str) else dict.fromkeys(term):
            if name in self._design.terms:
                columns += self._design.terms[name]
            elif name in self.column_names:
                columns.append(self.column_names.index(name))
            else:
                raise ValueError(f"term must be one of {', '.join(map(repr, self._design.terms))}; got {name!r}")
        if not columns:
            raise ValueError("term must name a term or a column at least; it is empty")
        n_columns = len(self.column_names)
        index = np.array([k * n_columns + p for k in self._free for p in dict.fromkeys(columns)])
        values = self.coefficients.T.reshape(-1)[index]
        statistic = float(values @ np.linalg.solve(self._covariance[np.ix_(index, index)], values))
        return RegressionTest(statistic, len(index), chi_squared_tail(statistic, len(index)))

    def likelihood_ratio_test(
        self,
        nested: "RegressionFit",
        *,
        small_sample: bool = False,
        n_bootstrap: int = 0,
        rng: RNGLike | Key = None,
    ) -> RegressionTest:
        """Likelihood-ratio test of a smaller model of the same counts.

        Parameters
        ----------
        nested : RegressionFit
            The smaller model. It may be without the random intercepts of this one.
        small_sample : bool, default False
            Multiply the statistic by ``(N - P) / N``, P the columns of the larger model's mean and N the groups, with
            random intercepts the subjects: with 12 groups the plain test rejects 8 to 10 % of true null hypotheses at
            the 5 % level, the corrected one 4 to 6 %.
        n_bootstrap : int, default 0
            Multiply the statistic instead by its degrees of freedom over its mean in so many tables that are simulated
            from the smaller model (Bartlett 1937's factor by the bootstrap); 100 suffice.
        rng : None, int, SeedSequence, BitGenerator or Generator
            For these tables.

        Returns
        -------
        RegressionTest

        Raises
        ------
        TypeError, ValueError
            For another type, other counts, another link, or a model that is not nested.

        Notes
        -----
        A random scale of 0 lies at the boundary. Where ``nested`` is without the q random scales of this model the
        p-value is that of a mixture of chi-squared distributions, whose additional degrees of freedom are binomial with
        q trials of probability 1/2 (Self & Liang 1987, doi:10.1080/01621459.1987.10478472; for several scales an
        approximation).
        """
        n_scales, df = self._check_nested(nested)
        statistic = max(2.0 * (self.log_likelihood - nested.log_likelihood), 0.0)
        if n_bootstrap:
            if small_sample or n_scales:
                raise ValueError("n_bootstrap is without small_sample, and for models with the same random intercepts")
            statistic *= df / self._mean_statistic(nested, _validate.positive_int(n_bootstrap, "n_bootstrap"), rng)
        if small_sample:
            statistic *= small_sample_factor(self.n_subjects or self.n_groups, len(self.column_names))
        p_value = 0.0
        for i in range(n_scales + 1):
            n_free = df - n_scales + i
            tail = chi_squared_tail(statistic, n_free) if n_free else float(statistic == 0.0)
            p_value += math.comb(n_scales, i) / 2**n_scales * tail
        return RegressionTest(statistic, df, p_value)

    def _check_nested(self, nested: "RegressionFit") -> tuple[int, int]:
        """The random scales that the smaller model lacks, and all degrees of freedom."""
        if not isinstance(nested, RegressionFit):
            raise TypeError(
                f"nested must be a RegressionFit, the fit of the smaller model; got {type(nested).__name__}"
            )
        if not np.array_equal(nested._counts, self._counts):
            raise ValueError("nested must be fitted to the same counts")
        n_rows = len(self._counts)
        if not _same_rows(nested._weights, self._weights, np.ones(n_rows)):
            raise ValueError("nested must be fitted to the same counts with the same weights")
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
            if small is None or large is None:
                continue
            if not designs.spans(large.matrix, small.matrix):
                raise ValueError(f"nested has columns of its {name} that this model lacks: swap the two, or drop them")
            if not _same_rows(small.offset, large.offset, np.zeros(n_rows)):
                raise ValueError(f"nested must have the offset of this model in its {name}")
        mine, other = self._intercepts, nested._intercepts
        if other is not None and (
            mine is None
            or not np.array_equal(mine.subjects.codes, other.subjects.codes)
            or (self.model.shared_scale and not nested.model.shared_scale)
            or self.integration != nested.integration
        ):
            raise ValueError("nested must have the random intercepts of this model and its integration, or none")
        df = self.n_parameters - nested.n_parameters
        if df < 1:
            raise ValueError(f"nested must have fewer parameters than this fit; got {nested.n_parameters}")
        return 0 if mine is None or other is not None else self._n_scales, df

    def _mean_statistic(self, nested: "RegressionFit", n_tables: int, rng: RNGLike | Key) -> float:
        """The mean of the statistic over tables of the smaller model."""
        refit = self._refit
        assert refit is not None
        if self._weights is not None:
            raise ValueError("n_bootstrap is for groups without weights")
        statistics: list[float] = []
        tables = nested._tables(3 * n_tables, rng)
        while len(statistics) < n_tables:
            table = next(tables, None)
            if table is None:
                raise ValueError("n_bootstrap: most tables of the smaller model have one category; use small_sample")
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", errors.ConvergenceWarning)
                    large, small = refit(self, table), refit(nested, table)
            except ValueError:  # a table whose reference does not occur, or a single category
                continue
            statistics.append(max(2.0 * (large.log_likelihood - small.log_likelihood), 0.0))
        return max(float(np.mean(statistics)), 1e-300)

    def _tables(self, n_tables: int, rng: RNGLike | Key) -> Iterator[Counts]:
        """Tables of the fitted model, with the totals of the counts."""
        assert self._design is not None
        subjects = None if self._intercepts is None else self._intercepts.subjects
        draws = RegressionDraws(self.model, self._design, self._precision, subjects, self.category_names)
        given = {"coefficients": self.coefficients, "precision_coefficients": self.precision_coefficients}
        if self._intercepts is not None:
            given["random_scale"] = self.random_scale
        totals, key = self._counts.sum(axis=1), _random.key(rng)
        for number in range(n_tables):
            yield draws.dataset(dataset_stream(key, number), totals, given, 1)[-1]

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
        tested = [_tested(*row) for row in rows]
        if self._intercepts is not None:
            header = (*header, ("Random intercepts", f"{self.n_subjects} of {self.model.random_intercept}"))
            for k in self._free:
                estimate, error = self.random_scale[k], self.random_scale_standard_error[k]
                category = f"sd of {self.category_names[k]}"
                tested.append((str(self.model.random_intercept), category, estimate, error, *[math.nan] * 4))
        return RegressionSummary(header, tuple(tested))

    @property
    def _reference(self) -> int | None:
        return self.model.reference_index(self.category_names)

    def _covariates(self, data: Any, design: ArrayLike | None) -> tuple[Floats, Floats | None]:
        assert self._design is not None
        if data is None and design is None:
            return self._design.matrix, self._design.offset
        if design is not None:
            return self._design.apply_array(design, "design")
        return self._design.apply(data, "data")

    def _predictors(self, matrix: Floats, offset: Floats | None) -> Floats:
        eta = matrix @ self.coefficients
        if offset is not None:
            eta[:, [k for k in range(eta.shape[1]) if k != self._reference]] += offset[:, None]
        return np.where(np.isnan(self.coefficients).any(axis=0), -np.inf, eta)

    @property
    def _n_scales(self) -> int:
        return 1 if self.model.shared_scale else len(self._free)

    def _random(self) -> Intercepts:
        if self._intercepts is None:
            raise AttributeError("the model has no random intercepts: pass random_intercept= to RegressionModel")
        return self._intercepts

    @property
    def _covariance(self) -> Floats:
        assert self._curvature is not None
        return self._curvature.covariance

    def _codes(self, data: Any, design: ArrayLike | None, n_rows: int) -> NDArray[np.int64]:
        """The subject of each row; -1 for none of the fit."""
        if self._intercepts is None:
            return np.full(n_rows, -1)
        if data is None and design is None:
            return self._intercepts.subjects.codes
        assert self.model.random_intercept is not None
        return self._intercepts.subjects.codes_of(data, self.model.random_intercept, n_rows)

    def _values(self, codes: NDArray[np.int64]) -> Floats:
        """The modes of the intercepts of rows (N, K), or 0 where the subject is not in the fit."""
        if self._intercepts is None:
            return np.zeros((len(codes), len(self.category_names)))
        return np.where(codes[:, None] < 0, 0.0, self._intercepts.values[codes])

    @cached_property
    def _nodes(self) -> tuple[Floats, Floats]:
        """Intercepts (L, K) of a subject that is not in the fit, and their weights (L,).

        The nodes are a product of Gauss-Hermite rules up to six intercepts, and beyond 4,000 draws of a fixed key.
        """
        if self._intercepts is None:
            return np.zeros((1, len(self.category_names))), np.ones(1)
        j = len(self._free)
        if j <= 6:
            places, weights = np.polynomial.hermite_e.hermegauss(min(int(4000 ** (1.0 / j)), 25))
            grid = np.stack(np.meshgrid(*[places] * j, indexing="ij"), axis=-1).reshape(-1, j)
            product = np.stack(np.meshgrid(*[weights / weights.sum()] * j, indexing="ij"), axis=-1).reshape(-1, j)
            weights = product.prod(axis=1)
        else:
            half = np.random.default_rng(0).standard_normal((2000, j))
            grid, weights = np.concatenate([half, -half]), np.full(4000, 1.0 / 4000)
        nodes = np.zeros((len(grid), len(self.category_names)))
        nodes[:, self._free] = self._intercepts.scale[list(self._free)] * grid
        return nodes, weights

    def _logit_variance(self, row: Floats, eta: Floats, mean: Floats, code: int) -> Floats:
        """Variances of the logits of the mean proportions of one row, by the delta method (K,)."""
        assert self._curvature is not None
        k = len(mean)
        slopes = self._curvature.predictor_slopes(row)
        free = list(self._free)
        if self._intercepts is None or code >= 0:
            jacobian = (np.eye(k) - mean) / (1.0 - mean)[:, None]  # of the logits in the predictors
            extra = np.zeros((k, k))
            if self._intercepts is not None:
                slopes[free] += self._intercepts.slopes[code]
                extra[np.ix_(free, free)] = self._intercepts.covariance[code]
            slopes, more = jacobian @ slopes, np.einsum("kj,jl,kl->k", jacobian, extra, jacobian)
        else:
            nodes, weights = self._nodes
            each = _softmax(eta + nodes)
            with np.errstate(invalid="ignore", divide="ignore"):
                ratio = np.where(mean > 0.0, each / mean, 1.0) / (1.0 - mean)
            share = weights[:, None] * ratio  # (L, K)
            slopes = np.diag(share.sum(axis=0)) @ slopes - (share.T @ each) @ slopes
            scales = np.zeros((k, len(free)))
            for j, category in enumerate(free):
                if self._intercepts.scale[category] > 0.0:
                    unit = share * (nodes[:, category] / self._intercepts.scale[category])[:, None]
                    scales[:, j] = -(unit * each[:, [category]]).sum(axis=0)
                    scales[category, j] += unit[:, category].sum()
            slopes[:, -self._n_scales :] += scales.sum(axis=1, keepdims=True) if self._n_scales == 1 else scales
            more = np.zeros(k)
        variance = np.nan_to_num(self._curvature.variance)
        return np.asarray(np.einsum("kp,pq,kq->k", slopes, variance, slopes) + more)

    def _need_maximum(self, what: str) -> None:
        if self.outcome in ("separated", "undetermined", "unfinished"):
            raise ValueError(f"{what} needs a finite maximum; outcome is {self.outcome!r}: {self.message}")


def small_sample_factor(n_groups: float, n_columns: int) -> float:
    """``(N - P) / N``, by which a likelihood-ratio statistic of few groups is multiplied."""
    if n_groups <= n_columns:
        raise ValueError(f"small_sample needs more groups with counts than columns; got {n_groups:g} and {n_columns}")
    return (n_groups - n_columns) / n_groups


def _same_rows(one: Floats | None, other: Floats | None, default: Floats) -> bool:
    """Whether two arrays (N,) are the same, with a default for those that are not given."""
    return np.array_equal(default if one is None else one, default if other is None else other)


def _softmax(eta: Floats) -> Floats:
    shifted = np.exp(eta - eta.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def _tested(term: str, category: str, estimate: float, error: float) -> tuple[Any, ...]:
    z = estimate / error if error > 0 else math.nan
    width = 1.959963984540054 * error
    return term, category, estimate, error, z, chi_squared_tail(z * z, 1), estimate - width, estimate + width


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}" if abs(value) < 1e5 else f"{value:.3g}"
