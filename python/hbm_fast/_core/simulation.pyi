"""
Datasets from the model, Dirichlet and multinomial variates.
"""
from __future__ import annotations
import hbm_fast._core.priors
import numpy
import numpy.typing
import typing
__all__: list[str] = ['IntegerSource', 'dirichlet', 'log_dirichlet_row_address', 'multinomial', 'multinomial_row_address', 'simulate']
class IntegerSource:
    @typing.overload
    def __init__(self, low: typing.SupportsInt | typing.SupportsIndex, high: typing.SupportsInt | typing.SupportsIndex) -> None:
        """
        Uniform on low..high inclusive.
        """
    @typing.overload
    def __init__(self, values: numpy.typing.NDArray[numpy.int64], dataset_stride: typing.SupportsInt | typing.SupportsIndex, group_stride: typing.SupportsInt | typing.SupportsIndex) -> None:
        """
        Given values, with strides in elements.
        """
def dirichlet(key: numpy.typing.NDArray[numpy.uint64], concentration: numpy.typing.NDArray[numpy.float64], out: numpy.typing.NDArray[numpy.float64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Writes logs of Dirichlet variates.
    """
def log_dirichlet_row_address() -> int:
    ...
def multinomial(key: numpy.typing.NDArray[numpy.uint64], totals: numpy.typing.NDArray[numpy.int64], weights: numpy.typing.NDArray[numpy.float64], out: numpy.typing.NDArray[numpy.int64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    ...
def multinomial_row_address() -> int:
    ...
def simulate(key: numpy.typing.NDArray[numpy.uint64], first: typing.SupportsInt | typing.SupportsIndex, alpha: hbm_fast._core.priors.AlphaPrior, beta: hbm_fast._core.priors.BetaPrior, alpha_given: bool, beta_given: bool, n_groups: IntegerSource, totals: IntegerSource, max_groups: typing.SupportsInt | typing.SupportsIndex, log_alpha: numpy.typing.NDArray[numpy.float64], log_beta: numpy.typing.NDArray[numpy.float64], alpha_out: numpy.typing.NDArray[numpy.float64], beta_out: numpy.typing.NDArray[numpy.float64], n_groups_out: numpy.typing.NDArray[numpy.int64], log_theta: numpy.typing.NDArray[numpy.float64] | None, theta: numpy.typing.NDArray[numpy.float64] | None, counts: numpy.ndarray | None, statistics: numpy.typing.NDArray[numpy.float32] | None, beta_concentration: numpy.typing.NDArray[numpy.float64] | None, n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Writes datasets first, first + 1, ... into the given arrays.
    """
