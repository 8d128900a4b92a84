"""The log-likelihood beside its peers: the same counts, the answers compared with mpmath.

A: 100,000 rows, K 2, total 20, a concentration per row; B: 20,000 x 10, total 100, a concentration per row;
C: 2,000 x 1,000, total 10,000, 99 % zeros, one concentration, dense and CSR; C2: the same at 63-68 % zeros;
D: one concentration, 20,000 x 5, total 20: value and gradient of 1,000 concentrations from statistics computed once;
the gradient of A, B and C (C with one concentration, and a slope for each row);
S: one group of 2 categories, where a call is all overhead (numba and math.lgamma are faster).

`error`: the largest relative error over 200 rows. All methods run on one thread but those named so. Slow peers run a
share of the rows: compare `ns_a_row`.
"""

import math
import os
from functools import cache, partial

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import mpmath
import numpy as np
import scipy.sparse
import scipy.special
import scipy.stats

import hbm_fast as hbm
from hbm_fast.benchmark.measure import Case, Method
from hbm_fast.sufficient_statistics import exceedance_counts

TITLE = "Likelihood"
PACKAGES = ("numba", "scipy", "torch", "jax", "pymc")


def _draw(rng, a, total, n):
    a = np.broadcast_to(a, (n, a.shape[-1]))
    log_theta = np.log(rng.standard_gamma(a + 1.0)) + np.log(rng.random(a.shape)) / a  # does not underflow
    theta = np.exp(log_theta - log_theta.max(-1, keepdims=True))
    return rng.multinomial(total, theta / theta.sum(-1, keepdims=True))


@cache
def _data(name):
    """Counts and concentrations."""
    rng = np.random.default_rng([1, *name.encode()])
    if name == "A":
        a = rng.exponential(size=(100_000, 1)) * rng.dirichlet(np.ones(2), 100_000) + 1e-3
    elif name == "B":
        a = rng.gamma(1.0, 5.0, (20_000, 1)) * rng.dirichlet(np.ones(10), 20_000) + 1e-3
    elif name == "D":
        a = np.array([0.3, 0.7, 1.1, 0.2, 2.0])
    else:
        a = {"C": 0.0014, "C2": 0.11}[name] * rng.gamma(2.0, 0.5, 1_000)
    total, n = {"A": (20, 100_000), "B": (100, 20_000), "D": (20, 20_000)}.get(name, (10_000, 2_000))
    return _draw(rng, a, total, n), a


def _rows(name, n):
    """The first n rows of the counts and their concentrations."""
    x, a = _data(name)
    return x[:n], a if a.ndim == 1 else a[:n]


@cache
def _checked(name):
    """200 rows, and their values to 30 digits."""
    x, a = _data(name)
    rows = np.linspace(0, len(x) - 1, 200).astype(int)
    return rows, np.array([_exact(x[n], a if a.ndim == 1 else a[n]) for n in rows])


def _exact(x, a):
    with mpmath.workdps(40):
        on = np.flatnonzero(x)
        total, a_sum = int(x.sum()), mpmath.fsum(map(float, a))

        def choose(c, n):  # log Gamma(c + n) / (Gamma(c) n!)
            return mpmath.loggamma(c + n) - mpmath.loggamma(c) - mpmath.loggamma(n + 1)

        value = mpmath.fsum(choose(mpmath.mpf(float(a[k])), int(x[k])) for k in on) - choose(a_sum, total)
        return float(value)


def _largest(values, expected):
    return float(np.max(np.abs(values - expected) / np.maximum(np.abs(expected), 1e-300)))


def _check_rows(name, values, n):
    rows, expected = _checked(name)
    kept = rows < n
    return {
        "zeros": float((_data(name)[0] == 0).mean()),
        "error": _largest(np.asarray(values)[rows[kept]], expected[kept]),
    }


def ours(x, a, n_threads=1):
    out = np.empty(x.shape[0])
    return lambda: hbm.log_likelihood(x, a, out=out, n_threads=n_threads)


def scipy_stats(x, a):
    n = x.sum(-1)
    return lambda: scipy.stats.dirichlet_multinomial.logpmf(x, a, n)


def _by_log_gamma(lg, counts, c):
    """The log-likelihood as users write it, for arrays of any library."""
    n, total = counts.sum(-1), c.sum(-1)
    ends = lg(total) + lg(n + 1.0) - lg(n + total)
    return ends + (lg(counts + c) - lg(c) - lg(counts + 1.0)).sum(-1)


def numpy_by_hand(x, a):
    return partial(_by_log_gamma, scipy.special.gammaln, x, a)


def torch_lgamma(x, a):
    import torch

    torch.set_num_threads(1)
    return partial(_by_log_gamma, torch.lgamma, torch.as_tensor(x), torch.as_tensor(a))


def jax_jit(x, a):
    import jax

    jax.config.update("jax_enable_x64", True)
    run = jax.jit(partial(_by_log_gamma, jax.scipy.special.gammaln))
    counts, c = jax.numpy.asarray(x), jax.numpy.asarray(a)
    return lambda: np.asarray(run(counts, c))


