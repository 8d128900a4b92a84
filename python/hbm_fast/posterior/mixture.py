"""MixturePosterior: the result of `sample` for a mixture."""

import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from os import PathLike
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _memory, _random, _validate
from hbm_fast._display import Displayed
from hbm_fast._display import names as shown_names
from hbm_fast._typing import Floats, Key
from hbm_fast.models import MixtureModel
from hbm_fast.posterior import mixture_files, netcdf, partition, predictive
from hbm_fast.posterior.loo import MOST_DRAWS, LeaveOneOut, leave_one_out
from hbm_fast.posterior.new_component import NewComponent, log_gamma
from hbm_fast.posterior.posterior import Posterior, group_index
from hbm_fast.posterior.summary import Summary, of_draws
from hbm_fast.priors import DirichletProcess
from hbm_fast.tables.inputs import align


class MixturePosterior(Displayed):
    """Draws of the labels of the groups and of the components of a mixture, with their summaries and predictions.

    A draw's components are numbered anew in each draw: what does not depend on their numbers (`co_assignment`,
    `n_components_used`, `predict`, `log_predictive`) is exact, and what is of single components is of those of
    `partition`, to which the components of each draw are matched.

    Parameters
    ----------
    labels : integer array (C, D, N)
        The component of each group.
    log_weights, log_alpha : array (C, D, J)
    log_beta : array (C, D, J, K)
        NaN where a draw has fewer than J components, for a Dirichlet process.
    model : MixtureModel
    counts : integer array (N, K)
    log_likelihood : array (C, D)
        Of the counts given the labels and the components, multinomial coefficients included.
    process_concentration : array (C, D), optional
        Of a Dirichlet process.
    beta_concentration : array (C, D, J), optional
        Of a model that learns the concentration of beta.
    log_evidence, log_evidence_error : float, optional
        As of ``hbm_fast.sample`` with ``evidence=True``.
    details : mapping, optional
    key : (2,) uint64, optional
        Of the chains.
    category_names, group_names : sequence of str, optional

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> bags = [[20, 0]] * 3 + [[0, 20]] * 3 + [[10, 10]] * 6  # pure bags and mixed ones
    >>> model = hbm.MixtureModel(2, n_components=2, alpha=hbm.priors.HalfCauchy(10))
    >>> post = hbm.sample(bags, model, rng=2)
    >>> post.labels.shape, post.weights.shape
    ((4, 1000, 12), (4, 1000, 2))
    >>> post.partition().tolist()
    [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    """

    def __init__(
        self,
        labels: ArrayLike,
        log_weights: ArrayLike,
        log_alpha: ArrayLike,
        log_beta: ArrayLike,
        *,
        model: MixtureModel,
        counts: ArrayLike,
        log_likelihood: ArrayLike,
        process_concentration: ArrayLike | None = None,
        beta_concentration: ArrayLike | None = None,
        log_evidence: float | None = None,
        log_evidence_error: float | None = None,
        details: Mapping[str, Any] | None = None,
        key: Key | None = None,
        category_names: Sequence[str] | None = None,
        group_names: Sequence[str] | None = None,
    ) -> None:
        self.model = model
        self.counts: Any = _validate.counts(counts)
        self._set_draws(labels, log_weights, log_likelihood)
        self.log_alpha = _validate.doubles(log_alpha, "log_alpha")
        self.log_beta = _validate.doubles(log_beta, "log_beta")
        shape = self.log_weights.shape
        for name, wanted in (("log_alpha", shape), ("log_beta", (*shape, model.n_categories))):
            if getattr(self, name).shape != wanted:
                raise ValueError(f"{name} must have shape {wanted}; got {getattr(self, name).shape}")
        self.beta_concentration = None if beta_concentration is None else np.asarray(beta_concentration)
        self.log_evidence, self.log_evidence_error = log_evidence, log_evidence_error
        self._set_origin(process_concentration, details, key, category_names, group_names)

    def _set_draws(self, labels: ArrayLike, log_weights: ArrayLike, log_likelihood: ArrayLike) -> None:
        self.labels = _validate.integers(labels, "labels")
        shape = self.labels.shape
        if len(shape) != 3 or shape[2] != self.n_groups:
            raise ValueError(f"labels must have shape (C, D, N) with N = {self.n_groups}; got {shape}")
        self.log_weights = _validate.doubles(log_weights, "log_weights")
        self.log_likelihood = _validate.doubles(log_likelihood, "log_likelihood")
        n_components = self.log_weights.shape[-1]
        for name, wanted in (("log_weights", (*shape[:2], n_components)), ("log_likelihood", shape[:2])):
            if getattr(self, name).shape != wanted:
                raise ValueError(f"{name} must have shape {wanted}; got {getattr(self, name).shape}")
        if self.labels.size and not 0 <= self.labels.min() <= self.labels.max() < n_components:
            raise ValueError(f"labels must lie in 0..{n_components - 1}; got up to {self.labels.max()}")

    def _set_origin(
        self,
        process_concentration: ArrayLike | None,
        details: Mapping[str, Any] | None,
        key: Key | None,
        category_names: Sequence[str] | None,
        group_names: Sequence[str] | None,
    ) -> None:
        self.process_concentration = None if process_concentration is None else np.asarray(process_concentration)
        self.details = dict(details or {})
        self.key = _random.key(None) if key is None else np.ascontiguousarray(key, dtype=np.uint64)
        self.category_names = _validate.names(category_names, "category_names", self.n_categories)
        self.group_names = _validate.names(group_names, "group_names", self.n_groups)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(_validate.native_state(state))

    # shapes and parameters ------------------------------------------------------------------------------------------
    @property
    def n_chains(self) -> int:
        """C."""
        return int(self.labels.shape[0])

    @property
    def n_draws(self) -> int:
        """D, draws of one chain."""
        return int(self.labels.shape[1])

    @property
    def n_groups(self) -> int:
        """N."""
        return int(self.counts.shape[0])

    @property
    def n_categories(self) -> int:
        """K."""
        return self.model.n_categories

    @property
    def weights(self) -> Floats:
        """(C, D, J); of a Dirichlet process the probability that a new group joins each, NaN for those a draw lacks."""
        return np.exp(self.log_weights)

    @property
    def alpha(self) -> Floats:
        """(C, D, J)."""
        with np.errstate(over="ignore", under="ignore"):
            return np.exp(self.log_alpha)

    @property
    def beta(self) -> Floats:
        """(C, D, J, K)."""
        with np.errstate(under="ignore"):
            return np.exp(self.log_beta)

    @cached_property
    def n_components_used(self) -> NDArray[np.int64]:
        """(C, D): components that groups belong to, those without counts included."""
        ordered = np.sort(self.labels, axis=-1)
        return np.asarray(min(self.n_groups, 1) + np.count_nonzero(np.diff(ordered, axis=-1), axis=-1))

    def __repr__(self) -> str:
        used, times = np.unique(self.n_components_used, return_counts=True)
        share = times / times.sum()
        shown = ", ".join(f"{n}: {p:.2f}" for n, p in zip(used, share, strict=True) if p >= 0.005)
        lines = [
            f"MixturePosterior: {self.n_groups} groups{shown_names(self.group_names)}, {self.n_categories} "
            f"categories{shown_names(self.category_names)}; {self.n_chains} x {self.n_draws} draws",
            f"  components used  {shown}",
        ]
        if "r_hat" in self.details:
            lines.append(
                f"  R-hat at most {self.details['r_hat']:.3f}, effective draws at least {self.details['ess_bulk']:.0f},"
                f" chains differ in co-assignment by at most {self.details['disagreement']:.3f}"
            )
        return "\n".join(lines)

    # what does not depend on the numbers of the components ------------------------------------------------------------
    def co_assignment(self) -> Floats:
        """Posterior probability that two groups belong to one component (N, N).

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> model = hbm.MixtureModel(2, n_components=hbm.priors.DirichletProcess(1.0))
        >>> together = hbm.sample([[9, 0], [8, 0], [0, 9]], model, rng=1).co_assignment()
        >>> bool(together[0, 1] > 0.5 > together[0, 2])
        True
        """
        return partition.co_assignment(self._flat_labels)

    @cached_property
    def disagreement(self) -> float:
        """By how much chains disagree on co-assignment: 0 where they agree, up to 1.

        The mean over all other groups of the absolute difference of two chains' probabilities that a group is with
        them: the largest over groups and pairs of chains.
        """
        if self.n_chains < 2 or self.n_groups < 2:
            return 0.0
        return self._disagreement_of(self.labels)

    @staticmethod
    def _disagreement_of(labels: NDArray[Any]) -> float:
        each = [partition.co_assignment(chain) for chain in labels]
        n = labels.shape[-1] - 1
        pairs = ((a, b) for i, a in enumerate(each) for b in each[:i])
        return float(max(np.abs(a - b).sum(axis=1).max() / n for a, b in pairs))

    @cached_property
    def _partition(self) -> NDArray[np.int32]:
        return partition.least_variation(self._flat_labels)

    def partition(self) -> NDArray[np.int32]:
        """Point estimate of the labels (N,): the partition of least expected variation of information to the draws.

        Components are numbered by decreasing size.

        References
        ----------
        Wade & Ghahramani 2018, doi:10.1214/17-BA1073
        """
        return self._partition.copy()

    # groups -----------------------------------------------------------------------------------------------------------
    def predict(self, group: int | str | None = None, *, counts: ArrayLike | None = None) -> Floats:
        """Probability of each category at the next draw from a group: E[(alpha beta + x) / (alpha + M)] (K,).

        Parameters
        ----------
        group : int, str or None
            A group of the data, by number or name; None for a new group without counts.
        counts : array_like (K,), optional
            Instead of ``group``: the counts of a group that is not in the data. They also tell which component it is
            of; of a Dirichlet process it may be a new one.

        Raises
        ------
        TypeError, ValueError, IndexError
            For both arguments, or a group that there is not.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> bags = [[20, 0]] * 3 + [[0, 20]] * 3 + [[10, 10]] * 6  # pure bags and mixed ones
        >>> model = hbm.MixtureModel(2, n_components=2, alpha=hbm.priors.HalfCauchy(10))
        >>> post = hbm.sample(bags, model, rng=2)
        >>> post.predict(counts=[1, 0]).round(1), post.predict(counts=[3, 0]).round(1)
        (array([0.7, 0.3]), array([0.9, 0.1]))
        """
        if counts is not None:
            if group is not None:
                raise TypeError("give either group or counts, not both")
            rows = self._rows(counts)
            if len(rows) != 1:
                raise ValueError(f"counts must be of one group (K,); got {len(rows)} groups")
            return self._predict_new(rows[0])
        if group is None:
            return self._predict_new(np.zeros(self.n_categories, np.int64))
        return self._predict_known(group_index(group, self.group_names, self.n_groups))

    def _predict_known(self, n: int) -> Floats:
        own = self._flat_labels[:, n]
        draws = np.arange(len(own))
        log_alpha, log_beta = (self._flat(values)[draws, own] for values in (self.log_alpha, self.log_beta))
        row = np.asarray(self.counts[n : n + 1], np.int64)
        return np.asarray(predictive.mean_theta(log_alpha[np.newaxis], log_beta[np.newaxis], None, row)[0])

    def _predict_new(self, row: NDArray[np.int64]) -> Floats:
        joint, new = self._joint(row[np.newaxis])
        weights = np.exp(joint[:, :, 0] - joint.max())
        all_draws = weights.sum()
        n_components = self.log_alpha.shape[-1]
        known = weights[:, :n_components].reshape(-1)
        log_alpha, log_beta = (np.nan_to_num(self._flat(v)) for v in (self.log_alpha, self.log_beta))
        used = np.flatnonzero(known)
        theta = predictive.mean_theta(
            log_alpha.reshape(1, -1)[:, used],
            log_beta.reshape(1, -1, self.n_categories)[:, used],
            np.log(known[used] / known.sum())[np.newaxis],
            row[np.newaxis],
        )[0]
        share = known.sum() / all_draws
        if not new:
            return np.asarray(theta)
        return np.asarray(share * theta + (1.0 - share) * new[0].mean_theta(row))

    def log_predictive(self, new_counts: ArrayLike, *, coefficient: bool = True) -> Any:
        """Log probability of whole new groups given the data, each by itself.

        Parameters
        ----------
        new_counts : integer array (K,) or (R, K), or a table
        coefficient : bool
            False leaves out the multinomial coefficient: the probability of an ordered sequence.

        Returns
        -------
        float or (R,)

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> post = hbm.sample([[20, 0]] * 3 + [[0, 20]] * 3, hbm.MixtureModel(2, n_components=2), rng=1)
        >>> bool(post.log_predictive([5, 0]) > post.log_predictive([3, 2]))
        True
        """
        rows = self._rows(new_counts)
        one = np.ndim(new_counts) == 1
        result = np.empty(len(rows))
        for part in self._parts(len(rows)):
            joint, _ = self._joint(rows[part])
            flat = joint.reshape(-1, joint.shape[-1])
            largest = flat.max(axis=0)
            result[part] = largest + np.log(np.exp(flat - largest).sum(axis=0) / len(joint))
        if coefficient:
            result += _log_coefficient(rows)
        return float(result[0]) if one else result

    def responsibilities(self, counts: ArrayLike | None = None) -> Floats:
        """Posterior probability that a group is of each component.

        The components of each draw are matched one to one to those of `partition`, by the number of groups they share.

        Parameters
        ----------
        counts : integer array (K,) or (R, K), or a table, optional
            New groups; default those of the data.

        Returns
        -------
        (rows, J)
            Rows sum to one. Of a finite mixture J columns, the first those of `partition`; of a Dirichlet process one
            column for each component of `partition` and a last one for all others.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> bags = [[20, 0]] * 3 + [[0, 20]] * 3 + [[10, 10]] * 7
        >>> model = hbm.MixtureModel(2, n_components=2, alpha=hbm.priors.HalfCauchy(10))
        >>> post = hbm.sample(bags, model, rng=1)
        >>> post.responsibilities([[20, 0], [10, 10]]).round(1)
        array([[0., 1.],
               [1., 0.]])
        """
        column = self.columns
        n_columns = self.model.n_components
        if isinstance(n_columns, DirichletProcess):
            n_columns = int(self._partition.max(initial=-1)) + 2
        if counts is None:
            own = np.take_along_axis(column, self._flat_labels, axis=1)
            return np.stack([(own == j).mean(axis=0) for j in range(n_columns)], axis=1)
        rows = self._rows(counts)
        result = np.zeros((len(rows), n_columns))
        for part in self._parts(len(rows)):
            joint, _ = self._joint(rows[part])
            weights = np.exp(joint - joint.max(axis=(0, 1)))
            added = joint.shape[1] - column.shape[1]  # a new component, of a Dirichlet process
            of_column = np.pad(column, ((0, 0), (0, added)), constant_values=n_columns - 1)
            for j in range(n_columns):
                result[part, j] = np.where((of_column == j)[..., np.newaxis], weights, 0.0).sum(axis=(0, 1))
        return np.asarray(result / result.sum(axis=1, keepdims=True))

    def loo(self) -> LeaveOneOut:
        """Leave-one-out cross-validation of the groups, theta and labels summed out, to compare models.

        Returns
        -------
        LeaveOneOut

        Warns
        -----
        ConvergenceWarning
            Where a Pareto k exceeds 0.7.

        Notes
        -----
        By Pareto-smoothed importance sampling from at most 4,000 draws, evenly taken from all (Vehtari, Gelman & Gabry
        2017, doi:10.1007/s11222-016-9696-4). Of a Dirichlet process the components of a draw are those of the other
        groups, weighted by these, and a new one.

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> bags = [[20, 0]] * 3 + [[0, 20]] * 3 + [[10, 10]] * 6  # pure bags and mixed ones
        >>> model = hbm.MixtureModel(2, n_components=2, alpha=hbm.priors.HalfCauchy(10))
        >>> post = hbm.sample(bags, model, rng=2)
        >>> loo = post.loo()
        >>> round(loo.elpd), loo.pointwise.shape
        (-28, (12,))
        """
        return leave_one_out(self._left_out(), "group")

    def _left_out(self) -> Iterator[Floats]:
        """Log probability (S, R) of groups given a draw of the weights and components without them."""
        rows, n_groups = self._rows(self.counts), len(self.counts)
        every = slice(None, None, -(-self.n_chains * self.n_draws // MOST_DRAWS))
        log_alpha, log_beta, log_weights = (
            np.nan_to_num(self._flat(v)[every], nan=fill, neginf=-np.inf)
            for v, fill in ((self.log_alpha, 0.0), (self.log_beta, 0.0), (self.log_weights, -np.inf))
        )
        n_draws, n_components = log_alpha.shape
        labels = self._flat_labels[every].astype(np.int64)
        numbered = labels + n_components * np.arange(n_draws)[:, np.newaxis]
        sizes = np.bincount(numbered.ravel(), minlength=n_draws * n_components).reshape(n_draws, n_components, 1)
        for part in self._parts(n_groups):
            pmf = predictive.log_pmf(
                log_alpha.reshape(1, -1), log_beta.reshape(1, -1, self.n_categories), rows[np.newaxis, part], True
            ).reshape(n_draws, n_components, -1)
            if self.process_concentration is None:
                yield np.logaddexp.reduce(log_weights[..., np.newaxis] + pmf, axis=1)
                continue
            c = self.process_concentration.reshape(-1, 1)[every]
            own = labels[:, np.newaxis, part] == np.arange(n_components)[:, np.newaxis]
            new = np.array([NewComponent(self.model.component, row).log_evidence for row in rows[part]])
            with np.errstate(divide="ignore"):
                known = np.logaddexp.reduce(np.log(sizes - own) + pmf, axis=1)
            both = np.logaddexp(known, np.log(c) + new + _log_coefficient(rows[part]))
            yield np.asarray(both - np.log(n_groups - 1.0 + c))

    # single components ------------------------------------------------------------------------------------------------
    def component(self, number: int) -> Posterior:
        """Posterior of (alpha, beta) of one component of `partition`.

        Of each draw it is the component to which most groups of that component belong.

        Parameters
        ----------
        number : int
            Components are numbered by decreasing size.

        Returns
        -------
        Posterior
            Its counts are the groups of the component.

        Raises
        ------
        IndexError

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> bags = [[20, 0]] * 3 + [[0, 20]] * 3 + [[10, 10]] * 7
        >>> model = hbm.MixtureModel(2, n_components=2, alpha=hbm.priors.HalfCauchy(10))
        >>> post = hbm.sample(bags, model, rng=1)
        >>> bool(post.component(0).mean("alpha") > 10 > 1 > post.component(1).mean("alpha"))
        True
        """
        labels = self._partition
        last = labels.max(initial=-1)
        if not 0 <= operator.index(number) <= last:
            raise IndexError(f"number must be in 0..{last}, a component of partition(); got {number}")
        own = self._most_shared(number)
        pick = own.reshape(*self.labels.shape[:2], 1)
        names = self.group_names
        latent = None
        if self.beta_concentration is not None:
            latent = {"beta_concentration": np.take_along_axis(self.beta_concentration, pick, axis=2)[..., 0]}
        return Posterior(
            np.take_along_axis(self.log_alpha, pick, axis=2)[..., 0],
            np.take_along_axis(self.log_beta, pick[..., np.newaxis], axis=2)[:, :, 0],
            model=self.model.component,
            counts=self.counts[labels == number],
            method="gibbs",
            key=self.key,
            category_names=self.category_names,
            group_names=None if names is None else [name for name, z in zip(names, labels, strict=True) if z == number],
            latent=latent,
        )

    def summary(self, quantiles: Sequence[float] = (0.05, 0.5, 0.95)) -> Summary:
        """A table of means, standard deviations, quantiles and convergence diagnostics.

        The first rows do not depend on the numbers of the components: the log likelihood, the number of components
        used, the concentration of a Dirichlet process, and the largest weight. Then come weight, alpha and beta of each
        component of `partition`, matched as in `component`.

        Parameters
        ----------
        quantiles : sequence of float

        Returns
        -------
        Summary

        Examples
        --------
        >>> import hbm_fast as hbm
        >>> post = hbm.sample([[20, 0]] * 4 + [[0, 20]] * 3, hbm.MixtureModel(2, n_components=2), rng=1)
        >>> list(post.summary())[:4]
        ['log_likelihood', 'n_components_used', 'largest_weight', 'weight[0]']
        """
        _validate.probabilities(quantiles, "quantiles")  # before the partition is searched for
        rows = dict(self.label_free())
        weights = self._flat(self.weights)
        for j in range(int(self._partition.max(initial=-1)) + 1):
            own = self._most_shared(j)
            rows[f"weight[{j}]"] = weights[np.arange(len(own)), own].reshape(self.labels.shape[:2])
            rows |= self._parameters_of(j)
        note = f"{self.n_chains} x {self.n_draws} draws; chains differ in co-assignment by {self.disagreement:.3f}"
        return of_draws(tuple(rows), np.stack(list(rows.values()), axis=-1), quantiles, note)

    def _parameters_of(self, number: int) -> dict[str, Floats]:
        """Draws (C, D) of the parameters of one component that a summary shows."""
        one, names = self.component(number), self.category_names or range(self.n_categories)
        beta = {f"beta[{number},{name}]": one.beta[..., k] for k, name in enumerate(names)}
        return {f"alpha[{number}]": one.alpha} | beta

    def label_free(self) -> dict[str, Floats]:
        """Draws (C, D) of what does not depend on the numbers of the components."""
        rows = {"log_likelihood": self.log_likelihood, "n_components_used": self.n_components_used.astype(np.float64)}
        if self.process_concentration is not None:
            rows["process_concentration"] = self.process_concentration
        return rows | {"largest_weight": np.fmax.reduce(self.weights, axis=-1)}

    # files ------------------------------------------------------------------------------------------------------------
    def to_arviz(self) -> Any:
        """What the installed ArviZ takes: an ``arviz.InferenceData`` below version 1.0, else an ``xarray.DataTree``.

        Its group ``posterior`` has ``labels`` (chain, draw, group), ``weights``, ``alpha``, ``beta`` and their logs
        (chain, draw, component), ``n_components_used``; ``sample_stats`` has ``log_likelihood``.

        Raises
        ------
        ImportError
            Without the extra ``report``.
        """
        return netcdf.for_arviz(mixture_files.tree(self))

    def save(self, path: str | PathLike[str]) -> None:
        """Write to a netCDF file, which `load` reads; as `Posterior.save`.

        Raises
        ------
        ValueError, OSError, ImportError
            As `Posterior.save`.

        Examples
        --------
        >>> import tempfile, pathlib
        >>> import hbm_fast as hbm
        >>> post = hbm.sample([[9, 0], [0, 9]], hbm.MixtureModel(2, n_components=2), rng=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     post.save(pathlib.Path(folder) / "kinds.nc")
        ...     again = hbm.MixturePosterior.load(pathlib.Path(folder) / "kinds.nc")
        >>> bool((again.labels == post.labels).all())
        True
        """
        mixture_files.save(self, path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read a file that `save` wrote.

        Raises
        ------
        ValueError, OSError, ImportError
            As `Posterior.load`.
        """
        return mixture_files.load(path, cls)

    # all chains in one axis of S = C D draws ------------------------------------------------------------------------
    @property
    def _flat_labels(self) -> NDArray[Any]:
        return self.labels.reshape(self.n_chains * self.n_draws, self.n_groups)

    @staticmethod
    def _flat(values: Floats) -> Floats:
        return values.reshape(-1, *values.shape[2:])

    def _rows(self, counts: ArrayLike) -> NDArray[np.int64]:
        array = align(counts, self.category_names)
        rows = np.atleast_2d(_validate.counts(array, ndim=(1, 2)))
        if rows.shape[1] != self.n_categories:
            raise ValueError(f"counts must have K = {self.n_categories} categories; got shape {np.shape(array)}")
        return np.ascontiguousarray(rows, dtype=np.int64)

    def _parts(self, n_rows: int) -> Iterator[slice]:
        return _memory.chunks(n_rows, self.log_alpha.size + self.n_chains * self.n_draws)

    def _joint(self, rows: NDArray[np.int64]) -> tuple[Floats, list[NewComponent]]:
        """log weight plus log pmf (S, J, R) of each component; of a Dirichlet process, J + 1 with a new one last."""
        log_alpha, log_beta = (np.nan_to_num(self._flat(v)) for v in (self.log_alpha, self.log_beta))
        n_draws, n_components = log_alpha.shape
        pmf = predictive.log_pmf(
            log_alpha.reshape(1, -1), log_beta.reshape(1, -1, self.n_categories), rows[np.newaxis], False
        )
        log_weights = np.nan_to_num(self._flat(self.log_weights), nan=-np.inf, neginf=-np.inf)
        joint = log_weights[..., np.newaxis] + pmf.reshape(n_draws, n_components, len(rows))
        if self.process_concentration is None:
            return joint, []
        new = [NewComponent(self.model.component, row) for row in rows]
        c = self.process_concentration.reshape(-1, 1)
        log_weight = np.log(c / (c + self.n_groups))
        of_new = log_weight + np.array([one.log_evidence for one in new])
        return np.concatenate([joint, of_new[:, np.newaxis]], axis=1), new

    # the components of each draw beside those of the partition --------------------------------------------------------
    @cached_property
    def _shared(self) -> NDArray[np.int32]:
        """Groups that component j of a draw shares with component d of the partition (S, J, P)."""
        labels = self._flat_labels
        n_draws, n_components = len(labels), self.log_weights.shape[-1]
        n_parts = int(self._partition.max(initial=-1)) + 1
        shape = (n_draws, n_components, n_parts)
        _memory.check_fits(16 * math.prod(shape), f"groups shared by components, an array of shape {shape},")
        code = (np.arange(n_draws)[:, np.newaxis] * n_components + labels) * n_parts + self._partition
        counted = np.bincount(code.ravel(), minlength=n_draws * n_components * n_parts)
        return counted.astype(np.int32).reshape(shape)

    def _most_shared(self, number: int) -> NDArray[np.intp]:
        return np.asarray(self._shared[:, :, number].argmax(axis=1))

    @cached_property
    def columns(self) -> NDArray[np.int64]:
        """The column of `responsibilities` of each component of each draw (S, J).

        The pair that shares most groups is matched first. Components that are left take the columns that are left; of
        a Dirichlet process, the last column.
        """
        shared = self._shared.astype(np.int64)
        n_draws, n_components, n_parts = shared.shape
        result = np.full((n_draws, n_components), -1)
        rows = np.arange(n_draws)
        for _ in range(min(n_components, n_parts)):
            best = shared.reshape(n_draws, -1).argmax(axis=1)
            j, d = np.divmod(best, n_parts)
            some = shared[rows, j, d] > 0
            result[rows[some], j[some]] = d[some]
            shared[rows, j] = -1
            shared[rows, :, d] = -1
        if isinstance(self.model.n_components, DirichletProcess):
            result[result < 0] = n_parts
            return result
        taken = (result[:, :, np.newaxis] == np.arange(n_components)).any(axis=1)
        left = np.argsort(taken, axis=1, kind="stable")  # the columns not taken first
        free = result < 0
        order = np.cumsum(free, axis=1) - 1
        result[free] = np.take_along_axis(left, np.maximum(order, 0), axis=1)[free]
        return result


def _log_coefficient(rows: NDArray[np.int64]) -> Floats:
    factorials = log_gamma(rows + 1.0)
    return np.asarray(log_gamma(rows.sum(axis=1) + 1.0) - factorials.sum(axis=1))
