"""Methods of posterior inference that are compared, each from datasets to draws, and the models of the peers."""

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
from hbm_fast.sufficient_statistics import exceedance_counts

PEERS = ("numpyro", "nutpie")


@dataclass(frozen=True)
class Draws:
    """Of b datasets: log_alpha (b, D), log_beta (b, D, K), weights (b, D), and whether each is a Markov chain (b,)."""

    log_alpha: Floats
    log_beta: Floats
    weights: Floats
    chain: NDArray[np.bool_]

    @staticmethod
    def joined(parts: list["Draws"]) -> "Draws":
        """Those of several calls, one dataset after the other."""
        fields = ("log_alpha", "log_beta", "weights", "chain")
        return Draws(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))


@dataclass(frozen=True)
class InferenceMethod:
    """``infer(counts (b, N, K), n_draws, seed)``, called with at most ``per_call`` datasets at once."""

    name: str
    infer: Callable[[Counts, int, int], Any]
    draws: Callable[[Any], Draws]
    per_call: int = 1000
    training_seconds: float = 0.0
    note: str = ""


def posterior_draws(post: Posterior, chain: bool) -> Draws:
    """Draws of a batch of posteriors; ``chain``: whether the draws are autocorrelated."""
    n = len(post)
    log_alpha = post.log_alpha.reshape(n, -1)
    size = log_alpha.shape[1]
    weights = np.full((n, size), 1.0 / size) if post.log_weights is None else np.exp(post.log_weights).reshape(n, -1)
    # where a network's weights were too uneven the draws come from MCMC
    sampled = np.asarray(post.details.get("path", [""] * n)) == "sampler"
    return Draws(log_alpha, post.log_beta.reshape(n, size, -1), weights, sampled | chain)


def ours(model: HierarchicalModel, threads: int) -> Iterator[InferenceMethod]:
    """Quadrature for two categories, MCMC, and the shipped network for these categories, raw and corrected."""
    from hbm_fast import amortize

    k = model.n_categories
    if k == 2:
        yield InferenceMethod(
            "exact_posterior",
            lambda counts, n, seed: exact_posterior(counts, model, n_draws=n, rng=seed),
            lambda post: posterior_draws(post, False),
            per_call=10,
            note="quadrature, and independent draws",
        )
    yield InferenceMethod(
        "hbm.sample",
        lambda counts, n, seed: sample(counts, model, n_draws=n, n_chains=1, rng=seed, n_threads=threads),
        lambda post: posterior_draws(post, True),
        note="one chain a dataset, warm-up included",
    )
    name = "marbles" if k == 2 else "any-k"
    network = amortize.load(name)
    trained = float(network.training["seconds"])
    for title, correct, note in (
        ("network, raw", False, "uncorrected: its draws are independent, of a slightly wrong distribution"),
        ("network, corrected", "auto", "weighted by the exact likelihood, or replaced by MCMC"),
    ):
        yield InferenceMethod(
            title,
            lambda counts, n, seed, how=correct: network.sample(  # type: ignore[misc]
                counts, n_draws=n, rng=seed, correct=how, n_threads=threads
            ),
            lambda post: posterior_draws(post, False),
            training_seconds=trained,
            note=f"the shipped {name!r}, {note}",
        )


def absent_peers() -> list[str]:
    """Peers that are not installed."""
    needs = {"numpyro": ("numpyro",), "nutpie": ("nutpie", "pymc")}
    return [peer for peer in PEERS if any(find_spec(module) is None for module in needs[peer])]


def peers(model: HierarchicalModel, wanted: tuple[str, ...] = PEERS) -> Iterator[InferenceMethod]:
    """The peers that are installed, with the default priors; one chain a dataset, one dataset a call."""
    absent = absent_peers()
    makers = {"numpyro": _numpyro, "nutpie": _nutpie}
    for name in wanted:
        if name not in absent:
            yield makers[name](model.n_categories)


