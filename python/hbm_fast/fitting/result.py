"""The result of `fit`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from hbm_fast import _display, _validate, priors
from hbm_fast._typing import Floats
from hbm_fast.fitting.criteria import ConcentrationIntervals
from hbm_fast.fitting.objective import Curvature

Outcome = Literal["maximum", "infinity", "zero", "undetermined", "unfinished"]

_MESSAGES: dict[str, str] = {
    "maximum": "a maximum was found",
    "infinity": "no finite maximum: the likelihood grows with alpha towards that of a multinomial, "
    "the groups being no more unlike than draws from the same proportions",
    "zero": "no positive maximum: every group is of one category, and the likelihood grows as alpha falls to 0",
    "undetermined": "the likelihood does not depend on alpha: no group has two counts, or there is one category only",
    "unfinished": "Newton's method stopped short of a maximum; pass a larger max_iterations, and where that changes "
    "nothing, the totals are so large that rounding hides the slope",
}


_MOST_LINES, _MOST_ROWS = 5, 40


@dataclass(frozen=True, eq=False, repr=False)
class FitResult(ConcentrationIntervals):
    """The result of `fit`: concentrations, their standard errors, and the likelihood they reach.

    Parameters
    ----------
    concentration : float64 array (K,)
        ``alpha * beta``. Exactly 0 for a category that never occurs (maximum likelihood only), infinite where
        ``at_infinity``, 0 where ``at_zero``, NaN where the likelihood does not depend on alpha.
    log_likelihood : float
        Log-likelihood of the counts, with the multinomial coefficient; its limit where there is no maximum.
    standard_error : float64 array (K,)
        Standard error of each concentration, from the observed information; for a mode under a prior, that of log
        concentration times the concentration. NaN where there is no maximum and for categories that never occur.
    alpha : float
        Sum of the concentrations.
    beta : float64 array (K,)
        Proportions.
    outcome : str
        ``"maximum"``, ``"infinity"``, ``"zero"``, ``"undetermined"`` or ``"unfinished"``; ``message`` explains it.
    n_groups : int or float
        Number of groups with at least one count, or the sum of their weights.
    n_parameters : int
        Free parameters: categories that occur (all K under a prior), one less where alpha went to its limit.
    multinomial_log_likelihood : float
        The largest log-likelihood of a multinomial for the same counts.
    prior : Gamma or None
    log_posterior : float or None
        ``log_likelihood`` plus the log density of the prior on log concentration.
    log_evidence : float or None
        Laplace's approximation in log concentration; None without a prior, NaN where rounding hides the curvature.
    n_iterations : int
    category_names : tuple of str (K,) or None

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> fit = hbm.fit(hbm.datasets.load_rat_tumors().counts[:70])
    >>> fit.concentration.round(4).tolist()
    [2.3048, 14.0798]
    """

    concentration: Floats
    log_likelihood: float
    standard_error: Floats
    alpha: float
    beta: Floats
    outcome: Outcome
    n_groups: float
    n_parameters: int
    multinomial_log_likelihood: float
    prior: priors.Gamma | None = None
    log_posterior: float | None = None
    log_evidence: float | None = None
    n_iterations: int = 0
    category_names: tuple[str, ...] | None = None
    _curvature: Curvature | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        lines = [f"FitResult: {self._heading}", f"  alpha {self.alpha:.4g}; {self.message}"]
        lines += [f"  {name} {value} (standard error {error})" for name, value, error in self._rows(_MOST_LINES)]
        if len(self.beta) > _MOST_LINES:
            lines.append(f"  and {len(self.beta) - _MOST_LINES} further categories")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        caption = f"FitResult: {self._heading}; alpha {self.alpha:.4g}; {self.message}"
        return _display.table(caption, ("", "concentration", "standard error"), self._rows(_MOST_ROWS))

    @property
    def _heading(self) -> str:
        names = _display.names(self.category_names)
        evidence = "" if self.log_evidence is None else f", log evidence {self.log_evidence:.4f}"
        shown = f"{self.n_groups:g} groups, {len(self.beta)} categories{names}"
        return f"{shown}; log-likelihood {self.log_likelihood:.4f}{evidence}"

    def _rows(self, most: int) -> list[tuple[str, str, str]]:
        """The largest concentrations."""
        labels = self.category_names or range(len(self.beta))
        largest = np.argsort(-np.nan_to_num(self.concentration), kind="stable")[:most]
        return [
            (_display.one_line(str(labels[k])), f"{self.concentration[k]:.4g}", f"{self.standard_error[k]:.2g}")
            for k in largest
        ]

    def rename(self, *, category_names: Sequence[str]) -> "FitResult":
        """The same result with other names of its categories.

        Parameters
        ----------
        category_names : sequence of K str

        Raises
        ------
        TypeError, ValueError
            For names that are too few, too many, repeated or of another type.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> hbm.fit([[3, 1], [0, 4], [2, 2]]).rename(category_names=["white", "black"]).category_names
        ('white', 'black')
        """
        return replace(self, category_names=_validate.names(category_names, "category_names", len(self.beta)))

    @property
    def converged(self) -> bool:
        """Whether the concentration is a maximum. False at infinity or zero, where none exists: see ``outcome``."""
        return self.outcome == "maximum"

    @property
    def at_infinity(self) -> bool:
        """Whether the likelihood increases monotonically in alpha; its supremum is the multinomial limit."""
        return self.outcome == "infinity"

    @property
    def at_zero(self) -> bool:
        """Whether the likelihood increases as alpha falls to 0: every group is of one category."""
        return self.outcome == "zero"

    @property
    def message(self) -> str:
        """The outcome in words."""
        return _MESSAGES[self.outcome]

    @property
    def multinomial_p_value(self) -> float:
        """p-value of the likelihood-ratio test of the multinomial against overdispersion.

        The multinomial is the limit alpha = infinity of the family, so that the statistic is 0 half of the time and
        chi-squared with one degree of freedom otherwise (Self & Liang 1987, doi:10.1080/01621459.1987.10478472).
        """
        statistic = 2.0 * (self.log_likelihood - self.multinomial_log_likelihood)
        return 0.5 * math.erfc(math.sqrt(statistic / 2.0)) if statistic > 0.0 else 1.0

    @property
    def multinomial(self) -> bool:
        """Whether a multinomial fits as well: the maximum lies at infinity, or ``multinomial_p_value`` is above 1e-4.

        The false-positive rate under the multinomial is 1e-4.
        """
        return self.outcome in ("infinity", "undetermined") or self.multinomial_p_value > 1e-4

    def covariance(self) -> Floats:
        """Covariance of the log concentrations (K, K), the inverse of minus the Hessian; NaN where there is no maximum.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> hbm.fit(hbm.datasets.load_pollen().counts).covariance().shape
        (4, 4)
        """
        result = np.full((len(self.beta), len(self.beta)), np.nan)
        if self._curvature is not None and self._curvature.definiteness > 0:
            result[np.ix_(self.beta > 0, self.beta > 0)] = self._curvature.covariance()
        return result
