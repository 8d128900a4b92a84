"""The rule by which `hbm_fast.sample` and ``Posterior.summary`` decide whether chains represent the posterior.

Vehtari, Gelman, Simpson, Carpenter and Bürkner 2021 (doi:10.1214/20-BA1221) recommend an R-hat of at most 1.01 and 100
effective draws a chain. The two limits belong together: the mean R-hat of chains that mix, with n effective draws each,
is 1 + 1 / n. For short chains of D draws, n = D / 10 is enough; chains of fewer than 100 draws are not checked.

log alpha must meet both limits, and so must a learned concentration of beta. Of many beta some exceed the limits by
chance: up to 5 % of them may, by a factor of at most 5.
"""

import numpy as np

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
    effective = min(_ESS_PER_CHAIN, _ESS_PER_DRAW * n_draws)
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
        if unit == "R-hat":
            text = f"R-hat of {names[worst]} is {values[worst]:.3f}, above {1.0 + limit:.4g}"
        else:
            text = f"{names[worst]} has {values[worst]:.0f} effective draws, below {effective * n_chains:.0f}"
        if over.sum() > 1:
            text += f" ({over.sum()} of {len(names)} parameters)"
        result.append(text)
    return result
