"""read_counts: count tables from files."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from hbm_fast import errors
from hbm_fast.tables import long, parquet, roles, text
from hbm_fast.tables.columns import Column, Columns
from hbm_fast.tables.names import distinct
from hbm_fast.tables.table import CountTable

Layout = Literal["auto", "wide", "long", "frequency"]
Transpose = bool | Literal["auto"]

_TEXT = (".csv", ".tsv", ".tab", ".txt")


def read_counts(
    path: str | os.PathLike[str],
    *,
    layout: Layout = "auto",
    transpose: Transpose = "auto",
    drop: Sequence[str] = (),
    labels: str | None = None,
    layer: str | None = None,
) -> CountTable:
    """Read a table of counts, as programs write it: no column needs to be renamed or taken out first.

    Parameters
    ----------
    path : path-like
        ``.csv``, ``.tsv``, ``.tab`` or ``.txt`` (separated by commas, semicolons or tabs, as the first line shows),
        with ``.gz`` behind it if compressed; ``"-"`` for such text from standard input; ``.parquet``; ``.h5ad``
        (AnnData); ``.biom`` (BIOM 2.1); ``.npz`` with an array ``counts`` (N, K) and, optionally, ``group_names``,
        ``category_names`` and ``weights``; ``.npy`` with the counts alone. In text a line that begins with ``#`` is a
        comment; one before the first row may be the header, as QIIME and BIOM write it.
    layout : {"auto", "wide", "long", "frequency"}
        ``"wide"``: one group a row, one category a column; a first column of names (text, or headed ``group``,
        ``sample``, ``subject``, ``taxon``, ``gene``, ``name``, ``... id``, nothing or the like), or the index of
        pandas, names the rows, by numbers too. ``"long"``: columns ``group``, ``category``, ``count`` or with such
        headers (``subject``, ``taxon``, ``reads``), or two columns of names and one of counts; a pair that is not
        listed has count 0. ``"frequency"``: wide, with a column ``weight`` or ``frequency``, the number of groups with
        the counts of the row. ``"auto"`` decides by the columns; ``"wide"`` counts a column ``weight`` too.
    transpose : {"auto", True, False}
        Whether the rows of a wide table are categories (in the long form: whether to exchange groups and categories).
        ``"auto"``: they are where the first column is headed ``#OTU ID``, ``taxon``, ``feature``, ``gene``, ``ASV``,
        ``category`` or the like, where most of its names are of such a kind (``OTU_12``, ``g__Bacteroides``), and in
        BIOM; the table is then transposed, and its ``transposed`` is True. A column ``taxonomy`` or ``lineage`` of such
        a table is left out.
    drop : sequence of str
        Columns to leave out.
    labels : str, optional
        The column with a label of each group, which becomes ``table.labels``; of AnnData a column of ``obs``.
    layer : str, optional
        The layer of AnnData that holds the counts; default ``X``.

    Returns
    -------
    CountTable

    Raises
    ------
    OSError
        If the file cannot be read.
    TypeError, ValueError
        For an unknown ending or layout, a damaged file, repeated or missing names and labels, and a bad cell: the
        message names the file, the line or row, and the column. Counts are whole numbers from 0 to 2**53 in the digits
        0 to 9; ``3.0`` and ``1e3`` are whole. A long table of more than 2**27 cells must list one in 1,000 of them;
        headers that state more than the file can hold are refused before memory is asked for. Of an npz file only the
        four arrays are unpacked, and compared with its member ``checksum`` where `hbm-fast simulate` wrote one. BIOM
        and AnnData files are read in a child process, which is ended after a minute and a second for each MB: some
        damaged ones would take for ever.
    ImportError
        For Parquet without pyarrow, BIOM without h5py, and AnnData without anndata.

    Warns
    -----
    UserWarning
        Where it cannot be known whether rows are groups or categories: the header is no word for either, and a table
        has many more columns than rows, or a long form has two columns of names. Where columns that are read as
        categories may be names (``patient id`` behind the first column, ``reads``), and where a long form leaves
        columns out. The message says what to pass.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import hbm_fast as hbm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "bags.csv"
    ...     _ = file.write_text("bag,white,black\\nfirst,3,1\\nsecond,0,4\\n")
    ...     table = hbm.tables.read_counts(file)
    >>> table.category_names, table.group_names, table.counts.tolist()
    (('white', 'black'), ('first', 'second'), [[3, 1], [0, 4]])
    """
    if layout not in ("auto", "wide", "long", "frequency"):
        raise ValueError(f"layout must be 'auto', 'wide', 'long' or 'frequency'; got {layout!r}")
    if transpose not in ("auto", True, False):
        raise ValueError(f"transpose must be 'auto', True or False; got {transpose!r}")
    if isinstance(drop, str):
        raise TypeError(f"drop must be a sequence of names, as in drop=[{drop!r}]; got a string")
    standard_input = isinstance(path, str) and path == "-"
    file = Path(path)
    ending = "".join(file.suffixes[-2:] if file.suffix.lower() == ".gz" else file.suffixes[-1:]).lower()
    if layer is not None and ending != ".h5ad":
        raise ValueError(f"{file}: layer is for .h5ad; got layer={layer!r}")
    if ending in (".npz", ".npy", ".biom", ".h5ad"):
        if drop or (labels is not None and ending != ".h5ad"):
            raise ValueError(f"{file}: drop and labels name columns of text and Parquet files")
        table = _of_arrays(file, ending, layer, labels)
        stored = table.transposed
        return table if transpose == "auto" or transpose == stored else _transposed(table, str(file), not stored)
    if standard_input or ending.removesuffix(".gz") in _TEXT:
        content = text.read(None if standard_input else file)
    elif ending == ".parquet":
        content = parquet.read(file)
    else:
        raise ValueError(
            f"{file}: the ending must be .csv, .tsv, .tab, .txt (or with .gz), .parquet, .h5ad, .biom, .npz or .npy; "
            f"got {ending!r}"
        )
    if labels is not None and labels in drop:
        raise ValueError(f"{content.file}: labels and drop both name column {labels!r}; name it in one of them")
    label_column = None if labels is None else content.find(labels, "labels")
    content = content.without(() if labels is None else [labels], "labels").without(drop, "drop")
    if not content.columns or not len(content.columns[0].cells):
        raise ValueError(f"{content.file}: no rows")
    if layout == "long" or (layout == "auto" and roles.is_long(content.columns, content.named)):
        return long.read(content, label_column, transpose, stated=layout == "long")
    return _wide(content, label_column, transpose, layout)


def _of_arrays(file: Path, ending: str, layer: str | None, labels: str | None) -> CountTable:
    """The table of a file that holds arrays; each format imports what it needs."""
    if ending == ".biom":
        from hbm_fast.tables import biom, child

        return child.read(biom.read, file)
    if ending == ".h5ad":
        from hbm_fast.tables import child, h5ad

        return child.read(h5ad.read, file, layer, labels)
    from hbm_fast.tables import arrays

    return arrays.read(file)


def _wide(content: Columns, labels: Column | None, transpose: Transpose, layout: Layout) -> CountTable:
    file, columns, weighted = content.file, content.columns, {"wide": False, "frequency": True}.get(layout)
    try:
        form = roles.wide_form(columns, named=content.named, indexed=content.indexed, weighted=weighted)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    rows = None if form.names is None else form.names.unique()
    weights = None if form.weights is None else form.weights.integers()
    known, columns = None, form.counts
    if weights is None:
        headers = [c.name for c in columns] if content.named else ()
        header = None if form.names is None else form.names.name
        known = roles.rows_are_categories(header, rows or (), headers)
        known = True if known is None and form.lineage is not None else known
    swap = bool(known) if transpose == "auto" else transpose
    if swap:
        columns = [c for c in columns if c is not form.lineage]
    if len(columns) < (1 if swap else 2):
        raise ValueError(f"{file}: a table needs two categories at least; found {[c.name for c in columns]}")
    names = distinct([c.name.strip() for c in columns], f"{file}: two columns are named") if content.named else None
    table = CountTable(np.column_stack([c.integers() for c in columns]), names, rows, weights)
    if layout == "auto" and content.named and not swap:
        _warn_of_names(file, columns)
    if labels is not None:
        if swap:
            raise ValueError(f"{labels.where(0)}: the rows are categories, and labels are of groups: use read_labels")
        table = replace(table, labels=tuple(labels.given("a label")))
    if transpose == "auto" and known is None and weights is None and roles.is_doubtful(*table.counts.shape):
        errors.warn(
            f"{file}: {table.counts.shape[0]} rows are read as groups and {table.counts.shape[1]} columns as "
            "categories. Pass transpose=False if that is right, transpose=True if the rows are categories",
            UserWarning,
        )
    return _transposed(table, file, True) if swap else table


def _warn_of_names(file: str, columns: list[Column]) -> None:
    names = [column.name for column in roles.may_be_names(columns)]
    if names:
        errors.warn(
            f"{file}: the counts of categories are read from {', '.join(map(repr, names))} too. Pass layout='wide' if "
            f"that is right, layout='long' for a row of each group and category; drop=[{names[0]!r}] leaves one out",
            UserWarning,
        )


def _transposed(table: CountTable, file: str, transposed: bool) -> CountTable:
    """The table with groups and categories exchanged."""
    if table.weights is not None or table.labels is not None:
        raise ValueError(f"{file}: weights and labels are of groups, so the rows cannot be categories: transpose=False")
    if len(table.counts) < 2:
        raise ValueError(f"{file}: a table needs two categories at least; found {list(table.group_names or ())}")
    counts = np.ascontiguousarray(table.counts.T)
    return CountTable(counts, table.group_names, table.category_names, transposed=transposed)
