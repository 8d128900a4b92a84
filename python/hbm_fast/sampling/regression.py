"""sample for a RegressionModel: importance sampling at the mode where it is nearly exact, otherwise HMC."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from hbm_fast import _core, _validate, errors
from hbm_fast._random import key as new_key
from hbm_fast._typing import Floats, Key, RNGLike
from hbm_fast.models import RegressionModel
from hbm_fast.models import design as designs
from hbm_fast.models.design import aligned, named_counts
from hbm_fast.posterior import RegressionPosterior
from hbm_fast.posterior.regression_coordinates import Coordinates
from hbm_fast.sampling import bridge
from hbm_fast.sampling.progress import reporting

RegressionMethod = Literal["auto", "importance", "hmc"]

_WARMUP = 100
_WARMUP_WITH_INTERCEPTS = 300
_PILOT = (4, 250)  # chains and draws of the proposals by which the method is chosen


def sample_regression(
    counts: Any,
    model: RegressionModel,
    *,
    data: Any = None,
    design: ArrayLike | None = None,
    precision_design: ArrayLike | None = None,
    method: RegressionMethod = "auto",
    n_draws: int = 1000,
    n_chains: int = 4,
    n_warmup: int | None = None,
    rng: RNGLike = None,
    n_threads: int | None = None,
    progress: bool | Callable[[float], object] = False,
    diagnostics: bool = True,
    category_names: Sequence[str] | None = None,
    group_names: Sequence[str] | None = None,
    layer: str | None = None,
    evidence: bool = False,
) -> RegressionPosterior:
    """`sample` for a `RegressionModel`; its parameters are described there."""
    if method not in ("auto", "importance", "hmc"):
        raise ValueError(f"method must be 'auto', 'importance' or 'hmc' with a RegressionModel; got {method!r}")
    if method == "importance" and model.random_intercept is not None:
        raise ValueError("method='importance' is for models without random_intercept; pass 'auto' or 'hmc'")
    n_draws = _validate.positive_int(n_draws, "n_draws")
    n_chains = _validate.positive_int(n_chains, "n_chains")
    default = _WARMUP if model.random_intercept is None else _WARMUP_WITH_INTERCEPTS
    warmup = default if n_warmup is None else _validate.positive_int(n_warmup, "n_warmup", minimum=0)
    threads = _validate.threads(n_threads)
    if evidence and n_chains * n_draws < bridge.FEWEST_DRAWS:
        raise ValueError(f"evidence=True needs {bridge.FEWEST_DRAWS} draws; got {n_chains} chains of {n_draws}")
    key = new_key(rng)
    problem = Problem(counts, model, data, design, precision_design, category_names, group_names, layer)
    coordinates = problem.coordinates()
    theta, has_mode = coordinates.mode(threads)
    kernel = coordinates.kernel(theta)
    chosen, reason = _choose(method, model, has_mode, kernel, key, threads)
    with reporting(progress, f"hbm_fast.sample ({chosen})") as report:
        drawn = kernel.sample(chosen == "importance", n_draws, n_chains, warmup, key, threads, report)
        details: dict[str, Any] = {"method": chosen, "reason": reason}
        weights = drawn.pop("log_weight")
        if chosen == "importance":
            share, k = bridge.effective_share(weights)
            details |= {"ess_share": share, "pareto_k": k}
            if method == "auto" and not bridge.is_nearly_exact(share, k):
                chosen, reason = "hmc", f"of the draws by importance {_described(share, k)}"
                drawn = kernel.sample(False, n_draws, n_chains, warmup, key, threads, report)
                del drawn["log_weight"]
                details |= {"method": chosen, "reason": reason}
    drawn_theta = drawn.pop("theta")
    scales, intercepts = np.exp(drawn.pop("log_scale")), drawn.pop("intercepts")
    found: tuple[float | None, float | None] = (None, None)
    if chosen == "importance":
        found = bridge.importance(weights.ravel())
    elif model.random_intercept is None and n_chains * n_draws >= bridge.FEWEST_DRAWS:
        found = bridge.bridge(drawn_theta, lambda y: _marginal(kernel, coordinates, y, key, threads), key)
    has_subjects = model.random_intercept is not None
    post = RegressionPosterior(
        coordinates.coefficients(drawn_theta),
        coordinates.precision_coefficients(drawn_theta),
        model=model,
        counts=problem.table,
        design=problem.mean,
        precision_design=problem.precision,
        random_scale=coordinates.scales(scales) if has_subjects else None,
        random_intercepts=coordinates.intercepts(intercepts) if has_subjects else None,
        subject_names=problem.subject_names,
        subjects=problem.subjects,
        method=chosen,
        details={
            **details,
            "acceptance_rate": float(drawn["acceptance_rate"].mean()),
            "evaluations_per_draw": float(drawn["n_steps"].mean()),
            "n_divergences": int(drawn["diverging"].sum()),
            "n_warmup": warmup,
        },
        log_evidence=found[0],
        log_evidence_error=found[1],
        sample_stats=drawn,
        category_names=problem.names,
        group_names=problem.group_names,
        key=key,
    )
    if evidence and post.log_evidence is None:
        common = post.common()  # with random intercepts, which are integrated out subject by subject
        kernel = coordinates.kernel(common[0, 0, : coordinates.n_theta])
        post.log_evidence, post.log_evidence_error = bridge.bridge(
            common, lambda y: _marginal(kernel, coordinates, y, key, threads), key
        )
    if diagnostics:
        message = post.check()
        if message is not None:
            errors.warn(message, errors.ConvergenceWarning)
    return post


class Problem:
    """Checked counts, designs and subjects of one regression."""

    def __init__(
        self,
        counts: Any,
        model: RegressionModel,
        data: Any = None,
        design: ArrayLike | None = None,
        precision_design: ArrayLike | None = None,
        category_names: Sequence[str] | None = None,
        group_names: Sequence[str] | None = None,
        layer: str | None = None,
    ) -> None:
        self.model = model
        self.table, given = named_counts(counts, category_names, layer)
        _validate.same_categories(self.table.shape[1], model)
        if given.weights is not None:
            raise ValueError("counts must have no weights with a RegressionModel: repeat the rows, and those of data")
        if not self.table.any():
            raise ValueError("counts must hold at least one count; every group is empty")
        self.names = given.category_names or ()
        self.group_names = _validate.names(group_names, "group_names", len(self.table)) or given.group_names
        n_rows = len(self.table)
        data = aligned(data, given.group_names)
        self.mean, self.precision = designs.both_of_model(model, data, design, precision_design, n_rows)
        filled = self.table.any(axis=1)
        for part, name in ((self.mean, "mean"), (self.precision, "precision")):
            if part is not None:
                designs.check_rank(part, name, None if filled.all() else filled)
        self.subject_names: tuple[str, ...] | None = None
        self.subjects: np.ndarray[Any, np.dtype[np.int64]] | None = None
        if model.random_intercept is not None:
            labels = designs.subject_names(data, model.random_intercept, n_rows)
            self.subject_names = tuple(dict.fromkeys(labels))
            place = {name: i for i, name in enumerate(self.subject_names)}
            self.subjects = np.array([place[label] for label in labels], dtype=np.int64)

    def coordinates(self) -> Coordinates:
        """As the kernels take it."""
        n_subjects = len(self.subject_names or ())
        return Coordinates(self.table, self.model, self.mean, self.precision, self.names, self.subjects, n_subjects)


def _choose(
    method: str,
    model: RegressionModel,
    found: bool,
    kernel: _core.regression.Posterior,
    key: Key,
    n_threads: int,
) -> tuple[str, str]:
    """The method and the reason."""
    if method != "auto":
        return method, "given as method="
    if model.random_intercept is not None:
        return "hmc", "the model has random intercepts"
    if not found:
        return "hmc", "Newton's method found no mode at which importance sampling could be centred"
    n_chains, n_draws = _PILOT
    share, k = bridge.effective_share(kernel.sample(True, n_draws, n_chains, 0, key, n_threads, None)["log_weight"])
    chosen = "importance" if bridge.is_nearly_exact(share, k) else "hmc"
    return chosen, f"of {n_chains * n_draws} draws {_described(share, k)}"


def _described(share: float, k: float) -> str:
    return f"by importance around the mode {share:.0%} are effective, with a Pareto k of {k:.2f}"


def _marginal(
    kernel: _core.regression.Posterior, coordinates: Coordinates, y: Floats, key: Key, n_threads: int
) -> Floats:
    return kernel.marginal(np.ascontiguousarray(y), *coordinates.rule(), key, n_threads)
