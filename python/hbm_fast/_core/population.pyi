"""
Markov chains of a population of datasets.
"""
from __future__ import annotations
import hbm_fast._core.priors
import numpy
import numpy.typing
import typing
__all__: list[str] = ['sample']
def sample(datasets: list, mean: typing.SupportsFloat | typing.SupportsIndex, sd: typing.SupportsFloat | typing.SupportsIndex, tau: hbm_fast._core.priors.AlphaPrior, kappa: hbm_fast._core.priors.AlphaPrior, m: hbm_fast._core.priors.BetaPrior, n_draws: typing.SupportsInt | typing.SupportsIndex, n_chains: typing.SupportsInt | typing.SupportsIndex, n_warmup: typing.SupportsInt | typing.SupportsIndex, key: numpy.typing.NDArray[numpy.uint64], n_threads: typing.SupportsInt | typing.SupportsIndex, progress: typing.Any) -> dict: ...
