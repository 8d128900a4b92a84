"""Posterior: what sample, exact_posterior and a trained network all return."""

from collections.abc import Callable, Iterator
from functools import partial
from os import PathLike
from typing import Any, Self, cast

import numpy as np

from hbm_fast._typing import Floats
from hbm_fast.posterior.draws import BatchMoments, Moments
from hbm_fast.posterior.predictive import Group, GroupsOfDraws
from hbm_fast.posterior.moments import SummarisedDraws
from hbm_fast.posterior.summary import Summary


class Posterior(SummarisedDraws, GroupsOfDraws):
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
    category_names, group_names : sequence of str or int, optional
        Different names; whole numbers become str. They can be assigned later too.
    latent : mapping of arrays (C, D, ...) or (B, C, D, ...), optional
        What else was drawn with each (alpha, beta), such as the z of an embedding; kept by indexing, `save` and
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

    def __getitem__(self, index: int) -> Self:
        """The posterior of one dataset of a batch, with the same draws of everything."""
        n = len(self)
        if not -n <= index < n:
            raise IndexError(f"index must be below B = {n}; got {index}")
        b = index % n
        hook = self._theta_draws
        result = type(self)(
            self.log_alpha[b],
            self.log_beta[b],
            model=self.model,
            counts=None if self.counts is None else self.counts[b],
            log_weights=None if self.log_weights is None else self.log_weights[b],
            log_evidence=None if self.log_evidence is None else np.asarray(self.log_evidence)[b],
            log_evidence_error=None if self.log_evidence_error is None else np.asarray(self.log_evidence_error)[b],
            method=str(self.details["method"][b]) if self.method == "mixed" else self.method,
            details={name: _pick(value, n, b) for name, value in self.details.items()},
            key=self._key,
            sample_stats={name: value[b] for name, value in self.sample_stats.items()},
            moments=None if self.moments is None else cast(BatchMoments, self.moments)[b],
            theta_draws=None if hook is None else partial(_theta_of_dataset, hook, b),
            category_names=self.category_names,
            group_names=self.group_names,
            latent={name: value[b] for name, value in self.latent.items()},
        )
        result._datasets = self._datasets[b : b + 1]
        return result

    def __iter__(self) -> Iterator[Self]:
        return (self[b] for b in range(len(self)))

    def to_arviz(self, *, log_likelihood: bool = False, theta: bool = False, posterior_predictive: bool = False) -> Any:
        """An ``xarray.DataTree`` for ArviZ: posterior, observed data, sample stats, named by the user's names.

        ArviZ knows no weights: draws that carry some are drawn again in proportion to them, with repeats.

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
        from hbm_fast.posterior import netcdf as arviz

        return arviz.to_datatree(
            self, log_likelihood=log_likelihood, theta=theta, posterior_predictive=posterior_predictive
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write to a netCDF file; ``load`` of the same class gives back the same draws of everything.

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
        from hbm_fast.posterior import netcdf as arviz

        arviz.save(self, path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read what ``save`` of this class wrote.

        Raises
        ------
        ImportError
            Without the extra ``report``.
        OSError
            If the file cannot be read.
        ValueError
            For a damaged file (its checksum is compared), one of another origin, or one of another class of posteriors
            (the message names what reads it); the message begins with the file's name.
        """
        from hbm_fast.posterior import netcdf as arviz

        return arviz.load(path, cls)


def _theta_of_dataset(theta_draws: Callable[[int], Floats], b: int, group: int) -> Floats:
    """log theta of a group of dataset b, from what gives it for a batch; a function, so that posteriors pickle."""
    result: Floats = theta_draws(group)[b]
    return result


def _pick(value: Any, n: int, b: int) -> Any:
    """A detail of one dataset, where the batch has one each."""
    return value[b] if isinstance(value, np.ndarray) and value.ndim and value.shape[0] == n else value


__all__ = ["Group", "Moments", "Posterior", "Summary"]
