"""Random valid and invalid inputs for every public function: none may end the process, hang or change a result.

    python tools/fuzz_api.py [--area AREA ...] [--seconds 60] [--seed 0] [--jobs 2]
    python tools/fuzz_api.py --area AREA --replay SEED          repeat one input and print its calls

Each input has a seed and runs in a child process, so that a crash is reported with its seed. Findings: the process
ends; an input takes two minutes of processor time, or half an hour; an exception other than those in ``REFUSALS``, one
without a message or with pybind11's list of signatures; another result for the same numbers in another dtype, byte
order, alignment or stride, or with another number of threads. Exits 1 if there are any. Linux only.

Under AddressSanitizer and UBSan, in a virtual environment of its own that holds numpy, pybind11, scikit-build-core, and
scipy, torch, zuko and safetensors for all areas:

    pip install --no-build-isolation --no-deps --config-settings=build-dir=build/asan \\
        --config-settings=cmake.build-type=RelWithDebInfo --config-settings=install.strip=false \\
        --config-settings=cmake.define.HBM_FAST_SANITIZER=ADDRESS .
    export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=4096 OMP_NUM_THREADS=1
    export LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)"
    python tools/fuzz_api.py --seconds 300
"""

import argparse
import faulthandler
import gzip
import io
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from ast import literal_eval
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import hbm_fast as hbm
from hbm_fast import _core, sufficient_statistics, tables

REFUSALS = (ValueError, TypeError, MemoryError, IndexError, OverflowError, ImportError)
SLOWEST = 120.0  # seconds of processor time that an input may take: the same on a busy machine
WAIT = 1800.0  # seconds until an input that takes no processor time is a deadlock
MEMORY = 12 << 30  # bytes a child may allocate; above, it gets a MemoryError
INTEGERS = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]
ODD_NUMBERS = [-1, 0, 2**31, 2**63, 2**64, 10**30, 2.5, float("nan"), float("inf"), True, None, "3", np.int8(3), [2]]


class Finding(Exception):
    """A result that is wrong for any input."""


def flat(value: Any) -> list[Any]:
    """The arrays and numbers that a result holds."""
    if isinstance(value, dict):
        return [a for v in value.values() for a in flat(v)]
    if isinstance(value, tuple | list):
        return [a for v in value for a in flat(v)]
    return [np.asarray(value)] if isinstance(value, np.ndarray | np.generic | float | int) else []