def numpyro_model(*, collapsed: bool = True) -> Callable[[Any], None]:
    """The hierarchical model of counts (N, K) in NumPyro; ``collapsed``: the groups' proportions integrated out."""
    import jax
    import numpyro
    import numpyro.distributions as dist

    jax.config.update("jax_enable_x64", True)

    def model(counts: Any) -> None:
        alpha = numpyro.sample("alpha", dist.Exponential(1.0))
        beta = numpyro.sample("beta", dist.Dirichlet(np.ones(counts.shape[1])))
        totals = counts.sum(-1)
        with numpyro.plate("groups", counts.shape[0]):
            if collapsed:
                numpyro.sample("x", dist.DirichletMultinomial(alpha * beta, total_count=totals), obs=counts)
            else:
                theta = numpyro.sample("theta", dist.Dirichlet(alpha * beta))
                numpyro.sample("x", dist.Multinomial(total_count=totals, probs=theta), obs=counts)

    return model


def pymc_statistics_model(n_categories: int, largest_total: int) -> Any:
    """The hierarchical model in PyMC with the likelihood of the exceedance counts, set by `pymc_data`."""
    import pymc
    import pytensor.tensor as pt

    with pymc.Model() as model:
        categories = pymc.Data("categories", np.zeros((n_categories, largest_total)))
        totals = pymc.Data("totals", np.zeros(largest_total))
        alpha = pymc.Exponential("alpha", 1.0)
        beta = pymc.Dirichlet("beta", np.ones(n_categories))
        steps = np.arange(largest_total)
        rising = pt.log(alpha * beta[:, None] + steps)
        pymc.Potential("likelihood", (categories * rising).sum() - (totals * pt.log(alpha + steps)).sum())
    return model


def pymc_data(counts: Counts) -> dict[str, Floats]:
    """Exceedance counts of one dataset (N, K) for `pymc_statistics_model`."""
    exceedances = exceedance_counts(counts[np.newaxis])[0].astype(np.float64)
    return {"categories": exceedances[:-1], "totals": exceedances[-1]}


def _one_chain(log_alpha: Any, beta: Any) -> Draws:
    flat = np.asarray(log_alpha, dtype=np.float64).reshape(1, -1)
    size = flat.shape[1]
    with np.errstate(divide="ignore"):
        log_beta = np.log(np.asarray(beta, dtype=np.float64)).reshape(1, size, -1)
    return Draws(flat, log_beta, np.full((1, size), 1.0 / size), np.ones(1, dtype=np.bool_))


def _numpyro(_: int) -> InferenceMethod:
    import jax
    from numpyro.infer import MCMC, NUTS

    model = numpyro_model()
    chains: dict[int, Any] = {}  # compiled once for each number of draws

    def infer(counts: Counts, n: int, seed: int) -> dict[str, Any]:
        if n not in chains:
            chains[n] = MCMC(
                NUTS(model), num_warmup=1000, num_samples=n, num_chains=1, progress_bar=False, jit_model_args=True
            )
        chains[n].run(jax.random.PRNGKey(seed), jax.numpy.asarray(counts[0]))
        found: dict[str, Any] = jax.device_get(chains[n].get_samples())
        return found

    return InferenceMethod(
        "numpyro NUTS",
        infer,
        lambda found: _one_chain(np.log(found["alpha"]), found["beta"]),
        per_call=1,
        note="its own DirichletMultinomial, 1,000 steps of warm-up, float64, compiled before the clock",
    )


def _nutpie(n_categories: int) -> InferenceMethod:
    import nutpie

    compiled: dict[int, Any] = {}  # once for each largest total

    def infer(counts: Counts, n: int, seed: int) -> Any:
        largest = int(counts[0].sum(-1).max())
        if largest not in compiled:
            compiled[largest] = nutpie.compile_pymc_model(pymc_statistics_model(n_categories, largest))
        ready = compiled[largest].with_data(**pymc_data(counts[0]))
        return nutpie.sample(ready, draws=n, chains=1, cores=1, seed=seed, progress_bar=False)

    return InferenceMethod(
        "nutpie",
        infer,
        lambda trace: _one_chain(np.log(trace.posterior["alpha"].values), trace.posterior["beta"].values),
        per_call=1,
        note="pymc model of the sufficient statistics written by hand, its default warm-up, compiled before the clock",
    )
