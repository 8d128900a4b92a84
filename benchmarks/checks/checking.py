"""What the checks share: options and files of records, CPU seconds, uniform ranks, and methods with one posterior."""

import argparse
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chisquare

from hbm_fast.benchmark.records import Record, measured_here
from hbm_fast.posterior import diagnostics


def parser(documentation: str | None) -> argparse.ArgumentParser:
    """The command line of a check, with ``--out``."""
    result = argparse.ArgumentParser(description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--out", type=Path, help="the JSON file of the records; without it they are only printed")
    return result


def write(
    out: Path | None, title: str, records: list[Record], notes: Sequence[str] = (), packages: Iterable[str] = ()
) -> None:
    """The records of a check, where ``--out`` names a file."""
    if out is not None:
        measured_here(title, records, packages, notes).write(out)


def timed(function: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[Any, float]:
    """What a call returns, and its CPU seconds."""
    start = time.process_time()
    result = function(*arguments, **options)
    return result, time.process_time() - start


def uniform_p(ranks: NDArray[np.int64], n_ranks: int, n_bins: int = 20) -> float:
    """p-value of the chi-squared test that ranks are uniform on 0, ..., n_ranks - 1."""
    edges = np.linspace(0, n_ranks, n_bins + 1).round().astype(int)
    observed = np.histogram(ranks, edges - 0.5)[0]
    return float(chisquare(observed, np.diff(edges) / n_ranks * len(ranks)).pvalue)


def side_by_side(methods: Mapping[str, Callable[[], NDArray[np.float64]]]) -> dict[str, dict[str, Any]]:
    """Means, effective draws and CPU seconds of each method, and z of its means against those of the first.

    A method returns draws (chains, draws, parameters).
    """
    found: dict[str, dict[str, Any]] = {}
    for name, method in methods.items():
        draws, seconds = timed(method)
        _, ess = diagnostics.convergence(draws)
        values = draws.reshape(-1, draws.shape[-1])
        own = {"mean": values.mean(axis=0), "error": values.std(axis=0) / np.sqrt(ess), "ess": ess, "seconds": seconds}
        first = next(iter(found.values()), own)
        found[name] = {**own, "z": (own["mean"] - first["mean"]) / np.hypot(own["error"], first["error"])}
    return found
