"""train: from simulated datasets, or datasets of one's own, to an embedding."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _validate, errors
from hbm_fast._typing import Key, RNGLike
from hbm_fast.embedding.dataset_estimator import DatasetEmbedding
from hbm_fast.embedding.dataset_train import SHARED, Shared, decide, train_datasets
from hbm_fast.embedding.division import divided
from hbm_fast.embedding.estimator import Embedding
from hbm_fast.embedding.network import EmbeddingNetwork
from hbm_fast.models import HierarchicalModel, known_concentration
from hbm_fast.nn import resuming
from hbm_fast.nn.data import MOST_GROUPS, MOST_TOTAL, Block, DatasetStream, TrainingStream
from hbm_fast.nn.estimator import fit, seeds_of
from hbm_fast.nn.importance import effective_share, log_mean_exp
from hbm_fast.nn.training import EarlyStopping, TrainingOptions, merge_options
from hbm_fast.sufficient_statistics import group_totals
from hbm_fast.tables.inputs import as_datasets

N_HELD_OUT = 500  # simulated datasets
PATIENCE = 3  # evaluations, of about ten in all


@overload
def train(
    n_categories: int | None = None, dim: int | None = None, *, shared: Literal["bag"] = "bag", **settings: Any
) -> Embedding: ...
@overload
def train(
    n_categories: int | None = None, dim: int | None = None, *, shared: Literal["dataset"], **settings: Any
) -> DatasetEmbedding: ...
@overload
def train(
    n_categories: int | None = None, dim: int | None = None, *, shared: Literal["auto"], **settings: Any
) -> Embedding | DatasetEmbedding: ...
def train(
    n_categories: int | None = None,
    dim: int | None = None,
    *,
    model: HierarchicalModel | None = None,
    data: ArrayLike | Sequence[ArrayLike] | None = None,
    shared: Shared = "bag",
    names: Sequence[str] | None = None,
    held_out: float | Sequence[int] = 0.1,
    n_groups: int | tuple[int, int] | None = None,
    totals: int | tuple[int, int] | None = None,
    rng: RNGLike = None,
    resume: Embedding | str | Path | None = None,
    init_from: Embedding | str | Path | None = None,
    options: TrainingOptions | None = None,
    **settings: Any,
) -> Embedding | DatasetEmbedding:
    """Train a model z -> theta, and q(z | x) with it.

    z ~ N(0, I); theta_n ~ Dirichlet(f(z)) for every group, integrated out; x_n ~ Multinomial(theta_n). With
    ``shared="dataset"`` there is one theta for all groups of a dataset, as where they are utterances of one language.

    Parameters
    ----------
    n_categories : int, optional
        K; default that of ``model`` or ``data``, or else 2.
    dim : int, optional
        Length of z; default K, the number of free parameters of alpha and beta. With ``shared="dataset"`` default 12,
        or the number of free proportions where that is smaller.
    model : HierarchicalModel, optional
        Of the simulated datasets; default ``HierarchicalModel(n_categories)``.
    data : integer array_like (B, N, K), or list of (N_b, K), optional
        Datasets to train on instead of simulated ones. With ``shared="dataset"`` also (B, N, C, K) or a list of
        (N_b, C, K): counts in C contexts, each with a theta of its own, such as the letters after each letter.
    shared : {"bag", "dataset", "auto"}
        Whether each group (bag) has a theta of its own, or all groups of a dataset share one. "auto" fits one Dirichlet
        to the groups of each dataset, and takes "dataset" where at least half of the fits are at infinite
        concentration, so that the groups vary no more than draws from one theta; it warns with the number.
    names : sequence of str (B,), optional
        Of the datasets, with ``shared="dataset"``: what `DatasetPosterior.nearest` returns. Default "0", "1", ...
    held_out : float, or sequence of int
        Share of ``data`` that is held out, or the places of these datasets, such as all of one family: the training
        ends when the bound on these stops improving, and the best network is returned. With ``shared="dataset"`` the
        evidence at the mode takes the place of the bound.
    n_groups, totals : int or (low, high)
        Range of the simulated datasets. Default (1, 21) and (0, 20).
    rng : None, int, SeedSequence, BitGenerator or Generator
        Of the stream, the first weights and the training's draws. With `resume` the stored stream goes on: an rng of
        another key is ignored with a warning.
    resume : Embedding or path, optional
        Go on with a saved training. Whatever is not given is that of the embedding, only ``data`` must be given
        again; another model, data, range or setting is refused. A copy of the embedding is trained.
    init_from : Embedding or path, optional
        Start from the weights of an embedding, with a new optimizer, stream and model, or on other data. The
        architecture must be the same; model, ranges and settings are those of that embedding unless given.
    options : TrainingOptions, optional
        Options of the training loop.
    **settings
        The fields of `TrainingOptions`, such as ``steps``, ``minutes`` and ``progress``, and settings of the network:

        - ``link="exp"``: from the output of f to concentrations, or "softplus", or "exp_plus_one", that of Le (2020),
          with which every concentration exceeds 1 and groups of extreme proportions cannot be learned.
        - ``q="full"``: form of q(z | x), a Gaussian of full covariance; "diagonal"; "mixture" of Gaussians; "flow",
          zuko's spline flow.
        - ``objective="dreg"``, "elbo", "iwae" or "rws", see `hbm_fast.embedding.objectives`; default "rws" for
          q="mixture", which has no reparametrisation.
        - ``head="dirichlet"``: theta from one Dirichlet, or "mixture" of ``n_components=4`` of them.
        - ``n_draws=8`` of q for each dataset and step; ``width=64``, ``depth=2``, ``activation="silu"``, ``skip=True``
          of f; ``encoder_width=128``, ``encoder_depth=2``, ``q_components=8`` of q.

        With ``shared="dataset"`` the training takes 800 steps of 64 random sub-sets of the bags by default, then
        ``inference_steps`` (default twice as many) for q alone, on ``n_simulated=20480`` datasets that f simulates;
        settings of the network are ``width=128``, ``depth=2``, ``n_draws=4``, ``n_anchors=8``, ``encoder_width=128``,
        ``encoder_depth=1``, and ``z_noise`` (default dim / 30, at most 0.4), the standard deviation of the noise added
        to z while f is learned: the larger, the smoother f.

    Returns
    -------
    Embedding, or with ``shared="dataset"`` DatasetEmbedding

    Raises
    ------
    TypeError, ValueError
        For arguments out of range, misspelt or given twice; where `resume` was trained for something else, or
        `init_from` is of another architecture; for a GPU where torch sees none.
    FloatingPointError
        Where the loss is not finite; the batch is saved and named.

    Warns
    -----
    UserWarning
        Where `rng` is ignored; what ``shared="auto"`` decides; and with ``shared="dataset"`` where there are fewer than
        40 datasets to learn from, with the evidence of a fitted Dirichlet, which does as well.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> emb = hbm.embedding.train(n_categories=2, dim=2, link="exp", steps=10, rng=0)
    >>> emb.sample([[3, 0], [0, 2]], n_draws=100, rng=1).z.shape
    (1, 100, 2)
    """
    options, settings = merge_options(options, settings)
    if shared not in SHARED:
        raise ValueError(f"shared must be one of {', '.join(map(repr, SHARED))}; got {shared!r}")
    if shared != "bag":
        given: dict[str, Any] = {"n_categories": n_categories, "model": model, "n_groups": n_groups, "totals": totals}
        given |= {"resume": resume, "init_from": init_from}
        unused = [name for name, value in given.items() if value is not None]
        if data is None or unused:
            what = f"takes no {unused[0]}=" if unused else "needs data="
            raise TypeError(f'shared="{shared}" learns from given datasets and {what}')
        chosen: str = shared
        if shared == "auto":
            chosen, reason = decide(data)
            errors.warn(reason, UserWarning)
        if chosen == "dataset":
            return train_datasets(
                data, names=names, held_out=held_out, dim=dim, rng=rng, options=options, settings=settings
            )
    first = data[0] if isinstance(data, list | tuple) and data else data
    if isinstance(first, np.ndarray) and first.ndim == (4 if first is data else 3):
        raise ValueError(
            'data hold counts in contexts, (N, C, K) for each dataset: only shared="dataset" takes them. Add up the '
            "contexts for a theta of each bag"
        )
    if names is not None:
        raise TypeError('names is for shared="dataset", whose posterior names the nearest datasets')
    if options.target is not None:
        raise TypeError("target is an option of hbm_fast.amortize.train: an embedding has no KL to the exact posterior")
    origin = resuming.Origin(Embedding, resume, init_from)
    _validate.keywords(settings, [*resuming.arguments(train), *resuming.defaults(EmbeddingNetwork), "head"], "train")
    counts = None if data is None else as_datasets(data, name="data")[0].counts
    if counts is None and options.patience is not None:
        raise TypeError("patience needs data: simulated datasets do not run out, and the training does not end early")
    model = _model(model, counts, n_categories, origin)
    k = model.n_categories if model is not None else counts.shape[-1]  # type: ignore[union-attr]
    settings = {"n_categories": k} | _settings(dim, settings, origin)
    ranges = _ranges(counts, n_groups, totals, origin)
    digest = {} if counts is None else {"data": hashlib.sha256(np.ascontiguousarray(counts, "<i8").data).hexdigest()}
    if origin.resumed:
        origin.check_same(settings | {"model": model} | ranges, EmbeddingNetwork)
        _check_same_data(origin, digest)
    key = origin.key(rng)
    options = origin.complete(options, minutes=2.0, learning_rate=4e-3)
    seeds = seeds_of(key)
    emb = origin.start(lambda: _untrained(origin, model, settings, ranges), seeds[0])
    if counts is None:
        block, held_out_block = _simulated(emb, key, seeds[1:3], options.n_threads)
    else:
        block, held_out_block = _divided(counts, emb.totals[1], held_out, key)
    evaluate = _validation_metrics(emb.network, held_out_block, int(seeds[1]))
    stopping = None if counts is None else EarlyStopping(emb.network, evaluate, "bound", options.patience or PATIENCE)
    fit(
        emb,
        block,
        options,
        key,
        description=digest,
        seed=int(seeds[3]),
        evaluate=stopping or evaluate,
        stop=None if stopping is None else stopping.should_stop,
        calibrate=origin.network is None or origin.resumed,
        clip=20.0,
    )
    if stopping is not None and stopping.best is not None:
        stopping.restore()
        emb.metrics = stopping.best
    return emb


def _model(
    model: HierarchicalModel | None,
    counts: NDArray[Any] | None,
    n_categories: int | None,
    origin: resuming.Origin[Embedding],
) -> HierarchicalModel | None:
    """The model of the simulated datasets; None for given counts."""
    if counts is not None:
        if model is not None or counts.shape[0] < 2:
            raise ValueError("data must hold at least 2 datasets, shape (B, N, K), and replaces the model; give one")
        k = counts.shape[-1]
    else:
        if model is None and n_categories in (None, origin.get("n_categories", None)):
            model = origin.get("model", None)
            if model is None and origin.resumed:
                raise ValueError(f"resume: {origin.name} was trained on given datasets: pass them again as data=")
        model = model or HierarchicalModel(n_categories or origin.get("n_categories", 2))
        known_concentration(model, "embedding.train", "Use hbm.sample")
        k = model.n_categories
    if n_categories not in (None, k):
        raise ValueError(f"n_categories must be K = {k}, as of the model or the data; got {n_categories}")
    return model


def _ranges(
    counts: NDArray[Any] | None, n_groups: Any, totals: Any, origin: resuming.Origin[Embedding]
) -> dict[str, tuple[int, int]]:
    """The ranges of the number of groups and of their totals."""
    if counts is not None:
        largest = int(group_totals(counts).max(initial=0))
        return {"n_groups": (1, counts.shape[1]), "totals": (0, max(1, largest))}
    if n_groups is None:
        n_groups = origin.get("n_groups", (1, 21))
    if totals is None:
        totals = origin.get("totals", (0, 20))
    return {
        "n_groups": _validate.inclusive_range(n_groups, "n_groups", 1, MOST_GROUPS),
        "totals": _validate.inclusive_range(totals, "totals", 0, MOST_TOTAL),
    }


def _settings(dim: int | None, settings: dict[str, Any], origin: resuming.Origin[Embedding]) -> dict[str, Any]:
    """The settings of the network that were given; ``head`` decides the number of components."""
    settings = {name: value for name, value in settings.items() if value is not None}
    if dim is not None:
        settings["dim"] = _validate.positive_int(dim, "dim")
    stored = origin.get("n_components", 1)
    head = settings.pop("head", "dirichlet" if stored == 1 else "mixture")
    if head not in ("dirichlet", "mixture"):
        raise ValueError(f'head must be "dirichlet" or "mixture"; got {head!r}')
    if head == "dirichlet":
        settings["n_components"] = 1
    else:
        default = stored if stored > 1 else 4
        settings["n_components"] = _validate.positive_int(settings.get("n_components", default), "n_components")
    return settings


def _check_same_data(origin: resuming.Origin[Embedding], digest: dict[str, str]) -> None:
    stored = origin.get("training", {}).get("data")
    if digest and stored is not None and stored != digest["data"]:
        raise ValueError(
            f"resume: {origin.name} was trained on other data, of digest {stored:.12}; those given have "
            f"{digest['data']:.12}. To start from its weights: init_from="
        )


def _untrained(
    origin: resuming.Origin[Embedding],
    model: HierarchicalModel | None,
    settings: dict[str, Any],
    ranges: dict[str, Any],
) -> Embedding:
    """An embedding with new weights; what was not given is that of ``init_from``, or else the default."""
    objective = "rws" if settings.get("q") == "mixture" else "dreg"
    base = {"dim": settings["n_categories"], "link": "exp", "q": "full", "objective": objective}
    settings = origin.get("settings", base) | settings | {"max_total": ranges["totals"][1]}
    return Embedding(EmbeddingNetwork(**settings), model, settings, **ranges)


def _simulated(emb: Embedding, key: Key, held_out_key: Key, n_threads: int) -> tuple[Callable[..., Block], Block]:
    """The stream of the training, and held-out datasets."""
    assert emb.model is not None
    groups = emb.network.needs_groups
    streams = [TrainingStream(emb.model, emb.n_groups, emb.totals, k, groups, n_threads) for k in (key, held_out_key)]
    return streams[0].block, streams[1].block(0, N_HELD_OUT)


def _divided(counts: NDArray[Any], max_total: int, held_out: Any, key: Key) -> tuple[Callable[..., Block], Block]:
    """The stream of the training, and held-out datasets, of given counts."""
    streams = [DatasetStream(counts[rows], max_total, key) for rows in divided(len(counts), held_out, key)]
    return streams[0].block, streams[1].rows(np.arange(len(streams[1])))


def _validation_metrics(
    net: EmbeddingNetwork, held_out: Block, seed: int, n_draws: int = 64
) -> Callable[[], dict[str, float]]:
    """Return a function that computes the importance-weighted bound on log p(x) and the effective share."""

    @torch.no_grad()
    def metrics() -> dict[str, float]:
        generator = torch.Generator().manual_seed(seed % 2**63)
        features, data = net.prepare(held_out)
        parameters = net(features)
        z = net.head.sample(parameters, n_draws, generator)
        log_w = net.log_joint(data, z).double() - net.head.log_density(parameters, z)
        return {"bound": float(log_mean_exp(log_w).mean()), "ess_share": float(effective_share(log_w).mean())}

    return metrics
