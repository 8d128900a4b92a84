"""
Groups under draws of the posterior.
"""
from __future__ import annotations
import numpy
import numpy.typing
import typing
__all__: list[str] = ['draw_log_theta', 'draw_predictive_counts', 'group_log_pmf']
def draw_log_theta(log_alpha: numpy.typing.NDArray[numpy.float64], log_beta: numpy.typing.NDArray[numpy.float64], rows: numpy.typing.NDArray[numpy.int64], key: numpy.typing.NDArray[numpy.uint64], group: typing.SupportsInt | typing.SupportsIndex, datasets: numpy.typing.NDArray[numpy.uint64], out: numpy.typing.NDArray[numpy.float64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None: ...
def draw_predictive_counts(log_theta: numpy.typing.NDArray[numpy.float64], totals: numpy.typing.NDArray[numpy.int64], key: numpy.typing.NDArray[numpy.uint64], group: typing.SupportsInt | typing.SupportsIndex, datasets: numpy.typing.NDArray[numpy.uint64], out: numpy.typing.NDArray[numpy.int64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None: ...
def group_log_pmf(log_alpha: numpy.typing.NDArray[numpy.float64], log_beta: numpy.typing.NDArray[numpy.float64], rows: numpy.typing.NDArray[numpy.int64], coefficient: bool, out: numpy.typing.NDArray[numpy.float64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None: ...
