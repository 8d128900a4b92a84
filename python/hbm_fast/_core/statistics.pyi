"""
Sufficient statistics, exceedances and their likelihood.
"""
from __future__ import annotations
import numpy
import numpy.typing
import typing
__all__: list[str] = ['SufficientStatistics', 'exceedance_counts', 'logit_density', 'table_log_likelihood']
class SufficientStatistics:
    def __copy__(self) -> SufficientStatistics:
        """
        Statistics of the same groups, to which groups can be added apart.
        """
    def __getstate__(self) -> tuple:
        ...
    def __init__(self, n_categories: typing.SupportsInt | typing.SupportsIndex) -> None:
        ...
    def __setstate__(self, arg0: tuple) -> None:
        ...
    def add(self, counts: numpy.ndarray, weights: numpy.typing.NDArray[numpy.float64] | None = None) -> None:
        ...
    @typing.overload
    def add_sparse(self, values: numpy.ndarray, columns: numpy.typing.NDArray[numpy.int32], offsets: numpy.typing.NDArray[numpy.int32], weights: numpy.typing.NDArray[numpy.float64] | None = None) -> None:
        ...
    @typing.overload
    def add_sparse(self, values: numpy.ndarray, columns: numpy.typing.NDArray[numpy.int64], offsets: numpy.typing.NDArray[numpy.int64], weights: numpy.typing.NDArray[numpy.float64] | None = None) -> None:
        ...
    def has_table(self, column: typing.SupportsInt | typing.SupportsIndex) -> bool:
        """
        Whether a category (K: the totals) is evaluated over its table; else over pairs.
        """
    def hessian(self, concentration: numpy.typing.NDArray[numpy.float64], diagonal: numpy.typing.NDArray[numpy.float64], constant: numpy.typing.NDArray[numpy.float64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
        """
        Writes the diagonal and the constant of the Hessian diag(diagonal) + constant.
        """
    def log_likelihood(self, concentration: numpy.typing.NDArray[numpy.float64], value: numpy.typing.NDArray[numpy.float64], gradient: numpy.typing.NDArray[numpy.float64] | None, n_threads: typing.SupportsInt | typing.SupportsIndex, coefficient: bool = False) -> None:
        """
        Writes the log-likelihood, with the coefficients or without, and the gradient unless None.
        """
    def merge(self, other: SufficientStatistics) -> None:
        ...
    def pairs(self, column: typing.SupportsInt | typing.SupportsIndex) -> tuple:
        """
        The distinct counts of a category (K: the totals) and how often each occurs.
        """
    @property
    def log_coefficient(self) -> float:
        ...
    @property
    def n_categories(self) -> int:
        ...
    @property
    def n_groups(self) -> float:
        ...
def exceedance_counts(counts: numpy.ndarray, out: numpy.typing.NDArray[numpy.float32], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    ...
def logit_density(tables: numpy.typing.NDArray[numpy.float64], concentration: numpy.typing.NDArray[numpy.float64], t: numpy.typing.NDArray[numpy.float64], u: numpy.typing.NDArray[numpy.float64], value: numpy.typing.NDArray[numpy.float64], slope: numpy.typing.NDArray[numpy.float64] | None, n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Writes log p(counts, logit beta | alpha) of two categories at points (log alpha, logit), and its slope unless None.
    """
def table_log_likelihood(tables: numpy.typing.NDArray[numpy.float32], log_alpha: numpy.typing.NDArray[numpy.float64], log_beta: numpy.typing.NDArray[numpy.float64], out: numpy.typing.NDArray[numpy.float64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Writes the collapsed log-likelihood (no coefficient) of B exceedance tables at S concentrations each.
    """
