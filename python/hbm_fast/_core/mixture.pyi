"""
Modes of mixtures of Dirichlet-multinomials.
"""
from __future__ import annotations
import hbm_fast._core.priors
import numpy
import numpy.typing
import typing
__all__: list[str] = ['CountSlots']
class CountSlots:
    def __init__(self, values: numpy.typing.NDArray[numpy.int64], columns: numpy.typing.NDArray[numpy.int64], offsets: numpy.typing.NDArray[numpy.int64], n_categories: typing.SupportsInt | typing.SupportsIndex, weights: numpy.typing.NDArray[numpy.float64] | None) -> None:
        ...
    def information(self, log_concentration: numpy.typing.NDArray[numpy.float64], log_weights: numpy.typing.NDArray[numpy.float64], alpha: hbm_fast._core.priors.AlphaPrior, beta: hbm_fast._core.priors.BetaPrior, weights: typing.SupportsFloat | typing.SupportsIndex) -> tuple:
        """
        Responsibilities (N, C), diagonal (K, C) and rank-one factor (1, C) of the complete data's information, and the value.
        """
    def log_joint(self, log_concentration: numpy.typing.NDArray[numpy.float64], log_weights: numpy.typing.NDArray[numpy.float64]) -> numpy.typing.NDArray[numpy.float64]:
        """
        Log weight plus log likelihood, without the coefficients, (N, C) of one solution (1, C, K).
        """
    def maximize(self, log_concentration: numpy.typing.NDArray[numpy.float64], log_weights: numpy.typing.NDArray[numpy.float64], alpha: hbm_fast._core.priors.AlphaPrior, beta: hbm_fast._core.priors.BetaPrior, weights: typing.SupportsFloat | typing.SupportsIndex, tolerance: typing.SupportsFloat | typing.SupportsIndex, max_iterations: typing.SupportsInt | typing.SupportsIndex, n_threads: typing.SupportsInt | typing.SupportsIndex) -> tuple:
        """
        Moves S solutions to modes in place; returns the values, without the coefficients, the iterations, whether each converged, and whether Ctrl-C stopped the call.
        """
    def scores(self, log_concentration: numpy.typing.NDArray[numpy.float64], rows: numpy.typing.NDArray[numpy.int64]) -> numpy.typing.NDArray[numpy.float64]:
        """
        Slopes (R, C, K) of the log likelihood of groups in the log concentrations.
        """
    def seeds(self, uniforms: numpy.typing.NDArray[numpy.float64], n_iterations: typing.SupportsInt | typing.SupportsIndex, n_threads: typing.SupportsInt | typing.SupportsIndex) -> numpy.typing.NDArray[numpy.int32]:
        """
        Labels (S, N) by k-means++ on the square roots of the proportions; uniforms (S, C).
        """
    def starts(self, labels: numpy.typing.NDArray[numpy.int32], n_components: typing.SupportsInt | typing.SupportsIndex, totals: numpy.typing.NDArray[numpy.float64], alpha: hbm_fast._core.priors.AlphaPrior, beta: hbm_fast._core.priors.BetaPrior, weights: typing.SupportsFloat | typing.SupportsIndex, n_threads: typing.SupportsInt | typing.SupportsIndex) -> tuple:
        """
        Log concentrations (S, C, K) and log weights (S, C) of given labels (S, N).
        """
    @property
    def hash(self) -> tuple[int, int]:
        """
        Of the groups, whatever the order of the rows.
        """
    @property
    def log_coefficient(self) -> float:
        ...
    @property
    def n_groups(self) -> int:
        ...
    @property
    def n_slots(self) -> int:
        ...
    @property
    def order(self) -> numpy.typing.NDArray[numpy.int64]:
        """
        The row of each group.
        """
    @property
    def sum_of_weights(self) -> float:
        ...
    @property
    def weights(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        Multiplicity (N,) of each group.
        """
