"""Simulated datasets of a regression: coefficients from their priors, or as given, and counts of every group."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from hbm_fast import _random, _validate
from hbm_fast._display import Displayed
from hbm_fast._typing import Counts, Floats, Key, RNGLike
from hbm_fast.models import RegressionModel
from hbm_fast.models import design as designs
from hbm_fast.models.design import Design
from hbm_fast.variates import MAX_TOTAL, dirichlet, multinomial

_LARGEST = 40.0  # log precision from which on a Dirichlet distribution is a point in float64


@dataclass(frozen=True, eq=False, repr=False)
class RegressionSimulation(Displayed):
    """Simulated datasets ``first, first + 1, ...`` of a `RegressionModel`, for the same groups and covariates.

    Attributes
    ----------
    coefficients : float64 array (B, P, K)
        Zero in the column of the reference; with ``reference=None`` they sum to zero over the categories.
    precision_coefficients : float64 array (B, Q)
    random_scale : float64 array (B, K)
        Standard deviations of the random intercepts; zero for the reference, and without random intercepts.
    random_intercepts : float64 array (B, S, K)
        One row a subject, in the order of their first rows; S = 0 without random intercepts.
    theta : float64 array (B, N, K)
        Proportions of each group.
    counts : array (B, N, K)
    column_names, precision_column_names : tuples of str (P,), (Q,)
    key : ndarray (2,)
        Pass it as ``rng`` with ``first`` to continue the stream.
    first : int
    model : RegressionModel

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> model = hbm.RegressionModel(3)
    >>> sims = hbm.simulate(model, 2, design=[[1.0, 0.0], [1.0, 1.0]], totals=20, rng=0)
    >>> sims.coefficients.shape, sims.counts.sum(axis=-1).tolist()
    ((2, 2, 3), [[20, 20], [20, 20]])
    """

    coefficients: Floats
    precision_coefficients: Floats
    random_scale: Floats
    random_intercepts: Floats
    theta: Floats
    counts: Counts
    column_names: tuple[str, ...]
    precision_column_names: tuple[str, ...]
    key: Key
    first: int
    model: RegressionModel

    def __len__(self) -> int:
        return len(self.counts)

    def __repr__(self) -> str:
        return (
            f"RegressionSimulation({len(self)} datasets, {self.counts.shape[1]} groups, first {self.first}, of\n"
            f"  {self.model!r})"
        )


def simulate_regression(
    model: RegressionModel,
    n_datasets: int,
    *,
    totals: int | tuple[int, int] | ArrayLike,
    n_groups: int | None = None,
    data: Any = None,
    design: ArrayLike | None = None,
    precision_design: ArrayLike | None = None,
    coefficients: ArrayLike | None = None,
    precision_coefficients: ArrayLike | None = None,
    random_scale: ArrayLike | None = None,
    rng: RNGLike | Key = None,
    first: int = 0,
    dtype: DTypeLike = np.int32,
    n_threads: int | None = None,
) -> RegressionSimulation:
    """`simulate` for a `RegressionModel`; its parameters are described there."""
    n_datasets = _validate.positive_int(n_datasets, "n_datasets", minimum=0)
    first = _validate.positive_int(first, "first", minimum=0, maximum=2**63 - 1 - n_datasets)
    n_rows = _number_of_groups(n_groups, data, design)
    mean, precision = designs.both_of_model(model, data, design, precision_design, n_rows)
    subjects = None
    if model.random_intercept is not None:
        subjects = designs.subjects_of(data, model.random_intercept, n_rows)
    draws = RegressionDraws(model, mean, precision, subjects)
    given = draws.given(n_datasets, coefficients, precision_coefficients, random_scale)
    key = _random.key(rng)
    parts = []
    for b in range(n_datasets):
        stream = dataset_stream(key, first + b)
        own = {name: values[b] for name, values in given.items()}
        parts.append(draws.dataset(stream, _totals(totals, stream, n_datasets, n_rows, b), own, n_threads))
    columns: dict[str, Any] = {
        name: np.stack([part[i] for part in parts]) if parts else np.empty((0, *shape))
        for i, (name, shape) in enumerate(draws.shapes().items())
    }
    counts = columns.pop("counts")
    if not np.can_cast(np.min_scalar_type(int(counts.max(initial=0))), dtype, "safe"):
        raise ValueError(f"dtype {np.dtype(dtype)} is too small for counts of {int(counts.max())}; pass dtype=np.int64")
    return RegressionSimulation(
        **columns,
        counts=counts.astype(dtype),
        column_names=mean.column_names,
        precision_column_names=() if precision is None else precision.column_names,
        key=key,
        first=first,
        model=model,
    )


def dataset_stream(key: Key, number: int) -> np.random.Generator:
    """The random numbers of one dataset."""
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, number]))


@dataclass(frozen=True, eq=False)
class RegressionDraws:
    """What all datasets share: the designs and the subjects."""

    model: RegressionModel
    mean: Design
    precision: Design | None
    subjects: designs.Subjects | None
    category_names: tuple[str, ...] | None = None

    def shapes(self) -> dict[str, tuple[int, ...]]:
        n, k, p = len(self.mean.matrix), self.model.n_categories, self.mean.matrix.shape[1]
        q = 0 if self.precision is None else self.precision.matrix.shape[1]
        s = 0 if self.subjects is None else len(self.subjects.labels)
        return {
            "coefficients": (p, k),
            "precision_coefficients": (q,),
            "random_scale": (k,),
            "random_intercepts": (s, k),
            "theta": (n, k),
            "counts": (n, k),
        }

    def given(self, n_datasets: int, *arrays: ArrayLike | None) -> dict[str, Floats]:
        """The parameters that are not drawn, one for each dataset."""
        result = {}
        for (name, shape), value in zip(self.shapes().items(), arrays, strict=False):
            if value is None:
                continue
            array = _validate.doubles(value, name)
            if not np.isfinite(array).all():
                raise ValueError(f"{name} must be finite; got {array[_validate.first_index(~np.isfinite(array))]}")
            result[name] = _validate.broadcast(array, name, (n_datasets, *shape))
        if "random_scale" in result:
            if self.subjects is None:
                raise ValueError("random_scale is for models with random_intercept")
            _validate.in_range(result["random_scale"], "random_scale", zero=True)
        return result

    def dataset(
        self, stream: np.random.Generator, totals: NDArray[np.int64], given: dict[str, Floats], n_threads: int | None
    ) -> tuple[NDArray[Any], ...]:
        """Coefficients of mean and precision, scales and values of the random intercepts, theta and counts.

        A category whose coefficients are NaN does not occur; the precision may be infinite.
        """
        model, (p, k) = self.model, self.shapes()["coefficients"]
        reference = model.reference_index(self.category_names)
        drawn = model.coefficients.mu + model.coefficients.sd * stream.standard_normal((p, k))
        coefficients = given.get("coefficients", drawn)
        if model.link == "softmax":
            at = coefficients.mean(axis=1) if reference is None else coefficients[:, reference]
            coefficients = coefficients - at[:, None]
        drawn = stream.standard_normal(self.shapes()["precision_coefficients"]) * model.precision_coefficients.sd
        shape = given.get("precision_coefficients", drawn + model.precision_coefficients.mu)
        drawn = model.random_scale.scale * np.abs(stream.standard_normal(k))
        scale = np.array(given.get("random_scale", np.full(k, drawn[0]) if model.shared_scale else drawn))
        if self.subjects is None:
            scale[:] = 0.0
        if reference is not None:
            scale[reference] = 0.0
        intercepts = scale * stream.standard_normal(self.shapes()["random_intercepts"])

        eta = self.mean.matrix @ coefficients
        others = [j for j in range(k) if j != reference]
        if self.mean.offset is not None:
            eta[:, others] += self.mean.offset[:, None]
        if self.subjects is not None:
            eta += intercepts[self.subjects.codes]
        eta = np.where(np.isnan(eta), -np.inf, eta)
        largest = eta.max(axis=1, keepdims=True)
        log_mean = eta - largest - np.log(np.exp(eta - largest).sum(axis=1, keepdims=True))
        if self.precision is not None:
            zeta = self.precision.matrix @ shape
            if self.precision.offset is not None:
                zeta = zeta + self.precision.offset
            eta = log_mean + np.minimum(zeta, 1e3)[:, None]
        else:
            zeta = (eta - log_mean).max(axis=1)
        theta = dirichlet(stream, np.exp(np.clip(eta, -690.0, 690.0)), n_threads=n_threads)
        theta[zeta > _LARGEST] = np.exp(log_mean[zeta > _LARGEST])
        counts = multinomial(stream, totals, theta / theta.sum(axis=1, keepdims=True), n_threads=n_threads)
        return coefficients, shape, scale, intercepts, theta, counts


def _number_of_groups(n_groups: int | None, data: Any, design: ArrayLike | None) -> int:
    if design is not None:
        found = len(np.atleast_1d(np.asarray(design)))
    elif data is not None:
        found = designs.n_rows(data)
    elif n_groups is None:
        raise TypeError(
            "simulate needs the covariates of a RegressionModel: pass data= or design=; without any, n_groups="
        )
    else:
        return _validate.positive_int(n_groups, "n_groups")
    if n_groups is not None and n_groups != found:
        raise ValueError(f"n_groups must be the number of rows of the covariates, {found}; got {n_groups}")
    return found


def _totals(
    totals: int | tuple[int, int] | ArrayLike, stream: np.random.Generator, n_datasets: int, n_rows: int, b: int
) -> NDArray[np.int64]:
    """The totals of one dataset (N,)."""
    if isinstance(totals, tuple):
        low, high = _validate.inclusive_range(totals, "totals", 0, MAX_TOTAL)
        return stream.integers(low, high, n_rows, endpoint=True)
    array = _validate.integers(totals, "totals")
    _validate.no_negative(array, "totals")
    return np.array(_validate.broadcast(array, "totals", (n_datasets, n_rows))[b], dtype=np.int64)
