"""How far `hbm_fast.fit` stays below the best of 30 starts of a damped Newton method.

    python benchmarks/checks/fit_against_starts.py --out benchmarks/results/fit_against_starts.json

Groups of unequal totals may give the likelihood several maxima in alpha, and a prior may give the posterior several
modes. Random tables of the three kinds below are fitted, and a damped Newton method climbs from 30 starts in log
concentration; the limits at alpha = 0 and infinity are candidates too. A miss is a fit more than 1e-6 nats below the
best.
"""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import checking
import numpy as np
from numpy.typing import NDArray

import hbm_fast as hbm
from hbm_fast.benchmark.records import Record

SEED = 20261129
N_TABLES = {"one or two large groups": 5000, "ragged with a prior": 1000, "fractional weights": 1000}
N_STARTS = 30
MISS = 1e-6  # nats
Floats = NDArray[np.float64]
Table = tuple[NDArray[np.int64], NDArray[np.float64] | None, Any]  # counts, weights, prior


def unequal(rng: np.random.Generator) -> NDArray[np.int64]:
    """One or two large groups (50 to a million counts) beside 2 to 39 small ones, overdispersed or not."""
    k, n, n_large = int(rng.integers(2, 9)), int(rng.integers(3, 41)), int(rng.integers(1, 3))
    beta = rng.dirichlet(np.full(k, rng.choice([0.5, 1.0, 5.0])))
    small = rng.multinomial(rng.integers(1, rng.choice([3, 8, 25]), n - n_large), _theta(rng, beta, n - n_large))
    if rng.random() < 0.3:  # groups of one category
        small = small.sum(axis=1, keepdims=True) * np.eye(k, dtype=np.int64)[rng.choice(k, n - n_large, p=beta)]
    own = rng.dirichlet(np.ones(k), n_large) if rng.random() < 0.5 else _theta(rng, beta, n_large)
    if rng.random() < 0.3:  # categories in the small groups only
        own[:, : k // 2], own[:, k // 2 :] = 0.0, own[:, k // 2 :] + 1e-9
        own /= own.sum(axis=1, keepdims=True)
    large = rng.multinomial((10 ** rng.uniform(1.7, rng.choice([2.5, 4.0, 6.0]), n_large)).astype(int), own)
    return np.vstack([large, small])


def _theta(rng: np.random.Generator, beta: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    if rng.random() < 0.25:
        return np.tile(beta, (n, 1))
    return rng.dirichlet(np.maximum(beta * 10 ** rng.uniform(-1.0, 2.0), 1e-3), n)


def ragged(rng: np.random.Generator) -> NDArray[np.int64]:
    """Up to 40 groups of log-normal totals."""
    k, n = int(rng.integers(2, 9)), int(rng.integers(2, 41))
    totals = np.exp(rng.normal(rng.uniform(0.5, 4.0), rng.uniform(0.3, 2.0), n)).astype(int) + 1
    return rng.multinomial(totals, _theta(rng, rng.dirichlet(np.ones(k)), n))


def tables(kind: str, n: int, seed: int) -> Iterator[Table]:
    """Random tables of a kind."""
    rng = np.random.default_rng([seed, list(N_TABLES).index(kind)])
    for _ in range(n):
        counts = unequal(rng) if kind == "one or two large groups" or rng.random() < 0.5 else ragged(rng)
        weights, prior = None, None
        if kind == "ragged with a prior":
            rate = 10 ** rng.uniform(-3.0, 0.5)
            prior = hbm.priors.Gamma(10 ** rng.uniform(-1.3, 0.7), rate=rate)
            if rng.random() < 0.3:
                prior = hbm.priors.Exponential(rate)
        if kind == "fractional weights":
            weights = rng.exponential(rng.choice([0.1, 1.0, 3.0]), len(counts))
        yield counts, weights, prior


def best_of_starts(counts: NDArray[np.int64], weights: Any, prior: Any, rng: np.random.Generator) -> float:
    """The highest log-likelihood (or log posterior density) that a start reaches, or a limit."""
    stats = hbm.SufficientStatistics(counts, weights=weights)
    w = np.ones(len(counts)) if weights is None else weights
    seen = w @ counts > 0
    if prior is None:  # a category that never occurs has the concentration 0
        counts, stats = counts[:, seen], hbm.SufficientStatistics(counts[:, seen], weights=weights)
    shape, rate = (0.0, 0.0) if prior is None else (getattr(prior, "shape", 1.0), prior.rate)
    k = counts.shape[1]
    share = (counts + 0.1) / (counts + 0.1).sum(axis=1, keepdims=True)
    totals = counts.sum(axis=1)
    small, large = share[totals <= np.median(totals)], share[totals >= np.median(totals)]
    betas = [w @ counts, w @ share, w @ (counts > 0), small.sum(axis=0), large.sum(axis=0)]
    starts = [betas[i % 6] if i % 6 < 5 else rng.dirichlet(np.ones(k)) for i in range(N_STARTS)]
    beta = np.array([np.maximum(b / b.sum(), 1e-9) for b in starts])
    best = float(climb(stats, shape, rate, np.log(beta) + rng.uniform(-6.0, 13.0, (N_STARTS, 1))).max())
    if prior is not None:
        return best + k * (shape * math.log(rate) - math.lgamma(shape))
    sums, present = w @ counts, w @ (counts > 0)
    if ((counts > 0).sum(axis=1) <= 1).all():
        best = max(best, float(present @ np.log(present / present.sum())))
    return max(best, float(sums @ np.log(sums / sums.sum())) + stats.log_coefficient)


def climb(stats: hbm.SufficientStatistics, shape: float, rate: float, log_a: Floats) -> Floats:
    """Newton's method with Levenberg's damping in log concentration, all starts at once; the highest values (S,)."""
    identity = np.eye(log_a.shape[1])
    damping = np.full(len(log_a), 10.0)

    def at(log_a: Floats) -> tuple[Floats, Floats, Floats]:
        a = np.exp(log_a)
        value, slope = stats.log_likelihood_gradient(a)
        diagonal, scale = stats.log_likelihood_hessian(a)
        slope = a * (slope - rate)
        minus_hessian = (-(a**2) * diagonal - slope)[:, :, None] * identity
        minus_hessian -= scale[:, None, None] * a[:, :, None] * a[:, None, :]
        return value + shape * log_a.sum(axis=1) - rate * a.sum(axis=1), slope + shape, minus_hessian

    value, slope, minus_hessian = at(log_a)
    for _ in range(200):
        step = np.linalg.solve(minus_hessian + damping[:, None, None] * identity, slope[:, :, None])[:, :, 0]
        new = np.clip(log_a + np.clip(step, -2.0, 2.0), -80.0, 40.0)
        new_value, new_slope, new_hessian = at(new)
        better = new_value > value
        gain = np.where(better, new_value - value, 0.0)
        damping = np.clip(np.where(better, 0.2 * damping, 5.0 * damping), 1e-7, 1e12)
        log_a[better], value[better] = new[better], new_value[better]
        slope[better], minus_hessian[better] = new_slope[better], new_hessian[better]
        if (gain < 1e-10).all() and ((damping > 1e6) | (np.abs(step).max(axis=1) < 1e-5)).all():
            break
    return value


def compare(kind: str, n: int, seed: int) -> Record:
    """Fits against starts over n tables; the error is the largest shortfall in nats."""
    rng = np.random.default_rng([seed, 99])
    shortfalls, outcomes = [], Counter[str]()
    for counts, weights, prior in tables(kind, n, seed):
        fit = hbm.fit(counts, weights=weights, prior=prior)
        value = fit.log_likelihood if fit.log_posterior is None else fit.log_posterior
        shortfalls.append(best_of_starts(counts, weights, prior, rng) - value)
        outcomes[fit.outcome] += 1
        if shortfalls[-1] > MISS:
            print(kind, f"{shortfalls[-1]:.3g}", fit.outcome, fit.alpha, prior, counts.tolist(), weights, flush=True)
    metrics = {
        "tables": n,
        "misses": int((np.array(shortfalls) > MISS).sum()),
        "starts_below_fit": int((np.array(shortfalls) < -MISS).sum()),
        "outcomes": dict(outcomes),
    }
    return Record(f"random tables: {kind}", "hbm.fit", error=max(shortfalls), metrics=metrics)


def main() -> None:
    parser = checking.parser(__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the tables")
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args()
    records = [compare(kind, max(1, round(n * args.share)), args.seed) for kind, n in N_TABLES.items()]
    print(*records, sep="\n")
    error = f"error: largest shortfall in nats below the best of {N_STARTS} starts; a miss is more than {MISS:g}."
    notes = [f"{error} Seed {args.seed}."]
    checking.write(args.out, "Maximum likelihood and modes: fit against 30 starts", records, notes)


if __name__ == "__main__":
    main()
