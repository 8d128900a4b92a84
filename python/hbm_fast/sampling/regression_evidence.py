"""Log evidence of a RegressionModel: importance sampling at the mode, or bridge sampling from draws."""

from typing import Any

from numpy.typing import ArrayLike

from hbm_fast._typing import RNGLike
from hbm_fast.models import RegressionModel
from hbm_fast.sampling.regression import sample_regression


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
    post = sample_regression(
        counts,
        model,
        data=data,
        design=design,
        precision_design=precision_design,
        rng=rng,
        n_draws=n_draws,
        n_threads=n_threads,
        layer=layer,
        evidence=True,
    )
    assert post.log_evidence is not None
    assert post.log_evidence_error is not None
    return post.log_evidence, post.log_evidence_error, "importance" if post.method == "importance" else "bridge"
