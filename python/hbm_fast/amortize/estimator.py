"""A trained network as an estimator: counts in, the same `Posterior` as from MCMC out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _config, _validate
from hbm_fast._random import RNGLike
from hbm_fast._random import key as new_key
from hbm_fast.amortize import checkpoint
from hbm_fast.amortize.any_k import AnyK
from hbm_fast.amortize.bottom_up import BottomUp
from hbm_fast.amortize.correction import Weights, weigh
from hbm_fast.amortize.networks import Draws, TopDown
from hbm_fast.amortize.training import State, torch_threads
from hbm_fast.model import HierarchicalModel
from hbm_fast.posterior import Posterior
from hbm_fast.sampling import sample as exact_sample

Correct = bool | Literal["auto"]

# The factorisations by name: how a checkpoint finds its class.
NETWORKS: dict[str, Any] = {"top-down": TopDown, "bottom-up": BottomUp, "any-k": AnyK}

# Draws of so many (dataset, draw) pairs at once stay in the cache.
CHUNK = 20_000


@dataclass
class Estimator:
    """A trained network.

    Attributes
    ----------
    network : nn.Module
    factorization : str
        "top-down" or "bottom-up".
    settings : dict
        What the network was built with.
    n_groups, totals : (low, high)
        The range it was trained on.
    training : dict
        Steps, key, seconds, versions.
    figures : dict
        Held-out figures, measured at the end of the training.
    """

    network: Any
    model: HierarchicalModel | None
    factorization: str
    settings: dict[str, Any]
    n_groups: tuple[int, int]
    totals: tuple[int, int]
    training: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    state: State | None = None

    def __repr__(self) -> str:
        figures = "".join(f", {name}={value:.4g}" for name, value in self.figures.items())
        return f"Estimator({self.factorization}, {self.model}, n_groups={self.n_groups}, totals={self.totals}{figures})"

    # inference ------------------------------------------------------------------------------------------------------
    def sample(
        self,
        counts: ArrayLike | Sequence[ArrayLike],
        *,
        n_draws: int = 1000,
        rng: RNGLike = None,
        correct: Correct = "auto",
        n_threads: int | None = None,
    ) -> Posterior:
        """Draw from the posterior of (alpha, beta) given the counts.

        Parameters
        ----------
        counts : integer array_like (N, K) or (B, N, K), or list of (N_b, K)
        n_draws : int
            D; there is one chain.
        rng : None, int, SeedSequence, BitGenerator or Generator
        correct : {"auto", True, False}
            False: the network's own draws. True: with importance weights against the exact likelihood. "auto": the
            same where the weights are even enough, and otherwise, or where the data are outside the range of the
            training, draws of the exact sampler.
        n_threads : int, optional

        Returns
        -------
        Posterior
            ``.details`` says for each dataset which path was taken (``"path"``: "network", "importance" or "sampler"),
            and why (``"reason"``); ``"ess_share"`` is the effective share of the draws, ``"pareto_k"`` the tail of the
            weights where it was consulted. ``.log_evidence`` comes with the weights.

        Raises
        ------
        ValueError
            For data outside the range of the training, unless ``correct="auto"``.
        """
        if correct not in (True, False, "auto"):
            raise ValueError(f'correct must be "auto", True or False; got {correct!r}')
        n_draws = _validate.positive_int(n_draws, "n_draws")
        table, batch = _padded(counts)
        model = self._model(table.shape[-1])
        key = new_key(rng)
        threads = _validate.threads(n_threads)
        outside = self.outside(table)
        if correct != "auto":
            for b, reason in enumerate(outside):
                if reason:
                    where = f"dataset {b}: " if batch else ""
                    raise ValueError(f'{where}{reason}; correct="auto" gives it to the exact sampler')
        inside = np.array([not reason for reason in outside])
        n = table.shape[0]
        log_alpha = np.empty((n, n_draws))
        log_beta = np.empty((n, n_draws, model.n_categories))
        log_theta = None
        weights: Weights | None = None
        log_weights = np.full((n, n_draws), -np.log(n_draws))
        path = np.full(n, "network", dtype="<U10")
        details: dict[str, Any] = {}
        evidence = error = None
        if inside.any():
            drawn = self._draw(table[inside], n_draws, key, correct is not False, threads)
            log_alpha[inside], log_beta[inside] = drawn.log_alpha.numpy(), drawn.log_beta.numpy()
            if correct is False:
                log_theta = drawn.log_theta
            elif drawn.log_weight is not None:
                weights = weigh(drawn.log_weight.numpy())
        if correct is not False:
            path[:] = "importance"
            share, k, evidence, error = (np.full(n, np.nan) for _ in range(4))
            failed = ~inside
            if weights is not None:
                log_weights[inside] = weights.log_weights
                share[inside], k[inside] = weights.share, weights.pareto_k
                evidence[inside] = weights.log_evidence + _log_coefficient(table[inside])
                error[inside] = weights.log_evidence_error
                if correct == "auto":
                    failed[np.flatnonzero(inside)[~weights.accepted]] = True
            details = {"ess_share": share, "pareto_k": k}
            if failed.any():
                path[failed] = "sampler"
                log_alpha[failed], log_beta[failed] = _exactly(table[failed], model, n_draws, key, threads)
                log_weights[failed] = -np.log(n_draws)
        details["path"] = path
        details["reason"] = np.array(
            [
                reason or ("the importance weights are uneven" if p == "sampler" else "")
                for reason, p in zip(outside, path, strict=True)
            ]
        )

        def shaped(values: Any) -> Any:
            return values if batch else values[0]

        hook = None
        if log_theta is not None:
            thetas = log_theta
            hook = lambda group: shaped(thetas(group)[:, None])  # noqa: E731
        return Posterior(
            shaped(log_alpha[:, None]),
            shaped(log_beta[:, None]),
            model=model,
            counts=shaped(table),
            log_weights=None if correct is False else shaped(log_weights[:, None]),
            log_evidence=None if evidence is None else shaped(evidence),
            log_evidence_error=None if error is None else shaped(error),
            method=self.factorization,
            details={name: shaped(value) for name, value in details.items()},
            key=key,
            theta_draws=hook,
        )

    def outside(self, counts: NDArray[Any]) -> list[str]:
        """For each dataset of counts (B, N, K) why it is outside the range of the training; empty where it is not."""
        totals = counts.sum(-1, dtype=np.int64)
        groups = (totals > 0).sum(1)
        largest = totals.max(1, initial=0)
        reasons = []
        for n, m in zip(groups.tolist(), largest.tolist(), strict=True):
            if n > self.n_groups[1]:
                reasons.append(f"{n} groups, the network was trained on up to {self.n_groups[1]}")
            elif m > self.totals[1]:
                reasons.append(f"a group of total {m}, the network was trained on up to {self.totals[1]}")
            else:
                reasons.append("")
        return reasons

    def _model(self, n_categories: int) -> HierarchicalModel:
        if self.model is not None:
            _validate.same_categories(n_categories, self.model)
            return self.model
        low, high = self.network.categories
        if not low <= n_categories <= high:
            raise ValueError(f"counts must have K between {low} and {high} categories; got {n_categories}")
        return HierarchicalModel(n_categories)

    def _draw(self, table: NDArray[Any], n_draws: int, key: NDArray[np.uint64], weigh: bool, threads: int) -> Draws:
        size = max(1, CHUNK // n_draws)
        generator = torch.Generator().manual_seed(int(key[0] >> np.uint64(1)))
        with torch_threads(threads), torch.no_grad():
            parts = [
                self.network.draw(table[i : i + size], n_draws, generator, weigh=weigh, n_threads=threads)
                for i in range(0, table.shape[0], size)
            ]
        return Draws.concatenated(parts)

    # files ----------------------------------------------------------------------------------------------------------
    def save(self, path: str | Path) -> None:
        """Write the network, and what it takes to go on training, to one safetensors file with a JSON header."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        header: dict[str, Any] = {
            "library": _config.__version__,
            "stream_version": _config.STREAM_VERSION,
            "factorization": self.factorization,
            "model": None if self.model is None else checkpoint.describe_model(self.model),
            "settings": self.settings,
            "n_groups": self.n_groups,
            "totals": self.totals,
            "training": self.training,
            "figures": self.figures,
        }
        if self.state is not None:
            tensors |= {f"optimizer.{name}": value for name, value in self.state.optimizer.items()}
            if self.state.generator is not None:
                tensors["generator"] = self.state.generator
            header["state"] = {
                "step": self.state.step,
                "seconds": self.state.seconds,
                "simulator_seconds": self.state.simulator_seconds,
                "history": self.state.history,
            }
        checkpoint.write(Path(path), tensors, header)


