"""Descriptions of models, without computation."""

from hbm_fast.models.hierarchical import HierarchicalModel, check_hierarchical, known_concentration
from hbm_fast.models.mixture import MixtureModel
from hbm_fast.models.population import PopulationModel
from hbm_fast.models.regression import RegressionModel
from hbm_fast.models.serialization import from_dict, to_dict

__all__ = [
    "HierarchicalModel",
    "MixtureModel",
    "PopulationModel",
    "RegressionModel",
    "check_hierarchical",
    "from_dict",
    "known_concentration",
    "to_dict",
]
