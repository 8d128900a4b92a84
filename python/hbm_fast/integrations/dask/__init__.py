"""Simulation, sampling, fits and sufficient statistics on a dask cluster, with the results of one machine.

Random bits are a function of a key and the index or the name of a dataset, so that the draws do not depend on the
cluster, the chunks or recomputed blocks.
"""

from hbm_fast._optional import missing_extra

try:
    import dask.array
    import dask.bag  # noqa: F401
except ImportError as error:
    raise missing_extra("dask", "dask") from error

from hbm_fast.integrations.dask.datasets import (
    Outcome,
    dataset_key,
    datasets_from_frame,
    fit,
    fit_many,
    map_datasets,
    sample,
)
from hbm_fast.integrations.dask.simulation import DaskSimulation, simulate
from hbm_fast.integrations.dask.statistics import statistics

__all__ = [
    "DaskSimulation",
    "Outcome",
    "dataset_key",
    "datasets_from_frame",
    "fit",
    "fit_many",
    "map_datasets",
    "sample",
    "simulate",
    "statistics",
]
