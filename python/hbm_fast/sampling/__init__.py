"""sample(counts): Markov chain Monte Carlo for (alpha, beta), the groups' theta integrated out."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hbm_fast import _core, _validate, errors, priors
from hbm_fast._random import key as new_key
from hbm_fast._typing import CountsLike, Floats, RNGLike
from hbm_fast.models import HierarchicalModel, MixtureModel, PopulationModel, RegressionModel
from hbm_fast.posterior import MixturePosterior, NewDataset, PopulationPosterior, Posterior, RegressionPosterior
from hbm_fast.sampling import convergence, prior_weight
from hbm_fast.sampling.evidence import check_draws, of_datasets
from hbm_fast.sampling.mixture import sample_mixture
from hbm_fast.sampling.population import sample_new_dataset, sample_population
from hbm_fast.sampling.progress import reporting
from hbm_fast.sampling.regression import sample_regression
from hbm_fast.sufficient_statistics import SufficientStatistics
from hbm_fast.tables.inputs import as_counts, as_datasets, check_layer
from hbm_fast.tables.named_counts import NamedCounts

Method = Literal["auto", "hmc", "gibbs", "mh"]

# Samplers of the other models, by class; each takes the keywords of `sample` but for `start` and `dataset_names`, and
# its own.
_SAMPLERS: dict[type, Callable[..., Any]] = {
    MixtureModel: sample_mixture,
    PopulationModel: sample_population,
    RegressionModel: sample_regression,
}

# Gibbs mixes slowly where alpha is large, because the CRP table counts are then nearly determined by the counts;
# its step stays cheap where K is large. Measured for K of 50, 200 and 1,000 with alpha of 2, 10 and 40, and for the
# twins' table: from K = 30 on, Gibbs is the faster sampler below about alpha = K / 16.
_GIBBS_FROM = 30
_GIBBS_BELOW = 1 / 16
# Below this concentration log(beta) has tails too long for trajectories scaled by the curvature at the mode.
_SPARSE = 0.3

# Steps dropped at the start of each chain, by measurement (see the Notes of `sample`).
_WARMUP = {"auto": 100, "hmc": 100, "gibbs": 100, "mh": 200}


@overload
def sample(
    counts: CountsLike | Sequence[CountsLike] | SufficientStatistics,
    model: HierarchicalModel | NewDataset | None = None,
    *,
    method: Method = "auto",
    n_draws: int = 1000,
    n_chains: int = 4,
    n_warmup: int | None = None,
    start: tuple[ArrayLike, ArrayLike] | None = None,
    rng: RNGLike = None,
    n_threads: int | None = None,
    progress: bool | Callable[[float], object] = False,
    diagnostics: bool = True,
    evidence: bool = False,
    category_names: Sequence[str] | None = None,
    group_names: Sequence[str] | None = None,
    dataset_names: Sequence[str] | None = None,
    layer: str | None = None,
) -> Posterior: ...
@overload
def sample(
    counts: CountsLike,
    model: MixtureModel,
    *,
    n_draws: int = 1000,
    n_chains: int = 4,
    n_warmup: int | None = None,
    rng: RNGLike = None,
    n_threads: int | None = None,
    progress: bool | Callable[[float], object] = False,
    diagnostics: bool = True,
    evidence: bool = False,
    category_names: Sequence[str] | None = None,
    group_names: Sequence[str] | None = None,
    layer: str | None = None,
) -> MixturePosterior: ...
@overload
def sample(
    counts: Any,
    model: RegressionModel,
    *,
    data: Any = None,
    design: ArrayLike | None = None,
    precision_design: ArrayLike | None = None,
    method: Literal["auto", "importance", "hmc"] = "auto",
    n_draws: int = 1000,
    n_chains: int = 4,
    n_warmup: int | None = None,
    rng: RNGLike = None,
    n_threads: int | None = None,
    progress: bool | Callable[[float], object] = False,
    diagnostics: bool = True,
    evidence: bool = False,
    category_names: Sequence[str] | None = None,
    group_names: Sequence[str] | None = None,
    layer: str | None = None,
) -> RegressionPosterior: ...
@overload
def sample(
    counts: CountsLike | Sequence[CountsLike],
    model: PopulationModel,
    *,
    n_draws: int = 1000,
    n_chains: int = 4,
    n_warmup: int | None = None,
    rng: RNGLike = None,
    n_threads: int | None = None,
    progress: bool | Callable[[float], object] = False,
    diagnostics: bool = True,
    category_names: Sequence[str] | None = None,
    group_names: Sequence[str] | None = None,
    dataset_names: Sequence[str] | None = None,
    layer: str | None = None,
) -> PopulationPosterior: ...
def sample(
    counts: Any,
    model: HierarchicalModel | MixtureModel | PopulationModel | RegressionModel | NewDataset | None = None,
    *,
    method: Any = "auto",
    n_draws: int = 1000,
    n_chains: int = 4,
    n_warmup: int | None = None,
    start: tuple[ArrayLike, ArrayLike] | None = None,
    rng: RNGLike = None,
    n_threads: int | None = None,
    progress: bool | Callable[[float], object] = False,
    diagnostics: bool = True,
    evidence: bool = False,
    category_names: Sequence[str] | None = None,
    group_names: Sequence[str] | None = None,
    dataset_names: Sequence[str] | None = None,
    layer: str | None = None,
    **options: Any,
) -> Posterior | MixturePosterior | PopulationPosterior | RegressionPosterior:
    """Draw from the posterior of a model's parameters given the counts: of (alpha, beta), or of what the model names.

    Parameters
    ----------
    counts : array_like of whole numbers (N, K) or (B, N, K), a table, a list of (N_b, K), or SufficientStatistics
        One dataset, or many at once. A table is what `hbm_fast.tables.as_counts` takes: a data frame, a CountTable,
        scipy.sparse and others. Groups with total 0 change nothing: that is how ragged data is padded; a list of
        datasets is padded here. SufficientStatistics may replace the data; so do those of a table with weights, and
        the posterior then has no counts.
    model : HierarchicalModel, MixtureModel, RegressionModel, PopulationModel or NewDataset, optional
        Default ``HierarchicalModel(K)``: alpha ~ Exponential(1), beta ~ Dirichlet(1, ..., 1). Of a mixture the labels
        of the groups are drawn too, of a regression its coefficients; both take one dataset, and no ``dataset_names``.
        A PopulationModel takes many datasets and learns the distribution of their (alpha, beta) too;
        ``r.new_dataset()`` of its result is the model of one more dataset, of which weighted draws are made without a
        chain, with the key of ``r`` where ``rng`` is None. ``start`` is of a HierarchicalModel.
    method : {"auto", "hmc", "gibbs", "mh"}
        ``"auto"`` chooses for each dataset; ``.details`` has its choice and the reason. With a RegressionModel
        ``"auto"``, ``"importance"`` or ``"hmc"``; with a MixtureModel or a PopulationModel ``"auto"``.
    n_draws, n_chains : int
        D draws of each of C chains, after warm-up.
    n_warmup : int, optional
        Steps of each chain before the first draw kept.
    start : (array_like (C,), array_like (C, K)), optional
        log alpha and log beta at which the chains start, with B in front for many datasets. Default, and where they are
        NaN: spread over the marginal posterior of log alpha.
    rng : None, int, SeedSequence, BitGenerator or Generator
        Chain c of dataset b has its own random stream: the draws do not depend on ``n_threads``.
    n_threads : int, optional
        Default all CPUs this process may use (or HBM_FAST_NUM_THREADS).
    progress : bool or callable
        True writes the finished share to stderr; a function is called with it, a number up to 1, some times a second.
    diagnostics : bool
        Compute R-hat and the bulk effective sample size of log alpha and of every beta, and warn where the chains have
        not converged, or the prior of beta weighs much. ``False`` saves about a millisecond for each parameter and
        4 x 1,000 draws.
    evidence : bool
        Fill ``log_evidence`` and ``log_evidence_error`` from the draws, by bridge sampling with proposals that are
        fitted to half of them, as `log_evidence` does where nothing faster suits the model. Not of a Dirichlet process.
    category_names, group_names, dataset_names : sequence of K, of N, of B str, optional
        Kept in the result: rows of its summary, coordinates of ``to_arviz``. Default those of the table.
    layer : str, optional
        The layer of AnnData that holds the counts; default ``X``.
    data : data frame, optional
        With a RegressionModel: the covariates of its formulas, one row a group, and the column of its random intercept.
    design, precision_design : array_like (N, P), (N, Q), optional
        With a RegressionModel: the columns of the mean and of the precision as they are, in place of the formulas.

    Returns
    -------
    Posterior, or MixturePosterior, PopulationPosterior or RegressionPosterior for the model of that name
        ``.log_alpha`` (C, D) and ``.log_beta`` (C, D, K), with B in front for many datasets, and
        ``.beta_concentration`` (C, D), where the model learns it. ``.method`` is the
        sampler, or ``"mixed"`` for a batch of which ``"auto"`` samples some datasets by one and some by another;
        ``post[b].method`` is that of dataset b. ``.details`` has, for a batch as arrays (B,), ``"method"``,
        ``"reason"``, ``"acceptance_rate"``, ``"evaluations_per_draw"``, ``"n_divergences"``, ``"n_modes"`` (of
        log alpha) and, with ``diagnostics``, the largest ``"r_hat"`` and the smallest ``"ess_bulk"``.
        ``.sample_stats`` has ``"log_density"``, the posterior's at each draw up to a constant, unless a dataset is
        sampled by Gibbs, which does not compute it.

    Raises
    ------
    TypeError, ValueError
        For counts that are not non-negative integers of these shapes.

    Warns
    -----
    ConvergenceWarning
        Where log alpha has an R-hat above 1.01 or fewer than 100 effective draws a chain; where more than 5 % of the
        K beta do, or one of them has an R-hat above 1.05 or fewer than 20 effective draws a chain (of many parameters
        some exceed 1.01 by chance); where more than 2 % of HMC's trajectories diverge. One warning gives the number of
        datasets of a batch that fail, and the worst. For D below 1,000 the limits are n = D / 10 effective draws a
        chain and an R-hat of 1 + 1 / n. Neither a single chain nor chains of fewer than 100 draws are checked.
        ``Posterior.summary`` has the same limits, for the tail effective sample size too.
    PriorWarning
        For K of 10 and more, where the pseudo-counts of beta's prior (the sum of the concentration of its Dirichlet)
        exceed a quarter of the draws from beta that the counts amount to: the number of tables of the Chinese
        restaurant process, summed over groups and categories, in expectation over the posterior:
        ``sum_nk sum_{j < x_nk} a_k / (a_k + j)`` with ``a = alpha beta``, a mean over 16 draws (Antoniak 1974,
        doi:10.1214/aos/1176342871). Of a batch, where that is so in more than half of its datasets with counts. Draws
        of fewer than 100 steps a chain are not checked.
        `HierarchicalModel.for_table` has priors for such tables.

    Notes
    -----
    The marginal posterior of log alpha is scanned first, over the whole range of its prior, with beta integrated out by
    Laplace's approximation around its mode given alpha (there is one). Each chain starts in another part of that
    marginal. Where the scan finds several modes, each has a start. There, and where the one mode is far from normal
    (for K up to 16), every step begins with an independence Metropolis step whose proposals are normals along the scan.

    HMC moves on log(alpha beta), scaled by the Laplace approximation at the mode, so that 100 steps of warm-up only
    tune the step size (on 31 datasets 50 steps gave the same effective draws as 400). Under a prior of alpha with
    bounds, log alpha is replaced by the logit of its position between them, so that no chain is reflected. Gibbs draws
    the auxiliary CRP table counts, then beta given them exactly, and alpha by a slice step with the auxiliary variable
    integrated out. MH is a random walk whose covariance and step size adapt during its 200 steps of warm-up and are
    then fixed: the full covariance for K up to 32, which so short a warm-up can estimate, else its diagonal.

    A learned concentration c of beta ~ Dirichlet(c, ..., c) is drawn by all three alike: the CRP table counts given
    alpha and beta, log c by a slice step given the tables, with beta integrated out, and beta given c and the tables.
    HMC and MH move on from there.

    ``"auto"`` chooses Gibbs for a Dirichlet of beta of a known, small concentration, and for K of 30 and more where
    alpha, estimated by moments, is below K / 16; otherwise HMC.

    R-hat and the effective sample sizes are rank-normalised (Vehtari et al. 2021, doi:10.1214/20-BA1221).

    Of a mixture each sweep draws the labels one after the other, the weights integrated out, then alpha and beta of
    each component by Gibbs. Of a Dirichlet process the labels are drawn by algorithm 8 of Neal (2000,
    doi:10.2307/1390653) with auxiliary components that the whole sweep uses (Favaro & Teh 2013,
    doi:10.1214/13-STS422). R-hat is of what does not depend on the numbers of the components; chains that disagree on
    which groups belong together are reported too. Of multinomial components (``alpha=math.inf``) the proportions are
    integrated out too: a sweep draws the labels alone, and then proposes to split components and to merge them (Jain &
    Neal 2004, doi:10.1198/1061860043001).

    Examples
    --------
    >>> import numpy as np
    >>> import hbm_fast as hbm
    >>> bags = hbm.datasets.load_marbles().counts  # ten white bags, ten black, one black marble
    >>> post = hbm.sample(bags, rng=1)
    >>> post.beta.shape
    (4, 1000, 2)
    >>> bool(abs(post.mean("log_alpha") + 4.147) < 0.2)
    True
    """
    if isinstance(model, NewDataset):
        _validate.keywords(options, (), "sample with a NewDataset")
        own = {
            "start": start,
            "n_warmup": n_warmup,
            "category_names": category_names,
            "dataset_names": dataset_names,
            "evidence": evidence or None,
        }
        for name in [*(["method"] if method != "auto" else []), *(n for n, value in own.items() if value is not None)]:
            raise TypeError(f"{name} is not for a NewDataset, of which weighted draws are made without a chain")
        if isinstance(counts, SufficientStatistics):
            raise TypeError("counts must be a table of groups for a NewDataset: SufficientStatistics have no groups")
        return sample_new_dataset(
            counts,
            model,
            n_draws=n_draws,
            n_chains=n_chains,
            rng=rng,
            diagnostics=diagnostics,
            group_names=group_names,
            layer=layer,
        )
    if type(model) in _SAMPLERS:
        refused = {"start": start is not None, "evidence": evidence and isinstance(model, PopulationModel)}
        if isinstance(model, RegressionModel):
            options["method"] = method
        else:
            _validate.keywords(options, (), f"sample with a {type(model).__name__}")
            refused["method"] = method != "auto"
        if isinstance(model, PopulationModel):
            options["dataset_names"] = dataset_names
        else:
            refused["dataset_names"] = dataset_names is not None
        if evidence:
            options["evidence"] = True
        for name in [name for name, given in refused.items() if given]:
            raise TypeError(f"{name} is of a HierarchicalModel; the model is {model!r}")
        if isinstance(counts, SufficientStatistics):
            raise TypeError(f"counts must be a table of groups for {model!r}: SufficientStatistics have no groups")
        return _SAMPLERS[type(model)](  # type: ignore[no-any-return]
            counts,
            model,
            n_draws=n_draws,
            n_chains=n_chains,
            n_warmup=n_warmup,
            rng=rng,
            n_threads=n_threads,
            progress=progress,
            diagnostics=diagnostics,
            category_names=category_names,
            group_names=group_names,
            layer=layer,
            **options,
        )
    assert not isinstance(model, MixtureModel | PopulationModel | RegressionModel)
    _validate.keywords(options, (), "sample with a HierarchicalModel")
    if isinstance(counts, SufficientStatistics):
        check_layer(counts, "counts", layer)
        category_names = counts.category_names if category_names is None else category_names
    else:
        given = as_counts(counts, layer=layer, category_names=category_names, group_names=group_names)
        category_names = given.category_names
        dataset_names = given.dataset_names if dataset_names is None else dataset_names
        counts = given
        if given.weights is not None:
            counts = SufficientStatistics(given)  # rows with weights are no groups and keep no names
        else:
            group_names = given.group_names
    datasets, padded, n_categories, batch = _datasets(counts)
    if model is None:
        model = HierarchicalModel(n_categories)
    _validate.same_categories(n_categories, model)
    learned = isinstance(model.beta, priors.Dirichlet) and model.beta.is_learned
    whole = not isinstance(counts, SufficientStatistics) or _core.mcmc.whole_weights(counts._core)
    if learned and not whole:
        raise ValueError(
            "counts with weights that are not whole numbers need a known concentration of beta: CRP tables, by which "
            f"it is learned, belong to whole groups. The model has beta={model.beta}; pass a number, such as beta=0.5"
        )
    if method not in ("auto", "hmc", "gibbs", "mh"):
        raise ValueError(f"method must be 'auto', 'hmc', 'gibbs' or 'mh'; got {method!r}")
    n_draws = _validate.positive_int(n_draws, "n_draws")
    n_chains = _validate.positive_int(n_chains, "n_chains")
    warmup = _WARMUP[method] if n_warmup is None else _validate.positive_int(n_warmup, "n_warmup", minimum=0)
    if evidence:
        check_draws(n_chains, n_draws, model)
    _validate.names(category_names, "category_names", n_categories)  # before the long computation
    _validate.names(group_names, "group_names", None if padded is None else padded.shape[-2])
    _validate.names(dataset_names, "dataset_names", len(datasets))
    starts = None if start is None else _starts(start, len(datasets), n_chains, n_categories, batch)
    key = new_key(rng)
    datasets, methods, reasons = _samplers(method, datasets, model, whole)
    post_method = "mixed" if len(set(methods)) > 1 else methods[0] if methods else str(method)
    with reporting(progress, f"hbm_fast.sample ({post_method})") as report:
        drawn = _core.mcmc.sample(
            datasets,
            model.alpha._kernel(),
            model.beta._kernel(n_categories),
            methods,
            n_draws,
            n_chains,
            warmup,
            key,
            _validate.threads(n_threads),
            report,
            starts,
        )
    details = {
        "method": np.array(methods, dtype=object),
        "reason": np.array(reasons, dtype=object),
        "acceptance_rate": drawn["acceptance_rate"].mean(axis=(1, 2)),
        "evaluations_per_draw": drawn["n_steps"].mean(axis=(1, 2)),
        "n_divergences": drawn["diverging"].sum(axis=(1, 2)),
        "n_modes": drawn.pop("n_modes"),
    }
    if "gibbs" in methods:  # which does not compute it
        del drawn["log_density"]
    if not batch:
        drawn = {name: value[0] for name, value in drawn.items()}
        details = {name: value.tolist()[0] for name, value in details.items()}
    log_alpha, log_beta = drawn.pop("log_alpha"), drawn.pop("log_beta")
    with np.errstate(over="ignore", under="ignore"):
        log_c = drawn.pop("log_concentration") if learned else None
        latent = None if log_c is None else {"beta_concentration": np.exp(log_c)}
    found: tuple[Any, Any] = (None, None)
    if evidence:
        tables = [] if padded is None else padded if batch else [padded]
        each = [counts] if isinstance(counts, SufficientStatistics) else [SufficientStatistics(x) for x in tables]
        values, error = of_datasets(each, model, log_alpha, log_beta, log_c, key)
        found = (values, error) if batch else (values[0], error[0])
    post = Posterior(
        log_alpha,
        log_beta,
        model=model,
        counts=padded,
        log_evidence=found[0],
        log_evidence_error=found[1],
        method=post_method,
        details={**details, "n_warmup": warmup},
        key=key,
        sample_stats=drawn,
        category_names=category_names,
        group_names=group_names,
        latent=latent,
        dataset_names=dataset_names,
    )
    if diagnostics:
        post, message = convergence.check(post)
        if message is not None:
            errors.warn(message, errors.ConvergenceWarning)
        message = prior_weight.message(datasets, post)
        if message is not None:
            errors.warn(message, errors.PriorWarning)
    return post


def _datasets(counts: NamedCounts | SufficientStatistics) -> tuple[list[Any], NDArray[Any] | None, int, bool]:
    """The kernel's list of datasets, the counts as one array for the Posterior, K, and whether there is a batch."""
    if isinstance(counts, SufficientStatistics):
        return [counts._core], None, counts.n_categories, False
    given, batch = as_datasets(counts)
    padded = given.counts
    return list(padded), padded if batch else padded[0], padded.shape[-1], batch


