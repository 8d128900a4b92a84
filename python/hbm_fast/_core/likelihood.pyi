"""
The Dirichlet-multinomial log pmf and its gradient.
"""
from __future__ import annotations
import numpy
import numpy.typing
import typing
__all__: list[str] = ['log_pmf', 'log_pmf_gradient', 'log_pmf_group_address', 'log_pmf_rows_address', 'sparse_log_pmf']
def log_pmf(counts: numpy.ndarray, concentration: numpy.typing.NDArray[numpy.float64], coefficient: bool, out: numpy.typing.NDArray[numpy.float64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Writes the log pmf of every row.
    """
def log_pmf_gradient(counts: numpy.ndarray, concentration: numpy.typing.NDArray[numpy.float64], coefficient: bool, out: numpy.typing.NDArray[numpy.float64], gradient: numpy.typing.NDArray[numpy.float64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Writes the log pmf of every row and its gradient.
    """
def log_pmf_group_address() -> int:
    ...
def log_pmf_rows_address() -> int:
    ...
@typing.overload
def sparse_log_pmf(values: numpy.ndarray, columns: numpy.typing.NDArray[numpy.int32], offsets: numpy.typing.NDArray[numpy.int32], concentration: numpy.typing.NDArray[numpy.float64], coefficient: bool, out: numpy.typing.NDArray[numpy.float64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Writes the log pmf of every row of CSR counts; concentration is (1, K) or (N, K).
    """
@typing.overload
def sparse_log_pmf(values: numpy.ndarray, columns: numpy.typing.NDArray[numpy.int64], offsets: numpy.typing.NDArray[numpy.int64], concentration: numpy.typing.NDArray[numpy.float64], coefficient: bool, out: numpy.typing.NDArray[numpy.float64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    ...
