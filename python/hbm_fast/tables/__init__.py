"""Count tables: counts from arrays, data frames and files, with the names of their groups and categories."""

from hbm_fast.tables.inputs import align, as_counts, as_datasets
from hbm_fast.tables.labels import read_labels
from hbm_fast.tables.lists import from_lists
from hbm_fast.tables.named_counts import NamedCounts
from hbm_fast.tables.reading import read_counts
from hbm_fast.tables.table import CountTable

__all__ = ["CountTable", "NamedCounts", "align", "as_counts", "as_datasets", "from_lists", "read_counts", "read_labels"]
