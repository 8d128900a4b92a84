"""Posteriors of mixtures as the objects that ArviZ plots, and as netCDF files."""

import os
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from hbm_fast import models
from hbm_fast._optional import import_optional
from hbm_fast.posterior import netcdf
from hbm_fast.tables.inputs import as_counts

if TYPE_CHECKING:
    from hbm_fast.posterior.mixture import MixturePosterior

Kind = TypeVar("Kind", bound="MixturePosterior")
_CLASS = "MixturePosterior"
_OPTIONAL = ("process_concentration", "beta_concentration")


def tree(post: "MixturePosterior") -> Any:
    """An ``xarray.DataTree`` with the groups of ArviZ."""
    xarray = import_optional("xarray", "report")
    draw = ("chain", "draw")
    component = (*draw, "component")
    coords = {
        "chain": range(post.n_chains),
        "draw": range(post.n_draws),
        "component": range(post.log_weights.shape[-1]),
        "category": list(post.category_names or range(post.n_categories)),
        "group": list(post.group_names or range(post.n_groups)),
    }
    variables = {
        "labels": ((*draw, "group"), post.labels),
        "n_components_used": (draw, post.n_components_used),
        "weights": (component, post.weights),
        "log_weights": (component, post.log_weights),
    }
    if not post.model.is_multinomial:  # whose alpha is infinite, and whose beta follows from the labels
        variables |= {
            "alpha": (component, post.alpha),
            "log_alpha": (component, post.log_alpha),
            "beta": ((*component, "category"), post.beta),
            "log_beta": ((*component, "category"), post.log_beta),
        }
    for name, dims in zip(_OPTIONAL, (draw, component), strict=True):
        if getattr(post, name) is not None:
            variables[name] = (dims, getattr(post, name))
    as_group = partial(netcdf.dataset, coords)
    return xarray.DataTree.from_dict(
        {
            "posterior": as_group(variables),
            "sample_stats": as_group({"log_likelihood": (draw, post.log_likelihood)}),
            "observed_data": as_group({"counts": (("group", "category"), as_counts(post.counts).dense())}),
        }
    )


def save(post: "MixturePosterior", path: str | PathLike[str]) -> None:
    """See ``MixturePosterior.save``."""
    netcdf.check_target(path)
    metadata = {
        "class": _CLASS,
        "model": models.to_dict(post.model),
        "details": post.details,
        "log_evidence": post.log_evidence,
        "log_evidence_error": post.log_evidence_error,
        "category_names": post.category_names,
        "group_names": post.group_names,
        **netcdf.VERSIONS,
    }
    netcdf.write(tree(post), path, metadata, {"key": ("word", post.key)})


def load(path: str | PathLike[str], kind: type[Kind]) -> Kind:
    """See ``MixturePosterior.load``."""
    return netcdf.guarded(path, lambda: _posterior(path, kind))


def _posterior(path: str | PathLike[str], kind: type[Kind]) -> Kind:
    metadata, groups = netcdf.read(path)
    if metadata.get("class") != _CLASS:
        raise ValueError(f"{os.fspath(path)} was written by {metadata.get('class', 'Posterior')}.save")
    drawn = groups["posterior"]
    model = models.from_dict(metadata["model"])
    common = {
        "model": model,
        "counts": groups["observed_data"]["counts"],
        "log_likelihood": groups["sample_stats"]["log_likelihood"],
        "details": metadata["details"],
        "key": np.asarray(groups[netcdf.OWN]["key"]),
        "category_names": metadata["category_names"],
        "group_names": metadata["group_names"],
        **{name: drawn[name] for name in _OPTIONAL if name in drawn},
    }
    if model.is_multinomial:
        from hbm_fast.posterior.multinomial_mixture import MultinomialMixturePosterior  # which is a kind of `kind`

        return cast(Kind, MultinomialMixturePosterior(drawn["labels"], drawn["log_weights"], **common))
    return kind(
        drawn["labels"],
        drawn["log_weights"],
        drawn["log_alpha"],
        drawn["log_beta"],
        log_evidence=metadata.get("log_evidence"),
        log_evidence_error=metadata.get("log_evidence_error"),
        **common,
    )
