"""Draws of a population of datasets and of (alpha, beta) of each of them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hbm_fast import _core, _validate, errors
from hbm_fast._random import key as new_key
from hbm_fast._typing import RNGLike
from hbm_fast.models import PopulationModel
from hbm_fast.posterior import NewDataset, PopulationPosterior, Posterior, diagnostics
from hbm_fast.posterior.convergence import ADVICE, FEWEST_DRAWS, problems
from hbm_fast.posterior.population import assemble
from hbm_fast.sampling.progress import reporting
from hbm_fast.tables.inputs import aligned, as_datasets

_WARMUP = 200


def sample_population(
    counts: Any,
    model: PopulationModel,
    *,
    n_draws: int,
    n_chains: int,
    n_warmup: int | None,
    rng: RNGLike,
    n_threads: int | None,
    progress: bool | Callable[[float], object],
    diagnostics: bool,
    category_names: Sequence[str] | None,
    group_names: Sequence[str] | None,
    dataset_names: Sequence[str] | None,
    layer: str | None,
) -> PopulationPosterior:
    """The posterior of a PopulationModel; see `hbm_fast.sample`."""
    given, batch = as_datasets(counts, layer=layer, category_names=category_names, group_names=group_names)
    if not batch or len(given.counts) < 2:
        raise ValueError(
            "counts must be two datasets or more for a PopulationModel, a list of tables (N_b, K) or an array "
            f"(B, N, K); got shape {given.counts.shape[not batch :]}"
        )
    n_datasets, _, k = given.counts.shape
    _validate.same_categories(k, model)
    names = _validate.names(dataset_names or given.dataset_names, "dataset_names", n_datasets)
    n_draws = _validate.positive_int(n_draws, "n_draws")
    n_chains = _validate.positive_int(n_chains, "n_chains")
    warmup = _WARMUP if n_warmup is None else _validate.positive_int(n_warmup, "n_warmup", minimum=0)
    key = new_key(rng)
    with reporting(progress, "sampling the population") as report:
        drawn = _core.population.sample(
            list(given.counts),
            model.mu.mu,
            model.mu.sd,
            model.tau._kernel(),
            model.kappa._kernel(),
            model.m._kernel(k),
            n_draws,
            n_chains,
            warmup,
            key,
            _validate.threads(n_threads),
            report,
        )
    with np.errstate(over="ignore", under="ignore"):
        population = {
            "mu": drawn["mu"],
            "tau": np.exp(drawn["log_tau"]),
            "kappa": np.exp(drawn["log_kappa"]),
            "m": np.exp(drawn["log_m"]),
        }
    result = assemble(
        population,
        drawn["log_alpha"],
        drawn["log_beta"],
        model=model,
        counts=given.counts,
        method="population",
        details={
            "n_warmup": warmup,
            "acceptance_rate": float(drawn["acceptance_rate"].mean()),
            "n_divergences": int(drawn["diverging"].sum()),
        },
        key=key,
        category_names=given.category_names,
        group_names=given.group_names,
        dataset_names=names,
    )
    return _check(result) if diagnostics else result


def sample_new_dataset(
    counts: Any,
    dataset: NewDataset,
    *,
    n_draws: int,
    n_chains: int,
    rng: RNGLike,
    diagnostics: bool,
    group_names: Sequence[str] | None,
    layer: str | None,
) -> Posterior:
    """Weighted draws of (alpha, beta) of a dataset not seen, given its counts; see `NewDataset`."""
    given, batch = as_datasets(counts, layer=layer, group_names=group_names)
    if batch:
        raise ValueError(f"counts must be one dataset (N, K) for a NewDataset; got shape {given.counts.shape}")
    given = aligned(given, dataset.category_names, "counts")
    shape = _validate.positive_int(n_chains, "n_chains"), _validate.positive_int(n_draws, "n_draws")
    key = None if rng is None else new_key(rng)
    return dataset._draw(given.counts[0], shape, key=key, group_names=given.group_names, diagnostics=diagnostics)


def _check(result: PopulationPosterior) -> PopulationPosterior:
    """The result with R-hat and ESS of the population among its details; warns where its chains have not converged."""
    population = result.population
    n_chains, n_draws = population.mu.shape
    if n_chains < 2 or n_draws < FEWEST_DRAWS:
        return result
    r_hat, ess = diagnostics.convergence(population._draws())
    result.details |= {"r_hat": float(np.nanmax(r_hat)), "ess_bulk": float(np.nanmin(ess))}
    names = tuple(name.replace("m[", "beta[") if name.startswith("m[") else name for name in population._names())
    found = [text.replace("beta[", "m[") for text in problems(names, r_hat, ess, n_chains, n_draws)]
    if found:
        errors.warn(f"{'; '.join(found)}: {ADVICE}", errors.ConvergenceWarning)
    return result
