"""Whether the rows of a wide table are groups or categories."""

import re
from collections.abc import Sequence

from hbm_fast.tables.columns import Column, names_categories, names_groups

_LINEAGES = ("taxonomy", "consensus lineage", "consensuslineage", "lineage", "taxon")
# Names that programs give to categories: OTUs and ASVs with a number, ranks of a lineage, genes of Ensembl, hashes.
_CATEGORY_NAME = re.compile(
    r"(z?otu|asv|denovo)[ _.-]?\d+|[dkpcofgs]__.*|ENS[A-Z]*[GT]\d{6}.*|[0-9a-f]{32}", re.IGNORECASE
)
_WIDE = 50  # categories, from which on a table of unknown orientation gets a warning


def lineage(columns: Sequence[Column]) -> Column | None:
    """The column with the lineage of the category in each row, such as BIOM's taxonomy: text, and not the first."""
    for column in columns[1:]:
        if column.name.strip().lower() in _LINEAGES and column.is_text():
            return column
    return None


def rows_are_categories(header: str | None, rows: Sequence[str], columns: Sequence[str]) -> bool | None:
    """By the header of the column of names, else by the names themselves; None where neither tells."""
    if header is not None and names_categories(header):
        return True
    if header is not None and names_groups(header):
        return False
    for names, answer in ((rows, True), (columns, False)):
        if 2 * sum(_CATEGORY_NAME.fullmatch(name) is not None for name in names) > len(names):
            return answer
    return None


def is_doubtful(n_rows: int, n_columns: int) -> bool:
    """Whether a table of unknown orientation has so many columns that they may be the groups."""
    return n_rows > 1 and n_columns >= _WIDE and 2 * n_columns > 3 * n_rows
