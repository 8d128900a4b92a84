"""train: from a model to an estimator."""

from pathlib import Path
from typing import Any, Literal

from hbm_fast import _validate, errors
from hbm_fast._typing import Key, RNGLike
from hbm_fast.amortize.estimator import NETWORKS, Estimator
from hbm_fast.errors import ConvergenceWarning
from hbm_fast.models import HierarchicalModel, check_hierarchical
from hbm_fast.nn import resuming
from hbm_fast.nn.data import MOST_GROUPS, MOST_TOTAL, AnyKStream, TrainingStream
from hbm_fast.nn.distributed import ProcessGroup
from hbm_fast.nn.estimator import fit, seeds_of
from hbm_fast.nn.importance import validation_metrics
from hbm_fast.nn.training import TrainingOptions, merge_options

Factorization = Literal["top-down", "bottom-up", "any-k"]
UNCALIBRATED = 1e-4  # p-values of the ranks below it are not by chance


def train(
    model: HierarchicalModel | None = None,
    *,
    factorization: Factorization | None = None,
    n_groups: int | tuple[int, int] | None = None,
    totals: int | tuple[int, int] | None = None,
    rng: RNGLike = None,
    resume: Estimator | str | Path | None = None,
    init_from: Estimator | str | Path | None = None,
    options: TrainingOptions | None = None,
    **settings: Any,
) -> Estimator:
    """Train a network on simulated datasets of a model.

    Where `torch.distributed` was initialised, as ``torchrun -m hbm_fast train`` does, its ranks share each batch: the
    result is that of one rank up to rounding, all ranks return it, and one of them should save it.

    Parameters
    ----------
    model : HierarchicalModel, optional
        Default that of Le (2020), ``HierarchicalModel(2)``.
    factorization : {"top-down", "bottom-up", "any-k"}, default "top-down"
        Top-down: q(alpha, beta | x), then theta of each group from its exact conditional. Bottom-up, the alternative in
        Le (2020): q(theta_n | x_n), then q(alpha, beta | theta_1, ..., theta_N). "any-k": top-down for all numbers of
        categories at once, ``categories=(2, 10)``, under the default priors; it takes no model.
    n_groups, totals : int or (low, high)
        Range of the datasets: groups, and counts of a group. Default (1, 50) and (0, 50).
    rng : None, int, SeedSequence, BitGenerator or Generator
        Of the stream, the network's first weights and the training's draws. With `resume` the stored stream goes on:
        an rng of another key is ignored with a warning.
    resume : Estimator or path, optional
        Go on with a training that was saved: with the same arguments, the same bits as without the pause. Whatever is
        not given is that of the network; another model, factorization, range or setting is refused. A copy of the
        network is trained.
    init_from : Estimator or path, optional
        Start from the weights of a network, with a new optimizer, stream and model: for another prior or other
        ranges. The architecture must be the same; model, ranges and settings are those of that network unless given.
    options : TrainingOptions, optional
        Options of the training loop.
    **settings
        The fields of `TrainingOptions`, such as ``steps``, ``minutes`` and ``progress``, and settings of the network:
        ``encoder="exceedance"`` ("deepsets"), ``head="mixture"`` ("gaussian", "diagonal", "spline"),
        ``n_components=8``, ``width=128``, ``depth=2``, ``n_draws=7``, ``wake=0.0`` (the share of the training, at its
        end, that maximises the evidence lower bound), ``local="exact"`` ("learned": a network for theta_n given alpha,
        beta and x_n, for top-down).

    Returns
    -------
    Estimator

    Raises
    ------
    TypeError, ValueError
        For arguments out of range, misspelt or given twice; where `resume` was trained for something else, or
        `init_from` is of another architecture; for a GPU where torch sees none.
    FloatingPointError
        Where the loss is not finite; the batch is saved and named.

    Warns
    -----
    ConvergenceWarning
        Where the ranks of the truth among the network's own draws are not uniform, ``metrics["sbc_p"]`` below 1e-4.
    UserWarning
        Where `rng` is ignored.

    Examples
    --------
    >>> import warnings
    >>> import hbm_fast as hbm
    >>> with warnings.catch_warnings(action="ignore"):  # twenty steps leave a network that is not calibrated
    ...     est = hbm.amortize.train(hbm.HierarchicalModel(2), steps=20, n_groups=(1, 5), totals=(0, 5), rng=0)
    >>> est.sample([[5, 0], [0, 1]], n_draws=100, rng=1, correct=False).alpha.shape
    (1, 100)
    """
    options, settings = merge_options(options, settings)
    if options.patience is not None:
        raise TypeError(
            "patience is an option of hbm_fast.embedding.train(data=...): simulated datasets do not run out"
        )
    origin = resuming.Origin(Estimator, resume, init_from)
    given = _checked(model, factorization or origin.get("factorization", "top-down"), n_groups, totals, settings)
    group = ProcessGroup.current()
    if origin.resumed:
        origin.check_same(given | settings, NETWORKS[given["factorization"]])
    key = origin.key(rng, group)
    options = origin.complete(options, minutes=5.0, learning_rate=2e-3)
    seeds = seeds_of(key)
    estimator = origin.start(lambda: _untrained(origin, given, settings), seeds[0])
    stream, held_out = _streams(estimator, key, seeds[1:3], options.n_threads)
    fit(
        estimator,
        stream.block,
        options,
        key,
        seed=int(seeds[3]),
        evaluate=validation_metrics(
            estimator.network.draw, held_out, 40 if estimator.factorization == "bottom-up" else 100
        ),
        calibrate=origin.network is None or origin.resumed,
        steps_per_block=estimator.network.steps_per_block,
        group=group,
    )
    sbc_p = estimator.metrics["sbc_p"] = group.from_first(lambda: _sbc_p(estimator, held_out, seeds[4:6]))
    if sbc_p < UNCALIBRATED and group.rank == 0 and estimator.training["steps"] != options.pause_at:
        errors.warn(
            f"the network's own draws are not calibrated: the ranks of the truth among them have p = {sbc_p:.1g} "
            "(metrics['sbc_p']): train longer, or with a larger network, and do not sample with correct=False",
            ConvergenceWarning,
        )
    return estimator


