"""fit_many: the same likelihood-ratio test for thousands of tables, such as genes or districts, in one call."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import islice
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _core, _validate
from hbm_fast._display import Displayed
from hbm_fast._optional import import_optional
from hbm_fast._typing import Counts, Floats
from hbm_fast.fitting.chi_squared import benjamini_hochberg, chi_squared_tail
from hbm_fast.models import design as designs
from hbm_fast.models.design import named_counts, positions

_CHUNK = 1024  # tables that are held as float64 at a time
_ENDINGS = ("converged", "separated", "infinity", "zero", "undetermined", "unfinished")
_SMALLEST_SPREAD = 0.05  # of log precision between tables, under which estimates differ by noise alone


@dataclass(frozen=True, eq=False, repr=False)
class ManyFits(Displayed):
    """The result of `fit_many`: one test a table, or with ``level="category"`` one a category of each table.

    Attributes
    ----------
    names : tuple of str (B,)
        Names of the tables.
    categories : tuple of str (B,) or None
        Names of the categories, with ``level="category"``.
    statistic : float64 array (B,)
        Likelihood-ratio statistics, after the correction for small samples.
    df : int64 array (B,)
    p_value, q_value : float64 arrays (B,)
        The q-values control the false discovery rate (Benjamini & Hochberg 1995).
    precision : float64 array (B,)
        Of the larger model, the mean over the groups; infinite where the maximum is a multinomial's.
    outcome : tuple of str (B,)
        As `RegressionFit.outcome`; ``"one category"`` where fewer than two categories have counts, so that there is
        nothing to test; ``"failed"`` where ``failures`` has the reason, and the row is NaN.
    failures : dict of str to str
        The reason by the name of the table.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> design = [[1.0, 0.0]] * 4 + [[1.0, 1.0]] * 4
    >>> gene = [[9, 1], [8, 3], [9, 2], [7, 2], [2, 8], [1, 9], [3, 7], [2, 9]]
    >>> tests = hbm.fit_many({"gene": gene}, design=design, null_design=[[1.0]] * 8)
    >>> tests.outcome, round(float(tests.p_value[0]), 6)
    (('infinity',), 0.000322)
    """

    names: tuple[str, ...]
    categories: tuple[str, ...] | None
    statistic: Floats
    df: NDArray[np.int64]
    p_value: Floats
    q_value: Floats
    precision: Floats
    outcome: tuple[str, ...]
    failures: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        found = int((self.q_value < 0.05).sum())
        return f"ManyFits({len(self)} tests, {found} with q < 0.05, {len(self.failures)} failures)"

    def to_frame(self) -> Any:
        """One row a test, as a pandas frame."""
        pandas = import_optional("pandas", "formula")
        columns: dict[str, Any] = {"name": self.names}
        if self.categories is not None:
            columns["category"] = self.categories
        for column in ("statistic", "df", "p_value", "q_value", "precision", "outcome"):
            columns[column] = getattr(self, column)
        return pandas.DataFrame(columns)


@dataclass(frozen=True, eq=False)
class _Item:
    """One table to test: its counts, or why there are none."""

    name: str
    category: str | None
    counts: Counts | None
    failure: str = ""


def fit_many(
    tables: Mapping[str, Any] | Iterable[tuple[str, Any]],
    *,
    mean: str = "~ 1",
    null: str = "~ 1",
    precision: str = "~ 1",
    data: Any = None,
    design: ArrayLike | None = None,
    null_design: ArrayLike | None = None,
    level: Literal["table", "category"] = "table",
    small_sample: bool = True,
    moderate: bool = False,
    max_iterations: int = 200,
    n_threads: int | None = None,
) -> ManyFits:
    """Test the same covariates in many tables, such as the transcripts of each gene, by likelihood ratios.

    Parameters
    ----------
    tables : mapping of names to tables (N, K_b), or iterable of pairs of both
        The groups (rows) are the same in all tables; the categories need not be. An iterable is read in pieces.
    mean, null : str
        Formulas of the larger and of the smaller model of the mean proportions.
    precision : str, default ``"~ 1"``
        Formula of the log precision in both.
    data : data frame
        The covariates, one row a group.
    design, null_design : array_like (N, P), optional
        In place of ``mean`` and ``null``.
    level : ``"table"`` or ``"category"``
        One test a table, or one for each category of each table, against all others of the table.
    small_sample : bool, default True
        Multiply each statistic by ``(N - P) / N``, N the groups with counts and P the columns of the larger model.
    moderate : bool, default False
        Shrink log precisions towards their mean over the tables, by empirical Bayes: with few groups a table alone
        says little about its precision. The statistic is then that of the penalised likelihoods.
    max_iterations : int, default 200
    n_threads : int, optional
        The results do not depend on it.

    Returns
    -------
    ManyFits

    Raises
    ------
    TypeError, ValueError
        For covariates that do not fit, models that are not nested, and where every table fails. A single table that
        cannot be fitted is named in ``failures``.

    Notes
    -----
    Categories without counts in a table are left out of it, with their degrees of freedom. The statistic is defined
    where the maximum is at infinity too. The prior of moderated log precisions is normal, its mean and variance those
    of DerSimonian & Laird (1986), doi:10.1016/0197-2456(86)90046-2.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> twins = hbm.datasets.load_twins()
    >>> obese = [[1.0, float(label == "Obese")] for label in twins.labels]
    >>> tables = {twins.category_names[k]: twins.counts[:, [k, k + 1]] for k in (20, 40)}
    >>> len(hbm.fit_many(tables, design=obese, null_design=[[1.0]] * 278))
    2
    """
    if moderate and not isinstance(tables, Mapping):
        raise TypeError("moderate needs two passes over the tables: pass a mapping of names to tables")
    batch = Batch(mean, null, precision, data, design, null_design, level, moderate, max_iterations, n_threads)
    found = batch.run(tables.items() if isinstance(tables, Mapping) else tables)
    if moderate:
        assert isinstance(tables, Mapping)
        found = batch.run(tables.items(), found.spread_of_precision())
    return batch.tests(found, small_sample)


def _design(array: ArrayLike | None, formula: str, data: Any, name: str, part: str, n_rows: int) -> designs.Design:
    if array is not None:
        result = designs.of_array(array, name, n_rows)
    else:
        name, result = part, designs.of_formula(formula, data, part, n_rows)
    if result.offset is not None:
        raise ValueError(f"{name} must have no offset in fit_many; use fit for one table")
    designs.check_rank(result, name)
    return result


@dataclass(frozen=True, eq=False)
class Found:
    """What the kernel returns for a run over tables."""

    items: list[_Item]  # without their counts
    n_groups: NDArray[np.int64]
    value: Floats
    null_value: Floats
    log_precision: Floats
    information: Floats
    n_categories: NDArray[np.int64]
    seen: NDArray[np.int64]
    ending: NDArray[np.int64]

    @classmethod
    def joined(cls, parts: Sequence["Found"]) -> "Found":
        """One run of the tables of several."""
        if not parts:
            raise ValueError("tables must hold at least one table; it is empty")
        arrays = [np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)[1:]]
        return cls([item for part in parts for item in part.items], *arrays)

    def spread_of_precision(self) -> tuple[float, float]:
        """Mean and standard deviation of log precision between tables, by the method of moments."""
        known = (self.ending == _ENDINGS.index("converged")) & (self.information > 0.0)
        if known.sum() < 3:
            raise ValueError(f"moderate needs three tables with a finite precision; got {int(known.sum())}")
        value, weight = self.log_precision[known], self.information[known]
        center = float(weight @ value / weight.sum())
        excess = float(weight @ (value - center) ** 2) - (len(value) - 1)
        variance = max(excess / float(weight.sum() - weight @ weight / weight.sum()), _SMALLEST_SPREAD**2)
        weight = 1.0 / (1.0 / weight + variance)
        return float(weight @ value / weight.sum()), float(np.sqrt(variance))


class Batch:
    """The designs of both models, and the runs of the kernel over pieces of the tables."""

    def __init__(
        self,
        mean: str,
        null: str,
        precision: str,
        data: Any,
        design: ArrayLike | None,
        null_design: ArrayLike | None,
        level: str,
        moderate: bool,
        max_iterations: int,
        n_threads: int | None,
    ) -> None:
        if level not in ("table", "category"):
            raise ValueError(f"level must be 'table' or 'category'; got {level!r}")
        if moderate and precision != "~ 1":
            raise ValueError(f"moderate needs precision='~ 1', one precision a table; got {precision!r}")
        if design is None and data is None:
            raise ValueError("fit_many needs covariates: pass data= for the formulas, or design= and null_design=")
        self.n_rows = designs.n_rows(data) if design is None else len(np.atleast_1d(np.asarray(design)))
        self.level, self.n_threads = level, _validate.threads(n_threads)
        self.row_names = designs.row_names(data)
        self.max_iterations = _validate.positive_int(max_iterations, "max_iterations")
        self.larger = _design(design, mean, data, "design", "mean", self.n_rows)
        smaller = _design(null_design, null, data, "null_design", "null", self.n_rows)
        self.n_columns, self.n_null = self.larger.matrix.shape[1], smaller.matrix.shape[1]
        if self.n_columns <= self.n_null or not designs.spans(self.larger.matrix, smaller.matrix):
            raise ValueError(
                "null must be nested in mean: its columns must be combinations of those of mean, and fewer"
            )
        shape = designs.of_formula(precision, data, "precision", self.n_rows)
        # of each model and of the precision: orthogonal columns, and the coefficients that are nearest to 1
        parts = [part.orthogonal()[0] for part in (self.larger, smaller, shape)]
        (a, b, c), (u, v, w) = parts, [q.T @ np.ones(self.n_rows) / self.n_rows for q in parts]
        self.designs: tuple[Floats, Floats, Floats, Floats, Floats, Floats] = (a, u, b, v, c, w)

    def run(self, pairs: Iterable[tuple[str, Any]], prior: tuple[float, float] | None = None) -> Found:
        """Both models of every table; under a normal prior of log precision where its mean and deviation are given."""
        items = self._items(iter(pairs))
        pieces: list[Found] = []
        while piece := list(islice(items, _CHUNK)):
            pieces.append(self._piece(piece, prior))
        return Found.joined(pieces)

    def _items(self, pairs: Iterator[tuple[str, Any]]) -> Iterator[_Item]:
        for name, value in pairs:
            try:
                table, given = named_counts(value)
                if given.weights is not None:
                    raise ValueError("the table must have no weights in fit_many: repeat its rows, and those of data")
                if len(table) != self.n_rows:
                    raise ValueError(f"the table must have {self.n_rows} groups, as data has rows; got {len(table)}")
                if given.group_names is not None and self.row_names not in (None, given.group_names):
                    table = table[positions(self.row_names or (), given.group_names, "the table")]
                filled = table.any(axis=1)
                if not filled.all():
                    if not filled.any():
                        raise ValueError("the table has no counts")
                    designs.check_rank(self.larger, "mean", filled)
            except (TypeError, ValueError) as error:
                yield _Item(str(name), None, None, str(error))
                continue
            if self.level == "table":
                yield _Item(str(name), None, table)
                continue
            total = table.sum(axis=1)
            for k, category in enumerate(given.category_names or ()):
                yield _Item(str(name), category, np.column_stack([table[:, k], total - table[:, k]]))

    def _piece(self, items: list[_Item], prior: tuple[float, float] | None) -> Found:
        size = len(items)
        sound = [i for i, item in enumerate(items) if item.counts is not None]
        tables = [item.counts for item in items if item.counts is not None]
        categories, n_groups = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
        floats = np.full((4, size), np.nan)
        whole = np.full((2, size), -2, dtype=np.int64)
        if tables:
            categories[sound] = [table.shape[1] for table in tables]
            n_groups[sound] = [int(table.any(axis=1).sum()) for table in tables]
            flat = np.concatenate([np.asarray(table, dtype=np.float64).reshape(-1) for table in tables])
            offset = None if prior is None else np.full(self.n_rows, prior[0])
            penalty = None if prior is None else np.array([[1.0 / prior[1] ** 2]])
            value, null_value, coefficients, information, seen, ending, null_ending = _core.regression.fit_batch(
                flat, categories[sound], *self.designs, offset, penalty, self.max_iterations, self.n_threads
            )
            log_precision = (self.designs[4] @ coefficients.T).mean(axis=0) + (0.0 if prior is None else prior[0])
            floats[:, sound] = value, null_value, log_precision, information
            unfinished = _ENDINGS.index("unfinished")
            ending = np.where(null_ending == unfinished, unfinished, ending)
            whole[:, sound] = seen, ending
        bare = [_Item(item.name, item.category, None, item.failure) for item in items]
        return Found(bare, n_groups, floats[0], floats[1], floats[2], floats[3], categories, whole[0], whole[1])

    def tests(self, found: Found, small_sample: bool) -> ManyFits:
        """The likelihood-ratio tests."""
        failures = {item.name: item.failure for item in found.items if item.failure}
        failed = np.array([bool(item.failure) for item in found.items])
        if failed.all():
            name, reason = next(iter(failures.items()))
            raise ValueError(f"no table can be fitted; {name!r}: {reason}")
        statistic = np.maximum(2.0 * (found.value - found.null_value), 0.0)
        if small_sample:
            statistic[~failed] *= np.maximum(1.0 - self.n_columns / found.n_groups[~failed], 0.0)
        df = np.maximum(found.seen - 1, 0) * (self.n_columns - self.n_null)
        p_value = np.array([chi_squared_tail(x, int(n)) for x, n in zip(statistic, df, strict=True)])
        precision = np.exp(found.log_precision)
        precision[found.ending == _ENDINGS.index("infinity")] = np.inf
        precision[found.ending == _ENDINGS.index("zero")] = 0.0
        outcome = []
        for ending, seen, k in zip(found.ending, found.seen, found.n_categories, strict=True):
            word = {-2: "failed", -1: "one category"}.get(int(ending)) or _ENDINGS[ending]
            outcome.append("absent category" if word == "converged" and seen < k else word)
        return ManyFits(
            names=tuple(item.name for item in found.items),
            categories=None if self.level == "table" else tuple(item.category or "" for item in found.items),
            statistic=statistic,
            df=df,
            p_value=p_value,
            q_value=benjamini_hochberg(p_value),
            precision=precision,
            outcome=tuple(outcome),
            failures=failures,
        )
