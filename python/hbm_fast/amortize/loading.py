"""load: a network from a file, or one that comes with hbm_fast."""

from pathlib import Path
from typing import Any

from hbm_fast import models
from hbm_fast.amortize.any_k import AnyK
from hbm_fast.amortize.bottom_up import BottomUp
from hbm_fast.amortize.estimator import Estimator
from hbm_fast.amortize.top_down import TopDown
from hbm_fast.nn import checkpoint

# The factorisations by name: how a checkpoint finds its class.
NETWORKS: dict[str, Any] = {"top-down": TopDown, "bottom-up": BottomUp, "any-k": AnyK}


def load(path: str | Path) -> Estimator:
    """A network from a file, or one of those that come with hbm_fast: "marbles", "marbles-bottom-up", "any-k".

    Raises
    ------
    FileNotFoundError, ValueError
        Where there is no such network, or the file is damaged, holds something else or was written by a later version.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> net = hbm.amortize.load("marbles")
    >>> net.totals
    (0, 50)
    """
    tensors, header = checkpoint.read(checkpoint.locate(path))
    if header.get("kind") == "embedding":
        raise ValueError(f"{path} holds an embedding: hbm_fast.embedding.load reads it")
    factorization, settings = header["factorization"], header["settings"]
    if factorization not in NETWORKS:
        raise ValueError(f"{path} holds a {factorization!r:.40} network, which this version does not know")
    model = None if header["model"] is None else models.from_dict(header["model"])
    network, state = checkpoint.restore(
        path, lambda: NETWORKS[factorization](model, header["totals"][1], **settings), tensors, header
    )
    return Estimator(
        network,
        model,
        factorization,
        settings,
        (header["n_groups"][0], header["n_groups"][1]),
        (header["totals"][0], header["totals"][1]),
        header["training"],
        header["figures"],
        state,
    )
