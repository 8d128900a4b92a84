"""`hbm-fast sample`: the posterior of a table of counts."""

import sys
import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from hbm_fast import errors
from hbm_fast._progress import progress
from hbm_fast.cli import options, output, posteriors
from hbm_fast.cli.interruption import interrupted as after_interruption
from hbm_fast.cli.priors import model_of
from hbm_fast.cli.reading import collected, read
from hbm_fast.exact import exact_posterior
from hbm_fast.models import HierarchicalModel
from hbm_fast.posterior import Posterior, diagnostics
from hbm_fast.priors import Dirichlet
from hbm_fast.sampling import prior_weight
from hbm_fast.sampling import sample as sample_counts
from hbm_fast.sufficient_statistics import SufficientStatistics
from hbm_fast.tables import CountTable

# Table entries visited for one block of draws, after which Ctrl-C keeps the draws so far: a few seconds. The size is
# part of the definition of the draws: each block has a random stream.
_ENTRIES_A_BLOCK = 50_000_000
_SMALLEST_BLOCK = 500
# This many values are summarised in a third of a second.
_QUICK_VALUES = 500_000
_R_HAT_VALUES = 1_000_000  # for the R-hat of the progress line: a third of a second


class Method(StrEnum):
    """Samplers, and quadrature."""

    AUTO = "auto"
    HMC = "hmc"
    GIBBS = "gibbs"
    MH = "mh"
    EXACT = "exact"


def sample(
    data: options.Data,
    layout: options.FormatOption = options.Format.AUTO,
    transpose: options.Transpose = None,
    drop: options.Drop = None,
    metadata: options.Metadata = None,
    by: options.By = None,
    layer: options.Layer = None,
    method: Annotated[
        Method, typer.Option(metavar=options.choice(Method), help="exact: quadrature, for two categories.")
    ] = Method.AUTO,
    draws: Annotated[int, typer.Option(metavar="N", help="Draws of each chain.", min=1)] = 1000,
    chains: options.Chains = 4,
    seed: options.Seed = 0,
    alpha: options.Alpha = None,
    beta: options.Beta = None,
    for_table: options.ForTable = False,
    out: options.Draws = None,
    groups: options.Groups = None,
    figure: options.Figure = None,
    wide: options.Wide = False,
    as_json: options.AsJson = False,
    force: options.Force = False,
    quiet: options.Quiet = False,
    log: options.Log = None,
) -> None:
    """Draw from the posterior of a table of counts; Ctrl-C keeps what was drawn so far.

    With --by there is a posterior for the groups of each label; --out and --groups then write a file for each
    (draws-LABEL.nc), and --figure shows them side by side.

    Example: hbm-fast sample counts.csv --draws 2000 --out draws.nc --figure proportions.png
    """
    options.check_target(figure, "--figure", (".png", ".pdf", ".svg"), force=force)
    options.check_log(log)
    source = read(data, layout, transpose, drop, metadata, by, layer)
    posteriors.check_targets(source, out, groups, force=force)
    model = model_of(source.table, alpha, beta, for_table=for_table)
    if method is Method.EXACT and isinstance(model.beta, Dirichlet) and model.beta.is_learned:
        raise ValueError(
            "--method exact needs a known concentration of beta: leave the method to --method auto, or pass a number, "
            "such as --beta 0.5"
        )
    answers: dict[str | None, output.Answer] = {}
    found: dict[str | None, Posterior] = {}
    interrupted = False
    for label, table in source.parts.items():
        messages: list[str] = []
        with collected(messages):
            post, interrupted = posterior_of(table, model, method, draws, chains, seed, quiet, label, log)
        targets = [output.of_label(target, label) for target in (out, groups)]
        if interrupted:
            print(_kept(post, draws, *targets, figure), file=sys.stderr, flush=True)
        found[label] = post
        # first: a second Ctrl-C does not lose the draws
        posteriors.write(post, *targets)
        step = _step(post) if interrupted else 1
        with collected(messages):
            summary = (post if step == 1 else post._with_draws(itemgetter(np.s_[:, ::step]), None)).summary()
        record = output.record(
            "sample",
            source,
            table,
            model=repr(model),
            method=post.method,
            parameters=output.parameters_of(summary),
            messages=messages,
            n_chains=post.n_chains,
            n_draws=post.n_draws,
            seed=seed,
            interrupted=interrupted,
            summary_of_every=step,
        )
        answers[label] = output.Answer(record, [summary.note], summary.columns)
        posteriors.write_record(record, targets[0])
        if interrupted:
            break
    if figure is not None:
        posteriors.draw(found, figure)
    output.publish(source, answers, as_json=as_json, wide=wide)
    if interrupted:
        raise typer.Exit(130)


