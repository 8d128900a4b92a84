"""Posterior: the result of `sample`, `exact_posterior` and a trained network."""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from functools import partial
from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _memory, _random, _validate, _weighted, errors
from hbm_fast._typing import Floats, Key
from hbm_fast.models import HierarchicalModel
from hbm_fast.posterior import card, diagnostics, netcdf, predictive, proportions
from hbm_fast.posterior.loo import MOST_DRAWS, LeaveOneOut, leave_one_out
from hbm_fast.posterior.summary import Summary, summarise
from hbm_fast.quadrature import Quadrature, QuadratureBatch
from hbm_fast.tables.inputs import align

Group = int | str | Sequence[int | str] | NDArray[np.integer] | None

_SUM_TOLERANCE = 1e-4  # of beta: met by single precision, and by numbers rounded to four digits


class Posterior:
    """Draws of (alpha, beta) given the data, with their summaries, and theta and predictions of the groups.

    Parameters
    ----------
    log_alpha : array_like (C, D) or (B, C, D)
        Logarithms, so that an alpha of 1e-300 is kept.
    log_beta : array_like (C, D, K) or (B, C, D, K)
    model : HierarchicalModel
    counts : integer array (N, K) or (B, N, K), optional
        The data, for theta and predictions of their groups.
    log_weights : array_like (C, D) or (B, C, D), optional
        Importance weights of the draws, used by every summary and prediction; normalised here.
    log_evidence, log_evidence_error : float or array_like (B,), optional
    method : str
        Origin of the draws: ``"hmc"``, ``"gibbs"``, ``"mh"``, ``"quadrature"``, a network's name.
    details : mapping, optional
        Diagnostics and settings of the method's run.
    key : (2,) uint64, optional
        Key of the random streams of theta and of predictive counts: the same group gives the same draws at each call.
    sample_stats : mapping of arrays (C, D), optional
        Statistics of each draw, for ``to_arviz``.
    moments : Quadrature or QuadratureBatch, optional
        Means, standard deviations, quantiles and predictions are taken from it instead of the draws.
    theta_draws : callable, optional
        ``theta_draws(n)`` gives log theta (C, D, K) of group n of the data, one for each draw: for a network that
        draws theta itself. Without it theta is drawn from its exact conditional, Dirichlet(alpha beta + x_n).
    category_names, group_names, dataset_names : sequence of str or int, optional
        K, N, B different names; whole numbers become str. `rename` gives a posterior with other names.
    latent : mapping of arrays (C, D, ...) or (B, C, D, ...), optional
        Further variables drawn with each (alpha, beta), such as the z of an embedding; kept by indexing, `save` and
        `to_arviz`.

    Raises
    ------
    TypeError, ValueError
        Where shapes disagree, a draw is NaN, a beta does not sum to one (to within 1e-4), every weight of a dataset is
        zero, or names are too few, too many, repeated or of another type.

    Examples
    --------
    >>> import numpy as np
    >>> import hbm_fast as hbm
    >>> log_beta = np.log([[[0.5, 0.5], [0.25, 0.75]]])
    >>> post = hbm.Posterior(np.zeros((1, 2)), log_beta, model=hbm.HierarchicalModel(2), counts=np.array([[0, 3]]))
    >>> post.mean("beta")
    array([0.375, 0.625])
    >>> post.predict(0).round(4)  # (alpha beta + x) / (alpha + M)
    array([0.0938, 0.9062])
    """

    # of each latent array the names of its dimensions after chain and draw
    latent_dims: ClassVar[Mapping[str, tuple[str, ...]]] = {"beta_concentration": ()}

    def __init__(
        self,
        log_alpha: ArrayLike,
        log_beta: ArrayLike,
        *,
        model: HierarchicalModel,
        counts: NDArray[Any] | None = None,
        log_weights: ArrayLike | None = None,
        log_evidence: float | ArrayLike | None = None,
        log_evidence_error: float | ArrayLike | None = None,
        method: str = "hmc",
        details: Mapping[str, Any] | None = None,
        key: Key | None = None,
        sample_stats: Mapping[str, ArrayLike] | None = None,
        moments: Quadrature | QuadratureBatch | None = None,
        theta_draws: Callable[[int], Floats] | None = None,
        category_names: Sequence[str] | None = None,
        group_names: Sequence[str] | None = None,
        dataset_names: Sequence[str] | None = None,
        latent: Mapping[str, ArrayLike] | None = None,
    ) -> None:
        self.log_alpha: Floats = _checked_draws(log_alpha, "log_alpha")
        shape = self.log_alpha.shape
        self.log_beta: Floats = _sums_to_one(_checked_draws(log_beta, "log_beta", (*shape, model.n_categories)))
        self.model = model
        self.counts = None if counts is None else _validate.counts(counts, ndim=(3,) if self._batch else (2,))
        if self.counts is not None and self.counts.shape[-1] != model.n_categories:
            raise ValueError(f"counts must have K = {model.n_categories} categories; got shape {self.counts.shape}")
        if self.counts is not None and self._batch and self.counts.shape[0] != shape[0]:
            raise ValueError(f"counts must have B = {shape[0]} datasets; got shape {self.counts.shape}")
        self.log_weights: Floats | None = None
        if log_weights is not None:
            flat = _checked_draws(log_weights, "log_weights", shape).reshape(*shape[:-2], -1)
            self.log_weights = _weighted.normalise(_some_weight(flat)).reshape(shape)
        self.log_evidence = _scalar_or_array(log_evidence)
        self.log_evidence_error = _scalar_or_array(log_evidence_error)
        self.method = method
        self.details = dict(details or {})
        self.sample_stats = {name: np.asarray(value) for name, value in (sample_stats or {}).items()}
        self.moments = moments
        self._category_names = _validate.names(category_names, "category_names", model.n_categories)
        self._group_names = _validate.names(group_names, "group_names", self._n_groups)
        self.latent: dict[str, Floats] = {
            name: _checked_draws(value, name, (*shape, *np.shape(value)[len(shape) :]))
            for name, value in (latent or {}).items()
        }
        self._theta_draws = theta_draws
        self._key = _random.key(None) if key is None else np.ascontiguousarray(key, dtype=np.uint64)
        self._datasets = np.arange(self._flat_alpha().shape[0], dtype=np.uint64)  # numbers of their random streams
        self._dataset_names = _validate.names(dataset_names, "dataset_names", self._datasets.size)
        self._checked = False  # whether `sample` has already warned of these chains, where a warning was due
        self._complete = True

    def __setattr__(self, name: str, value: Any) -> None:
        """Results are not changed by assignment; for one release it works, with a warning."""
        if "_complete" in self.__dict__ and not name.startswith("_"):
            instead = f"rename({name}=...)" if name.endswith("_names") else "hbm_fast.Posterior(...)"
            errors.warn(f"assigning {name} is deprecated: make another posterior by {instead}", DeprecationWarning)
        object.__setattr__(self, name, value)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(_validate.native_state(state))
        self.__dict__["latent"] = {name: _validate.native(value) for name, value in self.latent.items()}

    # names, shapes and parts ------------------------------------------------------------------------------------------
    @property
    def category_names(self) -> tuple[str, ...] | None:
        """K different names: rows of the summary and coordinates of ``to_arviz``. None: the categories' numbers."""
        return self._category_names

    @category_names.setter
    def category_names(self, names: Sequence[str] | None) -> None:
        self._category_names = _validate.names(names, "category_names", self.model.n_categories)

    @property
    def group_names(self) -> tuple[str, ...] | None:
        """N different names, usable in place of the groups' indices. None: no names."""
        return self._group_names

    @group_names.setter
    def group_names(self, names: Sequence[str] | None) -> None:
        self._group_names = _validate.names(names, "group_names", self._n_groups)

    @property
    def dataset_names(self) -> tuple[str, ...] | None:
        """B different names of the datasets of a batch, usable in place of their indices; of one dataset its name."""
        return self._dataset_names

    @dataset_names.setter
    def dataset_names(self, names: Sequence[str] | None) -> None:
        self._dataset_names = _validate.names(names, "dataset_names", self._datasets.size)

    def rename(
        self,
        *,
        category_names: Sequence[str] | None = None,
        group_names: Sequence[str] | None = None,
        dataset_names: Sequence[str] | None = None,
    ) -> Self:
        """The same posterior with other names: results are not changed in place.

        Parameters
        ----------
        category_names, group_names, dataset_names : sequence of K, of N, of B str, optional
            None keeps the names there are.

        Returns
        -------
        Posterior
            It shares the arrays of this one.

        Raises
        ------
        TypeError, ValueError
            For names that are too few, too many, repeated or of another type.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> post = hbm.exact_posterior([[3, 0], [0, 4]]).rename(category_names=["white", "black"])
        >>> list(post.summary())
        ['alpha', 'log_alpha', 'beta[white]', 'beta[black]']
        """
        n = {"category_names": self.n_categories, "group_names": self._n_groups, "dataset_names": self._datasets.size}
        given = {"category_names": category_names, "group_names": group_names, "dataset_names": dataset_names}
        return self._replace(
            **{f"_{name}": _validate.names(value, name, n[name]) for name, value in given.items() if value is not None}
        )

    @property
    def alpha(self) -> Floats:
        """(C, D) or (B, C, D); may underflow to zero where ``log_alpha`` does not."""
        with np.errstate(over="ignore", under="ignore"):
            return np.exp(self.log_alpha)

    @property
    def beta(self) -> Floats:
        """(C, D, K) or (B, C, D, K)."""
        with np.errstate(under="ignore"):
            return np.exp(self.log_beta)

    @property
    def beta_concentration(self) -> Floats:
        """(C, D) or (B, C, D): c of beta ~ Dirichlet(c, ..., c), of a model that learns c."""
        if "beta_concentration" not in self.latent:
            raise ValueError(
                "beta_concentration is of a model that learns it, such as "
                f"beta=priors.Dirichlet(priors.Exponential(1)); this one has beta={self.model.beta}"
            )
        return self.latent["beta_concentration"]

    @property
    def n_categories(self) -> int:
        """K."""
        return self.model.n_categories

    @property
    def n_chains(self) -> int:
        """C."""
        return int(self.log_alpha.shape[-2])

    @property
    def n_draws(self) -> int:
        """D, draws of one chain."""
        return int(self.log_alpha.shape[-1])

    def __len__(self) -> int:
        """B, of a batch."""
        if not self._batch:
            raise TypeError("this Posterior is of one dataset: it has no length")
        return int(self.log_alpha.shape[0])

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return card.text(self)

    def _repr_html_(self) -> str:
        return card.html(self)

    def __getitem__(self, index: int | str | slice) -> Self:
        """The posterior of one dataset of a batch, by number or name, or of a slice of the batch.

        The draws of theta and the predictive counts stay the same.
        """
        n = len(self)
        if isinstance(index, slice):
            chosen = np.arange(n)[index]
            if not chosen.size:
                raise IndexError(f"the slice {index} selects none of the B = {n} datasets")
            return self._take(chosen)
        if isinstance(index, str):
            b = _validate.position(index, self.dataset_names, "dataset")
        else:
            if isinstance(index, bool | np.bool_) or not hasattr(index, "__index__"):
                raise TypeError(f"index must be an integer, a slice or a name of dataset_names; got {index!r}")
            b = operator.index(index)
            if not -n <= b < n:
                raise IndexError(f"index must be below B = {n}; got {b}")
            b %= n
        return self._take(b)

    def __iter__(self) -> Iterator[Self]:
        return (self._take(b) for b in range(len(self)))

    def _take(self, b: int | NDArray[np.intp]) -> Self:
        """The posterior of one dataset of a batch, or a batch of some of them."""
        n, one = len(self), isinstance(b, int)
        names, theta_draws = self.dataset_names, self._theta_draws
        moments = None
        if self.moments is not None:
            parts = self._quadratures()
            moments = parts[b] if isinstance(b, int) else QuadratureBatch([parts[i] for i in b])
        evidence = {
            name: None if value is None else float(value[b]) if one else value[b]
            for name, value in (
                ("log_evidence", self.log_evidence),
                ("log_evidence_error", self.log_evidence_error),
            )
        }
        return self._replace(
            log_alpha=self.log_alpha[b],
            log_beta=self.log_beta[b],
            counts=None if self.counts is None else self.counts[b],
            log_weights=None if self.log_weights is None else self.log_weights[b],
            **evidence,
            method=str(self.details["method"][b]) if self.method == "mixed" and one else self.method,
            details={name: _detail_of_dataset(value, n, b) for name, value in self.details.items()},
            sample_stats={name: value[b] for name, value in self.sample_stats.items()},
            moments=moments,
            latent={name: value[b] for name, value in self.latent.items()},
            _theta_draws=None if theta_draws is None else partial(_theta_of_dataset, theta_draws, b),
            _datasets=self._datasets[b : b + 1] if isinstance(b, int) else self._datasets[b],
            _dataset_names=None if names is None else tuple(names[i] for i in np.atleast_1d(b)),
            _checked=self._checked and not one,  # the warning about a batch names the worst dataset only
        )

    def _replace(self, **changes: Any) -> Self:
        """A copy with other attributes, which are not checked again."""
        result = copy(self)
        result.__dict__.update(changes)
        return result

    def _with_draws(self, pick: Callable[[NDArray[Any]], NDArray[Any]], log_weights: Floats | None) -> Self:
        """The same posterior with other draws: those that ``pick`` takes of each array of draws (C, D, ...)."""
        shape, theta_draws = self.log_alpha.shape, self._theta_draws
        return self._replace(
            log_alpha=pick(self.log_alpha),
            log_beta=pick(self.log_beta),
            log_weights=log_weights,
            sample_stats={name: pick(values) for name, values in self.sample_stats.items() if values.shape == shape},
            latent={name: pick(values) for name, values in self.latent.items()},
            _theta_draws=None if theta_draws is None else lambda group: pick(theta_draws(group)),
        )

    # summaries of alpha and beta --------------------------------------------------------------------------------------
    @_weighted.far_tails
    def mean(self, name: str) -> Any:
        """Posterior mean of ``"alpha"``, ``"log_alpha"``, ``"beta"``, ``"log_beta"`` or ``"beta_concentration"``.

        The last is a parameter of a model that learns the concentration of beta.

        Returns
        -------
        float or (K,); (B,) or (B, K) of a batch

        Raises
        ------
        ValueError
            For another name.
        """
        values, log_weights = self._values(name)
        if self.moments is not None:
            return self.moments.mean(name)[()]
        return self._shaped(_weighted.average(values, log_weights))

    @_weighted.far_tails
    def sd(self, name: str) -> Any:
        """Posterior standard deviation; names and shapes as in ``mean``."""
        values, log_weights = self._values(name)
        if self.moments is not None:
            return self.moments.sd(name)[()]
        centred = values - _weighted.average(values, log_weights)[:, np.newaxis]
        return self._shaped(np.sqrt(_weighted.average(centred**2, log_weights)))

    @_weighted.far_tails
    def quantile(self, name: str, q: ArrayLike) -> Any:
        """Posterior quantiles; the axes of ``q`` come before those of ``mean``.

        Raises
        ------
        ValueError
            For another name, or q outside [0, 1].
        """
        _validate.parameter(name, self._learned)
        levels = _validate.probabilities(q, "q")
        if self.moments is not None:
            found = self.moments.quantile(name, levels.ravel())
        else:
            values, log_weights = self._values(name)
            found = _weighted.quantile(values, log_weights, levels.ravel())
            found = found if self._batch else found[:, 0]
        return found.reshape(levels.shape + found.shape[1:])[()]

    def diagnostics(self, name: str) -> dict[str, Floats]:
        """Convergence of MCMC draws: ``"r_hat"``, ``"ess_bulk"``, ``"ess_tail"`` and ``"mcse"`` of the mean.

        Returns
        -------
        dict of arrays shaped as ``mean``
            Rank-normalised split R-hat and effective sample sizes. NaN where a parameter is fixed and for fewer than
            four draws a chain; R-hat is NaN for one chain.

        Raises
        ------
        ValueError
            For another name, or for weighted draws, which are no chains.

        References
        ----------
        Vehtari, Gelman, Simpson, Carpenter and Bürkner 2021, doi:10.1214/20-BA1221
        """
        _validate.parameter(name, self._learned)
        if self.log_weights is not None:
            raise ValueError("weighted draws are no chains: see summary() for their effective number")
        values = getattr(self, name)
        return diagnostics.diagnostics(np.moveaxis(values, 0, 2) if self._batch else values)

    @_weighted.far_tails
    def summary(self, quantiles: Sequence[float] = (0.05, 0.5, 0.95)) -> Summary:
        """A table of means, standard deviations and quantiles; for draws also of their accuracy.

        Parameters
        ----------
        quantiles : sequence of float

        Returns
        -------
        Summary
            A mapping: ``summary["log_alpha"]["mean"]`` gives a number, ``summary.to_frame()`` a pandas table. The rows
            of a batch have the keys (dataset, parameter), a dataset its name or number.

        Warns
        -----
        ConvergenceWarning
            Where R-hat, the bulk ESS or the tail ESS exceeds the limits that `hbm_fast.sample` states, or where
            importance weights leave fewer than 100 effective draws. It is not repeated for draws of `hbm_fast.sample`,
            which has already warned. One warning gives the number of datasets of a batch that fail, and the worst.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> print(hbm.exact_posterior([[0, 1]]).summary())
                        mean         sd         5%        50%        95%
        alpha              1          1    0.05129     0.6931      2.996
        log_alpha    -0.5772      1.283      -2.97    -0.3665      1.097
        beta[0]       0.3333     0.2357    0.02532     0.2929     0.7764
        beta[1]       0.6667     0.2357     0.2236     0.7071     0.9747
        by quadrature; log evidence -0.6931
        """
        return summarise(self, quantiles)

    def to_frame(self, quantiles: Sequence[float] = (0.05, 0.5, 0.95)) -> Any:
        """The summary as a pandas table: one row a parameter, of a batch one row a dataset and parameter.

        Parameters
        ----------
        quantiles : sequence of float

        Returns
        -------
        pandas.DataFrame
            Columns ``dataset`` (of a batch), ``parameter``, ``mean``, ``sd``, the quantiles, and of chains
            ``ess_bulk``, ``ess_tail`` and ``r_hat``: those of `summary`.

        Raises
        ------
        ImportError
            Without pandas, which the extra ``report`` installs.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> post = hbm.exact_posterior([[[3, 0]], [[0, 4]]], dataset_names=["Ada", "Ben"])
        >>> print(post.to_frame()[["dataset", "parameter", "mean"]].round(4).to_string(index=False))
        dataset parameter    mean
            Ada     alpha  0.8793
            Ada log_alpha -0.7438
            Ada   beta[0]  0.7057
            Ada   beta[1]  0.2943
            Ben     alpha  0.8469
            Ben log_alpha -0.7892
            Ben   beta[0]  0.2861
            Ben   beta[1]  0.7139
        """
        return self.summary(quantiles).to_frame().reset_index()

    @_weighted.far_tails
    def marginal(self, name: str, x: ArrayLike | None = None) -> tuple[Floats, Floats]:
        """Marginal density of a parameter, of an exact posterior.

        Parameters
        ----------
        name : {"alpha", "log_alpha", "beta", "log_beta"}
        x : array_like (P,), optional
            The points; default a range with all but 2e-5 of the probability.

        Returns
        -------
        x, density : (P,), or (K, P) for beta

        Raises
        ------
        ValueError
            For a posterior that consists of draws alone: estimate the density from them, as ``hbm.plots.posterior``
            does.
        """
        if self.moments is None:
            raise ValueError(
                f"a posterior of method {self.method!r} has draws and no densities: see hbm.plots.posterior"
            )
        return self.moments.marginal(name, x)

    # groups: theta and predictions ------------------------------------------------------------------------------------
    @_weighted.far_tails
    def log_theta(self, group: Group = None, *, counts: ArrayLike | None = None) -> Floats:
        """Logarithms of ``theta``: finite where theta itself underflows."""
        index = self._index(group) if counts is None and group is not None else None
        if isinstance(index, np.ndarray):
            return self._by_group(index, lambda part, n: part.log_theta(n))
        if index is not None and self._theta_draws is not None:
            return _validate.native(self._theta_draws(index))
        rows, stream = self._rows(group, counts)
        log_alpha, log_beta, log_weights = self._flat_alpha(), self._flat_beta(), self._flat_weights()
        if counts is not None:
            generators = [np.random.default_rng([*self._key.tolist(), stream, int(b)]) for b in self._datasets]
            if self.moments is None:
                log_alpha, log_beta = predictive.resample_given(log_alpha, log_beta, log_weights, rows, generators)
            else:
                n = log_alpha.shape[1]
                log_alpha, log_beta = predictive.draw_given(self._quadratures(), n, rows, generators)
        log_theta = predictive.draw_log_theta(log_alpha, log_beta, rows, self._key, stream, self._datasets)
        return log_theta.reshape(self.log_beta.shape)

    @_weighted.far_tails
    def theta(self, group: Group = None, *, counts: ArrayLike | None = None) -> Floats:
        """One draw of a group's theta for every draw of (alpha, beta), from its exact conditional.

        Parameters
        ----------
        group : int, str, sequence (B,) of them, or None
            A group of the data, by index or name, or of a batch one for each dataset; None for a new group without
            counts. Negative numbers count from the end: -1 is the last group that has counts, because rows of zeros
            behind it are padding.
        counts : array_like (K,) or (B, K), optional
            Instead of ``group``: the counts of a group that is not in the data. They also inform (alpha, beta), so the
            draws are resampled by the probability of the counts under each; of an exact posterior (alpha, beta) are
            drawn anew from the quadrature of the data with this group.

        Returns
        -------
        (C, D, K) or (B, C, D, K)
            With the weights ``log_weights``, if the posterior has any.

        Warns
        -----
        ConvergenceWarning
            Where ``counts`` leaves fewer than 100 effective draws: run the inference on the data with this group.

        Notes
        -----
        theta_n | alpha, beta, x_n ~ Dirichlet(alpha beta + x_n). The same group gives the same draws at each call.
        """
        return np.exp(self.log_theta(group, counts=counts))

    @_weighted.far_tails
    def predict(self, group: Group = None, *, counts: ArrayLike | None = None) -> Floats:
        """Probability of each category at the next draw from a group: E[(alpha beta + x) / (alpha + M)].

        Parameters
        ----------
        group, counts
            As in ``theta``.

        Returns
        -------
        (K,), or (B, K) of a batch

        Warns
        -----
        ConvergenceWarning
            As `theta`. An exact posterior's prediction is exact with ``counts`` too: by a quadrature of the data with
            this group.

        Examples
        --------
        >>> import numpy as np
        >>> import hbm_fast as hbm
        >>> bags = hbm.datasets.load_marbles().counts
        >>> post = hbm.exact_posterior(bags)
        >>> post.predict(20).round(5)
        array([0.01286, 0.98714])
        """
        index = self._index(group) if counts is None and group is not None else None
        if isinstance(index, np.ndarray):
            return self._by_group(index, lambda part, n: part.predict(n))
        if index is not None and self._theta_draws is not None:
            theta = np.exp(self._theta_draws(index)).reshape(self._flat_beta().shape)
            return np.asarray(self._shaped(_weighted.average(theta, self._flat_weights())))
        rows, _ = self._rows(group, counts)
        if counts is not None and self.moments is not None:
            return np.asarray(self._shaped(predictive.mean_theta_given(self._quadratures(), rows)))
        log_alpha, log_beta, log_weights = self._nodes()
        if counts is not None:
            log_weights = predictive.reweight(log_alpha, log_beta, log_weights, rows)
        return np.asarray(self._shaped(predictive.mean_theta(log_alpha, log_beta, log_weights, rows)))

    def proportions(self, probability: float = 0.9) -> Any:
        """Means and intervals of the proportions theta of every group and category, as one pandas table.

        Parameters
        ----------
        probability : float, default 0.9
            Of the intervals, which leave out the same probability at both ends.

        Returns
        -------
        pandas.DataFrame
            One row a group and category (in front a column ``dataset``, of a batch): ``group``, ``category``,
            ``count``, ``raw`` (the count over the group's total, NaN for an empty group), ``mean``, ``lower``,
            ``upper``. Of a batch without group names, the empty groups at the end of each dataset, its padding, are
            left out.

        Raises
        ------
        ValueError
            For a posterior without counts, or a probability outside (0, 1).
        ImportError
            Without pandas and scipy, which the extra ``report`` installs.

        Notes
        -----
        No theta is drawn. The posterior of theta_nk is the mixture of Beta(alpha beta_k + x_nk, rest) over the draws of
        (alpha, beta), and ``mean`` its exact mean, that of `predict`. The bounds are quantiles of the Beta distribution
        with the mixture's mean and variance, or of a mixture of such distributions where the draws are less alike; they
        are within 0.001 of the mixture's own. Where a network draws theta itself, means and quantiles are those of its
        draws.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> table = hbm.datasets.load_rat_tumors()
        >>> post = hbm.exact_posterior(table.counts, group_names=table.group_names)
        >>> print(post.proportions().iloc[-2:].round(3).to_string(index=False))
                group  category  count   raw  mean  lower  upper
        experiment 71         0      4 0.286 0.237  0.106  0.397
        experiment 71         1     10 0.714 0.763  0.603  0.894
        """
        if not 0.0 < probability < 1.0:
            raise ValueError(f"probability must lie between 0 and 1; got {probability}")
        return proportions.frame(self, probability)

    @_weighted.far_tails
    def log_predictive(
        self, new_counts: ArrayLike, *, jointly: bool = False, coefficient: bool = True, return_ess: bool = False
    ) -> Any:
        """Log probability of whole new groups given the data: to categorize them, to compare models.

        Parameters
        ----------
        new_counts : integer array_like (K,) or (R, K)
            One new group, or several.
        jointly : bool
            False scores each group by itself; True scores them as one further sample, in which each informs the next.
        coefficient : bool
            False leaves out the multinomial coefficient: the probability of an ordered sequence.
        return_ess : bool
            Also return the effective number of draws behind the value.

        Returns
        -------
        value : float for one group or jointly, (R,) for several; a batch puts B in front
        ess : of the same shape, only with ``return_ess``
            Kish's effective number of draws once they are weighted by the probability of the new groups; it does not
            count the autocorrelation of a chain. Below about 100 the value tends to be too low, by a little or by
            many nats. Infinite for an exact posterior.

        Warns
        -----
        ConvergenceWarning
            Where the effective number of draws is below 100; where the quadrature of an exact posterior with the new
            groups has a relative error above 1e-6.

        Notes
        -----
        log E[p(x | alpha, beta)] over the posterior, p the Dirichlet-multinomial. To find which of several contexts a
        bag comes from, compare their posteriors' ``log_predictive(bag)``.

        For an exact posterior it is the log evidence of old and new groups less that of the old ones, each by a
        quadrature of its own (some milliseconds for each different row of ``new_counts``), and exact.

        From draws it is an average over draws that were made for the old data: accurate where the new groups are
        similar to them, and for single groups in most cases. Many groups scored jointly, or groups far from the data,
        have their posterior where there are few draws or none; the effective number shows it, except for a region that
        no draw has reached. Then subtract evidences: `exact_posterior` for two categories, or ``log_evidence`` of
        `hbm_fast.amortize` networks with ``correct=True``, of old and new groups and of the old ones.

        Examples
        --------
        >>> import numpy as np
        >>> import hbm_fast as hbm
        >>> old, new = np.array([[10, 10]] * 20), np.array([[20, 0], [0, 20]] * 5)
        >>> post = hbm.exact_posterior(old)
        >>> both = hbm.exact_posterior(np.concatenate([old, new]))
        >>> print(f"{post.log_predictive(new, jointly=True):.3f} {both.log_evidence - post.log_evidence:.3f}")
        -37.087 -37.087
        """
        new_counts = align(new_counts, self.category_names, name="new_counts")
        array = _validate.counts(new_counts, name="new_counts", ndim=(1, 2))
        rows = self._integer_rows(np.atleast_2d(array), "new_counts")
        if self.moments is None:
            value, ess = predictive.log_mean_pmf(*self._nodes(), rows, jointly=jointly, coefficient=coefficient)
            predictive.warn_of_reweighting(ess, self.n_chains * self.n_draws, "new_counts")
        else:
            value = predictive.log_evidence_ratio(self._quadratures(), rows, jointly=jointly, coefficient=coefficient)
            ess = np.full(value.shape, np.inf)
        if array.ndim == 1 and not jointly:
            value, ess = value[:, 0], ess[:, 0]
        return (self._shaped(value), self._shaped(ess)) if return_ess else self._shaped(value)

    def log_likelihood(self, *, coefficient: bool = True) -> Floats:
        """Pointwise log-likelihood of every group under every draw, for LOO.

        Returns
        -------
        (C, D, N) or (B, C, D, N)

        Raises
        ------
        ValueError
            For a posterior without counts.
        """
        rows = self._data().reshape(self._datasets.size, -1, self.n_categories)
        result = predictive.log_pmf(self._flat_alpha(), self._flat_beta(), rows, coefficient)
        return result.reshape(*self.log_alpha.shape, rows.shape[1])

    def loo(self) -> LeaveOneOut:
        """Leave-one-out cross-validation of the groups, theta integrated out, to compare models of the same counts.

        Returns
        -------
        LeaveOneOut

        Raises
        ------
        ValueError
            For a batch, or a posterior without counts.

        Warns
        -----
        ConvergenceWarning
            Where a Pareto k exceeds 0.7.

        Notes
        -----
        By Pareto-smoothed importance sampling from at most 4,000 draws, evenly taken from all (Vehtari, Gelman & Gabry
        2017, doi:10.1007/s11222-016-9696-4).

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> post = hbm.sample(hbm.datasets.load_pollen().counts, rng=1)
        >>> loo = post.loo()
        >>> round(loo.elpd), loo.n_unreliable
        (-522, 0)
        """
        if self._batch:
            raise ValueError("loo is of one dataset and this is a batch of posteriors: use post[b].loo()")
        rows = self._data()
        step = -(-self.log_alpha.size // MOST_DRAWS)
        log_alpha, log_beta = self._flat_alpha()[:, ::step], self._flat_beta()[:, ::step]
        log_weights = self._flat_weights()
        weights = None if log_weights is None else _weighted.normalise(log_weights[0, ::step])
        parts = _memory.chunks(len(rows), log_alpha.size)
        pmf = (predictive.log_pmf(log_alpha, log_beta, rows[np.newaxis, part], True)[0] for part in parts)
        return leave_one_out(pmf, "group", weights)

    @_weighted.far_tails
    def predictive_counts(
        self, group: Group = None, *, total: int | None = None, counts: ArrayLike | None = None
    ) -> NDArray[np.int64]:
        """Posterior predictive counts: one further sample from a group for every draw.

        Parameters
        ----------
        group, counts
            As in ``theta``.
        total : int, optional
            The number of counts in the sample; default the group's own total.

        Returns
        -------
        (C, D, K) or (B, C, D, K)

        Raises
        ------
        ValueError
            For a new group without ``total``.
        """
        index = self._index(group) if counts is None and group is not None else None
        if isinstance(index, np.ndarray):
            return self._by_group(index, lambda part, n: part.predictive_counts(n, total=total))
        rows, stream = self._rows(group, counts)
        if total is not None:
            total = _validate.positive_int(total, "total", minimum=0, maximum=_validate.MAX_COUNT)
            totals = np.full(self._datasets.size, total, dtype=np.int64)
        elif group is None and counts is None:
            raise ValueError("total must be given for a new group: how many are drawn from it")
        else:
            totals = rows.sum(axis=-1)
        log_theta = self.log_theta(group, counts=counts).reshape(self._flat_beta().shape)
        drawn = predictive.draw_counts(log_theta, totals, self._key, stream, self._datasets)
        return drawn.reshape(self.log_beta.shape)

    # files ------------------------------------------------------------------------------------------------------------
    def to_arviz(self, *, log_likelihood: bool = False, theta: bool = False, posterior_predictive: bool = False) -> Any:
        """What the installed ArviZ takes: an ``arviz.InferenceData`` below version 1.0, else an ``xarray.DataTree``.

        Parameters
        ----------
        log_likelihood : bool
            Whether to add the pointwise log-likelihood of every group (C, D, N), which LOO needs.
        theta : bool
            Whether to add a draw of theta (C, D, N, K) of every group.
        posterior_predictive : bool
            Whether to add predictive counts (C, D, N, K) of every group, with its own total.

        Returns
        -------
        arviz.InferenceData or xarray.DataTree
            ``posterior`` (alpha, log_alpha, beta, log_beta; of an embedding also z and its mixture), ``observed_data``,
            ``sample_stats``, and the optional parts; dimensions chain, draw, group, category (and dataset in front, of
            a batch), with the user's names as coordinates. ArviZ has no importance weights, so weighted draws are
            resampled with replacement.

        Raises
        ------
        ImportError
            Without the extra ``report``.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> data = hbm.exact_posterior([[3, 0], [0, 4]], rng=0).to_arviz()
        >>> data["posterior"]["beta"].dims
        ('chain', 'draw', 'category')
        """
        return netcdf.to_arviz(
            self, log_likelihood=log_likelihood, theta=theta, posterior_predictive=posterior_predictive
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write to a netCDF file; ``load`` of the same class gives the same draws, of theta and predictive counts too.

        An earlier file of that name is replaced when the new one is whole. The last line of the file is its checksum.

        Raises
        ------
        ValueError
            Where the path does not end in ``.nc``, ``.nc4`` or ``.netcdf``.
        OSError
            Where the file cannot be written; an earlier file stays.
        ImportError
            Without the extra ``report``.

        Examples
        --------
        >>> import tempfile, pathlib
        >>> import hbm_fast as hbm
        >>> post = hbm.exact_posterior([[3, 0], [0, 4]], rng=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     post.save(pathlib.Path(folder) / "bags.nc")
        ...     again = hbm.Posterior.load(pathlib.Path(folder) / "bags.nc")
        >>> bool((again.theta(0) == post.theta(0)).all())
        True
        """
        netcdf.save(self, path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read a file that ``save`` of this class wrote.

        Raises
        ------
        ImportError
            Without the extra ``report``.
        OSError
            If the file cannot be read.
        ValueError
            For a damaged file (its checksum is compared), one of another origin, or one of another class of posteriors
            (the message names the function that reads it); the message begins with the file's name.
        """
        return netcdf.load(path, cls)

    # a batch of B datasets with S = C D draws each, whether there is one dataset or several ---------------------------
    @property
    def _batch(self) -> bool:
        return self.log_alpha.ndim == 3

    def _flat_alpha(self) -> Floats:
        return self.log_alpha.reshape(-1 if self._batch else 1, self.n_chains * self.n_draws)

    def _flat_beta(self) -> Floats:
        return self.log_beta.reshape(-1 if self._batch else 1, self.n_chains * self.n_draws, self.n_categories)

    def _flat_weights(self) -> Floats | None:
        return None if self.log_weights is None else self.log_weights.reshape(self._flat_alpha().shape)

    def _nodes(self) -> tuple[Floats, Floats, Floats | None]:
        """(B, S), (B, S, K), (B, S): the nodes of the quadrature if there is one, else the draws."""
        nodes = self.moments
        if nodes is None:
            return self._flat_alpha(), self._flat_beta(), self._flat_weights()
        if self._batch:
            return nodes.log_alpha, nodes.log_beta, nodes.log_weights
        return nodes.log_alpha[np.newaxis], nodes.log_beta[np.newaxis], nodes.log_weights[np.newaxis]

    def _quadratures(self) -> Sequence[Quadrature]:
        """The quadrature of each dataset, of an exact posterior."""
        assert self.moments is not None
        return [self.moments] if isinstance(self.moments, Quadrature) else self.moments.parts

    @property
    def _learned(self) -> tuple[str, ...]:
        """Names of the parameters beside alpha and beta."""
        return ("beta_concentration",) if "beta_concentration" in self.latent else ()

    def _values(self, name: str) -> tuple[Floats, Floats | None]:
        _validate.parameter(name, self._learned)
        log_alpha, log_beta, log_weights = self._nodes()
        if name in self._learned:
            return self.latent[name].reshape(log_alpha.shape), log_weights
        values = log_alpha if name.endswith("alpha") else log_beta
        with np.errstate(over="ignore", under="ignore"):
            return (values if name.startswith("log_") else np.exp(values)), log_weights

    def _shaped(self, result: Floats) -> Any:
        """With the leading B for a batch, without it for one dataset."""
        return result if self._batch else result[0]

    def _data(self) -> NDArray[Any]:
        if self.counts is None:
            raise ValueError("this Posterior has no counts: pass group=None or counts=row")
        return self.counts

    @property
    def _n_groups(self) -> int | None:
        return None if self.counts is None else int(self.counts.shape[-2])

    def _index(self, group: Any) -> int | NDArray[np.intp]:
        """The index of a group given by its number or its name; an array (B,) where that of the datasets differs."""
        n_datasets: int = self._datasets.size
        if isinstance(group, list | tuple) or (isinstance(group, np.ndarray) and group.ndim):
            if not self._batch or len(group) != n_datasets:
                expected = f"one for each of the B = {n_datasets} datasets" if self._batch else "one, of one dataset"
                raise ValueError(f"group must be an index or a name, or {expected}; got {len(group)} of them")
            indices = np.array([self._index_of(one, b) for b, one in enumerate(group)])
        elif _counts_from_end(group):
            indices = np.array([self._index_of(group, b) for b in range(n_datasets)])
        else:
            return self._index_of(group, 0)
        return int(indices[0]) if (indices == indices[0]).all() else indices

    def _index_of(self, group: Any, b: int) -> int:
        """The index of one group of dataset b; negative numbers count from its last group that is not padding."""
        counts = self._data()
        n_groups: int = counts.shape[-2]
        if _counts_from_end(group):
            filled = np.flatnonzero((counts[b] if self._batch else counts).any(axis=-1))
            n_groups = int(filled[-1]) + 1 if filled.size else n_groups
        return group_index(group, self.group_names, n_groups)

    def _integer_rows(self, rows: NDArray[Any], name: str) -> NDArray[np.int64]:
        if rows.shape[-1] != self.n_categories:
            raise ValueError(f"{name} must have K = {self.n_categories} categories; got shape {rows.shape}")
        return np.ascontiguousarray(rows, dtype=np.int64)

    def _rows(self, group: Group, counts: ArrayLike | None) -> tuple[NDArray[np.int64], int]:
        """The counts of a group (B, K), and the number of its random stream."""
        shape = self._datasets.size, self.n_categories
        if counts is not None:
            if group is not None:
                raise TypeError("give either group or counts, not both")
            array = align(counts, self.category_names)
            row = array[0] if array.ndim == 2 and len(array) == 1 else array  # a table of one group
            given = _validate.counts(row, ndim=(1, 2) if self._batch else (1,))
            rows = self._integer_rows(given, "counts")
            if given.ndim == 2 and given.shape[0] != shape[0]:
                raise ValueError(f"counts must have shape (K,) or (B, K) with B = {shape[0]}; got {given.shape}")
            return np.ascontiguousarray(np.broadcast_to(rows, shape)), predictive.stream_of_counts(rows)
        if group is None:
            return np.zeros(shape, dtype=np.int64), predictive.NEW_GROUP
        index = self._index(group)
        assert isinstance(index, int)  # `_by_group` has separated the datasets of different groups
        return np.ascontiguousarray(self._data()[..., index, :], dtype=np.int64).reshape(shape), index

    def _by_group(self, index: NDArray[np.intp], function: Callable[[Self, int], NDArray[Any]]) -> NDArray[Any]:
        """``function`` of the datasets of each group, joined in the order of the batch."""
        wheres = [np.flatnonzero(index == n) for n in np.unique(index)]
        parts = [function(self._take(where), int(index[where[0]])) for where in wheres]
        result = np.empty((index.size, *parts[0].shape[1:]), parts[0].dtype)
        for where, part in zip(wheres, parts, strict=True):
            result[where] = part
        return result


def group_index(group: Any, names: tuple[str, ...] | None, n_groups: int) -> int:
    """The index of a group that is given by its name, or by its number, which may count from the end."""
    if isinstance(group, str):
        return _validate.position(group, names, "group")
    if isinstance(group, bool | np.bool_) or not hasattr(group, "__index__"):
        raise TypeError(f"group must be an index, a name or None for a new group; got {group!r}")
    index = operator.index(group)
    if not -n_groups <= index < n_groups:
        raise IndexError(f"group must be below N = {n_groups}; got {index}. For a group not seen use counts=row.")
    return index % n_groups


def _counts_from_end(group: Any) -> bool:
    return not isinstance(group, str) and hasattr(group, "__index__") and operator.index(group) < 0


def _sums_to_one(log_beta: Floats) -> Floats:
    """log beta (..., K), refused where beta does not sum to one, as where beta itself is passed."""
    with np.errstate(over="ignore", under="ignore"):  # single precision: a quarter of the time, and 1e-4 is enough
        sums = np.exp(log_beta.astype(np.float32)) @ np.ones(log_beta.shape[-1], dtype=np.float32)
    bad = ~(np.abs(sums - 1.0) <= _SUM_TOLERANCE)
    if bad.any():
        where = tuple(np.argwhere(bad)[0].tolist())
        raise ValueError(
            f"log_beta must hold logarithms of proportions that sum to one; the sum is {sums[where]:.6g} at index "
            f"{where}. Pass np.log(beta / beta.sum(axis=-1, keepdims=True))."
        )
    return log_beta


def _some_weight(log_weights: Floats) -> Floats:
    """log weights (..., S), refused where a dataset has no positive weight or an infinite one."""
    largest = log_weights.max(axis=-1)
    for value, problem in ((-np.inf, "every draw has weight zero"), (np.inf, "a weight is infinite")):
        if (largest == value).any():
            place = f" in dataset {int(np.argmax(largest == value))}" if largest.ndim else ""
            raise ValueError(f"log_weights must leave some draws a finite positive weight; {problem}{place}")
    return log_weights


def _scalar_or_array(value: float | ArrayLike | None) -> Any:
    if value is None:
        return None
    array = np.asarray(value, dtype=np.float64)
    return float(array) if array.ndim == 0 else array


def _theta_of_dataset(theta_draws: Callable[[int], Floats], b: int | NDArray[np.intp], group: int) -> Floats:
    """log theta of a group of one or some datasets of a batch; a function, so that posteriors pickle."""
    result: Floats = theta_draws(group)[b]
    return result


def _detail_of_dataset(value: Any, n: int, b: int | NDArray[np.intp]) -> Any:
    """A detail of one or some datasets, where the batch has one for each of its n datasets."""
    return value[b] if isinstance(value, np.ndarray) and value.ndim and value.shape[0] == n else value


def _checked_draws(value: ArrayLike, name: str, shape: tuple[int, ...] | None = None) -> Floats:
    """A float64 array of posterior draws, of a given shape where the shape is known; NaN is refused."""
    array = _validate.doubles(value, name)
    if shape is None and array.ndim not in (2, 3):
        raise ValueError(f"{name} must have shape (C, D) or (B, C, D); got {array.shape}")
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, the shape of log_alpha; got {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name} must hold at least one draw; got shape {array.shape}")
    if np.isnan(array).any():
        raise ValueError(f"{name} must not be NaN; got nan at index {_validate.first_index(np.isnan(array))}")
    return array
