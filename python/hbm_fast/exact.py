"""Exact posterior of two categories by adaptive quadrature."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hbm_fast import _random, _validate
from hbm_fast._typing import CountsLike, RNGLike
from hbm_fast.models import HierarchicalModel, check_hierarchical, known_concentration
from hbm_fast.posterior import Posterior
from hbm_fast.quadrature import Quadrature, QuadratureBatch
from hbm_fast.sufficient_statistics import SufficientStatistics
from hbm_fast.tables.inputs import as_counts, check_layer


def exact_posterior(
    counts: CountsLike | SufficientStatistics,
    model: HierarchicalModel | None = None,
    *,
    n_draws: int = 1000,
    rng: RNGLike = None,
    category_names: Sequence[str] | None = None,
    group_names: Sequence[str] | None = None,
    dataset_names: Sequence[str] | None = None,
    layer: str | None = None,
) -> Posterior:
    """Posterior of (alpha, beta) for two categories by adaptive quadrature.

    Parameters
    ----------
    counts : array_like of whole numbers (N, 2) or (B, N, 2), a table, a list of (N_b, 2), or SufficientStatistics
        A table is what `hbm_fast.tables.as_counts` takes. Groups with total 0 change nothing: pad with them. Totals up
        to 2**40. SufficientStatistics may be weighted, or of more groups than fit in memory; the posterior then, and of
        a table with weights, has no counts, thus no theta of its groups, and a file of it has the draws alone.
    model : HierarchicalModel, optional
        Default ``HierarchicalModel(2)``. Any prior, alpha or beta fixed included, but no learned concentration.
    n_draws : int
        Number of independent exact draws in the posterior.
    rng : None, int, SeedSequence, BitGenerator or Generator
        Random numbers of the draws; the quadrature uses none.
    category_names, group_names, dataset_names : sequence of 2, of N, of B str, optional
        Kept in the result; default those of the table.
    layer : str, optional
        The layer of AnnData that holds the counts; default ``X``.

    Returns
    -------
    Posterior
        Of method ``"quadrature"``, with one chain. Means, standard deviations, quantiles, predictions and
        ``marginal(name)`` come from the quadrature and are exact; so are ``log_predictive`` and the predictions with
        ``counts=``, which take a quadrature of the data with the further groups.
        ``log_evidence`` has an estimated ``log_evidence_error``. ``moments`` is the ``Quadrature`` itself, with the
        normalised ``log_density``.

    Raises
    ------
    ValueError
        For a model of other than two categories or with a learned concentration of beta, a batch without datasets, or a
        total above 2**40.

    Warns
    -----
    ConvergenceWarning
        Where the estimated relative error exceeds 1e-6.

    Notes
    -----
    Integrates p(log alpha, logit beta | counts), theta integrated out, by Gauss-Kronrod panels in log alpha and, in
    each of their nodes, the trapezoidal rule in the logit under a sinh transformation.

    Examples
    --------
    The example of Le (2020): ten bags of 20 white, ten of 20 black, and one black marble from a further bag.

    >>> import numpy as np
    >>> import hbm_fast as hbm
    >>> bags = hbm.datasets.load_marbles().counts
    >>> post = hbm.exact_posterior(bags)
    >>> print(f"{post.mean('log_alpha'):.4f} {post.predict(20)[1]:.5f} {post.log_evidence:.5f}")
    -4.1474 0.98714 -19.44351
    """
    if isinstance(counts, SufficientStatistics):
        check_layer(counts, "counts", layer)
        category_names = counts.category_names if category_names is None else category_names
    else:
        given = as_counts(counts, layer=layer, category_names=category_names, group_names=group_names)
        category_names = given.category_names
        dataset_names = given.dataset_names if dataset_names is None else dataset_names
        counts = given.dense()
        if given.weights is not None:
            counts = SufficientStatistics(given)  # rows with weights are no groups and keep no names
        else:
            group_names = given.group_names
    if isinstance(counts, SufficientStatistics):
        table, n_categories, batch = None, counts.n_categories, False
        datasets: Sequence[Any] = [counts]
    else:
        table = _validate.counts(counts, ndim=(2, 3))
        n_categories, batch = table.shape[-1], table.ndim == 3
        datasets = table if batch else table[np.newaxis]  # type: ignore[assignment]  # an array of datasets
    model = HierarchicalModel(n_categories) if model is None else model
    check_hierarchical(model, "exact_posterior")
    if model.n_categories != 2:
        raise ValueError(f"exact_posterior needs K = 2 categories; got {model.n_categories}. Use hbm.sample.")
    if n_categories != 2:
        raise ValueError(f"counts must have K = 2 categories, as the model; got {n_categories}")
    known_concentration(model, "exact_posterior", "Use hbm.sample")
    if not len(datasets):
        raise ValueError("counts must hold at least one dataset; got an empty batch")
    n_draws = _validate.positive_int(n_draws, "n_draws")
    key = _random.key(rng)
    parts = [Quadrature(one, model) for one in datasets]
    draws = [part.draw(n_draws, np.random.default_rng([*key.tolist(), b])) for b, part in enumerate(parts)]
    log_alpha = np.stack([t for t, _ in draws])[:, np.newaxis]
    log_betas = np.stack([v for _, v in draws])[:, np.newaxis]
    evidence = np.array([part.log_evidence for part in parts])
    error = np.array([part.error for part in parts])
    return Posterior(
        log_alpha if batch else log_alpha[0],
        log_betas if batch else log_betas[0],
        model=model,
        counts=table,
        log_evidence=evidence if batch else evidence[0],
        log_evidence_error=error if batch else error[0],
        method="quadrature",
        details={
            "n_nodes": np.array([part.log_weights.size for part in parts]) if batch else parts[0].log_weights.size
        },
        key=key,
        moments=QuadratureBatch(parts) if batch else parts[0],
        category_names=category_names,
        group_names=group_names,
        dataset_names=dataset_names,
    )
