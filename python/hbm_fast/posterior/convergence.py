"""The rule by which `hbm_fast.sample` and ``Posterior.summary`` decide whether chains represent the posterior.

Vehtari, Gelman, Simpson, Carpenter and Bürkner 2021 (doi:10.1214/20-BA1221) recommend an R-hat of at most 1.01 and 100
effective draws a chain. The two limits belong together: the mean R-hat of chains that mix, with n effective draws each,
is 1 + 1 / n. For short chains of D draws, n = D / 10 is enough; chains of fewer than 100 draws are not checked.

log alpha must meet both limits, and so must a learned concentration of beta. Of many beta some exceed the limits by
chance: up to 5 % of them may, by a factor of at most 5.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm_fast._typing import Floats

FEWEST_DRAWS = 100  # of a chain: with fewer, poor mixing and chance look the same
ADVICE = (
    "the draws do not represent the posterior yet. "
    "Pass a larger n_draws (and n_warmup) to hbm.sample, or another method=."
)
_ESS_PER_CHAIN = 100.0
_ESS_PER_DRAW = 0.1
_SHARE = 0.05
_FACTOR = 5.0
# A divergent trajectory is rejected, which is right; many show that a part of the posterior is not reached.
_DIVERGENT = 0.02


def r_hat_limit(n_draws: int) -> float:
    """The largest R-hat of chains of this length that represent the posterior."""
    return 1.0 + 1.0 / _effective(n_draws)


def _effective(n_draws: int) -> float:
    """Effective draws of each chain that are enough."""
    return min(_ESS_PER_CHAIN, _ESS_PER_DRAW * n_draws)


def message(
    names: tuple[str, ...],
    r_hat: Floats,
    ess: Floats,
    n_chains: int,
    n_draws: int,
    *,
    divergences: NDArray[np.int64] | None = None,
    datasets: Sequence[Any] | None = None,
) -> str | None:
    """One message about chains that fail, however many datasets and parameters exceed the limits; None where none does.

    Parameters
    ----------
    names : tuple of str
        log alpha first, then every beta.
    r_hat, ess : (B, 1 + K)
        NaN where not defined, as for a parameter that is fixed, or the R-hat of one chain.
    n_chains, n_draws : int
    divergences : (B,), optional
        Numbers of divergent trajectories.
    datasets : sequence, optional
        Names or numbers of the datasets of a batch; None for one dataset.
    """
    if n_draws < FEWEST_DRAWS:
        return None
    failures = [problems(names, *pair, n_chains, n_draws) for pair in zip(r_hat, ess, strict=True)]
    if divergences is not None:
        n = n_chains * n_draws
        for failure, count in zip(failures, divergences.tolist(), strict=True):
            if count > _DIVERGENT * n:
                failure.append(f"{count} of {n} trajectories diverged")
    failed = np.array([bool(failure) for failure in failures])
    if not failed.any():
        return None
    if datasets is None:
        return f"{'; '.join(failures[0])}: {ADVICE}"
    fewest = np.fmin.reduce(ess, axis=1)
    effective = np.where(np.isnan(fewest), np.inf, fewest) / np.fmax(np.fmax.reduce(r_hat, axis=1), 1.0)
    chosen = int(np.flatnonzero(failed)[np.argmin(effective[failed])])
    return (
        f"the chains of {failed.sum()} of {len(failures)} datasets have not converged; the worst, dataset "
        f"{datasets[chosen]}: {'; '.join(failures[chosen])}. {ADVICE[0].upper()}{ADVICE[1:]}"
    )


def problems(names: tuple[str, ...], r_hat: Floats, ess: Floats, n_chains: int, n_draws: int) -> list[str]:
    """One sentence for each limit that chains of one dataset exceed.

    Parameters
    ----------
    names : tuple of str
        log alpha first, then the other single parameters, then every beta, ``"beta[...]"``.
    r_hat, ess : array (1 + K,), or longer by the other single parameters
        NaN where not defined, as for a parameter that is fixed, or the R-hat of one chain.
    n_chains, n_draws : int
    """
    if n_draws < FEWEST_DRAWS:
        return []
    single = sum(not name.startswith("beta[") for name in names)
    effective = _effective(n_draws)
    result = []
    for values, excess, limit, unit in (
        (r_hat, np.nan_to_num(r_hat, nan=1.0) - 1.0, 1.0 / effective, "R-hat"),
        (ess, 1.0 / np.nan_to_num(ess, nan=np.inf), 1.0 / (effective * n_chains), "ESS"),
    ):
        over = excess > limit
        many = over[single:].mean() > _SHARE or (excess[single:] > _FACTOR * limit).any()
        if not (over[:single].any() or many):
            continue
        # log alpha, unless too many beta exceed the limit and one of them is worse
        worst = int(np.argmax(excess if many else excess[:single]))
        name, count = names[worst], f"{over.sum()} of {len(names)} parameters"
        if unit == "R-hat":
            most, value = f"above {1.0 + limit:.4g}", f"{values[worst]:.3f}"
            one, several = f"R-hat of {name} is {value}", f"R-hat of {count} {most}, the largest {value} of {name}"
        else:
            most, value = f"below {effective * n_chains:.0f}", f"{values[worst]:.0f}"
            one, several = f"{name} has {value} effective draws", f"{count} have effective draws {most}, {name} {value}"
        text = several if over.sum() > 1 else f"{one}, {most}"
        result.append(text)
    return result