def _kept(post: Posterior, draws: int, *targets: Path | None) -> str:
    """The message after Ctrl-C."""
    written = ", ".join(str(target) for target in targets if target is not None)
    step = _step(post)
    return (
        f"hbm-fast: interrupted; {post.n_draws} of {draws} draws of each chain were kept. Now "
        + (f"writing {written}, then " if written else "")
        + ("the summary" if step == 1 else f"the summary of every {step}th draw")
        + "; Ctrl-C again ends at once"
    )


def _step(post: Posterior) -> int:
    """Step between the draws that are summarised after Ctrl-C, so that the summary is quick."""
    values = post.n_chains * post.n_draws * (2 + post.n_categories)
    return max(1, min(values // _QUICK_VALUES, post.n_draws // _SMALLEST_BLOCK))


def posterior_of(
    table: CountTable,
    model: HierarchicalModel,
    method: Method,
    draws: int,
    chains: int,
    seed: int,
    quiet: bool,
    label: str | None,
    log: Path | None = None,
) -> tuple[Posterior, bool]:
    """The posterior, and whether Ctrl-C or SIGTERM cut it short."""
    if method is Method.EXACT:
        return exact_posterior(table, model, n_draws=draws, rng=seed), False
    parts: list[Posterior] = []
    interrupted = False
    r_hat, measured = None, 0
    name = "sample" if label is None else f"sample {label}"
    try:
        with progress(name, draws, "draws", shown=not quiet, log=log, command="sample") as shown:
            start = time.monotonic()

            def update(done: float, r_hat: float | None) -> None:
                speed = chains * done / max(time.monotonic() - start, 1e-9)
                note = f"{speed:,.0f} draws/s" if r_hat is None else f"R-hat {r_hat:.3f}"
                metrics = {"draws_per_second": speed, "r_hat": r_hat, "label": label}
                shown(int(done), note, {key: value for key, value in metrics.items() if value is not None})

            for size in block_sizes(table.counts, draws, chains):
                done = sum(part.n_draws for part in parts)
                post = sample_counts(  # type: ignore[call-overload]  # any method but "exact"
                    table,
                    model,
                    method=method.value,
                    n_draws=size,
                    n_chains=chains,
                    # the first block alone is what hbm.sample(..., rng=seed) gives
                    rng=np.random.SeedSequence([seed, len(parts)]) if parts else seed,
                    progress=_in_block(update, done, size, draws, r_hat),
                    diagnostics=False,  # of all blocks, below and in the summary
                )
                parts.append(post)
                if done + size >= min(measured + draws // 10, draws):
                    r_hat, measured = _worst_r_hat(parts), done + size
            update(draws, r_hat)
    except KeyboardInterrupt:
        interrupted = True
    if not parts:
        raise after_interruption("before the first draws, so nothing was saved")
    post = parts[0] if len(parts) == 1 else _joined(parts)
    message = prior_weight.message([SufficientStatistics(table)._core], post)
    if message is not None:
        errors.warn(message, errors.PriorWarning)
    return post, interrupted


def _in_block(
    update: Callable[[float, float | None], None], done: int, size: int, draws: int, r_hat: float | None
) -> Callable[[float], None]:
    """The progress of one block as that of the run, which ends when the last block is kept."""
    return lambda share: update(min(done + share * size, draws - 1e-9), r_hat)


def _worst_r_hat(parts: list[Posterior]) -> float | None:
    """The largest R-hat of log alpha and every beta, from at most 1,000 draws of each chain."""
    n_chains, _, n_categories = parts[0].log_beta.shape
    most = min(max(_R_HAT_VALUES // (n_chains * (1 + n_categories)), 100), 1000)
    step = -(-sum(part.n_draws for part in parts) // most)
    log_alpha, log_beta = (
        np.concatenate([getattr(part, name)[:, ::step] for part in parts], axis=1) for name in ("log_alpha", "log_beta")
    )
    r_hat, _ = diagnostics.convergence(np.concatenate([log_alpha[..., np.newaxis], log_beta], axis=-1))
    return None if np.isnan(r_hat).all() else float(np.nanmax(r_hat))


def block_sizes(counts: NDArray[np.int64], draws: int, chains: int) -> Iterator[int]:
    """Sizes of the blocks, a function of the table and the options alone: the draws repeat on every machine."""
    entries = int(counts.max(axis=0, initial=0).sum() + counts.sum(axis=1).max(initial=0))
    size = max(_SMALLEST_BLOCK, _ENTRIES_A_BLOCK // max(1, entries * chains))
    while draws > 0:
        taken = draws if draws < 2 * size else size
        yield taken
        draws -= taken


def _joined(parts: list[Posterior]) -> Posterior:
    first = parts[0]
    return first._replace(
        log_alpha=np.concatenate([p.log_alpha for p in parts], axis=1),
        log_beta=np.concatenate([p.log_beta for p in parts], axis=1),
        details={**first.details, "n_blocks": len(parts)},
        sample_stats=_all_draws([p.sample_stats for p in parts]),
        latent=_all_draws([p.latent for p in parts]),
    )


def _all_draws(parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}
