"""`hbm-fast train`: a network for a given model."""

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hbm_fast.cli import options
from hbm_fast.cli.priors import parse_alpha
from hbm_fast.cli.progress import log as progress_log
from hbm_fast.models import HierarchicalModel

if TYPE_CHECKING:
    from hbm_fast.amortize import Estimator


def train(
    out: Annotated[Path, typer.Argument(help="Where to write the network (.safetensors).")],
    categories: Annotated[int | None, typer.Option(help="Number of categories; default 2.", min=2)] = None,
    factorization: Annotated[
        str | None, typer.Option(help="top-down, bottom-up or any-k; default top-down.", show_default=False)
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Train this long; default 5.")] = None,
    steps: Annotated[int | None, typer.Option(help="Train so many steps: the result repeats.", min=1)] = None,
    n_groups: Annotated[
        str | None, typer.Option(metavar="N|LOW:HIGH", help="Groups of a dataset: 21, or a range; default 1:50.")
    ] = None,
    totals: Annotated[
        str | None, typer.Option(metavar="N|LOW:HIGH", help="Draws from a group: 20, or a range; default 0:50.")
    ] = None,
    alpha: Annotated[
        str | None, typer.Option(help="Prior of alpha, such as gamma:2,0.5; default exponential:1.")
    ] = None,
    beta: Annotated[
        float | None, typer.Option(help="Concentration of the Dirichlet prior of the proportions; default 1.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="The same seed and steps give the same network; default 0.", min=0)
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Datasets of a step, over all ranks of torchrun; default 256.", min=1)
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    resume: Annotated[
        Path | None, typer.Option(help="Go on with the training of this network; what is not given is as it was.")
    ] = None,
    init_from: Annotated[
        Path | None, typer.Option(help="Start from the weights of this network, for another prior or other ranges.")
    ] = None,
    as_json: options.AsJson = False,
    pause_at: Annotated[int | None, typer.Option(help="Stop at this step, to go on with --resume.", min=1)] = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    log: options.Log = None,
    groups: Annotated[int | None, typer.Option("--groups", min=1, hidden=True)] = None,
    total: Annotated[int | None, typer.Option("--total", min=1, hidden=True)] = None,
) -> None:
    """Train a network that infers (alpha, beta) from counts in microseconds.

    Example: hbm-fast train marbles.safetensors --minutes 1

    OUT is written at each tenth of the training. After Ctrl-C, or when it was killed: --resume OUT --force goes on;
    options that are not given again are as they were, and another model, range or setting is refused.

    On several processes: torchrun --nproc-per-node 2 -m hbm_fast train marbles.safetensors --minutes 1
    """
    options.check_target(out, "OUT", (".safetensors",), force=force)
    from hbm_fast import amortize
    from hbm_fast.nn.distributed import launched

    options.check_log(log)
    n_groups = options.of_renamed(n_groups, "--n-groups", None if groups is None else f"1:{groups}", "--groups")
    totals = options.of_renamed(totals, "--totals", None if total is None else f"0:{total}", "--total")
    source = resume or init_from
    earlier = None if source is None else amortize.load(source)
    end: float | None = steps or (60.0 * minutes if minutes else 300.0 if resume is None else None)
    with (
        launched(device) as ranks,
        progress_log(log if ranks.rank == 0 else None, "train") as logged,
        warnings.catch_warnings(record=True) as caught,
    ):

        def callback(step: int, metrics: dict[str, float]) -> None:
            logged(step if steps else metrics["seconds"], end, metrics)

        warnings.simplefilter("always", UserWarning)
        estimator = amortize.train(
            _model(categories, alpha, beta, factorization, earlier),
            factorization=factorization,  # type: ignore[arg-type]  # checked by train, with its own message
            minutes=minutes,
            steps=steps,
            n_groups=None if n_groups is None else options.span(n_groups, "--n-groups"),
            totals=None if totals is None else options.span(totals, "--totals"),
            rng=0 if seed is None and resume is None else seed,
            batch_size=batch_size,
            device=device,
            resume=resume,
            init_from=init_from,
            pause_at=pause_at,
            checkpoint=out,
            callback=callback,
            progress=not quiet and sys.stderr.isatty(),
        )
    if ranks.rank > 0:  # all ranks hold the same network
        return
    for warning in caught:
        print(f"hbm-fast: warning: {warning.message}", file=sys.stderr)
    estimator.save(out)
    metrics = estimator.metrics
    if as_json:
        options.print_json({"network": str(out), "training": estimator.training, "metrics": metrics})
        return
    print(
        f"{out}: {estimator.training['steps']} steps in {estimator.training['seconds']:.0f} s; held out: "
        f"KL to the exact posterior {metrics['kl']:.4f} nats, effective share of the draws {metrics['ess_share']:.3f}"
    )


def _model(
    categories: int | None,
    alpha: str | None,
    beta: float | None,
    factorization: str | None,
    earlier: "Estimator | None",
) -> HierarchicalModel | None:
    """The model of the options; an option that is not given is that of the earlier network, or else the default."""
    if categories is None and alpha is None and beta is None and (earlier is not None or factorization == "any-k"):
        return None
    base = HierarchicalModel(2) if earlier is None or earlier.model is None else earlier.model
    return HierarchicalModel(
        base.n_categories if categories is None else categories,
        alpha=base.alpha if alpha is None else parse_alpha(alpha),
        beta=base.beta if beta is None else beta,
    )
