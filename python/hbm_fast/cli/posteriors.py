"""What `sample` and `infer` write of a posterior: its draws, the proportions of its groups, and the figure."""

import math
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from hbm_fast import _display, _files, _weighted
from hbm_fast._optional import missing_extra
from hbm_fast.cli import options
from hbm_fast.cli.output import check_labels, of_label
from hbm_fast.cli.reading import Source
from hbm_fast.posterior import Posterior, netcdf

_CHUNK = 4096  # draws between two checks for Ctrl-C


def check_targets(source: Source, out: Path | None, groups: Path | None, *, force: bool) -> None:
    """Raise, for the file of each label, what would keep it from being written."""
    if groups is not None and source.table.weights is not None:
        raise ValueError("--groups needs a group a row; the rows of a frequency table are kinds of groups")
    for module in ("pandas", "scipy"):
        if groups is not None and find_spec(module) is None:
            raise missing_extra(module, "report")
    check_labels(source.parts, out, groups)
    for label in source.parts:
        options.check_target(of_label(out, label), "--out", (".nc", ".csv", ".json"), force=force)
        options.check_target(of_label(groups, label), "--groups", (".csv",), force=force)


def write(post: Posterior, out: Path | None, groups: Path | None) -> None:
    """The draws, where ``out`` is a file of draws, and the proportions of the groups."""
    if out is not None and out.suffix.lower() == ".nc":
        netcdf.write(netcdf.to_datatree(post), out)
    elif out is not None and out.suffix.lower() == ".csv":
        _write_draws(post, out)
    if groups is not None:
        _write_groups(post, groups)


def write_record(record: dict[str, Any], out: Path | None) -> None:
    """The summary, where ``out`` is a JSON file."""
    if out is not None and out.suffix.lower() == ".json":
        _files.write_json(out, record)


def _write_draws(post: Posterior, out: Path) -> None:
    """Every draw; weighted draws with their weights."""
    weights = {} if post.log_weights is None else {"log_weight": post.log_weights}
    single = {**weights, "alpha": post.alpha, **post.latent}

    def rows() -> Iterator[list[Any]]:
        beta = post.beta
        for c in range(post.n_chains):
            for start in range(0, post.n_draws, _CHUNK):
                part = slice(start, start + _CHUNK)
                columns = [*(values[c, part, None] for values in single.values()), beta[c, part]]
                for d, values in enumerate(zip(*(column.tolist() for column in columns), strict=True), start):
                    yield [c, d, *(value for column in values for value in column)]

    names = (f"beta[{name}]" for name in _display.labels(post.category_names, post.n_categories))
    _files.write_csv(out, ["chain", "draw", *single, *names], rows())


def _write_groups(post: Posterior, target: Path) -> None:
    """Proportions of every group and of a new group, in the long form, with four digits."""
    log_weights = None if post.log_weights is None else post.log_weights.reshape(1, -1)

    def rows() -> Iterator[list[Any]]:
        frame = post.proportions()
        for group, category, count, raw, *values in zip(*(frame[name].tolist() for name in frame), strict=True):
            yield [group, category, count, "" if math.isnan(raw) else _digits(raw), *map(_digits, values)]
        theta = post.theta().reshape(1, -1, post.n_categories)
        bounds = _weighted.quantile(theta, log_weights, np.array([0.05, 0.95]))[:, 0].tolist()
        names = _display.labels(post.category_names, post.n_categories)
        for category, *values in zip(names, post.predict().tolist(), *bounds, strict=True):
            yield ["(new group)", category, "", "", *map(_digits, values)]

    _files.write_csv(target, ["group", "category", "count", "raw", "mean", "lower", "upper"], rows())


def _digits(value: float) -> float:
    return float(f"{value:.4g}")


def draw(found: Mapping[str | None, Posterior], target: Path) -> None:
    """The proportions over all groups, those of the labels side by side."""
    from hbm_fast import plots
    from hbm_fast.plots.proportions import side_by_side

    if None in found:
        figure = plots.proportions(found[None])
    else:
        figure = side_by_side({str(label): post for label, post in found.items()}, most=30)
    _files.write_figure(target, figure, dpi=150)
