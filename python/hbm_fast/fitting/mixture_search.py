"""The search for the highest mode of a mixture's posterior: many starts, then crossovers of the modes they lead to."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hbm_fast._typing import Floats
from hbm_fast.fitting.mixture_problem import MixtureProblem, Solutions

_SEARCH_TOLERANCE = 1e-4  # nats that one more step would gain, in the search
_FINAL_TOLERANCE = 1e-10  # at a mode that has converged
_FINEST_TOLERANCE = 1e-18  # of one component, whose steps are Newton's: two more reach it
_SAME = 0.01  # nats between two values of one mode
_REACHED = 1e-3  # nats: a start within them of the best has reached it
_BATCH = 8  # offspring of one generation
_STARTS_A_GENERATION = 3  # 24 starts are followed by up to 8 generations, one start by none
_SEEDINGS_OF_ONE = 3  # of a single start: two seeds in one kind of groups would lead it far below the best mode
# Even where the starts agree: on the twins 18 of 24 end in the same lower mode of two components.
_LEAST_GENERATIONS = 1


@dataclass(frozen=True)
class Search:
    """Distinct modes, the highest first and converged to rounding, and how the search went."""

    modes: Solutions
    n_starts: int
    n_reached: int
    interrupted: bool


def search(
    problem: MixtureProblem,
    n_components: int,
    generator: np.random.Generator,
    *,
    n_starts: int,
    report: Callable[[float], object] = lambda share: None,
    neighbours: Solutions | None = None,
) -> Search:
    """The highest mode that starts, and crossovers of the modes they lead to, find.

    Half of the starts are k-means++ seeds in Hellinger distance, half are refined by Lloyd's iterations; a single start
    is the best of three refined ones. An offspring
    of two solutions is their union, of which the components whose loss costs least are dropped until ``n_components``
    are left. The best distinct modes survive. Where half of the starts lead to the best mode the crossovers end after
    one generation. Ctrl-C ends the search, with the best so far.

    Parameters
    ----------
    neighbours : Solutions, optional
        More starts.
    """
    if n_starts == 1 < n_components:
        a, w = problem.best_start(generator.random((_SEEDINGS_OF_ONE, n_components)))
    else:
        a, w = problem.starts(generator.random((n_starts, n_components)), n_starts - n_starts // 2)
    starts, interrupted = problem.maximize(a, w, _SEARCH_TOLERANCE)
    population = _distinct(starts, n_starts)
    n_steps = 1 + (n_starts // _STARTS_A_GENERATION if n_components > 1 else 0)
    try:
        report(1 / n_steps)
        if neighbours is not None and not interrupted:
            added, interrupted = problem.maximize(
                neighbours.log_concentration, neighbours.log_weights, _SEARCH_TOLERANCE
            )
            population = _distinct(Solutions.joined([population, added]), n_starts)
        for step in range(1, n_steps):
            if interrupted or (step > _LEAST_GENERATIONS and 2 * _reached(starts, population) >= n_starts):
                break
            offspring = [_offspring(problem, population, generator) for _ in range(_BATCH)]
            modes, interrupted = problem.maximize(*_stacked(offspring), _SEARCH_TOLERANCE)
            population = _distinct(Solutions.joined([population, modes]), n_starts)
            report((step + 1) / n_steps)
        if not interrupted:
            best, interrupted = refined(problem, population[:1])
            population = Solutions.joined([best, population[1:]])
        report(1.0)
    except KeyboardInterrupt:
        interrupted = True
    if len(population) == 0:
        raise KeyboardInterrupt
    return Search(population, n_starts, _reached(starts, population), interrupted)


def refined(problem: MixtureProblem, solution: Solutions) -> tuple[Solutions, bool]:
    """One solution, moved to its mode up to rounding, and whether Ctrl-C stopped the call."""
    mode, interrupted = problem.maximize(solution.log_concentration, solution.log_weights, _FINAL_TOLERANCE)
    if interrupted or not mode.converged[0] or mode.log_weights.shape[1] > 1:
        return mode, interrupted
    finest, interrupted = problem.maximize(mode.log_concentration, mode.log_weights, _FINEST_TOLERANCE)
    return replace(finest, n_iterations=mode.n_iterations + finest.n_iterations, converged=mode.converged), interrupted


def _reached(starts: Solutions, population: Solutions) -> int:
    return int((starts.value > population.value[0] - _REACHED).sum()) if len(population) else 0


def _distinct(solutions: Solutions, most: int) -> Solutions:
    """The highest modes, the best first, each once."""
    order = np.argsort(-solutions.value, kind="stable")
    order = order[np.isfinite(solutions.value[order])]
    value = solutions.value[order]
    keep = np.append(True, value[:-1] - value[1:] > _SAME)[: len(order)]
    return solutions[order[keep][:most]]


def _stacked(pairs: list[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    return np.stack([a for a, _ in pairs]), np.stack([w for _, w in pairs])


def _offspring(problem: MixtureProblem, population: Solutions, generator: np.random.Generator) -> tuple[Floats, Floats]:
    if len(population) == 1:
        return _with_new_component(problem, *_pruned(problem, *_one(population, 0)), generator)
    i, j = generator.choice(len(population), 2, replace=False)
    a = np.concatenate([population.log_concentration[i], population.log_concentration[j]])
    w = np.concatenate([population.log_weights[i], population.log_weights[j]])
    while len(w) > population.log_weights.shape[1]:
        a, w = _pruned(problem, a, w)
    return a, w


def _one(population: Solutions, i: int) -> tuple[Floats, Floats]:
    return population.log_concentration[i], population.log_weights[i]


def _pruned(problem: MixtureProblem, a: Floats, w: Floats) -> tuple[Floats, Floats]:
    """Without the component whose loss lowers the log posterior least."""
    joint = problem.log_joint(a, w)
    prior = problem.log_prior(a)
    kept = np.arange(len(w))
    value = [problem.group_weights @ np.logaddexp.reduce(joint[:, kept != j], axis=1) - prior[j] for j in range(len(w))]
    kept = kept[kept != int(np.argmax(value))]
    return a[kept], w[kept] - np.logaddexp.reduce(w[kept])


def _with_new_component(
    problem: MixtureProblem, a: Floats, w: Floats, generator: np.random.Generator
) -> tuple[Floats, Floats]:
    """With one more component, whose proportions are those of a random group."""
    row = problem.rows.dense(int(problem.order[generator.integers(len(problem.order))])) + problem.b
    log_alpha = np.logaddexp.reduce(a, axis=1).mean() if len(a) else math.log(20.0)
    new = np.log(row) - math.log(row.sum()) + log_alpha
    share = 1.0 / (len(w) + 1)
    return np.concatenate([a, new[np.newaxis]]), np.append(w + math.log1p(-share), math.log(share))


def grown(problem: MixtureProblem, fewer: Solutions, generator: np.random.Generator, most: int) -> Solutions:
    """Starts from the highest modes with one component less, which gain one."""
    found = [_with_new_component(problem, *_one(fewer, i), generator) for i in range(min(most, len(fewer)))]
    return Solutions.starts(*_stacked(found))
