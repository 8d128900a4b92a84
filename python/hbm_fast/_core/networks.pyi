"""
Mixtures of Gaussians and tails of the normal distribution.
"""
from __future__ import annotations
import numpy
import numpy.typing
import typing
__all__: list[str] = ['mixture_draws', 'mixture_log_density', 'normal_tails']
def mixture_draws(mean: numpy.typing.NDArray[numpy.float32], lower: numpy.typing.NDArray[numpy.float32], edges: numpy.typing.NDArray[numpy.float32], spread: numpy.typing.NDArray[numpy.float32], uniform: numpy.typing.NDArray[numpy.float32], noise: numpy.typing.NDArray[numpy.float32], z: numpy.typing.NDArray[numpy.float32], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None: ...
def mixture_log_density(mean: numpy.typing.NDArray[numpy.float32], lower: numpy.typing.NDArray[numpy.float32], constant: numpy.typing.NDArray[numpy.float32], scale: numpy.typing.NDArray[numpy.float32], z: numpy.typing.NDArray[numpy.float32], out: numpy.typing.NDArray[numpy.float64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None: ...
@typing.overload
def normal_tails(z: numpy.typing.NDArray[numpy.float32], lower: numpy.typing.NDArray[numpy.float64], upper: numpy.typing.NDArray[numpy.float64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None: ...
@typing.overload
def normal_tails(z: numpy.typing.NDArray[numpy.float64], lower: numpy.typing.NDArray[numpy.float64], upper: numpy.typing.NDArray[numpy.float64], n_threads: typing.SupportsInt | typing.SupportsIndex) -> None: ...
