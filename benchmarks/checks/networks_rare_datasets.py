"""Errors of the corrected networks on datasets of their range that the prior hardly ever draws.

    python benchmarks/checks/networks_rare_datasets.py --out benchmarks/results/networks_rare_datasets.json

A network is trained on draws of the prior, where its importance weights are therefore good. Here each
corrected mean and each evidence is compared with a reference, in units of the standard error that came with it: a
value of |z| above 4 without a warning is a silent error.
"""

import warnings
from collections.abc import Callable
from typing import Any

import checking
import numpy as np
from numpy.typing import NDArray

import hbm_fast as hbm
from hbm_fast.amortize.estimator import MIXED
from hbm_fast.benchmark.records import Record
from hbm_fast.nn.importance import weigh
from hbm_fast.nn.proposal import Proposal

Counts = NDArray[np.int64]
Generator = np.random.Generator


def totals(rng: Generator, n: int, largest: int) -> Counts:
    """Of n groups: all alike, or each its own."""
    if rng.random() < 0.7:
        return np.full(n, rng.integers(1, largest + 1))
    return rng.integers(0, largest + 1, n)


def proportions(rng: Generator, k: int) -> NDArray[np.float64]:
    """From even to all but one category nearly absent."""
    return rng.dirichlet(np.full(k, 10.0 ** rng.uniform(-1.5, 2.0)))


def even(rng: Generator, n: int, k: int, largest: int) -> Counts:
    """Every group the same, its marbles shared out evenly."""
    m = totals(rng, n, largest)[:, None]
    return m // k + (np.arange(k) < m % k)


def one_table(rng: Generator, n: int, k: int, largest: int) -> Counts:
    """Every group the same, of any proportions."""
    return np.tile(rng.multinomial(rng.integers(1, largest + 1), proportions(rng, k)), (n, 1))


def one_colour(rng: Generator, n: int, k: int, largest: int) -> Counts:
    """Pure groups, all of one category."""
    x = np.zeros((n, k), np.int64)
    x[:, rng.integers(k)] = totals(rng, n, largest)
    return x


def pure(rng: Generator, n: int, k: int, largest: int) -> Counts:
    """Pure groups of several categories."""
    x = np.zeros((n, k), np.int64)
    x[np.arange(n), rng.choice(k, n, p=proportions(rng, k))] = totals(rng, n, largest)
    return x


def almost_pure(rng: Generator, n: int, k: int, largest: int) -> Counts:
    """One marble of another category in every group."""
    x = one_colour(rng, n, k, largest)
    main = x.sum(0).argmax()
    x[np.arange(n), (main + 1 + rng.integers(0, k - 1, n)) % k] += 1
    x[:, main] = np.maximum(x[:, main] - 1, 0)
    return x


def alternating(rng: Generator, n: int, k: int, largest: int) -> Counts:
    """Two tables in turn."""
    two = [rng.multinomial(rng.integers(1, largest + 1), proportions(rng, k)) for _ in range(2)]
    return np.array([two[i % 2] for i in range(n)])


def half_and_half(rng: Generator, n: int, k: int, largest: int) -> Counts:
    """Some groups pure, the others even mixtures."""
    x = np.concatenate([pure(rng, n, k, largest), even(rng, n, k, largest)])
    return x[rng.choice(2 * n, n, replace=False)]


def outlier(rng: Generator, n: int, k: int, largest: int) -> Counts:
    """One group unlike all others."""
    x = [even, one_table, one_colour][rng.integers(3)](rng, n, k, largest)
    x[rng.integers(n)] = [pure, one_table][rng.integers(2)](rng, 1, k, largest)[0]
    return x


def mostly_empty(rng: Generator, n: int, k: int, largest: int) -> Counts:
    """Any of the other kinds with most groups empty."""
    x = KINDS[rng.integers(len(KINDS) - 1)](rng, n, k, largest)
    x[rng.random(n) < rng.choice([0.5, 0.9, 1.0])] = 0
    return x


def concentrated(rng: Generator, n: int, k: int, largest: int) -> Counts:
    """Binomial groups (alpha very large) of extreme beta."""
    p = proportions(rng, k)
    return np.array([rng.multinomial(m, p) for m in totals(rng, n, largest)])


def two_clusters(rng: Generator, n: int, k: int, largest: int) -> Counts:
    """Two kinds of groups, each with a concentration of its own."""
    x = np.zeros((n, k), np.int64)
    cluster = rng.random(n) < rng.uniform(0.1, 0.9)
    for c in (False, True):
        a = 10.0 ** rng.uniform(-2.0, 3.0) * proportions(rng, k)
        for i in np.flatnonzero(cluster == c):
            x[i] = rng.multinomial(rng.integers(1, largest + 1), rng.dirichlet(np.maximum(a, 1e-3)))
    return x


KINDS: list[Callable[[Generator, int, int, int], Counts]] = [
    even,
    one_table,
    one_colour,
    pure,
    almost_pure,
    alternating,
    half_and_half,
    outlier,
    concentrated,
    two_clusters,
    mostly_empty,
]


