"""A simulator with the interface of BayesFlow 2: an object with ``sample``, for ``OnlineDataset`` and workflows."""

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm_fast import _random, _validate, simulation
from hbm_fast._typing import Key, RNGLike
from hbm_fast.models import HierarchicalModel, check_hierarchical

__all__ = ["Simulator"]


class Simulator:
    """Consecutive simulated datasets, as a dict of float32 arrays.

    Every call returns the next datasets; calls from several threads never return the same one.

    Parameters
    ----------
    model : HierarchicalModel
    n_groups, totals : int or (low, high)
        As in `hbm_fast.simulate`.
    rng : None, int, SeedSequence, BitGenerator, Generator, or a key
    theta : bool, default False
        Whether to return ``theta`` and ``log_theta``.
    statistics : bool, default False
        Whether to return ``statistics``: see `hbm_fast.sufficient_statistics.exceedance_counts`.
    n_threads : int, optional

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> from hbm_fast.integrations.bayesflow import Simulator
    >>> simulator = Simulator(hbm.HierarchicalModel(2), n_groups=21, totals=20, rng=0)
    >>> {name: value.shape for name, value in simulator.sample(8).items()}  # doctest: +NORMALIZE_WHITESPACE
    {'alpha': (8, 1), 'log_alpha': (8, 1), 'beta': (8, 2), 'log_beta': (8, 2), 'n_groups': (8, 1),
     'counts': (8, 21, 2)}
    """

    def __init__(
        self,
        model: HierarchicalModel,
        *,
        n_groups: int | tuple[int, int],
        totals: int | tuple[int, int],
        rng: RNGLike | Key = None,
        theta: bool = False,
        statistics: bool = False,
        n_threads: int | None = 1,
    ) -> None:
        check_hierarchical(model, "Simulator")
        self.model = model
        self._key = _random.key(rng)
        self._settings: dict[str, Any] = {
            "n_groups": n_groups,
            "totals": totals,
            "theta": theta,
            "statistics": statistics,
            "n_threads": n_threads,
        }
        self._next = 0
        self._lock = threading.Lock()

    def sample(
        self,
        batch_shape: int | tuple[int, ...] | None = None,
        *,
        batch_size: int | None = None,
        sample_shape: int | tuple[int, ...] | None = None,
        **kwargs: Any,
    ) -> dict[str, NDArray[np.float32]]:
        """The next datasets: scalars as (..., 1), groups as (..., N, K).

        Parameters
        ----------
        batch_shape : int or tuple
            Number of datasets, or the shape of the batch; ``batch_size`` is its other name.
        sample_shape, **kwargs
            Not used: BayesFlow passes them to the simulators that it builds.

        Raises
        ------
        TypeError, ValueError
            For an invalid shape, or both names at once.
        """
        shape = batch_size if batch_shape is None else batch_shape
        if shape is None or (batch_shape is not None and batch_size is not None):
            raise TypeError("sample needs batch_shape or batch_size, one of them")
        sizes = shape if isinstance(shape, tuple | list) else (shape,)
        sizes = tuple(_validate.positive_int(size, "batch_shape", minimum=0) for size in sizes)
        n = math.prod(sizes)
        with self._lock:
            first = self._next
            self._next += n
        sims = simulation.simulate(self.model, n, rng=self._key, first=first, **self._settings)
        arrays = {
            "alpha": sims.alpha[:, None],
            "log_alpha": sims.log_alpha[:, None],
            "beta": sims.beta,
            "log_beta": sims.log_beta,
            "n_groups": sims.n_groups[:, None],
            "counts": sims.counts,
            "theta": sims.theta,
            "log_theta": sims.log_theta,
            "statistics": sims.statistics,
        }
        return {
            name: array.astype(np.float32).reshape(*sizes, *array.shape[1:])
            for name, array in arrays.items()
            if array is not None
        }
