"""Posteriors of mixtures as the objects that ArviZ plots, and as netCDF files."""

import os
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from hbm_fast import models
from hbm_fast._config import STREAM_VERSION, __version__
from hbm_fast._optional import import_optional
from hbm_fast.posterior import netcdf

if TYPE_CHECKING:
    from hbm_fast.posterior.mixture import MixturePosterior

Kind = TypeVar("Kind", bound="MixturePosterior")
_OPTIONAL = ("process_concentration", "beta_concentration")


def _tree(post: "MixturePosterior") -> Any:
    xarray = import_optional("xarray", "report")
    draw = ("chain", "draw")
    component = (*draw, "component")
    coords = {
        "chain": range(post.n_chains),
        "draw": range(post.n_draws),
        "component": range(post.log_alpha.shape[-1]),
        "category": list(post.category_names or range(post.n_categories)),
        "group": list(post.group_names or range(len(post.counts))),
    }

    def dataset(variables: dict[str, tuple[tuple[str, ...], Any]]) -> Any:
        used = {dim for dims, _ in variables.values() for dim in dims}
        result = xarray.Dataset(variables, coords={name: coords[name] for name in coords if name in used})
        return result.assign_attrs(inference_library="hbm_fast", inference_library_version=__version__)

    variables = {
        "labels": ((*draw, "group"), post.labels),
        "n_components_used": (draw, post.n_components_used),
        "weights": (component, post.weights),
        "log_weights": (component, post.log_weights),
        "alpha": (component, post.alpha),
        "log_alpha": (component, post.log_alpha),
        "beta": ((*component, "category"), post.beta),
        "log_beta": ((*component, "category"), post.log_beta),
    }
    for name, dims in zip(_OPTIONAL, (draw, component), strict=True):
        if getattr(post, name) is not None:
            variables[name] = (dims, getattr(post, name))
    return xarray.DataTree.from_dict(
        {
            "posterior": dataset(variables),
            "sample_stats": dataset({"log_likelihood": (draw, post.log_likelihood)}),
            "observed_data": dataset({"counts": (("group", "category"), post.counts)}),
        }
    )


def to_arviz(post: "MixturePosterior") -> Any:
    """See ``MixturePosterior.to_arviz``."""
    return netcdf.for_arviz(_tree(post))


def save(post: "MixturePosterior", path: str | PathLike[str]) -> None:
    """See ``MixturePosterior.save``."""
    netcdf.check_ending(path)
    xarray = import_optional("xarray", "report")
    import_optional("h5netcdf", "report")
    tree = _tree(post)
    tree[netcdf.OWN] = xarray.DataTree(xarray.Dataset({"key": ("word", post.key)}))
    metadata = {
        "class": type(post).__name__,
        "model": models.to_dict(post.model),
        "details": post.details,
        "category_names": post.category_names,
        "group_names": post.group_names,
        "stream_version": STREAM_VERSION,
        "version": __version__,
    }
    netcdf.write(tree, path, metadata)


def load(path: str | PathLike[str], kind: type[Kind]) -> Kind:
    """See ``MixturePosterior.load``."""
    return netcdf.guarded(path, lambda: _posterior(path, kind))


def _posterior(path: str | PathLike[str], kind: type[Kind]) -> Kind:
    metadata, groups = netcdf.read(path)
    if metadata.get("class") != kind.__name__:
        raise ValueError(f"{os.fspath(path)} was written by {metadata.get('class', 'Posterior')}.save")
    drawn = groups["posterior"]
    return kind(
        drawn["labels"],
        drawn["log_weights"],
        drawn["log_alpha"],
        drawn["log_beta"],
        model=models.from_dict(metadata["model"]),
        counts=groups["observed_data"]["counts"],
        log_likelihood=groups["sample_stats"]["log_likelihood"],
        details=metadata["details"],
        key=np.asarray(groups[netcdf.OWN]["key"]),
        category_names=metadata["category_names"],
        group_names=metadata["group_names"],
        **{name: drawn[name] for name in _OPTIONAL if name in drawn},
    )
