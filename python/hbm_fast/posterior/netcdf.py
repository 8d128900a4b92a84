"""Posteriors as xarray DataTrees, which ArviZ plots and compares, and as netCDF files."""

import warnings
from os import PathLike
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _weighted as _weights
from hbm_fast import models
from hbm_fast._config import STREAM_VERSION, __version__
from hbm_fast._optional import import_optional
from hbm_fast.posterior import Posterior
from hbm_fast.posterior import netcdf_file as _netcdf
from hbm_fast.quadrature import Quadrature, QuadratureBatch

Kind = TypeVar("Kind", bound=Posterior)
_READERS = {
    "Posterior": "hbm_fast.Posterior.load",
    "EmbeddingPosterior": "hbm_fast.embedding.EmbeddingPosterior.load",
}


def to_datatree(
    post: Posterior, *, log_likelihood: bool = False, theta: bool = False, posterior_predictive: bool = False
) -> Any:
    """An ``xarray.DataTree`` with the groups ArviZ knows.

    Parameters
    ----------
    post : Posterior
    log_likelihood : bool
        Whether to add the pointwise log-likelihood of every group (C, D, N): what LOO needs.
    theta : bool
        Whether to add a draw of theta (C, D, N, K) of every group.
    posterior_predictive : bool
        Whether to add counts (C, D, N, K) drawn anew from every group, with its own total.

    Returns
    -------
    xarray.DataTree
        ``posterior`` (alpha, log_alpha, beta, log_beta; of an embedding also z and its mixture), ``observed_data``,
        ``sample_stats``, and what was asked for;
        dimensions chain, draw, group, category (and dataset in front, of a batch), named by the names of the user.
        ArviZ knows no weights: draws that carry some are drawn again in proportion to them, with repeats.

    Raises
    ------
    ImportError
        Without xarray (extra ``report``).

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> tree = hbm.exact_posterior([[3, 0], [0, 4]], rng=0).to_arviz()
    >>> sorted(tree.children)
    ['observed_data', 'posterior']
    """
    equal = post if post.log_weights is None else _resampled(post)
    return _tree(equal, log_likelihood=log_likelihood, theta=theta, posterior_predictive=posterior_predictive)


def _resampled(post: Posterior) -> Posterior:
    """Equally weighted draws by systematic resampling (Kitagawa 1996, doi:10.2307/1390750), in random order."""
    assert post.log_weights is not None
    shape = post.log_alpha.shape
    n = shape[-2] * shape[-1]
    weights, equal = np.exp(post.log_weights).reshape(-1, n), np.full(n, 1.0 / n)
    chosen = np.empty(weights.shape, np.intp)
    for row, target, dataset in zip(chosen, weights, post._datasets, strict=True):
        rng = np.random.default_rng([*post._key.tolist(), int(dataset)])  # a batch's dataset alone gets the same draws
        # one uniform number for all slots makes the resampling systematic
        row[:] = _weights.resample(equal, target, np.full(n, rng.random()))
        rng.shuffle(row)

    def pick(values: NDArray[Any]) -> NDArray[Any]:
        rest = values.shape[len(shape) :]
        flat = values.reshape(*chosen.shape, *rest)
        return np.stack([rows[row] for rows, row in zip(flat, chosen, strict=True)]).reshape(*shape, *rest)

    hook = post._theta_draws
    result = type(post)(
        pick(post.log_alpha),
        pick(post.log_beta),
        model=post.model,
        counts=post.counts,
        method=post.method,
        details=post.details,
        key=post._key,
        sample_stats={name: pick(v) for name, v in post.sample_stats.items() if v.shape == shape},
        theta_draws=None if hook is None else lambda group: pick(hook(group)),
        category_names=post.category_names,
        group_names=post.group_names,
        latent={name: pick(value) for name, value in post.latent.items()},
    )
    result._datasets = post._datasets
    return result


def _tree(
    post: Posterior, *, log_likelihood: bool = False, theta: bool = False, posterior_predictive: bool = False
) -> Any:
    xarray = import_optional("xarray", "report")
    lead = ("dataset",) if post.log_alpha.ndim == 3 else ()
    draw, category = (*lead, "chain", "draw"), ("category",)
    coords: dict[str, Any] = {
        "chain": np.arange(post.n_chains),
        "draw": np.arange(post.n_draws),
        "category": list(post.category_names or range(post.n_categories)),
    }
    if lead:
        coords["dataset"] = np.arange(len(post))
    if post.counts is not None:
        coords["group"] = list(post.group_names or range(post.counts.shape[-2]))

    def dataset(variables: dict[str, tuple[tuple[str, ...], NDArray[Any]]]) -> Any:
        used = {dim for dims, _ in variables.values() for dim in dims}
        result = xarray.Dataset(variables, coords={name: value for name, value in coords.items() if name in used})
        return result.assign_attrs(inference_library="hbm_fast", inference_library_version=__version__)

    tree = {
        "posterior": dataset(
            {
                "alpha": (draw, post.alpha),
                "log_alpha": (draw, post.log_alpha),
                "beta": (draw + category, post.beta),
                "log_beta": (draw + category, post.log_beta),
            }
            | {name: (draw + post.latent_dims[name], value) for name, value in post.latent.items()}
        )
    }
    stats = {name: (draw, value) for name, value in post.sample_stats.items() if value.shape == post.log_alpha.shape}
    if post.log_weights is not None:
        stats["log_weights"] = (draw, post.log_weights)
    if stats:
        tree["sample_stats"] = dataset(stats)
    groups = (*draw, "group")
    if post.counts is not None:
        tree["observed_data"] = dataset({"counts": ((*lead, "group", "category"), post.counts)})
    if log_likelihood:
        tree["log_likelihood"] = dataset({"counts": (groups, post.log_likelihood())})
    n_groups = 0 if post.counts is None else post.counts.shape[-2]
    if theta:
        drawn = np.stack([post.theta(n) for n in range(n_groups)], axis=-2)
        tree["posterior"] = tree["posterior"].merge(dataset({"theta": (groups + category, drawn)}))
    if posterior_predictive:
        replicated = np.stack([post.predictive_counts(n) for n in range(n_groups)], axis=-2)
        tree["posterior_predictive"] = dataset({"counts": (groups + category, replicated)})
    return xarray.DataTree.from_dict(tree)


