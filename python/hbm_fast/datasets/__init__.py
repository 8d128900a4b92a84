"""Small real count tables and their sources; the tests reproduce a published result of each."""

from hbm_fast.datasets._dataset import Dataset
from hbm_fast.datasets._loaders import load_marbles, load_pollen, load_rat_tumors, load_saxony_families, load_twins

__all__ = ["Dataset", "load_marbles", "load_pollen", "load_rat_tumors", "load_saxony_families", "load_twins"]
