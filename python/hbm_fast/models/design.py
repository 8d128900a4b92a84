"""Design matrices: from formulas over data frames, whose coding is kept for prediction, or as arrays."""

import dataclasses
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _display, _validate
from hbm_fast._optional import import_optional
from hbm_fast._typing import Counts, Floats
from hbm_fast.models.regression import RegressionModel
from hbm_fast.tables.inputs import as_counts
from hbm_fast.tables.named_counts import NamedCounts

_DEPENDENT = 1e-9  # of the length of a column that the columns before it leave


@dataclass(frozen=True, eq=False)
class Design:
    """A design matrix with its names, and how to make the same columns of other data.

    Attributes
    ----------
    matrix : (N, P)
    column_names : tuple of str (P,)
    terms : dict of str to list of int
        The columns of each term of the formula; of an array, each column.
    offset : (N,) or None
    """

    matrix: Floats
    column_names: tuple[str, ...]
    terms: dict[str, list[int]]
    offset: Floats | None = None
    _spec: Any = None  # formulaic's, which holds the levels of factors
    frame: Any = None  # pandas, the columns that the formula takes

    def apply(self, data: Any, name: str) -> tuple[Floats, Floats | None]:
        """The columns and the offset of other data: a data frame, or an array (N, P) of columns."""
        n_columns = len(self.column_names)
        if isinstance(data, np.ndarray | list | tuple):
            matrix = _validate.doubles(data, name)
            if matrix.ndim != 2 or matrix.shape[1] != n_columns:
                raise ValueError(f"{name} must have shape (N, {n_columns}); got {matrix.shape}")
            if self.offset is not None:
                raise ValueError(f"{name} must be a data frame: the formula has an offset")
            return _finite(matrix, name, self.column_names), None
        if self._spec is None:
            if self.column_names == ("Intercept",):
                return np.ones((n_rows(data), 1)), None
            raise TypeError(
                f"{name} must be an array (N, {n_columns}): the model was fitted to a design, not a formula"
            )
        frame = _frame(data, self._spec.required_variables, name)
        matrix, offset = _split(_materialize(self._spec.get_model_matrix, frame, name), self._spec, name)
        return _finite(matrix, name, self.column_names), offset

    def apply_array(self, value: ArrayLike, name: str) -> tuple[Floats, Floats | None]:
        """The columns of an array (N, P), or of what numpy makes an array of, such as a data frame of the columns."""
        return self.apply(_validate.unmasked(value, name), name)

    @cached_property
    def _factors(self) -> tuple[Floats, Floats, Floats]:
        """Q and R of the columns scaled to length 1, and their lengths."""
        scale = np.sqrt((self.matrix**2).sum(axis=0))
        scaled = self.matrix / np.where(scale > 0.0, scale, 1.0)
        if scaled.shape[1] == 1:
            return scaled, np.sign(scale)[:, None], scale
        q, r = np.linalg.qr(scaled)
        return q, r, scale

    def orthogonal(self) -> tuple[Floats, Floats]:
        """Columns Q with ``Q' Q = N`` and R with ``matrix = Q R``, for the optimiser."""
        q, r, scale = self._factors
        length = np.sqrt(len(self.matrix))
        return np.ascontiguousarray(q * length), r * scale / length

    def shifted(self, mu: float) -> Floats | None:
        """The offset of predictors whose coefficients are measured from mu."""
        if mu == 0.0:
            return self.offset
        shift = mu * self.matrix.sum(axis=1)
        return np.ascontiguousarray(shift if self.offset is None else shift + self.offset)


def normal_penalty(r: Floats, sd: float) -> Floats:
    """Normal(0, sd) as a quadratic form of the coefficients of the orthogonal columns; r is the R of `orthogonal`."""
    inverse = np.linalg.inv(r)
    return np.ascontiguousarray(inverse.T @ inverse / sd**2)


