"""from_lists: counts of words."""

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from hbm_fast import _validate
from hbm_fast.tables.table import CountTable

Words = Iterable[str] | Mapping[str, int]


def from_lists(groups: Mapping[str, Words] | Iterable[Words]) -> CountTable:
    """Count the words of each group, so that observations need not be counted by hand.

    Parameters
    ----------
    groups : list of lists of str, or a mapping from a name to one
        One list of category words for each group; the names of a mapping name the groups. A mapping from words to
        counts may stand for a list.

    Returns
    -------
    CountTable
        Categories in the order in which they occur first.

    Raises
    ------
    TypeError, ValueError
        For a string in place of a list, words that are no strings, and counts that are not whole numbers.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> table = hbm.tables.from_lists({"bag 1": ["blue", "blue", "red"], "bag 2": {"red": 4}})
    >>> table.category_names, table.group_names, table.counts.tolist()
    (('blue', 'red'), ('bag 1', 'bag 2'), [[2, 1], [0, 4]])
    """
    names = tuple(map(str, groups)) if isinstance(groups, Mapping) else None
    given = list(groups.values() if isinstance(groups, Mapping) else groups)
    for i, words in enumerate(given):
        if isinstance(words, str | bytes) or not isinstance(words, Iterable):
            raise TypeError(f"groups must hold one list of words for each group; got {words!r} at index {i}")
    counted = [words if isinstance(words, Mapping) else Counter(words) for words in given]
    categories = {word: k for k, word in enumerate(dict.fromkeys(word for words in counted for word in words))}
    if not categories:
        raise ValueError("groups must hold at least one word")
    for word in categories:
        if not isinstance(word, str):
            raise TypeError(f"groups must hold words; got {word!r} ({type(word).__name__})")
    counts = np.zeros((len(counted), len(categories)), np.int64)
    for row, (n, words) in zip(counts, enumerate(counted), strict=True):
        for word, count in words.items():
            row[categories[word]] = _validate.positive_int(
                count, f"the count of {word!r} in group {n}", minimum=0, maximum=_validate.MAX_COUNT
            )
    return CountTable(counts, tuple(categories), names)
