"""The half of ``Posterior`` that speaks of groups: their theta, what comes next, how probable new ones are."""

import hashlib
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _core, _validate, errors
from hbm_fast import _weighted as _weights
from hbm_fast._typing import Floats
from hbm_fast.posterior.draws import BatchMoments, DatasetMoments, Draws

Group = int | str | None

_NEW_GROUP = 2**64 - 1  # the stream of a group of which nothing was drawn
_MIN_ESS = 100.0  # of reweighted draws: with fewer, averages over them have errors of a tenth of a standard deviation


class GroupsOfDraws(Draws):
    """theta and predictions; expectations by the quadrature's nodes where there are any, else by the draws."""

    @_weights.far_tails
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

    @_weights.far_tails
    def theta(self, group: Group = None, *, counts: ArrayLike | None = None) -> Floats:
        """One draw of a group's theta for every draw of (alpha, beta), from its exact conditional.

        Parameters
        ----------
        group : int, str or None
            A group of the data, by index or name; None for a new group of which nothing was drawn.
        counts : array_like (K,) or (B, K), optional
            Instead of ``group``: what was drawn from a group that is not in the data. It also informs (alpha, beta), so
            the draws are resampled by its probability under each; of an exact posterior (alpha, beta) are drawn anew
            from the quadrature of the data with this group.

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

    @_weights.far_tails
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
        if counts is None and group is not None and self._theta_draws is not None:
            theta = np.exp(self._theta_draws(self._index(group))).reshape(self._flat_beta().shape)
            return np.asarray(self._shaped(_weights.average(theta, self._flat_weights())))
        rows, _ = self._rows(group, counts)
        if counts is None:
            return np.asarray(self._shaped(_mean_theta(*self._nodes(), rows)))
        if self.moments is None:
            log_alpha, log_beta, log_weights = self._nodes()
            log_weights = self._reweighted(log_alpha, log_beta, log_weights, rows)
            return np.asarray(self._shaped(_mean_theta(log_alpha, log_beta, log_weights, rows)))
        parts = [part.given(row[np.newaxis]) for part, row in zip(self._moments_of_each(), rows, strict=True)]
        nodes = [
            (part.log_alpha[np.newaxis], part.log_beta[np.newaxis], part.log_weights[np.newaxis]) for part in parts
        ]
        means = [_mean_theta(*node, row[np.newaxis]) for node, row in zip(nodes, rows, strict=True)]
        return np.asarray(self._shaped(np.concatenate(means)))

    @_weights.far_tails
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
            Also return the effective number of draws that the value is an average over.

        Returns
        -------
        value : float for one group or jointly, (R,) for several; a batch puts B in front
        ess : of the same shape, only with ``return_ess``
            Kish's effective number of draws once they are weighted by the probability of the new groups; the
            autocorrelation of a chain comes on top. Below about 100 the value tends to be too low, by a little or by
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

        From draws it is an average over draws that were made for the old data: good where the new groups look like
        them, and for single groups in most cases. Many groups scored jointly, or groups far from the data, have their
        posterior where there are few draws or none; the effective number shows it, except for a region that no draw
        has reached. Then subtract evidences: `exact_posterior` for two categories, or ``log_evidence`` of
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
        array = _validate.counts(new_counts, name="new_counts", ndim=(1, 2))
        rows = self._integer_rows(np.atleast_2d(array), "new_counts")
        if self.moments is None:
            value, ess = self._average_pmf(rows, jointly, coefficient)
            _warn_of_reweighting(ess, self.n_chains * self.n_draws, "new_counts")
        else:
            value = self._evidence_ratio(rows, jointly, coefficient)
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
            Where the posterior does not know its counts.
        """
        rows = self._data().astype(np.int64, copy=False).reshape(self._datasets.size, -1, self.n_categories)
        result = self._log_pmf(self._flat_alpha(), self._flat_beta(), rows, coefficient)
        return result.reshape(*self.log_alpha.shape, rows.shape[1])

    @_weights.far_tails
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
            totals = np.full(
                self._datasets.size,
                _validate.positive_int(total, "total", minimum=0, maximum=_validate.MAX_COUNT),
                dtype=np.int64,
            )
        elif group is None and counts is None:
            raise ValueError("total must be given for a new group: how many are drawn from it")
        else:
            totals = rows.sum(axis=-1)
        log_theta = self.log_theta(group, counts=counts).reshape(self._flat_beta().shape)
        out = np.empty(log_theta.shape, dtype=np.int64)
        _core.draw_predictive_counts(log_theta, totals, self._key, code, self._datasets, out, _validate.threads(None))
        return out.reshape(self.log_beta.shape)

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

    def _average_pmf(self, rows: NDArray[np.int64], jointly: bool, coefficient: bool) -> tuple[Floats, Floats]:
        """log predictive and effective number of draws, (B,) jointly or (B, R), by averages over the draws."""
        log_alpha, log_beta, log_weights = self._nodes()
        stacked = np.broadcast_to(rows, (log_alpha.shape[0], *rows.shape))
        total = np.zeros(log_alpha.shape)
        value, ess = np.empty((2, *stacked.shape[:2]))
        for chunk in _chunks(rows.shape[0], log_alpha.shape[1]):
            log_pmf = self._log_pmf(log_alpha, log_beta, stacked[:, chunk], coefficient)
            if jointly:
                total += log_pmf.sum(axis=-1)
            else:
                value[:, chunk], ess[:, chunk] = _weights.log_mean_exp(log_pmf, log_weights)
        return _weights.log_mean_exp(total, log_weights) if jointly else (value, ess)

    def _evidence_ratio(self, rows: NDArray[np.int64], jointly: bool, coefficient: bool) -> Floats:
        """log predictive, (B,) jointly or (B, R), by quadratures of the data with the new groups."""
        moments = self._moments_of_each()
        if jointly:
            return np.array([part.log_predictive(rows, coefficient=coefficient) for part in moments])
        different, places = np.unique(rows, axis=0, return_inverse=True)
        values = [
            [part.log_predictive(row[np.newaxis], coefficient=coefficient) for row in different] for part in moments
        ]
        return np.array(values)[:, places.ravel()]

    def _moments_of_each(self) -> list[DatasetMoments]:
        """The quadrature of each dataset."""
        if not self._batch:
            return [cast(DatasetMoments, self.moments)]
        return [cast(BatchMoments, self.moments)[b] for b in range(len(self))]

    def _reweighted(
        self, log_alpha: Floats, log_beta: Floats, log_weights: Floats | None, rows: NDArray[np.int64]
    ) -> Floats:
        """Weights of the draws once a further group has been seen."""
        log_pmf = self._log_pmf(log_alpha, log_beta, rows[:, np.newaxis], False)[..., 0]
        weighted = log_pmf if log_weights is None else log_pmf + log_weights
        if (weighted.max(axis=1) == -np.inf).any():
            raise ValueError("counts has probability zero under every draw: it holds a category of which beta is 0")
        result = _weights.normalise(weighted)
        _warn_of_reweighting(_weights.effective_size(result), result.shape[1], "counts")
        return result

    def _conditioned(self, rows: NDArray[np.int64], code: int) -> tuple[Floats, Floats]:
        """(alpha, beta) (B, S), (B, S, K) as they are once a further group has been seen.

        Draws are resampled; of an exact posterior they are drawn anew.
        """
        log_alpha, log_beta, log_weights = self._flat_alpha(), self._flat_beta(), self._flat_weights()
        generators = [np.random.default_rng([*self._key.tolist(), code, int(dataset)]) for dataset in self._datasets]
        size = log_alpha.shape[1]
        if self.moments is not None:
            drawn = [
                part.given(row[np.newaxis]).draw(size, generator)
                for part, row, generator in zip(self._moments_of_each(), rows, generators, strict=True)
            ]
            return np.stack([t for t, _ in drawn]), np.stack([v for _, v in drawn])
        target = np.exp(self._reweighted(log_alpha, log_beta, log_weights, rows))
        weights = np.full_like(target, 1.0 / size) if log_weights is None else np.exp(log_weights)
        log_alpha, log_beta = log_alpha.copy(), log_beta.copy()
        for b, generator in enumerate(generators):
            picked = _weights.resample(weights[b], target[b], np.asarray(generator.random(size)))
            log_alpha[b], log_beta[b] = log_alpha[b, picked], log_beta[b, picked]
        return log_alpha, log_beta


