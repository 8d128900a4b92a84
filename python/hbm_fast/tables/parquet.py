"""The columns of Parquet files."""

from pathlib import Path

from hbm_fast._optional import import_optional
from hbm_fast.tables.columns import CHUNK, MANY_CELLS, Column, Columns


def read(path: Path) -> Columns:
    """The columns of a Parquet file; the index of pandas, wherever it stands, comes first."""
    pyarrow, parquet = import_optional("pyarrow", "report"), import_optional("pyarrow.parquet", "report")
    size = path.stat().st_size
    with path.open("rb"):  # raises the error of the system, such as for a folder of that name
        pass
    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as stored:
            n_rows, n_columns = stored.metadata.num_rows, stored.metadata.num_columns
            if n_rows * n_columns > max(MANY_CELLS, 1000 * size):
                raise ValueError(f"it states {n_rows} rows of {n_columns} columns, and has {size} bytes")
            batches = list(stored.iter_batches(CHUNK))  # by batches for Ctrl-C
            table = pyarrow.Table.from_batches(batches, stored.schema_arrow)
            table.validate(full=True)
        arrays = {name: column.to_numpy() for name, column in zip(table.column_names, table.columns, strict=True)}
        pandas = (table.schema.pandas_metadata or {}).get("index_columns", [])
        index = [name for name in pandas if isinstance(name, str) and name in arrays]
    except (
        pyarrow.ArrowException,
        OSError,
        ValueError,
        TypeError,
        LookupError,
        OverflowError,
        AttributeError,
    ) as error:
        raise ValueError(f"{path}: not a readable Parquet file, or damaged ({error})") from error
    if len(arrays) < n_columns:
        raise ValueError(f"{path}: two columns have one name")
    if len(index) > 1:
        raise ValueError(f"{path}: the index has {len(index)} columns, {index}; write it with one")
    unnamed = [name for name in index if name.startswith("__index_level_") and arrays[name].dtype.kind in "iu"]
    names = index + [name for name in table.column_names if name not in index]
    lines = range(1, table.num_rows + 1)
    columns = [Column(name, arrays[name], lines, str(path), "row") for name in names if name not in unnamed]
    return Columns(str(path), columns, indexed=len(index) > len(unnamed))
