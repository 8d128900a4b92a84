"""Estimator: a trained network that draws a `Posterior` of (alpha, beta) given counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from hbm_fast import _memory, _validate, priors
from hbm_fast._random import key as new_key
from hbm_fast._typing import CountsLike, Key, RNGLike
from hbm_fast.amortize.any_k import AnyK
from hbm_fast.amortize.bottom_up import BottomUp
from hbm_fast.amortize.calibrate import Report, measure_kl
from hbm_fast.amortize.top_down import TopDown
from hbm_fast.calibration import Calibration, simulation_based_calibration
from hbm_fast.models import HierarchicalModel
from hbm_fast.nn.data import TrainingStream
from hbm_fast.nn.draws import Draws, generator, one_chain
from hbm_fast.nn.estimator import Correct, TrainedNetwork, check_arguments
from hbm_fast.nn.importance import CHUNK, corrected, exact_draws, log_coefficient, warn_of_weights
from hbm_fast.nn.training import memory_for, torch_threads
from hbm_fast.posterior import Posterior
from hbm_fast.sufficient_statistics import group_totals

N_RANKS = 63  # of the truth among the draws
NETWORKS: dict[str, Any] = {network.factorization: network for network in (TopDown, BottomUp, AnyK)}

# `details["reason"]` of data inside the range of the training.
MIXED = "the network misses a part of the posterior: half of the draws come from a fit at its mode"
UNEVEN = "the importance weights are uneven"


@dataclass
class Estimator(TrainedNetwork):
    """A trained network q(alpha, beta | x).

    Attributes
    ----------
    network : nn.Module
    model : HierarchicalModel or None
        None for a network of every number of categories.
    settings : dict
        Arguments that the network was built with.
    n_groups, totals : (low, high)
        The range it was trained on.
    training : dict
        Steps, key, seconds, versions.
    metrics : dict
        Held-out metrics at the end of the training: ``kl`` to the exact posterior, ``ess_share``, ``sbc_p``.
    state : State or None
        What a later training goes on from.
    """

    noun: ClassVar[str] = "network"
    shipped: ClassVar[Path] = Path(__file__).parent / "checkpoints"

    def __repr__(self) -> str:
        shown = {name: self.metrics[name] for name in ("kl", "ess_share") if name in self.metrics}
        metrics = "".join(f", {name}={value:.4g}" for name, value in shown.items())
        return f"Estimator({self.factorization}, {self.model}, n_groups={self.n_groups}, totals={self.totals}{metrics})"

    @property
    def factorization(self) -> str:
        """ "top-down", "bottom-up" or "any-k"."""
        return str(self.network.factorization)

    @property
    def identity(self) -> dict[str, str]:
        return {"factorization": self.factorization}

    @staticmethod
    def build(model: HierarchicalModel | None, header: dict[str, Any]) -> nn.Module:
        name = header["factorization"]
        if name not in NETWORKS:
            raise ValueError(f"factorization must be one of {', '.join(map(repr, NETWORKS))}; got {name!r:.40}")
        network: nn.Module = NETWORKS[name](model, header["totals"][1], **header["settings"])
        return network

    # inference ------------------------------------------------------------------------------------------------------
    def sample(
        self,
        counts: CountsLike | Sequence[CountsLike],
        *,
        n_draws: int = 1000,
        rng: RNGLike = None,
        correct: Correct = "auto",
        n_threads: int | None = None,
        category_names: Sequence[str] | None = None,
        group_names: Sequence[str] | None = None,
        dataset_names: Sequence[str] | None = None,
        layer: str | None = None,
    ) -> Posterior:
        """Draw from the posterior of (alpha, beta) given the counts.

        Parameters
        ----------
        counts : array_like of whole numbers (N, K) or (B, N, K), a table, or a list of (N_b, K)
            A table is what `hbm_fast.tables.as_counts` takes; a row of weight w counts as w groups.
        n_draws : int
            D; there is one chain.
        rng : None, int, SeedSequence, BitGenerator or Generator
        correct : {"auto", True, False}
            False: the network's own draws. True: with importance weights against the exact likelihood; where these are
            not nearly even, half of the draws come from a second proposal, a fit at the posterior's mode. "auto": the
            same where the weights are even enough, otherwise, and for data outside the range of the training, draws
            of the exact sampler, whose chains start from these draws where there are any.
        n_threads : int, optional
        category_names, group_names, dataset_names : sequence of K, of N, of B str, optional
            Kept in the result; default those of the table.
        layer : str, optional
            The layer of AnnData that holds the counts; default ``X``.

        Returns
        -------
        Posterior
            ``.details`` holds for each dataset the path that was taken (``"path"``: "network", "importance" or
            "sampler") and why (``"reason"``); ``"ess_share"`` is the effective share of the draws, ``"pareto_k"`` the
            tail of the weights where it was needed. ``.log_evidence`` is that of the weights, NaN with the sampler.

        Raises
        ------
        ValueError
            For data outside the range of the training, unless ``correct="auto"``.
        MemoryError
            For more draws than the machine can hold.

        Warns
        -----
        ConvergenceWarning
            With ``correct=True`` where "auto" would use the sampler: too small a share of the draws is effective, or
            the weights' tail is too heavy (Pareto's k). With "auto" the warnings of the sampler.
        """
        names = {"category_names": category_names, "group_names": group_names}
        given, batch, n_draws = check_arguments(counts, n_draws, correct, layer=layer, **names)
        data = given.counts
        model = self._model(data.shape[-1])
        # log alpha, log beta and a weight of each draw
        _memory.check_fits(8 * len(data) * n_draws * (data.shape[-1] + 2), f"n_draws = {n_draws}")
        key = new_key(rng)
        threads = _validate.threads(n_threads)
        if correct != "auto":
            self.check_inside(data, batch, 'correct="auto" gives it to the exact sampler')
        outside = self.outside(data)
        inside = np.array([not reason for reason in outside], dtype=bool)
        n = data.shape[0]
        log_theta = None
        path = np.full(n, "network", dtype="<U10")
        reasons = np.array(outside, dtype=object)
        details: dict[str, Any] = {}
        log_weights = evidence = error = None
        if not inside.any():
            log_alpha = np.full((n, n_draws), np.nan)
            log_beta = np.full((n, n_draws, model.n_categories), np.nan)
        elif correct is False:
            drawn = self._draw(data, n_draws, key, threads)
            log_alpha, log_beta, log_theta = drawn.log_alpha.numpy(), drawn.log_beta.numpy(), drawn.log_theta
        if correct is not False:
            path[:] = "importance"
            log_weights = np.full((n, n_draws), -np.log(n_draws))
            share, k, evidence, error = (np.full(n, np.nan) for _ in range(4))
            failed = ~inside
            if inside.any():
                with torch_threads(threads), torch.no_grad(), memory_for(f"n_draws = {n_draws}"):
                    drawn, weights = corrected(self.network, model, data[inside], n_draws, key, threads)
                log_alpha, log_beta = _at(inside, drawn.log_alpha.numpy()), _at(inside, drawn.log_beta.numpy())
                log_weights = _at(inside, weights.log_weights)
                share[inside], k[inside] = weights.share, weights.pareto_k
                evidence[inside] = weights.log_evidence + log_coefficient(data[inside])
                error[inside] = weights.log_evidence_error
                reasons[np.flatnonzero(inside)[weights.mixed]] = MIXED
                if correct == "auto":
                    failed[np.flatnonzero(inside)[~weights.accepted]] = True
                else:
                    warn_of_weights(weights)
            if failed.any():
                path[failed] = "sampler"
                reasons[failed & inside] = UNEVEN
                network = (log_alpha[failed], log_beta[failed], log_weights[failed])
                log_alpha[failed], log_beta[failed] = exact_draws(data[failed], model, n_draws, key, threads, network)
                log_weights[failed] = -np.log(n_draws)
                evidence[failed] = error[failed] = np.nan
            details = {"ess_share": share, "pareto_k": k}
        details["path"] = path
        details["reason"] = reasons.astype(str)

        def shaped(values: Any) -> Any:
            return values if batch else values[0]

        return Posterior(
            shaped(log_alpha[:, None]),
            shaped(log_beta[:, None]),
            model=model,
            counts=shaped(data),
            log_weights=None if log_weights is None else shaped(log_weights[:, None]),
            log_evidence=None if evidence is None else shaped(evidence),
            log_evidence_error=None if error is None else shaped(error),
            method=self.factorization,
            details={name: shaped(value) for name, value in details.items()},
            key=key,
            theta_draws=None if log_theta is None else partial(one_chain, log_theta, batch),
            category_names=given.category_names,
            group_names=given.group_names,
            dataset_names=given.dataset_names if dataset_names is None else dataset_names,
        )

    def outside(self, counts: NDArray[Any]) -> list[str]:
        """Why each dataset of counts (B, N, K) is outside the range of the training; empty where it is inside."""
        totals = group_totals(counts)
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

    def check_inside(self, counts: NDArray[Any], batch: bool, remedy: str) -> None:
        self._model(counts.shape[-1])
        for b, reason in enumerate(self.outside(counts)):
            if reason:
                where = f"dataset {b}: " if batch else ""
                raise ValueError(f"{where}{reason}; {remedy}")

    def calibrate(
        self,
        n_datasets: int = 1000,
        *,
        n_categories: int | None = None,
        rng: RNGLike = 0,
        figure: str | Path | None = None,
    ) -> Report:
        """Measure the raw network on fresh datasets of its range, and print the table.

        Parameters
        ----------
        n_datasets : int
            Datasets whose truth is ranked among 62 draws; the KL is taken on an eighth as many.
        n_categories : int, optional
            K, for an any-K network; default the smallest.
        rng : None, int, SeedSequence, BitGenerator or Generator
        figure : path, optional
            Where to save the histograms of the ranks.

        Returns
        -------
        Report

        Raises
        ------
        ValueError
            For fewer than one dataset.
        """
        n_datasets = _validate.positive_int(n_datasets, "n_datasets")
        key = new_key(rng)
        stream = self._stream(n_categories, key)
        model = stream.model
        by_quadrature = self.factorization == "top-down" and model.n_categories == 2
        by_quadrature = by_quadrature and not isinstance(model.alpha, priors.Fixed)
        sbc = self.rank_truth(n_datasets, n_categories=n_categories, rng=key)
        log_density = self.log_density if by_quadrature else None
        kl = measure_kl(self.network.draw, log_density, stream, min(500, max(20, n_datasets // 8)))
        report = Report(sbc, *kl, model.n_categories)
        print(report)
        if figure is not None:
            report.save(figure)
        return report

    def rank_truth(self, n_datasets: int, *, n_categories: int | None = None, rng: RNGLike | Key = None) -> Calibration:
        """Simulation-based calibration of the network's own draws: ranks of the truth among 62 of them.

        Parameters
        ----------
        n_datasets : int
        n_categories : int, optional
            K, for an any-K network; default the smallest.
        rng : None, int, SeedSequence, BitGenerator or Generator

        Returns
        -------
        Calibration
        """
        key = new_key(rng)
        generator = np.random.default_rng(key.tolist())
        return simulation_based_calibration(
            lambda counts: self.sample(counts, n_draws=N_RANKS - 1, rng=generator, correct=False),
            self._stream(n_categories, key).model,
            n_datasets,
            n_groups=self.n_groups,
            totals=self.totals,
            n_ranks=N_RANKS,
            batch=max(2, min(200, n_datasets)),
            theta=self.factorization == "bottom-up",
            rng=generator,
        )

    def log_density(self, counts: ArrayLike, log_alpha: ArrayLike, logit_beta: ArrayLike) -> NDArray[np.float64]:
        """Log density of the raw network in (log alpha, log(beta[1] / beta[0])), of a top-down one with K = 2.

        Parameters
        ----------
        counts : integer array_like (N, 2)
        log_alpha, logit_beta : array_like (S,)

        Returns
        -------
        (S,)

        Raises
        ------
        ValueError
            For other networks.
        """
        if self.factorization != "top-down" or self.model is None or self.model.n_categories != 2:
            raise ValueError("log_density is for a top-down network with two categories")
        x = _validate.counts(counts)
        t = torch.as_tensor(np.asarray(log_alpha, dtype=np.float64))
        u = torch.as_tensor(np.asarray(logit_beta, dtype=np.float64))
        log_beta = torch.stack([torch.nn.functional.logsigmoid(-u), torch.nn.functional.logsigmoid(u)], -1)
        relative = self.network.log_relative_density(x[np.newaxis], t[None], log_beta[None])[0].numpy()
        prior = np.zeros(t.shape)
        if not isinstance(self.model.alpha, priors.Fixed):
            prior = prior + self.model.alpha.log_density(t.numpy())
        if isinstance(self.model.beta, priors.Dirichlet):
            c = torch.tensor(self.model.beta.concentration, dtype=torch.float64).expand(2)
            constant = float(torch.lgamma(c.sum()) - torch.lgamma(c).sum())
            prior = prior + constant + (log_beta * c).sum(-1).numpy()
        return np.asarray(relative + prior)

    def _model(self, n_categories: int) -> HierarchicalModel:
        if self.model is not None:
            _validate.same_categories(n_categories, self.model)
            return self.model
        low, high = self.network.categories
        if not low <= n_categories <= high:
            raise ValueError(f"counts must have K between {low} and {high} categories; got {n_categories}")
        return HierarchicalModel(n_categories)

    def _stream(self, n_categories: int | None, key: Key) -> TrainingStream:
        """Datasets of the range of the training."""
        if n_categories is None:
            n_categories = self.network.categories[0] if self.model is None else self.model.n_categories
        return TrainingStream(self._model(n_categories), self.n_groups, self.totals, key, True)

    def _draw(self, data: NDArray[Any], n_draws: int, key: Key, threads: int) -> Draws:
        rng = generator(key)
        with torch_threads(threads), torch.no_grad(), memory_for(f"n_draws = {n_draws}"):
            parts = (
                self.network.draw(data[part], n_draws, rng, weigh=False, n_threads=threads)
                for part in _memory.chunks(len(data), n_draws, CHUNK)
            )
            return Draws.gathered(parts, data.shape[0])


def _at(rows: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values in the chosen rows, NaN in the others; not copied where all rows are chosen."""
    if rows.all():
        return values
    placed = np.full((rows.size, *values.shape[1:]), np.nan)
    placed[rows] = values
    return placed


@_validate.suggests_keywords
def load(path: str | Path) -> Estimator:
    """Read a network from a file, or one that comes with hbm_fast: "marbles", "marbles-bottom-up", "any-k".

    Raises
    ------
    FileNotFoundError, ValueError
        Where there is no such network, or the file is damaged, holds something else or was written by a later version.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> net = hbm.amortize.load("marbles")
    >>> net.totals
    (0, 50)
    """
    return Estimator.load(path)
