"""`DirichletMultinomial` for NumPyro, with the kernel's log probability."""

from __future__ import annotations

from typing import Any

from hbm_fast._optional import missing_extra
from hbm_fast.integrations.jax import log_likelihood

try:
    import jax.numpy as jnp
    import numpyro.distributions
    from numpyro.distributions.util import validate_sample
except ImportError:
    raise missing_extra("numpyro", "numpyro") from None

__all__ = ["DirichletMultinomial"]


class DirichletMultinomial(numpyro.distributions.DirichletMultinomial):  # type: ignore[misc]
    """NumPyro's distribution, with the kernels of hbm_fast for its log probability and gradient.

    Groups that share one concentration are faster by their statistics:
    ``numpyro.factor("x", hbm_fast.integrations.jax.log_likelihood(hbm_fast.SufficientStatistics(counts), a))``.

    Parameters
    ----------
    concentration : Array (..., K)
    total_count : int or int Array (...), default 1
    total_count_max : int, optional
        The largest total, where ``total_count`` is traced.
    validate_args : bool, optional

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from hbm_fast.integrations.numpyro import DirichletMultinomial
    >>> d = DirichletMultinomial(jnp.array([1.0, 1.0]), 20)
    >>> round(float(d.log_prob(jnp.array([20, 0]))), 4)  # every split is equally probable: -log 21
    -3.0445
    """

    @validate_sample  # type: ignore[untyped-decorator]
    def log_prob(self, value: Any) -> Any:
        """Log probability of counts, shape (...,)."""
        counts = jnp.asarray(value)
        if not jnp.issubdtype(counts.dtype, jnp.integer):  # whole numbers, as the support demands
            counts = counts.astype(int)
        return log_likelihood(counts, self.concentration)