def load(path: str | Path) -> Estimator:
    """A network from a file, or one of those that come with hbm_fast: "marbles", "marbles-bottom-up", "any-k".

    Raises
    ------
    FileNotFoundError, ValueError
        Where there is no such network, or the file was written by a later version.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> net = hbm.amortize.load("marbles")
    >>> net.totals
    (0, 50)
    """
    tensors, header = checkpoint.read(checkpoint.locate(path))
    model = None if header["model"] is None else checkpoint.model_of(header["model"])
    factorization, settings = header["factorization"], header["settings"]
    if factorization not in NETWORKS:
        raise ValueError(f"{path} holds a {factorization!r} network, which this version does not know")
    network = NETWORKS[factorization](model, header["totals"][1], **settings)
    network.load_state_dict(_under(tensors, "network."))
    network.eval()
    state = None
    if "state" in header:
        state = State(**header["state"], generator=tensors.get("generator"), optimizer=_under(tensors, "optimizer."))
    return Estimator(
        network,
        model,
        factorization,
        settings,
        (header["n_groups"][0], header["n_groups"][1]),
        (header["totals"][0], header["totals"][1]),
        header["training"],
        header["figures"],
        state,
    )


def _under(tensors: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _padded(counts: Any) -> tuple[NDArray[Any], bool]:
    """(B, N, K), and whether there was a batch."""
    if _validate.is_ragged(counts):
        arrays = [_validate.counts(c, name=f"counts[{i}]") for i, c in enumerate(counts)]
        return _validate.zero_padded(arrays), True
    array = _validate.counts(counts, ndim=(2, 3))
    return (array, True) if array.ndim == 3 else (array[np.newaxis], False)


def _log_coefficient(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Sum over groups of the log multinomial coefficient, (B,)."""
    x = torch.from_numpy(counts.astype(np.float64))
    value = torch.lgamma(x.sum(-1) + 1.0).sum(-1) - torch.lgamma(x + 1.0).sum((-1, -2))
    return np.asarray(value.numpy())


def _exactly(
    counts: NDArray[Any], model: HierarchicalModel, n_draws: int, key: NDArray[np.uint64], threads: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draws of MCMC, four chains behind each other."""
    n_chains = 4 if n_draws >= 400 else 1
    each = -(-n_draws // n_chains)
    post = exact_sample(counts, model, n_draws=each, n_chains=n_chains, rng=key, n_threads=threads)  # type: ignore[arg-type]
    b, k = counts.shape[0], counts.shape[-1]
    return (
        post.log_alpha.reshape(b, -1)[:, :n_draws],
        post.log_beta.reshape(b, -1, k)[:, :n_draws],
    )
