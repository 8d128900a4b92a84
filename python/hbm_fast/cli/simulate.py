"""`hbm-fast simulate`: datasets in a folder of files, whose content does not depend on interruptions."""

import json
import time
from dataclasses import replace
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from hbm_fast import STREAM_VERSION
from hbm_fast._files import replacing, write_json
from hbm_fast._optional import missing_extra
from hbm_fast._progress import progress
from hbm_fast.cli import options
from hbm_fast.cli.interruption import command_line, interrupted
from hbm_fast.cli.priors import parse_alpha, parse_beta
from hbm_fast.models import HierarchicalModel
from hbm_fast.simulation import Simulation
from hbm_fast.simulation import simulate as draw
from hbm_fast.tables import npz

MANIFEST = "simulation.json"


class PartFormat(StrEnum):
    """Kinds of files."""

    PARQUET = "parquet"
    NPZ = "npz"


def simulate(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder for the parts.", show_default=False)],
    datasets: Annotated[int, typer.Option(metavar="N", help="Number of datasets.", min=1)] = 1000,
    categories: options.Categories = 2,
    n_groups: Annotated[
        str | None,
        typer.Option(metavar="N|LOW:HIGH", help="Groups of a dataset: 21, or 1:41 for a range; by default 21."),
    ] = None,
    totals: Annotated[
        str | None,
        typer.Option(metavar="N|LOW:HIGH", help="Draws from a group: 20, or 0:40 for a range; by default 20."),
    ] = None,
    alpha: options.Alpha = None,
    beta: options.Beta = None,
    seed: options.Seed = 0,
    first: Annotated[
        int, typer.Option(metavar="N", help="Number of the first dataset in the endless stream.", min=0)
    ] = 0,
    part: Annotated[int, typer.Option(metavar="N", help="Datasets in one file.", min=1)] = 10_000,
    format: Annotated[
        PartFormat,
        typer.Option(
            metavar=options.choice(PartFormat), help="parquet: a row a group. npz: the arrays of hbm_fast.simulate."
        ),
    ] = PartFormat.PARQUET,
    theta: Annotated[bool, typer.Option("--theta", help="Write log theta of every group too.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")] = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    log: options.Log = None,
    groups: Annotated[str | None, typer.Option("--groups", hidden=True)] = None,
) -> None:
    """Simulate datasets into a folder of Parquet or npz files; an interrupted run goes on with --resume.

    Example: hbm-fast simulate bags --datasets 1000000 --n-groups 1:41 --totals 0:40
    """
    if format is PartFormat.PARQUET and find_spec("pyarrow") is None:
        raise missing_extra("pyarrow", "report")
    options.check_log(log)
    options.check_folder(folder, "FOLDER")
    n_groups = options.of_renamed(n_groups, "--n-groups", groups, "--groups") or "21"
    totals, alpha = totals or "20", alpha or "exponential:1"
    model = HierarchicalModel(categories, alpha=parse_alpha(alpha), beta=parse_beta(beta or "1"))
    settings: dict[str, Any] = {
        "n_groups": options.span(n_groups, "--n-groups"),
        "totals": options.span(totals, "--totals"),
        "rng": seed,
        "theta": False,
        "log_theta": theta,
        "dtype": np.int32,
    }
    draw(model, 0, **settings)  # errors are raised before anything is written
    manifest = {
        "datasets": datasets,
        "categories": categories,
        "groups": n_groups,
        "totals": totals,
        "alpha": alpha,
        "beta": _concentration(beta or "1"),
        "seed": seed,
        "first": first,
        "part": part,
        "format": format.value,
        "theta": theta,
        "stream_version": STREAM_VERSION,
    }
    _open(folder, manifest, resume=resume)
    n_parts = -(-datasets // part)
    done = made = 0
    try:
        with progress("simulate", datasets, "datasets", shown=not quiet, log=log) as update:
            start = time.monotonic()

            def show(n: int) -> None:
                speed = made / max(time.monotonic() - start, 1e-9)
                update(done + n, f"{speed:,.0f} datasets/s" if made else "", {"datasets_per_second": speed})

            for index in range(n_parts):
                target = folder / f"part-{index:06d}.{format.value}"
                n = min(part, datasets - index * part)
                if target.exists():
                    _check_part(target)
                else:
                    slices = []
                    for begin in range(0, n, step := min(n, -(-datasets // 10))):
                        size = min(step, n - begin)
                        slices.append(draw(model, size, **settings, first=first + index * part + begin))
                        made += size
                        if begin + size < n:
                            show(begin + size)
                    write = write_parquet if format is PartFormat.PARQUET else write_npz
                    write(target, _joined(slices))
                show(n)
                done += n
    except KeyboardInterrupt:
        raise interrupted(
            f"{done} of {datasets} datasets are in {folder}, in whole files",
            command_line("--resume", without=["--resume"]),
        ) from None
    if as_json:
        options.print_json({"folder": str(folder), "parts": n_parts, **manifest})
    elif not quiet:
        typer.echo(f"{datasets} datasets in {n_parts} parts: {folder}")


def _open(folder: Path, manifest: dict[str, Any], *, resume: bool) -> None:
    """Make a new folder with its manifest, or, to resume, check that its manifest is of the same datasets."""
    file = folder / MANIFEST
    if resume and file.exists():
        found = _manifest(file)
        differing = [name for name in manifest if found.get(name) != manifest[name]]
        if differing:
            name = differing[0]
            raise ValueError(
                f"--resume: {str(folder)!r} was begun with {name} {found.get(name)!r}, not {manifest[name]!r}"
            )
        return
    # a run that was killed may have left a hidden file and no manifest
    if folder.exists() and (not folder.is_dir() or any(not file.name.startswith(".") for file in folder.iterdir())):
        hint = "choose another folder" if resume else "choose another folder, or go on with --resume"
        raise ValueError(f"{str(folder)!r} exists and is not empty: {hint}")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(file, manifest)


def _manifest(file: Path) -> dict[str, Any]:
    content = file.read_bytes()
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        found = error
    if not isinstance(found, dict):
        what = f"damaged ({found})" if isinstance(found, Exception) else f"no object but {str(found)[:40]!r}"
        raise ValueError(
            f"--resume: {str(file)!r}, which describes the content of the folder, is {what}; choose another folder, or "
            "empty this one to begin anew"
        )
    return found


def _check_part(target: Path) -> None:
    """Raise for a part that was damaged since it was written, which --resume must not count as done."""
    try:
        if target.suffix == ".npz":
            npz.read(target)
        else:
            from pyarrow import ArrowException, parquet

            try:
                with parquet.ParquetFile(target, page_checksum_verification=True) as file:
                    for _ in file.iter_batches():
                        pass
            except (ArrowException, OSError) as error:
                raise ValueError(f"{target}: {error}") from error
    except ValueError as error:
        raise ValueError(f"--resume: {error}; delete the file, and it is simulated again") from error


def _concentration(beta: str) -> float | str:
    """What the manifest has of --beta, a number where it is one."""
    try:
        return float(beta)
    except ValueError:
        return beta


def _joined(slices: list[Simulation]) -> Simulation:
    """The datasets of all slices, which follow each other."""
    if len(slices) == 1:
        return slices[0]
    names = ("alpha", "log_alpha", "beta", "log_beta", "log_theta", "counts", "n_groups")
    columns = {name: [getattr(one, name) for one in slices] for name in names}
    joined: dict[str, Any] = {name: None if c[0] is None else np.concatenate(c) for name, c in columns.items()}
    return replace(slices[0], **joined)


def write_npz(target: Path, sims: Simulation) -> None:
    arrays: dict[str, Any] = {
        "first": np.int64(sims.first),
        "key": sims.key,
        "log_alpha": sims.log_alpha,
        "log_beta": sims.log_beta,
        "n_groups": sims.n_groups,
        "counts": sims.counts,
    }
    if sims.log_theta is not None:
        arrays["log_theta"] = sims.log_theta
    npz.write(target, arrays)


def write_parquet(target: Path, sims: Simulation) -> None:
    """One row a group: dataset, group, log_alpha, log_beta_k, count_k, and log_theta_k where wanted."""
    import pyarrow
    from pyarrow import parquet

    counts = sims.counts
    if counts is None:
        raise ValueError("a table needs the counts")
    real = np.arange(counts.shape[1]) < sims.n_groups[:, None]
    dataset, group = np.nonzero(real)
    columns: dict[str, Any] = {
        "dataset": dataset + sims.first,
        "group": group.astype(np.int32),
        "log_alpha": sims.log_alpha[dataset],
    }
    tables = {"log_beta": sims.log_beta[dataset], "count": counts[real]}
    if sims.log_theta is not None:
        tables["log_theta"] = sims.log_theta[real]
    for name, table in tables.items():
        for k in range(table.shape[1]):
            columns[f"{name}_{k}"] = np.ascontiguousarray(table[:, k])
    with replacing(target) as unfinished:
        parquet.write_table(pyarrow.table(columns), unfinished, compression="zstd", write_page_checksum=True)