def _checked(model: Any, factorization: str, n_groups: Any, totals: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """The arguments that were given, by name, after their checks."""
    if factorization not in NETWORKS:
        raise ValueError(f'factorization must be "top-down", "bottom-up" or "any-k"; got {factorization!r}')
    if "data" in settings:
        raise TypeError("train uses simulated datasets; for datasets of your own: hbm_fast.embedding.train(data=...)")
    known = [*resuming.arguments(train), *resuming.defaults(NETWORKS[factorization])]
    _validate.keywords(settings, known, "train")
    if model is not None:
        check_hierarchical(model, "train")
    given: dict[str, Any] = {"model": model, "factorization": factorization}
    if n_groups is not None:
        given["n_groups"] = _validate.inclusive_range(n_groups, "n_groups", 1, MOST_GROUPS)
    if totals is not None:
        given["totals"] = _validate.inclusive_range(totals, "totals", 0, MOST_TOTAL)
    return {name: value for name, value in given.items() if value is not None}


def _untrained(origin: resuming.Origin[Estimator], given: dict[str, Any], settings: dict[str, Any]) -> Estimator:
    """A network with new weights; what was not given is that of ``init_from``, or else the default."""
    factorization = given["factorization"]
    model = given.get("model", origin.get("model", HierarchicalModel(2) if factorization != "any-k" else None))
    if origin.get("factorization", None) == factorization:
        settings = origin.get("settings", {}) | settings
    n_groups = given.get("n_groups", origin.get("n_groups", (1, 50)))
    totals = given.get("totals", origin.get("totals", (0, 50)))
    network = NETWORKS[factorization](model, totals[1], **settings)
    return Estimator(network, model, settings, n_groups, totals)


def _streams(
    estimator: Estimator, key: Key, held_out_key: Key, n_threads: int
) -> tuple[TrainingStream | AnyKStream, list[TrainingStream]]:
    """The stream of the training, and the held-out streams: one for each model that is evaluated."""
    network, groups, totals = estimator.network, estimator.n_groups, estimator.totals
    stream: TrainingStream | AnyKStream
    if estimator.model is None:
        stream = AnyKStream(network.categories, groups, totals, key, n_threads)
        models = [HierarchicalModel(k) for k in network.evaluated_categories]
    else:
        stream = TrainingStream(estimator.model, groups, totals, key, network.needs_groups, n_threads)
        models = [estimator.model]
    return stream, [TrainingStream(model, groups, totals, held_out_key, True, n_threads) for model in models]


def _sbc_p(estimator: Estimator, streams: list[TrainingStream], key: Key) -> float:
    """The smallest p-value of uniform ranks, on 210 datasets of each stream's model, corrected for their number."""
    ranked = [estimator.rank_truth(210, n_categories=s.model.n_categories, rng=key) for s in streams]
    return min(1.0, len(ranked) * min(float(calibration.p_value) for calibration in ranked))
