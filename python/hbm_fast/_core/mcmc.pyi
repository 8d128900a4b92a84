"""
Markov chains of the posterior.
"""
from __future__ import annotations
import collections.abc
import hbm_fast._core.priors
import hbm_fast._core.statistics
import numpy
import numpy.typing
import typing
__all__: list[str] = ['expected_tables', 'modes', 'sample', 'whole_weights']
def expected_tables(statistics: hbm_fast._core.statistics.SufficientStatistics, log_alpha: numpy.typing.NDArray[numpy.float64], log_beta: numpy.typing.NDArray[numpy.float64]) -> float: ...
def modes(datasets: list, alpha: hbm_fast._core.priors.AlphaPrior, beta: hbm_fast._core.priors.BetaPrior, n_threads: typing.SupportsInt | typing.SupportsIndex) -> tuple: ...
def sample(datasets: list, alpha: hbm_fast._core.priors.AlphaPrior, beta: hbm_fast._core.priors.BetaPrior, methods: collections.abc.Sequence[str], n_draws: typing.SupportsInt | typing.SupportsIndex, n_chains: typing.SupportsInt | typing.SupportsIndex, n_warmup: typing.SupportsInt | typing.SupportsIndex, key: numpy.typing.NDArray[numpy.uint64], n_threads: typing.SupportsInt | typing.SupportsIndex, progress: typing.Any, start: tuple[numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.float64]] | None = None) -> dict: ...
def whole_weights(statistics: hbm_fast._core.statistics.SufficientStatistics) -> bool: ...
