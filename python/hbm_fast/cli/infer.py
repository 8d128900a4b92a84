"""`hbm-fast infer`: the posterior of a table of counts, by a trained network."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from hbm_fast.cli import options
from hbm_fast.tables import CountTable, read_counts

_MANY_COUNTS = 2**27  # 1 GiB


def infer(
    data: options.Data,
    network: Annotated[str, typer.Option(help="marbles, marbles-bottom-up, any-k, or a file.")] = "any-k",
    layout: options.FormatOption = options.Format.AUTO,
    draws: Annotated[int, typer.Option(help="Number of draws.", min=1)] = 4000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same draws.", min=0)] = 0,
    raw: Annotated[bool, typer.Option("--raw", help="The network's own draws, uncorrected.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Infer (alpha, beta) with a network, corrected against the exact likelihood.

    Example: hbm-fast infer counts.csv --network marbles
    """
    table = read_counts(data, layout=layout.value)
    from hbm_fast import amortize

    post = amortize.load(network).sample(_rows(table, data), n_draws=draws, rng=seed, correct=False if raw else "auto")
    result = {
        "data": data.name,
        "network": network,
        "path": str(post.details["path"]),
        "reason": str(post.details["reason"]),
        "ess_share": None if raw else float(post.details["ess_share"]),
        "log_evidence": post.log_evidence,
        "log_alpha": {"mean": float(post.mean("log_alpha")), "sd": float(post.sd("log_alpha"))},
        "beta": {"mean": post.mean("beta").tolist(), "sd": post.sd("beta").tolist()},
    }
    if as_json:
        options.print_json(result)
        return
    print(post.summary())
    how = {
        "network": "the network's own draws",
        "importance": f"the network's draws, weighted: {result['ess_share']:.1%} of them are effective"
        if not raw
        else "",
        "sampler": f"the exact sampler, as {result['reason']}",
    }[str(post.details["path"])]
    print(f"{data.name}: {how}")


def _rows(table: CountTable, data: Path) -> NDArray[np.int64]:
    """A row for every group, which networks need: a row of weight w is w groups."""
    if table.weights is None:
        return table.counts
    n_groups = sum(table.weights.tolist())  # of Python's integers, which do not overflow
    if n_groups * table.counts.shape[1] > _MANY_COUNTS:
        raise ValueError(
            f"{data}: the weights add up to {n_groups} groups, which a network takes one by one: more than "
            f"{_MANY_COUNTS} counts. Use hbm-fast sample, which takes weights as they are"
        )
    return np.repeat(table.counts, table.weights, axis=0)