def of_array(value: Any, name: str, n_groups: int, column_names: Sequence[str] | None = None) -> Design:
    """The design of an array (N, P); a data frame lends its column names."""
    if column_names is None and hasattr(value, "columns"):
        column_names = tuple(map(str, value.columns))
        value = value.to_numpy()
    matrix = _validate.doubles(value, name)
    if matrix.ndim != 2 or len(matrix) != n_groups or matrix.shape[1] < 1:
        raise ValueError(f"{name} must have shape (N, P) with N = {n_groups}, one row a group; got {matrix.shape}")
    names = tuple(column_names or (f"{name}[{i}]" for i in range(matrix.shape[1])))
    return Design(_finite(matrix, name, names), names, {c: [i] for i, c in enumerate(names)})


def of_formula(formula: str, data: Any, name: str, n_groups: int) -> Design:
    """The design of a formula over the columns of a data frame, one row a group."""
    if formula == "~ 1":
        return Design(np.ones((n_groups, 1)), ("Intercept",), {"Intercept": [0]})
    formulaic = import_optional("formulaic", "formula")
    try:
        terms = formulaic.Formula(formula)
    except Exception as error:  # the parser's errors have a class of their own, and none in common
        raise ValueError(f"{name}={formula!r} is not a formula that formulaic reads: {error}") from error
    if not hasattr(terms, "required_variables"):
        raise ValueError(f"{name}={formula!r} must have one part, the covariates")
    if data is None:
        raise ValueError(f"{name}={formula!r} needs data, a data frame with one row a group: pass data=, or design=")
    frame = _frame(data, terms.required_variables - {"offset"}, name)
    if len(frame) != n_groups:
        raise ValueError(f"data must have one row a group, {n_groups} rows; got {len(frame)}")
    created = _materialize(lambda table, **options: formulaic.model_matrix(terms, table, **options), frame, name)
    spec = created.model_spec
    matrix, offset = _split(created, spec, name)
    kept = [i for i, column in enumerate(spec.column_names) if not _is_offset(column)]
    names = tuple(spec.column_names[i] for i in kept)
    place = {old: new for new, old in enumerate(kept)}
    columns = {str(t): [place[i] for i in at if i in place] for t, at in spec.term_indices.items()}
    columns = {"Intercept" if t == "1" else t: at for t, at in columns.items() if at}
    empty = [names[i] for i in np.flatnonzero(~matrix.any(axis=0))]
    if empty:
        raise ValueError(
            f"{name} has columns without data: {', '.join(empty)}. A level of a factor occurs in no group: drop it, "
            "with pandas by .cat.remove_unused_categories()"
        )
    return Design(_finite(matrix, name, names), names, columns, offset, spec, frame)


def of_model(
    model: RegressionModel, part: Literal["mean", "precision"], data: Any, array: Any, n_groups: int
) -> Design:
    """The design of one part of a model: the array where it is given, or else the formula over the data."""
    if array is None:
        return of_formula(getattr(model, part), data, part, n_groups)
    return of_array(array, "design" if part == "mean" else "precision_design", n_groups)


def both_of_model(
    model: RegressionModel, data: Any, design: Any, precision_design: Any, n_groups: int
) -> tuple[Design, Design | None]:
    """The designs of the mean and, with the softmax, of the precision."""
    mean = of_model(model, "mean", data, design, n_groups)
    if model.link == "softmax":
        return mean, of_model(model, "precision", data, precision_design, n_groups)
    if precision_design is not None:
        raise ValueError("precision_design is for link='softmax'; with link='log' design changes the precision already")
    return mean, None


@dataclass(frozen=True, eq=False)
class Subjects:
    """Which subject each group belongs to: its code (N,), an index into the labels."""

    codes: NDArray[np.int64]
    labels: tuple[Any, ...]

    def codes_of(self, data: Any, column: str, n_groups: int) -> NDArray[np.int64]:
        """The codes of other data; -1 for subjects that are not among the labels, and where there is no column."""
        if data is None or column not in _column_names(data):
            return np.full(n_groups, -1)
        place = {label: i for i, label in enumerate(self.labels)}
        values = column_values(data, column)
        if len(values) != n_groups:
            raise ValueError(f"data must have one row a row of design, {n_groups} rows; got {len(values)}")
        return np.array([place.get(label, -1) for label in values], dtype=np.int64)


