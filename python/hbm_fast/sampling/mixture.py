"""Markov chains for mixtures: labels of the groups, parameters of the components, their number fixed or open."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hbm_fast import _core, _memory, _validate, errors
from hbm_fast._random import key as new_key
from hbm_fast._typing import CountsLike, RNGLike
from hbm_fast.models import MixtureModel
from hbm_fast.posterior import MixturePosterior, MultinomialMixturePosterior, diagnostics
from hbm_fast.posterior.convergence import FEWEST_DRAWS, r_hat_limit
from hbm_fast.priors import DirichletProcess, Gamma
from hbm_fast.sampling.evidence import check_draws, of_mixture
from hbm_fast.sampling.progress import reporting
from hbm_fast.tables.inputs import as_counts
from hbm_fast.tables.rows import Rows

_WARMUP = 200
_LEAST_ESS = 0.1  # effective draws of the chains, as a share of D for each chain, as in `sample`
# Above this, two chains place a group with other groups: chains of a hundred effective draws differ by 0.05.
_DISAGREEMENT = 0.2


def sample_mixture(
    counts: CountsLike,
    model: MixtureModel,
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
    layer: str | None,
    evidence: bool = False,
) -> MixturePosterior:
    """Draw labels and components of a mixture; see `hbm_fast.sample`, whose notes describe the sweeps.

    Of a Dirichlet process there are three auxiliary components. Chains of a finite mixture start at different labels by
    k-means++, those of a Dirichlet process at one component, at four and at sixteen; those of multinomial components at
    random labels, of a Dirichlet process of 2 sqrt(N) and of 8 sqrt(N) components.
    """
    given = as_counts(counts, layer=layer, category_names=category_names, group_names=group_names)
    if given.weights is not None:
        raise ValueError("counts of a mixture must have no weights: each row has a label of its own")
    multinomial = model.is_multinomial
    table: Any = given.counts if multinomial else _validate.counts(given.dense())
    rows = Rows.of(table)
    n_groups, n_categories = rows.shape
    _validate.same_categories(n_categories, model)
    n_draws = _validate.positive_int(n_draws, "n_draws")
    n_chains = _validate.positive_int(n_chains, "n_chains")
    warmup = _WARMUP if n_warmup is None else _validate.positive_int(n_warmup, "n_warmup", minimum=0)
    if evidence:
        check_draws(n_chains, n_draws, model)
    slots = rows.slots()
    n_components, concentration = 0, 1.0
    shape = rate = 0.0
    if isinstance(model.n_components, DirichletProcess):
        prior = model.n_components.concentration
        if isinstance(prior, Gamma):
            shape, rate = prior.shape, prior.rate
        else:
            concentration = prior
    else:
        n_components = model.n_components
    n_columns = max(n_components, 1)
    values = 4 * n_groups + 8 * n_columns * (1 if multinomial else n_categories + 2)
    _memory.check_fits(n_chains * n_draws * values, f"n_draws = {n_draws} of the mixture")
    key = new_key(rng)
    empty = np.flatnonzero(np.diff(rows.offsets) == 0)
    beta = model.beta._kernel(n_categories)
    settings = (n_components, model.weights, concentration, shape, rate, n_draws, n_chains, warmup, key)
    threads = _validate.threads(n_threads)
    if multinomial:
        _memory.check_fits(4 * n_categories * n_columns, f"the counts of {n_columns} components")
        _validate.at_most(int(rows.values.sum()), "the sum of counts of multinomial components", 2**31 - 1)
    with reporting(progress, "sampling the mixture") as report:
        if multinomial:
            drawn = _core.mixture.sample_multinomial(slots, len(empty), beta, *settings, threads, report)
        else:
            alpha = model.component.alpha._kernel()
            drawn = _core.mixture.sample(slots, len(empty), alpha, beta, *settings, threads, report)
    labels = np.empty_like(drawn["labels"])
    labels[..., np.concatenate([slots.order, empty]).astype(np.intp)] = drawn["labels"]
    common: dict[str, Any] = {
        "model": model,
        "counts": table,
        "log_likelihood": drawn["log_likelihood"] + slots.log_coefficient,
        "process_concentration": drawn.get("process_concentration"),
        "details": {"n_warmup": warmup},
        "key": key,
        "category_names": given.category_names,
        "group_names": given.group_names,
    }
    post: MixturePosterior
    if multinomial:
        post = MultinomialMixturePosterior(labels, drawn["log_weights"], **common)
    else:
        log_concentration = drawn.get("log_concentration")
        post = MixturePosterior(
            labels,
            drawn["log_weights"],
            drawn["log_alpha"],
            drawn["log_beta"],
            beta_concentration=None if log_concentration is None else np.exp(log_concentration),
            **common,
        )
    if diagnostics and n_chains > 1 and n_draws >= FEWEST_DRAWS:
        _check(post)
    if evidence:
        post.log_evidence, post.log_evidence_error = of_mixture(post)
    return post


def _check(post: MixturePosterior) -> None:
    """R-hat and effective sizes into the details; a warning where the chains disagree."""
    rows = post.label_free()
    r_hat, ess = diagnostics.convergence(np.stack(list(rows.values()), axis=-1))
    worst, least = np.fmax.reduce(r_hat), np.fmin.reduce(ess)
    post.details |= {
        "r_hat": 1.0 if np.isnan(worst) else float(worst),
        "ess_bulk": float(post.n_chains * post.n_draws) if np.isnan(least) else float(least),
        "disagreement": post.disagreement,
    }
    problems = []
    if worst > r_hat_limit(post.n_draws):
        problems.append(f"R-hat of {list(rows)[int(np.nanargmax(r_hat))]} is {worst:.3f}")
    if least < _LEAST_ESS * min(post.n_draws, 1000) * post.n_chains:
        problems.append(f"{list(rows)[int(np.nanargmin(ess))]} has {least:.0f} effective draws")
    if post.disagreement > _DISAGREEMENT:
        problems.append(
            f"chains disagree on which groups belong together: of one group the probabilities differ by "
            f"{post.disagreement:.2f} on average"
        )
    if problems:
        errors.warn(
            f"the chains of the mixture have not converged: {'; '.join(problems)}. Draw more (n_draws, n_warmup), or "
            "compare the chains: each may be in a mode of its own",
            errors.ConvergenceWarning,
        )
