"""Posterior: what sample, exact_posterior and a trained network all return."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _core, _validate
from hbm_fast import _posterior_summary as _summary
from hbm_fast import _posterior_weights as _weights
from hbm_fast._posterior_summary import Summary
from hbm_fast._random import Key
from hbm_fast._random import key as new_key
from hbm_fast.model import HierarchicalModel

Floats = NDArray[np.float64]
Group = int | str | None

_NEW_GROUP = 2**64 - 1  # the stream of a group of which nothing was drawn


class Moments(Protocol):
    """Weighted nodes of a quadrature: expectations over them are exact where those over draws are Monte Carlo."""

    log_alpha: Floats  # (S,) or (B, S)
    log_beta: Floats  # (S, K) or (B, S, K)
    log_weights: Floats  # (S,) or (B, S), normalised

    def mean(self, name: str) -> Floats:
        """Expectation of the parameter ``name``: (), (K,), (B,) or (B, K)."""
        ...

    def sd(self, name: str) -> Floats:
        """Standard deviation, shaped alike."""
        ...

    def quantile(self, name: str, q: Floats) -> Floats:
        """Quantiles, (Q,) in front of the shape of the mean."""
        ...

    def marginal(self, name: str, x: ArrayLike | None = None) -> tuple[Floats, Floats]:
        """Points and the density at them."""
        ...


class BatchMoments(Moments, Protocol):
    """Those of a batch: its parts can be taken out."""

    def __getitem__(self, index: int) -> Moments: ...


class Posterior:
    """Draws of (alpha, beta) given the data, with everything that follows from them.

    Parameters
    ----------
    log_alpha : array_like (C, D) or (B, C, D)
        Logarithms, so that an alpha of 1e-300 survives.
    log_beta : array_like (C, D, K) or (B, C, D, K)
    model : HierarchicalModel
    counts : integer array (N, K) or (B, N, K), optional
        The data: needed for what is asked about their groups.
    log_weights : array_like (C, D) or (B, C, D), optional
        Importance weights of the draws; normalised here, and honoured by every summary.
    log_evidence, log_evidence_error : float or array_like (B,), optional
    method : str
        What made the draws: ``"hmc"``, ``"gibbs"``, ``"mh"``, ``"quadrature"``, a network's name.
    details : mapping, optional
        What the method has to say about its run.
    key : (2,) uint64, optional
        Of the random streams of theta and of predictive counts: the same group gives the same draws at each call.
    sample_stats : mapping of arrays (C, D), optional
        Per-draw figures of the sampler, for ``to_arviz``.
    moments : Moments, optional
        Quadrature nodes: means, standard deviations, quantiles and predictions then come from them.
    theta_draws : callable, optional
        ``theta_draws(n)`` gives log theta (C, D, K) of the seen group n, one for each draw: for a network that brings
        its own. Without it theta is drawn from its exact conditional, Dirichlet(alpha beta + x_n).
    category_names, group_names : sequence of str, optional

    Raises
    ------
    TypeError, ValueError
        Where shapes disagree or a draw is NaN.

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
        moments: Moments | None = None,
        theta_draws: Callable[[int], Floats] | None = None,
        category_names: Sequence[str] | None = None,
        group_names: Sequence[str] | None = None,
    ) -> None:
        self.log_alpha: Floats = _validate.draws(log_alpha, "log_alpha")
        shape = self.log_alpha.shape
        self.log_beta: Floats = _validate.draws(log_beta, "log_beta", (*shape, model.n_categories))
        self.model = model
        self._batch = len(shape) == 3
        self.counts = None if counts is None else _validate.counts(counts, ndim=(3,) if self._batch else (2,))
        if self.counts is not None and self.counts.shape[-1] != model.n_categories:
            raise ValueError(f"counts must have K = {model.n_categories} categories; got shape {self.counts.shape}")
        if self.counts is not None and self._batch and self.counts.shape[0] != shape[0]:
            raise ValueError(f"counts must have B = {shape[0]} datasets; got shape {self.counts.shape}")
        self.log_weights: Floats | None = None
        if log_weights is not None:
            given = _validate.draws(log_weights, "log_weights", shape)
            flat = _weights.normalise(given.reshape(*shape[:-2], -1))
            self.log_weights = flat.reshape(shape)
        self.log_evidence = _scalar_or_array(log_evidence)
        self.log_evidence_error = _scalar_or_array(log_evidence_error)
        self.method = method
        self.details = dict(details or {})
        self.sample_stats = {name: np.asarray(value) for name, value in (sample_stats or {}).items()}
        self.moments = moments
        self.category_names = _validate.names(category_names, "category_names", model.n_categories)
        n_groups = None if self.counts is None else self.counts.shape[-2]
        self.group_names = _validate.names(group_names, "group_names", n_groups)
        self._theta_draws = theta_draws
        self._key = new_key(None) if key is None else np.ascontiguousarray(key, dtype=np.uint64)
        self._datasets = np.arange(self._flat_alpha().shape[0], dtype=np.uint64)

    # the draws ------------------------------------------------------------------------------------------------------
    @property
    def alpha(self) -> Floats:
        """(C, D) or (B, C, D); may underflow to zero where ``log_alpha`` does not."""
        with np.errstate(over="ignore", under="ignore"):
            return np.exp(self.log_alpha)

    @property
    def beta(self) -> Floats:
        """(C, D, K) or (B, C, D, K)."""
        return np.exp(self.log_beta)

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

    def __getitem__(self, index: int) -> "Posterior":
        """The posterior of one dataset of a batch, with the same draws of everything."""
        n = len(self)
        if not -n <= index < n:
            raise IndexError(f"index must be below B = {n}; got {index}")
        b = index % n
        hook = self._theta_draws
        result = Posterior(
            self.log_alpha[b],
            self.log_beta[b],
            model=self.model,
            counts=None if self.counts is None else self.counts[b],
            log_weights=None if self.log_weights is None else self.log_weights[b],
            log_evidence=None if self.log_evidence is None else np.asarray(self.log_evidence)[b],
            log_evidence_error=None if self.log_evidence_error is None else np.asarray(self.log_evidence_error)[b],
            method=self.method,
            details={name: _pick(value, n, b) for name, value in self.details.items()},
            key=self._key,
            sample_stats={name: value[b] for name, value in self.sample_stats.items()},
            moments=None if self.moments is None else cast(BatchMoments, self.moments)[b],
            theta_draws=None if hook is None else lambda group: hook(group)[b],
            category_names=self.category_names,
            group_names=self.group_names,
        )
        result._datasets = self._datasets[b : b + 1]
        return result

    def __iter__(self) -> Iterator["Posterior"]:
        return (self[b] for b in range(len(self)))

    def __repr__(self) -> str:
        batch = f"B={len(self)}, " if self._batch else ""
        return f"Posterior({batch}C={self.n_chains}, D={self.n_draws}, K={self.n_categories}, method={self.method!r})"

    # summaries ------------------------------------------------------------------------------------------------------
    def mean(self, name: str) -> Any:
        """Posterior mean of ``"alpha"``, ``"log_alpha"``, ``"beta"`` or ``"log_beta"``.

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
        return self._shaped(_weights.average(values, log_weights))

    def sd(self, name: str) -> Any:
        """Posterior standard deviation; names and shapes as in ``mean``."""
        values, log_weights = self._values(name)
        if self.moments is not None:
            return self.moments.sd(name)[()]
        centred = values - _weights.average(values, log_weights)[:, np.newaxis]
        return self._shaped(np.sqrt(_weights.average(centred**2, log_weights)))

    def quantile(self, name: str, q: ArrayLike) -> Any:
        """Posterior quantiles; the axes of ``q`` stand in front of those of ``mean``.

        Raises
        ------
        ValueError
            For another name, or q outside [0, 1].
        """
        _validate.parameter(name)
        levels = _validate.probabilities(q, "q")
        if self.moments is not None:
            found = self.moments.quantile(name, levels.ravel())
        else:
            values, log_weights = self._values(name)
            found = _weights.quantile(values, log_weights, levels.ravel())
            found = found if self._batch else found[:, 0]
        return found.reshape(levels.shape + found.shape[1:])[()]

    def diagnostics(self, name: str) -> dict[str, Floats]:
        """Convergence of MCMC draws: ``"r_hat"``, ``"ess_bulk"``, ``"ess_tail"`` and ``"mcse"`` of the mean.

        Returns
        -------
        dict of arrays shaped as ``mean``
            Rank-normalised split R-hat and effective sample sizes; NaN where a parameter is fixed.

        Raises
        ------
        ImportError
            Without arviz-stats (extra ``report``).
        ValueError
            For another name, or for weighted draws, which are no chains.

        References
        ----------
        Vehtari, Gelman, Simpson, Carpenter and Bürkner 2021, doi:10.1214/20-BA1221
        """
        _validate.parameter(name)
        if self.log_weights is not None:
            raise ValueError("weighted draws are no chains: see summary() for their effective number")
        values = getattr(self, name)
        found = _summary.diagnostics(np.moveaxis(values, 0, 2) if self._batch else values)
        if found is None:
            raise _validate.missing_extra("arviz-stats", "report")
        return found

    def summary(self, quantiles: Sequence[float] = (0.05, 0.5, 0.95)) -> Summary:
        """A table of means, standard deviations, quantiles and, for draws, how far to trust them.

        Parameters
        ----------
        quantiles : sequence of float

        Returns
        -------
        Summary
            Printable; ``summary["log_alpha"]["mean"]`` gives a figure, ``summary.columns`` all of them.

        Raises
        ------
        ValueError
            For a batch: ask ``post[b].summary()``.

        Warns
        -----
        ConvergenceWarning
            Where R-hat exceeds 1.01, the effective draws fall below 100 a chain, or the weights leave fewer than 100.

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
        if self._batch:
            raise ValueError("this is a batch of posteriors: ask post[b].summary() of one of them")
        labels = self.category_names or tuple(map(str, range(self.n_categories)))
        names = ("alpha", "log_alpha", *(f"beta[{label}]" for label in labels))
        levels = _validate.probabilities(quantiles, "quantiles")

        def column(function: Callable[[str], Any]) -> Floats:
            return np.concatenate([np.atleast_1d(function(name)) for name in ("alpha", "log_alpha", "beta")])

        columns = {"mean": column(self.mean), "sd": column(self.sd)}
        columns |= {f"{100 * q:g}%": column(lambda name, q=q: self.quantile(name, q)) for q in levels.ravel()}
        if self.moments is not None:
            return Summary(names, columns, f"by quadrature; log evidence {self.log_evidence:.4f}")
        n = self.n_chains * self.n_draws
        if self.log_weights is not None:
            weights = np.exp(self.log_weights)
            ess = float(_weights.effective_size(self.log_weights.reshape(1, -1))[0])
            columns["mcse"] = column(lambda name: self._weighted_error(name, weights))
            columns["ess"] = np.full(len(names), ess)
            _summary.warn_of_weights(ess, n)
            return Summary(names, columns, f"{n} weighted draws, method {self.method}")
        note = f"{self.n_chains} x {self.n_draws} draws, method {self.method}"
        draws = np.concatenate([self.alpha[..., np.newaxis], self.log_alpha[..., np.newaxis], self.beta], axis=-1)
        found = _summary.diagnostics(draws)
        if found is None:
            return Summary(names, columns, f"{note}; pip install 'hbm-fast[report]' adds R-hat, ESS and MCSE")
        _summary.warn_of_chains(names, found, self.n_chains)
        return Summary(names, columns | found, note)

    def marginal(self, name: str, x: ArrayLike | None = None) -> tuple[Floats, Floats]:
        """Marginal density of a parameter, of an exact posterior.

        Parameters
        ----------
        name : {"alpha", "log_alpha", "beta", "log_beta"}
        x : array_like (P,), optional
            Where; default a range that holds all but 2e-5 of the probability.

        Returns
        -------
        x, density : (P,), or (K, P) for beta

        Raises
        ------
        ValueError
            For a posterior that is known by draws alone: estimate it from them, as ``hbm.plots.posterior`` does.
        """
        if self.moments is None:
            raise ValueError(
                f"a posterior of method {self.method!r} has draws and no densities: see hbm.plots.posterior"
            )
        return self.moments.marginal(name, x)

    # groups ---------------------------------------------------------------------------------------------------------
    def log_theta(self, group: Group = None, *, counts: ArrayLike | None = None) -> Floats:
        """Logarithms of ``theta``: finite where theta itself underflows."""
        if counts is None and group is not None and self._theta_draws is not None:
            return self._theta_draws(self._index(group))
        rows, code = self._rows(group, counts)
        log_alpha, log_beta = self._flat_alpha(), self._flat_beta()
        if counts is not None:
            log_alpha, log_beta = self._conditioned(rows, code)
        out = np.empty_like(log_beta)
        _core.draw_log_theta(log_alpha, log_beta, rows, self._key, code, self._datasets, out, _validate.threads(None))
        return out.reshape(self.log_beta.shape)

    def theta(self, group: Group = None, *, counts: ArrayLike | None = None) -> Floats:
        """One draw of a group's theta for every draw of (alpha, beta), from its exact conditional.

        Parameters
        ----------
        group : int, str or None
            A group of the data, by index or name; None for a new group of which nothing was drawn.
        counts : array_like (K,) or (B, K), optional
            Instead of ``group``: what was drawn from a group that is not in the data. It also informs (alpha, beta), so
            the draws are resampled by its probability under each.

        Returns
        -------
        (C, D, K) or (B, C, D, K)
            With the weights ``log_weights``, if the posterior has any.

        Notes
        -----
        theta_n | alpha, beta, x_n ~ Dirichlet(alpha beta + x_n). The same group gives the same draws at each call.
        """
        return np.exp(self.log_theta(group, counts=counts))

    def predict(self, group: Group = None, *, counts: ArrayLike | None = None) -> Floats:
        """Probability of each category at the next draw from a group: E[(alpha beta + x) / (alpha + M)].

        Parameters
        ----------
        group, counts
            As in ``theta``.

        Returns
        -------
        (K,), or (B, K) of a batch

        Examples
        --------
        >>> import numpy as np
        >>> import hbm_fast as hbm
        >>> bags = np.array([[20, 0]] * 10 + [[0, 20]] * 10 + [[0, 1]])
        >>> post = hbm.exact_posterior(bags)
        >>> post.predict(20).round(5)
        array([0.01286, 0.98714])
        """
        if counts is None and group is not None and self._theta_draws is not None:
            theta = np.exp(self._theta_draws(self._index(group))).reshape(self._flat_beta().shape)
            return np.asarray(self._shaped(_weights.average(theta, self._flat_weights())))
        rows, _ = self._rows(group, counts)
        log_alpha, log_beta, log_weights = self._nodes()
        if counts is not None:
            log_weights = self._reweighted(log_alpha, log_beta, log_weights, rows)
        totals = rows.sum(axis=-1)[:, np.newaxis]
        with np.errstate(divide="ignore", over="ignore"):
            # the share of the prior, alpha / (alpha + M), from log alpha: right from 1e-300 to 1e300
            share = 1.0 / (1.0 + np.exp(np.log(totals) - log_alpha))
            observed = rows / np.maximum(totals, 1)
        theta = share[..., np.newaxis] * np.exp(log_beta)
        theta += (1.0 - share)[..., np.newaxis] * observed[:, np.newaxis]
        return np.asarray(self._shaped(_weights.average(theta, log_weights)))

    def log_predictive(self, new_counts: ArrayLike, *, jointly: bool = False, coefficient: bool = True) -> Any:
        """Log probability of whole new groups given the data: to categorize them, to compare models.

        Parameters
        ----------
        new_counts : integer array_like (K,) or (R, K)
            One new group, or several.
        jointly : bool
            False scores each group by itself; True scores them as one further sample, in which each informs the next.
        coefficient : bool
            False leaves out the multinomial coefficient: the probability of an ordered sequence.

        Returns
        -------
        float for one group or jointly, (R,) for several; a batch puts B in front

        Notes
        -----
        log E[p(x | alpha, beta)] over the posterior, p the Dirichlet-multinomial. To find which of several contexts a
        bag comes from, compare their posteriors' ``log_predictive(bag)``.
        """
        array = _validate.counts(new_counts, name="new_counts", ndim=(1, 2))
        rows = self._integer_rows(np.atleast_2d(array), "new_counts")
        log_alpha, log_beta, log_weights = self._nodes()
        stacked = np.broadcast_to(rows, (log_alpha.shape[0], *rows.shape))
        if jointly:
            total = np.zeros(log_alpha.shape)
            for chunk in _chunks(rows.shape[0], log_alpha.shape[1]):
                total += self._log_pmf(log_alpha, log_beta, stacked[:, chunk], coefficient).sum(axis=-1)
            return self._shaped(_weights.log_mean_exp(total, log_weights))
        parts = [
            _weights.log_mean_exp(self._log_pmf(log_alpha, log_beta, stacked[:, chunk], coefficient), log_weights)
            for chunk in _chunks(rows.shape[0], log_alpha.shape[1])
        ]
        result = np.concatenate(parts, axis=-1)
        return self._shaped(result[:, 0] if array.ndim == 1 else result)

    def log_likelihood(self, *, coefficient: bool = True) -> Floats:
        """Pointwise log-likelihood of every group under every draw, for LOO.

        Returns
        -------
        (C, D, N) or (B, C, D, N)

        Raises
        ------
        ValueError
            Where the posterior does not know its counts.
        """
        rows = self._data().astype(np.int64, copy=False).reshape(self._datasets.size, -1, self.n_categories)
        result = self._log_pmf(self._flat_alpha(), self._flat_beta(), rows, coefficient)
        return result.reshape(*self.log_alpha.shape, rows.shape[1])

    def predictive_counts(
        self, group: Group = None, *, total: int | None = None, counts: ArrayLike | None = None
    ) -> NDArray[np.int64]:
        """Posterior predictive counts: one further sample from a group for every draw.

        Parameters
        ----------
        group, counts
            As in ``theta``.
        total : int, optional
            How many are drawn from it; default the group's own total.

        Returns
        -------
        (C, D, K) or (B, C, D, K)

        Raises
        ------
        ValueError
            For a new group without ``total``.
        """
        rows, code = self._rows(group, counts)
        if total is not None:
            totals = np.full(self._datasets.size, _validate.positive_int(total, "total", minimum=0), dtype=np.int64)
        elif group is None and counts is None:
            raise ValueError("total must be given for a new group: how many are drawn from it")
        else:
            totals = rows.sum(axis=-1)
        log_theta = self.log_theta(group, counts=counts).reshape(self._flat_beta().shape)
        out = np.empty(log_theta.shape, dtype=np.int64)
        _core.draw_predictive_counts(log_theta, totals, self._key, code, self._datasets, out, _validate.threads(None))
        return out.reshape(self.log_beta.shape)

    # files and other libraries ----------------------------------------------------------------------------------------
    def to_arviz(self, *, log_likelihood: bool = False, theta: bool = False, posterior_predictive: bool = False) -> Any:
        """An ``xarray.DataTree`` for ArviZ: posterior, observed data, sample stats, named by the user's names.

        Parameters
        ----------
        log_likelihood, theta, posterior_predictive : bool
            What to add for every group; each takes N times the memory of the draws.

        Returns
        -------
        xarray.DataTree

        Raises
        ------
        ImportError
            Without the extra ``report``.
        """
        from hbm_fast.integrations import arviz

        return arviz.to_datatree(
            self, log_likelihood=log_likelihood, theta=theta, posterior_predictive=posterior_predictive
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write to a netCDF file; ``Posterior.load`` gives back the same draws of everything.

        Raises
        ------
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
        from hbm_fast.integrations import arviz

        arviz.save(self, path)

    @staticmethod
    def load(path: str | PathLike[str]) -> "Posterior":
        """Read what ``save`` wrote.

        Raises
        ------
        ImportError
            Without the extra ``report``.
        ValueError
            For a file of another origin.
        """
        from hbm_fast.integrations import arviz

        return arviz.load(path)

    # inside ---------------------------------------------------------------------------------------------------------
    def _flat_alpha(self) -> Floats:
        return self.log_alpha.reshape(-1 if self._batch else 1, self.n_chains * self.n_draws)

    def _flat_beta(self) -> Floats:
        return self.log_beta.reshape(-1 if self._batch else 1, self.n_chains * self.n_draws, self.n_categories)

    def _flat_weights(self) -> Floats | None:
        return None if self.log_weights is None else self.log_weights.reshape(self._flat_alpha().shape)

    def _nodes(self) -> tuple[Floats, Floats, Floats | None]:
        """(B, S), (B, S, K), (B, S) of whatever expectations are taken over: quadrature nodes, or else the draws."""
        if self.moments is None:
            return self._flat_alpha(), self._flat_beta(), self._flat_weights()
        nodes = self.moments
        if self._batch:
            return nodes.log_alpha, nodes.log_beta, nodes.log_weights
        return nodes.log_alpha[np.newaxis], nodes.log_beta[np.newaxis], nodes.log_weights[np.newaxis]

    def _values(self, name: str) -> tuple[Floats, Floats | None]:
        _validate.parameter(name)
        log_alpha, log_beta, log_weights = self._nodes()
        values = log_alpha if name.endswith("alpha") else log_beta
        return (values if name.startswith("log_") else np.exp(values)), log_weights

    def _weighted_error(self, name: str, weights: Floats) -> Floats:
        """Standard error of a self-normalised weighted mean."""
        values = getattr(self, name)
        weights = weights.reshape(weights.shape + (1,) * (values.ndim - 2))
        return np.asarray(np.sqrt((weights**2 * (values - self.mean(name)) ** 2).sum(axis=(0, 1))))

    def _shaped(self, result: Floats) -> Any:
        """A batch keeps its leading B; one dataset loses it."""
        return result if self._batch else result[0]

    def _data(self) -> NDArray[Any]:
        if self.counts is None:
            raise ValueError("this Posterior does not know its counts: ask for group=None or counts=row")
        return self.counts

    def _index(self, group: int | str) -> int:
        return _validate.group_index(group, self.group_names, self._data().shape[-2])

    def _integer_rows(self, rows: NDArray[Any], name: str) -> NDArray[np.int64]:
        if rows.shape[-1] != self.n_categories:
            raise ValueError(f"{name} must have K = {self.n_categories} categories; got shape {rows.shape}")
        return np.ascontiguousarray(rows, dtype=np.int64)

    def _rows(self, group: Group, counts: ArrayLike | None) -> tuple[NDArray[np.int64], int]:
        """What was drawn from the group, (B, K), and the address of its random streams."""
        n_datasets = self._datasets.size
        if counts is not None:
            if group is not None:
                raise TypeError("give either group or counts, not both")
            given = _validate.counts(counts, ndim=(1, 2) if self._batch else (1,))
            rows = self._integer_rows(given, "counts")
            if given.ndim == 2 and given.shape[0] != n_datasets:
                raise ValueError(f"counts must have shape (K,) or (B, K) with B = {n_datasets}; got {given.shape}")
            digest = hashlib.blake2b(rows.tobytes(), digest_size=8).digest()
            return np.ascontiguousarray(np.broadcast_to(rows, (n_datasets, self.n_categories))), int.from_bytes(
                digest, "little"
            )
        if group is None:
            return np.zeros((n_datasets, self.n_categories), dtype=np.int64), _NEW_GROUP
        index = self._index(group)
        rows = np.ascontiguousarray(self._data()[..., index, :], dtype=np.int64)
        return rows.reshape(n_datasets, self.n_categories), index

    def _log_pmf(self, log_alpha: Floats, log_beta: Floats, rows: NDArray[Any], coefficient: bool) -> Floats:
        out = np.empty((*log_alpha.shape, rows.shape[1]))
        rows = np.ascontiguousarray(rows, dtype=np.int64)
        _core.group_log_pmf(
            np.ascontiguousarray(log_alpha),
            np.ascontiguousarray(log_beta),
            rows,
            coefficient,
            out,
            _validate.threads(None),
        )
        return out

    def _reweighted(
        self, log_alpha: Floats, log_beta: Floats, log_weights: Floats | None, rows: NDArray[np.int64]
    ) -> Floats:
        """Weights of the nodes once a further group has been seen."""
        log_pmf = self._log_pmf(log_alpha, log_beta, rows[:, np.newaxis], False)[..., 0]
        return _weights.normalise(log_pmf if log_weights is None else log_pmf + log_weights)

    def _conditioned(self, rows: NDArray[np.int64], code: int) -> tuple[Floats, Floats]:
        """The draws (B, S), (B, S, K) resampled to what they are once a further group has been seen."""
        log_alpha, log_beta, log_weights = self._flat_alpha(), self._flat_beta(), self._flat_weights()
        target = np.exp(self._reweighted(log_alpha, log_beta, log_weights, rows))
        weights = np.full_like(target, 1.0 / target.shape[1]) if log_weights is None else np.exp(log_weights)
        log_alpha, log_beta = log_alpha.copy(), log_beta.copy()
        for b, dataset in enumerate(self._datasets):
            generator = np.random.default_rng([*self._key.tolist(), code, int(dataset)])
            picked = _weights.resample(weights[b], target[b], np.asarray(generator.random(target.shape[1])))
            log_alpha[b], log_beta[b] = log_alpha[b, picked], log_beta[b, picked]
        return log_alpha, log_beta


def _scalar_or_array(value: float | ArrayLike | None) -> Any:
    if value is None:
        return None
    array = np.asarray(value, dtype=np.float64)
    return float(array) if array.ndim == 0 else array


def _pick(value: Any, n: int, b: int) -> Any:
    """A detail of one dataset, where the batch has one each."""
    return value[b] if isinstance(value, np.ndarray) and value.ndim and value.shape[0] == n else value


def _chunks(n: int, n_draws: int) -> Iterator[slice]:
    """Slices of n rows whose table against the draws stays below 32 MB."""
    size = max(1, 4_000_000 // n_draws)
    return (slice(begin, begin + size) for begin in range(0, n, size))
