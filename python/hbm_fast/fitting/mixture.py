"""fit(counts, MixtureModel): the highest mode of a mixture's posterior that a search finds."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hbm_fast import _validate, errors, priors
from hbm_fast._random import key as new_key
from hbm_fast._typing import CountsLike, Floats, RNGLike
from hbm_fast.fitting import mixture_information
from hbm_fast.fitting.gamma_prior import independent_gamma
from hbm_fast.fitting.mixture_problem import MixtureProblem, Solutions
from hbm_fast.fitting.mixture_result import MixtureFit, outcome_of
from hbm_fast.fitting.mixture_search import Search, refined, search
from hbm_fast.fitting.multinomial_mixture import fit_multinomial_mixture
from hbm_fast.models import MixtureModel
from hbm_fast.sufficient_statistics import SufficientStatistics
from hbm_fast.tables.inputs import as_counts
from hbm_fast.tables.named_counts import NamedCounts
from hbm_fast.tables.rows import Rows

_STARTS = 24
_STARTS_OF_MULTINOMIALS = 8
_NO_MAXIMUM_LIKELIHOOD = (
    "Without it the priors of the model apply; maximum likelihood is not offered for a MixtureModel, because its "
    "supremum is infinite: a component of one group whose concentrations grow without bound"
)

Start = tuple[ArrayLike, ArrayLike]
Progress = bool | Callable[[float], object]


def fit_mixture(
    counts: CountsLike,
    model: MixtureModel,
    *,
    prior: priors.Gamma | priors.Exponential | None = None,
    weights: ArrayLike | None = None,
    category_names: Sequence[str] | None = None,
    group_names: Sequence[str] | None = None,
    max_iterations: int = 200,
    n_starts: int | None = None,
    start: Start | None = None,
    rng: RNGLike = None,
    n_threads: int | None = None,
    progress: Progress = False,
    layer: str | None = None,
    neighbours: Callable[[MixtureProblem, np.random.Generator], Solutions] | None = None,
) -> MixtureFit:
    """The mode; arguments as of `fit`, and more starts for the search."""
    n_components = fixed_number(model)
    if model.is_multinomial and prior is not None:
        raise ValueError(
            "prior is of finite concentrations; with alpha=math.inf pass the model's beta, such as beta=0.1"
        )
    gamma = independent_gamma(prior, _NO_MAXIMUM_LIKELIHOOD)
    given = table_of(counts, layer, category_names, group_names)
    _validate.same_categories(given.counts.shape[-1], model)
    multiplicity = multiplicities(given, weights)
    report = progress if callable(progress) else _write_share if progress else _silent
    threads, most = _validate.threads(n_threads), _validate.positive_int(max_iterations, "max_iterations")
    if n_starts is None:
        n_starts = _STARTS_OF_MULTINOMIALS if model.is_multinomial else _STARTS
    n_starts = _validate.positive_int(n_starts, "n_starts")
    result: MixtureFit
    if model.is_multinomial:
        result = fit_multinomial_mixture(
            given,
            model,
            n_components,
            multiplicity,
            max_iterations=most,
            n_starts=n_starts,
            start=start,
            rng=rng,
            n_threads=threads,
            report=report,
        )
    else:
        problem = MixtureProblem(Rows.of(given.counts), model, gamma, multiplicity, threads, most)
        if start is None:
            generator = _generator(problem, rng)
            found = search(
                problem,
                n_components,
                generator,
                n_starts=n_starts,
                report=report,
                neighbours=None if neighbours is None else neighbours(problem, generator),
            )
        else:
            mode, interrupted = refined(problem, _given_start(start, model, n_components))
            if not np.isfinite(mode.value[0]):
                raise KeyboardInterrupt
            found = Search(mode, 0, 0, interrupted)
        result = _result(problem, found, given, gamma, multiplicity)
    if report is _write_share:
        print(file=sys.stderr)
    if result.outcome in ("unfinished", "interrupted"):
        errors.warn(f"the mixture of {n_components} components: {result.message}", errors.ConvergenceWarning)
    return result


def fixed_number(model: MixtureModel) -> int:
    """J; an error for an open number of components."""
    if isinstance(model.n_components, priors.DirichletProcess):
        raise ValueError(
            f"fit takes a fixed number of components; this model's is open, n_components={model.n_components}. "
            "hbm.sample draws the number too; hbm.select_components compares fits with several numbers"
        )
    return model.n_components


def table_of(
    counts: CountsLike, layer: str | None, category_names: Sequence[str] | None, group_names: Sequence[str] | None
) -> NamedCounts:
    """Counts (N, K), an array or sparse, with their names."""
    if isinstance(counts, SufficientStatistics):
        raise TypeError("counts must be a table for a MixtureModel, whose groups differ; got SufficientStatistics")
    given = as_counts(counts, layer=layer, category_names=category_names, group_names=group_names)
    if not _validate.is_sparse(given.counts):
        _validate.counts(given.counts)
    return given


def multiplicities(given: NamedCounts, weights: ArrayLike | None) -> Floats | None:
    """Multiplicity (N,) of each row: the argument, else the table's."""
    if weights is None and given.weights is None:
        return None
    array = _validate.doubles(given.weights if weights is None else weights, "weights")
    n = given.counts.shape[0]
    if array.shape != (n,):
        raise ValueError(f"weights must have shape ({n},); got {array.shape}")
    _validate.in_range(array, "weights", zero=True)
    return np.ascontiguousarray(array)


