"""
Priors of alpha and beta.
"""
from __future__ import annotations
import numpy
import numpy.typing
import typing
__all__: list[str] = ['AlphaPrior', 'BetaPrior']
class AlphaPrior:
    def __init__(self, kind: str, a: typing.SupportsFloat | typing.SupportsIndex, b: typing.SupportsFloat | typing.SupportsIndex, lower: typing.SupportsFloat | typing.SupportsIndex, upper: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    def log_density(self, log_alpha: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]) -> typing.Any: ...
    def log_density_slope(self, log_alpha: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]) -> typing.Any: ...
class BetaPrior:
    def __init__(self, fixed: bool, values: numpy.typing.NDArray[numpy.float64], concentration: AlphaPrior | None = None) -> None: ...