def _starts(
    start: tuple[ArrayLike, ArrayLike], n_datasets: int, n_chains: int, n_categories: int, batch: bool
) -> tuple[Floats, Floats]:
    """Starting points (B, C) and (B, C, K) for the kernel."""
    if not isinstance(start, tuple | list) or len(start) != 2:
        raise TypeError(f"start must be a pair, log alpha and log beta; got {start!r}")
    log_alpha, log_beta = (_validate.doubles(part, "start") for part in start)
    lead = (n_datasets, n_chains) if batch else (n_chains,)
    if log_alpha.shape != lead or log_beta.shape != (*lead, n_categories):
        raise ValueError(
            f"start must be log alpha {lead} and log beta {(*lead, n_categories)}; got shapes {log_alpha.shape} and "
            f"{log_beta.shape}"
        )
    return log_alpha, log_beta


def _samplers(
    method: str, datasets: list[Any], model: HierarchicalModel, whole: bool
) -> tuple[list[Any], list[str], list[str]]:
    """The datasets, as statistics where the choice needs them, and the sampler of each with the reason."""
    if method != "auto":
        chosen = [(method, "given as method=")] * len(datasets)
    elif model.n_categories < _GIBBS_FROM or isinstance(model.alpha, priors.Fixed):
        chosen = [_choose(model, whole, None)] * len(datasets)
    else:
        datasets = [_statistics(dataset, model.n_categories) for dataset in datasets]
        chosen = [_choose(model, whole, dataset) for dataset in datasets]
    return datasets, [name for name, _ in chosen], [reason for _, reason in chosen]


