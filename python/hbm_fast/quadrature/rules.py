"""One-dimensional rules: Gauss-Kronrod panels, and the trapezoidal rule with its indefinite integral and inversion.

Sources: Piessens et al. 1983 (QUADPACK, 7-15 Gauss-Kronrod pair); Trefethen & Weideman 2014 (doi:10.1137/130932132) for
the trapezoidal rule, which converges geometrically for a function analytic in a strip that vanishes at both ends;
Haber 1993 (doi:10.1090/S0025-5718-1993-1149295-X) for the indefinite integral of its sinc interpolant.
"""

from functools import cache

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from hbm_fast._typing import Floats

_KRONROD_X = np.array(
    [
        0.991455371120812639206854697526329,
        0.949107912342758524526189684047851,
        0.864864423359769072789712788640926,
        0.741531185599394439863864773280788,
        0.586087235467691130294144691693250,
        0.405845151377397166906606412076961,
        0.207784955007898467600689403773245,
        0.0,
    ]
)
_KRONROD_W = np.array(
    [
        0.022935322010529224963732008058970,
        0.063092092629978553290700663189204,
        0.104790010322250183839876322541518,
        0.140653259715525918745189590510238,
        0.169004726639267902826583426598550,
        0.190350578064785409913256402421014,
        0.204432940075298892414161999234649,
        0.209482141084727828012999174891714,
    ]
)
_GAUSS_W = np.array(
    [
        0.129484966168869693270611432679082,
        0.279705391489276667901467771423780,
        0.381830050505118944950369775488975,
        0.417959183673469387755102040816327,
    ]
)

# On [-1, 1], ascending: nodes, the weights of the 15-point rule, and those of the 7-point rule on every second node.
NODES: Floats = np.concatenate([-_KRONROD_X, _KRONROD_X[-2::-1]])
WEIGHTS: Floats = np.concatenate([_KRONROD_W, _KRONROD_W[-2::-1]])
GAUSS_WEIGHTS: Floats = np.zeros(15)
GAUSS_WEIGHTS[1::2] = np.concatenate([_GAUSS_W, _GAUSS_W[-2::-1]])

# Maps values at the nodes to the Legendre coefficients of the polynomial through them.
_TO_LEGENDRE: Floats = np.asarray(np.linalg.inv(legendre.legvander(NODES, 14)), dtype=np.float64)
# Maps Legendre coefficients of degree 15 to those of the powers of x.
_TO_POWERS: Floats = np.stack([np.pad(legendre.leg2poly(np.eye(16)[i, : i + 1]), (0, 15 - i)) for i in range(16)])


def panel_distribution(values: Floats) -> Floats:
    """Legendre coefficients (P, 16) of the integral from -1 of the polynomials through ``values`` (P, 15)."""
    return np.asarray(legendre.legint(values @ _TO_LEGENDRE.T, lbnd=-1.0, axis=1))


def evaluate_panels(coefficients: Floats, x: Floats) -> Floats:
    """The integrals (S, 16) at x (S,)."""
    return np.asarray(legendre.legval(x, coefficients.T, tensor=False))


def invert_panels(coefficients: Floats, targets: Floats) -> Floats:
    """x in [-1, 1] (S,) at which the integrals (S, 16) equal their targets (S,)."""
    # powers instead of Legendre polynomials: at degree 15 they lose four digits of sixteen and take a third of the time
    return _invert(tuple(np.ascontiguousarray((coefficients @ _TO_POWERS).T)), targets, -1.0)


def _invert(terms: tuple[Floats, ...], targets: Floats, lowest: float) -> Floats:
    """x in [lowest, 1] at which increasing polynomials, coefficients ascending, equal their targets.

    Newton's method, safeguarded by bisection.
    """
    low, high = np.full(targets.shape, lowest), np.full(targets.shape, 1.0)
    x = 0.5 * (low + high)
    for _ in range(60):
        value, slope = terms[-1], np.zeros(targets.shape)
        for term in terms[-2::-1]:
            slope = slope * x + value
            value = value * x + term
        below = value < targets
        low, high = np.where(below, x, low), np.where(below, high, x)
        with np.errstate(divide="ignore", invalid="ignore"):
            new = x - (value - targets) / slope
        new = np.where((new >= low) & (new <= high), new, 0.5 * (low + high))
        moved, x = float(np.abs(new - x).max(initial=0.0)), new
        if moved < 1e-9:  # the next step would be of the order of its square
            break
    return np.asarray(x)


@cache
def sinc_matrices(n: int) -> tuple[Floats, Floats]:
    """Matrices (n, n) of the indefinite integral and the derivative of the sinc interpolant: n values @ matrix."""
    x, w = legendre.leggauss(16)
    middles = np.arange(n)[:, np.newaxis] + 0.5 * (x + 1.0)
    sine_integral = np.concatenate([[0.0], np.cumsum(0.5 * (np.sinc(middles) @ w))])  # of sinc, over [0, m]
    lag = np.arange(n)[np.newaxis, :] - np.arange(n)[:, np.newaxis]  # node k minus node j
    integral = 0.5 + np.sign(lag) * sine_integral[np.abs(lag)]
    with np.errstate(divide="ignore"):
        derivative = np.where(lag == 0, 0.0, np.where(lag % 2 == 0, 1.0, -1.0) / lag)
    return integral, derivative


class Distribution:
    """Distribution functions of R densities, each given at n evenly spaced nodes: values (R, n).

    The integral, the density and its slope at the nodes have the accuracy of the trapezoidal rule; between the nodes
    they are interpolated by quintic Hermite polynomials.
    """

    def __init__(self, values: Floats) -> None:
        integral, derivative = sinc_matrices(values.shape[1])
        total = values.sum(axis=1, keepdims=True)
        self._density = values / total  # per step
        self._cumulative = np.clip(self._density @ integral, 0.0, 1.0)
        self._slope = self._density @ derivative
        self._cumulative = np.maximum.accumulate(self._cumulative, axis=1)

    def _cell(self, rows: NDArray[np.intp], cells: NDArray[np.intp]) -> tuple[Floats, ...]:
        f0, f1 = self._cumulative[rows, cells], self._cumulative[rows, cells + 1]
        d0, d1 = self._density[rows, cells], self._density[rows, cells + 1]
        s0, s1 = self._slope[rows, cells], self._slope[rows, cells + 1]
        c2 = 0.5 * s0
        # what the cubic terms must add at the right end: to the value, the density and its slope
        value, density, slope = f1 - f0 - d0 - c2, d1 - d0 - s0, s1 - s0
        return (
            f0,
            d0,
            c2,
            10 * value - 4 * density + 0.5 * slope,
            -15 * value + 7 * density - slope,
            6 * value - 3 * density + 0.5 * slope,
        )

    def __call__(self, rows: NDArray[np.intp], positions: Floats) -> Floats:
        """Probability below ``positions``, counted in steps from the first node."""
        n = self._density.shape[1]
        cells = np.clip(np.floor(positions).astype(np.intp), 0, n - 2)
        x = np.clip(positions - cells, 0.0, 1.0)
        terms = self._cell(rows, cells)
        result = terms[-1]
        for term in terms[-2::-1]:
            result = result * x + term
        return result

    def invert(self, rows: NDArray[np.intp], targets: Floats) -> Floats:
        """Positions at which the rows' distribution functions equal ``targets``."""
        n = self._density.shape[1]
        cells = np.clip((self._cumulative[rows] < targets[:, np.newaxis]).sum(axis=1) - 1, 0, n - 2)
        return np.asarray(cells + _invert(self._cell(rows, cells), targets, 0.0))
