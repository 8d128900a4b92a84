"""Posteriors as the objects that ArviZ plots and compares, and as netCDF files.

A file is written whole, with a checksum behind what HDF5 reads. Every kind of damage is one ValueError.
"""

import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _weighted, errors, models
from hbm_fast._config import STREAM_VERSION, __version__
from hbm_fast._files import Target, write_bytes
from hbm_fast._optional import import_optional
from hbm_fast.quadrature import Quadrature, QuadratureBatch

if TYPE_CHECKING:
    from hbm_fast.posterior.posterior import Posterior

Kind = TypeVar("Kind", bound="Posterior")
Result = TypeVar("Result")
Groups = dict[str, dict[str, NDArray[Any]]]

_READERS = {
    "Posterior": "hbm_fast.Posterior.load",
    "EmbeddingPosterior": "hbm_fast.embedding.EmbeddingPosterior.load",
    "MixturePosterior": "hbm_fast.MixturePosterior.load",
    "PopulationPosterior": "hbm_fast.PopulationPosterior.load",
    "RegressionPosterior": "hbm_fast.RegressionPosterior.load",
}
_ENDINGS = (".nc", ".nc4", ".netcdf")
# deflate stores at most 1032 bytes in one (https://zlib.net/zlib_tech.html): a file that states more is damaged
_MAX_RATIO = 1032
VERSIONS = {"stream_version": STREAM_VERSION, "version": __version__}  # in the metadata of every file
OWN = "hbm_fast"  # the group with the arrays and the metadata (attribute "facts") that only `load` reads
_MARK = b"\nhbm_fast sha256 "
_STATED = b"hbm_fast: SHA-256 of all before it in the last line of the file"


def to_arviz(
    post: "Posterior", *, log_likelihood: bool = False, theta: bool = False, posterior_predictive: bool = False
) -> Any:
    """What the installed ArviZ takes: an InferenceData below version 1.0, else a DataTree; see ``Posterior.to_arviz``.

    Without ArviZ it is a DataTree too, which needs xarray alone.
    """
    return for_arviz(
        to_datatree(post, log_likelihood=log_likelihood, theta=theta, posterior_predictive=posterior_predictive)
    )


def for_arviz(tree: Any) -> Any:
    """The DataTree, or what it becomes for an ArviZ below 1.0."""
    from importlib import metadata  # which imports zipfile, so that only those who export draws wait for it

    try:
        version = metadata.version("arviz")
    except metadata.PackageNotFoundError:
        return tree
    if int(version.partition(".")[0]) >= 1:
        return tree
    groups = {name: node.to_dataset() for name, node in tree.children.items()}
    return import_optional("arviz", "report").InferenceData(**groups)


def to_datatree(
    post: "Posterior", *, log_likelihood: bool = False, theta: bool = False, posterior_predictive: bool = False
) -> Any:
    """An ``xarray.DataTree`` with the groups of ArviZ, whatever ArviZ is installed; see ``Posterior.to_arviz``."""
    equal = post if post.log_weights is None else _resampled(post)
    return _tree(equal, log_likelihood=log_likelihood, theta=theta, posterior_predictive=posterior_predictive)


def _resampled(post: "Posterior") -> "Posterior":
    """Equally weighted draws by systematic resampling (Kitagawa 1996, doi:10.2307/1390750), in random order."""
    assert post.log_weights is not None
    shape = post.log_alpha.shape
    n = shape[-2] * shape[-1]
    weights, equal = np.exp(post.log_weights).reshape(-1, n), np.full(n, 1.0 / n)
    chosen = np.empty(weights.shape, np.intp)
    for row, target, dataset in zip(chosen, weights, post._datasets, strict=True):
        # the dataset's number in the seed: a dataset taken out of a batch gets the same draws
        rng = np.random.default_rng([*post._key.tolist(), int(dataset)])
        # one uniform number for all slots makes the resampling systematic
        row[:] = _weighted.resample(equal, target, np.full(n, rng.random()))
        rng.shuffle(row)

    def pick(values: NDArray[Any]) -> NDArray[Any]:
        rest = values.shape[len(shape) :]
        flat = values.reshape(*chosen.shape, *rest)
        return np.stack([rows[row] for rows, row in zip(flat, chosen, strict=True)]).reshape(*shape, *rest)

    return post._with_draws(pick, None)