def _statistics(dataset: Any, n_categories: int) -> _core.statistics.SufficientStatistics:
    """The statistics of counts (N, K), for the estimate of alpha and then for the kernel."""
    if isinstance(dataset, _core.statistics.SufficientStatistics):
        return dataset
    result = _core.statistics.SufficientStatistics(n_categories)
    result.add(dataset)
    return result


def _choose(
    model: HierarchicalModel, whole: bool, statistics: _core.statistics.SufficientStatistics | None
) -> tuple[str, str]:
    """The sampler and the reason; the statistics are those of a dataset of K >= 30 categories, alpha not fixed."""
    if not whole:
        return "hmc", "the weights are not whole numbers, which the CRP tables of Gibbs need"
    n_categories = model.n_categories
    if n_categories >= _GIBBS_FROM:
        if statistics is not None:
            alpha, about = _rough_alpha(statistics), "about "
        else:
            assert isinstance(model.alpha, priors.Fixed)
            alpha, about = model.alpha.value, ""
        if alpha < _GIBBS_BELOW * n_categories:
            small = f"alpha ({about}{alpha:.2g}) is small relative to K = {n_categories}"
            return "gibbs", f"{small}, where Gibbs mixes well and is cheap"
    concentration = None if isinstance(model.beta, priors.FixedBeta) else model.beta.concentration
    if isinstance(concentration, float | tuple) and np.min(concentration) < _SPARSE:
        return "gibbs", f"the Dirichlet of beta is sparse (below {_SPARSE}): beta is drawn from its exact conditional"
    return "hmc", "the posterior of log(alpha beta) is smooth, and K is small or alpha large"


def _rough_alpha(statistics: _core.statistics.SufficientStatistics) -> float:
    """alpha by moments: P(two draws of a group agree) = (1 + alpha sum beta^2) / (1 + alpha).

    0 without two draws in any group; infinite where the groups vary less than under a multinomial.
    """
    columns = [statistics.pairs(k) for k in range(statistics.n_categories + 1)]  # the last: the totals
    sums = np.array([values @ times for values, times in columns])
    pairs = np.array([(values * (values - 1.0)) @ times for values, times in columns])
    if pairs[-1] <= 0.0:
        return 0.0
    agree = pairs[:-1].sum() / pairs[-1]
    above_chance = agree - ((sums[:-1] / sums[-1]) ** 2).sum()
    return float((1.0 - agree) / above_chance) if above_chance > 0.0 else float("inf")
