"""train: from a model to an estimator."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from hbm_fast import _config, _validate
from hbm_fast._random import Key, RNGLike
from hbm_fast._random import key as new_key
from hbm_fast.amortize.any_k import AnyKStream
from hbm_fast.amortize.estimator import Estimator
from hbm_fast.amortize.held_out import held_out
from hbm_fast.amortize.loading import NETWORKS, load
from hbm_fast.amortize.progress import reporter
from hbm_fast.amortize.ranks import Ranks
from hbm_fast.amortize.report import rank
from hbm_fast.amortize.stream import TrainingStream
from hbm_fast.amortize.training import Budget, Optimizer, State, fit, torch_threads
from hbm_fast.model import HierarchicalModel

Factorization = Literal["top-down", "bottom-up", "any-k"]
NOT_FIGURES = ("step", "seconds", "loss")  # of a point of the history: they say where the training stood


def train(
    model: HierarchicalModel | None = None,
    *,
    factorization: Factorization = "top-down",
    steps: int | None = None,
    minutes: float | None = None,
    target: float | None = None,
    n_groups: int | tuple[int, int] = (1, 50),
    totals: int | tuple[int, int] = (0, 50),
    rng: RNGLike = None,
    batch_size: int = 256,
    learning_rate: float = 2e-3,
    progress: bool = False,
    device: str = "cpu",
    mixed_precision: bool = False,
    n_threads: int = 1,
    resume: Estimator | str | Path | None = None,
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
    factorization : {"top-down", "bottom-up", "any-k"}
        Top-down: q(alpha, beta | x), then theta of each group from its exact conditional. Bottom-up, the note's other
        choice: q(theta_n | x_n), then q(alpha, beta | theta_1, ..., theta_N). "any-k": top-down for all numbers of
        categories at once, ``categories=(2, 10)``, under the default priors; it takes no model.
    steps, minutes, target : optional
        When to stop, whichever comes first: after so many steps (the result repeats, bit for bit on one machine), after
        so many minutes, or once the held-out KL to the exact posterior falls below the target. Default 5 minutes.
    n_groups, totals : int or (low, high)
        The datasets to be ready for: groups, and draws from a group, from low to high.
    rng : None, int, SeedSequence, BitGenerator or Generator
        Of the stream, the network's first weights and the training's draws.
    batch_size, learning_rate
    progress : bool
        Show the loss, the held-out KL, datasets per second and the simulator's share of the time.
    device : str
        "cuda" trains on a GPU.
    mixed_precision : bool
        bfloat16 matrix products; off unless asked for.
    n_threads : int
        Threads of torch and of the simulator; small networks are fastest on one.
    resume : Estimator or path, optional
        Go on with a training that was saved: with the same arguments, the same bits as without the pause.
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
        For arguments out of range.
    FloatingPointError
        Where the loss is not finite; the batch is saved and named.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> est = hbm.amortize.train(hbm.HierarchicalModel(2), steps=20, n_groups=(1, 5), totals=(0, 5), rng=0)
    >>> est.sample([[5, 0], [0, 1]], n_draws=100, rng=1, correct=False).alpha.shape
    (1, 100)
    """
    if factorization not in NETWORKS:
        raise ValueError(f'factorization must be "top-down", "bottom-up" or "any-k"; got {factorization!r}')
    if model is None and factorization != "any-k":
        model = HierarchicalModel(2)
    groups, draws = _range(n_groups, "n_groups", 1), _range(totals, "totals", 0)
    if steps is None and minutes is None:
        minutes = 5.0
    budget = Budget(
        None if steps is None else _validate.positive_int(steps, "steps"),
        None if minutes is None else _validate.finite_float(minutes, "minutes", positive=True),
        None if target is None else _validate.finite_float(target, "target", positive=True),
    )
    earlier = None
    if resume is not None:
        earlier = resume if isinstance(resume, Estimator) else load(resume)
        if earlier.state is None:
            raise ValueError("resume: this network was saved without the state of its training")
    ranks = Ranks.of_process_group()
    ranks.share_of(_validate.positive_int(batch_size, "batch_size"))
    key = ranks.from_first(lambda: new_key(rng))
    if earlier is not None:
        key = np.array([int(w) for w in earlier.training["key"]], dtype=np.uint64)
    seeds = np.random.default_rng(key.tolist()).integers(0, 2**63, size=6, dtype=np.uint64)
    if earlier is not None:
        estimator = earlier
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(seeds[0]))
            module = NETWORKS[factorization](model, draws[1], **network)
        estimator = Estimator(module, model, factorization, dict(network), groups, draws)
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
                optimizer=Optimizer(
                    batch_size,
                    _validate.finite_float(learning_rate, "learning_rate", positive=True),
                    steps_per_block=16 if model is not None else 2,
                ),
                evaluate=figures,
                report=report,
                keep=None if checkpoint is None or ranks.rank > 0 else keep,
                state=estimator.state,
                pause_at=pause_at,
                device=device,
                mixed_precision=mixed_precision,
                ranks=ranks,
            )
        estimator.figures = ranks.from_first(lambda: figures() | {"sbc_p": _ranks_p(estimator, models, seeds[4:6])})
    estimator.training = facts(estimator.state)
    return estimator


def _ranks_p(estimator: Estimator, models: Sequence[HierarchicalModel], key: Key) -> float:
    """The smallest p-value that the network's ranks are uniform, on 210 datasets of each model."""
    p_values = [rank(estimator, m, 210, np.random.default_rng(key.tolist())).p_value for m in models]
    return min(1.0, len(p_values) * min(p_values))


def _range(value: Any, name: str, minimum: int) -> tuple[int, int]:
    low, high = value if isinstance(value, tuple) else (value, value)
    low = _validate.positive_int(low, name, minimum=minimum)
    high = _validate.positive_int(high, name, minimum=max(1, minimum))
    if high < low:
        raise ValueError(f"{name} must be an int or (low, high) with low <= high; got {value}")
    return low, high
