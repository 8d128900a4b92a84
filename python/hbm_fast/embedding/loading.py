"""load: an embedding of either kind from a file."""

from pathlib import Path
from typing import Any

from hbm_fast import _validate
from hbm_fast.embedding.dataset_estimator import DatasetEmbedding
from hbm_fast.embedding.estimator import Embedding
from hbm_fast.nn import checkpoint


@_validate.suggests_keywords
def load(path: str | Path) -> Any:
    """Read an embedding from a file, or one that comes with hbm_fast.

    "marbles" (link exp) and "marbles-exp-plus-one" (the link of Le, 2020) have two categories and a two-dimensional z;
    "languages" is a `DatasetEmbedding` of the letter chains of 231 written languages of `hbm_fast.datasets`.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    Embedding or DatasetEmbedding

    Raises
    ------
    FileNotFoundError, ValueError
        Where there is no such file, or it is damaged, holds something else or was written by a later version.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> hbm.embedding.load("marbles").dim
    2
    """
    _, header = checkpoint.read(Embedding.locate(path))
    kind = DatasetEmbedding if header["settings"].get("shared") == "dataset" else Embedding
    return kind.load(path)
