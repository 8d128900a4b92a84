"""train: from a stream of datasets, or a table of them, to an embedding."""

import copy
import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from hbm_fast import _config, _validate
from hbm_fast._random import key as new_key
from hbm_fast._typing import RNGLike
from hbm_fast.embedding.data import TableStream, split
from hbm_fast.embedding.estimator import Embedding, load
from hbm_fast.embedding.network import EmbeddingNetwork
from hbm_fast.models import HierarchicalModel
from hbm_fast.nn import resuming
from hbm_fast.nn.data import MOST_GROUPS, MOST_TOTAL, Block, TrainingStream
from hbm_fast.nn.progress import reporter
from hbm_fast.nn.training import Budget, Optimizer, State, fit, torch_threads, usable_device

# Evaluations without a better held-out bound before a training on a table ends; there are about ten in all.
PATIENCE = 3


def train(
    n_categories: int | None = None,
    dim: int | None = None,
    *,
    link: str | None = None,
    q: str | None = None,
    objective: str | None = None,
    head: str | None = None,
    n_components: int | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    model: HierarchicalModel | None = None,
    data: ArrayLike | Sequence[ArrayLike] | None = None,
    held_out: float = 0.1,
    n_groups: int | tuple[int, int] | None = None,
    totals: int | tuple[int, int] | None = None,
    rng: RNGLike = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    progress: bool = False,
    device: str = "cpu",
    mixed_precision: bool = False,
    n_threads: int = 1,
    resume: Embedding | str | Path | None = None,
    init_from: Embedding | str | Path | None = None,
    pause_at: int | None = None,
    **network: Any,
) -> Embedding:
    """Learn a model z -> theta, and q(z | x) with it.

    z ~ N(0, I); theta_n ~ Dirichlet(f(z)) for every group, integrated out; x_n ~ Multinomial(theta_n).

    Parameters
    ----------
    n_categories : int, optional
        K; default that of ``model`` or ``data``, or else 2.
    dim : int, optional
        Length of z; default K, which is what alpha and beta take.
    link : {"exp", "exp_plus_one", "softplus"}, default "exp"
        From the output of f to concentrations. "exp_plus_one" is the note's: every concentration exceeds 1, and bags of
        extreme proportions cannot be learnt; it is here to show that.
    q : {"full", "diagonal", "mixture", "flow"}, default "full"
        Form of q(z | x): a Gaussian of full or diagonal covariance, a mixture of Gaussians, zuko's spline flow.
    objective : {"dreg", "elbo", "iwae", "rws"}, optional
        See `hbm_fast.embedding.objectives`. Default "dreg", or "rws" for q="mixture", which has no reparametrisation.
    head : {"dirichlet", "mixture"}, default "dirichlet"
        Whether theta comes from one Dirichlet or from a mixture of ``n_components`` of them.
    n_components : int, default 4
    steps, minutes : optional
        When to stop, whichever comes first. Default 2 minutes; ``steps`` is for results that must repeat.
    model : HierarchicalModel, optional
        Where the endless stream comes from; default ``HierarchicalModel(n_categories)``.
    data : integer array_like (B, N, K), or list of (N_b, K), optional
        A table of datasets to learn from instead of a stream.
    held_out : float
        Share of the table that is kept back: the training ends when its bound stops improving, and the best network is
        returned.
    n_groups, totals : int or (low, high)
        Of the stream's datasets. Default (1, 21) and (0, 20).
    rng : None, int, SeedSequence, BitGenerator or Generator
        Of the stream, the first weights and the training's draws. With `resume` the stored stream goes on: an rng of
        another key is ignored with a warning.
    batch_size : int, default 256
    learning_rate : float, default 0.004
    progress : bool
        Show a progress bar.
    device : str
        "cuda" trains on a GPU.
    mixed_precision : bool
        bfloat16 matrix products.
    n_threads : int
        Small networks are fastest on one.
    resume : Embedding or path, optional
        Go on with a saved training. Whatever is not given is that of the embedding, only ``data`` must be given
        again; another model, table, range or setting is refused. The embedding itself stays as it is: a copy is
        trained.
    init_from : Embedding or path, optional
        Start from the weights of an embedding, with a new optimizer, stream and model, or on another table. The
        architecture must be the same; model, ranges and settings are those of that embedding unless given.
    pause_at : int, optional
        Stop at this step as if interrupted.
    **network
        ``n_draws=8`` of q for each dataset and step; ``width=64``, ``depth=2``, ``activation="silu"``, ``skip=True`` of
        f; ``encoder_width=128``, ``encoder_depth=2``, ``q_components=8`` of q.

    Returns
    -------
    Embedding

    Raises
    ------
    TypeError, ValueError
        For arguments out of range or misspelt; where `resume` was trained for something else, or `init_from` is of
        another architecture; for a GPU where torch sees none.
    FloatingPointError
        Where the loss is not finite.

    Warns
    -----
    UserWarning
        Where `rng` is ignored.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> emb = hbm.embedding.train(n_categories=2, dim=2, link="exp", steps=10, rng=0)
    >>> emb.sample([[3, 0], [0, 2]], n_draws=100, rng=1).z.shape
    (1, 100, 2)
    """
    if resume is not None and init_from is not None:
        raise ValueError("give resume (to go on with a training) or init_from (to start from its weights), not both")
    earlier, start = _earlier(resume, "resume"), _earlier(init_from, "init_from")
    source = earlier or start
    known = resuming.defaults(EmbeddingNetwork)
    _validate.keywords(network, resuming.arguments(train) | known, "train")
    table = None if data is None else _validate.datasets(data)[0]
    if table is not None and (model is not None or table.shape[0] < 2):
        raise ValueError("data must hold at least 2 datasets, shape (B, N, K), and stands instead of a model; give one")
    if table is None and model is None and source is not None and n_categories in (None, source.n_categories):
        model = source.model
        if model is None and earlier is not None:
            raise ValueError(f"resume: {_name(resume)} was trained on a table of datasets: pass it again as data=")
    if table is None and model is None:
        model = HierarchicalModel(n_categories or (2 if source is None else source.n_categories))
    k = table.shape[-1] if table is not None else model.n_categories  # type: ignore[union-attr]
    if n_categories is not None and n_categories != k:
        raise ValueError(f"n_categories must be K = {k}, as the model or the data say; got {n_categories}")
    if steps is None and minutes is None:
        minutes = 2.0
    budget = Budget(
        None if steps is None else _validate.positive_int(steps, "steps"),
        None if minutes is None else _validate.finite_float(minutes, "minutes", positive=True),
    )
    device = usable_device(device)
    if table is not None:
        sizes = table.sum(-1, dtype=np.int64)
        groups, draws = (1, table.shape[1]), (0, max(1, int(sizes.max(initial=0))))
    else:
        groups, draws = ((1, 21), (0, 20)) if source is None else (source.n_groups, source.totals)
        if n_groups is not None:
            groups = _validate.inclusive_range(n_groups, "n_groups", 1, MOST_GROUPS)
        if totals is not None:
            draws = _validate.inclusive_range(totals, "totals", 0, MOST_TOTAL)
    asked = {
        "n_categories": k,
        "dim": None if dim is None else _validate.positive_int(dim, "dim"),
        "link": link,
        "q": q,
        "objective": objective,
        "n_components": _components(
            head, n_components, 1 if source is None else source.network.generative.n_components
        ),
        **network,
    }
    asked = {name: value for name, value in asked.items() if value is not None}
    digest = None if table is None else hashlib.sha256(np.ascontiguousarray(table, dtype="<i8").data).hexdigest()
    if earlier is not None:
        name = _name(resume)
        trained = {"model": earlier.model, "n_groups": earlier.n_groups, "totals": earlier.totals}
        ranges = {"model": model, "n_groups": groups, "totals": draws}
        resuming.check_same(name, known | earlier.settings | trained, asked | ranges)
        if earlier.training.get("data", digest) != digest:
            raise ValueError(
                f"resume: {name} was trained on other data, of digest {earlier.training['data']:.12}; those given have "
                f"{digest:.12}. To start from its weights: init_from="
            )
        if earlier.state is None:
            raise ValueError(f"resume: {name} was saved without the state of its training; its weights: init_from=")
        key = resuming.stored_key(name, earlier.training, rng)
        batch_size = earlier.training["batch_size"] if batch_size is None else batch_size
        learning_rate = earlier.training["learning_rate"] if learning_rate is None else learning_rate
    else:
        key = new_key(rng)
    batch_size = _validate.positive_int(256 if batch_size is None else batch_size, "batch_size")
    learning_rate = _validate.finite_float(
        4e-3 if learning_rate is None else learning_rate, "learning_rate", positive=True
    )
    seeds = np.random.default_rng(key.tolist()).integers(0, 2**63, size=6, dtype=np.uint64)
    if earlier is not None:
        emb = replace(earlier, network=copy.deepcopy(earlier.network), state=copy.deepcopy(earlier.state))
    else:
        base = {"dim": k, "link": "exp", "q": "full", "objective": "rws" if q == "mixture" else "dreg"}
        settings = (base if start is None else start.settings) | asked | {"max_total": draws[1]}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(seeds[0]))
            emb = Embedding(EmbeddingNetwork(**settings), model, settings, groups, draws)
        if start is not None:
            resuming.take_weights(emb.network, start.network, str(settings), f"{_name(init_from)} ({start.settings})")
    net = emb.network
    watch: _Watch | None = None
    if table is not None:
        learn, back = split(table.shape[0], _validate.share(held_out, "held_out"), key)
        block = TableStream(table[learn], draws[1], key).block
        rest = TableStream(table[back], draws[1], key)
        held = rest.rows(np.arange(len(rest)))
        watch = _Watch(net, _bound(net, held, int(seeds[1])))
        evaluate: Callable[[], dict[str, float]] = watch
    else:
        assert model is not None
        block = TrainingStream(model, groups, draws, key, net.needs_groups, n_threads).block
        held = TrainingStream(model, groups, draws, seeds[1:3], net.needs_groups, n_threads).block(0, 500)
        evaluate = _bound(net, held, int(seeds[1]))
    with torch_threads(_validate.positive_int(n_threads, "n_threads")), reporter(progress, batch_size) as report:
        emb.state = fit(
            net,
            net,
            block,
            budget,
            seed=int(seeds[3]),
            optimizer=Optimizer(batch_size, learning_rate, clip=20.0),
            evaluate=evaluate,
            stop=None if watch is None else watch.patience_is_over,
            report=report,
            state=emb.state,
            pause_at=pause_at,
            device=device,
            mixed_precision=mixed_precision,
            calibrate=start is None,
        )
        if watch is not None and watch.best is not None:
            net.load_state_dict(watch.best)
        emb.figures = _bound(net, held, int(seeds[1]))()
    emb.training = {
        "key": [str(word) for word in key],
        "steps": emb.state.step,
        "seconds": round(emb.state.seconds, 2),
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "torch": torch.__version__,
        "library": _config.__version__,
        "stream_version": _config.STREAM_VERSION,
    }
    if digest is not None:
        emb.training["data"] = digest
    return emb


