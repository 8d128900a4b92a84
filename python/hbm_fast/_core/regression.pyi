"""
Dirichlet-multinomial regression: derivatives and Newton's method.
"""
from __future__ import annotations
import numpy
import numpy.typing
import typing
__all__: list[str] = ['Problem', 'fit_batch']
class Problem:
    """
    A regression of counts (N, K) on a design (N, P).
    """
    def __init__(self, link: str, counts: numpy.typing.NDArray[numpy.float64], design: numpy.typing.NDArray[numpy.float64], precision_design: numpy.typing.NDArray[numpy.float64] | None = None, weights: numpy.typing.NDArray[numpy.float64] | None = None, offset: numpy.typing.NDArray[numpy.float64] | None = None, precision_offset: numpy.typing.NDArray[numpy.float64] | None = None, penalty: numpy.typing.NDArray[numpy.float64] | None = None, precision_penalty: numpy.typing.NDArray[numpy.float64] | None = None) -> None: ...
    def derivatives(self, theta: numpy.typing.NDArray[numpy.float64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> tuple[float, numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.float64]]: ...
    def maximize(self, unit: numpy.typing.NDArray[numpy.float64], precision_unit: numpy.typing.NDArray[numpy.float64], max_iterations: typing.SupportsInt | typing.SupportsIndex, n_threads: typing.SupportsInt | typing.SupportsIndex) -> tuple[float, numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.float64], str, int]: ...
def fit_batch(counts: numpy.typing.NDArray[numpy.float64], categories: numpy.typing.NDArray[numpy.int64], design: numpy.typing.NDArray[numpy.float64], unit: numpy.typing.NDArray[numpy.float64], null_design: numpy.typing.NDArray[numpy.float64], null_unit: numpy.typing.NDArray[numpy.float64], precision_design: numpy.typing.NDArray[numpy.float64], precision_unit: numpy.typing.NDArray[numpy.float64], precision_offset: numpy.typing.NDArray[numpy.float64] | None, precision_penalty: numpy.typing.NDArray[numpy.float64] | None, max_iterations: typing.SupportsInt | typing.SupportsIndex, n_threads: typing.SupportsInt | typing.SupportsIndex) -> tuple[numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.int64]]: ...