def _mean_theta(log_alpha: Floats, log_beta: Floats, log_weights: Floats | None, rows: NDArray[np.int64]) -> Floats:
    """E[(alpha beta + x) / (alpha + M)] (B, K) over nodes or draws (B, S), of rows x (B, K)."""
    totals = rows.sum(axis=-1)[:, np.newaxis]
    with np.errstate(divide="ignore"):
        # the share of the prior, alpha / (alpha + M), from log alpha: right from 1e-300 to 1e300
        share = 1.0 / (1.0 + np.exp(np.log(totals) - log_alpha))
        observed = rows / np.maximum(totals, 1)
    theta = share[..., np.newaxis] * np.exp(log_beta)
    theta += (1.0 - share)[..., np.newaxis] * observed[:, np.newaxis]
    return _weights.average(theta, log_weights)


def _warn_of_reweighting(ess: Floats, n_draws: int, name: str) -> None:
    """ConvergenceWarning where the draws that a further group leaves are few."""
    few = ess < _MIN_ESS
    if few.any():
        where = f" (fewest of {int(few.sum())} such values)" if ess.size > 1 else ""
        errors.warn(
            f"{name} leaves {ess.min():.1f} effective draws of {n_draws}{where}: the draws were made for the old data. "
            "Ask for more n_draws, or infer again from old and new groups together.",
            errors.ConvergenceWarning,
        )


def _chunks(n: int, n_draws: int) -> Iterator[slice]:
    """Slices of n rows whose table against the draws stays below 32 MB."""
    size = max(1, 4_000_000 // n_draws)
    return (slice(begin, begin + size) for begin in range(0, n, size))
