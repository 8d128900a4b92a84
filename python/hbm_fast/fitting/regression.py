"""Dirichlet-multinomial regression: maximum likelihood or the posterior mode, and what is read off the fit."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from numpy.typing import ArrayLike

from hbm_fast import _validate, priors
from hbm_fast._typing import Counts, Floats
from hbm_fast.fitting.regression_intercepts import fit_intercepts
from hbm_fast.fitting.regression_problem import Problem
from hbm_fast.fitting.regression_result import Integration, RegressionFit
from hbm_fast.models import RegressionModel
from hbm_fast.models import design as designs
from hbm_fast.models.design import Subjects


def fit_regression(
    counts: Any,
    model: RegressionModel,
    *,
    data: Any = None,
    design: ArrayLike | None = None,
    precision_design: ArrayLike | None = None,
    prior: Literal["model"] | priors.Normal | None = None,
    weights: ArrayLike | None = None,
    category_names: Sequence[str] | None = None,
    max_iterations: int = 200,
    n_threads: int | None = None,
    layer: str | None = None,
    integration: Integration = "laplace",
) -> RegressionFit:
    """`fit` for a `RegressionModel`; its parameters are described there."""
    table, given = designs.named_counts(counts, category_names, layer)
    names = given.category_names or ()
    _validate.same_categories(table.shape[1], model)
    n_rows = len(table)
    data = designs.aligned(data, given.group_names)
    mean, precision = designs.both_of_model(model, data, design, precision_design, n_rows)
    multiplicity = _weights(given.weights if weights is None else weights, n_rows)
    if integration not in ("laplace", "quadrature"):
        raise ValueError(f"integration must be 'laplace' or 'quadrature'; got {integration!r}")
    subjects = None
    if model.random_intercept is not None:
        subjects = designs.subjects_of(data, model.random_intercept, n_rows)
    elif integration != "laplace":
        raise ValueError("integration is for models with random_intercept")
    problem = Problem(
        table, model, mean, precision, multiplicity, names, _prior_of(prior, model), _validate.threads(n_threads)
    )
    return fit_problem(problem, subjects, integration, _validate.positive_int(max_iterations, "max_iterations"))


def fit_problem(
    problem: Problem, subjects: Subjects | None, integration: Integration, max_iterations: int
) -> RegressionFit:
    """The fit of a problem, with random intercepts where there are subjects."""
    found = problem.maximum(max_iterations)
    if subjects is None:
        fit = problem.result(found)
    else:
        fit = fit_intercepts(problem, found, subjects, integration, max_iterations)
    return replace(fit, _refit=refit)


def refit(fit: RegressionFit, table: Counts) -> RegressionFit:
    """The same model fitted to other counts of the same groups, on one thread."""
    assert fit._design is not None
    problem = Problem(table, fit.model, fit._design, fit._precision, fit._weights, fit.category_names, None, 1)
    subjects = None if fit._intercepts is None else fit._intercepts.subjects
    return fit_problem(problem, subjects, fit.integration or "laplace", 200)


def _prior_of(
    prior: Literal["model"] | priors.Normal | None, model: RegressionModel
) -> tuple[priors.Normal, priors.Normal] | None:
    if prior is None:
        return None
    if prior == "model":
        return model.coefficients, model.precision_coefficients
    if isinstance(prior, priors.Normal):
        if model.link == "softmax" and prior.mu != 0.0:
            raise ValueError(f"prior must have mean 0 with link='softmax'; got {prior!r}")
        return prior, model.precision_coefficients
    raise TypeError(f"prior must be priors.Normal, 'model' (the priors of the model) or None; got {prior!r}")


def _weights(weights: ArrayLike | None, n_rows: int) -> Floats | None:
    if weights is None:
        return None
    result = _validate.in_range(_validate.doubles(weights, "weights"), "weights", zero=True)
    if result.shape != (n_rows,):
        raise ValueError(f"weights must have shape ({n_rows},), one a group; got {result.shape}")
    return result
