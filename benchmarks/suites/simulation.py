"""Simulators of the hierarchical model beside each other: whole datasets with alpha, beta, theta and counts.

(i) 10,000 datasets of 21 groups, K 2, total 20; (ii) 1,000 x 50, K 10, total 100; (iii) 20 x 100, K 1,000, total
10,000; the datasets that networks train on; and the share of wrong rows at alpha = 1e-3. Every method allocates and
returns its arrays inside the clock. No peer has log theta; hbm_fast computes it too, unless told not to. Slow peers run
a share of the datasets: compare `ns_a_dataset`.
"""

import os
from functools import cache, partial

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import numpy as np

import hbm_fast as hbm
from hbm_fast.benchmark.measure import Case, Method

TITLE = "Simulation"
PACKAGES = ("numba", "torch", "jax", "numpyro")


def ours(b, n, k, total, alpha=None, *, n_threads=1, log_theta=True):
    settings = {"n_groups": n, "totals": total, "alpha": alpha, "n_threads": n_threads, "log_theta": log_theta}
    sims = hbm.simulate(hbm.HierarchicalModel(k), b, rng=0, **settings)
    return sims.theta, sims.counts


def _log_gamma(rng, shape):
    """log Gamma(shape) by the boost, which does not underflow."""
    return np.log(rng.standard_gamma(shape + 1.0)) + np.log(rng.random(shape.shape)) / shape


def numpy_log_gamma(b, n, k, total, alpha=None):
    """Log-gammas, then one multinomial call, as a careful user of numpy writes it."""
    rng = np.random.default_rng(0)
    a = rng.exponential(size=b) if alpha is None else np.full(b, alpha)
    beta = rng.dirichlet(np.ones(k), b)
    log_g = _log_gamma(rng, np.broadcast_to((a[:, None] * beta)[:, None, :], (b, n, k)) + 1e-300)
    log_g -= log_g.max(-1, keepdims=True)
    theta = np.exp(log_g)
    theta /= theta.sum(-1, keepdims=True)
    return theta, rng.multinomial(total, theta)


def numpy_loop(b, n, k, total, alpha=None):
    """The plain loop."""
    rng = np.random.default_rng(0)
    theta = np.empty((b, n, k))
    counts = np.empty((b, n, k), int)
    for d in range(b):
        a = rng.exponential() if alpha is None else alpha
        beta = rng.dirichlet(np.ones(k))
        for g in range(n):
            theta[d, g] = rng.dirichlet(np.maximum(a * beta, 1e-300))
            counts[d, g] = rng.multinomial(total, theta[d, g])
    return theta, counts


def torch_distributions(b, n, k, total, alpha=None):
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    a = torch.distributions.Exponential(1.0).sample((b,)) if alpha is None else torch.full((b,), alpha)
    beta = torch.distributions.Dirichlet(torch.ones(k)).sample((b,))
    concentration = (a[:, None] * beta).clamp_min(1e-37)
    theta = torch.distributions.Dirichlet(concentration).sample((n,)).swapaxes(0, 1)
    # torch's Multinomial makes every single draw: (total, ...) indices
    counts = torch.distributions.Multinomial(total, theta, validate_args=False).sample()
    return theta.numpy(), counts.numpy()


@cache
def _numba_kernel():
    import numba

    @numba.njit
    def run(rng, alphas, b, n, k, total):
        theta = np.empty((b, n, k))
        counts = np.empty((b, n, k), np.int64)
        beta = np.empty(k)
        for d in range(b):
            a = rng.standard_exponential() if alphas < 0 else alphas
            for j in range(k):
                beta[j] = rng.standard_exponential()
            beta /= beta.sum()
            for g in range(n):
                top = -np.inf
                for j in range(k):
                    shape = max(a * beta[j], 1e-300)
                    theta[d, g, j] = np.log(rng.standard_gamma(shape + 1.0)) + np.log(rng.random()) / shape
                    top = max(top, theta[d, g, j])
                whole = 0.0
                for j in range(k):
                    theta[d, g, j] = np.exp(theta[d, g, j] - top)
                    whole += theta[d, g, j]
                left = total
                rest = 1.0
                for j in range(k):
                    theta[d, g, j] /= whole
                    p = min(1.0, theta[d, g, j] / rest) if rest > 0 else 0.0
                    counts[d, g, j] = left if j == k - 1 else rng.binomial(left, p)
                    left -= counts[d, g, j]
                    rest -= theta[d, g, j]
        return theta, counts

    return run


def numba_loop(b, n, k, total, alpha=None):
    """The same loop, compiled: numba compiles the scalar methods of Generator."""
    return _numba_kernel()(np.random.default_rng(0), -1.0 if alpha is None else alpha, b, n, k, total)


