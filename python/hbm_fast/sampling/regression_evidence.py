"""Log evidence of a RegressionModel: importance sampling at the mode, or bridge sampling from draws."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hbm_fast import _validate
from hbm_fast._random import key as new_key
from hbm_fast._typing import RNGLike
from hbm_fast.models import RegressionModel
from hbm_fast.sampling import bridge
from hbm_fast.sampling.regression import Problem, sample_regression


def log_evidence(
    counts: Any,
    model: RegressionModel,
    *,
    data: Any = None,
    design: ArrayLike | None = None,
    precision_design: ArrayLike | None = None,
    rng: RNGLike = None,
    n_draws: int = 1000,
    n_threads: int | None = None,
    layer: str | None = None,
) -> tuple[float, float, str]:
    """Log probability of the counts under the priors of the model, every constant included.

    Returns
    -------
    value, error, method : float, float, str
        The error is a standard error. The method is ``"importance"`` or ``"bridge"``; with random intercepts these are
        integrated out subject by subject.
    """
    key = new_key(rng)
    post = sample_regression(
        counts,
        model,
        data=data,
        design=design,
        precision_design=precision_design,
        rng=np.random.default_rng(key),
        n_draws=n_draws,
        n_threads=n_threads,
        layer=layer,
    )
    if post.log_evidence is not None and post.log_evidence_error is not None:
        return post.log_evidence, post.log_evidence_error, "importance" if post.method == "importance" else "bridge"
    threads = _validate.threads(n_threads)
    coordinates = Problem(counts, model, data, design, precision_design, layer=layer).coordinates()
    common = post.common()
    kernel = coordinates.kernel(common[0, 0, : coordinates.n_theta])
    rule = coordinates.rule()
    value, error = bridge.bridge(common, lambda y: kernel.marginal(y, *rule, key, threads), key)
    return value, error, "bridge"