class Case:
    """One input: its random numbers, and its calls."""

    def __init__(self, seed: int, verbose: bool = False) -> None:
        self.rng = np.random.default_rng(seed)
        self.verbose = verbose
        self.raw_messages = False  # pybind11's own are right where its functions are called themselves

    def pick(self, choices: Any) -> Any:
        return choices[self.rng.integers(len(choices))]

    def maybe(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def number(self, good: Any, share: float = 0.1) -> Any:
        """A good argument, or now and then an odd one."""
        return self.pick(ODD_NUMBERS) if self.maybe(share) else good

    def outcome(self, function: Callable[..., Any], *args: Any, **options: Any) -> list[Any] | None:
        """What a call returns, or None where it is refused properly."""
        if self.verbose:
            print(f"{getattr(function, '__qualname__', function)}(*{args!r}, **{options!r})", flush=True)
        try:
            result = flat(function(*args, **options))
        except REFUSALS as error:
            if not str(error).strip() or ("incompatible function arguments" in str(error) and not self.raw_messages):
                raise Finding(f"no message for people: {type(error).__name__}: {str(error)[:200]}") from error
            result = None
            if self.verbose:
                print(f"  {type(error).__name__}: {error}")
        return result

    def same(self, function: Callable[..., Any], first: Any, second: Any, error: float = 0, **options: Any) -> None:
        """The same bits (or nearly, where an error is given) of two forms of the same numbers, or two refusals."""
        a, b = self.outcome(function, *first, **options), self.outcome(function, *second, **options)
        if (a is None) != (b is None):
            raise Finding(f"{function.__qualname__}: one form is refused, the other is not")
        for x, y in zip(a or [], b or [], strict=True):
            if not (np.allclose(x, y, error, error, True) if error else np.array_equal(x, y, x.dtype.kind == "f")):
                raise Finding(f"{function.__qualname__}: the two forms give {x} and {y}")

    def table(self, k: int | None = None, *, most: int = 200, odd: float = 0.25) -> np.ndarray:
        """Counts (N, K), sometimes with one that no table may hold."""
        n = self.pick([0, 1, 2, 5, 21, 63, 64, 65, 200])
        k = self.pick([1, 2, 2, 3, 5, 17, 40]) if k is None else k
        dtype = np.dtype(self.pick(INTEGERS))
        high = self.pick([1, 4, 30, 100, most, 70_000, 2**20])
        counts = self.rng.integers(0, min(high, np.iinfo(dtype).max), (min(n, most), k), dtype=np.int64, endpoint=True)
        counts = (counts * self.rng.integers(0, 2, counts.shape)).astype(dtype)
        if counts.size and self.maybe(odd):
            info = np.iinfo(dtype)
            bad = self.pick([info.min, info.max, info.min // 2, info.max - 1, -1, -9999, 2**53, 2**53 + 1])
            counts.flat[self.rng.integers(counts.size)] = min(max(int(bad), info.min), info.max)
        return counts

    def layout(self, array: np.ndarray) -> Any:
        """The same numbers, lying otherwise in memory."""
        array = np.asarray(array)
        if array.ndim == 0:
            return array
        kind = self.pick(["swapped", "packed", "shifted", "fortran", "reversed", "sliced", "list", "wider", "readonly"])
        if kind == "swapped":
            return array.astype(array.dtype.newbyteorder("S"))
        if kind == "fortran":
            return np.asfortranarray(array)
        if kind == "reversed":
            return np.ascontiguousarray(array[::-1])[::-1]
        if kind == "list" and array.size:
            return array.tolist()
        if kind == "wider" and array.dtype.kind in "iu" and (array.size == 0 or array.max() < 2**63):
            return array.astype(np.int64)
        result = np.empty_like(array)
        if kind == "packed":
            result = np.zeros(array.shape, [("first", "i1"), ("value", array.dtype)])["value"]
        elif kind == "shifted":
            result = np.empty(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
        elif kind == "sliced":
            result = np.zeros((*array.shape[:-1], 3 * array.shape[-1]), array.dtype)[..., ::3]
        result[...] = array
        result.flags.writeable = False
        return result

    def concentration(self, shape: tuple[int, ...]) -> np.ndarray:
        scale = self.pick([1e-300, 1e-8, 0.1, 1.0, 5.0, 100.0, 1e10, 1e200])
        a = self.rng.gamma(1.0, size=shape) * scale
        if a.size and self.maybe(0.15):
            a.flat[self.rng.integers(a.size)] = self.pick([0.0, -1.0, np.nan, np.inf, 5e-324, 1.7e308])
        return a


def likelihood(case: Case) -> None:
    counts = case.table()
    n, k = counts.shape
    a = case.concentration(case.pick([(k,), (n, k), (1, k), (2, 1, k), (k + 1,)]))
    options = {"coefficient": case.maybe(0.5), "n_threads": case.number(1, 0.05)}
    function = case.pick([hbm.log_likelihood, hbm.log_likelihood_gradient])
    case.same(function, (counts, a), (case.layout(counts), case.layout(a) if case.maybe(0.3) else a), 1e-9, **options)
    case.same(lambda t: function(counts, a, n_threads=t), (1,), (3,))
    weights = case.pick([None, np.ones(n), case.rng.random(n), np.full(n, case.pick([-1.0, np.nan, 1e308, 0.0]))])
    statistics = hbm.SufficientStatistics(n_categories=k)

    def add(table: Any) -> Any:
        filled = hbm.SufficientStatistics(table, weights=weights)
        return filled.log_likelihood(np.ones(k)), filled.log_coefficient, filled.n_groups

    case.same(add, (counts,), (case.layout(counts),))
    case.outcome(statistics.add, counts, weights=weights)
    for method in (statistics.log_likelihood, statistics.log_likelihood_gradient, statistics.log_likelihood_hessian):
        case.same(lambda t, method=method: method(a, n_threads=t), (1,), (3,))
    if find_spec("scipy") is not None:
        import scipy.sparse

        if case.maybe(0.5):
            matrix = scipy.sparse.csr_array(counts)
            case.outcome(hbm.log_likelihood, matrix, a, **options)
            case.outcome(hbm.SufficientStatistics, matrix, weights=weights)
        alpha = np.abs(a[..., :1, :]) if a.ndim > 1 else a
        totals = counts.sum(axis=-1)
        case.same(
            hbm.dirichlet_multinomial.logpmf, (counts, alpha, totals), (case.layout(counts), alpha, case.layout(totals))
        )


def priors_of(case: Case, k: int) -> Any:
    p = hbm.priors
    alpha = case.pick(
        [p.Exponential(), p.Gamma(2, rate=0.5), p.LogNormal(0, 2), p.HalfCauchy(1), p.LogUniform(1e-3, 1e3), 2.0]
    )
    learned = p.Dirichlet(case.pick([p.Exponential(), p.HalfCauchy(1), p.LogUniform(1e-3, 1e3)]))
    beta = case.pick([1.0, 0.1, [1.0] * k, learned, p.FixedBeta(np.full(k, 1.0 / k)), [1.0] * (k + 1)])
    return hbm.HierarchicalModel(case.number(k, 0.05), alpha=alpha, beta=beta)


def simulate(case: Case) -> None:
    k = case.pick([2, 2, 3, 5, 31, 32, 70])
    kind = case.pick(["simulate", "variates", "exceedances"])
    if kind == "simulate":
        models: list[Any] = []
        case.outcome(lambda: models.append(priors_of(case, k)))
        b, n = case.pick([0, 1, 3, 20]), case.pick([1, 2, 9, 64])
        options = {
            "n_groups": case.number(case.pick([n, (1, n), np.full(b, n), [n] * b, (n, 1)])),
            "totals": case.number(case.pick([0, 20, (0, 300), 2_000_000_000, np.arange(n), np.full((b, n), 7)])),
            "first": case.number(case.pick([0, 7, 2**64 - 1]), 0.05),
            "rng": case.number(1, 0.05),
            "theta": case.maybe(0.5),
            "counts": case.maybe(0.8),
            "statistics": case.maybe(0.3) and k < 32,
            "dtype": case.pick([np.int32, np.int64, np.uint8, ">i4", float]),
        }
        if options["statistics"] and not isinstance(options["totals"], tuple):
            options["totals"] = 20  # not a table of 2,000,000,000 columns
        if options["rng"] is None:
            options["rng"] = 1  # None is another stream at each call
        alpha = case.pick([None, None, 1.0, case.concentration((b,)), 1e300])
        n_datasets = case.number(b, 0.05)

        def draw(t: Any) -> Any:
            sims = hbm.simulate(models[0], n_datasets, alpha=alpha, n_threads=t, **options)
            return sims.alpha, sims.log_beta, sims.theta, sims.counts, sims.statistics

        if models and n_datasets != 2**31:
            case.same(draw, (1,), (3,))
    elif kind == "variates":
        a = case.concentration(case.pick([(k,), (4, k), (0,), (3, 0), (0, k), ()]))
        size = case.number(case.pick([None, 3, (2, 4), 0, (4,)]), 0.05)
        case.same(lambda a, t: hbm.dirichlet(1, a, size, n_threads=t), (a, 1), (case.layout(a), 3))
        p = np.abs(a) / np.abs(a).sum(axis=-1, keepdims=True) if a.ndim else a
        totals = np.asarray(case.pick([0, 20, 2_000_000_000, 2_000_000_001, -1, [5, 6, 7, 8]]))
        case.same(lambda n, t: hbm.multinomial(1, n, p, size, n_threads=t), (totals, 1), (case.layout(totals), 3))
    else:
        counts = case.table()[np.newaxis] if case.maybe(0.7) else np.stack([case.table(k, odd=0.0)[:1]] * 3)
        if counts.size and counts.astype(np.float64).sum(axis=-1).max() > 1e6:
            return  # its table would take all memory
        most = case.number(case.pick([None, 30, 70_000]))
        if most != 2**31:
            tally = lambda c, t: sufficient_statistics.exceedance_counts(c, most, n_threads=t)  # noqa: E731
            case.same(tally, (counts, 1), (case.layout(counts), 3))


def questions(case: Case, posterior: Any, k: int) -> None:
    """Every method of a posterior."""
    row = case.table(k)[:1].reshape(-1) if case.maybe(0.5) else case.rng.integers(0, 9, k)
    name = case.pick(["alpha", "log_alpha", "beta", "log_beta", "theta", 3])
    group = case.number(case.pick([0, -1, None, 5, "a"]))
    asked: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = [
        (posterior.mean, (name,), {}),
        (posterior.sd, (name,), {}),
        (posterior.quantile, (name, case.number(case.pick([0.5, [0.1, 0.9], -0.1, [], 1.0]))), {}),
        (posterior.theta, (group,), {}),
        (posterior.theta, (), {"counts": row}),
        (posterior.predict, (group,), {}),
        (posterior.predict, (), {"counts": row}),
        (posterior.log_predictive, (row,), {"coefficient": case.maybe(0.5)}),
        (posterior.log_predictive, (case.table(k)[:20],), {"jointly": case.maybe(0.3)}),
        (posterior.predictive_counts, (group,), {"total": case.number(9, 0.3)}),
        (posterior.log_likelihood, (), {}),
        (posterior.diagnostics, (name,), {}),
        (posterior.summary, (), {}),
    ]
    for i in case.rng.permutation(len(asked))[:4]:
        function, args, options = asked[i]
        if options.get("total") != 2**31:
            case.outcome(function, *args, **options)
    case.same(posterior.log_predictive, (row,), (case.layout(row),))


def inference(case: Case) -> None:
    kind = case.pick(["sample", "exact", "fit"])
    k = 2 if kind == "exact" and case.maybe(0.9) else case.pick([2, 2, 3, 8, 40])
    counts = case.table(k, odd=0.15)
    if case.maybe(0.2):
        counts = np.stack([counts, counts])
    other = case.layout(counts)
    models: list[Any] = [None]
    if case.maybe(0.5):
        case.outcome(lambda: models.append(priors_of(case, k)))
    results: list[Any] = []

    def infer(table: Any, threads: Any) -> Any:
        if kind == "sample":
            result = hbm.sample(table, models[-1], n_threads=threads, **options)
            answer: Any = result.log_alpha, result.log_beta
        elif kind == "exact":
            result = hbm.exact_posterior(table, models[-1], n_draws=options["n_draws"], rng=1)
            answer = result.mean("log_alpha"), result.log_alpha
        else:
            result = hbm.fit(table, weights=weights)
            return result.concentration, result.log_likelihood
        results.append(result)
        return answer

    few = case.number(case.pick([1, 4, 30]), 0.05)
    options = {
        "n_draws": 4 if few == 2**31 else few,
        "n_chains": case.pick([1, 2]),
        "n_warmup": case.pick([0, 3, 20]),
        "rng": 1,
        "method": case.pick(["auto", "hmc", "gibbs", "mh", "nuts"]),
    }
    weights = case.pick([None, None, case.rng.random(counts.shape[:-1]), np.full(counts.shape[:-1], 1e300)])
    case.same(infer, (counts, 1), (other, 2))
    for result in results[:1]:
        questions(case, result, k)


_networks: list[Any] = []


def networks(case: Case) -> None:
    if not _networks:
        import torch  # noqa: TID251

        torch.set_num_threads(1)
        _networks.extend(hbm.amortize.load(name) for name in ("marbles", "marbles-bottom-up", "any-k"))
    network = case.pick(_networks)
    k = case.pick([2, 2, 2, 3, 5])
    counts = case.table(k, most=50, odd=0.1)[:40]
    if counts.size and counts.astype(np.float64).max() > 1e5:
        return  # outside the range of every network, which then returns the draws of the sampler
    if case.maybe(0.3):
        counts = np.stack([counts, counts])
    results: list[Any] = []

    def infer(table: Any) -> Any:
        result = network.sample(table, n_draws=n_draws, rng=1, correct=correct)
        results.append(result)
        return result.log_alpha, result.log_beta

    n_draws = case.number(case.pick([1, 50]), 0.03)
    n_draws = 50 if n_draws in (2**31, 2**63) else n_draws
    correct = case.pick(["auto", False, True])
    case.same(infer, (counts,), (case.layout(counts),))
    for result in results[:1]:
        questions(case, result, k)


def bindings(case: Case) -> None:
    """The compiled functions, also with arrays of wrong shapes and layouts."""
    case.raw_messages = True
    log_pmfs, sums, predictions, nets = _core.likelihood, _core.statistics, _core.prediction, _core.networks
    n, k, j = (case.pick([0, 1, 2, 3, 65]) for _ in range(3))

    def array(dtype: Any, *shape: int) -> Any:
        shape = tuple(max(s + case.pick([-1, 1]), 0) if case.maybe(0.02) else s for s in shape)
        values = case.rng.integers(-1 if case.maybe(0.1) else 0, 9, shape)
        result = values.astype(dtype) if case.maybe(0.8) else case.concentration(shape).astype(dtype)
        if result.dtype.kind == "i" and result.size and case.maybe(0.1):
            result.flat[0] = case.pick([np.iinfo(result.dtype).min, np.iinfo(result.dtype).max])
        return case.layout(result) if case.maybe(0.05) else result

    floats, ints, singles = (partial(array, dtype) for dtype in (np.float64, np.int64, np.float32))

    def source() -> Any:
        if case.maybe(0.5):
            return _core.simulation.IntegerSource(case.pick([0, 1, -1]), case.pick([1, 9, 2**40]))
        return _core.simulation.IntegerSource(ints(n * j), case.pick([0, 1, j, 2**63]), case.pick([0, 1, 2**62]))

    def priors(fixed: float) -> Any:
        kind = case.pick(["exponential", "gamma", "log_uniform", "lomax", "power", "fixed"])
        numbers = [case.pick([1.0, 2.0, 0.5, np.nan, -1.0, np.inf]) for _ in range(4)]
        return _core.priors.AlphaPrior(kind, *numbers), _core.priors.BetaPrior(case.maybe(fixed), floats(k))

    def request() -> Any:
        return key, case.pick([0, 2**64 - 1]), *priors(0.0), case.maybe(0.3), case.maybe(0.3), source(), source(), j

    def simulated() -> Any:
        drawn = floats(n), floats(n, k), floats(n), floats(n, k), ints(n), floats(n, j, k)
        return *drawn, case.pick([None, draws]), tables_of_counts, case.pick([None, singles(n, k + 1, 9)])

    def mixture(n_lower: int, *shape: int) -> Any:
        return singles(n, 2, k), singles(n, 2, n_lower), singles(*shape), singles(n, 2, k)

    key, words, threads = array(np.uint64, 2), array(np.uint64, n), case.pick([1, 2, -1])
    counts, tables_of_counts = array(case.pick(INTEGERS), n, k), array(case.pick(INTEGERS), n, j, k)
    stats = sums.SufficientStatistics(k)
    case.outcome(stats.add, array(np.int64, n, k), case.pick([None, floats(n)]))
    draws = floats(n, j, k)
    offsets = np.sort(array(np.int32, n + 1)) if case.maybe(0.9) else array(np.int32, n + 1)
    sparse = array(case.pick(INTEGERS), n * k), array(np.int32, n * k), offsets
    state = (k, case.pick([1.0, 5.0, np.nan]), 0.0, [(floats(j), floats(j)) for _ in range(k + 1)])
    restored = sums.SufficientStatistics.__new__(sums.SufficientStatistics)
    samplers = [case.pick(["hmc", "gibbs", "mh"]) for _ in range(2)]
    start = case.pick([None, (floats(2, 2), floats(2, 2, k))])
    a = floats(*case.pick([(k,), (n, k), (1, k)]))
    calls: list[Callable[[], Any]] = [
        lambda: log_pmfs.log_pmf(counts, a, case.maybe(0.5), floats(n), threads),
        lambda: log_pmfs.log_pmf_gradient(counts, a, case.maybe(0.5), floats(n), floats(n, k), threads),
        lambda: log_pmfs.sparse_log_pmf(*sparse, a, True, floats(n), threads),
        lambda: stats.add_sparse(*sparse, case.pick([None, floats(n)])),
        lambda: stats.log_likelihood(floats(n, k), floats(n), case.pick([None, floats(n, k)]), threads),
        lambda: stats.hessian(floats(n, k), floats(n, k), floats(n), threads),
        lambda: [stats.pairs(k + 1), stats.has_table(-1)],
        lambda: restored.__setstate__(state),
        lambda: _core.mcmc.sample([counts, stats], *priors(0.1), samplers, j, 2, 3, key, threads, None, start),
        lambda: _core.simulation.simulate(*request(), *simulated(), threads),
        lambda: _core.simulation.dirichlet(key, a, floats(n, k), threads),
        lambda: _core.simulation.multinomial(key, ints(n), a, ints(n, k), threads),
        lambda: sums.exceedance_counts(tables_of_counts, singles(n, k + 1, case.pick([0, 9])), threads),
        lambda: sums.logit_density(floats(3, j), floats(2), floats(n), floats(n), floats(n), None, threads),
        lambda: sums.table_log_likelihood(singles(n, k + 1, j), floats(n, 3), floats(n, 3, k), floats(n, 3), threads),
        lambda: predictions.draw_log_theta(floats(n, j), draws, ints(n, k), key, 1, words, floats(n, j, k), threads),
        lambda: predictions.group_log_pmf(floats(n, j), draws, ints(n, 2, k), True, floats(n, j, 2), threads),
        lambda: predictions.draw_predictive_counts(draws, ints(n), key, 1, words, ints(n, j, k), threads),
        lambda: nets.normal_tails(case.pick([floats, singles])(n), floats(n), floats(n), threads),
        lambda: nets.mixture_log_density(*mixture(k * (k - 1) // 2, n, 2), singles(n, j, k), floats(n, j), threads),
        lambda: nets.mixture_draws(*mixture(0, n, 1), singles(n, j), singles(n, j, k), singles(n, j, k), threads),
    ]
    case.outcome(case.pick(calls))


TEXTS = [
    "a,b\n1,2\n3,4\n",
    "group;a;b\nx;1;2\ny;0;4\n",
    "group\tcategory\tcount\nx\ta\t1\ny\tb\t2\n",
    "a,b,weight\n1,2,10\n0,5,3\n",
    "# Constructed from biom file\n#OTU ID\ta\tb\ttaxonomy\nx\t1.0\t2.0\tk__B\ny\t0.0\t4.0\tk__A\n",
    "sample,taxon,reads\nx,a,1\ny,b,2\n",
]
MARKS = ["", "\n", "\r", ",", ";", "\t", '"', "#", "\x00", "\ufeff", "a", " ", "é"]
NUMBERS = ["-1", "+1", "nan", "1.0", "1e3", "0x1", "1_000", "٣", "9" * 20]
NUMBERS += ["1e999999999999999999999", "1e-999999999", "9007199254740993.0"]


def readers(case: Case) -> None:
    if case.maybe(0.6):
        text = list(case.pick(TEXTS))
        for _ in range(case.rng.integers(0, 4)):
            at = int(case.rng.integers(len(text) + 1))
            text[at : at + int(case.rng.integers(3))] = case.pick(MARKS + NUMBERS)
        encoding = case.pick(["utf-8", "utf-8", "utf-16", "utf-8-sig"])
        content = "".join(text).encode(encoding)
        ending = case.pick([".csv", ".tsv", ".txt", ".tab", ".npy", ".xyz", ".parquet", ".csv.gz", ".biom", ".h5ad"])
        if ending == ".csv.gz" and case.maybe(0.8):
            content = gzip.compress(content)
    else:
        ending = case.pick([".npy", ".npz"])
        buffer = io.BytesIO()
        counts = case.table()
        if ending == ".npy":
            np.save(buffer, counts)
        else:
            np.savez(buffer, counts=counts, weights=case.rng.random(len(counts)))
        damaged = bytearray(buffer.getvalue())
        for _ in range(case.rng.integers(0, 4)):
            damaged[case.rng.integers(len(damaged))] = case.rng.integers(256)
        content = bytes(damaged[: case.rng.integers(len(damaged) + 1) if case.maybe(0.3) else None])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"table{ending}"
        path.write_bytes(content)
        if case.verbose:
            print(repr(content))
        options = {
            "layout": case.pick(["auto", "auto", "wide", "long", "frequency", "x"]),
            "transpose": case.pick(["auto", "auto", True, False, "x", None]),
            "drop": case.pick([(), (), ["a"], ["taxonomy"], "a", ["", "b"]]),
            "labels": case.pick([None, None, "a", "taxonomy", ""]),
        }
        case.outcome(lambda: tables.read_counts(path, **options).counts)
        case.outcome(lambda: np.array(tables.read_labels(path, "a", ["x", "y"])))


AREAS: dict[str, Callable[[Case], None]] = {
    "likelihood": likelihood,
    "simulation": simulate,
    "inference": inference,
    "networks": networks,
    "bindings": bindings,
    "tables": readers,
}


def one(area: str, seed: int, verbose: bool = False) -> str:
    """The finding of one input, or nothing."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            AREAS[area](Case(seed, verbose))
        except BaseException:
            return traceback.format_exc()
    return ""


def child(area: str, seed: int, seconds: float) -> None:
    """Run the inputs seed, seed + 1, ...; print each before it runs, and its finding after it."""
    if "asan" not in os.environ.get("LD_PRELOAD", ""):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    faulthandler.register(signal.SIGPROF, chain=True)  # prints the stack, then ends the process
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        print(f"seed {seed}", flush=True)
        signal.setitimer(signal.ITIMER_PROF, SLOWEST)
        faulthandler.dump_traceback_later(WAIT, exit=True)
        if finding := one(area, seed):
            print("finding", ascii(finding), flush=True)
        seed += 1
    print("end", flush=True)


def watch(area: str, first: int, seconds: float) -> list[str]:
    """Findings of an area within a time; a child that ends early is replaced by a new one."""
    findings: list[str] = []
    start, seed = time.monotonic(), first
    while (left := start + seconds - time.monotonic()) > 0 and len(findings) < 20:
        arguments = ["--child", "--area", area, "--seed", str(seed), "--seconds", str(left)]
        done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, errors="replace")
        told = [line.partition(" ") for line in done.stdout.splitlines()]
        for what, _, text in told:
            if what == "seed":
                seed = int(text)
            elif what == "finding":
                findings.append(f"--area {area} --replay {seed}\n{literal_eval(text)}")
        if not told or told[-1][0] != "end":
            findings.append(
                f"--area {area} --replay {seed}\nended the process ({done.returncode})\n{done.stderr[-5000:]}"
            )
        seed += 1
    print(f"{area}: {seed - first} inputs in {time.monotonic() - start:.0f} s, {len(findings)} findings", flush=True)
    return findings


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--area", action="append", choices=AREAS)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="areas at a time")
    parser.add_argument("--replay", type=int, metavar="SEED")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    areas = asked.area or [area for area in AREAS if area != "networks" or find_spec("torch") is not None]
    if asked.child:
        child(areas[0], asked.seed, asked.seconds)
        return 0
    if asked.replay is not None:
        finding = one(areas[0], asked.replay, verbose=True)
        print(finding or "no finding")
        return int(bool(finding))
    with ThreadPoolExecutor(asked.jobs) as pool:
        found = [f for fs in pool.map(lambda area: watch(area, asked.seed, asked.seconds), areas) for f in fs]
    print("\n\n".join(found))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
