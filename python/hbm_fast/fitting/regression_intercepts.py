"""Normal random intercepts of subjects: the marginal likelihood, its maximum, and the intercepts' modes."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hbm_fast._typing import Floats
from hbm_fast.fitting.regression_problem import Maximum, Problem
from hbm_fast.fitting.regression_result import Integration, Intercepts, RegressionFit
from hbm_fast.models.design import Subjects

_N_NODES = 25  # of the adaptive Gauss-Hermite rule
_FIRST_SCALE = 0.5
_SMALLEST_SCALE = 1e-4  # under which the likelihood does not differ from that of a scale of 0
_LONGEST_STEP = 2.0  # of a coefficient of the optimiser
_ROUGH_GAIN = 1e-8  # squared length of the last step in standard errors, before the Hessian is computed
_CONVERGED_GAIN = 1e-14  # and after
_DIFFERENCE = 1e-3  # standard errors between the gradients whose difference is the Hessian


def fit_intercepts(
    problem: Problem, fixed: Maximum, subjects: Subjects, integration: Integration, max_iterations: int
) -> RegressionFit:
    """The fit with random intercepts; the search starts from the maximum without them."""
    marginal = Marginal(problem, fixed.link, subjects, integration)
    found, intercepts = _maximum(marginal, fixed, max_iterations)
    if fixed.limit is None and problem.may_be_multinomial(found.ending, found.information):
        multinomial = problem.multinomial(max_iterations)
        limit = _maximum(Marginal(problem, "multinomial", subjects, integration), multinomial, max_iterations)
        if found.value <= limit[0].value + 1e-9:
            found, intercepts = limit
    return problem.result(found, intercepts)


class Marginal:
    """The log-likelihood, or log posterior density, with the intercepts integrated out.

    Its parameters are those of the kernel followed by the scales. A scale's sign changes nothing, so that the function
    is even in each scale, and a maximum at a scale of 0 is a stationary point like any other.
    """

    def __init__(self, problem: Problem, link: str, subjects: Subjects, integration: Integration) -> None:
        self.problem, self.subjects, self.integration = problem, subjects, integration
        self.n_free = len(problem.free)
        self.n_scales = 1 if problem.model.shared_scale else self.n_free
        order = np.argsort(subjects.codes, kind="stable")
        self.begins = np.searchsorted(subjects.codes[order], np.arange(len(subjects.labels) + 1)).astype(np.int64)
        self.kernel = problem.kernel(link, order)
        self.constant = self.kernel.log_coefficient()
        self.penalty = problem.penalty(link)
        self.nodes = None
        if integration == "quadrature":
            if self.n_free != 1:
                raise ValueError(
                    "integration='quadrature' is for K = 2 with link='softmax', one intercept a subject; "
                    "pass integration='laplace'"
                )
            places, weights = np.polynomial.hermite.hermgauss(_N_NODES)
            self.nodes = np.ascontiguousarray(np.column_stack([places, np.log(weights) + places**2]))
        self.modes = np.zeros((len(subjects.labels), self.n_free))  # of the standardised intercepts
        self.covariance = np.empty(0)

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """Value and gradient; the modes found are where the next search for them starts."""
        value, gradient, modes, self.covariance = self.kernel.marginal(
            theta, self.begins, self.modes, self.nodes, self.n_scales, self.problem.n_threads
        )
        if np.isfinite(modes).all():
            self.modes = modes
        value += self.constant
        if self.penalty is not None:
            scales = theta[-self.n_scales :]
            rest = theta[: -self.n_scales]
            slope = self.penalty @ rest
            log_prior, scale_slope = self.problem.log_density_of_scales(np.abs(scales))
            value += log_prior - 0.5 * float(rest @ slope)
            gradient[: -self.n_scales] -= slope
            gradient[-self.n_scales :] += np.sign(scales) * scale_slope
        return value, gradient

    def intercepts(self, theta: Floats) -> Floats:
        """Their modes (S, J)."""
        return theta[-self.n_scales :] * self.modes


def _maximum(marginal: Marginal, start: Maximum, max_iterations: int) -> tuple[Maximum, Intercepts]:
    size = len(start.theta)
    metric = np.eye(size + marginal.n_scales) * 0.1
    metric[:size, :size] = np.linalg.inv(start.information + 0.1 * np.eye(size))
    theta = np.append(start.theta, np.full(marginal.n_scales, _FIRST_SCALE))
    theta, metric, n_iterations = _climb(marginal, theta, metric, max_iterations)
    information, slopes = _hessian(marginal, theta, np.sqrt(np.diag(metric)))
    gain = np.inf
    for _ in range(6):  # Newton steps whose Hessian stays
        value, gradient = marginal(theta)
        step = np.linalg.lstsq(information, gradient, rcond=None)[0]
        last, gain = gain, float(gradient @ step)
        if gain < _CONVERGED_GAIN or gain >= last:
            break
        theta = theta + step * min(1.0, _LONGEST_STEP / np.abs(step).max())
    ending = start.ending
    if start.ending != "separated":
        scales = np.abs(theta[-marginal.n_scales :])
        definite = bool((np.linalg.eigvalsh(information) > 0.0).all())
        ending = "unfinished" if not definite or gain > 1e-6 else "converged"
        if ending == "converged" and (scales < _SMALLEST_SCALE).any():
            ending = "zero scale"
            theta[-marginal.n_scales :][scales < _SMALLEST_SCALE] = 0.0
            value, _ = marginal(theta)
    found = replace(start, value=value, theta=theta, information=information, ending=ending, n_iterations=n_iterations)
    problem = marginal.problem
    scale = np.zeros(len(problem.names))
    scale[problem.free] = np.abs(theta[-marginal.n_scales :])
    values = np.zeros((len(marginal.subjects.labels), len(problem.names)))
    values[:, problem.free] = marginal.intercepts(theta)
    n_subjects = len(np.unique(marginal.subjects.codes[problem.filled]))
    return found, Intercepts(
        marginal.subjects, marginal.integration, scale, values, marginal.covariance, slopes, n_subjects
    )


def _climb(
    function: Callable[[Floats], tuple[float, Floats]], x: Floats, metric: Floats, max_iterations: int
) -> tuple[Floats, Floats, int]:
    """A maximum by the method of Broyden, Fletcher, Goldfarb and Shanno (Nocedal & Wright 2006, algorithm 6.1).

    Returns the place, the inverse of minus the Hessian as far as it is known, and the number of iterations.
    """
    value, gradient = function(x)
    for iteration in range(max_iterations):
        direction = metric @ gradient
        gain = float(direction @ gradient)
        if gain < _ROUGH_GAIN:
            return x, metric, iteration
        fraction = min(1.0, _LONGEST_STEP / float(np.abs(direction).max()))
        while fraction > 1e-12:
            step = fraction * direction
            new_value, new_gradient = function(x + step)
            if new_value >= value + 1e-4 * fraction * gain:
                break
            fraction *= 0.5 if np.isfinite(new_value) else 0.1
        else:
            return x, metric, iteration
        change = gradient - new_gradient
        curvature = float(change @ step)
        if curvature > 1e-12 * float(np.sqrt((change @ change) * (step @ step))):
            left = np.eye(len(x)) - np.outer(step, change) / curvature
            metric = left @ metric @ left.T + np.outer(step, step) / curvature
        x, value, gradient = x + step, new_value, new_gradient
    return x, metric, max_iterations


def _hessian(marginal: Marginal, theta: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """Minus the Hessian (p, p) and the derivatives of the intercepts' modes (S, J, p), by central differences."""
    size = len(theta)
    information = np.empty((size, size))
    slopes = np.empty((*marginal.modes.shape, size))
    for i in range(size):
        step = np.zeros(size)
        step[i] = _DIFFERENCE * min(max(errors[i], 1e-3), 1.0)
        (_, up), upper = marginal(theta + step), marginal.intercepts(theta + step)
        (_, down), lower = marginal(theta - step), marginal.intercepts(theta - step)
        information[i] = (down - up) / (2.0 * step[i])
        slopes[:, :, i] = (upper - lower) / (2.0 * step[i])
    return 0.5 * (information + information.T), slopes
