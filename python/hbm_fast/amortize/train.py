"""train: from a model to an estimator."""

import copy
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from hbm_fast import _config, _validate
from hbm_fast._random import key as new_key
from hbm_fast._typing import Key, RNGLike
from hbm_fast.amortize.any_k import AnyKStream
from hbm_fast.amortize.calibrate import rank
from hbm_fast.amortize.estimator import Estimator
from hbm_fast.amortize.held_out import held_out
from hbm_fast.amortize.loading import NETWORKS, load
from hbm_fast.errors import ConvergenceWarning
from hbm_fast.models import HierarchicalModel
from hbm_fast.nn import resuming
from hbm_fast.nn.data import MOST_GROUPS, MOST_TOTAL, TrainingStream
from hbm_fast.nn.distributed import Ranks
from hbm_fast.nn.progress import reporter
from hbm_fast.nn.training import Budget, Optimizer, State, fit, torch_threads, usable_device

Factorization = Literal["top-down", "bottom-up", "any-k"]
NOT_FIGURES = ("step", "seconds", "loss")  # of a point of the history: they say where the training stood
UNCALIBRATED = 1e-4  # a p-value of the ranks below it is no accident of one training among thousands


def train(
    model: HierarchicalModel | None = None,
    *,
    factorization: Factorization | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    target: float | None = None,
    n_groups: int | tuple[int, int] | None = None,
    totals: int | tuple[int, int] | None = None,
    rng: RNGLike = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    progress: bool = False,
    device: str = "cpu",
    mixed_precision: bool = False,
    n_threads: int = 1,
    resume: Estimator | str | Path | None = None,
    init_from: Estimator | str | Path | None = None,
    pause_at: int | None = None,
    checkpoint: str | Path | None = None,
    **network: Any,
) -> Estimator:
    """Train a network on the model's endless stream of simulated datasets.

    Where `torch.distributed` was initialised, as ``torchrun -m hbm_fast train`` does, its ranks share each batch: the
    result is that of one rank up to rounding, all ranks return it, and one of them should save it.

    Parameters
    ----------
    model : HierarchicalModel, optional
        Default the note's, ``HierarchicalModel(2)``.
    factorization : {"top-down", "bottom-up", "any-k"}, default "top-down"
        Top-down: q(alpha, beta | x), then theta of each group from its exact conditional. Bottom-up, the note's other
        choice: q(theta_n | x_n), then q(alpha, beta | theta_1, ..., theta_N). "any-k": top-down for all numbers of
        categories at once, ``categories=(2, 10)``, under the default priors; it takes no model.
    steps, minutes, target : optional
        When to stop, whichever comes first: after so many steps (the result repeats, bit for bit on one machine), after
        so many minutes, or once the held-out KL to the exact posterior falls below the target. Default 5 minutes.
    n_groups, totals : int or (low, high)
        The datasets to be ready for: groups, and draws from a group, from low to high. Default (1, 50) and (0, 50).
    rng : None, int, SeedSequence, BitGenerator or Generator
        Of the stream, the network's first weights and the training's draws. With `resume` the stored stream goes on:
        an rng of another key is ignored with a warning.
    batch_size : int, default 256
    learning_rate : float, default 0.002
    progress : bool
        Show the loss, the held-out KL, datasets per second and the simulator's share of the time.
    device : str
        "cuda" trains on a GPU.
    mixed_precision : bool
        bfloat16 matrix products; off unless asked for.
    n_threads : int
        Threads of torch and of the simulator; small networks are fastest on one.
    resume : Estimator or path, optional
        Go on with a training that was saved: with the same arguments, the same bits as without the pause. Whatever is
        not given is that of the network; another model, factorization, range or setting is refused. The network
        itself stays as it is: a copy is trained.
    init_from : Estimator or path, optional
        Start from the weights of a network, with a new optimizer, stream and model: for another prior or other
        ranges. The architecture must be the same; model, ranges and settings are those of that network unless given.
    pause_at : int, optional
        Stop at this step as if interrupted.
    checkpoint : path, optional
        Where to save the training at each tenth of it, so that one that was killed can `resume`.
    **network
        Of the network: ``encoder="exceedance"`` ("deepsets"), ``head="mixture"`` ("gaussian", "diagonal", "spline"),
        ``n_components=8``, ``width=128``, ``depth=2``, ``n_draws=7``, ``wake=0.0`` (the share of the training, at its
        end, that maximises the evidence lower bound), ``local="exact"`` ("learned": a network for theta_n given alpha,
        beta and x_n, for top-down).

    Returns
    -------
    Estimator

    Raises
    ------
    TypeError, ValueError
        For arguments out of range or misspelt; where `resume` was trained for something else, or `init_from` is of
        another architecture; for a GPU where torch sees none.
    FloatingPointError
        Where the loss is not finite; the batch is saved and named.

    Warns
    -----
    ConvergenceWarning
        Where the ranks of the truth among the network's own draws are not uniform, ``figures["sbc_p"]`` below 1e-4.
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
    if resume is not None and init_from is not None:
        raise ValueError("give resume (to go on with a training) or init_from (to start from its weights), not both")
    earlier, start = _earlier(resume, "resume"), _earlier(init_from, "init_from")
    source = earlier or start
    if factorization is None:
        factorization = "top-down" if source is None else source.factorization  # type: ignore[assignment]
    if factorization not in NETWORKS:
        raise ValueError(f'factorization must be "top-down", "bottom-up" or "any-k"; got {factorization!r}')
    build = NETWORKS[factorization]
    if "data" in network:
        raise TypeError(
            "train learns from simulated datasets; of your own datasets: hbm_fast.embedding.train(data=...)"
        )
    _validate.keywords(network, resuming.arguments(train) | resuming.defaults(build), "train")
    if model is not None and not isinstance(model, HierarchicalModel):
        raise TypeError(f"model must be a HierarchicalModel; got {model!r:.60}")
    budget = _budget(steps, minutes, target)
    groups = None if n_groups is None else _validate.inclusive_range(n_groups, "n_groups", 1, MOST_GROUPS)
    draws = None if totals is None else _validate.inclusive_range(totals, "totals", 0, MOST_TOTAL)
    device = usable_device(device)
    ranks = Ranks.of_process_group()
    if earlier is not None:
        asked = {"model": model, "factorization": factorization, "n_groups": groups, "totals": draws}
        _check_resumed(resume, earlier, {name: v for name, v in asked.items() if v is not None} | network)
        key = resuming.stored_key(_name(resume), earlier.training, rng)
        batch_size = earlier.training["batch_size"] if batch_size is None else batch_size
        learning_rate = earlier.training["learning_rate"] if learning_rate is None else learning_rate
    else:
        key = ranks.from_first(lambda: new_key(rng))
    batch_size = _validate.positive_int(256 if batch_size is None else batch_size, "batch_size")
    learning_rate = _validate.finite_float(
        2e-3 if learning_rate is None else learning_rate, "learning_rate", positive=True
    )
    ranks.share_of(batch_size)
    seeds = np.random.default_rng(key.tolist()).integers(0, 2**63, size=6, dtype=np.uint64)
    if earlier is not None:
        estimator = copy.deepcopy(earlier)
    else:
        if model is None:
            model = start.model if start is not None else HierarchicalModel(2) if factorization != "any-k" else None
        if start is not None and start.factorization == factorization:
            network = start.settings | network
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(seeds[0]))
            groups = groups or ((1, 50) if start is None else start.n_groups)
            draws = draws or ((0, 50) if start is None else start.totals)
            estimator = Estimator(build(model, draws[1], **network), model, factorization, network, groups, draws)
        if start is not None:
            given = f"{_name(init_from)} ({_described(start)})"
            resuming.take_weights(estimator.network, start.network, _described(estimator), given)
    model, groups, draws, network = estimator.model, estimator.n_groups, estimator.totals, estimator.settings
    with_groups = (
        factorization == "bottom-up" or network.get("encoder") == "deepsets" or network.get("local") == "learned"
    )
    stream: TrainingStream | AnyKStream
    if model is None:
        low, high = estimator.network.categories
        stream = AnyKStream((low, high), groups, draws, key, n_threads)
        models = [HierarchicalModel(k) for k in sorted({low, min(3, high), min(5, high), high})]
    else:
        stream = TrainingStream(model, groups, draws, key, with_groups, n_threads)
        models = [model]
    held = [TrainingStream(m, groups, draws, seeds[1:3], True, n_threads) for m in models]

    def facts(state: State) -> dict[str, Any]:
        return {
            "key": [str(word) for word in key],
            "steps": state.step,
            "seconds": round(state.seconds, 2),
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "torch": torch.__version__,
            "library": _config.__version__,
            "stream_version": _config.STREAM_VERSION,
        }

    def keep(state: State) -> None:
        assert checkpoint is not None
        estimator.state, estimator.training = state, facts(state)
        estimator.figures = {name: value for name, value in state.history[-1].items() if name not in NOT_FIGURES}
        estimator.save(checkpoint)

    with torch_threads(_validate.positive_int(n_threads, "n_threads")):
        figures = held_out(estimator.network, held, 40 if factorization == "bottom-up" else 100)
        with reporter(progress and ranks.rank == 0, batch_size) as report:
            estimator.state = fit(
                estimator.network,
                estimator.network,
                stream.block,
                budget,
                seed=int(seeds[3]),
                optimizer=Optimizer(batch_size, learning_rate, steps_per_block=16 if model is not None else 2),
                evaluate=figures,
                report=report,
                keep=None if checkpoint is None or ranks.rank > 0 else keep,
                state=estimator.state,
                pause_at=pause_at,
                device=device,
                mixed_precision=mixed_precision,
                ranks=ranks,
                calibrate=start is None,
            )
        estimator.figures = ranks.from_first(lambda: figures() | {"sbc_p": _ranks_p(estimator, models, seeds[4:6])})
    estimator.training = facts(estimator.state)
    if estimator.figures["sbc_p"] < UNCALIBRATED and ranks.rank == 0 and estimator.state.step != pause_at:
        warnings.warn(
            f"the network's own draws are not calibrated: the ranks of the truth among them have p = "
            f"{estimator.figures['sbc_p']:.1g} (figures['sbc_p']): train longer, or with a larger network, and do not "
            "sample with correct=False",
            ConvergenceWarning,
            stacklevel=2,
        )
    return estimator


def _earlier(given: Estimator | str | Path | None, argument: str) -> Estimator | None:
    """The network that a training starts from."""
    if given is None or isinstance(given, Estimator):
        return given
    if not isinstance(given, str | Path):
        raise TypeError(f"{argument} must be an Estimator or the path of one; got {given!r:.60}")
    return load(given)


def _name(given: Estimator | str | Path | None) -> str:
    return "this network" if isinstance(given, Estimator) else str(given)


def _check_resumed(given: Estimator | str | Path | None, earlier: Estimator, asked: dict[str, Any]) -> None:
    trained = {
        "model": earlier.model,
        "factorization": earlier.factorization,
        "n_groups": earlier.n_groups,
        "totals": earlier.totals,
    }
    # of another factorization the settings are others
    settings = resuming.defaults(NETWORKS[asked["factorization"]]) | earlier.settings
    resuming.check_same(_name(given), settings | trained, asked)
    if earlier.state is None:
        raise ValueError(f"resume: {_name(given)} was saved without the state of its training; its weights: init_from=")


def _described(estimator: Estimator) -> str:
    return f"{estimator.factorization}, {estimator.model}, totals {estimator.totals}, {estimator.settings}"


def _budget(steps: int | None, minutes: float | None, target: float | None) -> Budget:
    if steps is None and minutes is None:
        minutes = 5.0
    return Budget(
        None if steps is None else _validate.positive_int(steps, "steps"),
        None if minutes is None else _validate.finite_float(minutes, "minutes", positive=True),
        None if target is None else _validate.finite_float(target, "target", positive=True),
    )


def _ranks_p(estimator: Estimator, models: Sequence[HierarchicalModel], key: Key) -> float:
    """The smallest p-value that the network's ranks are uniform, on 210 datasets of each model."""
    p_values = [rank(estimator, m, 210, np.random.default_rng(key.tolist())).p_value for m in models]
    return min(1.0, len(p_values) * min(p_values))