def _silent(share: float) -> None:
    pass


def _write_share(share: float) -> None:
    print(f"\rhbm_fast.fit (mixture): {share:4.0%}", end="", file=sys.stderr, flush=True)


def _generator(problem: MixtureProblem, rng: RNGLike) -> np.random.Generator:
    """Without a seed that of the sorted rows, so that the order of the rows changes nothing."""
    return np.random.default_rng(list(problem.slots.hash) if rng is None else new_key(rng))


def _given_start(start: Any, model: MixtureModel, n_components: int) -> Solutions:
    if not isinstance(start, tuple) or len(start) != 2:
        raise TypeError(f"start must be a tuple (weights, concentration) of arrays; got {type(start).__name__}")
    weights = _validate.doubles(start[0], "start's weights")
    concentration = _validate.doubles(start[1], "start's concentration")
    shapes = (n_components,), (n_components, model.n_categories)
    if (weights.shape, concentration.shape) != shapes:
        raise ValueError(
            f"start must be (weights, concentration) of shapes {shapes[0]} and {shapes[1]}; got {weights.shape} and "
            f"{concentration.shape}"
        )
    _validate.in_range(concentration, "start's concentration")
    _validate.proportions(_validate.in_range(weights, "start's weights"), "start's weights", shapes[0])
    return Solutions.starts(np.log(concentration)[np.newaxis], np.log(weights)[np.newaxis])


def _result(
    problem: MixtureProblem,
    found: Search,
    given: NamedCounts,
    prior: priors.Gamma | None,
    multiplicity: Floats | None,
) -> MixtureFit:
    best = found.modes[:1]
    order = np.argsort(-best.log_weights[0], kind="stable")
    a, w = best.log_concentration[0, order], best.log_weights[0, order]
    w = w - np.logaddexp.reduce(w)
    shares, _, _ = problem.information(a, w)
    responsibilities = np.tile(np.exp(w), (problem.rows.shape[0], 1))
    responsibilities[problem.order] = shares / problem.group_weights[:, np.newaxis]
    log_posterior = float(best.value[0])
    log_prior = float(problem.log_prior(a).sum()) + problem.log_prior_of_weights(np.exp(w))
    return MixtureFit(
        model=problem.model,
        prior=prior,
        weights=np.exp(w),
        concentration=np.exp(a),
        responsibilities=responsibilities,
        log_likelihood=log_posterior - log_prior,
        log_posterior=log_posterior,
        laplace=mixture_information.laplace(problem, a, w, log_posterior),
        outcome=outcome_of(shares.sum(axis=0), a, converged=bool(best.converged[0]), interrupted=found.interrupted),
        converged=bool(best.converged[0]),
        n_groups=float(problem.slots.sum_of_weights),
        n_iterations=int(best.n_iterations[0]),
        n_starts=found.n_starts,
        n_reached=found.n_reached,
        category_names=given.category_names,
        group_names=given.group_names,
        _rows=problem.rows,
        _multiplicity=multiplicity,
        _modes=found.modes,
    )
