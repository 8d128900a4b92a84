"""
The compiled kernels of hbm_fast; its public face is the package.
"""

from __future__ import annotations

import typing

import numpy
import numpy.typing

__all__: list[str] = [
    "AlphaPrior",
    "BetaPrior",
    "SufficientStatistics",
    "compiler",
    "isa_level",
    "stream_version",
    "version",
]

class AlphaPrior:
    def __init__(
        self,
        kind: str,
        a: typing.SupportsFloat | typing.SupportsIndex,
        b: typing.SupportsFloat | typing.SupportsIndex,
        lower: typing.SupportsFloat | typing.SupportsIndex,
        upper: typing.SupportsFloat | typing.SupportsIndex,
    ) -> None: ...
    def log_density(self, log_alpha: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]) -> typing.Any:
        """
        log density of log(alpha), elementwise
        """
    def log_density_slope(self, log_alpha: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]) -> typing.Any: ...

class BetaPrior:
    def __init__(self, fixed: bool, values: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]) -> None: ...

class SufficientStatistics:
    def __init__(self, n_categories: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    def add(self, counts: numpy.ndarray) -> None: ...
    def log_likelihood(
        self,
        concentration: numpy.typing.NDArray[numpy.float64],
        value: numpy.typing.NDArray[numpy.float64],
        gradient: typing.Any,
        n_threads: typing.SupportsInt | typing.SupportsIndex,
    ) -> None:
        """
        Writes the log-likelihood without the coefficient, and the gradient unless None.
        """
    def merge(self, other: SufficientStatistics) -> None: ...
    @property
    def log_coefficient(self) -> float: ...
    @property
    def n_categories(self) -> int: ...
    @property
    def n_groups(self) -> float: ...

def isa_level() -> str:
    """
    The instruction-set level the hot loops run at.
    """

compiler: str
stream_version: int = 1
version: str