def _tree(
    post: "Posterior", *, log_likelihood: bool = False, theta: bool = False, posterior_predictive: bool = False
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
        coords["dataset"] = list(post.dataset_names or range(len(post)))
    if post.counts is not None:
        coords["group"] = list(post.group_names or range(post.counts.shape[-2]))

    as_group = partial(dataset, coords)
    tree = {
        "posterior": as_group(
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
        tree["sample_stats"] = as_group(stats)
    groups = (*draw, "group")
    if post.counts is not None:
        tree["observed_data"] = as_group({"counts": ((*lead, "group", "category"), post.counts)})
    if log_likelihood:
        tree["log_likelihood"] = as_group({"counts": (groups, post.log_likelihood())})

    def of_groups(draws: Callable[[int], NDArray[Any]], dtype: type) -> tuple[tuple[str, ...], NDArray[Any]]:
        result = np.empty((*post.log_alpha.shape, post._data().shape[-2], post.n_categories), dtype)
        for n in range(result.shape[-2]):
            result[..., n, :] = draws(n)
        return groups + category, result

    if theta:
        tree["posterior"] = tree["posterior"].merge(as_group({"theta": of_groups(post.theta, np.float64)}))
    if posterior_predictive:
        tree["posterior_predictive"] = as_group({"counts": of_groups(post.predictive_counts, np.int64)})
    return xarray.DataTree.from_dict(tree)


def dataset(coords: Mapping[str, Any], variables: Mapping[str, tuple[tuple[str, ...], Any]]) -> Any:
    """Variables, each with its dimensions, as one group of ArviZ; of the coordinates those of these dimensions."""
    used = {dim for dims, _ in variables.values() for dim in dims}
    of_used = {name: value for name, value in coords.items() if name in used}
    result = import_optional("xarray", "report").Dataset(variables, coords=of_used)
    return result.assign_attrs(inference_library="hbm_fast", inference_library_version=__version__)


def save(post: "Posterior", path: str | PathLike[str]) -> None:
    """Write a posterior to a netCDF file, which ArviZ opens too; see ``Posterior.save``."""
    check_target(path)
    tree = _tree(post)  # with its weights: `load` gives the same draws
    own: dict[str, Any] = {"key": ("word", post._key), "datasets": ("dataset_number", post._datasets)}
    if post._theta_draws is not None and post.counts is not None:
        stored = np.stack([post.log_theta(n) for n in range(post.counts.shape[-2])])
        own["log_theta"] = (tuple(f"log_theta_{i}" for i in range(stored.ndim)), stored)
    for name in ("log_evidence", "log_evidence_error"):
        value = getattr(post, name)
        if value is not None:
            own[name] = (("dataset_number",) if np.ndim(value) else (), value)
    metadata = {
        "class": type(post).__name__,
        "model": models.to_dict(post.model),
        "method": post.method,
        "details": {name: plain(value) for name, value in post.details.items()},
        "category_names": post.category_names,
        "group_names": post.group_names,
        "dataset_names": post.dataset_names,
        "quadrature": post.moments is not None,
        **VERSIONS,
    }
    write(tree, path, metadata, own)


def load(path: str | PathLike[str], kind: type[Kind]) -> Kind:
    """Read a posterior of this class that ``save`` wrote; see ``Posterior.load``."""
    return guarded(path, lambda: _posterior(path, kind))


def guarded(path: str | PathLike[str], reading: Callable[[], Result]) -> Result:
    """What reading gives; what libraries raise about a damaged or foreign file becomes a ValueError with its name."""
    with Path(path).open("rb"):  # the system's errors, such as FileNotFoundError, come first
        pass
    try:
        return reading()
    except ImportError:
        raise
    except Exception as error:  # h5py, xarray and HDF5 raise all kinds
        message = str(error)
        if isinstance(error, ValueError) and message.startswith(os.fspath(path)):
            raise
        raise ValueError(
            f"{os.fspath(path)}: not a posterior that `save` wrote, or damaged ({type(error).__name__}: {message})"
        ) from error


def _posterior(path: str | PathLike[str], kind: type[Kind]) -> Kind:
    metadata, groups = read(path)
    check_class(path, metadata, kind.__name__)
    own, drawn, stats = groups[OWN], groups["posterior"], groups.get("sample_stats", {})
    counts = groups["observed_data"]["counts"] if "observed_data" in groups else None
    model = models.from_dict(metadata["model"])
    log_theta = own.get("log_theta")
    if "class" not in metadata and metadata["method"] == "embedding" and log_theta is not None:
        errors.warn(
            f"{path} was written by an earlier version, without the mixture of its embedding: theta is right, but "
            "log_likelihood and log_predictive are of one component for each draw; sample and save it again",
            UserWarning,
        )
    moments: Quadrature | QuadratureBatch | None = None
    if metadata["quadrature"] and counts is not None:  # deterministic, and quicker to build than to read
        one = counts.ndim == 2
        moments = Quadrature(counts, model) if one else QuadratureBatch([Quadrature(c, model) for c in counts])
    batch = drawn["log_alpha"].ndim == 3
    return kind(
        drawn["log_alpha"],
        drawn["log_beta"],
        model=model,
        counts=counts,
        log_weights=stats.pop("log_weights", None),
        log_evidence=own.get("log_evidence"),
        log_evidence_error=own.get("log_evidence_error"),
        method=metadata["method"],
        details={name: _restored(value, batch) for name, value in metadata["details"].items()},
        key=own["key"],
        sample_stats=stats,
        moments=moments,
        theta_draws=None if log_theta is None else log_theta.__getitem__,
        category_names=metadata["category_names"],
        group_names=metadata["group_names"],
        dataset_names=metadata.get("dataset_names"),  # files of 0.1.0 have none
        latent={name: drawn[name] for name in kind.latent_dims if name in drawn},
    )._replace(_datasets=own["datasets"])


def check_class(path: str | PathLike[str], metadata: dict[str, Any], kind: str) -> None:
    """Refuse the file of another class, and name the function that reads it."""
    written = metadata.get("class")
    if written is None:  # a file of hbm-fast 0.1.0, of which every class was written as a Posterior
        written = "Posterior"
        if kind != written and metadata["method"] == "embedding":
            raise ValueError(
                f"{path} was written by an earlier version, without the z of its embedding: "
                "hbm_fast.Posterior.load reads its alpha and beta"
            )
    if written != kind:
        reader = _READERS.get(written, "a later version of hbm_fast")
        raise ValueError(f"{path} was written by {written}.save, not by {kind}.save: it is read by {reader}")


def plain(value: Any) -> Any:
    """A detail as JSON can hold it."""
    if isinstance(value, np.ndarray) and value.ndim:
        return {"ndarray": value.tolist(), "dtype": value.dtype.str}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, str | int | float | bool | list | tuple | dict) or value is None:
        return value
    return repr(value)


def _restored(value: Any, batch: bool) -> Any:
    """The inverse of `plain`; in files without marked arrays, the lists of a batch are arrays."""
    if isinstance(value, dict) and value.keys() == {"ndarray", "dtype"}:
        return np.array(value["ndarray"], dtype=value["dtype"])
    return np.array(value) if batch and isinstance(value, list) else value


def check_target(path: Target) -> None:
    """Refuse a name with the ending of another format, and a missing library, before anything is computed."""
    file = Path(path)
    if file.suffix.lower() not in _ENDINGS and not (file.exists() and not file.is_file()):
        raise ValueError(
            f"path must end in {', '.join(_ENDINGS)}, as the file is netCDF; got {os.fspath(path)!r}. For a table of "
            "the draws write post.alpha and post.beta yourself, or use hbm-fast sample --out draws.csv"
        )
    for library in ("xarray", "h5netcdf"):
        import_optional(library, "report")


def write(
    tree: Any, path: Target, metadata: dict[str, Any] | None = None, own: Mapping[str, Any] | None = None
) -> None:
    """Write a DataTree; with metadata, the arrays ``own`` and a checksum it is a file that `load` reads.

    The metadata are kept as JSON in an attribute. The file is made in memory: where HDF5 itself meets a full disk, it
    ends the process later, at its exit. The checksum is a last line behind what HDF5 reads.
    """
    if metadata is not None:
        xarray = import_optional("xarray", "report")
        tree[OWN] = xarray.DataTree(xarray.Dataset(own))
        tree[OWN].attrs = {"facts": json.dumps(metadata), "checksum": _STATED.decode()}
    content = bytes(tree.to_netcdf(engine="h5netcdf"))
    write_bytes(path, content if metadata is None else content + _last_line(content))


def read(path: Target) -> tuple[dict[str, Any], Groups]:
    """The metadata and the arrays of every group that `write` wrote.

    The checksum is compared before HDF5 reads the file, because HDF5 can hang in a damaged one; files from before there
    were checksums are read without. h5py alone reads: of a damaged file, h5netcdf leaves objects that fail again when
    they are collected.
    """
    h5py = import_optional("h5py", "report", "h5netcdf")
    content = Path(path).read_bytes()
    hdf5, mark, _ = content.rpartition(_MARK)
    if mark and content != hdf5 + _last_line(hdf5):
        raise ValueError("it differs from the checksum in its last line")
    if not mark and _STATED in content:
        raise ValueError("its last line, the checksum, is missing: it was cut off, or written anew by another program")
    with h5py.File(io.BytesIO(hdf5 if mark else content)) as file:
        if OWN not in file:
            raise ValueError(f"{os.fspath(path)} was not written by Posterior.save: it has no group {OWN}")
        metadata: dict[str, Any] = json.loads(file[OWN].attrs["facts"])
        stored = {
            # without coordinates ("scales" of HDF5): the metadata has the names
            name: {key: value for key, value in group.items() if "CLASS" not in value.attrs}
            for name, group in file.items()
            if isinstance(group, h5py.Group)
        }
        stated = sum(value.nbytes for group in stored.values() for value in group.values())
        if stated > _MAX_RATIO * len(content):
            raise ValueError(f"it states {stated} bytes of arrays, and has {len(content)}")
        return metadata, {name: {key: _array(value) for key, value in group.items()} for name, group in stored.items()}


def _last_line(content: bytes) -> bytes:
    return _MARK + hashlib.sha256(content).hexdigest().encode() + b"\n"


def _array(stored: Any) -> NDArray[Any]:
    values: NDArray[Any] = np.asarray(stored[()])
    return values.astype(bool) if stored.attrs.get("dtype") == "bool" else values  # netCDF has no booleans
