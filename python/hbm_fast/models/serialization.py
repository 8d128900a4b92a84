"""Conversion of models to and from JSON, for the headers of files."""

from dataclasses import fields
from typing import Any

from hbm_fast import priors
from hbm_fast.models.hierarchical import HierarchicalModel
from hbm_fast.models.population import PopulationModel


def to_dict(model: HierarchicalModel | PopulationModel) -> dict[str, Any]:
    """The model as a dict that JSON can hold; `from_dict` is the inverse."""
    if isinstance(model, PopulationModel):
        return {"model": "PopulationModel"} | {f.name: _described(getattr(model, f.name)) for f in fields(model)}
    return {
        "n_categories": model.n_categories,
        "alpha": _described(model.alpha),
        "beta": _described(model.beta),
    }


def _described(value: Any) -> Any:
    """A prior as its name and its parameters, of which one may be a prior; anything else as it is."""
    if not isinstance(value, priors.AlphaPrior | priors.Dirichlet | priors.FixedBeta | priors.Normal):
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
    if description.get("model") == "PopulationModel":
        given = {k: _prior(v) if isinstance(v, dict) else v for k, v in description.items() if k != "model"}
        return PopulationModel(given.pop("n_categories"), **given)
    return HierarchicalModel(
        description["n_categories"], alpha=_prior(description["alpha"]), beta=_prior(description["beta"])
    )


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