def _earlier(given: Embedding | str | Path | None, argument: str) -> Embedding | None:
    """The embedding that a training starts from."""
    if given is None or isinstance(given, Embedding):
        return given
    if not isinstance(given, str | Path):
        raise TypeError(f"{argument} must be an Embedding or the path of one; got {given!r:.60}")
    return load(given)


def _name(given: Embedding | str | Path | None) -> str:
    return "this embedding" if isinstance(given, Embedding) else str(given)


def _components(head: str | None, n_components: int | None, stored: int) -> int:
    """M: 1 of one Dirichlet, whatever ``n_components`` says; what is not given is as stored, which is 1 of nothing."""
    if head not in (None, "dirichlet", "mixture"):
        raise ValueError(f'head must be "dirichlet" or "mixture"; got {head!r}')
    if head == "dirichlet" or (head is None and stored == 1):
        return 1
    if n_components is not None:
        return _validate.positive_int(n_components, "n_components")
    return stored if stored > 1 else 4


def _bound(net: EmbeddingNetwork, held: Block, seed: int, n_draws: int = 64) -> Callable[[], dict[str, float]]:
    """Held-out figures: the importance-weighted bound on log p(x), and the effective share of the weights."""

    @torch.no_grad()
    def figures() -> dict[str, float]:
        device = next(net.parameters()).device
        generator = torch.Generator(device).manual_seed(seed % 2**63)
        features, data = (t.to(device) for t in net.prepare(held))
        parameters = net.encoder(features)
        z = net.head.sample(parameters, n_draws, generator)
        log_w = net.log_joint(data, z).double() - net.head.log_density(parameters, z)
        return {
            "bound": float((log_w.logsumexp(1) - math.log(n_draws)).mean()),
            "ess_share": float((1.0 / (n_draws * log_w.softmax(1).square().sum(1))).mean()),
        }

    return figures


class _Watch:
    """Held-out figures that remember the best network."""

    def __init__(self, net: EmbeddingNetwork, figures: Callable[[], dict[str, float]]) -> None:
        self.net, self.figures = net, figures
        self.best: dict[str, torch.Tensor] | None = None
        self.best_bound, self.since = -math.inf, 0

    def __call__(self) -> dict[str, float]:
        found = self.figures()
        self.since += 1
        if found["bound"] > self.best_bound:
            self.best_bound, self.since = found["bound"], 0
            self.best = {name: value.detach().cpu().clone() for name, value in self.net.state_dict().items()}
        return found

    def patience_is_over(self, state: State) -> bool:
        """Whether to end the training."""
        return self.since >= PATIENCE
