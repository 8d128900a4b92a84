"""The ways of inference that `hbm-fast benchmark` compares, each as one function from datasets to draws."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm_fast._typing import Counts, Floats
from hbm_fast.exact import exact_posterior
from hbm_fast.models import HierarchicalModel
from hbm_fast.posterior import Posterior
from hbm_fast.sampling import sample

PEERS = ("numpyro", "nutpie")


@dataclass(frozen=True)
class Draws:
    """Of some datasets b: log_alpha (b, D), beta (b, D, K), weights (b, D), and whether they come from a chain (b,)."""

    log_alpha: Floats
    beta: Floats
    weights: Floats
    chain: NDArray[np.bool_]


@dataclass(frozen=True)
class Way:
    """``infer(counts (b, N, K), n_draws, seed)``, called with at most ``per_call`` datasets at once."""

    name: str
    infer: Callable[[Counts, int, int], Any]
    draws: Callable[[Any], Draws]
    per_call: int = 1000
    training_seconds: float = 0.0
    note: str = ""


def _of_posterior(chain: bool) -> Callable[[Posterior], Draws]:
    def draws(post: Posterior) -> Draws:
        n = len(post)
        log_alpha = post.log_alpha.reshape(n, -1)
        size = log_alpha.shape[1]
        weights = np.full((n, size), 1.0 / size)
        if post.log_weights is not None:
            weights = np.exp(post.log_weights).reshape(n, -1)
        # what a network's weights did not carry was drawn by MCMC
        handed_over = np.asarray(post.details.get("path", [""] * n)) == "sampler"
        return Draws(log_alpha, post.beta.reshape(n, size, -1), weights, handed_over | chain)

    return draws


def ours(model: HierarchicalModel, threads: int) -> Iterator[Way]:
    """Quadrature for two categories, MCMC, and the shipped network for these categories, raw and corrected."""
    from hbm_fast import amortize

    k = model.n_categories
    if k == 2:
        yield Way(
            "exact_posterior",
            lambda counts, n, seed: exact_posterior(counts, model, n_draws=n, rng=seed),
            _of_posterior(False),
            per_call=10,
            note="quadrature, and independent draws",
        )
    yield Way(
        "hbm.sample",
        lambda counts, n, seed: sample(counts, model, n_draws=n, n_chains=1, rng=seed, n_threads=threads),
        _of_posterior(True),
        note="one chain a dataset, warm-up included",
    )
    name = "marbles" if k == 2 else "any-k"
    network = amortize.load(name)
    trained = float(network.training["seconds"])
    for title, correct, note in (
        (
            "network, raw",
            False,
            f"the shipped {name!r}, uncorrected: its draws are independent, of a slightly wrong law",
        ),
        ("network, corrected", "auto", f"the shipped {name!r}, weighted by the exact likelihood, else handed to MCMC"),
    ):
        yield Way(
            title,
            lambda counts, n, seed, how=correct: network.sample(  # type: ignore[misc]
                counts, n_draws=n, rng=seed, correct=how, n_threads=threads
            ),
            _of_posterior(False),
            training_seconds=trained,
            note=note,
        )


def absent_peers() -> list[str]:
    """Peers that are not installed."""
    needs = {"numpyro": ("numpyro",), "nutpie": ("nutpie", "pymc")}
    return [peer for peer in PEERS if any(find_spec(module) is None for module in needs[peer])]


def peers(model: HierarchicalModel, wanted: tuple[str, ...] = PEERS) -> Iterator[Way]:
    """The peers that are installed, on the note's priors; one chain a dataset, one dataset a call."""
    absent = absent_peers()
    makers = {"numpyro": _numpyro, "nutpie": _nutpie}
    for name in wanted:
        if name not in absent:
            yield makers[name](model.n_categories)


def _one(log_alpha: Any, beta: Any) -> Draws:
    flat = np.asarray(log_alpha, dtype=np.float64).reshape(1, -1)
    size = flat.shape[1]
    return Draws(
        flat,
        np.asarray(beta, dtype=np.float64).reshape(1, size, -1),
        np.full((1, size), 1.0 / size),
        np.ones(1, dtype=np.bool_),
    )


def _numpyro(n_categories: int) -> Way:
    import jax
    import numpyro
    import numpyro.distributions as dist
    from numpyro.infer import MCMC, NUTS

    jax.config.update("jax_enable_x64", True)

    def model(counts: Any) -> None:
        alpha = numpyro.sample("alpha", dist.Exponential(1.0))
        beta = numpyro.sample("beta", dist.Dirichlet(np.ones(n_categories)))
        with numpyro.plate("groups", counts.shape[0]):
            numpyro.sample("x", dist.DirichletMultinomial(alpha * beta, total_count=counts.sum(-1)), obs=counts)

    chains: dict[int, Any] = {}  # compiled once for each number of draws

    def infer(counts: Counts, n: int, seed: int) -> dict[str, Any]:
        if n not in chains:
            chains[n] = MCMC(
                NUTS(model), num_warmup=1000, num_samples=n, num_chains=1, progress_bar=False, jit_model_args=True
            )
        chains[n].run(jax.random.PRNGKey(seed), jax.numpy.asarray(counts[0]))
        found: dict[str, Any] = jax.device_get(chains[n].get_samples())
        return found

    return Way(
        "numpyro NUTS",
        infer,
        lambda found: _one(np.log(found["alpha"]), found["beta"]),
        per_call=1,
        note="its own DirichletMultinomial, 1,000 steps of warm-up, float64, compiled before the clock",
    )


def _nutpie(n_categories: int) -> Way:
    import nutpie
    import pymc
    import pytensor.tensor as pt

    compiled: dict[tuple[int, int], Any] = {}  # once for each width of the tables

    def tables(counts: Counts, width: int) -> tuple[Floats, Floats]:
        steps = np.arange(width)
        above = (counts[:, :, np.newaxis] > steps).sum(axis=0)
        return above.astype(np.float64), (counts.sum(-1)[:, np.newaxis] > steps).sum(axis=0).astype(np.float64)

    def build(width: int) -> Any:
        with pymc.Model() as model:
            own, all_of_them = pymc.Data("own", np.zeros((n_categories, width))), pymc.Data("all", np.zeros(width))
            alpha = pymc.Exponential("alpha", 1.0)
            beta = pymc.Dirichlet("beta", np.ones(n_categories))
            steps = np.arange(width)
            rising = pt.log(alpha * beta[:, None] + steps)
            pymc.Potential("likelihood", (own * rising).sum() - (all_of_them * pt.log(alpha + steps)).sum())
        return nutpie.compile_pymc_model(model)

    def infer(counts: Counts, n: int, seed: int) -> Any:
        width = int(counts[0].sum(-1).max())
        key = (n_categories, width)
        if key not in compiled:
            compiled[key] = build(width)
        own, all_of_them = tables(counts[0], width)
        ready = compiled[key].with_data(own=own, all=all_of_them)
        return nutpie.sample(ready, draws=n, chains=1, cores=1, seed=seed, progress_bar=False)

    return Way(
        "nutpie",
        infer,
        lambda trace: _one(np.log(trace.posterior["alpha"].values), trace.posterior["beta"].values),
        per_call=1,
        note="pymc model of the sufficient statistics written by hand, its default warm-up, compiled before the clock",
    )
