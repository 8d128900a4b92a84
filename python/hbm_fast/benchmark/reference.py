"""The posterior that methods of inference are compared with, and the effective number of their draws."""

from functools import partial

import numpy as np

from hbm_fast._typing import Counts, Floats
from hbm_fast.benchmark.methods import Draws
from hbm_fast.calibration import ks_distance
from hbm_fast.exact import exact_posterior
from hbm_fast.models import HierarchicalModel
from hbm_fast.posterior.diagnostics import convergence
from hbm_fast.quadrature import Quadrature
from hbm_fast.sampling import sample

_LONG_RUN = 25_000  # draws of each of four chains, where there is no quadrature


class ReferencePosterior:
    """Exact marginals of some datasets: by quadrature for two categories, by a long run of MCMC otherwise."""

    def __init__(self, model: HierarchicalModel, counts: Counts, threads: int) -> None:
        self.n, k = len(counts), model.n_categories
        self.exact = k == 2
        self.description = "quadrature" if self.exact else f"4 chains of {_LONG_RUN:,} draws of hbm.sample (Gibbs)"
        if self.exact:
            self._quadratures = [exact_posterior(table, model, n_draws=1) for table in counts]
            moments = [(float(p.mean("log_alpha")), float(p.sd("log_alpha"))) for p in self._quadratures]
        else:
            chains = sample(counts, model, method="gibbs", n_draws=_LONG_RUN, n_chains=4, rng=2**31, n_threads=threads)
            self._log_alpha = np.sort(chains.log_alpha.reshape(self.n, -1), axis=1)
            self._log_beta = np.sort(chains.log_beta.reshape(self.n, -1, k), axis=1)
            moments = [(float(row.mean()), float(row.std())) for row in self._log_alpha]
        self._mean, self._sd = np.array(moments).T

    def compare(self, draws: Draws) -> dict[str, float]:
        """Means over the first datasets: Kolmogorov-Smirnov distances, and the error of E[log alpha]."""
        ks_log_alpha, ks_beta, error = [], [], []
        for b in range(min(self.n, len(draws.log_alpha))):
            log_alpha, log_beta, weights = draws.log_alpha[b], draws.log_beta[b], draws.weights[b]
            error.append(abs(float(weights @ log_alpha) - self._mean[b]) / self._sd[b])
            if self.exact:
                quadrature = self._quadratures[b].moments
                assert isinstance(quadrature, Quadrature)
                # the logit has the order of beta and tells apart what rounds to a beta of 0 or 1
                logit = log_beta[:, 1] - log_beta[:, 0]
                ks_log_alpha.append(ks_distance(log_alpha, weights, partial(quadrature.cdf, "log_alpha")))
                ks_beta.append(ks_distance(logit, weights, partial(quadrature.cdf, "logit_beta")))
            else:
                ks_log_alpha.append(_ks_sample(log_alpha, weights, self._log_alpha[b]))
                columns = zip(log_beta.T, self._log_beta[b].T, strict=True)
                ks_beta.append(max(_ks_sample(values, weights, reference) for values, reference in columns))
        return {
            "ks_log_alpha": float(np.mean(ks_log_alpha)),
            "ks_beta": float(np.mean(ks_beta)),  # with more than two categories that of the worst
            "error_log_alpha": float(np.mean(error)),
        }


def _ks_sample(values: Floats, weights: Floats, reference: Floats) -> float:
    """Kolmogorov-Smirnov distance of weighted draws to a sorted sample."""
    return ks_distance(values, weights, lambda x: np.searchsorted(reference, x, side="right") / reference.size)


def effective_draws(draws: Draws) -> float:
    """Mean over datasets: the smallest bulk ESS of a chain, and of weights 1 / sum of squares."""
    sizes = 1.0 / (draws.weights**2).sum(axis=1)
    shown = slice(1, 21) if draws.log_beta.shape[-1] == 2 else slice(20)
    for b in np.flatnonzero(draws.chain):
        columns = np.column_stack([draws.log_alpha[b], np.exp(draws.log_beta[b, :, shown])])
        sizes[b] = float(np.nanmin(convergence(columns[np.newaxis])[1]))
    return float(sizes.mean())
