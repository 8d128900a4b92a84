"""RegressionPosterior: draws of a regression's coefficients, and predictions for groups with given covariates."""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from os import PathLike
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _display, _memory, _random, _validate
from hbm_fast._typing import Counts, Floats, Key, RNGLike
from hbm_fast.likelihood import log_likelihood
from hbm_fast.models import RegressionModel
from hbm_fast.models import design as designs
from hbm_fast.models.design import Design
from hbm_fast.posterior import convergence, diagnostics, netcdf, regression_files
from hbm_fast.posterior.loo import MOST_DRAWS, LeaveOneOut, leave_one_out
from hbm_fast.posterior.regression_coordinates import Coordinates
from hbm_fast.posterior.summary import Summary, of_draws
from hbm_fast.tables.inputs import align
from hbm_fast.variates import dirichlet, multinomial

_MOST_SUBJECT_DRAWS = 1000  # for the likelihood of whole subjects, an integral for each draw
_SHOWN = 5


class RegressionPosterior:
    """Draws of the coefficients of a `RegressionModel` given counts and covariates, with summaries and predictions.

    Attributes
    ----------
    coefficients : float64 array (C, D, P, K)
        Of the linear predictor of each category; zero in the column of the reference, rows that sum to zero with
        ``reference=None``.
    precision_coefficients : float64 array (C, D, Q)
        Of the log precision; Q is 0 with ``link="log"``.
    random_scale : float64 array (C, D, K), or (C, D, 1) with ``shared_scale=True``, or None
        Standard deviations of random intercepts; NaN for the reference category.
    random_intercepts : float64 array (C, D, S, K) or None
        Of every subject; zero for the reference category.
    subject_names : tuple of str (S,) or None
    model : RegressionModel
    counts : integer array (N, K)
    method : str
        ``"importance"`` or ``"hmc"``; ``details`` has the reason and the diagnostics.
    details : dict
    log_evidence, log_evidence_error : float or None
        Log probability of the counts under the priors, with the multinomial coefficient, and its standard error.
    sample_stats : dict of arrays (C, D)
    category_names, column_names, precision_column_names, group_names : tuples of str

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> twins = hbm.datasets.load_twins()
    >>> obese = [[1.0, float(label == "Obese")] for label in twins.labels]
    >>> post = hbm.sample(twins.counts[:, [20, 40, 60]], hbm.RegressionModel(3), design=obese, rng=1)
    >>> post.coefficients.shape, post.precision_coefficients.shape
    ((4, 1000, 2, 3), (4, 1000, 1))
    """

    def __init__(
        self,
        coefficients: Floats,
        precision_coefficients: Floats,
        *,
        model: RegressionModel,
        counts: Counts,
        design: Design,
        precision_design: Design | None,
        random_scale: Floats | None = None,
        random_intercepts: Floats | None = None,
        subject_names: Sequence[str] | None = None,
        subjects: NDArray[np.int64] | None = None,
        method: str = "hmc",
        details: Mapping[str, Any] | None = None,
        log_evidence: float | None = None,
        log_evidence_error: float | None = None,
        sample_stats: Mapping[str, NDArray[Any]] | None = None,
        category_names: Sequence[str] | None = None,
        group_names: Sequence[str] | None = None,
        key: Key | None = None,
    ) -> None:
        self.coefficients, self.precision_coefficients = coefficients, precision_coefficients
        self.model, self.counts = model, counts
        self.random_scale, self.random_intercepts = random_scale, random_intercepts
        self.subject_names = None if subject_names is None else tuple(subject_names)
        self.method, self.details = method, dict(details or {})
        self.log_evidence, self.log_evidence_error = log_evidence, log_evidence_error
        self.sample_stats = dict(sample_stats or {})
        given = _validate.names(category_names, "category_names", model.n_categories)
        self.category_names = _display.labels(given, model.n_categories)
        self.group_names = _validate.names(group_names, "group_names", len(counts))
        self._design, self._precision = design, precision_design
        self._subjects = subjects
        self._key = _random.key(None) if key is None else np.ascontiguousarray(key, dtype=np.uint64)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(_validate.native_state(state))

    # shapes and names -------------------------------------------------------------------------------------------------
    @property
    def n_chains(self) -> int:
        """C."""
        return int(self.coefficients.shape[0])

    @property
    def n_draws(self) -> int:
        """D, draws of one chain."""
        return int(self.coefficients.shape[1])

    @property
    def n_categories(self) -> int:
        """K."""
        return self.model.n_categories

    @property
    def column_names(self) -> tuple[str, ...]:
        """The P columns of the design of the mean."""
        return self._design.column_names

    @property
    def precision_column_names(self) -> tuple[str, ...]:
        """The Q columns of the design of the precision."""
        return () if self._precision is None else self._precision.column_names

    def __repr__(self) -> str:
        rows = self._card()
        width = max(len(name) for name, *_ in rows)
        lines = [f"  {name:<{width}}  {mean} [{low}, {high}]" for name, mean, low, high in rows]
        return "\n".join([f"RegressionPosterior: {self._heading()}", *lines])

    def _repr_html_(self) -> str:
        return _display.table(f"RegressionPosterior: {self._heading()}", ("", "mean", "5%", "95%"), self._card())

    def _heading(self) -> str:
        return (
            f"{len(self.counts)} groups, {self.n_categories} categories{_display.names(self.category_names)}, mean "
            f"{self.model.mean!r}, link {self.model.link!r}; method {self.method}, "
            f"{self.n_chains} x {self.n_draws} draws"
        )

    def _card(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = []
        for name, draws in [*self._parameters()][:_SHOWN]:
            low, high = np.quantile(draws, (0.05, 0.95))
            rows.append((name, f"{draws.mean():.3g}", f"{low:.3g}", f"{high:.3g}"))
        return rows

    def _parameters(self) -> Iterator[tuple[str, Floats]]:
        """Every free parameter (C, D) with its name, but for the random intercepts."""
        reference = self.model.reference_index(self.category_names)
        for k, category in enumerate(self.category_names):
            if k != reference:
                for p, column in enumerate(self.column_names):
                    yield f"{column}[{category}]", self.coefficients[:, :, p, k]
        for q, column in enumerate(self.precision_column_names):
            yield f"log precision: {column}", self.precision_coefficients[:, :, q]
        if self.random_scale is not None:
            for k in range(self.random_scale.shape[-1]):
                if k != reference or self.model.shared_scale:
                    which = "" if self.model.shared_scale else f"[{self.category_names[k]}]"
                    yield f"random scale{which}", self.random_scale[:, :, k]

    # summaries --------------------------------------------------------------------------------------------------------
    def summary(self, quantiles: Sequence[float] = (0.05, 0.5, 0.95)) -> Summary:
        """A table of means, standard deviations, quantiles, effective sample sizes and R-hat of every coefficient.

        Parameters
        ----------
        quantiles : sequence of float

        Returns
        -------
        Summary
            Rows are named ``"column[category]"``, ``"log precision: column"`` and ``"random scale[category]"``.
        """
        _validate.probabilities(quantiles, "quantiles")  # before the parameters are joined
        names, draws = zip(*self._parameters(), strict=True)
        note = f"{self.n_chains} x {self.n_draws} draws, method {self.method}"
        if self.log_evidence is not None:
            note += f"; log evidence {self.log_evidence:.4f}"
        ddof = min(1, self.n_chains * self.n_draws - 1)
        return of_draws(names, np.stack(draws, axis=-1), quantiles, note, ddof=ddof)

    def to_frame(self, quantiles: Sequence[float] = (0.05, 0.5, 0.95)) -> Any:
        """The summary as a pandas table, one row a coefficient.

        Parameters
        ----------
        quantiles : sequence of float

        Returns
        -------
        pandas.DataFrame
        """
        return self.summary(quantiles).to_frame().reset_index()

    def check(self) -> str | None:
        """A message where the chains do not represent the posterior by the limits of `hbm_fast.sample`, else None."""
        if self.n_chains < 2 or self.n_draws < convergence.FEWEST_DRAWS:
            return None
        names, draws = zip(*self._parameters(), strict=True)
        r_hat, ess = diagnostics.convergence(np.stack(draws, axis=-1))
        self.details |= {"r_hat": float(np.fmax.reduce(r_hat)), "ess_bulk": float(np.fmin.reduce(ess))}
        labels = tuple(f"beta[{name}]" for name in names)
        found = convergence.message(
            labels,
            r_hat[np.newaxis],
            ess[np.newaxis],
            self.n_chains,
            self.n_draws,
            divergences=np.array([self.details.get("n_divergences", 0)]),
        )
        return None if found is None else found.replace("beta[", "").replace("]]", "]")

    # predictions ------------------------------------------------------------------------------------------------------
    def predict(
        self,
        data: Any = None,
        *,
        design: ArrayLike | None = None,
        subjects: Sequence[Any] | None = None,
        probability: float | None = None,
    ) -> Floats | tuple[Floats, Floats, Floats]:
        """Posterior mean of the mean proportions, with an interval of each where ``probability`` is given.

        Parameters
        ----------
        data : data frame or array (N, P), optional
            Covariates; default those of the fit.
        design : array_like (N, P), optional
            The columns themselves.
        subjects : sequence (N,), optional
            With random intercepts: the subject of each row; default the column of ``data``. The intercept of a subject
            that was not in the fit, or of a row without one, is integrated out.
        probability : float, optional
            Of the interval, which leaves out the same probability at both ends.

        Returns
        -------
        mean : float64 array (N, K), or mean, lower, upper

        Raises
        ------
        TypeError, ValueError
            For covariates that are missing, not finite, or of a level that the fit has not seen.
        """
        if probability is not None and not 0.0 < probability < 1.0:
            raise ValueError(f"probability must lie between 0 and 1; got {probability}")
        levels = [0.5 * (1.0 - (probability or 0.0)), 0.5 * (1.0 + (probability or 0.0))]
        rows = self._rows(data, design, subjects)
        mean, lower, upper = np.empty((3, len(rows), self.n_categories))
        for part in self._parts(len(rows)):
            shares = np.exp(_log_softmax(rows.predictors(part)))
            mean[part] = shares.mean(axis=0)
            if probability is not None:
                lower[part], upper[part] = np.quantile(shares, levels, axis=0)
        return mean if probability is None else (mean, lower, upper)

    def predictive_counts(
        self,
        totals: ArrayLike | None = None,
        data: Any = None,
        *,
        design: ArrayLike | None = None,
        precision_design: ArrayLike | None = None,
        subjects: Sequence[Any] | None = None,
        rng: RNGLike = None,
    ) -> NDArray[np.int64]:
        """Counts of new groups with given covariates, one draw of each for every posterior draw.

        Parameters
        ----------
        totals : int or integer array_like (N,), optional
            Totals of the groups; default those of the data.
        data, design, precision_design, subjects
            As in `predict`; ``precision_design`` (N, Q) where the precision was fitted to an array.
        rng : None, int, SeedSequence, BitGenerator or Generator
            Default a stream of this posterior's own: the same call gives the same counts.

        Returns
        -------
        int64 array (C, D, N, K)
        """
        rows = self._rows(data, design, subjects, precision_design, with_precision=True)
        given = _validate.integers(self.counts.sum(axis=1) if totals is None else totals, "totals")
        _validate.no_negative(given, "totals")
        sizes = _validate.broadcast(given, "totals", (len(rows),))
        result = _memory.empty((self.n_chains * self.n_draws, len(rows), self.n_categories), np.int64)
        generator = np.random.default_rng(self._key.tolist() if rng is None else rng)
        for part in self._parts(len(rows)):
            theta = dirichlet(generator, np.exp(rows.log_concentration(part)))
            result[:, part] = multinomial(generator, sizes[part], theta)
        return result.reshape(self.n_chains, self.n_draws, len(rows), self.n_categories)

    def log_predictive(
        self,
        new_counts: Any,
        data: Any = None,
        *,
        design: ArrayLike | None = None,
        precision_design: ArrayLike | None = None,
        subjects: Sequence[Any] | None = None,
    ) -> Floats:
        """Log probability of each new group given the data and its covariates, the multinomial coefficient included.

        Parameters
        ----------
        new_counts : integer array_like (N, K) or a table
        data, design, precision_design, subjects
            As in `predictive_counts`.

        Returns
        -------
        float64 array (N,)
        """
        counts = _validate.counts(align(new_counts, self.category_names, name="new_counts"), name="new_counts")
        rows = self._rows(data, design, subjects, precision_design, with_precision=True)
        if counts.shape != (len(rows), self.n_categories):
            raise ValueError(
                f"new_counts must have shape ({len(rows)}, {self.n_categories}), one row a row of the covariates; got "
                f"{counts.shape}"
            )
        result = np.empty(len(rows))
        for part in self._parts(len(rows)):
            values = np.asarray(log_likelihood(counts[part], np.exp(rows.log_concentration(part))))
            result[part] = np.logaddexp.reduce(values, axis=0) - np.log(len(values))
        return result

    def log_likelihood(self) -> Floats:
        """Log likelihood of every group at every draw, theta integrated out; with random intercepts given these.

        Returns
        -------
        float64 array (C, D, N)
        """
        return self._log_likelihood(self.n_chains * self.n_draws)

    def _log_likelihood(self, most: int) -> Floats:
        """At no more than so many draws, evenly taken from all."""
        some = copy(self)
        step = max(1, -(-self.n_chains * self.n_draws // most))
        some.coefficients = self.coefficients[:, ::step]
        some.precision_coefficients = self.precision_coefficients[:, ::step]
        if self.random_scale is not None and self.random_intercepts is not None:
            some.random_scale = self.random_scale[:, ::step]
            some.random_intercepts = self.random_intercepts[:, ::step]
        rows = some._rows(None, None, None, with_precision=True)
        result = _memory.empty((some.n_chains * some.n_draws, len(rows)), np.float64)
        for part in some._parts(len(rows)):
            result[:, part] = log_likelihood(self.counts[part], np.exp(rows.log_concentration(part)))
        return result.reshape(some.n_chains, some.n_draws, len(rows))

    def subject_log_likelihood(self, n_draws: int = _MOST_SUBJECT_DRAWS) -> Floats:
        """Log likelihood of every subject's groups, its random intercepts integrated out.

        Parameters
        ----------
        n_draws : int
            At most so many draws, evenly taken from all, as each needs an integral for every subject.

        Returns
        -------
        float64 array (draws, S)

        Notes
        -----
        The integrals are by adaptive Gauss-Hermite quadrature around each subject's mode, for one or two intercepts a
        subject; for more, importance sampling from the normal approximation there.
        """
        if self.random_scale is None:
            raise ValueError("subject_log_likelihood is of a model with random_intercept")
        coordinates = self._coordinates()
        common = self._flat(self.common())
        common = np.ascontiguousarray(common[:: max(1, -(-len(common) // n_draws))])
        kernel = coordinates.kernel(common[0, : coordinates.n_theta])
        return kernel.subject_log_likelihood(common, *coordinates.rule(), self._key, _validate.threads(None))

    def common(self) -> Floats:
        """The kernels' coordinates of the coefficients, and the logarithms of the scales of random intercepts.

        Returns
        -------
        float64 array (C, D, p)
        """
        coordinates = self._coordinates()
        theta = coordinates.theta(self.coefficients, self.precision_coefficients)
        if self.random_scale is None:
            return theta
        return np.concatenate([theta, np.log(coordinates.own_scales(self.random_scale))], axis=-1)

    def loo(self) -> LeaveOneOut:
        """Leave-one-out cross-validation of groups, or of subjects where there are random intercepts.

        Returns
        -------
        LeaveOneOut

        Warns
        -----
        ConvergenceWarning
            Where a Pareto k exceeds 0.7.
        """
        if self.random_scale is None:
            return leave_one_out([self._flat(self._log_likelihood(MOST_DRAWS))], "group")
        return leave_one_out([self.subject_log_likelihood()], "subject")

    # files ------------------------------------------------------------------------------------------------------------
    def to_arviz(self, *, log_likelihood: bool = False, posterior_predictive: bool = False) -> Any:
        """What the installed ArviZ takes: an InferenceData below version 1.0, else an xarray.DataTree.

        Parameters
        ----------
        log_likelihood, posterior_predictive : bool
            Also these groups, for every group of the data.

        Raises
        ------
        ImportError
            Without xarray, which the extra ``report`` installs.
        """
        parts = {"log_likelihood": log_likelihood, "posterior_predictive": posterior_predictive}
        return netcdf.for_arviz(regression_files.tree(self, **parts))

    def save(self, path: str | PathLike[str]) -> None:
        """Write the posterior to a netCDF file, which `load` reads and ArviZ opens.

        Parameters
        ----------
        path : str or path
            Ends in ``.nc``.
        """
        regression_files.save(self, path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read a posterior that `save` wrote.

        Parameters
        ----------
        path : str or path

        Raises
        ------
        ValueError
            For another file, or a damaged one.
        """
        return cls(**regression_files.load(path))

    def _coordinates(self) -> Coordinates:
        n_subjects = len(self.subject_names or ())
        return Coordinates(
            self.counts, self.model, self._design, self._precision, self.category_names, self._subjects, n_subjects
        )

    def _flat(self, draws: Floats) -> Floats:
        return draws.reshape(-1, *draws.shape[2:])

    def _parts(self, n_rows: int) -> Iterator[slice]:
        return _memory.chunks(n_rows, self.n_chains * self.n_draws * self.n_categories)

    def _rows(
        self,
        data: Any,
        design: ArrayLike | None,
        subjects: Sequence[Any] | None,
        precision_design: ArrayLike | None = None,
        *,
        with_precision: bool = False,
    ) -> "_Rows":
        """The linear predictors of groups with given covariates."""
        own = data is None and design is None
        if own:
            matrix, offset = self._design.matrix, self._design.offset
        elif design is not None:
            matrix, offset = self._design.apply_array(design, "design")
        else:
            matrix, offset = self._design.apply(data, "data")
        zeta = None
        if with_precision and self._precision is not None:
            if own and precision_design is None:
                columns, shift = self._precision.matrix, self._precision.offset
            elif precision_design is not None:
                columns, shift = self._precision.apply_array(precision_design, "precision_design")
            elif self._precision.column_names == ("Intercept",) and self._precision.offset is None:
                columns, shift = np.ones((len(matrix), 1)), None
            else:
                columns, shift = self._precision.apply(data, "data")
            if len(columns) != len(matrix):
                raise ValueError(f"precision_design must have {len(matrix)} rows; got {len(columns)}")
            zeta = self._flat(self.precision_coefficients) @ columns.T + (0.0 if shift is None else shift)
        return _Rows(self, matrix, offset, zeta, self._subject_indices(data, subjects, own, len(matrix)))

    def _subject_indices(
        self, data: Any, subjects: Sequence[Any] | None, own: bool, n_rows: int
    ) -> NDArray[np.int64] | None:
        """The number of each row's subject; -1: not seen."""
        column = self.model.random_intercept
        if column is None:
            if subjects is not None:
                raise ValueError("subjects are of a model with random_intercept")
            return None
        if subjects is not None:
            labels = [str(value) for value in subjects]
            if len(labels) != n_rows:
                raise ValueError(f"subjects must have one value a row, {n_rows}; got {len(labels)}")
        elif own:
            return self._subjects
        elif data is None or not designs.has_column(data, column):
            return np.full(n_rows, -1)
        else:
            labels = designs.subject_names(data, column, n_rows)
        place = {name: i for i, name in enumerate(self.subject_names or ())}
        return np.array([place.get(label, -1) for label in labels], dtype=np.int64)


class _Rows:
    """Linear predictors (S, n, K) of some rows at every draw, random intercepts of subjects not seen drawn anew."""

    def __init__(
        self,
        post: RegressionPosterior,
        matrix: Floats,
        offset: Floats | None,
        zeta: Floats | None,
        subjects: NDArray[np.int64] | None,
    ) -> None:
        self._post, self._matrix, self._offset, self._zeta, self._subjects = post, matrix, offset, zeta, subjects
        self._reference = post.model.reference_index(post.category_names)

    def __len__(self) -> int:
        return len(self._matrix)

    def predictors(self, part: slice) -> Floats:
        """Before the softmax, or the log concentrations with the log link."""
        post = self._post
        coefficients = post._flat(post.coefficients)
        eta = np.matmul(self._matrix[part], coefficients)
        if self._offset is not None:
            free = [k for k in range(eta.shape[-1]) if k != self._reference]
            eta[..., free] += self._offset[part, np.newaxis]
        if self._subjects is not None:
            eta += self._intercepts(part)
        return np.asarray(eta)

    def log_concentration(self, part: slice) -> Floats:
        """Log concentrations (S, n, K)."""
        eta = self.predictors(part)
        if self._zeta is None:
            return eta
        return np.asarray(_log_softmax(eta) + self._zeta[:, part, np.newaxis])

    def _intercepts(self, part: slice) -> Floats:
        post = self._post
        assert self._subjects is not None
        assert post.random_intercepts is not None
        assert post.random_scale is not None
        chosen = self._subjects[part]
        intercepts = post._flat(post.random_intercepts)
        result = intercepts[:, chosen]  # of those not seen, replaced below
        new = np.flatnonzero(chosen < 0)
        if new.size:
            scale = np.nan_to_num(post._flat(post.random_scale))
            shape = (len(result), new.size, post.n_categories)
            # of each row its own generator: whatever the other rows, the intercepts are the same
            seeds = [np.random.default_rng([*post._key.tolist(), 1, part.start + int(i)]) for i in new]
            z = np.stack([generator.standard_normal((shape[0], shape[2])) for generator in seeds], axis=1)
            if self._reference is not None:
                z[..., self._reference] = 0.0
            result[:, new] = z * scale[:, np.newaxis]
        return result


def _log_softmax(eta: Floats) -> Floats:
    shifted = eta - eta.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
