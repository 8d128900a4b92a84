"""Conversion of models to and from JSON, for the headers of files."""

from dataclasses import fields
from typing import Any

from hbm_fast import priors
from hbm_fast.models.hierarchical import HierarchicalModel
from hbm_fast.models.mixture import MixtureModel
from hbm_fast.models.population import PopulationModel
from hbm_fast.models.regression import RegressionModel

# Beside HierarchicalModel, the first.
_MODELS = {model.__name__: model for model in (MixtureModel, PopulationModel, RegressionModel)}


def to_dict(model: HierarchicalModel | MixtureModel | PopulationModel | RegressionModel) -> dict[str, Any]:
    """The model as a dict that JSON can hold; `from_dict` is the inverse."""
    described = {field.name: _described(getattr(model, field.name)) for field in fields(model)}
    return described if isinstance(model, HierarchicalModel) else {"model": type(model).__name__} | described


def _described(value: Any) -> Any:
    """A prior as its name and its parameters, of which one may be a prior; anything else as it is."""
    described = priors.AlphaPrior | priors.Dirichlet | priors.FixedBeta | priors.DirichletProcess | priors.Normal
    if not isinstance(value, described):
        return value
    parameters = {field.name: _described(getattr(value, field.name)) for field in fields(value)}
    return {"prior": type(value).__name__, **parameters}


def from_dict(description: dict[str, Any]) -> Any:
    """The model that `to_dict` describes; only classes of `hbm_fast.priors` are created.

    Also reads the form of netCDF files of hbm-fast 0.1.0, a prior as the list of its name and its parameters.

    Raises
    ------
    ValueError
        For a prior that this version does not have.
    """
    given = dict(description)
    name = given.pop("model", "HierarchicalModel")
    if name == "HierarchicalModel":
        return HierarchicalModel(given["n_categories"], alpha=_prior(given["alpha"]), beta=_prior(given["beta"]))
    if name not in _MODELS:
        raise ValueError(f"the description is of a {name}, which this version of hbm_fast does not have")
    arguments = {key: _parameter(value) for key, value in given.items()}
    return _MODELS[name](arguments.pop("n_categories"), **arguments)


def _prior(description: dict[str, Any] | list[Any]) -> Any:
    if isinstance(description, list):
        name, parameters = description
    else:
        parameters = dict(description)
        name = parameters.pop("prior")
    if name not in priors.__all__ or name == "AlphaPrior":
        raise ValueError(f"the model has a prior {name!r}, which this version of hbm_fast does not have")
    return getattr(priors, name)(**{k: _parameter(v) for k, v in parameters.items()})


def _parameter(value: Any) -> Any:
    if isinstance(value, dict):
        return _prior(value)
    return tuple(value) if isinstance(value, list) else value
