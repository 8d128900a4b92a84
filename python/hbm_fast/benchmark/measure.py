"""The clock and the referee of `hbm-fast benchmark`: seconds, effective draws, and the distance to the truth."""

import math
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm_fast._typing import Counts, Floats
from hbm_fast.benchmark.methods import Draws, Way
from hbm_fast.exact import exact_posterior
from hbm_fast.models import HierarchicalModel
from hbm_fast.posterior.diagnostics import convergence
from hbm_fast.sampling import sample

_LONG_RUN = 25_000  # draws of each of four chains, where there is no quadrature
_REPEATS_BELOW = 0.5  # seconds: shorter works run three times, and the fastest counts


@dataclass(frozen=True)
class Point:
    """One way on so many datasets. ``seconds`` are those of all ``datasets``, whether or not all were run."""

    way: str
    datasets: int
    measured: int
    extrapolated: bool  # datasets > measured: the seconds are those of the measured ones, scaled up
    draws: int
    seconds: float
    training_seconds: float
    effective_per_second: float
    effective_share: float
    ks_log_alpha: float
    ks_beta: float
    error_log_alpha: float  # |E[log alpha] - true|, in posterior standard deviations

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Referee:
    """The true marginals of the first datasets: by quadrature for two categories, by a long run of MCMC otherwise."""

    def __init__(self, model: HierarchicalModel, counts: Counts, threads: int) -> None:
        self.exact = model.n_categories == 2
        self.description = "quadrature" if self.exact else f"4 chains of {_LONG_RUN:,} draws of hbm.sample (Gibbs)"
        if self.exact:
            self._truth = [exact_posterior(table, model, n_draws=1) for table in counts]
            moments = [(float(p.mean("log_alpha")), float(p.sd("log_alpha"))) for p in self._truth]
        else:
            long_run = sample(
                counts, model, method="gibbs", n_draws=_LONG_RUN, n_chains=4, rng=2**31, n_threads=threads
            )
            n, k = len(counts), model.n_categories
            self._log_alpha = np.sort(long_run.log_alpha.reshape(n, -1), axis=1)
            self._beta = np.sort(long_run.beta.reshape(n, -1, k), axis=1)
            moments = [(float(row.mean()), float(row.std())) for row in self._log_alpha]
        self.n = len(counts)
        self._mean, self._sd = np.array(moments).T

    def _cdf(self, b: int, name: str, k: int, x: Floats) -> Floats:
        if self.exact:
            values: Floats = self._truth[b].moments.cdf(name, x)  # type: ignore[union-attr]
            return values if values.ndim == 1 else values[k]
        column = self._log_alpha[b] if name == "log_alpha" else self._beta[b, :, k]
        return np.searchsorted(column, x, side="right") / column.size

    def judge(self, drawn: list[Draws]) -> dict[str, float]:
        """Means over the first datasets: Kolmogorov-Smirnov distances, and the error of E[log alpha]."""
        log_alpha, beta, weights, _ = _joined(drawn)
        ks: dict[str, list[float]] = {"log_alpha": [], "beta": []}
        error = []
        for b in range(min(self.n, len(log_alpha))):
            ks["log_alpha"].append(self._distance(b, "log_alpha", 0, log_alpha[b], weights[b]))
            # of two categories one says it all; of many the worst one counts
            shown = [1] if beta.shape[-1] == 2 else range(beta.shape[-1])
            ks["beta"].append(max(self._distance(b, "beta", k, beta[b, :, k], weights[b]) for k in shown))
            error.append(abs(float(weights[b] @ log_alpha[b]) - self._mean[b]) / self._sd[b])
        return {
            "ks_log_alpha": float(np.mean(ks["log_alpha"])),
            "ks_beta": float(np.mean(ks["beta"])),
            "error_log_alpha": float(np.mean(error)),
        }

    def _distance(self, b: int, name: str, k: int, values: Floats, weights: Floats) -> float:
        order = np.argsort(values)
        above = np.cumsum(weights[order])
        reached = self._cdf(b, name, k, values[order])
        return float(max(np.abs(above - reached).max(), np.abs(above - weights[order] - reached).max()))


def effective(drawn: list[Draws]) -> float:
    """Mean effective draws of a dataset: of a chain the smallest bulk ESS, of weights 1 / sum of squares."""
    log_alpha, beta, weights, chain = _joined(drawn)
    sizes = 1.0 / (weights**2).sum(axis=1)
    for b in np.flatnonzero(chain):
        columns = np.column_stack([log_alpha[b], beta[b, :, 1:21] if beta.shape[-1] == 2 else beta[b, :, :20]])
        sizes[b] = float(np.nanmin(convergence(columns[np.newaxis])[1]))
    return float(sizes.mean())


def _joined(drawn: list[Draws]) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    fields = ("log_alpha", "beta", "weights", "chain")
    log_alpha, beta, weights, chain = (np.concatenate([getattr(d, name) for d in drawn]) for name in fields)
    return log_alpha, beta, weights, chain


def measure(way: Way, counts: Counts, n_draws: int, referee: Referee, budget: float) -> Point:
    """Runs one way on the datasets until they or the budget of seconds are over."""
    way.infer(counts[: way.per_call], n_draws, 0)  # once untimed: imports and compilers are not the method's speed
    seconds, done, kept = _run(way, counts, n_draws, referee.n, budget)
    if seconds < _REPEATS_BELOW:
        seconds = min(seconds, *(_run(way, counts, n_draws, 0, budget)[0] for _ in range(2)))
    drawn = [way.draws(found) for found in kept]
    draws = effective(drawn)
    total = seconds * len(counts) / done
    return Point(
        way=way.name,
        datasets=len(counts),
        measured=done,
        extrapolated=done < len(counts),
        draws=n_draws,
        seconds=total,
        training_seconds=way.training_seconds,
        effective_per_second=draws * len(counts) / total,
        effective_share=draws / n_draws,
        **referee.judge(drawn),
    )


def _run(way: Way, counts: Counts, n_draws: int, keep: int, budget: float) -> tuple[float, int, list[Any]]:
    """Seconds, datasets done, and what was found for the first ``keep`` datasets."""
    kept: list[Any] = []
    done, seconds = 0, 0.0
    while done < len(counts):
        size = min(way.per_call, len(counts) - done)
        part = counts[done : done + size]
        start = time.perf_counter()
        found = way.infer(part, n_draws, done)
        seconds += time.perf_counter() - start
        if done < keep:
            kept.append(found)
        done += size
        if seconds * (done + size) / done > budget:
            break
    return seconds, done, kept


def break_even(training: float, network: float, other: float) -> float:
    """Datasets from which on training and then the network take less time than the other way; infinite if never."""
    return training / (other - network) if other > network else math.inf
