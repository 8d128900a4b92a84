"""AnnData files."""

from pathlib import Path

import numpy as np

from hbm_fast import _validate
from hbm_fast._optional import import_optional
from hbm_fast.tables import hdf5, inputs, names
from hbm_fast.tables.table import CountTable


def read(path: Path, layer: str | None, labels: str | None) -> CountTable:
    """Observations as groups, variables as categories; ``labels`` is a column of ``obs``."""
    with hdf5.opened(path, "AnnData"):  # compares the sizes that its headers state with that of the file
        anndata = import_optional("anndata", "tables")  # takes seconds: after the checks
        data = anndata.read_h5ad(path)
        if layer is not None and layer not in data.layers:
            known = ", ".join(map(repr, data.layers)) or "none"
            raise ValueError(f"{path}: layer must be one of the layers of the file, {known}; got {layer!r}")
        given = inputs.as_counts(data, name=f"{path}: counts", layer=layer)
        if labels is not None and labels not in data.obs:
            known = ", ".join(map(repr, data.obs)) or "none"
            raise ValueError(f"{path}: labels must name a column of obs; got {labels!r}, and there are {known}")
        found = None if labels is None else tuple(names.texts(data.obs[labels]))
        if found is not None and "" in found:
            group = (given.group_names or ())[found.index("")]
            raise ValueError(f"{path}: labels: group {group!r} has none in column {labels!r} of obs")
        counts = _validate.counts(given.dense(), name=f"{path}: counts").astype(np.int64, copy=False)
    if not len(counts) or counts.shape[1] < 2:
        raise ValueError(f"{path}: a table needs a group and two categories; counts has shape {counts.shape}")
    return CountTable(counts, given.category_names, given.group_names, labels=found)
