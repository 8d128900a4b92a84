"""`hbm-fast infer`: the posterior of a table of counts, by a trained network."""

from typing import Annotated, Any

import typer

from hbm_fast.cli import options, output, posteriors
from hbm_fast.cli.interruption import interrupted
from hbm_fast.cli.reading import collected, of_each_label, options_named, read
from hbm_fast.posterior import Posterior
from hbm_fast.tables.inputs import as_counts


def infer(
    data: options.Data,
    network: Annotated[
        str, typer.Option(metavar="NETWORK", help="marbles, marbles-bottom-up, any-k, or a file.")
    ] = "any-k",
    layout: options.FormatOption = options.Format.AUTO,
    transpose: options.Transpose = None,
    drop: options.Drop = None,
    metadata: options.Metadata = None,
    by: options.By = None,
    layer: options.Layer = None,
    draws: Annotated[int, typer.Option(metavar="N", help="Number of draws.", min=1)] = 4000,
    seed: options.Seed = 0,
    raw: Annotated[bool, typer.Option("--raw", help="The network's own draws, uncorrected.")] = False,
    out: options.Draws = None,
    groups: options.Groups = None,
    figure: options.Figure = None,
    wide: options.Wide = False,
    as_json: options.AsJson = False,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Infer (alpha, beta) with a network, corrected against the exact likelihood.

    Example: hbm-fast infer counts.csv --network marbles
    """
    options.check_target(figure, "--figure", (".png", ".pdf", ".svg"), force=force)
    source = read(data, layout, transpose, drop, metadata, by, layer)
    posteriors.check_targets(source, out, groups, force=force)
    with options_named():
        given = {label: as_counts(table).unweighted(source.name) for label, table in source.parts.items()}
    from hbm_fast import amortize

    with options.file_of("--network"):
        estimator = amortize.load(network)
    answers: dict[str | None, output.Answer] = {}
    found: dict[str | None, Posterior] = {}

    def posterior(table: Any) -> Posterior:
        return estimator.sample(table, n_draws=draws, rng=seed, correct=False if raw else "auto")

    for label, post, messages in of_each_label("infer", given, posterior, _share, quiet=quiet):
        table = source.parts[label]
        with collected(messages):
            summary = post.summary()
        details: dict[str, Any] = {name: str(post.details[name]) for name in ("path", "reason")}
        details["ess_share"] = None if raw else float(post.details["ess_share"])
        record = output.record(
            "infer",
            source,
            table,
            model=repr(post.model),
            method=post.method,
            parameters=output.parameters_of(summary),
            messages=messages,
            network=network,
            **details,
            log_evidence=post.log_evidence,
            seed=seed,
        )
        found[label] = post
        answers[label] = output.Answer(record, [summary.note, _how(**details)], summary.columns)
        targets = [output.of_label(target, label) for target in (out, groups)]
        posteriors.write(post, *targets)
        posteriors.write_record(record, targets[0])
    if figure is not None:
        posteriors.draw(found, figure)
    output.publish(source, answers, as_json=as_json, wide=wide)
    if len(answers) < len(source.parts):
        raise interrupted(f"{len(answers)} of {len(source.parts)} labels are done, and their results written")


def _share(post: Posterior) -> str:
    return f"effective share {post.details['ess_share']:.3f}"


def _how(path: str, reason: str, ess_share: float | None) -> str:
    if path == "sampler":
        return f"the exact sampler, as {reason}"
    if path == "network" or ess_share is None:
        return "the network's own draws"
    return f"the network's draws, weighted: {ess_share:.1%} of them are effective"
