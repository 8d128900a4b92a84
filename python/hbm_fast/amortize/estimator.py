"""A trained network as an estimator: counts in, the same `Posterior` as from MCMC out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _memory, _validate, models, priors
from hbm_fast._random import key as new_key
from hbm_fast._typing import RNGLike
from hbm_fast.amortize.calibrate import Report, calibrate
from hbm_fast.models import HierarchicalModel
from hbm_fast.nn import checkpoint
from hbm_fast.nn.draws import Draws, OneChain
from hbm_fast.nn.importance import CHUNK, corrected, exact_draws, log_coefficient, warn_of_weights
from hbm_fast.nn.training import State, memory_for, torch_threads
from hbm_fast.posterior import Posterior

Correct = bool | Literal["auto"]

# What `details["reason"]` says of data inside the range of the training.
MIXED = "the network misses a part of the posterior: half of the draws come from a fit at its mode"
UNEVEN = "the importance weights are uneven"


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
        Held-out figures, measured at the end of the training: ``kl`` to the exact posterior, ``ess_share``, ``sbc_p``.
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
        shown = {name: self.figures[name] for name in ("kl", "ess_share") if name in self.figures}
        figures = "".join(f", {name}={value:.4g}" for name, value in shown.items())
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
            False: the network's own draws. True: with importance weights against the exact likelihood; where these are
            not nearly even, half of the draws come from a second proposal, a fit at the posterior's mode. "auto": the
            same where the weights are even enough, and otherwise, or where the data are outside the range of the
            training, draws of the exact sampler, whose chains start from these draws where there are any.
        n_threads : int, optional

        Returns
        -------
        Posterior
            ``.details`` says for each dataset which path was taken (``"path"``: "network", "importance" or "sampler"),
            and why (``"reason"``); ``"ess_share"`` is the effective share of the draws, ``"pareto_k"`` the tail of the
            weights where it was consulted. ``.log_evidence`` comes with the weights, and is NaN with the sampler.

        Raises
        ------
        ValueError
            For data outside the range of the training, unless ``correct="auto"``.
        MemoryError
            For more draws than the machine can hold.

        Warns
        -----
        ConvergenceWarning
            With ``correct=True`` where "auto" would take the sampler: too small a share of the draws is effective, or
            the weights' tail is too heavy (Pareto's k). With "auto" what the sampler warns of.
        """
        if correct not in (True, False, "auto"):
            raise ValueError(f'correct must be "auto", True or False; got {correct!r}')
        n_draws = _validate.positive_int(n_draws, "n_draws")
        table, batch = _validate.datasets(counts)
        model = self._model(table.shape[-1])
        # of each draw log alpha, log beta and a weight
        _memory.check_fits(8 * len(table) * n_draws * (table.shape[-1] + 2), f"n_draws = {n_draws}")
        key = new_key(rng)
        threads = _validate.threads(n_threads)
        outside = self.outside(table)
        if correct != "auto":
            for b, reason in enumerate(outside):
                if reason:
                    where = f"dataset {b}: " if batch else ""
                    raise ValueError(f'{where}{reason}; correct="auto" gives it to the exact sampler')
        inside = np.array([not reason for reason in outside], dtype=bool)
        n = table.shape[0]
        log_theta = None
        path = np.full(n, "network", dtype="<U10")
        reasons = np.array(outside, dtype=object)
        details: dict[str, Any] = {}
        log_weights = evidence = error = None
        if not inside.any():
            log_alpha = np.full((n, n_draws), np.nan)
            log_beta = np.full((n, n_draws, model.n_categories), np.nan)
        elif correct is False:
            drawn = self._draw(table, n_draws, key, threads)
            log_alpha, log_beta, log_theta = drawn.log_alpha.numpy(), drawn.log_beta.numpy(), drawn.log_theta
        if correct is not False:
            path[:] = "importance"
            log_weights = np.full((n, n_draws), -np.log(n_draws))
            share, k, evidence, error = (np.full(n, np.nan) for _ in range(4))
            failed = ~inside
            if inside.any():
                with torch_threads(threads), torch.no_grad(), memory_for(f"n_draws = {n_draws}"):
                    drawn, weights = corrected(self.network, model, table[inside], n_draws, key, threads)
                log_alpha, log_beta = _at(inside, drawn.log_alpha.numpy()), _at(inside, drawn.log_beta.numpy())
                log_weights = _at(inside, weights.log_weights)
                share[inside], k[inside] = weights.share, weights.pareto_k
                evidence[inside] = weights.log_evidence + log_coefficient(table[inside])
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
                log_alpha[failed], log_beta[failed] = exact_draws(table[failed], model, n_draws, key, threads, network)
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
            counts=shaped(table),
            log_weights=None if log_weights is None else shaped(log_weights[:, None]),
            log_evidence=None if evidence is None else shaped(evidence),
            log_evidence_error=None if error is None else shaped(error),
            method=self.factorization,
            details={name: shaped(value) for name, value in details.items()},
            key=key,
            theta_draws=None if log_theta is None else OneChain(log_theta, batch),
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
        return calibrate(
            self,
            _validate.positive_int(n_datasets, "n_datasets"),
            n_categories=n_categories,
            rng=rng,
            figure=figure,
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
            raise ValueError("log_density is known of a top-down network with two categories")
        table = _validate.counts(counts)
        t = torch.as_tensor(np.asarray(log_alpha, dtype=np.float64))
        u = torch.as_tensor(np.asarray(logit_beta, dtype=np.float64))
        log_beta = torch.stack([torch.nn.functional.logsigmoid(-u), torch.nn.functional.logsigmoid(u)], -1)
        relative = self.network.log_relative_density(table[np.newaxis], t[None], log_beta[None])[0].numpy()
        prior = np.zeros(t.shape)
        if not isinstance(self.model.alpha, priors.Fixed):
            prior = prior + self.model.alpha._kernel().log_density(t.numpy())
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

    def _draw(self, table: NDArray[Any], n_draws: int, key: NDArray[np.uint64], threads: int) -> Draws:
        size = max(1, CHUNK // n_draws)
        generator = torch.Generator().manual_seed(int(key[0] >> np.uint64(1)))
        with torch_threads(threads), torch.no_grad(), memory_for(f"n_draws = {n_draws}"):
            parts = (
                self.network.draw(table[i : i + size], n_draws, generator, weigh=False, n_threads=threads)
                for i in range(0, table.shape[0], size)
            )
            return Draws.gathered(parts, table.shape[0])

    # files ----------------------------------------------------------------------------------------------------------
    def save(self, path: str | Path) -> None:
        """Write the network, and what it takes to go on training, to one safetensors file with a JSON header."""
        header = {
            "factorization": self.factorization,
            "model": None if self.model is None else models.to_dict(self.model),
            "settings": self.settings,
            "n_groups": self.n_groups,
            "totals": self.totals,
            "training": self.training,
            "figures": self.figures,
        }
        checkpoint.save(path, self.network, self.state, header)


def _at(rows: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values in the rows chosen, NaN in the others; not copied where all are."""
    if rows.all():
        return values
    placed = np.full((rows.size, *values.shape[1:]), np.nan)
    placed[rows] = values
    return placed
