"""Simulated datasets from a model: an endless, reproducible stream."""

from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from hbm_fast import _validate
from hbm_fast._typing import Key, RNGLike
from hbm_fast.models import HierarchicalModel, MixtureModel, PopulationModel, RegressionModel
from hbm_fast.simulation.hierarchical import Simulation, simulate_hierarchical
from hbm_fast.simulation.mixture import MixtureSimulation, simulate_mixture
from hbm_fast.simulation.regression import RegressionSimulation, simulate_regression

# Version 0.1.0 has the function in this module.
from hbm_fast.sufficient_statistics import exceedance_counts as exceedance_counts


@overload
def simulate(
    model: HierarchicalModel | PopulationModel,
    n_datasets: int,
    *,
    n_groups: int | tuple[int, int] | ArrayLike,
    totals: int | tuple[int, int] | ArrayLike,
    rng: RNGLike | Key = None,
    first: int = 0,
    alpha: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    theta: bool = True,
    log_theta: bool | None = None,
    counts: bool = True,
    statistics: bool | NDArray[np.float32] = False,
    dtype: DTypeLike = np.int32,
    out: Simulation | None = None,
    n_threads: int | None = None,
) -> Simulation: ...
@overload
def simulate(
    model: MixtureModel,
    n_datasets: int,
    *,
    n_groups: int | tuple[int, int] | ArrayLike,
    totals: int | tuple[int, int] | ArrayLike,
    rng: RNGLike | Key = None,
    first: int = 0,
    theta: bool = True,
    counts: bool = True,
    dtype: DTypeLike = np.int32,
    n_threads: int | None = None,
) -> MixtureSimulation: ...
@overload
def simulate(
    model: RegressionModel,
    n_datasets: int,
    *,
    totals: int | tuple[int, int] | ArrayLike,
    n_groups: int | None = None,
    rng: RNGLike | Key = None,
    first: int = 0,
    dtype: DTypeLike = np.int32,
    n_threads: int | None = None,
    data: Any = None,
    design: ArrayLike | None = None,
    precision_design: ArrayLike | None = None,
    coefficients: ArrayLike | None = None,
    precision_coefficients: ArrayLike | None = None,
    random_scale: ArrayLike | None = None,
) -> RegressionSimulation: ...
def simulate(
    model: HierarchicalModel | MixtureModel | PopulationModel | RegressionModel,
    n_datasets: int,
    *,
    n_groups: int | tuple[int, int] | ArrayLike | None = None,
    totals: int | tuple[int, int] | ArrayLike,
    rng: RNGLike | Key = None,
    first: int = 0,
    alpha: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    theta: bool = True,
    log_theta: bool | None = None,
    counts: bool = True,
    statistics: bool | NDArray[np.float32] = False,
    dtype: DTypeLike = np.int32,
    out: Simulation | None = None,
    n_threads: int | None = None,
    **options: Any,
) -> Simulation | MixtureSimulation | RegressionSimulation:
    """Simulate datasets: alpha, beta (and its concentration, if learned), and theta and counts of every group.

    Parameters
    ----------
    model : HierarchicalModel, MixtureModel, RegressionModel or PopulationModel
        The priors, K categories. Of a mixture alpha and beta of each component, and the label of each group. The
        datasets of a PopulationModel come from one population, that of the key.
    n_datasets : int
        B.
    n_groups : int, (low, high) or array_like (B,)
        Groups of each dataset: fixed, uniform on an inclusive range (a tuple), or given (a list or an array). The
        arrays have N rows, the largest possible number; rows after ``n_groups[b]`` are zero. With a RegressionModel the
        rows of the covariates.
    totals : int, (low, high) or array_like (N,) or (B, N)
        Draws from each group, at most 2,000,000,000: fixed, uniform on an inclusive range, or given.
    rng : None, int, SeedSequence, BitGenerator, Generator, or a key
        Seed of the random stream, or a ``Simulation.key``, which continues its stream.
    first : int, default 0
        Index of the first dataset, at most 2**64 - n_datasets. The bits of dataset i, group n depend only on (key, i,
        n) and the settings.
    alpha, beta : array_like, optional
        Hyperparameters to condition on, () or (B,), and (K,) or (B, K) with rows that sum to one, as in posterior
        predictive checks.
    theta : bool, default True
        Whether to return ``theta``; this does not change the other arrays.
    log_theta : bool, optional
        Whether to return ``log_theta``; by default as ``theta``.
    counts : bool, default True
        Whether to return the counts.
    statistics : bool or ndarray (B, K + 1, J) float32, default False
        Whether to return the exceedance counts of each dataset (J is the largest possible total), or the buffer for
        them (J at least that).
    dtype : dtype, default int32
        Integer type of the counts.
    out : Simulation, optional
        An earlier result of the same shapes and dtypes, whose arrays are overwritten.
    n_threads : int, optional
        The results do not depend on it.
    data : data frame, optional
        With a RegressionModel: the covariates of its formulas and its subjects, one row a group.
    design, precision_design : array_like (N, P), (N, Q), optional
        With a RegressionModel: columns in place of the formulas.
    coefficients, precision_coefficients, random_scale : array_like, optional
        With a RegressionModel: parameters to condition on, of shapes (P, K), (Q,), (K,), or with B in front. Those that
        are not given are drawn from their priors.

    Returns
    -------
    Simulation, MixtureSimulation for a MixtureModel, or RegressionSimulation for a RegressionModel

    Raises
    ------
    TypeError, ValueError
        For anything else, where totals do not fit in ``dtype``, and for ``alpha``, ``beta``, ``log_theta``,
        ``statistics`` or ``out`` with a MixtureModel.

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> model = hbm.HierarchicalModel(2)
    >>> sims = hbm.simulate(model, 1000, n_groups=21, totals=20, rng=0)
    >>> sims.counts.shape, int(sims.counts[7].sum())
    ((1000, 21, 2), 420)
    >>> later = hbm.simulate(model, 100, n_groups=21, totals=20, rng=0, first=900)
    >>> bool((later.counts == sims.counts[900:]).all())
    True
    """
    if not isinstance(model, HierarchicalModel | MixtureModel | PopulationModel | RegressionModel):
        raise TypeError(
            "model must be a HierarchicalModel, a MixtureModel, a PopulationModel or a RegressionModel; got "
            f"{model!r:.100}"
        )
    own = {"alpha": alpha, "beta": beta, "log_theta": log_theta, "statistics": statistics, "out": out}
    given = [name for name, value in own.items() if value is not None and value is not False]
    common: dict[str, Any] = {
        "n_groups": n_groups,
        "totals": totals,
        "rng": rng,
        "first": first,
        "dtype": dtype,
        "n_threads": n_threads,
    }
    if isinstance(model, RegressionModel):
        given += [name for name, value in (("theta", theta), ("counts", counts)) if not value]
        _refuse(given, model)
        return simulate_regression(model, n_datasets, **common, **options)
    _validate.keywords(options, (), f"simulate with a {type(model).__name__}")
    if n_groups is None:
        raise TypeError("simulate needs n_groups, the number of groups of each dataset")
    common |= {"theta": theta, "counts": counts}
    if isinstance(model, MixtureModel):
        _refuse(given, model)
        return simulate_mixture(model, n_datasets, **common)
    return simulate_hierarchical(model, n_datasets, **common, **own)  # type: ignore[arg-type]


def _refuse(names: list[str], model: Any) -> None:
    """Raise for arguments of the hierarchical model."""
    if names:
        raise ValueError(f"simulate takes {names[0]} with a HierarchicalModel only; leave it out for {model!r}")


__all__ = ["MixtureSimulation", "RegressionSimulation", "Simulation", "simulate"]
