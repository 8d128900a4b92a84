"""The result of `fit` with a `MixtureModel`."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _display, priors
from hbm_fast._optional import import_optional
from hbm_fast._typing import CountsLike, Floats
from hbm_fast.fitting import mixture_information
from hbm_fast.fitting.criteria import ConcentrationIntervals
from hbm_fast.fitting.mixture_problem import MixtureProblem, Solutions
from hbm_fast.fitting.mixture_search import search
from hbm_fast.likelihood import log_likelihood
from hbm_fast.models import MixtureModel
from hbm_fast.posterior.summary import Summary
from hbm_fast.tables.inputs import align, as_counts
from hbm_fast.tables.rows import Rows

MixtureOutcome = Literal["maximum", "emptied", "single group", "identical", "unfinished", "interrupted"]

_MESSAGES: dict[str, str] = {
    "maximum": "a maximum was found",
    "emptied": "a component has no group: fewer components give the same fit",
    "single group": "a component has one group only: its concentrations are those of the prior and that group's counts",
    "identical": "two components are the same: fewer components give the same fit",
    "unfinished": "the search stopped short of a maximum; pass a larger max_iterations, and where that changes "
    "nothing, the totals are so large that rounding hides the slope",
    "interrupted": "Ctrl-C ended the search; this is the best so far",
}
_FEW = 0.5  # expected groups, below which a component is empty
_ALIKE = 1e-4  # difference of all log concentrations
_STARTS_OF_ONE, _ITERATIONS_OF_ONE = 8, 200  # of the fit with one component
_MOST_LINES, _MOST_ROWS, _MOST_NAMES = 6, 40, 3


def outcome_of(sizes: Floats, log_concentration: Floats, *, converged: bool, interrupted: bool) -> MixtureOutcome:
    """The outcome of a search that ended at components of these sizes (J,) and log concentrations (J, K)."""
    outcome = outcome_of_sizes(sizes, converged=converged, interrupted=interrupted)
    if outcome not in ("maximum", "single group"):
        return outcome
    apart = np.abs(log_concentration[:, np.newaxis] - log_concentration).max(axis=-1)
    if (apart[np.triu_indices(len(sizes), 1)] < _ALIKE).any():
        return "identical"
    return outcome


def outcome_of_sizes(sizes: Floats, *, converged: bool, interrupted: bool) -> MixtureOutcome:
    """The same by the sizes alone."""
    if interrupted:
        return "interrupted"
    if not converged:
        return "unfinished"
    if sizes.min() < _FEW:
        return "emptied"
    return "single group" if len(sizes) > 1 and sizes.min() < 1.0 + _FEW else "maximum"


@dataclass(frozen=True, eq=False, repr=False)
class MixtureFit(_display.Displayed, ConcentrationIntervals):
    """The result of `fit` with a `MixtureModel`: the highest mode of the posterior that the search found.

    Components come by decreasing weight.

    Parameters
    ----------
    model : MixtureModel
    prior : Gamma or None
        Of every concentration, in place of the model's priors.
    weights : float64 array (J,)
    concentration : float64 array (J, K)
        ``alpha_j * beta_j`` of each component.
    responsibilities : float64 array (N, J)
        Probability that a group belongs to a component, at the mode; the weights for a group without counts.
    log_likelihood : float
        With the multinomial coefficients.
    log_posterior : float
        ``log_likelihood`` plus the log density of the priors on log concentration. Weights that are Dirichlet(1) add
        nothing. Its negative is the "NLE" of Holmes et al. It is of use between fits with the same J and prior only.
    laplace : float
        Minus Laplace's approximation of the log evidence as Holmes, Harris & Quince (2012) and the R package
        DirichletMultinomial define it (smaller is better): the complete data's information on the logarithmic scale,
        the largest component's weight left out. It is wrong by 26, 65 and 93 nats for J = 2, 3 and 4 on the twins,
        because categories that a component hardly has are far from normal on that scale. `log_evidence` corrects it.
    outcome : str
        ``"maximum"``; ``"emptied"``, ``"single group"`` or ``"identical"`` where a component is degenerate;
        ``"unfinished"`` or ``"interrupted"``. ``message`` explains it.
    converged : bool
        Whether the parameters are a mode up to rounding.
    n_groups : float
        Number of groups with counts, or the sum of their weights.
    n_iterations : int
        Of the last refinement.
    n_starts, n_reached : int
        Starts of the search, and how many of them led to this mode without crossovers.
    category_names, group_names : tuple of str or None

    References
    ----------
    Holmes, Harris & Quince (2012), PLoS ONE 7:e30126, doi:10.1371/journal.pone.0030126.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> bags = [[20, 0]] * 3 + [[0, 20]] * 3 + [[9, 11], [10, 10], [11, 9], [12, 8]]
    >>> fit = hbm.fit(bags, hbm.MixtureModel(2, n_components=2))
    >>> fit.labels.tolist(), fit.weights.round(2).tolist()
    ([0, 0, 0, 0, 0, 0, 1, 1, 1, 1], [0.68, 0.32])
    """

    model: MixtureModel
    prior: priors.Gamma | None
    weights: Floats
    concentration: Floats
    responsibilities: Floats
    log_likelihood: float
    log_posterior: float
    laplace: float
    outcome: MixtureOutcome
    converged: bool
    n_groups: float
    n_iterations: int
    n_starts: int
    n_reached: int
    category_names: tuple[str, ...] | None = None
    group_names: tuple[str, ...] | None = None
    _rows: Rows = field(kw_only=True)
    _multiplicity: Floats | None = field(kw_only=True)
    _modes: Solutions = field(kw_only=True)

    def __repr__(self) -> str:
        lines = [f"MixtureFit: {self._heading}", f"  {self._search}; {self.message}"]
        lines += [
            f"  component {j}: weight {w}, {n} groups, alpha {alpha}; {main}"
            for j, w, n, alpha, main in self._components(_MOST_LINES)
        ]
        if self.n_components > _MOST_LINES:
            lines.append(f"  and {self.n_components - _MOST_LINES} further components")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        caption = f"MixtureFit: {self._heading}; {self._search}; {self.message}"
        header = ("component", "weight", "groups", "alpha", "largest proportions")
        return _display.table(caption, header, self._components(_MOST_ROWS))

    @property
    def _heading(self) -> str:
        return f"{self._shape}; log posterior {self.log_posterior:.4f}, laplace {self.laplace:.4f}"

    @property
    def _shape(self) -> str:
        names = _display.names(self.category_names)
        return f"{self.n_groups:g} groups, {self.concentration.shape[1]} categories{names}"

    @property
    def _search(self) -> str:
        if self.n_starts == 0:
            return "from a given start"
        return f"{self.n_reached} of {self.n_starts} starts lead to this mode"

    def _components(self, most: int) -> list[tuple[str, str, str, str, str]]:
        """Number, weight, groups, alpha and the largest proportions of the first components."""
        names = _display.labels(self.category_names, self.concentration.shape[1])
        multiplicity = np.diff(self._rows.offsets) > 0 if self._multiplicity is None else self._multiplicity
        groups = np.bincount(self.labels, multiplicity, minlength=self.n_components)
        rows = []
        for j in range(min(most, self.n_components)):
            largest = np.argsort(-self.beta[j], kind="stable")[:_MOST_NAMES]
            main = ", ".join(f"{names[k][:30]} {self.beta[j, k]:.3g}" for k in largest)
            rows.append((str(j), f"{self.weights[j]:.3g}", f"{groups[j]:g}", f"{self.alpha[j]:.4g}", main))
        return rows

    @property
    def n_components(self) -> int:
        """J."""
        return len(self.weights)

    @property
    def alpha(self) -> Floats:
        """Concentration of each component (J,), the sum over its categories."""
        return np.asarray(self.concentration.sum(axis=1))

    @property
    def beta(self) -> Floats:
        """Mean proportions of each component (J, K)."""
        return self.concentration / self.alpha[:, np.newaxis]

    @property
    def labels(self) -> NDArray[np.int64]:
        """The most probable component of each group (N,)."""
        return np.asarray(self.responsibilities.argmax(axis=1), dtype=np.int64)

    @property
    def message(self) -> str:
        """The outcome in words."""
        return _MESSAGES[self.outcome]

    @property
    def n_parameters(self) -> int:
        """``J K + J - 1``."""
        return self.concentration.size + self.n_components - 1

    @cached_property
    def log_evidence(self) -> float:
        """Log evidence by a corrected Laplace approximation; all J! orders of the components are counted.

        Each concentration has the integral of a log-gamma in place of a normal, the weights have their exact integral,
        the information is the observed one, and the integrals around all distinct modes that the search found are
        added. It includes the prior of the weights. For J = 1 it is right to 0.01 nats. Bridge sampling on the twins is
        higher by 2, 7 and 9 nats for J = 2, 3 and 4, and by up to 45 for larger J: the posterior has more modes than a
        search finds. For ten groups of two categories it is 2 to 6 nats too low for J = 2 and 3. NaN where the mode is
        a saddle point.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> counts = hbm.datasets.load_pollen().counts
        >>> round(hbm.fit(counts, hbm.MixtureModel(4, n_components=1)).log_evidence, 2)
        -555.32
        """
        return mixture_information.log_evidence(self._problem(), self._modes)

    @cached_property
    def standard_error(self) -> Floats:
        """Standard error of each concentration (J, K), from the observed information.

        That of log concentration times the concentration; NaN where the mode is a saddle point. The labels are not
        taken as known: R's intervals do so, and are too narrow.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> fit = hbm.fit(hbm.datasets.load_pollen().counts, hbm.MixtureModel(4, n_components=2))
        >>> fit.standard_error.shape
        (2, 4)
        """
        errors = mixture_information.standard_errors(self._problem(), np.log(self.concentration), np.log(self.weights))
        return errors * self.concentration

    def _problem(self) -> MixtureProblem:
        return MixtureProblem(self._rows, self.model, self.prior, self._multiplicity, 1, _ITERATIONS_OF_ONE)

    def predict(self, counts: CountsLike) -> NDArray[np.int64]:
        """The most probable component of new groups.

        Parameters
        ----------
        counts : array_like (N, K) or a table
            Columns with names are matched to the fit's.

        Returns
        -------
        int64 array (N,)

        Raises
        ------
        TypeError, ValueError
            For counts of another K or other categories.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> bags = [[20, 0]] * 3 + [[0, 20]] * 3 + [[9, 11], [10, 10], [11, 9], [12, 8]]
        >>> hbm.fit(bags, hbm.MixtureModel(2, n_components=2)).predict([[20, 0], [8, 12]]).tolist()
        [0, 1]
        """
        return np.asarray(self._log_joint(counts).argmax(axis=1), dtype=np.int64)

    def predict_proba(self, counts: CountsLike) -> Floats:
        """Probability of each component for new groups; arguments and errors as in `predict`.

        Returns
        -------
        float64 array (N, J)

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> bags = [[20, 0]] * 3 + [[0, 20]] * 3 + [[9, 11], [10, 10], [11, 9], [12, 8]]
        >>> hbm.fit(bags, hbm.MixtureModel(2, n_components=2)).predict_proba([[9, 0]]).shape
        (1, 2)
        """
        joint = self._log_joint(counts)
        return np.asarray(np.exp(joint - np.logaddexp.reduce(joint, axis=1)[:, np.newaxis]))

    def score_samples(self, counts: CountsLike) -> Floats:
        """Log likelihood of each new group, with its coefficient; arguments and errors as in `predict`.

        Returns
        -------
        float64 array (N,)

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> fit = hbm.fit([[12, 0], [5, 6], [4, 5]], hbm.MixtureModel(2, n_components=1))
        >>> fit.score_samples([[1, 0], [0, 1]]).shape
        (2,)
        """
        return np.asarray(np.logaddexp.reduce(self._log_joint(counts), axis=1))

    def score(self, counts: CountsLike) -> float:
        """Mean log likelihood of new groups, as scikit-learn's mixtures; arguments and errors as in `predict`.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> fit = hbm.fit([[12, 0], [5, 6], [4, 5]], hbm.MixtureModel(2, n_components=1))
        >>> round(fit.score([[1, 0], [0, 1]]), 1)
        -0.7
        """
        return float(self.score_samples(counts).mean())

    def _log_joint(self, counts: CountsLike) -> Floats:
        """Log weight plus log likelihood (N, J)."""
        new = self._new_counts(counts)
        columns = [log_likelihood(new, a) for a in self.concentration]
        return np.log(self.weights) + np.stack(columns, axis=1)

    def _new_counts(self, counts: CountsLike) -> Any:
        """Counts (N, K), an array or sparse, with the columns of the fit."""
        given = as_counts(counts)
        new = given.counts if given.category_names is None else align(given, self.category_names)
        if len(new.shape) != 2 or new.shape[1] != self.concentration.shape[1] or new.shape[0] < 1:
            raise ValueError(f"counts must have shape (N, {self.concentration.shape[1]}); got {new.shape}")
        return new

    def contributions(self) -> Any:
        """How much each category tells the components from one component for all groups.

        Returns
        -------
        pandas.DataFrame
            One row a category, the largest ``difference`` first: the sum over the components of
            ``|beta_j - beta|``, where beta is that of the fit with one component; its ``cumulative`` share; the beta of
            each component.

        Raises
        ------
        ImportError
            Without pandas (extra ``report``).

        References
        ----------
        Vignette of the R package DirichletMultinomial, doi:10.18129/B9.bioc.DirichletMultinomial.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> fit = hbm.fit(hbm.datasets.load_pollen(), hbm.MixtureModel(4, n_components=2))
        >>> list(fit.contributions().columns)
        ['difference', 'cumulative', 'component 0', 'component 1']
        """
        pandas = import_optional("pandas", "report")
        difference = np.abs(self.beta - self._pooled()).sum(axis=0)
        order = np.argsort(-difference, kind="stable")
        columns = {"difference": difference, "cumulative": np.zeros(len(difference))}
        columns |= {f"component {j}": row for j, row in enumerate(self.beta)}
        index = pandas.Index(self.category_names or range(len(difference)), name="category")
        frame = pandas.DataFrame(columns, index=index).iloc[order]
        frame["cumulative"] = frame["difference"].cumsum() / frame["difference"].sum()
        return frame

    def _pooled(self) -> Floats:
        """beta (K,) of the fit with one component."""
        one = search(self._problem(), 1, np.random.default_rng(0), n_starts=_STARTS_OF_ONE)
        single = np.exp(one.modes.log_concentration[0, 0])
        return np.asarray(single / single.sum())

    def summary(self) -> Summary:
        """Every concentration with its standard error, its 95 % interval and its proportion, as a table.

        Returns
        -------
        Summary
            ``to_frame()`` makes a pandas frame of it.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> fit = hbm.fit([[12, 0], [5, 6], [4, 5]], hbm.MixtureModel(2, n_components=1))
        >>> list(fit.summary())
        ['concentration[0, 0]', 'concentration[0, 1]']
        """
        lower, upper = self.interval()
        names = self.category_names or range(self.concentration.shape[1])
        return Summary(
            tuple(f"concentration[{j}, {name}]" for j in range(self.n_components) for name in names),
            {
                "estimate": self.concentration.ravel(),
                "se": self.standard_error.ravel(),
                "2.5%": lower.ravel(),
                "97.5%": upper.ravel(),
                "proportion": self.beta.ravel(),
            },
            f"{self._heading}; {self._search}; {self.message}",
        )
