"""Hierarchical Dirichlet-multinomial models: counts in, beliefs out.

alpha ~ Exponential(1), beta ~ Dirichlet(1, ..., 1), theta_n ~ Dirichlet(alpha * beta), x_n ~ Multinomial(M_n, theta_n).

One letter legend everywhere: B datasets, N groups (bags), K categories (colours), M totals, C chains, D draws.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hbm_fast import priors
from hbm_fast._config import STREAM_VERSION, __version__, show_config
from hbm_fast.errors import ConvergenceWarning, PerformanceWarning
from hbm_fast.fitting import FitResult, fit
from hbm_fast.model import HierarchicalModel
from hbm_fast.posterior import Posterior
from hbm_fast.quadrature import exact_posterior
from hbm_fast.sampling import sample
from hbm_fast.simulation import Simulation, simulate

if TYPE_CHECKING:
    from hbm_fast import amortize, calibration, datasets, embedding, integrations, plots, tables

__all__ = [
    "STREAM_VERSION",
    "ConvergenceWarning",
    "FitResult",
    "HierarchicalModel",
    "PerformanceWarning",
    "Posterior",
    "Simulation",
    "__version__",
    "amortize",
    "calibration",
    "datasets",
    "embedding",
    "exact_posterior",
    "fit",
    "integrations",
    "plots",
    "priors",
    "sample",
    "show_config",
    "simulate",
    "tables",
]

# Doors that open when first used: behind each stands something heavier than numpy.
_LAZY = {"amortize", "calibration", "datasets", "embedding", "integrations", "plots", "tables"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return import_module(f"hbm_fast.{name}")
    raise AttributeError(f"module 'hbm_fast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
