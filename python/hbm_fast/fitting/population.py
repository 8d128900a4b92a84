"""Empirical Bayes: the population's parameters at which the marginal likelihood of many datasets is highest."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from hbm_fast import _display, _validate, errors, priors
from hbm_fast._random import key as new_key
from hbm_fast._typing import Floats, RNGLike
from hbm_fast.models import HierarchicalModel, PopulationModel
from hbm_fast.sampling import sample
from hbm_fast.tables.inputs import as_datasets

PopulationOutcome = Literal["maximum", "tau is 0", "kappa is infinite", "tau is 0 and kappa infinite", "unfinished"]

# Beyond these the likelihood hardly depends on tau and kappa, and draws would not resolve mu and m.
_SMALLEST_TAU = 0.05
_LARGEST_KAPPA = 2000.0
_FARTHEST = 1.0  # in log tau and each log(kappa m) between two sets of draws
_DRAWS, _LAST_DRAWS, _CHAINS = 100, 400, 2
_CLOSE = 0.3  # of a change from one set of draws to the next, from where on sets are larger
_CLOSER = 0.1  # of a change, from where on what changes is the noise
_AVERAGED = 8  # sets of draws, once a change is as small


@dataclass(frozen=True, eq=False, repr=False)
class PopulationFit(_display.Displayed):
    """The result of `fit` with a PopulationModel.

    Parameters
    ----------
    model : HierarchicalModel
        The model of one dataset: alpha ~ LogNormal(mu, tau), beta ~ Dirichlet(kappa m). A fixed alpha where tau is 0, a
        fixed beta where kappa is infinite.
    mu, tau, kappa : float
    m : float64 array (K,)
    outcome : str
        ``"maximum"``, ``"tau is 0"``, ``"kappa is infinite"``, ``"tau is 0 and kappa infinite"`` or ``"unfinished"``.
    n_datasets, n_iterations : int
    category_names : tuple of str (K,) or None

    Examples
    --------
    >>> import hbm_fast as hbm
    >>> truth = hbm.HierarchicalModel(2, alpha=hbm.priors.LogNormal(0, 0.5), beta=[2, 2])
    >>> sims = hbm.simulate(truth, 30, n_groups=10, totals=20, rng=1)
    >>> found = hbm.fit(sims.counts, hbm.PopulationModel(2), rng=1)
    >>> found.outcome, found.model.n_categories
    ('maximum', 2)
    """

    model: HierarchicalModel
    mu: float
    tau: float
    kappa: float
    m: Floats
    outcome: PopulationOutcome
    n_datasets: int
    n_iterations: int
    category_names: tuple[str, ...] | None = None

    @property
    def converged(self) -> bool:
        """Whether a maximum was found, at a finite tau and kappa or at their limits."""
        return self.outcome != "unfinished"

    def __repr__(self) -> str:
        largest = np.argsort(-self.m, kind="stable")[:4]
        labels = self.category_names or range(len(self.m))
        shown = ", ".join(f"m[{labels[k]}] {self.m[k]:.4g}" for k in largest)
        more = ", ..." if len(self.m) > len(largest) else ""
        return (
            f"PopulationFit: {self.n_datasets} datasets, {len(self.m)} categories; {self.outcome}\n"
            f"  mu {self.mu:.4g}, tau {self.tau:.4g}, kappa {self.kappa:.4g}\n  {shown}{more}"
        )


def fit_population(
    counts: Any,
    model: PopulationModel,
    *,
    prior: Any = None,
    weights: ArrayLike | None = None,
    category_names: Sequence[str] | None = None,
    max_iterations: int = 200,
    layer: str | None = None,
    rng: RNGLike = None,
    n_threads: int | None = None,
) -> PopulationFit:
    """Maximum marginal likelihood of mu, tau, kappa and m; see `hbm_fast.fit`.

    At the current parameters f the (alpha_b, beta_b) of each dataset are drawn from their posterior. The marginal
    likelihood at others, g, is then known relative to that at f (Geyer & Thompson 1992,
    doi:10.1111/j.2517-6161.1992.tb01443.x):

        log L(g) - log L(f) = sum_b log mean_s p(alpha_bs, beta_bs | g) / p(alpha_bs, beta_bs | f).

    It is maximised within a box about f, draws are made there, and so on until the maximum stays.
    """
    if prior is not None or weights is not None:
        raise ValueError("prior and weights are not for a PopulationModel, whose likelihood alone is maximised")
    max_iterations = _validate.positive_int(max_iterations, "max_iterations")
    given, batch = as_datasets(counts, layer=layer, category_names=category_names)
    if not batch or len(given.counts) < 2:
        raise ValueError("counts must be two datasets or more for a PopulationModel: a list of tables (N_b, K)")
    n_datasets, _, k = given.counts.shape
    _validate.same_categories(k, model)
    sums = given.counts.sum(axis=(0, 1), dtype=np.float64)
    if (sums == 0).any():
        empty = int(np.argmin(sums))
        name = given.category_names[empty] if given.category_names else empty
        raise ValueError(f"counts must hold each category, or its m has no maximum; drop {name!r}, which has none")
    filled = given.counts[given.counts.any(axis=(1, 2))]
    seeds = np.random.SeedSequence(new_key(rng).tolist())
    here = np.concatenate([[0.0, math.log(0.7)], np.log(2.0 * k * (sums + 1.0) / (sums + 1.0).sum())])
    outcome, n, n_averaged, n_draws = "unfinished", 0, 0, _DRAWS
    while n < max_iterations and n_averaged < _AVERAGED:
        n += 1
        post = sample(
            filled,
            _model(here),
            n_draws=n_draws,
            n_chains=_CHAINS,
            rng=seeds.spawn(1)[0],
            n_threads=n_threads,
            diagnostics=False,
        )
        there = _bounded(_highest(_Draws(post.log_alpha, post.log_beta, here), here))
        change = np.abs(there - here).max()
        # near the maximum what is left is the noise of the draws, which falls with the share that a step has
        if n_averaged > 0 or (n_draws == _LAST_DRAWS and change < _CLOSER):
            n_averaged += 1
        elif change < _CLOSE:
            n_draws = _LAST_DRAWS
        here = here + (there - here) / max(n_averaged, 1)
    if n_averaged == _AVERAGED:
        outcome = "maximum"
    mu, tau, concentration = float(here[0]), math.exp(here[1]), np.exp(here[2:])
    kappa, m = float(concentration.sum()), concentration / concentration.sum()
    no_tau, all_kappa = tau <= 1.4 * _SMALLEST_TAU, kappa >= _LARGEST_KAPPA / 1.4
    if outcome == "unfinished":
        errors.warn("fit stopped short of a maximum; pass a larger max_iterations", errors.ConvergenceWarning)
    elif no_tau or all_kappa:
        both = "tau is 0 and kappa infinite"
        outcome = both if no_tau and all_kappa else "tau is 0" if no_tau else "kappa is infinite"
    tau, kappa = 0.0 if no_tau else tau, math.inf if all_kappa else kappa
    learned = HierarchicalModel(
        k,
        alpha=priors.Fixed(math.exp(mu)) if no_tau else priors.LogNormal(mu, tau),
        beta=priors.FixedBeta(m) if all_kappa else priors.Dirichlet(concentration.tolist()),
    )
    return PopulationFit(learned, mu, tau, kappa, m, outcome, n_datasets, n, given.category_names)  # type: ignore[arg-type]


def _model(at: Floats) -> HierarchicalModel:
    beta = priors.Dirichlet(np.exp(at[2:]).tolist())
    return HierarchicalModel(len(at) - 2, alpha=priors.LogNormal(at[0], math.exp(at[1])), beta=beta)


def _bounded(at: Floats) -> Floats:
    """tau not below, kappa not above the values that stand for 0 and infinity."""
    result = at.copy()
    result[1] = max(at[1], math.log(_SMALLEST_TAU))
    log_kappa = float(np.logaddexp.reduce(at[2:]))
    result[2:] -= max(log_kappa - math.log(_LARGEST_KAPPA), 0.0)
    return result


class _Draws:
    """The log-likelihood relative to that at f, with its gradient, from draws made at f."""

    def __init__(self, log_alpha: Floats, log_beta: Floats, at: Floats) -> None:
        n = len(log_alpha)
        self.log_alpha = log_alpha.reshape(n, -1)
        self.log_beta = log_beta.reshape(n, self.log_alpha.shape[1], -1)
        self.before = self._prior(at)

    def _prior(self, at: Floats) -> Floats:
        z = (self.log_alpha - at[0]) * math.exp(-at[1])
        concentration = np.exp(at[2:])
        constant = math.lgamma(concentration.sum()) - sum(map(math.lgamma, concentration))
        return np.asarray(-0.5 * z * z - at[1] + constant + self.log_beta @ concentration)

    def __call__(self, at: Floats) -> tuple[float, Floats]:
        ratio = self._prior(at) - self.before
        top = ratio.max(axis=1, keepdims=True)
        weights = np.exp(ratio - top)
        means = weights.mean(axis=1, keepdims=True)
        value = float((top + np.log(means)).sum())
        weights /= weights.sum(axis=1, keepdims=True)
        n, z = len(weights), (self.log_alpha - at[0]) * math.exp(-at[1])
        concentration = np.exp(at[2:])
        of_beta = np.einsum("bs,bsk->k", weights, self.log_beta)
        slope = of_beta + n * (_digamma(concentration.sum()) - np.array([_digamma(c) for c in concentration]))
        of_alpha = [(weights * z).sum() * math.exp(-at[1]), (weights * z * z).sum() - n]
        return value, np.concatenate([of_alpha, concentration * slope])


def _digamma(x: float) -> float:
    """By Stirling's series at x + 8 or more (DLMF 5.11.2) and the recurrence."""
    result = 0.0
    while x < 8.0:
        result -= 1.0 / x
        x += 1.0
    r = 1.0 / (x * x)
    series = r * (1.0 / 12 - r * (1.0 / 120 - r * (1.0 / 252 - r * (1.0 / 240 - r / 132))))
    return result + math.log(x) - 0.5 / x - series


def _highest(objective: _Draws, start: Floats) -> Floats:
    """The maximum within a box about the start, by BFGS (Nocedal & Wright 2006, 6.1)."""
    reach = np.full(len(start), _FARTHEST)
    reach[0] = 2.0 * math.exp(start[1]) + 0.1
    here, (value, slope) = start, objective(start)
    inverse = np.diag(reach**2) / max(np.abs(slope * reach).max(), 1.0)
    for _ in range(60):
        step = inverse @ slope
        share = 1.0
        for _ in range(30):
            there = np.clip(here + share * step, start - reach, start + reach)
            found, gradient = objective(there)
            if found > value:
                break
            share *= 0.5
        else:
            return here
        moved, bend = there - here, slope - gradient
        gain, here, value, slope = found - value, there, found, gradient
        if gain < 1e-7:
            return np.asarray(here)
        along = float(moved @ bend)
        if along > 1e-12:
            change = np.eye(len(here)) - np.outer(moved, bend) / along
            inverse = change @ inverse @ change.T + np.outer(moved, moved) / along
    return here
