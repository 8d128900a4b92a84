"""Past one machine: the same streams and the same answers on a dask cluster.

Every random bit belongs to an address (a key and the number or the name of a dataset), so that no cluster, no chunking
and no recomputed block changes a draw.
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
    "map_datasets",
    "sample",
    "simulate",
    "statistics",
]
