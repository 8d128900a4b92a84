"""compare_models({name: model}, counts): evidence, posterior probability and leave-one-out of several models."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from hbm_fast import _display, _validate, errors
from hbm_fast._optional import import_optional
from hbm_fast._random import key as new_key
from hbm_fast._typing import CountsLike, Floats, Key, RNGLike
from hbm_fast.comparison.naming import named
from hbm_fast.evidence import log_evidence
from hbm_fast.models import HierarchicalModel, MixtureModel, RegressionModel
from hbm_fast.posterior.loo import LARGEST_K, LeaveOneOut
from hbm_fast.sampling import sample
from hbm_fast.sufficient_statistics import SufficientStatistics
from hbm_fast.tables.inputs import as_counts
from hbm_fast.tables.named_counts import NamedCounts

Model = HierarchicalModel | MixtureModel | RegressionModel

_MOST_LINES, _MOST_ROWS = 8, 40
_HEADER = ("log evidence", "error", "probability", "elpd", "its error", "note")


@dataclass(frozen=True, eq=False, repr=False)
class ModelRanking(_display.Displayed):
    """The result of `compare_models`, one entry a model, the most probable first.

    Attributes
    ----------
    names : tuple of str (R,)
    log_evidence, error : float64 arrays (R,)
        Log probability of the counts under the model, as of `hbm_fast.log_evidence`, and its standard error. NaN where
        there is none.
    prior, probability : float64 arrays (R,)
        Prior and posterior probabilities of the models. The posterior ones are of the models with an evidence.
    loo : tuple of LeaveOneOut (R,)
        Leave-one-out cross-validation.
    notes : tuple of str (R,)
        Why an evidence is missing, and what is not reliable; empty where all is well.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> bags = [[9, 0], [8, 1], [0, 9], [1, 8]]
    >>> equal = hbm.HierarchicalModel(2, alpha=100.0)
    >>> ranking = hbm.compare_models({"equal bags": equal, "any": hbm.HierarchicalModel(2)}, bags, rng=0)
    >>> ranking.names, ranking.probability.round(3).tolist()
    (('any', 'equal bags'), [1.0, 0.0])
    """

    names: tuple[str, ...]
    log_evidence: Floats
    error: Floats
    prior: Floats
    probability: Floats
    loo: tuple[LeaveOneOut, ...]
    notes: tuple[str, ...]

    def to_frame(self) -> Any:
        """A pandas DataFrame, one row a model, the most probable first.

        Returns
        -------
        pandas.DataFrame
            Its index is the names of the models. Columns ``log_evidence``, ``error``, ``prior``, ``probability``;
            ``elpd_loo`` and ``elpd_loo_error``, the expected log predictive density of groups left out one at a time
            and its standard error; ``elpd_difference`` and ``elpd_difference_error``, to the model with the largest,
            from the differences of the single groups (Vehtari, Gelman & Gabry 2017); ``n_effective``, the effective
            number of parameters; ``n_unreliable``, groups with a Pareto k above 0.7; and ``note``.

        Raises
        ------
        ImportError
            Without pandas (extra ``report``).
        """
        pandas = import_optional("pandas", "report")
        difference, difference_error = self._differences()
        columns: dict[str, Any] = {
            "log_evidence": self.log_evidence,
            "error": self.error,
            "prior": self.prior,
            "probability": self.probability,
            "elpd_loo": [loo.elpd for loo in self.loo],
            "elpd_loo_error": [loo.standard_error for loo in self.loo],
            "elpd_difference": difference,
            "elpd_difference_error": difference_error,
            "n_effective": [loo.n_effective for loo in self.loo],
            "n_unreliable": [loo.n_unreliable for loo in self.loo],
            "note": self.notes,
        }
        return pandas.DataFrame(columns, index=pandas.Index(self.names, name="model"))

    def _differences(self) -> Floats:
        """elpd less the largest, and its standard error (2, R); NaN where other units are left out."""
        result = np.full((2, len(self.names)), np.nan)
        of_groups = [i for i, loo in enumerate(self.loo) if loo.unit == "group"]
        if of_groups:
            best = self.loo[max(of_groups, key=lambda i: self.loo[i].elpd)]
            for i in of_groups:
                each = self.loo[i].pointwise - best.pointwise
                filled = each[best.pointwise != 0.0]
                error = math.sqrt(filled.size * filled.var(ddof=1)) if filled.size > 1 else math.nan
                result[:, i] = each.sum(), error
        return result

    def __repr__(self) -> str:
        width = max(len(name) for name in self._shown())
        lines = [f"ModelRanking: {len(self.names)} models, the most probable first"]
        for name, row in list(zip(self._shown(), self._rows(), strict=True))[:_MOST_LINES]:
            value, error, probability, elpd, elpd_error, note = row
            line = f"  {name:<{width}}  log evidence {value} +- {error}, probability {probability}, elpd {elpd}"
            lines.append(f"{line} +- {elpd_error}{'; ' + note if note else ''}"[:240])
        if len(self.names) > _MOST_LINES:
            lines.append(f"  and {len(self.names) - _MOST_LINES} further models")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = [(name, *row) for name, row in zip(self._shown(), self._rows(), strict=True)]
        caption = f"ModelRanking: {len(self.names)} models, the most probable first"
        return _display.table(caption, ("model", *_HEADER), rows[:_MOST_ROWS])

    def _shown(self) -> list[str]:
        return [_display.one_line(name) for name in self.names]

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                f"{self.log_evidence[i]:.3f}",
                f"{self.error[i]:.2g}",
                f"{self.probability[i]:.4g}",
                f"{loo.elpd:.2f}",
                f"{loo.standard_error:.2f}",
                self.notes[i],
            )
            for i, loo in enumerate(self.loo)
        ]


class _Found(NamedTuple):
    """What is computed for one model."""

    log_evidence: float
    error: float
    loo: LeaveOneOut
    note: str


def compare_models(
    models: Mapping[str, Model],
    counts: CountsLike,
    *,
    data: Any = None,
    design: ArrayLike | Mapping[str, ArrayLike] | None = None,
    precision_design: ArrayLike | Mapping[str, ArrayLike] | None = None,
    prior: Mapping[str, float] | Sequence[float] | None = None,
    rng: RNGLike = None,
) -> ModelRanking:
    """Compare models of the same counts by their evidence and by leave-one-out cross-validation.

    The evidence, all parameters integrated out, gives the posterior probability of each hypothesis; it depends on the
    priors of the parameters. Cross-validation gives the model that predicts a further group best.

    Parameters
    ----------
    models : mapping from names to HierarchicalModel, MixtureModel or RegressionModel
    counts : integer array (N, K), or any table that `hbm_fast.sample` takes
    data : data frame, optional
        The covariates of the RegressionModels, one row a group.
    design, precision_design : array_like (N, P), (N, Q), or mapping from names to them, optional
        Of the RegressionModels, in place of their formulas: one for all, or by the names of the models.
    prior : mapping from names, or sequence in the order of ``models``, of non-negative float, optional
        Prior probabilities of the models, up to a common factor; default all equal.
    rng : None, int, SeedSequence, BitGenerator or Generator
        Of the draws. The result of a model does not depend on the other models.

    Returns
    -------
    ModelRanking

    Raises
    ------
    TypeError, ValueError
        For something else than these models (a PopulationModel has no evidence), another K, covariates without a
        RegressionModel, or prior probabilities that are negative or of other models.

    Warns
    -----
    ConvergenceWarning, PriorWarning
        As of `hbm_fast.sample`, with the name of the model. Groups with a Pareto k above 0.7 are in the notes.

    Notes
    -----
    The posterior probability is p(counts | model) p(model), normalised. Leave-one-out is by Pareto-smoothed importance
    sampling (Vehtari, Gelman & Gabry 2017, doi:10.1007/s11222-016-9696-4) from the likelihood of a whole group, theta
    and the label integrated out, one group at a time; with random intercepts one subject at a time. A mixture whose
    evidence is not to be had (a Dirichlet process on more than ten groups) has NaN there and the reason as a note; the
    probabilities are then those of the other models.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> bags = [[20, 0]] * 3 + [[0, 20]] * 3 + [[10, 10]] * 6  # pure bags and mixed ones
    >>> alpha = hbm.priors.HalfCauchy(10)
    >>> one = hbm.HierarchicalModel(2, alpha=alpha)
    >>> two = hbm.MixtureModel(2, n_components=2, alpha=alpha)
    >>> frame = hbm.compare_models({"one kind": one, "two kinds": two}, bags, rng=0).to_frame()
    >>> frame.index.tolist(), bool(frame.probability.iloc[0] > 0.9)
    (['two kinds', 'one kind'], True)
    """
    _check_models(models)
    regressions = [name for name, model in models.items() if isinstance(model, RegressionModel)]
    covariates = {"data": data, "design": design, "precision_design": precision_design}
    for argument, value in covariates.items():
        if value is not None and not regressions:
            raise TypeError(f"{argument} holds covariates, and no model is a RegressionModel: leave {argument} out")
        if argument != "data" and isinstance(value, Mapping):
            _check_names(value, regressions, argument)
    if isinstance(counts, SufficientStatistics):
        raise TypeError("counts must be a table of groups: SufficientStatistics have no groups")
    given = as_counts(counts).unweighted()
    n_categories = _validate.counts(given.dense()).shape[1]
    for name, model in models.items():
        if model.n_categories != n_categories:
            raise ValueError(f"models[{name!r}] has K = {model.n_categories} and counts K = {n_categories} categories")
    prior_probability = _prior(prior, models)
    key = new_key(rng)
    found = []
    for name, model in models.items():
        own = {}
        if isinstance(model, RegressionModel):
            own = {
                argument: value.get(name) if isinstance(value, Mapping) and argument != "data" else value
                for argument, value in covariates.items()
            }
        found.append(named(name, _found, model, given, own, key))
    value = np.array([one.log_evidence for one in found])
    with np.errstate(divide="ignore"):
        log_posterior = np.log(prior_probability) + value
    probability = _normalised(log_posterior)
    # the most probable first; those without an evidence last, by leave-one-out
    score = [(math.isfinite(one.log_evidence), log_posterior[i], one.loo.elpd) for i, one in enumerate(found)]
    order = sorted(range(len(found)), key=score.__getitem__, reverse=True)
    names = list(models)
    return ModelRanking(
        names=tuple(names[i] for i in order),
        log_evidence=value[order],
        error=np.array([found[i].error for i in order]),
        prior=prior_probability[order],
        probability=probability[order],
        loo=tuple(found[i].loo for i in order),
        notes=tuple(found[i].note for i in order),
    )


def _normalised(log_posterior: Floats) -> Floats:
    """Posterior probabilities of those that have an evidence; NaN where it is NaN."""
    known = ~np.isnan(log_posterior)
    result = np.full(log_posterior.shape, np.nan)
    if known.any() and log_posterior[known].max() > -np.inf:
        weight = np.exp(log_posterior[known] - log_posterior[known].max())
        result[known] = weight / weight.sum()
    return result


def _found(model: Model, counts: NamedCounts, covariates: dict[str, Any], key: Key) -> _Found:
    """Evidence, leave-one-out and the note of one model."""
    notes = []
    rng: Any = key
    value = error = math.nan
    try:
        evidence = log_evidence(counts, model, rng=rng, **covariates)
        value, error = evidence.value, evidence.error
    except ValueError as problem:
        if not isinstance(model, MixtureModel):
            raise
        notes.append(f"no log evidence: {problem}")
    draw: Any = sample  # its overloads are by the class of the model
    post = draw(counts, model, rng=rng, **covariates)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.ConvergenceWarning)  # of unreliable groups, which the note has
        loo: LeaveOneOut = post.loo()
    if loo.n_unreliable:
        notes.append(f"Pareto k of {loo.n_unreliable} of {loo.pointwise.size} {loo.unit}s above {LARGEST_K}")
    if loo.unit != "group":
        notes.append(f"elpd of {loo.unit}s, not of groups")
    return _Found(value, error, loo, "; ".join(notes))


def _check_models(models: Any) -> None:
    if not isinstance(models, Mapping):
        raise TypeError(f"models must be a mapping from names to models; got {type(models).__name__}")
    if not models:
        raise ValueError("models must hold at least one model; got an empty mapping")
    for name, model in models.items():
        if not isinstance(name, str):
            raise TypeError(f"models must have names that are str; got {name!r}")
        if type(model).__name__ == "PopulationModel":
            raise TypeError(
                f"models[{name!r}] is a PopulationModel, whose evidence is not offered: it is of many tables. Compare "
                "HierarchicalModels of one table"
            )
        if not isinstance(model, HierarchicalModel | MixtureModel | RegressionModel):
            raise TypeError(
                f"models[{name!r}] must be a HierarchicalModel, a MixtureModel or a RegressionModel; got {model!r:.100}"
            )


def _check_names(given: Mapping[str, Any], expected: Sequence[str], argument: str) -> None:
    unknown = [name for name in given if name not in expected]
    if unknown:
        raise ValueError(f"{argument} has the name {unknown[0]!r}; the names are {', '.join(map(repr, expected))}")


def _prior(prior: Any, models: Mapping[str, Model]) -> Floats:
    """Normalised prior probabilities."""
    if prior is None:
        return np.full(len(models), 1.0 / len(models))
    if isinstance(prior, Mapping):
        _check_names(prior, list(models), "prior")
        missing = [name for name in models if name not in prior]
        if missing:
            raise ValueError(f"prior must have a probability for each model; {missing[0]!r} has none")
        prior = [prior[name] for name in models]
    values = _validate.doubles(prior, "prior")
    if values.shape != (len(models),):
        raise ValueError(f"prior must have one probability a model, {len(models)}; got shape {values.shape}")
    _validate.in_range(values, "prior", zero=True)
    if values.sum() == 0.0:
        raise ValueError("prior must be positive for at least one model; all are 0")
    return np.asarray(values / values.sum())
