"""train: from a stream of datasets, or a table of them, to an embedding."""

import copy
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from hbm_fast import _config, _validate
from hbm_fast._random import RNGLike
from hbm_fast._random import key as new_key
from hbm_fast.amortize.progress import reporter
from hbm_fast.amortize.stream import Block, TrainingStream
from hbm_fast.amortize.training import Budget, Optimizer, State, fit, torch_threads
from hbm_fast.embedding.estimator import Embedding, load
from hbm_fast.embedding.network import EmbeddingNetwork
from hbm_fast.embedding.table import TableStream, split
from hbm_fast.model import HierarchicalModel

# Evaluations without a better held-out bound before a training on a table ends; there are about ten in all.
PATIENCE = 3


def train(
    n_categories: int | None = None,
    dim: int | None = None,
    *,
    link: str = "exp",
    q: str = "full",
    objective: str | None = None,
    head: str = "dirichlet",
    n_components: int = 4,
    steps: int | None = None,
    minutes: float | None = None,
    model: HierarchicalModel | None = None,
    data: ArrayLike | Sequence[ArrayLike] | None = None,
    held_out: float = 0.1,
    n_groups: int | tuple[int, int] = (1, 21),
    totals: int | tuple[int, int] = (0, 20),
    rng: RNGLike = None,
    batch_size: int = 256,
    learning_rate: float = 4e-3,
    progress: bool = False,
    device: str = "cpu",
    mixed_precision: bool = False,
    n_threads: int = 1,
    resume: Embedding | str | Path | None = None,
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
    link : {"exp", "exp_plus_one", "softplus"}
        From the output of f to concentrations. "exp_plus_one" is the note's: every concentration exceeds 1, and bags of
        extreme proportions cannot be learnt; it is here to show that.
    q : {"full", "diagonal", "mixture", "flow"}
        Form of q(z | x): a Gaussian of full or diagonal covariance, a mixture of Gaussians, zuko's spline flow.
    objective : {"dreg", "elbo", "iwae", "rws"}, optional
        See `hbm_fast.embedding.objectives`. Default "dreg", or "rws" for q="mixture", which has no reparametrisation.
    head : {"dirichlet", "mixture"}
        Whether theta comes from one Dirichlet or from a mixture of ``n_components`` of them.
    n_components : int
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
        Of the stream's datasets.
    rng : None, int, SeedSequence, BitGenerator or Generator
        Of the stream, the first weights and the training's draws.
    batch_size, learning_rate
    progress : bool
        Show a progress bar.
    device : str
        "cuda" trains on a GPU.
    mixed_precision : bool
        bfloat16 matrix products.
    n_threads : int
        Small networks are fastest on one.
    resume : Embedding or path, optional
        Go on with a saved training, with the same arguments.
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
        For arguments out of range.
    FloatingPointError
        Where the loss is not finite.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> emb = hbm.embedding.train(n_categories=2, dim=2, link="exp", steps=10, rng=0)
    >>> emb.sample([[3, 0], [0, 2]], n_draws=100, rng=1).z.shape
    (1, 100, 2)
    """
    key = new_key(rng)
    earlier = load(resume) if isinstance(resume, str | Path) else resume
    if earlier is not None:
        if earlier.state is None:
            raise ValueError("resume: this embedding was saved without the state of its training")
        key = np.array([int(word) for word in earlier.training["key"]], dtype=np.uint64)
        model = earlier.model if model is None else model
    seeds = np.random.default_rng(key.tolist()).integers(0, 2**63, size=6, dtype=np.uint64)
    table = None if data is None else _validate.datasets(data)[0]
    if table is not None and (model is not None or table.shape[0] < 2):
        raise ValueError("data must hold at least 2 datasets, shape (B, N, K), and stands instead of a model; give one")
    if table is None and model is None:
        model = HierarchicalModel(2 if n_categories is None else n_categories)
    k = table.shape[-1] if table is not None else model.n_categories  # type: ignore[union-attr]
    if n_categories is not None and n_categories != k:
        raise ValueError(f"n_categories must be K = {k}, as the model or the data say; got {n_categories}")
    if head not in ("dirichlet", "mixture"):
        raise ValueError(f'head must be "dirichlet" or "mixture"; got {head!r}')
    if steps is None and minutes is None:
        minutes = 2.0
    budget = Budget(
        None if steps is None else _validate.positive_int(steps, "steps"),
        None if minutes is None else _validate.finite_float(minutes, "minutes", positive=True),
    )
    if table is not None:
        sizes = table.sum(-1, dtype=np.int64)
        groups, draws = (1, table.shape[1]), (0, max(1, int(sizes.max(initial=0))))
    else:
        groups, draws = (
            _validate.inclusive_range(n_groups, "n_groups", 1),
            _validate.inclusive_range(totals, "totals", 0),
        )
    if earlier is None:
        settings = {
            "n_categories": k,
            "max_total": draws[1],
            "dim": k if dim is None else _validate.positive_int(dim, "dim"),
            "link": link,
            "q": q,
            "objective": objective or ("rws" if q == "mixture" else "dreg"),
            "n_components": _validate.positive_int(n_components, "n_components") if head == "mixture" else 1,
            **network,
        }
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(seeds[0]))
            emb = Embedding(EmbeddingNetwork(**settings), model, settings, groups, draws)
    else:
        emb = Embedding(
            copy.deepcopy(earlier.network), model, earlier.settings, groups, draws, state=copy.deepcopy(earlier.state)
        )
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
            optimizer=Optimizer(
                _validate.positive_int(batch_size, "batch_size"),
                _validate.finite_float(learning_rate, "learning_rate", positive=True),
                clip=20.0,
            ),
            evaluate=evaluate,
            stop=None if watch is None else watch.patience_is_over,
            report=report,
            state=emb.state,
            pause_at=pause_at,
            device=device,
            mixed_precision=mixed_precision,
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
    return emb


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
