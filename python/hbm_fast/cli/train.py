"""`hbm-fast train`: a network for a given model."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hbm_fast._progress import progress
from hbm_fast.cli import options, usage
from hbm_fast.cli.interruption import command_line, interrupted
from hbm_fast.cli.priors import parse_alpha, parse_beta
from hbm_fast.models import HierarchicalModel

if TYPE_CHECKING:
    from hbm_fast.amortize import Estimator


class Factorization(StrEnum):
    """Factorizations of q of `hbm_fast.amortize.train`."""

    TOP_DOWN = "top-down"
    BOTTOM_UP = "bottom-up"
    ANY_K = "any-k"


def train(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Where to write the network (.safetensors).")],
    categories: Annotated[
        int | None, typer.Option(metavar="N", help="Number of categories; by default 2.", min=2)
    ] = None,
    factorization: Annotated[
        Factorization | None,
        typer.Option(metavar=options.choice(Factorization), help="How q is factorized; by default top-down."),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="Train this long; by default 5.", min=1e-3)
    ] = None,
    steps: Annotated[
        int | None, typer.Option(metavar="N", help="Train so many steps: the result repeats.", min=1)
    ] = None,
    n_groups: Annotated[
        str | None,
        typer.Option(metavar="N|LOW:HIGH", help="Groups of a dataset: 21, or 1:41 for a range; by default 1:50."),
    ] = None,
    totals: Annotated[
        str | None,
        typer.Option(metavar="N|LOW:HIGH", help="Draws from a group: 20, or 0:40 for a range; by default 0:50."),
    ] = None,
    alpha: options.Alpha = None,
    beta: options.Beta = None,
    seed: Annotated[
        int | None,
        typer.Option(metavar="SEED", help="The same seed gives the same result, for as many steps.", min=0),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(metavar="N", help="Datasets of a step, over all ranks of torchrun; by default 256.", min=1),
    ] = None,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="cpu or cuda.")] = "cpu",
    resume: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Go on with the training of this network; what is not given is as it was."),
    ] = None,
    init_from: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Start from the weights of this network, for another prior or other ranges."),
    ] = None,
    as_json: options.AsJson = False,
    pause_at: Annotated[
        int | None, typer.Option(metavar="N", help="Stop at this step, to go on with --resume.", min=1)
    ] = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    log: options.Log = None,
    groups: Annotated[int | None, typer.Option("--groups", min=1, hidden=True)] = None,
    total: Annotated[int | None, typer.Option("--total", min=1, hidden=True)] = None,
) -> None:
    """Train a network that infers (alpha, beta) from counts in microseconds.

    Example: hbm-fast train marbles.safetensors --minutes 1

    OUT is written at each tenth of the training, and at Ctrl-C: --resume OUT --force goes on. Options that are not
    given again are as they were, and another model, range or setting is refused.

    On several processes: torchrun --nproc-per-node 2 -m hbm_fast train marbles.safetensors --minutes 1
    """
    options.check_target(out, "OUT", (".safetensors",), force=force)
    from hbm_fast import amortize
    from hbm_fast.nn.distributed import launched
    from hbm_fast.nn.training import note

    options.check_log(log)
    n_groups = options.of_renamed(n_groups, "--n-groups", None if groups is None else f"1:{groups}", "--groups")
    totals = options.of_renamed(totals, "--totals", None if total is None else f"0:{total}", "--total")
    source = resume or init_from
    with options.file_of("--resume" if resume else "--init-from"):
        earlier = None if source is None else amortize.load(source)
    given: dict[str, Any] = {} if factorization is None else {"factorization": factorization.value}
    end = float(steps or 60.0 * (minutes or 5.0))
    with (
        launched(device) as ranks,
        _resumable(out, ranks.rank),
        progress(
            "train",
            steps or end,
            "steps" if steps else "s",
            shown=not quiet and ranks.rank == 0,
            log=log if ranks.rank == 0 else None,
        ) as update,
        warnings.catch_warnings(record=True) as caught,
    ):

        def show(share: float, metrics: dict[str, float]) -> None:
            update(int(metrics["step"]) if steps else metrics["seconds"], note(metrics["loss"], metrics), metrics)

        warnings.simplefilter("always", UserWarning)
        estimator = amortize.train(
            _model(categories, alpha, beta, factorization, earlier),
            **given,
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
            progress=show,
        )
    if ranks.rank > 0:  # all ranks hold the same network
        return
    for warning in caught:
        print(f"hbm-fast: warning: {usage.of_library(str(warning.message), {'resume': '--resume'})}", file=sys.stderr)
    estimator.save(out)
    metrics = estimator.metrics
    if as_json:
        options.print_json({"network": str(out), "training": estimator.training, "metrics": metrics})
        return
    seconds, ended = estimator.training["seconds"], estimator.training["ended"]
    print(f"{out}: {estimator.training['steps']} steps in {seconds:.0f} s, ended {ended}")
    print(f"held out: KL to the exact posterior {metrics['kl']:.4f} nats, effective share {metrics['ess_share']:.3f}")


@contextmanager
def _resumable(out: Path, rank: int) -> Iterator[None]:
    """Ctrl-C, at which the training saves its state, ends with the command line that goes on."""
    before = out.stat().st_mtime_ns if out.exists() else None
    try:
        yield
    except KeyboardInterrupt:
        if rank > 0:
            raise
        if not out.exists() or out.stat().st_mtime_ns == before:
            raise interrupted("before the first steps, so nothing was saved") from None
        without = ("--resume=", "--init-from=", "--pause-at=", "--force")
        from hbm_fast import amortize

        raise interrupted(
            f"{out} has the training up to step {amortize.load(out).training['steps']}",
            command_line("--resume", str(out), "--force", without=without),
        ) from None


def _model(
    categories: int | None,
    alpha: str | None,
    beta: str | None,
    factorization: Factorization | None,
    earlier: "Estimator | None",
) -> HierarchicalModel | None:
    """The model of the options; an option that is not given is that of the earlier network, or else the default."""
    if (
        categories is None
        and alpha is None
        and beta is None
        and (earlier is not None or factorization is Factorization.ANY_K)
    ):
        return None
    base = HierarchicalModel(2) if earlier is None or earlier.model is None else earlier.model
    return HierarchicalModel(
        base.n_categories if categories is None else categories,
        alpha=base.alpha if alpha is None else parse_alpha(alpha),
        beta=base.beta if beta is None else parse_beta(beta),
    )