@cache
def _numpyro_kernel(b, n, k, total):
    import jax
    import numpyro.distributions as dist

    def run(key, alphas):
        keys = jax.random.split(key, 4)
        a = jax.numpy.where(alphas < 0, dist.Exponential(1.0).sample(keys[0], (b,)), alphas)
        beta = dist.Dirichlet(jax.numpy.ones(k)).sample(keys[1], (b,))
        theta = dist.Dirichlet(jax.numpy.maximum(a[:, None] * beta, 1e-37)).sample(keys[2], (n,))
        counts = dist.Multinomial(total, theta, total_count_max=total).sample(keys[3])
        return theta, counts

    return jax.jit(run)


def numpyro_distributions(b, n, k, total, alpha=None):
    import jax

    run = _numpyro_kernel(b, n, k, total)
    theta, counts = run(jax.random.PRNGKey(0), -1.0 if alpha is None else alpha)
    return np.asarray(theta).swapaxes(0, 1), np.asarray(counts).swapaxes(0, 1)


def _methods(slow_share, torch_share):
    """All methods; slow ones with a share of the datasets."""
    return tuple(
        Method(name, partial(partial, function), requires, share)
        for name, function, requires, share in (
            ("hbm_fast", ours, (), 1),
            ("hbm_fast, no log theta", partial(ours, log_theta=False), (), 1),
            ("hbm_fast, two threads", partial(ours, n_threads=2), (), 1),
            ("numpy, log-gamma", numpy_log_gamma, (), 1),
            ("numpy loop", numpy_loop, (), slow_share),
            ("torch.distributions", torch_distributions, ("torch",), torch_share),
            ("numba loop", numba_loop, ("numba",), 1),
            ("numpyro", numpyro_distributions, ("jax", "numpyro"), torch_share),
        )
    )


def _check(shape, total, answer, b):
    theta, counts = answer
    assert theta.shape == counts.shape == (b, *shape)
    assert (np.asarray(counts).sum(-1) == total).all()
    return {}


def _case(name, b, n, k, total, methods):
    check = partial(_check, (n, k), total)
    return Case(f"simulate ({name})", b, "dataset", lambda size: (size, n, k, total), check, methods)


STREAM = dict(n_groups=(1, 41), totals=(0, 40), rng=0)
STREAM_NAME = "simulate and statistics, K 2, 1..41 groups, totals 0..40"


def stream_ours():
    out = np.empty((4096, 3, 40), np.float32)
    model = hbm.HierarchicalModel(2)
    return hbm.simulate(model, 4096, **STREAM, theta=False, counts=False, statistics=out, n_threads=1).statistics


def stream_numpy():
    rng = np.random.default_rng(0)
    b, n = 4096, 41
    a, beta = rng.exponential(size=b), rng.dirichlet(np.ones(2), b)
    real = np.arange(n) < rng.integers(1, 42, b)[:, None]
    totals = rng.integers(0, 41, (b, n)) * real
    log_g = _log_gamma(rng, np.broadcast_to((a[:, None] * beta)[:, None, :], (b, n, 2)) + 1e-300)
    x = rng.binomial(totals, 1.0 / (1.0 + np.exp(np.clip(log_g[..., 1] - log_g[..., 0], -700, 700))))
    return numpy_tables(x, totals)


def numpy_tables(x, totals):
    """Exceedances (B, 3, 40) of counts x and totals - x, and of the totals up to 40."""
    b = len(x)
    rows = np.stack([x, totals - x, totals], 1)
    where = rows + 41 * np.arange(3 * b).reshape(b, 3, 1)
    tallies = np.bincount(where.ravel(), minlength=3 * b * 41).reshape(b, 3, 41)
    return tallies[:, :, :0:-1].cumsum(-1)[:, :, ::-1].astype(np.float32)


STREAM_METHODS = Method("hbm_fast", lambda: stream_ours), Method("numpy", lambda: stream_numpy)


def _check_stream(tables, n):
    assert tables.shape == (4096, 3, 40)
    assert (tables[:, :2, 0] <= 41).all()
    return {}


def _wrong_rows(answer, n):
    """Shares of rows with NaN, of the uniform vector, and with exact zeros, which no row can have.

    At alpha = 1e-3 many a theta lies below the smallest double: only a log theta tells it from zero.
    """
    theta = np.asarray(answer[0], dtype=float).reshape(-1, 2)
    nan = np.isnan(theta).any(-1)
    uniform = (np.abs(theta - 0.5) < 1e-6).all(-1)
    zero = (theta == 0).any(-1) & ~nan
    return {"nan": float(nan.mean()), "uniform": float(uniform.mean()), "exact_zero": float(zero.mean())}


CASES = (
    _case("i", 10_000, 21, 2, 20, _methods(20, 10)),
    _case("ii", 1_000, 50, 10, 100, _methods(20, 20)),
    _case("iii", 20, 100, 1_000, 10_000, _methods(4, 20)),
    Case(STREAM_NAME, 4096, "dataset", lambda n: (), _check_stream, STREAM_METHODS),
    Case("wrong rows at alpha = 1e-3", 2_000, "dataset", lambda n: (n, 5, 2, 20, 1e-3), _wrong_rows, _methods(1, 1)),
)
