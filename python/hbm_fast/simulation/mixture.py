"""Simulated datasets from a mixture model: `simulate` of each component, and labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hbm_fast import _random, _validate
from hbm_fast._display import Displayed
from hbm_fast._typing import Counts, Floats, Key, RNGLike
from hbm_fast.models import HierarchicalModel, MixtureModel
from hbm_fast.priors import DirichletProcess, Fixed, FixedBeta, Gamma
from hbm_fast.simulation.hierarchical import Simulation, simulate_hierarchical

# Random streams of one dataset: the labels, the weights or the process's concentration, then one for each component.
_LABELS, _WEIGHTS, _COMPONENT = 0, 1, 2


@dataclass(frozen=True, eq=False, repr=False)
class MixtureSimulation(Displayed):
    """Simulated datasets ``first, first + 1, ...`` of a `MixtureModel`; arrays that were not requested are None.

    Attributes
    ----------
    labels : int64 array (B, N)
        Component of each group; -1 in padding. For a Dirichlet process in the order of the components' first groups.
    weights : float64 array (B, J) or None
        None for a Dirichlet process.
    process_concentration : float64 array (B,) or None
        Concentration of the Dirichlet process.
    alpha : float64 array (B, J)
        J is the largest number of components of a dataset, where it is open.
    beta : float64 array (B, J, K)
    theta : float64 array (B, N, K) or None
    counts : integer array (B, N, K) or None
    n_groups : int64 array (B,)
        Number of groups of each dataset; later rows are padding.
    key : uint64 array (2,)
        Pass it as ``rng`` with ``first`` to continue the stream.
    first, stream_version : int
    model : MixtureModel

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> sims = hbm.simulate(hbm.MixtureModel(4, n_components=3), 10, n_groups=21, totals=20, rng=0)
    >>> sims.labels.shape, sims.weights.shape, sims.beta.shape, sims.counts.shape
    ((10, 21), (10, 3), (10, 3, 4), (10, 21, 4))
    """

    labels: NDArray[np.int64]
    weights: Floats | None
    process_concentration: Floats | None
    alpha: Floats
    beta: Floats
    theta: Floats | None
    counts: Counts | None
    n_groups: NDArray[np.int64]
    key: Key
    first: int
    stream_version: int
    model: MixtureModel

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        key = "".join(f"{int(word):016x}" for word in self.key)
        return (
            f"MixtureSimulation({len(self)} datasets, up to {self.labels.shape[1]} groups, K = "
            f"{self.model.n_categories}, {self.alpha.shape[1]} components, first {self.first}, rng key 0x{key})"
        )


def simulate_mixture(
    model: MixtureModel,
    n_datasets: int,
    *,
    n_groups: Any,
    totals: Any,
    rng: RNGLike | Key,
    first: int,
    theta: bool,
    counts: bool,
    dtype: DTypeLike,
    n_threads: int | None,
) -> MixtureSimulation:
    """The datasets; arguments as of `simulate`."""
    n_datasets = _validate.positive_int(n_datasets, "n_datasets", minimum=0)
    key = _random.key(rng)

    def draw(one: HierarchicalModel, stream: int, **options: Any) -> Simulation:
        words = np.random.SeedSequence([*key.tolist(), stream]).generate_state(2, np.uint64).astype(np.uint64)
        settings = {"log_theta": False, "first": first, "n_threads": n_threads, "counts": False, **options}
        return simulate_hierarchical(one, n_datasets, rng=words, **settings)

    even = HierarchicalModel(2, alpha=Fixed(2.0), beta=FixedBeta([0.5, 0.5]))  # theta is uniform
    groups = draw(even, _LABELS, n_groups=n_groups, totals=totals, counts=True)
    assert groups.theta is not None
    assert groups.counts is not None
    uniforms, sizes = groups.theta[..., 0], groups.counts.sum(axis=-1)
    weights = concentration = None
    if isinstance(model.n_components, DirichletProcess):
        prior = model.n_components.concentration
        scale = HierarchicalModel(2, alpha=prior if isinstance(prior, Gamma) else Fixed(prior))
        concentration = draw(scale, _WEIGHTS, n_groups=1, totals=0, theta=False).alpha
        labels = _restaurant(uniforms, concentration)
    else:
        weights = np.ones((n_datasets, 1))
        if (j := model.n_components) > 1:
            dirichlet = HierarchicalModel(j, alpha=Fixed(j * model.weights), beta=FixedBeta(np.full(j, 1.0 / j)))
            drawn = draw(dirichlet, _WEIGHTS, n_groups=1, totals=0).theta
            assert drawn is not None
            weights = drawn[:, 0]
        labels = (uniforms[..., np.newaxis] > np.cumsum(weights, axis=1)[:, np.newaxis, :-1]).sum(axis=-1)
    labels[np.arange(labels.shape[1]) >= groups.n_groups[:, np.newaxis]] = -1
    n_components = labels.max(initial=0) + 1 if weights is None else weights.shape[1]
    shape = (*labels.shape, model.n_categories)
    all_theta = np.zeros(shape) if theta else None
    all_counts = np.zeros(shape, dtype) if counts else None
    alpha, beta = np.empty((n_datasets, n_components)), np.empty((n_datasets, n_components, model.n_categories))
    width = int(groups.n_groups.max(initial=0))  # of a range of n_groups the largest may not occur
    settings = {
        "n_groups": groups.n_groups,
        "totals": sizes[:, :width],
        "theta": theta,
        "counts": counts,
        "dtype": dtype,
    }
    for j in range(n_components if n_datasets else 0):
        part = draw(model.component, _COMPONENT + j, **settings)
        alpha[:, j], beta[:, j] = part.alpha, part.beta
        here = labels[:, :width] == j
        for whole, of_component in ((all_theta, part.theta), (all_counts, part.counts)):
            if whole is not None and of_component is not None:
                whole[:, :width][here] = of_component[here]
    return MixtureSimulation(
        labels=labels,
        weights=weights,
        process_concentration=concentration,
        alpha=alpha,
        beta=beta,
        theta=all_theta,
        counts=all_counts,
        n_groups=groups.n_groups,
        key=key,
        first=first,
        stream_version=groups.stream_version,
        model=model,
    )


def _restaurant(uniforms: Floats, concentration: Floats) -> NDArray[np.int64]:
    """Labels (B, N) of the Chinese restaurant process, one uniform number for each group."""
    labels = np.zeros(uniforms.shape, np.int64)
    members = np.zeros((len(uniforms), uniforms.shape[1] + 1))
    for n, uniform in enumerate(uniforms.T):
        place = (uniform * (n + concentration))[:, np.newaxis]  # beyond the n groups before: a new component
        used = (members > 0.0).sum(axis=1)
        joined = (np.cumsum(members, axis=1) <= place).sum(axis=1)
        labels[:, n] = np.minimum(joined, used)
        members[np.arange(len(labels)), labels[:, n]] += 1.0
    return labels
