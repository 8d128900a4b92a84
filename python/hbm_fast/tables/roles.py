"""The roles of the columns of a table, by their headers and types: the same for files, long forms and data frames."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Header(Protocol):
    """A column: its name, and whether it holds text."""

    @property
    def name(self) -> str: ...

    def is_text(self) -> bool: ...


C = TypeVar("C", bound=Header)

LONG = ("group", "category", "count")
_WEIGHTS = ("weight", "weights", "frequency", "freq")
_COUNTS = ("count", "counts", "n", "reads", "abundance", "number", "value", "frequency", "freq")
_LINEAGES = ("taxonomy", "consensus lineage", "consensuslineage", "lineage", "taxon")

_ID = r"([ _.-]?(id|name|label)s?)"
_GROUP = r"group|sample|bag|subject|participant|patient|individual|donor|cell|barcode|document|speaker|person|child"
_CATEGORY = r"z?otu|asv|taxon|taxa|taxonomy|lineage|feature|gene|transcript|category|categorie"
_GROUP_WORD = re.compile(rf"#?\s*({_GROUP})s?{_ID}?", re.IGNORECASE)
_CATEGORY_WORD = re.compile(rf"#?\s*({_CATEGORY})s?{_ID}?", re.IGNORECASE)
# Numbers headed person, child or by a plural, such as genes, are as often counts, unless the header ends in "id".
_ID_WORD = re.compile(
    rf"({_GROUP}|{_CATEGORY})s?{_ID}|(?!(person|child)$)({_GROUP}|{_CATEGORY})|groups|samples|"
    r"#.*|name|id|index|unnamed: \d+|",
    re.IGNORECASE,
)
# Names that programs give to categories: OTUs and ASVs with a number, ranks of a lineage, genes of Ensembl, hashes.
_CATEGORY_NAME = re.compile(
    r"(z?otu|asv|denovo)[ _.-]?\d+|[dkpcofgs]__.*|ENS[A-Z]*[GT]\d{6}.*|[0-9a-f]{32}", re.IGNORECASE
)
_WIDE = 50  # categories, from which on a table of unknown orientation gets a warning


@dataclass(frozen=True)
class Long(Generic[C]):
    """The columns of a long form, and whether their headers show which are the groups and which the categories."""

    group: C
    category: C
    count: C
    certain: bool = True


@dataclass(frozen=True)
class Wide(Generic[C]):
    """The columns of a wide form; ``counts`` are those that are left."""

    names: C | None
    weights: C | None
    lineage: C | None
    counts: list[C]


def names_groups(header: str) -> bool:
    """Whether the header of a column says that it names groups."""
    return _GROUP_WORD.fullmatch(header.strip()) is not None


def names_categories(header: str) -> bool:
    """Whether the header of a column says that it names categories."""
    return _CATEGORY_WORD.fullmatch(header.strip()) is not None


def names_rows(header: str) -> bool:
    """Whether a column of this header holds names even where they are numbers."""
    return _ID_WORD.fullmatch(header.strip()) is not None


def is_long(columns: Sequence[Header], named: bool = True) -> bool:
    """Whether the columns are group, category and count, and cannot be those of a wide table."""
    form = long_form(columns) if named else None
    if form is None:
        return False
    if not form.certain:
        return not (names_categories(form.group.name) and names_categories(form.category.name))  # names and a lineage
    names = (form.group, form.category)
    headed = names_groups(form.group.name) + names_categories(form.category.name) + (_key(form.count) in _COUNTS)
    if headed < 2 and not all(column.is_text() for column in names):
        return False
    return any(column.is_text() or names_rows(column.name) for column in names if column is not columns[0])


def long_form(columns: Sequence[C], named: bool = True) -> Long[C] | None:
    """The columns of groups, categories and counts; None where neither headers nor types show them."""
    if not named:
        return Long(columns[0], columns[1], columns[2]) if len(columns) == 3 else None
    by_name = {_key(column): column for column in columns}
    if all(name in by_name for name in LONG):
        return Long(by_name["group"], by_name["category"], by_name["count"])
    groups = [column for column in columns if names_groups(column.name)]
    categories = [column for column in columns if names_categories(column.name)]
    counts = [column for column in columns if _key(column) in _COUNTS]
    if len(groups) == len(categories) == len(counts) == 1:
        return Long(groups[0], categories[0], counts[0])
    numbers = [column for column in columns if not column.is_text()] if len(columns) == 3 else []
    if not numbers:
        return None
    unnamed = [column for column in numbers if column not in (*groups, *categories)]
    count = ([column for column in counts if column in numbers] or unnamed or numbers)[-1]
    one, other = (column for column in columns if column is not count)
    for group, category in ((one, other), (other, one)):
        if names_groups(group.name) and not names_groups(category.name):
            certain = category.is_text() or names_categories(category.name)
        else:
            certain = names_categories(category.name) and not names_categories(group.name)
        if certain:
            return Long(group, category, count)
    return Long(one, other, count, certain=False) if one.is_text() and other.is_text() else None


def wide_form(
    columns: Sequence[C], *, named: bool = True, indexed: bool = False, weighted: bool | None = None
) -> Wide[C]:
    """The roles of the columns of a wide table.

    The first column is the names of the rows where it is an index, text, or headed as names. ``weighted``: whether a
    column is the weights of the rows, headed so or else the last; None where the headers decide.
    """
    left = list(columns)
    headed = [column for column in columns if named and _key(column) in _WEIGHTS and not column.is_text()]
    weights = None
    if weighted or (weighted is None and headed):
        if len(headed) > 1:
            raise ValueError(f"more than one column of weights: {[column.name for column in headed]}")
        weights = headed[0] if headed else left[-1]
        left.remove(weights)
    names = None
    if left and (indexed or (named and names_rows(left[0].name)) or left[0].is_text()):
        names = left.pop(0)
    lineages = (column for column in left if _key(column) in _LINEAGES and column.is_text())
    return Wide(names, weights, next(lineages, None), left)


def may_be_names(columns: Sequence[C]) -> list[C]:
    """Columns of counts whose headers are those of names or of the counts of a long form."""
    return [c for c in columns if names_rows(c.name) or _key(c) in ("person", "child", *_COUNTS)]


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


def _key(column: Header) -> str:
    return column.name.strip().lower()