def rare(rng: Generator, k: int, n_groups: int = 50, total: int = 50) -> Counts:
    """A dataset (N, K) of a random kind."""
    kind = KINDS[rng.integers(len(KINDS))]
    n = int(rng.choice([1, 2, n_groups, rng.integers(1, n_groups + 1)], p=[0.05, 0.05, 0.4, 0.5]))
    return kind(rng, n, k, total)


def reference(counts: Counts, rng: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log evidence, E[log alpha], E[beta_0] and their standard errors: by quadrature for two categories, else by
    importance sampling with 10,000 draws of which 80 % are effective."""
    model = hbm.HierarchicalModel(counts.shape[1])
    if model.n_categories == 2:
        exact = hbm.exact_posterior(counts)
        return np.array([exact.log_evidence, exact.mean("log_alpha"), exact.mean("beta")[0]]), np.zeros(3)
    statistics = hbm.SufficientStatistics(counts)
    points = Proposal(counts[None], model, 1).draw(10_000, np.random.default_rng(rng))
    concentration = np.exp(np.maximum(points.log_alpha[0, :, None] + points.log_beta[0], -690.0))
    weights = weigh((statistics.log_likelihood(concentration) - points.log_density[0])[None])
    if weights.share[0] < 0.5:
        raise RuntimeError(f"no reference: only {weights.share[0]:.0%} of the draws are effective")
    moments = [
        moment(np.exp(weights.log_weights[0]), v) for v in (points.log_alpha[0], np.exp(points.log_beta[0, :, 0]))
    ]
    values = np.array([(weights.log_evidence[0], weights.log_evidence_error[0]), *moments])
    return values[:, 0], values[:, 1]


def moment(w: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[float, float]:
    """Weighted mean and its standard error."""
    mean = float(w @ values)
    return mean, float(np.sqrt(w**2 @ (values - mean) ** 2))


def compare(post: hbm.Posterior, rng: int) -> NDArray[np.float64]:
    """z of the log evidence (NaN where there is none), of E[log alpha] and of E[beta_0]."""
    assert post.counts is not None
    assert post.log_weights is not None
    value, error = reference(post.counts, rng)
    w = np.exp(post.log_weights[0])
    mine = [moment(w, post.log_alpha[0]), moment(w, post.beta[0, :, 0])]
    found = np.array([(post.log_evidence, post.log_evidence_error), *mine])
    # 1e-6: what is left where the weights are constant, of float32 networks
    return np.asarray((found[:, 0] - value) / np.sqrt(found[:, 1] ** 2 + error**2 + 1e-12))


def measure(
    name: str, draw: Callable[[Generator, int], Counts], n_datasets: int, n_draws: int, seed: int
) -> dict[str, Any]:
    """Error rates of one network over n datasets."""
    network = hbm.amortize.load(name)
    rng = np.random.default_rng(seed)
    z, paths, shares, silent = [], [], [], np.zeros(3, np.int64)
    mixed = 0
    for i in range(n_datasets):
        k = 2 if network.model is not None else 2 + i % 9
        counts = draw(rng, k)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            post = network.sample(counts, n_draws=n_draws, rng=1000 * seed + i, n_threads=1)
        z.append(compare(post, i))
        paths.append(str(post.details["path"]))
        shares.append(float(post.details["ess_share"]))
        mixed += str(post.details["reason"]) == MIXED
        if not caught:
            silent += np.abs(z[-1]) > 4.0
    table = np.array(z)
    names = ("log_evidence", "log_alpha", "beta")
    return {
        "datasets": n_datasets,
        "network_alone": (paths.count("importance") - mixed) / n_datasets,
        "mixed": mixed / n_datasets,
        "sampler": paths.count("sampler") / n_datasets,
        "ess_share": float(np.mean(shares)),
        "z_rms": dict(zip(names, np.sqrt(np.nanmean(table**2, axis=0)).tolist(), strict=True)),
        "z_largest": dict(zip(names, np.nanmax(np.abs(table), axis=0).tolist(), strict=True)),
        "beyond_4": dict(zip(names, (np.abs(table) > 4.0).sum(0).tolist(), strict=True)),
        "beyond_4_without_a_warning": dict(zip(names, silent.tolist(), strict=True)),
    }


def from_prior(rng: Generator, k: int) -> Counts:
    """A dataset from the prior, as in training."""
    seed = int(rng.integers(2**31))
    counts = hbm.simulate(hbm.HierarchicalModel(k), 1, n_groups=(1, 50), totals=(0, 50), rng=seed).counts
    assert counts is not None
    return counts[0]


def main() -> None:
    """Measure all shipped networks, print, and write JSON."""
    parser = checking.parser(__doc__)
    parser.add_argument("--datasets", type=int, default=1000, help="rare ones, for each network")
    parser.add_argument("--prior", type=int, default=300, help="datasets of the prior, for each network")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--networks", nargs="+", default=["marbles", "any-k", "marbles-bottom-up"])
    options = parser.parse_args()
    records = []
    for kind, draw, n in (("rare", rare, options.datasets), ("prior", from_prior, options.prior)):
        for name in options.networks:
            metrics = measure(name, draw, n, options.draws, options.seed)
            records.append(Record(f"corrected networks: {name}, {kind} datasets", "hbm_fast", metrics=metrics))
            print(records[-1], flush=True)
            checking.write(options.out, "Corrected networks on rare datasets", records, packages=("torch",))


if __name__ == "__main__":
    main()
