"""fit with a HierarchicalModel: the mode of log concentration under the priors of the model."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hbm_fast import _validate
from hbm_fast.fitting import mixture_information
from hbm_fast.fitting.mixture import fit_mixture
from hbm_fast.fitting.objective import Curvature, MomentSums
from hbm_fast.fitting.result import FitResult
from hbm_fast.models import HierarchicalModel, MixtureModel
from hbm_fast.sufficient_statistics import SufficientStatistics
from hbm_fast.tables.inputs import as_counts


def fit_hierarchical(
    counts: Any,
    model: HierarchicalModel,
    *,
    weights: ArrayLike | None = None,
    category_names: Sequence[str] | None = None,
    max_iterations: int = 200,
    layer: str | None = None,
) -> FitResult:
    """The mode of a mixture of one component, as a result for all groups; arguments as of `fit`."""
    if isinstance(counts, SufficientStatistics):
        raise TypeError(
            "counts must be a table of groups for the priors of a HierarchicalModel; got SufficientStatistics, which "
            "prior=priors.Gamma(...) takes"
        )
    given = as_counts(counts, layer=layer, category_names=category_names)
    _validate.same_categories(given.counts.shape[-1], model)
    one = MixtureModel(model.n_categories, n_components=1, alpha=model.alpha, beta=model.beta)
    found = fit_mixture(given, one, weights=weights, max_iterations=max_iterations)
    a = found.concentration[0]
    whole = mixture_information.complete(found._problem(), np.log(found.concentration), np.zeros(1))
    moments = MomentSums(SufficientStatistics(given, weights=weights))
    return FitResult(
        concentration=a,
        log_likelihood=min(found.log_likelihood, 0.0),
        standard_error=found.standard_error[0],
        alpha=float(a.sum()),
        beta=a / a.sum(),
        outcome="maximum" if found.converged else "unfinished",
        n_groups=moments.n_filled,
        n_parameters=model.n_categories,
        multinomial_log_likelihood=moments.log_multinomial(),
        log_posterior=found.log_posterior,
        log_evidence=found.log_evidence,
        n_iterations=found.n_iterations,
        category_names=given.category_names,
        _curvature=Curvature(found.log_posterior, np.zeros_like(a), whole.diagonal[0], float(whole.factor[0]), a),
    )