def pymc_compiled(x, a):
    import pymc as pm
    import pytensor
    import pytensor.tensor as pt

    counts, c = pt.lmatrix(), pt.dvector() if a.ndim == 1 else pt.dmatrix()
    value = pm.logp(pm.DirichletMultinomial.dist(n=counts.sum(-1), a=c), counts)
    run = pytensor.function([counts, c], value)
    x64 = x.astype(np.int64)
    return lambda: run(x64, a)


_LOG_FACTORIAL = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1.0, 20_001.0)))])


@cache
def _numba_kernels():
    import numba

    @numba.njit(error_model="numpy")
    def log_rising(a, n):
        """Running product up to 64 factors; beyond, two log-gammas are faster."""
        if n > 64:
            return math.lgamma(a + n) - math.lgamma(a)
        value, product = 0.0, 1.0
        for j in range(n):
            product *= a + j
            if product > 1e250:
                value += math.log(product)
                product = 1.0
        return value + math.log(product)

    @numba.njit(error_model="numpy")
    def rows(x, a, log_factorial, out):
        shared = a.shape[0] == 1
        total_a = a[0].sum()
        for n in range(x.shape[0]):
            c = a[0] if shared else a[n]
            if not shared:
                total_a = 0.0
                for k in range(c.size):
                    total_a += c[k]
            total, value, product = 0, 0.0, 1.0
            for k in range(c.size):
                m = x[n, k]
                if m == 0:
                    continue
                total += m
                value -= log_factorial[m]
                if m > 64:
                    value += math.lgamma(c[k] + m) - math.lgamma(c[k])
                    continue
                for j in range(m):  # one logarithm for as many factors as fit
                    product *= c[k] + j
                    if product > 1e250 or product < 1e-250:
                        value += math.log(product)
                        product = 1.0
            out[n] = value + math.log(product) + log_factorial[total] - log_rising(total_a, total)
        return out

    @numba.njit(error_model="numpy", fastmath=False)
    def table(c, concentration, gradient):
        """sum_j c_kj log(a_k + j) - sum_j c_Kj log(A + j), and its gradient."""
        out = np.empty(len(concentration))
        for s in range(len(concentration)):
            value, total_a, shared = 0.0, 0.0, 0.0
            for k in range(c.shape[0] - 1):
                a, slope = concentration[s, k], 0.0
                total_a += a
                for j in range(c.shape[1]):
                    if c[k, j] == 0.0:
                        break
                    value += c[k, j] * math.log(a + j)
                    slope += c[k, j] / (a + j)
                gradient[s, k] = slope
            for j in range(c.shape[1]):
                value -= c[-1, j] * math.log(total_a + j)
                shared += c[-1, j] / (total_a + j)
            for k in range(c.shape[0] - 1):
                gradient[s, k] -= shared
            out[s] = value
        return out

    return rows, table


def numba_loop(x, a):
    rows, _ = _numba_kernels()
    table, out = np.atleast_2d(a), np.empty(len(x))
    return lambda: rows(x, table, _LOG_FACTORIAL, out)


METHODS = (
    Method("hbm_fast", ours),
    Method("hbm_fast, two threads", partial(ours, n_threads=2)),
    Method("numba, careful loop", numba_loop, ("numba",)),
    Method("scipy.stats", scipy_stats, share=4),
    Method("numpy, scipy.special", numpy_by_hand, share=4),
    Method("torch.lgamma", torch_lgamma, ("torch",), share=4),
    Method("jax.jit", jax_jit, ("jax",), share=4),
    Method("pymc, compiled", pymc_compiled, ("pymc",), share=4),
)


def ours_gradient(x, a):
    return lambda: hbm.log_likelihood_gradient(x, a, n_threads=1)[1]


def _by_digamma(x, a, psi=scipy.special.digamma):
    n, total = x.sum(-1), a.sum(-1)
    return psi(a + x) - psi(a) - (psi(total + n) - psi(total))[..., None]


def scipy_digamma(x, a):
    return partial(_by_digamma, x, a)


def _terms_of_the_gradient(lg, counts, c):
    """The terms of the log-likelihood that depend on the concentration, summed over the rows."""
    n, total = counts.sum(-1), c.sum(-1)
    return (lg(total) - lg(n + total) + (lg(counts + c) - lg(c)).sum(-1)).sum()


def torch_autograd(x, a):
    import torch

    torch.set_num_threads(1)
    counts, c = torch.as_tensor(x), torch.as_tensor(a).expand(x.shape).clone().requires_grad_()
    return lambda: torch.autograd.grad(_terms_of_the_gradient(torch.lgamma, counts, c), c)[0].numpy()


def jax_gradient(x, a):
    import jax

    jax.config.update("jax_enable_x64", True)
    terms = partial(_terms_of_the_gradient, jax.scipy.special.gammaln)
    run = jax.jit(jax.value_and_grad(terms, argnums=1))
    counts, c = jax.numpy.asarray(x), jax.numpy.broadcast_to(jax.numpy.asarray(a), x.shape)
    return lambda: np.asarray(run(counts, c)[1])


