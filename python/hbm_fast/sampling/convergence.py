"""Whether the chains of `sample` represent the posterior: the rule, and the one message about a dataset or a batch."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm_fast.posterior import Posterior, diagnostics

# Fewer draws a chain tell poor mixing from chance too badly.
_FEWEST_DRAWS = 100
# Vehtari et al. 2021, doi:10.1214/20-BA1221: an R-hat of 1.01, 100 effective draws a chain. The two belong together:
# the mean R-hat of chains that mix, with n effective draws each, is 1 + 1 / n. Of short chains a tenth of the draws
# will do.
_DRAWS_A_CHAIN = 100.0
_SHARE_OF_DRAWS = 0.1
# Of many parameters some exceed these by chance: so many beta may, none of them by this factor.
_SHARE = 0.05
_FACTOR = 5.0
# A trajectory that diverges is rejected, which is right; many say that a part of the posterior is not reached.
_DIVERGENT = 0.02
_VALUES_AT_ONCE = 1_000_000


def check(post: Posterior) -> str | None:
    """Adds R-hat and ESS to the details of draws by `sample`; what is wrong with them, if anything.

    Returns
    -------
    str or None
        One message, however many datasets and parameters fail.
    """
    batch = post.log_alpha.ndim == 3
    log_alpha = post.log_alpha if batch else post.log_alpha[np.newaxis]
    log_beta = post.log_beta if batch else post.log_beta[np.newaxis]
    n_datasets, n_chains, n_draws, n_categories = log_beta.shape
    r_hat = np.full((n_datasets, 1 + n_categories), np.nan)
    ess = np.full((n_datasets, 1 + n_categories), np.nan)
    checked = n_chains > 1 and n_draws >= _FEWEST_DRAWS
    if checked:
        shown = slice(1, 2) if n_categories == 2 else slice(None)  # of two the other has the same ranks, turned round
        size = max(1, _VALUES_AT_ONCE // (n_chains * n_draws * n_categories))
        for first in range(0, n_datasets, size):
            part = slice(first, first + size)
            columns = np.concatenate([log_alpha[part, ..., np.newaxis], np.exp(log_beta[part, ..., shown])], axis=-1)
            measured = diagnostics.convergence(np.moveaxis(columns, 0, 2))
            for whole, value in zip((r_hat, ess), measured, strict=True):
                whole[part, 0] = value[:, 0]
                whole[part, 1:] = value[:, 1:]
    worst = np.fmax.reduce(r_hat, axis=1), np.fmin.reduce(ess, axis=1)
    for name, value in zip(("r_hat", "ess_bulk"), worst, strict=True):
        post.details[name] = value if batch else float(value[0])
    if not checked:
        return None
    post._checked = not batch
    divergences = np.atleast_1d(post.details["n_divergences"])
    names = ("log_alpha", *(f"beta[{label}]" for label in post.category_names or range(n_categories)))
    found = [
        _problems(names, r_hat[b], ess[b], n_chains, min(_DRAWS_A_CHAIN, _SHARE_OF_DRAWS * n_draws))
        + _divergences(int(divergences[b]), n_chains * n_draws)
        for b in range(n_datasets)
    ]
    failed = np.array([bool(problems) for problems in found])
    if not failed.any():
        return None
    if not batch:
        return f"{'; '.join(found[0])}: {_ADVICE}"
    chosen = int(np.flatnonzero(failed)[np.argmin(_effective(*worst)[failed])])
    return (
        f"the chains of {failed.sum()} of {n_datasets} datasets have not converged; the worst, dataset {chosen}: "
        f"{'; '.join(found[chosen])}. {_ADVICE[0].upper()}{_ADVICE[1:]}"
    )


_ADVICE = (
    "the draws do not represent the posterior yet. "
    "Pass a larger n_draws (and n_warmup) to hbm.sample, or another method=."
)


def _effective(r_hat: NDArray[Any], ess: NDArray[Any]) -> NDArray[Any]:
    """What the datasets of a batch are ordered by, the worst first."""
    return np.asarray(np.where(np.isnan(ess), np.inf, ess) / np.fmax(r_hat, 1.0))


def _problems(
    names: tuple[str, ...], r_hat: NDArray[Any], ess: NDArray[Any], n_chains: int, effective: float
) -> list[str]:
    """What is wrong with one dataset; the first of the names is log alpha."""
    result = []
    for values, excess, limit, unit in (
        (r_hat, np.nan_to_num(r_hat, nan=1.0) - 1.0, 1.0 / effective, "R-hat"),
        (ess, 1.0 / np.nan_to_num(ess, nan=np.inf), 1.0 / (effective * n_chains), "ESS"),
    ):
        over = excess > limit
        many = over[1:].mean() > _SHARE or (excess[1:] > _FACTOR * limit).any()
        if not (over[0] or many):
            continue
        # log alpha, unless a beta that counts is worse
        worst = int(np.argmax(excess)) if many else 0
        if unit == "R-hat":
            text = f"R-hat of {names[worst]} is {values[worst]:.3f}, above {1.0 + limit:.4g}"
        else:
            text = f"{names[worst]} has {values[worst]:.0f} effective draws, below {effective * n_chains:.0f}"
        if over.sum() > 1:
            text += f" ({over.sum()} of {len(names)} parameters)"
        result.append(text)
    return result


def _divergences(n: int, n_trajectories: int) -> list[str]:
    return [f"{n} of {n_trajectories} trajectories diverged"] if n > _DIVERGENT * n_trajectories else []
