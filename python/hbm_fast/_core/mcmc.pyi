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
__all__: list[str] = ['modes', 'sample', 'whole_weights']
def modes(datasets: list, alpha: hbm_fast._core.priors.AlphaPrior, beta: hbm_fast._core.priors.BetaPrior, n_threads: typing.SupportsInt | typing.SupportsIndex) -> tuple:
    """
    The mode of each posterior, log alpha (B,) and log beta (B, K), and the spread of log alpha by the curvature (B,).
    """
def sample(datasets: list, alpha: hbm_fast._core.priors.AlphaPrior, beta: hbm_fast._core.priors.BetaPrior, methods: collections.abc.Sequence[str], n_draws: typing.SupportsInt | typing.SupportsIndex, n_chains: typing.SupportsInt | typing.SupportsIndex, n_warmup: typing.SupportsInt | typing.SupportsIndex, key: numpy.typing.NDArray[numpy.uint64], n_threads: typing.SupportsInt | typing.SupportsIndex, progress: typing.Any, start: tuple[numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.float64]] | None = None) -> dict:
    """
    Draws (B, C, D) of every dataset by its method, with what each step reports, and the modes of log alpha (B,); start is log alpha (B, C), log beta (B, C, K).
    """
def whole_weights(statistics: hbm_fast._core.statistics.SufficientStatistics) -> bool:
    """
    Whether every group counts a whole number of times.
    """