def subjects_of(data: Any, column: str, n_groups: int) -> Subjects:
    """The subjects in a column of a data frame or of a dict of columns, in the order of their first rows."""
    if data is None:
        raise ValueError(f"random_intercept={column!r} needs data with that column, one row a group: pass data=")
    if column not in _column_names(data):
        raise ValueError(
            f"random_intercept needs the column {column!r}, which data lacks; it has {', '.join(_column_names(data))}"
        )
    values = column_values(data, column)
    if len(values) != n_groups:
        raise ValueError(f"data must have one row a group, {n_groups} rows; got {len(values)}")
    gaps = [n for n, value in enumerate(values) if value is None]
    if gaps:
        raise ValueError(
            f"data must have a subject in every row: column {column!r} has {len(gaps)} missing values, first in row "
            f"{gaps[0]}. Leave those groups out of data and counts, or name their subjects"
        )
    labels = tuple(dict.fromkeys(values))
    place = {label: i for i, label in enumerate(labels)}
    return Subjects(np.array([place[value] for value in values], dtype=np.int64), labels)


def column_values(data: Any, column: str) -> list[Any]:
    """The values of a column of a data frame or of a dict of columns; None where there is none."""
    if isinstance(data, dict):
        given = data[column]
        values = given.tolist() if hasattr(given, "tolist") else list(given)
    else:
        import narwhals  # only where there is a data frame

        values = narwhals.from_native(data, eager_only=True)[column].to_list()
    return [None if _is_gap(value) else value for value in values]


def _is_gap(value: Any) -> bool:
    return value is None or type(value).__name__ == "NAType" or bool(value != value)  # pandas.NA has no truth value


def _column_names(data: Any) -> list[str]:
    if isinstance(data, dict):
        return list(map(str, data))
    return list(map(str, getattr(data, "column_names", getattr(data, "columns", ()))))


def check_rank(design: Design, name: str, rows: Any = None) -> None:
    """Raise where a column is a combination of others in the rows with counts, and name it."""
    if design.terms == {"Intercept": [0]} and design.matrix.all():
        return
    part = design if rows is None else dataclasses.replace(design, matrix=design.matrix[rows])
    n_groups, n_columns = part.matrix.shape
    if n_groups < n_columns:
        raise ValueError(f"{name} has {n_columns} columns for {n_groups} groups with counts: collinear; use fewer")
    _, r, scale = part._factors
    if (scale == 0.0).any():
        column = design.column_names[int(np.argmin(scale))]
        raise ValueError(f"{name} is collinear: column {column!r} is zero in every group that has counts; leave it out")
    dependent = np.flatnonzero(np.abs(np.diag(r)) < _DEPENDENT)
    if dependent.size:
        column = design.column_names[dependent[0]]
        raise ValueError(f"{name} is collinear: column {column!r} is a combination of the others; leave it out")


def spans(large: Floats, small: Floats) -> bool:
    """Whether the columns of small are combinations of those of large."""
    fitted = large @ np.linalg.lstsq(large, small, rcond=None)[0]
    return bool(np.abs(small - fitted).max() <= 1e-8 * max(np.abs(small).max(), 1e-300))


def n_rows(data: Any) -> int:
    """The number of rows of a data frame or of a dict of columns."""
    return len(next(iter(data.values()), ())) if isinstance(data, dict) else len(data)


def row_names(data: Any) -> tuple[str, ...] | None:
    """The names of the rows of a pandas frame, or None where it has only positions."""
    index = getattr(data, "index", None)
    if index is None or not hasattr(index, "dtype") or index.dtype.kind in "iu":
        return None
    return tuple(map(str, index))


def has_column(data: Any, column: str) -> bool:
    """Whether a data frame or a dict of columns has the column."""
    return column in _column_names(data)


def subject_names(data: Any, column: str, n_groups: int) -> list[str]:
    """The subject of each group as text."""
    subjects = subjects_of(data, column, n_groups)
    return [str(subjects.labels[code]) for code in subjects.codes]


