"""What the results of `fit` share: information criteria, and intervals of concentrations."""

import math
from statistics import NormalDist
from typing import Protocol

import numpy as np

from hbm_fast._typing import Floats


class _Likelihood(Protocol):
    @property
    def log_likelihood(self) -> float: ...
    @property
    def n_parameters(self) -> int: ...
    @property
    def n_groups(self) -> float: ...


class _Concentrations(Protocol):
    @property
    def concentration(self) -> Floats: ...
    @property
    def standard_error(self) -> Floats: ...


class InformationCriteria:
    """A base class: AIC and BIC of a result."""

    @property
    def aic(self: _Likelihood) -> float:
        """``2 k - 2 log L``, k the number of parameters."""
        return 2.0 * self.n_parameters - 2.0 * self.log_likelihood

    @property
    def bic(self: _Likelihood) -> float:
        """``k log N - 2 log L``, k the number of parameters, N the number of groups."""
        return self.n_parameters * math.log(self.n_groups) - 2.0 * self.log_likelihood


class ConcentrationIntervals(InformationCriteria):
    """A base class: the intervals of a result whose parameters are concentrations."""

    def interval(self: _Concentrations, probability: float = 0.95) -> tuple[Floats, Floats]:
        """Ends of the interval of each concentration, symmetric in its logarithm.

        Parameters
        ----------
        probability : float

        Returns
        -------
        lower, upper : float64 arrays
            Of the shape of ``concentration``.

        Raises
        ------
        ValueError
            For a probability outside (0, 1).

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> lower, upper = hbm.fit(hbm.datasets.load_pollen().counts).interval()
        >>> upper.round(2).tolist()
        [73.79, 1.43, 7.65, 2.83]
        """
        if not 0.0 < probability < 1.0:
            raise ValueError(f"probability must lie between 0 and 1; got {probability}")
        with np.errstate(invalid="ignore", divide="ignore"):
            width = NormalDist().inv_cdf(0.5 + probability / 2.0) * self.standard_error / self.concentration
            return self.concentration * np.exp(-width), self.concentration * np.exp(width)
