"""Small real count tables, utterances of languages, and their sources; the tests reproduce a published result of each
table.
"""

from hbm_fast.datasets import text
from hbm_fast.datasets._dataset import Dataset
from hbm_fast.datasets._loaders import load_marbles, load_pollen, load_rat_tumors, load_saxony_families, load_twins
from hbm_fast.datasets.languages import Languages, load_languages

__all__ = [
    "Dataset",
    "Languages",
    "load_languages",
    "load_marbles",
    "load_pollen",
    "load_rat_tumors",
    "load_saxony_families",
    "load_twins",
    "text",
]