def _exact_slope(x, a):
    """d log p / d a_0 to 30 digits, relative to the sum of its absolute terms."""
    with mpmath.workdps(30):

        def rise(c, n):  # digamma(c + n) - digamma(c)
            return mpmath.digamma(mpmath.mpf(float(c)) + int(n)) - mpmath.digamma(mpmath.mpf(float(c)))

        own, shared = rise(a[0], x[0]), rise(mpmath.fsum(map(float, a)), x.sum())
        return float(own - shared), float(own + shared)


def _exceedances(x):
    return exceedance_counts(x[None])[0].astype(float)


def ours_table(x, concentration):
    stats = hbm.SufficientStatistics(x)
    return lambda: stats.log_likelihood_gradient(concentration, n_threads=1)[0]


def numba_table(x, concentration):
    _, table = _numba_kernels()
    coefficient = hbm.SufficientStatistics(x).log_coefficient
    c, gradient = _exceedances(x), np.empty_like(concentration)
    return lambda: table(c, concentration, gradient) + coefficient


def scipy_each(x, concentration):
    totals = x.sum(-1)
    return lambda: np.array([scipy.stats.dirichlet_multinomial.logpmf(x, c, totals).sum() for c in concentration])


def _exact_of_table(x, a):
    with mpmath.workdps(40):
        value = mpmath.mpf(0)
        for column, c in [*((x[:, k], mpmath.mpf(float(a[k]))) for k in range(5)), (x.sum(-1), None)]:
            sign, at = (1, c) if c is not None else (-1, mpmath.fsum(map(float, a)))
            for n, times in zip(*np.unique(column, return_counts=True), strict=True):
                one = mpmath.log(mpmath.rf(at, int(n))) - mpmath.loggamma(int(n) + 1)
                value += sign * int(times) * one
        return float(value)


def _check_gradient(name, values, n):
    x, a = _rows(name, n)
    rows = _checked(name)[0]
    exact = [(r, *_exact_slope(x[r], a if a.ndim == 1 else a[r])) for r in rows if r < n]
    return {"error": max(abs(values[r, 0] - slope) / size for r, slope, size in exact)}


GRADIENTS = (
    Method("hbm_fast", ours_gradient),
    Method("scipy.special.digamma", scipy_digamma, share=4),
    Method("torch, autograd", torch_autograd, ("torch",), share=4),
    Method("jax.jit, value_and_grad", jax_gradient, ("jax",), share=4),
)


@cache
def _concentrations():
    return _data("D")[1] * np.random.default_rng(2).lognormal(0.0, 0.3, (1_000, 5))


def _many(n):
    return _data("D")[0], _concentrations()[:n]


def _check_concentrations(values, n):
    expected = [_exact_of_table(_data("D")[0], row) for row in _concentrations()[:3]]
    return {"error": _largest(np.asarray(values)[:3], np.array(expected))}


MANY = (
    Method("hbm_fast", ours_table),
    Method("numba, same table", numba_table, ("numba",)),
    Method("scipy.stats, value alone", scipy_each, share=333),
)


def _lgamma():
    lg, total, total_a = math.lgamma, 20, 2.0
    value = lg(total + 1.0) + lg(total_a) - lg(total_a + total)
    for n, c in ((7, 0.5), (13, 1.5)):
        value += lg(c + n) - lg(c) - lg(n + 1.0)
    return value


ONE_GROUP = (
    Method("hbm_fast", lambda x, a: lambda: hbm.log_likelihood(x, a)),
    Method("numba, careful loop", lambda x, a: numba_loop(x[None], a), ("numba",)),
    Method("math.lgamma", lambda x, a: _lgamma),
    Method("scipy.stats", lambda x, a: lambda: scipy.stats.dirichlet_multinomial.logpmf(x, a, 20)),
)
_GROUP = np.array([7, 13]), np.array([0.5, 1.5])


def _check_group(value, n):
    return {"error": _largest(np.squeeze(value), _exact(*_GROUP))}


def _case(name, size, methods, function="log_likelihood", check=_check_rows):
    return Case(f"{function} ({name})", size, "row", partial(_rows, name), partial(check, name), methods)


SPARSE = (METHODS[0], Method("hbm_fast, CSR", lambda x, a: ours(scipy.sparse.csr_array(x), a)), *METHODS[2:])
CASES = (
    _case("A", 100_000, METHODS),
    _case("B", 20_000, METHODS),
    _case("C", 2_000, SPARSE),
    _case("C2", 2_000, SPARSE),
    *(
        _case(name, size, GRADIENTS, "log_likelihood_gradient", _check_gradient)
        for name, size in (("A", 100_000), ("B", 20_000), ("C", 2_000))
    ),
    Case("value and gradient of 1,000 concentrations (D)", 1_000, "concentration", _many, _check_concentrations, MANY),
    Case("log_likelihood of one group (S)", 1, "group", lambda n: _GROUP, _check_group, ONE_GROUP),
)
