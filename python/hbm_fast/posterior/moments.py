"""The half of ``Posterior`` that summarises alpha and beta."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hbm_fast import _validate
from hbm_fast import _weighted as _weights
from hbm_fast._typing import Floats
from hbm_fast.posterior import diagnostics
from hbm_fast.posterior import summary as _summary
from hbm_fast.posterior.draws import Draws
from hbm_fast.posterior.summary import Summary


class SummarisedDraws(Draws):
    """Means, quantiles, diagnostics."""

    @_weights.far_tails
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

    @_weights.far_tails
    def sd(self, name: str) -> Any:
        """Posterior standard deviation; names and shapes as in ``mean``."""
        values, log_weights = self._values(name)
        if self.moments is not None:
            return self.moments.sd(name)[()]
        centred = values - _weights.average(values, log_weights)[:, np.newaxis]
        return self._shaped(np.sqrt(_weights.average(centred**2, log_weights)))

    @_weights.far_tails
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
        _validate.parameter(name)
        if self.log_weights is not None:
            raise ValueError("weighted draws are no chains: see summary() for their effective number")
        values = getattr(self, name)
        return diagnostics.diagnostics(np.moveaxis(values, 0, 2) if self._batch else values)

    @_weights.far_tails
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
            Draws of one dataset by ``hbm.sample`` are not complained of again: it has warned itself.

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
        columns |= {f"{100 * q:g}%": column(partial(self.quantile, q=q)) for q in levels.ravel()}
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
        found = diagnostics.diagnostics(draws)
        if not self._checked:
            _summary.warn_of_chains(names, found, self.n_chains)
        return Summary(names, columns | found, note)

    @_weights.far_tails
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

    def _weighted_error(self, name: str, weights: Floats) -> Floats:
        """Standard error of a self-normalised weighted mean."""
        values = getattr(self, name)
        weights = weights.reshape(weights.shape + (1,) * (values.ndim - 2))
        return np.asarray(np.sqrt((weights**2 * (values - self.mean(name)) ** 2).sum(axis=(0, 1))))
