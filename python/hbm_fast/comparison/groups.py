"""compare_groups(counts, by=labels): whether groups of several conditions have one composition, or one each."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from hbm_fast import _display, priors
from hbm_fast._optional import import_optional
from hbm_fast._random import key as new_key
from hbm_fast._typing import Counts, CountsLike, Floats, RNGLike
from hbm_fast.comparison.conditions import split
from hbm_fast.comparison.naming import named
from hbm_fast.evidence import Evidence, log_evidence
from hbm_fast.fitting import FitResult, fit
from hbm_fast.fitting.chi_squared import chi_squared_tail
from hbm_fast.models import HierarchicalModel
from hbm_fast.posterior import Posterior
from hbm_fast.sampling import sample

_POOLED = "all conditions"  # in warnings
_N_DRAWS = 2000  # of each of four chains
_SHOWN, _MOST_ROWS = 3, 37


class Ratio(NamedTuple):
    """Posterior of a log2 ratio: its median, the ends of its 90 % interval, the probability that it is positive."""

    log2_ratio: float
    lower: float
    upper: float
    p_positive: float


@dataclass(frozen=True, eq=False, repr=False)
class GroupComparison(_display.Displayed):
    """The result of `compare_groups`: tests of equal compositions, and how the conditions differ from the first.

    Attributes
    ----------
    conditions : tuple of str (G,)
    category_names : tuple of str (K,)
        Of the categories with counts; numbers of columns where they have no names.
    log_bayes_factor, log_bayes_factor_error : float
        Log evidence of an (alpha, beta) for each condition less that of one for all, and its standard error.
    likelihood_ratio : float
        Twice the difference of the same two maximal log-likelihoods.
    df : int
        (G - 1) K.
    p_value : float
        Of ``likelihood_ratio`` under a chi-squared distribution.
    posteriors : dict of Posterior
        Of each condition.
    fits : dict of FitResult
        Of each condition by maximum likelihood.
    pooled_fit : FitResult
        Of all groups.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> table = [[9, 1, 0], [8, 2, 0], [7, 3, 0], [2, 8, 0], [1, 9, 0], [3, 7, 0]]
    >>> found = hbm.compare_groups(table, by=["left"] * 3 + ["right"] * 3, rng=0)
    >>> found.conditions, found.category_names, found.df
    (('left', 'right'), ('0', '1'), 2)
    >>> round(found.log_bayes_factor, 3), round(found.likelihood_ratio, 3), round(found.p_value, 3)
    (0.102, 12.091, 0.002)
    """

    conditions: tuple[str, ...]
    category_names: tuple[str, ...]
    log_bayes_factor: float
    log_bayes_factor_error: float
    likelihood_ratio: float
    df: int
    p_value: float
    posteriors: Mapping[str, Posterior]
    fits: Mapping[str, FitResult]
    pooled_fit: FitResult

    @property
    def log2_ratio(self) -> Floats:
        """Draws of log2 of the mean proportions of each further condition over those of the first (G - 1, S, K)."""
        first, *others = (post.log_beta.reshape(-1, post.n_categories) for post in self.posteriors.values())
        return np.stack([(other - first) / math.log(2.0) for other in others])

    @property
    def concentration_ratio(self) -> dict[str, Ratio]:
        """log2 of the concentration alpha of each further condition over that of the first, with 90 % intervals."""
        first, *others = (post.log_alpha.ravel() for post in self.posteriors.values())
        return {
            name: Ratio(*(float(value[0]) for value in _summaries((other - first)[:, np.newaxis] / math.log(2.0), 0.9)))
            for name, other in zip(self.conditions[1:], others, strict=True)
        }

    def to_frame(self, probability: float = 0.9) -> Any:
        """The ratios of mean proportions as a pandas table, one row a further condition and category.

        Parameters
        ----------
        probability : float
            Of the intervals, which leave out the same probability at both ends.

        Returns
        -------
        pandas.DataFrame
            Columns ``category``, ``condition``, ``log2_ratio`` (the posterior median of log2 of the category's mean
            proportion over that of the first condition), ``lower``, ``upper``, and ``p_positive``, the probability
            that it is above 0.

        Raises
        ------
        ValueError
            For a probability outside (0, 1).
        ImportError
            Without pandas (extra ``report``).
        """
        if not 0.0 < probability < 1.0:
            raise ValueError(f"probability must lie between 0 and 1; got {probability}")
        pandas = import_optional("pandas", "report")
        parts = []
        for name, draws in zip(self.conditions[1:], self.log2_ratio, strict=True):
            columns = zip(Ratio._fields, _summaries(draws, probability), strict=True)
            parts.append(pandas.DataFrame({"category": self.category_names, "condition": name, **dict(columns)}))
        return pandas.concat(parts, ignore_index=True)

    def __repr__(self) -> str:
        first = next(iter(self.posteriors.values()))
        lines = [
            f"GroupComparison: {self._heading()}",
            f"  log Bayes factor {self.log_bayes_factor:.3f} +- {self.log_bayes_factor_error:.2g}, separate less "
            f"pooled; likelihood ratio {self.likelihood_ratio:.4f} on {self.df} df, p = {self.p_value:.3g}",
            f"  priors {first.model!r:.150}; alpha of the pooled fit {self.pooled_fit.alpha:.3g}",
        ]
        lines += [f"  {row[0]} in {row[1]}: log2 ratio {row[2]} [{row[3]}, {row[4]}]" for row in self._rows(_SHOWN)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        caption = (
            f"GroupComparison: {self._heading()}; log Bayes factor {self.log_bayes_factor:.3f}, likelihood ratio "
            f"{self.likelihood_ratio:.4f} on {self.df} df, p = {self.p_value:.3g}"
        )
        return _display.table(caption, ("", "condition", "log2 ratio", "5%", "95%", "P(> 0)"), self._rows(_MOST_ROWS))

    def _heading(self) -> str:
        sizes = [len(post.counts) for post in self.posteriors.values() if post.counts is not None]
        shown = [f"{_display.one_line(name)} ({n})" for name, n in zip(self.conditions, sizes, strict=True)][:5]
        more = ", ..." if len(self.conditions) > len(shown) else ""
        return f"groups of {', '.join(shown)}{more}; {len(self.category_names)} categories"

    def _rows(self, most: int) -> list[tuple[str, ...]]:
        """Ratios of the concentration, then so many of the mean proportions, the clearest first."""
        draws = self.log2_ratio
        clear = np.abs(draws.mean(axis=1)) / np.maximum(draws.std(axis=1), np.finfo(np.float64).tiny)
        rows = [("concentration", name, ratio) for name, ratio in self.concentration_ratio.items()][:_SHOWN]
        for index in np.argsort(-clear, axis=None, kind="stable")[:most]:
            g, k = divmod(int(index), len(self.category_names))
            ratio = Ratio(*(float(value[0]) for value in _summaries(draws[g][:, [k]], 0.9)))
            rows.append((_display.one_line(self.category_names[k]), self.conditions[g + 1], ratio))
        return [(what, _display.one_line(name), *(f"{value:.3g}" for value in ratio)) for what, name, ratio in rows]


def compare_groups(
    counts: CountsLike,
    by: Any = None,
    *,
    alpha: priors.AlphaPrior | float | None = None,
    beta: priors.Dirichlet | priors.FixedBeta | ArrayLike | None = None,
    rng: RNGLike = None,
    progress: Callable[[float, dict[str, float]], object] | None = None,
) -> GroupComparison:
    """Compare groups of several conditions: one (alpha, beta) for all of them, or one for each condition.

    It answers whether a treatment changes the composition of samples, and which categories it changes.

    Parameters
    ----------
    counts : integer array (N, K), or any table that `hbm_fast.sample` takes
        Categories without counts and empty groups are left out.
    by : sequence (N,) of labels, or str, optional
        The condition of each group. A pandas Series with the groups' names in its index is aligned by these. A str is a
        column of a data frame of counts, or of the ``obs`` of AnnData. Default the labels of the table. The conditions
        are in the order of the categories of a pandas Categorical, else of their first appearance.
    alpha, beta
        Priors of each (alpha, beta), as of `HierarchicalModel`, for the K categories with counts. Default those of
        ``HierarchicalModel(K)``. The Bayes factor depends on them.
    rng : None, int, SeedSequence, BitGenerator or Generator
        Of the draws.
    progress : callable, optional
        Called as ``progress(share, metrics)`` with the log evidence of all groups, and then of each condition.

    Returns
    -------
    GroupComparison

    Raises
    ------
    TypeError, ValueError
        For groups without a label, fewer than two conditions, conditions with fewer than two groups that have counts,
        or fewer than two categories with counts.

    Warns
    -----
    ConvergenceWarning, PriorWarning
        As of `hbm_fast.sample` and `hbm_fast.fit`, with the name of the condition.

    Notes
    -----
    The chi-squared distribution of the likelihood ratio has (G - 1) K degrees of freedom, and holds where each
    condition has many groups and its maximum is inside: where the groups of a condition vary no more than draws from
    one multinomial, the likelihood is that limit, and the p-value approximate. The ratios are of independent draws of
    the conditions' posteriors, each under its own (alpha, beta).

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> twins = hbm.datasets.load_twins()
    >>> large = (-twins.counts.sum(axis=0)).argsort()[:4]
    >>> found = hbm.compare_groups(twins.counts[:, large], by=twins.labels, rng=0)
    >>> found.conditions, found.df
    (('Lean', 'Obese', 'Overwt'), 8)
    """
    conditions = split(counts, by)
    names, categories = conditions.names, conditions.category_names
    model = HierarchicalModel(len(categories), alpha=alpha, beta=beta)
    # a seed of its own for each condition: the draws of the conditions are independent
    *seeds, last = np.random.SeedSequence(new_key(rng).tolist()).spawn(len(names) + 1)
    pooled = np.concatenate(conditions.tables)
    pooled_fit, pooled_evidence = named(_POOLED, _totals, pooled, model, categories, last)
    fits, posteriors, evidences = {}, {}, []
    report = progress or (lambda share, metrics: None)
    report(1 / (len(names) + 1), {"log_evidence": pooled_evidence.value})
    for name, table, seed in zip(names, conditions.tables, seeds, strict=True):
        (fits[name], evidence), posteriors[name] = named(name, _of_condition, table, model, categories, seed)
        evidences.append(evidence)
        report((len(evidences) + 1) / (len(names) + 1), {"log_evidence": evidence.value})
    df = (len(names) - 1) * len(categories)
    separate = sum(one.log_likelihood for one in fits.values())
    ratio = max(2.0 * (separate - pooled_fit.log_likelihood), 0.0)
    return GroupComparison(
        conditions=names,
        category_names=categories,
        log_bayes_factor=sum(one.value for one in evidences) - pooled_evidence.value,
        log_bayes_factor_error=math.hypot(*(one.error for one in evidences), pooled_evidence.error),
        likelihood_ratio=ratio,
        df=df,
        p_value=chi_squared_tail(ratio, df),
        posteriors=posteriors,
        fits=fits,
        pooled_fit=pooled_fit,
    )


def _totals(
    table: Counts, model: HierarchicalModel, categories: tuple[str, ...], seed: np.random.SeedSequence
) -> tuple[FitResult, Evidence]:
    return fit(table, category_names=categories), log_evidence(table, model, rng=seed)


def _of_condition(
    table: Counts, model: HierarchicalModel, categories: tuple[str, ...], seed: np.random.SeedSequence
) -> tuple[tuple[FitResult, Evidence], Posterior]:
    post = sample(table, model, n_draws=_N_DRAWS, rng=seed, category_names=categories)
    return _totals(table, model, categories, seed), post


def _summaries(draws: Floats, probability: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Median, both ends of the interval, and the share above 0, of draws (S, K)."""
    tail = 0.5 * (1.0 - probability)
    lower, middle, upper = np.quantile(draws, [tail, 0.5, 1.0 - tail], axis=0)
    return middle, lower, upper, (draws > 0.0).mean(axis=0)
