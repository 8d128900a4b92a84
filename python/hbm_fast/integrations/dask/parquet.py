"""A block of simulated datasets as one Parquet file."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from hbm_fast._files import replacing
from hbm_fast._optional import import_optional
from hbm_fast.simulation import Simulation


def pyarrow() -> Any:
    """pyarrow with its Parquet module; an error names the extra."""
    import_optional("pyarrow.parquet", "report")
    return import_optional("pyarrow", "report")


def write(draw: Callable[[], Simulation], address: str, path: str) -> str:
    """Write the datasets that ``draw`` returns, if the file does not exist.

    FileExistsError for a file of another address, ValueError for a damaged one.
    """
    pa = pyarrow()
    metadata = {"hbm_fast": address.encode()}
    if os.path.exists(path):
        try:
            found = pa.parquet.read_schema(path).metadata or {}
        except pa.ArrowException as error:
            raise ValueError(f"{path}: not a Parquet file, or damaged ({error}); delete it to write it anew") from error
        if found.get(b"hbm_fast") == metadata["hbm_fast"]:
            return path
        raise FileExistsError(f"{path} exists and holds other datasets: choose another folder")
    block = draw()
    assert block.counts is not None
    rows, groups = np.nonzero(np.arange(block.counts.shape[1]) < block.n_groups[:, None])
    columns = {"dataset": block.first + rows, "group": groups, "alpha": block.alpha[rows]}
    columns |= {f"beta_{k}": block.beta[rows, k] for k in range(block.beta.shape[1])}
    columns |= {f"count_{k}": block.counts[rows, groups, k] for k in range(block.beta.shape[1])}
    table = pa.table({name: pa.array(column) for name, column in columns.items()})
    # readers of the folder ignore names with a leading dot, such as the unfinished file of a killed worker
    with replacing(path) as unfinished:
        pa.parquet.write_table(table.replace_schema_metadata(metadata), unfinished, write_page_checksum=True)
    return path
