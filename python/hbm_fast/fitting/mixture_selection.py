"""select_components(counts, range(1, 8)): fits with several numbers of components, side by side."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from hbm_fast import _display, _validate, priors
from hbm_fast._optional import import_optional
from hbm_fast._random import key as new_key
from hbm_fast._typing import CountsLike, Floats, RNGLike
from hbm_fast.fitting import mixture_search
from hbm_fast.fitting.mixture import Progress, fit_mixture, table_of
from hbm_fast.fitting.mixture_problem import MixtureProblem, Solutions
from hbm_fast.fitting.mixture_result import MixtureFit
from hbm_fast.models import MixtureModel

Criterion = Literal["laplace", "log_evidence", "aic", "bic"]
_CRITERIA = ("laplace", "log_evidence", "aic", "bic")
_COLUMNS = ("log_likelihood", "log_posterior", *_CRITERIA)
_INHERITED = 8  # modes of the fit before, each of which gains a component
_MOST_LINES = 8


@dataclass(frozen=True, eq=False, repr=False)
class ComponentSelection(_display.Displayed):
    """The result of `select_components`.

    Parameters
    ----------
    fits : tuple of MixtureFit
        In the order of the numbers of components that were asked for.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> bags = [[20, 0]] * 3 + [[0, 20]] * 3 + [[9, 11], [10, 10], [11, 9], [12, 8]]
    >>> found = hbm.select_components(bags, range(1, 4))
    >>> found.n_components, found.best("aic").n_components
    ((1, 2, 3), 1)
    """

    fits: tuple[MixtureFit, ...]

    def __len__(self) -> int:
        return len(self.fits)

    def __iter__(self) -> Iterator[MixtureFit]:
        return iter(self.fits)

    def __getitem__(self, n_components: int) -> MixtureFit:
        """The fit with a number of components."""
        if n_components not in self.n_components:
            raise KeyError(f"no fit has {n_components} components; the numbers are {self.n_components}")
        return self.fits[self.n_components.index(n_components)]

    @property
    def n_components(self) -> tuple[int, ...]:
        """Numbers of components, one a fit."""
        return tuple(fit.n_components for fit in self.fits)

    @property
    def table(self) -> Any:
        """A pandas DataFrame, one row a number of components.

        ``laplace``, ``aic`` and ``bic`` are better where they are smaller, ``log_evidence`` where it is larger;
        ``log_posterior`` does not compare numbers of components. ``log_evidence`` is computed at the first use.

        Raises
        ------
        ImportError
            Without pandas (extra ``report``).

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> hbm.select_components([[20, 0], [0, 20], [9, 11]], [1, 2]).table.index.tolist()
        [1, 2]
        """
        pandas = import_optional("pandas", "report")
        columns: dict[str, Any] = {name: self._values(name) for name in _COLUMNS}
        columns["smallest_weight"] = [fit.weights[-1] for fit in self.fits]
        columns["n_reached"] = [fit.n_reached for fit in self.fits]
        columns["outcome"] = [fit.outcome for fit in self.fits]
        return pandas.DataFrame(columns, index=pandas.Index(self.n_components, name="n_components"))

    def _values(self, name: str) -> Floats:
        return np.array([getattr(fit, name) for fit in self.fits])

    def best(self, criterion: Criterion = "log_evidence") -> MixtureFit:
        """The fit that a criterion prefers.

        Parameters
        ----------
        criterion : {"log_evidence", "laplace", "aic", "bic"}
            ``"laplace"`` is the choice of Holmes et al. (2012) and of R's DirichletMultinomial; `log_evidence` is its
            correction, and the only one that is right to some nats: see `MixtureFit`. Whatever the criterion, the
            number depends on the prior: try others.

        Returns
        -------
        MixtureFit

        Raises
        ------
        ValueError
            For another criterion, or where it is NaN for every fit.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> hbm.select_components([[20, 0], [0, 20], [9, 11]], [1, 2]).best("bic").n_components
        1
        """
        if criterion not in _CRITERIA:
            raise ValueError(f"criterion must be one of {', '.join(map(repr, _CRITERIA))}; got {criterion!r}")
        values = self._values(criterion)
        if criterion == "log_evidence":
            values = -values
        if np.isnan(values).all():
            raise ValueError(f"{criterion} is NaN for every fit: none is a maximum")
        return self.fits[int(np.nanargmin(values))]

    def __repr__(self) -> str:
        lines = ["ComponentSelection: components, log posterior, laplace, AIC, BIC, outcome"]
        lines += [f"  {'  '.join(cells)}" for cells in self._rows()[:_MOST_LINES]]
        if len(self) > _MOST_LINES:
            lines.append(f"  and {len(self) - _MOST_LINES} further numbers of components")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        header = ("components", "log posterior", "laplace", "AIC", "BIC", "outcome")
        return _display.table("ComponentSelection", header, self._rows()[:40])

    def _rows(self) -> list[tuple[str, ...]]:
        columns = [self._values(name) for name in ("log_posterior", "laplace", "aic", "bic")]
        return [
            (str(fit.n_components), *(f"{column[i]:.4f}" for column in columns), fit.outcome)
            for i, fit in enumerate(self.fits)
        ]


def select_components(
    counts: CountsLike,
    n_components: Iterable[int] = range(1, 8),
    *,
    prior: priors.Gamma | priors.Exponential | None = None,
    alpha: priors.AlphaPrior | None = None,
    beta: priors.Dirichlet | ArrayLike | None = None,
    weights: ArrayLike | None = None,
    category_names: Sequence[str] | None = None,
    group_names: Sequence[str] | None = None,
    n_starts: int = 24,
    max_iterations: int = 200,
    rng: RNGLike = None,
    n_threads: int | None = None,
    progress: Progress = False,
    callback: Callable[[MixtureFit], object] | None = None,
    layer: str | None = None,
) -> ComponentSelection:
    """Fit mixtures with several numbers of components and compare them.

    A fit whose number is one above that of the fit before starts from the modes of that fit too.

    Parameters
    ----------
    counts, prior, weights, category_names, group_names, n_starts, max_iterations, n_threads, layer
        As of `fit` with a MixtureModel.
    n_components : iterable of int, default 1 to 7
        Different numbers of components.
    alpha, beta
        Priors of the model, as of `MixtureModel`; ``prior`` replaces them.
    rng : None, int, SeedSequence, BitGenerator or Generator
        Seed of all searches; None: a hash of the sorted rows.
    progress : bool or callable
        As of `fit`; a function is called with the share of all fits.
    callback : callable, optional
        Called with each fit when it is found.

    Returns
    -------
    ComponentSelection
        After Ctrl-C the fits so far.

    Raises
    ------
    TypeError, ValueError
        As of `fit`, and for numbers of components that repeat or are missing.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> bags = [[20, 0]] * 3 + [[0, 20]] * 3 + [[9, 11], [10, 10], [11, 9], [12, 8]]
    >>> [fit.n_components for fit in hbm.select_components(bags, [1, 2], rng=0)]
    [1, 2]
    """
    if isinstance(n_components, int | np.integer | str) or not hasattr(n_components, "__iter__"):
        raise TypeError(f"n_components must be several numbers, such as range(1, 8); got {n_components!r}")
    numbers = [_validate.positive_int(n, "n_components") for n in n_components]
    if not numbers or len(set(numbers)) < len(numbers):
        raise ValueError(f"n_components must be different numbers, at least one; got {numbers}")
    if isinstance(alpha, Real) and alpha == math.inf:
        raise ValueError(
            "select_components compares mixtures by criteria of finite concentrations; with alpha=math.inf compare the "
            "bic of fits, or sample with n_components=priors.DirichletProcess(1.0)"
        )
    given = table_of(counts, layer, category_names, group_names)
    words = None if rng is None else new_key(rng).tolist()
    fits: list[MixtureFit] = []
    for i, n in enumerate(numbers):
        before = fits[-1]._modes if fits and fits[-1].n_components == n - 1 else None
        fits.append(
            fit_mixture(
                given,
                MixtureModel(given.counts.shape[-1], n_components=n, alpha=alpha, beta=beta),
                prior=prior,
                weights=weights,
                max_iterations=max_iterations,
                n_starts=n_starts,
                rng=None if words is None else np.random.SeedSequence([*words, n]),
                n_threads=n_threads,
                progress=_shared(progress, i, len(numbers)),
                neighbours=None if before is None else _grown(before),
            )
        )
        if callback is not None:
            callback(fits[-1])
        if fits[-1].outcome == "interrupted":
            break
    return ComponentSelection(tuple(fits))


def _shared(progress: Progress, done: int, n: int) -> Progress:
    """The share of all fits instead of one."""
    return (lambda share: progress((done + share) / n)) if callable(progress) else progress


def _grown(before: Solutions) -> Any:
    def grow(problem: MixtureProblem, generator: np.random.Generator) -> Solutions:
        return mixture_search.grown(problem, before, generator, _INHERITED)

    return grow
