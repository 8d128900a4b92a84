"""read_labels: labels of groups from a table of metadata."""

import os
from collections.abc import Sequence
from pathlib import Path

from hbm_fast import _validate
from hbm_fast.tables import parquet, text


def read_labels(path: str | os.PathLike[str], column: str, group_names: Sequence[str] | None) -> tuple[str, ...]:
    """Read a label of each group from a table of metadata, joined by the names of the groups.

    Parameters
    ----------
    path : path-like
        A CSV, TSV or Parquet file with a row for each group; .gz and ``#`` comments as in `read_counts`.
    column : str
        The column of the labels.
    group_names : sequence of str
        Those of the table of counts. The column of the file in which most of them stand is the one that names its rows.

    Returns
    -------
    tuple of str (N,)
        For ``dataclasses.replace(table, labels=...)``.

    Raises
    ------
    ValueError
        For a column that there is not, groups without a label, and groups with several.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import hbm_fast as hbm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "people.csv"
    ...     _ = file.write_text("sample,age,pheno\\nb,30,Lean\\na,41,Obese\\n")
    ...     hbm.tables.read_labels(file, "pheno", ["a", "b"])
    ('Obese', 'Lean')
    """
    file = Path(path)
    if group_names is None:
        raise ValueError("group_names must be the names of the groups; got None: the table of counts has none")
    wanted = _validate.names(group_names, "group_names", len(group_names)) or ()
    content = parquet.read(file) if file.suffix.lower() == ".parquet" else text.read(file)
    labels = content.find(column, "column")
    others = [other for other in content.columns if other is not labels]
    if not others:
        raise ValueError(f"{file}: a column with the names of the groups is missing; found {column!r} alone")
    names = max((other.texts() for other in others), key=lambda texts: len(set(wanted).intersection(texts)))
    found: dict[str, str] = {}
    for index, (name, label) in enumerate(zip(names, labels.texts(), strict=True)):
        if found.setdefault(name, label) != label and name in wanted:
            raise ValueError(f"{labels.where(index)}: group {name!r} has the labels {found[name]!r} and {label!r}")
    missing = [name for name in wanted if not found.get(name)]
    if missing:
        shown = ", ".join(map(repr, missing[:5])) + (", ..." if len(missing) > 5 else "")
        raise ValueError(f"{file}, column {column!r}: {len(missing)} of {len(wanted)} groups have no label: {shown}")
    return tuple(found[name] for name in wanted)
