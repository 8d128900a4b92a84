"""`hbm-fast train`: a network for a model of one's own."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from hbm_fast.cli import _files
from hbm_fast.cli._priors import parse_alpha
from hbm_fast.model import HierarchicalModel


def train(
    out: Annotated[Path, typer.Argument(help="Where to write the network (.safetensors).")],
    categories: Annotated[int, typer.Option(help="Number of categories.", min=2)] = 2,
    factorization: Annotated[str, typer.Option(help="top-down or bottom-up.")] = "top-down",
    minutes: Annotated[float | None, typer.Option(help="Train this long; default 5.")] = None,
    steps: Annotated[int | None, typer.Option(help="Train so many steps: the result repeats.", min=1)] = None,
    groups: Annotated[int, typer.Option(help="Datasets have up to so many groups.", min=1)] = 50,
    total: Annotated[int, typer.Option(help="Groups have totals up to this.", min=1)] = 50,
    alpha: Annotated[str, typer.Option(help="Prior of alpha, such as exponential:1, gamma:2,0.5.")] = "exponential:1",
    beta: Annotated[float, typer.Option(help="Concentration of the Dirichlet prior of the proportions.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed and steps give the same network.", min=0)] = 0,
    batch_size: Annotated[int, typer.Option(help="Datasets of a step, over all ranks of torchrun.", min=1)] = 256,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    resume: Annotated[Path | None, typer.Option(help="Go on with this network.")] = None,
    as_json: _files.AsJson = False,
    pause_at: Annotated[int | None, typer.Option(help="Stop at this step, to go on with --resume.", min=1)] = None,
    force: _files.Force = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Train a network that infers (alpha, beta) from counts in microseconds.

    Example: hbm-fast train marbles.safetensors --minutes 1

    OUT is written at each tenth of the training. After Ctrl-C, or when it was killed: --resume OUT --force goes on.

    On several processes: torchrun --nproc-per-node 2 -m hbm_fast train marbles.safetensors --minutes 1
    """
    _files.check_target(out, "OUT", (".safetensors",), force=force)
    from hbm_fast import amortize
    from hbm_fast.amortize.ranks import launched

    with launched(device) as ranks:
        estimator = amortize.train(
            HierarchicalModel(categories, alpha=parse_alpha(alpha), beta=beta),
            factorization=factorization,  # type: ignore[arg-type]  # checked by train, with its own message
            minutes=minutes,
            steps=steps,
            n_groups=(1, groups),
            totals=(0, total),
            rng=seed,
            batch_size=batch_size,
            device=device,
            resume=resume,
            pause_at=pause_at,
            checkpoint=out,
            progress=not quiet and sys.stderr.isatty(),
        )
    if ranks.rank > 0:  # all ranks hold the same network
        return
    estimator.save(out)
    figures = estimator.figures
    if as_json:
        facts = {"network": str(out), "training": estimator.training, "figures": figures}
        print(json.dumps(_files.finite(facts)))
        return
    print(
        f"{out}: {estimator.training['steps']} steps in {estimator.training['seconds']:.0f} s; held out: "
        f"KL to the exact posterior {figures['kl']:.4f} nats, effective share of the draws {figures['ess_share']:.3f}"
    )