def _is_offset(column: str) -> bool:
    return column.startswith("offset(")


def _split(created: Any, spec: Any, name: str) -> tuple[Floats, Floats | None]:
    values = np.asarray(created, dtype=np.float64)
    is_offset = np.array([_is_offset(c) for c in spec.column_names], dtype=np.bool_)
    offset = np.ascontiguousarray(values[:, is_offset].sum(axis=1)) if is_offset.any() else None
    if offset is not None and not np.isfinite(offset).all():
        row = int(np.argmin(np.isfinite(offset)))
        raise ValueError(f"{name} must have finite offsets; got {offset[row]} in row {row}")
    return np.ascontiguousarray(values[:, ~is_offset]), offset


def _materialize(build: Any, frame: Any, name: str) -> Any:
    errors = import_optional("formulaic.errors", "formula", "formulaic")
    with warnings.catch_warnings():
        warnings.simplefilter("error", errors.DataMismatchWarning)
        try:
            return build(frame, context={"offset": lambda value: value, "np": np}, na_action="raise")
        except errors.DataMismatchWarning as warning:
            raise ValueError(
                f"{name} has a level of a factor that was not in the data of the fit: {warning}. Leave its rows out"
            ) from None
        except errors.FactorEvaluationError as error:
            raise ValueError(f"{name} cannot be evaluated on the data: {error}") from error


def _frame(data: Any, variables: Any, name: str) -> Any:
    """The columns that a formula needs, as a pandas frame; a column that is not there or has gaps is an error."""
    pandas = import_optional("pandas", "formula")
    names = set(_column_names(data))
    if not names:
        raise TypeError(f"data must be a data frame (pandas, polars or pyarrow) or a dict of columns; got {type(data)}")
    missing = sorted(set(map(str, variables)) - names - {"np"})
    if missing:
        raise ValueError(
            f"{name} needs columns that data lacks: {', '.join(missing)}; it has {', '.join(sorted(names))}"
        )
    wanted = [c for c in _column_names(data) if c in variables]
    if isinstance(data, pandas.DataFrame):
        frame = data[wanted]
    elif isinstance(data, dict):
        frame = pandas.DataFrame({c: data[c] for c in wanted})
    else:
        import narwhals  # only where there is a data frame

        table = narwhals.from_native(data, eager_only=True)
        frame = pandas.DataFrame({c: _pandas_values(table[c], pandas) for c in wanted}, index=range(len(table)))
    for column in wanted:
        gaps = np.flatnonzero(frame[column].isna().to_numpy())
        if gaps.size:
            raise ValueError(
                f"data must have no gaps in the covariates: column {column!r} has {gaps.size} missing values, first "
                f"in row {gaps[0]}. Leave those groups out of data and counts, or fill them"
            )
    return frame


def _pandas_values(series: Any, pandas: Any) -> Any:
    if series.dtype.is_numeric():
        return series.to_numpy()
    values = series.to_list()
    import narwhals

    if series.dtype == narwhals.Enum:
        return pandas.Categorical(values, categories=series.cat.get_categories().to_list())
    return values


def _finite(matrix: Floats, name: str, column_names: Sequence[str]) -> Floats:
    if not np.isfinite(matrix).all():
        row, column = _validate.first_index(~np.isfinite(matrix))
        raise ValueError(
            f"{name} must be finite; got {matrix[row, column]} in row {row}, column {column_names[column]!r}"
        )
    return matrix


def named_counts(
    counts: Any, category_names: Sequence[str] | None = None, layer: str | None = None
) -> tuple[Counts, NamedCounts]:
    """Checked counts (N, K), and the same with the names of categories and groups."""
    given = as_counts(counts, layer=layer, category_names=category_names)
    table = _validate.counts(given.dense())
    names = _display.labels(given.category_names, table.shape[1])
    return table, dataclasses.replace(given, category_names=names)


def aligned(data: Any, group_names: Sequence[str] | None) -> Any:
    """The data frame with its rows in the order of the groups, where both have names."""
    rows = row_names(data)
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
