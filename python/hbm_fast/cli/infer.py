"""`hbm-fast infer`: the posterior of a table of counts, by a trained network."""

import json
from typing import Annotated

import numpy as np
import typer

from hbm_fast.cli import _files
from hbm_fast.tables import read_counts


def infer(
    data: _files.Data,
    network: Annotated[str, typer.Option(help="marbles, marbles-bottom-up, any-k, or a file.")] = "any-k",
    layout: _files.FormatOption = _files.Format.AUTO,
    draws: Annotated[int, typer.Option(help="Number of draws.", min=1)] = 4000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same draws.", min=0)] = 0,
    raw: Annotated[bool, typer.Option("--raw", help="The network's own draws, uncorrected.")] = False,
    as_json: _files.AsJson = False,
) -> None:
    """Infer (alpha, beta) with a network, corrected against the exact likelihood.

    Example: hbm-fast infer counts.csv --network marbles
    """
    table = read_counts(data, layout=layout.value)
    from hbm_fast import amortize

    counts = table.counts
    if table.weights is not None:  # a row that was seen w times is w groups
        counts = np.repeat(counts, table.weights, axis=0)
    post = amortize.load(network).sample(counts, n_draws=draws, rng=seed, correct=False if raw else "auto")
    facts = {
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
        print(json.dumps(_files.finite(facts), ensure_ascii=False))
        return
    print(post.summary())
    how = {
        "network": "the network's own draws",
        "importance": f"the network's draws, weighted: {facts['ess_share']:.1%} of them are effective"
        if not raw
        else "",
        "sampler": f"the exact sampler, as {facts['reason']}",
    }[str(post.details["path"])]
    print(f"{data.name}: {how}")
