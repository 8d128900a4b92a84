"""R-hat and effective sample sizes of the draws of `sample`, and one warning about a dataset or a batch."""

import numpy as np

from hbm_fast._typing import Floats
from hbm_fast.posterior import Posterior, diagnostics
from hbm_fast.posterior.convergence import FEWEST_DRAWS, message

_VALUES_AT_ONCE = 1_000_000


def check(post: Posterior) -> tuple[Posterior, str | None]:
    """The draws of `sample` with R-hat and ESS among their details, and one message where the chains fail.

    The message is one however many datasets and parameters exceed the limits of `hbm_fast.posterior.convergence`, and
    None where all is well.
    """
    batch = post.log_alpha.ndim == 3
    checked = post.n_chains > 1 and post.n_draws >= FEWEST_DRAWS
    n_datasets = len(post) if batch else 1
    r_hat, ess = _measure(post) if checked else np.full((2, n_datasets, 1), np.nan)
    worst = {"r_hat": np.fmax.reduce(r_hat, axis=1), "ess_bulk": np.fmin.reduce(ess, axis=1)}
    found = {name: value if batch else float(value[0]) for name, value in worst.items()}
    post = post._replace(details=post.details | found, _checked=checked)
    if not checked:
        return post, None
    labels = post.category_names or range(post.n_categories)
    names = ("log_alpha", *post.latent, *(f"beta[{label}]" for label in labels))
    return post, message(
        names,
        r_hat,
        ess,
        post.n_chains,
        post.n_draws,
        divergences=np.atleast_1d(post.details["n_divergences"]),
        datasets=(post.dataset_names or range(n_datasets)) if batch else None,
    )


def _measure(post: Posterior) -> tuple[Floats, Floats]:
    """R-hat and bulk ESS (B, 1 + K) of log alpha and every beta; (B, 2 + K) with a learned concentration of beta."""
    n_chains, n_draws, k = post.log_beta.shape[-3:]
    log_alpha = post.log_alpha.reshape(-1, n_chains, n_draws)
    log_beta = post.log_beta.reshape(-1, n_chains, n_draws, k)
    more = [value.reshape(-1, n_chains, n_draws)[..., np.newaxis] for value in post.latent.values()]
    single = 1 + len(more)
    r_hat, ess = np.empty((2, len(log_alpha), single + k))
    shown = slice(1, 2) if k == 2 else slice(None)  # of two categories the other has the same ranks, reversed
    size = max(1, _VALUES_AT_ONCE // (n_chains * n_draws * k))
    for first in range(0, len(log_alpha), size):
        part = slice(first, first + size)
        beta = np.exp(log_beta[part, ..., shown])
        columns = np.concatenate([log_alpha[part, ..., np.newaxis], *(value[part] for value in more), beta], axis=-1)
        measured = diagnostics.convergence(np.moveaxis(columns, 0, 2))
        for whole, value in zip((r_hat, ess), measured, strict=True):
            whole[part, :single] = value[:, :single]
            whole[part, single:] = value[:, single:]
    return r_hat, ess
