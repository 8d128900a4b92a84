"""The evidence of draws of (alpha, beta): bridge sampling with proposals that are fitted to half of them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm_fast._typing import Floats, Key
from hbm_fast.models import HierarchicalModel, MixtureModel
from hbm_fast.posterior import MixturePosterior, diagnostics
from hbm_fast.priors import DirichletProcess
from hbm_fast.sampling import bridge, mixture_bridge
from hbm_fast.sampling.mixture_bridge import ClusterProposal, MixtureLikelihood, MixturePoints, MixtureProposal, Target
from hbm_fast.sampling.proposals import Points, log_sum_exp
from hbm_fast.sufficient_statistics import SufficientStatistics

_FEWEST_OF_CHAIN = 8
_SMALL = 0.05  # error of a mixture below which nothing more is tried
_MANY_CATEGORIES = 20  # of fewer, proposals of clusters are no nearer to the posterior
_R_HAT = 1.05  # of the log density; above it the chains are looked at one by one
_NEGLIGIBLE = 10.0  # nats
_STREAM = 3  # of the proposals
# Below this a concentration acts by its logarithm alone, above it not at all.
_LEAST, _LARGEST = -600.0, 600.0


class ComponentLikelihood:
    """log p(counts | alpha, beta) of one component, multinomial coefficients included, for points (S,)."""

    def __init__(self, statistics: SufficientStatistics) -> None:
        self._statistics = statistics
        columns = [statistics._core.pairs(k) for k in range(statistics.n_categories + 1)]
        # groups with counts in each category, and in any
        self._n_with = np.array([float(times[values > 0].sum()) for values, times in columns])

    def __call__(self, points: Points) -> Floats:
        log_a = points.log_alpha[:, np.newaxis] + points.log_beta
        near = np.clip(log_a, _LEAST, _LARGEST)
        value = np.asarray(self._statistics.log_likelihood(np.exp(near)))
        small = np.flatnonzero((log_a < _LEAST).any(axis=1))
        if len(small):  # log (a)_x is log a and a constant there
            near, log_a = near[small], log_a[small]
            below = np.minimum(points.log_alpha[small], _LARGEST) - log_sum_exp(near, axis=-1)
            value[small] += np.minimum(log_a - near, 0.0) @ self._n_with[:-1]
            value[small] -= np.minimum(below, 0.0) * self._n_with[-1]
        return value

    def of_mixture(self, points: MixturePoints) -> Floats:
        """Of points of a mixture of this component alone."""
        return self(points.components[:, 0])


def refuse_multinomial(model: MixtureModel) -> None:
    """Raise for a mixture whose components are multinomials."""
    if model.is_multinomial:
        raise ValueError(
            "the evidence of a mixture of multinomials (alpha=math.inf) is not offered; pass a finite alpha, or a prior"
        )


def check_draws(n_chains: int, n_draws: int, model: HierarchicalModel | MixtureModel) -> None:
    """Refuse, before the draws, what gives no evidence."""
    if n_chains * n_draws < bridge.FEWEST_DRAWS or n_draws < _FEWEST_OF_CHAIN:
        raise ValueError(
            f"evidence=True needs {bridge.FEWEST_DRAWS} draws in all and {_FEWEST_OF_CHAIN} of each chain; "
            f"got n_chains={n_chains} and n_draws={n_draws}"
        )
    if isinstance(model, HierarchicalModel):
        return
    refuse_multinomial(model)
    if isinstance(model.n_components, DirichletProcess):
        raise ValueError(
            "evidence=True needs a fixed number of components; of a Dirichlet process hbm.log_evidence sums over all "
            "partitions of at most ten groups"
        )
    if model.n_components > mixture_bridge.MOST_COMPONENTS:
        raise ValueError(
            f"bridge sampling sums over the labellings of at most {mixture_bridge.MOST_COMPONENTS} components; "
            f"got n_components={model.n_components}"
        )


def of_datasets(
    statistics: Sequence[SufficientStatistics],
    model: HierarchicalModel,
    log_alpha: Floats,
    log_beta: Floats,
    log_c: Floats | None,
    key: Key,
) -> tuple[Floats, Floats]:
    """log evidence of each of B datasets and its standard error, multinomial coefficients included.

    Parameters
    ----------
    statistics : sequence of B SufficientStatistics
    model : HierarchicalModel
    log_alpha, log_beta, log_c : (B, C, D), (B, C, D, K), (B, C, D) or None
        Draws; without B for one dataset.
    key : (2,) uint64
    """
    n_chains, n_draws = log_alpha.shape[-2:]
    shape = (len(statistics), n_chains, n_draws, 1)
    points = MixturePoints(
        Points(
            log_alpha.reshape(shape),
            log_beta.reshape(*shape, model.n_categories),
            None if log_c is None else log_c.reshape(shape),
        ),
        np.zeros(shape),
    )
    chains = np.arange(n_chains)
    found = [
        _Bridges(ComponentLikelihood(one).of_mixture, model, 1.0, points[b], [*key.tolist(), b]).estimate(chains)
        for b, one in enumerate(statistics)
    ]
    values, errors = np.array(found).T
    return values, errors


def of_mixture(post: MixturePosterior) -> tuple[float, float]:
    """The same of a mixture of a fixed number of components, all labellings in the sum.

    Where the error is large, chains whose own evidence is smaller by more than ten nats are left out, which changes the
    evidence by less than 0.0001 each, and the proposals are fitted to clusters of draws.
    """
    order = np.argsort(post.columns, axis=1).reshape(post.log_alpha.shape)

    def numbered(values: Any) -> Any:
        return np.take_along_axis(values, order.reshape(*order.shape, *(1,) * (values.ndim - 3)), axis=2)

    log_c = None if post.beta_concentration is None else np.log(post.beta_concentration)
    components = Points(post.log_alpha, post.log_beta, log_c).map(numbered)
    points = MixturePoints(components, numbered(post.log_weights))
    model, weights = post.model.component, post.model.weights
    bridges = _Bridges(MixtureLikelihood(post.counts), model, weights, points, post.key.tolist())
    chains = np.arange(post.n_chains)
    value, error = bridges.estimate(chains)
    if error <= _SMALL or model.n_categories < _MANY_CATEGORIES or post.model.n_components == 1:
        return value, error
    if post.n_chains > 1 and bridges.differ():
        each = np.array([bridges.estimate(chains[c : c + 1]) for c in chains])
        best = each[:, 0].argmax()
        far = each[best, 0] - each[:, 0] - 3.0 * np.hypot(each[best, 1], each[:, 1]) > _NEGLIGIBLE
        chains = chains[~far]
    half = post.n_draws // 2
    labels = np.take_along_axis(np.argsort(order, axis=2), post.labels.astype(np.intp), axis=2)
    labels = labels[chains, :half].reshape(-1, labels.shape[2])
    return bridges.estimate(chains, labels)


class _Bridges:
    """Bridges from draws (C, D, J) whose components are numbered alike: half fit the proposals, half are compared."""

    def __init__(
        self,
        likelihood: Callable[[MixturePoints], Floats],
        model: HierarchicalModel,
        weights: float,
        points: MixturePoints,
        key: list[int],
    ) -> None:
        self._model, self._weights = model, weights
        self._target = Target(likelihood, model, weights)
        n_chains, n_draws = points.log_weights.shape[:2]
        self._first, self._second = points[:, : n_draws // 2], points[:, n_draws // 2 :]
        self._of_draws = self._target(_joined(self._second)).reshape(n_chains, -1)
        self._rng = np.random.default_rng([*key, _STREAM])

    def differ(self) -> bool:
        """Whether the chains' log densities do."""
        return bool(diagnostics.convergence(self._of_draws[..., np.newaxis])[0][0] > _R_HAT)

    def estimate(self, chains: NDArray[np.intp], labels: NDArray[Any] | None = None) -> tuple[float, float]:
        """Of some chains; with the labels of their first halves by clusters of draws."""
        fitted = _joined(self._first[chains])
        if labels is None:
            proposal: MixtureProposal | ClusterProposal = MixtureProposal(self._model, self._weights, fitted)
        else:
            proposal = ClusterProposal(self._model, self._weights, fitted, labels, self._rng)
        draws = _joined(self._second[chains])
        return mixture_bridge.estimate(self._target, proposal, draws, self._of_draws[chains], self._rng)


def _joined(points: MixturePoints) -> MixturePoints:
    """Chains one after the other."""

    def flat(values: Any) -> Any:
        return values.reshape(-1, *values.shape[2:])

    return MixturePoints(points.components.map(flat), flat(points.log_weights))
