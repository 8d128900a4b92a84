"""The curvature of a regression's likelihood at its maximum: covariances, computed when they are asked for."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hbm_fast._typing import Floats


@dataclass(frozen=True, eq=False)
class Curvature:
    """Minus the Hessian in the parameters of the optimiser, and the maps to those of the user.

    The parameters are the coefficients of the orthogonal columns of the mean, one block for each of J free categories,
    those of the precision, and the scales of the random intercepts.

    Attributes
    ----------
    information : (p, p)
    r : (P, P)
        The columns of the user are the orthogonal columns times r.
    precision_r : (Q, Q) or None
        The same of the precision; None where it is not estimated.
    n_precision : int
        Q.
    free : (J,)
        The free categories.
    centred : array of categories or None
        Those whose coefficients sum to zero; None with a reference category.
    n_categories : int
        K.
    """

    information: Floats
    r: Floats
    precision_r: Floats | None
    n_precision: int
    free: NDArray[np.int64]
    centred: NDArray[np.int64] | None
    n_categories: int

    @cached_property
    def spread(self) -> Floats:
        """The coefficients of all categories from the free ones (K, J)."""
        result = np.zeros((self.n_categories, len(self.free)))
        result[self.free, np.arange(len(self.free))] = 1.0
        if self.centred is not None:
            result[self.centred] -= result[self.centred].mean(axis=0)
        return result

    @cached_property
    def variance(self) -> Floats:
        """Covariance of the parameters of the optimiser; NaN where the information is singular."""
        try:
            return np.asarray(np.linalg.inv(self.information))
        except np.linalg.LinAlgError:
            return np.full_like(self.information, np.nan)

    @cached_property
    def covariance(self) -> Floats:
        """Covariance of the coefficients (K P + Q, K P + Q); NaN for a precision that is not estimated."""
        (k, j), n_columns = self.spread.shape, len(self.r)
        inverse = np.linalg.inv(self.r)
        n_mean = k * n_columns
        filled = n_mean + (0 if self.precision_r is None else self.n_precision)
        transform = np.zeros((filled, len(self.information)))
        transform[:n_mean, : j * n_columns] = np.einsum("kj,pq->kpjq", self.spread, inverse).reshape(n_mean, -1)
        if self.precision_r is not None:
            at = j * n_columns
            transform[n_mean:, at : at + self.n_precision] = np.linalg.inv(self.precision_r)
        result = np.full((n_mean + self.n_precision,) * 2, np.nan)
        result[:filled, :filled] = transform @ self.variance @ transform.T
        return result

    def predictor_slopes(self, row: Floats) -> Floats:
        """Derivatives (K, p) of the linear predictors of a row of the user's columns (P,) in the parameters."""
        k, j = self.spread.shape
        result = np.zeros((k, len(self.information)))
        result[:, : j * len(row)] = np.kron(self.spread, np.linalg.solve(self.r.T, row))
        return result
