"""The half of ``Posterior`` that speaks of groups: their theta, what comes next, how probable new ones are."""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _core, _validate
from hbm_fast import _posterior_weights as _weights
from hbm_fast._posterior_draws import Draws, Floats

Group = int | str | None

_NEW_GROUP = 2**64 - 1  # the stream of a group of which nothing was drawn


class GroupsOfDraws(Draws):
    """theta and predictions; expectations by the quadrature's nodes where there are any, else by the draws."""

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


def _chunks(n: int, n_draws: int) -> Iterator[slice]:
    """Slices of n rows whose table against the draws stays below 32 MB."""
    size = max(1, 4_000_000 // n_draws)
    return (slice(begin, begin + size) for begin in range(0, n, size))
