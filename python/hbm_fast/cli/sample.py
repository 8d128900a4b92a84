"""`hbm-fast sample`: the posterior of a table of counts."""

import sys
import warnings
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from hbm_fast import __version__, _files
from hbm_fast.cli import options
from hbm_fast.cli.priors import parse_alpha
from hbm_fast.errors import ConvergenceWarning
from hbm_fast.exact import exact_posterior
from hbm_fast.models import HierarchicalModel
from hbm_fast.posterior import Posterior, netcdf
from hbm_fast.sampling import sample as sample_counts
from hbm_fast.sufficient_statistics import SufficientStatistics
from hbm_fast.tables import CountTable, read_counts

# Table entries visited for one block of draws, after which Ctrl-C keeps the draws so far: a few seconds. The size is
# part of the definition of the draws: each block has a random stream.
_ENTRIES_A_BLOCK = 50_000_000
_SMALLEST_BLOCK = 500
# This many values are summarised in a third of a second.
_QUICK_VALUES = 500_000
_CHUNK = 4096  # draws between two checks for Ctrl-C


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
    method: Annotated[Method, typer.Option(help="exact: quadrature, for two categories.")] = Method.AUTO,
    draws: Annotated[int, typer.Option(help="Draws of each chain.", min=1)] = 1000,
    chains: Annotated[int, typer.Option(help="Number of chains.", min=1)] = 4,
    seed: Annotated[int, typer.Option(help="The same seed gives the same draws.", min=0)] = 0,
    alpha: Annotated[
        str, typer.Option(help="Prior of alpha, such as exponential:1, gamma:2,0.5, half-cauchy:1, fixed:3.")
    ] = "exponential:1",
    beta: Annotated[float, typer.Option(help="Concentration of the Dirichlet prior of the proportions.")] = 1.0,
    out: Annotated[Path | None, typer.Option(help="Write the draws (.nc, .csv) or the summary (.json) here.")] = None,
    groups: Annotated[
        Path | None, typer.Option(help="Write the proportions of every group with 90 % intervals here (.csv).")
    ] = None,
    figure: options.Figure = None,
    as_json: options.AsJson = False,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Draw from the posterior of a table of counts; Ctrl-C keeps what was drawn so far.

    Example: hbm-fast sample counts.csv --draws 2000 --out draws.nc --figure proportions.png
    """
    options.check_target(out, "--out", (".nc", ".csv", ".json"), force=force)
    options.check_target(groups, "--groups", (".csv",), force=force)
    options.check_target(figure, "--figure", (".png", ".pdf", ".svg"), force=force)
    prior = parse_alpha(alpha)
    table = read_counts(data, layout=layout.value)
    if groups is not None and table.weights is not None:
        raise ValueError("--groups needs a group a row; the rows of a frequency table are kinds of groups")
    model = HierarchicalModel(table.counts.shape[1], alpha=prior, beta=beta)
    post, interrupted = _posterior(table, model, method, draws, chains, seed, quiet)

    if interrupted:
        print(_kept(post, draws, out, groups, figure), file=sys.stderr, flush=True)
    if out is not None and out.suffix.lower() != ".json":  # first: a second Ctrl-C does not lose it
        _write_draws(post, out)
    step = _step(post) if interrupted else 1
    summary, complaint = _summary(post if step == 1 else _thinned(post, step))
    result: dict[str, Any] = {
        "data": data.name,
        "n_groups": table.counts.shape[0],
        "n_categories": table.counts.shape[1],
        "model": repr(model),
        "method": post.method,
        "n_chains": post.n_chains,
        "n_draws": post.n_draws,
        "seed": seed,
        "interrupted": interrupted,
        "warning": complaint,
        "summary_of_every": step,
        "parameters": {name: summary[name] for name in summary.names},
        "version": __version__,
    }
    if out is not None and out.suffix.lower() == ".json":
        _files.write_json(out, result)
    if groups is not None:
        _write_groups(post, groups)
    if figure is not None:
        from hbm_fast import plots

        _files.write_figure(figure, plots.proportions(post), dpi=150)
    if as_json:
        options.print_json(result)
    else:
        print(summary)
    if complaint:
        print(f"hbm-fast: warning: {complaint}", file=sys.stderr)
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


def _thinned(post: Posterior, step: int) -> Posterior:
    return Posterior(
        post.log_alpha[:, ::step],
        post.log_beta[:, ::step],
        model=post.model,
        method=post.method,
        category_names=post.category_names,
    )


def _posterior(
    table: CountTable, model: HierarchicalModel, method: Method, draws: int, chains: int, seed: int, quiet: bool
) -> tuple[Posterior, bool]:
    """The posterior, and whether Ctrl-C or SIGTERM cut it short."""
    # a row of weight w is w groups, which have no names
    counts = table.counts if table.weights is None else SufficientStatistics(table.counts, weights=table.weights)
    names: dict[str, Any] = {
        "category_names": table.category_names,
        "group_names": table.group_names if table.weights is None else None,
    }
    if method is Method.EXACT:
        return exact_posterior(counts, model, n_draws=draws, rng=seed, **names), False
    parts: list[Posterior] = []
    interrupted = False
    try:
        for size in block_sizes(table.counts, draws, chains):
            post = sample_counts(
                counts,
                model,
                method=method.value,  # type: ignore[arg-type]  # any but "exact"
                n_draws=size,
                n_chains=chains,
                # the first block alone is what hbm.sample(..., rng=seed) gives
                rng=np.random.SeedSequence([seed, len(parts)]) if parts else seed,
                progress=not quiet and sys.stderr.isatty(),
                diagnostics=False,  # the summary is of all blocks
                **names,
            )
            parts.append(post)
            if not quiet and size < draws:
                done = sum(part.n_draws for part in parts)
                print(f"hbm-fast: {done} of {draws} draws of each chain", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        interrupted = True
    if not parts:
        print("hbm-fast: interrupted before the first draws", file=sys.stderr)
        raise typer.Exit(130)
    return parts[0] if len(parts) == 1 else _joined(parts), interrupted


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
    stats = {name: np.concatenate([p.sample_stats[name] for p in parts], axis=1) for name in first.sample_stats}
    return first._replace(
        log_alpha=np.concatenate([p.log_alpha for p in parts], axis=1),
        log_beta=np.concatenate([p.log_beta for p in parts], axis=1),
        details={**first.details, "n_blocks": len(parts)},
        sample_stats=stats,
    )


def _summary(post: Posterior) -> tuple[Any, str | None]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        summary = post.summary()
    complaints = [str(w.message) for w in caught if issubclass(w.category, ConvergenceWarning)]
    return summary, "; ".join(complaints) or None


def _labels(post: Posterior) -> tuple[str, ...]:
    return post.category_names or tuple(map(str, range(post.n_categories)))


def _write_draws(post: Posterior, out: Path) -> None:
    if out.suffix.lower() == ".nc":
        netcdf.write(netcdf.to_datatree(post), out)
        return

    def rows() -> Iterator[list[Any]]:
        alpha, beta = post.alpha, post.beta
        for c in range(post.n_chains):
            for start in range(0, post.n_draws, _CHUNK):
                part = slice(start, start + _CHUNK)
                for d, values in enumerate(zip(alpha[c, part].tolist(), beta[c, part].tolist(), strict=True), start):
                    yield [c, d, values[0], *values[1]]

    _files.write_csv(out, ["chain", "draw", "alpha", *(f"beta[{name}]" for name in _labels(post))], rows())


def _write_groups(post: Posterior, target: Path) -> None:
    """Proportions of every group and of a new group, in the long form."""

    def rows() -> Iterator[list[Any]]:
        assert post.counts is not None
        names = post.group_names or tuple(map(str, range(len(post.counts))))
        for index, name in [*enumerate(names), (None, "(new group)")]:
            mean = post.predict(index)
            theta = post.theta(index)
            observed = [""] * post.n_categories if index is None else post.counts[index].tolist()
            for k, (label, count) in enumerate(zip(_labels(post), observed, strict=True)):
                yield [name, label, count, float(mean[k]), *np.quantile(theta[..., k], [0.05, 0.95]).tolist()]

    _files.write_csv(target, ["group", "category", "count", "mean", "lower", "upper"], rows())
