"""Bayesian inference for tables of counts, by hierarchical Dirichlet-multinomial models.

alpha ~ Exponential(1), beta ~ Dirichlet(1, ..., 1), theta_n ~ Dirichlet(alpha * beta), x_n ~ Multinomial(M_n, theta_n).

Symbols, the same everywhere: B datasets, N groups (bags), K categories (colours), M totals, C chains, D draws.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hbm_fast._config import STREAM_VERSION, __version__, show_config
from hbm_fast.errors import ConvergenceWarning, PerformanceWarning, PriorWarning

if TYPE_CHECKING:
    from hbm_fast import amortize, calibration, datasets, embedding, integrations, plots, priors, tables
    from hbm_fast.comparison import GroupComparison, ModelRanking, compare_groups, compare_models
    from hbm_fast.distribution import dirichlet_multinomial
    from hbm_fast.evidence import Evidence, log_evidence
    from hbm_fast.exact import exact_posterior
    from hbm_fast.fitting import (
        ComponentSelection,
        FitResult,
        ManyFits,
        MixtureClassifier,
        MixtureFit,
        PopulationFit,
        RegressionFit,
        fit,
        fit_many,
        select_components,
    )
    from hbm_fast.likelihood import log_likelihood, log_likelihood_gradient
    from hbm_fast.models import HierarchicalModel, MixtureModel, PopulationModel, RegressionModel
    from hbm_fast.posterior import MixturePosterior, PopulationPosterior, Posterior, RegressionPosterior
    from hbm_fast.sampling import sample
    from hbm_fast.simulation import MixtureSimulation, RegressionSimulation, Simulation, simulate
    from hbm_fast.sufficient_statistics import SufficientStatistics
    from hbm_fast.variates import dirichlet, multinomial

__all__ = [
    "STREAM_VERSION",
    "ComponentSelection",
    "ConvergenceWarning",
    "Evidence",
    "FitResult",
    "GroupComparison",
    "HierarchicalModel",
    "ManyFits",
    "MixtureClassifier",
    "MixtureFit",
    "MixtureModel",
    "MixturePosterior",
    "MixtureSimulation",
    "ModelRanking",
    "PerformanceWarning",
    "PopulationFit",
    "PopulationModel",
    "PopulationPosterior",
    "Posterior",
    "PriorWarning",
    "RegressionFit",
    "RegressionModel",
    "RegressionPosterior",
    "RegressionSimulation",
    "Simulation",
    "SufficientStatistics",
    "__version__",
    "amortize",
    "calibration",
    "compare_groups",
    "compare_models",
    "datasets",
    "dirichlet",
    "dirichlet_multinomial",
    "embedding",
    "exact_posterior",
    "fit",
    "fit_many",
    "integrations",
    "log_evidence",
    "log_likelihood",
    "log_likelihood_gradient",
    "multinomial",
    "plots",
    "priors",
    "sample",
    "select_components",
    "show_config",
    "simulate",
    "tables",
]

# The public names of each module, and the public subpackages. They are imported on first use, so that `import hbm_fast`
# takes little longer than numpy; the block above imports them for type checkers.
_EXPORTS = {
    "comparison": ("GroupComparison", "ModelRanking", "compare_groups", "compare_models"),
    "distribution": ("dirichlet_multinomial",),
    "evidence": ("Evidence", "log_evidence"),
    "exact": ("exact_posterior",),
    "fitting": (
        "ComponentSelection",
        "FitResult",
        "ManyFits",
        "MixtureClassifier",
        "MixtureFit",
        "PopulationFit",
        "RegressionFit",
        "fit",
        "fit_many",
        "select_components",
    ),
    "likelihood": ("log_likelihood", "log_likelihood_gradient"),
    "models": ("HierarchicalModel", "MixtureModel", "PopulationModel", "RegressionModel"),
    "posterior": ("MixturePosterior", "PopulationPosterior", "Posterior", "RegressionPosterior"),
    "sampling": ("sample",),
    "simulation": ("MixtureSimulation", "RegressionSimulation", "Simulation", "simulate"),
    "sufficient_statistics": ("SufficientStatistics",),
    "variates": ("dirichlet", "multinomial"),
}
_SUBPACKAGES = {"amortize", "calibration", "datasets", "embedding", "integrations", "plots", "priors", "tables"}


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return import_module(f"hbm_fast.{name}")
    for module, names in _EXPORTS.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"hbm_fast.{module}"), name)
            return value
    raise AttributeError(f"module 'hbm_fast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