def save(post: Posterior, path: str | PathLike[str]) -> None:
    """Write a posterior to a netCDF file, which ArviZ opens too; see ``Posterior.save``."""
    _netcdf.check_ending(path)
    xarray = import_optional("xarray", "report")
    import_optional("h5netcdf", "report")
    tree = _tree(post)  # with its weights: what is loaded are the same draws
    extra: dict[str, Any] = {"key": ("word", post._key), "datasets": ("dataset_number", post._datasets)}
    if post._theta_draws is not None and post.counts is not None:
        stored = np.stack([post.log_theta(n) for n in range(post.counts.shape[-2])])
        extra["log_theta"] = (tuple(f"log_theta_{i}" for i in range(stored.ndim)), stored)
    for name in ("log_evidence", "log_evidence_error"):
        value = getattr(post, name)
        if value is not None:
            extra[name] = (("dataset_number",) if np.ndim(value) else (), value)
    facts = {
        "class": type(post).__name__,
        "model": models.to_dict(post.model),
        "method": post.method,
        "details": {name: _plain(value) for name, value in post.details.items()},
        "category_names": post.category_names,
        "group_names": post.group_names,
        "quadrature": post.moments is not None,
        "stream_version": STREAM_VERSION,
        "version": __version__,
    }
    tree["hbm_fast"] = xarray.DataTree(xarray.Dataset(extra))
    _netcdf.write(tree, path, facts)


@_netcdf.names_the_file
def load(path: str | PathLike[str], kind: type[Kind]) -> Kind:
    """Read a posterior of this class that ``save`` wrote; see ``Posterior.load``."""
    facts, groups = _netcdf.read(path)
    _check_class(path, facts, kind)
    own, drawn, stats = groups["hbm_fast"], groups["posterior"], groups.get("sample_stats", {})
    counts = groups["observed_data"]["counts"] if "observed_data" in groups else None
    model = models.from_dict(facts["model"])
    log_theta = own.get("log_theta")
    if "class" not in facts and facts["method"] == "embedding" and log_theta is not None:
        warnings.warn(
            f"{path} was written by an earlier version, without the mixture of its embedding: theta is right, but "
            "log_likelihood and log_predictive are of one component for each draw; sample and save it again",
            UserWarning,
            stacklevel=4,
        )
    moments: Quadrature | QuadratureBatch | None = None
    if facts["quadrature"] and counts is not None:  # deterministic, and quicker to build than to read
        one = counts.ndim == 2
        moments = Quadrature(counts, model) if one else QuadratureBatch([Quadrature(c, model) for c in counts])
    post = kind(
        drawn["log_alpha"],
        drawn["log_beta"],
        model=model,
        counts=counts,
        log_weights=stats.pop("log_weights", None),
        log_evidence=own.get("log_evidence"),
        log_evidence_error=own.get("log_evidence_error"),
        method=facts["method"],
        details={name: _restored(value, drawn["log_alpha"].ndim == 3) for name, value in facts["details"].items()},
        key=own["key"],
        sample_stats=stats,
        moments=moments,
        theta_draws=None if log_theta is None else log_theta.__getitem__,
        category_names=facts["category_names"],
        group_names=facts["group_names"],
        latent={name: drawn[name] for name in kind.latent_dims if name in drawn},
    )
    post._datasets = own["datasets"]
    return post


def _check_class(path: str | PathLike[str], facts: dict[str, Any], kind: type[Posterior]) -> None:
    """Refuse the file of another class, and name the function that reads it."""
    written = facts.get("class")
    if written is None:  # a file of hbm-fast 0.1.0, of which every class was written as a Posterior
        written = "Posterior"
        if kind is not Posterior and facts["method"] == "embedding":
            raise ValueError(
                f"{path} was written by an earlier version, without the z of its embedding: "
                "hbm_fast.Posterior.load reads its alpha and beta"
            )
    if written != kind.__name__:
        reader = _READERS.get(written, "a later version of hbm_fast")
        raise ValueError(f"{path} was written by {written}.save, not by {kind.__name__}.save: it is read by {reader}")


def _plain(value: Any) -> Any:
    """What JSON can hold of a detail."""
    if isinstance(value, np.ndarray) and value.ndim:
        return {"ndarray": value.tolist(), "dtype": value.dtype.str}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, str | int | float | bool | list | tuple | dict) or value is None:
        return value
    return repr(value)


def _restored(value: Any, batch: bool) -> Any:
    """The detail of which `_plain` made this; lists of a batch are arrays of files from before arrays were marked."""
    if isinstance(value, dict) and value.keys() == {"ndarray", "dtype"}:
        return np.array(value["ndarray"], dtype=value["dtype"])
    return np.array(value) if batch and isinstance(value, list) else value
