"""Posteriors of regressions as the objects that ArviZ plots and compares, and as netCDF files."""

from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_fast import models
from hbm_fast._optional import import_optional
from hbm_fast.models import design as designs
from hbm_fast.models.design import Design
from hbm_fast.posterior import netcdf

if TYPE_CHECKING:
    from hbm_fast.posterior.regression import RegressionPosterior

_DRAW = ("chain", "draw")


def save(post: "RegressionPosterior", path: str | PathLike[str]) -> None:
    """See ``RegressionPosterior.save``."""
    netcdf.check_target(path)
    own: dict[str, Any] = {"key": ("word", post._key)}
    if post._subjects is not None:
        own["subjects"] = ("group", post._subjects)
    metadata: dict[str, Any] = {
        "class": "RegressionPosterior",
        "model": models.to_dict(post.model),
        "method": post.method,
        "details": {name: netcdf.plain(value) for name, value in post.details.items()},
        "log_evidence": post.log_evidence,
        "log_evidence_error": post.log_evidence_error,
        "category_names": post.category_names,
        "group_names": post.group_names,
        "subject_names": post.subject_names,
        **netcdf.VERSIONS,
    }
    for name, design in (("design", post._design), ("precision_design", post._precision)):
        if design is not None:
            metadata[name] = {"column_names": design.column_names, "frame": _columns(design.frame)}
            own[name] = (("group", f"{name}_column"), design.matrix)
    netcdf.write(tree(post), path, metadata, own)


def load(path: str | PathLike[str]) -> dict[str, Any]:
    """The arguments of the RegressionPosterior that `save` wrote."""
    return netcdf.guarded(path, lambda: _arguments(path))


def _arguments(path: str | PathLike[str]) -> dict[str, Any]:
    metadata, groups = netcdf.read(path)
    netcdf.check_class(path, metadata, "RegressionPosterior")
    own, drawn = groups[netcdf.OWN], groups["posterior"]
    model = models.from_dict(metadata["model"])
    coefficients = drawn["coefficients"]
    empty = np.empty((*coefficients.shape[:2], 0))
    kept = ("method", "details", "log_evidence", "log_evidence_error", "category_names", "group_names", "subject_names")
    return {
        "coefficients": coefficients,
        "precision_coefficients": drawn.get("precision_coefficients", empty),
        "random_scale": drawn.get("random_scale"),
        "random_intercepts": drawn.get("random_intercepts"),
        "model": model,
        "counts": groups["observed_data"]["counts"],
        "design": _design(metadata["design"], own["design"], model.mean, "mean"),
        "precision_design": _design(metadata["precision_design"], own["precision_design"], model.precision, "precision")
        if "precision_design" in metadata
        else None,
        "subjects": own.get("subjects"),
        "sample_stats": groups.get("sample_stats", {}),
        "key": own["key"],
        **{name: metadata[name] for name in kept},
    }


def _columns(frame: Any) -> dict[str, Any] | None:
    """The columns of a frame as JSON holds them, with the levels of categorical ones."""
    if frame is None:
        return None
    return {
        str(name): {
            "values": (frame[name].astype("int64") if _is_time(frame[name]) else frame[name]).tolist(),
            "levels": frame[name].cat.categories.tolist() if hasattr(frame[name], "cat") else None,
            "time": str(frame[name].dtype) if _is_time(frame[name]) else None,
        }
        for name in frame.columns
    }


def _is_time(column: Any) -> bool:
    return column.dtype.kind in "mM"  # times and differences of times, which JSON has not


def _design(kept: dict[str, Any], matrix: Any, formula: str, name: str) -> Design:
    """The design of a file; one of a formula is made anew, so that it applies to other data."""
    if kept["frame"] is None:
        names = tuple(kept["column_names"])
        if names == ("Intercept",):
            return designs.of_formula("~ 1", None, name, len(matrix))
        return designs.of_array(matrix, name, len(matrix), names)
    pandas = import_optional("pandas", "formula")
    frame = pandas.DataFrame(
        {
            name: column["values"]
            if column["levels"] is None
            else pandas.Categorical(column["values"], categories=column["levels"])
            for name, column in kept["frame"].items()
        }
    )
    frame = frame.astype({name: column["time"] for name, column in kept["frame"].items() if column.get("time")})
    return designs.of_formula(formula, frame, name, len(matrix))


def tree(post: "RegressionPosterior", *, log_likelihood: bool = False, posterior_predictive: bool = False) -> Any:
    """An ``xarray.DataTree`` with the groups of ArviZ."""
    xarray = import_optional("xarray", "report")
    coords: dict[str, Any] = {
        "chain": np.arange(post.n_chains),
        "draw": np.arange(post.n_draws),
        "column": list(post.column_names),
        "precision_column": list(post.precision_column_names),
        "category": list(post.category_names),
        "group": list(post.group_names or range(len(post.counts))),
        "subject": list(post.subject_names or ()),
    }

    as_group = partial(netcdf.dataset, coords)
    variables: dict[str, tuple[tuple[str, ...], Any]] = {
        "coefficients": ((*_DRAW, "column", "category"), post.coefficients)
    }
    if post.precision_column_names:
        variables["precision_coefficients"] = ((*_DRAW, "precision_column"), post.precision_coefficients)
    if post.random_scale is not None:
        last = "shared_scale" if post.model.shared_scale else "category"
        variables["random_scale"] = ((*_DRAW, last), post.random_scale)
        variables["random_intercepts"] = ((*_DRAW, "subject", "category"), post.random_intercepts)
    groups = {
        "posterior": as_group(variables),
        "observed_data": as_group({"counts": (("group", "category"), post.counts)}),
    }
    stats: dict[str, tuple[tuple[str, ...], Any]] = {name: (_DRAW, value) for name, value in post.sample_stats.items()}
    if stats:
        groups["sample_stats"] = as_group(stats)
    if log_likelihood:
        groups["log_likelihood"] = as_group({"counts": ((*_DRAW, "group"), post.log_likelihood())})
    if posterior_predictive:
        replicated = post.predictive_counts()
        groups["posterior_predictive"] = as_group({"counts": ((*_DRAW, "group", "category"), replicated)})
    return xarray.DataTree.from_dict(groups)
