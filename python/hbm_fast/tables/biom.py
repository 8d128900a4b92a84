"""BIOM 2.1 tables (HDF5, https://biom-format.org/documentation/format_versions/biom-2.1.html)."""

from pathlib import Path

import numpy as np

from hbm_fast import _validate
from hbm_fast.tables import hdf5
from hbm_fast.tables.columns import MANY_CELLS
from hbm_fast.tables.names import distinct
from hbm_fast.tables.table import CountTable


def read(path: Path) -> CountTable:
    """Samples as groups, observations as categories: the transpose of the file, whose rows are observations."""
    with hdf5.opened(path, "BIOM") as stored:
        samples = distinct(hdf5.texts(stored["sample/ids"]), f"{path}: two samples are named")
        observations = distinct(hdf5.texts(stored["observation/ids"]), f"{path}: two observations are named")
        data, columns, offsets = (hdf5.array(stored[f"sample/matrix/{name}"]) for name in ("data", "indices", "indptr"))
    n_groups, n_categories = len(samples), len(observations)
    lengths = np.diff(offsets)
    if len(offsets) != n_groups + 1 or offsets[0] != 0 or offsets[-1] != len(data) or (lengths < 0).any():
        raise ValueError(f"{path}: damaged: sample/matrix/indptr does not divide the counts into {n_groups} rows")
    if len(columns) != len(data) or (len(data) and not 0 <= columns.min() <= columns.max() < n_categories):
        raise ValueError(f"{path}: damaged: sample/matrix/indices must be {len(data)} numbers below {n_categories}")
    if not n_groups or n_categories < 2:
        raise ValueError(f"{path}: a table needs a sample and two observations; found {n_groups} and {n_categories}")
    if n_groups * n_categories > max(MANY_CELLS, 1000 * len(data)):
        raise ValueError(f"{path}: {n_groups} x {n_categories} counts, of which nearly all would be 0")
    rows = np.repeat(np.arange(n_groups), lengths)
    if len(np.unique(rows * n_categories + columns)) < len(data):
        raise ValueError(f"{path}: damaged: sample/matrix has a cell twice")

    def place(index: tuple[int, ...]) -> str:
        return _validate.cell((int(rows[index[0]]), int(columns[index[0]])), samples, observations)

    data = _validate.count_array(data, f"{path}: counts", place)
    _validate.count_values(data[:, np.newaxis], f"{path}: counts")
    counts = np.zeros((n_groups, n_categories), np.int64)
    counts[rows, columns] = data
    return CountTable(counts, observations, samples, transposed=True)
